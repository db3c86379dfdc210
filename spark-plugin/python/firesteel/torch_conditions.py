"""Analysis of the conditions of a scripted module's branches.

A condition can be decided before there are rows if it depends only on facts that all rows share:
numbers of dimensions, element types, sizes other than the number of rows. The analysis follows the
graph from the condition back to the inputs.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

Asked = Literal["value", "fixed", "sizes", "kind"]
"""The aspect of a value: itself; itself without sizes of tensors; sizes; rank and type."""

_SIZES = {"aten::size", "aten::len", "aten::numel"}
_KINDS = {
    *("aten::dim", "prim::dtype", "prim::device", "prim::layout", "prim::requires_grad"),
    *("prim::is_cuda", "prim::is_nested", "aten::is_floating_point", "aten::is_complex"),
    *("aten::__is__", "aten::__isnot__"),
}

_SIZED_BY_VALUES = {
    *("aten::nonzero", "aten::nonzero_numpy", "aten::argwhere", "aten::masked_select"),
    *("aten::_unique", "aten::_unique2", "aten::unique_dim", "aten::unique_consecutive"),
    *("aten::unique_dim_consecutive", "aten::bincount", "aten::one_hot", "aten::to_sparse"),
    *("aten::_nested_tensor_from_mask", "aten::to_padded_tensor", "aten::_pack_padded_sequence"),
    *("aten::_pad_packed_sequence", "aten::resize_", "aten::set_"),
}
"""Operators that return a tensor whose size depends on values of another."""

_SIZED_BY_A_TENSOR = {"aten::repeat_interleave", "aten::tensor_split"}
"""The same, if the second argument is a tensor."""

_PARTS = {
    *("aten::slice", "aten::narrow", "aten::split", "aten::split_with_sizes", "aten::chunk"),
    "aten::tensor_split",
}
"""Operators that take a part of a dimension, which may differ between few and many rows."""

_GIVEN = {"prim::Constant", "prim::Param", "prim::GetAttr"}
_HOLDERS = {"prim::ListConstruct", "prim::TupleConstruct", "prim::DictConstruct", "prim::SetAttr"}
_READERS = {"aten::len", "aten::__getitem__", "prim::ListUnpack", "prim::TupleUnpack"}
_KEEPS = {*_HOLDERS, *_READERS, "prim::TupleIndex", "prim::unchecked_cast"}
"""Operators that pass values on unchanged."""

_SUMS = {"aten::add", "aten::sub", "aten::mul", "aten::neg"}
_EQUALS = {"aten::eq", "aten::ne"}
_ORDERS = {"aten::lt", "aten::le", "aten::gt", "aten::ge"}

_ALL = 2**63 - 1
"""The end of a slice without an end."""


class Conditions:
    """Finds the conditions of a graph that can be decided.

    Parameters
    ----------
    graph : torch.Graph
        The graph.
    stays : mapping
        By the name of its first output, each branch that is kept, and True if both of its paths
        agree in the aspects of its outputs.
    lost : container of str
        First outputs of nodes whose values depend on the number of rows in an unknown way.
    """

    def __init__(
        self, graph: Any, stays: Mapping[str, bool], lost: Container[str] = frozenset()
    ) -> None:
        self.watched: dict[str, Any] = {}
        self._stays = stays
        self._lost = lost
        self._found: dict[tuple[str, Asked], bool] = {}
        outputs = [output for node in graph.nodes() for output in node.outputs()]
        self._outer = {output.debugName() for output in outputs}
        for output in outputs:
            # In the graph's order, so that no search goes back more than one node.
            if holds_tensors(output):
                self._is_known(output, "sizes")
                self._is_known(output, "kind")

    def can_decide(self, condition: Any) -> bool:
        """Returns True if a condition depends neither on values of tensors nor on lost rows.

        Nodes that it depends on and that may lose rows are in `watched`, by first outputs.
        """
        return self._is_known(condition, "value")

    def _is_known(self, value: Any, asked: Asked) -> bool:
        key = (value.debugName(), asked)
        if key not in self._found:
            changes = _changes(value)
            self._found[key] = changes is not None and self._find(value, asked)
            for node in changes or ():
                # An element of a list is known if its inputs are.
                others = [each for each in node.inputs() if each.debugName() != key[0]]
                self._found[key] = self._found[key] and self._are_known(others, asked)
        return self._found[key]

    def _find(self, value: Any, asked: Asked) -> bool:
        node = value.node()
        kind = node.kind()
        if kind in _GIVEN:
            return True
        if kind == "prim::If":
            given = [list(block.outputs())[value.offset()] for block in node.blocks()]
            alike = self._stays.get(first_name(node), False)
            return alike and all(self._is_known(each, asked) for each in given)
        standard = kind.startswith(("aten::", "prim::")) and kind != "prim::Uninitialized"
        if not standard or any(True for _ in node.blocks()) or first_name(node) in self._lost:
            return False
        if asked in ("value", "fixed"):
            return self._is_value_known(node, asked)
        return self._are_sizes_known(node) if asked == "sizes" else self._is_kind_known(node)

    def _is_kind_known(self, node: Any) -> bool:
        # A dimension of size 1 is squeezed, another is not.
        asked: Asked = "sizes" if node.kind() == "aten::squeeze" else "kind"
        return self._are_known(node.inputs(), asked)

    def _are_known(self, values: Iterable[Any], asked: Asked) -> bool:
        """Returns True if an aspect of tensors, and the numbers among them, are known."""
        for value in values:
            if asked == "kind" and not holds_tensors(value):
                known = _changes(value) is not None
            elif holds_tensors(value):
                known = asked in ("sizes", "kind") and self._is_known(value, asked)
            else:
                known = self._is_known(value, "value" if asked == "sizes" else asked)
            if not known:
                return False
        return True

    def _are_sizes_known(self, node: Any) -> bool:
        kind, inputs = node.kind(), list(node.inputs())
        if kind in _SIZED_BY_VALUES or (kind == "aten::where" and len(inputs) == 1):
            return False
        if kind in _SIZED_BY_A_TENSOR and holds_tensors(inputs[1]):
            return False
        watch = kind == "aten::index" or (kind in _PARTS and not _takes_all(node))
        if watch and first_name(node) not in self._outer:
            return False
        known = self._are_known(inputs, "sizes")
        if known and watch:
            self.watched[first_name(node)] = node
        return known

    def _is_value_known(self, node: Any, asked: Asked) -> bool:
        kind, inputs = node.kind(), list(node.inputs())
        tensors = [each for each in inputs if holds_tensors(each)]
        if kind in _SIZES and tensors and asked == "fixed":
            return False
        if kind in _SIZES or kind in _KINDS:
            of_tensors: Asked = "sizes" if kind in _SIZES else "kind"
            return all(
                self._is_known(each, of_tensors if holds_tensors(each) else asked)
                for each in inputs
            )
        if tensors:
            return False
        watch = kind not in _KEEPS
        if watch and first_name(node) not in self._outer:
            # Values that are computed within a branch cannot be watched.
            watch, asked = False, "fixed"
        known = self._are_known(inputs, asked)
        if known and watch:
            self.watched[first_name(node)] = node
        return known


def loses_rows(node: Any, known: Mapping[str, Sequence[Any]]) -> bool:
    """Returns True if a watched node may behave differently for many rows than for few.

    Parameters
    ----------
    node : torch.Node
        The node.
    known : mapping
        The :func:`facts` of its inputs for 1, 2 and 3 rows, by name.
    """
    kind, arguments = node.kind(), [known[each.debugName()] for each in node.inputs()]
    if kind == "aten::index":
        masks = (torch.bool, torch.uint8)
        return any(each and each[1] in masks for many in arguments[1] for each in many)
    if kind in _PARTS:
        if next(iter(node.inputs())).type().kind() == "ListType":
            return _differ(list(map(len, arguments[0])))
        dimension = node.namedInput("dim").toIValue()
        return dimension is None or _differ([sizes[dimension] for sizes, _ in arguments[0]])
    if kind in _SUMS or not any(map(_differ, arguments)):
        return False
    if kind in _EQUALS or kind in _ORDERS:
        return _may_turn(kind in _EQUALS, *arguments)
    return True


def _may_turn(equality: bool, left: Sequence[Any], right: Sequence[Any]) -> bool:
    """Returns True if a comparison that is equal for 1, 2 and 3 rows may change for more."""
    if equality and list(left) == list(right):
        return False
    if not all(isinstance(each, int | float) for each in (*left, *right)):
        return True
    first, second, third = (one - other for one, other in zip(left, right, strict=True))
    step = third - second
    if step != second - first:
        return True
    if step == 0:
        return False
    # The number of further rows that makes both sides equal.
    more = -third / step
    return more >= 0 and (not equality or more == int(more))


def _differ(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values)


def facts(value: Any) -> Any:
    """Returns the sizes and element types of tensors, also in lists; other values unchanged."""
    if isinstance(value, Tensor):
        return tuple(value.shape), value.dtype
    if isinstance(value, list | tuple):
        return [facts(each) for each in value]
    return value


def _takes_all(node: Any) -> bool:
    """Returns True if a slice has all of a dimension."""
    if node.kind() != "aten::slice":
        return False
    start, end, step = (node.namedInput(name) for name in ("start", "end", "step"))
    if any(each.node().kind() != "prim::Constant" for each in (start, end, step)):
        return False
    return start.toIValue() in (None, 0) and end.toIValue() in (None, _ALL) and step.toIValue() == 1


def _changes(value: Any) -> list[Any] | None:
    """Returns the nodes that always change a list in its own block; None if others may."""
    if value.type().kind() != "ListType":
        return []
    found = []
    for use in value.uses():
        user = use.user
        if user.kind() == "prim::Return":
            owner = user.owningBlock().owningNode()
            if owner is not None and (
                owner.kind() != "prim::If" or _changes(list(owner.outputs())[use.offset]) != []
            ):
                return None
        elif user.kind() in _HOLDERS:
            return None
        elif _writes(user, use.offset):
            if user.owningBlock() is not value.node().owningBlock():
                return None
            found.append(user)
    return found


def _writes(node: Any, argument: int) -> bool:
    schema = node.schema()
    if "!" not in schema:
        return False
    alias = torch._C.parse_schema(schema).arguments[argument].alias_info
    return alias is not None and alias.is_write


def holds_tensors(value: Any) -> bool:
    """Returns True if a value is a tensor or may contain tensors."""
    return "Tensor" in value.type().annotation_str


def first_name(node: Any) -> str:
    """Returns the name of a node's first output."""
    name: str = next(iter(node.outputs())).debugName()
    return name
