"""Figures beside Captum's: the arrays drawn, their colour scale, and what text is coloured with."""

from __future__ import annotations

import itertools
import re
import warnings
from html.parser import HTMLParser
from typing import Any

import matplotlib
import matplotlib.cm
import numpy as np
import pytest
import torch
from captum.attr import visualization as theirs
from matplotlib import pyplot as plt

from attriscope.attr import visualization as ours

SIGNS = [sign.name for sign in theirs.VisualizeSign]
METHODS = [method.name for method in theirs.ImageVisualizationMethod]
SERIES = [method.name for method in theirs.TimeseriesVisualizationMethod]


@pytest.fixture(autouse=True)
def headless() -> Any:
    with matplotlib.rc_context({"backend": "agg"}):
        yield
    plt.close("all")


def assert_same_images(mine: Any, captums: Any, atol: float = 1e-12) -> None:
    assert len(mine.images) == len(captums.images)
    for i, j in zip(mine.images, captums.images, strict=True):
        a, b = np.asarray(i.get_array(), float), np.asarray(j.get_array(), float)
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def drawable(method: str, sign: str) -> bool:
    return sign != "all" or method not in ("masked_image", "alpha_scaling")


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize(
    ("method", "outlier_perc", "kind"),
    [
        *itertools.product(METHODS, [2], ["normal"]),
        *itertools.product(["heat_map"], [0.5, 2, 30, 100], ["heavy tails", "whole numbers", "one channel"]),
    ],
)
def test_the_arrays_drawn(method: str, sign: str, outlier_perc: float, kind: str) -> None:
    rng = np.random.default_rng(len(kind))
    attr = rng.normal(size=(13, 9, 3))
    if kind == "heavy tails":
        attr = attr**5
    elif kind == "whole numbers":  # ties, and sums that hit the threshold exactly
        attr = np.round(attr * 3)
    elif kind == "one channel":
        attr = attr[..., 0]
    if outlier_perc == 100:  # then Captum divides by the smallest size, which must not be 0
        attr, sign = np.abs(attr) + 0.1, {"negative": "positive"}.get(sign, sign)
    image = rng.random((13, 9, 3))
    arguments = (method, sign)
    options: dict[str, Any] = {"outlier_perc": outlier_perc, "use_pyplot": False, "title": "a title"}
    if not drawable(method, sign):
        for side in (theirs, ours):
            with pytest.raises(AssertionError):
                side.visualize_image_attr(attr, image, *arguments, **options)
        return
    figure, mine = ours.visualize_image_attr(attr, image, *arguments, **options)
    _, captums = theirs.visualize_image_attr(attr, image, *arguments, **options)
    assert_same_images(mine, captums)
    assert mine.get_title() == captums.get_title() == "a title"
    if "heat_map" in method:
        assert mine.images[-1].get_clim() == captums.images[-1].get_clim()
        assert mine.images[-1].cmap.name == captums.images[-1].cmap.name
        assert mine.images[-1].get_alpha() == captums.images[-1].get_alpha()
    assert mine in figure.axes


@pytest.mark.parametrize("image", ["uint8", "floats", "single precision", "one channel"])
@pytest.mark.parametrize("method", METHODS)
def test_kinds_of_images(method: str, image: str) -> None:
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, size=(16, 16, 3))
    levels.flat[:256] = np.arange(256)  # every level once
    picture = {
        "uint8": levels.astype(np.uint8),
        "floats": levels / 255,
        "single precision": (levels / 255).astype(np.float32),
        "one channel": levels[..., :1] / 255,
    }[image]
    attr = rng.normal(size=(16, 16, 3))
    arguments = (attr, picture, method, "positive")
    if method == "alpha_scaling" and image == "one channel":
        with pytest.raises(TypeError):  # Captum cannot
            theirs.visualize_image_attr(*arguments, use_pyplot=False)
        ours.visualize_image_attr(*arguments, use_pyplot=False)
        return
    _, mine = ours.visualize_image_attr(*arguments, use_pyplot=False)
    _, captums = theirs.visualize_image_attr(*arguments, use_pyplot=False)
    # Captum cuts 253.99999 off to 253, so that a picture of k/255 does not always come back.
    assert_same_images(mine, captums, atol=0 if image == "uint8" else 1)
    if method == "original_image":
        assert np.array_equal(
            np.squeeze(mine.images[0].get_array()), np.squeeze(levels[..., : picture.shape[2]])
        )


