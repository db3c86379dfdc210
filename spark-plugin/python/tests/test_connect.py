"""A client of Spark Connect, in a process without a JVM, against a real server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyspark
import pytest
from conftest import BUILD

PACKAGE = Path(__file__).resolve().parents[1]
HOME = Path(pyspark.__file__).parent


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server, started by the documented command."""
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.shuffle.partitions": "2",
        "spark.plugins": "firesteel.plugin.FiresteelPlugin",
        "spark.firesteel.libtorch.path": str((BUILD / "libtorch").resolve()),
    }
    line = [str(HOME / "bin" / "spark-submit"), "--master", "local[2]"]
    line += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    line += ["--jars", str(BUILD / "firesteel.jar")]
    for key, value in settings.items():
        line += ["--conf", f"{key}={value}"]
    clean = {k: v for k, v in os.environ.items() if k not in ("LIBTORCH", "PYTHONPATH")}
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*line, "spark-internal"],
            cwd=folder,
            env={**clean, "SPARK_HOME": str(HOME)},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(port, process, log)
        yield f"sc://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 240
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(f"no server:\n{log.read_text(errors='replace')[-4000:]}")


@pytest.fixture(scope="module")
def told(server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of connect_client.py."""
    folder = tmp_path_factory.mktemp("client")
    done = subprocess.run(
        [sys.executable, str(PACKAGE / "tests" / "connect_client.py"), server, str(folder)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_client_without_a_jvm_fits_and_transforms(told: dict[str, Any]) -> None:
    assert told["jvm"] is False
    assert told["accuracy"] > 0.9
    assert told["columns"] == ["features", "label", "rawPrediction", "probability", "prediction"]
    assert (told["numClasses"], told["numFeatures"]) == (3, 2)


def test_a_client_reads_the_summary(told: dict[str, Any]) -> None:
    losses = told["losses"]
    assert len(losses) == 4 and losses[-1] < losses[0]
    assert told["rowsTrained"] == 4 * 240
    assert told["history"] == [[index, loss] for index, loss in enumerate(losses)]
    assert len(told["validationAccuracy"]) == 4


def test_a_client_saves_and_loads(told: dict[str, Any]) -> None:
    assert told["estimatorEpochs"] == 4 and told["sameNetwork"]
    assert told["sameAfterLoading"] and told["lossesAfterLoading"] == told["losses"]
    shapes = {"0.bias": [16], "0.weight": [16, 2], "2.bias": [3], "2.weight": [3, 16]}
    assert told["weights"] == shapes
    assert "save the model and use firesteel.load_weights(path)" in told["refused"]


def test_stages_work_in_pipelines_and_searches_of_a_client(told: dict[str, Any]) -> None:
    assert told["pipelineSame"]
    assert len(told["searched"]) == 2 and told["searched"][1] > 0.9


def test_a_client_has_regressors(told: dict[str, Any]) -> None:
    assert told["r2"] > 0.95
    assert told["regressorLabel"] == "line" and told["regressionSame"]
    assert told["regressionMetrics"] == ["mae", "mse", "r2"]
    losses, after_loading = told["regressionLosses"]
    assert len(losses) == 6 and losses == after_loading


def test_a_client_has_networks_of_several_inputs_and_outputs(told: dict[str, Any]) -> None:
    assert told["outputColumns"][-2:] == ["shares", "found"]
    assert told["topics"] > 0.9 and told["lineError"] < 0.3
    assert told["estimatorScales"] == [0.5, 0.5]
    assert told["severalSame"] and told["severalNetwork"]
    line = ["line_loss", "line_mae", "line_mse", "line_r2"]
    assert told["severalMetrics"] == [*line, "shares_accuracy", "shares_loss"]
    errors = told["lineErrors"]
    assert told["bestEpoch"] == [errors.index(min(errors))] * 2


def test_an_error_of_the_fit_reaches_the_client(told: dict[str, Any]) -> None:
    assert "batchSize must be at least 1, not 0" in told["error"]
