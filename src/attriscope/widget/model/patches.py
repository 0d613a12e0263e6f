"""The patches of the examples that excite channels most, cut out and as they travel to the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from attriscope.widget.messages.layer_types import (
    RawPatches,
)
from attriscope.widget.messages.types import (
    Request,
)
from attriscope.widget.messages.wire import number, shrunk
from attriscope.widget.model.excitation import Excitation, Place, patch_corner, patch_side

# Pixels along a side of a patch as it is sent.
_SIDE = 40


def patches_message(
    found: Excitation,
    channels: Sequence[int],
    picture_of: Callable[[int], NDArray[np.uint8]],
    request: Request,
) -> RawPatches:
    """What excites some channels, with a small picture of each place.

    Args:
        found: what excites the layer's channels.
        channels: which are sent.
        picture_of: the picture (H, W, 3) of an example by its index.
        request: what it answers.
    """
    pictures: dict[int, NDArray[np.uint8]] = {}
    cut: list[NDArray[np.uint8]] = []
    for channel in channels:
        for place in found.places[channel]:
            if place.example not in pictures:
                pictures[place.example] = picture_of(place.example)
            cut.append(_patch(pictures[place.example], place, found.size))
    if not cut:
        return {}
    return {
        "request": request,
        "channels": list(channels),
        "patches": [
            [
                {
                    "example": place.example,
                    "place": None if place.position is None else list(place.position),
                    "value": number(place.value),
                }
                for place in found.places[channel]
            ]
            for channel in channels
        ],
        "shape": list(cut[0].shape[:2]),
        "data": b"".join(np.ascontiguousarray(one).tobytes() for one in cut),
        "examples": found.examples,
    }


def _patch(picture: NDArray[np.uint8], place: Place, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    if place.position is not None and size is not None:
        whole = (picture.shape[0], picture.shape[1])
        side = patch_side(whole, size)
        top, left = patch_corner(place.position, whole, size)
        picture = picture[top : top + side, left : left + side]
    return shrunk(picture, _SIDE)
