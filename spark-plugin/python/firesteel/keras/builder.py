"""The builder of networks from Keras layers, which tracks the channel order of values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firesteel.network import Network, Node

Arrays = Sequence[NDArray[Any]]


class KerasConversionError(ValueError):
    """A part of a Keras model has no counterpart; the message names the layer."""


@cache
def keras() -> ModuleType:
    """Keras 3.

    Raises
    ------
    ImportError
        When it is not installed, saying how to.
    """
    try:
        found = import_module("keras")
    except ImportError as error:
        raise ImportError(
            "Keras models need Keras 3 and one of its backends: pip install 'firesteel[keras]'"
        ) from error
    version = getattr(found, "__version__", "unknown")
    if not version.startswith("3."):
        raise ImportError(f"Keras models need Keras 3; found {version}")
    return found


def refuse(layer: Any, problem: str) -> KerasConversionError:
    """Creates the error of a layer that is not convertible."""
    return KerasConversionError(
        f"cannot convert layer '{layer.name}' ({type(layer).__name__}): {problem}"
    )


@dataclass(frozen=True)
class Value:
    """The counterpart of a Keras tensor in the network.

    Parameters
    ----------
    name : str
        The input or node that has the value.
    shape : tuple of int
        Its shape in Keras, without the batch.
    channels_first : bool
        True if the last dimension of that shape comes first in the network.
    """

    name: str
    shape: tuple[int, ...]
    channels_first: bool = False

    @property
    def rank(self) -> int:
        """The number of dimensions without the batch."""
        return len(self.shape)

    def dimension(self, layer: Any, axis: int) -> int:
        """Converts a Keras dimension to the network's; both count the batch."""
        resolved = axis + self.rank + 1 if axis < 0 else axis
        if not 1 <= resolved <= self.rank:
            raise refuse(layer, f"axis {axis} is the batch or not an axis of its input")
        if not self.channels_first:
            return resolved
        return 1 if resolved == self.rank else resolved + 1


@dataclass(frozen=True)
class Weights:
    """The weights of one Keras layer and their tensors in the network.

    Parameters
    ----------
    layer : keras.layers.Layer
        The layer.
    tensors : callable
        Converts ``layer.get_weights()`` to tensors by their name within the node.
    arrays : callable
        The inverse; takes a function from such a name to the tensor.
    """

    layer: Any
    tensors: Callable[[Arrays], dict[str, NDArray[Any]]]
    arrays: Callable[[Callable[[str], NDArray[Any]]], list[NDArray[Any]]]

    def read(self, node: str) -> dict[str, NDArray[Any]]:
        """Returns the layer's weights as the tensors of a node, by their full name."""
        tensors = self.tensors(self.layer.get_weights())
        return {f"{node}.{name}": np.asarray(tensors[name], order="C") for name in tensors}

    def write(self, node: str, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Sets the layer's weights from the tensors of a node."""

        def tensor(name: str) -> NDArray[Any]:
            full = f"{node}.{name}"
            if full not in tensors:
                raise ValueError(
                    f"the weights have no tensor '{full}', which layer '{self.layer.name}' needs"
                )
            return tensors[full]

        arrays = self.arrays(tensor)
        expected = [array.shape for array in self.layer.get_weights()]
        found = [array.shape for array in arrays]
        if found != expected:
            raise ValueError(
                f"the weights of layer '{self.layer.name}' have the shapes {found}, not {expected}"
            )
        self.layer.set_weights(arrays)


class Builder:
    """Collects nodes and weights."""

    def __init__(self) -> None:
        self.inputs: list[Value] = []
        self.weights: dict[str, Weights] = {}
        self._nodes: list[Node] = []
        self._names: set[str] = set()
        self._moved: dict[Value, Value] = {}

    def input(self, name: str, shape: tuple[int, ...]) -> Value:
        """Adds an input of the network."""
        value = Value(self.unused(name), shape)
        self.inputs.append(value)
        return value

    def unused(self, name: str) -> str:
        """Returns the name, with a number if it is taken."""
        candidate, count = name, 1
        while candidate in self._names:
            candidate, count = f"{name}_{count}", count + 1
        self._names.add(candidate)
        return candidate

    def node(
        self, name: str, op: str, *inputs: str, weights: Weights | None = None, **args: Any
    ) -> str:
        """Adds a node, with its weights if it has any, and returns its name."""
        name = self.unused(name)
        self._nodes.append(Node(name, op, inputs, args))
        if weights is not None:
            self.weights[name] = weights
        return name

    def channels_first(self, value: Value) -> Value:
        """Returns the value with its last dimension first, as convolutions need it."""
        if value.channels_first or value.rank < 2:
            return value
        rank = value.rank
        return self._move(value, "channels_first", [rank, *range(1, rank)])

    def plain(self, value: Value) -> Value:
        """Returns the value with its dimensions in Keras's order."""
        if not value.channels_first:
            return value
        return self._move(value, "channels_last", [*range(2, value.rank + 1), 1])

    def same_order(self, values: Sequence[Value]) -> list[Value]:
        """Returns the values in the channel order of the first of them."""
        first = values[0].channels_first
        return [self.channels_first(v) if first else self.plain(v) for v in values]

    def _move(self, value: Value, suffix: str, dims: list[int]) -> Value:
        if value not in self._moved:
            name = self.node(f"{value.name}.{suffix}", "Permute", value.name, dims=dims)
            moved = Value(name, value.shape, not value.channels_first)
            self._moved[value], self._moved[moved] = moved, value
        return self._moved[value]

    def network(self, outputs: Sequence[tuple[str, Value]]) -> Network:
        """Builds the network with these outputs; each has a name in case it needs an extra node."""
        names: list[str] = []
        inputs = [value.name for value in self.inputs]
        for name, value in outputs:
            plain = self.plain(value).name
            if plain in inputs or plain in names:
                plain = self.node(name, "Identity", plain)
            names.append(plain)
        tensors: dict[str, NDArray[Any]] = {}
        for node, weights in self.weights.items():
            tensors.update(weights.read(node))
        shapes = {value.name: value.shape for value in self.inputs}
        return Network(inputs, self._nodes, names, shapes, tensors or None)
