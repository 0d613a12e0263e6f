"""How results travel to the page: small, self-describing messages of numbers and bytes.

Pictures, maps and the path. Predictions are in :mod:`~attriscope.widget.messages.predictions`, what is inside a model
in :mod:`~attriscope.widget.messages.layers`, and the types of all messages in
:mod:`~attriscope.widget.messages.types`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attriscope.widget.messages.judgements import RawSmallMap
from attriscope.widget.messages.region_types import RawSegments
from attriscope.widget.messages.types import LutKind, RawCloseUp, RawHeat, RawLut, RawPath, RawPicture

if TYPE_CHECKING:
    from typing_extensions import Unpack

K = TypeVar("K", bound=Hashable)

# What the page offers, best first. Diverging ones are safe for colour-blind eyes, the others perceptually uniform.
_COLORMAPS: dict[str, tuple[str, LutKind]] = {
    "RdBu_r": ("Blue to red", "diverging"),
    "PuOr_r": ("Purple to orange", "diverging"),
    "BrBG_r": ("Teal to brown", "diverging"),
    "inferno": ("Inferno", "sequential"),
    "viridis": ("Viridis", "sequential"),
    "cividis": ("Cividis", "sequential"),
    "magma": ("Magma", "sequential"),
    "gray": ("Grey", "sequential"),
}
COLORMAPS = ("auto", *_COLORMAPS)

# Maps larger than this (pixels along a side) are averaged down: the page shows them smaller anyway.
MAP_SIDE = 1024
PICTURE_SIDE = 1024
FRAME_SIDE = 256
FRAMES = 34
LAYER_SIDE = 56


@functools.cache
def color_tables() -> dict[str, RawLut]:
    """For each colour map its label, kind and 256 RGB colours of 8 bits."""
    import matplotlib

    positions = np.linspace(0, 1, 256)
    return {
        name: {
            "label": label,
            "kind": kind,
            "data": (matplotlib.colormaps[name](positions)[:, :3] * 255).round().astype(np.uint8).tobytes(),
        }
        for name, (label, kind) in _COLORMAPS.items()
    }


def picture_message(pixels: NDArray[np.uint8], side: int = PICTURE_SIDE) -> RawPicture:
    """A picture (H, W, 3), averaged down to at most ``side``: it says so then."""
    shown = shrunk(pixels, side)
    found: RawPicture = {"shape": list(shown.shape[:2]), "data": np.ascontiguousarray(shown).tobytes()}
    if shown is not pixels:
        found["full"] = list(pixels.shape[:2])
    return found


def close_up_message(pixels: NDArray[np.uint8], box: Sequence[int] | None) -> RawCloseUp:
    """The part of a picture (H, W, 3) in a box x0, y0, x1, y1; nothing if the whole is as fine."""
    height, width = pixels.shape[:2]
    if box is None or max(height, width) <= PICTURE_SIDE:
        return {}
    x0, y0, x1, y1 = max(0, box[0]), max(0, box[1]), min(width, box[2]), min(height, box[3])
    if x0 >= x1 or y0 >= y1:
        return {}
    shown = shrunk(pixels[y0:y1, x0:x1], PICTURE_SIDE)
    return {
        "shape": list(shown.shape[:2]),
        "data": np.ascontiguousarray(shown).tobytes(),
        "box": [x0, y0, x1, y1],
    }


def shrunk(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) averaged down to at most ``side``; the picture itself if it is no larger."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = torch.nn.functional.interpolate(
        torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float(), size, mode="area"
    )
    found: NDArray[np.uint8] = small[0].permute(1, 2, 0).round().to(torch.uint8).numpy()
    return found


def segments_message(labels: Tensor) -> RawSegments:
    """The numbers of the segments of a picture (h, w), fewer than 256."""
    return {"shape": list(labels.shape), "data": labels.to(torch.uint8).numpy().tobytes()}


def flat_map(attributions: Tensor, side: int | None = MAP_SIDE) -> Tensor:
    """Attributions of one example (1, C, H, W) added up over channels: (H, W), averaged down to at most ``side``."""
    heat = attributions.detach().sum(1, dtype=torch.float32)[:1]
    height, width = heat.shape[-2:]
    if side is not None and max(height, width) > side:
        scale = side / max(height, width)
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        heat = torch.nn.functional.interpolate(heat[:, None], size, mode="area")[:, 0]
    return heat[0]


def reduced(maps: Mapping[K, Tensor], side: int = LAYER_SIDE) -> dict[K, Tensor]:
    """Maps (h, w) in 32 bits, averaged down to at most ``side``."""
    found = {}
    for key, values in maps.items():
        scale = side / max(values.shape)
        if scale < 1:
            size = tuple(max(1, round(length * scale)) for length in values.shape)
            values = torch.nn.functional.interpolate(values[None, None].float(), size, mode="area")[0, 0]
        found[key] = values.float()
    return found


def half(values: Tensor, scale: float) -> bytes:
    """Shares of the scale in 16 bits; what is not finite is not known."""
    found = values.numpy() / (scale or 1.0)
    found[~np.isfinite(found)] = np.nan
    data: bytes = found.astype("<f2").tobytes()
    return data


def largest(values: Tensor) -> float:
    """The largest size of a number that is finite; 0 where there is none."""
    finite = torch.where(torch.isfinite(values), values.abs(), torch.zeros_like(values))
    return float(finite.amax())


def small_map(values: Tensor, side: int | None = LAYER_SIDE) -> RawSmallMap:
    """A map (H, W) of signed numbers, averaged down to at most ``side`` along a side, in 16 bits."""
    small = values.detach().float() if side is None else reduced({"": values.detach()}, side)[""]
    small = small.cpu()
    scale = largest(small)
    return {"shape": list(small.shape), "scale": scale, "data": half(small, scale)}


def heat_message(heat: Tensor, **about: Unpack[RawHeat]) -> RawHeat:
    """A map (H, W) of signed numbers."""
    values = heat.to("cpu", torch.float32).contiguous().numpy()
    return {"shape": list(values.shape), "data": values.astype("<f4", copy=False).tobytes(), **about}


def frames_message(frames: Tensor, **about: Unpack[RawPath]) -> RawPath:
    """Maps (K, H, W) in 8 bits each: sign and square root, so that small values keep their detail.

    The page gets ``scale * sign(q) * (|q| / 127) ** 2``.
    """
    scale = frames.abs().amax().nan_to_num(0.0)
    ratio = frames / torch.where(scale > 0, scale, torch.ones_like(scale))
    codes = (ratio.sign() * ratio.abs().sqrt() * 127).round().nan_to_num(0.0).to(torch.int8)
    return {
        "shape": list(frames.shape[1:]),
        "maps": codes.cpu().contiguous().numpy().tobytes(),
        "scale": float(scale),
        **about,
    }


def number(value: Any) -> float | None:
    """For JSON, which knows no NaN and no infinity."""
    value = float(value)
    return value if math.isfinite(value) else None


# The longest reason that is worth showing.
_REASON = 500


def short(text: str) -> str:
    """A reason that fits on the page."""
    return text if len(text) <= _REASON else text[: _REASON - 3] + "..."
