"""Parts of autograd's graph with one way in and one way out: what :mod:`attriscope.attr.rules.written_out` searches."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

from torch import Tensor

from attriscope.attr.rules.operations import CURVED
from attriscope.core.tape import Record, tensors_in
from attriscope.core.way import Way

Edge = tuple[Any, int]
"""A node and which of its outputs."""

SAME = frozenset(["Clone", "ToCopy", "Alias", "Positive"])
"""They give the number that they get."""

SUMS = frozenset(["Add", "Sub", "Rsub"])
EXTREMES = frozenset(["Maximum", "Minimum", "Fmax", "Fmin"])
UNARY = frozenset(CURVED) | {"Relu", "LeakyRelu", "Abs", "Neg", *SAME}

_LONGEST = 32  # how far down a function of one number is followed
_NAMES = ("self", "other")


@dataclasses.dataclass(frozen=True)
class Region:
    """The nodes from a top down to a base, all ways between the two.

    Attributes:
        top: the node at its end.
        base: where all ways from there lead.
        nodes: those between, the top included.
        entries: the nodes that take the base, with which of their inputs do.
        closed: nothing else takes what is computed between the two.
    """

    top: Any
    base: Edge
    nodes: frozenset[Any]
    entries: dict[Any, tuple[int, ...]]
    closed: bool


class Connections:
    """Which node feeds which, on the way from what is explained to what is read.

    Args:
        way: the nodes, what was written down of them, and where the way begins and ends.
        known: whether a node follows the rule that LRP has for it; others are passed by.
    """

    def __init__(self, way: Way) -> None:
        self.nodes = [node for node, _, _ in way.nodes]
        self.operation: dict[Any, str] = {node: operation for node, operation, _ in way.nodes}
        self.inputs: dict[Any, list[tuple[int, Edge]]] = {}
        self.users: dict[Any, list[Any]] = defaultdict(list)
        self.records: dict[Any, Record] = way.records
        self.open = way.open
        for node, _, needs in way.nodes:
            nexts = node.next_functions
            self.inputs[node] = [(i, nexts[i]) for i, need in enumerate(needs) if need]
            for _, (child, _) in self.inputs[node]:
                self.users[child].append(node)
        self._chains: dict[Any, tuple[Edge, ...]] = {}
        self._kinds: dict[Any, str | None] = {}

    def producer(self, edge: Edge) -> str:
        """The operation that gives this; ``""`` where the way ends."""
        return self.operation.get(edge[0], "")

    def shape(self, edge: Edge) -> tuple[int, ...]:
        """That of the tensor that an edge stands for."""
        return _shape(edge)

    def only(self, node: Any) -> Edge | None:
        """The one input of a node on the way."""
        edges = self.inputs.get(node, ())
        return edges[0][1] if len(edges) == 1 else None

    def kind(self, node: Any) -> str | None:
        """Of an operation number by number: ``"plain"``, ``"number"`` where one is added or compared with, ``"joint"``
        of two activations; ``None`` for all others."""
        if node not in self._kinds:
            self._kinds[node] = self._kind(node)
        return self._kinds[node]

    def _kind(self, node: Any) -> str | None:
        operation, edges = self.operation.get(node, ""), self.inputs.get(node, ())
        if len(edges) == 1 and operation in UNARY:
            return "plain"
        if len(edges) == 1 and operation == "Pow":
            return "plain" if edges[0][0] == 0 else None
        if operation == "Where" and node not in self.records:
            return None  # the choice does not depend on activations: a mask
        if operation not in SUMS | EXTREMES | {"Mul", "Div", "Where"}:
            return None
        if len(edges) == 2:
            return "joint"
        if operation in SUMS | EXTREMES:
            return "number" if self.constant(node) is not None else None
        return "plain"

    def constant(self, node: Any) -> Any:
        """The other operand of an operation on one activation, if that is a number; else ``None``."""
        nexts = node.next_functions
        position = self.inputs[node][0][0]
        if len(nexts) > 1 and nexts[1 - position][0] is not None:
            return None  # a parameter
        record = self.records.get(node)
        if record is not None:
            value = record.arguments.get(_NAMES[1 - position])
        else:
            value = getattr(node, "_saved_" + _NAMES[1 - position], None)
        return None if value is None or (isinstance(value, Tensor) and value.dim()) else value

    def chain(self, node: Any) -> tuple[Edge, ...]:
        """Of which values a node is a function, number by number: the nearest first."""
        if node not in self._chains:
            self._chains[node] = ()
            if self.kind(node) is not None:
                first, *rest = ((edge, *self._below(edge)) for _, edge in self.inputs[node])
                shared = [edge for edge in first if all(edge in other for other in rest)]
                self._chains[node] = tuple(shared[:_LONGEST])
        return self._chains[node]

    def _below(self, edge: Edge) -> tuple[Edge, ...]:
        return () if edge[0] in self.open or edge[1] else self.chain(edge[0])

    def region(self, top: Any, base: Edge) -> Region | None:
        """All between a node and a value; ``None`` if ways lead elsewhere."""
        nodes, stack = {top}, [top]
        entries: dict[Any, tuple[int, ...]] = {}
        while stack:
            node = stack.pop()
            for position, edge in self.inputs[node]:
                if edge == base:
                    entries[node] = (*entries.get(node, ()), position)
                elif edge[0] not in self.inputs or edge[0] in self.open:
                    return None
                elif edge[0] not in nodes:
                    nodes.add(edge[0])
                    stack.append(edge[0])
        closed = all(user in nodes for node in nodes if node is not top for user in self.users[node])
        return Region(top, base, frozenset(nodes), entries, closed)

    def keeps_shape(self, region: Region) -> bool:
        """Whether all that a region computes has the shape of its base."""
        shape = _shape(region.base)
        return all(_shape((node, 0)) == shape for node in region.nodes)

    def value(self, edge: Edge, nodes: frozenset[Any]) -> Tensor | None:
        """The numbers that a node gave, as one of ``nodes`` took them; ``None`` if none of them keeps any."""
        users = [n for n in dict.fromkeys(self.users[edge[0]]) if n in nodes]
        for node in users:
            for position, taken in self.inputs[node]:
                value = self._taken(node, position) if taken == edge else None
                if value is not None:
                    return value
        for node in users:
            value = self._undone(node, nodes)
            if value is not None:
                return value
        return None

    def _taken(self, node: Any, position: int) -> Tensor | None:
        if node in self.records:
            value = self.records[node].arguments.get(_NAMES[position]) if position < 2 else None
        elif self.operation[node] in {"Mul", *EXTREMES} and len(self.inputs[node]) == 2:
            value = getattr(node, "_saved_" + _NAMES[position])
        else:
            value = None
        return value.detach() if isinstance(value, Tensor) else None

    def _undone(self, node: Any, nodes: frozenset[Any]) -> Tensor | None:
        """The input of what only scales, from its output: what multiplies with a number keeps no input."""
        operation = self.operation[node]
        if operation == "Mul" and len(self.inputs[node]) == 1:
            number = self.constant(node)
            after = None if number is None else self.value((node, 0), nodes)
            return None if after is None else after / number
        if operation in SAME | {"Neg"}:
            after = self.value((node, 0), nodes)
            return -after if after is not None and operation == "Neg" else after
        return None

    def output(self, node: Any) -> Tensor | None:
        """What a node gave; ``None`` if that was not kept."""
        record, operation = self.records.get(node), self.operation[node]
        if record is not None and record.outputs:
            return record.outputs[0]
        if operation == "Relu":
            return node._saved_result.detach()
        if operation == "Mul" and len(self.inputs[node]) == 2:
            return node._saved_self.detach() * node._saved_other.detach()
        return None

    def same(self, one: Edge, other: Edge) -> bool:
        """Whether two values were computed in the same way from the same."""
        if one == other:
            return True
        a, b = one[0], other[0]
        if (
            self.producer(one) not in UNARY | SUMS | {"Mul", "Div"}
            or self.producer(one) != self.producer(other)
            or one[1] != other[1]
        ):
            return False
        here, there = self.only(a), self.only(b)
        if here is None or there is None or not self._alike(a, b):
            return False
        return self.same(here, there)

    def _alike(self, a: Any, b: Any) -> bool:
        here, there = self.records.get(a), self.records.get(b)
        if here is None or there is None:
            return here is there and (self.operation[a] != "Mul" or _factor(a) == _factor(b))
        numbers = [[v for v in r.arguments.values() if not isinstance(v, Tensor)] for r in (here, there)]
        tensors = [[t.data_ptr() for t in tensors_in(list(r.arguments.values()))] for r in (here, there)]
        return here.function == there.function and numbers[0] == numbers[1] and tensors[0] == tensors[1]


def _factor(node: Any) -> Any:
    """What a product on one activation multiplies with: a number, or where a tensor lies."""
    factor = node._saved_other if node._saved_self is None else node._saved_self
    return factor.data_ptr() if factor.dim() else float(factor)


def _shape(edge: Edge) -> tuple[int, ...]:
    node, number = edge
    variable = getattr(node, "variable", None)
    return tuple(variable.shape if variable is not None else node._input_metadata[number].shape)
