"""Activations."""

from __future__ import annotations

from dataclasses import dataclass

from firesteel.layers.layer import Layer


@dataclass(frozen=True)
class ReLU(Layer):
    """``max(0, x)``."""


@dataclass(frozen=True)
class ReLU6(Layer):
    """``min(max(0, x), 6)``."""


@dataclass(frozen=True)
class LeakyReLU(Layer):
    """``x`` if it is positive, otherwise ``negative_slope * x``."""

    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        self._finite("negative_slope")


@dataclass(frozen=True)
class ELU(Layer):
    """``x`` if it is positive, otherwise ``alpha * (exp(x) - 1)``."""

    alpha: float = 1.0

    def __post_init__(self) -> None:
        self._finite("alpha")


@dataclass(frozen=True)
class SELU(Layer):
    """:class:`ELU`, scaled to preserve mean 0 and variance 1 (self-normalizing networks)."""


@dataclass(frozen=True)
class GELU(Layer):
    """``x Phi(x)`` with the normal distribution, or its ``"tanh"`` approximation."""

    approximate: str = "none"

    def __post_init__(self) -> None:
        self._one_of("approximate", ("none", "tanh"))


@dataclass(frozen=True)
class SiLU(Layer):
    """``x * sigmoid(x)``, also known as swish."""


@dataclass(frozen=True)
class Mish(Layer):
    """``x * tanh(softplus(x))``."""


@dataclass(frozen=True)
class Tanh(Layer):
    """The hyperbolic tangent."""


@dataclass(frozen=True)
class Hardtanh(Layer):
    """``min(max(-1, x), 1)``."""


@dataclass(frozen=True)
class Sigmoid(Layer):
    """``1 / (1 + exp(-x))``. As the last layer of a classifier it becomes a part of the loss."""


@dataclass(frozen=True)
class LogSigmoid(Layer):
    """``log(1 / (1 + exp(-x)))``."""


@dataclass(frozen=True)
class Hardsigmoid(Layer):
    """``min(max(0, x / 6 + 1 / 2), 1)``."""


@dataclass(frozen=True)
class Hardswish(Layer):
    """``x * hardsigmoid(x)``."""


@dataclass(frozen=True)
class Softplus(Layer):
    """``log(1 + exp(x))``."""


@dataclass(frozen=True)
class Softsign(Layer):
    """``x / (1 + abs(x))``."""


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
    """Returns its input unchanged."""
