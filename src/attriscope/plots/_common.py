"""What the plots share: axes to draw on, checked numbers and names, and how both are written."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from attriscope._drawing.drawing import LETTER, width_of
from attriscope._drawing.scales import Floats, as_array
from attriscope.core.errors import InputError, InputTypeError

# For and against the output, as in the colour maps of attr.visualization, in tones that stand out from black and white.
FOR, AGAINST = "#2f9e5b", "#dc4a41"
NAMES = 0.4  # of the width, at most, is for names beside the axes
FEWEST_LETTERS = 8
USUAL = 0.775  # of the width of a figure is that of axes which no layout has changed yet


@contextmanager
def axes_for(
    ax: Axes | None, size: tuple[float, float], layout: str = "constrained", **grid: Any
) -> Iterator[Any]:
    """The axes to draw on; without ``ax`` those of a new figure of pyplot, which is closed if drawing fails.

    Given axes are all that is touched: neither pyplot nor the current figure of the user takes part.
    """
    if ax is not None:
        if not isinstance(ax, Axes):
            raise InputTypeError(f"ax must be an Axes of matplotlib, but a {type(ax).__name__} came")
        yield ax
        return
    import matplotlib.pyplot as plt  # only here: it chooses a backend for the whole process

    figure, axes = plt.subplots(figsize=size, layout=layout, **grid)
    try:
        yield axes
    except BaseException:
        plt.close(figure)
        raise


def numbers(value: ArrayLike, argument: str, shape: str, *dimensions: int) -> Floats:
    """Finite numbers as float64, with one of the given numbers of dimensions and at least one of each.

    Args:
        shape: how the error names what would be right, such as "(F,)".
    """
    array = as_array(value, argument).astype(np.float64)
    if array.ndim not in dimensions or not array.size:
        hint = f"; for the first example: {argument}[0]" if array.ndim == max(dimensions) + 1 else ""
        raise InputError(f"{argument} must be of shape {shape}, but {array.shape} came{hint}")
    wrong = ~np.isfinite(array)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f"{argument} must be finite, but {wrong.sum():,} of {array.size:,} are not; the first is "
            f"{array[where]} at {where[0] if len(where) == 1 else where}"
        )
    return array


def named(names: Sequence[object] | None, count: int, argument: str, default: str) -> list[str]:
    """One name per item: the given ones as text, or numbered ones."""
    if names is None:
        return [f"{default} {i}" for i in range(count)]
    if isinstance(names, str) or len(names) != count:
        came = repr(names) if isinstance(names, str) else f"{len(names)}"
        raise InputError(f"{argument} must hold one name for each of {count}, but {came} came")
    return [str(name) for name in names]


def write_title(axes: Axes, title: str | None) -> None:
    if title is not None:
        axes.set_title(title, parse_math=False)


def in_lines(name: str, width: int, lines: int) -> str:
    """A name that fits beside an axis: long ones in several lines, and their end left out if that is not enough."""
    if len(name) <= width:
        return name
    return textwrap.fill(name, width, max_lines=lines, placeholder=" …") or name[:width]


def row_height(axes: Axes, rows: int) -> float:
    """Points from row to row, by the present size of the axes."""
    return float(axes.get_window_extent().height) / dots(axes) * 72 / rows


def slot_width(axes: Axes) -> float:
    """Points that the axes have, with what is written beside them."""
    points = 72 * width_of(axes)
    # A layout takes room for what is written from the axes, as soon as the figure is drawn.
    return points if axes.figure.get_layout_engine() is None else points / USUAL


def letters_beside(axes: Axes, size: float, most: int) -> int:
    """How long names in a size of the font may be."""
    return min(most, max(FEWEST_LETTERS, int(NAMES * slot_width(axes) / (LETTER * size))))


def dots(axes: Axes) -> float:
    """Per inch."""
    return float(axes.figure.dpi)


def differ(first: float, second: float, scale: float) -> bool:
    """Whether two numbers differ by more than a reader could take for rounding: a thousandth of what is drawn."""
    return not math.isclose(first, second, rel_tol=0, abs_tol=1e-3 * scale)
