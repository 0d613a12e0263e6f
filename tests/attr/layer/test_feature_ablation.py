"""Changing what a layer holds: against a hook that does so, one feature after the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from attriscope.attr import (
    At,
    Call,
    FeatureAblation,
    FeaturePermutation,
    LayerFeatureAblation,
    LayerFeaturePermutation,
    NoiseTunnel,
    Occlusion,
    ShapleyValueSampling,
)
from attriscope.core.errors import InputError, InputTypeError, LayerError
from models import Recorder, Snapshot, assert_same, draw, pictures, seeded, with_drawn_parameters

X = draw(3, 2, 6, 5)
CHANNELS = torch.arange(3).reshape(1, 3, 1, 1)


def by_hand(
    model: Any, layer: Any, x: Tensor, mask: Tensor, baseline: Any, target: int, at_input: bool
) -> Tensor:
    """One example, one feature at a time, with a hook."""
    rows = []
    for one in x:
        held: list[Tensor] = []

        def ablate(value: Tensor, feature: int | None, held: list[Tensor] = held) -> Tensor:
            held.append(value.detach())
            if feature is None:
                return value
            chosen = (mask == feature).expand_as(value)
            return torch.where(chosen, torch.as_tensor(baseline, dtype=value.dtype).expand_as(value), value)

        def run(feature: int | None, one: Tensor = one, ablate: Any = ablate) -> Tensor:
            if at_input:
                handle = layer.register_forward_pre_hook(lambda module, args: (ablate(args[0], feature),))
            else:
                handle = layer.register_forward_hook(lambda module, args, output: ablate(output, feature))
            try:
                return model(one[None].clone())[0, target].detach()
            finally:
                handle.remove()

        whole = run(None)
        found = torch.zeros_like(held[0])
        for feature in mask.unique().tolist():
            found = torch.where((mask == feature).expand_as(found), whole - run(feature), found)
        rows.append(found)
    return torch.cat(rows)


@given(
    st.sampled_from(["conv", "bn", "relu", "drop", "block"]),
    st.booleans(),
    st.integers(1, 3),
    st.integers(0, 99),
    st.sampled_from([0, 0.5, -1.0]),
)
@settings(max_examples=20)
def test_it_is_what_a_hook_would_find(
    layer: str, at_input: bool, count: int, seed: int, baseline: float
) -> None:
    model, x = pictures(), draw(count, 2, 6, 5, seed=seed)
    before = Snapshot(model, (x,))
    channels = CHANNELS[:, :2] if (layer, at_input) == ("conv", True) else CHANNELS
    found = LayerFeatureAblation(model, layer).attribute(
        x, baseline, 1, layer_mask=channels, attribute_to_layer_input=at_input
    )
    assert_same(
        found, by_hand(model, model.get_submodule(layer), x, channels, baseline, 1, at_input), atol=1e-12
    )
    before.check()


def test_every_unit_and_baselines_of_every_form() -> None:
    model = pictures()
    units = torch.arange(4).reshape(1, 4)
    for baseline in (draw(1, 4, seed=3), draw(3, 4, seed=3)):
        found = LayerFeatureAblation(model, "fc").attribute(X, baseline, 1)
        expected = torch.zeros(3, 4).double()
        expected[:, 1] = (model(X).detach() - baseline)[:, 1]
        assert_same(found, expected, atol=1e-12)
    assert_same(
        LayerFeatureAblation(model, "fc").attribute(X, None, 1, layer_mask=units),
        by_hand(model, model.fc, X, units, 0, 1, False),
        atol=1e-12,
    )


@pytest.mark.parametrize("batch", [None, 1, 2, 3, 50])
def test_numbers_do_not_depend_on_how_rows_were_cut(batch: int | None) -> None:
    model = pictures()
    expected = LayerFeatureAblation(model, "block").attribute(X, 0, 1)
    found = LayerFeatureAblation(model, "block").attribute(X, 0, 1, perturbations_per_eval=batch)
    assert_same(found, expected, atol=1e-12)
    shuffled = LayerFeaturePermutation(model, "block").attribute(
        X, 1, layer_mask=CHANNELS, perturbations_per_eval=batch, generator=seeded(3)
    )
    same = LayerFeaturePermutation(model, "block").attribute(X, 1, layer_mask=CHANNELS, generator=seeded(3))
    assert_same(shuffled, same, atol=1e-12)


def test_a_list_of_layers_is_one_after_the_other() -> None:
    model, chosen = pictures(), ["conv", "block", "conv", "relu"]
    found = LayerFeatureAblation(model, chosen).attribute(X, 0, 1, layer_mask=CHANNELS)
    for layer, one in zip(chosen, found, strict=True):
        assert_same(
            one, LayerFeatureAblation(model, layer).attribute(X, 0, 1, layer_mask=CHANNELS), atol=1e-13
        )
    assert isinstance(LayerFeatureAblation(model, ["conv"]).attribute(X, 0, 1, layer_mask=CHANNELS), list)


def test_permutation_is_that_of_the_rest_of_the_model() -> None:
    model = with_drawn_parameters(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))).double()
    x = draw(6, 4)
    explainer = LayerFeaturePermutation(model, "0")
    for repeats in (1, 5):
        found = explainer.attribute(x, 1, generator=seeded(3), n_repeats=repeats)
        expected = FeaturePermutation(model[1:]).attribute(
            model[0](x).detach(), target=1, generator=seeded(3), n_repeats=repeats
        )
        assert_same(found, expected, atol=1e-13)
        assert found.abs().sum() > 0
    estimate = explainer.estimate(x, 1, n_repeats=5, generator=seeded(3))
    assert_same(estimate.attributions, found)
    assert estimate.error is not None
    assert estimate.error.shape == found.shape


def test_what_lies_before_the_layer_runs_a_few_times() -> None:
    early = Recorder(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU()).double())
    late = Recorder(nn.Sequential(nn.Conv2d(3, 3, 3), nn.Flatten(), nn.Linear(6, 2)).double())
    model = nn.Sequential(early, late).eval()
    expected = FeatureAblation(late.inner).attribute(early.inner(X).detach(), target=1)
    found = LayerFeatureAblation(model, "0.inner").attribute(X, 0, 1)
    assert_same(found, expected, atol=1e-12)
    assert sum(late.rows) >= 3 * (36 + 1)
    early.rows.clear()
    LayerFeatureAblation(model, "0").attribute(X, 0, 1)
    assert sum(early.rows) == 3 + 1 + 2, (
        "one pass for all perturbations, and where the examples are among 3 x 3"
    )


def test_several_tensors_calls_and_models_that_give_a_number_for_all() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Any]:
            return {"sin": x.sin(), "none": None, "square": x.square()}

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.two, self.cell = Two(), nn.Linear(4, 4).double()

        def forward(self, x: Tensor) -> Tensor:
            made = self.two(self.cell(self.cell(x)))
            return made["sin"] * 2 + made["square"]

    model, x = Net(), draw(3, 4)
    inner = model.cell(model.cell(x)).detach()
    sin, square = LayerFeatureAblation(model, "two").attribute(x, target=1)
    only = torch.zeros(3, 4).double()
    only[:, 1] = 1
    assert_same(sin, 2 * inner.sin() * only, atol=1e-12)
    assert_same(square, inner.square() * only, atol=1e-12)
    masks = (torch.zeros(1, 4).long(), torch.ones(1, 4).long())
    sin, square = LayerFeatureAblation(model, "two").attribute(x, target=1, layer_mask=masks)
    assert_same(sin, (2 * inner.sin() * only).sum(1, keepdim=True).expand(-1, 4), atol=1e-12)
    with pytest.raises(InputError, match=r"'cell' runs several times.*Call\(layer, 0\)"):
        LayerFeatureAblation(model, "cell").attribute(x, target=1)
    found = LayerFeatureAblation(model, Call("cell", 1)).attribute(x, target=1)
    assert_same(found.abs().sum(0) > 0, torch.tensor([False, True, False, False]))
    loss = LayerFeatureAblation(lambda x: model(x).sum(), model.two).attribute(x)
    assert loss[0].shape == (1, 4) or loss[0].shape == (3, 4)


def test_other_methods_at_a_layer_find_the_same_of_an_additive_model() -> None:
    model = with_drawn_parameters(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(36, 2))).double()
    expected = LayerFeatureAblation(model, "0").attribute(X, 0, 1, layer_mask=CHANNELS)
    shapley = At(ShapleyValueSampling, model, layer="0").attribute(
        X, target=1, feature_mask=CHANNELS, n_samples=2, generator=seeded(1)
    )
    assert_same(shapley.double(), expected, atol=1e-4)
    windows = At(Occlusion, model, layer="0").attribute(
        X, target=1, sliding_window_shapes=(1, 4, 3), strides=(1, 4, 3)
    )
    assert_same(windows.double(), expected, atol=1e-4)


def test_noise_around_it() -> None:
    model, noise = pictures(), {"nt_samples": 3, "stdevs": 0.1, "layer_mask": CHANNELS}
    found = NoiseTunnel(LayerFeatureAblation(model, "block")).attribute(
        X, target=1, generator=seeded(1), **noise
    )
    again = NoiseTunnel(LayerFeatureAblation(model, "block")).attribute(
        X, target=1, generator=seeded(1), nt_samples_batch_size=1, **noise
    )
    assert_same(found, again, atol=1e-12)
    assert found.shape == (3, 3, 6, 5)


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"layer_baselines": draw(2, 3, 6, 5)}, InputError, r"\(2, 3, 6, 5\).*\(3, 3, 6, 5\)"),
        ({"layer_baselines": "x"}, InputTypeError, "'x'"),
        ({"layer_baselines": (0, 0)}, InputError, "2 came for 1"),
        ({"layer_mask": torch.zeros(7).long()}, InputError, r"\(7,\)"),
        ({"layer_mask": draw(6, 5)}, InputError, "float64|whole|integer"),
        ({"perturbations_per_eval": 0}, InputError, "perturbations_per_eval must be at least 1, but 0"),
        ({"target": 9}, InputError, "index 9"),
    ],
)
def test_what_is_refused(options: dict[str, Any], kind: Any, says: str) -> None:
    model = pictures()
    before = Snapshot(model, (X,))
    with pytest.raises(kind, match=says):
        LayerFeatureAblation(model, "block").attribute(X, **{"target": 1, **options})
    before.check()


def test_a_layer_that_never_ran() -> None:
    model = pictures()
    before = Snapshot(model, (X,))
    for kind in (LayerFeatureAblation, LayerFeaturePermutation):
        with pytest.raises(LayerError, match=r"'unused' did not run.*the layers that ran are 'conv', 'bn'"):
            kind(model, "unused").attribute(X, target=1)
        assert kind(model, "conv").multiplies_by_inputs
    before.check()
