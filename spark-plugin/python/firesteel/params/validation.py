"""Validation rows, which are held out and scored after each epoch."""

from __future__ import annotations

from typing import Self, TypedDict

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasValidationIndicatorCol


class ValidationParams(HasValidationIndicatorCol):
    """Validation rows, which are held out and scored after each epoch."""

    validationFraction: Param[float] = Param(
        Params._dummy(),
        "validationFraction",
        "the share of the rows that is held out for validation, between 0 and 1, instead of "
        "validationIndicatorCol",
        TypeConverters.toFloat,
    )

    metrics: Param[list[str]] = Param(
        Params._dummy(),
        "metrics",
        "metrics of the validation rows after each epoch: accuracy, top<k>, auc, confusion; mse, "
        "mae, r2; <output>_<metric> for one of several outputs",
        TypeConverters.toListString,
    )

    def getValidationFraction(self) -> float:
        """Returns :py:attr:`validationFraction` or its default."""
        return self.getOrDefault(self.validationFraction)

    def getMetrics(self) -> list[str]:
        """Returns :py:attr:`metrics` or its default."""
        return self.getOrDefault(self.metrics)


class ValidationSetters(ValidationParams):
    """Setters of :class:`ValidationParams`, for estimators."""

    def setValidationFraction(self, value: float) -> Self:
        """Sets :py:attr:`validationFraction`."""
        return self._set(validationFraction=value)

    def setMetrics(self, value: list[str]) -> Self:
        """Sets :py:attr:`metrics`."""
        return self._set(metrics=value)

    def setValidationIndicatorCol(self, value: str) -> Self:
        """Sets :py:attr:`validationIndicatorCol`."""
        return self._set(validationIndicatorCol=value)


class ValidationOptions(TypedDict, total=False):
    """Keyword arguments for :class:`ValidationParams`."""

    validationFraction: float
    metrics: list[str]
    validationIndicatorCol: str
