"""The user's pyplot: nothing of it is changed, and a figure that fails is closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib
import pytest
from matplotlib import pyplot as plt

from attriscope.attr import visualization as viz
from figures import (
    ATTR,
    IMAGE,
    SERIES,
    SERIES_METHODS,
)


def every_figure(use_pyplot: bool) -> Iterator[Any]:
    yield viz.visualize_image_attr(ATTR, IMAGE, "blended_heat_map", show_colorbar=True, use_pyplot=use_pyplot)
    yield viz.visualize_image_attr_multiple(
        ATTR, IMAGE, ["heat_map"] * 2, ["all"] * 2, show_colorbar=True, use_pyplot=use_pyplot
    )
    for method in SERIES_METHODS:
        yield viz.visualize_timeseries_attr(*SERIES, method=method, show_colorbar=True, use_pyplot=use_pyplot)


def test_pyplot_is_not_touched() -> None:
    mine, my_axes = plt.subplots()
    settings = dict(matplotlib.rcParams)
    for figure, _ in every_figure(use_pyplot=False):
        assert figure.number if hasattr(figure, "number") else True
        assert plt.get_fignums() == [mine.number]
        assert plt.gcf() is mine
        assert plt.gca() is my_axes
    assert dict(matplotlib.rcParams) == settings


def test_pyplot_shows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf().number))
    settings = dict(matplotlib.rcParams)
    figures = [figure for figure, _ in every_figure(use_pyplot=True)]
    assert shown == [figure.number for figure in figures]
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.parametrize("use_pyplot", [True, False])
def test_drawing_on_given_axes(use_pyplot: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(1))
    figure, (left, right) = plt.subplots(1, 2)
    found = viz.visualize_image_attr(ATTR, plt_fig_axis=(figure, right), use_pyplot=use_pyplot)
    assert found == (figure, right)
    assert (len(left.images), len(right.images)) == (0, 1)
    figure, axes = plt.subplots(3)
    found = viz.visualize_timeseries_attr(*SERIES, plt_fig_axis=(figure, axes), use_pyplot=use_pyplot)
    assert found[0] is figure
    assert found[1] is axes
    assert all(panel.collections for panel in axes)
    assert len(shown) == 2 * use_pyplot
    assert len(plt.get_fignums()) == 2


def test_a_figure_that_fails_is_closed() -> None:
    with pytest.raises(ValueError, match="no such colours"):
        viz.visualize_image_attr(ATTR, cmap="no such colours")
    with pytest.raises(AttributeError):
        viz.visualize_timeseries_attr(*SERIES, no_such_option=1)
    assert not plt.get_fignums()


@pytest.mark.parametrize("style", ["default", "dark_background", "ggplot"])
def test_styles(style: str) -> None:
    with plt.style.context(style):
        for figure, _ in every_figure(use_pyplot=False):
            figure.canvas.draw()
