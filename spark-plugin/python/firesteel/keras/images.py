"""Keras's convolution and pooling, over one dimension or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firesteel.keras.activations import activate
from firesteel.keras.builder import Arrays, Builder, Value, Weights, refuse


@dataclass(frozen=True)
class Image:
    """A node of the shape `[channels, height, width]`; a sequence has the width 1."""

    name: str
    channels: int
    size: tuple[int, int]


def same_padding(length: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Returns the zeros before and after `length` that windows of `kernel` at `stride` need."""
    windows = -(-length // stride)
    total = max(0, (windows - 1) * stride + (kernel - 1) * dilation + 1 - length)
    return total // 2, total - total // 2


def _first(build: Builder, layer: Any, value: Value) -> tuple[Value, tuple[int, ...]]:
    """Returns the value with its channels first, and its shape, for either Keras order."""
    if layer.data_format == "channels_last":
        moved = build.channels_first(value)
        return moved, (value.shape[-1], *value.shape[:-1])
    moved = build.plain(value)
    return moved, value.shape


def _image(build: Builder, layer: Any, name: str, value: Value) -> Image:
    moved, (channels, *spatial) = _first(build, layer, value)
    if len(spatial) == 2:
        return Image(moved.name, channels, (spatial[0], spatial[1]))
    shape = [channels, spatial[0], 1]
    node = build.node(f"{name}.image", "Reshape", moved.name, shape=shape)
    return Image(node, channels, (spatial[0], 1))


def _value(build: Builder, layer: Any, name: str, image: Image, rank: int) -> Value:
    """Returns an image as a value of Keras's rank."""
    node, size = image.name, list(image.size)
    if rank == 2:
        size = size[:1]
        node = build.node(f"{name}.sequence", "Reshape", node, shape=[image.channels, *size])
    if layer.data_format == "channels_last":
        return Value(node, (*size, image.channels), channels_first=True)
    return Value(node, (image.channels, *size))


def _pair(given: Sequence[int] | int) -> tuple[int, int]:
    values = (given,) if isinstance(given, int) else tuple(given)
    return (values[0], values[1]) if len(values) == 2 else (values[0], 1)


def convolution(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """Conv1D and Conv2D."""
    kernel, stride = _pair(layer.kernel_size), _pair(layer.strides)
    groups, filters = int(layer.groups), int(layer.filters)

    def tensors(arrays: Arrays) -> dict[str, NDArray[Any]]:
        weight = np.moveaxis(arrays[0], (-1, -2), (0, 1))
        return _with_bias(weight.reshape(filters, -1, *kernel), arrays)

    def weight_of(weight: NDArray[Any]) -> NDArray[Any]:
        spatial = weight.reshape(*weight.shape[:2], *layer.kernel_size)
        return np.moveaxis(spatial, (0, 1), (-1, -2))

    weights = Weights(layer, tensors, _arrays_with_bias(layer, weight_of))
    image = _image(build, layer, name, value)
    args = {"out_channels": filters, "kernel_size": list(kernel), "stride": list(stride)}
    return _convolve(
        build, layer, name, value, image, args | {"groups": groups, "weights": weights}
    )


def depthwise(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """DepthwiseConv1D and DepthwiseConv2D."""
    kernel, stride = _pair(layer.kernel_size), _pair(layer.strides)
    image = _image(build, layer, name, value)
    filters = image.channels * int(layer.depth_multiplier)

    def tensors(arrays: Arrays) -> dict[str, NDArray[Any]]:
        weight = np.moveaxis(arrays[0], (-2, -1), (0, 1))
        return _with_bias(weight.reshape(filters, 1, *kernel), arrays)

    def weight_of(weight: NDArray[Any]) -> NDArray[Any]:
        spatial = weight.reshape(image.channels, -1, *layer.kernel_size)
        return np.moveaxis(spatial, (0, 1), (-2, -1))

    weights = Weights(layer, tensors, _arrays_with_bias(layer, weight_of))
    args = {"out_channels": filters, "kernel_size": list(kernel), "stride": list(stride)}
    return _convolve(
        build, layer, name, value, image, args | {"groups": image.channels, "weights": weights}
    )


def _convolve(
    build: Builder, layer: Any, name: str, value: Value, image: Image, args: dict[str, Any]
) -> Value:
    kernel, stride = args["kernel_size"], args["stride"]
    dilation = _pair(layer.dilation_rate)
    spread = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    match layer.padding:
        case "valid":
            sides = [(0, 0), (0, 0)]
        case "same":
            sides = [
                same_padding(*each)
                for each in zip(image.size, kernel, stride, dilation, strict=True)
            ]
        case "causal":
            sides = [(spread[0] - 1, 0), (0, 0)]
        case other:
            raise refuse(layer, f"padding='{other}' is not supported")
    padding: list[int] | str = [before for before, _ in sides]
    node = image.name
    if layer.padding == "same" and list(stride) == [1, 1]:
        padding = "same"
    elif any(before != after for before, after in sides):
        (top, bottom), (left, right) = sides
        node = build.node(f"{name}.pad", "ZeroPad2d", node, padding=[left, right, top, bottom])
        padding = [0, 0]
    node = build.node(
        name,
        "Conv2d",
        node,
        **args,
        dilation=list(dilation),
        padding=padding,
        bias=bool(layer.use_bias),
    )
    size = tuple(
        (length + sum(side) - wide) // step + 1
        for length, side, wide, step in zip(image.size, sides, spread, stride, strict=True)
    )
    result = Image(node, args["out_channels"], (size[0], size[1]))
    convolved = _value(build, layer, name, result, value.rank)
    return activate(build, layer, f"{name}.activation", convolved, layer.activation)


def _with_bias(weight: NDArray[Any], arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {"weight": weight} | ({"bias": arrays[1]} if len(arrays) > 1 else {})


def _arrays_with_bias(layer: Any, weight_of: Any) -> Any:
    def arrays(tensor: Any) -> list[NDArray[Any]]:
        bias = [tensor("bias")] if layer.use_bias else []
        return [weight_of(tensor("weight")), *bias]

    return arrays


def pooling(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """MaxPooling and AveragePooling over one dimension or two."""
    largest = type(layer).__name__.startswith("Max")
    kernel, stride = _pair(layer.pool_size), _pair(layer.strides)
    image = _image(build, layer, name, value)
    args: dict[str, Any] = {"kernel_size": list(kernel), "stride": list(stride)}
    sides = [(0, 0), (0, 0)]
    crop = [0, 0]
    if layer.padding == "same":
        sides = [same_padding(*each) for each in zip(image.size, kernel, stride, strict=True)]
        uneven = [before != after for before, after in sides]
        if any(uneven) and not largest:
            raise refuse(
                layer,
                f"padding='same' pads {sides} unevenly, and Keras's backends differ in what they "
                "average there",
            )
        # ceil_mode adds a window that only reaches over the end. A stride of 1 leaves no room for
        # one: there, one more window before the start is cut off.
        crop = [int(odd and step == 1) for odd, step in zip(uneven, stride, strict=True)]
        args["padding"] = [before + cut for (before, _), cut in zip(sides, crop, strict=True)]
        if any(uneven):
            args["ceil_mode"] = True
    if not largest:
        args["count_include_pad"] = False
    node = build.node(name, "MaxPool2d" if largest else "AvgPool2d", image.name, **args)
    if any(crop):
        node = build.node(f"{name}.crop", "ZeroPad2d", node, padding=[-crop[1], 0, -crop[0], 0])
    size = tuple(
        (length + sum(side) - wide) // step + 1
        for length, side, wide, step in zip(image.size, sides, kernel, stride, strict=True)
    )
    result = Image(node, image.channels, (size[0], size[1]))
    return _value(build, layer, name, result, value.rank)


def global_pooling(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """GlobalMaxPooling and GlobalAveragePooling over one dimension or two."""
    image = _image(build, layer, name, value)
    largest = type(layer).__name__.startswith("GlobalMax")
    op = "AdaptiveMaxPool2d" if largest else "AdaptiveAvgPool2d"
    node = build.node(name, op, image.name, output_size=1)
    if layer.keepdims:
        return _value(build, layer, name, Image(node, image.channels, (1, 1)), value.rank)
    node = build.node(f"{name}.flat", "Flatten", node)
    return Value(node, (image.channels,))


def zero_padding(build: Builder, layer: Any, name: str, value: Value) -> Value:
    """ZeroPadding2D and Cropping2D."""
    crops = type(layer).__name__ == "Cropping2D"
    (top, bottom), (left, right) = layer.cropping if crops else layer.padding
    image = _image(build, layer, name, value)
    sides = [-side if crops else side for side in (left, right, top, bottom)]
    node = build.node(name, "ZeroPad2d", image.name, padding=sides)
    size = (image.size[0] + sides[2] + sides[3], image.size[1] + sides[0] + sides[1])
    return _value(build, layer, name, Image(node, image.channels, size), value.rank)
