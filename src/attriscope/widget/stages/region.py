"""A region of a picture: what a person may write for it, and the pixels that lie in it.

The page works out the same pixels from the same words (``js/src/data/region.ts``).
"""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attriscope.core.errors import InputError
from attriscope.core.inputs import describe
from attriscope.widget.messages.region_types import Region

# A lasso of more corners than this is a mistake.
_MOST_POINTS = 10_000
_FORMS = (
    'None, a boolean mask (H, W), {"kind": "box", "box": [top, left, bottom, right]}, '
    '{"kind": "lasso", "points": [[x, y], ...]} or {"kind": "segment", "point": [x, y]}'
)
_KEYS = {"box": "box", "lasso": "points", "segment": "point", "mask": "runs"}


def checked_region(value: Any, size: tuple[int, int]) -> Region:
    """A region as it travels: plain numbers in lists.

    Args:
        value: what somebody wrote: a description, or a boolean mask (H, W).
        size: height and width of the picture in pixels.

    Raises:
        InputError: it is no region of this picture.
    """
    if isinstance(value, Tensor | np.ndarray):
        return {"kind": "mask", "runs": _runs(_checked_mask(value, size))}
    kind = value.get("kind") if isinstance(value, Mapping) else None
    key = _KEYS.get(kind) if isinstance(kind, str) else None
    if key is None or set(value) != {"kind", key}:
        raise InputError(f"selection must be {_FORMS}, but {describe(value)} came")
    match kind:
        case "box":
            return {"kind": "box", "box": _box(value["box"], size)}
        case "lasso":
            points = _points(value["points"])
            if not _inside_lasso(points, size).any():
                raise InputError(f"the lasso {describe(value['points'])} goes around the middle of no pixel")
            return {"kind": "lasso", "points": points}
        case "segment":
            return {"kind": "segment", "point": _point(value["point"], size)}
    return {"kind": "mask", "runs": _checked_runs(value["runs"], size)}


def mask_of(region: Region, size: tuple[int, int], segments: Callable[[], Tensor]) -> Tensor:
    """The pixels of a region, a boolean tensor (H, W).

    Args:
        region: as :func:`checked_region` gives it.
        size: height and width of the picture in pixels.
        segments: gives the number of each pixel's segment, (h, w), of that size or a smaller one; asked for a region
            that is a segment.
    """
    height, width = size
    if region["kind"] == "box":
        top, left, bottom, right = region["box"]
        mask = torch.zeros(size, dtype=torch.bool, device="cpu")
        mask[top:bottom, left:right] = True
        return mask
    if region["kind"] == "lasso":
        return torch.from_numpy(_inside_lasso(region["points"], size))
    if region["kind"] == "segment":
        found = segments()
        x, y = region["point"]
        rows = torch.arange(height, device=found.device) * found.shape[0] // height
        columns = torch.arange(width, device=found.device) * found.shape[1] // width
        return (found == found[rows[y], columns[x]])[rows][:, columns]
    lengths = torch.tensor(region["runs"], device="cpu")
    inside = torch.arange(len(lengths), device="cpu") % 2 == 1
    return inside.repeat_interleave(lengths).reshape(size)


# --- what may be written ----------------------------------------------------------------------------------------------


def _checked_mask(value: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    mask = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    if mask.shape != size or mask.dtype != np.bool_:
        raise InputError(
            f"a selection as a mask must be boolean, of the shape {tuple(size)} of the places, but {describe(value)} "
            "came"
        )
    if not mask.any():
        raise InputError(
            "a selection as a mask must have at least one place, but none is true; None selects nothing"
        )
    return mask


def _runs(mask: NDArray[np.bool_]) -> list[int]:
    """How many pixels, row by row, lie outside, then inside, then outside, and so on."""
    flat = mask.ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff([0, *ends.tolist(), flat.size]).tolist()
    return [0, *lengths] if flat[0] else lengths


def _checked_runs(value: Any, size: tuple[int, int]) -> list[int]:
    pixels = size[0] * size[1]
    runs = value if isinstance(value, list | tuple) and len(value) <= pixels + 1 else ()
    if not (
        all(_whole(one) and one >= 0 for one in runs)
        and sum(runs) == pixels
        and any(itertools.islice(runs, 1, None, 2))
    ):
        raise InputError(
            f"runs must be the numbers of pixels that lie outside, inside, outside, ... row by row, {pixels} in all "
            f"and at least one inside, but {describe(value)} came"
        )
    return [int(one) for one in runs]


def _box(value: Any, size: tuple[int, int]) -> list[int]:
    height, width = size
    box = list(value) if isinstance(value, list | tuple) else []
    if len(box) == 4 and all(map(_whole, box)):
        top, left, bottom, right = map(int, box)
        if 0 <= top < bottom <= height and 0 <= left < right <= width:
            return [top, left, bottom, right]
    raise InputError(
        f"a box must be [top, left, bottom, right] in whole numbers, with 0 <= top < bottom <= {height} and "
        f"0 <= left < right <= {width}, but {describe(value)} came"
    )


def _points(value: Any) -> list[list[float]]:
    points = value if isinstance(value, list | tuple) and 3 <= len(value) <= _MOST_POINTS else ()
    found = [[float(x) for x in one] for one in points if _pair(one, _number)]
    if not found or len(found) < len(points):
        raise InputError(
            f"the points of a lasso must be 3 to {_MOST_POINTS} pairs [x, y] of numbers, but {describe(value)} came"
        )
    return found


def _point(value: Any, size: tuple[int, int]) -> list[int]:
    height, width = size
    if _pair(value, _whole) and 0 <= value[0] < width and 0 <= value[1] < height:
        return [int(value[0]), int(value[1])]
    raise InputError(
        f"the point of a segment must be [x, y] in whole numbers, x from 0 to {width - 1} and y from 0 to "
        f"{height - 1}, but {describe(value)} came"
    )


def _pair(value: Any, each: Callable[[Any], bool]) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(each, value))


def _whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _inside_lasso(points: Sequence[Sequence[float]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether the middle of each pixel lies within a line that closes itself, by the even-odd rule."""
    height, width = size
    y, x = np.arange(height) + 0.5, np.arange(width) + 0.5
    inside = np.zeros(size, np.bool_)
    for (x1, y1), (x2, y2) in zip(points, [*points[1:], points[0]], strict=True):
        crossed = np.flatnonzero((y1 <= y) != (y2 <= y))
        if crossed.size:
            at = x1 + (y[crossed] - y1) * ((x2 - x1) / (y2 - y1))
            inside[crossed] ^= x[None] > at[:, None]
    return inside
