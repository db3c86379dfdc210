"""MLflow's automatic logging of a fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from firesteel.classification import NetworkClassificationModel, NetworkClassifier
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.sql import DataFrame


@pytest.fixture
def tracked(tmp_path: Path) -> Iterator[None]:
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    yield
    mlflow.pyspark.ml.autolog(disable=True)


def test_autolog_logs_parameters_and_metrics_of_a_fit(
    tracked: None, classifier: NetworkClassifier, blobs: DataFrame
) -> None:
    mlflow.pyspark.ml.autolog(log_models=False)
    with mlflow.start_run() as run:
        model = classifier.fit(blobs)
        accuracy = MulticlassClassificationEvaluator(metricName="accuracy").evaluate(
            model.transform(blobs)
        )
    logged = mlflow.get_run(run.info.run_id).data
    assert logged.tags["estimator_class"] == "firesteel.classification.NetworkClassifier"
    values = {key.rpartition(".")[2]: value for key, value in logged.params.items()}
    assert (values["epochs"], values["learningRate"], values["strategy"]) == ("5", "0.02", "auto")
    assert "Softmax" in values["network"]
    assert [logged.metrics[name] for name in logged.metrics if "accuracy" in name] == [accuracy]


def test_a_model_that_autolog_has_logged_is_loaded_and_predicts_the_same(
    tracked: None, classifier: NetworkClassifier, blobs: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Spares the process in which MLflow tries to find out what the model requires.
    monkeypatch.setenv("MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT", "1")
    mlflow.pyspark.ml.autolog(log_model_allowlist=["firesteel.*"])
    with mlflow.start_run() as run:
        model = classifier.copy({classifier.epochs: 1}).fit(blobs)
    uri = f"runs:/{run.info.run_id}/model"
    (loaded,) = mlflow.spark.load_model(uri).stages
    assert isinstance(loaded, NetworkClassificationModel)
    assert loaded.transform(blobs).collect() == model.transform(blobs).collect()
    assert loaded.summary == model.summary
    # MLflow infers one where it finds the features, by the text of the error without them.
    assert mlflow.models.get_model_info(uri).signature is not None
