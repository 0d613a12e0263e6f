"""DeepLIFT's rules: at every operation, multipliers times input differences add up to the output difference.

Rescale rule for one number in, one out (Shrikumar et al. 2017, arXiv 1704.02685); for two numbers the average over both
orders of exchange, their Shapley values (arXiv 1705.07874); the rest is made of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.attr.rules import complex_numbers
from attriscope.attr.rules.decompositions import DECOMPOSED
from attriscope.attr.rules.distances import DISTANCES
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
)
from attriscope.attr.rules.order_statistics import ORDERED
from attriscope.attr.rules.own_statistics import by_own_statistics
from attriscope.attr.rules.products import PRODUCTS_OF_DEEPLIFT, call
from attriscope.attr.rules.sampling import sampled
from attriscope.attr.rules.several_inputs import NORMS, with_constants, with_several
from attriscope.core.errors import OperationError
from attriscope.core.propagation import Passed, Rule, Rules, Step
from attriscope.core.tape import tensors_in

linear = Rule(None, keep=None)
"""Autograd's gradient is right."""


def rescale(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """Output difference over input difference, number by number; the gradient where the inputs are equal."""
    x, x0 = step.inputs[0], step.before.inputs[0]
    change = x - x0
    passed = (step.outputs[0] - step.before.outputs[0]).div_(change).mul_(_first(incoming))
    passed = torch.where(change.abs_() > step.eps, passed, _first(gradients))
    return [passed, *[None] * (len(gradients) - 1)]


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
        output = call(step.function, halfway)
        found = iter(torch.autograd.grad(output, [halfway[n] for n in needed], _first(incoming)))
    return [next(found) if need else None for need in step.needs]


def product(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """a * b: half the sum of the other factor in both passes; by a mask, the rescale rule."""
    if sum(step.needs) < 2 and not _beside(step):
        return _alone(step, gradients, incoming)
    (a, b), (a0, b0) = step.inputs, step.before.inputs
    g = _first(incoming)
    return [g * (b + b0) / 2, g * (a + a0) / 2]


def quotient(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """a / b, both orders of exchange averaged."""
    if step.arguments.get("rounding_mode"):
        raise OperationError("DeepLIFT has no rule for a division that rounds")
    if sum(step.needs) < 2 and (step.needs[0] or len(step.inputs) < 2) and not _beside(step):
        return _alone(step, gradients, incoming)
    a, a0 = _either(step, "self")
    b, b0 = _either(step, "other")
    g = _first(incoming)
    return [g * (1 / b + 1 / b0) / 2, -g * (a + a0) / (2 * b * b0)][: len(step.needs)]


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
    still = change.abs() <= step.eps
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
    names = [a.name for a in step.function._schema.arguments][:2]
    (a, a0), (b, b0) = (_either(step, n) for n in names)

    def f(left: Any, right: Any) -> Tensor:
        return call(step.function, {**step.arguments, names[0]: left.clone(), names[1]: right})

    g, y, y0 = _first(incoming), step.outputs[0], step.before.outputs[0]
    ab0, a0b = f(a, b0), f(a0, b)
    effects = ((y - a0b + ab0 - y0) / 2, (y - ab0 + a0b - y0) / 2)
    passed: list[Tensor | None] = []
    for effect, change, need in zip(effects, (a - a0, b - b0), step.needs, strict=True):
        still = change.abs() <= step.eps
        passed.append(g * torch.where(still, 0.0, effect / change) if need else None)
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
    still = total <= step.eps
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
    ratio = torch.where(change.abs() > step.eps, (y - y0) / change, 1.0)
    return [out.scatter_add(axis, place, arrived * ratio).reshape(gradient.shape)]


def _largest(self: Tensor) -> Tensor:
    return self.flatten().max(0)[0]


def _smallest(self: Tensor) -> Tensor:
    return self.flatten().min(0)[0]


def log_softmax(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """x minus log-sum-exp; its exponentials and its logarithm by the rescale rule."""
    return [_through_log_softmax(step, _first(incoming), step.arguments["dim"])]


def softmax(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """The exponential, by the rescale rule, of log-softmax."""
    dim = step.arguments["dim"]
    x, x0 = step.inputs[0], step.before.inputs[0]
    change = (x.log_softmax(dim) - x0.log_softmax(dim)).nan_to_num(0.0)
    ratio = _mean_between(torch.maximum(step.outputs[0], step.before.outputs[0]), change)
    return [_through_log_softmax(step, _first(incoming) * ratio, dim)]


def _through_log_softmax(step: Step, arrived: Tensor, dim: int) -> Tensor:
    return arrived - _shares(step, dim) * arrived.sum(dim, keepdim=True)


def log_sum_exp(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """One dimension of log-sum-exp; its parts by the rescale rule."""
    dims = step.arguments["dim"]
    if len(dims) != 1:
        raise OperationError("DeepLIFT has a rule for logsumexp over one dimension only")
    arrived = _first(incoming)
    if not step.arguments.get("keepdim"):
        arrived = arrived.unsqueeze(dims[0])
    return [arrived * _shares(step, dims[0])]


def _shares(step: Step, dim: int) -> Tensor:
    """w with sum(w * (x - x0)) = logsumexp(x) - logsumexp(x0); all numbers stay between 0 and the sums' ratio."""
    x, x0 = step.inputs[0], step.before.inputs[0]
    top = torch.maximum(x, x0)
    shift = top.amax(dim, keepdim=True)
    shift = torch.where(shift.isfinite(), shift, 0.0)
    whole, whole0 = x.logsumexp(dim, keepdim=True), x0.logsumexp(dim, keepdim=True)
    parts = _mean_between((top - shift).exp(), (x - x0).nan_to_num(0.0))
    return parts / _mean_between(
        (torch.maximum(whole, whole0) - shift).exp(), (whole - whole0).nan_to_num(0.0)
    )


def _mean_between(larger: Tensor, change: Tensor) -> Tensor:
    """The logarithmic mean of two numbers, (a - b) / (log a - log b), from the larger and the change of logarithms."""
    size = change.abs()
    small = size < 1e-12
    return larger * torch.where(small, 1.0, -torch.expm1(-size) / torch.where(small, 1.0, size))


def layer_norm(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """Normalization over the last dimensions."""
    arguments = step.arguments
    dims = tuple(range(-len(arguments["normalized_shape"]), 0))
    arrived, weight = _first(incoming), arguments.get("weight")
    scaled = arrived if weight is None else arrived * weight
    eps = arguments.get("eps")
    centre = step.operation == "NativeLayerNorm"
    inputs = step.inputs[0], step.before.inputs[0]
    eps = torch.finfo(inputs[0].dtype).eps if eps is None else eps
    return [_through_norm(*inputs, scaled, dims, eps, centre), *[None] * (len(gradients) - 1)]


def group_norm(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """Normalization over groups of channels."""
    arguments = step.arguments
    x, x0, arrived = step.inputs[0], step.before.inputs[0], _first(incoming)
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
    """(x - mean) / sqrt(variance + eps): difference, square, mean, inverse root and product, each by its rule."""

    def centred(t: Tensor) -> Tensor:
        return t - t.mean(dims, keepdim=True) if centre else t

    c, c0 = centred(x), centred(x0)
    q, q0 = ((t.square().mean(dims, keepdim=True) + eps).rsqrt() for t in (c, c0))
    to_q = (arrived * (c + c0)).sum(dims, keepdim=True) / 2
    to_mean_square = -to_q * (q * q0).square() / (q + q0)
    count = math.prod(x.shape[d] for d in dims)
    return centred(arrived * (q + q0) / 2 + to_mean_square * (c + c0) / count)


def bag(step: Step, gradients: Passed, incoming: Passed) -> Passed:
    """Rows of a table added up, with or without weights."""
    if step.arguments.get("mode") == 2 or sum(step.needs) > 1:
        raise OperationError(
            "there is no rule for an EmbeddingBag that takes the maximum, or whose table and weights both depend on "
            "the input"
        )
    return gradients if step.reference is None else same_constants(step, gradients, incoming)


def _first(passed: Passed) -> Tensor:
    tensor = passed[0]
    assert tensor is not None
    return tensor


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
        "Pow": power,
        "Mul": Rule(product, keep="products"),
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
        "NativeLayerNorm": layer_norm,
        "FusedRmsNorm": layer_norm,
        "NativeGroupNorm": group_norm,
    },
)
complex_numbers.with_complex(DEEPLIFT, CURVED, _BY_NUMBERS, complex_numbers.rescale)
with_several(DEEPLIFT, (*PIECEWISE_LINEAR, *CURVED, *NORMS))
with_constants(DEEPLIFT, (*OF_TWO, "Pow", "Where"))
