"""What the page is told is what the kernel found."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from attriscope.widget.messages import wire


def decoded(message: wire.Message, count: int) -> np.ndarray:
    """As the page decodes it."""
    codes = np.frombuffer(message["maps"], np.int8).astype(np.float64).reshape(count, *message["shape"])
    return message["scale"] * np.sign(codes) * (np.abs(codes) / 127) ** 2


@given(st.integers(0, 1000), st.floats(1e-6, 1e6))
def test_frames_survive_the_journey(seed: int, scale: float) -> None:
    frames = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale
    back = decoded(wire.frames_message(frames), 3)
    top = frames.abs().max().item()
    # Half a step of the square-root code: fine where values are small, below one percent of the top at the top.
    limit = top * (np.sqrt(np.abs(frames.numpy()) / top) / 127 + (0.5 / 127) ** 2) + 1e-12
    assert (np.abs(back - frames.numpy()) <= limit).all()
    assert (np.sign(back) * np.sign(frames.numpy()) >= 0).all()


def test_frames_of_nothing_and_of_not_a_number() -> None:
    assert not decoded(wire.frames_message(torch.zeros(2, 3, 3)), 2).any()
    odd = torch.tensor([[[float("nan"), 1.0]]])
    assert np.isfinite(decoded(wire.frames_message(odd), 1)).all()


def test_map_adds_channels_and_keeps_its_sum_per_pixel_when_made_smaller() -> None:
    attributions = torch.randn(1, 3, 40, 60)
    torch.testing.assert_close(wire.flat_map(attributions), attributions.sum(1)[0])
    small = wire.flat_map(attributions, side=30)
    assert small.shape == (20, 30)
    torch.testing.assert_close(small.mean(), attributions.sum(1).mean())


def test_heat_bytes() -> None:
    heat = torch.randn(3, 4, dtype=torch.float64)
    message = wire.heat_message(heat, title="t")
    back = np.frombuffer(message["data"], "<f4").reshape(message["shape"])
    np.testing.assert_allclose(back, heat.numpy(), rtol=1e-6)
    assert message["title"] == "t"


def test_color_tables_are_what_matplotlib_draws() -> None:
    import matplotlib

    for name, table in wire.color_tables().items():
        colors = np.frombuffer(table["data"], np.uint8).reshape(256, 3)
        wanted = matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3]
        assert np.abs(colors.astype(int) - wanted).max() <= 1
    kinds = [table["kind"] for table in wire.color_tables().values()]
    assert kinds[0] == "diverging"  # "auto" takes the first of each kind
    assert "sequential" in kinds


@given(st.integers(0, 1000), st.floats(1e-6, 1e6))
def test_small_maps_keep_three_digits_and_the_sign(seed: int, scale: float) -> None:
    values = torch.randn(5, 7, generator=torch.Generator().manual_seed(seed)) * scale
    message = wire.small_map(values)
    back = message["scale"] * np.frombuffer(message["data"], "<f2").astype(np.float64).reshape(
        message["shape"]
    )
    top = float(values.abs().max())
    assert message["scale"] == top
    assert np.abs(back - values.numpy()).max() <= top * 2.0**-11
    assert (np.sign(back) * np.sign(values.numpy()) >= 0).all()


def test_small_maps_are_small_whatever_came() -> None:
    large = torch.arange(300.0 * 100).reshape(300, 100)
    message = wire.small_map(large)
    assert message["shape"] == [56, 19]
    assert len(message["data"]) == 2 * 56 * 19
    assert wire.small_map(torch.zeros(2, 3))["scale"] == 0
    odd = np.frombuffer(wire.small_map(torch.tensor([[float("inf"), 1.0]]))["data"], "<f2")
    assert np.isnan(odd[0])
    assert odd[1] == 1
