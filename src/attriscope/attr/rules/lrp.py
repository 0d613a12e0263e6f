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

from attriscope.attr.rules.complex_numbers import POLAR, with_complex
from attriscope.attr.rules.decompositions import DECOMPOSED
from attriscope.attr.rules.deep_lift import bag, each, linear
from attriscope.attr.rules.distances import DISTANCES, OF_TWO_IN_PARTS
from attriscope.attr.rules.gates import GATES
from attriscope.attr.rules.operations import (
    ACTIVATIONS_OF_PACKAGES,
    CURVED,
    FACTORS,
    JOINS,
    LINEAR,
    NORMS_BY_RUNNING_STATISTICS,
    PIECEWISE_LINEAR,
    PLACED,
    WINDOWED,
)
from attriscope.attr.rules.own_statistics import by_own_statistics
from attriscope.attr.rules.products import PRODUCTS_OF_LRP
from attriscope.attr.rules.ratios import SINGULAR, SMALLEST, ZERO_AT_ZERO, handed_on
from attriscope.attr.rules.regions import EXTREMES, SUMS
from attriscope.attr.rules.several_inputs import NORMS, with_several
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
    # In self + a @ b, self is no factor, nor is the bias of a convolution.
    first = len(step.needs) < 3 or "Conv" in step.operation or step.operation == "Linear"
    active = [i for i in ((0, 1) if first else (1, 2)) if step.needs[i]]
    if len(active) < 2:
        return gradients
    free = [i for i in active if step.sources[i] not in GATES]
    takers = free if len(free) == 1 else active
    part = {i: 1 / len(takers) if i in takers else 0.0 for i in active}
    return [None if g is None else g * part.get(i, 1.0) for i, g in enumerate(gradients)]


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


def by_places(step: Step, gradients: Passed, incoming: Passed) -> Passed:
    """What is picked or added up, at places that get nothing."""
    if "Grid" in step.operation and step.needs[1]:
        raise OperationError(f"LRP has no rule for {step.operation} where its positions depend on the input")
    if step.arguments.get("reduce") == "prod":
        raise OperationError(f"LRP has no rule for {step.operation} with reduce='prod'")
    return gradients


def remainder(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """A function of its first number, as long as the second does not depend on the input."""
    if len(step.needs) > 1 and step.needs[1]:
        raise OperationError(f"LRP has no rule for {step.operation} by a number that depends on the input")
    return through(step, gradients, incoming)


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
            "Sort",
            "Topk",
            "Kthvalue",
            "Median",
            "Cummax",
            "Cummin",
            "Copysign",
        ),
        linear,
    ),
    each(NORMS_BY_RUNNING_STATISTICS, Rule(by_own_statistics, keep="statistics")),
    each((*FACTORS, "Mul"), Rule(share, keep=None, sources=True, several=True)),
    each(PLACED, Rule(by_places, keep="numbers")),
    each(("Fmod", "Remainder", "Frexp"), remainder),
    each((*CURVED, *ACTIVATIONS_OF_PACKAGES, "Softmax", "SafeSoftmax", "LogSoftmax"), through),
    {key: dataclasses.replace(rule, sources=True) for key, rule in DECOMPOSED.items()},
    DISTANCES,
    OF_TWO_IN_PARTS,
    POLAR,
    PRODUCTS_OF_LRP,
    {
        # Written down for those that read the graph.
        **each((*SUMS, *EXTREMES), Rule(None, keep="shifts")),
        "Where": Rule(None, keep="masked"),
        "EmbeddingBag": Rule(bag, keep="numbers"),
        "Div": numerator,
        "Pow": power,
        "Logsumexp": log_sum_exp,
        "NativeLayerNorm": layer_norm,
        "FusedRmsNorm": layer_norm,
        "NativeGroupNorm": group_norm,
    },
)
with_complex(LRP_RULES, CURVED, ("Div", "Pow"))
with_several(LRP_RULES, (*CURVED, *NORMS, "PreluKernel"))

OWN_RULES = dict(LRP_RULES)
"""As they are here, whatever is registered later."""
