"""Trainers whose workers do not exchange updates during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from firesteel.distkeras.base import METRICS, Trainer
from firesteel.distkeras.models import clone_with_weights, is_keras, split_ensemble, without_weights
from firesteel.network import BaseNetwork
from firesteel.stages import NetworkModelBase


class SingleTrainer(Trainer):
    """Trains one worker on all rows. A second ``train`` continues from the first model.

    Parameters
    ----------
    keras_model, worker_optimizer, loss, metrics, loss_weights
        As in :class:`Trainer`.
    features_col, label_col : str or list of str
        The columns of features and of labels; a list has one for each input or output of the model,
        in order.
    num_epoch : int
        Passes over the rows.
    batch_size : int
        Rows of a mini-batch.
    """

    def __init__(
        self,
        keras_model: Any,
        worker_optimizer: Any,
        loss: Any,
        metrics: Sequence[str] = METRICS,
        features_col: str | Sequence[str] = "features",
        label_col: str | Sequence[str] = "label",
        num_epoch: int = 1,
        batch_size: int = 32,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(keras_model, loss, worker_optimizer, metrics, loss_weights)
        self.features_column = features_col
        self.label_column = label_col
        self.num_epoch = num_epoch
        self.batch_size = batch_size

    def _strategy(self) -> dict[str, Any]:
        return {"strategy": "single"}


class AveragingTrainer(Trainer):
    """Averages replicas after each epoch, weighted by the rows that each was trained on.

    A second ``train`` continues from the first model.

    Parameters
    ----------
    keras_model, worker_optimizer, loss, metrics, loss_weights
        As in :class:`Trainer`.
    features_col, label_col, num_epoch, batch_size
        As in :class:`SingleTrainer`.
    num_workers : int
        The number of replicas.
    """

    def __init__(
        self,
        keras_model: Any,
        worker_optimizer: Any,
        loss: Any,
        metrics: Sequence[str] = METRICS,
        features_col: str | Sequence[str] = "features",
        label_col: str | Sequence[str] = "label",
        num_epoch: int = 1,
        batch_size: int = 32,
        num_workers: int = 2,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(keras_model, loss, worker_optimizer, metrics, loss_weights)
        self.features_column = features_col
        self.label_column = label_col
        self.num_epoch = num_epoch
        self.batch_size = batch_size
        self.num_workers = num_workers

    def _strategy(self) -> dict[str, Any]:
        return {"strategy": "averaging", "numWorkers": self.num_workers}


class EnsembleTrainer(Trainer):
    """Trains several models, each on its part of the rows from its own random weights.

    Parameters
    ----------
    keras_model : keras.Model, firesteel.Network or fitted model
        The model of each member; its weights are not used.
    worker_optimizer, loss, metrics, loss_weights
        As in :class:`Trainer`.
    features_col, label_col, batch_size, num_epoch
        As in :class:`SingleTrainer`.
    num_ensembles : int
        The number of members.
    """

    def __init__(
        self,
        keras_model: Any,
        worker_optimizer: Any,
        loss: Any,
        metrics: Sequence[str] = METRICS,
        features_col: str | Sequence[str] = "features",
        label_col: str | Sequence[str] = "label",
        batch_size: int = 32,
        num_ensembles: int = 2,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
        num_epoch: int = 1,
    ) -> None:
        super().__init__(keras_model, loss, worker_optimizer, metrics, loss_weights)
        self.features_column = features_col
        self.label_column = label_col
        self.batch_size = batch_size
        self.num_ensembles = num_ensembles
        self.num_epoch = num_epoch

    def _strategy(self) -> dict[str, Any]:
        return {"strategy": "ensemble", "numWorkers": self.num_ensembles}

    def _start(self, network: BaseNetwork) -> BaseNetwork:
        return without_weights(network)

    def _result(self, given: Any, fitted: NetworkModelBase) -> Any:
        if not is_keras(given):
            return fitted
        return [clone_with_weights(given, weights) for weights in split_ensemble(fitted.weights)]

    def _trained(self, result: Any, commits: int) -> None:
        """Keeps the original model, because there are several members."""
