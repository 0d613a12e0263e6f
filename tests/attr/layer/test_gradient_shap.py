"""Expected gradients at a layer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import Call, GradientShap, LayerConductance, LayerGradientShap, NoiseTunnel
from attriscope.core.errors import InputError, InputTypeError, LayerError
from models import Snapshot, assert_same, draw, mlp, pictures, seeded, with_drawn_parameters

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(3, 4)
STARTS = draw(2, 4, seed=6)


def deep() -> Any:
    return with_drawn_parameters(
        nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Softplus(), nn.Linear(5, 3))
    ).double()


@pytest.mark.parametrize("multiply", [True, False])
@pytest.mark.parametrize("options", [{}, {"stdevs": 0.2}, {"n_samples": 1}, {"n_samples": 9}], ids=str)
def test_at_the_inputs_it_is_gradient_shap(options: dict[str, Any], multiply: bool) -> None:
    model = nn.Sequential(nn.Identity(), deep())
    before = Snapshot(model, (X,))
    asked: dict[str, Any] = {"target": 1, "return_convergence_delta": True, **options}
    expected = GradientShap(model, multiply).attribute(X, STARTS, generator=seeded(2), **asked)
    for layer, at_input in (("0", False), ("1", True), ("1.0", True)):
        found = LayerGradientShap(model, layer, multiply_by_inputs=multiply).attribute(
            X, STARTS, generator=seeded(2), attribute_to_layer_input=at_input, **asked
        )
        assert_same(found, expected, atol=1e-12)
    before.check()


def test_one_baseline_and_one_sample_by_hand() -> None:
    """The gradient at the point that was drawn, times what the layer's values changed by."""
    model, start = deep(), draw(1, 4, seed=9)
    points: list[Tensor] = []
    handle = model[0].register_forward_pre_hook(lambda module, args: points.append(args[0].detach().clone()))
    found = LayerGradientShap(model, "2").attribute(X, start, 1, target=1, generator=seeded(2))
    handle.remove()
    at = points[0]
    held = model[:3](at).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model[3:](held)[:, 1].sum(), held)
    assert_same(found, gradient * (model[:3](X) - model[:3](start)).detach(), atol=1e-12)


def test_many_samples_come_to_conductance_of_a_linear_beginning() -> None:
    """There the layer's values change evenly along the path, and both integrate the same."""
    model, start = deep(), draw(1, 4, seed=9)
    found = LayerGradientShap(model, "0").attribute(X, start, 400, target=1, generator=seeded(2))
    expected = LayerConductance(model, "0").attribute(X, start, 1, n_steps=400)
    assert_same(found, expected, atol=1e-3)
    _, delta = LayerGradientShap(model, "0").attribute(
        X, start, 400, target=1, generator=seeded(2), return_convergence_delta=True
    )
    assert delta.shape == (1200,)
    assert delta.reshape(3, 400).mean(1).abs().max() < 1e-3


LISTS = (["0", "2"], ["4", "1", "0"], ["2", "2"], ["0"])


@pytest.mark.parametrize("layers", LISTS, ids=str)
def test_a_list_of_layers_is_each_by_itself(layers: list[str]) -> None:
    model = deep()
    options: dict[str, Any] = {"target": 1, "n_samples": 5, "stdevs": 0.1, "return_convergence_delta": True}
    found, delta = LayerGradientShap(model, layers).attribute(X, STARTS, generator=seeded(2), **options)
    assert len(found) == len(layers)
    assert delta.shape == ((len(layers), 15) if len(layers) > 1 else (15,))
    for i, layer in enumerate(layers):
        one, its = LayerGradientShap(model, layer).attribute(X, STARTS, generator=seeded(2), **options)
        assert_same(found[i], one, atol=1e-13)
        assert_same(delta.reshape(len(layers), 15)[i], its, atol=1e-13)


def test_each_baselines_values_are_looked_up_once() -> None:
    model = deep()
    rows: list[int] = []
    model[0].register_forward_hook(lambda module, args, output: rows.append(len(output)))
    found = LayerGradientShap(model, "2").estimate(X, STARTS, 8, target=1, generator=seeded(2))
    assert sum(rows) == found.evaluations == 8 * 3 + 3 + 2
    assert_same(
        found.attributions,
        LayerGradientShap(model, "2").attribute(X, STARTS, 8, target=1, generator=seeded(2)),
    )
    assert found.error is not None
    assert found.error.shape == (3, 5)


def test_arguments_of_each_example_reach_the_baselines_too() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.layer = deep(), nn.Identity()

        def forward(self, x: Tensor, scale: Tensor) -> Tensor:
            return self.layer(self.net(x) * scale).sin()

    model, scale = Scaled(), draw(3, 1, seed=4)
    found = LayerGradientShap(model, "layer").attribute(
        X, STARTS[:1], 3, target=1, additional_forward_args=scale, generator=seeded(2)
    )
    for i in range(3):
        own = nn.Sequential(model.net, Times(float(scale[i])), nn.Identity(), Sine())
        one = LayerGradientShap(own, "2").attribute(X, STARTS[:1], 3, target=1, generator=seeded(2))
        assert_same(found[i], one[i], atol=1e-12)


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sin()


def test_several_tensors_calls_and_noise() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.cell(self.cell(x).tanh()).cos()

    model: Any = with_drawn_parameters(Net()).double()
    options: dict[str, Any] = {"n_samples": 4, "target": 1}
    both = LayerGradientShap(model, Call("cell", None)).attribute(X, STARTS, generator=seeded(2), **options)
    for call in (0, 1):
        one = LayerGradientShap(model, Call("cell", call)).attribute(
            X, STARTS, generator=seeded(2), **options
        )
        assert_same(both[call], one, atol=1e-13)
    smooth = NoiseTunnel(LayerGradientShap(model, Call("cell", 0))).attribute(
        X, baselines=STARTS, nt_samples=3, stdevs=0.1, generator=seeded(3), **options
    )
    assert smooth.shape == (3, 4)


def test_what_is_refused() -> None:
    model = pictures()
    x, starts = draw(2, 2, 6, 5), draw(3, 2, 6, 5)
    before = Snapshot(model, (x,))
    with pytest.raises(LayerError, match=r"'unused' did not run.*the layers that ran are 'conv', 'bn'"):
        LayerGradientShap(model, "unused").attribute(x, starts, target=1, generator=seeded(1))
    for baselines, kind, says in (
        (0, InputTypeError, "must be a distribution.*but 0 of type int came"),
        (starts[:, :1], InputError, r"\(3, 1, 6, 5\)"),
        ((starts, starts), InputError, "2 came for 1 input"),
    ):
        with pytest.raises(kind, match=says):
            LayerGradientShap(model, "conv").attribute(x, baselines, target=1, generator=seeded(1))
    with pytest.raises(InputError, match="n_samples must be at least 1, but 0"):
        LayerGradientShap(model, "conv").attribute(x, starts, 0, target=1, generator=seeded(1))
    before.check()
    assert not LayerGradientShap(mlp(), "first", multiply_by_inputs=False).multiplies_by_inputs
    assert LayerGradientShap(mlp(), "first").multiplies_by_inputs
