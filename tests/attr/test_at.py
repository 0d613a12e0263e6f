"""Any method from any place in a model to any other: compared with the method on that part of the model by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import attriscope
from attriscope.attr import (
    LRP,
    At,
    Attribution,
    Call,
    DeepLift,
    DeepLiftShap,
    FeatureAblation,
    FeaturePermutation,
    GradientAttribution,
    GradientShap,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    KernelShap,
    Lime,
    Neuron,
    NoiseTunnel,
    Occlusion,
    PerturbationAttribution,
    Saliency,
    ShapleyValues,
    ShapleyValueSampling,
    streaming,
)
from attriscope.core.errors import InputError, InputTypeError, LayerError, TargetError
from attriscope.core.estimate import PartialResult
from models import Recorder, Snapshot, assert_same, draw, pictures, seeded, with_drawn_parameters

X = draw(3, 2, 5, 5)


def chain() -> Any:
    """A model of which any beginning and any end is a model, too."""
    return with_drawn_parameters(
        nn.Sequential(
            nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.Tanh(), nn.MaxPool2d(2, 1),
            nn.Flatten(), nn.Linear(16, 5), nn.ELU(), nn.Linear(5, 3),
        )
    ).double()  # fmt: skip


SIXTEEN = torch.arange(4).reshape(1, 4, 1, 1)
WAYS: dict[str, tuple[Callable[[Any], Attribution], dict[str, Any]]] = {
    "Saliency": (Saliency, {}),
    "InputXGradient": (InputXGradient, {}),
    "IntegratedGradients": (IntegratedGradients, {"baselines": 0.3, "n_steps": 6}),
    "DeepLift": (DeepLift, {"baselines": 0.3}),
    "LRP": (LRP, {}),
    "GuidedBackprop": (GuidedBackprop, {}),
    "FeatureAblation": (FeatureAblation, {"baselines": 0.3}),
    "FeaturePermutation": (FeaturePermutation, {"generator": 3}),
    "Occlusion": (Occlusion, {"sliding_window_shapes": (1, 2, 2), "strides": 1}),
    "ShapleyValues": (ShapleyValues, {"feature_mask": SIXTEEN}),
    "ShapleyValueSampling": (ShapleyValueSampling, {"feature_mask": SIXTEEN, "n_samples": 3, "generator": 3}),
    "KernelShap": (KernelShap, {"feature_mask": SIXTEEN, "n_samples": 12, "generator": 3}),
    "Lime": (Lime, {"feature_mask": SIXTEEN, "n_samples": 12, "generator": 3}),
    "NoiseTunnel": (lambda f: NoiseTunnel(Saliency(f)), {"nt_samples": 3, "generator": 3}),
    "no factor": (lambda f: IntegratedGradients(f, multiply_by_inputs=False), {"n_steps": 4}),
}
every_way = pytest.mark.parametrize("way", WAYS)


def options_of(way: str) -> dict[str, Any]:
    given_ = dict(WAYS[way][1])
    return {**given_, "generator": seeded(given_["generator"])} if "generator" in given_ else given_


@every_way
def test_at_a_layer_it_is_the_method_on_the_rest_of_the_model(way: str) -> None:
    model, (make, _) = chain(), WAYS[way]
    before = Snapshot(model, (X,))
    values = model[:3](X).detach()
    options = options_of(way)
    if "baselines" in options:
        options["layer_baselines"] = options.pop("baselines")
    found = At(make, model, layer="2").attribute(X, target=[0, 2, 1], **options)
    before.check()
    assert_same(found, make(model[3:]).attribute(values, target=[0, 2, 1], **options_of(way)), atol=1e-12)
    assert found.abs().sum() > 0


@every_way
def test_at_the_input_of_a_layer(way: str) -> None:
    model, (make, _) = chain(), WAYS[way]
    options = options_of(way)
    if "baselines" in options:
        options["layer_baselines"] = options.pop("baselines")
    found = At(make, model, layer=model[3], attribute_to_layer_input=True).attribute(X, target=1, **options)
    assert_same(
        found, make(model[3:]).attribute(model[:3](X).detach(), target=1, **options_of(way)), atol=1e-12
    )


@every_way
def test_for_a_neuron_it_is_the_method_on_the_beginning_of_the_model(way: str) -> None:
    model, (make, _) = chain(), WAYS[way]
    before = Snapshot(model, (X,))
    options = {k: v for k, v in options_of(way).items() if k != "feature_mask"}
    if way in ("ShapleyValues", "KernelShap", "Lime", "ShapleyValueSampling"):
        options["feature_mask"] = torch.arange(2).reshape(1, 2, 1, 1)
    found = At(make, model, neuron=Neuron("2", (1, 2, 0))).attribute(X, **options)
    before.check()
    again = {**options, **({"generator": seeded(3)} if "generator" in options else {})}
    expected = make(model[:3]).attribute(X, target=(1, 2, 0), **again)
    assert_same(found, expected, atol=1e-12)
    assert found.abs().sum() > 0


@every_way
def test_from_a_layer_to_a_neuron(way: str) -> None:
    model, (make, _) = chain(), WAYS[way]
    options = options_of(way)
    if "baselines" in options:
        options["layer_baselines"] = options.pop("baselines")
    for _ in range(2):  # the second time, what lies after the neuron is known not to matter
        found = At(make, model, layer="2", neuron=Neuron("7", 4)).attribute(X, **options)
        expected = make(model[3:8]).attribute(model[:3](X).detach(), target=4, **options_of(way))
        assert_same(found, expected, atol=1e-12)
        if "generator" in options:
            options["generator"] = seeded(3)


@every_way
def test_without_a_place_it_is_the_method(way: str) -> None:
    model, (make, _) = chain(), WAYS[way]
    options = {k: v for k, v in options_of(way).items() if k != "feature_mask"}
    if way in ("ShapleyValues", "KernelShap", "Lime", "ShapleyValueSampling"):
        options["feature_mask"] = torch.arange(2).reshape(1, 2, 1, 1)
    again = {**options, **({"generator": seeded(3)} if "generator" in options else {})}
    assert_same(
        At(make, model).attribute(X, target=1, **options), make(model).attribute(X, target=1, **again)
    )


@pytest.mark.parametrize("kind", [GradientShap, DeepLiftShap])
def test_distributions_of_baselines(kind: Any) -> None:
    model, at_layer, at_inputs = chain(), draw(4, 4, 3, 3, seed=3), draw(4, 2, 5, 5, seed=3)
    more = {"n_samples": 6, "generator": seeded(3)} if kind is GradientShap else {}
    again = {**more, "generator": seeded(3)} if more else {}
    found = At(kind, model, layer="2").attribute(X, target=1, layer_baselines=at_layer, **more)
    expected = kind(model[3:]).attribute(model[:3](X).detach(), at_layer, target=1, **again)
    assert_same(found, expected, atol=1e-12)
    more = {"n_samples": 6, "generator": seeded(3)} if more else {}
    again = {**more, "generator": seeded(3)} if more else {}
    found = At(kind, model, neuron=Neuron("2", (0, 0, 0))).attribute(X, at_inputs, **more)
    assert_same(found, kind(model[:3]).attribute(X, at_inputs, target=(0, 0, 0), **again), atol=1e-12)


# --- properties ---------------------------------------------------------------------------------------------------


@given(
    st.integers(0, 7),
    st.integers(1, 3),
    st.integers(0, 99),
    st.sampled_from(["IntegratedGradients", "DeepLift", "FeatureAblation", "InputXGradient"]),
)
@settings(max_examples=30)
def test_any_layer_any_number_of_examples(layer: int, count: int, seed: int, way: str) -> None:
    model, (make, options), x = chain(), WAYS[way], draw(count, 2, 5, 5, seed=seed)
    start = draw(count, 2, 5, 5, seed=seed + 1)
    with_baselines = {**options, "baselines": start} if "baselines" in options else options
    found = At(make, model, layer=str(layer)).attribute(x, target=2, **with_baselines)
    inner = (
        {**options, "baselines": model[: layer + 1](start).detach()} if "baselines" in options else options
    )
    expected = make(model[layer + 1 :]).attribute(model[: layer + 1](x).detach(), target=2, **inner)
    assert_same(found, expected, atol=1e-11)
    singles = [
        At(make, model, layer=str(layer)).attribute(
            x[i : i + 1],
            target=2,
            **{k: v[i : i + 1] if k == "baselines" else v for k, v in with_baselines.items()},
        )
        for i in range(count)
    ]
    assert_same(torch.cat(singles), found, atol=1e-11)


@pytest.mark.parametrize("way", ["FeatureAblation", "Occlusion", "ShapleyValueSampling", "KernelShap"])
@pytest.mark.parametrize("batch", [1, 2, 7, 100])
def test_numbers_do_not_depend_on_how_rows_were_cut(way: str, batch: int) -> None:
    model, (make, _) = chain(), WAYS[way]
    options = [{k: v for k, v in options_of(way).items() if k != "baselines"} for _ in range(2)]
    chosen = At(make, model, layer="2").attribute(X, target=1, **options[0])
    cut = At(make, model, layer="2").attribute(X, target=1, perturbations_per_eval=batch, **options[1])
    assert_same(cut, chosen, atol=1e-12)


@given(st.lists(st.sampled_from(["0", "2", "1", "6", "4", "0"]), min_size=1, max_size=4))
@settings(max_examples=10)
def test_a_list_of_layers_is_one_after_the_other(layers: list[str]) -> None:
    model = chain()
    found = At(InputXGradient, model, layer=layers).attribute(X, target=1)
    assert isinstance(found, list)
    for layer, one in zip(layers, found, strict=True):
        assert_same(one, At(InputXGradient, model, layer=layer).attribute(X, target=1))


def test_a_list_has_a_delta_for_each_layer() -> None:
    model = chain()
    found, delta = At(IntegratedGradients, model, layer=["0", "6"]).attribute(
        X, 0.1, target=1, return_convergence_delta=True
    )
    assert delta.shape == (2, 3)
    for i, layer in enumerate(("0", "6")):
        one, its = At(IntegratedGradients, model, layer=layer).attribute(
            X, 0.1, target=1, return_convergence_delta=True
        )
        assert_same((found[i], delta[i]), (one, its))


# --- what comes from where ----------------------------------------------------------------------------------------


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


# --- methods of one's own ------------------------------------------------------------------------------------------


class SquaredGradient(GradientAttribution):
    """A method in ten lines: how strongly the output reacts, times how far the input is from zero."""

    def attribute(self, inputs: Any, target: Any = None, additional_forward_args: Any = None) -> Any:
        gradients = self.gradient_func(self.forward_func, inputs, target, additional_forward_args)
        values = inputs if isinstance(inputs, tuple) else (inputs,)
        found = tuple(g.square() * x for g, x in zip(gradients, values, strict=True))
        return found if isinstance(inputs, tuple) else found[0]


class Knocked(PerturbationAttribution):
    """A method that streams, and only asks."""

    @streaming
    def attribute(
        self, inputs: Any, target: Any = None, additional_forward_args: Any = ()
    ) -> Iterator[PartialResult]:
        arguments = additional_forward_args
        total = torch.zeros_like(inputs)
        for i in range(3):
            change = self.forward_func(inputs * (1 + 0.1 * i), *arguments) - self.forward_func(
                inputs, *arguments
            )
            effect = target(change) if callable(target) else change[:, target]
            total = total + effect.detach().reshape(-1, *[1] * (inputs.dim() - 1)) * inputs
            yield PartialResult(lambda total=total: total, evaluations=i + 1)


@pytest.mark.parametrize("kind", [SquaredGradient, Knocked])
def test_a_method_of_ones_own_works_everywhere(kind: Any) -> None:
    model = chain()
    values = model[:3](X).detach()
    assert_same(
        At(kind, model, layer="2").attribute(X, target=1), kind(model[3:]).attribute(values, 1), atol=1e-12
    )
    pick = lambda out: out[:, 1, 2, 0]  # noqa: E731
    assert_same(
        At(kind, model, neuron=Neuron("2", (1, 2, 0))).attribute(X),
        kind(model[:3]).attribute(X, pick),
        atol=1e-12,
    )
    inner = At(kind, model, layer="2", neuron=Neuron("7", 4)).attribute(X)
    assert_same(inner, kind(model[3:8]).attribute(values, lambda out: out[:, 4]), atol=1e-12)
    found = At(kind, model, layer=["2", "6"]).attribute(X, target=1)
    assert [f.shape for f in found] == [(3, 4, 3, 3), (3, 5)]


def test_a_method_of_ones_own_in_noise() -> None:
    model = chain()
    noise: dict[str, Any] = {"nt_samples": 4, "stdevs": 0.1}
    at_inputs = NoiseTunnel(SquaredGradient(model)).attribute(X, target=1, generator=seeded(1), **noise)
    assert at_inputs.shape == X.shape
    at_layer = NoiseTunnel(At(SquaredGradient, model, layer="2")).attribute(
        X, target=1, generator=seeded(1), **noise
    )
    by_hand = NoiseTunnel(At(SquaredGradient, model, layer="2")).attribute(
        X, target=1, generator=seeded(1), nt_samples_batch_size=1, **noise
    )
    assert at_layer.shape == (3, 4, 3, 3)
    assert_same(at_layer, by_hand, atol=1e-12)
    inside = At(lambda f: NoiseTunnel(SquaredGradient(f)), model, layer="2").attribute(
        X, target=1, generator=seeded(1), **noise
    )
    expected = NoiseTunnel(SquaredGradient(model[3:])).attribute(
        model[:3](X).detach(), target=1, generator=seeded(1), **noise
    )
    assert_same(inside, expected, atol=1e-12)
    neuron = NoiseTunnel(At(SquaredGradient, model, neuron=Neuron("2", 1))).attribute(
        X, generator=seeded(1), **noise
    )
    assert_same(
        neuron, NoiseTunnel(SquaredGradient(model[:3])).attribute(
            X, target=lambda out: out[:, 1].sum((1, 2)), generator=seeded(1), **noise
        ), atol=1e-12,
    )  # fmt: skip


# --- streams, work, threads ------------------------------------------------------------------------------------------


def test_it_streams_as_the_method_does() -> None:
    model = chain()
    values, start = model[:3](X).detach(), model[:3](X * 0).detach()
    at = At(IntegratedGradients, model, layer="2")
    found = list(at.stream(X, 0.0, target=1, n_steps=6, internal_batch_size=3))
    expected = list(
        IntegratedGradients(model[3:]).stream(values, start, target=1, n_steps=6, internal_batch_size=3)
    )
    assert len(found) == 6
    for one, other in zip(found, expected, strict=True):
        assert_same(one.attributions, other.attributions, atol=1e-12)
        assert_same(one.delta, other.delta, atol=1e-12)
        assert one.evaluations > other.evaluations, "what it took to look at the layer counts, too"
    early = at.estimate(X, 0.0, target=1, n_steps=50, internal_batch_size=3, tolerance=1e-2)
    assert early.stopped == "tolerance"
    assert_same(at.estimate(X, 0.0, target=1, n_steps=6).attributions, found[-1].attributions, atol=1e-12)


def test_errors_of_estimates_have_the_form_of_attributions() -> None:
    found = At(ShapleyValueSampling, chain(), layer=["2"]).estimate(
        X, target=1, n_samples=6, generator=seeded(1), feature_mask=SIXTEEN
    )
    assert isinstance(found.error, list)
    assert found.error[0].shape == found.attributions[0].shape == (3, 4, 3, 3)


def test_progress_only_grows_and_ends_at_the_end() -> None:
    seen: list[tuple[int, int]] = []
    with attriscope.control(progress=lambda *args: seen.append(args)):
        At(FeatureAblation, chain(), layer=["2", "6"]).attribute(X, 0.1, target=1)
    shares = [done / total for done, total in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_the_work_is_that_of_the_rest_of_the_model() -> None:
    early, late = Recorder(chain()[:5]), Recorder(chain()[5:])
    model = nn.Sequential(early, late).eval()
    found = At(FeatureAblation, model, layer="0").estimate(X, target=1)
    assert sum(early.rows) <= 3
    assert sum(late.rows) == found.evaluations >= 3 * (1 + 16)
    neuron = At(FeatureAblation, model, neuron=Neuron("0", (0, 0, 0)))
    neuron.attribute(X)
    late.rows.clear()
    neuron.attribute(X)
    assert late.rows == []


def test_threads_and_a_cell_share_a_model() -> None:
    model = pictures()
    inputs = [draw(2, 2, 6, 5, seed=i) for i in range(3)]
    ways = [
        At(FeatureAblation, model, layer="block"),
        At(IntegratedGradients, model, neuron=Neuron("bn", (0, 1, 2))),
        At(lambda f: Occlusion(f), model, layer="pool"),
    ]
    options: list[dict[str, Any]] = [
        {"target": 1},
        {"n_steps": 9},
        {"target": 2, "sliding_window_shapes": (1, 2, 2)},
    ]
    expected = [way.attribute(x, **o) for way, x, o in zip(ways, inputs, options, strict=True)]
    plain = [model(x).detach() for x in inputs]
    together = threading.Barrier(4)
    before = Snapshot(model, tuple(inputs))

    def explain(i: int) -> list[Any]:
        together.wait(60)
        return [ways[i].attribute(inputs[i], **options[i]) for _ in range(6)]

    def use() -> list[Any]:
        together.wait(60)
        with torch.no_grad():
            return [[model(x) for x in inputs] for _ in range(60)]

    with ThreadPoolExecutor(4) as pool:
        jobs, cell = [pool.submit(explain, i) for i in range(3)], pool.submit(use)
        for job, wanted in zip(jobs, expected, strict=True):
            for one in job.result(120):
                torch.testing.assert_close(one, wanted, rtol=1e-11, atol=1e-13)
        for outputs in cell.result(120):
            assert_same(outputs, plain)
    before.check()


def test_cancelling_leaves_nothing_behind() -> None:
    model, stop = pictures(), threading.Event()
    before = Snapshot(model, (X,))
    rows: list[int] = []

    def progress(done: int, total: int) -> None:
        rows.append(done)
        stop.set()

    with attriscope.control(progress=progress, cancel=stop), pytest.raises(attriscope.Cancelled):
        At(FeatureAblation, model, layer="block").attribute(
            draw(2, 2, 6, 5), target=0, perturbations_per_eval=1
        )
    assert rows == [2]
    before.check()


@pytest.mark.parametrize("outside", [torch.no_grad, torch.inference_mode])
def test_the_callers_grad_mode_does_not_matter(outside: Any) -> None:
    model = chain()
    at = At(IntegratedGradients, model, layer=["0", "2"], neuron=Neuron("7", 1))
    expected = at.attribute(X, 0.1)
    with outside():
        assert_same(at.attribute(X, 0.1), expected)
        assert_same(at.attribute(X * 1, 0.1), expected)


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda m: At(3, m), InputTypeError, "must be an attribution method's class.*but 3 came"),
        (lambda m: At(Saliency, "model"), InputTypeError, "must be a model or a function, but 'model'"),
        (lambda m: At(Saliency, m, layer="99"), LayerError, "no layer '99'"),
        (lambda m: At(Saliency, m, layer=[]), InputError, "list of layers is empty"),
        (lambda m: At(Saliency, m, layer=3), InputTypeError, "must be a torch.nn.Module or its path, but 3 came"),
        (lambda m: At(Saliency, m, neuron=("2", 1)), InputTypeError, r"must be a Neuron.*\('2', 1\)"),
        (lambda m: At(Saliency, m, layer=Call("2", 0.5)), InputTypeError, "index of a call must be an int.*0.5"),
        (lambda m: At(Saliency, m, layer=Call("2", True)), InputTypeError, "index of a call.*True"),
    ],
)  # fmt: skip
def test_places_that_are_none(make: Any, kind: Any, says: str) -> None:
    with pytest.raises(kind, match=says):
        make(chain())


@pytest.mark.parametrize(
    ("options", "arguments", "kind", "says"),
    [
        ({"neuron": Neuron("2", 0)}, {"target": 1}, TargetError, "there can be no target, but 1 came"),
        ({"neuron": Neuron("99", 0)}, {}, LayerError, "no layer '99'"),
        ({"neuron": Neuron("2", "x")}, {}, InputTypeError, "neuron_selector must be an int.*'x'"),
        ({"neuron": Neuron("2", 1.5)}, {}, InputTypeError, "neuron_selector must be an int.*1.5"),
        ({"neuron": Neuron("2", True)}, {}, InputTypeError, "neuron_selector must be an int.*True"),
        ({"neuron": Neuron("2", None)}, {}, InputTypeError, "neuron_selector must be an int.*None"),
        ({"neuron": Neuron("2", (0, "x"))}, {}, InputTypeError, r"\(0, 'x'\)"),
        ({"neuron": Neuron("2", [0, 1])}, {}, InputTypeError, r"\[0, 1\]"),
        ({"neuron": Neuron("2", 4)}, {}, TargetError, "no index 4 in dimension 1.*indices 0 to 3"),
        ({"neuron": Neuron("2", (0, 0, -4))}, {}, TargetError, "no index -4 in dimension 3"),
        ({"neuron": Neuron("2", (0, 0, 0, 0))}, {}, TargetError, "has 4 indices.*at most 3"),
        ({"neuron": Neuron("2", slice(4, 9))}, {}, TargetError, "selects no neuron of a layer of shape"),
        ({"neuron": Neuron("2", lambda out: out)}, {}, TargetError, "one number per example"),
        ({"neuron": Neuron("2", lambda out: 3)}, {}, TargetError, "must be a tensor.*3"),
        ({}, {"target": 1, "layer_baselines": 0}, InputError, "but no layer is varied"),
        ({"layer": "2"}, {"target": 1, "baselines": 0, "layer_baselines": 0}, InputError, "not both"),
        ({"layer": "2"}, {"target": 1, "layer_baselines": draw(3, 4)}, InputError, r"\(3, 4\).*\(3, 4, 3, 3\)"),
        ({"layer": "2"}, {"target": 1, "layer_baselines": "x"}, InputTypeError, "'x'"),
        ({"layer": "2"}, {"target": 1, "layer_baselines": (0, 0)}, InputError, "2 came for 1"),
        ({"layer": "2"}, {"target": 9}, TargetError, "index 9"),
        ({"layer": "2"}, {}, TargetError, "Target not provided"),
        ({"layer": "6", "neuron": Neuron("2", 0)}, {}, LayerError, "'6' did not run before"),
    ],
)  # fmt: skip
def test_calls_that_make_no_sense(options: Any, arguments: Any, kind: Any, says: str) -> None:
    model = chain()
    before = Snapshot(model, (X,))
    with pytest.raises(kind, match=f"(?s){says}"):
        At(IntegratedGradients, model, **options).attribute(X, **arguments)
    before.check()


def test_a_neuron_of_several_tensors_takes_a_function() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x.sin(), x.square()

    model, x = nn.Sequential(Two(), nn.Identity()), draw(3, 4)
    with pytest.raises(TargetError, match="cannot choose between the 2 tensors at this layer"):
        At(Saliency, model, neuron=Neuron("0", 1)).attribute(x)
    found = At(Saliency, model, neuron=Neuron("0", lambda both: both[1][:, 2])).attribute(x)
    assert_same(found[:, 2], 2 * x[:, 2].abs())


def test_what_belongs_to_no_example_cannot_be_varied() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5, 4)

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.table(torch.arange(5)).double().T

    with pytest.raises(LayerError, match=r"'table' are tensors of shape \(5, 4\).*must count the 3 example"):
        At(Saliency, Table(), layer="table").attribute(draw(3, 4), target=0)
