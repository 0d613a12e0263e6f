"""What holds for all plots: where they draw, what they return, and that nothing else of the user's is touched."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

import attriscope
from attriscope import plots
from attriscope.core.errors import InputError, InputTypeError
from models import elsewhere

X = [0.0, 0.5, 1.0]
MAPS = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)


def comparison(ax: Axes | None = None, **options: Any) -> Any:
    """As the others, with one picture and one method; given axes are cut in two."""
    axes = None if ax is None else [ax, ax.figure.add_axes((0.6, 0.1, 0.3, 0.8))]
    return plots.comparison(MAPS[:1].abs(), {"m": MAPS[:1]}, axes=axes, **options)[0, 0]


def dots(ax: Axes | None = None, **options: Any) -> Any:
    """As the others, with one panel."""
    values, axes = {"$a$": [1.0, float("nan"), 2.0]}, None if ax is None else [ax]
    errors, names = {"$a$": [0.1, 0.2, float("nan")]}, ["$b$", "_c", "d"]
    return plots.dots(values, names, errors=errors, marked={"$a$": [2]}, axes=axes, **options)[0]


CALLS: dict[str, Callable[..., Any]] = {
    "bars": lambda **o: plots.bars(
        [3.0, -2.0, 1.0, 1.0], ["a", "$b$", "_c", "d"], errors=[1] * 4, top=2, **o
    ),
    "comparison": comparison,
    "curves": lambda **o: plots.curves({"$a$": (X, [X, X[::-1]]), "_b": (X, X)}, **o),
    "depth": lambda **o: plots.depth({"$a$": [1.0, 2.0], "b_1": [2.0, 4.0, 5.0]}, label="$l_", **o),
    "dots": dots,
    "tokens": lambda **o: plots.tokens(["$a$", "<b>", "c\nd"], [1.0, -2.0, 0.0], **o),
    "waterfall": lambda **o: plots.waterfall([3.0, -1.0], ["a", "$b$"], 0.5, end=9, **o),
}
CALLS["path"] = lambda **o: plots.path(
    X, [[0, 1], [1, 1], [2, 1]], [[0, 0], [1, 0], [3, 0]], names=["$a", "$b"], **o
)
EACH = pytest.mark.parametrize("name", CALLS)
TITLED = [name for name in CALLS if name not in ("comparison", "dots")]  # these have panels with titles


def test_every_plot_is_in_these_tests() -> None:
    assert {*CALLS, "tokens_html"} == set(plots.__all__)
    assert attriscope.plots is plots
    assert set(dir(plots)) == set(plots.__all__)
    with pytest.raises(AttributeError, match="no attribute 'pie'"):
        plots.pie  # noqa: B018


@EACH
def test_given_axes_are_returned_and_nothing_else_is_touched(name: str) -> None:
    mine, my_axes = plt.subplots()
    other, ax = plt.subplots()
    plt.figure(mine)
    plt.sca(my_axes)
    before = copy.deepcopy(dict(matplotlib.rcParams))
    assert CALLS[name](ax=ax) is ax
    other.canvas.draw()
    assert plt.gcf() is mine
    assert plt.gca() is my_axes
    assert not my_axes.has_data()
    assert plt.get_fignums() == [mine.number, other.number]
    assert dict(matplotlib.rcParams) == before


@EACH
def test_without_axes_a_new_figure_is_made(name: str) -> None:
    mine = plt.figure()
    axes = CALLS[name]()
    axes.figure.canvas.draw()
    assert axes.figure is not mine
    assert plt.gcf() is axes.figure  # a notebook shows it
    assert mine.axes == []


@EACH
def test_a_figure_of_its_own(name: str) -> None:
    """That pyplot does not know, and that a notebook can show."""
    figure = CALLS[name](use_pyplot=False).figure
    assert plt.get_fignums() == []
    assert figure._repr_png_().startswith(b"\x89PNG")
    size = figure.get_size_inches()
    np.testing.assert_array_equal(size, CALLS[name]().figure.get_size_inches())


def test_pyplot_takes_no_part_in_figures_of_the_user() -> None:
    code = """
import sys, torch
from matplotlib.figure import Figure
from attriscope import plots
ax = lambda: Figure().subplots()
x = [0.0, 0.5, 1.0]
plots.bars([1.0], ax=ax()); plots.waterfall([1.0], ax=ax()); plots.curves({"a": (x, x)}, ax=ax())
plots.dots({"a": x}, axes=[ax()]); plots.dots({"a": x}, use_pyplot=False)
plots.path(x, x, ax=ax()); plots.tokens(["a"], [1.0], ax=ax()); plots.depth([1.0], ax=ax())
plots.comparison(torch.rand(1, 4, 4), {"m": torch.rand(1, 4, 4)}, axes=Figure().subplots(1, 2))
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_html_needs_no_matplotlib() -> None:
    code = (
        "import sys\nfrom attriscope import plots\nplots.tokens_html(['a'], [1.0])\n"
        "assert 'matplotlib' not in sys.modules and 'IPython' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@EACH
def test_a_default_device_changes_no_picture(name: str) -> None:
    def drawn() -> Any:
        canvas = CALLS[name]().figure.canvas
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())

    with elsewhere():
        there = drawn()
    np.testing.assert_array_equal(there, drawn())


