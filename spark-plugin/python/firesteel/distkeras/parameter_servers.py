"""The report of a trainer on its parameter server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["ParameterServer"]


@dataclass(frozen=True)
class ParameterServer:
    """The report on the parameter server of a training.

    Parameters
    ----------
    num_updates : int
        The commits that it applied.
    model : keras.Model or firesteel model
        The trained model.
    """

    num_updates: int
    model: Any

    def get_num_updates(self) -> int:
        """The commits that it applied."""
        return self.num_updates

    def get_model(self) -> Any:
        """The trained model."""
        return self.model
