"""Operations that are functions of one tensor, as long as nothing else that they take depends on the input.

Norms may have factors, and limits may be tensors, that a network works out of its input; then they are written out in
parts, and what cannot be is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attriscope.core.errors import OperationError
from attriscope.core.propagation import Apply, Passed, Rule, Rules, Step


def _scaled(values: Tensor, weight: Tensor | None, bias: Tensor | None = None, dims: int = 0) -> Tensor:
    """Times weight, plus bias, which have ``dims`` dimensions less at their end."""
    if weight is not None:
        values = values * weight.reshape(*weight.shape, *[1] * dims)
    return values if bias is None else values + bias.reshape(*bias.shape, *[1] * dims)


def _layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    return _scaled(F.layer_norm(input, normalized_shape, eps=eps), weight, bias)


def _rms_norm(input: Tensor, normalized_shape: Any, weight: Tensor | None, eps: float | None) -> Tensor:
    return _scaled(F.rms_norm(input, normalized_shape, eps=eps), weight)


def _group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, group: int, eps: float, **_: Any
) -> Tensor:
    return _scaled(F.group_norm(input, group, eps=eps), weight, bias, input.dim() - 2)


def batch_norm(
    input: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    eps: float = 1e-5,
    **others: Any,
) -> Tensor:
    """By running statistics."""
    assert running_mean is not None
    assert running_var is not None
    found = F.batch_norm(input, running_mean, running_var, eps=others.get("epsilon", eps))
    return _scaled(found, weight, bias, input.dim() - 2)


def _clamp(self: Tensor, min: Any = None, max: Any = None) -> Tensor:
    found = (
        self
        if min is None
        else torch.maximum(self, torch.as_tensor(min, dtype=self.dtype, device=self.device))
    )
    return (
        found
        if max is None
        else torch.minimum(found, torch.as_tensor(max, dtype=self.dtype, device=self.device))
    )


def _prelu(self: Tensor, weight: Tensor) -> Tensor:
    return self.relu() - weight * (-self).relu()


NORMS = ("NativeLayerNorm", "FusedRmsNorm", "NativeGroupNorm")
_NORM = ("input", "weight", "bias")
_IN_PARTS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "NativeLayerNorm": (_layer_norm, _NORM),
    "FusedRmsNorm": (_rms_norm, ("input", "weight")),
    "NativeGroupNorm": (_group_norm, _NORM),
    "Clamp": (_clamp, ("self", "min", "max")),
    "ClampMin": (_clamp, ("self", "min")),
    "ClampMax": (_clamp, ("self", "max")),
    "PreluKernel": (_prelu, ("self", "weight")),
}


def constants_of_norm(step: Step) -> None:
    """Refuse a batch normalization of which factors or statistics depend on the input without a gradient.

    Raises:
        OperationError: they are not the same in both passes.
    """
    if differs(step, ("weight", "bias", "running_mean", "running_var")) and not step.propagation.partial:
        raise OperationError(_another_constant(step))


def with_several(rules: Rules, names: Iterable[str]) -> Rules:
    """The same rules, of which those for functions of one tensor see to it that there is but one."""
    for name in names:
        base = rules[name]
        if base.apply is None:
            rules[name] = Rule(_apart(name), keep="factors", several=True)
        else:
            rules[name] = Rule(_guarded(name, base.apply), base.keep, base.sources, base.several)
    return rules


def _apart(name: str) -> Apply:
    def parts(step: Step, gradients: Passed, incoming: Passed) -> Any:
        if name not in _IN_PARTS:
            raise OperationError(
                f"there is no rule for {step.operation} where more than its first tensor depends on the input"
            )
        return step.propagation.replay(*_IN_PARTS[name], step, incoming)

    return parts


def _guarded(name: str, of_one: Apply) -> Apply:
    parts = _apart(name)

    def rule(step: Step, gradients: Passed, incoming: Passed) -> Any:
        if any(step.needs[1:]):
            return parts(step, gradients, incoming)
        if name in _IN_PARTS and differs(step, _IN_PARTS[name][1][1:]):
            if step.propagation.partial:  # at a layer, what comes from elsewhere may
                return parts(step, gradients, incoming)
            raise OperationError(_another_constant(step))
        return of_one(step, gradients, incoming)

    rule.__name__ = getattr(of_one, "__name__", "rule")
    return rule


def with_constants(rules: Rules, names: Iterable[str]) -> Rules:
    """The same rules of functions of two tensors, which see to it that one that is a constant is so in both passes."""
    for name in names:
        base = rules[name]
        assert base.apply is not None
        rules[name] = Rule(_checked(base.apply), base.keep, base.sources, base.several)
    return rules


def _checked(of_two: Apply) -> Apply:
    def rule(step: Step, gradients: Passed, incoming: Passed) -> Any:
        if not (all(step.needs) or step.propagation.partial):
            tensors = [
                n for n, v in step.arguments.items() if isinstance(v, Tensor) and v.dtype != torch.bool
            ]
            constant = [n for n, need in zip(tensors, step.needs, strict=False) if not need]
            if differs(step, constant):
                raise OperationError(_another_constant(step))
        return of_two(step, gradients, incoming)

    rule.__name__ = getattr(of_two, "__name__", "rule")
    return rule


def _another_constant(step: Step) -> str:
    return (
        f"DeepLIFT: {step.operation} gets a constant that is not the same for the input and for the baseline: what "
        "makes it depends on the input, and no multiplier passes there"
    )


def differs(step: Step, names: Iterable[str]) -> bool:
    """Whether one of these arguments is not the same in both passes."""
    if step.reference is None:
        return False
    pairs = [(step.arguments.get(name), step.reference.arguments.get(name)) for name in names]
    return any(
        isinstance(a, Tensor)
        and isinstance(b, Tensor)
        and a.data_ptr() != b.data_ptr()
        and not torch.equal(a, b)
        for a, b in pairs
    )
