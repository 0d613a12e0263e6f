"""Grids of pictures and maps: the numbers drawn, one scale where it is asked for, and what the colour bars say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.collections import QuadMesh

from attriscope import plots
from attriscope.attr import visualization as viz
from attriscope.core.errors import InputError

RNG = np.random.default_rng(0)
PICTURES = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0))
MAPS = {
    "one": torch.tensor(RNG.normal(size=(2, 3, 8, 6)) ** 3),
    "ten": torch.tensor(RNG.normal(size=(2, 3, 8, 6)) * 10),
}


def drawn(panel: Any) -> Any:
    return np.ma.filled(panel.images[-1].get_array(), np.nan)


def bars(grid: Any) -> list[Any]:
    """The axes of the colour bars."""
    return [axes for axes in grid[0, 0].figure.axes if axes not in set(grid.flat)]


def unit(bar: Any) -> float:
    """The attribution that has the full colour, from the ticks: these are places in units of it."""
    place, text = bar.get_xticks()[-1], bar.get_xticklabels()[-1].get_text()
    return float(text.replace("\N{MINUS SIGN}", "-")) / place


def summed(name: str, example: int) -> Any:
    return MAPS[name][example].sum(0).numpy()


@pytest.mark.parametrize("sign", ["all", "positive", "negative", "absolute_value"])
def test_each_map_as_visualize_image_attr_draws_it(sign: str) -> None:
    grid = plots.comparison(PICTURES, MAPS, sign=sign)
    assert grid.shape == (2, 3)
    for i in range(2):
        for j, name in enumerate(MAPS, start=1):
            _, alone = viz.visualize_image_attr(MAPS[name][i].permute(1, 2, 0), sign=sign, use_pyplot=False)
            np.testing.assert_allclose(drawn(grid[i, j]), drawn(alone), atol=1e-12)
            assert grid[i, j].images[-1].get_clim() == alone.images[-1].get_clim()
            np.testing.assert_array_equal(
                grid[i, j].images[-1].get_cmap()(np.linspace(0, 1, 7)),
                alone.images[-1].get_cmap()(np.linspace(0, 1, 7)),
            )
    assert len(bars(grid)) == 4


def test_pictures_are_drawn_as_they_are() -> None:
    grid = plots.comparison(PICTURES, MAPS)
    for i, picture in enumerate(PICTURES):
        np.testing.assert_allclose(drawn(grid[i, 0]), picture.permute(1, 2, 0) * 255, atol=1)


@pytest.mark.parametrize("percent", [0, 10, 30])
def test_one_scale_for_all(percent: float) -> None:
    grid = plots.comparison(PICTURES, MAPS, shared="all", outlier_perc=percent)
    (bar,) = bars(grid)
    full = unit(bar)
    sizes = np.sort(np.abs([summed(name, i) for name in MAPS for i in range(2)]), axis=None)
    assert (sizes[sizes > full * 1.001]).sum() <= percent / 100 * sizes.sum()  # only outliers are clipped
    for i in range(2):
        for j, name in enumerate(MAPS, start=1):
            np.testing.assert_allclose(drawn(grid[i, j]), np.clip(summed(name, i) / full, -1, 1), atol=0.01)
    if percent == 0:
        assert full == pytest.approx(sizes[-1], rel=0.01)
        assert bar.get_xlabel() == "attribution"
    else:
        extremes = [min(summed(n, i).min() for n in MAPS for i in range(2)), sizes[-1]]
        assert "outliers reach" in bar.get_xlabel()
        assert any(f"{abs(end):.0f}" in bar.get_xlabel() for end in extremes)


def test_one_scale_per_method() -> None:
    grid = plots.comparison(PICTURES, MAPS, shared="method", outlier_perc=0)
    for j, (name, bar) in enumerate(zip(MAPS, bars(grid), strict=True), start=1):
        largest = max(np.abs(summed(name, i)).max() for i in range(2))
        assert unit(bar) == pytest.approx(largest, rel=0.02)
        for i in range(2):
            np.testing.assert_allclose(drawn(grid[i, j]), summed(name, i) / largest, atol=1e-12)


def test_empty_maps_stay_empty_and_say_so() -> None:
    maps = {"zero": torch.zeros(2, 8, 6), "one": MAPS["one"].clone()}
    maps["one"][1, :, 0, 0] = float("nan")
    for shared in ("each", "method", "all"):
        grid = plots.comparison(PICTURES, maps, shared=shared)
        assert (drawn(grid[0, 1]) == 0).all()
        assert [text.get_text() for text in grid[0, 1].texts] == ["all attributions are 0"]
        assert [text.get_text() for text in grid[1, 2].texts] == ["1 not finite"]
        assert np.isnan(drawn(grid[1, 2])).sum() == 1


def test_blended_maps_lie_over_the_picture_in_grey() -> None:
    panel = plots.comparison(PICTURES, MAPS, blend=True, alpha_overlay=0.3)[0, 1]
    grey, heat = panel.images
    np.testing.assert_allclose(grey.get_array(), PICTURES[0].mean(0) * 255, atol=1)
    assert heat.get_alpha() == 0.3
    bar = panel.figure.axes[-1]
    colors = bar.findobj(QuadMesh)[0]
    assert colors.get_cmap()(0.0)[:3] == pytest.approx((1.0, 0.7, 0.7), abs=0.01)  # red at 0.3 on white


def test_orders_of_dimensions() -> None:
    as_array = PICTURES.permute(0, 2, 3, 1).numpy()
    sums = {name: maps.sum(1).numpy() for name, maps in MAPS.items()}
    last = {name: list(maps.permute(0, 2, 3, 1).numpy()) for name, maps in MAPS.items()}
    first = plots.comparison(PICTURES, MAPS)
    for pictures, maps in (
        (as_array, sums),
        (list(PICTURES), last),
        (as_array[..., :1], MAPS),
        (as_array[..., 0], MAPS),
    ):
        other = plots.comparison(pictures, maps)
        for one, two in zip(first[:, 1:].flat, other[:, 1:].flat, strict=True):
            np.testing.assert_allclose(drawn(one), drawn(two), atol=1e-12)
    np.testing.assert_array_equal(drawn(first[0, 0]), drawn(plots.comparison(as_array, sums)[0, 0]))
    # Three rows of three channels: tensors have channels first, arrays last.
    cube = torch.arange(36.0).reshape(1, 3, 4, 3)
    assert drawn(plots.comparison(cube, {"m": cube})[0, 1]).shape == (4, 3)
    assert drawn(plots.comparison(cube.numpy(), {"m": cube.numpy()})[0, 1]).shape == (3, 4)


def test_pictures_of_several_sizes() -> None:
    pictures = [np.zeros((4, 6)), np.zeros((9, 3, 3))]
    grid = plots.comparison(pictures, {"m": [np.ones((4, 6)), np.ones((9, 3))]}, shared="all")
    assert [drawn(panel).shape for panel in grid[:, 1]] == [(4, 6), (9, 3)]


def test_names_and_given_axes() -> None:
    figure, axes = plt.subplots(2, 3)
    grid = plots.comparison(
        PICTURES, {"_a $x$": MAPS["one"], "b": MAPS["ten"]}, names=["$1", "$2"], axes=axes
    )
    figure.canvas.draw()
    assert (grid == axes).all()
    assert [panel.get_title() for panel in grid[0]] == ["", "_a $x$", "b"]
    assert [panel.get_ylabel() for panel in grid[:, 0]] == ["$1", "$2"]


@pytest.mark.parametrize("shared", ["each", "method", "all"])
def test_panels_of_a_row_are_aligned_and_titles_within_the_figure(shared: str) -> None:
    pictures = [np.zeros((30, 40)), np.zeros((40, 40))]
    maps = [RNG.normal(size=picture.shape) for picture in pictures]
    grid = plots.comparison(pictures, {"a": maps, "a long name of a method, with $": maps}, shared=shared)
    figure = grid[0, 0].figure
    figure.canvas.draw()
    for row in grid:
        boxes = [panel.get_window_extent() for panel in row]
        assert np.ptp([box.y0 for box in boxes]) < 2
        assert np.ptp([box.y1 for box in boxes]) < 2
    everything = [panel.get_tightbbox() for panel in figure.axes]
    assert min(box.x0 for box in everything) >= -1
    assert min(box.y0 for box in everything) >= -1
    assert max(box.y1 for box in everything) <= figure.bbox.y1 + 1


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], {"m": []}), {}, "at least one picture"),
        ((PICTURES, {}), {}, "at least one method"),
        ((PICTURES, [1]), {}, "a mapping such as .* but a list came"),
        ((3, {"m": []}), {}, "a batch or a sequence of examples, but a int came"),
        ((PICTURES[0, 0], {"m": []}), {}, r"shape \(8, 6\) came; for a single one: pictures\[None\]"),
        ((torch.rand(1, 2, 8, 6), {"m": []}), {}, r"pictures\[0\] must be of shape .*, but \(2, 8, 6\) came"),
        ((PICTURES, {"m": MAPS["one"][:1]}), {}, r"\['m'\] must hold one map per picture \(2\), but 1 came"),
        (
            (PICTURES, {"m": MAPS["one"][..., :3]}),
            {},
            r"\(3, 8, 3\) does not fit the picture of 8 x 6; .*interpolate",
        ),
        (
            (PICTURES, MAPS),
            {"shared": "both"},
            "shared must be one of 'each', 'method', 'all', but 'both' came",
        ),
        ((PICTURES, MAPS), {"sign": "plus"}, "sign must be one of .* but 'plus' came"),
        ((PICTURES, MAPS), {"outlier_perc": 101}, "from 0 to 100, but 101 came"),
        ((PICTURES, MAPS), {"alpha_overlay": 2}, "alpha_overlay must be from 0 to 1, but 2 came"),
        ((PICTURES, MAPS), {"names": ["a"]}, "names must hold one name for each of 2, but 1 came"),
    ],
)
def test_refused(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plots.comparison(*arguments, **options)
    assert plt.get_fignums() == []


def test_too_few_axes_are_refused() -> None:
    _, axes = plt.subplots(2, 2)
    with pytest.raises(
        InputError, match=r"2 x 3 axes of matplotlib \(examples, 1 \+ methods\), but \(2, 2\) came"
    ):
        plots.comparison(PICTURES, MAPS, axes=axes)
    assert not any(panel.has_data() for panel in axes.flat)
