"""The driver of a job of kind trainer or estimator."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from firesteel import safetensors
from firesteel.distkeras.models import with_weights
from firesteel.network import BaseNetwork
from firesteel.punchcard import estimators, results, trainers
from firesteel.punchcard.failures import is_permanent, reason
from firesteel.punchcard.names import EVENTS, FAILED
from firesteel.stages import NetworkModelBase

REQUEST = "FIRESTEEL_PUNCHCARD_REQUEST"
RESULTS = "FIRESTEEL_PUNCHCARD_RESULTS"

_KEYS = {
    "trainer": {"kind", "trainer", "network", "weights", "data", "shuffle"},
    "estimator": {"kind", "estimator", "params", "network", "weights", "data"},
}


class RequestError(ValueError):
    """A part of the request that does not fit; the text names it."""


def main() -> int:
    """Runs the job of the environment; returns the exit code.

    One line of a failed job's log begins with ``the job failed:`` and gives the reason. An event
    gives it to the server.
    """
    try:
        request, folder = (_environment(name) for name in (REQUEST, RESULTS))
        run(json.loads(request.read_text()), folder)
    except (RequestError, FileNotFoundError) as error:
        return _fail(str(error), retry=False)
    except Exception as error:
        traceback.print_exc()
        return _fail(reason(error), retry=not is_permanent(error))
    return 0


def _fail(text: str, *, retry: bool) -> int:
    """Writes a failure's reason to the log, in one line, and as an event; returns the exit code.

    Without ``retry`` the server does not repeat the job: it would fail in the same way.
    """
    line = " ".join(part.strip() for part in text.splitlines())
    print(f"{FAILED}{line}", file=sys.stderr, flush=True)
    request = os.environ.get(REQUEST)
    if request:
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {"time": time, "type": "failure", "data": {"reason": text, "retry": retry}}
        try:
            with Path(request).with_name(EVENTS).open("a") as file:
                file.write(f"{json.dumps(event)}\n")
        except OSError as error:
            print(f"{EVENTS}: {error}", file=sys.stderr, flush=True)
    return 1


def run(request: Mapping[str, Any], folder: Path) -> None:
    """Trains as a request says and writes the artefacts.

    Parameters
    ----------
    request : dict
        The request of an attempt, in which uploads are paths.
    folder : Path
        The folder for artefacts.

    Raises
    ------
    RequestError
        If a part of the request does not fit; the error names it.
    """
    work = request.get("work")
    kind = work.get("kind") if isinstance(work, Mapping) else None
    if not isinstance(work, Mapping) or kind not in _KEYS:
        raise RequestError(f"work.kind must be {' or '.join(_KEYS)}, not '{kind}'")
    unknown = sorted(set(work) - _KEYS[kind])
    if unknown:
        raise RequestError(f"work has unknown fields: {', '.join(unknown)}")
    _check(kind, work)
    network = read_network(work)
    if network.SCRIPTED and not request.get("programs"):
        raise RequestError(
            "work.network is TorchScript, which is a program, and you may not run programs; use a "
            "network of layers, or ask an administrator for the right"
        )
    folder.mkdir(parents=True, exist_ok=True)
    spark = SparkSession.builder.getOrCreate()
    try:
        if kind == "trainer":
            model, history = _train(spark, work, network)
        else:
            model, history = _fit(spark, work, network)
        results.write_all(folder, model, history)
    finally:
        spark.stop()


def read_network(work: Mapping[str, Any]) -> BaseNetwork:
    """Reads the network and its weights.

    Raises
    ------
    RequestError
        If a file is not of its format.
    """
    try:
        network = BaseNetwork.from_json(Path(work["network"]).read_text())
    except (ValueError, TypeError, KeyError) as error:
        raise RequestError(f"work.network: {error}") from None
    if work.get("weights") is None:
        return network
    try:
        return with_weights(network, safetensors.decode(Path(work["weights"]).read_bytes()))
    except (ValueError, TypeError, KeyError) as error:
        raise RequestError(f"work.weights: {error}") from None


def read_rows(spark: SparkSession, data: Mapping[str, Any]) -> DataFrame:
    """Reads the rows of a request.

    Raises
    ------
    RequestError
        If the path is missing.
    """
    if not isinstance(data, Mapping) or not data.get("path"):
        raise RequestError("work.data.path is missing")
    reader = spark.read.format(data.get("format") or "parquet")
    rows = reader.options(**(data.get("options") or {})).load(data["path"])
    partitions = data.get("partitions")
    return rows if partitions is None else rows.repartition(partitions)


def _check(kind: str, work: Mapping[str, Any]) -> None:
    """Checks names and values before Spark starts."""
    try:
        if kind == "trainer":
            trainers.check(work.get("trainer"))
        else:
            estimators.check(work.get("estimator"), work.get("params"))
    except ValueError as error:
        raise RequestError(f"work.{error}") from None


def _train(
    spark: SparkSession, work: Mapping[str, Any], network: BaseNetwork
) -> tuple[NetworkModelBase, Any]:
    trainer = trainers.build(work["trainer"], network)
    model = trainer.train(read_rows(spark, work["data"]), shuffle=bool(work.get("shuffle")))
    return model, results.history_of_trainer(trainer.get_history())


def _fit(
    spark: SparkSession, work: Mapping[str, Any], network: BaseNetwork
) -> tuple[NetworkModelBase, Any]:
    try:
        estimator = estimators.build(work["estimator"], work["params"], network)
    except ValueError as error:
        raise RequestError(f"work.{error}") from None
    model = estimator.fit(read_rows(spark, work["data"]))
    return model, results.history_of_estimator(model.summary)


def _environment(name: str) -> Path:
    value = os.environ.get(name)
    if not value:
        raise RequestError(f"the environment variable {name} is missing; Punchcard sets it")
    return Path(value)
