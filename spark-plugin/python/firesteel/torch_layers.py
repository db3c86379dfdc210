"""The layers of a network as steps of a ``torch.fx`` graph."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

if TYPE_CHECKING:
    from firesteel.network import Node

INFERRED: Mapping[str, tuple[str, int]] = {
    "Linear": ("in_features", -1),
    "Conv2d": ("in_channels", 1),
    "BatchNorm1d": ("num_features", 1),
    "BatchNorm2d": ("num_features", 1),
    "LayerNorm": ("normalized_shape", -1),
    "LSTM": ("input_size", -1),
    "GRU": ("input_size", -1),
}
"""Layers with an argument that is inferred from the input, and the dimension that has it."""

PLAIN = frozenset(
    {
        "MaxPool2d",
        "AvgPool2d",
        "AdaptiveMaxPool2d",
        "AdaptiveAvgPool2d",
        "Dropout",
        "Flatten",
        "ZeroPad2d",
        "ReLU",
        "ReLU6",
        "LeakyReLU",
        "ELU",
        "SELU",
        "GELU",
        "SiLU",
        "Mish",
        "Tanh",
        "Hardtanh",
        "Sigmoid",
        "LogSigmoid",
        "Hardsigmoid",
        "Hardswish",
        "Softplus",
        "Softsign",
        "Softmax",
        "LogSoftmax",
        "Embedding",
        "Identity",
    }
)
"""Layers that ``torch.nn`` has under the same name, with the same arguments."""

RECURRENT = frozenset({"LSTM", "GRU"})

KEEPS_VALUES = frozenset({"Flatten", "Reshape", "Identity"})
"""Layers that may stand between an input of token ids and its ``Embedding``."""


def module(node: Node, shape: Sequence[int]) -> nn.Module | None:
    """Creates the module of a layer whose input has this shape, including the batch.

    Returns
    -------
    torch.nn.Module or None
        None for a layer without a module in ``torch.nn``.

    Raises
    ------
    ValueError, TypeError
        If the type is unknown, or its arguments do not fit.
    """
    if node.op not in PLAIN and node.op not in INFERRED:
        if node.op in FUNCTIONS:
            return None
        known = ", ".join(sorted(PLAIN | INFERRED.keys() | FUNCTIONS.keys()))
        raise ValueError(f"unknown layer type; use one of {known}")
    args = _arguments(node)
    if node.op in INFERRED:
        name, dimension = INFERRED[node.op]
        args.setdefault(name, shape[dimension])
    layer: nn.Module = getattr(nn, node.op)(**args)
    return layer


def _arguments(node: Node) -> dict[str, Any]:
    """The arguments for ``torch.nn``: absent instead of null, tuples instead of lists."""
    args = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in node.args.items()
        # A momentum of null is not the default: the mean over all batches.
        if value is not None or name == "momentum"
    }
    # In place, a layer would change a value that another layer also reads.
    args.pop("inplace", None)
    if node.op in ("Softmax", "LogSoftmax"):
        args.setdefault("dim", -1)
    if node.op in RECURRENT:
        args.pop("output", None)
        args["batch_first"] = True
        if args.get("num_layers", 1) == 1:
            args.pop("dropout", None)
    return args


def steps(graph: fx.Graph, node: Node, target: str, inputs: list[fx.Node]) -> fx.Node:
    """Adds the computation of a layer to a graph; its module, if it has one, is at `target`."""
    if node.op in FUNCTIONS:
        return FUNCTIONS[node.op](graph, node.args, inputs)
    called = graph.call_module(target, (inputs[0],))
    if node.op not in RECURRENT:
        return called
    if node.args.get("output") != "last":
        return graph.call_function(operator.getitem, (called, 0))
    state = graph.call_function(operator.getitem, (called, 1))
    if node.op == "LSTM":
        state = graph.call_function(operator.getitem, (state, 0))
    # [layers * directions, rows, hidden]: the last layer's directions side by side.
    directions = 2 if node.args.get("bidirectional") else 1
    last = graph.call_function(operator.getitem, (state, slice(-directions, None)))
    rows_first = graph.call_method("transpose", (last, 0, 1))
    return graph.call_method("flatten", (rows_first, 1))


Function = Callable[[fx.Graph, Mapping[str, Any], list[fx.Node]], fx.Node]


def _chain(function: Callable[[Any, Any], Any]) -> Function:
    """Combines all inputs, one after the other."""

    def build(graph: fx.Graph, _args: Mapping[str, Any], inputs: list[fx.Node]) -> fx.Node:
        result = inputs[0]
        for other in inputs[1:]:
            result = graph.call_function(function, (result, other))
        return result

    return build


def _average(graph: fx.Graph, args: Mapping[str, Any], inputs: list[fx.Node]) -> fx.Node:
    total = _chain(operator.add)(graph, args, inputs)
    return graph.call_function(operator.truediv, (total, len(inputs)))


def _permute(graph: fx.Graph, args: Mapping[str, Any], inputs: list[fx.Node]) -> fx.Node:
    return graph.call_method("permute", (inputs[0], 0, *args["dims"]))


def _concatenate(graph: fx.Graph, args: Mapping[str, Any], inputs: list[fx.Node]) -> fx.Node:
    dim = args.get("dim")
    return graph.call_function(torch.cat, (inputs, 1 if dim is None else dim))


def _reshape(graph: fx.Graph, args: Mapping[str, Any], inputs: list[fx.Node]) -> fx.Node:
    rows = graph.call_method("size", (inputs[0], 0))
    return graph.call_method("reshape", (inputs[0], rows, *args["shape"]))


FUNCTIONS: Mapping[str, Function] = {
    "Add": _chain(operator.add),
    "Subtract": _chain(operator.sub),
    "Multiply": _chain(operator.mul),
    "Average": _average,
    "Maximum": _chain(torch.maximum),
    "Minimum": _chain(torch.minimum),
    "Concatenate": _concatenate,
    "Reshape": _reshape,
    "Permute": _permute,
}
"""Layers without a module in ``torch.nn``."""
