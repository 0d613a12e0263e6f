"""What is found inside a model survives the journey to the page."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attriscope.core.layouts import Layout
from attriscope.widget.messages import layers as layer_messages
from attriscope.widget.messages.layers import (
    channels_message,
    layer_maps_message,
)


def decoded(message: Any) -> dict[str, np.ndarray]:
    """As the page decodes them."""
    codes, found, start = np.frombuffer(message["maps"], "<f2").astype(np.float64), {}, 0
    for name, (h, w), scale in zip(message["names"], message["shapes"], message["scales"], strict=True):
        found[name] = codes[start : start + h * w].reshape(h, w) * scale
        start += h * w
    assert start == len(codes)
    return found


def depth(maps: dict[str, Tensor], **about: Any) -> Any:
    sums = {name: float(m.sum()) for name, m in maps.items()}
    return layer_maps_message(maps, sums, final=True, **about)


@given(st.integers(0, 2**32 - 1), st.floats(-30, 30), st.sampled_from([1.0, 6.0]))
def test_maps_of_all_layers_survive_the_journey(seed: int, exponent: float, spread: float) -> None:
    """Half precision of the share of the map's largest value: to 1/2048 of each value, or to 3e-8 of the largest."""
    generator = torch.Generator().manual_seed(seed)
    maps = {}
    for i, size in enumerate([(3, 4), (1, 7), (5, 2)]):
        signs = torch.randn(size, generator=generator, dtype=torch.float64).sign()
        sizes = torch.rand(size, generator=generator, dtype=torch.float64) * -spread
        maps[str(i)] = (signs * 10 ** (sizes + exponent)).float()
    for name, found in decoded(depth(maps)).items():
        wanted = maps[name].double().numpy()
        largest = np.abs(wanted).max()
        assert (np.abs(found - wanted) <= np.abs(wanted) / 2048 + 2.0**-25 * largest + 1e-45).all()


def test_what_is_not_finite_is_not_known_and_spoils_nothing_else() -> None:
    odd = torch.tensor([[1.0, float("nan"), -0.5], [float("inf"), 0.25, -float("inf")]])
    message = depth({"odd": odd, "dark": torch.zeros(2, 2), "bad": torch.full((1, 2), float("nan"))})
    found = decoded(message)
    np.testing.assert_array_equal(found["odd"], [[1.0, np.nan, -0.5], [np.nan, 0.25, np.nan]])
    assert not found["dark"].any()
    assert np.isnan(found["bad"]).all()
    assert np.isfinite(message["scales"]).all()
    assert message["sums"] == [None, 0.0, None]


def test_the_message_is_made_without_changing_the_maps() -> None:
    maps = {"a": torch.tensor([[1.0, float("nan")]])}
    depth(maps)
    assert torch.equal(maps["a"].nan_to_num(7), torch.tensor([[1.0, 7.0]]))


def test_too_many_maps_are_sent_coarser_each_an_average_of_what_was_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    maps = {f"{i}": torch.rand(56, 56) for i in range(10)} | {"small": torch.rand(3, 5)}
    monkeypatch.setattr(layer_messages, "_MAPS_BYTES", 20_000)
    message = depth(maps)
    assert len(message["maps"]) <= 20_000
    found = decoded(message)
    for name, values in maps.items():
        assert found[name].shape == ((28, 28) if name != "small" else (3, 5))
        wanted = values.reshape(28, 2, 28, 2).mean((1, 3)) if name != "small" else values
        np.testing.assert_allclose(found[name], wanted, rtol=1e-3)
    np.testing.assert_allclose(message["sums"], [float(values.sum()) for values in maps.values()])


def test_thousands_of_maps_keep_to_the_budget() -> None:
    message = depth({str(i): torch.rand(1, 1).expand(56, 56) for i in range(3000)})
    assert len(message["maps"]) <= layer_messages._MAPS_BYTES
    assert len(message["names"]) == 3000


def channels(
    values: Tensor,
    gradients: Tensor | None = None,
    layout: Layout | None = None,
    positions: list[str] | None = None,
    request: Any = None,
) -> Any:
    """The message of a layer that holds these values, a map unless it is said otherwise."""
    layout = layout or Layout("map", (1, *values.shape))
    parts = None if gradients is None else gradients * values
    return channels_message(layout, values, parts, positions, request or {})


