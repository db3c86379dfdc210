"""The runner of jobs under a real spark-submit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import firesteel
import numpy as np
import pyspark
import pytest
from conftest import BUILD, ROOT
from firesteel import safetensors
from firesteel.distkeras.trainers import ADAG, EnsembleTrainer
from firesteel.layers import Linear, ReLU, Softmax
from firesteel.network import encode_weights
from firesteel.punchcard import Data, Estimator, FetchedModel
from firesteel.punchcard.fetched import fetch_history
from firesteel.punchcard.names import HISTORY, MODEL, NETWORK, SAVED_MODEL, SUMMARY, WEIGHTS
from firesteel.punchcard.work import work_document
from pyspark.sql import SparkSession

PACKAGE = ROOT / "spark-plugin/python"
RUNNER = PACKAGE / "firesteel/punchcard/runner.py"
DIGITS = ROOT / "examples/data/mnist-test.parquet"
MLP = firesteel.Network.sequential(Linear(16), ReLU(), Linear(10), Softmax())
ROWS = 10_000


class Attempt:
    """The folder of an attempt, as the server makes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.results.mkdir(parents=True)

    def send(self, content: bytes | Path, name: str) -> str:
        file = self.folder / f"{len(list(self.folder.iterdir()))}-{name}"
        file.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        return str(file)

    def run(self, work: Any) -> subprocess.CompletedProcess[str]:
        request = self.folder / "request.json"
        request.write_text(json.dumps({"id": "j1", "name": "job", "attempt": 0, "work": work}))
        conf = {
            "spark.plugins": "firesteel.plugin.FiresteelPlugin",
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.memory": "1g",
            "spark.firesteel.libtorch.path": str((BUILD / "libtorch").resolve()),
        }
        submit = Path(pyspark.__file__).parent / "bin/spark-submit"
        command = [str(submit), "--master", "local[2]", "--jars", str(BUILD / "firesteel.jar")]
        for key, value in conf.items():
            command += ["--conf", f"{key}={value}"]
        environment = {
            **os.environ,
            "PYSPARK_PYTHON": sys.executable,
            "FIRESTEEL_PUNCHCARD_REQUEST": str(request),
            "FIRESTEEL_PUNCHCARD_RESULTS": str(self.results),
        }
        environment.pop("PYTHONPATH", None)
        return subprocess.run(
            [*command, str(RUNNER)],
            env=environment,
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=600,
        )

    # The part of a client that FetchedModel uses.
    def artifact(self, job: str, name: str) -> bytes:
        return (self.results / name).read_bytes()

    def download(self, job: str, name: str, target: Path) -> Path:
        target.write_bytes(self.artifact(job, name))
        return target

    def model(self) -> FetchedModel:
        return FetchedModel.fetch(self, "j1")  # type: ignore[arg-type]


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(tmp_path / "attempt-0")


def accuracy(spark: SparkSession, model: Any) -> float:
    rows = model.transform(spark.read.parquet(str(DIGITS)).limit(2000))
    return rows.where("label = prediction").count() / 2000


def test_a_trainer_leaves_a_model_and_its_history(attempt: Attempt, spark: SparkSession) -> None:
    trainer = ADAG(
        MLP,
        "adam",
        "sparse_categorical_crossentropy",
        num_workers=2,
        num_epoch=2,
        metrics=["accuracy"],
    )
    work = work_document(trainer, Data(str(DIGITS), partitions=2), True, attempt.send)
    done = attempt.run(work)
    assert done.returncode == 0, done.stdout[-4000:]
    left = {file.name for file in attempt.results.iterdir()}
    assert left == {NETWORK, WEIGHTS, HISTORY, SUMMARY, MODEL, SAVED_MODEL}

    text = (attempt.results / HISTORY).read_text()
    assert "NaN" not in text and "null" in text
    history = fetch_history(attempt, "j1")  # type: ignore[arg-type]
    assert [(entry["worker_id"], entry["epoch"]) for entry in history] == [
        (worker, epoch) for worker in range(2) for epoch in range(2)
    ]
    for entry in history:
        loss, metric = entry["history"]
        assert 0 < loss < 2.5 and np.isnan(metric)

    model = attempt.model()
    assert model.network == MLP
    assert model.summary.rowsTrained == 2 * ROWS
    assert model.weights["0.weight"].shape == (16, 784)
    loaded = model.to_spark()
    assert loaded.getOrDefault(loaded.labelCol) == "label"
    assert accuracy(spark, loaded) > 0.7
    for name, tensor in loaded.weights.items():
        assert np.array_equal(tensor, model.weights[name])
    images = np.stack(
        [
            np.frombuffer(row.features, np.uint8)
            for row in spark.read.parquet(str(DIGITS)).limit(50).collect()
        ]
    )
    torch = pytest.importorskip("torch")
    found = model.to_torch(scale=1 / 255)(torch.tensor(images, dtype=torch.float32))
    expected = loaded.to_torch(scale=1 / 255)(torch.tensor(images, dtype=torch.float32))
    assert torch.equal(found, expected)


