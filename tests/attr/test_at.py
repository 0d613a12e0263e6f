"""Any method from any place in a model to any other: compared with the method on that part of the model by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from attriscope.attr import (
    LRP,
    At,
    Attribution,
    Call,
    DeepLift,
    DeepLiftShap,
    FeatureAblation,
    FeaturePermutation,
    GradientShap,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    KernelShap,
    Lime,
    Neuron,
    NoiseTunnel,
    Occlusion,
    Saliency,
    ShapleyValues,
    ShapleyValueSampling,
)
from attriscope.core.errors import InputError, InputTypeError, LayerError, TargetError
from models import Snapshot, assert_same, draw, seeded, with_drawn_parameters

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
