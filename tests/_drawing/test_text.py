"""Attributions of words, and masks of regions."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from attriscope.attr import visualization as viz
from attriscope.core.errors import InputError

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
