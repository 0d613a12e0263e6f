"""The view as a picture: for papers, for mail, and for viewers that show no widgets.

Colours are those of :mod:`~attriscope.widget.export.colours`. What notebooks keep is in
:mod:`~attriscope.widget.export.saved`; a page that can still be played with is written by
:mod:`~attriscope.widget.export.html`.
"""

from __future__ import annotations

import dataclasses
import io
import math
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from attriscope.widget.export import colours
from attriscope.widget.export.colours import Array, Scale
from attriscope.widget.export.difference import difference, why_not
from attriscope.widget.export.table_figure import TableView
from attriscope.widget.messages.types import RawHeat, RawPicture, RawPinned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches: the picture's height or width, and what stands around it.
_SIDE, _MARGIN, _LINE_HEIGHT, _BAR = 4.0, 0.12, 0.19, 1.05
_DPI = 120
# One that is saved with something else is coarser and of at most 256 colours: what holds many of them stays small.
_SMALL_DPI, _SMALL_COLORS = 90, 256
# Maps that are looked at with each other.
_PAIR = 2
# A title of more letters is cut; a line holds so many per inch.
_TITLE, _PER_INCH = 240, 13


@dataclasses.dataclass(frozen=True)
class View:
    """What is on show.

    Attributes:
        picture: (H, W, 3), from 0 to 1.
        drawn: the map (H, W) by its sign; ``None`` if there is none.
        scale: its colours.
        title, caption: what it is, and its numbers.
        mode, opacity, sign: how it is drawn.
        walking: whether it is what has been attributed up to a place on the path.
        unit: what the numbers are, in words.
        pinned: another view that was kept, to be drawn before it.
    """

    picture: Array
    drawn: Array | None
    scale: Scale | None
    title: str
    caption: str
    mode: str
    opacity: float
    sign: str
    walking: bool = False
    unit: str = ""
    pinned: View | None = None

    @classmethod
    def of(cls, widget: Any) -> View:
        """Of anything with the traits of an overlay, and ``path`` and ``alpha`` if it has a path.

        Raises:
            RuntimeError: there is no picture yet.
        """
        path: Any = getattr(widget, "path", {})
        heat, alpha = widget.heat, getattr(widget, "alpha", 1.0)
        if not widget.picture:
            raise RuntimeError("there is no picture to draw")
        picture = colours.pixels(widget.picture)
        walking = bool(heat) and alpha < 1 and bool(path) and bool(widget.baseline_picture)
        of: Any = path if walking else heat
        how = (widget.mode, widget.opacity, widget.sign, walking, of.get("unit", ""))
        side = block_side(widget)
        if not heat:
            return cls(picture, None, None, "", "", *how)
        if walking:
            start = colours.pixels(widget.baseline_picture)
            picture = (1 - alpha) * start + alpha * picture
            # On the way the scale stays that of the whole path, so that one sees it build up.
            pixels = path.get("pixels", 1.0)
            found, _ = colours.summed(colours.frame(path, alpha), side, pixels)
            _, whole = colours.summed(colours.frame(path, 1.0), side, pixels)
            total = float(np.interp(alpha, path["alphas"], path["totals"]))
            title, numbers = f"{path['title']}, accumulated to α = {alpha:.2f}", [f"sum so far {total:.3g}"]
        else:
            found, whole = _values(heat, side)
            title, numbers = heat["title"], _numbers(heat)
        kept = picked(widget)
        limit, pinned = widget.scale_limit, None
        if len(kept) == 1:
            other = kept[0]["heat"]
            alike = other.get("quantity") == ("contribution" if walking else heat.get("quantity"))
            if alike:
                limit = _shared_limit(widget, whole, _values(other, side)[1])
            pinned = cls.of_map(widget, other, kept[0]["picture"], limit)
        scale, drawn = _scale(widget, whole, limit), _drawn(widget, found, picture)
        return cls(picture, drawn, scale, title, _caption(numbers, scale), *how, pinned)

    @classmethod
    def of_map(cls, widget: Any, heat: RawHeat, picture: RawPicture, limit: float | None) -> View:
        """Of any map, drawn as the widget's are, by a scale that ends at ``limit``."""
        found, whole = _values(heat, block_side(widget))
        below, scale = colours.pixels(picture), _scale(widget, whole, limit)
        return cls(
            below,
            _drawn(widget, found, below),
            scale,
            heat["title"],
            _caption(_numbers(heat), scale),
            widget.mode,
            widget.opacity,
            widget.sign,
            unit=heat.get("unit", ""),
        )


