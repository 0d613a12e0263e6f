"""Attributions of several methods for several pictures, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap
from numpy.typing import NDArray

from attriscope._drawing import drawing
from attriscope._drawing.images import ImageVisualizationMethod, Panel
from attriscope._drawing.scales import Floats, Scaled, VisualizeSign, as_array, member, scale
from attriscope.core.errors import InputError, InputTypeError
from attriscope.plots._arguments import names_for
from attriscope.plots._axes import Grid, axes_for, dots_per_inch, given_axes

CHANNELS = (1, 3, 4)
WIDEST = 14.0  # inches of a new figure
SCALES = ("each", "method", "all")


def comparison(
    pictures: Any,
    attributions: Mapping[str, Any],
    *,
    names: Sequence[object] | None = None,
    shared: str = "each",
    sign: str = "all",
    outlier_perc: float = 2,
    blend: bool = False,
    alpha_overlay: float = 0.5,
    cmap: str | Colormap | None = None,
    axes: Any = None,
    use_pyplot: bool = True,
) -> Grid:
    """Draw a grid of examples by methods: each row a picture, then its attributions by every method.

    Signs, scales, outliers and colours are those of :func:`~attriscope.attr.visualization.visualize_image_attr`. Every
    scale has a colour bar with the units of the attributions; it has an arrow where values were clipped, and says how
    far these reach. A map without anything to draw stays empty and says so.

    Args:
        pictures: the examples, as a batch or one by one: each (H, W), (C, H, W) or (H, W, C) with C of 1, 3 or 4. Where
            both orders are possible, tensors are taken as (C, H, W) and arrays as (H, W, C).
        attributions: from the name of a method to its attributions, one per picture: (H, W), (C, H, W) or (H, W, C),
            which are added up over channels. Values that are not finite stay blank.
        names: of the examples, written beside the rows.
        shared: which maps share a scale: ``"each"`` has its own, as methods differ in units; ``"method"``: those of one
            method; ``"all"``.
        sign: ``"all"``, ``"positive"``, ``"negative"`` or ``"absolute_value"``.
        outlier_perc: percent, 0 to 100, per scale: the largest attributions that make up this share of the sum of all
            sizes get the full colour. 0 clips nothing.
        blend: draw the maps over the picture in grey.
        alpha_overlay: opacity of the maps then, 0 to 1.
        cmap: a colour map of matplotlib or its name.
        axes: where to draw: one axes per picture and per map, of shape (examples, 1 + methods); by default on a new
            figure.
        use_pyplot: whether the new figure is pyplot's.

    Returns:
        The axes, an array of shape (examples, 1 + methods).

    Raises:
        InputError: (a ``ValueError``) nothing to draw, shapes or numbers of examples that do not fit each other, an
            unknown sign or scale, an ``outlier_perc`` or ``alpha_overlay`` out of range.
    """
    if shared not in SCALES:
        raise InputError(f"shared must be one of {', '.join(map(repr, SCALES))}, but {shared!r} came")
    chosen = member(VisualizeSign, sign, "sign")
    images = [
        _picture(picture, f"pictures[{i}]") for i, picture in enumerate(_examples(pictures, "pictures"))
    ]
    if not images:
        raise InputError("pictures must hold at least one picture, but there is none")
    maps = _maps(attributions, images)
    labels = None if names is None else names_for(names, len(images), "names", "")
    own = {at: scale(values, chosen, outlier_perc) for at, values in maps.items()}
    scaled = own if shared == "each" else {}
    for group in _groups(maps, shared) if shared != "each" else ():
        scaled |= _together({at: maps[at] for at in group}, chosen, outlier_perc)
    rows, columns = len(images), 1 + len(attributions)
    method = (ImageVisualizationMethod.blended_heat_map if blend else ImageVisualizationMethod.heat_map).name
    drawing.on_white("gray", alpha_overlay)  # refuses what is no opacity before anything is drawn
    grid = None if axes is None else given_axes(axes, (rows, columns), "examples, 1 + methods")
    # Of a new figure: panels of about two inches, and half an inch for each row of colour bars.
    across = min(2.0, WIDEST / columns)
    heights = [across * min(1.5, image.shape[0] / image.shape[1]) for image in images]
    size = across * columns, sum(heights) + 0.35 + 0.6 * (rows if shared == "each" else 1)
    layout: dict[str, Any] = {"nrows": rows, "ncols": columns, "height_ratios": heights, "squeeze": False}
    new = axes_for(None, size, "compressed", use_pyplot, **layout) if grid is None else nullcontext(grid)
    with new as panels:
        drawn: dict[tuple[int, int], ScalarMappable] = {}
        for i, image in enumerate(images):
            Panel(None, image, "original_image", sign, outlier_perc).draw(panels[i, 0].figure, panels[i, 0])
            if labels is not None:
                panels[i, 0].set_ylabel(labels[i], parse_math=False)
        for (i, j), its in scaled.items():
            panel = Panel(maps[i, j], images[i], method, chosen.name, outlier_perc)
            panel.scaled = its
            mappable = panel.draw_image(panels[i, j], cmap, alpha_overlay)
            assert mappable is not None  # a heat map has colours
            drawn[i, j] = panel.opaque(mappable, alpha_overlay)
            drawing.annotate(panels[i, j], own[i, j], drawing.width_of(panels[i, j]), has_bar=True)
        titles = ["", *map(str, attributions)]
        drawing.set_titles(list(panels[0]), titles, literal=True)
        for group in _groups(maps, shared):
            _draw_colorbar([panels[at] for at in group], drawn[group[0]], scaled[group[0]])
    return panels


def _examples(value: Any, argument: str) -> list[Any]:
    """The examples of a batch or a sequence."""
    shape = getattr(value, "shape", None)
    if shape is not None and len(shape) < 3:
        raise InputError(
            f"{argument} must hold one example after the other, but the shape {tuple(shape)} came; "
            f"for a single one: {argument}[None]"
        )
    try:
        return list(value)
    except TypeError as error:
        raise InputTypeError(
            f"{argument} must be a batch or a sequence of examples, but a {type(value).__name__} came"
        ) from error


def _picture(value: Any, argument: str) -> NDArray[Any]:
    """One picture with its channels last."""
    array = as_array(value, argument)
    if array.ndim == 3 and array.size:
        first, last = array.shape[0] in CHANNELS, array.shape[2] in CHANNELS
        if first and (not last or hasattr(value, "detach")):
            return array.transpose(1, 2, 0)
        if last:
            return array
    elif array.ndim == 2 and array.size:
        return array
    raise InputError(
        f"{argument} must be of shape (H, W), (C, H, W) or (H, W, C) with 1, 3 or 4 channels, but {array.shape} came"
    )


def _maps(attributions: Mapping[str, Any], images: list[NDArray[Any]]) -> dict[tuple[int, int], Floats]:
    """Attributions (H, W), by row and column of the grid; the pictures have column 0."""
    if not isinstance(attributions, Mapping):
        raise InputTypeError(
            f'attributions must be a mapping such as {{"method": maps}}, but a {type(attributions).__name__} came'
        )
    if not attributions:
        raise InputError("attributions must hold those of at least one method, but it is empty")
    maps = {}
    for j, (method, given) in enumerate(attributions.items(), start=1):
        argument = f"attributions[{method!r}]"
        examples = _examples(given, argument)
        if len(examples) != len(images):
            raise InputError(
                f"{argument} must hold one map per picture ({len(images)}), but {len(examples)} came"
            )
        for i, (value, image) in enumerate(zip(examples, images, strict=True)):
            maps[i, j] = _map(value, image.shape[:2], f"{argument}[{i}]")
    return {at: maps[at] for at in sorted(maps)}


def _map(value: Any, size: tuple[int, ...], argument: str) -> Floats:
    array = as_array(value, argument).astype(np.float64, copy=False)
    if array.shape == size:
        return array
    if array.ndim == 3:
        first, last = array.shape[1:] == size, array.shape[:2] == size
        if first and (not last or hasattr(value, "detach")):
            return np.asarray(array.sum(axis=0))
        if last:
            return np.asarray(array.sum(axis=2))
    raise InputError(
        f"{argument} of shape {array.shape} does not fit the picture of {size[0]} x {size[1]}; maps of a layer are "
        "made larger by LayerAttribution.interpolate"
    )


def _groups(maps: Mapping[tuple[int, int], Floats], shared: str) -> list[list[tuple[int, int]]]:
    """Which places of the grid have a colour bar together."""
    if shared == "all":
        return [list(maps)]
    if shared == "each":
        return [[at] for at in maps]
    return [[at for at in maps if at[1] == j] for j in sorted({column for _, column in maps})]


def _together(
    maps: Mapping[tuple[int, int], Floats], sign: VisualizeSign, outlier_perc: float
) -> dict[tuple[int, int], Scaled]:
    """Several maps on one scale: outliers are those of all of them."""
    joint = scale(np.concatenate([values.ravel() for values in maps.values()]), sign, outlier_perc)
    parts = np.split(joint.values, np.cumsum([values.size for values in maps.values()])[:-1])
    return {
        at: Scaled(part.reshape(values.shape), joint.unit, joint.low, joint.high, sign, joint.blanks)
        for (at, values), part in zip(maps.items(), parts, strict=True)
    }


def _draw_colorbar(panels: list[Axes], drawn: ScalarMappable, scaled: Scaled) -> None:
    """A colour bar below the panels that share a scale."""
    places = [axes.get_position() for axes in panels]
    widths = {round(place.x0, 6): drawing.width_of(axes) for place, axes in zip(places, panels, strict=True)}
    inches = min(5.0, sum(widths.values()))
    below, above = min(place.y0 for place in places), max(place.y1 for place in places)
    figure = panels[0].figure
    height = (above - below) * figure.bbox.height / dots_per_inch(panels[0])
    bar = {"fraction": 0.12 / height, "pad": 0.08 / height, "aspect": inches / 0.12}
    # Panels stay where they were: beside them are pictures, which have no bar.
    drawing.colorbar(figure, drawn, scaled, inches, ax=panels, panchor=False, **bar)
