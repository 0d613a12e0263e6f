"""A gradient that is infinite or not a number, where the output is finite, is an error and no map of NaN."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr
from attriscope.core.errors import NonFiniteError
from models import draw


class Root(nn.Module):
    """Finite everywhere from 0 on, and infinitely steep there."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.same(x).sqrt().sum(1)


def trap(x: Tensor) -> Tensor:
    """The branch that is not taken has no number, and its gradient is not one."""
    return torch.where(x > 0, x.sqrt(), 0 * x).sum(1)


X = draw(3, 4).abs()
X[1, 2] = 0
CASES: dict[str, Any] = {
    "Saliency": lambda: attr.Saliency(Root()).attribute(X),
    "a branch": lambda: attr.Saliency(trap).attribute(X - 0.3),
    "half": lambda: attr.Saliency(Root()).attribute(X.half()),
    "InputXGradient": lambda: attr.InputXGradient(Root()).attribute(X),
    "IntegratedGradients": lambda: attr.IntegratedGradients(Root()).attribute(X),
    "GradientShap": lambda: attr.GradientShap(Root()).attribute(X, torch.zeros(1, 4, dtype=X.dtype)),
    "NoiseTunnel": lambda: attr.NoiseTunnel(attr.Saliency(Root())).attribute(X, stdevs=0.0),
    "layer": lambda: attr.LayerGradientXActivation(Root(), "same").attribute(X),
    "conductance": lambda: attr.LayerConductance(Root(), "same").attribute(X),
    "neuron": lambda: attr.NeuronGradient(nn.Sequential(Root(), nn.Identity()), "1").attribute(
        X, lambda out: out
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_is_told(case: str) -> None:
    with pytest.raises(
        NonFiniteError, match=r"NaN or infinite at the (inputs|layer).*the explained output is finite"
    ):
        CASES[case]()


def test_where_only_outputs_count_there_is_an_answer() -> None:
    torch.testing.assert_close(attr.FeatureAblation(Root()).attribute(X), X.sqrt())
    assert bool(torch.isfinite(attr.IntegratedGradients(Root()).attribute(X + 0.1)).all())


def test_large_gradients_are_none_of_these() -> None:
    """Added up in half precision they would overflow."""
    x = torch.full((2, 64), 0.5, dtype=torch.float16)
    found = attr.Saliency(lambda x: (x * 3000.0 - 1500.0).sum(1)).attribute(x)
    assert bool((found == 3000).all())
