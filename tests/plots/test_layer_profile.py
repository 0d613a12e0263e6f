"""Depth profiles: the line is that of the layers, and their names can be read."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from attriscope import plots
from attriscope.core.errors import InputError

LAYERS = [f"features.{i}.block.{i % 3}.a_long_name_of.conv" for i in range(49)]


def labels(ax: Any) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


@settings(max_examples=30)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60))
def test_one_number_per_layer(values: list[float]) -> None:
    ax = plots.depth(values)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.stack([values, np.arange(len(values))], 1))
    assert not ax.collections
    plt.close("all")


def test_the_input_is_on_top() -> None:
    ax = plots.depth({"in": 1.0, "out": 2.0})
    first, last = ax.transData.transform(ax.lines[0].get_xydata())
    assert first[1] > last[1]
    assert labels(ax) == ["in", "out"]
    assert ax.get_ylabel() == "layer, input first"
    assert plots.depth([1.0], ylabel="$layer").yaxis.label.get_parse_math() is False


def test_distributions() -> None:
    samples = [np.arange(101.0), torch.arange(201.0) - 100, np.array([5.0])]
    ax = plots.depth(samples, ["a", "b", "c"])
    assert ax.lines[0].get_xdata().tolist() == [50, 0, 5]
    for band, ends in zip(
        ax.collections, ([[5, 95], [-90, 90], [5, 5]], [[25, 75], [-50, 50], [5, 5]]), strict=True
    ):
        corners = band.get_paths()[0].vertices
        for layer, (low, high) in enumerate(ends):
            at = corners[corners[:, 1] == layer, 0]
            assert [at.min(), at.max()] == [low, high]


@pytest.mark.parametrize("size", [None, (5.0, 3.5), (8.0, 4.8)])
@pytest.mark.parametrize("count", [3, 49])
def test_names_can_be_read(count: int, size: tuple[float, float] | None) -> None:
    ax = None if size is None else plt.subplots(figsize=size, layout="constrained")[1]
    ax = plots.depth(dict.fromkeys(LAYERS[:count], 1.0), ax=ax)
    ax.figure.canvas.draw()
    texts = ax.get_yticklabels()
    boxes = [text.get_window_extent() for text in texts]
    assert all(above.y0 >= below.y1 - 1 for above, below in itertools.pairwise(boxes))
    assert min(text.get_fontsize() for text in texts) >= 6
    assert ax.get_window_extent().width > 0.4 * ax.figure.bbox.width
    shown = [LAYERS[round(place)] for place in ax.get_yticks()]
    assert shown[-1] == LAYERS[count - 1]
    for text, layer in zip(labels(ax), shown, strict=True):
        assert layer.endswith(text.removeprefix("…"))
    if size is None:
        assert shown == LAYERS[:count]


def test_two_profiles_in_one_figure() -> None:
    ax = plots.depth([1.0, 2.0], label="$cascading")
    assert plots.depth([3.0, 1.0], label="_independent", ax=ax) is ax
    ax.figure.canvas.draw()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["$cascading", "_independent"]
    profiles = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in profiles] == [[1, 2], [3, 1]]
    handles = [handle.get_color() for handle in ax.get_legend().legend_handles]
    assert handles == [line.get_color() for line in profiles]
    assert len(ax.lines) == 3  # one line at 0 for both


@pytest.mark.parametrize(
    ("profile", "names", "message"),
    [
        ([], None, "at least one layer"),
        ({}, None, "at least one layer"),
        ({"a": 1.0}, ["a"], "names must be left out"),
        ([1.0, 2.0], ["a"], "one name for each of 2, but 1 came"),
        ({"a": 1.0, "b": float("nan")}, None, r"profile of 'b' must be finite, .* nan"),
        (
            {"a": [1.0], "b": []},
            None,
            r"profile of 'b' must be of shape \(\) or \(samples,\), but \(0,\) came",
        ),
        ({"a": 1.0, "b": [1.0, 2.0]}, None, "'a' and 'b' differ"),
        (torch.ones(2, 3, 4), None, r"but \(3, 4\) came"),
        (3, None, "a mapping or a sequence, but a int came"),
    ],
)
def test_refused(profile: Any, names: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plots.depth(profile, names)
    assert plt.get_fignums() == []
