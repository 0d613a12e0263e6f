"""One file that holds a widget as it is, to open anywhere without kernel and network.

It holds the page bundle and all traits; ``page.html`` stands around them. Several views with words between them are a
:class:`~attriscope.widget.export.story.Story`.
"""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from attriscope.widget.export import figure
from attriscope.widget.state.part import LOCK, Part

_TEMPLATE = pathlib.Path(__file__).parent / "page.html"

# What belongs to the notebook that the widget is in.
_HOSTS_OWN = {"layout", "tabbable", "tooltip"}


@dataclasses.dataclass(frozen=True)
class SavedView:
    """A widget as it was.

    Attributes:
        state: its traits, without what is binary.
        buffers: that, with the path to its place.
        title: of what it shows.
        png: the same as a picture, for pages without scripts; ``None`` for what is no picture.
    """

    state: dict[str, Any]
    buffers: Sequence[tuple[list[Any], bytes]]
    title: str
    png: bytes | None


def write(widget: Part, path: str | os.PathLike[str]) -> None:
    """Write the widget to an HTML file."""
    pathlib.Path(path).write_bytes(encoded(widget))


def encoded(widget: Part) -> bytes:
    """The file's bytes."""
    return page(widget).encode("utf-8", errors="replace")


def page(widget: Part) -> str:
    """The file's text."""
    view = saved_view(widget)
    hint = "<p>This page is interactive with JavaScript. Without it, this is what it shows:</p>\n"
    body = f"<noscript>\n{hint}{picture_of(view)}\n</noscript>\n<main>{place_of(0)}</main>"
    return filled(view.title or "attriscope", body, [view])


def saved_view(widget: Part) -> SavedView:
    """The widget as it is now."""
    with LOCK:
        state = widget.get_state()
        of: Any = figure.shown if state.get("table") else figure.View.of
        view = of(widget) if "picture" in state else None
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
    buffers: list[tuple[list[Any], bytes]] = []
    png = None if view is None else figure.small_png(view)
    return SavedView(_split(kept, [], buffers), buffers, "" if view is None else view.title, png)


def picture_of(view: SavedView) -> str:
    """An image element."""
    if view.png is None:
        return ""
    data = base64.b64encode(view.png).decode("ascii")
    return f'<img alt="{html.escape(view.title)}" src="data:image/png;base64,{data}">'


def place_of(index: int) -> str:
    """Where one of the views is drawn."""
    return f'<div id="view-{index}"></div>'


def filled(title: str, body: str, views: Sequence[SavedView], style: str = "") -> str:
    """A page with some views; each has its place in the body."""
    pool: dict[bytes, int] = {}
    drawn = [
        {
            "state": view.state,
            "buffers": [(path, pool.setdefault(data, len(pool))) for path, data in view.buffers],
        }
        for view in views
    ]
    saved = {
        "views": drawn,
        "pool": [base64.b64encode(data).decode("ascii") for data in pool],
        "module": str(Part._esm),
        "css": str(Part._css),
    }
    parts = {"TITLE": html.escape(title), "STYLE": style, "BODY": body, "SAVED": as_script(saved)}
    text = _TEMPLATE.read_text(encoding="utf-8")
    # In one go, so that nothing in a label is taken for a place to fill.
    return re.sub(r"@([A-Z]+)@", lambda place: parts[place[1]], text)


def as_script(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it can end the element or be taken for markup."""
    text = json.dumps(value, allow_nan=False)  # only ASCII: half a surrogate pair could not be written
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _split(value: Any, path: list[Any], buffers: list[tuple[list[Any], bytes]]) -> Any:
    """The value without its bytes, which are noted with the path to their place."""
    if isinstance(value, bytes | bytearray | memoryview):
        buffers.append((path, bytes(value)))
        return None
    if isinstance(value, dict):
        return {name: _split(one, [*path, name], buffers) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_split(one, [*path, i], buffers) for i, one in enumerate(value)]
    return value
