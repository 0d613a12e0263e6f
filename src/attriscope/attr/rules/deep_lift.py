"""DeepLIFT's rules: at every operation, multipliers times input differences add up to the output difference.

Rescale rule for one number in, one out (Shrikumar et al. 2017, arXiv 1704.02685); for two numbers the average over both
orders of exchange, their Shapley values (arXiv 1705.07874), but for quotients (:mod:`attriscope.attr.rules.norms`); the
rest is made of these. What is subtracted is not what the model rounded: :mod:`attriscope.attr.rules.precision`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.attr.rules import complex_numbers
from attriscope.attr.rules.decompositions import DECOMPOSED
from attriscope.attr.rules.distances import DISTANCES
from attriscope.attr.rules.norms import (
    deviation,
    group_norm,
    layer_norm,
    shares_by_inverse,
    shares_of_quotient,
    variance,
    vector_norm,
)
from attriscope.attr.rules.operations import (
    ACTIVATIONS_OF_PACKAGES,
    CURVED,
    FACTORS,
    JOINS,
    LINEAR,
    NORMS_BY_RUNNING_STATISTICS,
    OF_TWO,
    PIECEWISE_LINEAR,
    WINDOWED,
    names,
)
from attriscope.attr.rules.order_statistics import ORDERED
from attriscope.attr.rules.own_statistics import by_own_statistics
from attriscope.attr.rules.precision import (
    again,
    as_far_as_rounding_allows,
    at_rest,
    call_again,
    moved,
    slope,
)
from attriscope.attr.rules.precision import first as _first
from attriscope.attr.rules.products import PRODUCTS_OF_DEEPLIFT
from attriscope.attr.rules.sampling import sampled
from attriscope.attr.rules.several_inputs import NORMS, with_constants, with_several
from attriscope.attr.rules.softmax import log_softmax, log_sum_exp, softmax
from attriscope.core.errors import OperationError
from attriscope.core.propagation import Passed, Rule, Rules, Step
from attriscope.core.tape import tensors_in

linear = Rule(None, keep=None)
"""Autograd's gradient is right."""


