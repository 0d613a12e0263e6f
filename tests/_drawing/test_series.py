"""Attributions of time series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from attriscope.attr import visualization as viz
from attriscope.core.errors import InputError
from figures import (
    SERIES,
    SERIES_METHODS,
    bar_of,
    notes,
    series_attr,
    ticks,
)


@pytest.mark.parametrize("method", SERIES_METHODS)
@pytest.mark.parametrize("show_colorbar", [False, True])
def test_series(method: str, show_colorbar: bool) -> None:
    attr, data = SERIES
    names = ["_first", "price in $", "third"]
    figure, axes = series_attr(
        attr, data, None, method, "all", names, show_colorbar=show_colorbar, title="A title", outlier_perc=40
    )
    panels = np.ravel(axes)
    assert len(panels) == (1 if method == "overlay_combined" else 3)
    assert len(figure.axes) == len(panels) + show_colorbar
    assert panels[0].get_title() == "A title"
    if method == "overlay_combined":
        assert [text.get_text() for text in axes.get_legend().get_texts()] == names
        assert len(axes.lines) == 3
    else:
        assert [panel.get_ylabel() for panel in panels] == names
    shown = attr.mean(1, keepdims=True) if method == "overlay_combined" else attr
    sizes = np.sort(np.abs(shown), axis=None)
    unit = sizes[np.searchsorted(sizes.cumsum(), sizes.sum() * 0.6)]
    for panel, values in zip(panels, shown.T, strict=True):
        np.testing.assert_allclose(
            np.ravel(panel.collections[0].get_array()), np.clip(values / unit, -1, 1), atol=1e-12
        )
    if show_colorbar:
        at, numbers = ticks(bar_of(figure))
        np.testing.assert_allclose(numbers, np.array(at) * unit, atol=1e-9)
        assert "outliers reach" in bar_of(figure).get_xlabel()
        above = min(panel.get_position().y0 for panel in panels)
        assert bar_of(figure).get_position().y1 < above, "the bar covers no panel"


def test_every_point_of_a_coloured_graph_has_its_colour() -> None:
    attr, data = np.array([[1.0], [2.0], [4.0]]), np.array([[0.0], [2.0], [0.0]])
    _, axes = series_attr(attr, data, np.array([0.0, 1.0, 3.0]), "colored_graph", outlier_perc=0)
    pieces = axes.collections[0].get_segments()
    expected = [[(0, 0), (0, 0), (0.5, 1)], [(0.5, 1), (1, 2), (2, 1)], [(2, 1), (3, 0), (3, 0)]]
    np.testing.assert_allclose(pieces, expected)
    np.testing.assert_allclose(axes.collections[0].get_array(), [0.25, 0.5, 1.0])


def test_stretches_follow_uneven_positions() -> None:
    x = np.array([0.0, 1.0, 3.0, 10.0])
    _, axes = series_attr(np.ones((4, 1)), np.ones((4, 1)), x)
    edges = axes.collections[0].get_coordinates()[0, :, 0]
    np.testing.assert_allclose(edges, [-0.5, 0.5, 2.0, 6.5, 13.5])
    assert axes.get_xlim() == (-0.5, 13.5)


def test_dates_one_point_and_channels_first() -> None:
    days = np.datetime64("2024-01-01") + np.arange(20)
    _, axes = series_attr(*SERIES, days)
    assert "Jan" in "".join(label.get_text() for label in axes[-1].get_xticklabels())
    attr, data = SERIES
    _, one = series_attr(attr.T, data.T, channels_last=False)
    np.testing.assert_array_equal(
        one[1].collections[0].get_array(), series_attr(attr, data)[1][1].collections[0].get_array()
    )
    for method in SERIES_METHODS:
        series_attr(attr[:1], data[:1], method=method)


def test_empty_series_and_tensors() -> None:
    for method in SERIES_METHODS:
        figure, axes = series_attr(
            torch.zeros(20, 3), torch.tensor(SERIES[1]), torch.arange(20), method, show_colorbar=True
        )
        assert notes(np.ravel(axes)[0]) == "all attributions are 0"
        assert ticks(bar_of(figure)) == ([0.0], [0.0])


def test_graph_options() -> None:
    _, axes = series_attr(*SERIES, None, "overlay_individual", color="red", linewidth=3)
    assert (axes[0].lines[0].get_color(), axes[0].lines[0].get_linewidth()) == ("red", 3)
    for options in ({"linewidth": 5}, {"lw": 5}):
        _, axes = series_attr(*SERIES, None, "colored_graph", **options)
        assert axes[0].collections[0].get_linewidth() == [5]


@pytest.mark.parametrize(
    ("attr", "data", "options", "message"),
    [
        (*SERIES, {"method": "lines"}, "method must be one of 'overlay_individual'.*'lines' came"),
        (*SERIES, {"sign": "both"}, "sign must be one of"),
        (
            *SERIES[:, :, 0],
            {},
            r"attr must be of shape \(N, C\), but \(20,\) came; for one channel: attr\[:, None\]",
        ),
        (SERIES[:1], SERIES[1:], {}, r"\(1, 20, 3\) came; for the first example: attr\[0\]"),
        (SERIES[0], SERIES[1][:5], {}, r"\(20, 3\) does not fit data of shape \(5, 3\)"),
        (
            *SERIES,
            {"x_values": np.arange(3)},
            r"x_values must be of shape \(20,\) as the data, but \(3,\) came",
        ),
        (*SERIES, {"channel_labels": ["a"]}, r"one name per channel \(3\), but \['a'\] came"),
        (*SERIES, {"outlier_perc": 200}, "but 200 came"),
        (*SERIES, {"alpha_overlay": 2}, "alpha_overlay must be from 0 to 1, but 2 came"),
    ],
)
def test_refused_series(attr: Any, data: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        viz.visualize_timeseries_attr(attr, data, **options)
    assert not plt.get_fignums()


def test_too_few_axes() -> None:
    given = plt.subplots(2)
    with pytest.raises(InputError, match="of 3 channels needs 3 axes"):
        viz.visualize_timeseries_attr(*SERIES, plt_fig_axis=given)