def picked(widget: Any) -> list[RawPinned]:
    """The pins that are looked at, in the order in which they were picked; not the map on show beside itself."""
    kept = {pin["id"]: pin for pin in getattr(widget, "pinned", ())}
    found = [kept[number] for number in getattr(widget, "beside", ()) if number in kept]
    alone = len(found) == 1 and getattr(widget, "alpha", 1.0) == 1
    same = alone and (found[0]["heat"], found[0]["picture"]) == (widget.heat, widget.picture)
    return [] if same else found


def shown(widget: Any) -> View | TableView:
    """What the stage shows: the map, beside a pin or minus it, or what two pins make of each other; or a table's row.

    Raises:
        RuntimeError: there is no picture yet.
    """
    if getattr(widget, "table", {}):
        return TableView.of(widget)
    kept: list[Any] = picked(widget)
    walking = getattr(widget, "alpha", 1.0) < 1
    if len(kept) == 1 and widget.heat and not walking:
        kept = [{"heat": widget.heat, "picture": widget.picture}, *kept]
    if len(kept) < _PAIR:
        return View.of(widget)
    (first, under), (second, below) = ((one["heat"], one["picture"]) for one in kept)
    if widget.compare_as == "difference" and not why_not(first, second):
        return View.of_map(widget, difference(first, second), under, None)
    if len(picked(widget)) < _PAIR:
        return View.of(widget)
    side = block_side(widget)
    limit: float | None = widget.scale_limit
    if first.get("quantity") == second.get("quantity"):
        limit = _shared_limit(widget, _values(first, side)[1], _values(second, side)[1])
    left = View.of_map(widget, first, under, limit)
    return dataclasses.replace(View.of_map(widget, second, below, limit), pinned=left)


def _shared_limit(widget: Any, one: Array, other: Array) -> float | None:
    """Where a scale ends that is good for two maps."""
    return max(_scale(widget, values, widget.scale_limit).limit for values in (one, other)) or None


# Blocks along the shorter side of a picture, unless that has so few pixels that each can be seen; the page knows the
# same (js/src/selection/detail.ts).
_SIDES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_SMALL, _REGIONS, _FEWEST = 64, 14, 3


def block_side(widget: Any) -> int:
    """The side of the blocks that a widget's maps are summed over, in pixels of the input."""
    chosen = getattr(widget, "detail", 1)
    if chosen is not None:
        return int(chosen)
    shorter = min(widget.picture["shape"])
    if shorter <= _SMALL:
        return 1
    sides = [side for side in _SIDES if side == 1 or shorter / side >= _FEWEST]
    return min(sides, key=lambda side: abs(math.log(side * _REGIONS / shorter)))


def _values(heat: RawHeat, side: int) -> tuple[Array, Array]:
    """The numbers of a map as they are drawn, and those that its scale is made for."""
    return colours.summed(colours.values(heat), side if heat.get("summable") else 1, heat.get("pixels", 1.0))


def _scale(widget: Any, values: Array, limit: float | None) -> Scale:
    return Scale.of(
        colours.transformed(values, widget.sign), widget.sign, widget.colormap, widget.outlier_percent, limit
    )


def _drawn(widget: Any, values: Array, picture: Array) -> Array:
    shape = (picture.shape[0], picture.shape[1])
    return colours.transformed(colours.resized(values, shape), widget.sign)


def _caption(numbers: list[str], scale: Scale) -> str:
    clipped = f"{scale.clipped:.1%} of the values lie beyond the scale" if scale.limit > 0 else "all zero"
    return "; ".join([*numbers, clipped])


def _numbers(heat: RawHeat) -> list[str]:
    named = (
        ("sum", heat.get("sum")),
        ("standard error up to", heat.get("error")),
        ("gap", heat.get("gap")),
    )
    return [f"{words} {value:.3g}" for words, value in named if value is not None]


