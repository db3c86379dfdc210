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

from firesteel.torch_conditions import Conditions, facts, first_name, holds_tensors, loses_rows

_jit: Any = torch._C
_jit_settings: Any = torch.jit

_QUESTION = "aten::is_autocast_enabled"

_LEFT_ALIGNED = "aten::_nested_tensor_from_mask_left_aligned"
"""What is asked of values before a nested tensor is made, to which no is an answer."""

_KERNELS = (
    *("aten::_transformer_encoder_layer_fwd", "aten::_native_multi_head_attention"),
    "aten::_nested_tensor_from_mask",
)
"""Fused kernels, and what makes a tensor that only they take."""

_ROWS = (1, 2, 3)
"""How many rows a branch must not tell apart."""


def asks_for_kernels(module: nn.Module) -> TypeGuard[torch.jit.ScriptModule]:
    """Whether a module is a scripted one that asks whether it may take a fused kernel."""
    if not isinstance(module, torch.jit.ScriptModule):
        return False
    graph: Any = module.inlined_graph
    return len(graph.findAllNodes(_QUESTION, True)) > 0


def inline_static_branches(module: torch.jit.ScriptModule, examples: Sequence[Tensor]) -> Any:
    """What a scripted module in evaluation mode computes, as a function without such branches.

    A branch is decided where its condition depends on shapes, element types and the like, is the
    same for 1, 2 and 3 rows, and does not turn with more: it compares numbers that grow evenly with
    the rows, or none that do. A branch stays where its condition depends on values, the number of
    rows, or a size that values decide. Attention takes its path of plain operators, as it would
    under autocast; other questions for autocast are answered with no.

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
    """Says of autocast that it is on to those who thereby take no fused kernel, else that not."""
    asking = [use.user for use in question.output().uses() if use.user.kind() == "prim::If"]
    for branch in asking:
        if _leads_to_a_kernel(branch):
            _turn(graph, branch, True)
    _replace(graph, question, False)
    question.destroy()


def _leads_to_a_kernel(branch: Any) -> bool:
    """Whether a text that a branch gives, why not to take a fused kernel, decides about one."""
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
    """Decides the outer branches that can be decided; else finds of the first that it stays.

    Gives whether there was any that was neither decided nor known to stay.
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
    """Makes a branch take one of its ways."""
    with graph.insert_point_guard(branch):
        branch.replaceInputWith(_condition(branch), graph.insertConstant(bool(way)))


def _are_alike(graph: Any, branch: Any, batches: Sequence[Sequence[Any]]) -> bool:
    """Whether the outputs of a branch are alike but for the values in tensors both ways."""
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
        # A way that is not made for these rows.
        return False
    return one == other


def _is_unset(value: Any) -> bool:
    """Whether a value may be none at all, which a way gives whose outputs nothing reads."""
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
    """What values of a graph are for each batch, where need be with a branch that takes one way."""
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
    """The inputs of a graph, and the outputs of its nodes but for those within branches."""
    return [*graph.inputs(), *(each for node in graph.nodes() for each in node.outputs())]


def _name(value: Any) -> str:
    name: str = value.debugName()
    return name


def _take_in_weights(graph: Any, frozen: Any) -> None:
    """Makes what the graph reads of the module a constant, and the graph one without a module."""
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
    """Notes the rank and the element type of each tensor, which the exporter needs."""
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
