"""Whatever comes from a page: it is granted, refused or ignored, and never breaks what comes after it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attriscope import Explorer, Overlay
from attriscope.widget.methods.catalogue import INPUT_METHODS, INSIDE_METHODS
from widget.helpers import PAGE_WRITES, Mirror, TwoLayers, assert_consistent, from_page

QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def shared() -> Iterator[Explorer]:
    explorer = Explorer(TwoLayers().eval(), torch.rand(2, 3, 8, 8), target=0, method="Saliency", n_steps=4)
    yield explorer
    explorer.close()


numbers = st.integers() | st.floats() | st.integers(-3, 8) | st.sampled_from([10**400, -0.0, 1e308])
anything = st.recursive(
    st.none()
    | st.booleans()
    | numbers
    | st.text(max_size=20)
    | st.sampled_from(["custom", "zero", *INPUT_METHODS]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(sorted(PAGE_WRITES))
parameters = st.sampled_from(
    ["n_steps", "method", "abs", "nt_samples", "stdevs", "cells", "window", "no such"]
)
near_misses = st.dictionaries(
    st.sampled_from([*INPUT_METHODS, "no such"]),
    st.dictionaries(parameters, anything, max_size=3) | anything,
    max_size=3,
)
# What a page may say of each trait, most of it nearly right.
wishes = st.dictionaries(names, anything, max_size=4) | st.fixed_dictionaries(
    {},
    optional={
        "settings": near_misses,
        "target": st.integers(-6, 6) | anything,
        "contrast": st.none() | st.integers(-6, 6),
        "example": st.integers(-1, 3),
        "baseline": st.lists(st.sampled_from(["zero", "mean", "custom", "no"]), max_size=3),
        "method": st.sampled_from([*INPUT_METHODS, "no such"]),
        "layer": st.sampled_from([None, "first", "second", "", "unused", "no such"]),
        "layer_method": st.sampled_from([*INSIDE_METHODS, "no such"]),
        "neuron": st.none() | st.integers(-1, 8) | st.lists(st.integers(-1, 8), max_size=4) | anything,
        "neuron_method": st.sampled_from([*INSIDE_METHODS, "no such"]),
        "ablated": st.lists(
            st.tuples(
                st.sampled_from(["first", "act", "unused", "no such"]), st.integers(-1, 8) | anything
            ).map(list)
            | anything,
            max_size=3,
        ),
        "ablate_to": st.sampled_from(["zero", "baseline", "no such"]),
        "alpha": st.floats(),
        "scale_limit": st.none() | st.floats(),
    },
)


@QUICK
@given(wishes)
def test_any_wish_is_granted_or_refused_with_a_reason(shared: Explorer, wish: dict[str, Any]) -> None:
    before = {name: shared.get_state(name)[name] for name in wish}
    count = shared._refusals
    shared.set_state(wish)
    if shared._refusals > count:
        refused = shared.refused
        assert refused["trait"] in wish
        assert refused["reason"]
        assert len(refused["reason"]) <= 500
        assert (
            shared.get_state(refused["trait"])[refused["trait"]] == before[refused["trait"]] or len(wish) > 1
        )
    shared.cancel()
    shared._jobs.wait(10)
    assert_consistent(shared)


@QUICK
@given(st.dictionaries(st.text() | st.sampled_from(Overlay.class_trait_names()), anything, max_size=5))
def test_only_choices_can_be_written_from_the_page(shared: Explorer, state: dict[str, Any]) -> None:
    kept = (
        set(shared.keys) - PAGE_WRITES - {"status", "progress", "message", "refused", "heat", "path", "code"}
    )
    kept -= {"picture", "baseline_picture", "predictions", "layers", "effort", "weights_changed"}
    kept -= {"layer_relevance", "layer_maps", "channels", "patches", "neuron_info", "what_if"}
    kept -= {
        "classes",
        "baseline_pictures",
        "covered",
        "segments",
        "close_up",
    }  # that jobs of before may still fill
    before = {name: getattr(shared, name) for name in kept}
    shared.set_state({name: value for name, value in state.items() if name not in PAGE_WRITES})
    assert [name for name in kept if getattr(shared, name) is not before[name]] == []


@QUICK
@given(
    anything
    | st.fixed_dictionaries({"type": anything | st.sampled_from(["cancel", "refine", "close", "__init__"])}),
    st.lists(st.binary(), max_size=2),
)
def test_any_message_leaves_the_explorer_alive(shared: Explorer, content: Any, buffers: list[bytes]) -> None:
    shared._handle_custom_msg(content, buffers)
    assert shared.comm is not None
    assert shared.comm is not None
    shared.cancel()
    assert shared._jobs.wait(10)


@pytest.mark.parametrize("state", [None, 3, "x", [], [["target", 1]]])
def test_a_state_that_is_none(shared: Explorer, state: Any) -> None:
    before = shared.choice
    shared.set_state(state)
    assert shared.choice == before


def test_what_goes_to_the_page_is_json_even_if_the_model_says_nan(shared: Explorer) -> None:
    class Odd(TwoLayers):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * torch.tensor([1.0, math.inf, 1.0, 1.0, 1.0])

    explorer = Explorer(Odd().eval(), torch.rand(1, 3, 8, 8), target=1, method="InputXGradient", n_steps=3)
    explorer._jobs.wait(20)
    if explorer.heat:
        assert explorer.heat["sum"] is None or math.isfinite(explorer.heat["sum"])
    explorer.close()


def test_huge_messages_are_refused_in_few_words() -> None:
    explorer = Explorer(TwoLayers().eval(), torch.rand(1, 3, 8, 8), target=0, method="Saliency").wait()
    mirror = Mirror(explorer)
    huge = "x" * 1_000_000
    for state in (
        {"method": huge},
        {"sign": huge},
        {"layer": huge},
        {"baseline": [huge] * 3},
        {"target": list(range(100_000))},
        {"settings": {huge: {}}},
        {"settings": {"Saliency": {huge: 1}}},
        {"settings": {"NoiseTunnel": {"nt_type": huge}}},
        {"alpha": huge},
        {"contrast": 10**4000},  # the longest that JSON can bring
    ):
        from_page(explorer, **state)
        refused = explorer.refused
        assert refused["trait"] == next(iter(state))
        assert len(refused["reason"]) <= 500
        assert len(str(refused["value"])) < 300
    assert_consistent(explorer, mirror)
    explorer.close()


def test_messages_in_any_order_end_in_the_last(shared: Explorer) -> None:
    shared.set_state({"settings": {}, "contrast": None, "layer": None, "example": 0, "method": "Saliency"})
    shared.set_state({"baseline": "zero", "ablated": []})
    mirror = Mirror(shared)
    for target in (0, 3, 1, 3, 2):
        from_page(shared, target=target)
        shared._handle_custom_msg({"type": "cancel"}, [])
        from_page(shared, contrast=4, target=target)
    shared._handle_custom_msg({"type": "recompute"}, [])
    shared.wait(20)
    assert shared.heat["request"]["target"] == 2
    assert_consistent(shared, mirror)


def test_parts_refuse_nonsense_too() -> None:
    overlay = Overlay(torch.rand(8, 8, 3).numpy(), torch.rand(8, 8))
    overlay.set_state({"opacity": 7, "sign": "positive", "picture": {}, "mode": ["heat"]})
    assert (overlay.opacity, overlay.sign, overlay.mode) == (0.6, "positive", "blended")
    assert overlay.picture


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", None, True, [], 10**400, 2])
def test_numbers_are_numbers(shared: Explorer, value: Any) -> None:
    before = shared.alpha
    with pytest.raises(Exception, match=r"alpha"):
        shared.alpha = value
    assert shared.alpha == before


@pytest.mark.parametrize("value", [math.nan, math.inf, 0, -1, "1", True])
def test_a_scale_ends_above_zero(shared: Explorer, value: Any) -> None:
    with pytest.raises(Exception, match="scale_limit must be a number"):
        shared.scale_limit = value
    shared.scale_limit = 0.5
    shared.scale_limit = None


def test_the_page_learns_the_usual_words_for_what_it_said() -> None:
    explorer = Explorer(TwoLayers().eval(), torch.rand(1, 3, 8, 8), target=4, method="Saliency").wait()
    mirror = Mirror(explorer)
    for state in ({"target": -1}, {"baseline": ["zero"]}, {"settings": {"Lime": {"n_samples": 400}}}):
        from_page(explorer, **state)
        name = next(iter(state))
        assert mirror.state[name] == explorer.get_state(name)[name] != state[name]
    explorer.close()
