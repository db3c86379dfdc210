"""Networks as documents, in Python and in the JVM."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy
from firesteel import BaseNetwork, Network, Node, TorchScriptNetwork
from firesteel import safetensors as own
from firesteel.layers import (
    ELU,
    GELU,
    GRU,
    LSTM,
    SELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    Add,
    Average,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Concatenate,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    Identity,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSigmoid,
    LogSoftmax,
    Maximum,
    MaxPool2d,
    Minimum,
    Mish,
    Multiply,
    Permute,
    ReLU,
    ReLU6,
    Reshape,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Subtract,
    Tanh,
    ZeroPad2d,
)
from pyspark.sql import SparkSession

EVERY_LAYER = Network.sequential(
    Reshape(1, 28, -1),
    Conv2d(8, (3, 5), padding=(1, 2), bias=False, in_channels=1),
    BatchNorm2d(eps=1e-3),
    ReLU(),
    MaxPool2d(2, stride=(2, 1), ceil_mode=True),
    Residual(Conv2d(16, 3, padding="same"), Tanh(), shortcut=[Conv2d(16, 1)]),
    AvgPool2d(2, count_include_pad=False),
    AdaptiveMaxPool2d((5, 6)),
    ZeroPad2d((0, 1, -1, 2)),
    ZeroPad2d(1),
    AdaptiveAvgPool2d(3),
    Permute(2, 3, 1),
    Sequential(ReLU6(), LeakyReLU(), LeakyReLU(0.2), ELU(), ELU(0.5), SELU(), SiLU(), Mish()),
    Sequential(Hardtanh(), LogSigmoid(), Hardsigmoid(), Hardswish(), Softplus(), Softsign()),
    Sequential(Flatten(), Dropout(0.1), Linear(32), BatchNorm1d(momentum=0.2)),
    LayerNorm(32, bias=False),
    GELU("tanh"),
    Identity(),
    Linear(32, 10),
    LogSoftmax(),
).with_input_shape(784)

GRAPH = Network(
    ["ids", "numbers"],
    [
        Node.of("table", Embedding(20, 4, padding_idx=0), "ids"),
        Node.of("memory", LSTM(4, bidirectional=True, output="last"), "table"),
        Node.of("gates", GRU(8, output="last"), "table"),
        Node.of("dense", Linear(8), "numbers"),
        Node.of("difference", Subtract(), "gates", "dense"),
        Node.of("product", Multiply(), "difference", "dense"),
        Node.of("most", Maximum(), "product", "gates"),
        Node.of("least", Minimum(), "product", "most"),
        Node.of("mean", Average(), "least", "dense"),
        Node.of("sum", Add(), "memory", "mean"),
        Node.of("both", Concatenate(), "sum", "numbers"),
        Node.of("class", Sigmoid(), "both"),
        Node.of("shares", Softmax(), "both"),
    ],
    ["class", "shares"],
    {"ids": [6]},
)


@pytest.mark.parametrize("network", [EVERY_LAYER, GRAPH], ids=["sequence", "graph"])
def test_the_jvm_reads_the_same_network(spark: SparkSession, network: Network) -> None:
    text = spark._jvm.firesteel.network.Network.fromJson(network.to_json()).toJson()
    assert json.loads(text) == json.loads(network.to_json())
    assert Network.from_json(text) == network


def test_scala_and_python_build_the_same_sequence(spark: SparkSession) -> None:
    layers = spark._jvm.firesteel.network
    stages = spark._jvm.PythonUtils.toSeq([layers.Linear.apply(4, 3), layers.Softmax(-1)])
    scala = layers.Network.sequential(stages)
    assert Network.from_json(scala.toJson()) == Network.sequential(Linear(4, 3), Softmax())


def test_an_argument_that_has_pytorchs_default_is_left_out() -> None:
    assert Conv2d(8, (3, 3), stride=[1, 1]).args() == {"out_channels": 8, "kernel_size": 3}
    assert Conv2d(8, (3, 5)).args() == {"out_channels": 8, "kernel_size": [3, 5]}
    assert MaxPool2d(2).args() == {"kernel_size": 2}
    assert LayerNorm(7).args() == {"normalized_shape": [7]}
    assert Dropout().args() == {}


def test_linear_takes_its_inputs_first_as_pytorch_does() -> None:
    assert Linear(784, 10) == Linear(10, in_features=784)
    assert Linear(out_features=10, in_features=784, bias=False).args() == {
        "in_features": 784,
        "out_features": 10,
        "bias": False,
    }
    for wrong in [(), (1, 2, 3)]:
        with pytest.raises(TypeError, match="out_features"):
            Linear(*wrong)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(0), "Linear: out_features must be at least 1, not 0"),
        (lambda: Linear(2.5), "Linear: out_features must be of whole numbers"),
        (lambda: Conv2d(4, 3, stride=2, padding="same"), "padding 'same' needs a stride of 1"),
        (lambda: Conv2d(4, 3, padding="valid"), "padding must be 'same', not 'valid'"),
        (lambda: Conv2d(4, 3, groups=3), "out_channels, 4, must be a multiple of groups, 3"),
        (lambda: MaxPool2d((2, 0)), "MaxPool2d: kernel_size must be at least 1"),
        (lambda: Dropout(1.5), "Dropout: p must be between 0 and 1, not 1.5"),
        (lambda: BatchNorm1d(eps=0), "BatchNorm1d: eps must be positive, not 0"),
        (lambda: Softmax(0), "Softmax: dim 0 would mix the rows"),
        (lambda: Flatten(0), "start_dim 0 would join the rows"),
        (lambda: Reshape(-1, -1), "of which one may be -1"),
        (lambda: Embedding(5, 2, 5), "padding_idx 5 must be within num_embeddings, 5"),
        (lambda: LSTM(4, output="all"), "LSTM: output must be 'sequence' or 'last', not 'all'"),
        (lambda: GELU("fast"), "GELU: approximate must be 'none' or 'tanh', not 'fast'"),
        (lambda: Residual(), "Residual: needs at least one layer"),
    ],
)
def test_a_layer_says_what_is_wrong_with_an_argument(make, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network.sequential(), "at least one layer"),
        (lambda: Network([], [Node("a", "ReLU", ("x",))], ["a"]), "at least one input"),
        (lambda: Network(["x"], [Node("a", "ReLU", ("y",))], ["a"]), "'a' .ReLU. reads 'y'"),
        (lambda: Network(["x"], [Node("a", "ReLU", ())], ["a"]), "'a' .ReLU. reads nothing"),
        (lambda: Network(["x"], [Node("x", "ReLU", ("x",))], ["x"]), "'x' is used twice"),
        (lambda: Network(["x"], [Node("a", "ReLU", ("x",))], ["b"]), "output 'b' is not a layer"),
        (lambda: GRAPH.with_input_shape(3), "for networks of one input"),
        (lambda: EVERY_LAYER.with_input_shape(0), "sizes of at least 1"),
        (lambda: Network.from_json("{"), "not the JSON of a network"),
        (lambda: Network.from_json('{"a": 1}'), "it has no 'format'"),
        (lambda: Network.from_json('{"format": "firesteel.network/1"}'), "it has no 'inputs'"),
        (lambda: BaseNetwork.from_json('{"format": "x"}'), "'x', not firesteel.network/1 or"),
    ],
)
def test_a_network_says_what_is_wrong_with_it(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_travel_with_the_network() -> None:
    network = Network.sequential(Linear(2))
    weights = {"0.weight": np.arange(6.0).reshape(2, 3), "0.bias": np.zeros(2)}
    weighted = network.with_weights(weights)
    assert network.weights is None and weighted != network
    read = Network.from_json(weighted.to_json())
    assert read == weighted and hash(read) == hash(weighted)
    assert {name: array.dtype for name, array in read.weights.items()} == dict.fromkeys(
        weights, np.dtype("float32")
    )
    for name, array in weights.items():
        np.testing.assert_array_equal(read.weights[name], array)
    assert weighted.with_weights(None) == network


def test_tensors_are_written_and_read_as_by_safetensors() -> None:
    tensors = {
        "steps": np.array(7, np.int64),
        "table": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
        "mask": np.array([True, False]),
        "empty": np.zeros((0, 3), np.float64),
    }
    theirs = safetensors.numpy.load(own.encode(tensors))
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    ours = own.decode(safetensors.numpy.save(contiguous))
    for found in (theirs, ours):
        assert found.keys() == tensors.keys()
        for name, array in tensors.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
    assert list(own.decode(own.encode(tensors))) == list(tensors)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"short", "longer than the bytes"),
        (b"\x02" + b"\0" * 7 + b"{]", "header is not JSON"),
        (own.encode({"a": np.zeros(3)})[:-1], "'a' of shape .3,. is not where the header says"),
    ],
)
def test_damaged_tensors_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        own.decode(content)


def test_elements_that_safetensors_has_no_type_for_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="'a' has elements of type complex64"):
        own.encode({"a": np.zeros(1, np.complex64)})


def test_a_torchscript_module_travels_as_a_document() -> None:
    network = TorchScriptNetwork({"ids": "int64"}, ["logits"], b"archive").with_input_shape(8)
    read = BaseNetwork.from_json(network.to_json())
    assert isinstance(read, TorchScriptNetwork)
    assert read == network and read.module == b"archive" and read.input_shapes == {"ids": (8,)}
    assert json.loads(network.to_json()) == {
        "format": "firesteel.torchscript/1",
        "inputs": [{"name": "ids", "type": "int64"}],
        "outputs": ["logits"],
        "module": "YXJjaGl2ZQ==",
        "inputShapes": {"ids": [8]},
    }
    with pytest.raises(ValueError, match=r"not firesteel.network/1"):
        Network.from_json(network.to_json())
    with pytest.raises(ValueError, match="'ids' has elements of type 'int8'"):
        TorchScriptNetwork({"ids": "int8"}, ["logits"], b"")
