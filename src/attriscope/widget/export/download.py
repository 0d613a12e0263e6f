"""Files that the page asks for and hands to the browser: nothing is written to the kernel's disk.

The page half is ``js/src/controls/export.ts``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from attriscope.core.inputs import describe
from attriscope.widget.export import figure, html, slide
from attriscope.widget.messages import wire
from attriscope.widget.messages.types import Exported, ExportKind

if TYPE_CHECKING:
    from attriscope.widget.export.slide import Words

# Dots per inch of a figure for print.
_DPI = 240
# The longest name of a file, without its suffix.
_NAME = 60

KINDS = get_args(ExportKind)


def answering(widget: Any, words: Callable[[], Words]) -> Callable[[Any, Any, Any], None]:
    """What hears the page's messages and answers those that ask for a file.

    Args:
        widget: the Explorer.
        words: what a slide of it says.
    """

    def heard(sender: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict) and content.get("type") == "export":
            # Drawing takes up to a second, in which the page can ask for something else.
            given = (widget, words, content.get("what"), str(content.get("request", "")))
            threading.Thread(target=_answer, args=given, name="attriscope-export", daemon=True).start()

    return heard


def _answer(widget: Any, words: Callable[[], Words], what: Any, request: str) -> None:
    answer: Exported = {"type": "exported", "request": request}
    try:
        name, data = _file(widget, words, what)
    except Exception as error:  # whatever it is, the page waits for an answer
        widget.send({**answer, "reason": wire.short(str(error) or type(error).__name__)})
    else:
        widget.send({**answer, "name": name}, [data])


def _file(widget: Any, words: Callable[[], Words], what: Any) -> tuple[str, bytes]:
    """A file's name and what is in it."""
    name = (
        re.sub(r"\W+", "-", widget.heat.get("title", "")).strip("-").lower()[:_NAME].strip("-") or "explorer"
    )
    if what == "figure":
        return f"{name}.png", figure.png(widget.figure(), _DPI)
    if what == "slide":
        return f"{name}-slide.png", slide.encoded(widget, words())
    if what == "html":
        return f"{name}.html", html.encoded(widget)
    raise ValueError(f"there is a {', '.join(KINDS)} to be had, but the page asked for {describe(what)}")
