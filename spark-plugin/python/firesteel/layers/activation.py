"""Activations."""

from __future__ import annotations

from dataclasses import dataclass

from firesteel.layers.layer import Layer


@dataclass(frozen=True)
class ReLU(Layer):
    """``max(0, x)``."""


@dataclass(frozen=True)
class GELU(Layer):
    """``x Phi(x)`` with the normal distribution, or its ``"tanh"`` approximation."""

    approximate: str = "none"

    def __post_init__(self) -> None:
        self._one_of("approximate", ("none", "tanh"))


@dataclass(frozen=True)
class Tanh(Layer):
    """The hyperbolic tangent."""


@dataclass(frozen=True)
class Sigmoid(Layer):
    """``1 / (1 + exp(-x))``. As the last layer of a classifier it becomes a part of the loss."""


@dataclass(frozen=True)
class Softmax(Layer):
    """``exp(x) / sum(exp(x))`` over the dimension ``dim``.

    As the last layer of a classifier it becomes a part of the loss.
    """

    dim: int = -1

    def __post_init__(self) -> None:
        self._not_rows("dim")


@dataclass(frozen=True)
class LogSoftmax(Layer):
    """The logarithm of :class:`Softmax`, for the loss ``nll_loss``."""

    dim: int = -1

    def __post_init__(self) -> None:
        self._not_rows("dim")


@dataclass(frozen=True)
class Identity(Layer):
    """Gives what it gets."""
