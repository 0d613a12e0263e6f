"""Words as they are shown, whatever they hold, in figures and in pages."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from attriscope._drawing.scales import Floats, Scaled, VisualizeSign, as_array, scale
from attriscope.core.errors import InputError

SEEN = {"\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}", "\t": "\N{RIGHTWARDS ARROW TO BAR}"}


def words_and_scale(
    words: Sequence[object], attributions: ArrayLike, outlier_perc: float
) -> tuple[list[str], Floats, Scaled]:
    """Words as text, their attributions, and these as they are drawn.

    Raises:
        InputError: not one attribution per word, or no words.
    """
    if isinstance(words, str):
        raise InputError(
            f"words must be a sequence of words, but one text came: {words[:40]!r}; perhaps words.split()?"
        )
    values = as_array(attributions, "attributions").astype(np.float64)
    if values.ndim != 1:
        hint = "; add up the last dimension first, that of the embedding" if values.ndim == 2 else ""
        raise InputError(f"attributions must be of shape (words,), but {values.shape} came{hint}")
    if len(words) != len(values) or not len(words):
        raise InputError(
            f"words and attributions must be as many, and at least one, but {len(words)} and {len(values)} came"
        )
    return [str(word) for word in words], values, scale(values, VisualizeSign.all, outlier_perc)


def visible(word: str) -> str:
    """A word as it is shown: line breaks, tabs and control characters as signs, nothing as a blank."""
    shown = "".join(SEEN.get(c) or _shown(c) for c in word)
    return shown or " "


def _shown(c: str) -> str:
    if ord(c) < 32:
        return chr(0x2400 + ord(c))  # the picture of the control character
    if unicodedata.category(c) in ("Cc", "Cs"):  # half of a surrogate pair cannot be written to a page
        return "\N{REPLACEMENT CHARACTER}"
    return c


def is_right_to_left(words: Sequence[str]) -> bool:
    """Whether the first letter with a direction runs from right to left, as paragraphs are judged by Unicode."""
    for word in words:
        for c in word:
            direction = unicodedata.bidirectional(c)
            if direction in ("L", "R", "AL"):
                return direction != "L"
    return False
