"""The params of networks with any number of inputs and outputs."""

from __future__ import annotations

from typing import Self

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasOutputCols

from firesteel.params.loss import HuberOptions, HuberParams, HuberSetters

_LOSSES = (
    "cross_entropy",
    "binary_cross_entropy_with_logits",
    "nll_loss",
    "hinge",
    "kl_div",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "poisson_nll_loss",
)


class MultiIOParams(HuberParams, HasOutputCols):
    """Columns for each of a network's inputs and outputs, and a loss for each output."""

    featuresCols: Param[list[str]] = Param(
        Params._dummy(),
        "featuresCols",
        "one column for each of the network's inputs, in their order",
        TypeConverters.toListString,
    )

    featuresScales: Param[list[float]] = Param(
        Params._dummy(),
        "featuresScales",
        "factor of the values of each input; unless set, 1/255 for binary columns and 1 for others",
        TypeConverters.toListFloat,
    )

    labelCols: Param[list[str]] = Param(
        Params._dummy(),
        "labelCols",
        "one label column for each of the network's outputs, in their order",
        TypeConverters.toListString,
    )

    losses: Param[list[str]] = Param(
        Params._dummy(),
        "losses",
        f"the loss of each output: {', '.join(_LOSSES)}; unless set, chosen by output and label",
        TypeConverters.toListString,
    )

    lossWeights: Param[list[float]] = Param(
        Params._dummy(),
        "lossWeights",
        "weight of each output's loss in the sum (> 0); unless set, 1 for each",
        TypeConverters.toListFloat,
    )

    def getFeaturesCols(self) -> list[str]:
        """Returns :py:attr:`featuresCols` or its default."""
        return self.getOrDefault(self.featuresCols)

    def getFeaturesScales(self) -> list[float]:
        """Returns :py:attr:`featuresScales` or its default."""
        return self.getOrDefault(self.featuresScales)

    def getLabelCols(self) -> list[str]:
        """Returns :py:attr:`labelCols` or its default."""
        return self.getOrDefault(self.labelCols)

    def getLosses(self) -> list[str]:
        """Returns :py:attr:`losses` or its default."""
        return self.getOrDefault(self.losses)

    def getLossWeights(self) -> list[float]:
        """Returns :py:attr:`lossWeights` or its default."""
        return self.getOrDefault(self.lossWeights)

    def setFeaturesCols(self, value: list[str]) -> Self:
        """Sets :py:attr:`featuresCols`."""
        return self._set(featuresCols=value)

    def setOutputCols(self, value: list[str]) -> Self:
        """Sets :py:attr:`outputCols`."""
        return self._set(outputCols=value)


class MultiIOSetters(HuberSetters, MultiIOParams):
    """Setters of :class:`MultiIOParams`, for estimators."""

    def setFeaturesScales(self, value: list[float]) -> Self:
        """Sets :py:attr:`featuresScales`."""
        return self._set(featuresScales=value)

    def setLabelCols(self, value: list[str]) -> Self:
        """Sets :py:attr:`labelCols`."""
        return self._set(labelCols=value)

    def setLosses(self, value: list[str]) -> Self:
        """Sets :py:attr:`losses`."""
        return self._set(losses=value)

    def setLossWeights(self, value: list[float]) -> Self:
        """Sets :py:attr:`lossWeights`."""
        return self._set(lossWeights=value)


class MultiIOOptions(HuberOptions, total=False):
    """Keyword arguments for :class:`MultiIOParams`."""

    featuresCols: list[str]
    featuresScales: list[float]
    labelCols: list[str]
    losses: list[str]
    lossWeights: list[float]
    outputCols: list[str]
