"""The optimizer of the workers, and its options."""

from __future__ import annotations

from typing import Any, Self, TypedDict

from pyspark.ml.param import Param, Params, TypeConverters


class OptimizerParams(Params):
    """The optimizer of the workers, and its options."""

    optimizer: Param[str] = Param(
        Params._dummy(),
        "optimizer",
        "the worker's optimizer, as in torch.optim: sgd, adam, adamw, rmsprop, adagrad, "
        "adadelta, adamax, nadam, yogi",
        TypeConverters.toString,
    )

    learningRate: Param[float] = Param(
        Params._dummy(),
        "learningRate",
        "learning rate (> 0); unless set, as in PyTorch",
        TypeConverters.toFloat,
    )

    momentum: Param[float] = Param(
        Params._dummy(),
        "momentum",
        "momentum of sgd and rmsprop (>= 0); unless set, as in PyTorch",
        TypeConverters.toFloat,
    )

    dampening: Param[float] = Param(
        Params._dummy(),
        "dampening",
        "dampening of sgd's momentum (>= 0); unless set, as in PyTorch",
        TypeConverters.toFloat,
    )

    nesterov: Param[bool] = Param(
        Params._dummy(),
        "nesterov",
        "true for Nesterov momentum in sgd; unless set, as in PyTorch",
        TypeConverters.toBoolean,
    )

    weightDecay: Param[float] = Param(
        Params._dummy(),
        "weightDecay",
        "weight decay (>= 0); unless set, as in PyTorch",
        TypeConverters.toFloat,
    )

    beta1: Param[float] = Param(
        Params._dummy(),
        "beta1",
        "decay of the first moment of adam and its variants, in [0, 1); unless set, as in PyTorch",
        TypeConverters.toFloat,
    )

    beta2: Param[float] = Param(
        Params._dummy(),
        "beta2",
        "decay of the second moment of adam and its variants, in [0, 1); unless set, as in PyTorch",
        TypeConverters.toFloat,
    )

    epsilon: Param[float] = Param(
        Params._dummy(),
        "epsilon",
        "term added to denominators for numerical stability (>= 0); unless set, as in PyTorch",
        TypeConverters.toFloat,
    )

    amsgrad: Param[bool] = Param(
        Params._dummy(),
        "amsgrad",
        "true to use the maximum of all second moments in adam and adamw (AMSGrad); unless set, "
        "as in PyTorch",
        TypeConverters.toBoolean,
    )

    alpha: Param[float] = Param(
        Params._dummy(),
        "alpha",
        "decay of rmsprop's second moment, in [0, 1); unless set, as in PyTorch",
        TypeConverters.toFloat,
    )

    centered: Param[bool] = Param(
        Params._dummy(),
        "centered",
        "true for centered rmsprop, which subtracts the mean gradient; unless set, as in PyTorch",
        TypeConverters.toBoolean,
    )

    learningRateDecay: Param[float] = Param(
        Params._dummy(),
        "learningRateDecay",
        "learning rate decay of adagrad (>= 0); unless set, as in PyTorch",
        TypeConverters.toFloat,
    )

    initialAccumulator: Param[float] = Param(
        Params._dummy(),
        "initialAccumulator",
        "initial value of adagrad's sum of squares (>= 0); unless set, as in PyTorch",
        TypeConverters.toFloat,
    )

    rho: Param[float] = Param(
        Params._dummy(),
        "rho",
        "decay of adadelta's averages, in [0, 1); unless set, as in PyTorch",
        TypeConverters.toFloat,
    )

    momentumDecay: Param[float] = Param(
        Params._dummy(),
        "momentumDecay",
        "decay of nadam's momentum schedule (>= 0); unless set, as in PyTorch",
        TypeConverters.toFloat,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(optimizer="adam")

    def getOptimizer(self) -> str:
        """Returns :py:attr:`optimizer` or its default."""
        return self.getOrDefault(self.optimizer)

    def getLearningRate(self) -> float:
        """Returns :py:attr:`learningRate` or its default."""
        return self.getOrDefault(self.learningRate)

    def getMomentum(self) -> float:
        """Returns :py:attr:`momentum` or its default."""
        return self.getOrDefault(self.momentum)

    def getDampening(self) -> float:
        """Returns :py:attr:`dampening` or its default."""
        return self.getOrDefault(self.dampening)

    def getNesterov(self) -> bool:
        """Returns :py:attr:`nesterov` or its default."""
        return self.getOrDefault(self.nesterov)

    def getWeightDecay(self) -> float:
        """Returns :py:attr:`weightDecay` or its default."""
        return self.getOrDefault(self.weightDecay)

    def getBeta1(self) -> float:
        """Returns :py:attr:`beta1` or its default."""
        return self.getOrDefault(self.beta1)

    def getBeta2(self) -> float:
        """Returns :py:attr:`beta2` or its default."""
        return self.getOrDefault(self.beta2)

    def getEpsilon(self) -> float:
        """Returns :py:attr:`epsilon` or its default."""
        return self.getOrDefault(self.epsilon)

    def getAmsgrad(self) -> bool:
        """Returns :py:attr:`amsgrad` or its default."""
        return self.getOrDefault(self.amsgrad)

    def getAlpha(self) -> float:
        """Returns :py:attr:`alpha` or its default."""
        return self.getOrDefault(self.alpha)

    def getCentered(self) -> bool:
        """Returns :py:attr:`centered` or its default."""
        return self.getOrDefault(self.centered)

    def getLearningRateDecay(self) -> float:
        """Returns :py:attr:`learningRateDecay` or its default."""
        return self.getOrDefault(self.learningRateDecay)

    def getInitialAccumulator(self) -> float:
        """Returns :py:attr:`initialAccumulator` or its default."""
        return self.getOrDefault(self.initialAccumulator)

    def getRho(self) -> float:
        """Returns :py:attr:`rho` or its default."""
        return self.getOrDefault(self.rho)

    def getMomentumDecay(self) -> float:
        """Returns :py:attr:`momentumDecay` or its default."""
        return self.getOrDefault(self.momentumDecay)


class OptimizerSetters(OptimizerParams):
    """Setters of :class:`OptimizerParams`, for estimators."""

    def setOptimizer(self, value: str) -> Self:
        """Sets :py:attr:`optimizer`."""
        return self._set(optimizer=value)

    def setLearningRate(self, value: float) -> Self:
        """Sets :py:attr:`learningRate`."""
        return self._set(learningRate=value)

    def setMomentum(self, value: float) -> Self:
        """Sets :py:attr:`momentum`."""
        return self._set(momentum=value)

    def setDampening(self, value: float) -> Self:
        """Sets :py:attr:`dampening`."""
        return self._set(dampening=value)

    def setNesterov(self, value: bool) -> Self:
        """Sets :py:attr:`nesterov`."""
        return self._set(nesterov=value)

    def setWeightDecay(self, value: float) -> Self:
        """Sets :py:attr:`weightDecay`."""
        return self._set(weightDecay=value)

    def setBeta1(self, value: float) -> Self:
        """Sets :py:attr:`beta1`."""
        return self._set(beta1=value)

    def setBeta2(self, value: float) -> Self:
        """Sets :py:attr:`beta2`."""
        return self._set(beta2=value)

    def setEpsilon(self, value: float) -> Self:
        """Sets :py:attr:`epsilon`."""
        return self._set(epsilon=value)

    def setAmsgrad(self, value: bool) -> Self:
        """Sets :py:attr:`amsgrad`."""
        return self._set(amsgrad=value)

    def setAlpha(self, value: float) -> Self:
        """Sets :py:attr:`alpha`."""
        return self._set(alpha=value)

    def setCentered(self, value: bool) -> Self:
        """Sets :py:attr:`centered`."""
        return self._set(centered=value)

    def setLearningRateDecay(self, value: float) -> Self:
        """Sets :py:attr:`learningRateDecay`."""
        return self._set(learningRateDecay=value)

    def setInitialAccumulator(self, value: float) -> Self:
        """Sets :py:attr:`initialAccumulator`."""
        return self._set(initialAccumulator=value)

    def setRho(self, value: float) -> Self:
        """Sets :py:attr:`rho`."""
        return self._set(rho=value)

    def setMomentumDecay(self, value: float) -> Self:
        """Sets :py:attr:`momentumDecay`."""
        return self._set(momentumDecay=value)


class OptimizerOptions(TypedDict, total=False):
    """Keyword arguments for :class:`OptimizerParams`."""

    optimizer: str
    learningRate: float
    momentum: float
    dampening: float
    nesterov: bool
    weightDecay: float
    beta1: float
    beta2: float
    epsilon: float
    amsgrad: bool
    alpha: float
    centered: bool
    learningRateDecay: float
    initialAccumulator: float
    rho: float
    momentumDecay: float
