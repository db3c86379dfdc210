"""Keras's activations as layers of the network."""

from __future__ import annotations

from typing import Any

from firesteel.keras.builder import Builder, Value, keras, refuse

FUNCTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("ReLU", {}),
    "relu6": ("ReLU6", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.2}),
    "elu": ("ELU", {}),
    "celu": ("ELU", {}),
    "selu": ("SELU", {}),
    "gelu": ("GELU", {}),
    "silu": ("SiLU", {}),
    "mish": ("Mish", {}),
    "tanh": ("Tanh", {}),
    "hard_tanh": ("Hardtanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "log_sigmoid": ("LogSigmoid", {}),
    "hard_sigmoid": ("Hardsigmoid", {}),
    "hard_silu": ("Hardswish", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "softmax": ("Softmax", {}),
    "log_softmax": ("LogSoftmax", {}),
}
"""Keras's functions by their name in `keras.activations`, with Keras's default arguments.

`celu` equals `elu` for alpha 1."""


def activate(build: Builder, layer: Any, name: str, value: Value, activation: Any) -> Value:
    """Adds an activation of `layer`: a Keras function, a layer or none."""
    if activation is None or activation is keras().activations.linear:
        return value
    if isinstance(activation, keras().layers.Layer):
        return activation_layer(build, activation, name, value)
    function = getattr(activation, "__name__", "")
    known = FUNCTIONS.get(function)
    if known is None or keras().activations.get(function) is not activation:
        shown = function or repr(activation)
        raise refuse(layer, f"its activation {shown} is not supported; use one of {_known()}")
    op, args = known
    if op in ("Softmax", "LogSoftmax"):
        args = {"dim": value.dimension(layer, -1)}
    return elementwise(build, name, value, op, args)


def activation_layer(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """Adds a layer that is an activation."""
    kind = type(layer).__name__
    if kind == "Activation":
        return activate(build, layer, name, value, layer.activation)
    if kind == "Softmax":
        axis = layer.axis
        if not isinstance(axis, int):
            raise refuse(layer, f"it has several axes, {axis}")
        dim = value.dimension(layer, axis)
        return elementwise(build, name, value, "Softmax", {"dim": dim})
    if kind == "LeakyReLU":
        slope = float(layer.negative_slope)
        return elementwise(build, name, value, "LeakyReLU", {"negative_slope": slope})
    if kind == "ELU":
        return elementwise(build, name, value, "ELU", {"alpha": float(layer.alpha)})
    if kind == "ReLU":
        return _relu(build, layer, name, value)
    raise refuse(layer, "its activation is not supported")


def _relu(build: Builder, layer: Any, name: str, value: Value) -> Value:
    largest, slope, threshold = layer.max_value, float(layer.negative_slope), layer.threshold
    if threshold == 0 and largest is None:
        op = ("LeakyReLU", {"negative_slope": slope}) if slope else ("ReLU", {})
    elif threshold == 0 and largest == 6 and not slope:
        op = ("ReLU6", {})
    else:
        raise refuse(
            layer,
            f"max_value={largest}, negative_slope={slope}, threshold={threshold} is not "
            "one of ReLU, LeakyReLU and ReLU6",
        )
    return elementwise(build, name, value, *op)


def elementwise(
    build: Builder, name: str, value: Value, op: str, args: dict[str, Any] | None = None
) -> Value:
    """Adds a node that keeps the shape."""
    node = build.node(name, op, value.name, **(args or {}))
    return Value(node, value.shape, value.channels_first)


def _known() -> str:
    return ", ".join(sorted({*FUNCTIONS, "linear"}))
