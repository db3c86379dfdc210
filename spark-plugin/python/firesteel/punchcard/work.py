"""The work of a job: what its user gives, as the JSON of the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firesteel.distkeras.base import Trainer
from firesteel.distkeras.local_trainers import EnsembleTrainer
from firesteel.distkeras.models import without_weights
from firesteel.network import BaseNetwork, encode_weights
from firesteel.punchcard import estimators, trainers
from firesteel.punchcard.estimators import Estimator
from firesteel.stages import NetworkEstimation

Send = Callable[[bytes | Path, str], str]
"""Uploads bytes, or a file, under a file name; returns the id of the upload."""


@dataclass(frozen=True)
class Data:
    """The rows of a job, as ``spark.read`` finds them on the cluster.

    Parameters
    ----------
    path : str
        The path, in one of the folders that the cluster allows.
    format : str
        The format, such as ``parquet`` or ``csv``.
    options : dict
        The reader's options, such as ``{"header": True}``.
    partitions : int, optional
        The number of partitions to distribute the rows into. Default: as they are read.
    """

    path: str
    format: str = "parquet"
    options: Mapping[str, str | bool | float] = field(default_factory=dict)
    partitions: int | None = None

    def document(self) -> dict[str, Any]:
        """Returns the rows as JSON."""
        document: dict[str, Any] = {"path": self.path, "format": self.format}
        if self.options:
            document["options"] = {key: _option(value) for key, value in self.options.items()}
        if self.partitions is not None:
            document["partitions"] = self.partitions
        return document


@dataclass(frozen=True)
class Program:
    """A program for ``spark-submit``, for users who may run programs.

    Parameters
    ----------
    file : str or Path
        A Python file or a jar on this machine.
    arguments : sequence of str
        The program's arguments.
    files : dict or sequence
        Files that the program finds in its working folder: paths on this machine by name, or only
        the paths.
    main_class : str, optional
        The main class of a jar.
    """

    file: str | Path
    arguments: Sequence[str] = ()
    files: Mapping[str, str | Path] | Sequence[str | Path] = ()
    main_class: str | None = None


def work_document(given: Any, data: str | Data | None, shuffle: bool, send: Send) -> dict[str, Any]:
    """Returns the JSON object ``work`` of the API, after the uploads that it refers to.

    Raises
    ------
    TypeError, ValueError
        If a part has no JSON form, or the rows are missing; the error names the argument.
    """
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, Program):
        if data is not None:
            raise ValueError("data is for trainers and estimators; a program reads its own")
        return _program(given, send)
    if data is None:
        raise ValueError("data is missing: a trainer or an estimator needs the path of its rows")
    rows = (Data(data) if isinstance(data, str) else data).document()
    if isinstance(given, Trainer):
        trainer, network = trainers.describe(given)
        # The members of an ensemble start from random weights.
        starting = without_weights(network) if isinstance(given, EnsembleTrainer) else network
        return {
            "kind": "trainer",
            "trainer": trainer,
            **_network(starting, send),
            "data": rows,
            "shuffle": shuffle,
        }
    if isinstance(given, Estimator | NetworkEstimation):
        name, params, network = estimators.describe(given)
        return {
            "kind": "estimator",
            "estimator": name,
            "params": params,
            **_network(network, send),
            "data": rows,
        }
    raise TypeError(
        "a job takes a trainer of firesteel.distkeras, an estimator of Firesteel, an Estimator or "
        f"a Program, not {type(given).__name__}"
    )


def _option(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _network(network: BaseNetwork, send: Send) -> dict[str, Any]:
    weights = getattr(network, "weights", None)
    architecture = without_weights(network).to_json().encode()
    return {
        "network": send(architecture, "network.json"),
        "weights": send(encode_weights(weights), "weights.safetensors") if weights else None,
    }


def _program(program: Program, send: Send) -> dict[str, Any]:
    path = Path(program.file)
    if path.suffix not in (".py", ".jar"):
        raise ValueError(f"file must be a .py or a .jar, not '{path}'")
    if path.suffix == ".jar" and not program.main_class:
        raise ValueError(f"main_class is missing: '{path}' is a jar")
    given = program.files
    named = given if isinstance(given, Mapping) else {Path(one).name: one for one in given}
    missing = [str(one) for one in (path, *named.values()) if not Path(one).is_file()]
    if missing:
        raise FileNotFoundError(f"{', '.join(missing)}: there is no such file")
    return {
        "kind": "program",
        "file": send(path, path.name),
        "main_class": program.main_class,
        "arguments": [str(argument) for argument in program.arguments],
        "files": {name: send(Path(one), str(name)) for name, one in named.items()},
    }
