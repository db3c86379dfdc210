"""The learning-rate schedule and warm-up."""

from __future__ import annotations

from typing import Any, Self, TypedDict

from pyspark.ml.param import Param, Params, TypeConverters


class ScheduleParams(Params):
    """The learning-rate schedule and warm-up."""

    schedule: Param[str] = Param(
        Params._dummy(),
        "schedule",
        "learning rate schedule: constant, step, exponential, cosine, plateau",
        TypeConverters.toString,
    )

    scheduleStep: Param[int] = Param(
        Params._dummy(),
        "scheduleStep",
        "epochs between two changes of the step schedule (>= 1); unless set, 1",
        TypeConverters.toInt,
    )

    scheduleGamma: Param[float] = Param(
        Params._dummy(),
        "scheduleGamma",
        "decay factor of the step and exponential schedules (> 0); unless set, 0.1 and 0.9",
        TypeConverters.toFloat,
    )

    scheduleEpochs: Param[int] = Param(
        Params._dummy(),
        "scheduleEpochs",
        "epochs over which the cosine schedule falls to its minimum (>= 1); unless set, all",
        TypeConverters.toInt,
    )

    scheduleMinimum: Param[float] = Param(
        Params._dummy(),
        "scheduleMinimum",
        "the smallest rate of the cosine and plateau schedules (>= 0); unless set, 0",
        TypeConverters.toFloat,
    )

    scheduleInterval: Param[str] = Param(
        Params._dummy(),
        "scheduleInterval",
        "interval at which the cosine schedule changes the rate: epoch or step; unless set, epoch",
        TypeConverters.toString,
    )

    plateauFactor: Param[float] = Param(
        Params._dummy(),
        "plateauFactor",
        "decay factor of the plateau schedule, between 0 and 1; unless set, 0.1",
        TypeConverters.toFloat,
    )

    plateauPatience: Param[int] = Param(
        Params._dummy(),
        "plateauPatience",
        "epochs without an improvement that the plateau schedule tolerates (>= 0); unless set, 10",
        TypeConverters.toInt,
    )

    plateauThreshold: Param[float] = Param(
        Params._dummy(),
        "plateauThreshold",
        "minimum improvement for the plateau schedule (>= 0); unless set, 1e-4",
        TypeConverters.toFloat,
    )

    plateauThresholdMode: Param[str] = Param(
        Params._dummy(),
        "plateauThresholdMode",
        "mode of the plateau schedule's threshold: relative or absolute; unless set, relative",
        TypeConverters.toString,
    )

    plateauCooldown: Param[int] = Param(
        Params._dummy(),
        "plateauCooldown",
        "epochs after a reduction before the plateau schedule counts again (>= 0); unless set, 0",
        TypeConverters.toInt,
    )

    plateauMonitor: Param[str] = Param(
        Params._dummy(),
        "plateauMonitor",
        "value that the plateau schedule monitors: loss, trainingLoss or a metric; unless set, "
        "the loss",
        TypeConverters.toString,
    )

    warmupSteps: Param[int] = Param(
        Params._dummy(),
        "warmupSteps",
        "mini-batches of each worker over which the learning rate warms up (>= 1); unless set, "
        "no warm-up",
        TypeConverters.toInt,
    )

    warmupStart: Param[float] = Param(
        Params._dummy(),
        "warmupStart",
        "factor of the learning rate at the start of the warm-up, above 0 and at most 1; unless "
        "set, 1/3",
        TypeConverters.toFloat,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(schedule="constant")

    def getSchedule(self) -> str:
        """Returns :py:attr:`schedule` or its default."""
        return self.getOrDefault(self.schedule)

    def getScheduleStep(self) -> int:
        """Returns :py:attr:`scheduleStep` or its default."""
        return self.getOrDefault(self.scheduleStep)

    def getScheduleGamma(self) -> float:
        """Returns :py:attr:`scheduleGamma` or its default."""
        return self.getOrDefault(self.scheduleGamma)

    def getScheduleEpochs(self) -> int:
        """Returns :py:attr:`scheduleEpochs` or its default."""
        return self.getOrDefault(self.scheduleEpochs)

    def getScheduleMinimum(self) -> float:
        """Returns :py:attr:`scheduleMinimum` or its default."""
        return self.getOrDefault(self.scheduleMinimum)

    def getScheduleInterval(self) -> str:
        """Returns :py:attr:`scheduleInterval` or its default."""
        return self.getOrDefault(self.scheduleInterval)

    def getPlateauFactor(self) -> float:
        """Returns :py:attr:`plateauFactor` or its default."""
        return self.getOrDefault(self.plateauFactor)

    def getPlateauPatience(self) -> int:
        """Returns :py:attr:`plateauPatience` or its default."""
        return self.getOrDefault(self.plateauPatience)

    def getPlateauThreshold(self) -> float:
        """Returns :py:attr:`plateauThreshold` or its default."""
        return self.getOrDefault(self.plateauThreshold)

    def getPlateauThresholdMode(self) -> str:
        """Returns :py:attr:`plateauThresholdMode` or its default."""
        return self.getOrDefault(self.plateauThresholdMode)

    def getPlateauCooldown(self) -> int:
        """Returns :py:attr:`plateauCooldown` or its default."""
        return self.getOrDefault(self.plateauCooldown)

    def getPlateauMonitor(self) -> str:
        """Returns :py:attr:`plateauMonitor` or its default."""
        return self.getOrDefault(self.plateauMonitor)

    def getWarmupSteps(self) -> int:
        """Returns :py:attr:`warmupSteps` or its default."""
        return self.getOrDefault(self.warmupSteps)

    def getWarmupStart(self) -> float:
        """Returns :py:attr:`warmupStart` or its default."""
        return self.getOrDefault(self.warmupStart)


class ScheduleSetters(ScheduleParams):
    """Setters of :class:`ScheduleParams`, for estimators."""

    def setSchedule(self, value: str) -> Self:
        """Sets :py:attr:`schedule`."""
        return self._set(schedule=value)

    def setScheduleStep(self, value: int) -> Self:
        """Sets :py:attr:`scheduleStep`."""
        return self._set(scheduleStep=value)

    def setScheduleGamma(self, value: float) -> Self:
        """Sets :py:attr:`scheduleGamma`."""
        return self._set(scheduleGamma=value)

    def setScheduleEpochs(self, value: int) -> Self:
        """Sets :py:attr:`scheduleEpochs`."""
        return self._set(scheduleEpochs=value)

    def setScheduleMinimum(self, value: float) -> Self:
        """Sets :py:attr:`scheduleMinimum`."""
        return self._set(scheduleMinimum=value)

    def setScheduleInterval(self, value: str) -> Self:
        """Sets :py:attr:`scheduleInterval`."""
        return self._set(scheduleInterval=value)

    def setPlateauFactor(self, value: float) -> Self:
        """Sets :py:attr:`plateauFactor`."""
        return self._set(plateauFactor=value)

    def setPlateauPatience(self, value: int) -> Self:
        """Sets :py:attr:`plateauPatience`."""
        return self._set(plateauPatience=value)

    def setPlateauThreshold(self, value: float) -> Self:
        """Sets :py:attr:`plateauThreshold`."""
        return self._set(plateauThreshold=value)

    def setPlateauThresholdMode(self, value: str) -> Self:
        """Sets :py:attr:`plateauThresholdMode`."""
        return self._set(plateauThresholdMode=value)

    def setPlateauCooldown(self, value: int) -> Self:
        """Sets :py:attr:`plateauCooldown`."""
        return self._set(plateauCooldown=value)

    def setPlateauMonitor(self, value: str) -> Self:
        """Sets :py:attr:`plateauMonitor`."""
        return self._set(plateauMonitor=value)

    def setWarmupSteps(self, value: int) -> Self:
        """Sets :py:attr:`warmupSteps`."""
        return self._set(warmupSteps=value)

    def setWarmupStart(self, value: float) -> Self:
        """Sets :py:attr:`warmupStart`."""
        return self._set(warmupStart=value)


class ScheduleOptions(TypedDict, total=False):
    """Keyword arguments for :class:`ScheduleParams`."""

    schedule: str
    scheduleStep: int
    scheduleGamma: float
    scheduleEpochs: int
    scheduleMinimum: float
    scheduleInterval: str
    plateauFactor: float
    plateauPatience: int
    plateauThreshold: float
    plateauThresholdMode: str
    plateauCooldown: int
    plateauMonitor: str
    warmupSteps: int
    warmupStart: float
