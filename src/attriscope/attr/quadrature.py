"""Nodes and weights that integrate over the path from baseline to input, for all methods with ``n_steps``."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers

import numpy as np

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import describe

METHODS = ("riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid", "gausslegendre")


@dataclasses.dataclass(frozen=True)
class Quadrature:
    """Nodes in [0, 1], ascending, with weights that add up to 1."""

    nodes: tuple[float, ...]
    weights: tuple[float, ...]

    @functools.cached_property
    def spread(self) -> Quadrature:
        """The same nodes in an order of which every beginning covers the whole path.

        It is the order of the van der Corput sequence: the middle, then the quarters, then the eighths ...
        """
        order = spread_order(len(self.nodes))
        return Quadrature(tuple(self.nodes[i] for i in order), tuple(self.weights[i] for i in order))

    @functools.cached_property
    def ends(self) -> tuple[tuple[int, float], ...]:
        """Nodes and weights by which something's change from 0 to 1 is told: carried on from the two nodes nearest to
        each end."""
        order = sorted(range(len(self.nodes)), key=self.nodes.__getitem__)
        found = []
        for sign, to, (end, inner) in ((-1.0, 0.0, (order * 2)[:2]), (1.0, 1.0, (order * 2)[:-3:-1])):
            share = (to - self.nodes[end]) / ((self.nodes[end] - self.nodes[inner]) or math.inf)
            found += [(end, sign * (1 + share)), (inner, -sign * share)]
        return tuple(found)


def spread_order(count: int) -> list[int]:
    """The numbers 0 to count - 1 in van der Corput order, beginning in the middle."""
    bits = max(1, count - 1).bit_length()
    size = 1 << bits
    reversed_bits = (int(format(i, f"0{bits}b")[::-1], 2) for i in range(size))
    positions = ((i + size // 2) % size * count // size for i in reversed_bits)
    return list(dict.fromkeys(positions))


def quadrature(method: str, n_steps: int) -> Quadrature:
    """A quadrature rule for the interval from 0 to 1.

    Args:
        method: one of :data:`METHODS`.
        n_steps: the number of nodes, at least 1 (2 for the trapezoidal rule).

    Raises:
        InputError, InputTypeError: another method or number came.
    """
    if not isinstance(n_steps, numbers.Integral) or isinstance(n_steps, bool):
        raise InputTypeError(f"n_steps must be an int, but {describe(n_steps)} came")
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, but {describe(method)} came")
    least = 2 if method == "riemann_trapezoid" else 1
    if n_steps < least:
        raise InputError(f"n_steps must be at least {least} for {method}, but {n_steps} came")
    return _rule(method, int(n_steps))


# With it the rule's other order is kept; a call of a small model takes as long as working either out.
@functools.lru_cache(maxsize=64)
def _rule(method: str, n: int) -> Quadrature:
    if method == "gausslegendre":
        nodes, weights = np.polynomial.legendre.leggauss(n)
        return Quadrature(tuple(((nodes + 1) / 2).tolist()), tuple((weights / 2).tolist()))
    if method == "riemann_trapezoid":
        ends = np.full(n, 1 / (n - 1))
        ends[[0, -1]] /= 2
        return Quadrature(tuple(np.linspace(0, 1, n).tolist()), tuple(ends.tolist()))
    offset = {"riemann_left": 0.0, "riemann_middle": 0.5, "riemann_right": 1.0}[method]
    return Quadrature(tuple(((np.arange(n) + offset) / n).tolist()), (1 / n,) * n)


def stieltjes(method: str, n_steps: int) -> tuple[tuple[float, ...], float]:
    """A rule for sums of g(t) times the change of something else from point to point, from 0 to 1.

    Returns:
        ``n_steps + 1`` points, ascending from 0 to 1, and how much the value of g at the end of each piece counts; that
        at its beginning counts for the rest.

    Raises:
        InputError, InputTypeError: as for :func:`quadrature`.
    """
    quadrature(method, n_steps)  # refuses what cannot be
    share = {"riemann_left": 0.0, "riemann_right": 1.0}.get(method, 0.5)
    # Evenly spaced for "gausslegendre" too: for such sums Gauss's points come to more than twice the error.
    return tuple(i / n_steps for i in range(n_steps + 1)), share
