"""Checkpoints, from which a fit resumes after its driver has died."""

from __future__ import annotations

from typing import Any, Self, TypedDict

from pyspark.ml.param import Param, Params, TypeConverters


class CheckpointParams(Params):
    """Checkpoints, from which a fit resumes after its driver has died."""

    checkpointDir: Param[str] = Param(
        Params._dummy(),
        "checkpointDir",
        "folder for checkpoints, from which the same fit resumes if its driver has died; unless "
        "set, none",
        TypeConverters.toString,
    )

    checkpointSeconds: Param[float] = Param(
        Params._dummy(),
        "checkpointSeconds",
        "the seconds between two checkpoints (> 0)",
        TypeConverters.toFloat,
    )

    checkpointCommits: Param[int] = Param(
        Params._dummy(),
        "checkpointCommits",
        "number of updates of the parameter server after which a checkpoint is written before "
        "checkpointSeconds have passed (>= 1)",
        TypeConverters.toInt,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(checkpointSeconds=60.0)

    def getCheckpointDir(self) -> str:
        """Returns :py:attr:`checkpointDir` or its default."""
        return self.getOrDefault(self.checkpointDir)

    def getCheckpointSeconds(self) -> float:
        """Returns :py:attr:`checkpointSeconds` or its default."""
        return self.getOrDefault(self.checkpointSeconds)

    def getCheckpointCommits(self) -> int:
        """Returns :py:attr:`checkpointCommits` or its default."""
        return self.getOrDefault(self.checkpointCommits)


class CheckpointSetters(CheckpointParams):
    """Setters of :class:`CheckpointParams`, for estimators."""

    def setCheckpointDir(self, value: str) -> Self:
        """Sets :py:attr:`checkpointDir`."""
        return self._set(checkpointDir=value)

    def setCheckpointSeconds(self, value: float) -> Self:
        """Sets :py:attr:`checkpointSeconds`."""
        return self._set(checkpointSeconds=value)

    def setCheckpointCommits(self, value: int) -> Self:
        """Sets :py:attr:`checkpointCommits`."""
        return self._set(checkpointCommits=value)


class CheckpointOptions(TypedDict, total=False):
    """Keyword arguments for :class:`CheckpointParams`."""

    checkpointDir: str
    checkpointSeconds: float
    checkpointCommits: int
