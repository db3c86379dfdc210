"""The number of workers, and the strategy that combines their replicas."""

from __future__ import annotations

from typing import Any, Self

from pyspark.ml.param import Param, Params, TypeConverters

from firesteel.params.compression import CompressionOptions, CompressionParams, CompressionSetters
from firesteel.params.server_optimizer import (
    ServerOptimizerOptions,
    ServerOptimizerParams,
    ServerOptimizerSetters,
)


class StrategyParams(ServerOptimizerParams, CompressionParams):
    """The number of workers, and the strategy that combines their replicas."""

    strategy: Param[str] = Param(
        Params._dummy(),
        "strategy",
        "training strategy, which merges the workers' replicas into one model: auto, single, "
        "averaging, ensemble, downpour, adag, agn-adaptive, dynsgd, aeasgd, eamsgd, easgd, sync, "
        "local-sgd, diloco, agn",
        TypeConverters.toString,
    )

    window: Param[int] = Param(
        Params._dummy(),
        "window",
        "mini-batches between two exchanges with the parameter server (>= 1); unless set, the "
        "strategy's default",
        TypeConverters.toInt,
    )

    numWorkers: Param[int] = Param(
        Params._dummy(),
        "numWorkers",
        "number of workers (>= 1); the strategy auto uses at most one for each slot and for every "
        "8 rows of batchSize; unless set, the number of the cluster's slots, or 1 for the strategy "
        "single",
        TypeConverters.toInt,
    )

    elasticAlpha: Param[float] = Param(
        Params._dummy(),
        "elasticAlpha",
        "moving rate of the elastic strategies (> 0); unless set, 0.9 divided by the number of "
        "workers, and more for aeasgd and eamsgd if workers take turns on fewer slots",
        TypeConverters.toFloat,
    )

    elasticRho: Param[float] = Param(
        Params._dummy(),
        "elasticRho",
        "elastic force (> 0); times the learning rate, it is the moving rate of the elastic "
        "strategies",
        TypeConverters.toFloat,
    )

    elasticMomentum: Param[float] = Param(
        Params._dummy(),
        "elasticMomentum",
        "momentum of eamsgd's local step, in [0, 1); unless set, 0.9",
        TypeConverters.toFloat,
    )

    adaptiveGamma: Param[float] = Param(
        Params._dummy(),
        "adaptiveGamma",
        "the squared distance at which agn-adaptive halves an update (> 0); unless set, 1e-4",
        TypeConverters.toFloat,
    )

    outerLearningRate: Param[float] = Param(
        Params._dummy(),
        "outerLearningRate",
        "learning rate of diloco's server (> 0); unless set, 0.7",
        TypeConverters.toFloat,
    )

    outerMomentum: Param[float] = Param(
        Params._dummy(),
        "outerMomentum",
        "Nesterov momentum of diloco's server, in [0, 1); unless set, 0.9",
        TypeConverters.toFloat,
    )

    serverScale: Param[float] = Param(
        Params._dummy(),
        "serverScale",
        "factor of the commits of downpour, adag and agn-adaptive (> 0), 1 for the plain rules; "
        "unless set, it depends on the workers, the tasks that train at the same time, and the "
        "window",
        TypeConverters.toFloat,
    )

    overlap: Param[bool] = Param(
        Params._dummy(),
        "overlap",
        "true to let asynchronous workers train on during an exchange, which makes commits one "
        "window late; unless set, false",
        TypeConverters.toBoolean,
    )

    serverShards: Param[int] = Param(
        Params._dummy(),
        "serverShards",
        "number of servers, in the driver and in executors, that hold the network's parameters "
        "(>= 1)",
        TypeConverters.toInt,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(strategy="auto", serverShards=1)

    def getStrategy(self) -> str:
        """Returns :py:attr:`strategy` or its default."""
        return self.getOrDefault(self.strategy)

    def getWindow(self) -> int:
        """Returns :py:attr:`window` or its default."""
        return self.getOrDefault(self.window)

    def getNumWorkers(self) -> int:
        """Returns :py:attr:`numWorkers` or its default."""
        return self.getOrDefault(self.numWorkers)

    def getElasticAlpha(self) -> float:
        """Returns :py:attr:`elasticAlpha` or its default."""
        return self.getOrDefault(self.elasticAlpha)

    def getElasticRho(self) -> float:
        """Returns :py:attr:`elasticRho` or its default."""
        return self.getOrDefault(self.elasticRho)

    def getElasticMomentum(self) -> float:
        """Returns :py:attr:`elasticMomentum` or its default."""
        return self.getOrDefault(self.elasticMomentum)

    def getAdaptiveGamma(self) -> float:
        """Returns :py:attr:`adaptiveGamma` or its default."""
        return self.getOrDefault(self.adaptiveGamma)

    def getOuterLearningRate(self) -> float:
        """Returns :py:attr:`outerLearningRate` or its default."""
        return self.getOrDefault(self.outerLearningRate)

    def getOuterMomentum(self) -> float:
        """Returns :py:attr:`outerMomentum` or its default."""
        return self.getOrDefault(self.outerMomentum)

    def getServerScale(self) -> float:
        """Returns :py:attr:`serverScale` or its default."""
        return self.getOrDefault(self.serverScale)

    def getOverlap(self) -> bool:
        """Returns :py:attr:`overlap` or its default."""
        return self.getOrDefault(self.overlap)

    def getServerShards(self) -> int:
        """Returns :py:attr:`serverShards` or its default."""
        return self.getOrDefault(self.serverShards)


class StrategySetters(ServerOptimizerSetters, CompressionSetters, StrategyParams):
    """Setters of :class:`StrategyParams`, for estimators."""

    def setStrategy(self, value: str) -> Self:
        """Sets :py:attr:`strategy`."""
        return self._set(strategy=value)

    def setWindow(self, value: int) -> Self:
        """Sets :py:attr:`window`."""
        return self._set(window=value)

    def setNumWorkers(self, value: int) -> Self:
        """Sets :py:attr:`numWorkers`."""
        return self._set(numWorkers=value)

    def setElasticAlpha(self, value: float) -> Self:
        """Sets :py:attr:`elasticAlpha`."""
        return self._set(elasticAlpha=value)

    def setElasticRho(self, value: float) -> Self:
        """Sets :py:attr:`elasticRho`."""
        return self._set(elasticRho=value)

    def setElasticMomentum(self, value: float) -> Self:
        """Sets :py:attr:`elasticMomentum`."""
        return self._set(elasticMomentum=value)

    def setAdaptiveGamma(self, value: float) -> Self:
        """Sets :py:attr:`adaptiveGamma`."""
        return self._set(adaptiveGamma=value)

    def setOuterLearningRate(self, value: float) -> Self:
        """Sets :py:attr:`outerLearningRate`."""
        return self._set(outerLearningRate=value)

    def setOuterMomentum(self, value: float) -> Self:
        """Sets :py:attr:`outerMomentum`."""
        return self._set(outerMomentum=value)

    def setServerScale(self, value: float) -> Self:
        """Sets :py:attr:`serverScale`."""
        return self._set(serverScale=value)

    def setOverlap(self, value: bool) -> Self:
        """Sets :py:attr:`overlap`."""
        return self._set(overlap=value)

    def setServerShards(self, value: int) -> Self:
        """Sets :py:attr:`serverShards`."""
        return self._set(serverShards=value)


class StrategyOptions(ServerOptimizerOptions, CompressionOptions, total=False):
    """Keyword arguments for :class:`StrategyParams`."""

    strategy: str
    window: int
    numWorkers: int
    elasticAlpha: float
    elasticRho: float
    elasticMomentum: float
    adaptiveGamma: float
    outerLearningRate: float
    outerMomentum: float
    serverScale: float
    overlap: bool
    serverShards: int
