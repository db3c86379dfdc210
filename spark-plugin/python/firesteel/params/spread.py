"""The distribution of rows to workers."""

from __future__ import annotations

from typing import Any, Self, TypedDict

from pyspark.ml.param import Param, Params, TypeConverters


class SpreadParams(Params):
    """The distribution of rows to workers."""

    spreadRows: Param[str] = Param(
        Params._dummy(),
        "spreadRows",
        "shuffle of the rows over the tasks before training: auto (if tasks would otherwise get "
        "different kinds of rows), always, never",
        TypeConverters.toString,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(spreadRows="auto")

    def getSpreadRows(self) -> str:
        """Returns :py:attr:`spreadRows` or its default."""
        return self.getOrDefault(self.spreadRows)


class SpreadSetters(SpreadParams):
    """The setter of :class:`SpreadParams`, for estimators."""

    def setSpreadRows(self, value: str) -> Self:
        """Sets :py:attr:`spreadRows`."""
        return self._set(spreadRows=value)


class SpreadOptions(TypedDict, total=False):
    """Keyword arguments for :class:`SpreadParams`."""

    spreadRows: str
