"""Bars and waterfalls: lengths, order and sums are those of the data, and texts do not cover each other."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.colors import same_color

from attriscope import plots
from attriscope.core.errors import InputError
from attriscope.plots._axes import AGAINST, FOR

VALUES = [0.5, -3.0, 0.0, 2.0, -0.25]


def labels(ax: Any) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def widths(ax: Any) -> list[float]:
    return [bar.get_width() for bar in ax.patches]


def test_bars_in_order() -> None:
    ax = plots.bars(VALUES, list("abcde"))
    assert labels(ax) == ["b", "d", "a", "e", "c"]
    assert widths(ax) == [-3, 2, 0.5, -0.25, 0]
    assert [text.get_text() for text in ax.texts] == [
        "\N{MINUS SIGN}3",
        "+2",
        "+0.5",
        "\N{MINUS SIGN}0.25",
        "0",
    ]
    expected = [AGAINST, FOR, FOR, AGAINST]
    assert all(same_color(bar.get_facecolor(), c) for bar, c in zip(ax.patches, expected, strict=False))
    top = ax.transData.transform([bar.get_center() for bar in ax.patches])[:, 1]
    assert (np.diff(top) < 0).all()


@settings(max_examples=30)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.integers(1, 12) | st.none())
def test_nothing_is_lost_in_the_others(values: list[float], top: int | None) -> None:
    ax = plots.bars(values, top=top)
    assert sum(widths(ax)) == pytest.approx(sum(values), abs=1e-9)
    shown = len(values) if top is None or len(values) <= top + 1 else top + 1
    assert len(ax.patches) == len(labels(ax)) == shown
    if shown < len(values):
        assert labels(ax)[-1] == f"{len(values) - top} others"
        assert min(map(abs, widths(ax)[:-1])) >= sorted(map(abs, values))[-top] - 1e-12
    plt.close("all")


def test_errors_go_with_their_bars() -> None:
    ax = plots.bars([1.0, -4.0, 2.0, 0.1, 0.2], errors=[0.1, 0.4, 0.2, 9, 9], top=3)
    (errors,) = (
        [c for c in ax.containers if c.has_xerr]
        if hasattr(ax.containers[0], "has_xerr")
        else ax.containers[1:]
    )
    spans = [segment[:, 0].tolist() for segment in errors[2][0].get_segments()]
    np.testing.assert_allclose(spans, [[-4.4, -3.6], [1.8, 2.2], [0.9, 1.1]])  # none for "2 others"
    ends = [text.xy[0] for text in ax.texts]
    np.testing.assert_allclose(ends, [-4.4, 2.2, 1.1, 0.3])  # numbers stand beyond them


@pytest.mark.parametrize("scale", [1.0, 1e-7, 1e6])
@pytest.mark.parametrize("size", [None, (4.0, 2.2)])
def test_texts_do_not_cover_each_other(scale: float, size: tuple[float, float] | None) -> None:
    values = np.array([1.2345, -1.1111, 0.3333, -0.2, 0.1, 0.05, 0.04, 0.03, 0.02, 0.01, 0.01, 0.01]) * scale
    names = ["a rather long name of a column, with its unit (kg/m²)", *(f"feature {i}" for i in range(11))]
    ax = None if size is None else plt.subplots(figsize=size, layout="constrained")[1]
    for plot in (plots.bars, plots.waterfall):
        drawn = plot(values, names, ax=ax)
        drawn.figure.canvas.draw()
        frame = drawn.get_window_extent()
        names_at = [label.get_window_extent() for label in drawn.get_yticklabels()]
        assert all(above.y0 >= below.y1 - 1 for above, below in itertools.pairwise(names_at))
        for text in drawn.texts:
            box = text.get_window_extent()
            assert frame.x0 <= box.x0
            assert box.x1 <= frame.x1 + 1
        if ax is not None:
            ax.clear()


def test_waterfall_leads_from_start_to_end() -> None:
    ax = plots.waterfall(VALUES, list("abcde"), 1.0)
    assert labels(ax) == ["f(baseline) = 1", "b", "d", "a", "e", "c", "sum = 0.25"]
    assert widths(ax) == [-3, 2, 0.5, -0.25, 0]
    assert [bar.get_x() for bar in ax.patches] == [1, -2, 0, 0.5, 0.25]
    marks = next(line for line in ax.lines if line.get_marker() == "D")
    assert marks.get_xydata().tolist() == [[1, 0], [0.25, 6]]


@settings(max_examples=30)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20), st.floats(-5, 5), st.floats(-5, 5))
def test_the_gap_to_the_output_is_drawn(values: list[float], start: float, gap: float) -> None:
    end = start + sum(values) + gap
    ax = plots.waterfall(values, start=start, end=end, top=5)
    levels = [start, *(bar.get_x() + bar.get_width() for bar in ax.patches)]
    has_bar = "not attributed" in labels(ax)
    assert has_bar == (abs(gap) > 1e-3 * np.ptp([*levels, end])) or abs(gap) < 1e-12
    if has_bar:
        assert widths(ax)[-1] == pytest.approx(gap, abs=1e-9)
        assert levels[-1] == pytest.approx(end, abs=1e-9)
    plt.close("all")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([],), {}, r"shape \(F,\), but \(0,\) came"),
        (([[1.0, 2.0]],), {}, r"\(1, 2\) came; for the first example: attributions\[0\]"),
        (([1.0, float("nan")],), {}, "must be finite, but 1 of 2 are not; the first is nan at 1"),
        (([1.0, 2.0], ["a"]), {}, "one name for each of 2, but 1 came"),
        (([1.0, 2.0],), {"top": 0}, "top must be .* but 0 came"),
        (([1.0, 2.0],), {"top": True}, "top must be .* but True came"),
        ((["a"],), {}, "attributions must be an array of numbers"),
    ],
)
@pytest.mark.parametrize("plot", ["bars", "waterfall"])
def test_refused(plot: str, arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        getattr(plots, plot)(*arguments, **options)
    assert plt.get_fignums() == []


def test_errors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"errors of shape \(1,\) do not fit"):
        plots.bars([1, 2], errors=[1])
    with pytest.raises(InputError, match="errors must not be negative, but -1 "):
        plots.bars([1, 2], errors=[1, -1])
    with pytest.raises(InputError, match="end must be finite"):
        plots.waterfall([1, 2], end=float("nan"))
