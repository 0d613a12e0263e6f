"""The view as a picture: the same numbers and colours as on the page, and a PNG in saved notebooks."""

from __future__ import annotations

import base64
import io
import time
from typing import Any, ClassVar, get_args

import nbconvert
import nbformat
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from attriscope import Explorer, Overlay
from attriscope.widget.export import colours
from attriscope.widget.export.colours import GROUND, Scale, painted
from attriscope.widget.export.figure import View, block_side, figure, png
from attriscope.widget.messages.types import Mode, Sign
from widget.helpers import Gate, Make, TwoLayers

RAMP = np.array([[-2.0, -1.0, 0.0], [0.5, 1.0, 4.0]])


def scale(sign: str = "all", colormap: str = "auto", outliers: float = 0, held: float | None = None) -> Scale:
    return Scale.of(colours.transformed(RAMP, sign), sign, colormap, outliers, held)


def opened(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


# --- by the rules of the page ---------------------------------------------------------------------------------


def test_the_scale_ends_where_the_page_ends_it() -> None:
    assert scale().limit == 4
    assert scale(outliers=20).limit == np.percentile(np.abs(RAMP), 80) == 2
    assert scale(outliers=20).clipped == 1 / 6
    assert scale("negative").limit == 2
    assert scale("positive", outliers=60).limit == 4  # the percentile is zero: then the largest
    assert scale(held=1.0).limit == 1
    assert scale(held=1.0).clipped == 2 / 6


def test_a_scale_that_next_to_all_of_a_map_lies_beyond_ends_at_the_largest_value() -> None:
    sparse = np.zeros((14, 14))
    sparse[0, :3] = 0.3, -4e-4, 0.01
    assert Scale.of(sparse, "all", "auto", 1, None).limit == 0.3
    assert Scale.of(sparse, "all", "auto", 1, 0.01).limit == 0.01
    even = np.zeros(196)
    even[:20], even[20:40] = 1, 0.5
    assert Scale.of(even, "all", "auto", 15, None).limit == 0.5


def test_colours_of_values() -> None:
    two, one = scale(), scale("absolute")
    assert two.diverging
    assert not one.diverging
    np.testing.assert_array_equal(two.color(np.array([-4.0, 4.0, 99.0])), two.colors[[0, 255, 255]])
    np.testing.assert_array_equal(one.color(np.array([0.0, 4.0])), one.colors[[0, 255]])
    upper = scale("positive", "RdBu_r")  # the upper half of a diverging one
    np.testing.assert_array_equal(upper.color(np.array([0.0])), upper.colors[[128]])


@pytest.mark.parametrize(
    ("opacity", "faint", "strong"), [(0, 0, 0), (0.3, 0, 0.48), (0.6, 0, 0.96), (1, 1, 1)]
)
def test_faint_values_let_the_picture_through(opacity: float, faint: float, strong: float) -> None:
    np.testing.assert_allclose(scale().opacity(np.array([0.0, 4.0]), opacity), [faint, strong])


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("sign", get_args(Sign))
def test_modes(mode: str, sign: str) -> None:
    picture = np.full((2, 3, 3), 0.25)
    drawn, of = colours.transformed(RAMP, sign), scale(sign)
    found = painted(picture, drawn, of, mode, 1.0)
    assert found.shape == (2, 6 if mode == "side" else 3, 3)
    assert (found >= 0).all()
    assert (found <= 1).all()
    if mode == "masked":
        np.testing.assert_allclose(found[0, 2], GROUND)  # nothing is attributed there
        strongest = np.unravel_index(np.abs(drawn).argmax(), drawn.shape)
        np.testing.assert_allclose(found[strongest], 0.25)
    if mode == "side":
        np.testing.assert_array_equal(found[:, :3], picture)
    if mode in ("heat", "blended"):
        np.testing.assert_allclose(found, of.color(drawn))


def test_a_map_of_zeros_draws_nothing() -> None:
    picture = np.full((2, 3, 3), 0.25)
    of = Scale.of(np.zeros((2, 3)), "all", "auto", 1, None)
    np.testing.assert_array_equal(painted(picture, np.zeros((2, 3)), of, "blended", 1.0), picture)


def test_a_smaller_map_is_scaled_up_smoothly() -> None:
    found = colours.resized(np.array([[0.0, 1.0]]), (4, 8))
    assert found.shape == (4, 8)
    np.testing.assert_array_equal(found[0], np.clip((np.arange(8) + 0.5) / 4 - 0.5, 0, 1))


def test_frames_between_two_positions() -> None:
    path = {
        "alphas": [0.0, 0.5, 0.5, 1.0],
        "shape": [1, 1],
        "scale": 2.0,
        "maps": np.int8([0, 127, 127, -127]).tobytes(),
    }
    for alpha, value in ((0, 0), (0.25, 1), (0.5, 2), (0.75, 0), (1, -2)):
        assert colours.frame(path, alpha).item() == pytest.approx(value)


def test_a_map_is_summed_over_blocks_as_on_the_page() -> None:
    values = np.arange(15.0).reshape(3, 5)
    values[0, 0] = np.nan
    values[2, 4] = np.nan
    drawn, blocks = colours.summed(
        values, 4, 4.0
    )  # a number stands for 2 x 2 pixels: blocks of 2 x 2 numbers
    wanted = [4 * (1 + 5 + 6), 4 * (2 + 3 + 7 + 8), 4 * (4 + 9), 4 * (10 + 11), 4 * (12 + 13), np.nan]
    np.testing.assert_array_equal(blocks, wanted)
    np.testing.assert_array_equal(drawn[:2, :2], np.full((2, 2), wanted[0]))
    np.testing.assert_array_equal(drawn[:, 4], [wanted[2], wanted[2], np.nan])
    for side, pixels in ((1, 1.0), (2, 4.0), (2, 9.0)):
        assert all(found is values for found in colours.summed(values, side, pixels))


@pytest.mark.parametrize(("shorter", "side"), [(8, 1), (64, 1), (65, 4), (224, 16), (300, 24), (1024, 64)])
def test_blocks_are_as_large_as_on_the_page(shorter: int, side: int) -> None:
    class Shown:
        picture: ClassVar[dict[str, list[int]]] = {"shape": [shorter + 3, shorter]}
        detail: int | None = None

    assert block_side(Shown()) == side
    Shown.detail = 5
    assert block_side(Shown()) == 5


def test_a_figure_is_drawn_in_the_blocks_that_are_chosen(make: Make) -> None:
    explorer = make(target=1, detail=4).wait()
    view = View.of(explorer)
    values = colours.values(explorer.heat)
    blocks = values.reshape(2, 4, 2, 4).sum((1, 3))
    np.testing.assert_allclose(view.drawn, blocks.repeat(4, 0).repeat(4, 1), atol=1e-6)
    assert view.scale.limit == pytest.approx(np.percentile(np.abs(blocks), 99))
    assert view.unit == explorer.heat["unit"]
    explorer.layer = "first"  # Grad-CAM, whose numbers cannot be added up
    np.testing.assert_array_equal(View.of(explorer.wait()).drawn, colours.values(explorer.heat))


# --- figures --------------------------------------------------------------------------------------------------


def test_figure_says_what_it_shows(make: Make) -> None:
    explorer = make(target=1, class_names=["a", "$b_{1}$ <i>", "c", "d", "e"]).wait()
    made = explorer.figure()
    texts = [text.get_text() for text in made.texts]
    assert texts[0] == "Integrated gradients for $b_{1}$ <i>, baseline zero"
    assert not made.texts[0].get_parse_math()  # a name is no formula
    assert f"sum {explorer.heat['sum']:.3g}" in texts[-1]
    assert "gap" in texts[-1]
    assert "1.6% of the values lie beyond the scale" in texts[-1]
    assert opened(explorer.snapshot()).shape[2] == 3


@pytest.mark.parametrize("name", ["x" * 10_000, "ü 🐈 مرحبا", "\n\t\0", "\\$\\frac{1}"])
def test_any_name_can_be_drawn(make: Make, name: str, recwarn: pytest.WarningsRecorder) -> None:
    explorer = make(target=0, method="Saliency", class_names=[name] * 5).wait()
    assert len(explorer.snapshot()) > 1000
    assert not [w for w in recwarn if "lyph" in str(w.message)]


def test_figure_follows_the_style(make: Make) -> None:
    explorer = make(target=1).wait()
    seen = {explorer.snapshot()}
    for name, value in (("mode", "masked"), ("sign", "negative"), ("mode", "heat"), ("colormap", "viridis")):
        setattr(explorer, name, value)
        seen.add(explorer.snapshot())
    explorer.outlier_percent = 40
    seen.add(explorer.snapshot())
    explorer.scale_limit = 3.0
    seen.add(explorer.snapshot())
    assert len(seen) == 7
    assert View.of(explorer).scale.limit == 3


def test_figure_follows_the_path(make: Make) -> None:
    explorer = make(target=1).wait()
    explorer.alpha = 0.0
    view = View.of(explorer)
    assert view.title.endswith("accumulated to α = 0.00")
    assert not view.drawn.any()
    start = np.frombuffer(explorer.baseline_picture["data"], np.uint8).reshape(8, 8, 3) / 255
    np.testing.assert_allclose(view.picture, start)
    explorer.alpha = 0.999
    final = colours.values(explorer.heat)
    np.testing.assert_allclose(View.of(explorer).drawn, final, atol=0.02 * np.abs(final).max())


def test_an_overlay_can_be_drawn_too() -> None:
    overlay = Overlay(
        np.zeros((4, 30, 3), np.uint8), torch.arange(120.0).reshape(4, 30), title="mine", mode="side"
    )
    drawn = figure(View.of(overlay))
    # Two pictures of 4 inches, a bar of colours, a line above and one below, and margins.
    assert tuple(drawn.get_size_inches()) == pytest.approx(
        (8 + 1.05 + 2 * 0.12, 4 * 4 / 30 + 2 * (0.19 + 0.12))
    )
    assert opened(png(drawn)).shape[1] > 200


# --- in saved notebooks ---------------------------------------------------------------------------------------


def notebook(bundle: dict[str, Any]) -> Any:
    """A notebook saved without the widgets' state."""
    output = nbformat.v4.new_output("display_data", data=bundle)
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("explorer", outputs=[output])])


