"""Several parameter maps in one fit, and PySpark's searches over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from firesteel import FitWarning
from firesteel.classification import NetworkClassifier
from py4j.protocol import Py4JJavaError
from pyspark.ml import Pipeline
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import DataFrame, SparkSession


def jobs(spark: SparkSession, group: str, work: Callable[[], Any]) -> int:
    """Counts the jobs of an action."""
    spark.sparkContext.setJobGroup(group, "counted")
    work()
    spark.sparkContext.setJobGroup("others", "not counted")
    return len(spark.sparkContext.statusTracker().getJobIdsForGroup(group))


@pytest.fixture
def grid(classifier: NetworkClassifier) -> list[dict[Any, Any]]:
    rates = [0.001, 0.01, 0.05]
    return ParamGridBuilder().addGrid(classifier.learningRate, rates).build()


def test_a_fit_with_several_maps_is_one_job_and_gives_the_models_of_single_fits(
    spark: SparkSession,
    classifier: NetworkClassifier,
    blobs: DataFrame,
    grid: list[dict[Any, Any]],
) -> None:
    alone = classifier.copy({classifier.numWorkers: 1})
    models = alone.fit(blobs, grid)
    single = [alone.fit(blobs, values) for values in grid]
    assert [model.getLearningRate() for model in models] == [0.001, 0.01, 0.05]
    for model, expected in zip(models, single, strict=True):
        assert model.uid == classifier.uid and model.getEpochs() == 5
        assert len(model.summary.epochs) == 5
        for name, values in expected.weights.items():
            np.testing.assert_array_equal(model.weights[name], values)
    one = jobs(spark, "one", lambda: classifier.fit(blobs))
    assert jobs(spark, "all", lambda: classifier.fit(blobs, grid)) == one


def test_models_of_an_iterator_come_each_once(
    classifier: NetworkClassifier, blobs: DataFrame, grid: list[dict[Any, Any]]
) -> None:
    found = dict(classifier.fitMultiple(blobs, grid))
    assert sorted(found) == [0, 1, 2]
    assert [found[index].getLearningRate() for index in range(3)] == [0.001, 0.01, 0.05]
    assert classifier.fit(blobs, []) == []


def test_the_error_of_a_candidate_names_it(classifier: NetworkClassifier, blobs: DataFrame) -> None:
    broken = classifier.copy({classifier.optimizer: "sgd", classifier.loss: "mse_loss"})
    grid = ParamGridBuilder().addGrid(classifier.learningRate, [1e29, 1e30]).build()
    with pytest.raises(Py4JJavaError, match=r"candidate 1 of 2 \(learningRate = 1.0E29\)"):
        broken.fit(blobs, grid)


@pytest.mark.parametrize("piped", [False, True])
def test_a_candidate_that_diverges_loses_a_cross_validation_with_a_warning(
    classifier: NetworkClassifier, blobs: DataFrame, piped: bool
) -> None:
    unsteady = classifier.copy({classifier.optimizer: "sgd", classifier.loss: "mse_loss"})
    search = CrossValidator(
        estimator=Pipeline(stages=[unsteady]) if piped else unsteady,
        estimatorParamMaps=ParamGridBuilder().addGrid(classifier.learningRate, [1e30, 0.2]).build(),
        evaluator=MulticlassClassificationEvaluator(metricName="accuracy"),
        numFolds=2,
        seed=5,
    )
    candidate = "" if piped else "candidate 1 of 2: "
    with pytest.warns(FitWarning, match=f"{candidate}the training diverged: worker"):
        found = search.fit(blobs)
    assert found.avgMetrics[0] < 0.5 < found.avgMetrics[1]
    best = found.bestModel.stages[-1] if piped else found.bestModel
    assert best.summary.stopped is None


@pytest.mark.parametrize("piped", [False, True])
def test_a_cross_validation_with_parallelism_2_and_rounds_ends(
    classifier: NetworkClassifier, blobs: DataFrame, grid: list[dict[Any, Any]], piped: bool
) -> None:
    rounds = classifier.copy({classifier.strategy: "sync"})
    search = CrossValidator(
        estimator=Pipeline(stages=[rounds]) if piped else rounds,
        estimatorParamMaps=grid,
        evaluator=MulticlassClassificationEvaluator(metricName="accuracy"),
        parallelism=2,
        numFolds=2,
        seed=5,
    )
    metrics = search.fit(blobs).avgMetrics
    assert len(metrics) == 3 and max(metrics) > 0.9


def test_a_search_that_has_failed_is_not_trained_again_for_its_other_models(
    spark: SparkSession, classifier: NetworkClassifier, blobs: DataFrame
) -> None:
    broken = classifier.copy({classifier.optimizer: "sgd", classifier.loss: "mse_loss"})
    grid = ParamGridBuilder().addGrid(classifier.learningRate, [1e30, 1e29]).build()
    models = broken.fitMultiple(blobs, grid)

    def ask() -> None:
        with pytest.raises(Py4JJavaError, match="candidate 1 of 2"):
            next(models)

    assert jobs(spark, "first", ask) > 0
    assert jobs(spark, "second", ask) == 0
