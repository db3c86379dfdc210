"""Keras models as networks: equal predictions, trained weights on the way back, errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import pytest
import torch
from closeness import assert_close
from firesteel import Network, from_keras
from firesteel.classification import NetworkClassifier
from firesteel.keras import KerasConversionError, to_keras
from keras import Input, layers
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession

TOKENS = 11
ROWS = 6


def sequence(*steps: Any) -> keras.Model:
    return keras.Sequential(list(steps))


def branches() -> keras.Model:
    """An image and a table, a branch each, joined and added, and two outputs."""
    image, table = Input((8, 7, 2), name="image"), Input((5,), name="table")
    wide = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    narrow = layers.Conv2D(4, 1)(image)
    both = layers.Concatenate()([layers.Add()([wide, narrow]), wide, image])
    product = layers.Multiply()([both, layers.Average()([both, both])])
    joined = layers.Concatenate()([layers.GlobalAveragePooling2D()(product), table])
    kind = layers.Dense(3, activation="softmax", name="kind")(joined)
    size = layers.Dense(1, name="size")(layers.Flatten()(layers.Subtract()([both, product])))
    return keras.Model([image, table], [kind, size])


def nested() -> keras.Model:
    inner = sequence(Input((6, 6, 2)), layers.Conv2D(3, 3, name="conv"), layers.ReLU())
    return sequence(Input((6, 6, 2)), inner, layers.Flatten(), layers.Dense(2, name="conv"))


def rows_and_channels() -> keras.Model:
    """Values that are read with channels first and channels last."""
    read = Input((4, 3, 2))
    made = layers.Conv2D(2, 1)(read)
    joined = layers.Concatenate(axis=-2)([made, read])
    best = layers.Maximum()([joined, layers.Minimum()([joined, layers.Softmax(axis=1)(joined)])])
    return keras.Model(read, [best, made])


MODELS: dict[str, Callable[[], keras.Model]] = {
    "perceptron": lambda: sequence(
        Input((6,)),
        layers.Dense(8, activation="relu"),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.Dense(3, activation="softmax", use_bias=False),
    ),
    "dense over sequences": lambda: sequence(
        Input((4, 5)),
        layers.Dense(8, activation=layers.LeakyReLU(0.3)),
        layers.BatchNormalization(),
        layers.LayerNormalization(axis=(1, 2)),
        layers.Flatten(),
        layers.Dense(3),
    ),
    "convnet": lambda: sequence(
        Input((13, 12, 3)),
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.BatchNormalization(momentum=0.8, epsilon=0.01),
        layers.MaxPooling2D(),
        layers.Conv2D(6, (2, 3), strides=2, padding="same", use_bias=False),
        layers.ELU(0.5),
        layers.AveragePooling2D(2, strides=1),
        layers.Flatten(),
        layers.Dense(3),
    ),
    "mobile": lambda: sequence(
        Input((8, 9, 3)),
        layers.ZeroPadding2D(((0, 1), (2, 0))),
        layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2),
        layers.BatchNormalization(scale=False, center=False),
        layers.ReLU(6.0),
        layers.Conv2D(6, 2, groups=2, dilation_rate=2),
        layers.Cropping2D(((0, 1), (0, 0))),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2, activation="sigmoid"),
    ),
    "channels first": lambda: sequence(
        Input((3, 8, 9)),
        layers.Conv2D(4, 3, strides=2, padding="same", data_format="channels_first"),
        layers.BatchNormalization(axis=1),
        layers.MaxPooling2D(data_format="channels_first"),
        layers.GlobalMaxPooling2D(data_format="channels_first", keepdims=True),
    ),
    "series": lambda: sequence(
        Input((13, 3)),
        layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="tanh"),
        layers.MaxPooling1D(2, padding="same"),
        layers.Conv1D(5, 2, strides=2, padding="same"),
        layers.AveragePooling1D(2, strides=1),
        layers.DepthwiseConv1D(2),
        layers.GlobalMaxPooling1D(),
    ),
    "lstm": lambda: sequence(
        Input((7,), dtype="int32"),
        layers.Embedding(TOKENS, 4),
        layers.LSTM(5, return_sequences=True),
        layers.LSTM(3, use_bias=False),
        layers.Dense(2, activation="softmax"),
    ),
    "gru": lambda: sequence(
        Input((7,), dtype="int32"),
        layers.Embedding(TOKENS, 4),
        layers.GRU(5, return_sequences=True),
        layers.GRU(3, use_bias=False),
        layers.Dense(2, activation="softmax"),
    ),
    "both ways": lambda: sequence(
        Input((7, 4)),
        layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
        layers.Bidirectional(layers.GRU(3)),
        layers.LayerNormalization(center=False),
    ),
    "shapes": lambda: sequence(
        Input((12,)),
        layers.Reshape((2, 3, 2)),
        layers.Permute((2, 1, 3)),
        layers.Conv2D(2, 2, padding="same"),
        layers.Activation("linear"),
        layers.Reshape((-1,)),
    ),
    "one channel": lambda: sequence(
        Input((5, 5, 2)), layers.Conv2D(1, 2), layers.Flatten(), layers.Dense(2)
    ),
    "branches": branches,
    "nested": nested,
    "rows and channels": rows_and_channels,
}


def randomised(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model with weights that all differ from their layer's initial ones, also variances."""
    generator = np.random.default_rng(seed)
    model.set_weights(
        [
            generator.uniform(0.2, 1.2, value.shape) if value.ndim == 1 else value
            for value in (generator.normal(0, 0.4, old.shape) for old in model.get_weights())
        ]
    )
    return model


