"""Attributions of images, under Captum's names. Colours come from :mod:`attriscope._drawing.scales`."""

from __future__ import annotations

from enum import Enum
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from mpl_toolkits.axes_grid1 import make_axes_locatable
from numpy.typing import ArrayLike, NDArray

from attriscope._drawing import drawing
from attriscope._drawing.scales import Floats, Scaled, VisualizeSign, as_array, member, scale
from attriscope.core.errors import InputError

Pixels = NDArray[np.uint8]
GREY_RANGE: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255}
# Floats up to here are taken as 0..1 with a little overshoot, as resizing leaves it.
OVERSHOOT = 2.0


class ImageVisualizationMethod(Enum):
    """How :func:`visualize_image_attr` draws; it takes the name or the member."""

    heat_map = 1
    blended_heat_map = 2
    original_image = 3
    masked_image = 4
    alpha_scaling = 5


Method = ImageVisualizationMethod
SIGNLESS = (Method.masked_image, Method.alpha_scaling)


def visualize_image_attr(
    attr: ArrayLike | None,
    original_image: ArrayLike | None = None,
    method: str = "heat_map",
    sign: str = "absolute_value",
    plt_fig_axis: tuple[Figure, Axes] | None = None,
    outlier_perc: int | float = 2,
    cmap: str | Colormap | None = None,
    alpha_overlay: float = 0.5,
    show_colorbar: bool = False,
    title: str | None = None,
    fig_size: tuple[int, int] = (6, 6),
    use_pyplot: bool = True,
) -> tuple[Figure, Axes]:
    """Draw the attributions of one image.

    Attributions are added up over channels, the chosen sign is kept, and the result is divided by a scale that leaves
    out outliers. The arrays drawn are normalized, as Captum's are; the colour bar has the units of the attributions,
    an arrow where values were clipped, and says how far these reach. A map without anything to draw stays empty and
    says so, where Captum raises.

    Args:
        attr: shape (H, W, C) or (H, W); an array or a tensor on any device. May be ``None`` for ``"original_image"``.
            Values that are not finite stay blank.
        original_image: shape (H, W, C) or (H, W) with C of 1 (grey), 3 or 4; needed for all but ``"heat_map"``.
            Values 0..1 or 0..255; other ranges, such as those of a standardized image with negative values, are
            stretched to black..white.
        method: ``"heat_map"``; ``"blended_heat_map"``, over the image in grey; ``"original_image"``;
            ``"masked_image"``, the image times the normalized attributions; ``"alpha_scaling"``, the image with these
            as its opacity.
        sign: ``"absolute_value"``, ``"positive"``, ``"negative"`` or ``"all"``; the last only for heat maps.
        plt_fig_axis: a figure and axes to draw on instead of new ones.
        outlier_perc: percent, 0 to 100. The largest attributions that make up this share of the sum of all sizes get
            the full colour.
        cmap: a colour map of matplotlib or its name, for heat maps; greens, reds and blues by default, and red to
            green through white for ``"all"``.
        alpha_overlay: opacity of the heat map over the image, 0 to 1.
        show_colorbar: add a colour bar below; methods without colours get an invisible one, so that panels align.
        title: shrunk or wrapped if it is longer than its panel is wide.
        fig_size: width and height of a new figure in inches.
        use_pyplot: make the figure with pyplot and show it. ``False`` touches nothing of pyplot.

    Returns:
        The figure and the axes of the image.

    Raises:
        InputError: (an ``AssertionError`` and ``ValueError``) an unknown method or sign (also a ``KeyError``), a shape
            that cannot be drawn or does not fit the image, a missing image, or an ``outlier_perc`` out of range.
    """
    panel = Panel(attr, original_image, method, sign, outlier_perc)
    with drawing.figure_for(plt_fig_axis, fig_size, use_pyplot) as (figure, axes):
        panel.draw(figure, axes, cmap, alpha_overlay, show_colorbar)
        drawing.set_titles([axes], [title])
    return figure, axes