def test_attributions_in_single_precision() -> None:
    attr = torch.randn(224, 224, 3, generator=torch.Generator().manual_seed(0)) ** 3
    for sign in SIGNS:
        _, mine = ours.visualize_image_attr(attr, sign=sign, use_pyplot=False)
        _, captums = theirs.visualize_image_attr(attr.numpy(), sign=sign, use_pyplot=False)
        assert_same_images(mine, captums, atol=1e-5)


@pytest.mark.parametrize("show_colorbar", [False, True])
@pytest.mark.parametrize("use_pyplot", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_several_panels(count: int, use_pyplot: bool, show_colorbar: bool) -> None:
    rng = np.random.default_rng(1)
    attr, image = rng.normal(size=(8, 8, 3)), rng.random((8, 8, 3))
    methods = ["heat_map", "original_image", "blended_heat_map"][:count]
    signs = ["all", "all", "negative"][:count]
    options: dict[str, Any] = {
        "titles": list("abc")[:count],
        "use_pyplot": use_pyplot,
        "show_colorbar": show_colorbar,
        "outlier_perc": 5,
        "cmap": "viridis",
    }
    figure, mine = ours.visualize_image_attr_multiple(attr, image, methods, signs, **options)
    their_figure, captums = theirs.visualize_image_attr_multiple(attr, image, methods, signs, **options)
    assert type(mine) is type(captums) or count == 1
    assert isinstance(mine, list) is (count > 1)
    assert len(figure.axes) == len(their_figure.axes)
    assert tuple(figure.get_size_inches()) == tuple(their_figure.get_size_inches())
    for i, j in zip(np.ravel(mine), np.ravel(captums), strict=True):
        assert_same_images(i, j)
        assert i.get_title() == j.get_title()


@pytest.fixture
def revived(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captum's time series need a function that matplotlib 3.9 removed."""
    if not hasattr(matplotlib.cm, "get_cmap"):
        monkeypatch.setattr(matplotlib.cm, "get_cmap", matplotlib.colormaps.get_cmap, raising=False)


def behind(axes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Edges and colours of the stretches behind a graph: one mesh of ours, one rectangle each of Captum's."""
    if axes.patches:
        edges = [patch.get_x() for patch in axes.patches]
        edges.append(edges[-1] + axes.patches[-1].get_width())
        colors = np.array([patch.get_facecolor() for patch in axes.patches])
        alpha = colors[:, 3:]
        return np.array(edges), colors[:, :3] * alpha + 1 - alpha  # as they look on white
    (mesh,) = axes.collections
    mesh.update_scalarmappable()
    return mesh.get_coordinates()[0, :, 0], mesh.get_facecolor()[:, :3]


@pytest.mark.usefixtures("revived")
@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("method", SERIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_time_series(method: str, sign: str, channels: int) -> None:
    rng = np.random.default_rng(2)
    attr, data = rng.normal(size=(2, 11, channels)) ** 3
    options: dict[str, Any] = {
        "channel_labels": ["a", "b", "c"][:channels],
        "x_values": np.arange(11) * 2.0,
        "use_pyplot": False,
        "title": "a title",
    }
    _, mine = ours.visualize_timeseries_attr(attr, data, method=method, sign=sign, **options)
    _, captums = theirs.visualize_timeseries_attr(attr, data, method=method, sign=sign, **options)
    assert type(mine) is type(captums)
    assert np.shape(mine) == np.shape(captums)
    for i, j in zip(np.ravel(mine), np.ravel(captums), strict=True):
        assert i.get_title() == j.get_title()
        assert i.get_ylabel() == j.get_ylabel()
        if method == "colored_graph":
            one, other = i.collections[0], j.collections[0]
            np.testing.assert_allclose(one.get_array(), other.get_array(), atol=1e-12)
            assert one.get_clim() == other.get_clim()
            assert one.get_cmap().name == other.get_cmap().name
            continue
        for line, their_line in zip(i.lines, j.lines, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), their_line.get_xydata())
        (edges, colors), (their_edges, their_colors) = behind(i), behind(j)
        np.testing.assert_allclose(edges, their_edges)
        np.testing.assert_allclose(colors, their_colors, atol=0.02)  # a colour of 256 more or less
    if method == "overlay_combined":
        assert [t.get_text() for t in mine.get_legend().get_texts()] == options["channel_labels"]


class _Cells(HTMLParser):
    """The texts of the table cells and the background colours of the words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.words: list[str] = []
        self.colors: list[str] = []
        self.inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.inside.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        if tag == "mark":
            self.words.append("")
            found = re.search(r"background-color:\s*([^;]+);", dict(attrs)["style"])
            assert found
            self.colors.append(found[1])

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.inside):
            self.cells[-1] += data
        if "mark" in self.inside:
            self.words[-1] += data.strip()


def test_text() -> None:
    words = ["[CLS]", "<s>", "good", "film", "</s>", "<pad>"]
    importances = torch.tensor([0.0, 0.3, -0.7, 1.0, -1.0, 2.5])
    mine = _Cells(ours.format_word_importances(words, importances))
    captums = _Cells(theirs.format_word_importances(words, importances))
    assert mine.words == captums.words
    assert mine.colors == captums.colors


def test_table_of_texts(capsys: pytest.CaptureFixture[str]) -> None:
    def html(side: Any) -> str:
        record = side.VisualizationDataRecord(
            torch.tensor([0.2, -0.1]), 0.789, 1, "neg", "pos", torch.tensor(1.5), ["a", "b"], 0.1
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return str(side.visualize_text([record]).data)

    def texts(parsed: _Cells) -> list[str]:
        return [" ".join(cell.split()) for cell in parsed.cells]

    assert texts(_Cells(html(ours))) == texts(_Cells(html(theirs)))


def test_borders_and_labels_of_masks() -> None:
    rng = np.random.default_rng(3)
    for mask in [rng.random((12, 15)) > 0.3, np.ones((5, 6), bool), np.pad(np.ones((4, 7), bool), 3)]:
        for width in (1, 2, 5):
            _, (left, right) = plt.subplots(1, 2)
            ours.draw_mask_border(left, mask, width, "red")
            theirs.draw_mask_border(right, mask, width, "red")
            np.testing.assert_array_equal(left.images[0].get_array(), right.images[0].get_array())
            assert left.images[0].get_extent() == right.images[0].get_extent()
    _, (left, right) = plt.subplots(1, 2)
    ours.draw_mask_legend(left, mask, "name", fontsize=7)
    theirs.draw_mask_legend(right, mask, "name", fontsize=7)
    (mine,), (captums,) = left.texts, right.texts
    assert mine.get_position() == captums.get_position()
    assert mine.get_fontsize() == captums.get_fontsize()
    assert mine.get_color() == captums.get_color()


def test_the_same_names() -> None:
    for name in ours.__all__:
        assert hasattr(theirs, name)
    for enum in ("ImageVisualizationMethod", "TimeseriesVisualizationMethod", "VisualizeSign"):
        mine, captums = getattr(ours, enum), getattr(theirs, enum)
        assert {m.name: m.value for m in mine} == {m.name: m.value for m in captums}
