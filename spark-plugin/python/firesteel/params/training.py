"""The parameters that all strategies share: epochs, batch size, order of rows."""

from __future__ import annotations

from typing import Any, Self

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasSeed

from firesteel.params.checkpoint import CheckpointOptions, CheckpointParams, CheckpointSetters
from firesteel.params.control import ControlOptions, ControlParams, ControlSetters
from firesteel.params.optimizer import OptimizerOptions, OptimizerParams, OptimizerSetters
from firesteel.params.spread import SpreadOptions, SpreadParams, SpreadSetters
from firesteel.params.strategy import StrategyOptions, StrategyParams, StrategySetters


class TrainingParams(
    StrategyParams, OptimizerParams, ControlParams, CheckpointParams, SpreadParams, HasSeed
):
    """The parameters that all strategies share: epochs, batch size, order of rows."""

    batchSize: Param[int] = Param(
        Params._dummy(),
        "batchSize",
        "rows of a mini-batch (>= 1): with the strategy auto, all workers share one mini-batch; "
        "else each worker has its own",
        TypeConverters.toInt,
    )

    learningRateScaling: Param[str] = Param(
        Params._dummy(),
        "learningRateScaling",
        "scaling of the learning rate by the strategy auto for the smaller mini-batches of "
        "several workers: auto, none",
        TypeConverters.toString,
    )

    epochs: Param[int] = Param(
        Params._dummy(),
        "epochs",
        "passes over the data (>= 1)",
        TypeConverters.toInt,
    )

    shuffle: Param[bool] = Param(
        Params._dummy(),
        "shuffle",
        "true to train the rows in a new order in each epoch",
        TypeConverters.toBoolean,
    )

    showProgress: Param[bool] = Param(
        Params._dummy(),
        "showProgress",
        "true to draw a progress line during fit; unless set, spark.firesteel.progress decides",
        TypeConverters.toBoolean,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(batchSize=32, epochs=10, shuffle=True, learningRateScaling="auto")

    def getBatchSize(self) -> int:
        """Returns :py:attr:`batchSize` or its default."""
        return self.getOrDefault(self.batchSize)

    def getEpochs(self) -> int:
        """Returns :py:attr:`epochs` or its default."""
        return self.getOrDefault(self.epochs)

    def getShuffle(self) -> bool:
        """Returns :py:attr:`shuffle` or its default."""
        return self.getOrDefault(self.shuffle)

    def getShowProgress(self) -> bool:
        """Returns :py:attr:`showProgress` or its default."""
        return self.getOrDefault(self.showProgress)

    def getLearningRateScaling(self) -> str:
        """Returns :py:attr:`learningRateScaling` or its default."""
        return self.getOrDefault(self.learningRateScaling)


class TrainingSetters(
    StrategySetters,
    OptimizerSetters,
    ControlSetters,
    CheckpointSetters,
    SpreadSetters,
    TrainingParams,
):
    """Setters of :class:`TrainingParams`, for estimators."""

    def setBatchSize(self, value: int) -> Self:
        """Sets :py:attr:`batchSize`."""
        return self._set(batchSize=value)

    def setEpochs(self, value: int) -> Self:
        """Sets :py:attr:`epochs`."""
        return self._set(epochs=value)

    def setShuffle(self, value: bool) -> Self:
        """Sets :py:attr:`shuffle`."""
        return self._set(shuffle=value)

    def setShowProgress(self, value: bool) -> Self:
        """Sets :py:attr:`showProgress`."""
        return self._set(showProgress=value)

    def setLearningRateScaling(self, value: str) -> Self:
        """Sets :py:attr:`learningRateScaling`."""
        return self._set(learningRateScaling=value)

    def setSeed(self, value: int) -> Self:
        """Sets :py:attr:`seed`."""
        return self._set(seed=value)


class TrainingOptions(
    StrategyOptions, OptimizerOptions, ControlOptions, CheckpointOptions, SpreadOptions, total=False
):
    """Keyword arguments for :class:`TrainingParams`."""

    batchSize: int
    epochs: int
    shuffle: bool
    showProgress: bool
    learningRateScaling: str
    seed: int
