"""DeepLIFT's rules for quotients, and for norms, deviations and the normalizations that divide by them.

A quotient y = a / b is what solves a = y b. The product's rule, by halves, says that a changes by
(y - y0) (b + b0) / 2 + (b - b0) (y + y0) / 2. So y changes by

    2 (a - a0) / (b + b0)  -  (b - b0) (y + y0) / (b + b0),

which is complete, the same with both passes exchanged, at equal inputs the gradient, and free of differences of what is
nearly equal. If b and b0 have the same sign, as norms have, neither part is above 2 max(|y|, |y0|), however small a
denominator is: |a - a0| is at most |y b| + |y0 b0|, and |b - b0| at most |b + b0| = |b| + |b0|. The average over both
orders of exchange has 1 / b0 in it, which for a norm at a baseline of zero is as large as its epsilon is small.

A root of squares r changes by (r^2 - r0^2) / (r + r0), and a square by (x + x0) (x - x0): norms need nothing else.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from attriscope.attr.rules.decompositions import norm_in_parts
from attriscope.attr.rules.precision import first, wide, widened
from attriscope.core.propagation import Passed, Step


def shares_of_quotient(a: Any, a0: Any, b: Tensor, b0: Tensor) -> tuple[Tensor, Tensor]:
    """Multipliers of a and b for a / b; across a pole, the average over both orders of exchange."""
    total = b + b0
    same = (b > 0) == (b0 > 0)
    safe = torch.where(same, total, 1.0)
    of_a = torch.where(same, 2 / safe, (1 / b + 1 / b0) / 2)
    of_b = torch.where(same, -(a / b + a0 / b0) / safe, -(a + a0) / (2 * b * b0))
    return of_a, of_b


def shares_by_inverse(a: Tensor, a0: Tensor, q: Tensor, q0: Tensor) -> tuple[Tensor, Tensor]:
    """Multipliers of a and q for a * q, where q = 1 / b: as those of a / b."""
    total = q + q0
    same = (q > 0) == (q0 > 0)
    safe = torch.where(same, total, 1.0)
    of_a = torch.where(same, 2 * q * (q0 / safe), total / 2)
    of_q = torch.where(same, (a * q + a0 * q0) / safe, (a + a0) / 2)
    return of_a, of_q


def layer_norm(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """Normalization over the last dimensions."""
    arguments = step.arguments
    dims = tuple(range(-len(arguments["normalized_shape"]), 0))
    arrived, weight = first(incoming), arguments.get("weight")
    scaled = arrived if weight is None else arrived * weight
    eps = arguments.get("eps")
    centre = step.operation == "NativeLayerNorm"
    inputs = step.inputs[0], step.before.inputs[0]
    eps = torch.finfo(inputs[0].dtype).eps if eps is None else eps
    return [_through_norm(*inputs, scaled, dims, eps, centre), *[None] * (len(gradients) - 1)]


def group_norm(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """Normalization over groups of channels."""
    arguments = step.arguments
    x, x0, arrived = step.inputs[0], step.before.inputs[0], first(incoming)
    weight = arguments.get("weight")
    if weight is not None:
        arrived = arrived * weight.reshape(1, -1, *[1] * (x.dim() - 2))
    shape = (x.shape[0], arguments["group"], -1)
    x_flat, x0_flat, arrived = (t.reshape(shape) for t in (x, x0, arrived))
    passed = _through_norm(x_flat, x0_flat, arrived, (-1,), arguments["eps"])
    return [passed.reshape(x.shape), *[None] * (len(gradients) - 1)]


def _through_norm(
    x: Tensor, x0: Tensor, arrived: Tensor, dims: tuple[int, ...], eps: float, centre: bool = True
) -> Tensor:
    """y = c / r with c = x - mean and r = sqrt(mean square of c + eps): quotient, root, square and mean."""
    # Only the mean of what has a large one in common is not to be rounded.
    c, c0 = (_centred(wide(t), dims).to(t.dtype) if centre else t for t in (x, x0))
    r, r0 = ((t.square().mean(dims, keepdim=True) + eps).sqrt() for t in (c, c0))
    total, count = r + r0, math.prod(x.shape[d] for d in dims)
    to_r = (arrived * (c / r).add_(c0 / r0)).sum(dims, keepdim=True)
    passed = arrived * (2 / total) - (c + c0).mul_(to_r / (count * total.square()))
    return passed.sub_(passed.mean(dims, keepdim=True)) if centre else passed


def _centred(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    return x - x.mean(dims, keepdim=True)


def variance(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """Mean squares of deviations from the mean."""
    sums, count, arrived, _ = _deviations(step, first(incoming))
    return [sums.mul_(arrived / count)]


def deviation(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """The root of the variance; of rows that are constant in both passes, nothing."""
    sums, count, arrived, roots = _deviations(step, first(incoming))
    return [sums.mul_(_over(arrived / count, roots))]


def _deviations(step: Step, arrived: Tensor) -> tuple[Tensor, float, Tensor, Tensor]:
    """c + c0, what their squares are divided by, what arrived in the input's dimensions, r + r0."""
    x, x0 = wide(step.inputs[0]), wide(step.before.inputs[0])
    dims = tuple(d % x.dim() for d in (step.arguments.get("dim") or range(x.dim())))
    correction = step.arguments.get("correction")
    count = max(0, math.prod(x.shape[d] for d in dims) - (1 if correction is None else correction))
    c, c0 = _centred(x, dims), _centred(x0, dims)
    roots = sum((t.square().sum(dims, keepdim=True) / count).sqrt() for t in (c, c0))
    return c.add_(c0), count, _in_all_dimensions(step, arrived, dims), roots


def vector_norm(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """Norms of vectors; of vectors that are zero in both passes, nothing."""
    order = step.arguments["ord"]
    if order not in (1, 2):
        arrived = wide(first(incoming))
        return step.propagation.replay(norm_in_parts, ("self",), widened(step), (arrived,))
    x, x0 = wide(step.inputs[0]), wide(step.before.inputs[0])
    dim = step.arguments.get("dim")
    dims = tuple(range(x.dim())) if dim is None else tuple(d % x.dim() for d in dim)
    arrived = _in_all_dimensions(step, first(incoming), dims)
    if order == 1:  # |x| changes by (x + x0) (x - x0) / (|x| + |x0|)
        return [_over(x + x0, x.abs() + x0.abs()).mul_(arrived)]
    total = sum(torch.linalg.vector_norm(t, dim=dims, keepdim=True) for t in (x, x0))
    return [(x + x0).mul_(_over(arrived, total))]


def _in_all_dimensions(step: Step, arrived: Tensor, dims: tuple[int, ...]) -> Tensor:
    for d in () if step.arguments.get("keepdim") else sorted(dims):
        arrived = arrived.unsqueeze(d)
    return arrived


def _over(above: Tensor, below: Any) -> Tensor:
    """A quotient; 0 over 0 is 0."""
    return torch.where(below == 0, 0.0, above / below)
