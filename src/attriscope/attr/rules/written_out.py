"""Functions that a model writes out by hand, found in autograd's graph, so that LRP treats them as the fused ones.

A function of one number (GELU as ``0.5 * x * (1 + erf(x / 2 ** 0.5))``, a sigmoid as ``1 / (1 + exp(-x))``) hands all
relevance to that number. A softmax, its logarithm and a log-sum-exp follow the rule of their fused forms, whatever was
subtracted first. What only scales another factor is a gate, see :mod:`attriscope.attr.rules.gates`.

Numbers that are added inside a function belong to it; tensors that are added, such as biases, stay apart.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from attriscope.attr.rules.gates import Gates
from attriscope.attr.rules.one_number import functions_of_one_number
from attriscope.attr.rules.operations import CURVED, FACTORS, JOINS, LINEAR, PIECEWISE_LINEAR, names
from attriscope.attr.rules.ratios import SINGULAR, handed_on
from attriscope.attr.rules.regions import Connections, Region
from attriscope.attr.rules.softmaxes import (
    LogSumExp,
    log_sum_exp,
    offset_free,
    written_log_softmax,
    written_softmax,
)
from attriscope.core.half_precision import fitted, widened
from attriscope.core.propagation import Passed
from attriscope.core.way import Way

_HELPFUL = frozenset(names("Add Sub Rsub Mul Div Where Pow Maximum Minimum Fmax Fmin"))


# Their slopes are finite, so that autograd passes zero for zero.
_FINITE = frozenset(
    [*LINEAR, *JOINS, *PIECEWISE_LINEAR, *FACTORS, *CURVED, "Mul", "Softmax", "SafeSoftmax", "LogSoftmax"]
) - {*SINGULAR, "Asin", "Acos", "Tan"}


class WrittenOut:
    """What LRP reads from a graph before it puts its rules there.

    Attributes:
        hooks: by node, what replaces what autograd passes on there; ``None``: autograd's own.
    """

    def __init__(self, way: Way) -> None:
        self._way = way
        self.hooks: dict[Any, Callable[[Passed, Passed], Passed] | None] = {}
        if not any(operation in _HELPFUL for _, operation, _ in way.nodes):
            return
        graph = self._gates.graph
        regions: list[tuple[Region, _Handing]] = []
        tops: dict[Any, Any] = {}
        for region, handing in (*_softmaxes(graph), *_functions(graph)):
            if not tops.keys() & region.nodes:
                tops.update(dict.fromkeys(region.nodes, region.top))
                regions.append((region, handing))
        # Where nothing arrives, nothing is to be done; but of an infinite slope, autograd would make NaN there.
        silent = self._gates.silent(tops)
        self.hooks.update(dict.fromkeys(node for node in silent if graph.operation[node] in _FINITE))
        for region, handing in regions:
            if region.top not in silent:
                self._put(region, handing)

    @staticmethod
    def cut(way: Way) -> bool:
        """Whether what is read lies within a function: with that layer, others get other relevance than alone."""
        if not any(operation in _HELPFUL for _, operation, _ in way.nodes):
            return False
        graph = Connections(dataclasses.replace(way, open=frozenset()))
        found = (*_softmaxes(graph), *_functions(graph))
        return any((region.nodes - {region.top}) & way.open for region, _ in found)

    @functools.cached_property
    def _gates(self) -> Gates:
        return Gates(Connections(self._way), self._way.outer)

    def sources(self, node: Any) -> tuple[str, ...]:
        """Of each input of a node, whether it is a gate."""
        return self._gates.sources(node)

    def _put(self, region: Region, handing: _Handing) -> None:
        self.hooks.update(dict.fromkeys(region.nodes))
        first = True
        for node, positions in region.entries.items():
            self.hooks[node] = _Entry(handing, positions, first, node is region.top)
            first = False
        if region.top not in region.entries:
            self.hooks[region.top] = handing.arrive


def _functions(graph: Connections) -> Iterator[tuple[Region, _Handing]]:
    for region in functions_of_one_number(graph):
        value, output = graph.value(region.base, region.nodes), graph.output(region.top)
        assert value is not None
        assert output is not None
        yield region, _Handing(value, output)


def _softmaxes(graph: Connections) -> Iterator[tuple[Region, _Handing]]:
    """Those that are written out, and those that are fused but for an offset before."""
    for node in reversed(graph.nodes):
        operation = graph.operation[node]
        sums: LogSumExp | None = None
        base = None
        if operation in ("Softmax", "SafeSoftmax", "LogSoftmax"):
            given = graph.inputs[node][0][1]
            base = offset_free(graph, given)
            base = None if base == given else base
        elif operation in ("Div", "Mul"):
            base = written_softmax(graph, node)
        elif operation in ("Sub", "Add"):
            sums = written_log_softmax(graph, node) if operation == "Sub" else log_sum_exp(graph, (node, 0))
            base = None if sums is None else sums.of
        region = None if base is None else graph.region(node, base)
        if region is None or not region.closed:
            continue
        value = graph.value(region.base, region.nodes)
        if value is None:
            continue
        output = graph.output(node) if sums is None else None
        if sums is not None:
            output = widened(value).logsumexp(sums.dims, keepdim=True)
            output = widened(value) - output if operation == "Sub" else output.reshape(_shape(node))
        if output is not None:
            yield region, _Handing(value, output, by_gradient=operation == "Add")


def _shape(node: Any) -> Any:
    return node._input_metadata[0].shape


@dataclasses.dataclass
class _Handing:
    """What a region hands from its top to its base.

    Attributes:
        value, output: the numbers at the base and at the top.
        by_gradient: in the proportions of gradients; else number by number.
    """

    value: Tensor
    output: Tensor
    by_gradient: bool = False
    arrived: Tensor | None = None

    def arrive(self, gradients: Passed, incoming: Passed) -> Passed:
        """At the top: autograd goes on with its own gradients, of which the entries make use."""
        assert incoming[0] is not None
        self.arrived = widened(incoming[0])
        return gradients

    def passed(self, gradient: Tensor, first: bool) -> Tensor:
        """What one of the entries passes to the base: the first all, the others nothing."""
        value, output, arrived = widened(self.value), widened(self.output), self.arrived
        assert arrived is not None
        if self.by_gradient:
            return handed_on(gradient, output, value, gradient)
        limit = gradient.nan_to_num(0.0, 0.0, 0.0)
        return handed_on(arrived if first else torch.zeros_like(arrived), output, value, limit)


@dataclasses.dataclass(frozen=True)
class _Entry:
    """The hook of a node that takes the base of a region."""

    handing: _Handing
    positions: tuple[int, ...]
    first: bool
    top: bool

    def __call__(self, gradients: Passed, incoming: Passed) -> Passed:
        if self.top:
            self.handing.arrive(gradients, incoming)
        passed = list(gradients)
        first = self.first
        for position in self.positions:
            old = gradients[position]
            if old is not None:
                passed[position] = fitted(self.handing.passed(widened(old), first), old)
                first = False
        return tuple(passed)
