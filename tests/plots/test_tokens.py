"""Words on colours: every colour is that of its number, every word is shown as text, and all of them can be read."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.collections import QuadMesh

from attriscope import plots
from attriscope.core.errors import InputError

WORDS = [
    "The",
    "film",
    "costs",
    "$5",
    "or",
    "$6",
    "<script>alert(1)</script>",
    "<img onerror=alert(1)>",
    "&amp;",
]
VALUES = [0.1, -0.5, 1.0, 0.0, -2.0, 0.25, 2.0, -1.0, 0.7]
NASTY = [
    "",
    " ",
    "\n",
    "\t",
    "\x00",
    "\u202e",
    "\ud800",
    "שלום",
    "مرحبا",
    "😀",
    "👩‍👩‍👧",
    "a" * 300,
    "$\\frac$",
    "_",
    "\r\n",
]
numbers = st.floats(-1e6, 1e6, allow_subnormal=False) | st.just(math.nan) | st.just(math.inf)


def luminance(color: Any) -> float:
    channels = np.asarray(color[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: Any, other: Any) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@contextmanager
def any_letters() -> Iterator[None]:
    """No font here has all of them, of which matplotlib warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


# --- figures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cmap", ["PiYG", None])
def test_colours_are_those_of_the_map(cmap: str | None) -> None:
    ax = plots.tokens(WORDS, VALUES, cmap=cmap)
    assert [text.get_text() for text in ax.texts] == WORDS
    (bar,) = ax.child_axes[0].findobj(QuadMesh)
    colors = bar.get_cmap()
    assert cmap is None or colors == matplotlib.colormaps[cmap]
    for box, value in zip(ax.patches, VALUES, strict=True):
        assert box.get_facecolor() == pytest.approx(colors((value / 2 + 1) / 2))
    if cmap is None:
        assert ax.patches[3].get_facecolor() == pytest.approx(ax.figure.get_facecolor())  # 0 has no colour


def test_outliers_are_clipped_only_if_asked_for_and_the_bar_says_so() -> None:
    bar = plots.tokens(["a", "b", "c"], [1.0, 2.0, 10.0]).child_axes[0]
    assert bar.get_xlabel() == "attribution"
    ax = plots.tokens(["a", "b", "c"], [1.0, 2.0, 10.0], outlier_perc=80)
    assert "outliers reach 10" in ax.child_axes[0].get_xlabel()
    assert ax.patches[1].get_facecolor() == ax.patches[2].get_facecolor()


def test_numbers_that_are_not_finite_have_a_dashed_frame() -> None:
    ax = plots.tokens(["a", "b", "c"], [1.0, math.nan, math.inf])
    assert [box.get_linestyle() for box in ax.patches] == ["solid", "--", "--"]
    assert [box.get_facecolor()[3] for box in ax.patches] == [1, 0, 0]
    assert ax.child_axes[0].get_xlabel() == "attribution, dashed: 2 not finite"


def test_zeros_have_no_colour() -> None:
    ax = plots.tokens(["a", "b"], [0.0, 0.0])
    assert all(box.get_facecolor() == pytest.approx(ax.figure.get_facecolor()) for box in ax.patches)
    assert [label.get_text() for label in ax.child_axes[0].get_xticklabels()] == ["0"]


