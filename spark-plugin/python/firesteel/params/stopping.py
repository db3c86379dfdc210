"""Early stopping, targets and the time limit."""

from __future__ import annotations

from typing import Any, Self, TypedDict

from pyspark.ml.param import Param, Params, TypeConverters


class StoppingParams(Params):
    """Early stopping, targets and the time limit."""

    monitor: Param[str] = Param(
        Params._dummy(),
        "monitor",
        "value that early stopping monitors: loss, trainingLoss, one of the metrics or, with "
        "several outputs, <output>_loss; unless set, the loss",
        TypeConverters.toString,
    )

    monitorMode: Param[str] = Param(
        Params._dummy(),
        "monitorMode",
        "direction of improvement: min or max; unless set, chosen by the monitor",
        TypeConverters.toString,
    )

    patience: Param[int] = Param(
        Params._dummy(),
        "patience",
        "consecutive epochs without an improvement after which training stops (>= 1); unless set, "
        "never",
        TypeConverters.toInt,
    )

    minDelta: Param[float] = Param(
        Params._dummy(),
        "minDelta",
        "minimum change that counts as an improvement (>= 0)",
        TypeConverters.toFloat,
    )

    restoreBest: Param[bool] = Param(
        Params._dummy(),
        "restoreBest",
        "true to keep the weights of the best epoch rather than those of the last one",
        TypeConverters.toBoolean,
    )

    targetLoss: Param[float] = Param(
        Params._dummy(),
        "targetLoss",
        "loss of the validation rows, or of the training without them, at which training stops",
        TypeConverters.toFloat,
    )

    targetMetric: Param[float] = Param(
        Params._dummy(),
        "targetMetric",
        "value of the monitor at which training stops",
        TypeConverters.toFloat,
    )

    maxSeconds: Param[float] = Param(
        Params._dummy(),
        "maxSeconds",
        "seconds after the start of the first worker at which training stops (> 0); the model "
        "trained so far is kept",
        TypeConverters.toFloat,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(minDelta=0.0, restoreBest=False)

    def getMonitor(self) -> str:
        """Returns :py:attr:`monitor` or its default."""
        return self.getOrDefault(self.monitor)

    def getMonitorMode(self) -> str:
        """Returns :py:attr:`monitorMode` or its default."""
        return self.getOrDefault(self.monitorMode)

    def getPatience(self) -> int:
        """Returns :py:attr:`patience` or its default."""
        return self.getOrDefault(self.patience)

    def getMinDelta(self) -> float:
        """Returns :py:attr:`minDelta` or its default."""
        return self.getOrDefault(self.minDelta)

    def getRestoreBest(self) -> bool:
        """Returns :py:attr:`restoreBest` or its default."""
        return self.getOrDefault(self.restoreBest)

    def getTargetLoss(self) -> float:
        """Returns :py:attr:`targetLoss` or its default."""
        return self.getOrDefault(self.targetLoss)

    def getTargetMetric(self) -> float:
        """Returns :py:attr:`targetMetric` or its default."""
        return self.getOrDefault(self.targetMetric)

    def getMaxSeconds(self) -> float:
        """Returns :py:attr:`maxSeconds` or its default."""
        return self.getOrDefault(self.maxSeconds)


class StoppingSetters(StoppingParams):
    """Setters of :class:`StoppingParams`, for estimators."""

    def setMonitor(self, value: str) -> Self:
        """Sets :py:attr:`monitor`."""
        return self._set(monitor=value)

    def setMonitorMode(self, value: str) -> Self:
        """Sets :py:attr:`monitorMode`."""
        return self._set(monitorMode=value)

    def setPatience(self, value: int) -> Self:
        """Sets :py:attr:`patience`."""
        return self._set(patience=value)

    def setMinDelta(self, value: float) -> Self:
        """Sets :py:attr:`minDelta`."""
        return self._set(minDelta=value)

    def setRestoreBest(self, value: bool) -> Self:
        """Sets :py:attr:`restoreBest`."""
        return self._set(restoreBest=value)

    def setTargetLoss(self, value: float) -> Self:
        """Sets :py:attr:`targetLoss`."""
        return self._set(targetLoss=value)

    def setTargetMetric(self, value: float) -> Self:
        """Sets :py:attr:`targetMetric`."""
        return self._set(targetMetric=value)

    def setMaxSeconds(self, value: float) -> Self:
        """Sets :py:attr:`maxSeconds`."""
        return self._set(maxSeconds=value)


class StoppingOptions(TypedDict, total=False):
    """Keyword arguments for :class:`StoppingParams`."""

    monitor: str
    monitorMode: str
    patience: int
    minDelta: float
    restoreBest: bool
    targetLoss: float
    targetMetric: float
    maxSeconds: float
