"""Composites of LRP: which rule each module gets, and that the Explorer's settings are these."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer, attr
from attriscope.attr.lrp_rules import AlphaBetaRule, EpsilonRule, GammaRule, composite
from attriscope.core.errors import InputError
from attriscope.widget.state.selection import ChoiceError

X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)
    ).eval()


BY_HAND: dict[str, tuple[Any, Any]] = {
    "epsilon": (EpsilonRule(0.1), EpsilonRule(0.1)),
    "gamma": (GammaRule(0.5), GammaRule(0.5)),
    "epsilon-gamma": (GammaRule(0.5), EpsilonRule(0.1)),
    "epsilon-plus": (AlphaBetaRule(1, 0), EpsilonRule(0.1)),
    "epsilon-alpha2-beta1": (AlphaBetaRule(2, 1), EpsilonRule(0.1)),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_explorer_gives_what_rules_set_by_hand_give(name: str) -> None:
    model = net()
    convolution, linear = BY_HAND[name]
    by_hand = {model[0]: convolution, model[2]: convolution, model[5]: linear}
    wanted = attr.LRP(model, rules=by_hand).attribute(X, target=2)
    settings = {"LRP": {"composite": name, "epsilon": 0.1, "gamma": 0.5}}
    explorer = Explorer(model, X, target=2, method="LRP", settings=settings, n_steps=2).wait(60)
    torch.testing.assert_close(explorer.attributions, wanted)
    usual = attr.LRP(model).attribute(X, target=2)
    assert not torch.allclose(wanted, usual, rtol=1e-3)
    space = {"model": model, "inputs": X}
    exec(explorer.code, space)
    torch.testing.assert_close(space["attributions"], wanted)
    explorer.settings = {}
    torch.testing.assert_close(explorer.wait(60).attributions, usual)
    assert "rules=" not in explorer.code


def test_a_rule_that_a_module_has_stays() -> None:
    model = net()
    model[0].rule = own = GammaRule(3.0)
    rules = composite(model, "epsilon-plus")
    assert model[0] not in rules
    assert [type(rules[model[i]]) for i in (2, 5)] == [AlphaBetaRule, EpsilonRule]
    assert vars(rules[model[5]]) == {"epsilon": 1e-6}
    assert model[0].rule is own
    assert composite(lambda x: x, "epsilon") == {}


def test_what_is_no_composite_is_refused() -> None:
    with pytest.raises(InputError, match=r"composite must be one of epsilon, gamma, .*but 'plus' came"):
        composite(net(), "plus")
    with pytest.raises(InputError, match="gamma must be a number of at least 0, but -1"):
        composite(net(), "gamma", gamma=-1)
    explorer = Explorer(net(), X, target=2, n_steps=2)
    with pytest.raises(ChoiceError, match="composite must be one of default, epsilon"):
        explorer.settings = {"LRP": {"composite": "plus"}}
    with pytest.raises(ChoiceError, match="epsilon must be a number of at least 0"):
        explorer.settings = {"LRP": {"epsilon": -1.0}}
    assert explorer.settings == {"IntegratedGradients": {"n_steps": 2}}


def test_relevance_of_epsilon_gamma_by_the_formula() -> None:
    """A linear layer by hand: R_j = x_j sum_k w_jk R_k / (z_k + epsilon sign z_k)."""
    torch.manual_seed(1)
    model, x = nn.Sequential(nn.Linear(3, 2)), torch.randn(1, 3)
    found = attr.LRP(model, rules=composite(model, "epsilon", epsilon=0.3)).attribute(x, target=1)
    z: Tensor = model(x)[0, 1].detach()
    wanted = x * model[0].weight[1].detach() * z / (z + 0.3 * z.sign())
    torch.testing.assert_close(found, wanted)
