"""Softmax, its logarithm and log-sum-exp as models write them, found in autograd's graph.

What is subtracted from all numbers of a row first, mostly their maximum, changes none of them but for rounding.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor

from attriscope.attr.rules.operations import names
from attriscope.attr.rules.regions import Connections, Edge

_VIEWS = frozenset(
    names(
        "View UnsafeView Reshape ReshapeAlias Expand Transpose T Permute Squeeze Unsqueeze Clone ToCopy Alias"
    )
)
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


def offset_free(graph: Connections, edge: Edge) -> Edge:
    """The value before an offset was subtracted: a maximum, or a number; the value itself if there was none."""
    node, operation = edge[0], graph.producer(edge)
    if operation not in ("Sub", "Add") or node in graph.open:
        return edge
    inputs = graph.inputs[node]
    if len(inputs) == 1:
        # Sums are written down for numbers and for maxima only.
        return inputs[0][1] if node in graph.records and inputs[0][0] == 0 else edge
    if operation == "Sub" and _maximum_of(graph, inputs[1][1]) == inputs[0][1]:
        return inputs[0][1]
    return edge


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
        edge = _through(graph, edge, _VIEWS)
        found = _log_of_sum(graph, edge)
        if found is None:
            continue
        of = offset_free(graph, found.of)
        if of == found.of:
            return None
        others = [e for i, e in graph.inputs[node] if i != position]
        if others:
            return LogSumExp(of, found.dims) if _maximum_of(graph, others[0]) == of else None
        record, before = graph.records.get(node), graph.records.get(found.of[0])
        if record is None or before is None:
            return None
        added, taken = record.arguments["self" if position else "other"], before.arguments["other"]
        return LogSumExp(of, found.dims) if _address(added) == _address(taken) else None
    return None


def _address(value: Any) -> Any:
    return value.data_ptr() if isinstance(value, Tensor) else value


def written_log_softmax(graph: Connections, node: Any) -> LogSumExp | None:
    """Of x minus its log-sum-exp: x."""
    if graph.operation.get(node) != "Sub" or len(graph.inputs[node]) != 2:
        return None
    (_, x), (_, scale) = graph.inputs[node]
    found = log_sum_exp(graph, _through(graph, scale, _VIEWS))
    if found is None or found.of != x:
        return None
    return LogSumExp(offset_free(graph, x), found.dims)


__all__ = [
    "LogSumExp",
    "log_sum_exp",
    "offset_free",
    "share_of_total",
    "written_log_softmax",
    "written_softmax",
]
