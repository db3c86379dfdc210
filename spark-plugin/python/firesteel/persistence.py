"""Networks and weights of saved models, also for clients of Spark Connect."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from pyspark.sql import SparkSession

from firesteel import safetensors
from firesteel.network import BaseNetwork


def load_network(path: str) -> BaseNetwork:
    """Reads the network of a saved model, without its weights.

    Parameters
    ----------
    path : str
        The folder that ``model.save`` wrote, on any file system that Spark reads.
    """
    return BaseNetwork.from_json(_read(f"{path}/network.json").decode())


def load_weights(path: str) -> dict[str, NDArray[Any]]:
    """Reads the weights of a saved model: read-only arrays, named as in ``state_dict``.

    Parameters
    ----------
    path : str
        The folder that ``model.save`` wrote, on any file system that Spark reads.
    """
    return safetensors.decode(_read(f"{path}/weights.safetensors"))


def _read(file: str) -> bytes:
    row = SparkSession.active().read.format("binaryFile").load(file).select("content").first()
    if row is None:
        raise FileNotFoundError(f"{file} is missing: the folder has no saved model")
    return bytes(row.content)
