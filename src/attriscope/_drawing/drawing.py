"""What the figures of images and of time series share: figures, colour maps, colour bars and notes."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator

from attriscope._drawing.scales import Floats, Scaled, VisualizeSign
from attriscope.core.errors import InputError

# Below this, a map without a colour bar says how small it is: it may be nothing but rounding.
TINY = 1e-5
SMALLEST_TITLE = 9.0
LETTER = 0.55  # the usual width of a letter, in font sizes


class StandaloneFigure(Figure):
    """A figure that pyplot does not know, and that shows itself where it is the last value of a notebook's cell."""

    def _repr_png_(self) -> bytes:
        page = io.BytesIO()
        self.savefig(page, format="png", dpi=self.dpi)
        return page.getvalue()


@contextmanager
def figure_for(
    given: tuple[Figure, Any] | None, size: tuple[float, float], use_pyplot: bool, **grid: Any
) -> Iterator[tuple[Figure, Any]]:
    """The figure and axes to draw on, new ones if none are given.

    With pyplot, figures are shown at the end, and a new one is closed again if drawing fails.
    """
    if given is None and not use_pyplot:
        figure = StandaloneFigure(figsize=size)
        yield figure, figure.subplots(**grid)
        return
    if given is not None and not use_pyplot:
        yield given
        return
    import matplotlib.pyplot as plt  # only here: it chooses a backend for the whole process

    figure, axes = plt.subplots(figsize=size, **grid) if given is None else given
    try:
        yield figure, axes
    except BaseException:
        if given is None:
            plt.close(figure)
        raise
    plt.show()


def default_cmap(sign: VisualizeSign) -> str | Colormap:
    """White is 0; green speaks for the output, red against it, blue either."""
    if sign is VisualizeSign.all:
        return LinearSegmentedColormap.from_list("RdWhGn", ["red", "white", "green"])
    return {
        VisualizeSign.positive: "Greens",
        VisualizeSign.negative: "Reds",
        VisualizeSign.absolute_value: "Blues",
    }[sign]


def on_white(cmap: str | Colormap, alpha: float) -> Colormap:
    """The colours as they look at an opacity on white: the same in light and dark styles."""
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha_overlay must be from 0 to 1, but {alpha!r} came")
    colors = matplotlib.colormaps.get_cmap(cmap)(np.linspace(0, 1, 256))
    opacity = alpha * colors[:, 3:]
    return ListedColormap(colors[:, :3] * opacity + (1 - opacity))


def colorbar(figure: FigureBase, drawn: ScalarMappable, scaled: Scaled, inches: float, **place: Any) -> None:
    """A colour bar below, in the units of the attributions though colours are normalized.

    Args:
        drawn: what the colours belong to.
        inches: how long the bar will be, for the number of ticks.
        place: ``cax`` or ``ax``, as for :meth:`Figure.colorbar`.
    """
    below, above = scaled.clipped
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = figure.colorbar(drawn, orientation="horizontal", extend=extend[below, above], **place)
    bar.ax.tick_params(labelsize="small")
    if scaled.unit == 0:
        bar.set_ticks([0.0], labels=["0"])
        bar.set_label("attribution", fontsize="small")
        return
    ends = sorted((scaled.lowest * scaled.unit, scaled.unit))
    room = max(2, min(8, int(inches / 0.7)))
    ticks = np.asarray(MaxNLocator(room, steps=[1, 2, 2.5, 5, 10]).tick_values(*ends))
    slack = 1e-9 * abs(scaled.unit)
    ticks = ticks[(ticks >= ends[0] - slack) & (ticks <= ends[1] + slack)]
    # As everywhere in matplotlib, numbers like 0.00002 share one power of ten.
    exponent = math.floor(math.log10(abs(scaled.unit)))
    exponent = 0 if -4 < exponent < 5 else exponent
    labels = _numbers(ticks / 10.0**exponent)
    bar.set_ticks(list(ticks / scaled.unit), labels=labels)
    label = f"attribution ($10^{{{exponent}}}$)" if exponent else "attribution"
    reached = [
        _short(end / 10.0**exponent)
        for end, cut in zip((scaled.low, scaled.high), _beyond(scaled), strict=True)
        if cut
    ]
    if reached:
        label += f"{', ' if inches > 3.5 else chr(10)}outliers reach {' and '.join(reached)}"
    bar.set_label(label, fontsize="small")


