"""Attributions of words, as HTML. Everything that comes from the user is escaped."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from attriscope._drawing.scales import as_array
from attriscope.core.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from IPython.display import HTML

HEADINGS = (
    ("True Label", ""),
    ("Predicted Label", ""),
    ("Attribution Label", ""),
    ("Attribution Score", ""),
    ("Word Importance", ";width:60%"),
)
LEGEND = (("Negative", -1.0), ("Neutral", 0.0), ("Positive", 1.0))


@dataclass(eq=False, slots=True)  # eq would compare tensors
class VisualizationDataRecord:
    """One row of :func:`visualize_text`.

    Args:
        word_attributions: shape (L,), within -1..1: divide by the largest or by the norm before.
        pred_prob: of the predicted class, 0 to 1.
        pred_class, true_class, attr_class: names or numbers of the classes predicted, true and explained.
        attr_score: a number for the whole text, usually the sum of the attributions.
        raw_input_ids: the L words or tokens.
        convergence_score: kept, not shown, as in Captum.
    """

    word_attributions: Any
    pred_prob: Any
    pred_class: Any
    true_class: Any
    attr_class: Any
    attr_score: Any
    raw_input_ids: Sequence[str]
    convergence_score: Any


def format_classname(classname: str | int) -> str:
    """A table cell with the name of a class, escaped."""
    return f'<td style="text-align:left;padding-right:2em"><b>{escape(str(classname))}</b></td>'


def format_special_tokens(token: str) -> str:
    """A token as it is shown, escaped: a word within angle brackets, such as ``<pad>``, as ``#pad``."""
    special = re.fullmatch(r"<([^<>\s]+)>", token)
    return escape(f"#{special[1]}" if special else token)


def format_tooltip(item: str, text: str) -> str:
    """An item that shows a text while the pointer is on it; both escaped."""
    return (
        f'<span class="tooltip" title="{escape(str(text))}">{escape(str(item))}'
        f'<span class="tooltiptext" hidden>{escape(str(text))}</span></span>'
    )


def format_word_importances(words: Sequence[str], importances: ArrayLike | None) -> str:
    """A table cell with words on colours: green for positive importances, red for negative ones.

    Args:
        words: L words or tokens; :func:`format_special_tokens` says how they are shown.
        importances: shape (at least L,), within -1..1; larger ones get the full colour, nan none. With none at all the
            cell is empty. The pointer shows the number.

    Raises:
        InputError: fewer importances than words, or not one-dimensional.
    """
    values = as_array([] if importances is None else importances, "importances")
    if values.size == 0:
        return "<td></td>"
    if values.ndim != 1:
        raise InputError(f"importances must be of shape (L,), but {values.shape} came")
    if len(values) < len(words):
        raise InputError(
            f"importances must hold one number per word, but {len(values)} came for {len(words)} words"
        )
    # Each word is isolated, so that one written right to left, or a stray control sign, moves nothing outside itself.
    # An outer direction fits sentences; black on white or lighter colours is legible in dark notebooks as well.
    marks = " ".join(
        f'<mark title="{float(value):.4g}" style="background-color:{_color(float(value))};color:#000;'
        f'padding:0.1em 0.2em;border-radius:2px;unicode-bidi:isolate">{format_special_tokens(str(word))}</mark>'
        for word, value in zip(words, values, strict=False)
    )
    return (
        '<td dir="auto" style="background-color:#fff;color:#000;line-height:1.75;text-align:start;'
        f'white-space:normal">{marks}</td>'
    )


def visualize_text(datarecords: Iterable[VisualizationDataRecord], legend: bool = True) -> HTML:
    """Show texts with their attributions in a table, one row per record.

    Args:
        datarecords: the rows.
        legend: say above the table what the colours mean.

    Returns:
        The table as HTML of IPython, which is displayed as well.

    Raises:
        InputError: (an ``AssertionError``) one record instead of several, or as for :func:`format_word_importances`.
    """
    from IPython.display import HTML, display

    if not isinstance(datarecords, Iterable):
        raise InputTypeError(
            f"datarecords must be several records, such as [record], but a {type(datarecords).__name__} came"
        )
    heads = "".join(f'<th style="text-align:left{width}">{heading}</th>' for heading, width in HEADINGS)
    rows = "".join(f"<tr>{_cells(record)}</tr>" for record in datarecords)
    table = f'<table style="width:100%"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    html = HTML(f"<div>{_legend() if legend else ''}{table}</div>")
    display(html)
    return html


def _cells(record: VisualizationDataRecord) -> str:
    return "".join(
        [
            format_classname(record.true_class),
            format_classname(f"{record.pred_class} ({_decimals(record.pred_prob)})"),
            format_classname(record.attr_class),
            format_classname(_decimals(record.attr_score)),
            format_word_importances(record.raw_input_ids, record.word_attributions),
        ]
    )


def _decimals(value: Any) -> str:
    if hasattr(value, "detach"):  # torch warns of numbers that still require gradients
        value = value.detach()
    try:
        return f"{float(value):.2f}"
    except (TypeError, ValueError):
        return str(value)


def _legend() -> str:
    boxes = "".join(
        '<span style="display:inline-block;width:10px;height:10px;border:1px solid;margin:0 0.3em 0 0.8em;'
        f'background-color:{_color(value)}"></span>{name}'
        for name, value in LEGEND
    )
    return f'<div style="padding:5px 0"><b>Legend:</b>{boxes}</div>'


def _color(importance: float) -> str:
    """Captum's colours: from white to a green of lightness 50 %, or a red of 60 %."""
    strength = 0.0 if math.isnan(importance) else max(-1.0, min(1.0, importance))
    hue, percent = (120, 50) if strength > 0 else (0, 40)
    return f"hsl({hue}, 75%, {100 - int(percent * abs(strength) + 1e-5)}%)"  # 40 times 0.7 in single precision is 28
