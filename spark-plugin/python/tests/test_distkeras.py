"""Trainers, the predictor and the evaluator in the way of a dist-keras script."""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import numpy as np
import pytest
from closeness import assert_close

os.environ.setdefault("KERAS_BACKEND", "torch")
import firesteel
import keras
from firesteel.classification import NetworkClassificationModel
from firesteel.distkeras.evaluators import AccuracyEvaluator
from firesteel.distkeras.predictors import ModelPredictor
from firesteel.distkeras.schemes import Emperor
from firesteel.distkeras.trainers import (
    ADAG,
    AEASGD,
    DOWNPOUR,
    EAMSGD,
    AveragingTrainer,
    DynSGD,
    EnsembleTrainer,
    Experimental,
    SingleTrainer,
)
from firesteel.distkeras.transformers import (
    LabelIndexTransformer,
    OneHotTransformer,
    ReshapeTransformer,
)
from firesteel.estimator import NetworkModel
from pyspark.ml.linalg import DenseVector
from pyspark.sql import DataFrame, SparkSession

ROWS, BATCH, EPOCHS = 300, 8, 4
ASYNCHRONOUS = [DOWNPOUR, ADAG, DynSGD, AEASGD, EAMSGD, Experimental]
OPTIMIZER = keras.optimizers.Adam(0.02)


def mlp(*shape: int) -> Any:
    keras.utils.set_random_seed(5)
    flat = [keras.layers.Flatten()] if len(shape) > 1 else []
    layers = [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3)]
    return keras.Sequential(
        [keras.Input(shape), *flat, *layers, keras.layers.Activation("softmax")]
    )


@pytest.fixture(scope="module")
def encoded(blobs: DataFrame) -> DataFrame:
    """`features`, `label` and `label_encoded`, one-hot."""
    rows = OneHotTransformer(3, "label", "label_encoded").transform(blobs).cache()
    assert rows.count() == ROWS
    return rows


def options(**more: Any) -> dict[str, Any]:
    return {
        "worker_optimizer": OPTIMIZER,
        "loss": "categorical_crossentropy",
        "label_col": "label_encoded",
        "batch_size": BATCH,
        "num_epoch": EPOCHS,
        **more,
    }


def accuracy(model: Any, frame: DataFrame, features: str = "features") -> float:
    """The accuracy as dist-keras's example computes it."""
    predicted = ModelPredictor(keras_model=model, features_col=features).predict(frame)
    indexed = LabelIndexTransformer(output_dim=3).transform(predicted)
    return AccuracyEvaluator(prediction_col="prediction_index", label_col="label").evaluate(indexed)


@pytest.mark.parametrize("trainer_class", ASYNCHRONOUS, ids=lambda each: each.__name__)
def test_a_trainer_with_a_parameter_server_trains_a_keras_model(
    encoded: DataFrame, trainer_class: type
) -> None:
    model = mlp(2)
    before = model.get_weights()
    trainer = trainer_class(keras_model=model, communication_window=5, num_workers=2, **options())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "EAMSGD has its own update rule")
        trained = trainer.train(encoded)
    assert isinstance(trained, keras.Model)
    assert accuracy(trained, encoded) > 0.9
    for mine, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)

    batches = ROWS // 2 // BATCH + 1
    history = trainer.get_history()
    assert [entry["worker_id"] for entry in history] == [0] * EPOCHS + [1] * EPOCHS
    own = trainer.get_executor_history(1)
    assert [entry["iteration"] for entry in own] == [batches * n for n in range(1, EPOCHS + 1)]
    averaged = trainer.get_averaged_history()
    assert len(averaged) == EPOCHS and all(mean.shape == (2,) for mean in averaged)
    assert averaged[-1][0] < averaged[0][0] and math.isnan(averaged[0][1])
    assert averaged[0][0] == pytest.approx(
        np.mean([entry["history"][0] for entry in history if entry["epoch"] == 0])
    )
    # The short window at an epoch's end is committed, too.
    commits = 2 * EPOCHS * math.ceil(batches / 5)
    assert trainer.parameter_server.num_updates == commits
    assert trainer.num_updates() == trainer.parameter_server.get_num_updates() == commits
    assert trainer.parameter_server.get_model() is trained
    assert trainer.get_training_time() > 0


def test_a_single_trainer_goes_on_from_its_own_model(encoded: DataFrame) -> None:
    trainer = SingleTrainer(mlp(2), **options(metrics=[], num_epoch=2))
    first = trainer.train(encoded, shuffle=True)
    loss = trainer.get_averaged_history()[0]
    assert loss.shape == (1,)
    assert trainer.master_model is first
    trainer.train(encoded)
    assert trainer.get_averaged_history()[0] < loss
    assert [entry["worker_id"] for entry in trainer.get_history()] == [0, 0]


