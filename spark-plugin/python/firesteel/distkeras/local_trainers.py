"""Trainers whose workers do not exchange while they train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from firesteel.distkeras.base import METRICS, Trainer
from firesteel.distkeras.models import clone_with_weights, is_keras, split_ensemble, without_weights
from firesteel.network import BaseNetwork
from firesteel.stages import NetworkModelBase


class SingleTrainer(Trainer):
    """One worker trains on all rows. A second ``train`` goes on from the first one's model.

    Parameters
    ----------
    keras_model, worker_optimizer, loss, metrics, loss_weights
        As of :class:`Trainer`.
    features_col, label_col : str or list of str
        The column of features and that of labels; a list has one for each input or output of the
        model, in their order.
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
    """Replicas are averaged after each epoch, weighted by the rows they were trained on.

    A second ``train`` goes on from the first one's model.

    Parameters
    ----------
    keras_model, worker_optimizer, loss, metrics, loss_weights
        As of :class:`Trainer`.
    features_col, label_col, num_epoch, batch_size
        As of :class:`SingleTrainer`.
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
    """Several models, each trained alone on its part of the rows from random weights of its own.

    Parameters
    ----------
    keras_model : keras.Model, firesteel.Network or fitted model
        What the members are; its weights are not used.
    worker_optimizer, loss, metrics, loss_weights
        As of :class:`Trainer`.
    features_col, label_col, batch_size, num_epoch
        As of :class:`SingleTrainer`.
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
        """Keeps the model that was given: the members are several."""
