"""Axioms, where methods are known to keep or to break them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import GuidedBackprop, InputXGradient, IntegratedGradients, LayerGradCam, Saliency
from attriscope.metrics import completeness_gap, implementation_invariance, input_invariance, non_sensitivity
from models import Mlp, draw, pair, pictures, seeded, with_drawn_parameters

WEIGHTS = torch.tensor([3.0, 0.0, -2.0, 0.0], dtype=torch.float64)


def linear(x: Tensor) -> Tensor:
    return x @ WEIGHTS


def test_completeness_by_hand() -> None:
    x = torch.ones(2, 4, dtype=torch.float64)
    base = torch.tensor([[0.0, 0, 0.5, 0]], dtype=torch.float64)
    assert completeness_gap(linear, x, x * WEIGHTS).tolist() == [0, 0]
    assert completeness_gap(linear, x, x * WEIGHTS, baselines=base).tolist() == [1, 1]
    assert completeness_gap(linear, x, x * WEIGHTS, baselines=base, relative=True).tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="equals"):
        completeness_gap(linear, x, x, baselines=x, relative=True)


def test_integrated_gradients_are_complete_and_saliency_is_not() -> None:
    model, inputs = pair(), (draw(3, 4), draw(3, 2, 3, seed=1))
    whole = completeness_gap(model, inputs, IntegratedGradients(model), target=[0, 1, 2])
    assert whole.max() < 1e-9
    assert completeness_gap(model, inputs, Saliency(model), target=[0, 1, 2]).min() > 1e-3


def test_non_sensitivity_by_hand() -> None:
    """The model looks at features 0 and 2; the first map agrees, the second misses one and names another."""
    x = draw(1, 4)
    assert non_sensitivity(linear, x, torch.tensor([[1.0, 0, 1, 0]]), generator=seeded(0)).tolist() == [0]
    assert non_sensitivity(linear, x, torch.tensor([[1.0, 1, 0, 0]]), generator=seeded(0)).tolist() == [2]
    assert non_sensitivity(linear, x, torch.zeros(1, 4), generator=seeded(0)).tolist() == [2]
    # Of a model that looks at nothing, a map that names nothing is right.
    assert non_sensitivity(lambda x: 0 * x.sum(1), x, torch.zeros(1, 4), generator=seeded(0)).tolist() == [0]


def test_non_sensitivity_takes_several_samples() -> None:
    """Over a threshold a replacement may change nothing by chance; of sixty, some do."""
    x, ones = torch.zeros(1, 200).double(), torch.ones(1, 200)

    def disagreement(samples: int) -> float:
        drawn = seeded(0)
        found = non_sensitivity(
            lambda x: (x > 1.5).double().sum(1),
            x,
            ones,
            replacement=lambda x: torch.randn(x.shape, generator=drawn),
            n_samples=samples,
        )
        return found.item()

    assert disagreement(1) > 150
    assert disagreement(60) < 20


class Twice(nn.Module):
    """The same function in other steps: no ReLU, but half of a number and its size."""

    def __init__(self, model: Mlp) -> None:
        super().__init__()
        self.first, self.last = copy.deepcopy(model.first), copy.deepcopy(model.last)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x / 2) * 2 - self.first.bias
        return self.last((hidden + hidden.abs()) / 2)


def test_implementation_invariance() -> None:
    """Gradients see functions only. Guided backpropagation sees ReLUs, and misses one that is none."""
    model = with_drawn_parameters(Mlp(smooth=False)).double()
    other, x = Twice(model).double(), draw(8, 4)
    for method in (Saliency, IntegratedGradients, InputXGradient):
        assert implementation_invariance(method, model, other, x, target=1).max() < 1e-9
    assert implementation_invariance(GuidedBackprop, model, other, x, target=1).max() > 0.1
    with pytest.raises(ValueError, match="different functions: for example"):
        implementation_invariance(
            Saliency, model, with_drawn_parameters(Mlp(smooth=False), 5).double(), x, target=1
        )


def test_input_invariance() -> None:
    """Gradients do not move with the inputs; what is multiplied by inputs does (the paper's finding)."""
    model, x = pictures(), draw(3, 2, 6, 5)
    assert input_invariance(Saliency, model, x, 2.0, target=1).max() < 1e-9
    assert input_invariance(InputXGradient, model, x, 2.0, target=1).min() > 0.1
    cam = input_invariance(lambda m: LayerGradCam(m, getattr(m, "model", m).conv), model, x, 2.0, target=1)
    assert cam.max() < 1e-9
    shift = torch.rand(1, 2, 6, 5, generator=seeded(0)).double()
    assert input_invariance(Saliency, model, x, shift, target=[0, 1, 2]).max() < 1e-9


def test_invariance_wants_a_way_to_make_methods() -> None:
    model, x = pictures(), draw(3, 2, 6, 5)
    with pytest.raises(TypeError, match="makes a method"):
        implementation_invariance(Saliency(model), model, model, x, target=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not attributions"):
        implementation_invariance(lambda m: x, model, model, x, target=1)
    with pytest.raises(ValueError, match="same for all examples"):
        input_invariance(Saliency, model, x, x, target=1)
