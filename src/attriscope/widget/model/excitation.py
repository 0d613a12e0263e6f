"""Where in the examples each channel of a layer is excited most, and what stands there in the pictures.

Knows no page and no thread; how it travels is :mod:`~attriscope.widget.model.patches`' to say.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attriscope import attr
from attriscope.core.errors import Cancelled, InputError, RowDependenceWarning, TrainingModeWarning
from attriscope.core.evaluate import Evaluator
from attriscope.core.inputs import Examples
from attriscope.core.layouts import Layout
from attriscope.core.notices import once
from attriscope.core.subject import Subject

# So many examples are looked at, and so many of the places that excite a channel most are kept.
MOST_EXAMPLES, MOST_PLACES = 64, 4
# A patch is as large as what this many places of the layer's map lie above, or this part of the picture.
_PLACES_ACROSS, _PART = 4, 6


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a channel is excited.

    Attributes:
        example: in which example.
        position: row and column in the channel's map; ``None`` where the layer has no map: then it is the whole
            example.
        value: what the channel holds there; without a map, the most that it holds.
    """

    example: int
    position: tuple[int, int] | None
    value: float


@dataclasses.dataclass(frozen=True)
class Excitation:
    """What excites the channels of a layer.

    Attributes:
        places: for each channel, the most exciting ones first, as many as there are.
        size: of the layer's map over the picture, rows and columns; ``None`` if it has none.
        examples: how many were looked at.
    """

    places: Sequence[Sequence[Place]]
    size: tuple[int, int] | None
    examples: int


def patch_side(picture: tuple[int, int], size: tuple[int, int]) -> int:
    """How many pixels a patch has along a side.

    A guess at what a place of the map sees most of: four places of the map across, as the picture lies under it, and a
    sixth of the picture at least.

    Args:
        picture: its rows and columns.
        size: those of the map.
    """
    stride = max(picture[0] / size[0], picture[1] / size[1])
    return min(*picture, round(max(_PLACES_ACROSS * stride, max(picture) / _PART)))


def patch_corner(
    position: tuple[int, int], picture: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int]:
    """The upper left pixel of the patch around a place of the map, moved inside where it would stick out."""
    side = patch_side(picture, size)
    middle = [(i + 0.5) * pixels / places for i, pixels, places in zip(position, picture, size, strict=True)]
    top, left = (
        min(max(0, math.floor(at - side / 2)), pixels - side)
        for at, pixels in zip(middle, picture, strict=True)
    )
    return top, left


def excitation(model: nn.Module, name: str, layout: Layout, examples: Examples) -> Excitation | None:
    """Where the channels of a layer are excited most, without gradients, in batches.

    Each example counts with its best place first; where there are fewer examples than places, other places of the same
    ones follow, at least half a patch away from those before. A place at which a channel holds no more than anywhere,
    and nothing above zero, excites nothing.

    Args:
        model: the model.
        name: of the layer.
        layout: of the layer.
        examples: pictures of shape (N, C, H, W), of which the first 64 are looked at.

    Returns:
        The places; ``None`` where there is nothing to choose from: one example, and a layer without a map.
    """
    count = min(examples.count, MOST_EXAMPLES)
    if not layout.spatial and count == 1:
        return None
    some = _cut(examples, 0, count)
    look = _Look(
        layout.rows_first(), _size(examples), math.ceil(MOST_PLACES / count) if layout.spatial else 1
    )
    with once({RowDependenceWarning, TrainingModeWarning}):  # who wants to know is told where it is explained
        try:
            found = look.through(model, name, some)
        except Cancelled:
            raise
        except (
            Exception
        ):  # a model for one example at a time, a layer that gives one row for all, rows that depend
            if count == 1:
                raise
            found = [one for i in range(count) for one in look.through(model, name, _cut(some, i, i + 1))]
    return _best(found)


def excitation_of_one(layout: Layout, channels: Tensor, examples: Examples) -> Excitation | None:
    """The same of a single example, of which it is known what the channels hold, (C, H, W)."""
    if not layout.spatial:
        return None
    return _best([_Look(layout, _size(examples), MOST_PLACES).peaks(channels)])


