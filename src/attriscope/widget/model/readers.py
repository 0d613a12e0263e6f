"""What reads a region of the picture: of some layers, from early to late, the channel that contributes most there.

Knows no page and no thread. A layer's number at a place has seen more of the picture than that place: what is told is
where the numbers stand that count, not what they have seen.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from attriscope.core.inputs import Examples
from attriscope.core.layer_map import LayerInfo
from attriscope.core.layouts import Layout
from attriscope.widget.model.layers import LayerReading, on_cpu, read_layers

# The kinds of layers whose numbers lie over the picture.
_KINDS = ("map", "tokens", "sequence")
# So many layers, evenly over the order in which they run.
COUNT = 3


@dataclasses.dataclass(frozen=True)
class Reader:
    """A channel, or unit of tokens, and what it adds where the region is.

    Attributes:
        layer: its path.
        channel: its number.
        contribution: gradient x activation of the explained output, summed over the region.
        share: the size of that as a share of the sizes of all channels of the layer.
    """

    layer: str
    channel: int
    contribution: float
    share: float


def readers(
    model: Any,
    layers: Sequence[LayerInfo],
    layouts: Mapping[str, Layout],
    examples: Examples,
    output: Any,
    mask: Tensor,
) -> list[Reader]:
    """The channel that contributes most in a region, of each of three layers; one pass forward and back.

    Args:
        model: the model.
        layers: as seen in one pass.
        layouts: how to read them.
        examples: one example.
        output: what is explained.
        mask: the region, (H, W).

    Returns:
        In the order in which the layers run; none of a model without gradients, or where nothing contributes.
    """
    names = _spread(layers, layouts)
    if not names:
        return []
    found: dict[str, Tensor] = {}
    for name, reading in read_layers(model, {name: layouts[name] for name in names}, examples, output):
        sums = _inside(reading, mask)
        if sums is not None:
            found[name] = sums
    return [
        Reader(name, (most := int(sums.abs().argmax())), float(sums[most]), float(sums[most].abs() / size))
        for name, sums in on_cpu(found).items()
        if bool(torch.isfinite(sums).all()) and (size := sums.abs().sum()) > 0
    ]


def _spread(layers: Sequence[LayerInfo], layouts: Mapping[str, Layout]) -> list[str]:
    """Layers with places, evenly over the order in which they run, the last among them.

    What several layers give is told of the one that is nested least, as in the river.
    """
    by_tensor: dict[str, LayerInfo] = {}
    for row in layers:
        layout = layouts.get(row.name)
        if row.name and layout is not None and layout.kind in _KINDS and _places(layout) > 1:
            key = row.name if row.same_as is None else row.same_as
            if key not in by_tensor or row.depth < by_tensor[key].depth:
                by_tensor[key] = row
    placed = sorted(by_tensor.values(), key=lambda row: row.order or 0)
    # Blocks rather than what is in them, if there are enough to choose from.
    for depth in sorted({row.depth for row in placed}):
        least_nested = [row for row in placed if row.depth <= depth]
        if len(least_nested) >= 2 * COUNT:
            placed = least_nested
            break
    count = min(COUNT, len(placed))
    return [placed[(i + 1) * len(placed) // count - 1].name for i in range(count)]


def _places(layout: Layout) -> int:
    """How many there are over the picture."""
    if layout.grid is not None:
        return math.prod(layout.grid)
    return math.prod(layout.size[1:]) if layout.kind == "map" else 0


def _inside(reading: LayerReading, mask: Tensor) -> Tensor | None:
    """What each channel adds in the region, (C,): of a cell that lies partly inside, that part."""
    contributions = reading.grad_x_activation
    if contributions is None:
        return None
    over = reading.layout.over_picture(contributions).double()
    weights = mask.to(over.device, over.dtype)[None, None]
    cells = interpolate(weights, over.shape[1:], mode="area")[0]
    return (over * cells).flatten(1).sum(1)
