"""The trained model of a job, on the client."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from firesteel import safetensors
from firesteel.classification import NetworkClassificationModel
from firesteel.distkeras.base import Trainer
from firesteel.distkeras.history import Entry
from firesteel.distkeras.local_trainers import EnsembleTrainer
from firesteel.distkeras.models import (
    clone_with_weights,
    is_keras,
    split_ensemble,
    with_weights,
)
from firesteel.estimator import NetworkModel
from firesteel.exports import TorchExports
from firesteel.network import BaseNetwork
from firesteel.punchcard.client import Client
from firesteel.punchcard.errors import ServerError
from firesteel.punchcard.names import (
    HISTORY,
    MODEL,
    NETWORK,
    SAVED_MODEL,
    SUMMARY,
    WEIGHTS,
    member_weights,
)
from firesteel.punchcard.results import unpack
from firesteel.regression import NetworkRegressionModel
from firesteel.stages import NetworkModelBase
from firesteel.summary import TrainingSummary

_MODELS: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for kind in (NetworkClassificationModel, NetworkRegressionModel, NetworkModel)
}


class FetchedModel(TorchExports):
    """The trained model of a job: network, weights and training summary, without Spark.

    :meth:`to_torch`, :meth:`export_torchscript` and :meth:`export_onnx` are those of a fitted
    model. :meth:`save` and :meth:`to_spark` give the model to Spark.

    Parameters
    ----------
    description : dict
        The model's class, the shapes of its inputs' rows, the number of an ensemble's members.
    network : BaseNetwork
        The network, without weights.
    weights : dict
        The weights: arrays by name, those of an ensemble's members as ``member.<index>.<name>``.
    summary : TrainingSummary
        The training summary.
    archive : callable
        Writes the saved model, a zip file, to a path.
    """

    def __init__(
        self,
        description: Mapping[str, Any],
        network: BaseNetwork,
        weights: Mapping[str, NDArray[Any]],
        summary: TrainingSummary,
        archive: Callable[[Path], object],
    ) -> None:
        self._description = description
        self._network = network
        self._weights = dict(weights)
        self._archive = archive
        self._kept: TemporaryDirectory[str] | None = None
        self._gives_classes = description.get("class") == NetworkClassificationModel.__name__
        self.summary = summary

    @classmethod
    def fetch(cls, client: Client, job: str) -> FetchedModel:
        """Fetches the model of a job.

        Raises
        ------
        NotFoundError
            If the job has no model.
        """
        description = json.loads(client.artifact(job, MODEL))
        network = BaseNetwork.from_json(client.artifact(job, NETWORK).decode())
        members = description.get("members")
        if members is None:
            weights = safetensors.decode(client.artifact(job, WEIGHTS))
        else:
            weights = {
                f"member.{index}.{name}": tensor
                for index in range(members)
                for name, tensor in safetensors.decode(
                    client.artifact(job, member_weights(index))
                ).items()
            }
        summary = TrainingSummary.from_json(client.artifact(job, SUMMARY).decode())
        return cls(
            description,
            network,
            weights,
            summary,
            lambda target: client.download(job, SAVED_MODEL, target),
        )

    @property
    def network(self) -> BaseNetwork:
        """The trained network, without its weights."""
        return self._network

    @property
    def weights(self) -> dict[str, NDArray[Any]]:
        """The trained weights: arrays, named as in PyTorch's ``state_dict``."""
        return self._weights

    @property
    def members(self) -> list[dict[str, NDArray[Any]]]:
        """The weights of each member of an ensemble; of another model its own."""
        return split_ensemble(self._weights)

    @property
    def _row_shapes(self) -> Mapping[str, Sequence[int]]:
        shapes: Mapping[str, Sequence[int]] = self._description["row_shapes"]
        return shapes

    def trainable_network(self) -> BaseNetwork:
        """Returns the network with the trained weights, from which another training starts."""
        return with_weights(self._network, self._weights)

    def fetch_archive(self) -> Self:
        """Downloads the saved model now, so that :meth:`save` does not need the job later."""
        self._archive_file()
        return self

    def save(self, path: str | Path) -> None:
        """Writes the folder that the model's ``save`` writes, on this machine.

        Raises
        ------
        FileExistsError
            If the path exists.
        NotFoundError
            If the job has no saved model.
        """
        unpack(self._archive_file(), Path(path))

    def to_spark(self, path: str | None = None) -> NetworkModelBase:
        """Returns the fitted model of Firesteel, in the active Spark session.

        Parameters
        ----------
        path : str, optional
            Where to save the model for Spark, on any file system that it writes. Default: a
            temporary folder of this machine, for a local master.
        """
        from pyspark.sql import SparkSession

        name = self._description.get("class")
        kind = _MODELS.get(str(name))
        if kind is None:
            raise ServerError(f"the job's model has the unknown class '{name}'")
        spark = SparkSession.active()
        with TemporaryDirectory(prefix="firesteel-") as temporary:
            folder = Path(temporary) / "model"
            self.save(folder)
            if path is None:
                return cast(NetworkModelBase, kind.load(folder.as_uri()))
            hadoop: Any = spark._jvm.org.apache.hadoop.fs  # type: ignore[union-attr]
            target = hadoop.Path(path)
            configuration = spark.sparkContext._jsc.hadoopConfiguration()
            target.getFileSystem(configuration).copyFromLocalFile(
                hadoop.Path(folder.as_uri()), target
            )
        return cast(NetworkModelBase, kind.load(path))

    def _archive_file(self) -> Path:
        if self._kept is None:
            kept = TemporaryDirectory(prefix="firesteel-")
            self._archive(Path(kept.name) / SAVED_MODEL)
            self._kept = kept
        return Path(self._kept.name) / SAVED_MODEL

    def __repr__(self) -> str:
        return f"FetchedModel({self._description.get('class')}, {self._network})"


def as_trained(fetched: FetchedModel, work: Any) -> Any:
    """Returns a model as the ``train`` of its trainer gives it.

    Parameters
    ----------
    fetched : FetchedModel
        The model.
    work : object
        The work of the job. For a trainer with a Keras model the result is a Keras model, or a list
        of them from an ensemble; otherwise `fetched` itself.
    """
    given = work.master_model if isinstance(work, Trainer) else None
    if not is_keras(given):
        return fetched
    if isinstance(work, EnsembleTrainer):
        return [clone_with_weights(given, weights) for weights in fetched.members]
    return clone_with_weights(given, fetched.weights)


def fetch_history(client: Client, job: str) -> Any:
    """Fetches the history of a job: of a trainer its entries, of an estimator a dict."""
    document = json.loads(client.artifact(job, HISTORY))
    if not isinstance(document, list):
        return document
    return [
        Entry(
            history=np.array(
                [np.nan if value is None else value for value in entry["history"]], np.float64
            ),
            worker_id=entry["worker_id"],
            iteration=entry["iteration"],
            epoch=entry["epoch"],
        )
        for entry in document
    ]
