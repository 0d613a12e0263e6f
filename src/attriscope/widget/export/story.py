"""Several views with words between them, as one page to scroll through: a lesson, a report, a handout."""

from __future__ import annotations

import base64
import dataclasses
import html
import os
import pathlib
import re
from typing import TYPE_CHECKING, Any

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import describe
from attriscope.widget.export import figure
from attriscope.widget.export.html import SavedView, filled, picture_of, place_of, saved_view
from attriscope.widget.state.part import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """\
body { max-width: none; padding: 0; line-height: 1.6; font-size: 1.0625rem;
  color: light-dark(#1d2125, #e8eaed); background: light-dark(#fff, #161719); }
.words, .note { max-width: 42rem; margin: 0 auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { margin: 2.5rem 0 1rem; font-size: clamp(1.7rem, 5vw, 2.5rem); line-height: 1.2; text-wrap: balance; }
h2 { margin: 0 0 0.5rem; font-size: clamp(1.2rem, 3.5vw, 1.45rem); line-height: 1.3; text-wrap: balance; }
section { margin: 3.5rem 0; }
.view { max-width: 70rem; margin: 1.5rem auto 0; padding: 0 1rem; line-height: normal; }
.view > img { display: block; max-width: 100%; height: auto; margin: 0 auto; background: #fff; border-radius: 8px; }
.note { margin-bottom: 2.5rem; font-size: 0.85rem; color: light-dark(#5a6068, #a4aab2); }
.view .as-kernel { display: none; } /* said once, at the end */
@media (max-width: 480px) { .view { padding: 0 0.25rem; } section { margin: 2.5rem 0; } }
@media print { section { break-inside: avoid; } }
"""


@dataclasses.dataclass(frozen=True)
class _Part:
    """A part of the story: a title, words, and what they are about."""

    title: str
    words: str
    shown: SavedView | bytes | None


class Story:
    """Several states of Explorers, and other pictures, as one page to scroll through, with your words between them.

    The page is one file that needs neither kernel nor network. What the Explorer's page does by itself works in each of
    its views: restyling, zooming, walking the path, looking through the layers.

    Args:
        title: the page's title.
        words: what to say before the first part.

    Raises:
        InputTypeError: title or words are no text.

    Example::

        story = Story("Why a cat?", "A network says *tiger cat*. What made it say so?")
        story.add(explorer, "Every pixel, by integrated gradients.")
        explorer.layer = "blocks.9"
        story.add(explorer, "The same question, asked of a layer.\\n\\nIt looks at the eyes.", title="One layer")
        story.add(table.figure(), "And can we believe it?")
        story.to_html("cat.html")
    """

    def __init__(self, title: str, words: str = "") -> None:
        self._title, self._words = _text(title, "title"), _text(words, "words")
        self._parts: list[_Part] = []

    def __len__(self) -> int:
        return len(self._parts)

    def __repr__(self) -> str:
        return f"Story({self._title!r}, {len(self)} part(s))"

    def add(self, shown: Part | Figure | None, words: str = "", *, title: str = "") -> Story:
        """Add a part: what there is to see as it is now, and what there is to say about it, which stands before it.

        Args:
            shown: an Explorer or one of its parts, such as ``Overlay``; or a matplotlib figure, as a picture; or
                ``None`` for words alone. What an Explorer still works out is waited for. What becomes of it later does
                not matter.
            words: plain text; paragraphs are parted by empty lines. Nothing in it is taken for HTML.
            title: a heading over the words.

        Returns:
            The story itself.

        Raises:
            InputTypeError: ``shown`` is none of these, or words are no text.
            InputError: there is nothing in the part.
            Exception: what the model or the method raised, for an Explorer that could not work out its map.
        """
        words, title = _text(words, "words"), _text(title, "title")
        if shown is None and not (words.strip() or title.strip()):
            raise InputError(
                "a part of a story needs something to show, words or a title, but none of these came"
            )
        self._parts.append(_Part(title, words, _seen(shown)))
        return self

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the story as one HTML file.

        What views have in common is in it once: with pictures of 224 x 224 about 3 MB for the first Explorer, and 1 to
        2 MB for each further state of it. The page says at its end how large it is.

        Args:
            path: where to write it.

        Raises:
            InputError: nothing was added.
        """
        if not self._parts:
            raise InputError("there is nothing in the story: call add() first")
        size = len(self._page("")) / 1e6
        note = (
            f"Made with attriscope. This file ({size:.1f} MB) needs neither network nor kernel: colours, modes, zoom, "
            "the path and the layers' maps can be played with, and what needs the model is off."
        )
        pathlib.Path(path).write_bytes(self._page(note))

    def _page(self, note: str) -> bytes:
        views: list[SavedView] = []
        sections: list[str] = []
        for part in self._parts:
            sections.append(_section(part, len(views)))
            if isinstance(part.shown, SavedView):
                views.append(part.shown)
        heading = f'<h1 dir="auto">{html.escape(self._title)}</h1>'
        body = [
            f'<header class="words">\n{heading}\n{_paragraphs(self._words)}</header>',
            "<main>",
            *sections,
            "</main>",
            f'<footer class="note"><p>{note}</p></footer>',
        ]
        return filled(self._title, "\n".join(body), views, _STYLE).encode("utf-8", errors="replace")


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise InputTypeError(f"{what} must be a text, but {describe(value)} came")
    return value


def _seen(shown: Any) -> SavedView | bytes | None:
    """What is kept of what is shown."""
    if shown is None:
        return None
    if isinstance(shown, Part):
        if hasattr(shown, "wait"):
            shown.wait()
        return saved_view(shown)
    if hasattr(shown, "savefig"):
        return figure.png(shown)
    hint = "; write add(None, words) for words alone" if isinstance(shown, str) else ""
    raise InputTypeError(
        f"a story shows an Explorer, one of its parts or a matplotlib figure, but {describe(shown)} came{hint}"
    )


def _section(part: _Part, index: int) -> str:
    heading = f'<h2 dir="auto">{html.escape(part.title)}</h2>\n' if part.title.strip() else ""
    words = f'<div class="words">\n{heading}{_paragraphs(part.words)}</div>\n'
    if part.shown is None:
        return f"<section>\n{words}</section>"
    if isinstance(part.shown, bytes):
        data = base64.b64encode(part.shown).decode("ascii")
        alt = html.escape(part.title or "figure")
        seen = f'<img alt="{alt}" src="data:image/png;base64,{data}">'
    else:
        seen = f"{place_of(index)}<noscript>{picture_of(part.shown)}</noscript>"
    return f'<section>\n{words}<div class="view">{seen}</div>\n</section>'


def _paragraphs(words: str) -> str:
    found = [" ".join(one.split()) for one in re.split(r"\n[^\S\n]*\n", words)]
    return "".join(f'<p dir="auto">{html.escape(one)}</p>\n' for one in found if one)