def thumbs(message: Any, codes: str = "thumbs", scales: str = "scales") -> np.ndarray:
    """As the page decodes them."""
    shape = (message["count"], *message["shape"])
    values = np.frombuffer(message[codes], np.int8).astype(np.float64).reshape(shape)
    return values / 127 * np.frombuffer(message[scales], "<f4").astype(np.float64)[:, None, None]


@given(st.integers(0, 2**32 - 1), st.floats(-30, 30))
def test_channels_survive_the_journey(seed: int, exponent: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    values, gradients = (
        torch.randn(5, 4, 3, generator=generator, dtype=torch.float64) * 10**exponent for _ in range(2)
    )
    gradients = gradients / 10**exponent
    message = channels(values, gradients)
    for found, wanted in (
        (thumbs(message), values),
        (thumbs(message, "parts", "part_scales"), values * gradients),
    ):
        largest = wanted.abs().amax((1, 2), keepdim=True).numpy()
        assert (np.abs(found - wanted.numpy()) <= largest * (0.5 / 127 + 1e-6)).all()
    activations, contributions = (
        np.frombuffer(message[name], "<f4") for name in ("activations", "contributions")
    )
    tolerance = {"rtol": 1e-5, "atol": 1e-5 * 10**exponent}
    np.testing.assert_allclose(activations, values.mean((1, 2)), **tolerance)
    np.testing.assert_allclose(contributions, (values * gradients).sum((1, 2)), **tolerance)


def test_channels_with_numbers_that_are_not_finite_are_marked() -> None:
    values = torch.rand(4, 3, 3)
    values[1, 0, 0], values[2, 1, 1] = float("nan"), float("inf")
    message = channels(values, torch.ones(4, 3, 3))
    for scales in ("scales", "part_scales"):
        assert np.isnan(np.frombuffer(message[scales], "<f4")).tolist() == [False, True, True, False]
    assert message["notice"] == "2 of 4 channels hold numbers that are not finite"
    found = thumbs(message)
    np.testing.assert_allclose(found[[0, 3]], values[[0, 3]], atol=0.01)
    assert np.isnan(found[[1, 2]]).all()
    assert "notice" not in channels(torch.rand(4, 3, 3))


def test_channels_of_zeros_are_zeros() -> None:
    message = channels(torch.zeros(2, 3, 3), torch.ones(2, 3, 3))
    assert not thumbs(message).any()
    assert not thumbs(message, "parts", "part_scales").any()


def test_channels_without_gradients_hold_what_they_hold() -> None:
    message = channels(torch.rand(2, 3, 3), request={"layer": "a"})
    assert not {"contributions", "parts", "part_scales"} & message.keys()
    assert message["request"] == {"layer": "a"}


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((5000, 56, 56), (14, 14)),
        ((5000, 7, 7), (7, 7)),
        ((64, 112, 112), (28, 28)),
        ((4096, 1, 1), (1, 1)),
        ((3, 224, 100), (28, 12)),
        ((768, 1, 1000), (1, 256)),
        ((50_000, 1, 200), (1, 20)),
        ((2_000_000, 1, 1), (1, 1)),
    ],
)
def test_channels_are_as_coarse_as_their_number_asks_for(
    size: tuple[int, ...], shape: tuple[int, int]
) -> None:
    if size[0] > 10_000:
        values = torch.rand(1, 1, 1).expand(size)
    else:
        values = torch.rand(size)
    message = channels(values, torch.ones(1, 1, 1).expand(size))
    assert tuple(message["shape"]) == shape
    budget = max(layer_messages._CHANNEL_BYTES, size[0])
    assert len(message["thumbs"]) <= budget
    assert len(message["parts"]) <= budget
    assert message["size"] == list(size[1:])
    np.testing.assert_allclose(thumbs(message).mean(), values.mean(), rtol=0.02)


def test_five_thousand_channels_are_ready_while_a_person_blinks() -> None:
    values = torch.rand(5000, 28, 28)
    began = time.perf_counter()
    channels(values, values)
    assert time.perf_counter() - began < 1.5  # 0.1 s alone; the machine may be busy


def test_positions_are_named_where_there_are_as_many_names() -> None:
    words = ["a", "b", "c"]
    tokens = Layout("tokens", (1, 3, 4))
    fits = channels(torch.rand(4, 1, 3), layout=tokens, positions=words)
    assert (fits["positions"], fits["noun"], fits["layout"]) == (words, "unit", "tokens")
    assert "positions" not in channels(torch.rand(4, 1, 2), layout=tokens, positions=words)
