"""What travels of the inside of a model: part of the contract of :mod:`attriscope.widget.messages.types`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from attriscope.widget.messages.types import (
    Amount,
    Binary,
    LayoutKind,
    Quantity,
    Request,
    Size,
)

if TYPE_CHECKING:
    from typing_extensions import NotRequired


class LayerRow(TypedDict):
    """A row of the layer tree.

    Attributes:
        spatial: a map can be laid over the picture.
        why: why it cannot be picked.
        order: of its last call, which is the one that is explained; null if it did not run.
        same_as: the layer whose output it hands on, as a container hands on what its last child gave.
    """

    name: str
    kind: str
    parameters: int
    shape: Sequence[int] | None
    depth: int
    spatial: bool
    pickable: NotRequired[bool]
    why: NotRequired[str]
    layout: NotRequired[LayoutKind | None]
    order: NotRequired[int | None]
    same_as: NotRequired[str | None]
    channels: NotRequired[int | None]


class RawLayerRelevance(TypedDict, total=False):
    """How much of the prediction passes at each layer, aligned with ``layers``; {} before it is known."""

    request: Request
    label: str
    doc: str
    values: Sequence[float | None]


class RawLayerMaps(TypedDict, total=False):
    """The maps of all layers that have one, for scrubbing; {} before they are known.

    Attributes:
        title: the title of a layer's map is the first, the layer's path and the second.
        scales: value = scale * float16
        maps: float16, little-endian, one map after another.
        quantity, unit: what the numbers are.
    """

    request: Request
    title: tuple[str, str]
    quantity: Quantity
    unit: str
    final: bool
    names: Sequence[str]
    shapes: Sequence[Size]
    scales: Sequence[float]
    sums: Sequence[float | None]
    maps: Binary


class RawChannels(TypedDict, total=False):
    """The channels of the picked layer; {} when there are none.

    Attributes:
        size: of one channel as the layer gives it: rows, columns.
        shape: of one channel as it was sent.
        activations: float32, one for each channel: the mean over positions.
        contributions: float32, one for each channel: the sum of gradient x activation.
        thumbs: int8; value = scale * code / 127
    """

    request: Request
    layout: LayoutKind
    noun: str
    count: int
    size: Size
    shape: Size
    positions: Sequence[str]
    heads: int
    activations: Binary
    contributions: Binary
    thumbs: Binary
    scales: Binary
    parts: Binary
    part_scales: Binary
    notice: str


class Patch(TypedDict):
    """A part of an example.

    Attributes:
        place: row and column of the channel's map, at which it holds the value; null for a whole example.
    """

    example: int
    place: Size | None
    value: float | None


class RawPatches(TypedDict, total=False):
    """The parts of the examples that excite channels of the picked layer most; {} when there are none.

    Attributes:
        channels: which: those that contribute most, and the picked one.
        patches: for each channel, what excites it most, best first.
        shape: of each patch as it was sent.
        data: RGB pixels of 8 bits, one patch after another.
    """

    request: Request
    channels: Sequence[int]
    patches: Sequence[Sequence[Patch]]
    shape: Size
    data: Binary
    examples: int


class NeuronClass(TypedDict):
    """What a neuron contributes to a class."""

    index: int
    label: str
    contribution: float | None


class RawNeuronInfo(TypedDict, total=False):
    """What is known about the picked neuron; {} when there is none."""

    request: Request
    title: str
    activation: float | None
    at_baseline: float | None
    classes: Sequence[NeuronClass]
    doc: str


class ChangedPrediction(TypedDict):
    """What the model says of a class with and without some neurons."""

    index: int
    label: str
    before: float | None
    after: float | None
    before_score: float | None
    after_score: float | None


class RawWhatIf(TypedDict, total=False):
    """The predictions with some neurons switched off; {} when none are."""

    request: Request
    kind: Amount
    items: Sequence[ChangedPrediction]
    message: str
