"""A view as a slide of 16 to 9: the sentence, the picture with its map, what the model says, and how good the map is.

The picture is that of :mod:`~attriscope.widget.export.figure`, for papers; here everything is large enough to be read
from the last row.
"""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
import textwrap
import unicodedata
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from attriscope.core.errors import InputError
from attriscope.core.inputs import describe
from attriscope.widget.export.figure import View, image_of, legend_colors, picked, shown, unit_of
from attriscope.widget.export.table_figure import TableView
from attriscope.widget.jobs.explorer_jobs import ExplorerJobs
from attriscope.widget.messages.types import RawHeat, RawPredictions
from attriscope.widget.methods.labels import Labels
from attriscope.widget.state.part import LOCK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches and dots per inch: 1920 x 1080 pixels.
_WIDTH, _HEIGHT, _DPI = 16.0, 9.0, 120
_LEFT, _RIGHT = 0.75, 15.25
# The baseline of the title, and how far its lines are apart.
_TITLE, _TITLE_LINE = 8.45, 0.52
# Where the picture begins below, and how wide it may be; where what stands to its right begins, and how wide that is.
_BOTTOM, _ACROSS = 1.75, 6.7
_SIDE, _SIDE_WIDTH = 7.95, 7.3
_MOST_BARS = 6
_INK, _QUIET, _BAR, _TARGET, _CONTRAST = "#1d2125", "#5a6068", "#b9bfc6", "#1976d2", "#b85c00"
# The usual width of a letter, in font sizes.
_LETTER = 0.52

FORMATS = ("png", "svg")


@dataclasses.dataclass(frozen=True)
class Words:
    """What a slide says.

    Attributes:
        sentence: what is explained, and how.
        honest: how good the map is.
        small: of which model and example the map is.
        target, contrast: which classes are explained, to be marked among the predictions.
    """

    sentence: str
    honest: str
    small: str
    target: int | None = None
    contrast: int | None = None


def write(path: str | os.PathLike[str], widget: Any, words: Words) -> None:
    """Write a slide as a file whose suffix says the format.

    Raises:
        InputError: it is neither PNG nor SVG.
        RuntimeError: there is no map yet.
    """
    file = pathlib.Path(path)
    kind = file.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise InputError(
            f"a slide is written to a file that ends with .png or .svg, but {describe(str(path))} came"
        )
    file.write_bytes(encoded(widget, words, kind))


def encoded(widget: Any, words: Words, kind: str = "png") -> bytes:
    """A slide as a PNG of 1920 x 1080 pixels, or as an SVG whose text is text."""
    import matplotlib

    file = io.BytesIO()
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.fonttype": "none"}):
        warnings.filterwarnings("ignore", message="Glyph")  # names may hold any sign there is
        made = slide(shown(widget), widget.predictions, words)
        made.savefig(
            file, format=kind, facecolor="white", dpi=_DPI, metadata={} if kind == "png" else {"Date": None}
        )
    return file.getvalue()


def words_of(widget: Any, labels: Labels, jobs: ExplorerJobs, model: nn.Module) -> Words:
    """What a slide of an Explorer says.

    Args:
        widget: the Explorer.
        labels: what things are called.
        jobs: knows what the map on show answers.
        model: what is explained.
    """
    jobs.mark_outdated()
    with LOCK:
        view, selection, compared = shown(widget), jobs.shown_selection, bool(picked(widget))
    sentence = labels.sentence(selection)
    if compared and (view.pinned is not None or view.title != widget.heat.get("title")):
        together = view.pinned is not None
        sentence = f"{view.pinned.title}, beside {view.title}" if view.pinned is not None else view.title
        honest = (
            _of_scales(view)
            if together and isinstance(view, View)
            else "What one map has more than the other."
        )
    elif view.walking:  # the path is that of integrated gradients, whatever the method
        selection = dataclasses.replace(selection, method="IntegratedGradients", layer=None, neuron=None)
        sentence = labels.sentence(selection)
        honest = (
            f"On the way from the baseline to {jobs.words.whole}, {widget.alpha:.0%} of it: {view.caption}."
        )
    else:
        compares, place = labels.compares(selection), jobs.words.place
        honest = honest_line(widget.heat, widget.weights_changed, compares, place)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    of_many = f"; example {selection.example + 1} of {len(widget.examples)}" if widget.examples else ""
    small = f"{view.title}; {type(model).__name__} of {parameters:,} parameters{of_many}; attriscope"
    target = selection.target if isinstance(selection.target, int) else None
    return Words(sentence, honest, small, target, selection.contrast)


