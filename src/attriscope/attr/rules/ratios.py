"""Output over input, the factor by which LRP hands relevance on, where it may be divided and where not."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST = 1e12
"""A function that is not zero at zero hands nothing on to an input this many times smaller than its output."""

SINGULAR = frozenset(
    "Log Log2 Log10 Logit Sqrt Rsqrt Reciprocal Pow Div Acosh Atanh Erfinv Lgamma Digamma SpecialEntr Square".split()
)
"""Without a finite slope at zero, or powers: these have no scale of their own, so any ratio is right."""


def handed_on(
    arrived: Tensor, output: Tensor, x: Tensor, gradient: Tensor | None, largest: float = LARGEST
) -> Tensor:
    """All relevance of an output number for the input number in its place, divided by that.

    Args:
        arrived: relevance over activation at the output, of its shape.
        output, x: what the function gave, and for what.
        gradient: what autograd would pass: the limit for x towards zero, which is passed where x is zero, or so small that
            the ratio says nothing any more. ``None``: nothing is passed there.
        largest: the ratio from which on that is so.
    """
    ratio = output / x
    # A comparison with NaN, as of 0 / 0, is false.
    usable = ratio.abs() < largest if largest == float("inf") else ratio.abs() <= largest
    return torch.where(usable, arrived * ratio, 0.0 if gradient is None else gradient)


def stabilized(values: Tensor, epsilon: float) -> Tensor:
    """Values moved away from zero by epsilon."""
    return values + torch.where(values < 0, -epsilon, epsilon)