def visualize_image_attr_multiple(
    attr: ArrayLike | None,
    original_image: ArrayLike | None,
    methods: list[str],
    signs: list[str],
    titles: list[str] | None = None,
    fig_size: tuple[int, int] = (8, 6),
    use_pyplot: bool = True,
    **kwargs: Any,
) -> tuple[Figure, Axes | list[Axes]]:
    """Draw the attributions of one image in several ways, side by side.

    Args:
        attr, original_image: as for :func:`visualize_image_attr`.
        methods, signs: one of each per panel.
        titles: one per panel, or ``None``, which leaves a panel without one too.
        fig_size: width and height of the whole figure in inches.
        use_pyplot: make the figure with pyplot and show it.
        **kwargs: ``outlier_perc``, ``cmap``, ``alpha_overlay`` and ``show_colorbar`` for all panels.

    Returns:
        The figure, and a list with the axes of the panels; for a single panel its axes alone.

    Raises:
        InputError: the lists differ in length or are empty, or as for :func:`visualize_image_attr`.
        TypeError: another keyword.
    """
    if len(methods) != len(signs) or not methods:
        raise InputError(
            f"methods and signs must name one method and one sign per panel, but {list(methods)} and "
            f"{list(signs)} came"
        )
    if titles is not None and len(titles) != len(methods):
        raise InputError(f"titles must hold one title per method ({len(methods)}), but {list(titles)} came")
    wrong = set(kwargs) - {"outlier_perc", "cmap", "alpha_overlay", "show_colorbar"}
    if wrong:
        raise TypeError(f"visualize_image_attr_multiple cannot pass on {', '.join(sorted(wrong))}")
    outlier_perc = kwargs.pop("outlier_perc", 2)
    panels = [
        Panel(attr, original_image, method, sign, outlier_perc)
        for method, sign in zip(methods, signs, strict=True)
    ]
    with drawing.figure_for(None, fig_size, use_pyplot, ncols=len(panels), squeeze=False) as (figure, grid):
        axes = list(grid[0])
        for panel, its_axes in zip(panels, axes, strict=True):
            panel.draw(figure, its_axes, **kwargs)
        if titles is not None:
            drawing.set_titles(axes, titles)
        drawing.tighten(figure)
    return figure, axes[0] if len(axes) == 1 else axes


class Panel:
    """One image to be drawn: everything is checked before a figure is made."""

    def __init__(
        self,
        attr: ArrayLike | None,
        image: ArrayLike | None,
        method: str,
        sign: str,
        outlier_perc: float,
    ) -> None:
        self.method = member(Method, method, "method")
        chosen = member(VisualizeSign, sign, "sign")
        if chosen is VisualizeSign.all and self.method in SIGNLESS:
            raise InputError(
                f"{self.method.name} cannot show both signs; choose the sign 'positive', 'negative' or "
                "'absolute_value', or a heat map"
            )
        if image is None and self.method is not Method.heat_map:
            raise InputError(f"original_image must be given for {self.method.name}; only heat_map needs none")
        self.pixels = None if image is None or self.method is Method.heat_map else _pixels(image)
        self.scaled: Scaled | None = None
        if self.method is not Method.original_image:
            if attr is None:
                raise InputError(f"attr must be given for {self.method.name}; only original_image needs none")
            self.scaled = scale(_map(attr, self.pixels), chosen, outlier_perc)

    def draw(
        self,
        figure: Figure,
        axes: Axes,
        cmap: str | Colormap | None = None,
        alpha_overlay: float = 0.5,
        show_colorbar: bool = False,
    ) -> None:
        drawn = self.draw_image(axes, cmap, alpha_overlay)
        width = drawing.width_of(axes)
        if self.scaled is not None:
            drawing.annotate(axes, self.scaled, width, has_bar=show_colorbar and drawn is not None)
        if show_colorbar:
            below = make_axes_locatable(axes).append_axes("bottom", size=0.15, pad=0.1)
            if drawn is None or self.scaled is None:
                below.axis("off")
            else:
                height, across = self.scaled.values.shape
                inches = min(width, width * across / height)
                drawing.colorbar(figure, self.opaque(drawn, alpha_overlay), self.scaled, inches, cax=below)

    def opaque(self, drawn: ScalarMappable, alpha: float) -> ScalarMappable:
        """What a colour bar belongs to: a see-through bar would have the colours of the page in it."""
        if self.pixels is None:
            return drawn
        return ScalarMappable(drawn.norm, drawing.on_white(drawn.get_cmap(), alpha))

    def draw_image(self, axes: Axes, cmap: str | Colormap | None, alpha: float) -> ScalarMappable | None:
        """Returns what has the colours of a colour bar."""
        axes.grid(visible=False)
        axes.set(xticks=[], yticks=[])
        pixels, scaled = self.pixels, self.scaled
        if scaled is None:
            _show(axes, cast(Pixels, pixels))
            return None
        if self.method in SIGNLESS:
            strength = np.nan_to_num(scaled.values)[..., None]
            color, opacity = _split(cast(Pixels, pixels))
            if self.method is Method.masked_image:
                _show(axes, np.concatenate([_cut(color * strength), *opacity], axis=2))
            else:
                given = opacity[0] if opacity else 255
                color = np.broadcast_to(color, (*color.shape[:2], 3))
                axes.imshow(np.concatenate([color, _cut(given * strength)], axis=2))
            return None
        if pixels is not None:
            axes.imshow(_split(pixels)[0].mean(axis=2), **GREY_RANGE)
        return axes.imshow(
            np.ma.masked_invalid(scaled.values),
            cmap=drawing.default_cmap(scaled.sign) if cmap is None else cmap,
            vmin=scaled.lowest,
            vmax=1.0,
            alpha=None if pixels is None else alpha,
        )


