"""Maps over images, alone and in several panels."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap

from attriscope.attr import visualization as viz
from attriscope.core.errors import InputError
from figures import (
    ATTR,
    IMAGE,
    IMAGE_METHODS,
    RNG,
    bar_of,
    drawn,
    image_attr,
)


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
