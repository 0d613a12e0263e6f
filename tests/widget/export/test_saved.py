"""What notebooks keep of an Explorer: a picture beside the widget, and a page where nobody watches."""

from __future__ import annotations

import base64
import html
import io
import re
import time
from typing import Any

import nbconvert
import nbformat
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image
from torch import Tensor

from attriscope import Explorer
from attriscope.widget.export import saved
from attriscope.widget.export.saved import mark_of, saved_png
from widget.helpers import Gate, Make, TwoLayers


class Publisher:
    """What a cell's outputs are made of, as IPython's is asked."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Any]] = []
        self.updates = 0

    def publish(
        self, data: Any, metadata: Any = None, *, transient: Any = None, update: bool = False
    ) -> None:
        name = (transient or {}).get("display_id")
        if not update:
            self.outputs.append({"data": data, "id": name})
            return
        self.updates += 1
        for output in self.outputs:
            if output["id"] == name:
                output["data"] = data


class Kernel:
    def __init__(self, allow_stdin: bool) -> None:
        self.request = {"content": {"allow_stdin": allow_stdin}}

    def get_parent(self, channel: str) -> Any:
        assert channel == "shell"
        return self.request


class Shell:
    def __init__(self, watched: bool = True) -> None:
        self.display_pub, self.kernel, self.user_ns = Publisher(), Kernel(watched), {}


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    made = Shell()
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: made)
    monkeypatch.setattr(saved, "_REST", 0.05)
    return made


def until(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def opened(data: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), dtype=float)


def test_the_final_picture_takes_the_place_of_none(model: TwoLayers, image: Tensor, shell: Shell) -> None:
    gate = Gate()
    model.before = gate
    explorer = Explorer(model, image, target=1)
    began = time.monotonic()
    explorer._ipython_display_()
    assert time.monotonic() - began < 1  # nobody waits
    widget, picture = shell.display_pub.outputs
    assert set(widget["data"]) == {"application/vnd.jupyter.widget-view+json", "text/plain"}
    assert picture["data"] == {"text/plain": ""}
    gate.open.set()
    explorer.wait()
    until(lambda: "image/png" in picture["data"])
    final = base64.b64encode(saved_png(explorer) or b"").decode()
    until(lambda: picture["data"] == {"image/png": final})
    explorer.close()


def test_the_picture_follows_what_a_person_does(make: Make, shell: Shell) -> None:
    explorer = make(target=1).wait()
    explorer._ipython_display_()
    explorer._ipython_display_()  # in two cells: both show the same
    first, second = (output for output in shell.display_pub.outputs if output["id"])
    until(lambda: "image/png" in first["data"])
    before = first["data"]
    explorer.sign = "negative"
    until(lambda: first["data"] != before)
    assert second["data"] == first["data"]
    explorer.method = "Saliency"
    explorer.wait()
    final = base64.b64encode(saved_png(explorer) or b"").decode()
    until(lambda: second["data"] == {"image/png": final})
    updates = shell.display_pub.updates
    explorer.tab = "trust"  # which is not in it
    time.sleep(0.2)
    assert shell.display_pub.updates == updates
    explorer.close()
    explorer.opacity = 0.1
    time.sleep(0.2)
    assert shell.display_pub.updates == updates


def test_the_page_knows_the_picture_by_its_first_letters(make: Make) -> None:
    first, second = make(target=1).wait(), make(target=1).wait()
    marks = [one._saved_picture for one in (first, second)]
    assert marks == [mark_of(one.model_id) for one in (first, second)]
    assert marks[0] != marks[1]
    for one, mark in zip((first, second), marks, strict=True):
        data = saved_png(one)
        assert data is not None
        text = base64.b64encode(data).decode()
        assert text.index(mark) == 44  # behind the signature and the header
        picture: Any = Image.open(io.BytesIO(data))
        assert picture.text == {"attriscope": one.model_id}
        picture.load()  # checks the sums of all chunks
        assert all(other == mark or other not in text for other in marks)


def test_where_nobody_watches_the_cell_waits_for_the_end(
    model: TwoLayers, image: Tensor, shell: Shell
) -> None:
    shell.kernel = Kernel(allow_stdin=False)
    explorer = Explorer(model, image, target=1, class_names=["a", "</iframe>\"'&lt;", "c", "d", "e"])
    explorer._ipython_display_()
    assert explorer.status == "idle"
    _, output = shell.display_pub.outputs
    data = output["data"]
    assert data["image/png"] == base64.b64encode(saved_png(explorer) or b"").decode()
    assert (
        f'src="data:image/png;base64,{data["image/png"]}"' in data["text/html"]
    )  # what is left without frames
    (page,) = re.findall(r'srcdoc="([^"]*)"', data["text/html"])
    assert html.unescape(page).startswith("<!doctype html>")
    assert "</iframe>" not in page
    assert shell.display_pub.updates == 0
    explorer.close()


def test_a_page_that_is_too_large_is_left_out(
    make: Make, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved, "_PAGE_LETTERS", 100_000)
    shell.kernel = Kernel(allow_stdin=False)
    explorer = make(target=1)
    explorer._ipython_display_()
    assert set(shell.display_pub.outputs[1]["data"]) == {"image/png"}


def test_elsewhere_it_is_one_output(make: Make, shell: Shell) -> None:
    shell.user_ns["__vsc_ipynb_file__"] = "test.ipynb"
    explorer = make(target=1)
    with pytest.raises(NotImplementedError):
        explorer._ipython_display_()
    data, _ = InteractiveShell.instance().display_formatter.format(explorer)
    assert {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"} <= set(data)
    assert opened(data["image/png"]).std() > 5
    assert shell.display_pub.outputs == []


def notebook(outputs: list[dict[str, Any]]) -> Any:
    """A notebook saved without the widgets' state."""
    made = [nbformat.v4.new_output("display_data", data=output["data"]) for output in outputs]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("explorer", outputs=made)])


def test_a_converted_notebook_shows_the_picture_once(make: Make, shell: Shell) -> None:
    explorer = make(target=1).wait()
    explorer._ipython_display_()
    outputs = shell.display_pub.outputs
    until(lambda: "image/png" in outputs[1]["data"])
    saved_as = notebook(outputs)
    page, _ = nbconvert.HTMLExporter(template_name="basic").from_notebook_node(saved_as)
    assert page.count("data:image/png;base64,") == 1
    markdown, resources = nbconvert.MarkdownExporter().from_notebook_node(saved_as)
    assert markdown.count("![png](") == 1
    assert [name for name in resources["outputs"] if name.endswith(".png")]


def test_a_model_that_raises_keeps_nobody_waiting(model: TwoLayers, image: Tensor, shell: Shell) -> None:
    def refuse(x: Tensor) -> None:
        raise ValueError("no")

    model.before = refuse
    shell.kernel = Kernel(allow_stdin=False)
    explorer = Explorer(model, image, target=1)
    began = time.monotonic()
    explorer._ipython_display_()
    assert time.monotonic() - began < 20
    assert "image/png" in shell.display_pub.outputs[1]["data"]  # the picture, without a map
    explorer.close()
