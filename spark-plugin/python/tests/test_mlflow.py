"""MLflow logs a fit by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from firesteel.classification import NetworkClassifier
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.sql import DataFrame


@pytest.fixture
def tracked(tmp_path: Path) -> Iterator[None]:
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    mlflow.pyspark.ml.autolog(log_models=False)
    yield
    mlflow.pyspark.ml.autolog(disable=True)


def test_autolog_logs_parameters_and_metrics_of_a_fit(
    tracked: None, classifier: NetworkClassifier, blobs: DataFrame
) -> None:
    with mlflow.start_run() as run:
        model = classifier.fit(blobs)
        accuracy = MulticlassClassificationEvaluator(metricName="accuracy").evaluate(
            model.transform(blobs)
        )
    logged = mlflow.get_run(run.info.run_id).data
    assert logged.tags["estimator_class"] == "firesteel.classification.NetworkClassifier"
    values = {key.rpartition(".")[2]: value for key, value in logged.params.items()}
    assert (values["epochs"], values["learningRate"], values["strategy"]) == ("5", "0.02", "adag")
    assert "Softmax" in values["network"]
    assert [logged.metrics[name] for name in logged.metrics if "accuracy" in name] == [accuracy]
