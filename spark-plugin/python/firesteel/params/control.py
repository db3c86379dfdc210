"""Training controls beside the optimizer and the strategy."""

from __future__ import annotations

from typing import Any, Self

from pyspark.ml.param import Param, Params, TypeConverters

from firesteel.params.schedule import ScheduleOptions, ScheduleParams, ScheduleSetters
from firesteel.params.stopping import StoppingOptions, StoppingParams, StoppingSetters
from firesteel.params.validation import ValidationOptions, ValidationParams, ValidationSetters


class ControlParams(ScheduleParams, ValidationParams, StoppingParams):
    """Training controls beside the optimizer and the strategy."""

    clipValue: Param[float] = Param(
        Params._dummy(),
        "clipValue",
        "maximum absolute value of a gradient's elements (> 0)",
        TypeConverters.toFloat,
    )

    clipNorm: Param[float] = Param(
        Params._dummy(),
        "clipNorm",
        "maximum Euclidean norm of a gradient (> 0)",
        TypeConverters.toFloat,
    )

    classWeights: Param[list[float]] = Param(
        Params._dummy(),
        "classWeights",
        "weight of each class in the loss (>= 0)",
        TypeConverters.toListFloat,
    )

    labelSmoothing: Param[float] = Param(
        Params._dummy(),
        "labelSmoothing",
        "share of a class label that is distributed over all classes, from 0 to below 1",
        TypeConverters.toFloat,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(labelSmoothing=0.0)

    def getClipValue(self) -> float:
        """Returns :py:attr:`clipValue` or its default."""
        return self.getOrDefault(self.clipValue)

    def getClipNorm(self) -> float:
        """Returns :py:attr:`clipNorm` or its default."""
        return self.getOrDefault(self.clipNorm)

    def getClassWeights(self) -> list[float]:
        """Returns :py:attr:`classWeights` or its default."""
        return self.getOrDefault(self.classWeights)

    def getLabelSmoothing(self) -> float:
        """Returns :py:attr:`labelSmoothing` or its default."""
        return self.getOrDefault(self.labelSmoothing)


class ControlSetters(ScheduleSetters, ValidationSetters, StoppingSetters, ControlParams):
    """Setters of :class:`ControlParams`, for estimators."""

    def setClipValue(self, value: float) -> Self:
        """Sets :py:attr:`clipValue`."""
        return self._set(clipValue=value)

    def setClipNorm(self, value: float) -> Self:
        """Sets :py:attr:`clipNorm`."""
        return self._set(clipNorm=value)

    def setClassWeights(self, value: list[float]) -> Self:
        """Sets :py:attr:`classWeights`."""
        return self._set(classWeights=value)

    def setLabelSmoothing(self, value: float) -> Self:
        """Sets :py:attr:`labelSmoothing`."""
        return self._set(labelSmoothing=value)


class ControlOptions(ScheduleOptions, ValidationOptions, StoppingOptions, total=False):
    """Keyword arguments for :class:`ControlParams`."""

    clipValue: float
    clipNorm: float
    classWeights: list[float]
    labelSmoothing: float
