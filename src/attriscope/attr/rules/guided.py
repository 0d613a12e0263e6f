"""The rules of guided backpropagation and deconvolution: they differ from the gradient at rectifiers only.

A rectifier keeps large numbers and suppresses negative ones: ReLU and all that took its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.attr.rules.deep_lift import each
from attriscope.attr.rules.operations import ACTIVATIONS_OF_PACKAGES, names
from attriscope.core.propagation import Passed, Rule, Rules, Step

_RISING = names("Relu LeakyRelu Elu Celu Softplus")
_BENT = names("PreluKernel RreluWithNoise Gelu Silu Mish Hardswish")
_AT_ZERO = names("Hardtanh Clamp ClampMin Threshold")
_BY_MASK = names("Mul Where MaskedFill IndexPut IndexPutImpl")
_BY_VALUE = names("Maximum Fmax")

Backward = Callable[[Tensor, Tensor], Tensor]


def guide(gradient: Tensor, arrived: Tensor) -> Tensor:
    """What is positive passes where the gradient passes (Springenberg et al. 2014, arXiv 1412.6806)."""
    return torch.where(arrived > 0, gradient, 0.0)


def guide_rising(gradient: Tensor, arrived: Tensor) -> Tensor:
    """The same for a function that never falls."""
    return gradient.clamp(min=0)


def deconvolve(gradient: Tensor, arrived: Tensor) -> Tensor:
    """What is positive passes, whatever the input was (Zeiler & Fergus 2013, arXiv 1311.2901)."""
    return arrived.clamp(min=0)


def _cuts_at_zero(step: Step) -> bool:
    limits = {
        n: step.arguments[n] for n in ("min", "min_val", "threshold") if step.arguments.get(n) is not None
    }
    # Clamp.Tensor has no plain number; a threshold that puts in something else than zero is a step, not a rectifier.
    return bool(limits) and all(v == 0 for v in limits.values()) and step.arguments.get("value", 0) == 0


def _is_relu(step: Step) -> bool:
    """Whether the masked numbers are exactly the positive ones; seen only where the mask compares activations."""
    if sum(step.needs) != 1:
        return False
    if step.outputs[0].is_complex():
        return False
    places = ("self", "other") if step.operation in ("Mul", "Where", "Maximum", "Fmax") else ("self",)
    x = step.arguments[places[step.needs.index(True)]]
    x = step.outputs[0].new_tensor(x) if not isinstance(x, Tensor) else x
    return torch.equal(step.outputs[0], x.clamp(min=0).expand_as(step.outputs[0]))


def _rectifier(backward: Backward, test: Callable[[Step], bool] | None = None) -> Callable[..., Any]:
    def rule(step: Step, gradients: Passed, incoming: Passed) -> Any:
        arrived = incoming[0]
        assert arrived is not None
        if test is not None and not test(step):
            return gradients
        return [None if g is None else backward(g, arrived) for g in gradients]

    rule.__name__ = backward.__name__
    return rule


def _rules(backward: Backward, rising: Backward) -> Rules:
    return Rules(
        each(_RISING, Rule(_rectifier(rising), keep=None)),
        each((*_BENT, *ACTIVATIONS_OF_PACKAGES), Rule(_rectifier(backward), keep=None)),
        each(_AT_ZERO, Rule(_rectifier(rising, _cuts_at_zero), keep="numbers")),
        each(_BY_MASK, Rule(_rectifier(backward, _is_relu), keep="masked")),
        each(_BY_VALUE, _rectifier(backward, _is_relu)),
        others="keep",
    )


GUIDED = _rules(guide, guide_rising)
DECONVOLUTION = _rules(deconvolve, deconvolve)
