"""Numbers of several things by several measures, such as methods by metrics: a panel of dots for each measure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from attriscope._drawing.scales import Floats, as_array
from attriscope.core.errors import InputError, InputTypeError
from attriscope.plots._arguments import finite_array, names_for
from attriscope.plots._axes import Grid, axes_for, given_axes, wrapped

COLUMNS = 4  # panels beside each other
LONGEST = 40  # letters of a name
LETTER, PANEL, ROW = 0.085, 2.3, 0.27  # inches


def dots(
    values: Mapping[str, ArrayLike],
    names: Sequence[object] | None = None,
    *,
    errors: Mapping[str, ArrayLike] | None = None,
    marked: Mapping[str, Collection[int]] | None = None,
    axes: Any = None,
    use_pyplot: bool = True,
) -> Grid:
    """Draw a panel for each measure, with a dot for each thing that is measured, such as methods by metrics.

    Args:
        values: from the title of a panel to its numbers, shape (items,), the same items in each; for NaN there is no
            dot, and the word "undefined".
        names: of the items, taken literally; long ones are cut.
        errors: from a title to half the length of each error bar, shape (items,); NaN for none.
        marked: from a title to the items that are drawn in the second colour of the style, such as the best.
        axes: where to draw: one axes per panel; by default on a new figure, four panels beside each other.
        use_pyplot: whether the new figure is pyplot's.

    Returns:
        The axes, an array of shape (panels,).

    Raises:
        InputError: (a ``ValueError``) nothing to draw, shapes or names that do not fit each other, infinite numbers,
            negative errors, errors or marks of a panel or an item that there is not.
    """
    if not isinstance(values, Mapping):
        raise InputTypeError(
            f'values must be a mapping such as {{"metric": numbers}}, but a {type(values).__name__} came'
        )
    panels = {str(title): _with_gaps(given, f"values of {title!r}") for title, given in values.items()}
    if not panels:
        raise InputError("values must hold at least one panel, but it is empty")
    count = len(next(iter(panels.values())))
    bars = {title: np.full(count, np.nan) for title in panels}
    bars |= {str(title): _with_gaps(given, f"errors of {title!r}") for title, given in (errors or {}).items()}
    second = {str(title): frozenset(items) for title, items in (marked or {}).items()}
    for argument, own in (("values", panels), ("errors", bars)):
        for title, numbers in own.items():
            if len(numbers) != count:
                raise InputError(f"{argument} of {title!r} are {len(numbers)}, but there are {count} items")
    for title in (*bars, *second):
        if title not in panels:
            raise InputError(f"there is no panel {title!r}; there are {', '.join(map(repr, panels))}")
    if any((numbers < 0).any() for numbers in bars.values()):
        raise InputError("errors must not be negative")
    strange = sorted(set().union(*second.values()) - set(range(count)), key=repr)
    if strange:
        raise InputError(f"marked must hold items from 0 to {count - 1}, but {strange[0]!r} came")
    labels = [wrapped(name, LONGEST, 1) for name in names_for(names, count, "names", "item")]
    with _panels(axes, len(panels), labels, use_pyplot) as found:
        for ax, (title, numbers) in zip(found, panels.items(), strict=True):
            _draw(ax, title, numbers, bars[title], second.get(title, frozenset()), labels)
    return found


def _with_gaps(given: ArrayLike, argument: str) -> Floats:
    """Numbers, of which some may be NaN."""
    array = as_array(given, argument).astype(np.float64)
    finite_array(np.where(np.isnan(array), 0, array), argument, "(items,)", 1)
    return array


def _panels(axes: Any, count: int, labels: list[str], use_pyplot: bool) -> Any:
    """The axes to draw on, one for each panel."""
    if axes is not None:
        return nullcontext(given_axes(axes, (count,), "one per panel"))
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    longest = max(map(len, labels))
    size = 1.2 + LETTER * longest + PANEL * columns, rows * (ROW * len(labels) + 1.0)
    return _new_panels(count, size, use_pyplot, nrows=rows, ncols=columns)


@contextmanager
def _new_panels(count: int, size: tuple[float, float], use_pyplot: bool, **grid: Any) -> Iterator[Grid]:
    with axes_for(None, size, use_pyplot=use_pyplot, squeeze=False, sharey=True, **grid) as made:
        for ax in made.flat[count:]:
            ax.set_visible(False)
        yield made.ravel()[:count]


def _draw(
    ax: Axes, title: str, values: Floats, errors: Floats, marked: Collection[int], labels: list[str]
) -> None:
    for row, (value, error) in enumerate(zip(values, errors, strict=True)):
        if np.isnan(value):
            ax.text(0.5, row, "undefined", va="center", ha="center", alpha=0.7, fontsize="small",
                    transform=ax.get_yaxis_transform())  # fmt: skip
            continue
        color = "C1" if row in marked else "C0"
        ax.errorbar(value, row, xerr=0 if np.isnan(error) else error, fmt="o", color=color, capsize=2)
    ax.set_title(title, fontsize="medium", parse_math=False)
    ax.set_yticks(range(len(labels)), labels=labels, parse_math=False)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.margins(x=0.12)
    ax.locator_params(axis="x", nbins=4)
    # Only the lines that are read.
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, axis="x", alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
