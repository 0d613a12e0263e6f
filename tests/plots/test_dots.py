"""Panels of dots: every number is where it belongs, and what is missing is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from attriscope import plots
from attriscope.core.errors import InputError, InputTypeError

NAN = float("nan")
VALUES = {"deletion ↓": [0.5, 0.25, NAN], "insertion ↑": torch.tensor([1.0, 2.0, 3.0])}


def marks(ax: Any) -> list[tuple[float, int]]:
    """The dots of a panel."""
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o"]


def test_numbers_names_and_what_is_missing() -> None:
    first, second = plots.dots(VALUES, ["a", "b", "c"])
    assert marks(first) == [(0.5, 0), (0.25, 1)]
    assert marks(second) == [(1, 0), (2, 1), (3, 2)]
    assert [(text.get_text(), text.get_position()[1]) for text in first.texts] == [("undefined", 2)]
    assert not list(second.texts)
    assert [ax.get_title() for ax in (first, second)] == list(VALUES)
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "b", "c"]
    top, bottom = (first.transData.transform((0, row))[1] for row in (0, 2))
    assert top > bottom


def test_errors_and_marks() -> None:
    first, second = plots.dots(
        VALUES, errors={"insertion ↑": [0.5, NAN, 0.0]}, marked={"insertion ↑": [2], "deletion ↓": ()}
    )
    bars = [bar.get_segments()[0][:, 0].tolist() for bar in second.collections]
    assert bars == [[0.5, 1.5], [2, 2], [3, 3]]
    colors = [line.get_color() for line in second.lines if line.get_marker() == "o"]
    assert [same_color(color, "C1") for color in colors] == [False, False, True]
    assert not any(same_color(line.get_color(), "C1") for line in first.lines)


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_four_panels_beside_each_other(count: int) -> None:
    found = plots.dots({str(i): [1.0, 2.0] for i in range(count)})
    assert found.shape == (count,)
    found[0].figure.canvas.draw()
    places = [ax.get_position() for ax in found]
    assert len({round(place.x0, 6) for place in places}) == min(4, count)
    assert len({round(place.y0, 6) for place in places}) == -(-count // 4)
    shown = [ax for ax in found[0].figure.axes if ax.get_visible()]
    assert shown == list(found)


def test_on_axes_of_the_user() -> None:
    axes = Figure().subplots(2, 1)
    found = plots.dots(VALUES, axes=axes)
    assert list(found) == list(axes)
    assert marks(axes[1]) == [(1, 0), (2, 1), (3, 2)]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a method " * 9, "a method a method a method a method a …"),
        ("a_method_" * 9, "a_method_a_method_a_method_a_method_a_m…"),
    ],
)
def test_a_long_name_is_cut(name: str, shown: str) -> None:
    (ax,) = plots.dots({"m": [1.0]}, [name])
    assert [label.get_text() for label in ax.get_yticklabels()] == [shown]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"values": {}}, InputError, "at least one panel"),
        ({"values": [1.0]}, InputTypeError, "mapping"),
        ({"values": {"a": [1.0], "b": [1.0, 2.0]}}, InputError, "values of 'b' are 2, but there are 1 items"),
        ({"values": {"a": [np.inf]}}, InputError, "values of 'a' must be finite"),
        ({"values": {"a": []}}, InputError, r"of shape \(items,\)"),
        ({"values": {"a": [[1.0]]}}, InputError, r"of shape \(items,\)"),
        ({"names": ["a"]}, InputError, "one name for each of 3"),
        ({"errors": {"insertion": [1.0] * 3}}, InputError, "no panel 'insertion'; there are 'deletion ↓'"),
        ({"errors": {"insertion ↑": [1.0] * 2}}, InputError, "errors of 'insertion ↑' are 2"),
        ({"errors": {"insertion ↑": [1.0, -1.0, 1.0]}}, InputError, "must not be negative"),
        ({"marked": {"insertion": [0]}}, InputError, "no panel 'insertion'"),
        ({"marked": {"insertion ↑": [3]}}, InputError, "from 0 to 2, but 3 came"),
        ({"axes": [Figure().subplots()]}, InputError, r"2 axes of matplotlib .* but \(1,\) came"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        plots.dots(**{"values": VALUES, **change})