def test_a_saved_notebook_shows_the_map_without_widgets(make: Make, image: Tensor) -> None:
    explorer = make(target=1).wait()
    data, _ = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert opened(base64.b64decode(data["image/png"])).std() > 5
    assert data["text/plain"] == repr(explorer)
    html, _ = nbconvert.HTMLExporter(template_name="basic").from_notebook_node(notebook(data))
    assert f"data:image/png;base64,{data['image/png'][:100]}" in html.replace("\n", "")
    markdown, resources = nbconvert.MarkdownExporter().from_notebook_node(notebook(data))
    assert "![png](" in markdown
    assert any(name.endswith(".png") for name in resources["outputs"])


def test_the_saved_picture_is_small() -> None:
    image = torch.rand(1, 3, 224, 224)
    explorer = Explorer(TwoLayers().eval(), image, target=1, method="Saliency").wait()
    data, _ = explorer._repr_mimebundle_()
    assert len(data["image/png"]) < 300_000  # noise is the worst there is
    explorer.close()


def test_a_host_without_a_kernel_does_not_wait_long_for_a_slow_model(model: TwoLayers, image: Tensor) -> None:
    gate = Gate()
    model.before = gate
    explorer = Explorer(model, image, target=1)
    began = time.monotonic()
    data, _ = explorer._repr_mimebundle_()
    assert time.monotonic() - began < 5
    assert data["image/png"]  # the picture, without a map
    gate.open.set()
    explorer.close()


def test_a_cell_does_not_wait_for_a_model_that_raises(model: TwoLayers, image: Tensor) -> None:
    def refuse(x: Tensor) -> None:
        raise ValueError("no")

    model.before = refuse
    explorer = Explorer(model, image, target=1)
    with pytest.raises(ValueError, match="no"):
        explorer.wait()
    began = time.monotonic()
    assert explorer._repr_mimebundle_()[0]["image/png"]
    assert time.monotonic() - began < 1.4
    explorer.close()
