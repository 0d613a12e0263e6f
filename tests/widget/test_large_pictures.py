"""Large pictures travel averaged down, and in part at their own size; numbers are those of all pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer, attr
from attriscope.widget.messages import wire
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import from_page

# Three times as large along each side as what travels.
HEIGHT, WIDTH = 96, 144
X = torch.rand(2, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x.mean((1, 2, 3)), x[:, 0].square().mean((1, 2))], 1)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Explorer:
    monkeypatch.setattr(wire, "PICTURE_SIDE", 48)
    monkeypatch.setattr(wire, "MAP_SIDE", 48)
    monkeypatch.setattr(wire.picture_message, "__defaults__", (48,))
    monkeypatch.setattr(wire.flat_map, "__defaults__", (48,))
    options: dict[str, Any] = {"to_image": lambda x: x, "method": "InputXGradient", "target": 1}
    return Explorer(Mean(), X, n_steps=2, **options).wait(60)


def pixels(message: Any) -> Any:
    return np.frombuffer(message["data"], np.uint8).reshape(*message["shape"], 3)


def levels(x: Tensor) -> Any:
    return (x[0].permute(1, 2, 0) * 255).round().numpy()


def test_the_whole_is_averaged_down_and_says_how_large_it_is(large: Explorer) -> None:
    picture = large.picture
    assert (list(picture["shape"]), list(picture["full"])) == ([32, 48], [HEIGHT, WIDTH])
    wanted = levels(X[:1]).reshape(32, 3, 48, 3, 3).mean((1, 3)).round()
    assert np.abs(pixels(picture).astype(float) - wanted).max() <= 1
    assert list(large.baseline_picture["full"]) == [HEIGHT, WIDTH]
    wanted = attr.InputXGradient(Mean()).attribute(X[:1], target=1)
    assert list(large.heat["shape"]) == [32, 48]
    assert large.heat["sum"] == pytest.approx(float(wanted.sum()), rel=1e-5)  # of all pixels
    heat = np.frombuffer(large.heat["data"], "<f4").reshape(32, 48)
    averaged = wanted[0].sum(0).reshape(32, 3, 48, 3).mean((1, 3))
    np.testing.assert_allclose(heat, averaged, rtol=1e-4)


def test_a_part_comes_at_its_own_size(large: Explorer) -> None:
    assert large.close_up == {}
    from_page(large, view_box=[10, 20, 50, 60])
    assert large.close_up["box"] == [10, 20, 50, 60]
    assert np.abs(pixels(large.close_up) - levels(X[:1])[20:60, 10:50]).max() <= 0.5
    large.view_box = [0, 0, WIDTH + 50, HEIGHT]  # as fine as may travel
    assert large.close_up["box"] == [0, 0, WIDTH, HEIGHT]
    assert list(large.close_up["shape"]) == [32, 48]
    large.view_box = [WIDTH + 1, 0, WIDTH + 5, 3]
    assert large.close_up == {}
    large.view_box = [0, 0, 3, 2]
    large.example = 1
    large.wait(60)
    np.testing.assert_array_equal(pixels(large.close_up), levels(X[1:])[:2, :3])
    large.view_box = None
    assert large.close_up == {}


@pytest.mark.parametrize("wrong", [[0, 0, 0, 5], [0, 0, 5], "whole", [0.5, 0, 3, 3], 7, [3, 0, 1, 2]])
def test_what_is_no_part_is_refused(large: Explorer, wrong: Any) -> None:
    large.view_box = [0, 0, 3, 2]
    with pytest.raises(ChoiceError, match="view_box must be None or x0, y0, x1, y1"):
        large.view_box = wrong
    assert large.view_box == [0, 0, 3, 2]


def test_a_picture_that_travels_whole_needs_no_part() -> None:
    explorer = Explorer(Mean(), X[:1], target=0, n_steps=2, view_box=[0, 0, 4, 4]).wait(60)
    assert "full" not in explorer.picture
    assert explorer.close_up == {}


def test_figures_and_saved_pages_show_what_travelled(large: Explorer, tmp_path: Any) -> None:
    large.to_html(tmp_path / "page.html")
    assert '"full": [96, 144]' in (tmp_path / "page.html").read_text()
    assert large.snapshot().startswith(b"\x89PNG")


def test_what_two_thousand_by_three_thousand_pixels_cost() -> None:
    """18 MB once; now what a screen shows."""
    message = wire.picture_message(np.zeros((2000, 3000, 3), np.uint8))
    assert len(message["data"]) == 683 * 1024 * 3 < 2_100_000
    assert list(message["full"]) == [2000, 3000]
    part = wire.close_up_message(np.zeros((2000, 3000, 3), np.uint8), [0, 0, 1500, 1000])
    assert len(part["data"]) == 683 * 1024 * 3
