"""The asynchronous trainers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from firesteel.distkeras.base import METRICS
from firesteel.distkeras.distributed import PORT, AsynchronousDistributedTrainer

LossWeights = Sequence[float] | Mapping[str, float] | None


class DOWNPOUR(AsynchronousDistributedTrainer):
    """Adds the moves of workers to the center variable (Dean et al., 2012).

    Parameters
    ----------
    keras_model, worker_optimizer, loss, metrics, num_workers, batch_size
        As in :class:`DistributedTrainer`.
    features_col, label_col, num_epoch, master_port, loss_weights
        As in :class:`DistributedTrainer`.
    communication_window : int
        Mini-batches between two exchanges with the parameter server.
    """

    def __init__(
        self,
        keras_model: Any,
        worker_optimizer: Any,
        loss: Any,
        metrics: Sequence[str] = METRICS,
        num_workers: int = 2,
        batch_size: int = 32,
        features_col: str | Sequence[str] = "features",
        label_col: str | Sequence[str] = "label",
        num_epoch: int = 1,
        communication_window: int = 5,
        master_port: int = PORT,
        loss_weights: LossWeights = None,
    ) -> None:
        super().__init__(
            keras_model,
            worker_optimizer,
            loss,
            metrics,
            num_workers,
            batch_size,
            features_col,
            label_col,
            num_epoch,
            master_port,
            loss_weights,
        )
        self.communication_window = communication_window

    def _strategy(self) -> dict[str, Any]:
        return self._workers("downpour", self.communication_window)


class ADAG(AsynchronousDistributedTrainer):
    """Adds the moves of workers, divided by the mini-batches of the window (Hermans, 2017).

    Parameters
    ----------
    keras_model, worker_optimizer, loss, metrics, num_workers, batch_size
        As in :class:`DistributedTrainer`.
    features_col, label_col, num_epoch, master_port, loss_weights
        As in :class:`DistributedTrainer`.
    communication_window : int
        Mini-batches between two exchanges with the parameter server.
    """

    def __init__(
        self,
        keras_model: Any,
        worker_optimizer: Any,
        loss: Any,
        metrics: Sequence[str] = METRICS,
        num_workers: int = 2,
        batch_size: int = 32,
        features_col: str | Sequence[str] = "features",
        label_col: str | Sequence[str] = "label",
        num_epoch: int = 1,
        communication_window: int = 12,
        master_port: int = PORT,
        loss_weights: LossWeights = None,
    ) -> None:
        super().__init__(
            keras_model,
            worker_optimizer,
            loss,
            metrics,
            num_workers,
            batch_size,
            features_col,
            label_col,
            num_epoch,
            master_port,
            loss_weights,
        )
        self.communication_window = communication_window

    def _strategy(self) -> dict[str, Any]:
        return self._workers("adag", self.communication_window)


class DynSGD(AsynchronousDistributedTrainer):
    """Adds the moves of workers, divided by their staleness (Jiang et al., 2017).

    Parameters
    ----------
    keras_model, worker_optimizer, loss, metrics, num_workers, batch_size
        As in :class:`DistributedTrainer`.
    features_col, label_col, num_epoch, master_port, loss_weights
        As in :class:`DistributedTrainer`.
    communication_window : int
        Mini-batches between two exchanges with the parameter server.
    """

    def __init__(
        self,
        keras_model: Any,
        worker_optimizer: Any,
        loss: Any,
        metrics: Sequence[str] = METRICS,
        num_workers: int = 2,
        batch_size: int = 32,
        features_col: str | Sequence[str] = "features",
        label_col: str | Sequence[str] = "label",
        num_epoch: int = 1,
        communication_window: int = 5,
        master_port: int = PORT,
        loss_weights: LossWeights = None,
    ) -> None:
        super().__init__(
            keras_model,
            worker_optimizer,
            loss,
            metrics,
            num_workers,
            batch_size,
            features_col,
            label_col,
            num_epoch,
            master_port,
            loss_weights,
        )
        self.communication_window = communication_window

    def _strategy(self) -> dict[str, Any]:
        return self._workers("dynsgd", self.communication_window)


class AEASGD(AsynchronousDistributedTrainer):
    """Elastic averaging of replicas and center variable (Zhang et al., 2015).

    Parameters
    ----------
    keras_model, worker_optimizer, loss, metrics, num_workers, batch_size
        As in :class:`DistributedTrainer`.
    features_col, label_col, num_epoch, master_port, loss_weights
        As in :class:`DistributedTrainer`.
    communication_window : int
        Mini-batches between two exchanges with the parameter server.
    rho : float, optional
        The elastic force: the moving rate is `rho` times `learning_rate`. By default the moving
        rate is ``0.9 / sqrt(workers * tasks)``. `rho` times `learning_rate` times the number of
        tasks above 1 is a warning.
    learning_rate : float
        See `rho`; workers step with the rate of `worker_optimizer`.
    """

    def __init__(
        self,
        keras_model: Any,
        worker_optimizer: Any,
        loss: Any,
        metrics: Sequence[str] = METRICS,
        num_workers: int = 2,
        batch_size: int = 32,
        features_col: str | Sequence[str] = "features",
        label_col: str | Sequence[str] = "label",
        num_epoch: int = 1,
        communication_window: int = 32,
        rho: float | None = None,
        learning_rate: float = 0.1,
        master_port: int = PORT,
        loss_weights: LossWeights = None,
    ) -> None:
        super().__init__(
            keras_model,
            worker_optimizer,
            loss,
            metrics,
            num_workers,
            batch_size,
            features_col,
            label_col,
            num_epoch,
            master_port,
            loss_weights,
        )
        self.communication_window = communication_window
        self.rho = rho
        self._set_first_rate(learning_rate)

    def _strategy(self) -> dict[str, Any]:
        return self._workers("aeasgd", self.communication_window, **self._elastic(self.rho))


class EAMSGD(AsynchronousDistributedTrainer):
    """Elastic averaging whose workers step with Nesterov's momentum (Zhang et al., 2015).

    Parameters
    ----------
    keras_model, worker_optimizer, loss, metrics, num_workers, batch_size
        As in :class:`DistributedTrainer`.
    features_col, label_col, num_epoch, master_port, loss_weights
        As in :class:`DistributedTrainer`.
    communication_window : int
        Mini-batches between two exchanges with the parameter server.
    rho : float, optional
        The elastic force: the moving rate is `rho` times `learning_rate`. By default the moving
        rate is ``0.9 / sqrt(workers * tasks)``. `rho` times `learning_rate` times the number of
        tasks above 1 is a warning.
    learning_rate : float
        The learning rate of the workers' step.
    momentum : float
        The momentum of the workers' step. `worker_optimizer` is ignored, with a warning.
    """

    def __init__(
        self,
        keras_model: Any,
        worker_optimizer: Any,
        loss: Any,
        metrics: Sequence[str] = METRICS,
        num_workers: int = 2,
        batch_size: int = 32,
        features_col: str | Sequence[str] = "features",
        label_col: str | Sequence[str] = "label",
        num_epoch: int = 1,
        communication_window: int = 32,
        rho: float | None = None,
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        master_port: int = PORT,
        loss_weights: LossWeights = None,
    ) -> None:
        super().__init__(
            keras_model,
            worker_optimizer,
            loss,
            metrics,
            num_workers,
            batch_size,
            features_col,
            label_col,
            num_epoch,
            master_port,
            loss_weights,
        )
        self.communication_window = communication_window
        self.rho = rho
        self.momentum = momentum
        self._set_first_rate(learning_rate)

    def _strategy(self) -> dict[str, Any]:
        elastic = self._elastic(self.rho)
        return self._workers(
            "eamsgd", self.communication_window, elasticMomentum=self.momentum, **elastic
        )

    def _optimizer(self) -> dict[str, Any]:
        warnings.warn(
            f"EAMSGD has its own update rule, with learning_rate {self.learning_rate} and momentum "
            f"{self.momentum}; worker_optimizer is not used",
            stacklevel=3,
        )
        return {"optimizer": "sgd", "learningRate": self.learning_rate}


class Experimental(AsynchronousDistributedTrainer):
    """ADAG that dampens parameters that have moved since the pull (Hermans, 2017).

    Parameters
    ----------
    keras_model, worker_optimizer, loss, metrics, num_workers, batch_size
        As in :class:`DistributedTrainer`.
    features_col, label_col, num_epoch, master_port, loss_weights
        As in :class:`DistributedTrainer`.
    communication_window : int
        Mini-batches between two exchanges with the parameter server.
    learning_rate : float
        The squared distance at which an update is halved.
    """

    def __init__(
        self,
        keras_model: Any,
        worker_optimizer: Any,
        loss: Any,
        metrics: Sequence[str] = METRICS,
        num_workers: int = 2,
        batch_size: int = 32,
        features_col: str | Sequence[str] = "features",
        label_col: str | Sequence[str] = "label",
        num_epoch: int = 1,
        communication_window: int = 5,
        learning_rate: float = 1.0,
        master_port: int = PORT,
        loss_weights: LossWeights = None,
    ) -> None:
        super().__init__(
            keras_model,
            worker_optimizer,
            loss,
            metrics,
            num_workers,
            batch_size,
            features_col,
            label_col,
            num_epoch,
            master_port,
            loss_weights,
        )
        self.communication_window = communication_window
        self._set_first_rate(learning_rate)

    def _strategy(self) -> dict[str, Any]:
        return self._workers(
            "agn-adaptive", self.communication_window, adaptiveGamma=self.learning_rate
        )
