"""Output over input, the factor by which LRP hands relevance on, where it may be divided and where not."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attriscope.attr.rules.operations import names

SMALLEST = 1e-12
"""A function that is not zero at zero hands nothing on to numbers below this: of its value, they say nothing."""

SINGULAR = frozenset(
    names("Log Log2 Log10 Logit Sqrt Rsqrt Reciprocal Pow Acosh Atanh Erfinv Lgamma Digamma SpecialEntr")
)
"""Without a finite slope at zero. Most are powers: these have no scale of their own, so any ratio is right."""

ZERO_AT_ZERO = frozenset(
    names(
        "Elu Celu Gelu Silu Mish Hardswish Hardtanh Tanh Softshrink Hardshrink Expm1 Log1P Square Sin Tan Asin Atan "
        "Sinh Asinh Erf"
    )
)
"""Their ratio comes near their slope."""


def handed_on(
    arrived: Tensor,
    output: Tensor,
    x: Tensor,
    gradient: Tensor | None,
    smallest: float = SMALLEST,
    infinite: bool = True,
) -> Tensor:
    """All relevance of an output number for the input number in its place, divided by that.

    Args:
        arrived: relevance over activation at the output, of its shape.
        output, x: what the function gave, and for what.
        gradient: what autograd would pass: the limit for x towards zero, which is passed where x is zero, or so small
            that the ratio says nothing any more. ``None``: nothing is passed there.
        smallest: up to which size of x that is so.
        infinite: it is also so where the ratio is not finite.
    """
    ratio = output / x
    usable = ratio.abs() < math.inf if infinite else x.abs() > smallest  # not NaN either
    if infinite and smallest:
        usable &= x.abs() > smallest
    return torch.where(usable, arrived * ratio, 0.0 if gradient is None else gradient)


def stabilized(values: Tensor, epsilon: float | None = None) -> Tensor:
    """Values moved away from zero, so that something may be divided by them.

    Args:
        values: of any shape, one example in each row.
        epsilon: by how much. ``None``: by 1e-9, or 1e-9 of the largest of the example if that is below one, so that
            small units lose nothing; if all are zero, what comes back is one.
    """
    if epsilon is not None:
        return values + torch.where(values < 0, -epsilon, epsilon)
    if not values.numel():
        return values
    sizes = values.abs()
    largest = sizes.amax(tuple(range(1, values.dim())), keepdim=True) if values.dim() > 1 else sizes
    moved = values + torch.where(values < 0, -1e-9, 1e-9) * largest.clamp(max=1.0)
    return torch.where(moved == 0, 1.0, moved)
