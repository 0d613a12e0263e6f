"""Methods that look at a layer: what they read, and where."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import (
    Call,
    GuidedGradCam,
    LayerActivation,
    LayerAttribution,
    LayerGradCam,
    LayerGradientXActivation,
    NoiseTunnel,
)
from attriscope.core.errors import InputTypeError, LayerError
from models import Snapshot, assert_same, draw, mlp, pictures, seeded, with_drawn_parameters

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
    expected = (values * gradient.mean(1, keepdim=True)).transpose(1, 2)  # channels are units
    assert_same(found, expected, atol=1e-14)


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


# --- gradient x activation --------------------------------------------------------------------------------------


def test_gradient_times_activation_is_the_definition() -> None:
    model = pictures()
    values = model.bn(model.conv(X)).detach().requires_grad_()
    y = values.relu()
    output = model.fc(model.pool(y + model.block(y).tanh()).flatten(1))
    (gradient,) = torch.autograd.grad(output[:, 2].sum(), values)
    before = Snapshot(model, (X,))
    for layer, at_input in (("bn", False), ("relu", True)):
        options: dict[str, Any] = {"target": 2, "attribute_to_layer_input": at_input}
        found = LayerGradientXActivation(model, layer).attribute(X, **options)
        assert_same(found, (gradient * values).detach(), atol=1e-14)
        alone = LayerGradientXActivation(model, layer, multiply_by_inputs=False).attribute(X, **options)
        assert_same(alone, gradient, atol=1e-14)
        assert_same(
            LayerGradientXActivation(model, layer, memory_efficient=True).attribute(X, **options), found
        )
    before.check()
    assert LayerGradientXActivation(model, "bn").multiplies_by_inputs
    assert not LayerGradientXActivation(model, "bn", multiply_by_inputs=False).multiplies_by_inputs


class Tangled(nn.Module):
    """Layers in and after each other, in a list, called by keyword and twice, and one that gives a mapping."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Tanh())])
        self.maps, self.twice = Maps(), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        made = self.maps(hidden=x)
        return self.twice(self.twice(made["sin"]) * made["more"][0])


class Maps(nn.Module):
    def forward(self, *, hidden: Tensor) -> dict[str, Any]:
        return {"sin": hidden.sin(), "none": None, "more": [hidden.cos()]}


KINDS = [LayerActivation, LayerGradientXActivation, LayerGradCam]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at_input", [False, True])
def test_a_list_of_tangled_layers_is_each_by_itself(kind: Any, at_input: bool) -> None:
    model: Any = with_drawn_parameters(Tangled()).double()
    x = draw(3, 4)
    before = Snapshot(model, (x,))
    chosen = [
        "parts.0",
        "parts.1",
        "parts.1.0",
        "maps",
        Call("twice", 0),
        "twice",
        Call("twice", None),
        "parts.0",
    ]
    options: dict[str, Any] = {"attribute_to_layer_input": at_input}
    if kind is not LayerActivation:
        options["target"] = 1
    found = kind(model, chosen).attribute(x, **options)
    before.check()
    assert len(found) == len(chosen)
    for layer, one in zip(chosen, found, strict=True):
        assert_same(one, kind(model, layer).attribute(x, **options), atol=1e-14)
    for i in range(3):
        alone = kind(model, chosen).attribute(x[i : i + 1], **options)
        assert_same(alone[4], found[4][i : i + 1], atol=1e-13)


def test_calls_can_be_told_apart() -> None:
    model: Any = with_drawn_parameters(Tangled()).double()
    x = draw(3, 4)
    hidden = model.parts[1](model.parts[0](x)).detach()
    first = model.twice(hidden.sin()).detach()
    last = model.twice(first * hidden.cos()).detach()
    for layer, expected in (
        ("twice", last),
        (Call("twice"), last),
        (Call("twice", -1), last),
        (Call("twice", 0), first),
        (Call("twice", 1), last),
        (Call("twice", None), (first, last)),
    ):
        assert_same(LayerActivation(model, layer).attribute(x), expected, atol=1e-14)
    gradient = model.twice.weight[1] * hidden.cos()
    found = LayerGradientXActivation(model, Call("twice", 0)).attribute(x, target=1)
    assert_same(found, (first * gradient).detach(), atol=1e-14)
    with pytest.raises(LayerError, match=r"'twice' has no call 2: it ran 2 time\(s\)"):
        LayerActivation(model, Call("twice", 2)).attribute(x)


