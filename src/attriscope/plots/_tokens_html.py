"""Words on coloured ground as HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from numpy.typing import ArrayLike

from attriscope.plots._number_text import short_number, signed_number
from attriscope.plots._token_text import is_right_to_left, visible, words_and_scale

# See-through, so that the page's own text stays legible on them, be it dark on light or light on dark.
STRONGEST = 0.5
FOR, AGAINST = (32, 150, 80), (225, 65, 55)
BLOCK = "font-family:inherit;line-height:2.1;color:inherit"


@dataclass(frozen=True)
class TokensHtml:
    """A piece of HTML that a notebook shows; ``str`` gives its source."""

    source: str

    def __str__(self) -> str:
        return self.source

    def _repr_html_(self) -> str:
        return self.source


def tokens_html(
    words: Sequence[object], attributions: ArrayLike, *, outlier_perc: float = 0, title: str | None = None
) -> TokensHtml:
    """Words on the colours of their attributions, as HTML: green speaks for the output, red against it.

    Everything that comes from the caller is escaped. Colours are laid thinly over the page's own, so that words stay
    legible on light and dark pages; the line below a word tells the sign without colours (solid for, dotted against).
    Each word has its number as a tooltip and for screen readers.

    Args:
        words: L words or tokens; line breaks and tabs are shown as signs.
        attributions: shape (L,). Words whose attribution is not finite have a dashed frame.
        outlier_perc: percent, 0 to 100. The largest attributions that make up this share of the sum of all sizes get
            the full colour; the legend says so. By default nothing is clipped.
        title: written above.

    Returns:
        An object with ``_repr_html_``; ``str()`` of it is the source.

    Raises:
        InputError: (a ``ValueError``) not one attribution per word, no words, ``outlier_perc`` out of range.
    """
    labels, values, scaled = words_and_scale(words, attributions, outlier_perc)
    direction = "rtl" if is_right_to_left(labels) else "ltr"
    items = " ".join(
        _item(visible(word), float(value), float(strength))
        for word, value, strength in zip(labels, values, scaled.values, strict=True)
    )
    heading = "" if title is None else f'<div style="font-weight:bold">{escape(title)}</div>'
    ends = [("against", -1.0), ("for", 1.0)]
    legend = "scale: "
    if scaled.unit == 0:
        legend += "all attributions are 0"
    else:
        legend += " ".join(
            f'<span style="{_style(end)}">{signed_number(end * scaled.unit)}</span> {name},'
            for name, end in ends
        )
        legend += " no colour: 0"
        below, above = scaled.clipped
        reached = [short_number(end) for end, cut in ((scaled.low, below), (scaled.high, above)) if cut]
        if reached:
            legend += f"; outliers reach {' and '.join(reached)}"
    if scaled.blanks:
        legend += f"; dashed: {scaled.blanks:,} not finite"
    return TokensHtml(
        f'<div style="{BLOCK}">{heading}'
        f'<div role="list" aria-label="words with their attributions" dir="{direction}">{items}</div>'
        f'<div style="font-size:85%;margin-top:0.3em">{legend}</div></div>'
    )


def _item(word: str, value: float, strength: float) -> str:
    number = signed_number(value) if math.isfinite(value) else f"not finite ({value})"
    # Isolated: a word written the other way, or a stray control sign, moves nothing outside itself.
    return (
        f'<span role="listitem" title="{number}" aria-label="{escape(word)}: {number}" '
        f'style="{_style(strength)};white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate">'
        f"{escape(word)}</span>"
    )


def _style(strength: float) -> str:
    """Of a word: its ground and the line below it, for a strength of -1 to 1, or nan."""
    box = "padding:0.15em 0.25em;border-radius:2px;color:inherit"
    if math.isnan(strength):
        return f"{box};border:1px dashed"
    red, green, blue = FOR if strength > 0 else AGAINST
    ground = f"background-color:rgba({red},{green},{blue},{STRONGEST * abs(strength):.3f})"
    if strength == 0:
        return f"{box};{ground}"
    line = "solid" if strength > 0 else "dotted"
    return f"{box};{ground};border-bottom:2px {line} rgb({red},{green},{blue})"
