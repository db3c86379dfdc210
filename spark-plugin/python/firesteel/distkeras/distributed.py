"""The base classes of trainers with a parameter server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from firesteel.distkeras.base import METRICS, Trainer
from firesteel.distkeras.parameter_servers import ParameterServer

PORT = 5000
"""The port of dist-keras's parameter server."""


class DistributedTrainer(Trainer):
    """Workers that exchange what they learn through a parameter server on the driver.

    Parameters
    ----------
    keras_model, worker_optimizer, loss, metrics, loss_weights
        As of :class:`Trainer`.
    num_workers : int
        The number of workers. If the cluster has fewer slots, they take turns.
    batch_size, features_col, label_col, num_epoch
        As of :class:`SingleTrainer`.
    master_port : int
        Has no effect: the server uses a free port, or ``spark.firesteel.server.port``.
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
        master_port: int = PORT,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(keras_model, loss, worker_optimizer, metrics, loss_weights)
        self.num_workers = num_workers
        self.batch_size = batch_size
        self.features_column = features_col
        self.label_column = label_col
        self.num_epoch = num_epoch
        self.parameter_server: ParameterServer | None = None
        self.master_host: str | None = None
        self.master_port = master_port
        self.learning_rate = 1.0
        self._first_rate = 1.0

    def set_minibatch_size(self, size: int) -> None:
        """Sets the rows of a mini-batch."""
        self.batch_size = size

    def get_minibatch_size(self) -> int:
        """The rows of a mini-batch."""
        return self.batch_size

    def get_features_column(self) -> str | Sequence[str]:
        """The column of features."""
        return self.features_column

    def get_label_column(self) -> str | Sequence[str]:
        """The column of labels."""
        return self.label_column

    def get_learning_rate(self) -> float:
        """Returns the learning rate; initially the argument `learning_rate`, or 1."""
        return self.learning_rate

    def set_learning_rate(self, learning_rate: float) -> None:
        """Sets the learning rate: the worker optimizer's is scaled by the same factor.

        If it was 1 and becomes 0.1, workers step with a tenth of their optimizer's rate.
        """
        self.learning_rate = learning_rate

    def set_num_epoch(self, num_epoch: int) -> None:
        """Sets the passes over the rows."""
        self.num_epoch = num_epoch

    def get_num_epoch(self) -> int:
        """The passes over the rows."""
        return self.num_epoch

    def set_master(self, master: str) -> None:
        """Has no effect: workers connect to ``spark.driver.host``."""
        self.master_host = master

    def determine_new_master(self) -> None:
        """Has no effect, like :meth:`set_master`."""
        self.master_host = None

    def set_num_workers(self, num_workers: int) -> None:
        """Sets the number of workers."""
        self.num_workers = num_workers

    def get_num_workers(self) -> int:
        """The number of workers."""
        return self.num_workers

    def num_updates(self) -> int:
        """Returns the number of commits that the server applied in the last training."""
        return self.get_num_updates()

    def get_num_updates(self) -> int:
        """Returns :meth:`num_updates`; 0 before the first training."""
        return self.parameter_server.num_updates if self.parameter_server else 0

    @property
    def rate_factor(self) -> float:
        """The factor of the worker optimizer's learning rate."""
        return self.learning_rate / self._first_rate

    def _optimizer(self) -> dict[str, Any]:
        params = super()._optimizer()
        return {**params, "learningRate": params["learningRate"] * self.rate_factor}

    def _set_first_rate(self, learning_rate: float) -> None:
        self.learning_rate = self._first_rate = learning_rate

    def _trained(self, result: Any, commits: int) -> None:
        self.parameter_server = ParameterServer(commits, result)


class AsynchronousDistributedTrainer(DistributedTrainer):
    """Workers that do not wait for each other. Arguments as of :class:`DistributedTrainer`."""

    parallelism_factor = 1

    def set_parallelism_factor(self, factor: int) -> None:
        """Sets the number of workers for each of `num_workers`."""
        self.parallelism_factor = factor

    def get_parallelism_factor(self) -> int:
        """Returns the number of workers for each of `num_workers`."""
        return self.parallelism_factor

    def _workers(self, strategy: str, window: int, **options: Any) -> dict[str, Any]:
        return {
            "strategy": strategy,
            "window": window,
            "numWorkers": self.num_workers * self.parallelism_factor,
            **options,
        }

    def _elastic(self, rho: float | None) -> dict[str, float]:
        return {} if rho is None else {"elasticAlpha": rho * self.learning_rate}
