"""Regions of an image, outlined and named."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from numpy.typing import ArrayLike, NDArray

from attriscope._drawing.scales import as_array
from attriscope.core.errors import InputError


def draw_mask_border(
    ax: Axes,
    mask: ArrayLike,
    border_width: int = 1,
    border_color: str | NDArray[np.floating[Any]] = "black",
) -> None:
    """Draw the inner border of a region over an image.

    Args:
        ax: the axes, usually with the image on it.
        mask: shape (H, W); true inside the region.
        border_width: in pixels; 0 draws nothing.
        border_color: a colour of matplotlib: a name, or numbers 0..1 for red, green, blue and perhaps opacity.

    Raises:
        InputError: the mask is not (H, W), or the width is negative.
    """
    region = _region(mask)
    if border_width < 0:
        raise InputError(f"border_width must be at least 0, but {border_width!r} came")
    inside = region
    for _ in range(border_width):
        padded = np.pad(inside, 1)
        inside = inside & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        if not inside.any():
            break
    border = np.zeros((*region.shape, 4))
    border[region & ~inside] = to_rgba(border_color)  # type: ignore[arg-type]
    if border.any():
        ax.imshow(border, interpolation="nearest")


def draw_mask_legend(
    ax: Axes,
    mask: ArrayLike,
    label: str,
    fontsize: int = 10,
    text_color: str = "white",
    bbox_facecolor: str = "black",
    bbox_alpha: float = 0.6,
) -> None:
    """Write a label on a region: at its centre of mass, or, where that is outside, at the region's nearest pixel.

    Args:
        ax: the axes.
        mask: shape (H, W); true inside the region. An empty region gets no label.
        label: the text, taken as it is.
        fontsize: in points.
        text_color: of the text.
        bbox_facecolor, bbox_alpha: colour and opacity, 0 to 1, of the box behind it.

    Raises:
        InputError: the mask is not (H, W).
    """
    points = np.argwhere(_region(mask))
    if not len(points):
        return
    at = points.mean(axis=0)
    distance = np.abs(points - at).max(axis=1)
    if distance.min() > 0.5:  # no pixel of the region covers its centre of mass
        at = points[((points - at) ** 2).sum(axis=1).argmin()]
    ax.text(
        at[1],
        at[0],
        str(label),
        fontsize=fontsize,
        color=text_color,
        ha="center",
        va="center",
        parse_math=False,
        bbox={
            "facecolor": bbox_facecolor,
            "alpha": bbox_alpha,
            "edgecolor": "none",
            "boxstyle": "round,pad=0.2",
        },
    )


def _region(mask: ArrayLike) -> NDArray[np.bool_]:
    region = as_array(mask, "mask").astype(bool)
    if region.ndim != 2:
        raise InputError(f"mask must be of shape (H, W), but the shape {region.shape} came")
    return region