def _beyond(scaled: Scaled) -> tuple[bool, bool]:
    """Whether the lowest and the highest attribution are beyond the scale, in units of attributions."""
    below, above = scaled.clipped
    return (above, below) if scaled.unit < 0 else (below, above)


def _numbers(values: Floats) -> list[str]:
    """Evenly spaced numbers, all with the decimals that tell them apart."""
    step = float(np.diff(values).min()) if len(values) > 1 else abs(float(values[0])) or 1.0
    decimals = next(d for d in range(20) if abs(round(step, d) - step) <= 1e-6 * step)
    return [f"{value + 0.0:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for value in values]


def _short(value: float) -> str:
    """Two digits, without a power of ten where that is short as well."""
    text = f"{value:.0f}" if 10 <= abs(value) < 1e5 else f"{value:.2g}"
    return text.replace("-", "\N{MINUS SIGN}")


def annotate(axes: Axes, scaled: Scaled, inches: float, has_bar: bool) -> None:
    """Says in the picture what colours cannot: that there is nothing, how small it is, what is missing."""
    empty = scaled.unit == 0
    note = scaled.note
    if not empty and not has_bar and abs(scaled.unit) < TINY:
        note = "\n".join(filter(None, [f"full colour: {_short(scaled.unit)}", note]))
    if note:
        axes.text(
            0.5,
            0.5 if empty else 0.03,
            note,
            transform=axes.transAxes,
            ha="center",
            va="center" if empty else "bottom",
            fontsize="x-small" if inches < 3 else "small",
            in_layout=False,  # wider than a small panel, it would shrink all panels
            color="black",  # on its own white, in light and dark styles
            bbox={"facecolor": "white", "edgecolor": "0.6", "alpha": 0.85, "boxstyle": "round,pad=0.3"},
        )


def set_titles(panels: Sequence[Axes], titles: Sequence[str | None], literal: bool = False) -> None:
    """Titles that stay above their own panels: all shrunk alike first, then wrapped.

    With ``literal`` a ``$`` begins no mathematics.
    """
    inches = min(map(width_of, panels))
    longest = max(len(line) for title in titles for line in (title or "").split("\n"))
    fitting = inches * 72 / (max(1, longest) * LETTER)
    for axes, title in zip(panels, titles, strict=True):
        if title is None:
            continue
        text = axes.set_title(title, parse_math=not literal)
        if fitting < float(text.get_fontsize()):
            text.set_fontsize(max(fitting, SMALLEST_TITLE))
        if fitting < SMALLEST_TITLE and (literal or "$" not in title):  # mathematics cannot be cut anywhere
            width = max(8, int(inches * 72 / (LETTER * SMALLEST_TITLE)))
            text.set_text("\n".join(textwrap.fill(line, width) for line in title.split("\n")))


def legend(axes: Axes, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend that takes names literally."""
    made = axes.legend(handles, [str(i) for i in range(len(labels))], loc="best")
    # Written afterwards: matplotlib leaves out labels that begin with an underscore, and reads $ as mathematics.
    for text, label in zip(made.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(label)


def tighten(figure: Figure) -> None:
    with warnings.catch_warnings():
        # A figure that is too small for its titles is still better than none, and needs no warning.
        warnings.filterwarnings("ignore", message=".*[Tt]ight.layout")
        figure.tight_layout()


def width_of(axes: Axes) -> float:
    """In inches."""
    return float(axes.get_window_extent().width / axes.figure.dpi)
