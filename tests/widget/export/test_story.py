"""Several views with words between them, as one file."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attriscope import Explorer, Overlay, Story
from attriscope.core.errors import InputError
from widget.export.test_html import Reader, binaries
from widget.helpers import Make, TwoLayers


def written(story: Story, tmp_path: Path) -> tuple[str, Reader, dict[str, Any]]:
    path = tmp_path / "story.html"
    story.to_html(path)
    text = path.read_text(encoding="utf-8")
    reader = Reader(text)
    return text, reader, json.loads(reader.scripts[0][1])


def test_each_part_is_as_it_was_when_it_was_added(make: Make, tmp_path: Path) -> None:
    explorer = make(target=1)
    story = Story("Why?").add(explorer, "First.")  # waits for the map
    first = explorer.heat["data"]
    explorer.layer, explorer.sign = "first", "positive"
    story.add(explorer, "Second.", title="A layer")
    explorer.sign = "negative"
    assert len(story) == 2
    _, reader, saved = written(story, tmp_path)
    assert reader.title == "Why?"
    states = [view["state"] for view in saved["views"]]
    assert [state["layer"] for state in states] == [None, "first"]
    assert [state["sign"] for state in states] == ["all", "positive"]
    assert all(state["_live"] is False for state in states)
    assert binaries(saved, 0)["heat", "data"] == first
    assert binaries(saved, 1)["heat", "data"] == explorer.heat["data"] != first


def test_what_views_share_is_in_the_file_once(make: Make, tmp_path: Path) -> None:
    explorer = make(target=1).wait()
    text, _, one = written(Story("One").add(explorer), tmp_path)
    again, _, two = written(Story("Two").add(explorer).add(explorer), tmp_path)
    assert len(one["pool"]) == len(set(one["pool"])) == len(two["pool"])
    assert again.count("import(url)") == 1
    assert str(explorer._esm) == two["module"]
    assert binaries(two, 0) == binaries(two, 1) == binaries(one, 0)
    assert len(again) < 1.8 * len(text)


def test_words_are_data(make: Make, tmp_path: Path) -> None:
    words = 'One <b>line</b>\nand on. @TITLE@ &amp;\n \n  \nمرحبا "two"\n\n<script>alert(1)</script>'
    story = Story("<i>T</i> @SAVED@", words).add(make(target=1), words, title="</section><h2>")
    text, reader, _ = written(story, tmp_path)
    assert [about.get("type") for about, _ in reader.scripts] == ["application/json", "module"]
    assert reader.title == "<i>T</i> @SAVED@"
    for paragraph in (
        "One &lt;b&gt;line&lt;/b&gt; and on. @TITLE@ &amp;amp;",
        "مرحبا &quot;two&quot;",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
    ):
        assert text.count(f'<p dir="auto">{paragraph}</p>') == 2
    assert text.count("<h2") == 1
    assert '<h2 dir="auto">&lt;/section&gt;&lt;h2&gt;</h2>' in text
    assert all(link.startswith("data:image/png;base64,") for link in reader.links)


def test_figures_overlays_and_words_alone(make: Make, tmp_path: Path) -> None:
    explorer = make(target=1).wait()
    overlay = Overlay(np.zeros((4, 4, 3), np.uint8), torch.rand(4, 4))
    story = (
        Story("T").add(None, "Words alone.").add(explorer.figure(), title="Paper").add(overlay).add(explorer)
    )
    text, reader, saved = written(story, tmp_path)
    assert [view["state"]["_part"] for view in saved["views"]] == ["overlay", "explorer"]
    assert [f'id="view-{i}"' in text for i in range(3)] == [True, True, False]
    pictures = [base64.b64decode(link.partition(",")[2]) for link in reader.links]
    assert len(pictures) == 3  # the figure, and two for pages without scripts
    assert all(data.startswith(b"\x89PNG") for data in pictures)


def test_it_says_how_large_it_is(make: Make, tmp_path: Path) -> None:
    text, _, _ = written(Story("T").add(make(target=1)), tmp_path)
    size = (tmp_path / "story.html").stat().st_size
    assert f"This file ({size / 1e6:.1f} MB) needs neither network nor kernel" in text


@pytest.mark.parametrize("given", ["words", 3, torch.rand(3)])
def test_what_cannot_be_shown_is_refused(given: Any) -> None:
    story = Story("T")
    with pytest.raises(
        TypeError, match="a story shows an Explorer, one of its parts or a matplotlib figure, but"
    ):
        story.add(given)
    assert len(story) == 0


def test_words_must_be_text_and_parts_hold_something(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="title must be a text, but None came"):
        Story(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="words must be a text, but 3 came"):
        Story("T").add(None, 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="none of these came"):
        Story("T").add(None, " \n")
    with pytest.raises(InputError, match="there is nothing in the story"):
        Story("T").to_html(tmp_path / "no.html")
    assert list(tmp_path.iterdir()) == []


def test_an_explorer_that_failed_is_not_added(model: TwoLayers, image: Tensor) -> None:
    def refuse(x: Tensor) -> None:
        raise ValueError("no")

    model.before = refuse
    explorer = Explorer(model, image, target=1)
    story = Story("T")
    with pytest.raises(ValueError, match="no"):
        story.add(explorer, "Words.")
    assert len(story) == 0
    explorer.close()
