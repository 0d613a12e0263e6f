"""Files for the browser: the page asks, the kernel answers with bytes, and nothing is written to a disk."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from attriscope import Explorer
from attriscope.widget.export import html
from widget.helpers import Gate, Make, TwoLayers


class Heard:
    """What the page hears after it has asked."""

    def __init__(self, explorer: Explorer) -> None:
        self.answers: list[tuple[dict[str, Any], list[bytes]]] = []
        self._came = threading.Semaphore(0)
        self._explorer = explorer
        explorer.send = self._send

    def _send(self, content: Any, buffers: Any = None) -> None:
        self.answers.append((content, list(buffers or [])))
        self._came.release()

    def ask(self, **message: Any) -> tuple[dict[str, Any], list[bytes]]:
        data = {"method": "custom", "content": {"type": "export", **message}}
        self._explorer._handle_msg({"content": {"data": data}, "buffers": []})
        assert self._came.acquire(timeout=30)
        return self.answers[-1]


def test_a_figure_and_a_slide(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    heard = Heard(make(target=1, class_names=["a", "tiger cat / مرحبا", "c", "d", "e"]).wait())
    answer, (data,) = heard.ask(what="figure", request="one")
    name = "integrated-gradients-for-tiger-cat-مرحبا-baseline-zero"
    assert answer == {"type": "exported", "request": "one", "name": f"{name}.png"}
    assert min(Image.open(io.BytesIO(data)).size) > 900
    answer, (data,) = heard.ask(what="slide", request="two")
    assert answer == {"type": "exported", "request": "two", "name": f"{name}-slide.png"}
    assert Image.open(io.BytesIO(data)).size == (1920, 1080)
    assert list(tmp_path.iterdir()) == []


def test_a_page(make: Make) -> None:
    explorer = make(target=1).wait()
    answer, (data,) = Heard(explorer).ask(what="html", request="x")
    assert answer["name"] == "integrated-gradients-for-class-1-baseline-zero.html"
    assert data == html.encoded(explorer)


def test_before_there_is_a_map_the_page_is_told_why(model: TwoLayers, image: Any) -> None:
    gate = Gate()
    model.before = gate
    explorer = Explorer(model, image, target=1)
    heard = Heard(explorer)
    answer, buffers = heard.ask(what="slide", request="x")
    assert buffers == []
    assert set(answer) == {"type", "request", "reason"}
    assert "there is no map" in answer["reason"]
    assert heard.ask(what="figure", request="y")[0]["name"] == "explorer.png"  # the picture is there
    gate.open.set()
    explorer.close()


@pytest.mark.parametrize("what", ["pdf", None, 3, ["figure"]])
def test_what_there_is_not_is_refused(make: Make, what: Any) -> None:
    answer, buffers = Heard(make(target=1).wait()).ask(what=what, request="x")
    assert buffers == []
    assert answer["reason"] == f"there is a figure, slide, html to be had, but the page asked for {what!r}"


def test_other_messages_are_none_of_its_business(make: Make) -> None:
    explorer = make(target=1).wait()
    heard = Heard(explorer)
    for content in ({"type": "pin"}, {"type": 3}, "export", None, ["export"]):
        data = {"method": "custom", "content": content}
        explorer._handle_msg({"content": {"data": data}, "buffers": []})
    explorer.wait()
    heard.ask(what="html", request="x")
    assert len(heard.answers) == 1