def test_replicas_are_averaged(encoded: DataFrame) -> None:
    trainer = AveragingTrainer(mlp(2), num_workers=2, **options())
    assert accuracy(trainer.train(encoded), encoded) > 0.9
    assert {entry["worker_id"] for entry in trainer.get_history()} == {0, 1}


def test_the_members_of_an_ensemble_are_models_that_differ(encoded: DataFrame) -> None:
    trainer = EnsembleTrainer(mlp(2), num_ensembles=2, **options())
    first, second = trainer.train(encoded)
    for member in (first, second):
        assert accuracy(member, encoded) > 0.9
    assert not np.allclose(first.get_weights()[0], second.get_weights()[0], atol=0.01)


def test_a_network_gives_a_fitted_model(encoded: DataFrame, network: firesteel.Network) -> None:
    trainer = ADAG(
        network,
        "adam",
        "sparse_categorical_crossentropy",
        features_col=["features"],
        label_col=["label"],
        batch_size=BATCH,
        num_workers=1,
        communication_window=1,
    )
    trained = trainer.train(encoded)
    assert isinstance(trained, NetworkClassificationModel)
    trainer.set_learning_rate(20.0)
    trainer.set_model(trained)
    trained = trainer.train(encoded)
    assert accuracy(trained, encoded) > 0.9
    predicted = ModelPredictor(trained).predict(trained.transform(encoded).drop("prediction"))
    for row in predicted.select("prediction", "probability").take(5):
        np.testing.assert_allclose(row.prediction.toArray(), row.probability.toArray(), atol=1e-6)


def test_the_predictor_gives_what_keras_predicts(encoded: DataFrame) -> None:
    model = mlp(1, 2, 1)
    matrix = ReshapeTransformer("features", "matrix", (1, 2, 1)).transform(encoded)
    found = {}
    for features in ("features", "matrix"):
        predicted = ModelPredictor(model, features, "out").predict(matrix)
        assert predicted.columns == [*matrix.columns, "out"]
        found[features] = predicted.select("features", "out").collect()
    assert found["features"] == found["matrix"]
    assert all(isinstance(row.out, DenseVector) for row in found["matrix"])
    given = np.array([row.features.toArray() for row in found["matrix"]]).reshape(-1, 1, 2, 1)
    expected = model.predict(given, verbose=0)
    assert_close([row.out.toArray() for row in found["matrix"]], expected)


def test_a_model_of_one_number_predicts_vectors_of_one(encoded: DataFrame) -> None:
    two = encoded.where("label < 2")
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")])
    trainer = SingleTrainer(model, OPTIMIZER, "binary_crossentropy", num_epoch=EPOCHS, batch_size=4)
    trained = trainer.train(two)
    rows = ModelPredictor(trained).predict(two).select("features", "prediction", "label").collect()
    given = np.array([row.features.toArray() for row in rows])
    found = np.array([row.prediction.toArray() for row in rows])
    assert found.shape == (len(rows), 1)
    assert_close(found, trained.predict(given, verbose=0))
    assert np.mean((found[:, 0] > 0.5) == [row.label for row in rows]) > 0.9


def test_nested_features_are_trained_on(encoded: DataFrame) -> None:
    matrix = ReshapeTransformer("features", "matrix", (2, 1)).transform(encoded)
    trainer = SingleTrainer(mlp(2, 1), **options(features_col="matrix"))
    assert accuracy(trainer.train(matrix), matrix, "matrix") > 0.9


@pytest.fixture(scope="module")
def offers(spark: SparkSession) -> DataFrame:
    """Rooms of 0 to 5, an area; the price, in a list as well, and whether it is high."""
    return (
        spark.range(0, 300, 1, 2)
        .selectExpr("id", "array(id % 6) rooms", "array(double(id % 25) / 25 - 0.5) area")
        .selectExpr("*", "rooms[0] / 5 + area[0] price")
        .selectExpr("*", "array(price) prices", "price > 0.5 high", "array(price, -price) both")
        .selectExpr("* except (high)", "int(high) high", "if(high, 1, -1) sign")
        .selectExpr("*", "array(both) nested", "array(rooms) floor")
        .cache()
    )


def house() -> Any:
    """Two inputs, and two outputs: a price, and whether it is high."""
    keras.utils.set_random_seed(5)
    rooms, area = keras.Input((1,), name="rooms", dtype="int32"), keras.Input((1,), name="area")
    table = keras.layers.Flatten()(keras.layers.Embedding(6, 4)(rooms))
    joined = keras.layers.Concatenate()([table, area])
    hidden = keras.layers.Dense(16, activation="tanh")(joined)
    cost = keras.layers.Dense(1, name="cost")(hidden)
    high = keras.layers.Dense(1, activation="sigmoid", name="dear")(hidden)
    return keras.Model([rooms, area], [cost, high])


