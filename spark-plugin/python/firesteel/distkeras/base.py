"""The base class of trainers."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from pyspark.sql import DataFrame

from firesteel.distkeras.history import (
    Entry,
    history_executor,
    history_executors_average,
    history_of,
)
from firesteel.distkeras.models import as_network, clone_with_weights, is_keras, output_names
from firesteel.distkeras.optimizers import optimizer_params
from firesteel.distkeras.training import fit
from firesteel.distkeras.utils import pickle_object
from firesteel.network import BaseNetwork
from firesteel.stages import NetworkModelBase

METRICS = ("accuracy",)
"""The default metrics of a trainer."""


class Trainer(ABC):
    """The base class of trainers.

    Parameters
    ----------
    keras_model : keras.Model, firesteel.Network or fitted model
        The model to train, from its weights.
    loss : str, function or loss of Keras, or list or dict of them
        The loss of all outputs, or of each: in their order, or by their names.
    worker_optimizer : str, dict or optimizer of Keras
        The optimizer of each worker. A name has Keras 3's defaults; a dict is that of
        ``keras.optimizers.serialize``: ``{"class_name": "sgd", "config": {"momentum": 0.9}}``.
    metrics : list of str
        Their number is that of the values beside the loss in a history entry; see
        :meth:`get_history`.
    loss_weights : list of float or dict, optional
        The weight of each output's loss in the sum, in the same way. Default: 1.
    """

    def __init__(
        self,
        keras_model: Any,
        loss: Any,
        worker_optimizer: Any,
        metrics: Sequence[str] = METRICS,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
    ) -> None:
        self.master_model = keras_model
        self.loss = loss
        self.loss_weights = loss_weights
        self.worker_optimizer = worker_optimizer
        self.metrics = list(metrics)
        self.features_column: str | Sequence[str] = "features"
        self.label_column: str | Sequence[str] = "label"
        self.num_epoch = 1
        self.batch_size = 32
        self.history: list[Entry] = []
        self.training_time = 0.0
        self.training_time_start = 0.0
        self.training_time_end = 0.0
        self.max_mini_batches_prefetch = 100

    def set_max_prefetch(self, max_mini_batches: int) -> None:
        """Has no effect: workers have their rows in memory, or mapped, before they start."""
        self.max_mini_batches_prefetch = max_mini_batches

    def set_model(self, model: Any) -> None:
        """Sets the model to train."""
        self.master_model = model

    def record_training_start(self) -> None:
        """Starts the clock of :meth:`get_training_time`."""
        self.training_time = 0.0
        self.training_time_start = time.time()

    def record_training_end(self) -> None:
        """Stops the clock."""
        self.training_time_end = time.time()
        self.training_time = self.training_time_end - self.training_time_start

    def get_training_time(self) -> float:
        """Returns the duration of the last training in seconds."""
        return self.training_time

    def get_history(self) -> list[Entry]:
        """Returns the history of the last training: an entry for each epoch of each worker.

        An entry's ``history`` is the mean loss of the rows, each taken when it was trained, and NaN
        for each of the trainer's metrics: workers do not compute them.
        """
        return self.history

    def get_averaged_history(self) -> list[NDArray[Any]]:
        """The mean over the workers for each epoch."""
        return history_executors_average(self.history)

    def get_executor_history(self, executor_id: int) -> list[Entry]:
        """The entries of one worker, counted from 0."""
        return history_executor(self.history, executor_id)

    def serialize(self) -> bytes:
        """The trainer, pickled."""
        return pickle_object(self)

    def train(self, dataframe: DataFrame, shuffle: bool = False) -> Any:
        """Trains on a DataFrame.

        Parameters
        ----------
        dataframe : DataFrame
            The rows. A label is a class index, or a one-hot vector or list; for a regression loss a
            number, or a vector or list with as many values as the output. Features are vectors,
            flat or nested lists, binary, or one number.
        shuffle : bool
            If True, rows are distributed to the workers at random, and each epoch takes them in a
            new order; otherwise in the order of the partitions.

        Returns
        -------
        keras.Model or fitted model
            A new Keras model for a Keras model, otherwise a Firesteel model. From an
            :class:`EnsembleTrainer` a list of Keras models, or one model that combines them.

        Raises
        ------
        ValueError
            If an argument or a column does not fit; the error names it.
        firesteel.keras.KerasConversionError
            If a layer of the Keras model has no counterpart; the error names it.
        """
        given = self.master_model
        params = {
            **self._optimizer(),
            **self._strategy(),
            "batchSize": self.batch_size,
            "epochs": self.num_epoch,
            "shuffle": shuffle,
        }
        network = self._start(as_network(given))
        self.record_training_start()
        fitted = fit(
            network,
            dataframe,
            self.features_column,
            self.label_column,
            self.loss,
            self.loss_weights,
            params,
            output_names(given, network),
        )
        self.record_training_end()
        summary = fitted.summary
        self.history = history_of(summary, len(self.metrics))
        result = self._result(given, fitted)
        self._trained(result, summary.commits)
        return result

    @abstractmethod
    def _strategy(self) -> dict[str, Any]:
        """The params of the strategy."""

    def _optimizer(self) -> dict[str, Any]:
        """The params of the optimizer."""
        return optimizer_params(self.worker_optimizer)

    def _start(self, network: BaseNetwork) -> BaseNetwork:
        """The network with the weights that training starts from."""
        return network

    def _result(self, given: Any, fitted: NetworkModelBase) -> Any:
        return clone_with_weights(given, fitted.weights) if is_keras(given) else fitted

    def _trained(self, result: Any, commits: int) -> None:
        """Stores the result of a training."""
        self.master_model = result
