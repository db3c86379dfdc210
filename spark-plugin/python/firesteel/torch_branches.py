"""Scripted modules without the branches that PyTorch's ONNX exporter does not support.

A scripted ``nn.TransformerEncoder`` checks at each call if it may use its fused kernel: it checks
numbers of dimensions, element types, devices, autocast. The exporter supports neither these checks
nor the kernel. This module evaluates them once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from firesteel.torch_conditions import Conditions, facts, first_name, holds_tensors, loses_rows

_jit: Any = torch._C
_jit_settings: Any = torch.jit

_QUESTION = "aten::is_autocast_enabled"

_LEFT_ALIGNED = "aten::_nested_tensor_from_mask_left_aligned"
"""The check of values before a nested tensor is made; false is always a valid result."""

_KERNELS = (
    *("aten::_transformer_encoder_layer_fwd", "aten::_native_multi_head_attention"),
    "aten::_nested_tensor_from_mask",
)
"""Fused kernels, and the operator whose tensors only they accept."""

_ROWS = (1, 2, 3)
"""The numbers of rows for which a decided branch must agree."""


def asks_for_kernels(module: nn.Module) -> TypeGuard[torch.jit.ScriptModule]:
    """Returns True for a scripted module that checks if it may use a fused kernel."""
    if not isinstance(module, torch.jit.ScriptModule):
        return False
    graph: Any = module.inlined_graph
    return len(graph.findAllNodes(_QUESTION, True)) > 0


def inline_static_branches(module: torch.jit.ScriptModule, examples: Sequence[Tensor]) -> Any:
    """Returns a scripted module in evaluation mode as a function without such branches.

    A branch is decided if its condition depends on shapes, element types and the like, is the same
    for 1, 2 and 3 rows, and cannot change with more: it compares numbers that grow linearly with
    the rows, or not at all. A branch is kept if its condition depends on values, on the number of
    rows, or on a size that depends on values. Attention takes its path of plain operators, as under
    autocast; all other autocast checks are false.

    Parameters
    ----------
    module : torch.jit.ScriptModule
        The module. It is not changed.
    examples : sequence of Tensor
        A tensor for each input, rows first.

    Returns
    -------
    torch.jit.ScriptFunction
        The function, with the ranks and element types of all tensors, and weights as constants.

    Raises
    ------
    RuntimeError
        If the module does not accept as many rows.
    """
    frozen = torch.jit.freeze(module, optimize_numerics=False)
    graph = frozen.graph
    _jit._jit_pass_inline(graph)
    for node in graph.findAllNodes(_QUESTION, True):
        _answer(graph, node)
    for node in graph.findAllNodes(_LEFT_ALIGNED, True):
        _replace(graph, node, False)
        node.destroy()
    batches = [
        [example[:1].expand(rows, *example.shape[1:]) for example in examples] for rows in _ROWS
    ]
    stays: dict[str, bool] = {}
    with torch.no_grad(), _jit_settings.optimized_execution(False):
        while _decide(graph, [[frozen._c, *batch] for batch in batches], stays):
            pass
        _take_in_weights(graph, frozen)
        _note_types(graph, examples)
    return _jit._create_function_from_graph("forward", graph)


def _answer(graph: Any, question: Any) -> None:
    """Sets an autocast check to true where this avoids a fused kernel, otherwise to false."""
    asking = [use.user for use in question.output().uses() if use.user.kind() == "prim::If"]
    for branch in asking:
        if _leads_to_a_kernel(branch):
            _turn(graph, branch, True)
    _replace(graph, question, False)
    question.destroy()


def _leads_to_a_kernel(branch: Any) -> bool:
    """Returns True if the branch's text, a reason against a fused kernel, selects one."""
    values = [value for value in branch.outputs() if value.type().kind() == "StringType"]
    seen = set()
    while values:
        value = values.pop()
        if value.debugName() in seen:
            continue
        seen.add(value.debugName())
        for use in value.uses():
            user = use.user
            if user.kind() == "prim::If":
                if any(len(user.findAllNodes(kernel, True)) > 0 for kernel in _KERNELS):
                    return True
                values.extend(each for each in user.outputs() if each.type().kind() == "BoolType")
            elif user.kind() == "prim::Return":
                owner = user.owningBlock().owningNode()
                if owner is not None and owner.kind() == "prim::If":
                    values.append(list(owner.outputs())[use.offset])
            else:
                values.extend(each for each in user.outputs() if not holds_tensors(each))
    return False