@EACH
def test_axes_of_another_kind_are_refused(name: str) -> None:
    if name == "comparison":
        with pytest.raises(InputError, match=r"1 x 2 axes of matplotlib .* but a Figure came"):
            plots.comparison(MAPS[:1], {"m": MAPS[:1]}, axes=Figure())
        return
    if name == "dots":
        with pytest.raises(
            InputError, match=r"axes must hold 1 axes of matplotlib \(one per panel\), but a Figure came"
        ):
            plots.dots({"a": X}, axes=Figure())
        return
    with pytest.raises(InputTypeError, match="ax must be an Axes of matplotlib, but a Figure came"):
        CALLS[name](ax=Figure())


@pytest.mark.parametrize(
    "call",
    [
        lambda: plots.bars([1.0], title=1j, xlabel=object(), names=[Unprintable()]),
        lambda: plots.comparison(MAPS[:1], {"m": MAPS[:1]}, cmap="no such map"),
        lambda: plots.tokens(["a"], [1.0], cmap="no such map"),
    ],
)
def test_a_plot_that_fails_leaves_no_figure(call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError):
        call()
    assert plt.get_fignums() == []


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("name", TITLED)
def test_titles_only_if_asked_for_and_axis_labels_always(name: str) -> None:
    assert CALLS[name]().get_title() == ""
    ax = CALLS[name](title="from $5 to $6")
    ax.figure.canvas.draw()
    assert ax.get_title() == "from $5 to $6"
    assert not ax.title.get_parse_math()
    if name == "tokens":  # has no axes but the colour bar
        assert ax.child_axes[0].get_xlabel() == "attribution"
    else:
        assert ax.get_xlabel()


@EACH
def test_names_of_the_user_hold_no_mathematics(name: str) -> None:
    ax = CALLS[name]()
    ax.figure.canvas.draw()
    texts = [text for text in ax.figure.findobj(Text) if "$" in text.get_text()]
    assert texts or name == "comparison"
    assert not any(text.get_parse_math() for text in texts)


@EACH
@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_texts_stand_out_from_the_background(name: str, style: str) -> None:
    with plt.style.context(style):
        ax = CALLS[name]()
        ax.figure.canvas.draw()
        back = luminance(ax.figure.get_facecolor())
        own_ground = set(ax.texts) if name == "tokens" else set()
        for text in ax.figure.findobj(Text):
            if (
                text.get_text()
                and text.get_visible()
                and text not in own_ground
                and text.get_bbox_patch() is None
            ):
                assert contrast(luminance(text.get_color()), back) > 4.5, text


@EACH
def test_drawn_twice_and_resized(name: str) -> None:
    ax = CALLS[name]()
    ax.figure.canvas.draw()
    ax.figure.set_size_inches(3, 2)
    ax.figure.canvas.draw()
    assert np.asarray(ax.figure.canvas.buffer_rgba()).std() > 0


def luminance(color: Any) -> float:
    channels = np.array(to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int32])
def test_tensors_of_any_dtype(dtype: torch.dtype) -> None:
    values = torch.tensor([4, -2, 1]).to(dtype)
    if dtype.is_floating_point:
        values.requires_grad_()
    x = torch.tensor([0, 1, 2]).to(dtype)
    assert [bar.get_width() for bar in plots.bars(values).patches] == [4, -2, 1]
    assert [bar.get_width() for bar in plots.waterfall(values, None, 1).patches] == [4, -2, 1]
    assert plots.curves({"a": (x, values)}).lines[0].get_ydata().tolist() == [4, -2, 1]
    assert plots.path(x, values).lines[0].get_ydata().tolist() == [4, -2, 1]
    assert plots.depth(values).lines[0].get_xdata().tolist() == [4, -2, 1]
    assert [line.get_xdata()[0] for line in plots.dots({"a": values})[0].lines[::3]] == [4, -2, 1]
    assert len(plots.tokens(["$", "", "😀"], values).texts) == 3
    assert "+4" in str(plots.tokens_html(list("abc"), values))
    maps = values.reshape(1, 1, 3)
    drawn = plots.comparison(maps, {"m": maps}, outlier_perc=0)[0, 1].images[0].get_array()
    np.testing.assert_array_equal(drawn, [[1, -0.5, 0.25]])
