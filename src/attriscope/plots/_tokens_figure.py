"""Words on coloured ground, in lines that are broken when the figure is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgb, to_rgba
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import ScaledTranslation, blended_transform_factory
from numpy.typing import ArrayLike

from attriscope._drawing import drawing
from attriscope._drawing.scales import Floats, Scaled
from attriscope.plots._axes import AGAINST, FOR, axes_for, dots_per_inch, write_title
from attriscope.plots._token_text import is_right_to_left, visible, words_and_scale

# In sizes of the font.
PAD = 0.25  # beside a word, within its ground
TALL = 1.6  # the ground
BASELINE = 1.13  # from the upper end of the ground
GAP = 0.22  # between the grounds of two words
PITCH = 1.9  # from line to line
SMALLEST = 4.0  # points
# In inches.
WIDTH = 7.0  # of a new figure
BAR, SECOND_LINE = 0.62, 0.16  # for the colour bar with its numbers and label, and for more of the label


def tokens(
    words: Sequence[object],
    attributions: ArrayLike,
    *,
    outlier_perc: float = 0,
    cmap: str | Colormap | None = None,
    fontsize: float | None = None,
    ax: Axes | None = None,
    use_pyplot: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw words on the colours of their attributions, in as many lines as the width asks for.

    Words are data: ``$`` and ``<`` are drawn as they are, line breaks and tabs as signs. If the first letter is of a
    language that runs from right to left, so do the lines. A word whose attribution is not finite has a dashed frame
    and no colour. Letters that no font of matplotlib has are drawn as boxes, of which matplotlib warns
    (``rcParams["font.family"]`` takes a list of fonts to try).

    Args:
        words: L words or tokens.
        attributions: shape (L,).
        outlier_perc: percent, 0 to 100. The largest attributions that make up this share of the sum of all sizes get
            the full colour; the colour bar says so. By default nothing is clipped.
        cmap: a colour map of matplotlib or its name, from negative to positive; by default from red to green through
            the colour of the background.
        fontsize: in points; by default the style's. Smaller ones are taken, down to 4, if the lines need more room
            than the axes have.
        ax: where to draw; by default on a new figure, as high as the lines need. Its ticks and frame are taken away.
        use_pyplot: whether the new figure is pyplot's.
        title: a text, taken literally.

    Returns:
        The axes; its texts are the words, and its patches their grounds, in their order.

    Raises:
        InputError: (a ``ValueError``) not one attribution per word, no words, ``outlier_perc`` out of range.
    """
    labels, _, scaled = words_and_scale(words, attributions, outlier_perc)
    with axes_for(ax, (WIDTH, 3.0), use_pyplot=use_pyplot) as axes:
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        axes.patch.set_visible(False)
        for side in axes.spines.values():
            side.set_visible(False)
        ink = axes.xaxis.label.get_color()
        colors = ScalarMappable(
            Normalize(-1.0, 1.0), _diverging(_ground(axes, ink)) if cmap is None else cmap
        )
        size = float(FontProperties(size=fontsize or matplotlib.rcParams["font.size"]).get_size_in_points())
        cells = [
            _token_artists(axes, visible(word), colors.to_rgba(value) if np.isfinite(value) else None, ink)
            for word, value in zip(labels, scaled.values, strict=True)
        ]
        inches = min(3.6, 0.9 * drawing.width_of(axes))
        bar = BAR + SECOND_LINE * (inches < 3.5 and any(scaled.clipped))
        strip = _TokenLayout(axes, cells, size, is_right_to_left(labels), bar)
        write_title(axes, title)
        if ax is None:
            height = strip.lines(WIDTH - 0.2) * PITCH * size / 72 + bar + 0.1
            axes.figure.set_size_inches(WIDTH, height + (0.0 if title is None else 0.35))
        _draw_colorbar(axes, colors, scaled, inches, bar)
    return axes


def _diverging(ground: Any) -> Colormap:
    colors = [AGAINST, ground, FOR]
    return LinearSegmentedColormap.from_list(
        "against, nothing, for", colors, N=257
    )  # odd: one of them is for 0


def _ground(axes: Axes, ink: Any) -> Any:
    """What is behind the axes, so that words without attribution have no colour of their own."""
    for figure in (axes.figure, axes.figure.canvas.figure):  # a part of a figure is see-through by default
        if to_rgba(figure.get_facecolor())[3] > 0.5:
            return to_rgb(figure.get_facecolor())
    return "black" if _legible(to_rgba(ink)) == "black" else "white"  # see-through: the text knows


