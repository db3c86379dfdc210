"""The layers of a network, with the names, arguments, defaults and initialisation of ``torch.nn``.

Shapes below leave out the first dimension, the rows of a mini-batch. What a layer takes in
(``in_features`` and its like) is inferred from what comes before it, on the driver, and may be
written down to be checked there.
"""

from firesteel.layers.activation import GELU, Identity, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from firesteel.layers.basic import Add, Concatenate, Dropout, Embedding, Flatten, Linear, Reshape
from firesteel.layers.containers import Residual, Sequential
from firesteel.layers.convolution import AvgPool2d, Conv2d, MaxPool2d
from firesteel.layers.layer import Layer
from firesteel.layers.normalisation import BatchNorm1d, BatchNorm2d, LayerNorm
from firesteel.layers.recurrent import LSTM

__all__ = [
    "GELU",
    "LSTM",
    "Add",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Concatenate",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "Identity",
    "Layer",
    "LayerNorm",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "ReLU",
    "Reshape",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
