"""The row of a table on show as a figure: how its columns lead from the baseline's output to its own.

Drawn by :mod:`attriscope.plots`; pictures are drawn by :mod:`~attriscope.widget.export.figure`.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attriscope.widget.export import colours
from attriscope.widget.export.colours import Array
from attriscope.widget.state.table import PATH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Columns that have a bar of their own.
_TOP = 12
# Letters in a line of the title.
_TITLE = 44
# The ends of the Explorer's colours, for and against.
_COLORS = ("#b2182b", "#2166ac")


@dataclasses.dataclass(frozen=True)
class TableView:
    """What is on show of a row.

    Attributes:
        names: of the columns, each with its value.
        drawn: what each of them adds, (F,); ``None`` if there is no map.
        start, end: the output at the baseline and at the row, where the numbers lead from one to the other.
        title, caption: what it is, and its numbers.
        unit: what the numbers are, in words.
        walking: whether it is what has been attributed up to a place on the path.
    """

    names: Sequence[str]
    drawn: Array | None
    start: float | None
    end: float | None
    title: str
    caption: str
    unit: str
    walking: bool = False
    pinned: None = None

    @classmethod
    def of(cls, widget: Any) -> TableView:
        """Of an Explorer that shows a table."""
        heat, path, alpha = widget.heat, widget.path, widget.alpha
        values = _known(widget.table["values"])
        walking = bool(heat) and alpha < 1 and bool(path) and bool(widget.baseline_row)
        of: Any = path if walking else heat
        if walking:
            values = (1 - alpha) * _known(widget.baseline_row) + alpha * values
        names = [f"{name} = {value:.4g}" for name, value in zip(widget.table["names"], values, strict=True)]
        unit = of.get("unit", "")
        if walking:
            total = float(np.interp(alpha, path["alphas"], path["totals"]))
            title = f"{path['title']}, accumulated to α = {alpha:.2f}"
            drawn = colours.frame(path, alpha)[0]
            return cls(names, drawn, None, None, title, f"sum so far {total:.3g}", unit, walking=True)
        if not heat:
            return cls(names, None, None, None, "", "", unit)
        start, end = ends(heat, path)
        caption = "; ".join(f"{words} {value:.3g}" for words, value in _numbers(heat))
        return cls(names, colours.values(heat)[0], start, end, heat["title"], caption, unit)

    def draw(self, ax: Axes | None = None, title: bool = True) -> Axes:
        """Draw it, by default on a new figure."""
        from attriscope import plots

        effects = np.zeros(len(self.names)) if self.drawn is None else np.nan_to_num(self.drawn)
        about: dict[str, Any] = {
            "top": _TOP,
            "ax": ax,
            "use_pyplot": False,
            "title": textwrap.fill(self.title, _TITLE) if title else None,
            "colors": _COLORS,
        }
        unit = self.unit or "attribution"
        if self.start is None:
            return plots.bars(effects, self.names, xlabel=unit, **about)
        reached = unit.removeprefix("contribution to ")
        return plots.waterfall(effects, self.names, self.start, end=self.end, xlabel=reached, **about)

    def figure(self) -> Figure:
        """As a figure of its own."""
        axes = self.draw()
        made: Any = axes.figure
        if self.caption:
            axes.annotate(
                self.caption,
                (0.5, 0),
                xytext=(0, -36),
                xycoords="axes fraction",
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=7,
            )
        return made


def ends(heat: Any, path: Any) -> tuple[float | None, float | None]:
    """The output at the baseline and at the row, where a map's numbers are to lead from one to the other.

    Args:
        heat: the map. What it misses of the change is the gap that it tells of.
        path: the walk from the baseline to the row, which knows the change where the map does not.
    """
    output, total, gap = heat.get("output"), heat.get("sum"), heat.get("gap")
    leads = heat.get("tells_worth") and heat.get("compares") and heat.get("quantity") == "contribution"
    if not leads or output is None or total is None:
        return None, None
    if gap is not None:
        return output - (total - gap), output
    asked = {name: heat["request"].get(name) for name in PATH}
    if not path or any(path["request"].get(name) != value for name, value in asked.items()):
        return None, None
    return output - (path["scores"][-1] - path["scores"][0]), output


def _numbers(heat: Any) -> list[tuple[str, float]]:
    named = (
        ("sum", heat.get("sum")),
        ("standard error up to", heat.get("error")),
        ("gap", heat.get("gap")),
    )
    return [(words, value) for words, value in named if value is not None]


def _known(values: Sequence[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=float)