def _of_scales(view: View) -> str:
    """What the colours of two maps have in common."""
    one, other = (None if of is None or of.scale is None else of.scale.limit for of in (view, view.pinned))
    return "One scale for both maps." if one == other else "Each map has its own scale."


def honest_line(heat: RawHeat, weights_changed: bool, compares: bool = True, place: str = "pixel") -> str:
    """How good a map is, in a sentence.

    Args:
        heat: the map.
        weights_changed: whether the model's weights are others since.
        compares: whether its method explains the change from a baseline.
        place: what a number of it stands at.
    """
    if heat.get("preview") or not heat.get("final"):
        return "This map is not ready: it is a first estimate."
    if weights_changed or heat.get("changed"):
        return "The model's weights have changed since this map was made."
    gap, total, error = heat.get("gap"), heat.get("sum"), heat.get("error")
    if gap is not None and total is not None:
        change = total - gap
        share = f", {abs(gap / change):.1%} of that" if abs(gap) < abs(change) else ""
        whole = (
            f"the output changes by {_number(change)} from the baseline"
            if compares
            else f"the output is {_number(change)}"
        )
        return f"The attributions add up to {_number(total)}; {whole}: a gap of {_number(abs(gap))}{share}."
    if error == 0:
        return "Worked out in full: nothing was left to chance."
    if error is not None:
        relative = heat.get("relative_error")
        share = "" if relative is None else f", {relative:.0%} of the map"
        return f"An estimate: its standard error is at most {_number(error)} in a {place}{share}."
    return "The method says nothing of its own error."


def slide(view: View | TableView, predictions: RawPredictions, words: Words) -> Figure:
    """The slide as a figure."""
    from attriscope._drawing.drawing import StandaloneFigure

    if view.drawn is None:
        raise RuntimeError(
            "there is no map to make a slide of: call explorer.wait() first, or pick a layer with a map"
        )
    made = StandaloneFigure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI)
    title = _wrapped(words.sentence, _RIGHT - _LEFT, 27, 2)
    for i, line in enumerate(title):
        y = _TITLE - _TITLE_LINE * i
        _write(made, _LEFT, y, line, 27, _RIGHT - _LEFT, va="center", weight="bold")
    top = _TITLE - _TITLE_LINE * len(title) - 0.1
    if isinstance(view, TableView):
        _table(made, view, top)
        _predictions(made, predictions, words, top)
    elif view.pinned is None:
        _picture(made, view, top, _LEFT)
        _predictions(made, predictions, words, top)
    else:
        for one, left in ((view.pinned, _LEFT), (view, _SIDE)):
            _picture(made, one, top - 0.4, left)
            for line in _wrapped(one.title, _ACROSS, 14, 1):
                _write(made, left, top - 0.15, line, 14, _ACROSS, va="center", color=_QUIET)
    for i, line in enumerate(_wrapped(words.honest, _SIDE_WIDTH, 13, 3)):
        _write(made, _SIDE, 1.6 - 0.28 * i, line, 13, _SIDE_WIDTH, va="center")
    made.add_artist(_rule(_LEFT, _RIGHT, 0.62))
    for line in _wrapped(words.small, _RIGHT - _LEFT, 10.5, 1):
        _write(made, _LEFT, 0.36, line, 10.5, _RIGHT - _LEFT, va="center", color=_QUIET)
    return made


def _picture(made: Figure, view: View, top: float, left: float) -> None:
    """As large as it may be, its legend below."""
    picture = image_of(view)
    height, width = picture.shape[:2]
    scale = min(_ACROSS / width, (top - _BOTTOM) / height)
    across, down = width * scale, height * scale
    axes = _axes(made, left, top - down, across, down)
    axes.set_axis_off()
    axes.imshow(picture, aspect="auto")
    scale_of = view.scale
    if scale_of is None or scale_of.limit <= 0 or view.mode == "masked":
        return
    low, colors = legend_colors(view)
    bar = _axes(made, left, top - down - 0.42, across, 0.17)
    bar.imshow(colors[None], extent=(low, scale_of.limit, 0, 1), aspect="auto")
    bar.set_yticks([])
    bar.set_xticks([low, (low + scale_of.limit) / 2, scale_of.limit])
    bar.set_xticklabels([_number(v) for v in (low, (low + scale_of.limit) / 2, scale_of.limit)])
    ends = bar.get_xticklabels()
    ends[0].set_ha("left")
    ends[-1].set_ha("right")
    bar.tick_params(labelsize=12, length=0, colors=_QUIET)
    for spine in bar.spines.values():
        spine.set_visible(False)
    y = top - down - 0.9
    _write(made, left + across / 2, y, unit_of(view), 12, _ACROSS, ha="center", va="center", color=_QUIET)


