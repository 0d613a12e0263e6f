"""Numbers of two passes, compared without loss.

What is subtracted must not have been rounded: where input and baseline lie close together, or a function is saturated,
the difference of two rounded outputs is rounding and little else. So a rule computes outputs again in the widest type
that the device has, or has a form in which nothing is subtracted that is nearly equal.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._sums import widest
from attriscope.attr.rules.operations import names
from attriscope.core.propagation import Passed, Step


def wide(value: Any) -> Any:
    """A tensor of real numbers in the widest type; anything else as it is."""
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.to(widest(value.device))
    return value


def again(step: Step) -> Step:
    """The step in the widest type, its outputs computed anew; the step itself where that is not possible."""
    if not _can_run_again(step):
        return step
    reference = None if step.reference is None else _again(step.reference)
    return dataclasses.replace(_again(dataclasses.replace(step, reference=None)), reference=reference)


def _can_run_again(step: Step) -> bool:
    """Not a ``torch.autograd.Function`` or an operator that is not torch's own: those may be for one type only."""
    inputs = step.inputs
    widens = bool(inputs) and inputs[0].dtype != widest(inputs[0].device)
    return widens and getattr(step.function, "namespace", "") == "aten"


def _again(step: Step) -> Step:
    step = widened(step)
    found = call_again(step.function, step.arguments)
    outputs = found if isinstance(found, tuple | list) else (found,)
    return dataclasses.replace(step, outputs=tuple(outputs), precision=0.0)


def widened(step: Step) -> Step:
    """The step with its arguments, and those of its reference, in the widest type."""
    reference = None if step.reference is None else widened(step.reference)
    arguments = {name: wide(value) for name, value in step.arguments.items()}
    return dataclasses.replace(step, arguments=arguments, reference=reference)


def slope(step: Step, gradient: Tensor, arrived: Tensor) -> Tensor:
    """What arrived times output difference over input difference, number by number; the gradient where none differ."""
    x, x0 = step.inputs[0], step.before.inputs[0]
    if _few_are_uncertain(step):
        change = x - x0
        moving = moved(change.abs(), x, step, exact=True)
        quotient = _mended(step, change, moving)
    else:
        step = again(step)
        x, x0 = step.inputs[0], step.before.inputs[0]
        change = x - x0
        moving = moved(change.abs(), x, step)
        quotient = (step.outputs[0] - step.before.outputs[0]).div_(change).to(arrived.dtype)
    passed = quotient.mul_(arrived)
    if step.precision > _DOUBLE and not _can_run_again(step):
        size = step.outputs[0].abs() + step.before.outputs[0].abs()
        uncertain = size * (step.precision / 2) * arrived / change
        passed = as_far_as_rounding_allows(passed, gradient, uncertain)
    return torch.where(moving, passed, at_rest(step, gradient))


# Differences above this part of the outputs are right to 2e-6 in single precision, of functions whose outputs are right
# to the last bits: those that nets are made of.
_CLEAR = 0.03
_RIGHT = frozenset(
    names("Gelu Silu Mish Elu LeakyRelu Hardswish Hardsigmoid Sigmoid LogSigmoid Tanh Softplus Exp")
)


def _few_are_uncertain(step: Step) -> bool:
    """Whether to compute anew only where outputs are nearly equal: on CPUs, where wide types take several times as
    long, and looking where that is needs no waiting."""
    x, *others = step.inputs
    return (
        step.operation in _RIGHT
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and step.precision == torch.finfo(torch.float32).eps
        and _can_run_again(step)
        and all(t.dim() == 0 for t in others)
    )


def _mended(step: Step, change: Tensor, moving: Tensor) -> Tensor:
    y, y0 = step.outputs[0], step.before.outputs[0]
    difference = y - y0
    # GELU's outputs are rounded as its inputs are: it subtracts in its tail.
    a, b = (step.inputs[0], step.before.inputs[0]) if step.operation == "Gelu" else (y, y0)
    near = difference.abs().lt((a.abs() + b.abs()).mul_(_CLEAR)).logical_and_(moving)
    places = near.reshape(-1).nonzero()[:, 0]
    quotient = difference.div_(change).reshape(-1)
    if len(places):
        some = again(_at(step, places))
        exact = (some.outputs[0] - some.before.outputs[0]) / (some.inputs[0] - some.before.inputs[0])
        quotient[places] = exact.to(quotient.dtype)
    return quotient.reshape(change.shape)


def _at(step: Step, places: Tensor) -> Step:
    """A function of one number at some of them."""
    (name,) = (n for n, v in step.arguments.items() if isinstance(v, Tensor) and v.dim())
    arguments = {**step.arguments, name: step.arguments[name].reshape(-1)[places]}
    reference = None if step.reference is None else _at(step.reference, places)
    return dataclasses.replace(step, arguments=arguments, reference=reference)


def call_again(function: Any, arguments: dict[str, Any]) -> Any:
    """Call an operator with arguments by name; none of them is written into."""
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


def moved(size: Tensor, x: Tensor, step: Step, exact: bool = False) -> Tensor:
    """Where a change of this size, from a baseline to x, counts: above ``eps``, and above that part of what is small.

    Else numbers that are small by themselves, such as squares of small numbers, would never change. Of what is not
    rounded, any change counts, unless more is asked for than the default: see :class:`attriscope.attr.DeepLift`.
    """
    if step.eps <= _NO_CHANGE and (exact or step.precision == 0):
        return size > 0  # not of two infinities, whose change is no number
    return size > (x.abs() * step.eps).clamp_(max=step.eps)


_NO_CHANGE = 1e-10
_DOUBLE = torch.finfo(torch.float64).eps


def at_rest(step: Step, gradient: Tensor) -> Tensor:
    """The multiplier of what does not change: the gradient, or nothing where that is infinite, as of a root at zero."""
    return gradient.nan_to_num(0.0, 0.0, 0.0) if step.operation in _STEEP else gradient


# Some of their finite values have an infinite slope, or none.
_STEEP = frozenset({"Sqrt", "Pow", "Asin", "Acos", "Acosh", "SpecialEntr", "Hypot", "Atan2", "Xlogy"})


def as_far_as_rounding_allows(quotient: Tensor, gradient: Tensor, uncertain: Tensor) -> Tensor:
    """The gradient, where a difference quotient of rounded outputs speaks neither for nor against it.

    Args:
        quotient: known up to ``uncertain``: the rounding of the outputs over the change of the input.
        gradient: the slope at one end; right where inputs are nearly equal, unless the quotient speaks against it.
    """
    uncertain = uncertain.abs()
    within = torch.clamp(gradient, quotient - uncertain, quotient + uncertain)
    return torch.where(within.isnan(), quotient, within)


def first(passed: Passed) -> Tensor:
    """The first of what is passed, where there must be one."""
    tensor = passed[0]
    assert tensor is not None
    return tensor
