"""Products of many numbers: prod, cumprod, determinants, products of three tensors; and the inverse of a matrix.

A function that is linear in each of its numbers has, for these numbers, the Shapley values that its gradient gives
along the straight line between both passes (Owen 1972, doi 10.1287/mnsc.18.5.64). There that gradient is a polynomial,
of which Gauss and Legendre's points give the integral exactly. For two factors it is the gradient halfway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.attr.quadrature import quadrature
from attriscope.core.errors import OperationError
from attriscope.core.propagation import Passed, Rule, Step

_MOST_POINTS = 512
"""Each costs a run of the operation; products of more than twice as many numbers are not worked out."""


def call(function: Any, arguments: dict[str, Any]) -> Any:
    """Call an operator with arguments by name; one that works in place gets a copy to work on."""
    positional, named = [], {}
    for argument in function._schema.arguments:
        value = arguments[argument.name]
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = value.clone()
        if argument.kwarg_only:
            named[argument.name] = value
        else:
            positional.append(value)
    return function(*positional, **named)


def multilinear(names: tuple[str, ...], degree: Callable[[Step], int]) -> Callable[..., Any]:
    """DeepLIFT's rule for an operation that is linear in each number of some arguments.

    Args:
        names: these arguments, in the order of autograd's graph.
        degree: how many numbers a product has.
    """

    def between(step: Step, gradients: Passed, incoming: Passed) -> Any:
        points = max(1, (degree(step) + 1) // 2)
        if points > _MOST_POINTS:
            raise OperationError(
                f"DeepLIFT has no rule for {step.operation} of more than {2 * _MOST_POINTS} numbers, but "
                f"{degree(step)} came"
            )
        rule = quadrature("gausslegendre", points)
        needed = [name for name, need in zip(names, step.needs, strict=False) if need]
        ends, starts = step.arguments, step.before.arguments
        totals = [torch.zeros_like(ends[name]) for name in needed]
        for node, weight in zip(rule.nodes, rule.weights, strict=True):
            given = {n: torch.lerp(starts[n], ends[n], node) if n in names else v for n, v in ends.items()}
            with torch.enable_grad():
                leaves = [given[name].detach().requires_grad_() for name in needed]
                given |= dict(zip(needed, leaves, strict=True))
                found = torch.autograd.grad(_first(call(step.function, given)), leaves, incoming[0])
            for total, one in zip(totals, found, strict=True):
                total += weight * one
        left = iter(totals)
        return [next(left) if need else None for need in step.needs]

    return between


def _first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple | list) else output


def _length(step: Step) -> int:
    x, dim = step.inputs[0], step.arguments.get("dim")
    return x.numel() if dim is None else x.shape[dim] if x.dim() else 1


def inverse(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """The difference of two inverses is -inverse @ difference @ inverse, in two orders, of which this is the mean."""
    y, y0 = step.outputs[0].mH, step.before.outputs[0].mH
    arrived = incoming[0]
    assert arrived is not None
    return [-(y @ arrived @ y0 + y0 @ arrived @ y) / 2]


def equal_shares(count: Callable[[Step], int | Tensor]) -> Callable[..., Any]:
    """LRP's rule for a product: the same relevance to each of its numbers, as halves to each of two."""

    def shares(step: Step, gradients: Passed, incoming: Passed) -> Any:
        parts = count(step)
        if isinstance(parts, int):
            return [None if g is None else g / parts for g in gradients]
        x, arrived = step.inputs[0].detach(), incoming[0]
        assert arrived is not None
        with torch.enable_grad():
            leaf = x.requires_grad_()
            y = call(step.function, {**step.arguments, "self": leaf})
            return list(torch.autograd.grad(y, leaf, arrived / parts))

    return shares


def _so_far(step: Step) -> Tensor:
    x, dim = step.inputs[0], step.arguments["dim"]
    shape = [1] * x.dim()
    if x.dim():
        shape[dim] = -1
    return torch.arange(1, _length(step) + 1, dtype=x.real.dtype, device=x.device).reshape(shape)


PRODUCTS_OF_DEEPLIFT: dict[Any, Rule] = {
    "Prod": Rule(multilinear(("self",), _length)),
    "Cumprod": Rule(multilinear(("self",), _length)),
    "LinalgDet": Rule(multilinear(("A",), lambda step: step.arguments["A"].shape[-1])),
    "Trilinear": Rule(multilinear(("i1", "i2", "i3"), lambda step: 3)),
    "LinalgInvEx": Rule(inverse),
}
PRODUCTS_OF_LRP: dict[Any, Rule] = {
    "Prod": Rule(equal_shares(_length)),
    "Cumprod": Rule(equal_shares(_so_far)),
    "LinalgDet": Rule(equal_shares(lambda step: step.arguments["A"].shape[-1])),
    "Trilinear": Rule(equal_shares(lambda step: sum(step.needs)), keep=None, several=True),
}
