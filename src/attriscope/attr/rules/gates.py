"""Which factors are gates: what only scales another factor, whoever wrote it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attriscope.attr.rules.one_number import bases_of
from attriscope.attr.rules.operations import names
from attriscope.attr.rules.regions import EXTREMES, SAME, SUMS, Connections, Edge
from attriscope.attr.rules.softmaxes import share_of_total, written_log_softmax
from attriscope.core.graph import CARRIERS

GATE = "Gate"
"""What :attr:`Step.sources` says of a factor that is one."""

GATES = frozenset(
    {GATE, "Softmax", "SafeSoftmax", "Sigmoid", "Hardsigmoid", "Rsqrt", "Reciprocal", "SpecialNdtr"}
)
"""What only scales another factor: it gets no relevance (Arras et al. 2017, arXiv 1706.07206; for attention weights
and norms Ali et al. 2022, arXiv 2202.07304)."""

_PICKS = frozenset(
    names("IndexSelect Index Gather TakeAlongDim Flip Roll Topk Diagonal ConstantPadNd Split Chunk")
)
_NEVER_NEGATIVE = frozenset(names("Exp Exp2 Relu Softplus Abs Square Sqrt Erfc")) | GATES
_ACTIVATIONS = frozenset(
    names(
        "Relu LeakyRelu PreluKernel Gelu Silu Tanh Elu Celu Softplus Mish Hardswish LogSigmoid Sin Cos Square Abs"
    )
)
_PRODUCTS = frozenset(["Mul", "Mm", "Bmm", "Mv", "Dot", "Div"])
_UNBOUNDED = _ACTIVATIONS - {"Tanh", "Sin", "Cos", "LogSigmoid"}

# Where a written function is tried out: boundedness shows far away, divisors far away and on the right.
_GRID = (0.0, 1e-3, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 1e3, 1e6, 1e9, 1e12)
_POINTS = torch.tensor([*(-x for x in reversed(_GRID[1:])), *_GRID], dtype=torch.float64, device="cpu")


class _UnknownError(Exception):
    """A part of a written function cannot be tried out at other numbers."""


class Gates:
    """Says of the inputs of products which are gates.

    A gate is a sigmoid, a softmax's weights, what divides (the scale of a norm); and whatever is a function of one
    number that is bounded and never negative, or a share of a total of numbers that are never negative.

    Args:
        connections: the graph.
        outer: for tensors at which the graph begins, by id, what they come from in the graph around it.
    """

    def __init__(self, connections: Connections, outer: dict[int, str]) -> None:
        self.graph = connections
        self._outer = outer
        self._known: dict[Edge, bool] = {}

    def sources(self, node: Any) -> tuple[str, ...]:
        """For each input of a node, :data:`GATE` if it is one."""
        found = [""] * len(node.next_functions)
        for position, edge in self.graph.inputs[node]:
            found[position] = GATE if self.is_gate(edge) else ""
        return tuple(found)

    def silent(self, tops: dict[Any, Any]) -> set[Any]:
        """The nodes at which no relevance arrives: what only gates and divisors come from.

        Args:
            tops: for nodes within regions that are handed over as one, where that ends.
        """
        found: set[Any] = set()
        for node in reversed(self.graph.nodes):
            top = tops.get(node, node)
            users = () if top is not node or node in self.graph.open else self.graph.users[node]
            if top in found or (
                users and all(u in found or (u not in tops and self._passes_none(u, node)) for u in users)
            ):
                found.add(node)
        return found

    def _passes_none(self, user: Any, node: Any) -> bool:
        inputs, operation = self.graph.inputs[user], self.graph.operation[user]
        if len(inputs) != 2 or operation not in _PRODUCTS:
            return False
        (_, first), (_, second) = inputs
        if first[0] is node and second[0] is node:
            return False
        if operation == "Div":
            return second[0] is node
        mine, other = (first, second) if first[0] is node else (second, first)
        return self.is_gate(mine) and not self.is_gate(other)

    def is_gate(self, edge: Edge) -> bool:
        """Whether what comes from there only scales."""
        if edge not in self._known:
            self._known[edge] = self._is_gate(edge)
        return self._known[edge]

    def _is_gate(self, edge: Edge) -> bool:
        graph, (node, _) = self.graph, edge
        operation = graph.producer(edge)
        if not operation:
            variable = getattr(node, "variable", None)
            return self._outer.get(id(variable)) in GATES
        if (
            operation in GATES
            or (operation == "Div" and graph.inputs[node][0][0] == 1)
            or self._divides(node)
        ):
            return True
        if operation in _ACTIVATIONS:
            return False
        only = graph.only(node)
        if operation == "Exp" and only is not None and self._log_softmax(only):
            return True
        share = share_of_total(graph, node)
        if share is not None and self._never_negative(share):
            return True
        scales = operation in CARRIERS and graph.kind(node) == "plain"
        if not scales and graph.kind(node) is not None and (tried := self._tried(edge)) is not None:
            return tried
        # Through views and factors; offsets, too, where they could not be tried out.
        return only is not None and operation in CARRIERS | _PICKS and self.is_gate(only)

    def _divides(self, node: Any) -> bool:
        """A power with a negative exponent."""
        if self.graph.operation[node] != "Pow" or node not in self.graph.records:
            return False
        exponent = self.graph.records[node].arguments.get("exponent")
        return not isinstance(exponent, Tensor | None) and float(exponent) < 0

    def _log_softmax(self, edge: Edge) -> bool:
        return (
            self.graph.producer(edge) == "LogSoftmax" or written_log_softmax(self.graph, edge[0]) is not None
        )

    def _never_negative(self, edge: Edge) -> bool:
        operation, only = self.graph.producer(edge), self.graph.only(edge[0])
        if operation in _NEVER_NEGATIVE:
            return True
        if operation in (CARRIERS | _PICKS) - SUMS and only is not None:
            return self._never_negative(only)
        values = self._values(edge)
        return values is not None and bool((values.nan_to_num() >= 0).all())

    def _tried(self, edge: Edge) -> bool | None:
        """Whether a function of one number is bounded and never negative, or divides; ``None`` if that stays open."""
        values = self._values(edge)
        if values is None:
            return None
        inside, far = _POINTS.abs() <= 1e9, values[values.isfinite()]
        if not len(far):
            return None
        near = values[inside & values.isfinite()].amax()
        bounded = not values.isinf().any() and bool(far.amax() <= near * 1.001)
        if bounded and far.amin() >= -1e-9 * far.amax():
            return True
        at = dict(zip(_POINTS.tolist(), values.tolist(), strict=True))
        ladder = [at[x] for x in (1e-3, 1.0, 1e3, 1e6, 1e9)]
        falls = all(a >= b > 0 for a, b in itertools.pairwise(ladder))
        return falls and abs(ladder[4] * ladder[2] / ladder[3] ** 2 - 1) < 0.1 and ladder[3] < 0.9 * ladder[2]

    def _values(self, edge: Edge) -> Tensor | None:
        for base in bases_of(self.graph, edge[0], _UNBOUNDED):
            try:
                return self._value(edge, base, {})
            except _UnknownError:
                continue
        return None

    def _value(self, edge: Edge, base: Edge, known: dict[Any, Tensor]) -> Tensor:
        if edge == base:
            return _POINTS.clone()
        node = edge[0]
        if node not in known:
            given = {i: self._value(e, base, known) for i, e in self.graph.inputs[node]}
            known[node] = self._again(node, given)
        return known[node]

    def _again(self, node: Any, given: dict[int, Tensor]) -> Tensor:
        """An operation at other numbers."""
        operation = self.graph.operation[node]
        if operation in SAME:
            return given[0]
        if operation in _WITHOUT_RECORD:
            return _WITHOUT_RECORD[operation](given[0], node)
        record = self.graph.records.get(node)
        if record is None:
            if operation not in {"Mul", *EXTREMES, "Add", "Sub"}:
                raise _UnknownError
            if len(given) < 2:
                given = {1 - next(iter(given)): _number(self.graph.constant(node)), **given}
            scale = getattr(node, "_saved_alpha", 1)
            return _OF_TWO[operation](given[0], given[1] * scale)
        return _called_again(record, given)


def _called_again(record: Any, given: dict[int, Tensor]) -> Tensor:
    positional, named = [], {}
    for argument in record.function._schema.arguments:
        name = argument.name
        position = {"self": 0, "other": 1}.get(name, -1)
        value = given[position].clone() if position in given else record.arguments[name]
        if position not in given and isinstance(value, Tensor):
            if name == "condition":
                raise _UnknownError
            value = _number(value)
        if argument.kwarg_only:
            named[name] = value
        else:
            positional.append(value)
    output = record.function(*positional, **named)
    return output[0] if isinstance(output, tuple) else output


def _number(value: Any) -> Tensor:
    if value is None or (isinstance(value, Tensor) and value.dim()):
        raise _UnknownError
    return torch.tensor(float(value), dtype=torch.float64, device="cpu")


_WITHOUT_RECORD: dict[str, Callable[[Tensor, Any], Tensor]] = {
    "Relu": lambda x, node: x.relu(),
    "Abs": lambda x, node: x.abs(),
    "Neg": lambda x, node: -x,
    "LeakyRelu": lambda x, node: F.leaky_relu(x, node._saved_negative_slope),
}
_OF_TWO: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Mul": torch.mul,
    "Add": torch.add,
    "Sub": torch.sub,
    "Maximum": torch.maximum,
    "Minimum": torch.minimum,
    "Fmax": torch.fmax,
    "Fmin": torch.fmin,
}
