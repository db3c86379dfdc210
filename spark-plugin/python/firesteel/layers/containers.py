"""Containers of layers, and their conversion to the nodes of a graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from firesteel.layers.basic import Add
from firesteel.layers.layer import Layer


@dataclass(frozen=True, init=False)
class Sequential(Layer):
    """Consecutive layers."""

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        object.__setattr__(self, "layers", layers)


@dataclass(frozen=True, init=False)
class Residual(Layer):
    """``x + f(x)`` with these layers as ``f``.

    ``shortcut`` are layers that stand for the first ``x`` where its shape must change.
    """

    layers: tuple[Layer, ...]
    shortcut: tuple[Layer, ...]

    def __init__(self, *layers: Layer, shortcut: Sequence[Layer] = ()) -> None:
        if not layers:
            raise ValueError("Residual: needs at least one layer")
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "shortcut", tuple(shortcut))


def flatten(
    layers: Sequence[Layer], prefix: str = "", source: str = "features"
) -> Iterator[tuple[str, Layer, tuple[str, ...]]]:
    """Flattens containers into consecutive layers: the name, the layer and the inputs of each."""
    for index, layer in enumerate(layers):
        name = f"{prefix}{index}"
        for node in _nodes(name, layer, source):
            yield node
            source = node[0]


def _nodes(name: str, layer: Layer, source: str) -> Iterator[tuple[str, Layer, tuple[str, ...]]]:
    if isinstance(layer, Sequential):
        yield from flatten(layer.layers, f"{name}.", source)
    elif isinstance(layer, Residual):
        branch = list(flatten(layer.layers, f"{name}.", source))
        straight = list(flatten(layer.shortcut, f"{name}.shortcut.", source))
        yield from branch
        yield from straight
        ends = (nodes[-1][0] if nodes else source for nodes in (branch, straight))
        yield name, Add(), tuple(ends)
    else:
        yield name, layer, (source,)
