"""The axes that plots draw on, and how much room names have beside them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from attriscope._drawing.drawing import LETTER, StandaloneFigure, width_of
from attriscope.core.errors import InputError, InputTypeError

# For and against the output, as in the colour maps of attr.visualization, in tones that stand out from black and white.
FOR, AGAINST = "#2f9e5b", "#dc4a41"
NAMES = 0.4  # of the width, at most, is for names beside the axes
FEWEST_LETTERS = 8
Grid = NDArray[np.object_]
USUAL = 0.775  # of the width of a figure is that of axes which no layout has changed yet


@contextmanager
def axes_for(
    ax: Axes | None,
    size: tuple[float, float],
    layout: Literal["constrained", "compressed"] = "constrained",
    use_pyplot: bool = True,
    **grid: Any,
) -> Iterator[Any]:
    """The axes to draw on; without ``ax`` those of a new figure, which pyplot closes if drawing fails.

    Given axes are all that is touched: neither pyplot nor the current figure of the user takes part.
    """
    if ax is not None:
        if not isinstance(ax, Axes):
            raise InputTypeError(f"ax must be an Axes of matplotlib, but a {type(ax).__name__} came")
        yield ax
        return
    if not use_pyplot:
        yield StandaloneFigure(figsize=size, layout=layout).subplots(**grid)
        return
    import matplotlib.pyplot as plt  # only here: it chooses a backend for the whole process

    figure, axes = plt.subplots(figsize=size, layout=layout, **grid)
    try:
        yield axes
    except BaseException:
        plt.close(figure)
        raise


def given_axes(axes: Any, shape: tuple[int, ...], meaning: str) -> Grid:
    """The axes that a caller gave, in the shape that they are drawn in.

    Raises:
        InputError: they are others, or not so many; ``meaning`` says what of.
    """
    grid = np.asarray(axes, dtype=object)
    if grid.size != math.prod(shape) or not all(isinstance(one, Axes) for one in grid.flat):
        raise InputError(
            f"axes must hold {' x '.join(map(str, shape))} axes of matplotlib ({meaning}), but "
            + (f"{grid.shape} came" if grid.ndim else f"a {type(axes).__name__} came")
        )
    return grid.reshape(shape)


def write_title(axes: Axes, title: str | None) -> None:
    if title is not None:
        axes.set_title(title, parse_math=False)


def wrapped(name: str, width: int, lines: int) -> str:
    """A name that fits beside an axis: long ones in several lines, and their end left out if that is not enough."""
    if len(name) <= width:
        return name
    text = textwrap.fill(name, width, max_lines=lines, placeholder=" …")
    # Of one long word, or of blanks, nothing would be left.
    return text if text.strip("…") else name[: width - 1] + "…"


def row_height(axes: Axes, rows: int) -> float:
    """Points from row to row, by the present size of the axes."""
    return float(axes.get_window_extent().height) / dots_per_inch(axes) * 72 / rows


def slot_width(axes: Axes) -> float:
    """Points that the axes have, with what is written beside them."""
    points = 72 * width_of(axes)
    # A layout takes room for what is written from the axes, as soon as the figure is drawn.
    return points if axes.figure.get_layout_engine() is None else points / USUAL


def letters_beside(axes: Axes, size: float, most: int) -> int:
    """How long names in a size of the font may be."""
    return min(most, max(FEWEST_LETTERS, int(NAMES * slot_width(axes) / (LETTER * size))))


def dots_per_inch(axes: Axes) -> float:
    """Per inch."""
    return float(axes.figure.dpi)
