"""DeepLIFT's rules for sorted numbers: sort, top-k, k-th value, median, running and scattered maxima.

The sum of the k largest numbers is treated as the largest one is: the pass in which it is larger says which k numbers
made it, and these share its change in proportion to their own. Their changes add up to at least as much, so that no
multiplier leaves the range from 0 to 1; a k-th largest number is the difference of two such sums. Numbers of the lower
half go by sums of the smallest, so that the smallest is treated as a minimum is, and every spelling is the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attriscope.core.errors import OperationError
from attriscope.core.propagation import Passed, Rule, Step


def _by_rank(x: Tensor, x0: Tensor, g: Tensor, dim: int, eps: float) -> Tensor:
    """What is passed to x, where ``g`` arrived at its numbers in ascending order."""
    count = x.shape[dim]
    orders = x.argsort(dim), x0.argsort(dim)
    upper = count - count // 2
    found = _by_sums(x, x0, [t.flip(dim).narrow(dim, 0, upper) for t in (g, *orders)], dim, eps, True)
    if upper == count:
        return found
    return found + _by_sums(x, x0, [t.narrow(dim, 0, count - upper) for t in (g, *orders)], dim, eps, False)


def _by_sums(x: Tensor, x0: Tensor, ordered: list[Tensor], dim: int, eps: float, largest: bool) -> Tensor:
    """The same for the largest or the smallest of them, of which ``ordered`` has what arrived, and both places."""
    g, at, at0 = ordered
    change = x - x0
    total = (x.gather(dim, at) - x0.gather(dim, at0)).cumsum(dim)
    here, there = (change.gather(dim, place).cumsum(dim) for place in (at, at0))
    grew = total >= 0 if largest else total <= 0
    whole = torch.where(grew, here, there)
    still = whole.abs() <= eps
    part = torch.where(still, 1.0, total / torch.where(still, 1.0, whole)).clamp(0, 1)
    # Each number is a sum less the sum before it; a place takes what arrives at its own sum and all that follow.
    ahead = torch.cat([g.narrow(dim, 1, g.shape[dim] - 1), torch.zeros_like(g.narrow(dim, 0, 1))], dim)
    at_sums = (g - ahead) * part
    found = torch.zeros_like(x)
    for kept, place in ((grew, at), (~grew, at0)):
        arrived = torch.where(kept, at_sums, 0.0).flip(dim).cumsum(dim).flip(dim)
        found = found.scatter_add(dim, place, arrived)
    return found


def sort(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """All numbers in order."""
    arrived, x = incoming[0], step.inputs[0]
    assert arrived is not None
    if x.numel() < 2:
        return list(gradients)
    dim = int(step.arguments.get("dim", -1))
    arrived = arrived.flip(dim) if step.arguments.get("descending") else arrived
    return [_by_rank(x, step.before.inputs[0], arrived, dim, step.eps)]


def top_k(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """The first k numbers in order."""
    arrived, x = incoming[0], step.inputs[0]
    assert arrived is not None
    if x.numel() < 2 or arrived.numel() == 0:
        return list(gradients)
    dim, largest = int(step.arguments.get("dim", -1)), bool(step.arguments.get("largest", True))
    if not step.arguments.get("sorted", True):
        orders = [s.outputs[0].argsort(dim, descending=largest) for s in (step, step.before)]
        if not torch.equal(*orders):
            raise OperationError(
                "DeepLIFT has no rule for topk(sorted=False) where the input and the baseline give their numbers in "
                "another order: leave sorted=False out"
            )
        arrived = arrived.gather(dim, orders[0])
    k, count = arrived.shape[dim], x.shape[dim]
    arrived = arrived.flip(dim) if largest else arrived
    g = torch.zeros_like(x)
    g.narrow(dim, count - k if largest else 0, k).copy_(arrived)
    return [_by_rank(x, step.before.inputs[0], g, dim, step.eps)]


def kth(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """The k-th smallest number; a median is one."""
    arrived, x, x0 = incoming[0], step.inputs[0], step.before.inputs[0]
    assert arrived is not None
    if x.numel() < 2:
        return list(gradients)
    dim, shape = step.arguments.get("dim"), x.shape
    if dim is None:  # of the whole tensor
        x, x0, dim, arrived = x.flatten(), x0.flatten(), 0, arrived.reshape(1)
    elif not step.arguments.get("keepdim"):
        arrived = arrived.unsqueeze(dim)
    k = int(step.arguments.get("k") or (x.shape[dim] + 1) // 2)
    g = torch.zeros_like(x)
    g.narrow(dim, k - 1, 1).copy_(arrived)
    return [_by_rank(x, x0, g, dim, step.eps).reshape(shape)]


def running_extreme(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """The largest (smallest) number so far: all to the one that made the difference, as for a maximum."""
    dim = step.arguments["dim"]
    x, x0 = step.inputs[0], step.before.inputs[0]
    (y, at), (y0, at0) = step.outputs[:2], step.before.outputs[:2]
    assert incoming[0] is not None
    rose = y >= y0 if step.operation == "Cummax" else y <= y0
    place = torch.where(rose, at, at0)
    change = x.gather(dim, place) - x0.gather(dim, place)
    still = change.abs() <= step.eps
    ratio = torch.where(still, 1.0, (y - y0) / torch.where(still, 1.0, change))
    return [torch.zeros_like(x).scatter_add(dim, place, incoming[0] * ratio)]


def scattered(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """Numbers gathered at places: by their sum or mean, linear; by the largest or smallest, to those that are it."""
    how = step.arguments["reduce"]
    if step.operation == "SegmentReduce":
        if how not in ("sum", "mean"):
            raise OperationError(f"DeepLIFT has no rule for {step.operation} with reduce={how!r}")
        return gradients
    if not torch.equal(step.arguments["index"], step.before.arguments["index"]):
        raise OperationError(
            f"DeepLIFT: {step.operation} gets other places for the input than for the baseline"
        )
    source = "src" if "src" in step.arguments else "source"
    for name, need in zip(("self", source), step.needs, strict=True):
        if not (
            need or step.propagation.partial or torch.equal(step.arguments[name], step.before.arguments[name])
        ):
            raise OperationError(
                f"DeepLIFT: {step.operation} gets a constant that is not the same for the input and for the baseline"
            )
    if how in ("sum", "mean"):
        return gradients
    if how not in ("amax", "amin"):
        raise OperationError(f"DeepLIFT has no rule for {step.operation} with reduce={how!r}")
    dim, include = step.arguments["dim"], step.arguments["include_self"]
    parts, parts0 = ((s.arguments["self"], s.arguments["src" if "src" in s.arguments else "source"])
                     for s in (step, step.before))  # fmt: skip
    index = step.arguments["index"]
    if index.dim() < parts[1].dim():
        shape = [1] * parts[1].dim()
        shape[dim] = -1
        index = index.reshape(shape)
    index = index.expand_as(parts[1])
    y, y0 = step.outputs[0], step.before.outputs[0]
    grew = y >= y0 if how == "amax" else y <= y0

    def best(own: Tensor, values: Tensor, result: Tensor) -> tuple[Tensor, Tensor]:
        return (own == result) & include, values == result.gather(dim, index)

    here, there = best(*parts, y), best(*parts0, y0)
    own = torch.where(grew, here[0], there[0]).to(y.dtype)
    others = torch.where(grew.gather(dim, index), here[1], there[1]).to(y.dtype)
    count = own.scatter_add(dim, index, others)
    whole = (own * (parts[0] - parts0[0])).scatter_add(dim, index, others * (parts[1] - parts0[1]))
    still = (whole.abs() <= step.eps) | (count == 0)
    # A place to which nothing comes keeps what it holds.
    ratio = torch.where(still, 1 / count.clamp(min=1), (y - y0) / torch.where(still, 1.0, whole))
    assert incoming[0] is not None
    passed = incoming[0] * ratio
    untouched = torch.where(count == 0, incoming[0], passed * own)
    return [untouched, others * passed.gather(dim, index)]


ORDERED: dict[Any, Rule] = {
    "Sort": Rule(sort),
    "Topk": Rule(top_k),
    "Kthvalue": Rule(kth),
    "Median": Rule(kth),
    "Cummax": Rule(running_extreme),
    "Cummin": Rule(running_extreme),
    "ScatterReduce": Rule(scattered),
    "IndexReduce": Rule(scattered),
    "SegmentReduce": Rule(scattered, keep="numbers"),
}