def data(model: keras.Model, rows: int = ROWS) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [
        generator.integers(0, TOKENS, (rows, *tensor.shape[1:]))
        if tensor.dtype == "int32"
        else generator.normal(size=(rows, *tensor.shape[1:])).astype(np.float32)
        for tensor in model.inputs
    ]


def kerass(model: keras.Model, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Keras's predictions."""
    answer = model.predict_on_batch(list(inputs) if len(inputs) > 1 else inputs[0])
    return answer if isinstance(answer, list) else [answer]


def ours(network: Network, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of the network's PyTorch layers."""
    answer = network.to_torch()(*(torch.from_numpy(value) for value in inputs))
    answers = answer if isinstance(answer, tuple) else (answer,)
    return [value.detach().numpy() for value in answers]


def assert_all_close(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    assert len(found) == len(expected)
    for ours_, theirs in zip(found, expected, strict=True):
        assert_close(ours_, theirs)


@pytest.mark.parametrize("name", MODELS)
def test_a_converted_model_predicts_what_keras_predicts(name: str) -> None:
    model = randomised(MODELS[name]())
    inputs = data(model)
    network = from_keras(model)
    assert_all_close(ours(network, inputs), kerass(model, inputs))
    assert list(network.input_shapes.values()) == [value.shape[1:] for value in inputs]
    assert Network.from_json(network.to_json()) == network


@pytest.mark.parametrize("name", MODELS)
def test_trained_weights_go_back_into_a_copy_of_the_model(name: str) -> None:
    model = randomised(MODELS[name]())
    inputs, network = data(model), from_keras(model)
    before = kerass(model, inputs)
    trained = network.with_weights(
        {
            tensor: values if values.dtype == np.int64 else 0.9 * values + 0.01
            for tensor, values in (network.weights or {}).items()
        }
    )
    copy = to_keras(trained, model)
    assert_all_close(kerass(copy, inputs), ours(trained, inputs))
    named = [[layer.name for layer in each.layers if layer.weights] for each in (copy, model)]
    assert named[0] == named[1]
    assert_all_close(kerass(model, inputs), before)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, 3, (2, 1)])
@pytest.mark.parametrize("window", [2, 3, (3, 2), (4, 1)])
def test_windows_lie_where_keras_lays_them(
    padding: str, strides: int | tuple[int, int], window: int | tuple[int, int]
) -> None:
    for shape in ((9, 8, 3), (7, 10, 2)):
        image = Input(shape)
        arguments = {"strides": strides, "padding": padding}
        model = keras.Model(
            image,
            [
                layers.Conv2D(4, window, activation="softmax", **arguments)(image),
                layers.MaxPooling2D(window, **arguments)(image),
            ],
        )
        inputs = data(randomised(model))
        assert_all_close(ours(from_keras(model), inputs), kerass(model, inputs))


FUNCTIONS = [
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "celu",
    "selu",
    "gelu",
    "silu",
    "swish",
    "mish",
    "tanh",
    "hard_tanh",
    "sigmoid",
    "log_sigmoid",
    "hard_sigmoid",
    "hard_silu",
    "softplus",
    "softsign",
    "softmax",
    "log_softmax",
    "linear",
]


def test_every_activation_is_keras_s() -> None:
    read = Input((6,))
    model = keras.Model(read, [layers.Dense(5, activation=name)(read) for name in FUNCTIONS])
    inputs = data(randomised(model))
    assert_all_close(ours(from_keras(model), inputs), kerass(model, inputs))


def test_a_permutation_stands_only_where_the_order_changes() -> None:
    network = from_keras(MODELS["convnet"]())
    permuted = [index for index, node in enumerate(network.nodes) if node.op == "Permute"]
    flatten = [node.op for node in network.nodes].index("Flatten")
    assert permuted == [0, flatten - 1]
    assert not any(node.op == "Permute" for node in from_keras(MODELS["gru"]()).nodes)


def test_nodes_have_the_names_of_their_layers() -> None:
    inner = sequence(Input((4,)), layers.Dense(3, activation="relu", name="first"))
    inner.name = "inner"
    model = sequence(Input((4,), name="numbers"), inner, layers.Dense(2, name="first"))
    network = from_keras(model)
    assert network.inputs == ("numbers",)
    names = [node.name for node in network.nodes]
    assert names == ["inner.first", "inner.first.activation", "first"]


class Doubled(layers.Dense):
    pass


class Written(keras.Model):
    def call(self, read: Any) -> Any:
        return read


def shared() -> keras.Model:
    read, twice = Input((4,)), layers.Dense(4, name="twice")
    return keras.Model(read, twice(twice(read)))


def frozen() -> keras.Model:
    return sequence(Input((4,)), layers.Dense(3, name="cold", trainable=False))


def of_one(layer: layers.Layer, *shape: int) -> Callable[[], keras.Model]:
    return lambda: sequence(Input(shape), layer)


REFUSED: dict[str, tuple[Callable[[], keras.Model], str]] = {
    "a GRU that resets before": (
        of_one(layers.GRU(3, reset_after=False, name="gru"), 4, 2),
        r"layer 'gru' \(GRU\): reset_after=False",
    ),
    "another gate": (
        of_one(layers.LSTM(3, recurrent_activation="hard_sigmoid", name="memory"), 4, 2),
        r"layer 'memory' \(LSTM\): recurrent_activation='hard_sigmoid'; only 'sigmoid'",
    ),
    "another state": (
        of_one(layers.LSTM(3, activation="relu", name="memory"), 4, 2),
        r"layer 'memory' \(LSTM\): activation='relu'; only 'tanh'",
    ),
    "backwards": (
        of_one(layers.LSTM(3, go_backwards=True, name="memory"), 4, 2),
        r"layer 'memory' \(LSTM\): go_backwards=True",
    ),
    "dropped states": (
        of_one(layers.GRU(3, recurrent_dropout=0.1, name="gru"), 4, 2),
        r"layer 'gru' \(GRU\): recurrent_dropout=0.1",
    ),
    "summed directions": (
        of_one(layers.Bidirectional(layers.LSTM(3), merge_mode="sum", name="ways"), 4, 2),
        r"layer 'ways' \(Bidirectional\): merge_mode='sum'",
    ),
    "masks": (
        of_one(layers.Embedding(5, 2, mask_zero=True, name="words"), 4),
        r"layer 'words' \(Embedding\): mask_zero=True",
    ),
    "half a scale": (
        of_one(layers.BatchNormalization(scale=False, name="norm"), 4),
        r"layer 'norm' \(BatchNormalization\): scale=False and center=True",
    ),
    "uneven averages": (
        of_one(layers.AveragePooling2D(2, padding="same", name="mean"), 5, 4, 1),
        r"layer 'mean' \(AveragePooling2D\): padding='same' pads",
    ),
    "another function": (
        of_one(layers.Dense(3, activation="exponential", name="odd"), 4),
        r"layer 'odd' \(Dense\): its activation exponential is not supported; use one of celu",
    ),
    "a clipped ReLU": (
        of_one(layers.ReLU(max_value=2, name="clipped"), 4),
        r"layer 'clipped' \(ReLU\): max_value=2",
    ),
    "another layer": (
        of_one(layers.Rescaling(0.5, name="scale"), 4),
        r"layer 'scale' \(Rescaling\): layers of this class are not supported; use one of Act",
    ),
    "a subclass": (
        of_one(Doubled(3, name="own"), 4),
        r"layer 'own' \(Doubled\): layers of this class are not supported",
    ),
    "shapes that differ": (
        lambda: keras.Model(
            [(read := Input((4, 3))), (row := Input((1, 3)))],
            layers.Multiply(name="spread")([read, row]),
        ),
        r"layer 'spread' \(Multiply\): its inputs have the shapes \[\(4, 3\), \(1, 3\)\]",
    ),
    "shared weights": (shared, r"layer 'twice' \(Dense\): it is called more than once"),
    "frozen weights": (frozen, r"layer 'cold' \(Dense\): trainable=False"),
    "half precision": (
        of_one(layers.Dense(3, dtype="float16", name="half"), 4),
        r"layer 'half' \(Dense\): it computes in float16",
    ),
    "an operation": (
        lambda: keras.Model((read := Input((4,))), read + 1),
        r"layer '\w+' \(Add\): it is an operation of keras.ops",
    ),
    "dropout that stays": (
        lambda: keras.Model((read := Input((4,))), layers.Dropout(0.5)(read, training=True)),
        r"\(Dropout\): it is called with training=True",
    ),
    "an open length": (
        lambda: sequence(Input((None, 2), name="series"), layers.LSTM(3)),
        r"layer 'series' \(InputLayer\): its shape \(None, None, 2\) is not fixed",
    ),
    "no shape": (
        lambda: sequence(layers.Dense(3)),
        r"it is not built; begin it with a keras.Input",
    ),
    "a call of its own": (lambda: Written(name="own"), r"model 'own' \(Written\): it is neither"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_counterpart_is_refused_by_name(what: str) -> None:
    make, message = REFUSED[what]
    with pytest.raises(KerasConversionError, match=message):
        from_keras(make())


def test_what_only_training_would_see_is_warned_of() -> None:
    model = of_one(layers.Dense(3, kernel_regularizer="l2", name="small"), 4)()
    with pytest.warns(UserWarning, match=r"layer 'small' \(Dense\): its kernel_regularizer"):
        from_keras(model)


def test_weights_that_do_not_fit_are_refused_by_name() -> None:
    model = of_one(layers.Dense(3, name="small"), 4)()
    weights = from_keras(model).weights or {}
    with pytest.raises(ValueError, match=r"no tensor 'small.bias', which layer 'small' needs"):
        to_keras({"small.weight": weights["small.weight"]}, model)
    wrong = {**weights, "small.weight": np.zeros((3, 5))}
    with pytest.raises(ValueError, match=r"layer 'small' have the shapes \[\(5, 3\), \(3,\)\]"):
        to_keras(wrong, model)
    with pytest.raises(ValueError, match="the network has no weights"):
        to_keras(from_keras(model).with_weights(None), model)
    with pytest.raises(TypeError, match=r"needs a keras.Model, not dict"):
        from_keras({})


def digits() -> keras.Model:
    """Images of three classes, with layers whose evaluation mode differs from training."""
    return sequence(
        Input((6, 5, 2)),
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(3, 2, strides=2, padding="same"),
        layers.Flatten(),
        layers.Dropout(0.2),
        layers.Dense(3, activation="softmax"),
    )


def words() -> keras.Model:
    return sequence(
        Input((7,), dtype="int32"),
        layers.Embedding(TOKENS, 4),
        layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
        layers.GRU(4),
        layers.Dense(3, activation="softmax"),
    )


def frame(spark: SparkSession, values: np.ndarray) -> DataFrame:
    rows = [
        (Vectors.dense(row.ravel()), float(index % 3), index) for index, row in enumerate(values)
    ]
    return spark.createDataFrame(rows, ["features", "label", "index"]).coalesce(1)


def probabilities(model: Any, df: DataFrame) -> np.ndarray:
    rows = model.transform(df).orderBy("index").select("probability").collect()
    return np.array([row.probability.toArray() for row in rows])


@pytest.mark.parametrize("make", [digits, words])
def test_a_fit_goes_on_from_keras_s_weights_and_back_into_a_keras_model(
    spark: SparkSession, make: Callable[[], keras.Model]
) -> None:
    model = randomised(make())
    inputs = data(model, rows=60)
    df = frame(spark, inputs[0])
    network = from_keras(model)
    classifier = NetworkClassifier(
        network=network, optimizer="sgd", batchSize=20, epochs=1, learningRate=1e-30, seed=5
    )
    still = classifier.fit(df)
    # Steps of 1e-30 leave the weights, but batches change the statistics of batch normalisation.
    for name, tensor in (network.weights or {}).items():
        if "running" not in name and "num_batches" not in name:
            assert np.abs(still.weights[name] - tensor).max() < 1e-25, name
    moving = {name for name in still.weights if "running" in name}
    assert bool(moving) == (make is digits)
    if not moving:
        assert_all_close([probabilities(still, df)], kerass(model, inputs))
    trained = classifier.copy({classifier.learningRate: 0.05, classifier.epochs: 3}).fit(df)
    assert_all_close([probabilities(trained, df)], kerass(to_keras(trained, model), inputs))
    assert np.abs(probabilities(trained, df) - kerass(model, inputs)[0]).max() > 1e-3
