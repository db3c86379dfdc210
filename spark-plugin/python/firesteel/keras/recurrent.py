"""Keras's LSTM and GRU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firesteel.keras.builder import Arrays, Builder, Value, Weights, keras, refuse


def recurrent(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """LSTM and GRU."""
    _check(layer, layer)
    if layer.go_backwards:
        raise refuse(layer, "go_backwards=True; Bidirectional reads both ways")
    weights = Weights(
        layer,
        lambda arrays: _tensors(layer, arrays, ""),
        lambda tensor: _arrays(layer, tensor, ""),
    )
    return _recur(build, weights, layer, name, value)


def bidirectional(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """Bidirectional over LSTM or GRU."""
    forward, backward = layer.forward_layer, layer.backward_layer
    if type(forward) not in (keras().layers.LSTM, keras().layers.GRU):
        raise refuse(layer, f"it wraps a {type(forward).__name__}, not an LSTM or a GRU")
    if type(backward) is not type(forward) or backward.units != forward.units:
        raise refuse(layer, "its backward layer is not like its forward layer")
    if backward.use_bias != forward.use_bias or forward.go_backwards:
        raise refuse(layer, "its backward layer is not like its forward layer")
    if layer.merge_mode != "concat":
        raise refuse(layer, f"merge_mode={layer.merge_mode!r}; only 'concat' is supported")
    _check(layer, forward)
    _check(layer, backward)

    def tensors(arrays: Arrays) -> dict[str, NDArray[Any]]:
        half = len(arrays) // 2
        ahead = _tensors(forward, arrays[:half], "")
        return ahead | _tensors(backward, arrays[half:], "_reverse")

    def arrays(tensor: Callable[[str], NDArray[Any]]) -> list[NDArray[Any]]:
        return _arrays(forward, tensor, "") + _arrays(backward, tensor, "_reverse")

    weights = Weights(layer, tensors, arrays)
    return _recur(build, weights, forward, name, value, bidirectional=True)


def _recur(
    build: Builder, weights: Weights, cell: Any, name: str, value: Value, **more: Any
) -> Value:
    value = build.plain(value)
    if value.rank != 2:
        raise refuse(
            weights.layer, f"its input has the shape {value.shape}, not (length, features)"
        )
    node = build.node(
        name,
        type(cell).__name__,
        value.name,
        weights=weights,
        hidden_size=int(cell.units),
        bias=bool(cell.use_bias),
        output="sequence" if cell.return_sequences else "last",
        **more,
    )
    size = int(cell.units) * (2 if more else 1)
    return Value(node, (value.shape[0], size) if cell.return_sequences else (size,))


def _check(layer: Any, cell: Any) -> None:
    known = {
        "activation": keras().activations.tanh,
        "recurrent_activation": keras().activations.sigmoid,
    }
    for argument, function in known.items():
        found = getattr(cell, argument)
        if found is not function:
            shown = getattr(found, "__name__", found)
            raise refuse(layer, f"{argument}={shown!r}; only '{function.__name__}' is supported")
    for argument in ("dropout", "recurrent_dropout"):
        if getattr(cell, argument):
            raise refuse(
                layer,
                f"{argument}={getattr(cell, argument)}; use a Dropout layer before it",
            )
    for argument in ("return_state", "stateful"):
        if getattr(cell, argument):
            raise refuse(layer, f"{argument}=True")
    if not getattr(cell, "reset_after", True):
        raise refuse(layer, "reset_after=False; only reset_after=True is supported")


def _order(layer: Any) -> list[int]:
    """Returns the gates in PyTorch's order as Keras's indices; at most a swap, its own inverse."""
    return [1, 0, 2] if type(layer).__name__ == "GRU" else [0, 1, 2, 3]


def _gates(layer: Any, array: NDArray[Any]) -> NDArray[Any]:
    """Reorders the gates of the last dimension to the other library's order."""
    parts = np.split(array, len(_order(layer)), axis=-1)
    return np.concatenate([parts[gate] for gate in _order(layer)], axis=-1)


def _tensors(layer: Any, arrays: Arrays, suffix: str) -> dict[str, NDArray[Any]]:
    tensors = {
        "weight_ih": _gates(layer, arrays[0]).T,
        "weight_hh": _gates(layer, arrays[1]).T,
    }
    if layer.use_bias:
        bias = _gates(layer, arrays[2])
        # Keras's LSTM has one bias, PyTorch's the sum of two.
        both = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
        tensors["bias_ih"], tensors["bias_hh"] = both
    return {f"{name}_l0{suffix}": tensor for name, tensor in tensors.items()}


def _arrays(layer: Any, tensor: Callable[[str], NDArray[Any]], suffix: str) -> list[NDArray[Any]]:
    arrays = [
        _gates(layer, tensor(f"weight_ih_l0{suffix}").T),
        _gates(layer, tensor(f"weight_hh_l0{suffix}").T),
    ]
    if layer.use_bias:
        first, second = tensor(f"bias_ih_l0{suffix}"), tensor(f"bias_hh_l0{suffix}")
        bias = np.stack([first, second]) if type(layer).__name__ == "GRU" else first + second
        arrays.append(_gates(layer, bias))
    return arrays
