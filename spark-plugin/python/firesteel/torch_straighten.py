"""Scripted modules without the branches that PyTorch's exporter to ONNX cannot read.

A scripted ``nn.TransformerEncoder`` asks at each call whether it may take its fused kernel: for
numbers of dimensions, element types, devices, autocast. The exporter knows neither these questions
nor the kernel. Here they are answered once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

_jit: Any = torch._C

_QUESTION = "aten::is_autocast_enabled"

_METADATA = {
    *("aten::dim", "aten::size", "aten::len", "aten::numel", "prim::dtype", "prim::device"),
    *("prim::layout", "prim::requires_grad", "prim::is_cuda", "prim::is_nested"),
    *("aten::is_floating_point", "aten::is_complex"),
}
"""What is asked of a tensor, and not of the values in it."""

_ROWS = (1, 2, 3)
"""How many rows a branch must not tell apart."""


def asks_for_kernels(module: nn.Module) -> TypeGuard[torch.jit.ScriptModule]:
    """Whether a module is a scripted one that asks whether it may take a fused kernel."""
    if not isinstance(module, torch.jit.ScriptModule):
        return False
    graph: Any = module.inlined_graph
    return len(graph.findAllNodes(_QUESTION, True)) > 0


def straightened(module: torch.jit.ScriptModule, examples: Sequence[Tensor]) -> Any:
    """What a scripted module in evaluation mode computes, as a function without such branches.

    A branch is decided where its condition depends on shapes, element types and the like, and is
    the same for 1, 2 and 3 rows; a branch that depends on values, or on the number of rows, stays.
    Attention takes its path of plain operators, which autocast would choose.

    Parameters
    ----------
    module : torch.jit.ScriptModule
        The module. It stays as it is.
    examples : sequence of Tensor
        A tensor for each input, rows first.

    Returns
    -------
    torch.jit.ScriptFunction
        With the ranks and element types of all its tensors, and weights as constants.

    Raises
    ------
    RuntimeError
        When the module does not take as many rows.
    """
    frozen = torch.jit.freeze(module, optimize_numerics=False)
    graph = frozen.graph
    for node in graph.findAllNodes(_QUESTION, True):
        _replace(graph, node, True)
        node.destroy()
    _jit._jit_pass_inline(graph)
    batches = [
        [example[:1].expand(rows, *example.shape[1:]) for example in examples] for rows in _ROWS
    ]
    with torch.no_grad():
        while _decide(graph, frozen, batches):
            pass
        _take_in_weights(graph, frozen)
        _note_types(graph, examples)
    return _jit._create_function_from_graph("forward", graph)


def _decide(graph: Any, frozen: Any, batches: Sequence[Sequence[Tensor]]) -> bool:
    """Decides the outer branches that can be decided; gives whether there were any."""
    _jit._jit_pass_constant_propagation(graph)
    _jit._jit_pass_dce(graph)
    branches = [
        (place, node)
        for place, node in enumerate(graph.nodes())
        if node.kind() == "prim::If" and _is_of_metadata(_condition(node))
    ]
    if not branches:
        return False
    asked = graph.copy()
    nodes = list(asked.nodes())
    answers = _run(
        asked,
        [_condition(nodes[place]) for place, _ in branches],
        [[frozen._c, *b] for b in batches],
    )
    decided = [(node, given) for (_, node), *given in zip(branches, *answers, strict=True)]
    same = [(node, given[0]) for node, given in decided if len(set(given)) == 1]
    for node, answer in same:
        with graph.insert_point_guard(node):
            node.replaceInputWith(_condition(node), graph.insertConstant(bool(answer)))
    return bool(same)


def _condition(branch: Any) -> Any:
    return next(iter(branch.inputs()))


def _is_of_metadata(value: Any) -> bool:
    """Whether a value depends on no values of tensors."""
    node = value.node()
    if node.kind() in _METADATA:
        return True
    if node.kind() == "prim::Param" or any(True for _ in node.blocks()):
        return False
    inputs = list(node.inputs())
    if node.kind() in ("aten::__is__", "aten::__isnot__"):
        inputs = [each for each in inputs if not _holds_tensors(each)]
    return all(not _holds_tensors(each) and _is_of_metadata(each) for each in inputs)


def _holds_tensors(value: Any) -> bool:
    return "Tensor" in value.type().annotation_str


def _run(graph: Any, values: Sequence[Any], batches: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """What values of a graph are for each batch; they become its outputs."""
    for _ in range(sum(1 for _ in graph.outputs())):
        graph.eraseOutput(0)
    for value in values:
        graph.registerOutput(value)
    graph.makeMultiOutputIntoTuple()
    function = _jit._create_function_from_graph("values", graph)
    return [list(function(*batch)) for batch in batches]


def _take_in_weights(graph: Any, frozen: Any) -> None:
    """Makes what the graph reads of the module a constant, and the graph one without a module."""
    owner = next(iter(graph.inputs()))
    owners = {owner.debugName(): frozen._c}
    reads = [node for node in graph.nodes() if node.kind() == "prim::GetAttr"]
    for node in reads:
        read = owners[next(iter(node.inputs())).debugName()].getattr(node.s("name"))
        if isinstance(read, Tensor):
            _replace(graph, node, read.detach())
        else:
            owners[node.output().debugName()] = read
    for node in reversed(reads):
        node.destroy()
    graph.eraseInput(0)


def _note_types(graph: Any, examples: Sequence[Tensor]) -> None:
    """Notes the rank and the element type of each tensor, which the exporter needs."""
    copy = graph.copy()
    noted = [
        (place, index)
        for place, node in enumerate(copy.nodes())
        if node.kind() != "prim::Constant"
        for index, output in enumerate(node.outputs())
        if output.type().kind() == "TensorType"
    ]
    nodes, own = list(copy.nodes()), list(graph.nodes())
    values = [list(nodes[place].outputs())[index] for place, index in noted]
    (given,) = _run(copy, values, [examples])
    for (place, index), tensor in zip(noted, given, strict=True):
        kind = _jit.TensorType.create_from_tensor(tensor).with_sizes([None] * tensor.dim())
        list(own[place].outputs())[index].setType(kind)


def _replace(graph: Any, node: Any, constant: Any) -> None:
    with graph.insert_point_guard(node):
        node.output().replaceAllUsesWith(graph.insertConstant(constant))
