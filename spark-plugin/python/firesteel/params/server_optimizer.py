"""The server optimizer and its options."""

from __future__ import annotations

from typing import Self, TypedDict

from pyspark.ml.param import Param, Params, TypeConverters


class ServerOptimizerParams(Params):
    """The server optimizer and its options."""

    serverOptimizer: Param[str] = Param(
        Params._dummy(),
        "serverOptimizer",
        "the parameter server's optimizer: sgd, adagrad, adam, yogi; unless set, updates are added",
        TypeConverters.toString,
    )

    serverLearningRate: Param[float] = Param(
        Params._dummy(),
        "serverLearningRate",
        "the server's optimizer: learning rate (> 0)",
        TypeConverters.toFloat,
    )

    serverMomentum: Param[float] = Param(
        Params._dummy(),
        "serverMomentum",
        "the server's optimizer: momentum of sgd (>= 0)",
        TypeConverters.toFloat,
    )

    serverNesterov: Param[bool] = Param(
        Params._dummy(),
        "serverNesterov",
        "true for Nesterov momentum in the server's sgd",
        TypeConverters.toBoolean,
    )

    serverBeta1: Param[float] = Param(
        Params._dummy(),
        "serverBeta1",
        "the server's optimizer: decay of the first moment of adam and yogi, in [0, 1)",
        TypeConverters.toFloat,
    )

    serverBeta2: Param[float] = Param(
        Params._dummy(),
        "serverBeta2",
        "the server's optimizer: decay of the second moment of adam and yogi, in [0, 1)",
        TypeConverters.toFloat,
    )

    serverEpsilon: Param[float] = Param(
        Params._dummy(),
        "serverEpsilon",
        "the server's optimizer: term added to denominators for numerical stability (>= 0)",
        TypeConverters.toFloat,
    )

    def getServerOptimizer(self) -> str:
        """Returns :py:attr:`serverOptimizer` or its default."""
        return self.getOrDefault(self.serverOptimizer)

    def getServerLearningRate(self) -> float:
        """Returns :py:attr:`serverLearningRate` or its default."""
        return self.getOrDefault(self.serverLearningRate)

    def getServerMomentum(self) -> float:
        """Returns :py:attr:`serverMomentum` or its default."""
        return self.getOrDefault(self.serverMomentum)

    def getServerNesterov(self) -> bool:
        """Returns :py:attr:`serverNesterov` or its default."""
        return self.getOrDefault(self.serverNesterov)

    def getServerBeta1(self) -> float:
        """Returns :py:attr:`serverBeta1` or its default."""
        return self.getOrDefault(self.serverBeta1)

    def getServerBeta2(self) -> float:
        """Returns :py:attr:`serverBeta2` or its default."""
        return self.getOrDefault(self.serverBeta2)

    def getServerEpsilon(self) -> float:
        """Returns :py:attr:`serverEpsilon` or its default."""
        return self.getOrDefault(self.serverEpsilon)


class ServerOptimizerSetters(ServerOptimizerParams):
    """Setters of :class:`ServerOptimizerParams`, for estimators."""

    def setServerOptimizer(self, value: str) -> Self:
        """Sets :py:attr:`serverOptimizer`."""
        return self._set(serverOptimizer=value)

    def setServerLearningRate(self, value: float) -> Self:
        """Sets :py:attr:`serverLearningRate`."""
        return self._set(serverLearningRate=value)

    def setServerMomentum(self, value: float) -> Self:
        """Sets :py:attr:`serverMomentum`."""
        return self._set(serverMomentum=value)

    def setServerNesterov(self, value: bool) -> Self:
        """Sets :py:attr:`serverNesterov`."""
        return self._set(serverNesterov=value)

    def setServerBeta1(self, value: float) -> Self:
        """Sets :py:attr:`serverBeta1`."""
        return self._set(serverBeta1=value)

    def setServerBeta2(self, value: float) -> Self:
        """Sets :py:attr:`serverBeta2`."""
        return self._set(serverBeta2=value)

    def setServerEpsilon(self, value: float) -> Self:
        """Sets :py:attr:`serverEpsilon`."""
        return self._set(serverEpsilon=value)


class ServerOptimizerOptions(TypedDict, total=False):
    """Keyword arguments for :class:`ServerOptimizerParams`."""

    serverOptimizer: str
    serverLearningRate: float
    serverMomentum: float
    serverNesterov: bool
    serverBeta1: float
    serverBeta2: float
    serverEpsilon: float
