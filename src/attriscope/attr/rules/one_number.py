"""Functions of one number that are written out in several operations: where each begins and ends.

``0.5 * x * (1 + erf(x / 2 ** 0.5))`` is one function of x. So is all that is made of one number and constants, if it bends
anywhere; of what is only scaled and shifted, the shift stays a bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attriscope.attr.rules.operations import CURVED
from attriscope.attr.rules.regions import SAME, SUMS, Connections, Edge, Region

# Their output is known, and they bend, or add a number.
_TOPS = frozenset(CURVED) | {"Pow", "Div", "Mul", "Relu", "Where", *SUMS}

# Zero only where their input is: relevance passes from a function through them as it does in one step.
_PASSED = frozenset("""
    Neg Mul Div Exp Exp2 Expm1 Tanh Erf Erfc Sigmoid LogSigmoid Softplus Sqrt Rsqrt Reciprocal Pow Square
""".split()) | SAME  # fmt: skip


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


def base_of(graph: Connections, node: Any) -> Edge:
    """The value that a node, an operation number by number, is taken for a function of."""
    chain = graph.chain(node)
    if not chain:
        return node, 0
    deepest = graph.region(node, chain[-1])
    return _base(graph, node, chain, set() if deepest is None else _turns(graph, deepest))


def _turns(graph: Connections, region: Region) -> set[Any]:
    """The nodes where a number is added or two ways come together."""
    return {n for n in region.nodes if graph.kind(n) in ("number", "joint") and graph.operation[n] != "Where"}


def _largest(graph: Connections, node: Any) -> Region | None:
    chain = graph.chain(node)
    if not chain or (len(chain) == 1 and len(graph.inputs[node]) == 1):
        return None
    regions = [graph.region(node, base) for base in chain]
    closed = [region for region in regions if region is not None and region.closed]
    if not closed:
        return None
    turns = _turns(graph, closed[-1])
    if not turns:
        return None
    goal = _base(graph, node, tuple(region.base for region in closed), turns)
    for region in reversed(closed[: [region.base for region in closed].index(goal) + 1]):
        if not turns <= region.nodes:
            break
        if len(region.nodes) > 1 and _bends(graph, region) and graph.value(region.base, region.nodes) is not None:
            return region if graph.output(node) is not None else None
    return None


def _base(graph: Connections, node: Any, chain: tuple[Edge, ...], turns: set[Any]) -> Edge:
    """The nearest value that all turns and a bend lie above, and on through what is zero only where its input is."""
    at = 0
    for at, base in enumerate(chain):
        region = graph.region(node, base)
        if region is not None and turns <= region.nodes and _bends(graph, region):
            break
    while at + 1 < len(chain):
        below = chain[at][0]
        if graph.operation[below] not in _PASSED or graph.only(below) != chain[at + 1]:
            break
        at += 1
    return chain[at]


def _bends(graph: Connections, region: Region) -> bool:
    return any(
        not (
            operation in SUMS | SAME | {"Neg"}
            or (operation in {"Mul", "Div"} and [i for i, _ in graph.inputs[node]] in ([0], [1][: operation == "Mul"]))
        )
        for node, operation in ((n, graph.operation[n]) for n in region.nodes)
    )


__all__ = ["base_of", "functions_of_one_number"]
