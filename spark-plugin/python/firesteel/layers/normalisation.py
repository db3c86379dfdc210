"""Normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firesteel.layers.layer import Layer


@dataclass(frozen=True)
class _BatchNorm(Layer):
    num_features: int | None = None
    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = True

    def __post_init__(self) -> None:
        self._at_least(1, "num_features")
        self._positive("eps")
        self._probability("momentum")


@dataclass(frozen=True)
class BatchNorm1d(_BatchNorm):
    """Batch normalisation of ``[c]`` or ``[c, l]`` over rows and length."""


@dataclass(frozen=True)
class BatchNorm2d(_BatchNorm):
    """Batch normalisation of ``[c, h, w]`` over rows, height and width."""


@dataclass(frozen=True)
class LayerNorm(Layer):
    """Normalisation over the last dimensions, those of ``normalized_shape``."""

    normalized_shape: int | Sequence[int]
    eps: float = 1e-5
    elementwise_affine: bool = True
    bias: bool = True

    def __post_init__(self) -> None:
        shape = self.normalized_shape
        object.__setattr__(
            self, "normalized_shape", tuple(shape) if isinstance(shape, Sequence) else (shape,)
        )
        self._at_least(1, "normalized_shape")
        self._positive("eps")
