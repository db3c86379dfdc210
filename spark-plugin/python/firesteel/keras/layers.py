"""Keras's dense, normalization, shape and merge layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from firesteel.keras.activations import activate, elementwise
from firesteel.keras.builder import Builder, Value, Weights, refuse


def dense(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """Dense, over the last dimension."""
    value = build.plain(value)
    biased = bool(layer.use_bias)
    weights = Weights(
        layer,
        lambda arrays: dict(zip(("weight", "bias"), [arrays[0].T, *arrays[1:]], strict=False)),
        lambda tensor: [tensor("weight").T, *([tensor("bias")] if biased else [])],
    )
    units = int(layer.units)
    node = build.node(name, "Linear", value.name, weights=weights, out_features=units, bias=biased)
    result = Value(node, (*value.shape[:-1], units))
    return activate(build, layer, f"{name}.activation", result, layer.activation)


def embedding(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """Embedding."""
    if layer.mask_zero:
        raise refuse(layer, "mask_zero=True; masks are not supported")
    weights = Weights(
        layer, lambda arrays: {"weight": arrays[0]}, lambda tensor: [tensor("weight")]
    )
    value = build.plain(value)
    size = int(layer.output_dim)
    node = build.node(
        name,
        "Embedding",
        value.name,
        weights=weights,
        num_embeddings=int(layer.input_dim),
        embedding_dim=size,
    )
    return Value(node, (*value.shape, size))


def batch_normalization(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """BatchNormalization over the last dimension or the first of the row."""
    if value.rank > 3:
        raise refuse(layer, f"its input has the shape {value.shape}, of more than 3 dimensions")
    if layer.scale != layer.center:
        raise refuse(
            layer,
            f"scale={layer.scale} and center={layer.center}; only both or neither is supported",
        )
    if layer.synchronized:
        raise refuse(layer, "synchronized=True; each worker normalises by its own rows")
    axis = layer.axis + value.rank + 1 if layer.axis < 0 else layer.axis
    if axis == value.rank:
        value = build.channels_first(value)
    elif axis == 1:
        value = build.plain(value)
    else:
        raise refuse(layer, f"axis={layer.axis} is neither the last one nor the first of the row")
    affine = bool(layer.scale)
    names = (["weight", "bias"] if affine else []) + ["running_mean", "running_var"]
    weights = Weights(
        layer,
        lambda arrays: {
            **dict(zip(names, arrays, strict=True)),
            "num_batches_tracked": np.array(0, dtype=np.int64),
        },
        lambda tensor: [tensor(each) for each in names],
    )
    node = build.node(
        name,
        "BatchNorm2d" if value.rank == 3 else "BatchNorm1d",
        value.name,
        weights=weights,
        eps=float(layer.epsilon),
        momentum=1.0 - float(layer.momentum),
        affine=affine,
    )
    return Value(node, value.shape, value.channels_first)


def layer_normalization(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """LayerNormalization over the last dimensions."""
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    resolved = sorted(axis + value.rank + 1 if axis < 0 else axis for axis in axes)
    if resolved != list(range(value.rank + 1 - len(axes), value.rank + 1)):
        raise refuse(layer, f"axis={layer.axis}; only the last dimensions are supported")
    if layer.center and not layer.scale:
        raise refuse(layer, "scale=False and center=True; only both, neither or scale is supported")
    value = build.plain(value)
    names = ["weight"] * bool(layer.scale) + ["bias"] * bool(layer.center)
    weights = Weights(
        layer,
        lambda arrays: dict(zip(names, arrays, strict=True)),
        lambda tensor: [tensor(each) for each in names],
    )
    node = build.node(
        name,
        "LayerNorm",
        value.name,
        weights=weights,
        normalized_shape=list(value.shape[-len(axes) :]),
        eps=float(layer.epsilon),
        elementwise_affine=bool(layer.scale),
        bias=bool(layer.center),
    )
    return Value(node, value.shape)


def dropout(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """Dropout."""
    if layer.noise_shape is not None:
        raise refuse(layer, f"noise_shape={layer.noise_shape}")
    return elementwise(build, name, value, "Dropout", {"p": float(layer.rate)})


def identity(_build: Builder, _layer: Any, _name: str, value: Value) -> Value:
    """Identity."""
    return value


def flatten(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """Flatten, in Keras's order of the values."""
    if value.rank == 1:
        return value
    if layer.data_format == "channels_first":
        raise refuse(layer, "data_format='channels_first', which changes the order of the values")
    channels = value.shape[-1]
    size = math.prod(value.shape)
    # With one channel or one place the order is the same.
    if channels not in (1, size):
        value = build.plain(value)
    return Value(build.node(name, "Flatten", value.name), (size,))


def reshape(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """Reshape, in Keras's order of the values."""
    shape = tuple(layer.compute_output_shape((None, *value.shape)))[1:]
    value = build.plain(value)
    if not shape:
        raise refuse(layer, "its target shape has no dimension")
    return Value(build.node(name, "Reshape", value.name, shape=list(shape)), shape)


def permute(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """Permute."""
    value = build.plain(value)
    node = build.node(name, "Permute", value.name, dims=list(layer.dims))
    return Value(node, tuple(value.shape[dim - 1] for dim in layer.dims))


def merge(build: Builder, layer: Any, name: str, values: list[Value]) -> Value:
    """Add, Subtract, Multiply, Average, Maximum and Minimum."""
    shapes = [value.shape for value in values]
    if any(shape != shapes[0] for shape in shapes):
        raise refuse(layer, f"its inputs have the shapes {shapes}; they must be equal")
    values = build.same_order(values)
    node = build.node(name, type(layer).__name__, *(value.name for value in values))
    return Value(node, shapes[0], values[0].channels_first)


def concatenate(build: Builder, layer: Any, name: str, values: list[Value]) -> Value:
    """Concatenate."""
    values = build.same_order(values)
    dim = values[0].dimension(layer, layer.axis)
    axis = layer.axis if layer.axis < 0 else layer.axis - 1
    shape = list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    node = build.node(name, "Concatenate", *(value.name for value in values), dim=dim)
    return Value(node, tuple(shape), values[0].channels_first)
