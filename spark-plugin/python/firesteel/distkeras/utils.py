"""Utility functions of dist-keras."""

from __future__ import annotations

import json
import os
import pickle
import pwd
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812

from firesteel.distkeras.history import Entry, history_executor, history_executors_average
from firesteel.distkeras.models import is_keras

__all__ = [
    "Entry",
    "deserialize_keras_model",
    "get_os_username",
    "history_executor",
    "history_executors_average",
    "json_to_dataframe_row",
    "new_dataframe_row",
    "pickle_object",
    "precache",
    "serialize_keras_model",
    "set_keras_base_directory",
    "shuffle",
    "to_dense_vector",
    "to_one_hot_encoded_dense",
    "uniform_weights",
    "unpickle_object",
]


def get_os_username() -> str:
    """Returns the name of the user of this process."""
    return pwd.getpwuid(os.getuid()).pw_name


def set_keras_base_directory(base_dir: str | None = None) -> None:
    """Sets the folder of Keras's files, which Keras reads when it is imported.

    Parameters
    ----------
    base_dir : str, optional
        Default: ``/tmp/`` and the name of the user.
    """
    os.environ["KERAS_HOME"] = base_dir or f"/tmp/{get_os_username()}"


def to_one_hot_encoded_dense(value: float, n_dim: int = 2) -> NDArray[np.float64]:
    """Returns a vector of `n_dim` values with a 1 at the position `value`, truncated."""
    index = int(value)
    if not 0 <= index < n_dim:
        raise ValueError(f"the class {value} is not one of 0 to {n_dim - 1}")
    vector = np.zeros(n_dim)
    vector[index] = 1.0
    return vector


def to_dense_vector(value: float, n_dim: int = 2) -> NDArray[np.float64]:
    """Calls :func:`to_one_hot_encoded_dense`; its former name."""
    return to_one_hot_encoded_dense(value, n_dim)


def new_dataframe_row(old_row: Row, column_name: str, column_value: Any) -> Row:
    """Returns a row with one more column."""
    return Row(*old_row.__fields__, column_name)(*old_row, column_value)


def json_to_dataframe_row(string: str) -> Row:
    """Converts a JSON object to a row."""
    return Row(**json.loads(string))


def pickle_object(o: Any) -> bytes:
    """Pickles an object."""
    return pickle.dumps(o, pickle.HIGHEST_PROTOCOL)


def unpickle_object(string: bytes) -> Any:
    """Unpickles an object. Unpickling runs code: only unpickle your own objects."""
    return pickle.loads(string)


def serialize_keras_model(model: Any) -> dict[str, Any]:
    """Returns a Keras model as a dict: ``model``, its architecture as JSON, and ``weights``."""
    return {"model": model.to_json(), "weights": model.get_weights()}


def deserialize_keras_model(dictionary: Any) -> Any:
    """Returns the model of such a dict; a model is returned unchanged."""
    if is_keras(dictionary):
        return dictionary
    model = import_module("keras").models.model_from_json(dictionary["model"])
    model.set_weights(dictionary["weights"])
    return model


def uniform_weights(model: Any, constraints: Sequence[float] = (-0.5, 0.5)) -> None:
    """Sets a Keras model's weights to uniform random numbers between two bounds."""
    low, high = constraints
    random = np.random.default_rng()
    model.set_weights([random.uniform(low, high, array.shape) for array in model.get_weights()])


def shuffle(dataset: DataFrame) -> DataFrame:
    """Returns the rows in random order, cached."""
    return dataset.orderBy(F.rand()).cache()


def precache(dataset: DataFrame, num_workers: int) -> DataFrame:
    """Returns the rows in as many partitions as there are workers, cached and computed."""
    dataset = dataset.repartition(num_workers).cache()
    dataset.count()
    return dataset
