"""Slides: what they say, and that they are what their suffix says."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from attriscope import Explorer
from attriscope.core.errors import InputError
from attriscope.widget.export import figure, slide
from attriscope.widget.export.figure import shown
from widget.helpers import Gate, Make, TwoLayers

pytestmark = pytest.mark.filterwarnings("ignore:Glyph")
NAMES = ["a", "$b_{1}$ <i>", "c & d", "مرحبا 🐈", "e" * 400]


def texts(explorer: Explorer) -> list[str]:
    """All that a slide says."""
    words = explorer._exports._words()
    made = slide.slide(shown(explorer), explorer.predictions, words)
    assert not any(text.get_parse_math() for text in made.texts)  # a name is no formula
    return [text.get_text() for text in made.texts]


def test_a_png_is_as_large_as_a_screen(make: Make, tmp_path: Path) -> None:
    explorer = make(target=1, class_names=NAMES).wait()
    explorer.slide(tmp_path / "slide.png")
    picture = Image.open(tmp_path / "slide.png")
    assert picture.size == (1920, 1080)
    assert np.asarray(picture.convert("L")).std() > 20


def test_the_text_of_an_svg_is_text(make: Make, tmp_path: Path) -> None:
    explorer = make(target=1, contrast=3, class_names=NAMES).wait()
    explorer.slide(tmp_path / "slide.SVG")
    root = ET.parse(tmp_path / "slide.SVG").getroot()
    found = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "Why $b_{1}$ <i> rather than مرحبا 🐈, by Integrated gradients" in found
    width, height = (float(root.attrib[name].removesuffix("pt")) for name in ("width", "height"))
    assert width / height == pytest.approx(16 / 9)


@pytest.mark.parametrize("name", ["slide.pdf", "slide", "png"])
def test_another_suffix_is_refused_and_nothing_written(make: Make, tmp_path: Path, name: str) -> None:
    explorer = make(target=1).wait()
    with pytest.raises(InputError, match=rf"ends with .png or .svg, but '.*{name}' came"):
        explorer.slide(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_it_says_what_is_explained_and_how_well(make: Make) -> None:
    explorer = make(target=1, contrast=2, class_names=NAMES).wait()
    found = texts(explorer)
    assert found[0] == "Why $b_{1}$ <i> rather than c & d, by Integrated gradients"
    heat = explorer.heat
    total, gap = heat["sum"], heat["gap"]
    change = total - gap
    honest = " ".join(one for one in found if "add up" in one or "baseline:" in one or "gap" in one)
    assert f"add up to {slide._number(total)}; the output changes by {slide._number(change)}" in honest
    assert f"a gap of {slide._number(abs(gap))}, {abs(gap / change):.1%} of that." in honest
    assert explorer.heat["unit"] in found
    for one in explorer.predictions["items"]:
        assert f"{one['probability']:.1%}" in found
    assert found[-1].startswith(
        "Integrated gradients for $b_{1}$ <i> rather than c & d, baseline zero; TwoLayers of "
    )
    count = sum(p.numel() for p in TwoLayers().parameters())
    assert f"TwoLayers of {count:,} parameters; attriscope" in found[-1]


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"layer": "first"}, "Why class 1, seen at first, by Grad-CAM"),
        ({"layer": "first", "layer_method": "LayerActivation"}, "What first gives, by Activation"),
        ({"layer": "first", "neuron": [2, 3, 4]}, "What drives channel 2 at row 3, column 4 of first, by Gradient"),
        (
            {"layer": "first", "neuron": 2, "neuron_method": "NeuronConductance"},
            "What drives channel 2 of first for class 1, by Conductance",
        ),
        ({"method": "Occlusion"}, "Why class 1, by Occlusion"),
    ],
)  # fmt: skip
def test_the_sentence(make: Make, choices: dict[str, Any], sentence: str) -> None:
    assert texts(make(target=1, **choices).wait())[0] == sentence


def test_on_the_path_it_says_how_far(make: Make) -> None:
    explorer = make(target=1, method="Saliency").wait()
    explorer.alpha = 0.25
    found = texts(explorer)
    assert found[0] == "Why class 1, by Integrated gradients"
    assert any("25% of it: sum so far" in one for one in found)
    assert "accumulated to α = 0.25" in found[-1]


@pytest.mark.parametrize(
    ("heat", "changed", "words"),
    [
        ({"preview": True, "final": True}, False, "not ready"),
        ({"final": False}, False, "not ready"),
        ({"final": True, "gap": 0.1, "sum": 1.0}, True, "weights have changed"),
        ({"final": True, "changed": True}, False, "weights have changed"),
        ({"final": True, "gap": 0.25, "sum": 1.25}, False, "add up to 1.25; the output changes by 1 .* 0.25, 25.0% of"),
        ({"final": True, "gap": -2.0, "sum": -1.0}, False, "by 1 from the baseline: a gap of 2[.]$"),
        ({"final": True, "error": 0.5, "relative_error": 0.2}, False, "at most 0.5 in a pixel, 20% of the map"),
        ({"final": True, "error": 0.5}, False, "at most 0.5 in a pixel[.]"),
        ({"final": True, "error": 0.0}, False, "in full"),
        ({"final": True}, False, "says nothing of its own error"),
    ],
)  # fmt: skip
def test_the_honest_line(heat: Any, changed: bool, words: str) -> None:
    assert re.search(words, slide.honest_line(heat, changed))


def test_without_a_baseline_it_speaks_of_the_output_itself() -> None:
    found = slide.honest_line({"final": True, "gap": -2.0, "sum": -1.0}, False, compares=False)
    assert found == "The attributions add up to \N{MINUS SIGN}1; the output is 1: a gap of 2."


def test_what_is_looked_at_together_is_on_the_slide(make: Make) -> None:
    explorer = make(target=1, method="InputXGradient").wait().pin()
    first = explorer.heat["title"]
    explorer.method = "IntegratedGradients"
    second = explorer.wait().heat["title"]
    found = texts(explorer)
    assert f"{first}, beside {second}".startswith(found[0])
    assert first in found
    assert second in found
    assert "One scale for both maps." in found
    assert "The model says" not in found
    explorer.beside = []
    assert "The model says" in texts(explorer)
    explorer.pin()
    explorer.beside, explorer.compare_as = [1, 2], "difference"
    assert "What one map has more than the other." in texts(explorer)


def test_maps_of_two_quantities_have_scales_of_their_own(make: Make) -> None:
    explorer = make(target=1, method="Saliency").wait().pin()
    alone = figure.shown(explorer)
    assert alone.pinned is None  # the very map on show, which would stand beside itself
    explorer.method = "InputXGradient"
    explorer.wait()
    for beside in ([1], [1, 2]):
        explorer.pin().beside = beside
        view = figure.shown(explorer)
        assert view.scale is not None
        assert view.pinned is not None
        assert view.pinned.scale is not None
        assert alone.scale is not None
        assert view.pinned.scale.limit == alone.scale.limit != view.scale.limit
        assert "Each map has its own scale." in texts(explorer)
    explorer.scale_limit = 0.5  # but one that is held is held for both
    assert "One scale for both maps." in texts(explorer)


def test_scores_may_be_negative_and_missing(explore: Any) -> None:
    class Regression(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.stack([x.mean((1, 2, 3)), -x.sum((1, 2, 3))], 1)

    explorer = explore(Regression(), torch.rand(1, 3, 8, 8), output="values").wait()
    found = texts(explorer)
    values = [slide._number(one["score"]) for one in explorer.predictions["items"]]
    assert values[1].startswith("\N{MINUS SIGN}")
    assert set(values) <= set(found)


def test_without_a_map_there_is_no_slide(model: TwoLayers, image: Any, tmp_path: Path) -> None:
    gate = Gate()
    model.before = gate
    explorer = Explorer(model, image, target=1)
    with pytest.raises(RuntimeError, match="there is no map to make a slide of"):
        explorer.slide(tmp_path / "slide.png")
    gate.open.set()
    explorer.close()
    assert list(tmp_path.iterdir()) == []
