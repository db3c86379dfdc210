"""The loss of a network with one output, and the option of ``huber_loss``."""

from __future__ import annotations

from typing import Any, Self, TypedDict

from pyspark.ml.param import Param, Params, TypeConverters


def loss_param(*losses: str) -> Param[str]:
    """Creates the param ``loss`` of an estimator with these losses."""
    return Param(
        Params._dummy(),
        "loss",
        f"the loss: {', '.join(losses)}; unless set, chosen by the network's output",
        TypeConverters.toString,
    )


class LossParams(Params):
    """The loss of a network with one output."""

    # The stages override it, because each has different losses.
    loss: Param[str] = loss_param()

    def getLoss(self) -> str:
        """Returns :py:attr:`loss` or its default."""
        return self.getOrDefault(self.loss)


class LossSetters(LossParams):
    """Setters of :class:`LossParams`, for estimators."""

    def setLoss(self, value: str) -> Self:
        """Sets :py:attr:`loss`."""
        return self._set(loss=value)


class LossOptions(TypedDict, total=False):
    """Keyword arguments for :class:`LossParams`."""

    loss: str


class HuberParams(Params):
    """The option of the loss ``huber_loss``."""

    huberDelta: Param[float] = Param(
        Params._dummy(),
        "huberDelta",
        "the error at which huber_loss turns from a square into a line (> 0)",
        TypeConverters.toFloat,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(huberDelta=1.0)

    def getHuberDelta(self) -> float:
        """Returns :py:attr:`huberDelta` or its default."""
        return self.getOrDefault(self.huberDelta)


class HuberSetters(HuberParams):
    """Setters of :class:`HuberParams`, for estimators."""

    def setHuberDelta(self, value: float) -> Self:
        """Sets :py:attr:`huberDelta`."""
        return self._set(huberDelta=value)


class HuberOptions(TypedDict, total=False):
    """Keyword arguments for :class:`HuberParams`."""

    huberDelta: float
