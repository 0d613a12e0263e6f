"""Composites: which rule of layer-wise relevance propagation each module of a network gets."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd

from attriscope.attr.rules.modules import AlphaBetaRule, EpsilonRule, GammaRule, PropagationRule
from attriscope.core.errors import InputError
from attriscope.core.hooks import module_of
from attriscope.core.inputs import describe

COMPOSITES = ("epsilon", "gamma", "epsilon-gamma", "epsilon-plus", "epsilon-alpha2-beta1")


def composite(
    model: Any, name: str, epsilon: float = 1e-6, gamma: float = 0.25
) -> dict[nn.Module, PropagationRule]:
    """The rules of a composite, for the modules of a model: ``LRP(model, rules=composite(model, "epsilon-plus"))``.

    What is neither a linear layer nor a convolution keeps its default, and a module with a ``rule`` of its own that.

    Args:
        model: the model.
        name: ``"epsilon"``: :class:`EpsilonRule` everywhere; ``"gamma"``: :class:`GammaRule` everywhere;
            ``"epsilon-gamma"``: gamma for convolutions, epsilon for linear layers (Montavon et al. 2019);
            ``"epsilon-plus"`` and ``"epsilon-alpha2-beta1"``: :class:`AlphaBetaRule` with alpha 1 and beta 0, or with
            2 and 1, for convolutions, epsilon for linear layers (Kohlbrenner et al. 2020, arXiv 1910.09840).
        epsilon, gamma: of these rules.

    Raises:
        InputError: there is no composite of this name, or epsilon or gamma is below zero.
    """
    if name not in COMPOSITES:
        raise InputError(f"composite must be one of {', '.join(COMPOSITES)}, but {describe(name)} came")
    for what, value in (("epsilon", epsilon), ("gamma", gamma)):
        if not value >= 0:
            raise InputError(f"{what} must be a number of at least 0, but {describe(value)} came")

    def rule(convolution: bool) -> PropagationRule:
        if name == "gamma" or (name == "epsilon-gamma" and convolution):
            return GammaRule(gamma)
        if name == "epsilon-plus" and convolution:
            return AlphaBetaRule(1.0, 0.0)
        if name == "epsilon-alpha2-beta1" and convolution:
            return AlphaBetaRule(2.0, 1.0)
        return EpsilonRule(epsilon)

    whole = module_of(model)
    modules = whole.modules() if isinstance(whole, nn.Module) else iter(())
    return {
        module: rule(isinstance(module, _ConvNd))
        for module in modules
        if isinstance(module, _ConvNd | nn.Linear) and vars(module).get("rule") is None
    }