def _decide(graph: Any, batches: Sequence[Sequence[Any]], stays: dict[str, bool]) -> bool:
    """Decides the outer branches that can be decided; otherwise marks the first other one as kept.

    Returns False if every branch was already decided or marked.
    """
    _jit._jit_pass_constant_propagation(graph)
    _jit._jit_pass_dce(graph)
    branches = [node for node in graph.nodes() if node.kind() == "prim::If"]
    conditions = Conditions(graph, stays)
    asked = [node for node in branches if conditions.can_decide(_condition(node))]
    watched = list(conditions.watched.values())
    inputs = [value for node in watched for value in node.inputs()]
    own = {_name(value): value for value in (*map(_condition, asked), *inputs)}
    runs = [facts(run) for run in _run(graph, list(own.values()), batches)]
    known = dict(zip(own, zip(*runs, strict=True), strict=False))
    lost = {first_name(node) for node in watched if loses_rows(node, known)}
    certain = Conditions(graph, stays, lost)
    decided: list[tuple[Any, bool]] = []
    vary: set[str] = set()
    for node in asked:
        given = known[_name(_condition(node))]
        if len(set(given)) > 1:
            vary.update(value.debugName() for value in node.outputs())
        elif certain.can_decide(_condition(node)):
            decided.append((node, bool(given[0])))
    for node, answer in decided:
        _turn(graph, node, answer)
    if decided:
        return True
    for node in branches:
        if any(True for _ in node.outputs()) and first_name(node) not in stays:
            stays[first_name(node)] = first_name(node) in vary or _are_alike(graph, node, batches)
            return True
    return False


def _condition(branch: Any) -> Any:
    return next(iter(branch.inputs()))


def _turn(graph: Any, branch: Any, way: bool) -> None:
    """Makes a branch always take one of its two paths."""
    with graph.insert_point_guard(branch):
        branch.replaceInputWith(_condition(branch), graph.insertConstant(bool(way)))


def _are_alike(graph: Any, branch: Any, batches: Sequence[Sequence[Any]]) -> bool:
    """Returns True if both paths have equal outputs, apart from the values in tensors."""
    if any(len(branch.findAllNodes(kernel, True)) > 0 for kernel in _KERNELS) or any(
        _is_unset(value) for block in branch.blocks() for value in block.outputs()
    ):
        return False
    try:
        one, other = (
            [facts(run) for run in _run(graph, list(branch.outputs()), batches, (branch, way))]
            for way in (True, False)
        )
    except RuntimeError:
        # This path does not support these rows.
        return False
    return one == other


def _is_unset(value: Any) -> bool:
    """Returns True if a value may be uninitialized, as on a path whose outputs nothing reads."""
    node = value.node()
    if node.kind() == "prim::If":
        given = [list(block.outputs())[value.offset()] for block in node.blocks()]
        return any(map(_is_unset, given))
    kind: str = node.kind()
    return kind == "prim::Uninitialized"


def _run(
    graph: Any,
    values: Sequence[Any],
    batches: Sequence[Sequence[Any]],
    turn: tuple[Any, bool] | None = None,
) -> list[list[Any]]:
    """Computes values of a graph for each batch, optionally with one branch fixed."""
    if not values:
        return [[] for _ in batches]
    copy = graph.copy()
    twins = dict(zip(map(_name, _outer(graph)), _outer(copy), strict=True))
    if turn is not None:
        branch, way = turn
        _turn(copy, twins[first_name(branch)].node(), way)
    for _ in range(sum(1 for _ in copy.outputs())):
        copy.eraseOutput(0)
    for value in values:
        copy.registerOutput(twins[_name(value)])
    copy.makeMultiOutputIntoTuple()
    _jit._jit_pass_dce(copy)
    function = _jit._create_function_from_graph("values", copy)
    return [list(function(*batch)) for batch in batches]


def _outer(graph: Any) -> list[Any]:
    """Returns the inputs of a graph and the outputs of its nodes, except within branches."""
    return [*graph.inputs(), *(each for node in graph.nodes() for each in node.outputs())]


def _name(value: Any) -> str:
    name: str = value.debugName()
    return name


def _take_in_weights(graph: Any, frozen: Any) -> None:
    """Replaces the module's attributes by constants and removes the module from the inputs."""
    owner = next(iter(graph.inputs()))
    owners = {owner.debugName(): frozen._c}
    reads = graph.findAllNodes("prim::GetAttr", True)
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
    """Records the rank and the element type of each tensor for the exporter."""
    noted = [
        value
        for node in graph.nodes()
        if node.kind() != "prim::Constant"
        for value in node.outputs()
        if value.type().kind() == "TensorType"
    ]
    (given,) = _run(graph, noted, [examples])
    for value, tensor in zip(noted, given, strict=True):
        kind = _jit.TensorType.create_from_tensor(tensor)
        value.setType(kind.with_sizes([None] * tensor.dim()))


def _replace(graph: Any, node: Any, constant: Any) -> None:
    with graph.insert_point_guard(node):
        node.output().replaceAllUsesWith(graph.insertConstant(constant))