@pytest.mark.parametrize(("loss", "label"), [("mse", "price"), ("mae", "prices"), ("mse", "both")])
def test_a_regression_comes_close_to_numbers(offers: DataFrame, loss: str, label: str) -> None:
    keras.utils.set_random_seed(5)
    width = 2 if label == "both" else 1
    layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(width)]
    model = keras.Sequential([keras.Input((1,)), *layers])
    rows = offers.selectExpr("array(rooms[0] / 5 + area[0]) features", "price", "prices", "both")
    trainer = SingleTrainer(model, OPTIMIZER, loss, label_col=label, num_epoch=8, batch_size=BATCH)
    trained = trainer.train(rows)
    predicted = ModelPredictor(trained).predict(rows).select("price", "prediction").collect()
    found = np.array([row.prediction.toArray() for row in predicted])
    assert found.shape == (300, width)
    assert np.mean(np.abs(found[:, 0] - [row.price for row in predicted])) < 0.1
    losses = [mean[0] for mean in trainer.get_averaged_history()]
    assert len(losses) == 8 and losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("label", "loss", "weights"),
    [
        ("high", {"dear": "binary_crossentropy", "cost": "mse"}, {"cost": 2.0, "dear": 0.5}),
        ("sign", ["mse", "hinge"], None),
    ],
)
def test_a_model_of_several_inputs_and_outputs_is_trained(
    offers: DataFrame, label: str, loss: Any, weights: Any
) -> None:
    trainer = ADAG(
        house(),
        OPTIMIZER,
        loss,
        features_col=["rooms", "area"],
        label_col=["price", label],
        num_epoch=20,
        batch_size=BATCH,
        communication_window=4,
        loss_weights=weights,
    )
    trained = trainer.train(offers)
    assert isinstance(trained, keras.Model) and trainer.num_updates() > 0
    predictor = ModelPredictor(trained, ["rooms", "area"], ["predicted", "chance"])
    predicted = predictor.predict(offers)
    assert predicted.columns == [*offers.columns, "predicted", "chance"]
    rows = predicted.select("rooms", "area", "price", "high", "predicted", "chance").collect()
    cost, high = (
        np.stack([row[name].toArray() for row in rows]) for name in predicted.columns[-2:]
    )
    given = [np.array([row[name] for row in rows]) for name in ("rooms", "area")]
    for found, expected in zip((cost, high), trained.predict(given, verbose=0), strict=True):
        assert_close(found, expected)
    assert np.mean(np.abs(cost[:, 0] - [row.price for row in rows])) < 0.1
    assert np.mean((high[:, 0] > 0.5) == np.array([row.high for row in rows])) > 0.9


def test_a_label_serves_for_two_losses_as_each_needs_it(offers: DataFrame) -> None:
    trainer = SingleTrainer(
        house(),
        OPTIMIZER,
        ["mse", "hinge"],
        features_col=["rooms", "area"],
        label_col=["sign", "sign"],
        num_epoch=6,
        batch_size=BATCH,
    )
    trained = trainer.train(offers)
    predicted = ModelPredictor(trained, ["rooms", "area"], ["cost", "high"]).predict(offers)
    rows = predicted.select("sign", "cost").collect()
    assert np.mean([row.sign * row.cost[0] > 0.4 for row in rows]) > 0.8


@pytest.mark.parametrize("label", ["prices", "nested"])
def test_a_column_serves_for_several_inputs_and_outputs(offers: DataFrame, label: str) -> None:
    if label == "prices":
        model, features, labels = house(), ["floor", "floor"], ["prices", "prices"]
    else:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
        features, labels = ["nested"], ["nested"]
    trainer = SingleTrainer(model, "sgd", "mse", features_col=features, label_col=labels)
    trained = trainer.train(offers)
    for mine, before in zip(trained.get_weights(), model.get_weights(), strict=True):
        assert np.isfinite(mine).all() and not np.array_equal(mine, before)


def test_how_long_lists_are_is_seen_without_sorting_rows(
    spark: SparkSession, offers: DataFrame
) -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    trainer = SingleTrainer(
        model, "sgd", "mse", features_col="area", label_col="prices", batch_size=0
    )
    context = spark.sparkContext
    context.setJobGroup("size of lists", "")
    try:
        with pytest.raises(Exception, match="batchSize"):
            trainer.train(offers, shuffle=True)
        tracker = context.statusTracker()
        jobs = tracker.getJobIdsForGroup("size of lists")
        stages = [id for job in jobs for id in tracker.getJobInfo(job).stageIds]
        assert [tracker.getStageInfo(id).numTasks for id in stages] == [1]
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)


