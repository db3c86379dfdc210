"""Recurrent layers."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from firesteel.layers.layer import Layer


@dataclass(frozen=True)
class _Recurrent(Layer):
    hidden_size: int
    _: KW_ONLY
    num_layers: int = 1
    bias: bool = True
    dropout: float = 0.0
    bidirectional: bool = False
    output: str = "sequence"
    input_size: int | None = None

    def __post_init__(self) -> None:
        self._at_least(1, "hidden_size", "num_layers", "input_size")
        self._probability("dropout")
        self._one_of("output", ("sequence", "last"))


@dataclass(frozen=True)
class LSTM(_Recurrent):
    """Long short-term memory: ``[length, in]`` becomes ``[length, hidden_size]``.

    Twice as wide if bidirectional; with the output ``"last"`` only the last hidden state. Rows come
    one after the other (PyTorch's ``batch_first``).
    """


@dataclass(frozen=True)
class GRU(_Recurrent):
    """Gated recurrent units, with the arguments and shapes of :class:`LSTM`."""
