"""Compression of the messages of workers."""

from __future__ import annotations

from typing import Self, TypedDict

from pyspark.ml.param import Param, Params, TypeConverters


class CompressionParams(Params):
    """Compression of the messages of workers."""

    compression: Param[str] = Param(
        Params._dummy(),
        "compression",
        "compression of the workers' messages: none, bf16, f16, int8, topk; unless set, none",
        TypeConverters.toString,
    )

    compressionRatio: Param[float] = Param(
        Params._dummy(),
        "compressionRatio",
        "the share of values that topk sends, above 0 and at most 1; unless set, 0.01",
        TypeConverters.toFloat,
    )

    compressPull: Param[bool] = Param(
        Params._dummy(),
        "compressPull",
        "true to send the center variable to the workers in bf16 or f16, too; unless set, false",
        TypeConverters.toBoolean,
    )

    def getCompression(self) -> str:
        """Returns :py:attr:`compression` or its default."""
        return self.getOrDefault(self.compression)

    def getCompressionRatio(self) -> float:
        """Returns :py:attr:`compressionRatio` or its default."""
        return self.getOrDefault(self.compressionRatio)

    def getCompressPull(self) -> bool:
        """Returns :py:attr:`compressPull` or its default."""
        return self.getOrDefault(self.compressPull)


class CompressionSetters(CompressionParams):
    """Setters of :class:`CompressionParams`, for estimators."""

    def setCompression(self, value: str) -> Self:
        """Sets :py:attr:`compression`."""
        return self._set(compression=value)

    def setCompressionRatio(self, value: float) -> Self:
        """Sets :py:attr:`compressionRatio`."""
        return self._set(compressionRatio=value)

    def setCompressPull(self, value: bool) -> Self:
        """Sets :py:attr:`compressPull`."""
        return self._set(compressPull=value)


class CompressionOptions(TypedDict, total=False):
    """Keyword arguments for :class:`CompressionParams`."""

    compression: str
    compressionRatio: float
    compressPull: bool
