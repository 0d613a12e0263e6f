"""Attributions of named features, as columns of a table have them: bars, and the way from baseline to input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from numpy.typing import ArrayLike

from attriscope._drawing.drawing import LETTER, width_of
from attriscope._drawing.scales import Floats
from attriscope.core.errors import InputError
from attriscope.plots._arguments import finite_array, names_for
from attriscope.plots._axes import (
    AGAINST,
    FOR,
    axes_for,
    dots_per_inch,
    letters_beside,
    row_height,
    slot_width,
    wrapped,
    write_title,
)
from attriscope.plots._number_text import short_number, signed_number, visibly_differ

ROW = 0.32  # inches
THICK = 0.7  # of a row
SMALLEST = 5.0  # points of a name
NUMBERS = 0.85  # of the size of names
MOST_LETTERS = 26  # in a line of a name
AROUND = 20.0  # points beside names and axes


def bars(
    attributions: ArrayLike,
    names: Sequence[object] | None = None,
    *,
    errors: ArrayLike | None = None,
    top: int | None = 10,
    ax: Axes | None = None,
    use_pyplot: bool = True,
    title: str | None = None,
    xlabel: str = "attribution",
    colors: tuple[str, str] = (FOR, AGAINST),
) -> Axes:
    """Draw the attributions of features as signed bars, the largest first.

    Args:
        attributions: shape (F,).
        names: of the F features, taken literally; long ones are written in two lines.
        errors: shape (F,): half the length of each error bar, such as the standard error of an
            :class:`~attriscope.Estimate`.
        top: how many features get a bar of their own; the sum of all others gets one together, below them and
            without an error bar, as how their errors add up is not known. ``None`` for all.
        ax: where to draw; by default on a new figure, as high as the bars need.
        use_pyplot: whether the new figure is pyplot's.
        title, xlabel: texts, taken literally.
        colors: of bars that speak for the output, and of those against it.

    Returns:
        The axes. From the top, the bars are its patches.

    Raises:
        InputError: (a ``ValueError``) shapes or names that do not fit each other, numbers that are not finite,
            negative errors, ``top`` below 1.
    """
    values = finite_array(attributions, "attributions", "(F,)", 1)
    spread = None if errors is None else finite_array(errors, "errors", "(F,)", 1)
    if spread is not None and spread.shape != values.shape:
        raise InputError(f"errors of shape {spread.shape} do not fit attributions of shape {values.shape}")
    if spread is not None and (spread < 0).any():
        raise InputError(f"errors must not be negative, but {spread.min():.4g} is among them")
    rows = _ranked(values, names_for(names, len(values), "names", "feature"), top)
    with axes_for(ax, _size(len(rows.values)), use_pyplot=use_pyplot) as axes:
        places = range(len(rows.values))
        axes.barh(places, rows.values, height=THICK, color=_colors(rows.values, colors))
        reach = np.zeros(len(rows.values))
        if spread is not None:
            reach[: len(rows.order)] = spread[rows.order]
            ink = axes.xaxis.label.get_color()
            axes.errorbar(
                rows.values[: len(rows.order)],
                range(len(rows.order)),
                xerr=reach[: len(rows.order)],
                fmt="none",
                ecolor=ink,
                capsize=2.5,
            )
        for row, (value, its_reach) in enumerate(zip(rows.values, reach, strict=True)):
            _write_number(axes, row, value + np.copysign(its_reach, value), value)
        _label_rows(axes, rows.names, rows.others, title, xlabel)
        axes.axvline(0, color=axes.xaxis.label.get_color(), linewidth=0.8)
    return axes


def waterfall(
    attributions: ArrayLike,
    names: Sequence[object] | None = None,
    start: float = 0.0,
    *,
    end: float | None = None,
    top: int | None = 10,
    ax: Axes | None = None,
    use_pyplot: bool = True,
    title: str | None = None,
    xlabel: str = "model output",
    colors: tuple[str, str] = (FOR, AGAINST),
) -> Axes:
    """Draw how the attributions lead from the output at the baseline to the output at the input.

    Each bar starts where the one above it ended, the largest first.

    Args:
        attributions: shape (F,).
        names: of the F features, taken literally; long ones are written in two lines.
        start: f(baseline).
        end: f(input), if known. What the attributions leave out of it (or add to it) gets a grey bar,
            "not attributed", where it is more than a thousandth of what is drawn.
        top: how many features get a bar of their own; the sum of all others gets one together. ``None`` for all.
        ax: where to draw; by default on a new figure, as high as the bars need.
        use_pyplot: whether the new figure is pyplot's.
        title, xlabel: texts, taken literally.
        colors: of bars that speak for the output, and of those against it.

    Returns:
        The axes. From the top, the bars are its patches.

    Raises:
        InputError: (a ``ValueError``) shapes or names that do not fit each other, numbers that are not finite, ``top``
            below 1.
    """
    values = finite_array(attributions, "attributions", "(F,)", 1)
    first = float(finite_array(start, "start", "()", 0))
    rows = _ranked(values, names_for(names, len(values), "names", "feature"), top)
    reached = first + float(values.sum())
    last = reached if end is None else float(finite_array(end, "end", "()", 0))
    steps = list(rows.values)
    labels, filled = list(rows.names), _colors(rows.values, colors)
    levels = np.concatenate([[first], first + np.cumsum(rows.values)])
    if visibly_differ(reached, last, max(float(np.ptp(np.append(levels, last))), 1e-300)):
        steps.append(last - reached)
        labels.append("not attributed")
        filled.append("0.55")
        levels = np.append(levels, last)
    with axes_for(ax, _size(len(steps) + 2), use_pyplot=use_pyplot) as axes:
        places = np.arange(1, len(steps) + 1)
        for bar in axes.barh(places, steps, left=levels[:-1], height=THICK, color=filled):
            bar.sticky_edges.x.clear()  # these would leave no room beside them
        ink = axes.xaxis.label.get_color()
        # From bar to bar, and from the mark of the baseline to that of the input.
        axes.vlines(
            levels, np.arange(len(levels)), np.arange(len(levels)) + 1, color=ink, linewidth=0.8, alpha=0.6
        )
        axes.plot(
            [levels[0], levels[-1]],
            [0, len(steps) + 1],
            linestyle="none",
            marker="D",
            markersize=5,
            color=ink,
        )
        for row, step in enumerate(steps):
            _write_number(axes, row + 1, float(levels[row + 1]), float(step))
        ends = [f"f(baseline) = {short_number(first)}", f"f(input) = {short_number(last)}"]
        if end is None:
            ends[1] = f"sum = {short_number(last)}"
        _label_rows(axes, [ends[0], *labels, ends[1]], rows.others and rows.others + 1, title, xlabel)
    return axes


@dataclass(frozen=True)
class _Rows:
    """The features in the order drawn: ``order`` are those with a row of their own, ``others`` the row of the rest."""

    values: Floats
    names: list[str]
    order: list[int]
    others: int | None


def _ranked(values: Floats, names: list[str], top: int | None) -> _Rows:
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
        raise InputError(f"top must be a number of features from 1 up, or None for all, but {top!r} came")
    order = [int(i) for i in np.argsort(-np.abs(values), kind="stable")]
    if top is None or len(order) <= top + 1:  # one feature alone is told by its name rather than as "1 other"
        return _Rows(values[order], [names[i] for i in order], order, None)
    own, rest = order[:top], order[top:]
    shown = np.append(values[own], values[rest].sum())
    return _Rows(shown, [*(names[i] for i in own), f"{len(rest):,} others"], own, top)


def _colors(values: Floats, colors: tuple[str, str]) -> list[str]:
    return [colors[0] if value >= 0 else colors[1] for value in values]


def _size(rows: int) -> tuple[float, float]:
    return 6.4, 1.0 + ROW * max(rows, 3)


def _write_number(axes: Axes, row: int, at: float, value: float) -> None:
    """The number of a bar, beyond its end."""
    axes.annotate(
        signed_number(value),
        (at, row),
        xytext=(4 if value >= 0 else -4, 0),
        textcoords="offset points",
        ha="left" if value >= 0 else "right",
        va="center",
    )


def _label_rows(axes: Axes, names: list[str], others: int | None, title: str | None, xlabel: str) -> None:
    """Everything around the bars; ``others`` is the row that is no single feature."""
    room = row_height(axes, len(names))
    full = FontProperties(size=matplotlib.rcParams["ytick.labelsize"]).get_size_in_points()
    size = min(full, max(SMALLEST, 0.8 * room))
    slot = slot_width(axes)
    letters = letters_beside(axes, size, MOST_LETTERS)
    texts = [wrapped(name, letters, 2 if room > 2.1 * size else 1) for name in names]
    axes.set_yticks(range(len(names)), labels=texts, fontsize=size, parse_math=False)
    if others is not None:
        axes.get_yticklabels()[others].set_fontstyle("italic")
    axes.set_ylim(len(names) - 0.4, -0.6)  # the first on top
    axes.tick_params(axis="y", length=0)
    widest = 0.0
    for text in axes.texts:
        text.set_fontsize(min(size, NUMBERS * full))
        widest = max(widest, text.get_window_extent().width / dots_per_inch(axes) * 72 + 6)
    taken = LETTER * size * max(len(line) for text in texts for line in text.split("\n"))
    left = max(2.5 * widest, min(72 * width_of(axes), slot - taken - AROUND))
    axes.margins(x=max(0.05, widest / (left - 2 * widest)))  # room for the numbers
    axes.set_xlabel(xlabel, parse_math=False)
    write_title(axes, title)