@pytest.mark.parametrize("words", [WORDS * 4, NASTY[7:9] * 20, ["ab" * 30, *WORDS]])
@pytest.mark.parametrize("size", [None, (6.4, 4.8), (3.0, 2.5), (12.0, 3.0)])
def test_words_lie_side_by_side_within_the_axes(words: list[str], size: tuple[float, float] | None) -> None:
    ax = plots.tokens(words, np.linspace(-1, 1, len(words)))
    if size is not None:
        ax.figure.set_size_inches(size)  # lines are broken anew
        ax.figure.set_dpi(150)
    ax.figure.canvas.draw()
    area, bar = ax.get_window_extent(), ax.child_axes[0].get_window_extent()
    boxes = [box.get_window_extent() for box in ax.patches]
    for text, box in zip(ax.texts, boxes, strict=True):
        word = text.get_window_extent()
        assert box.x0 <= word.x0
        assert word.x1 <= box.x1
        assert box.y0 - 1 <= word.y0
        assert word.y1 <= box.y1 + 1
        assert area.x0 - 1 <= box.x0
        assert box.x1 <= area.x1 + 1
        assert box.y0 > bar.y1
    places = np.array([[box.x0, box.x1, box.y0, box.y1] for box in boxes])
    for i, (x0, x1, y0, y1) in enumerate(places):
        rest = places[i + 1 :]
        assert not (
            (rest[:, 0] < x1) & (rest[:, 1] > x0) & (rest[:, 2] < y1 - 0.5) & (rest[:, 3] > y0 + 0.5)
        ).any()
    rows = np.unique(places[:, 2].round())
    first_line = places[places[:, 2].round() == rows[-1]]
    right_to_left = "שלום" in words
    assert (np.diff(first_line[:, 0]) < 0).all() if right_to_left else (np.diff(first_line[:, 0]) > 0).all()


def test_in_files_of_vectors_words_are_text() -> None:
    ax = plots.tokens(WORDS, VALUES)
    file = BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        ax.figure.savefig(file, format="svg")
    source = file.getvalue().decode()
    assert "&lt;script&gt;alert(1)" in source
    assert "<script" not in source
    ax.figure.savefig(BytesIO(), format="pdf")


@pytest.mark.parametrize(
    ("rc", "ground"),
    [
        ({"figure.facecolor": "#123456", "axes.facecolor": "#ff0000"}, "#123456"),
        ({"figure.facecolor": "none", "axes.labelcolor": "white"}, "black"),
        ({"figure.facecolor": "none", "axes.labelcolor": "black"}, "white"),
    ],
)
@pytest.mark.parametrize("part", [False, True])
def test_words_without_attribution_have_the_ground_of_the_figure(
    rc: dict[str, str], ground: str, part: bool
) -> None:
    with matplotlib.rc_context(rc):
        figure = plt.figure()
        ax = plots.tokens(
            ["a", "b"], [0.0, 1.0], ax=(figure.subfigures(1, 2)[0] if part else figure).subplots()
        )
        assert ax.patches[0].get_facecolor() == pytest.approx(matplotlib.colors.to_rgba(ground))
        figure.canvas.draw()


@pytest.mark.parametrize("style", ["default", "dark_background", "ggplot"])
def test_every_word_stands_out_from_its_ground(style: str) -> None:
    with plt.style.context(style):
        values = np.linspace(-1, 1, 41)
        ax = plots.tokens(["w"] * 41, values)
        for text, box in zip(ax.texts, ax.patches, strict=True):
            assert contrast(matplotlib.colors.to_rgb(text.get_color()), box.get_facecolor()) >= 4.5


@settings(max_examples=15)
@given(st.lists(st.sampled_from(NASTY) | st.text(max_size=5), min_size=1, max_size=12), st.data())
def test_whatever_words_hold(words: list[str], data: Any) -> None:
    values = data.draw(st.lists(numbers, min_size=len(words), max_size=len(words)))
    with any_letters():
        ax = plots.tokens(words, values)
        ax.figure.canvas.draw()
    assert len(ax.texts) == len(ax.patches) == len(words)
    assert all(text.get_text() for text in ax.texts)  # matplotlib draws nothing for ""
    plt.close("all")


