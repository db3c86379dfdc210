"""The layers of a network, with the names, arguments, defaults and initialisation of ``torch.nn``.

Shapes below leave out the first dimension, the rows of a mini-batch. What a layer takes in
(``in_features`` and its like) is inferred from what comes before it, on the driver, and may be
written down to be checked there.
"""

from firesteel.layers.activation import (
    ELU,
    GELU,
    SELU,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    Identity,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from firesteel.layers.basic import (
    Add,
    Average,
    Concatenate,
    Dropout,
    Embedding,
    Flatten,
    Linear,
    Maximum,
    Minimum,
    Multiply,
    Permute,
    Reshape,
    Subtract,
)
from firesteel.layers.containers import Residual, Sequential
from firesteel.layers.convolution import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    Conv2d,
    MaxPool2d,
    ZeroPad2d,
)
from firesteel.layers.layer import Layer
from firesteel.layers.normalisation import BatchNorm1d, BatchNorm2d, LayerNorm
from firesteel.layers.recurrent import GRU, LSTM

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "SELU",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "Add",
    "Average",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Concatenate",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MaxPool2d",
    "Maximum",
    "Minimum",
    "Mish",
    "Multiply",
    "Permute",
    "ReLU",
    "ReLU6",
    "Reshape",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Subtract",
    "Tanh",
    "ZeroPad2d",
]
