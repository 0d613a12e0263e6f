"""The scale of a map, its colour bar, and maps with nothing to draw."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from figures import (
    ATTR,
    IMAGE,
    IMAGE_METHODS,
    SIGNS,
    bar_of,
    drawn,
    image_attr,
    notes,
    ticks,
)

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
