"""The base class of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

Size = int | tuple[int, int]
"""A height and a width, or one number for both."""

_SIZES = ("kernel_size", "stride", "padding", "dilation", "output_size")


@dataclass(frozen=True)
class Layer:
    """A layer, or a container of layers."""

    @property
    def op(self) -> str:
        """The layer's name in ``torch.nn``."""
        return type(self).__name__

    def args(self) -> dict[str, Any]:
        """The arguments by their names in ``torch.nn``, except those with their default."""
        found: dict[str, Any] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value is not None and (entry.default is MISSING or value != entry.default):
                found[entry.name] = list(value) if isinstance(value, tuple) else value
        return found

    def _at_least(self, least: int, *names: str) -> None:
        """Checks numbers and sizes, and makes a size of two equal numbers one number."""
        for name in names:
            value = getattr(self, name)
            if value is None:
                continue
            sizes = tuple(value) if isinstance(value, Sequence) else (value,)
            if not sizes or any(isinstance(s, bool) or not isinstance(s, int) for s in sizes):
                raise TypeError(f"{self.op}: {name} must be of whole numbers, not {value!r}")
            if any(size < least for size in sizes):
                raise ValueError(f"{self.op}: {name} must be at least {least}, not {value}")
            if len(sizes) > 1 and len(set(sizes)) == 1 and name in _SIZES:
                object.__setattr__(self, name, sizes[0])
            elif isinstance(value, list):
                object.__setattr__(self, name, sizes)

    def _probability(self, name: str) -> None:
        value = getattr(self, name)
        if not 0 <= value <= 1:
            raise ValueError(f"{self.op}: {name} must be between 0 and 1, not {value}")

    def _positive(self, name: str) -> None:
        value = getattr(self, name)
        if not 0 < value < float("inf"):
            raise ValueError(f"{self.op}: {name} must be positive, not {value}")

    def _finite(self, name: str) -> None:
        value = getattr(self, name)
        if not abs(value) < float("inf"):
            raise ValueError(f"{self.op}: {name} must be finite, not {value}")

    def _one_of(self, name: str, known: Sequence[str]) -> None:
        value = getattr(self, name)
        if value not in known:
            choices = " or ".join(f"'{choice}'" for choice in known)
            raise ValueError(f"{self.op}: {name} must be {choices}, not '{value}'")

    def _not_rows(self, name: str) -> None:
        if getattr(self, name) == 0:
            raise ValueError(f"{self.op}: {name} 0 would mix the rows of a mini-batch")
