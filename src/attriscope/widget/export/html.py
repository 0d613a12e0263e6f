"""One file that holds a widget as it is, to open anywhere without kernel and network.

It holds the page bundle and all traits; ``page.html`` stands around them.
"""

from __future__ import annotations

import base64
import html
import json
import os
import pathlib
import re
from typing import Any

from attriscope.widget.export import figure
from attriscope.widget.state.part import LOCK, Part

_TEMPLATE = pathlib.Path(__file__).parent / "page.html"

# What belongs to the notebook that the widget is in.
_HOSTS_OWN = {"layout", "tabbable", "tooltip"}


def write(widget: Part, path: str | os.PathLike[str]) -> None:
    """Write the widget to an HTML file."""
    pathlib.Path(path).write_bytes(encoded(widget))


def encoded(widget: Part) -> bytes:
    """The file's bytes."""
    return page(widget).encode("utf-8", errors="replace")


def page(widget: Part) -> str:
    """The file's text."""
    with LOCK:
        state, view = widget.get_state(), figure.View.of(widget)
    picture = base64.b64encode(figure.png(figure.figure(view))).decode("ascii")
    kept = {
        name: value
        for name, value in state.items()
        if name not in _HOSTS_OWN and (not name.startswith("_") or name == "_part")
    }
    # There is nobody to finish what is running.
    unfinished = kept.get("status") == "running"
    kept |= {
        "_live": False,
        **({"status": "cancelled", "message": "Saved before it was ready"} if unfinished else {}),
    }
    buffers: list[tuple[list[Any], str]] = []
    saved = {
        "state": _split(kept, [], buffers),
        "buffers": buffers,
        "module": str(widget._esm),
        "css": str(widget._css),
    }
    parts = {
        "TITLE": html.escape(view.title or "attriscope"),
        "PNG": picture,
        "SAVED": as_script(saved),
    }
    text = _TEMPLATE.read_text(encoding="utf-8")
    # In one go, so that nothing in a label is taken for a place to fill.
    return re.sub(r"@([A-Z]+)@", lambda place: parts[place[1]], text)


def as_script(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it can end the element or be taken for markup."""
    text = json.dumps(value, allow_nan=False)  # only ASCII: half a surrogate pair could not be written
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _split(value: Any, path: list[Any], buffers: list[tuple[list[Any], str]]) -> Any:
    """The value without its bytes, which are noted with the path to their place."""
    if isinstance(value, bytes | bytearray | memoryview):
        buffers.append((path, base64.b64encode(value).decode("ascii")))
        return None
    if isinstance(value, dict):
        return {name: _split(one, [*path, name], buffers) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_split(one, [*path, i], buffers) for i, one in enumerate(value)]
    return value
