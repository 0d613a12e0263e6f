"""What a layer gives for one example: which of its numbers make a channel, and what stands where.

The one reader of layers' shapes: what looks inside a model asks :func:`layouts_of`, with what
:func:`attriscope.core.layer_map.map_layers` saw in a pass, and reads and edits outputs through a layer's
:class:`Layout`. Which dimension holds the channels is decided in :mod:`attriscope.core.channels`, for methods, too.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import Tensor, nn

from attriscope.core.channels import Form, Kind, forms_of
from attriscope.core.errors import InputError
from attriscope.core.inputs import describe
from attriscope.core.layer_map import LayerInfo

# A place inside a layer: a channel (or unit, or head), or with it the row and column, or the position.
Neuron: TypeAlias = int | Sequence[int]

# Layers whose units are split evenly over the heads of the attention that they belong to, by the usual names.
_BY_HEAD = {"q", "k", "v", "query", "key", "value", "q_proj", "k_proj", "v_proj", "to_q", "to_k", "to_v"}
_HEADS = ("num_heads", "n_heads", "num_attention_heads", "n_head", "heads")
# A class token and perhaps one of distillation may stand before those of the picture.
_MOST_SKIPPED = 2


@dataclasses.dataclass(frozen=True)
class Layout:
    """How to read the (first) output of a layer, run on one example.

    Attributes:
        kind: ``"map"``: channels with height and width; ``"attention"``: heads with queries and keys; ``"tokens"``:
            positions of units; ``"sequence"``: channels of positions; ``"vector"``: single numbers; ``"other"``:
            channels of more than two dimensions.
        shape: of the output, dimension of the examples included.
        batch_dimension: which dimension that is.
        several: whether further tensors come with it.
        again: whether the layer runs several times; the last call is the one that is read.
        grid: for tokens of a picture's patches, how many lie below and beside each other.
        skipped: how many tokens come before those of the patches.
        heads: over how many heads the units are split; 0 if they are not.
        channels_last: for maps, and what has more dimensions: the channels come after the positions, as in Swin.
    """

    kind: Kind
    shape: tuple[int, ...]
    batch_dimension: int = 0
    several: bool = False
    again: bool = False
    grid: tuple[int, int] | None = None
    skipped: int = 0
    heads: int = 0
    channels_last: bool = False

    @property
    def noun(self) -> str:
        """What one of its channels is called."""
        if self.kind == "attention":
            return "head"
        return "unit" if self.kind in ("tokens", "vector") else "channel"

    @property
    def spatial(self) -> bool:
        """Whether it can be laid over the picture."""
        return self.kind == "map" or self.grid is not None

    @property
    def _of_example(self) -> tuple[int, ...]:
        return self.shape[: self.batch_dimension] + self.shape[self.batch_dimension + 1 :]

    @property
    def size(self) -> tuple[int, int, int]:
        """Of what :meth:`channels` gives."""
        own = self._of_example
        if self.kind == "tokens":
            return own[1], 1, own[0]
        if self.channels_last:
            own = own[-1:] + own[:-1]
        if self.kind == "vector":
            return (own[0] if own else 1), 1, 1
        if self.kind == "sequence":
            return own[0], 1, own[1]
        return (own[0], own[1], own[2]) if len(own) == 3 else (own[0], 1, math.prod(own[1:]))

    def channels(self, output: Tensor) -> Tensor:
        """The output (as a view, if it is contiguous) as channels (C, H, W)."""
        one = output.select(self.batch_dimension, 0)
        if self.channels_last and self.kind == "map":
            return one.movedim(-1, 0)
        if self.channels_last:
            one = one.flatten(0, -2)
        return (one.t() if self.channels_last or self.kind == "tokens" else one).reshape(self.size)

    def channels_second(self) -> Layout:
        """The same with the channels after the examples."""
        if not self.channels_last:
            return self
        shape = (self.shape[0], self.shape[-1], *self.shape[1:-1])
        return dataclasses.replace(self, shape=shape, channels_last=False)

    def rows_first(self) -> Layout:
        """The same where the examples are in dimension 0."""
        return dataclasses.replace(self, shape=(1, *self._of_example), batch_dimension=0)

    def over_picture(self, channels: Tensor) -> Tensor:
        """Channels (C, H, W), or their sum (1, H, W), as they lie in the picture."""
        if self.grid is None:
            return channels
        return channels[..., self.skipped :].reshape(-1, *self.grid)

    def check(self, neuron: Neuron, layer: str) -> None:
        """See whether there is such a neuron.

        Raises:
            InputError: there is not.
        """
        index = (neuron,) if isinstance(neuron, int) else tuple(neuron)
        count, height, width = self.size
        sizes = {"map": (count, height, width), "attention": (count, height, width), "vector": (count,)}.get(
            self.kind, (count, width)
        )
        names = (self.noun, "row", "column") if len(sizes) == 3 else (self.noun, "position")
        if len(index) not in (1, len(sizes)):
            wanted = ", ".join(names[: len(sizes)])
            raise InputError(
                f"a neuron of layer {layer!r} is a {self.noun}"
                + (f", or [{wanted}]" if len(sizes) > 1 else "")
                + f", but {describe(neuron)} came"
            )
        for name, i, size in zip(names, index, sizes, strict=False):
            if not 0 <= i < size:
                raise InputError(
                    f"there is no {name} {i} in layer {layer!r}, which has {name}s 0 to {size - 1}"
                )

    def within(self, channels: Tensor, neuron: Neuron) -> Tensor:
        """The neuron's part of channels (C, H, W): a view."""
        if isinstance(neuron, int):
            return channels[neuron]
        first, *place = neuron
        return channels[(first, *place) if len(place) == 2 else (first, 0, *place)]

    def index(self, neuron: Neuron) -> tuple[int | slice, ...]:
        """Where the neuron stands in the output, the dimension of the examples left out."""
        index: tuple[int | slice, ...] = (neuron,) if isinstance(neuron, int) else tuple(neuron)
        own = self._of_example
        if self.kind == "tokens":
            return (index[1], index[0]) if len(index) == 2 else (slice(None), index[0])
        if self.kind == "other" and not isinstance(neuron, int) and len(neuron) == 2:
            sizes = own[:-1] if self.channels_last else own[1:]
            index = (neuron[0], *_unravel(neuron[1], sizes))
        if self.channels_last:
            places = index[1:] or (slice(None),) * (len(own) - 1)
            return (*places, index[0])
        return index if own else ()


