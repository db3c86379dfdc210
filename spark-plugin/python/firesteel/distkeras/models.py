"""What is given as a model, and what is given back for it."""

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
    """Whether it is a Keras model."""
    # Who has one has imported Keras.
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Model)


def as_network(model: Any) -> BaseNetwork:
    """The network of a Keras model, of a fitted model, or the network itself; with its weights.

    Raises
    ------
    TypeError
        When it is something else.
    firesteel.keras.KerasConversionError
        When something of a Keras model has no counterpart; it names the layer.
    """
    if isinstance(model, BaseNetwork):
        return model
    if is_keras(model):
        from firesteel.keras import from_keras

        return from_keras(model)
    if isinstance(model, NetworkModelBase):
        return _starting(model.network, model.weights)
    raise TypeError(
        "needs a Keras model, a firesteel.Network or a fitted model of Firesteel, "
        f"not {type(model).__name__}"
    )


def output_names(model: Any, network: BaseNetwork) -> list[str]:
    """What the outputs of a model are called where losses are given by their names.

    To Keras they are called as its layers, also where the network has nodes of its own behind them.
    """
    # A Sequential has one, and no name for it.
    return list(getattr(model, "output_names", network.outputs))


def without_weights(network: BaseNetwork) -> BaseNetwork:
    """The network without weights that training would start from."""
    return _starting(network, None)


def _starting(network: BaseNetwork, weights: Mapping[str, NDArray[Any]] | None) -> BaseNetwork:
    """The network, whose training starts from these weights."""
    if isinstance(network, Network | TorchScriptNetwork):
        return network.with_weights(weights)
    return network


def clone_with_weights(given: Any, weights: Mapping[str, NDArray[Any]]) -> Any:
    """A Keras model like the one that was given, with these weights."""
    from firesteel.keras import to_keras

    return to_keras(weights, given)


def split_ensemble(weights: Mapping[str, NDArray[Any]]) -> list[dict[str, NDArray[Any]]]:
    """The weights of each member of an ensemble."""
    found: dict[int, dict[str, NDArray[Any]]] = {}
    for name, tensor in weights.items():
        match = _MEMBER.fullmatch(name)
        index, own = (int(match[1]), match[2]) if match else (0, name)
        found.setdefault(index, {})[own] = tensor
    return [found[index] for index in sorted(found)]