def _legible(ground: tuple[float, ...]) -> str:
    """Black or white, whichever has more contrast to the ground (WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in ground[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "white"


def _draw_colorbar(axes: Axes, colors: ScalarMappable, scaled: Scaled, inches: float, height: float) -> None:
    """The colour bar, within the axes at their lower end: nothing around them moves."""
    area: Any = axes.transAxes
    from_below = axes.figure.dpi_scale_trans + ScaledTranslation(0, 0, area)
    share = inches / drawing.width_of(axes)
    place = axes.inset_axes(
        (0.5 - share / 2, height - 0.22, share, 0.12), transform=blended_transform_factory(area, from_below)
    )
    drawing.colorbar(axes.figure, colors, scaled, inches, cax=place)
    if scaled.blanks:
        place.set_xlabel(f"{place.get_xlabel()}, dashed: {scaled.blanks:,} not finite", fontsize="small")


def _token_artists(axes: Axes, word: str, ground: Any, ink: Any) -> tuple[Rectangle, Text]:
    """A word and its ground, still without a place; without a ground a dashed frame."""
    style = (
        {"facecolor": "none", "edgecolor": ink, "linestyle": "--", "linewidth": 0.8}
        if ground is None
        else {"facecolor": ground, "linewidth": 0}
    )
    box = Rectangle((0, 0), 0, 0, transform=axes.transAxes, clip_on=False, **style)
    axes.add_artist(box)
    text = axes.text(
        0,
        0,
        word,
        transform=axes.transAxes,
        color=ink if ground is None else _legible(ground),
        parse_math=False,
    )
    for artist in (box, text):
        artist.set_in_layout(False)  # where they stand follows from the layout
    return box, text


class _TokenLayout(Artist):
    """Puts the words of an axes in their places whenever the figure is drawn: only then its width is known.

    Args:
        cells: grounds and words.
        size: of the words in points.
        right_to_left: where lines begin.
        below: inches at the lower end that are not for words.
    """

    def __init__(
        self,
        axes: Axes,
        cells: list[tuple[Rectangle, Text]],
        size: float,
        right_to_left: bool,
        below: float,
    ) -> None:
        super().__init__()
        self.cells, self.size, self.right_to_left, self.below = cells, size, right_to_left, below
        self.set_zorder(cells[0][0].get_zorder() - 1)  # drawn before the words
        self.set_in_layout(False)
        axes.add_artist(self)
        self.on = axes

    def draw(self, renderer: Any) -> None:
        area = self.on.get_window_extent()
        height = area.height - self.below * dots_per_inch(self.on)
        size = self.size
        while True:
            widths, unit = self._widths(size, renderer)
            places = _broken_lines(widths, GAP * unit, area.width)
            needed = (places[-1][0] + 1) * PITCH * unit
            if (needed <= height and widths.max() <= area.width) or size <= SMALLEST:
                break
            # Letters half as high take a quarter of the room, but for what is lost at the ends of lines.
            factor = np.sqrt(max(height, 1.0) / needed)
            size = max(size * min(factor, 0.95), SMALLEST)
        for (box, text), width, (line, x) in zip(self.cells, widths, places, strict=True):
            left = area.width - x - width if self.right_to_left else x
            top = area.height - line * PITCH * unit
            text.set_position(((left + PAD * unit) / area.width, (top - BASELINE * unit) / area.height))
            box.set_bounds(
                left / area.width,
                (top - TALL * unit) / area.height,
                width / area.width,
                TALL * unit / area.height,
            )

    def lines(self, inches: float) -> int:
        """How many there are at the full size in a width."""
        widths, unit = self._widths(self.size, None)
        return 1 + _broken_lines(widths, GAP * unit, inches * dots_per_inch(self.on))[-1][0]

    def _widths(self, size: float, renderer: Any) -> tuple[Floats, float]:
        """Of the words with their grounds at a size, which they get, and the size itself; all in pixels."""
        unit = size * dots_per_inch(self.on) / 72
        for _, text in self.cells:
            text.set_fontsize(size)
        # Not in proportion to the size: letters are fitted to the pixels.
        widths = [text.get_window_extent(renderer).width + 2 * PAD * unit for _, text in self.cells]
        return np.array(widths), unit


def _broken_lines(widths: Floats, gap: float, width: float) -> list[tuple[int, float]]:
    """The line of each word, and where in it the word begins."""
    places: list[tuple[int, float]] = []
    line, x = 0, 0.0
    for its in widths:
        if x > 0 and x + its > width:
            line, x = line + 1, 0.0
        places.append((line, x))
        x += float(its) + gap
    return places
