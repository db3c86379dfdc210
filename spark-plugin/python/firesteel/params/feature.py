"""The columns of features."""

from __future__ import annotations

from typing import Self, TypedDict

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol


class FeatureParams(HasFeaturesCol):
    """The columns of features."""

    featuresCols: Param[list[str]] = Param(
        Params._dummy(),
        "featuresCols",
        "several numeric columns that together form the features, instead of featuresCol",
        TypeConverters.toListString,
    )

    featuresScale: Param[float] = Param(
        Params._dummy(),
        "featuresScale",
        "factor by which each feature value is multiplied; unless set, 1/255 for binary features "
        "and 1 for others",
        TypeConverters.toFloat,
    )

    def getFeaturesCols(self) -> list[str]:
        """Returns :py:attr:`featuresCols` or its default."""
        return self.getOrDefault(self.featuresCols)

    def getFeaturesScale(self) -> float:
        """Returns :py:attr:`featuresScale` or its default."""
        return self.getOrDefault(self.featuresScale)


class FeatureSetters(FeatureParams):
    """Setters of :class:`FeatureParams`, for estimators."""

    def setFeaturesCols(self, value: list[str]) -> Self:
        """Sets :py:attr:`featuresCols`."""
        return self._set(featuresCols=value)

    def setFeaturesScale(self, value: float) -> Self:
        """Sets :py:attr:`featuresScale`."""
        return self._set(featuresScale=value)


class FeatureOptions(TypedDict, total=False):
    """Keyword arguments for :class:`FeatureParams`."""

    featuresCols: list[str]
    featuresScale: float
    featuresCol: str
