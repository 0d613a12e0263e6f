"""What comes from where, if a method is taken to a place inside a model: baselines, arguments, neurons, calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.attr import (
    At,
    Call,
    FeatureAblation,
    IntegratedGradients,
    KernelShap,
    Neuron,
    Occlusion,
    Saliency,
    ShapleyValues,
)
from models import assert_same, draw, with_drawn_parameters

X = draw(3, 2, 5, 5)


def chain() -> Any:
    """A model of which any beginning and any end is a model, too."""
    return with_drawn_parameters(
        nn.Sequential(
            nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.Tanh(), nn.MaxPool2d(2, 1),
            nn.Flatten(), nn.Linear(16, 5), nn.ELU(), nn.Linear(5, 3),
        )
    ).double()  # fmt: skip


def test_baselines_are_inputs_and_layer_baselines_are_not() -> None:
    model, start = chain(), draw(1, 2, 5, 5, seed=9)
    at = At(IntegratedGradients, model, layer="2")
    expected = IntegratedGradients(model[3:]).attribute(
        model[:3](X).detach(), model[:3](start.expand_as(X)).detach(), target=1
    )
    assert_same(at.attribute(X, start, target=1), expected, atol=1e-12)
    there = model[:3](start).detach()
    assert_same(at.attribute(X, target=1, layer_baselines=there), expected, atol=1e-12)
    zero = IntegratedGradients(model[3:]).attribute(model[:3](X).detach(), target=1)
    assert_same(at.attribute(X, target=1), zero, atol=1e-12)


def test_arguments_of_each_example_go_with_it() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.head = chain()[:5], chain()[5:]

        def forward(self, x: Tensor, scale: Tensor, table: Tensor, mode: str = "plain") -> Tensor:
            assert (len(scale), mode) == (len(x), "given")
            return self.head(self.net(x) * scale.reshape(-1, 1, 1, 1)) * table[1]

    model: Any = Scaled()
    scale, table = draw(3, seed=5), draw(2, 1, seed=6)
    for options in (
        {"layer": "net.2"},
        {"neuron": Neuron("head.6", 2)},
        {"layer": "net.2", "neuron": Neuron("head.6", 2)},
    ):
        whole = At(Occlusion, model, **options).attribute(
            X,
            target=None if "neuron" in options else 1,
            additional_forward_args=(scale, table, "given"),
            sliding_window_shapes=(1, 2, 2),
        )
        for i in range(3):
            one = slice(i, i + 1)
            alone = At(Occlusion, model, **options).attribute(
                X[one],
                target=None if "neuron" in options else 1,
                additional_forward_args=(scale[one], table, "given"),
                sliding_window_shapes=(1, 2, 2),
            )
            assert_same(alone, whole[one], atol=1e-12)


def test_inputs_by_keyword() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = chain()

        def forward(self, *, x: Tensor, mask: Tensor | None = None) -> Tensor:
            out = self.net(x)
            return out if mask is None else out * mask

    model: Any = Net()
    expected = At(FeatureAblation, model.net, layer="2").attribute(X, target=1)
    assert_same(At(FeatureAblation, model, layer="net.2").attribute({"x": X}, target=1), expected)
    assert_same(
        At(FeatureAblation, model, layer="net.2").attribute({"x": X, "mask": None}, target=1), expected
    )
    masked = At(FeatureAblation, model, layer="net.2").attribute(
        {"x": X, "mask": X.new_full((3, 1), 2.0)}, target=1
    )
    assert_same(masked, 2 * expected, atol=1e-13)
    neuron = At(Saliency, model, neuron=Neuron("net.2", (0, 0, 0))).attribute({"x": X})
    assert_same(neuron["x"], At(Saliency, model.net, neuron=Neuron("2", (0, 0, 0))).attribute(X))


def test_embeddings_explain_token_models() -> None:
    model = with_drawn_parameters(nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2))).double()
    tokens = torch.tensor([[1, 2, 3], [4, 4, 0]])
    one_for_each = torch.arange(3).reshape(1, 3, 1)
    for make in (ShapleyValues, KernelShap, FeatureAblation):
        found = At(make, model, layer="0").attribute(tokens, target=1, feature_mask=one_for_each)
        weight = model[2].weight[1].detach().reshape(3, 4)
        per_token = (model[0](tokens) * weight).sum(2, keepdim=True).detach()
        assert_same(found.double(), per_token.expand(-1, -1, 4), atol=1e-6)  # single precision, as in Captum


def test_several_tensors_at_a_layer() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, None, dict[str, Tensor]]:
            return x.sin(), None, {"square": x.square(), "ids": x.long()}

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.two = Two()

        def forward(self, x: Tensor) -> Tensor:
            sin, _, more = self.two(x)
            return (sin * more["square"] * 2).sum(1)

    x = draw(3, 4)
    one, other = At(ShapleyValues, Net(), layer="two").attribute(x)
    assert_same(one.double(), x.sin() * x.square(), atol=1e-6)
    assert_same(other, one, atol=1e-6)
    assert_same(
        At(Saliency, Net(), layer=["two"]).attribute(x), [(2 * x.square(), 2 * x.sin().abs())], atol=1e-12
    )
    found = At(FeatureAblation, Net(), layer="two").attribute(x, layer_baselines=(1.0, 0.0))
    assert_same(found[0], 2 * (x.sin() - 1) * x.square(), atol=1e-12)


def test_neurons_by_indices_slices_and_functions() -> None:
    model = chain()
    head = model[:3]

    def explained(selector: Any) -> Tensor:
        return At(Saliency, model, neuron=Neuron("2", selector)).attribute(X)

    def expected(of: Callable[[Tensor], Tensor]) -> Tensor:
        return Saliency(head).attribute(X, target=of)

    assert_same(explained((1, 2, 0)), expected(lambda out: out[:, 1, 2, 0]))
    assert_same(explained((-1, -1, 0)), expected(lambda out: out[:, 3, 2, 0]))
    assert_same(explained((1, slice(0, 2), 0)), expected(lambda out: out[:, 1, :2, 0].sum(1)))
    assert_same(explained(1), expected(lambda out: out[:, 1].sum((1, 2))))
    assert_same(explained((1,)), explained(1))
    assert_same(explained((torch.tensor(1), 2)), expected(lambda out: out[:, 1, 2].sum(1)))
    assert_same(
        explained(lambda out: out.square().sum((1, 2, 3))), expected(lambda out: out.square().sum((1, 2, 3)))
    )
    at_input = At(Saliency, model, neuron=Neuron("3", (1, 2, 0), at_input=True)).attribute(X)
    assert_same(at_input, explained((1, 2, 0)))


def test_a_place_in_a_place() -> None:
    """A method of this kind on what this kind makes: the section of a section."""
    model = chain()
    found = At(lambda f: At(Saliency, f, neuron=Neuron("7", 4)), model, layer="2").attribute(X)
    assert_same(found, At(Saliency, model, layer="2", neuron=Neuron("7", 4)).attribute(X))


def test_calls_of_a_layer() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.cell(self.cell(x).sin()).cos()

    model: Any = with_drawn_parameters(Twice()).double()
    x = draw(3, 4)
    first = model.cell(x).detach()
    found = At(IntegratedGradients, model, layer=Call("cell", 0)).attribute(x, target=1)
    assert_same(
        found, IntegratedGradients(lambda h: model.cell(h.sin()).cos()).attribute(first, target=1), atol=1e-12
    )
    second = model.cell(first.sin()).detach()
    found = At(IntegratedGradients, model, layer=Call("cell", 1)).attribute(x, target=1)
    assert_same(found, IntegratedGradients(lambda h: h.cos()).attribute(second, target=1), atol=1e-12)
    found = At(Saliency, model, layer=Call("cell", 0), neuron=Neuron(Call("cell", 1), 2)).attribute(x)
    assert_same(found, Saliency(lambda h: model.cell(h.sin())).attribute(first, target=2), atol=1e-12)
    found = At(
        Saliency, model, neuron=Neuron(Call("cell", None), lambda calls: sum(c[:, 2] for c in calls))
    ).attribute(x)
    assert_same(
        found, Saliency(lambda x: model.cell(x) + model.cell(model.cell(x).sin())).attribute(x, 2), atol=1e-12
    )