@pytest.mark.parametrize("plot", [plots.tokens, plots.tokens_html])
@pytest.mark.parametrize(
    ("words", "values", "message"),
    [
        ("a text", [1.0], r"one text came: 'a text'; perhaps words.split\(\)"),
        (["a"], [1.0, 2.0], "as many, and at least one, but 1 and 2 came"),
        ([], [], "as many, and at least one, but 0 and 0 came"),
        (["a"], [[1.0, 2.0]], r"shape \(words,\), but \(1, 2\) came; add up the last dimension"),
        (["a"], ["b"], "attributions must be an array of numbers"),
    ],
)
def test_refused(plot: Any, words: Any, values: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plot(words, values)
    with pytest.raises(InputError, match="outlier_perc must be a number from 0 to 100, but -1 came"):
        plot(["a"], [1.0], outlier_perc=-1)
    assert plt.get_fignums() == []


# --- pages ------------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """What a browser would see: the tags, the words of the list, and its other texts."""

    def __init__(self, page: Any) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.items: list[tuple[dict[str, str | None], str]] = []
        self.others = ""
        self.inside = False
        self.direction: str | None = None
        self.feed(page._repr_html_())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        self.direction = given.get("dir", self.direction)
        assert not [name for name in given if name.startswith("on")]
        self.inside = given.get("role") == "listitem"
        if self.inside:
            self.items.append((given, ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.items[-1] = (self.items[-1][0], self.items[-1][1] + data)
        else:
            self.others += data


def test_words_come_out_as_text() -> None:
    page = Reader(plots.tokens_html(WORDS, VALUES, title="<b>why</b> & how"))
    assert page.tags == {"div", "span"}
    assert [text for _, text in page.items] == WORDS
    assert "<b>why</b> & how" in page.others
    labels = [given["aria-label"] for given, _ in page.items]
    assert labels[:4] == ["The: +0.1", "film: \N{MINUS SIGN}0.5", "costs: +1", "$5: 0"]
    assert [given["title"] for given, _ in page.items][:2] == ["+0.1", "\N{MINUS SIGN}0.5"]


@given(st.lists(st.sampled_from(NASTY) | st.text(max_size=8), min_size=1, max_size=8), st.data())
def test_whatever_words_hold_on_pages(words: list[str], data: Any) -> None:
    values = data.draw(st.lists(numbers, min_size=len(words), max_size=len(words)))
    source = plots.tokens_html(words, values)
    str(source).encode("utf-8")  # half of a surrogate pair cannot be sent to a page
    page = Reader(source)
    assert page.tags == {"div", "span"}
    assert len(page.items) == len(words)
    for word, (_, text) in zip(words, page.items, strict=True):
        assert text
        if word.isprintable() and word:
            assert text == word


def test_pages_run_as_their_first_letter_does() -> None:
    assert Reader(plots.tokens_html(["1", "שלום", "film"], [1, 2, 3])).direction == "rtl"
    assert Reader(plots.tokens_html(["$", "film", "שלום"], [1, 2, 3])).direction == "ltr"
    assert Reader(plots.tokens_html(["1", "2"], [1, 2])).direction == "ltr"


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=10))
def test_pages_are_legible_on_light_and_dark(values: list[float]) -> None:
    page = Reader(plots.tokens_html(["w"] * len(values), values))
    limit = max(map(abs, values))
    for value, (attributes, _) in zip(values, page.items, strict=True):
        style = str(attributes["style"])
        red, green, blue, alpha = map(float, re.findall(r"rgba\(([^)]*)\)", style)[0].split(","))
        assert alpha == pytest.approx(0.5 * (abs(value) / limit) if limit else 0, abs=1e-3)
        assert (green > red) == (value > 0)
        assert ("solid" in style, "dotted" in style) == (value > 0, value < 0)
        assert "color:inherit" in style
        for back, ink in ((1.0, (0.0,) * 3), (0.07, (1.0,) * 3)):
            ground = [alpha * c / 255 + (1 - alpha) * back for c in (red, green, blue)]
            assert contrast(ground, ink) >= 4.5


def test_the_legend_of_pages_says_what_is_not_seen() -> None:
    page = Reader(
        plots.tokens_html(["a", "b", "c", "d"], torch.tensor([1.0, 2.0, -10.0, math.nan]), outlier_perc=80)
    )
    assert "+2" in page.others
    assert "outliers reach \N{MINUS SIGN}10" in page.others
    assert "dashed: 1 not finite" in page.others
    assert page.items[3][0]["title"] == "not finite (nan)"
    assert "dashed" in str(page.items[3][0]["style"])
    assert "all attributions are 0" in Reader(plots.tokens_html(["a"], [0.0])).others
