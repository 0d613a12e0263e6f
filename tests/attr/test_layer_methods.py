"""Methods that look at a layer: what they read, and where."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import LayerActivation, LayerAttribution, LayerGradCam
from attriscope.core.errors import LayerError
from models import Snapshot, assert_same, draw, mlp, pictures, with_drawn_parameters

X = draw(3, 2, 6, 5)


def slow_grad_cam(model: Any, after: Any, values: Tensor, target: int) -> Tensor:
    """The paper's definition, channel by channel; ``after`` runs the model from the layer on."""
    maps = []
    for one in values.detach():
        leaf = one[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(after(leaf)[0, target], leaf)
        total = torch.zeros_like(one[0])
        for channel in range(one.shape[0]):
            total += gradient[0, channel].sum() / gradient[0, channel].numel() * one[channel]
        maps.append(total[None])
    return torch.stack(maps)


def test_grad_cam_is_the_definition() -> None:
    model = pictures()

    def after(x: Tensor) -> Tensor:
        x = model.bn(x).relu()
        return model.fc(model.pool(x + model.block(x).tanh()).flatten(1))

    for target in (0, 3):
        expected = slow_grad_cam(model, after, model.conv(X), target)
        assert_same(LayerGradCam(model, "conv").attribute(X, target), expected, atol=1e-14)
        kept = LayerGradCam(model, model.conv).attribute(X, target, relu_attributions=True)
        assert_same(kept, expected.relu(), atol=1e-14)
        assert (expected < 0).any(), "else nothing was cut off"


def test_activation_is_what_the_layer_computes() -> None:
    model = pictures()
    expected = model.conv(X)
    for found in (
        LayerActivation(model, "conv").attribute(X),
        LayerActivation(model, model.bn).attribute(X, attribute_to_layer_input=True),
        LayerActivation(lambda x: model(x), model.conv).attribute(X),
    ):
        assert_same(found, expected.detach())


@pytest.mark.parametrize("kind", [LayerActivation, LayerGradCam])
def test_a_list_of_layers_is_read_in_one_pass(kind: type[LayerAttribution]) -> None:
    model = pictures()
    calls: list[int] = []
    model.fc.register_forward_hook(lambda *_: calls.append(1))
    options: dict[str, Any] = {} if kind is LayerActivation else {"target": 1}
    layers = ["conv", model.block, "fc", "conv"]
    found = kind(model, layers).attribute(X, **options)
    assert len(calls) == 1
    assert isinstance(found, list)
    for layer, one in zip(layers, found, strict=True):
        assert_same(one, kind(model, layer).attribute(X, **options))


class Attention(nn.Module):
    """Returns (values, weights, None), as attention layers do, and a model that uses only the values."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, None]:
        return x.tanh(), x.softmax(1), None


class UsesAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x)[0].sum((1, 2, 3))


def test_layers_with_several_outputs_give_tuples() -> None:
    values, weights = LayerActivation(UsesAttention(), "attention").attribute(X)
    assert_same(values, X.tanh())
    assert_same(weights, X.softmax(1))
    used, unused = LayerGradCam(UsesAttention(), "attention").attribute(X)
    assert_same(used, X.tanh().sum(1, keepdim=True))
    assert_same(unused, torch.zeros_like(unused))


def test_activations_may_be_of_any_type() -> None:
    class Rounds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.round = Rounded()

        def forward(self, x: Tensor) -> Tensor:
            return self.round(x) * 0.5

    class Rounded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.round().long()

    tokens = torch.tensor([[1, 5], [2, 0]])
    assert_same(LayerActivation(nn.Sequential(nn.Embedding(6, 2)), "0").attribute(tokens, None, True), tokens)
    assert_same(LayerActivation(Rounds(), "round").attribute(X), X.round().long())
    with pytest.raises(LayerError, match="no floating point tensor passed at the output of layer 'round'"):
        LayerGradCam(Rounds(), "round").attribute(X, target=(0, 0, 0))


def test_grad_cam_explains_token_models() -> None:
    """Integer inputs have no gradient; the layer has one."""
    model = with_drawn_parameters(
        nn.Sequential(nn.Embedding(9, 4), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2))
    ).double()
    tokens = torch.tensor([[1, 2, 3], [4, 4, 0]])
    found = LayerGradCam(model, "1").attribute(tokens, target=1, attr_dim_summation=False)
    values = model[1](model[0](tokens)).detach()
    gradient = model[3].weight[1].detach().reshape(1, 3, 4)
    assert_same(found, values * gradient.mean(2, keepdim=True), atol=1e-14)


def test_grad_cam_needs_channels() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.total = Total()

        def forward(self, x: Tensor) -> Tensor:
            return self.total(x)

    class Total(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).sum(1)

    before = Snapshot(None, (X,))
    with pytest.raises(LayerError, match=r"examples, channels, positions.*\(3,\)"):
        LayerGradCam(Flat(), "total").attribute(X)
    before.check()


@pytest.mark.parametrize("kind", [LayerActivation, LayerGradCam])
def test_a_layer_that_never_ran(kind: type[LayerAttribution]) -> None:
    model = pictures()
    before = Snapshot(model, (X,))
    with pytest.raises(LayerError, match="layer 'unused' did not run in the model's forward pass") as caught:
        kind(model, "unused").attribute(X, **({} if kind is LayerActivation else {"target": 0}))
    assert isinstance(caught.value, LookupError)
    assert isinstance(caught.value, AssertionError)
    before.check()


def test_grad_kwargs_are_handed_on() -> None:
    model = pictures()
    with_graph = LayerGradCam(model, "conv").attribute(X, 0, grad_kwargs={"create_graph": True})
    assert with_graph.requires_grad, "create_graph asks for it"
    assert_same(with_graph.detach(), LayerGradCam(model, "conv").attribute(X, 0))
    assert_same(
        LayerGradCam(model, "conv").attribute(X, 0, grad_kwargs={"allow_unused": False}), with_graph.detach()
    )
    with pytest.raises(RuntimeError, match="not have been used"):
        LayerGradCam(UsesAttention(), "attention").attribute(X, grad_kwargs={"allow_unused": False})


def test_a_layer_without_effect_has_no_map() -> None:
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.aside = pictures(), nn.Conv2d(2, 2, 1).double()

        def forward(self, x: Tensor) -> Tensor:
            self.aside(x)
            return self.net(x)

    found = LayerGradCam(Aside(), "aside").attribute(X, 0)
    assert_same(found, torch.zeros(3, 1, 6, 5, dtype=torch.float64))


def test_wrapped_models_are_read_inside() -> None:
    model = pictures()
    wrapped = nn.DataParallel(model)
    assert_same(LayerGradCam(wrapped, "conv").attribute(X, 0), LayerGradCam(model, "conv").attribute(X, 0))
    assert_same(
        LayerGradCam(wrapped, wrapped.module.conv, [0]).attribute(X, 0),
        LayerGradCam(model, "conv").attribute(X, 0),
    )


# --- interpolate ----------------------------------------------------------------------------------------------


def test_interpolate_nearest_repeats_cells() -> None:
    small = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    big = LayerAttribution.interpolate(small, (4, 6))
    assert big[0, 0].tolist() == [[1, 1, 1, 2, 2, 2]] * 2 + [[3, 3, 3, 4, 4, 4]] * 2
    assert LayerAttribution.interpolate(small, 2).tolist() == small.tolist()


def test_interpolate_bilinear_keeps_a_slope() -> None:
    slope = torch.arange(4.0).reshape(1, 1, 4).repeat(1, 2, 1)
    line = LayerAttribution.interpolate(slope, 8, "linear")
    assert line[0, 1].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


def test_names_and_promises() -> None:
    assert LayerGradCam.get_name() == "Layer Grad Cam"
    assert LayerActivation(mlp(), "first").multiplies_by_inputs
    assert not LayerGradCam(mlp(), "first").multiplies_by_inputs
    assert not LayerGradCam(mlp(), "first").has_convergence_delta()
