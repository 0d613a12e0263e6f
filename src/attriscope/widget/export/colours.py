"""A map as colours, by the same rules as on the page (``js/src/data/painting.ts``).

:mod:`~attriscope.widget.export.figure` draws with them.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attriscope.widget.messages import wire
from attriscope.widget.messages.types import RawHeat, RawPath, RawPicture

Array = NDArray[Any]

# Below a map that stands alone, and over the hidden part of a masked picture: neither light nor dark.
GROUND = 128 / 255
# From this share of the scale on, a map covers the picture as far as it may.
_KNEE = 0.6

# A scale that leaves more than this share of a map beyond it says nothing of the map; the page has the same.
_NEARLY_ALL = 0.9


def pixels(message: RawPicture) -> Array:
    """The picture (H, W, 3) in a message, from 0 to 1."""
    height, width = message["shape"]
    return np.frombuffer(message["data"], np.uint8).reshape(height, width, 3) / 255.0


def values(message: RawHeat) -> Array:
    """The map (H, W) in a message."""
    return np.frombuffer(message["data"], "<f4").reshape(message["shape"]).astype(float)


def frame(path: RawPath, alpha: float) -> Array:
    """What has been attributed up to a position on the path, (h, w)."""
    alphas = np.asarray(path["alphas"])
    after = int(np.clip(np.searchsorted(alphas, alpha), 1, len(alphas) - 1))
    gap = alphas[after] - alphas[after - 1]
    share = float(np.clip((alpha - alphas[after - 1]) / gap, 0, 1)) if gap > 0 else 1.0
    codes = np.frombuffer(path["maps"], np.int8).reshape(len(alphas), *path["shape"])
    before, then = (
        path["scale"] * np.sign(c) * (np.abs(c.astype(float)) / 127) ** 2
        for c in codes[after - 1 : after + 1]
    )
    mixed: Array = (1 - share) * before + share * then
    return mixed


def transformed(found: Array, sign: str) -> Array:
    """The values that are drawn."""
    if sign == "positive":
        return np.maximum(found, 0)
    if sign == "negative":
        return np.maximum(-found, 0)
    return np.abs(found) if sign == "absolute" else found


@dataclasses.dataclass(frozen=True)
class Scale:
    """From values to colours.

    Attributes:
        limit: where it ends; 0 for a map that is zero everywhere.
        clipped: the share of values beyond that.
        two_sided: whether it runs from ``-limit`` to ``limit`` and not from 0.
        colors: 256 colours, from 0 to 1, of shape (256, 3).
        diverging: whether the middle of the colours stands for 0.
    """

    limit: float
    clipped: float
    two_sided: bool
    colors: Array
    diverging: bool

    @classmethod
    def of(cls, drawn: Array, sign: str, colormap: str, outlier_percent: float, fixed: float | None) -> Scale:
        """The scale for a transformed map, of which the largest values may be cut off."""
        tables = wire.color_tables()
        if colormap == "auto":
            wanted = "diverging" if sign == "all" else "sequential"
            colormap = next(name for name, table in tables.items() if table["kind"] == wanted)
        size = np.nan_to_num(np.abs(drawn))
        limit = fixed if fixed is not None else float(np.percentile(size, 100 - outlier_percent))
        beyond = size[size > limit * (1 + 1e-9)].sum()
        if limit <= 0 or (fixed is None and beyond > _NEARLY_ALL * size.sum()):
            limit = float(size.max())
        return cls(
            limit,
            float((size > limit * (1 + 1e-9)).mean()),
            sign == "all",
            np.frombuffer(tables[colormap]["data"], np.uint8).reshape(256, 3) / 255.0,
            tables[colormap]["kind"] == "diverging",
        )

    def color(self, drawn: Array) -> Array:
        """Colours (..., 3)."""
        v = np.clip(np.nan_to_num(drawn) / (self.limit or 1), -1, 1)
        at = (v + 1) / 2 if self.two_sided or self.diverging else v
        picked: Array = self.colors[np.clip((at * 255).round().astype(int), 0, 255)]
        return picked

    def strength(self, drawn: Array) -> Array:
        """How far each value goes towards the end of the scale, from 0 to 1."""
        found: Array = np.clip(np.abs(np.nan_to_num(drawn)) / (self.limit or 1), 0, 1)
        return found if self.limit > 0 else np.zeros_like(found)

    def opacity(self, drawn: Array, opacity: float) -> Array:
        """How much of the picture a map hides."""
        ramp = _smooth(self.strength(drawn) / _KNEE)
        peak, floor = min(1.0, 1.6 * opacity), max(0.0, (opacity - 0.6) / 0.4)
        return floor + (peak - floor) * ramp


def _smooth(t: Array) -> Array:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def painted(picture: Array, drawn: Array, scale: Scale, mode: str, opacity: float) -> Array:
    """Picture (H, W, 3) and map (H, W) as one picture; side by side, twice as wide."""
    if mode == "side":
        return np.concatenate([picture, painted(picture, drawn, scale, "heat", opacity)], axis=1)
    if mode == "masked":
        cover = _smooth(scale.strength(drawn))[..., None]
        return cover * picture + (1 - cover) * GROUND
    if scale.limit <= 0:
        return np.full_like(picture, GROUND) if mode == "heat" else picture
    if mode == "heat":
        return scale.color(drawn)
    cover = scale.opacity(drawn, opacity)[..., None]
    mixed: Array = cover * scale.color(drawn) + (1 - cover) * picture
    return mixed


def summed(found: Array, side: int, pixels: float) -> tuple[Array, Array]:
    """A map (h, w) summed over blocks; the same where a block is one number.

    Args:
        found: the map.
        side: of a block, in pixels of the input.
        pixels: how many of those each number stands for.

    Returns:
        (h, w), each number that of its block, and the numbers of the blocks, each once: the scale is made for these.
    """
    numbers = max(1, round(side / math.sqrt(pixels)))
    if numbers == 1:
        return found, found
    rows, columns = (np.arange(length) // numbers for length in found.shape)
    block = rows[:, None] * (columns[-1] + 1) + columns
    known = ~np.isnan(found)
    counts = np.bincount(block[known], minlength=int(block.max()) + 1)
    sums = np.bincount(block[known], found[known], minlength=int(block.max()) + 1) * pixels
    sums[counts == 0] = np.nan
    return sums[block], sums


def resized(found: Array, shape: tuple[int, int]) -> Array:
    """A map (h, w) at another size, bilinearly."""
    for axis, size in enumerate(shape):
        if found.shape[axis] != size:
            old = found.shape[axis]
            at = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
            low = np.floor(at).astype(int)
            high = np.minimum(low + 1, old - 1)
            share = (at - low).reshape([-1 if i == axis else 1 for i in range(2)])
            found = found.take(low, axis) * (1 - share) + found.take(high, axis) * share
    return found
