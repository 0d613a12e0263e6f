"""Softmax, its logarithm and log-sum-exp as models write them, found in autograd's graph.

What is subtracted from all numbers of a row first, mostly their maximum, changes none of them but for rounding.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from torch import Tensor

from attriscope.attr.rules.operations import names
from attriscope.attr.rules.regions import SAME, Connections, Edge

_VIEWS = frozenset(
    names(
        "View UnsafeView Reshape ReshapeAlias Expand Transpose T Permute Squeeze Unsqueeze Clone ToCopy Alias"
    )
)
_IN_ORDER = _VIEWS - {"Expand", "Transpose", "T", "Permute"}
_PICKS = frozenset(names("IndexSelect Index Gather"))
_TOTALS = frozenset(names("Sum Mean Nansum ScatterAdd IndexAdd SegmentReduce ScatterReduce"))
_GUARDS = frozenset(names("Add Clamp ClampMin Maximum MaskedFill"))
_MAXIMA = frozenset(names("Max Amax ScatterReduce SegmentReduce"))
_FACTORS = frozenset(names("Mul ToCopy Clone MaskedFill"))


@dataclasses.dataclass(frozen=True)
class LogSumExp:
    """A log-sum-exp: of what, and over which dimensions."""

    of: Edge
    dims: tuple[int, ...]


def offset_free(graph: Connections, edge: Edge, dims: tuple[int, ...] = ()) -> Edge:
    """The value before an offset was subtracted: a maximum, or a number; the value itself if there was none.

    Args:
        graph: the graph.
        edge: the value.
        dims: along these, the offset has to be one number.
    """
    node, operation = edge[0], graph.producer(edge)
    if operation not in ("Sub", "Add") or node in graph.open:
        return edge
    inputs = graph.inputs[node]
    if len(inputs) == 1:
        # Sums are written down for numbers and for maxima only.
        if node not in graph.records or inputs[0][0] != 0:
            return edge
        offset = graph.records[node].arguments["other"]
        shape = tuple(offset.shape) if isinstance(offset, Tensor) else ()
    elif operation == "Sub" and _maximum_of(graph, inputs[1][1]) == inputs[0][1]:
        shape = graph.shape(_before_expansion(graph, inputs[1][1]))
    else:
        return edge
    whole = len(graph.shape(edge))
    constant = all(_padded(shape, whole)[d] == 1 for d in dims)
    return inputs[0][1] if constant else edge


def _padded(shape: tuple[int, ...], dims: int) -> tuple[int, ...]:
    return (*[1] * (dims - len(shape)), *shape)


def _before_expansion(graph: Connections, edge: Edge) -> Edge:
    return _through(graph, edge, frozenset(["Expand"]))


def _lies_as(graph: Connections, edge: Edge, shape: tuple[int, ...]) -> Edge | None:
    """What an edge is a view of, if its numbers, in their order, take the places of ``shape`` by broadcasting."""
    edge = _before_expansion(graph, edge)
    if _padded(graph.shape(edge), len(shape)) != shape:
        return None
    return _through(graph, edge, _IN_ORDER)


def _maximum_of(graph: Connections, edge: Edge) -> Edge | None:
    edge = _through(graph, edge, _VIEWS | _PICKS)
    return graph.only(edge[0]) if graph.producer(edge) in _MAXIMA else None


def _through(graph: Connections, edge: Edge, operations: frozenset[str]) -> Edge:
    while graph.producer(edge) in operations and edge[0] not in graph.open:
        only = graph.only(edge[0])
        if only is None:
            break
        edge = only
    return edge


def share_of_total(graph: Connections, node: Any) -> Edge | None:
    """Of a quotient of numbers and a total of the same numbers: these numbers."""
    inputs = graph.inputs[node]
    if len(inputs) != 2:
        return None
    (_, first), (_, second) = inputs
    if graph.operation[node] == "Div":
        return first if _is_total(graph, second, first) else None
    if graph.operation[node] != "Mul":
        return None
    for number, scale in ((first, second), (second, first)):
        scale = _through(graph, scale, _VIEWS)
        below = graph.only(scale[0]) if graph.producer(scale) in ("Reciprocal", "Pow") else None
        if below is not None and _is_total(graph, below, number):
            return number
    return None


def _is_total(graph: Connections, total: Edge, number: Edge) -> bool:
    stack, summed = [total], False
    while stack:
        edge = stack.pop()
        if graph.same(edge, number):
            continue
        operation = graph.producer(edge)
        if operation not in _VIEWS | _PICKS | _TOTALS | _GUARDS or not graph.inputs[edge[0]]:
            return False
        summed = summed or operation in _TOTALS
        stack.extend(below for _, below in graph.inputs[edge[0]])
    return summed


def written_softmax(graph: Connections, node: Any) -> Edge | None:
    """Of exp(x) over a sum of exp(x), also with an offset: x."""
    number = share_of_total(graph, node)
    if number is None:
        return None
    number = _through(graph, number, _FACTORS)
    if graph.producer(number) != "Exp":
        return None
    below = graph.only(number[0])
    return None if below is None else offset_free(graph, below)


def log_sum_exp(graph: Connections, edge: Edge) -> LogSumExp | None:
    """What an edge is a log-sum-exp of, fused or written out, with what was subtracted added again."""
    node, operation = edge[0], graph.producer(edge)
    if operation == "Logsumexp":
        only = graph.only(node)
        return None if only is None else LogSumExp(only, tuple(graph.records[node].arguments["dim"]))
    if operation == "Add":
        return _with_offset(graph, node)
    return _log_of_sum(graph, edge)


def _log_of_sum(graph: Connections, edge: Edge) -> LogSumExp | None:
    parts = []
    for operation in ("Log", "Sum", "Exp"):
        edge = _through(graph, edge, _VIEWS) if operation == "Sum" else edge
        below = graph.only(edge[0])
        if graph.producer(edge) != operation or below is None or edge[0] in graph.open:
            return None
        parts.append(edge[0])
        edge = below
    dims = getattr(parts[1], "_saved_dim", None)
    return None if dims is None else LogSumExp(edge, tuple(_signed(d) for d in dims))


def _signed(dim: int) -> int:
    """Autograd keeps dimensions as unsigned numbers."""
    return dim - 2**64 if dim >= 2**63 else dim


def _with_offset(graph: Connections, node: Any) -> LogSumExp | None:
    """log(sum(exp(x - m))) + m."""
    for position, edge in graph.inputs[node]:
        found = _log_of_sum(graph, _through(graph, edge, _VIEWS))
        if found is None:
            continue
        of = offset_free(graph, found.of, found.dims)
        if of == found.of or _scaled(graph, node) or _scaled(graph, found.of[0]):
            return None
        others = [e for i, e in graph.inputs[node] if i != position]
        taken = graph.inputs[found.of[0]][1:]
        for kept in (True, False):
            summed = _lies_as(graph, edge, _without(graph.shape(of), found.dims, kept))
            if summed is None or _size(graph.shape((node, 0))) != _size(graph.shape(summed)):
                continue
            if others and taken:
                same = _same_maximum(graph, taken[0][1], others[0], found, kept)
            else:
                same = not others and not taken and _same_number(graph, node, position, found, kept)
            if same:
                return LogSumExp(of, found.dims)
        return None
    return None


def _without(shape: tuple[int, ...], dims: tuple[int, ...], kept: bool) -> tuple[int, ...]:
    """A shape in which dimensions have the size one, or are gone."""
    gone = {d % len(shape) for d in dims}
    return tuple(1 if i in gone else n for i, n in enumerate(shape) if kept or i not in gone)


def _size(shape: tuple[int, ...]) -> int:
    return math.prod(shape)


def _scaled(graph: Connections, node: Any) -> bool:
    """Whether a sum or difference multiplies its second operand."""
    record = graph.records.get(node)
    scale = getattr(node, "_saved_alpha", 1) if record is None else record.arguments.get("alpha", 1)
    return bool(scale != 1)


def _same_maximum(graph: Connections, taken: Edge, added: Edge, found: LogSumExp, kept: bool) -> bool:
    """Whether what was subtracted before is added again, in the same places."""
    shape = graph.shape(_before_expansion(graph, taken))
    here = _lies_as(graph, taken, shape)
    whole = _padded(shape, len(graph.shape(found.of)))
    there = _lies_as(graph, added, _without(whole, found.dims, kept))
    if here is None or there is None or graph.producer(there) not in _MAXIMA:
        return False
    once_more = graph.producer(here) == graph.producer(there) and graph.only(here[0]) == graph.only(there[0])
    return here == there or (once_more and _dims(here[0]) == _dims(there[0]))


def _same_number(graph: Connections, node: Any, position: int, found: LogSumExp, kept: bool) -> bool:
    record, before = graph.records.get(node), graph.records.get(found.of[0])
    if record is None or before is None:
        return False
    added, taken = record.arguments["self" if position else "other"], before.arguments["other"]
    if isinstance(added, Tensor) and isinstance(taken, Tensor) and taken.dim():
        taken = taken.reshape(
            _without(_padded(tuple(taken.shape), len(graph.shape(found.of))), found.dims, kept)
        )
        return _address(added) == _address(taken) and _places(added) == _places(taken)
    return bool(_address(added) == _address(taken))


def _dims(node: Any) -> Any:
    return getattr(node, "_saved_dim", None)


def _address(value: Any) -> Any:
    return value.data_ptr() if isinstance(value, Tensor) else value


def _places(tensor: Tensor) -> list[tuple[int, int]]:
    return [(n, s) for n, s in zip(tensor.shape, tensor.stride(), strict=True) if n != 1]


def written_log_softmax(graph: Connections, node: Any) -> LogSumExp | None:
    """Of x minus its log-sum-exp: x."""
    if graph.operation.get(node) != "Sub" or len(graph.inputs[node]) != 2 or _scaled(graph, node):
        return None
    (_, x), (_, scale) = graph.inputs[node]
    found = log_sum_exp(graph, _through(graph, scale, _VIEWS))
    # Where a layer is read that hands its input on, a copy stands.
    x = _through(graph, x, SAME)
    if (
        found is None
        or _through(graph, found.of, SAME) != x
        or _lies_as(graph, scale, _without(graph.shape(x), found.dims, True)) is None
    ):
        return None
    return LogSumExp(offset_free(graph, x, found.dims), found.dims)


__all__ = [
    "LogSumExp",
    "log_sum_exp",
    "offset_free",
    "share_of_total",
    "written_log_softmax",
    "written_softmax",
]
