"""What travels of regions of the picture: part of the contract of :mod:`attriscope.widget.messages.types`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypedDict

from attriscope.widget.messages.layer_types import (
    ChangedPrediction,
)
from attriscope.widget.messages.types import (
    Amount,
    Binary,
    Request,
    Size,
)

if TYPE_CHECKING:
    from typing_extensions import NotRequired


class Region(TypedDict):
    """A part of the picture that somebody has picked, with the one key that its kind wants.

    Attributes:
        box: top, left, bottom, right in whole pixels; the last two lie outside.
        points: [x, y] in pixels from the left and top edges: what has its middle inside, by the even-odd rule.
        point: x, y of a pixel of the segment.
        runs: how many pixels, row by row, lie outside, then inside, then outside, and so on.
    """

    kind: Literal["box", "lasso", "segment", "mask"]
    box: NotRequired[Sequence[int]]
    points: NotRequired[Sequence[Sequence[float]]]
    point: NotRequired[Sequence[int]]
    runs: NotRequired[Sequence[int]]


class RawSegments(TypedDict, total=False):
    """The picture cut into segments; {} before somebody has picked one.

    Attributes:
        shape: the picture's, or a smaller one.
        data: uint8, the number of each pixel's segment.
    """

    shape: Size
    data: Binary


class RawReader(TypedDict):
    """A channel that reads a region: of its layer the one that contributes most there.

    Attributes:
        noun: what a channel of this layer is called.
        contribution: gradient x activation of what is explained, summed over the region.
        share: the size of that as a share of all channels' of the layer, there.
    """

    layer: str
    channel: int
    noun: str
    contribution: float
    share: float


class RawCovered(TypedDict, total=False):
    """What covering a region of the picture costs, beside what the map says it is worth; {} without a region.

    Attributes:
        pixels: how many the region has.
        before: the explained number, or what the neuron holds in all.
        after: the same with the region covered; of several baselines the mean.
        cost: before less after.
        worth: the sum of the map over the region; missing while there is no final map that can be summed up.
        map: the request of the map that says so.
        readers: what reads it, from early to late layers; missing where that is not known.
        message: why there are no numbers.
    """

    request: Request
    region: Region
    pixels: int
    before: float | None
    after: float | None
    cost: float | None
    worth: float | None
    map: Request
    kind: Amount
    items: Sequence[ChangedPrediction]
    readers: Sequence[RawReader]
    message: str