def rescale(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """Output difference over input difference, number by number; the gradient where the inputs are equal."""
    gradient, arrived = _first(gradients), _first(incoming)
    if step.operation in _NOT_ROUNDED:
        x, x0 = step.inputs[0], step.before.inputs[0]
        change = x - x0
        passed = (step.outputs[0] - step.before.outputs[0]).div_(change).mul_(arrived)
        passed = torch.where(moved(change.abs_(), x, step, exact=True), passed, gradient)
    else:
        passed = slope(step, gradient, arrived)
    return [passed, *[None] * (len(gradients) - 1)]


# What they give is a number that is there already.
_NOT_ROUNDED = frozenset(
    names(
        "Relu Abs Threshold Hardtanh Hardshrink Clamp ClampMin ClampMax Floor Ceil Round Trunc Sign Sgn NanToNum"
    )
)


def same_constants(step: Step, gradients: Passed, incoming: Passed) -> Passed:
    """Autograd's gradient, if the constants are the same in both passes."""
    # At a layer, what comes from elsewhere may differ: its part is not asked for.
    if not step.propagation.partial and not _same(step):
        raise OperationError(
            f"DeepLIFT: {step.operation} gets a constant that is not the same for the input and for the baseline: a "
            "comparison, argmax, index or detach() on the way depends on the input, and no multiplier passes there"
        )
    return gradients


def _same(step: Step) -> bool:
    """Whether what autograd does not follow is equal in both passes."""
    pairs = zip(_constants(step), _constants(step.before), strict=False)
    return all(
        a is b
        or (a.data_ptr(), a.shape, a.stride()) == (b.data_ptr(), b.shape, b.stride())
        or (a.shape == b.shape and torch.equal(a, b))
        for a, b in pairs
    )


def _constants(step: Step) -> list[Tensor]:
    needed = _needed(step)
    if step.operation in _OVERWRITE:
        needed.append("self")
    return [t for n, v in step.arguments.items() if n not in needed for t in tensors_in(v)]


def _needed(step: Step) -> list[str]:
    """The names of the arguments to which something has to be passed; for operators without lists of tensors."""
    schema = step.function._schema.arguments
    tensors = [
        a.name for a in schema if str(a.type) in ("Tensor", "Optional[Tensor]") and a.name not in _CHOICES
    ]
    return [name for name, need in zip(tensors, step.needs, strict=False) if need]


# Tensors that autograd has no gradient for.
_CHOICES = frozenset({"condition", "mask", "index", "indices", "offsets"})
# What was there before does not matter to these.
_OVERWRITE = frozenset({"Copy", "Fill"})


def midpoint(step: Step, gradients: Passed, incoming: Passed) -> Passed | list[Tensor | None]:
    """For what is linear in each of two tensors: the gradient halfway between the two passes."""
    if sum(step.needs) < 2 and not (step.propagation.partial and step.outputs):
        return same_constants(step, gradients, incoming)
    needed = _needed(step)
    with torch.enable_grad():
        halfway = dict(step.arguments)
        for name, value in step.arguments.items():
            if isinstance(value, Tensor):
                mean = (value + step.before.arguments[name]) / 2
                halfway[name] = mean.detach().requires_grad_(name in needed)
        output = call_again(step.function, halfway)
        found = iter(torch.autograd.grad(output, [halfway[n] for n in needed], _first(incoming)))
    return [next(found) if need else None for need in step.needs]


def product(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """a * b: half the sum of the other factor in both passes; by an inverse, as a quotient; by a mask, rescaled."""
    if sum(step.needs) < 2 and not _beside(step):
        return _alone(step, gradients, incoming)
    (a, b), (a0, b0) = step.inputs, step.before.inputs
    g = _first(incoming)
    inverse = [source in ("Rsqrt", "Reciprocal") for source in step.sources]
    if inverse == [False, True]:
        of_a, of_b = shares_by_inverse(a, a0, b, b0)
    elif inverse == [True, False]:
        of_b, of_a = shares_by_inverse(b, b0, a, a0)
    else:
        of_a, of_b = (b + b0) / 2, (a + a0) / 2
    return [g * of_a, g * of_b]


def quotient(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """a / b: complete and bounded, see :mod:`attriscope.attr.rules.norms`; of complex numbers, which have no order, the
    average over both orders of exchanging them."""
    if step.arguments.get("rounding_mode"):
        raise OperationError("DeepLIFT has no rule for a division that rounds")
    if sum(step.needs) < 2 and (step.needs[0] or len(step.inputs) < 2) and not _beside(step):
        return _alone(step, gradients, incoming)
    a, a0 = _either(step, "self")
    b, b0 = _either(step, "other")
    g = _first(incoming)
    complex_numbers_meet = any(isinstance(t, Tensor) and t.is_complex() for t in (a, b))
    shares = (
        ((1 / b + 1 / b0) / 2, -(a + a0) / (2 * b * b0))
        if complex_numbers_meet
        else shares_of_quotient(a, a0, b, b0)
    )
    return [g * share for share in shares][: len(step.needs)]


def _beside(step: Step) -> bool:
    """Whether the other operand is an activation too, which does not come from the layer that is read."""
    return step.propagation.partial and len(step.inputs) == 2 and bool(step.outputs)


def _either(step: Step, name: str) -> tuple[Any, Any]:
    return step.arguments[name], step.before.arguments[name]


def _alone(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """One of the operands leads to the input."""
    if _same(step):
        return gradients
    if not step.outputs:
        return same_constants(step, gradients, incoming)  # refused, by name
    return [_by_output(step, incoming, step.inputs[i], step.before.inputs[i]) if need else None
            for i, need in enumerate(step.needs)]  # fmt: skip


def _by_output(step: Step, incoming: Passed, x: Tensor, x0: Tensor) -> Tensor:
    """The rescale rule for x and something that depends on it in a way that autograd does not see, such as x > 0."""
    change, difference = x - x0, step.outputs[0] - step.before.outputs[0]
    still = ~moved(change.abs(), x, step, exact=True)
    if bool((still & (difference != 0)).any()):
        raise OperationError(
            f"DeepLIFT: the output of {step.operation} changes where its input does not: its mask depends on something "
            "that no multiplier passes through"
        )
    return _first(incoming) * torch.where(still, 0.0, difference / change)


def pairwise(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """Any function of two numbers: the average over both orders of exchanging one pass's numbers for the other's."""
    if sum(step.needs) < 2 and len(step.inputs) < 2:
        return rescale(step, gradients, incoming)
    step = again(step)
    one, other = [a.name for a in step.function._schema.arguments][:2]
    (a, a0), (b, b0) = _either(step, one), _either(step, other)

    def f(left: Any, right: Any) -> Tensor:
        return call_again(step.function, {**step.arguments, one: left, other: right})

    g, y, y0 = _first(incoming), step.outputs[0], step.before.outputs[0]
    ab0, a0b = f(a, b0), f(a0, b)
    # An order of exchange that leads over what is not finite, such as 0 * log 0, is left out.
    ab0 = torch.where(ab0.isfinite(), ab0, torch.where(a0b.isfinite(), y + y0 - a0b, (y + y0) / 2))
    a0b = torch.where(a0b.isfinite(), a0b, y + y0 - ab0)
    unit = step.precision or torch.finfo(y.dtype).eps
    rounding = (y.abs() + a0b.abs() + ab0.abs() + y0.abs()) * (unit / 2)
    effects = ((y - a0b + ab0 - y0) / 2, (y - ab0 + a0b - y0) / 2)
    passed: list[Tensor | None] = []
    for effect, v, v0, gradient in zip(effects, (a, b), (a0, b0), gradients, strict=False):
        if gradient is None:
            passed.append(None)
            continue
        change = v - v0
        quotient = as_far_as_rounding_allows(g * effect / change, gradient, g * rounding / change)
        passed.append(torch.where(moved(change.abs(), v, step), quotient, at_rest(step, gradient)))
    return passed


def power(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """x ** n is a function of one number, x ** y of two."""
    if step.outputs[0].is_complex():
        rule = complex_numbers.rescale if len(step.needs) < 2 else complex_numbers.conjugated(pairwise)
        return rule(step, gradients, incoming)
    return rescale(step, gradients, incoming) if len(step.needs) < 2 else pairwise(step, gradients, incoming)


def where(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """Where both passes choose alike, the chosen one; else shared in proportion to the changes of both."""
    c, c0 = _either(step, "condition")
    if torch.equal(c, c0):
        return same_constants(step, gradients, incoming)
    (a, a0), (b, b0) = _either(step, "self"), _either(step, "other")
    g, difference = _first(incoming), step.outputs[0] - step.before.outputs[0]
    changes = [(p - q) if need else torch.zeros_like(difference) for p, q, need in
               ((a, a0, step.needs[0]), (b, b0, step.needs[1]))]  # fmt: skip
    total = changes[0].abs() + changes[1].abs()
    alike = c == c0
    still = ~moved(total, a - b, step, exact=True)
    if bool((~alike & still & (difference != 0)).any()):
        raise OperationError("DeepLIFT: torch.where chooses between constants; no multiplier passes there")
    shared = torch.where(still, 0.0, difference / total)
    chosen = (c, ~c)
    return [g * torch.where(alike, k.to(g.dtype), shared * change.sgn().conj())
            for k, change in zip(chosen, changes, strict=True)]  # fmt: skip


def masked(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """Numbers put in the place of others, by a mask or an index."""
    if _same(step):
        return gradients
    if len(step.needs) > 1 and step.needs[1]:
        return same_constants(step, gradients, incoming)  # refused, by name
    passed = _by_output(step, incoming, step.inputs[0], step.before.inputs[0])
    return [passed, *[None] * (len(step.needs) - 1)]


def winner(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """A maximum: all to the number that made the difference, the pass with the larger output says which."""
    if len(step.outputs) < 2:  # of a whole tensor
        return step.propagation.replay(
            _smallest if step.operation == "Min" else _largest, ("self",), step, incoming
        )
    x, x0 = step.inputs[0], step.before.inputs[0]
    (y, at), (y0, at0) = step.outputs[:2], step.before.outputs[:2]
    arrived, gradient = _first(incoming), _first(gradients)
    larger = y >= y0
    if step.operation == "Min":
        larger = y <= y0
    dim = step.arguments.get("dim")
    if "Pool" in step.operation:  # indices count the positions of a channel
        spatial = 3 if "3D" in step.operation else 2
        x, x0, out = (t.flatten(-spatial) for t in (x, x0, gradient.new_zeros(gradient.shape)))
        y, y0, at, at0, larger, arrived = (t.flatten(-spatial) for t in (y, y0, at, at0, larger, arrived))
        axis = -1
    else:
        assert dim is not None
        axis, out = dim, torch.zeros_like(gradient)
        if not step.arguments.get("keepdim"):
            y, y0, at, at0, larger, arrived = (t.unsqueeze(axis) for t in (y, y0, at, at0, larger, arrived))
    place = torch.where(larger, at, at0)
    change = x.gather(axis, place) - x0.gather(axis, place)
    ratio = torch.where(moved(change.abs(), y, step, exact=True), (y - y0) / change, 1.0)
    return [out.scatter_add(axis, place, arrived * ratio).reshape(gradient.shape)]


def _largest(self: Tensor) -> Tensor:
    return self.flatten().max(0)[0]


def _smallest(self: Tensor) -> Tensor:
    return self.flatten().min(0)[0]


def bag(step: Step, gradients: Passed, incoming: Passed) -> Passed:
    """Rows of a table added up, with or without weights."""
    if step.arguments.get("mode") == 2 or sum(step.needs) > 1:
        raise OperationError(
            "there is no rule for an EmbeddingBag that takes the maximum, or whose table and weights both depend on "
            "the input"
        )
    return gradients if step.reference is None else same_constants(step, gradients, incoming)


def grouped(step: Step, gradients: Passed, incoming: Passed) -> Passed:
    """Rows of several groups, each times a matrix of its own, as experts are run."""
    if sum(step.needs) > 1:
        raise OperationError("there is no rule for a grouped product of two activations")
    return gradients if step.reference is None else same_constants(step, gradients, incoming)


def each(names: tuple[str, ...], rule: Rule | Callable[..., Any]) -> dict[Any, Rule]:
    """The same rule for several operations."""
    return dict.fromkeys(names, rule if isinstance(rule, Rule) else Rule(rule))


_BY_NUMBERS = ("Mul", "Div", "Where", "MaskedFill", "IndexPut", "IndexPutImpl", "IndexFill")

DEEPLIFT = Rules(
    each(LINEAR, linear),
    each(JOINS, Rule(same_constants, keep="constants")),
    each(NORMS_BY_RUNNING_STATISTICS, Rule(by_own_statistics, keep="statistics")),
    each(FACTORS, Rule(midpoint, keep="factors")),
    each(("GridSampler2D", "GridSampler3D"), sampled),
    each((*PIECEWISE_LINEAR, *CURVED, *ACTIVATIONS_OF_PACKAGES), rescale),
    each(WINDOWED, winner),
    each(OF_TWO, pairwise),
    DECOMPOSED,
    DISTANCES,
    complex_numbers.POLAR,
    ORDERED,
    PRODUCTS_OF_DEEPLIFT,
    {
        "EmbeddingBag": Rule(bag, keep="constants"),
        "GroupedMm": Rule(grouped, keep="constants"),
        "Pow": power,
        "Mul": Rule(product, keep="products", sources=True),
        "Div": Rule(quotient, keep="products"),
        "Where": where,
        "MaskedFill": masked,
        "IndexPut": masked,
        "IndexPutImpl": masked,
        "IndexFill": masked,
        "Softmax": softmax,
        "SafeSoftmax": softmax,
        "LogSoftmax": log_softmax,
        "Logsumexp": log_sum_exp,
        "Var": variance,
        "Std": deviation,
        "LinalgVectorNorm": vector_norm,
        "NativeLayerNorm": layer_norm,
        "FusedRmsNorm": layer_norm,
        "NativeGroupNorm": group_norm,
    },
)
complex_numbers.with_complex(DEEPLIFT, CURVED, _BY_NUMBERS, complex_numbers.rescale)
with_several(DEEPLIFT, (*PIECEWISE_LINEAR, *CURVED, *NORMS))
with_constants(DEEPLIFT, (*OF_TWO, "Pow", "Where"))
