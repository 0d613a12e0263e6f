"""Rules of layer-wise relevance propagation for single modules.

Set ``module.rule``, or pass ``LRP(model, rules={module: rule})``.

What passes between modules is relevance divided by activation; see :mod:`attriscope.attr.rules.lrp`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from attriscope.attr.rules.ratios import handed_on, stabilized
from attriscope.core.errors import OperationError
from attriscope.core.propagation import HALF, widened

__all__ = [
    "Alpha1_Beta0_Rule",
    "AlphaBetaRule",
    "EpsilonRule",
    "GammaRule",
    "IdentityRule",
    "PropagationRule",
]


class PropagationRule:
    """How a module hands relevance down. Derive from it and define :meth:`changes`, or :meth:`passed` for other ideas.

    ``R_j = x_j * sum_k w_jk R_k / (z_k + epsilon sign z_k)``, with z what the module gives for changed parameters.

    Attributes:
        epsilon: ``None``, the default, is 1e-9, or 1e-9 of the largest z of the example if that is below one.
    """

    epsilon: float | None = None

    def changes(self, module: nn.Module) -> dict[str, Tensor | None]:
        """The parameters that are other than the module's own, by name."""
        return {}

    def passed(
        self,
        module: nn.Module,
        inputs: tuple[Tensor, ...],
        others: dict[str, Any],
        output: Tensor,
        incoming: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Relevance divided by activation for each input, given the same for the output.

        Args:
            module: must not be changed: others may be using it. See :func:`with_parameters`. Of a module in half
                precision, a copy in single precision, as are the tensors.
            inputs: the tensors it was called with; the rest is in ``others``, for :func:`run`.
            output, incoming: what it gave, and what arrived there, of the same shape.
        """
        return through_module(
            with_parameters(module, self.changes(module)), inputs, others, output * incoming, self.epsilon
        )

    def __repr__(self) -> str:
        values = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({values})"


class EpsilonRule(PropagationRule):
    """LRP-epsilon (Bach et al. 2015, doi 10.1371/journal.pone.0130140): for the middle of a network.

    Args:
        epsilon: added to the output's size, in its units, before relevance is divided by it; it absorbs relevance of
            weak or contradictory contributions.
    """

    def __init__(self, epsilon: float = 1e-9) -> None:
        self.epsilon = epsilon


class GammaRule(PropagationRule):
    """LRP-gamma (Montavon et al. 2019, doi 10.1007/978-3-030-28954-6_10): favours positive contributions.

    For the lower layers, whose inputs are not negative.

    Args:
        gamma: how much; positive weights count (1 + gamma) times.
        set_bias_to_zero: leave the bias out, so that it takes no relevance; default ``False``.
    """

    def __init__(self, gamma: float = 0.25, set_bias_to_zero: bool = False) -> None:
        self.gamma = gamma
        self.set_bias_to_zero = set_bias_to_zero

    def changes(self, module: nn.Module) -> dict[str, Tensor | None]:
        """See :class:`PropagationRule`."""
        weight = getattr(module, "weight", None)
        changed = {} if weight is None else {"weight": weight + self.gamma * weight.clamp(min=0)}
        return changed | without_bias(module, self.set_bias_to_zero)


class Alpha1_Beta0_Rule(PropagationRule):
    """Positive weights only, as Captum has it (deep Taylor decomposition, arXiv 1512.02479).

    For lower layers, whose inputs are not negative. Where they may be, :class:`AlphaBetaRule` is the rule of the paper.

    Args:
        set_bias_to_zero: leave the bias out; default ``False``.
    """

    def __init__(self, set_bias_to_zero: bool = False) -> None:
        self.set_bias_to_zero = set_bias_to_zero

    def changes(self, module: nn.Module) -> dict[str, Tensor | None]:
        """See :class:`PropagationRule`."""
        weight = getattr(module, "weight", None)
        changed = {} if weight is None else {"weight": weight.clamp(min=0)}
        return changed | without_bias(module, self.set_bias_to_zero)


class AlphaBetaRule(PropagationRule):
    """LRP-alpha-beta (Bach et al. 2015, equation 60): positive and negative contributions apart, whatever the sign of
    the inputs.

    Args:
        alpha, beta: how much of the relevance goes along positive contributions, and how much negative ones take away;
            alpha - beta = 1 conserves relevance.
    """

    def __init__(self, alpha: float = 1.0, beta: float = 0.0) -> None:
        self.alpha = alpha
        self.beta = beta

    def passed(
        self,
        module: nn.Module,
        inputs: tuple[Tensor, ...],
        others: dict[str, Any],
        output: Tensor,
        incoming: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """See :class:`PropagationRule`."""
        if len(inputs) != 1 or getattr(module, "weight", None) is None:
            raise OperationError(
                f"AlphaBetaRule is for a module with weights and one input, not for {module}"
            )
        (x,) = inputs
        weight: Any = module.weight
        bias: Any = getattr(module, "bias", None)
        relevance = output * incoming
        total = torch.zeros_like(x)
        for share, sign in ((self.alpha, 1), (-self.beta, -1)):
            # The contributions of one sign: where input and weight agree in sign, or where they do not.
            kept = {"bias": None if bias is None else (sign * bias).clamp(min=0) * sign}
            same = with_parameters(module, {"weight": weight.clamp(min=0), **kept})
            rest = with_parameters(module, {"weight": weight.clamp(max=0), "bias": None})
            with torch.enable_grad():
                up, down = ((s * x).clamp(min=0).mul(s).requires_grad_() for s in (sign, -sign))
                z = run(same, (up,), others) + run(rest, (down,), others)
                passed = torch.autograd.grad(
                    z, (up, down), share * relevance / stabilized(z.detach(), self.epsilon)
                )
            total += torch.where(up.detach() != 0, passed[0], passed[1])
        return (total,)


class IdentityRule(PropagationRule):
    """Relevance goes through a module as it is: for modules that keep the shape, such as batch normalization."""

    def passed(
        self,
        module: nn.Module,
        inputs: tuple[Tensor, ...],
        others: dict[str, Any],
        output: Tensor,
        incoming: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """See :class:`PropagationRule`."""
        if len(inputs) != 1 or inputs[0].shape != output.shape:
            raise OperationError(
                f"IdentityRule is for modules with one input and an output of its shape, but {module} made "
                f"{tuple(output.shape)} of {', '.join(str(tuple(x.shape)) for x in inputs)}"
            )
        return (handed_on(incoming, output, inputs[0], None),)


def without_bias(module: nn.Module, wanted: bool) -> dict[str, Tensor | None]:
    """The change that leaves the bias out, if that is wanted."""
    bias = getattr(module, "bias", None)
    return {"bias": torch.zeros_like(bias)} if wanted and bias is not None else {}


def with_parameters(module: nn.Module, changes: dict[str, Tensor | None]) -> nn.Module:
    """The module with other parameters; the module itself is not touched."""
    if not changes:
        return module
    other: nn.Module = object.__new__(type(module))
    other.__dict__.update(module.__dict__)
    other._parameters = dict(module._parameters)
    for name, value in changes.items():
        if name in other._parameters:
            other._parameters[name] = value  # type: ignore[assignment]
        elif hasattr(module, name) and not isinstance(getattr(type(module), name, None), property):
            object.__setattr__(other, name, value)
        elif value is not None:
            raise OperationError(
                f"the rule changes {name} of {module}, which is computed from other parameters: remove the "
                "parametrization first (torch.nn.utils.parametrize.remove_parametrizations)"
            )
    return other


def in_single_precision(module: nn.Module) -> nn.Module:
    """The module, or, if anything of it is in half precision, a copy in single precision; the module is not touched."""
    if not any(t.dtype in HALF for t in (*module.parameters(), *module.buffers())):
        return module
    other: nn.Module = object.__new__(type(module))
    for name, value in vars(module).items():
        # Weights also stand in lists and as attributes: in recurrent layers, and where they are computed.
        tensors = isinstance(value, list) and all(isinstance(v, Tensor) for v in value)
        other.__dict__[name] = [_single(v) for v in value] if tensors else _single(value)
    other._parameters = {name: _single(value) for name, value in module._parameters.items()}
    other._buffers = {name: _single(value) for name, value in module._buffers.items()}
    other._modules = {name: child and in_single_precision(child) for name, child in module._modules.items()}
    return other


def _single(value: Any) -> Any:
    return widened(value.detach()) if isinstance(value, Tensor) and value.dtype in HALF else value


def run(module: nn.Module, inputs: tuple[Tensor, ...], others: dict[str, Any]) -> Tensor:
    """Call a module, without its hooks, with other tensors in the places of those it was called with."""
    args, kwargs = others["put"](inputs)
    return module.forward(*args, **kwargs)


def through_module(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    others: dict[str, Any],
    relevance: Tensor,
    epsilon: float | None,
) -> tuple[Tensor | None, ...]:
    """The rule of :class:`PropagationRule` for a module with its parameters changed."""
    with torch.enable_grad():
        leaves = tuple(x.detach().requires_grad_(x.is_floating_point()) for x in inputs)
        z = run(module, tuple(x.clone() for x in leaves), others)
        active = [x for x in leaves if x.requires_grad]
        found = iter(
            torch.autograd.grad(z, active, relevance / stabilized(z.detach(), epsilon), allow_unused=True)
        )
    return tuple(next(found) if x.requires_grad else None for x in leaves)
