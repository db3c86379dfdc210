"""The artefacts of a training job, written by its driver."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyspark.sql import SparkSession

from firesteel.distkeras.history import Entry
from firesteel.distkeras.models import split_ensemble
from firesteel.network import encode_weights
from firesteel.punchcard.names import (
    HISTORY,
    MODEL,
    NETWORK,
    SAVED_MODEL,
    SUMMARY,
    WEIGHTS,
    member_weights,
)
from firesteel.stages import NetworkModelBase
from firesteel.summary import TrainingSummary


def write_all(results: Path, model: NetworkModelBase, history: Any) -> None:
    """Writes the artefacts of a model; each file appears when it is complete.

    Parameters
    ----------
    results : Path
        The folder.
    model : NetworkModelBase
        The fitted model.
    history : object
        The history as JSON has it.
    """
    members = split_ensemble(model.weights)
    several = any(name.startswith("member.") for name in model.weights)
    description = {
        "class": type(model).__name__,
        "row_shapes": {name: list(shape) for name, shape in model._row_shapes.items()},
        "members": len(members) if several else None,
    }
    write(results / NETWORK, model.network.to_json().encode())
    for index, weights in enumerate(members):
        name = member_weights(index) if several else WEIGHTS
        write(results / name, encode_weights(weights))
    write(results / HISTORY, to_json(history))
    write(results / SUMMARY, to_json(asdict(model.summary)))
    write(results / MODEL, to_json(description))
    _write_saved_model(results, model)


def write(target: Path, content: bytes) -> None:
    """Writes a file, which appears when it is complete and on the disk."""
    part = target.with_name(f".{target.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(target)


def to_json(value: Any) -> bytes:
    """Returns a value as JSON; numbers that are not finite become null."""
    return json.dumps(_finite(value), allow_nan=False).encode()


def history_of_trainer(history: Sequence[Entry]) -> list[dict[str, Any]]:
    """Returns the entries of a trainer's history as JSON has them."""
    return [{**entry, "history": entry["history"].tolist()} for entry in history]


def history_of_estimator(summary: TrainingSummary) -> dict[str, Any]:
    """Returns the losses and the metrics of each epoch as JSON has them."""
    validated = [epoch.validation for epoch in summary.epochs]
    scored = [one for one in validated if one is not None]
    names = dict.fromkeys(metric.name for one in scored for metric in one.metrics)
    return {
        "losses": summary.losses,
        "validation_losses": [one and one.loss for one in validated] if scored else [],
        "metrics": {name: [one and one.metric(name) for one in validated] for name in names},
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value


def _write_saved_model(results: Path, model: NetworkModelBase) -> None:
    """Writes the folder that ``model.save`` writes, as a zip file."""
    with TemporaryDirectory(dir=results.parent, prefix=".model-") as temporary:
        folder = Path(temporary) / "model"
        _save(model, folder)
        if not any(folder.glob("metadata/part-*")):
            # The executors have written it, each to a disk of its own.
            print(
                f"{SAVED_MODEL} is left out: the cluster has no file system that the driver and "
                "the executors share; set fs.defaultFS",
                file=sys.stderr,
            )
            return
        part = results / f".{SAVED_MODEL}.part"
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    archive.write(file, str(file.relative_to(folder)))
        part.replace(results / SAVED_MODEL)


def _save(model: NetworkModelBase, folder: Path) -> None:
    """Saves a model in a local folder, by way of the cluster's file system if it has one."""
    spark = SparkSession.active()
    jvm: Any = spark._jvm
    configuration = spark.sparkContext._jsc.hadoopConfiguration()
    system = jvm.org.apache.hadoop.fs.FileSystem.get(configuration)
    if system.getScheme() == "file":
        model.save(folder.as_uri())
        return
    path = jvm.org.apache.hadoop.fs.Path
    shared = path(system.getHomeDirectory(), f".firesteel-punchcard/{model.uid}-{os.getpid()}")
    try:
        model.save(shared.toString())
        system.copyToLocalFile(False, shared, path(folder.as_uri()), True)
    finally:
        system.delete(shared, True)


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a saved model into a folder that does not exist yet.

    Raises
    ------
    FileExistsError
        If the folder exists.
    """
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