def _unravel(flat: int, sizes: Sequence[int]) -> tuple[int, ...]:
    found: list[int] = []
    for size in reversed(sizes):
        found.append(flat % size)
        flat //= size
    return tuple(reversed(found))


def layouts_of(layers: Sequence[LayerInfo], model: nn.Module) -> dict[str, Layout]:
    """How to read each layer that ran on one example and gave something to look into."""
    modules = dict(model.named_modules())
    found: dict[str, Layout] = {}
    grids: list[tuple[int, int]] = []
    ran = sorted((row for row in layers if row.order is not None), key=lambda row: row.order or 0)
    seen = [(row, row.latest) for row in ran if row.latest is not None and row.floating]
    forms = forms_of([(modules[row.name], shape, row.weighs) for row, shape in seen])
    for (row, shape), form in zip(seen, forms, strict=True):
        layout = _layout_of(row, shape, form)
        if layout is None:
            continue
        if layout.kind == "map" and row.kind.startswith("Conv"):
            grids.append((layout.shape[2], layout.shape[3]))
        if layout.kind == "tokens":
            layout = dataclasses.replace(
                layout, **_grid(layout, grids), heads=_heads(row.name, layout, modules)
            )
        found[row.name] = layout
    return {row.name: found[row.name] for row in layers if row.name in found}


def why_not(layer: LayerInfo) -> str:
    """Why there is nothing to look into."""
    if layer.order is None:
        return "did not run: the model never calls this module"
    if layer.latest is None:
        return "gives no tensor"
    if not layer.floating:
        return "gives no floating point numbers"
    if 0 in layer.latest:
        return f"its output, of shape {layer.latest}, holds no numbers"
    return f"its output, of shape {layer.latest}, does not count the examples in dimension 0"


def _layout_of(layer: LayerInfo, shape: tuple[int, ...], form: Form) -> Layout | None:
    more = (layer.tensors > 1, layer.calls > 1)
    if 0 in shape:
        return None
    if shape[:1] != (1,):
        if len(shape) == 3 and shape[1] == 1:  # time comes first
            return Layout("tokens", shape, 1, *more)
        return None
    last = form.channels_last and form.kind != "tokens"
    return Layout(form.kind, shape, 0, *more, channels_last=last)


def _grid(layout: Layout, grids: list[tuple[int, int]]) -> dict[str, Any]:
    """Where the tokens lie, if a convolution before cut the picture into about so many patches."""
    positions = layout.size[2]
    for grid in reversed(grids):
        skipped = positions - math.prod(grid)
        if 0 <= skipped <= _MOST_SKIPPED and math.prod(grid) > 1:
            return {"grid": grid, "skipped": skipped}
    return {}


def _heads(name: str, layout: Layout, modules: dict[str, nn.Module]) -> int:
    parent, _, leaf = name.rpartition(".")
    if leaf not in _BY_HEAD:
        return 0
    for attribute in _HEADS:
        heads = getattr(modules.get(parent), attribute, None)
        if isinstance(heads, int) and 1 < heads <= layout.size[0] and layout.size[0] % heads == 0:
            return heads
    return 0


def ablation(layout: Layout, edits: Sequence[tuple[Neuron, Tensor | None]]) -> Callable[[Tensor], Tensor]:
    """What sets neurons to zero, or to the values (C, H, W) that came with them, in an output for one example.

    What a layer that runs several times gives in another shape is left alone.
    """

    def change(output: Tensor) -> Tensor:
        if tuple(output.shape) != layout.shape:
            return output
        channels = layout.channels(output)
        for neuron, instead in edits:
            layout.within(channels, neuron)[...] = 0 if instead is None else layout.within(instead, neuron)
        return output

    return change
