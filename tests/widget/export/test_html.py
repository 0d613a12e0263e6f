"""One file to send to somebody without a kernel."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attriscope import Explorer
from attriscope.widget.export.html import as_script
from widget.helpers import Gate, Make, TwoLayers

NAMES = [
    "plain",
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "@TITLE@ & \"'\u2028\ud800",
    "🐈 مرحبا",
]


class Reader(HTMLParser):
    """What a browser makes of a file: its scripts, title and the addresses that it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, Any], str]] = []
        self.links: list[str] = []
        self.title = ""
        self._in = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        found = dict(attrs)
        self.links += [found[name] for name in ("src", "href", "data", "action") if name in found]
        self._in = tag
        if tag == "script":
            self.scripts.append((found, ""))

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            about, text = self.scripts[-1]
            self.scripts[-1] = (about, text + data)
        if self._in == "title":
            self.title += data


def binaries(saved: dict[str, Any], view: int = 0) -> dict[tuple[Any, ...], bytes]:
    """What is binary in one of the views of a file, by its path."""
    pool = [base64.b64decode(text) for text in saved["pool"]]
    return {tuple(path): pool[index] for path, index in saved["views"][view]["buffers"]}


def written(explorer: Explorer, tmp_path: Path) -> tuple[Reader, dict[str, Any]]:
    path = tmp_path / "view.html"
    explorer.to_html(path)
    reader = Reader(path.read_text(encoding="utf-8"))
    return reader, json.loads(reader.scripts[0][1])


def test_the_file_holds_the_view(make: Make, tmp_path: Path) -> None:
    explorer = make(target=1, class_names=NAMES, opacity=0.4).wait()
    reader, saved = written(explorer, tmp_path)
    (view,) = saved["views"]
    state = view["state"]
    assert state["_live"] is False
    assert explorer._live is True
    assert (state["target"], state["opacity"], state["_part"]) == (1, 0.4, "explorer")
    assert {item["label"] for item in state["predictions"]["items"]} == set(NAMES)
    assert reader.title == f"Integrated gradients for {NAMES[1]}, baseline zero"
    buffers = binaries(saved)
    assert buffers["heat", "data"] == explorer.heat["data"]
    assert buffers["path", "maps"] == explorer.path["maps"]
    assert buffers["luts", "RdBu_r", "data"] == explorer.luts["RdBu_r"]["data"]
    assert saved["module"] == str(explorer._esm)
    assert saved["css"] == str(explorer._css)
    assert "_esm" not in state
    assert "layout" not in state


def test_nothing_in_a_name_is_markup_and_nothing_is_loaded(make: Make, tmp_path: Path) -> None:
    reader, _ = written(make(target=1, class_names=NAMES).wait(), tmp_path)
    assert [about.get("type") for about, _ in reader.scripts] == ["application/json", "module"]
    assert "alert" not in reader.scripts[1][1]
    assert all(link.startswith("data:image/png;base64,") for link in reader.links)
    assert "http" not in re.sub(r"http-equiv|http://www\.w3\.org/\S+", "", reader.scripts[1][1])


def test_what_was_not_ready_is_not_shown_as_running(model: TwoLayers, make: Make, tmp_path: Path) -> None:
    explorer = make(target=1).wait()
    gate = Gate()
    model.before = gate
    explorer.target = 2
    assert gate.reached.wait(20)
    _, saved = written(explorer, tmp_path)
    assert saved["views"][0]["state"]["status"] == "cancelled"
    assert explorer.status == "running"
    gate.open.set()
    explorer.wait()


def test_a_batch_goes_into_the_file(model: TwoLayers, tmp_path: Path) -> None:
    import torch

    explorer = Explorer(model, torch.rand(2, 3, 8, 8), target=0, method="Saliency").wait()
    _, saved = written(explorer, tmp_path)
    buffers = binaries(saved)
    assert buffers["examples", 1, "picture", "data"] == explorer.examples[1]["picture"]["data"]
    explorer.close()


@given(
    st.recursive(st.text() | st.integers() | st.booleans(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_any_text_survives_a_script_element(value: Any) -> None:
    text = as_script(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not re.search("[<>&]", text)


def test_numbers_that_json_does_not_know_are_an_error() -> None:
    with pytest.raises(ValueError, match="JSON"):
        as_script(float("nan"))
