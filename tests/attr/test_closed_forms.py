"""Models whose explanation can be worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import InputXGradient, IntegratedGradients, LayerActivation, LayerGradCam, Saliency
from attriscope.attr.quadrature import METHODS
from attriscope.zoo import toy_model
from models import assert_same, draw

W = torch.tensor([[2.0, -3.0, 0.5], [-1.0, 4.0, 0.0]], dtype=torch.float64)
X = torch.tensor([[1.0, 2.0, -4.0], [3.0, 0.0, 7.0]], dtype=torch.float64)


def linear(x: Tensor) -> Tensor:
    return x @ W.T + 5


# --- linear models ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [0, 1])
def test_a_linear_model_is_its_weights(target: int) -> None:
    assert_same(Saliency(linear).attribute(X, target=target), W[target].abs().expand(2, 3).contiguous())
    assert_same(Saliency(linear).attribute(X, target=target, abs=False), W[target].expand(2, 3).contiguous())
    assert_same(InputXGradient(linear).attribute(X, target=target), W[target] * X)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_steps", [2, 5, 50])
def test_integrated_gradients_of_a_linear_model_are_exact_with_any_rule(method: str, n_steps: int) -> None:
    start = torch.tensor([[0.5, 1.0, 2.0]], dtype=torch.float64)
    found, delta = IntegratedGradients(linear).attribute(
        X, start, target=[0, 1], method=method, n_steps=n_steps, return_convergence_delta=True
    )
    assert_same(found, W * (X - start), atol=1e-13)
    assert delta.abs().max() < 1e-12


def test_sensitivity_of_a_linear_model_is_its_weights() -> None:
    found = IntegratedGradients(linear, multiply_by_inputs=False).attribute(X, target=1, n_steps=3)
    assert_same(found, W[1].expand(2, 3).contiguous(), atol=1e-14)


# --- products and powers ------------------------------------------------------------------------------------


def test_a_product_is_shared_half_and_half() -> None:
    """Along the straight line from zero, x y owes half to x and half to y (Sundararajan et al., symmetry)."""
    a, b = draw(4, 3, seed=1), draw(4, 3, seed=2)
    first, second = IntegratedGradients(lambda x, y: (x * y).sum(1)).attribute((a, b), n_steps=3)
    assert_same(first, a * b / 2, atol=1e-14)
    assert_same(second, a * b / 2, atol=1e-14)
    for found in InputXGradient(lambda x, y: (x * y).sum(1)).attribute((a, b)):
        assert_same(found, a * b, atol=1e-14)  # twice the change: why one integrates


@pytest.mark.parametrize("power", [2, 3, 5])
def test_powers_from_any_baseline(power: int) -> None:
    """f = sum x^p: each input contributes x^p - b^p; Gauss-Legendre needs p / 2 nodes."""
    x, b = draw(3, 4, seed=1), draw(3, 4, seed=2)
    found, delta = IntegratedGradients(lambda x: x.pow(power).sum(1)).attribute(
        x, b, n_steps=(power + 1) // 2, return_convergence_delta=True
    )
    assert_same(found, x**power - b**power, atol=1e-12)
    assert delta.abs().max() < 1e-12


def test_each_rule_puts_its_nodes_where_it_should() -> None:
    """f = x^2 from 0 to 1 with 4 steps: 2 x the mean of the nodes."""
    one = torch.ones(1, 1, dtype=torch.float64)

    def square(x: Tensor) -> Tensor:
        return x.square().sum(1)

    expected = {
        "riemann_left": 2 * (0 + 0.25 + 0.5 + 0.75) / 4,
        "riemann_right": 2 * (0.25 + 0.5 + 0.75 + 1) / 4,
        "riemann_middle": 1.0,
        "riemann_trapezoid": 1.0,
        "gausslegendre": 1.0,
    }
    for method in METHODS:
        found = IntegratedGradients(square).attribute(one, method=method, n_steps=4)
        assert float(found) == pytest.approx(expected[method], rel=1e-14), method


def test_saturation_is_seen_by_the_path_only() -> None:
    """f = 1 - relu(1 - x) at x = 2, the paper's example: the gradient is 0, the contribution 1."""
    x = torch.full((1, 1), 2.0, dtype=torch.float64)

    def saturating(x: Tensor) -> Tensor:
        return 1 - (1 - x).relu().sum(1)

    assert float(Saliency(saturating).attribute(x)) == 0
    assert float(
        IntegratedGradients(saturating).attribute(x, n_steps=1000, method="riemann_middle")
    ) == pytest.approx(1)