def figure(view: View | TableView) -> Figure:
    """A view drawn by matplotlib, beside the one that was pinned if there is one."""
    if isinstance(view, TableView):
        return view.figure()
    from attriscope._drawing.drawing import StandaloneFigure

    views = [view] if view.pinned is None else [view.pinned, view]
    widths, heights = zip(*(_inches(one) for one in views), strict=True)
    barred = view.scale is not None and view.scale.limit > 0 and view.mode != "masked"
    titles = [_lines(one.title, width) for one, width in zip(views, widths, strict=True)]
    top, bottom = _LINE_HEIGHT * max(map(len, titles)) + _MARGIN, _LINE_HEIGHT + _MARGIN
    down = max(heights)
    across = sum(widths) + 2 * _MARGIN * len(views)
    whole = (across + (_BAR if barred else 0), down + top + bottom)
    # Not pyplot's: nothing is registered, and any thread may draw.
    made = StandaloneFigure(figsize=whole, dpi=_DPI)
    left = _MARGIN
    for one, width, height, lines in zip(views, widths, heights, titles, strict=True):
        axes = made.add_axes(
            (left / whole[0], bottom / whole[1], width / whole[0], height / whole[1]), aspect="auto"
        )
        axes.set_axis_off()
        axes.imshow(image_of(one), aspect="auto")
        middle = (left + width / 2) / whole[0]
        for i, line in enumerate(lines):
            place = 1 - (_MARGIN / 2 + _LINE_HEIGHT * i) / whole[1]
            made.text(middle, place, line, ha="center", va="top", fontsize=9, parse_math=False)
        made.text(middle, _MARGIN / 2 / whole[1], one.caption, ha="center", va="bottom", fontsize=7)
        left += width + 2 * _MARGIN
    if barred:
        left += 0.1 - _MARGIN
        _bar(made, (left / whole[0], bottom / whole[1], 0.14 / whole[0], down / whole[1]), view)
    return made


def _inches(view: View) -> tuple[float, float]:
    """How wide and high a view is drawn."""
    height, width = view.picture.shape[:2]
    across = _SIDE * min(1.0, width / height)
    panels = 2 if view.mode == "side" and view.drawn is not None else 1
    return panels * across, across * height / width


def image_of(view: View) -> Array:
    """The picture with its map, (H, W, 3), from 0 to 1."""
    if view.drawn is None or view.scale is None:
        return view.picture
    return colours.painted(view.picture, view.drawn, view.scale, view.mode, view.opacity)


def _bar(made: Figure, place: tuple[float, float, float, float], view: View) -> None:
    """The colours and what they stand for, over the same ground as on the page."""
    assert view.scale is not None
    low, colors = legend_colors(view)
    axes = made.add_axes(place)
    axes.imshow(colors[::-1, None], extent=(0, 1, low, view.scale.limit), aspect="auto")
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.tick_params(labelsize=7)
    axes.set_ylabel(unit_of(view), fontsize=8)


def legend_colors(view: View) -> tuple[float, Array]:
    """Where the scale of a view begins, and 256 colours (256, 3) from there to its end, as they look in the picture."""
    scale = view.scale
    assert scale is not None
    low = -scale.limit if scale.two_sided else 0.0
    values = np.linspace(low, scale.limit, 256)
    colors = scale.color(values)
    if view.mode == "blended":
        cover = scale.opacity(values, view.opacity)[:, None]
        colors = cover * colors + (1 - cover) * colours.GROUND
    return low, colors


def unit_of(view: View) -> str:
    """What the numbers of the scale are."""
    sign = {"negative": ", size of negative values", "absolute": ", size", "positive": ", positive values"}
    return (view.unit or "attribution") + sign.get(view.sign, "")


def _lines(title: str, inches: float) -> list[str]:
    """A title in lines, and not too many of them."""
    text = "".join(c if c.isprintable() else " " for c in title)
    text = text if len(text) <= _TITLE else text[: _TITLE - 3] + "..."
    return textwrap.wrap(text, max(12, int(inches * _PER_INCH)))


def png(made: Figure, dpi: int = _DPI) -> bytes:
    """A figure as a PNG file, of so many dots per inch."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # names may hold any sign there is
        made.savefig(file, format="png", facecolor="white", dpi=dpi)
    return file.getvalue()


def small_png(view: View | TableView) -> bytes:
    """A view as a PNG file of a few hundred kilobytes at most."""
    from PIL import Image  # which matplotlib needs, too

    file = io.BytesIO()
    with Image.open(io.BytesIO(png(figure(view), _SMALL_DPI))) as image:
        image.convert("RGB").quantize(_SMALL_COLORS).save(file, "PNG", optimize=True)
    return file.getvalue()
