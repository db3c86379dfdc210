"""Keras models as networks, and back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firesteel.keras import activations, images, layers, recurrent
from firesteel.keras.builder import Builder, KerasConversionError, Value, keras, refuse
from firesteel.network import Network

UNARY_LAYERS: dict[str, Callable[[Builder, Any, str, Value], Value]] = {
    "Dense": layers.dense,
    "Embedding": layers.embedding,
    "BatchNormalization": layers.batch_normalization,
    "LayerNormalization": layers.layer_normalization,
    "Dropout": layers.dropout,
    "Identity": layers.identity,
    "Flatten": layers.flatten,
    "Reshape": layers.reshape,
    "Permute": layers.permute,
    "Activation": activations.activation_layer,
    "ReLU": activations.activation_layer,
    "LeakyReLU": activations.activation_layer,
    "ELU": activations.activation_layer,
    "Softmax": activations.activation_layer,
    "Conv1D": images.convolution,
    "Conv2D": images.convolution,
    "DepthwiseConv1D": images.depthwise,
    "DepthwiseConv2D": images.depthwise,
    "MaxPooling1D": images.pooling,
    "MaxPooling2D": images.pooling,
    "AveragePooling1D": images.pooling,
    "AveragePooling2D": images.pooling,
    "GlobalMaxPooling1D": images.global_pooling,
    "GlobalMaxPooling2D": images.global_pooling,
    "GlobalAveragePooling1D": images.global_pooling,
    "GlobalAveragePooling2D": images.global_pooling,
    "ZeroPadding2D": images.zero_padding,
    "Cropping2D": images.zero_padding,
    "LSTM": recurrent.recurrent,
    "GRU": recurrent.recurrent,
    "Bidirectional": recurrent.bidirectional,
}
"""The converters of layers with one input, by their name in `keras.layers`."""

MERGE_LAYERS: dict[str, Callable[[Builder, Any, str, list[Value]], Value]] = {
    "Add": layers.merge,
    "Subtract": layers.merge,
    "Multiply": layers.merge,
    "Average": layers.merge,
    "Maximum": layers.merge,
    "Minimum": layers.merge,
    "Concatenate": layers.concatenate,
}
"""The converters of layers with several inputs, by their name in `keras.layers`."""

WRAPPED = ("forward_layer", "backward_layer")
"""The attributes of a wrapper that hold the wrapped layers."""


def from_keras(model: Any) -> Network:
    """Converts a Keras 3 model to a network; training starts from its weights.

    Values keep Keras's order at inputs and outputs: the rows of an image are
    ``(height, width, channels)``. A node has its Keras layer's name, the activation of a layer is
    ``<layer>.activation``, and the layers of a nested model are ``<model>.<layer>``.

    Parameters
    ----------
    model : keras.Model
        A built ``Sequential`` or functional model. The documentation has a table of its layers.

    Returns
    -------
    Network
        The network, with weights and the shapes of its inputs.

    Raises
    ------
    KerasConversionError
        If a part of the model has no counterpart; names the layer, its class and the reason.
    ImportError
        If Keras is not installed.

    Examples
    --------
    >>> import keras
    >>> from firesteel import from_keras
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((28, 28, 1)),
    ...         keras.layers.Flatten(name="flatten"),
    ...         keras.layers.Dense(10, activation="softmax", name="digit"),
    ...     ]
    ... )
    >>> sorted(from_keras(model).weights)
    ['digit.bias', 'digit.weight']
    """
    builder, outputs = _convert(model)
    return builder.network(outputs)


def to_keras(trained: Any, keras_model: Any) -> Any:
    """Returns a copy of a Keras model with the trained weights of its network.

    Parameters
    ----------
    trained : model, Network or dict
        The source of the weights: a fitted model, a network with weights, or arrays by name.
    keras_model : keras.Model
        The model that :func:`from_keras` converted. It is not changed.

    Returns
    -------
    keras.Model
        A clone, not compiled.

    Raises
    ------
    ValueError
        When a tensor is missing or has another shape, or ``trained`` has no weights.
    """
    weights = trained if isinstance(trained, Mapping) else trained.weights
    if weights is None:
        raise ValueError("the network has no weights; give it some or a fitted model")
    clone = keras().models.clone_model(keras_model)
    if not clone.built:
        clone.build(keras_model.input_shape)
    builder, _ = _convert(clone)
    tensors: dict[str, NDArray[Any]] = {
        name: np.asarray(tensor) for name, tensor in weights.items()
    }
    for node, own in builder.weights.items():
        own.write(node, tensors)
    return clone


def _convert(model: Any) -> tuple[Builder, list[tuple[str, Value]]]:
    """Converts a model: its nodes, and its outputs with the names of their layers."""
    if not isinstance(model, keras().Model):
        raise TypeError(f"needs a keras.Model, not {type(model).__name__}")
    graph = _graph(model)
    builder = Builder()
    inputs = []
    for tensor in graph.inputs:
        layer = tensor._keras_history.operation
        shape = tuple(tensor.shape[1:])
        if not shape or None in shape:
            raise refuse(layer, f"its shape {tensor.shape} is not fixed beyond the batch")
        inputs.append(builder.input(layer.name, shape))
    outputs = _walk(builder, graph, "", inputs, set())
    names = [tensor._keras_history.operation.name for tensor in graph.outputs]
    return builder, list(zip(names, outputs, strict=True))


def _graph(model: Any) -> Any:
    """Returns the functional form of a model."""
    if isinstance(model, keras().Sequential):
        if not model.built:
            raise KerasConversionError(
                f"cannot convert model '{model.name}': it is not built; begin it with a keras.Input"
            )
        return model._functional
    if not hasattr(model, "_nodes_by_depth"):
        raise KerasConversionError(
            f"cannot convert model '{model.name}' ({type(model).__name__}): it is neither "
            "Sequential nor functional"
        )
    return model


def _walk(
    build: Builder, graph: Any, prefix: str, inputs: list[Value], seen: set[int]
) -> list[Value]:
    """Converts a graph's layers in order and returns the values of its outputs."""
    values: dict[int, Value] = {
        id(tensor): value for tensor, value in zip(graph.inputs, inputs, strict=True)
    }
    depths = sorted(graph._nodes_by_depth, reverse=True)
    for node in (node for depth in depths for node in graph._nodes_by_depth[depth]):
        if node.is_input:
            continue
        layer = node.operation
        _check(layer, node, seen)
        read = [values[id(tensor)] for tensor in node.input_tensors]
        name = prefix + layer.name
        if isinstance(layer, keras().Model):
            found = _walk(build, _graph(layer), f"{name}.", read, seen)
        else:
            found = [_layer(build, layer, name, read)]
        for tensor, value in zip(node.outputs, found, strict=True):
            expected = tuple(tensor.shape[1:])
            if value.shape != expected:
                raise refuse(layer, f"its output is {value.shape}, but {expected} in Keras")
            values[id(tensor)] = value
    return [values[id(tensor)] for tensor in graph.outputs]