def test_the_weight_of_a_loss_counts(offers: DataFrame) -> None:
    def errors(weights: list[float]) -> np.ndarray:
        trainer = SingleTrainer(
            house(),
            keras.optimizers.SGD(0.1),
            ["mse", "binary_crossentropy"],
            features_col=["rooms", "area"],
            label_col=["price", "high"],
            num_epoch=3,
            loss_weights=weights,
        )
        predictor = ModelPredictor(trainer.train(offers), ["rooms", "area"], ["cost", "chance"])
        rows = predictor.predict(offers).select("cost", "chance", "price", "high").collect()
        found = np.array([(row.cost[0], row.chance[0]) for row in rows])
        return np.mean(np.abs(found - [(row.price, row.high) for row in rows]), 0)

    cost, chance = errors([1.0, 1e-6]), errors([1e-6, 1.0])
    assert cost[0] < chance[0] and chance[1] < cost[1]


def test_a_network_of_several_outputs_gives_a_fitted_model(offers: DataFrame) -> None:
    network = firesteel.from_keras(house())
    trainer = SingleTrainer(
        network,
        OPTIMIZER,
        dict(zip(network.outputs, ("mse", "binary_crossentropy"), strict=True)),
        features_col=["rooms", "area"],
        label_col=["price", "high"],
        batch_size=BATCH,
    )
    trained = trainer.train(offers)
    assert isinstance(trained, NetworkModel)
    columns = [f"prediction_{name}" for name in network.outputs]
    assert trained.transform(offers).columns == [*offers.columns, *columns]
    found = ModelPredictor(trained, ["rooms", "area"], ["a", "b"]).predict(offers).first()
    assert found is not None and len(found.a) == len(found.b) == 1


def test_emperor_trains_in_rounds(encoded: DataFrame) -> None:
    trainer = DOWNPOUR(mlp(2), **options())
    losses = []

    def loss(model: Any, rows: DataFrame) -> float:
        losses.append(1 - accuracy(model, rows))
        return losses[-1]

    scheme = Emperor(trainer, loss, num_epoch=3, evaluation_frequency=3, loss_threshold=1.0)
    trained = scheme.optimize(encoded, encoded)
    assert len(losses) == 3
    assert 1 - losses[-1] == accuracy(trained, encoded) > 0.9
    assert trainer.get_learning_rate() == pytest.approx(0.01)


def test_an_elastic_force_that_overshoots_is_warned_of(encoded: DataFrame) -> None:
    trainer = AEASGD(mlp(2), rho=9.0, num_workers=2, **options(num_epoch=1))
    with pytest.warns(UserWarning, match="overshoots"):
        trainer.train(encoded)


def test_what_does_not_fit_is_named(encoded: DataFrame) -> None:
    with pytest.raises(TypeError, match="not str"):
        SingleTrainer("model", "sgd", "mse").train(encoded)
    with pytest.raises(ValueError, match="there is no column 'labels'"):
        SingleTrainer(mlp(2), **options(label_col="labels")).train(encoded)
    with pytest.raises(ValueError, match="loss_weights has 2 values; the model has 1 outputs"):
        SingleTrainer(mlp(2), **options(loss_weights=[0.5, 0.5])).train(encoded)
    with pytest.raises(ValueError, match="loss is for the outputs digit; the model has"):
        SingleTrainer(mlp(2), **options(loss={"digit": "mse"})).train(encoded)
    with pytest.raises(ValueError, match=r"label_col has 1 columns, .*; the model has 2 outputs"):
        SingleTrainer(house(), **options(features_col=["features"] * 2)).train(encoded)
    smooth = [keras.losses.CategoricalCrossentropy(label_smoothing=0.1), "mse"]
    same = r"same for all outputs, which must then all be classifications; it is .*cost: 0\.1"
    with pytest.raises(ValueError, match=same):
        SingleTrainer(
            house(),
            **options(loss=smooth, features_col=["features"] * 2, label_col=["label"] * 2),
        ).train(encoded)
    with pytest.raises(ValueError, match="output_col has the column 'p' for several outputs"):
        ModelPredictor(house(), ["features"] * 2, ["p", "P"])
    with pytest.raises(Exception, match=r"2 outputs .*, but there are 1 output columns"):
        ModelPredictor(house(), ["features"] * 2).predict(encoded)
    with pytest.raises(Exception, match="'label_encoded' must hold one-hot vectors"):
        wrong = encoded.selectExpr("features", "array(0.5, 0.2, 0.3) as label_encoded")
        SingleTrainer(mlp(2), **options()).train(wrong)
    with pytest.raises(Exception, match="no weights"):
        ModelPredictor(firesteel.from_keras(mlp(2)).with_weights(None)).predict(encoded)
