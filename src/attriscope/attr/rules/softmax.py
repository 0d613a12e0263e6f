"""DeepLIFT's rules for softmax, its logarithm and log-sum-exp: complete, bounded, and blind to a common shift.

The logarithmic mean of two numbers, L(a, b) = (a - b) / (log a - log b), lies between them. Let l = L(p, p0), with the
probabilities p and p0 of the two passes. As probabilities add up to one, sum(l * (log p - log p0)) is zero; and
log p is x - logsumexp(x). So logsumexp changes by sum(w * (x - x0)) with w = l / sum(l): weights between 0 and 1 that
add up to one, at equal inputs softmax itself. As l and w are made of probabilities, a shift of either pass by a number
that is common to all x does not change them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attriscope.attr.rules.precision import first, wide
from attriscope.core.propagation import Passed, Step


def softmax(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """The exponential, by the rescale rule, of log-softmax."""
    dims = (step.arguments["dim"],)
    means, arrived = _logarithmic_means(step, dims), first(incoming)
    average = (means * arrived).sum(dims, keepdim=True).div_(_total(means, dims))
    return [means.mul_(arrived - average)]


def log_softmax(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """x minus log-sum-exp."""
    dims, arrived = (step.arguments["dim"],), first(incoming)
    return [arrived - _weights(step, dims).mul_(arrived.sum(dims, keepdim=True))]


def log_sum_exp(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """A soft maximum: shared by weights that add up to one."""
    x, arrived = step.inputs[0], first(incoming)
    dims = tuple(sorted(d % x.dim() for d in step.arguments["dim"]))
    for d in () if step.arguments.get("keepdim") else dims:
        arrived = arrived.unsqueeze(d)
    return [_weights(step, dims).mul_(arrived)]


def _weights(step: Step, dims: tuple[int, ...]) -> Tensor:
    means = _logarithmic_means(step, dims)
    return means.div_(_total(means, dims))


def _total(means: Tensor, dims: tuple[int, ...]) -> Tensor:
    total = means.sum(dims, keepdim=True)
    return total.masked_fill_(total == 0, 1.0)  # all is masked


def _logarithmic_means(step: Step, dims: tuple[int, ...]) -> Tensor:
    """L(p, p0) from the larger of the two and the size s of the change of logarithms: larger * (1 - exp(-s)) / s."""
    here, there = (_log_probabilities(wide(s.inputs[0]), dims) for s in (step, step.before))
    size = (here - there).abs_().clamp_(min=1e-30)
    larger = torch.maximum(here, there).exp_()
    # What is masked, with a logit of minus infinity, has no part in it.
    return larger.mul_(torch.expm1(-size).neg_().div_(size)).nan_to_num_(0.0)


def _log_probabilities(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    if len(dims) == 1:
        return x.log_softmax(dims[0])
    below = x - x.amax(dims, keepdim=True)
    return below - below.logsumexp(dims, keepdim=True)