@pytest.mark.parametrize("kind", ["lstm", "attention", "transformer"])
def test_recurrent_and_attention_layers(kind: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer: Any = {
                "lstm": lambda: nn.LSTM(4, 4),
                "attention": lambda: nn.MultiheadAttention(4, 2),
                "transformer": lambda: nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0),
            }[kind]()

        def forward(self, x: Tensor) -> Tensor:
            made = self.layer(x, key=x, value=x) if kind == "attention" else self.layer(x)
            out = made[0] if isinstance(made, tuple) else made
            return out.sin().sum(0)

    model: Any = with_drawn_parameters(Net()).double()
    x = draw(3, 2, 4).transpose(0, 1)  # two examples, of three steps: the model wants the steps first

    class StepsFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = model

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.transpose(0, 1))

    before = Snapshot(model, (x,))
    found = LayerGradientXActivation(StepsFirst(), "net.layer").attribute(x, target=1)
    before.check()
    one = found[0] if isinstance(found, tuple) else found
    made = model.layer(
        x.transpose(0, 1),
        **({"key": x.transpose(0, 1), "value": x.transpose(0, 1)} if kind == "attention" else {}),
    )
    out = (made[0] if isinstance(made, tuple) else made).detach()
    expected = torch.zeros_like(out)
    expected[..., 1] = (out * out.cos())[..., 1]
    assert_same(one, expected, atol=1e-13)
    if kind == "lstm":
        assert [f.shape for f in found] == [(3, 2, 4), (1, 2, 4), (1, 2, 4)]
        (
            assert_same(found[1:], tuple(torch.zeros_like(f) for f in found[1:])),
            "the model does not look at them",
        )


@pytest.mark.parametrize("kind", [LayerGradientXActivation, LayerActivation, LayerGradCam])
def test_models_behind_wrappers(kind: Any) -> None:
    model = pictures()
    options: dict[str, Any] = {} if kind is LayerActivation else {"target": 1}
    expected = kind(model, "conv").attribute(X, **options)
    compiled = torch.compile(model, backend="eager")
    for wrapped in (compiled, nn.DataParallel(model), nn.DataParallel(compiled), lambda x: model(x)):
        assert_same(kind(wrapped, model.conv, device_ids=[0]).attribute(X, **options), expected)
    with pytest.raises(InputTypeError, match=r"device_ids must be a list of ints or None, but \[0.5\] came"):
        kind(model, "conv", device_ids=[0.5])


@pytest.mark.parametrize("kind", [LayerGradientXActivation, LayerActivation, LayerGradCam])
def test_noise_around_a_list(kind: Any) -> None:
    model = pictures()
    options: dict[str, Any] = {} if kind is LayerActivation else {"target": 1}
    found = NoiseTunnel(kind(model, ["conv", "block"])).attribute(
        X, nt_samples=4, stdevs=0.1, generator=seeded(1), **options
    )
    for layer, one in zip(("conv", "block"), found, strict=True):
        alone = NoiseTunnel(kind(model, layer)).attribute(
            X, nt_samples=4, stdevs=0.1, generator=seeded(1), **options
        )
        assert_same(one, alone, atol=1e-13)


def test_guided_grad_cam_of_a_call() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.conv(x).relu()).sum((2, 3))

    model = with_drawn_parameters(Twice()).double()
    first, last = (GuidedGradCam(model, Call("conv", i)).attribute(X, target=1) for i in (0, 1))
    assert_same(GuidedGradCam(model, "conv").attribute(X, target=1), last)
    assert not torch.allclose(first, last)


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
