"""Rules for complex numbers on the way: real and imaginary parts count as numbers of their own.

Torch's gradient of a real number f with respect to z is df/d(real) + i df/d(imaginary), and what a change contributes
is the real part of conj(gradient) * change. So a multiplier m with ``f - f0 = m * (z - z0)`` passes back its conjugate;
and linear operations pass what autograd passes, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.attr.rules.decompositions import decomposed
from attriscope.core.propagation import Apply, Passed, Rule, Rules, Step


def rescale(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """Output difference over input difference, as complex numbers; the gradient where the inputs are equal."""
    arrived, gradient = incoming[0], gradients[0]
    assert arrived is not None
    assert gradient is not None
    change = step.inputs[0] - step.before.inputs[0]
    still = change.abs() <= step.eps
    ratio = (step.outputs[0] - step.before.outputs[0]) / torch.where(still, 1.0, change)
    return [torch.where(still, gradient, arrived * ratio.conj()), *[None] * (len(gradients) - 1)]


def absolute(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
    """|z| is the root of real ** 2 + imaginary ** 2, each by the rescale rule."""
    arrived = incoming[0]
    assert arrived is not None
    size = step.outputs[0] + step.before.outputs[0]
    whole = step.inputs[0] + step.before.inputs[0]
    return [arrived * whole / torch.where(size > 0, size, 1.0)]


def conjugated(rule: Apply) -> Apply:
    """The rule for real numbers, with its multipliers conjugated."""

    def of_conjugates(step: Step, gradients: Passed, incoming: Passed) -> Any:
        passed = rule(step, tuple(map(_conj, gradients)), tuple(map(_conj, incoming)))
        return [_conj(t) for t in passed]

    return of_conjugates


def _conj(t: Tensor | None) -> Tensor | None:
    return None if t is None else t.conj()


def _sign(self: Tensor) -> Tensor:
    size = self.abs()
    return self / torch.where(size > 0, size, torch.ones_like(size))


def _angle(self: Tensor) -> Tensor:
    return torch.atan2(self.imag, self.real)


def _exponential(self: Tensor) -> Tensor:
    return _polar(self.real.exp(), self.imag)


def _logarithm(self: Tensor) -> Tensor:
    return torch.complex(self.abs().log(), _angle(self))


def _polar(abs: Tensor, angle: Tensor) -> Tensor:
    return torch.complex(abs * angle.cos(), abs * angle.sin())


_SELF = ("self",)
POLAR = {"Polar": decomposed(_polar, ("abs", "angle"))}


def with_complex(
    rules: Rules, functions: tuple[str, ...], by_numbers: tuple[str, ...], curve: Apply | None = None
) -> Rules:
    """The same rules, with others where numbers are complex.

    Args:
        functions: operations that are functions of one number.
        by_numbers: those of which the rule holds for complex numbers, too, with conjugated multipliers.
        curve: the rule for functions; ``None`` conjugates theirs.
    """
    parts = {"Sgn": _sign, "Angle": _angle, "Exp": _exponential, "Log": _logarithm}
    own: dict[str, Apply] = {}
    for name in (*functions, *by_numbers):
        rule = rules[name].apply
        if rule is not None:
            own[name] = conjugated(rule) if curve is None or name in by_numbers else curve
    if curve is not None:
        own["Abs"] = absolute
        own |= {name: _applied(decomposed(function, _SELF)) for name, function in parts.items()}
    for name, rule in own.items():
        base = rules[name]
        assert base.apply is not None
        rules[name] = Rule(_either(base.apply, rule), base.keep, base.sources, base.several)
    return rules


def _applied(rule: Rule) -> Apply:
    assert rule.apply is not None
    return rule.apply


def _either(of_real: Apply, of_complex: Apply) -> Callable[..., Any]:
    def rule(step: Step, gradients: Passed, incoming: Passed) -> Any:
        numbers = (*step.inputs, *step.outputs)
        chosen = of_complex if any(t.is_complex() for t in numbers) else of_real
        return chosen(step, gradients, incoming)

    rule.__name__ = getattr(of_real, "__name__", "rule")
    return rule
