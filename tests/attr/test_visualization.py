"""Figures: what is drawn, what is said about it, what is refused, and that nothing of the user's is touched."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from attriscope.attr import visualization as viz
from attriscope.core.errors import InputError

RNG = np.random.default_rng(0)
ATTR = RNG.normal(size=(12, 10, 3)) ** 3
IMAGE = RNG.random((12, 10, 3))
SERIES = RNG.normal(size=(2, 20, 3))
IMAGE_METHODS = [method.name for method in viz.ImageVisualizationMethod]
SERIES_METHODS = [method.name for method in viz.TimeseriesVisualizationMethod]
SIGNS = [sign.name for sign in viz.VisualizeSign]


@pytest.fixture(autouse=True)
def headless() -> Iterator[None]:
    with matplotlib.rc_context({"backend": "agg"}), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")


def image_attr(*arguments: Any, **options: Any) -> tuple[Figure, Any]:
    figure, axes = viz.visualize_image_attr(*arguments, use_pyplot=False, **options)
    figure.canvas.draw()
    return figure, axes


def series_attr(*arguments: Any, **options: Any) -> tuple[Figure, Any]:
    figure, axes = viz.visualize_timeseries_attr(*arguments, use_pyplot=False, **options)
    figure.canvas.draw()
    return figure, axes


def drawn(axes: Any) -> Any:
    return np.asarray(axes.images[-1].get_array())


def bar_of(figure: Figure) -> Any:
    return figure.axes[-1]


def ticks(bar: Any) -> tuple[list[float], list[float]]:
    """Where the ticks are, and the numbers at them."""
    texts = [label.get_text().replace("\N{MINUS SIGN}", "-") for label in bar.get_xticklabels()]
    return [float(x) for x in bar.get_xticks()], [float(text) for text in texts]


def notes(axes: Any) -> str:
    return "\n".join(text.get_text() for text in axes.texts)


# --- loading ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "visualization = attriscope.attr.visualization",
        "from attriscope.attr import *",
    ],
)
def test_loaded_when_asked_for(statement: str) -> None:
    code = (
        "import sys, attriscope.attr\n"
        "assert 'matplotlib' not in sys.modules and 'IPython' not in sys.modules\n"
        f"{statement}\n"
        "visualization.visualize_image_attr([[1.0, 2.0]], use_pyplot=False)\n"
        "visualization.format_word_importances(['a'], [1.0])\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'IPython' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_other_names_are_no_attributes() -> None:
    import attriscope.attr

    with pytest.raises(AttributeError, match="'nonsense'"):
        _ = attriscope.attr.nonsense


# --- the scale --------------------------------------------------------------------------------------------------


def test_outliers_by_hand() -> None:
    """1 to 10 make up 55; up to 8 they make up 36, so that the largest 40 % begin within 9."""
    attr = np.arange(1.0, 11.0).reshape(2, 5)
    _, axes = image_attr(attr, sign="positive", outlier_perc=40)
    np.testing.assert_allclose(drawn(axes), np.minimum(attr / 8, 1))
    _, axes = image_attr(-attr, sign="negative", outlier_perc=40)
    np.testing.assert_allclose(drawn(axes), np.minimum(attr / 8, 1))
    _, axes = image_attr(attr - 5.5, sign="all", outlier_perc=0)
    np.testing.assert_allclose(drawn(axes), (attr - 5.5) / 4.5)


def test_channels_are_added_before_a_sign_is_chosen() -> None:
    attr = np.array([[[3.0, -1.0], [-3.0, 1.0]]])
    _, axes = image_attr(attr, sign="positive", outlier_perc=0)
    np.testing.assert_array_equal(drawn(axes), [[1.0, 0.0]])


@given(
    attr=hnp.arrays(
        np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(-1e6, 1e6, width=32)
    ),
    sign=st.sampled_from(SIGNS),
    outlier_perc=st.floats(0, 100),
    factor=st.sampled_from([1e-20, 1e-3, 2.0, 1e20]),
)
def test_any_map_is_drawn(attr: Any, sign: str, outlier_perc: float, factor: float) -> None:
    from attriscope._drawing.scales import VisualizeSign, scale

    chosen = VisualizeSign[sign]
    scaled = scale(attr, chosen, outlier_perc)
    values = scaled.values
    assert np.all(np.abs(values) <= 1)
    assert sign == "all" or np.all(values >= 0)
    empty = {"positive": attr.max() <= 0, "negative": attr.min() >= 0}.get(sign, not attr.any())
    assert (scaled.unit == 0) == bool(empty)
    if not empty:
        assert np.abs(values).max() == 1
        np.testing.assert_allclose(scale(attr * factor, chosen, outlier_perc).values, values, atol=1e-6)
        # What was not clipped is what came.
        kept = (values != 0) & (np.abs(values) < 1)
        expected = np.abs(attr) if sign == "absolute_value" else attr
        np.testing.assert_allclose((values * scaled.unit)[kept], expected[kept], rtol=1e-9)


@pytest.mark.parametrize("outlier_perc", [0, 100])
def test_the_ends_of_the_range_of_outliers(outlier_perc: float) -> None:
    attr = np.array([[0.0, 1.0], [2.0, 4.0]])
    _, axes = image_attr(attr, outlier_perc=outlier_perc)
    expected = attr / 4 if outlier_perc == 0 else np.minimum(attr, 1)
    np.testing.assert_array_equal(drawn(axes), expected)


# --- colour bars ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-9, 3e-5, 0.02, 1.0, 7.3, 48_000.0, 3e12])
@pytest.mark.parametrize("sign", SIGNS)
def test_the_bar_has_the_units_of_the_attributions(sign: str, unit: float) -> None:
    attr = np.linspace(-unit, unit, 40).reshape(8, 5)
    figure, _ = image_attr(attr, sign=sign, outlier_perc=0, show_colorbar=True)
    bar = bar_of(figure)
    at, numbers = ticks(bar)
    power = re.search(r"10\^\{(-?\d+)\}", bar.get_xlabel())
    numbers = [number * 10.0 ** (int(power[1]) if power else 0) for number in numbers]
    expected = -unit if sign == "negative" else unit
    assert len(at) >= 2
    np.testing.assert_allclose(numbers, np.array(at) * expected, rtol=1e-9, atol=1e-12 * unit)
    low, high = bar.get_xlim()
    assert (low, high) == ((-1, 1) if sign == "all" else (0, 1))
    assert bar.get_xlabel().startswith("attribution")
    assert "outliers" not in bar.get_xlabel()


@pytest.mark.parametrize(
    ("sign", "reach"),
    [
        ("all", "outliers reach \N{MINUS SIGN}50 and 80"),
        ("positive", "outliers reach 80"),
        ("negative", "outliers reach \N{MINUS SIGN}50"),
        ("absolute_value", "outliers reach 80"),
    ],
)
def test_the_bar_tells_of_the_clip(sign: str, reach: str) -> None:
    attr = np.tile([1.0, -1.0], (30, 30))
    attr[0, 0], attr[5, 5] = 80.0, -50.0
    attr[9, 9], attr[7, 7] = 70.0, -45.0
    figure, _ = image_attr(attr, sign=sign, outlier_perc=20, show_colorbar=True)
    bar = bar_of(figure)
    assert bar.get_xlabel() == f"attribution, {reach}"
    arrows = [patch for patch in bar.patches if patch.get_visible()]
    assert len(arrows) == (2 if sign == "all" else 1)


def test_only_the_clipped_side_has_an_arrow() -> None:
    attr = np.tile([1.0, -1.0], (30, 30))
    attr[0, 0] = 900.0
    figure, _ = image_attr(attr, sign="all", outlier_perc=60, show_colorbar=True)
    assert bar_of(figure).get_xlabel() == "attribution, outliers reach 900"
    assert len(bar_of(figure).patches) == 1


@pytest.mark.parametrize("method", IMAGE_METHODS)
def test_each_panel_has_a_bar_or_its_place(method: str) -> None:
    figure, axes = image_attr(ATTR, IMAGE, method, "positive", show_colorbar=True)
    assert len(figure.axes) == 2
    assert bar_of(figure).axison == (method in ("heat_map", "blended_heat_map"))
    assert figure.axes[0] is axes
    assert len(image_attr(ATTR, IMAGE, method, "positive")[0].axes) == 1


# --- nothing to draw --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [m for m in IMAGE_METHODS if m != "original_image"])
@pytest.mark.parametrize(
    ("attr", "sign", "note"),
    [
        (np.zeros((4, 4, 3)), "absolute_value", "all attributions are 0"),
        (np.ones((4, 4)), "negative", "no negative attributions"),
        (-np.ones((4, 4)), "positive", "no positive attributions"),
    ],
)
@pytest.mark.parametrize("show_colorbar", [False, True])
def test_an_empty_map_says_so(attr: Any, sign: str, note: str, method: str, show_colorbar: bool) -> None:
    figure, axes = image_attr(attr, IMAGE[:4, :4], method, sign, show_colorbar=show_colorbar)
    assert notes(axes) == note
    if method == "alpha_scaling":
        assert not drawn(axes)[..., 3].any()
    else:
        assert not drawn(axes).any()
    if show_colorbar and "heat_map" in method:
        assert ticks(bar_of(figure)) == ([0.0], [0.0])


def test_what_is_not_finite_stays_blank() -> None:
    attr = np.array([[1.0, 2.0, np.nan], [np.inf, -4.0, -np.inf]])
    _, axes = image_attr(attr, sign="all", outlier_perc=0)
    array = axes.images[-1].get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(array), ~np.isfinite(attr))
    np.testing.assert_array_equal(array.compressed(), [0.25, 0.5, -1.0])
    assert notes(axes) == "3 not finite"
    assert notes(image_attr(np.full((3, 3), np.nan))[1]) == "all attributions are 0, 9 not finite"


def test_a_tiny_map_without_a_bar_says_how_tiny() -> None:
    assert notes(image_attr(ATTR)[1]) == ""
    assert notes(image_attr(np.full((3, 3), 2e-9), sign="positive")[1]) == "full colour: 2e\N{MINUS SIGN}09"
    assert notes(image_attr(np.full((3, 3), 2e-9), sign="positive", show_colorbar=True)[1]) == ""


# --- images -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("method", IMAGE_METHODS)
def test_grey_and_transparent_images(method: str, channels: int | None) -> None:
    levels = RNG.integers(0, 256, size=(12, 10, channels or 1)).astype(np.uint8)
    image = levels[..., 0] if channels is None else levels
    _, axes = image_attr(ATTR, image, method, "positive", outlier_perc=0)
    strength = np.maximum(ATTR.sum(2), 0) / ATTR.sum(2).max()
    color = levels[..., :3].astype(float)
    opacity = levels[..., 3] if channels == 4 else 255
    array = drawn(axes)
    if method == "original_image":
        np.testing.assert_array_equal(array, levels if channels in (3, 4) else levels[..., 0])
    elif method == "masked_image":
        shown = array[..., None] if array.ndim == 2 else array[..., :3]
        np.testing.assert_allclose(shown, color * strength[..., None], atol=1)
        if channels == 4:
            np.testing.assert_array_equal(array[..., 3], opacity)
    elif method == "alpha_scaling":
        np.testing.assert_array_equal(array[..., :3], np.broadcast_to(color, (12, 10, 3)))
        np.testing.assert_allclose(array[..., 3], opacity * strength, atol=1)
    else:
        np.testing.assert_allclose(array, strength)
    if method == "blended_heat_map":
        np.testing.assert_allclose(axes.images[0].get_array(), color.mean(2))
    if axes.images[0].get_array().ndim == 2 and method != "heat_map":
        assert axes.images[0].get_cmap().name == "gray"
        assert axes.images[0].get_clim() == (0, 255)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param([[0.0, 0.5, 1.0]], [[0, 127, 255]], id="0 to 1"),
        pytest.param([[0.0, 128.0, 255.0]], [[0, 128, 255]], id="0 to 255 as floats"),
        pytest.param([[-2.0, 0.0, 2.0]], [[0, 128, 255]], id="standardized"),
        pytest.param([[-3.0, -2.0, -1.0]], [[0, 128, 255]], id="all negative"),
        pytest.param([[0.0, 0.5, 1.02]], [[0, 127, 255]], id="a little overshoot"),
        pytest.param([[0, 32768, 65535]], [[0, 128, 255]], id="16 bits"),
        pytest.param([[False, True, True]], [[0, 255, 255]], id="a mask"),
        pytest.param([[-1.0, -1.0, -1.0]], [[127, 127, 127]], id="one negative value"),
        pytest.param([[0.0, np.nan, 1.0]], [[0, 0, 255]], id="not finite"),
    ],
)
def test_ranges_of_images(image: Any, expected: Any) -> None:
    _, axes = image_attr(None, np.array(image), "original_image")
    np.testing.assert_array_equal(drawn(axes), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_tensors(dtype: torch.dtype) -> None:
    attr = torch.tensor(ATTR).to(dtype).requires_grad_()
    _, axes = image_attr(attr, torch.tensor(IMAGE), "blended_heat_map", "all")
    _, expected = image_attr(attr.detach().double().numpy(), IMAGE, "blended_heat_map", "all")
    np.testing.assert_array_equal(drawn(axes), drawn(expected))
    assert attr.requires_grad


def test_inputs_are_left_as_they_were() -> None:
    attr, image = ATTR.copy(), IMAGE.copy()
    for method in IMAGE_METHODS:
        image_attr(attr, image, method, "positive")
    viz.visualize_timeseries_attr(attr[0], image[0], use_pyplot=False)
    np.testing.assert_array_equal(attr, ATTR)
    np.testing.assert_array_equal(image, IMAGE)


def test_style_arguments() -> None:
    cmap = LinearSegmentedColormap.from_list("mine", ["white", "black"])
    figure, axes = image_attr(
        ATTR, IMAGE, "blended_heat_map", "all", None, 2, cmap, 0.3, True, "A title", (4, 3)
    )
    assert axes.images[-1].get_cmap().name == "mine"
    assert axes.images[-1].get_alpha() == 0.3
    assert axes.get_title() == "A title"
    assert tuple(figure.get_size_inches()) == (4, 3)
    assert not list(axes.get_xticks())
    assert not list(axes.get_yticks())
    # The bar has the colours as they look over a white image.
    np.testing.assert_allclose(bar_of(figure).collections[-1].cmap(1.0), (0.7, 0.7, 0.7, 1.0))


def test_enum_members_are_taken() -> None:
    _, axes = image_attr(ATTR, None, viz.ImageVisualizationMethod.heat_map, viz.VisualizeSign.all)
    assert axes.images[-1].get_clim() == (-1, 1)


# --- several panels ---------------------------------------------------------------------------------------------


def test_panels() -> None:
    figure, axes = viz.visualize_image_attr_multiple(
        ATTR,
        IMAGE,
        ["original_image", "heat_map", "masked_image"],
        ["all", "negative", "positive"],
        ["one", None, "three"],
        (9, 4),
        False,
        show_colorbar=True,
        outlier_perc=5,
    )
    assert isinstance(axes, list)
    assert [a.get_title() for a in axes] == ["one", "", "three"]
    assert len(figure.axes) == 6
    assert [a.axison for a in figure.axes[3:]] == [False, True, False]
    figure.canvas.draw()
    tops = {round(a.get_position().y1, 6) for a in axes}
    assert len(tops) == 1, "panels with and without a colour bar align"


def test_long_titles_stay_above_their_panels() -> None:
    titles = [
        "a rather long title of a picture",
        "short",
        "an even longer title that no panel has room for at all",
    ]
    figure, axes = viz.visualize_image_attr_multiple(
        ATTR, IMAGE, ["heat_map"] * 3, ["all"] * 3, titles, (8, 6), False
    )
    figure.canvas.draw()
    boxes = [a.title.get_window_extent() for a in np.ravel(axes)]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert [a.get_title().replace("\n", " ") for a in np.ravel(axes)] == titles
    assert len({a.title.get_fontsize() for a in np.ravel(axes)}) == 1


def test_one_panel_is_no_list() -> None:
    _, axes = viz.visualize_image_attr_multiple(ATTR, None, ["heat_map"], ["all"], use_pyplot=False)
    assert not isinstance(axes, list)


# --- time series ------------------------------------------------------------------------------------------------


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


# --- text -------------------------------------------------------------------------------------------------------

NASTY = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><b>',
    "' onmouseover='alert(1)",
    "&lt;already&gt;",
    "🎉",
    "שלום",
    "\u202etxt",
    "</mark></td></table>",
    "",
]


class Parsed(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.titles: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)
        if tag == "mark":
            self.words.append("")
            self.titles.append(dict(attrs)["title"])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "elements are closed in order"

    def handle_data(self, data: str) -> None:
        self.text += data
        if "mark" in self.open:
            self.words[-1] += data


def test_words_come_out_as_text() -> None:
    parsed = Parsed(viz.format_word_importances(NASTY, np.linspace(-1, 1, len(NASTY))))
    assert parsed.words == NASTY
    assert parsed.tags == {"td", "mark"}
    assert parsed.attributes == {"style", "title", "dir"}
    assert float(parsed.titles[0]) == -1.0


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_any_text_comes_out_as_text(words: list[str]) -> None:
    parsed = Parsed(viz.format_word_importances(words, [0.5] * len(words)))
    assert parsed.tags == {"td", "mark"}
    assert len(parsed.words) == len(words)
    for name in words:
        assert Parsed(viz.format_classname(name)).tags == {"td", "b"}
        assert Parsed(viz.format_tooltip(name, name)).tags == {"span"}
        assert Parsed(viz.format_special_tokens(name)).tags == set()


def test_formats() -> None:
    assert Parsed(viz.format_classname("<b>")).text == "<b>"
    assert Parsed(viz.format_classname(3)).text == "3"
    assert viz.format_special_tokens("<pad>") == "#pad"
    assert viz.format_special_tokens("</s>") == "#/s"
    assert viz.format_special_tokens("[CLS]") == "[CLS]"
    assert viz.format_special_tokens("<a") == "&lt;a"
    assert viz.format_special_tokens("<>") == "&lt;&gt;"
    assert "an item" in Parsed(viz.format_tooltip("an item", "a text")).text


@pytest.mark.parametrize("empty", [None, [], np.array([]), torch.tensor([])])
def test_no_importances_are_an_empty_cell(empty: Any) -> None:
    assert viz.format_word_importances(["a"], empty) == "<td></td>"


def test_colours_of_words() -> None:
    html = viz.format_word_importances(list("abcdef"), torch.tensor([1.0, 9.0, -1.0, 0.0, float("nan"), 0.5]))
    assert re.findall(r"hsl\([^)]*\)", html) == [
        "hsl(120, 75%, 50%)",
        "hsl(120, 75%, 50%)",
        "hsl(0, 75%, 60%)",
        "hsl(0, 75%, 100%)",
        "hsl(0, 75%, 100%)",
        "hsl(120, 75%, 75%)",
    ]


def record(**changes: Any) -> viz.VisualizationDataRecord:
    fields = {
        "word_attributions": torch.tensor([0.5, -0.5]),
        "pred_prob": torch.tensor(0.9, requires_grad=True),
        "pred_class": "<i>cat</i>",
        "true_class": 1,
        "attr_class": "dog",
        "attr_score": 1.234,
        "raw_input_ids": ["a", "<script>b</script>"],
        "convergence_score": 0.1,
    }
    return viz.VisualizationDataRecord(**{**fields, **changes})


@pytest.mark.parametrize("legend", [True, False])
def test_the_table_is_displayed_and_returned(legend: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython.display

    shown: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    html = viz.visualize_text([record(), record(attr_score="n/a")], legend=legend)
    assert isinstance(html, IPython.display.HTML)
    assert shown == [html]
    parsed = Parsed(html.data)
    assert parsed.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "b", "mark", "span"}
    assert ("Legend" in parsed.text) is legend
    for expected in ("True Label", "<i>cat</i> (0.90)", "dog", "1.23", "n/a", "<script>b</script>"):
        assert expected in parsed.text
    assert parsed.words == ["a", "<script>b</script>"] * 2


def test_records_hold_what_they_were_given() -> None:
    kept = viz.VisualizationDataRecord([0.1], 0.5, 1, 2, 3, 0.7, ["a"], 0.01)
    assert (kept.pred_prob, kept.pred_class, kept.true_class, kept.attr_class) == (0.5, 1, 2, 3)
    assert (kept.attr_score, kept.raw_input_ids, kept.convergence_score) == (0.7, ["a"], 0.01)


# --- masks ------------------------------------------------------------------------------------------------------


def test_border_of_a_mask() -> None:
    mask = np.zeros((7, 8), bool)
    mask[1:6, 2:7] = True
    expected = mask.copy()
    expected[2:5, 3:6] = False
    _, axes = plt.subplots()
    viz.draw_mask_border(axes, torch.tensor(mask), 1, np.array([0.0, 1.0, 0.0, 0.5]))
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array()[..., 3], expected * 0.5)
    np.testing.assert_array_equal(image.get_array()[expected], [[0, 1, 0, 0.5]] * expected.sum())
    _, axes = plt.subplots()
    viz.draw_mask_border(axes, mask, 0)
    viz.draw_mask_border(axes, np.zeros((7, 8)))
    viz.draw_mask_legend(axes, np.zeros((7, 8)), "nothing")
    assert not axes.images
    assert not axes.texts


def test_a_label_lies_on_its_region() -> None:
    ring = np.zeros((21, 21), bool)
    ring[2:19, 2:19] = True
    ring[5:16, 5:16] = False
    _, axes = plt.subplots()
    viz.draw_mask_legend(axes, ring, "costs $5 or $6")
    (text,) = axes.texts
    x, y = text.get_position()
    assert ring[int(y), int(x)]
    assert text.get_text() == "costs $5 or $6"
    assert not text.get_parse_math()


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((ATTR, IMAGE, "heatmap"), {}, r"method must be one of 'heat_map'.*'heatmap' came"),
        ((ATTR, IMAGE, "heat_map", "both"), {}, r"sign must be one of 'positive'.*'both' came"),
        ((ATTR, IMAGE, "masked_image", "all"), {}, "masked_image cannot show both signs"),
        ((ATTR, IMAGE, "alpha_scaling", "all"), {}, "alpha_scaling cannot show both signs"),
        ((ATTR, None, "masked_image"), {}, "original_image must be given for masked_image"),
        ((None, IMAGE), {}, "attr must be given for heat_map"),
        ((ATTR[:, 0, 0],), {}, r"\(H, W, C\) or \(H, W\), but the shape \(12,\) came"),
        ((ATTR[None],), {}, r"\(1, 12, 10, 3\) came; perhaps attr\[0\] was meant"),
        (
            (torch.zeros(1, 3, 12, 10),),
            {},
            r"\(1, 3, 12, 10\) came; perhaps attr\[0\].permute\(1, 2, 0\) was meant",
        ),
        (
            (ATTR.transpose(2, 0, 1), IMAGE, "blended_heat_map"),
            {},
            r"\(3, 12, 10\) does not fit the image of 12 x 10; perhaps attr.transpose\(1, 2, 0\)",
        ),
        (
            (ATTR[:3, :3], IMAGE, "masked_image"),
            {},
            r"\(3, 3, 3\) does not fit .*LayerAttribution.interpolate",
        ),
        ((ATTR, IMAGE[..., :2], "original_image"), {}, r"1, 3 or 4 channels.*\(12, 10, 2\) came"),
        ((ATTR, IMAGE.transpose(2, 0, 1), "original_image"), {}, r"perhaps original_image.transpose"),
        ((np.zeros((0, 4)),), {}, r"\(0, 4\) came"),
        (("a map",), {}, "attr must be an array of numbers"),
        (([[1.0], [1.0, 2.0]],), {}, "attr must be an array of numbers"),
        ((ATTR,), {"outlier_perc": 101}, "from 0 to 100, but 101 came"),
        ((ATTR,), {"outlier_perc": -1}, "from 0 to 100, but -1 came"),
        ((ATTR,), {"outlier_perc": float("nan")}, "from 0 to 100, but nan came"),
        ((ATTR,), {"outlier_perc": "few"}, "from 0 to 100, but 'few' came"),
    ],
)
def test_refused_images(arguments: Any, options: Any, message: str) -> None:
    before = plt.get_fignums()
    with pytest.raises(InputError, match=message):
        viz.visualize_image_attr(*arguments, **options)
    assert plt.get_fignums() == before, "no figure is left behind"


def test_unknown_names_are_caught_as_with_captum() -> None:
    """Captum raises an AssertionError for a method and a KeyError for a sign; the message is read as it is."""
    for error in (AssertionError, KeyError, ValueError):
        with pytest.raises(error):
            image_attr(ATTR, IMAGE, "nonsense")
        with pytest.raises(error) as caught:
            image_attr(ATTR, IMAGE, "heat_map", "nonsense")
        assert str(caught.value).startswith("sign must")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ["heat_map"], "signs": []}, r"one sign per panel, but \['heat_map'\] and \[\] came"),
        ({"methods": [], "signs": []}, "one sign per panel"),
        ({"titles": ["a", "b"]}, r"one title per method \(1\), but \['a', 'b'\] came"),
        ({"methods": ["nonsense"]}, "'nonsense' came"),
    ],
)
def test_refused_panels(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        viz.visualize_image_attr_multiple(
            ATTR, IMAGE, **{"methods": ["heat_map"], "signs": ["all"], **options}
        )
    with pytest.raises(TypeError, match="plt_fig_axis"):
        viz.visualize_image_attr_multiple(ATTR, IMAGE, ["heat_map"], ["all"], plt_fig_axis=None)
    assert not plt.get_fignums()


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


def test_refused_text_and_masks() -> None:
    with pytest.raises(InputError, match="2 came for 3 words"):
        viz.format_word_importances(["a", "b", "c"], [1.0, 2.0])
    with pytest.raises(InputError, match=r"shape \(L,\), but \(2, 2\) came"):
        viz.format_word_importances(["a", "b"], np.ones((2, 2)))
    with pytest.raises(InputError, match=r"such as \[record\]"):
        viz.visualize_text(record())  # type: ignore[arg-type]
    _, axes = plt.subplots()
    with pytest.raises(InputError, match=r"\(2, 2, 2\) came"):
        viz.draw_mask_border(axes, np.ones((2, 2, 2)))
    with pytest.raises(InputError, match="at least 0, but -1 came"):
        viz.draw_mask_border(axes, np.ones((2, 2)), -1)


# --- the user's pyplot ------------------------------------------------------------------------------------------


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