def test_an_ensemble_leaves_the_weights_of_each_member(
    attempt: Attempt, spark: SparkSession
) -> None:
    trainer = EnsembleTrainer(MLP, "adam", "sparse_categorical_crossentropy", num_ensembles=2)
    done = attempt.run(work_document(trainer, Data(str(DIGITS)), False, attempt.send))
    assert done.returncode == 0, done.stdout[-4000:]
    left = {file.name for file in attempt.results.iterdir()}
    members = {"weights-0.safetensors", "weights-1.safetensors"}
    assert left == {NETWORK, HISTORY, SUMMARY, MODEL, SAVED_MODEL, *members}
    model = attempt.model()
    first, second = model.members
    assert not np.array_equal(first["0.weight"], second["0.weight"])
    loaded = model.to_spark()
    assert sorted(loaded.weights) == sorted(model.weights)
    assert accuracy(spark, loaded) > 0.6


def test_an_estimator_starts_from_the_weights_and_reports_losses_and_metrics(
    attempt: Attempt, tmp_path: Path
) -> None:
    generator = np.random.default_rng(1)
    shapes = {"0.weight": (16, 784), "0.bias": (16,), "2.weight": (10, 16), "2.bias": (10,)}
    weights = {name: generator.normal(0, 0.1, shape) for name, shape in shapes.items()}
    params = {
        "epochs": 2,
        "learningRate": 1e-12,
        "optimizer": "sgd",
        "strategy": "single",
        "metrics": ["accuracy", "top2"],
        "validationFraction": 0.2,
    }
    estimator = Estimator("NetworkClassifier", MLP.with_weights(weights), params)
    done = attempt.run(work_document(estimator, Data(str(DIGITS)), False, attempt.send))
    assert done.returncode == 0, done.stdout[-4000:]
    kept = safetensors.decode((attempt.results / WEIGHTS).read_bytes())
    for name, tensor in safetensors.decode(encode_weights(weights)).items():
        assert np.allclose(kept[name], tensor, atol=1e-6)
    history = fetch_history(attempt, "j1")  # type: ignore[arg-type]
    assert len(history["losses"]) == len(history["validation_losses"]) == 2
    assert sorted(history["metrics"]) == ["accuracy", "top2"]
    assert all(len(values) == 2 for values in history["metrics"].values())
    model = attempt.model()
    model.save(tmp_path / "saved")
    assert (tmp_path / "saved/network.json").exists()
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "saved")


def test_a_failed_job_says_why_in_one_line(attempt: Attempt) -> None:
    trainer = ADAG(MLP, "adam", "sparse_categorical_crossentropy", label_col="digit")
    done = attempt.run(work_document(trainer, Data(str(DIGITS)), False, attempt.send))
    assert done.returncode != 0
    # Spark gives both streams of a Python program to its own output.
    lines = [line for line in done.stdout.splitlines() if line.startswith("the job failed: ")]
    [line] = lines
    assert "there is no column 'digit'; the columns are features, label" in line
    [event] = events(attempt)
    assert line == f"the job failed: {event['reason']}"
    # It would fail again in the same way.
    assert event["retry"] is False
    assert list(attempt.results.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"kind": "program"}, "work.kind must be trainer or estimator, not 'program'"),
        ({"extra": 1}, "work has unknown fields: extra"),
        ({"estimator": "Pipeline"}, "work.estimator must be one of"),
        ({"params": {"network": "{}"}}, "work.params: NetworkClassifier has no param 'network'"),
        ({"params": {"epochs": "two"}}, "work.params.epochs: Could not convert two to int"),
        ({"network": __file__}, "work.network: this is not the JSON of a network"),
        ({"weights": __file__}, "work.weights: these are not safetensors"),
        ({"network": "/none"}, "/none"),
    ],
)
def test_a_request_that_does_not_fit_fails_before_spark_starts(
    attempt: Attempt, changed: dict[str, Any], match: str
) -> None:
    estimator = Estimator("NetworkClassifier", MLP)
    work = work_document(estimator, Data(str(DIGITS)), False, attempt.send) | changed
    assert match in refusal(attempt, work)


def test_a_torchscript_network_needs_the_right_to_run_programs(attempt: Attempt) -> None:
    script = firesteel.TorchScriptNetwork({"features": "float32"}, ["out"], b"archive")
    work = work_document(
        Estimator("NetworkClassifier", script), Data(str(DIGITS)), False, attempt.send
    )
    assert "ask an administrator for the right" in refusal(attempt, work)


def events(attempt: Attempt) -> list[dict[str, Any]]:
    """The failures that the runner has told the server."""
    lines = (attempt.folder / "events.jsonl").read_text().splitlines()
    return [one["data"] for one in map(json.loads, lines) if one["type"] == "failure"]


def refusal(attempt: Attempt, work: Any) -> str:
    """Runs the runner without a JVM; returns the line with which it ends."""
    request = attempt.folder / "request.json"
    request.write_text(json.dumps({"id": "j1", "name": "job", "attempt": 0, "work": work}))
    environment = {
        **os.environ,
        "FIRESTEEL_PUNCHCARD_REQUEST": str(request),
        "FIRESTEEL_PUNCHCARD_RESULTS": str(attempt.results),
    }
    # Without a JVM: nothing that starts one is on the path.
    environment |= {"PATH": "/nowhere", "JAVA_HOME": "/nowhere"}
    done = subprocess.run(
        [sys.executable, str(RUNNER)],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("the job failed: ")
    # The server takes the reason from an event.
    event = json.loads(request.with_name("events.jsonl").read_text().splitlines()[-1])
    assert event["type"] == "failure" and event["time"].endswith("Z")
    assert line == f"the job failed: {event['data']['reason']}"
    # It would fail again in the same way.
    assert event["data"]["retry"] is False
    return line