def _show(axes: Axes, pixels: Pixels) -> None:
    if pixels.shape[2] == 1:
        axes.imshow(pixels[..., 0], **GREY_RANGE)
    else:
        axes.imshow(pixels)


def _split(pixels: Pixels) -> tuple[Pixels, list[Pixels]]:
    """Colour, and a list with the opacity if the image has one."""
    return (pixels[..., :3], [pixels[..., 3:]]) if pixels.shape[2] == 4 else (pixels, [])


def _map(attr: ArrayLike, pixels: Pixels | None) -> Floats:
    """Attributions (H, W), added up over channels."""
    array = as_array(attr, "attr").astype(np.float64, copy=False)
    if array.ndim not in (2, 3) or not array.size:
        raise InputError(
            f"attr must be of one image, of shape (H, W, C) or (H, W), but the shape {array.shape} came"
            + _hint(attr, "attr")
        )
    if pixels is not None and array.shape[:2] != pixels.shape[:2]:
        hint = _hint(attr, "attr") or (
            "; maps of a layer are made larger by LayerAttribution.interpolate"
            if array.shape[0] < pixels.shape[0]
            else ""
        )
        raise InputError(
            f"attr of shape {array.shape} does not fit the image of {pixels.shape[0]} x {pixels.shape[1]}{hint}"
        )
    return array.sum(axis=2) if array.ndim == 3 else array


def _pixels(image: ArrayLike) -> Pixels:
    """An image as 8-bit numbers (H, W, C) with C of 1, 3 or 4."""
    array = as_array(image, "original_image")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or not array.size or array.shape[2] not in (1, 3, 4):
        raise InputError(
            "original_image must be of shape (H, W, C) with 1, 3 or 4 channels or (H, W), but the shape "
            f"{np.shape(image)} came{_hint(image, 'original_image')}"
        )
    if array.dtype == np.uint8 and array.max() > 1:
        return array
    values = array.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    if low < 0 or high > 255:
        values = np.rint((values - low) / (high - low) * 255) if high > low else values * 0 + 127
    elif high <= 1 or (high < OVERSHOOT and array.dtype.kind == "f"):
        values = values * 255
    return _cut(values)


def _hint(value: Any, argument: str) -> str:
    """What to write for one example of a batch, or for channels that come first."""
    shape = tuple(np.shape(value))
    steps = ""
    if len(shape) == 4 and shape[0] == 1:
        steps, shape = "[0]", shape[1:]
    if len(shape) == 3 and shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4):
        steps += f".{'permute' if hasattr(value, 'detach') else 'transpose'}(1, 2, 0)"
    return f"; perhaps {argument}{steps} was meant" if steps else ""


def _cut(values: Any) -> Pixels:
    """8-bit numbers, cut off as Captum cuts them; k/255 in single precision is k all the same."""
    return cast(Pixels, np.clip(values + 1e-4, 0, 255).astype(np.uint8))
