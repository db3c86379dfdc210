"""Stages saved in one language and loaded in the other; stages in pipelines and searches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from firesteel import Network, load_network, load_weights
from firesteel.classification import NetworkClassificationModel, NetworkClassifier
from firesteel.layers import Linear, Softmax
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import StandardScaler
from pyspark.ml.tuning import (
    CrossValidator,
    CrossValidatorModel,
    ParamGridBuilder,
    TrainValidationSplit,
)
from pyspark.sql import DataFrame, SparkSession


def scores(frame: DataFrame) -> np.ndarray:
    rows = frame.orderBy("features").select("probability").collect()
    return np.array([row.probability.toArray() for row in rows])


def scala(spark: SparkSession) -> Any:
    return spark._jvm.firesteel.classification


def test_scala_loads_the_estimator_that_python_saved(
    spark: SparkSession, classifier: NetworkClassifier, tmp_path: Path
) -> None:
    weights = {"0.weight": np.eye(3), "0.bias": np.ones(3)}
    start = Network.sequential(Linear(3)).with_weights(weights)
    saved = classifier.copy({classifier.network: start, classifier.metrics: ["top2", "accuracy"]})
    path = str(tmp_path / "estimator")
    saved.write().overwrite().save(path)
    loaded = scala(spark).NetworkClassifier.load(path)
    assert Network.from_json(loaded.getNetwork().toJson()) == start
    assert (loaded.uid(), loaded.getEpochs(), list(loaded.getMetrics())) == (
        saved.uid,
        5,
        ["top2", "accuracy"],
    )
    again = NetworkClassifier.load(path)
    assert again.getNetwork() == start
    assert {p.name: v for p, v in again._paramMap.items()} == {
        p.name: v for p, v in saved._paramMap.items()
    }


def test_python_loads_the_estimator_that_scala_saved(
    spark: SparkSession, network: Network, tmp_path: Path
) -> None:
    jvm = spark._jvm
    estimator = scala(spark).NetworkClassifier("made-in-scala")
    estimator.setNetwork(jvm.firesteel.network.Network.fromJson(network.to_json()))
    estimator.setEpochs(7).setLearningRate(0.25)
    estimator.save(str(tmp_path / "estimator"))
    loaded = NetworkClassifier.load(str(tmp_path / "estimator"))
    assert (loaded.uid, loaded.getEpochs(), loaded.getLearningRate()) == ("made-in-scala", 7, 0.25)
    assert loaded.getNetwork() == network


def test_a_model_is_the_same_in_both_languages(
    spark: SparkSession, model: NetworkClassificationModel, blobs: DataFrame, tmp_path: Path
) -> None:
    here, there = str(tmp_path / "python"), str(tmp_path / "scala")
    model.save(here)
    in_scala = scala(spark).NetworkClassificationModel.load(here)
    in_scala.save(there)
    loaded = NetworkClassificationModel.load(there)
    expected = scores(model.transform(blobs))
    scored = DataFrame(in_scala.transform(blobs._jdf), spark)
    np.testing.assert_array_equal(scores(scored), expected)
    np.testing.assert_array_equal(scores(loaded.transform(blobs)), expected)
    assert loaded.uid == model.uid and loaded.summary == model.summary
    assert loaded.getEpochs() == 5
    assert load_network(there) == loaded.network
    saved = load_weights(there)
    assert saved.keys() == loaded.weights.keys()
    for name, weight in loaded.weights.items():
        np.testing.assert_array_equal(saved[name], weight)


def test_a_pipeline_is_trained_saved_and_read_in_both_languages(
    spark: SparkSession, classifier: NetworkClassifier, blobs: DataFrame, tmp_path: Path
) -> None:
    scaler = StandardScaler(inputCol="features", outputCol="scaled", withMean=True)
    pipeline = Pipeline(stages=[scaler, classifier.copy({classifier.featuresCol: "scaled"})])
    pipeline.save(str(tmp_path / "pipeline"))
    fitted = Pipeline.load(str(tmp_path / "pipeline")).fit(blobs)
    fitted.save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    assert isinstance(loaded.stages[1], NetworkClassificationModel)
    expected = scores(fitted.transform(blobs))
    np.testing.assert_array_equal(scores(loaded.transform(blobs)), expected)
    in_scala = spark._jvm.org.apache.spark.ml.PipelineModel.load(str(tmp_path / "model"))
    in_scala.save(str(tmp_path / "again"))
    again = PipelineModel.load(str(tmp_path / "again"))
    np.testing.assert_array_equal(scores(again.transform(blobs)), expected)


@pytest.mark.parametrize("search", [CrossValidator, TrainValidationSplit])
def test_a_search_with_two_fits_at_a_time_finds_the_better_network(
    classifier: NetworkClassifier, blobs: DataFrame, tmp_path: Path, search: type
) -> None:
    constant = Network.sequential(Linear(3), Softmax()).with_weights(
        {"0.weight": np.zeros((3, 2)), "0.bias": np.array([90.0, 0.0, 0.0])}
    )
    networks = [constant, classifier.getNetwork()]
    # Half of the rows are few: enough passes that the search is about the networks.
    longer = classifier.copy({classifier.epochs: 20})
    grid = ParamGridBuilder().addGrid(classifier.network, networks).build()
    folds = {"numFolds": 2} if search is CrossValidator else {"trainRatio": 0.5}
    evaluator = MulticlassClassificationEvaluator(metricName="accuracy")
    found = search(
        estimator=longer,
        estimatorParamMaps=grid,
        evaluator=evaluator,
        parallelism=2,
        seed=5,
        **folds,
    ).fit(blobs)
    metrics = found.avgMetrics if search is CrossValidator else found.validationMetrics
    assert len(metrics) == 2 and metrics[0] < 0.6 and metrics[1] > 0.9
    assert evaluator.evaluate(found.transform(blobs)) > 0.9
    if search is CrossValidator:
        found.save(str(tmp_path / "search"))
        loaded = CrossValidatorModel.load(str(tmp_path / "search"))
        np.testing.assert_array_equal(
            scores(loaded.transform(blobs)), scores(found.transform(blobs))
        )
