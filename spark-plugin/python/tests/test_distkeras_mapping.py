"""The mapping of Keras's optimizers, losses and labels, and the utilities."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
from firesteel.distkeras import utils
from firesteel.distkeras.columns import class_index
from firesteel.distkeras.history import history_of
from firesteel.distkeras.losses import Loss, resolve
from firesteel.distkeras.optimizers import optimizer_params
from firesteel.distkeras.schemes import Emperor
from firesteel.distkeras.trainers import ADAG, AEASGD, DOWNPOUR, EAMSGD, Experimental
from firesteel.summary import LedgerEntry, LedgerSpan, TrainingSummary
from pyspark.ml.linalg import Vectors
from pyspark.sql import Row, SparkSession

OPTIMIZERS = ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop", "Adadelta", "Adamax", "Nadam"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizers_name_has_the_defaults_of_keras(name: str) -> None:
    by_name = optimizer_params(name.lower())
    by_object = optimizer_params(getattr(keras.optimizers, name)())
    assert by_name["optimizer"] == name.lower()
    for option, value in by_name.items():
        assert by_object[option] == pytest.approx(value, rel=1e-6), option
    # What a name leaves to the estimator is off in both.
    assert all(not by_object[option] for option in by_object.keys() - by_name.keys())


def test_options_of_optimizers_have_the_names_of_the_estimators() -> None:
    sgd = keras.optimizers.SGD(0.5, momentum=0.25, nesterov=True, clipvalue=2.0)
    expected = {"optimizer": "sgd", "learningRate": 0.5, "momentum": 0.25, "nesterov": True}
    assert optimizer_params(sgd) == {**expected, "clipValue": 2.0}
    rmsprop = keras.optimizers.RMSprop(rho=0.5, global_clipnorm=1.5, centered=True)
    found = optimizer_params(rmsprop)
    assert (found["alpha"], found["clipNorm"], found["centered"]) == (0.5, 1.5, True)
    assert "nesterov" not in optimizer_params(keras.optimizers.SGD(nesterov=True))


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ("lion", "'lion' has no counterpart; use one of adadelta, adagrad"),
        (7, "'int' has no counterpart"),
        (keras.optimizers.Adam(clipnorm=1.0), "Adam: clipnorm=1.0 has no counterpart"),
        (keras.optimizers.SGD(weight_decay=0.1), "SGD: weight_decay=0.1"),
        (
            keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)),
            "SGD: its learning rate is a schedule",
        ),
    ],
)
def test_optimizers_without_a_counterpart_are_named(optimizer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        optimizer_params(optimizer)


def test_losses_are_known_by_name_function_and_class() -> None:
    crossentropy = Loss("cross_entropy")
    for loss in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        assert resolve(loss) == crossentropy
    assert resolve(keras.losses.categorical_crossentropy) == crossentropy
    smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.25)
    assert resolve(smooth) == Loss("cross_entropy", smoothing=0.25)
    assert resolve("binary_crossentropy") == Loss("binary_cross_entropy_with_logits")
    for loss in ("mse", "MSE", "mean_squared_error", keras.losses.MeanSquaredError()):
        assert resolve(loss) == Loss("mse_loss", numbers=True)
    for loss in ("mae", keras.losses.mean_absolute_error):
        assert resolve(loss) == Loss("l1_loss", numbers=True)
    for loss in ("kld", "KLD", "kullback_leibler_divergence", keras.losses.KLDivergence()):
        assert resolve(loss) == Loss("kl_div")
    assert resolve("hinge") == Loss("hinge", signed=True)


def test_losses_without_a_counterpart_are_named() -> None:
    for loss, message in [
        ("poisson", "'poisson' has no counterpart; use one of binary_crossentropy"),
        (keras.losses.Huber(), "'Huber' has no counterpart"),
        (keras.losses.MeanSquaredError(reduction="sum"), "reduction='sum'"),
    ]:
        with pytest.raises(ValueError, match=message):
            resolve(loss)


def test_one_hot_labels_are_classes(spark: SparkSession) -> None:
    rows = [
        (Vectors.dense([0, 0, 1]), [0, 1], [1], 2.0),
        (Vectors.dense([1, 0, 0]), [1, 0], [0], 0.0),
    ]
    frame = spark.createDataFrame(rows, ["vector", "list", "one", "index"])
    found = frame.select(*(class_index(frame, name) for name in frame.columns)).collect()
    assert [tuple(row) for row in found] == [(2.0, 1.0, 1.0, 2.0), (0.0, 0.0, 0.0, 0.0)]


@pytest.mark.parametrize("label", ["array(0.5, 0.5)", "array(1, 1)", "array(0, 2)", "array(0, 0)"])
def test_a_list_that_is_not_one_hot_is_named(spark: SparkSession, label: str) -> None:
    frame = spark.sql(f"select {label} as label")
    with pytest.raises(Exception, match=r"'label' must hold one-hot vectors, .* has \["):
        frame.select(class_index(frame, "label")).collect()


def test_the_moving_rate_is_rho_times_the_learning_rate_where_rho_is_given() -> None:
    model = object()
    assert "elasticAlpha" not in AEASGD(model, "adam", "mse")._strategy()
    given = AEASGD(model, "adam", "mse", rho=5.0)
    assert given._strategy()["elasticAlpha"] == pytest.approx(0.5)
    momentum = EAMSGD(model, "sgd", "mse", rho=2.0, learning_rate=0.25, momentum=0.5)
    assert momentum._strategy()["elasticAlpha"] == 0.5
    assert momentum._strategy()["elasticMomentum"] == 0.5
    with pytest.warns(UserWarning, match="EAMSGD has its own update rule"):
        assert momentum._optimizer() == {"optimizer": "sgd", "learningRate": 0.25}
    assert Experimental(model, "adam", "mse")._strategy()["adaptiveGamma"] == 1.0


def test_a_trainers_learning_rate_scales_the_optimizers() -> None:
    for trainer in (DOWNPOUR(object(), "sgd", "mse"), AEASGD(object(), "sgd", "mse")):
        before = trainer._optimizer()["learningRate"]
        assert before == pytest.approx(0.01)
        trainer.set_learning_rate(trainer.get_learning_rate() / 10)
        assert trainer._optimizer()["learningRate"] == pytest.approx(before / 10)


def test_setters_set_what_getters_give() -> None:
    trainer = ADAG(object(), "sgd", "mse", features_col="f", label_col="l", num_workers=3)
    assert (trainer.get_features_column(), trainer.get_label_column()) == ("f", "l")
    assert (trainer.get_num_workers(), trainer.get_minibatch_size()) == (3, 32)
    for name, value in [("num_workers", 5), ("minibatch_size", 7), ("num_epoch", 9)]:
        getattr(trainer, f"set_{name}")(value)
        assert getattr(trainer, f"get_{name}")() == value
    trainer.set_parallelism_factor(2)
    assert trainer.get_parallelism_factor() == 2
    assert trainer._strategy() == {"strategy": "adag", "window": 12, "numWorkers": 10}
    trainer.set_master("driver")
    trainer.determine_new_master()
    trainer.set_max_prefetch(7)
    assert trainer.num_updates() == 0
    assert trainer.get_training_time() == 0


class Recorder(ADAG):
    """A trainer that trains nothing and records its arguments."""

    def __init__(self) -> None:
        super().__init__(object(), "sgd", "mse")
        self.rounds: list[tuple[int, float, Any]] = []

    def train(self, dataframe: Any, shuffle: bool = False) -> Any:
        self.rounds.append((self.num_epoch, self.learning_rate, self.master_model))
        return f"model {len(self.rounds)}"


def test_emperor_lowers_the_learning_rate_where_the_loss_stands_still() -> None:
    trainer, losses = Recorder(), iter([0.9, 0.5, 0.497, 0.3, 0.2, 0.1])
    scheme = Emperor(trainer, lambda model, rows: next(losses), 16, 5, loss_threshold=0.005)
    assert scheme.get_epoch_over_evaluation_frequency() == 3
    assert scheme.optimize("train", "validation") == "model 6"
    assert [epochs for epochs, _, _ in trainer.rounds] == [3, 3, 3, 3, 3, 1]
    rates = [rate for _, rate, _ in trainer.rounds]
    np.testing.assert_allclose(rates, [1, 1, 1, 0.1, 0.1, 0.1])
    assert [model for _, _, model in trainer.rounds][1:] == [f"model {n}" for n in range(1, 6)]
    with pytest.raises(ValueError, match="at least 1"):
        Emperor(trainer, lambda model, rows: 0.0, num_epoch=0)


def ledger(*entries: tuple[int, int, int, float, int]) -> TrainingSummary:
    """Partition, index, epoch, loss and mini-batches of each entry."""
    found = [
        LedgerEntry(partition, index, epoch, 8, 0, [LedgerSpan(1, 0, batches, 8)], loss)
        for partition, index, epoch, loss, batches in entries
    ]
    return TrainingSummary(8, 1.0, 1, 1, 1, 0, 0.0, 0, 1.0, 0.0, ledger=found)


def test_the_history_has_an_entry_for_each_epoch_of_each_worker() -> None:
    summary = ledger((1, 0, 0, 4.0, 6), (0, 0, 1, 1.0, 4), (0, 0, 0, 2.0, 5), (1, 0, 1, 3.0, 6))
    history = history_of(summary, metrics=1)
    found = [(e["worker_id"], e["epoch"], e["iteration"], e["history"][0]) for e in history]
    assert found == [(0, 0, 5, 2.0), (0, 1, 9, 1.0), (1, 0, 6, 4.0), (1, 1, 12, 3.0)]
    assert all(entry["history"].shape == (2,) for entry in history)
    averaged = utils.history_executors_average(history)
    assert [mean[0] for mean in averaged] == [3.0, 2.0]
    assert [entry["epoch"] for entry in utils.history_executor(history, 1)] == [0, 1]
    assert utils.history_executor(history, 2) == []


def test_rows_are_made_of_rows_and_of_json() -> None:
    row = utils.json_to_dataframe_row('{"a": 1, "b": "x"}')
    assert row == Row(a=1, b="x")
    assert utils.new_dataframe_row(row, "c", 2.5) == Row(a=1, b="x", c=2.5)
    for one_hot in (utils.to_one_hot_encoded_dense, utils.to_dense_vector):
        np.testing.assert_array_equal(one_hot(1.9, 3), [0, 1, 0])
        with pytest.raises(ValueError, match="class 3 is not one of 0 to 2"):
            one_hot(3, 3)


def test_models_are_dictionaries_and_back() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    serialized = utils.serialize_keras_model(model)
    back = utils.deserialize_keras_model(utils.unpickle_object(utils.pickle_object(serialized)))
    for mine, theirs in zip(back.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert utils.deserialize_keras_model(model) is model
    utils.uniform_weights(model, [2.0, 3.0])
    assert all(((w >= 2) & (w <= 3)).all() for w in model.get_weights())
    assert not np.array_equal(model.get_weights()[0], back.get_weights()[0])


def test_rows_are_shuffled_and_cached(spark: SparkSession, monkeypatch: Any) -> None:
    frame = spark.range(500, numPartitions=3)
    shuffled, cached = utils.shuffle(frame), utils.precache(frame, 4)
    ids = [row.id for row in shuffled.collect()]
    assert sorted(ids) == list(range(500)) and ids != sorted(ids)
    assert cached.rdd.getNumPartitions() == 4
    assert shuffled.is_cached and cached.is_cached
    shuffled.unpersist()
    cached.unpersist()
    monkeypatch.setenv("KERAS_HOME", "")
    utils.set_keras_base_directory()
    assert os.environ["KERAS_HOME"] == f"/tmp/{utils.get_os_username()}"
