"""Conversion between model arguments and networks."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from firesteel.network import BaseNetwork, Network
from firesteel.stages import NetworkModelBase
from firesteel.torchscript import TorchScriptNetwork

_MEMBER = re.compile(r"member\.(\d+)\.(.*)")


def is_keras(model: Any) -> bool:
    """Returns True for a Keras model."""
    # A program with a Keras model has imported Keras.
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Model)


def as_network(model: Any) -> BaseNetwork:
    """Returns the network, with weights, of a Keras model, a fitted model or a network.

    Raises
    ------
    TypeError
        If it is something else.
    firesteel.keras.KerasConversionError
        If a part of a Keras model has no counterpart; names the layer.
    """
    if isinstance(model, BaseNetwork):
        return model
    if is_keras(model):
        from firesteel.keras import from_keras

        return from_keras(model)
    if isinstance(model, NetworkModelBase):
        return with_weights(model.network, model.weights)
    raise TypeError(
        "needs a Keras model, a firesteel.Network or a fitted model of Firesteel, "
        f"not {type(model).__name__}"
    )


def output_names(model: Any, network: BaseNetwork) -> list[str]:
    """Returns the names of a model's outputs in a dict of losses.

    For a Keras model they are those of its layers, even if the network has further nodes.
    """
    # A Sequential has one output without a name.
    return list(getattr(model, "output_names", network.outputs))


def without_weights(network: BaseNetwork) -> BaseNetwork:
    """Returns the network without starting weights."""
    return with_weights(network, None)


def with_weights(network: BaseNetwork, weights: Mapping[str, NDArray[Any]] | None) -> BaseNetwork:
    """Returns the network with these starting weights."""
    if isinstance(network, Network | TorchScriptNetwork):
        return network.with_weights(weights)
    return network


def clone_with_weights(given: Any, weights: Mapping[str, NDArray[Any]]) -> Any:
    """Returns a copy of a Keras model with these weights."""
    from firesteel.keras import to_keras

    return to_keras(weights, given)


def split_ensemble(weights: Mapping[str, NDArray[Any]]) -> list[dict[str, NDArray[Any]]]:
    """Returns the weights of each member of an ensemble."""
    found: dict[int, dict[str, NDArray[Any]]] = {}
    for name, tensor in weights.items():
        match = _MEMBER.fullmatch(name)
        index, own = (int(match[1]), match[2]) if match else (0, name)
        found.setdefault(index, {})[own] = tensor
    return [found[index] for index in sorted(found)]