def _layer(build: Builder, layer: Any, name: str, read: list[Value]) -> Value:
    kind = type(layer).__name__
    genuine = getattr(keras().layers, kind, None) is type(layer)
    if genuine and kind in MERGE_LAYERS:
        return MERGE_LAYERS[kind](build, layer, name, read)
    if not genuine or kind not in UNARY_LAYERS:
        known = ", ".join(sorted([*UNARY_LAYERS, *MERGE_LAYERS]))
        raise refuse(layer, f"layers of this class are not supported; use one of {known}")
    if len(read) != 1:
        raise refuse(layer, f"it reads {len(read)} tensors, not one")
    return UNARY_LAYERS[kind](build, layer, name, read[0])


def _check(layer: Any, node: Any, seen: set[int]) -> None:
    """Rejects what no layer supports."""
    if not isinstance(layer, keras().layers.Layer):
        raise refuse(layer, "it is an operation of keras.ops; only layers are supported")
    if layer.get_weights():
        if id(layer) in seen:
            raise refuse(layer, "it is called more than once; shared weights are not supported")
        seen.add(id(layer))
        if not layer.trainable:
            raise refuse(layer, "trainable=False; every weight is trained here")
    for own in (layer, *(getattr(layer, name, None) for name in WRAPPED)):
        if own is not None:
            _warn(layer, own.get_config())
    kind = layer.dtype_policy.compute_dtype
    if kind != "float32":
        raise refuse(layer, f"it computes in {kind}, not in float32")
    for argument, value in node.arguments.kwargs.items():
        # Keras also records absent arguments, and training=False.
        if value is not None and value is not False:
            raise refuse(layer, f"it is called with {argument}={value}")


def _warn(layer: Any, config: Mapping[str, Any]) -> None:
    """Warns about settings of a layer that only affect training in Keras."""
    for name, value in config.items():
        if value is not None and name.endswith(("_regularizer", "_constraint")):
            warnings.warn(
                f"layer '{layer.name}' ({type(layer).__name__}): its {name} is not applied",
                stacklevel=2,
            )
