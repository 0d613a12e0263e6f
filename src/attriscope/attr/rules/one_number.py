"""Functions of one number that are written out in several operations: where each begins and ends.

``0.5 * x * (1 + erf(x / 2 ** 0.5))`` is one function of x. So is all that is made of one number and constants, if it
bends anywhere; of what is only scaled and shifted, the shift stays a bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from attriscope.attr.rules.operations import CURVED, names
from attriscope.attr.rules.regions import EXTREMES, SAME, SUMS, Connections, Edge, Region

# Their output is known, and they bend, or add a number.
_TOPS = frozenset(CURVED) | {"Pow", "Div", "Mul", "Relu", "Where", *SUMS, *EXTREMES}

# Zero only where their input is: relevance passes from a function through them as it does in one step.
_PASSED = frozenset(names("""
    Neg Mul Div Exp Exp2 Expm1 Tanh Erf Erfc Sigmoid LogSigmoid Softplus Sqrt Rsqrt Reciprocal Pow
    Square""")) | SAME  # fmt: skip


def functions_of_one_number(graph: Connections) -> Iterator[Region]:
    """The largest regions that compute one, from the end on; none lies within another."""
    inner: set[Any] = set()
    for node in reversed(graph.nodes):
        if node in inner or graph.operation[node] not in _TOPS or len(graph.inputs[node]) == 0:
            continue
        region = _largest(graph, node)
        if region is not None:
            inner |= region.nodes
            yield region


def bases_of(graph: Connections, node: Any, stops: frozenset[str]) -> tuple[Edge, ...]:
    """The values that a node is a function of, number by number, the deepest first; none below one of ``stops``."""
    chain = graph.chain(node)
    end = next((i for i, edge in enumerate(chain) if graph.producer(edge) in stops), len(chain))
    return chain[end::-1]


def _largest(graph: Connections, node: Any) -> Region | None:
    chain, found = graph.chain(node), None
    if not chain or (len(chain) == 1 and len(graph.inputs[node]) == 1):
        return None
    above = (
        0  # numbers added before anything bends, above what may be zero: others below make it one function
    )
    for base in chain:
        region = graph.region(node, base)
        added = 0 if region is None else sum(graph.kind(n) == "number" for n in region.nodes)
        if region is not None and (added > above or not above) and _is_function(graph, region):
            found = region
        if _may_be_zero(graph, base):
            if found is not None or not added:
                break
            above = added
    return found if found is not None and _is_real(graph.output(node)) else None


def _is_function(graph: Connections, region: Region) -> bool:
    return (
        region.closed
        and len(region.nodes) > 1
        and any(graph.kind(n) in ("number", "joint") and graph.operation[n] != "Where" for n in region.nodes)
        and _bends(graph, region)
        and graph.keeps_shape(region)
        and _is_real(graph.value(region.base, region.nodes))
    )


def _is_real(value: Tensor | None) -> bool:
    return value is not None and not value.is_complex()


def _may_be_zero(graph: Connections, edge: Edge) -> bool:
    """Whether this can be zero where what it was made of is not: then relevance ends there, and a function begins."""
    square = len({given for _, given in graph.inputs.get(edge[0], ())}) == 1  # x * x as well
    return graph.producer(edge) not in _PASSED | SUMS | {"Where"} or not square


def _bends(graph: Connections, region: Region) -> bool:
    return any(
        not (
            operation in SUMS | SAME | {"Neg"}
            or (
                operation in {"Mul", "Div"}
                and [i for i, _ in graph.inputs[node]] in ([0], [1][: operation == "Mul"])
            )
        )
        for node, operation in ((n, graph.operation[n]) for n in region.nodes)
    )


__all__ = ["bases_of", "functions_of_one_number"]
