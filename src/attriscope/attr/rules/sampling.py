"""DeepLIFT's rule for pictures that are sampled at positions, as in spatial transformers."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from attriscope.attr.rules.products import call
from attriscope.core.errors import OperationError
from attriscope.core.propagation import Passed, Step


def sampled(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """What was sampled is linear in the picture; picture and positions share by both orders of exchange, and so do the
    coordinates of a position by all of theirs.
    """
    arguments, before, arrived = step.arguments, step.before.arguments, incoming[0]
    assert arrived is not None
    (x, x0), (grid, grid0) = ((arguments[n], before[n]) for n in ("input", "grid"))
    for name, need, pair in (
        ("picture", step.needs[0], (x, x0)),
        ("positions", step.needs[1], (grid, grid0)),
    ):
        if not (need or step.propagation.partial or torch.equal(*pair)):
            raise OperationError(
                f"DeepLIFT: the {name} of {step.operation} is not the same for the input and for the baseline, in a "
                "way that no multiplier passes through"
            )
    if not step.needs[1] and torch.equal(grid, grid0):
        return gradients

    def sample(picture: Tensor, at: Tensor) -> Tensor:
        found: Tensor = call(step.function, {**arguments, "input": picture, "grid": at})
        return found

    passed: Tensor | None = None
    if step.needs[0]:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (passed,) = torch.autograd.grad(sample(leaf, grid) + sample(leaf, grid0), leaf, arrived / 2)
    if not step.needs[1]:  # a layer's picture, at positions that come from elsewhere
        return [passed, None]
    count = grid.shape[-1]
    middle = (x + x0) / 2
    values = {
        chosen: (sample(middle, torch.where(grid.new_tensor(chosen) > 0, grid, grid0)) * arrived).sum(1)
        for chosen in itertools.product((0, 1), repeat=count)
    }
    change = grid - grid0
    effects = torch.stack([_share(values, i, count) for i in range(count)], -1)
    return [passed, torch.where(change.abs() <= step.eps, 0.0, effects / change)]


def _share(values: dict[tuple[int, ...], Tensor], i: int, count: int) -> Tensor:
    """The Shapley value of coordinate i."""
    total: Any = 0
    for without, value in values.items():
        if without[i] == 0:
            others = sum(without)
            weight = math.factorial(others) * math.factorial(count - others - 1) / math.factorial(count)
            total = total + weight * (values[(*without[:i], 1, *without[i + 1 :])] - value)
    return total
