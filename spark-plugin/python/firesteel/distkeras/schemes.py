"""Schemes, which train in several rounds and change the trainer's settings in between."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from firesteel.distkeras.trainers import DistributedTrainer

__all__ = ["Emperor", "Scheme"]

_log = logging.getLogger(__name__)


class Scheme(ABC):
    """A distributed training in several rounds.

    Parameters
    ----------
    optimizer : DistributedTrainer
        The trainer.
    num_epoch : int
        The epochs of all rounds together.
    evaluation_frequency : int
        The number of rounds; each is followed by an evaluation.
    """

    def __init__(
        self, optimizer: DistributedTrainer, num_epoch: int = 15, evaluation_frequency: int = 5
    ) -> None:
        if num_epoch < 1 or evaluation_frequency < 1:
            raise ValueError(
                "num_epoch and evaluation_frequency must be at least 1, not "
                f"{num_epoch} and {evaluation_frequency}"
            )
        self.optimizer = optimizer
        self.num_epoch = num_epoch
        self.evaluation_frequency = evaluation_frequency
        self.epoch_over_eval_frequency = max(1, num_epoch // evaluation_frequency)
        self.initialize()

    def initialize(self) -> None:
        """Sets the trainer's epochs to those of one round."""
        self.optimizer.set_num_epoch(self.get_epoch_over_evaluation_frequency())

    def get_epoch_over_evaluation_frequency(self) -> int:
        """The epochs of one round."""
        return self.epoch_over_eval_frequency

    @abstractmethod
    def optimize(self, training_set: DataFrame, validation_set: DataFrame) -> Any:
        """Trains in rounds and returns the trained model."""


class Emperor(Scheme):
    """Divides the learning rate by 10 after a round that hardly changed the validation loss.

    Parameters
    ----------
    optimizer : DistributedTrainer
        The trainer; its :meth:`DistributedTrainer.set_learning_rate` is used.
    evaluate_loss : callable
        Takes the trained model and the validation set and returns the loss.
    num_epoch : int
        The epochs of all rounds together.
    evaluation_frequency : int
        The number of rounds. If it does not divide `num_epoch`, a shorter one is added.
    loss_threshold : float
        The learning rate is reduced if the loss has changed by this or less.
    """

    def __init__(
        self,
        optimizer: DistributedTrainer,
        evaluate_loss: Callable[[Any, DataFrame], float],
        num_epoch: int = 15,
        evaluation_frequency: int = 5,
        loss_threshold: float = 0.005,
    ) -> None:
        super().__init__(optimizer, num_epoch, evaluation_frequency)
        self.previous_loss = float("inf")
        self.loss_threshold = loss_threshold
        self.evaluate_loss = evaluate_loss

    def optimize(self, training_set: DataFrame, validation_set: DataFrame) -> Any:
        """Trains in rounds, each from the model of the previous one, and returns the last model."""
        trained = None
        left = self.num_epoch
        while left > 0:
            epochs = min(left, self.get_epoch_over_evaluation_frequency())
            left -= epochs
            self.optimizer.set_num_epoch(epochs)
            trained = self.optimizer.train(training_set)
            self.optimizer.set_model(trained)
            loss = self.evaluate_loss(trained, validation_set)
            _log.info("loss %g, %d epochs left", loss, left)
            if abs(loss - self.previous_loss) <= self.loss_threshold:
                lowered = self.optimizer.get_learning_rate() / 10
                self.optimizer.set_learning_rate(lowered)
                _log.info("learning rate lowered to %g", lowered)
            self.previous_loss = loss
        return trained