def _size(examples: Examples) -> tuple[int, int]:
    return int(examples.tensors[0].shape[2]), int(examples.tensors[0].shape[3])


def _cut(examples: Examples, start: int, stop: int) -> Examples:
    part = slice(start, stop)
    return Examples((examples.tensors[0][part],), True, examples.forward_arguments(1, part))


@dataclasses.dataclass(frozen=True)
class _Peaks:
    """The highest places of each channel in one example, (C, rounds), and the least that each holds, (C,)."""

    values: Tensor
    indices: Tensor
    least: Tensor
    size: tuple[int, int] | None


@dataclasses.dataclass(frozen=True)
class _Look:
    """Finds the highest places.

    Attributes:
        layout: of what the layer gives, examples first.
        picture: rows and columns of the examples.
        rounds: how many places of each example.
    """

    layout: Layout
    picture: tuple[int, int]
    rounds: int

    def through(self, model: nn.Module, name: str, examples: Examples) -> list[_Peaks]:
        """Run the model on all examples."""
        method = attr.LayerActivation(model, name)
        subject = Subject(method.forward_func, None, method._site(False))
        evaluator = Evaluator(subject, examples, gradient=False)
        found: list[_Peaks] = []
        for block in evaluator.run(
            1, lambda steps, part: tuple(x.detach().clone() for x in examples.slices(part))
        ):
            if evaluator.together and examples.count > 1:
                raise InputError("the examples are looked at one by one, as everywhere on the page")
            rows = block.values[0][0].detach().split(1)
            found += [self.peaks(self.layout.channels(row)) for row in rows]
        return found

    def peaks(self, channels: Tensor) -> _Peaks:
        """Of what the channels hold, (C, H, W)."""
        layout = self.layout
        maps = layout.over_picture(channels) if layout.spatial else channels.flatten(1)[:, None]
        size = (int(maps.shape[1]), int(maps.shape[2]))
        maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
        finite = torch.isfinite(maps)
        least = torch.where(finite, maps, torch.inf).flatten(1).amin(1)
        maps = torch.where(finite, maps, -torch.inf)
        apart = patch_side(self.picture, size) / max(self.picture[0] / size[0], self.picture[1] / size[1]) / 2
        rows, columns = (torch.arange(n, device=maps.device) for n in size)
        values, indices = [], []
        for _ in range(self.rounds):
            value, index = maps.flatten(1).max(1)
            values.append(value)
            indices.append(index)
            if len(values) < self.rounds:
                near_row = (rows - (index // size[1])[:, None]).abs() < apart
                near_column = (columns - (index % size[1])[:, None]).abs() < apart
                maps = maps.masked_fill(near_row[:, :, None] & near_column[:, None], -torch.inf)
        return _Peaks(
            torch.stack(values, 1), torch.stack(indices, 1), least, size if layout.spatial else None
        )


def _best(found: Sequence[_Peaks]) -> Excitation:
    """Of all examples: first the best place of each, then the second best, each from high to low."""
    values = torch.stack([one.values for one in found], 2)  # (C, rounds, N)
    indices = torch.stack([one.indices for one in found], 2)
    least = torch.stack([one.least for one in found], 1).amin(1)
    excites = torch.isfinite(values) & ((values > 0) | (values > least[:, None, None]))
    values = values.masked_fill(~excites, -torch.inf)
    values, order = values.sort(stable=True, dim=2, descending=True)
    best, chosen, where = (t.flatten(1).cpu() for t in (values, order, indices.gather(2, order)))
    # Those that excite nothing stand between the rounds, not only at the end.
    keep = torch.isfinite(best)
    size, width = found[0].size, 1 if found[0].size is None else found[0].size[1]
    places = [
        [
            Place(example, None if size is None else (at // width, at % width), value)
            for example, at, value, there in zip(*channel, strict=True)
            if there
        ][:MOST_PLACES]
        for channel in zip(chosen.tolist(), where.tolist(), best.tolist(), keep.tolist(), strict=True)
    ]
    return Excitation(places, size, len(found))