def _table(made: Figure, view: TableView, top: float) -> None:
    """The columns of a row, as wide as a picture, their names to the left of the bars."""
    names = 0.42 * _ACROSS
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        view.draw(_axes(made, _LEFT + names, _BOTTOM, _ACROSS - names, top - _BOTTOM), title=False)


def _predictions(made: Figure, predictions: RawPredictions, words: Words, top: float) -> None:
    """What the model says, as bars; those that are explained in colour."""
    items = list(predictions.get("items", ()))
    if not items:
        return
    marked = [one for one in items if one["index"] in (words.target, words.contrast)]
    kept = items[:_MOST_BARS] + [one for one in marked if one not in items[:_MOST_BARS]]
    shares = predictions.get("kind") == "probability"
    values = [one["probability"] if shares else one["score"] for one in kept]
    numbers = np.array([np.nan if value is None else value for value in values])
    _write(made, _SIDE, top - 0.1, "The model says", 13, _SIDE_WIDTH, va="center", color=_QUIET)
    top -= 0.35
    row = min(0.78, (top - 2.0) / len(kept))
    known = numbers[~np.isnan(numbers)]
    ends = (0.0, 1.0) if shares else (known.min(initial=0.0), known.max(initial=0.0))
    room = _SIDE_WIDTH - 1.25
    axes = _axes(made, _SIDE, top - row * len(kept), room, row * len(kept))
    axes.set_axis_off()
    axes.set_xlim(ends[0], ends[1] if ends[1] > ends[0] else ends[0] + 1)
    axes.set_ylim(len(kept), 0)
    for i, (one, value) in enumerate(zip(kept, numbers, strict=True)):
        color = {words.target: _TARGET, words.contrast: _CONTRAST}.get(one["index"], _BAR)
        axes.barh(i + 0.72, 0 if np.isnan(value) else value, 0.3, color=color)
        y = top - row * (i + 0.3)
        for label in _wrapped(one["label"], room, 14, 1):
            _write(made, _SIDE, y, label, 14, room, va="center", weight="bold" if color != _BAR else "normal")
        text = "" if np.isnan(value) else _share(value) if shares else _number(float(value))
        _write(made, _SIDE + _SIDE_WIDTH, top - row * (i + 0.72), text, 14, 1.1, ha="right", va="center")


def _axes(made: Figure, left: float, bottom: float, width: float, height: float) -> Any:
    return made.add_axes((left / _WIDTH, bottom / _HEIGHT, width / _WIDTH, height / _HEIGHT))


def _rule(left: float, right: float, y: float) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([left / _WIDTH, right / _WIDTH], [y / _HEIGHT] * 2, color=_BAR, linewidth=1)


def _write(made: Figure, x: float, y: float, text: str, points: float, inches: float, **how: Any) -> None:
    """Text at a place in inches, smaller if it is wider than it may be; a name is no formula."""
    written = made.text(
        x / _WIDTH, y / _HEIGHT, text, fontsize=points, parse_math=False, **{"color": _INK, **how}
    )
    width = written.get_window_extent().width / _DPI
    if width > inches:
        written.set_fontsize(points * inches / width)


def _wrapped(text: str, inches: float, points: float, most: int) -> Sequence[str]:
    """A text in so many lines at most."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in clean) / max(1, len(clean))
    letters = max(8, int(inches * 72 / (points * _LETTER * (1 + wide))))
    return textwrap.wrap(clean, letters, max_lines=most, placeholder=" ...")


def _share(value: float) -> str:
    return "< 0.1%" if 0 < value < 0.0005 else f"{value:.1%}"


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}").replace("e\N{MINUS SIGN}", "e-")