def test_unused_inputs_contribute_nothing() -> None:
    x, y = draw(2, 3), draw(2, 5)
    for method in (Saliency, InputXGradient, IntegratedGradients):
        used, unused = method(lambda x, y: x.square().sum(1)).attribute((x, y))
        assert used.abs().min() > 0
        assert_same(unused, torch.zeros_like(y))


# --- the toy model ------------------------------------------------------------------------------------------


def test_the_numbers_of_the_readme() -> None:
    torch.manual_seed(123)
    inputs = torch.rand(2, 3)
    found, delta = IntegratedGradients(toy_model()).attribute(
        inputs, torch.zeros(2, 3), target=0, return_convergence_delta=True
    )
    expected = torch.tensor([[-0.5922, -1.5497, -1.0067], [0.0000, -0.2219, -5.1991]])
    assert_same(found, expected, atol=5e-5)
    assert delta.abs().max() < 1e-6


def test_the_toy_model_by_hand() -> None:
    """Hidden units of (1, 2, 3) are relu(-16, 2, 20); target 1 weighs them 0, 1, 2."""
    x = torch.tensor([[1.0, 2.0, 3.0]])
    model = toy_model()
    gradient = torch.tensor([[-1.0 + 2 * 2, 0.0 + 2 * 3, 1.0 + 2 * 4]])
    assert_same(LayerActivation(model, "relu").attribute(x), torch.tensor([[0.0, 2.0, 20.0]]))
    assert_same(Saliency(model).attribute(x, target=1), gradient)
    assert_same(InputXGradient(model).attribute(x, target=1), gradient * x)
    # No unit changes sign on the way from zero, so the path has one gradient.
    assert_same(IntegratedGradients(model).attribute(x, target=1), gradient * x, atol=1e-5)
    assert_same(LayerGradCam(model, "relu").attribute(x, target=1), torch.tensor([[0.0 + 2 * 1 + 20 * 2]]))


# --- Grad-CAM -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(5,), (4, 3), (2, 3, 4)], ids=["1d", "2d", "3d"])
def test_grad_cam_of_a_pooled_linear_head(sizes: tuple[int, ...]) -> None:
    """Global average pooling and a linear layer: the weight of a channel is its column over the number of positions.

    Then Grad-CAM is the class activation map (Zhou et al. 2016) divided by that number.
    """
    hold = nn.Identity()

    def model(x: Tensor) -> Tensor:
        return linear(hold(x).flatten(2).mean(2))

    maps = draw(2, 3, *sizes)
    cells = maps[0, 0].numel()
    weights = W[[0, 1]].reshape(2, 3, *[1] * len(sizes)) / cells
    options: Any = {"target": [0, 1]}
    cam = LayerGradCam(model, hold)
    assert_same(cam.attribute(maps, **options), (weights * maps).sum(1, keepdim=True), atol=1e-15)
    assert_same(cam.attribute(maps, **options, attr_dim_summation=False), weights * maps, atol=1e-15)
    both = cam.attribute(maps, **options, relu_attributions=True)
    assert_same(both, (weights * maps).sum(1, keepdim=True).relu(), atol=1e-15)
    each = cam.attribute(maps, **options, relu_attributions=True, attr_dim_summation=False)
    assert_same(each, (weights * maps).relu(), atol=1e-15)
