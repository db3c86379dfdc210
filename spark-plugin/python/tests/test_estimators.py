"""Regressors, and networks with several inputs and outputs, in Python."""

from __future__ import annotations

import doctest
from pathlib import Path

import firesteel.estimator
import firesteel.regression
import numpy as np
import pytest
import torch
from closeness import assert_close
from firesteel import Network, Node
from firesteel.estimator import NetworkEstimator, NetworkModel
from firesteel.layers import Concatenate, Embedding, Flatten, Linear, Sigmoid, Tanh
from firesteel.regression import NetworkRegressionModel, NetworkRegressor
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.sql import DataFrame, SparkSession
from test_params import java_params


@pytest.fixture(scope="module")
def curve(spark: SparkSession) -> DataFrame:
    """The sine from -3 to 3; a word, and 1 for even ones; `held` for every fifth row."""
    return (
        spark.range(0, 300, 1, 2)
        .selectExpr("id", "double(id) / 50 - 3 x")
        .selectExpr("array(x) features", "sin(x) label", "array(id % 7) word", "id % 5 = 0 held")
        .selectExpr("*", "double(word[0] % 2 = 0) even")
        .cache()
    )


def test_a_regressor_learns_a_curve_and_is_saved(curve: DataFrame, tmp_path: Path) -> None:
    network = Network.sequential(Linear(24), Tanh(), Linear(1))
    regressor = (
        NetworkRegressor(
            network=network, epochs=30, batchSize=8, learningRate=0.03, seed=2, numWorkers=1
        )
        .setLoss("huber_loss")
        .setHuberDelta(0.5)
    )
    model = regressor.fit(curve)
    r2 = RegressionEvaluator(metricName="r2")
    assert r2.evaluate(model.transform(curve)) > 0.9
    assert model.getHuberDelta() == 0.5 and len(model.summary.losses) == 30
    regressor.save(str(tmp_path / "regressor"))
    assert NetworkRegressor.load(str(tmp_path / "regressor")).getLoss() == "huber_loss"
    model.save(str(tmp_path / "model"))
    loaded = NetworkRegressionModel.load(str(tmp_path / "model"))
    assert loaded.transform(curve).collect() == model.transform(curve).collect()
    check_params(model)


def test_a_network_of_two_inputs_and_two_outputs_is_trained_and_saved(
    curve: DataFrame, tmp_path: Path
) -> None:
    network = Network(
        ["words", "numbers"],
        [
            Node.of("table", Embedding(7, 4), "words"),
            Node.of("flat", Flatten(), "table"),
            Node.of("both", Concatenate(), "flat", "numbers"),
            Node.of("hidden", Linear(24), "both"),
            Node.of("bent", Tanh(), "hidden"),
            Node.of("value", Linear(1), "bent"),
            Node.of("logit", Linear(1), "flat"),
            Node.of("share", Sigmoid(), "logit"),
        ],
        ["value", "share"],
    )
    estimator = NetworkEstimator(
        network=network,
        featuresCols=["word", "features"],
        labelCols=["label", "even"],
        losses=["mse_loss", "binary_cross_entropy_with_logits"],
        lossWeights=[1.0, 0.5],
        outputCols=["sine", "evenness"],
        epochs=30,
        batchSize=8,
        learningRate=0.03,
        seed=2,
        validationIndicatorCol="held",
        monitor="value_mae",
        restoreBest=True,
    )
    model = estimator.fit(curve)
    scored = model.transform(curve)
    assert scored.columns[-2:] == ["sine", "evenness"]
    rows = scored.select("label", "even", "sine", "evenness").collect()
    label, even, sine, evenness = np.array(rows, float).T
    assert np.mean((label - sine) ** 2) < 0.1
    assert np.mean((evenness > 0.5) == (even > 0.5)) > 0.95
    check_metrics(model, scored.where("held"))
    assert model.weights["table.weight"].shape == (7, 4)
    inputs = curve.select("word", "features").collect()
    with torch.no_grad():
        given = model.to_torch()(
            torch.tensor([row.word for row in inputs]),
            torch.tensor([row.features for row in inputs], dtype=torch.float32),
        )
    expected = [torch.tensor(sine), torch.tensor(evenness)]
    for values, transformed in zip(given, expected, strict=True):
        assert_close(values.flatten(), transformed)
    model.save(str(tmp_path / "model"))
    loaded = NetworkModel.load(str(tmp_path / "model"))
    assert loaded.getOutputCols() == ["sine", "evenness"]
    assert loaded.transform(curve).collect() == scored.collect()
    check_params(model)
    with pytest.raises(Exception, match="labelCols has 1 values"):
        estimator.copy({estimator.labelCols: ["label"]}).fit(curve)


def check_metrics(model: NetworkModel, held: DataFrame) -> None:
    """Checks that each output has its own validation loss and metrics, of the best epoch."""
    label, even, sine, evenness = np.array(
        held.select("label", "even", "sine", "evenness").collect(), float
    ).T
    expected = {
        "value_loss": np.mean((label - sine) ** 2),
        "value_mse": np.mean((label - sine) ** 2),
        "value_mae": np.mean(np.abs(label - sine)),
        "value_r2": 1 - np.sum((label - sine) ** 2) / np.sum((label - label.mean()) ** 2),
        "share_loss": -np.mean(np.log(np.where(even > 0.5, evenness, 1 - evenness))),
        "share_accuracy": np.mean((evenness > 0.5) == (even > 0.5)),
    }
    summary = model.summary
    best = summary.bestEpoch
    assert best == int(np.argmin(summary.validationMetric("value_mae")))
    row = summary.history.where(f"epoch = {best}").first()
    assert row is not None
    assert sorted(row.metrics) == sorted([*expected, "share_auc"])
    for name, value in expected.items():
        assert row.metrics[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    whole = expected["value_loss"] + 0.5 * expected["share_loss"]
    assert row.validationLoss == pytest.approx(whole, rel=1e-4, abs=1e-5)


def check_params(model: NetworkModel | NetworkRegressionModel) -> None:
    """Checks that Python declares all params of the JVM's model."""
    made_from_java = [p.name for p in model.params if getattr(p, "created_from_java_param", False)]
    assert made_from_java == []
    assert sorted(p.name for p in model.params) == sorted(java_params(model))


@pytest.mark.parametrize("module", [firesteel.estimator, firesteel.regression])
def test_the_examples_of_the_documentation_run(spark: SparkSession, module: object) -> None:
    done = doctest.testmod(module, extraglobs={"spark": spark})
    assert done.attempted > 0 and done.failed == 0
