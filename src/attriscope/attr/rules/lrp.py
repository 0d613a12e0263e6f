"""The rules of layer-wise relevance propagation for operations (modules may have rules of their own).

What is passed back is relevance divided by activation, R / a. Then every linear operation passes what autograd passes
(rule LRP-0 of Montavon et al. 2019; Bach et al. 2015, doi 10.1371/journal.pone.0130140), a function of one number
passes output over input, and the input times what arrives there is its relevance.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from attriscope.attr.rules.decompositions import DECOMPOSED
from attriscope.attr.rules.deep_lift import each, evaluation_only, first_only, linear
from attriscope.attr.rules.gates import GATES
from attriscope.attr.rules.operations import (
    CURVED,
    FACTORS,
    JOINS,
    LINEAR,
    NORMS_BY_RUNNING_STATISTICS,
    PIECEWISE_LINEAR,
    WINDOWED,
)
from attriscope.attr.rules.ratios import SINGULAR, SMALLEST, ZERO_AT_ZERO, handed_on
from attriscope.attr.rules.regions import EXTREMES, SUMS
from attriscope.core.errors import OperationError
from attriscope.core.propagation import Passed, Rule, Rules, Step


def through(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """All relevance of an output number goes to the input number in its place; zero cannot hold any."""
    arrived = incoming[0]
    assert arrived is not None
    gradient = None if step.operation in SINGULAR else gradients[0]
    scale_free = step.operation in SINGULAR or step.operation in ZERO_AT_ZERO
    smallest, infinite = (0.0, True) if scale_free else (SMALLEST, step.operation.startswith("Log"))
    passed = handed_on(arrived, step.outputs[0], step.inputs[0], gradient, smallest, infinite)
    return [passed, *[None] * (len(gradients) - 1)]


def share(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """A product of two activations: all to the one that is scaled by a gate, else half to each."""
    active = [i for i, need in enumerate(step.needs) if need]
    free = [i for i in active if step.sources[i] not in GATES]
    takers = free if len(free) == 1 else active[-2:] if len(active) > 2 else active
    part = {i: 1 / len(takers) for i in takers}
    # In self + a @ b, self is no factor.
    part |= dict.fromkeys(active[:-2], 1.0)
    return [None if g is None else g * part.get(i, 0.0) for i, g in enumerate(gradients)]


def log_sum_exp(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """A soft maximum: shared in the proportions of softmax."""
    gradient, output = gradients[0], step.outputs[0]
    assert gradient is not None
    for d in (
        () if step.arguments.get("keepdim") else sorted(d % gradient.dim() for d in step.arguments["dim"])
    ):
        output = output.unsqueeze(d)
    return [handed_on(gradient, output, step.inputs[0], gradient)]


def numerator(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """A quotient: all to what is divided."""
    if step.needs[0]:
        return [gradients[0], *[None if g is None else torch.zeros_like(g) for g in gradients[1:]]]
    arrived = incoming[0]
    assert arrived is not None
    return [None, handed_on(arrived, step.outputs[0], step.arguments["other"], None, 0.0)]


def power(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """x ** n passes as a function of one number; an exponent gets nothing."""
    if len(step.needs) > 1 and step.needs[1]:
        raise OperationError("LRP has no rule for an exponent that depends on the input")
    return through(step, gradients, incoming)


def layer_norm(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """The deviation from the mean, scaled: the scale gets nothing."""
    arrived, weight = incoming[0], step.arguments.get("weight")
    assert arrived is not None
    scaled = arrived * step.outputs[-1].reshape(_scale_shape(step)) * (1 if weight is None else weight)
    dims = tuple(range(-len(step.arguments["normalized_shape"]), 0))
    if step.operation == "NativeLayerNorm":
        scaled = scaled - scaled.mean(dims, keepdim=True)
    return [scaled, *[None] * (len(gradients) - 1)]


def _scale_shape(step: Step) -> tuple[int, ...]:
    kept = step.inputs[0].dim() - len(step.arguments["normalized_shape"])
    return (*step.inputs[0].shape[:kept], *[1] * len(step.arguments["normalized_shape"]))


def group_norm(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """As :func:`layer_norm`, over groups of channels."""
    arrived, weight, x = incoming[0], step.arguments.get("weight"), step.inputs[0]
    assert arrived is not None
    if weight is not None:
        arrived = arrived * weight.reshape(1, -1, *[1] * (x.dim() - 2))
    scaled = arrived.reshape(x.shape[0], step.arguments["group"], -1) * step.outputs[2].unsqueeze(-1)
    scaled = scaled - scaled.mean(-1, keepdim=True)
    return [scaled.reshape(x.shape), *[None] * (len(gradients) - 1)]


LRP_RULES = Rules(
    each((*LINEAR, *JOINS, *PIECEWISE_LINEAR, *WINDOWED), linear),
    each(
        (
            "Maximum",
            "Minimum",
            "Fmax",
            "Fmin",
            "MaskedFill",
            "IndexPut",
            "IndexPutImpl",
            "IndexFill",
        ),
        linear,
    ),
    each(NORMS_BY_RUNNING_STATISTICS, Rule(evaluation_only, keep="numbers")),
    each((*FACTORS, "Mul"), Rule(share, keep=None, sources=True, several=True)),
    each(("GridSampler2D", "GridSampler3D"), Rule(first_only, keep=None)),
    each((*CURVED, "Softmax", "SafeSoftmax", "LogSoftmax"), through),
    {key: dataclasses.replace(rule, sources=True) for key, rule in DECOMPOSED.items()},
    {
        # Written down for those that read the graph.
        **each((*SUMS, *EXTREMES), Rule(None, keep="shifts")),
        "Where": Rule(None, keep="masked"),
        "Div": numerator,
        "Pow": power,
        "Logsumexp": log_sum_exp,
        "NativeLayerNorm": layer_norm,
        "FusedRmsNorm": layer_norm,
        "NativeGroupNorm": group_norm,
    },
)

OWN_RULES = dict(LRP_RULES)
"""As they are here, whatever is registered later."""
