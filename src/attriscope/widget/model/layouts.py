"""What a layer gives for one example: which of its numbers make a channel, and what stands where."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from torch import Tensor, nn

from attriscope.core.inputs import describe
from attriscope.core.layer_map import LayerInfo
from attriscope.widget.messages.types import Neuron
from attriscope.widget.methods.arguments import CodeValue
from attriscope.widget.state.selection import ChoiceError

Kind = Literal["map", "attention", "tokens", "sequence", "vector", "other"]

# Layers of shape (N, positions, units) and, with "1d" in their names, (N, channels, positions); others go by what came
# before them.
_OF_TOKENS = {
    "Embedding", "LayerNorm", "Linear", "MultiheadAttention", "TransformerEncoderLayer", "TransformerDecoderLayer",
    "LSTM", "GRU", "RNN", "RMSNorm",
}  # fmt: skip
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
        examples: which dimension that is.
        several: whether further tensors come with it.
        again: whether the layer runs several times; the last call is the one that is read.
        grid: for tokens of a picture's patches, how many lie below and beside each other.
        skipped: how many tokens come before those of the patches.
        heads: over how many heads the units are split; 0 if they are not.
    """

    kind: Kind
    shape: tuple[int, ...]
    examples: int = 0
    several: bool = False
    again: bool = False
    grid: tuple[int, int] | None = None
    skipped: int = 0
    heads: int = 0

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
    def _own(self) -> tuple[int, ...]:
        return self.shape[: self.examples] + self.shape[self.examples + 1 :]

    @property
    def size(self) -> tuple[int, int, int]:
        """Of what :meth:`channels` gives."""
        own = self._own
        if self.kind == "tokens":
            return own[1], 1, own[0]
        if self.kind == "vector":
            return (own[0] if own else 1), 1, 1
        if self.kind == "sequence":
            return own[0], 1, own[1]
        return (own[0], own[1], own[2]) if len(own) == 3 else (own[0], 1, math.prod(own[1:]))

    def channels(self, output: Tensor) -> Tensor:
        """The output (as a view, if it is contiguous) as channels (C, H, W)."""
        one = output.select(self.examples, 0)
        return (one.t() if self.kind == "tokens" else one).reshape(self.size)

    def over_picture(self, channels: Tensor) -> Tensor:
        """Channels (C, H, W), or their sum (1, H, W), as they lie in the picture."""
        if self.grid is None:
            return channels
        return channels[..., self.skipped :].reshape(-1, *self.grid)

    @property
    def over_picture_code(self) -> str:
        """The Python that turns attributions of tokens, their units added up, into a map (1, 1, H, W)."""
        assert self.grid is not None
        tokens = "attributions.sum(-1)" + (".transpose(0, 1)" if self.examples else "")
        cut = f"[:, {self.skipped}:]" if self.skipped else ""
        return f"attributions = {tokens}{cut}.reshape(1, 1, {self.grid[0]}, {self.grid[1]})"

    def check(self, neuron: Neuron, layer: str) -> None:
        """See whether there is such a neuron.

        Raises:
            ChoiceError: there is not.
        """
        index = (neuron,) if isinstance(neuron, int) else tuple(neuron)
        count, height, width = self.size
        sizes = {"map": (count, height, width), "attention": (count, height, width), "vector": (count,)}.get(
            self.kind, (count, width)
        )
        names = (self.noun, "row", "column") if len(sizes) == 3 else (self.noun, "position")
        if len(index) not in (1, len(sizes)):
            wanted = ", ".join(names[: len(sizes)])
            raise ChoiceError(
                f"a neuron of layer {layer!r} is a {self.noun}"
                + (f", or [{wanted}]" if len(sizes) > 1 else "")
                + f", but {describe(neuron)} came"
            )
        for name, i, size in zip(names, index, sizes, strict=False):
            if not 0 <= i < size:
                raise ChoiceError(
                    f"there is no {name} {i} in layer {layer!r}, which has {name}s 0 to {size - 1}"
                )

    def within(self, channels: Tensor, neuron: Neuron) -> Tensor:
        """The neuron's part of channels (C, H, W): a view."""
        if isinstance(neuron, int):
            return channels[neuron]
        first, *place = neuron
        return channels[(first, *place) if len(place) == 2 else (first, 0, *place)]

    def _index(self, neuron: Neuron) -> tuple[int | slice, ...]:
        """Where the neuron stands in the output, the dimension of the examples left out."""
        index: tuple[int | slice, ...] = (neuron,) if isinstance(neuron, int) else tuple(neuron)
        own = self._own
        if self.kind == "tokens":
            return (index[1], index[0]) if len(index) == 2 else (slice(None), index[0])
        if self.kind == "other" and isinstance(neuron, list) and len(neuron) == 2:
            return (neuron[0], *_unravel(neuron[1], own[1:]))
        return index if own else ()

    def selector(self, neuron: Neuron) -> CodeValue:
        """The neuron as methods take it: what it holds, added up over its positions."""
        index = self._index(neuron)
        if self.examples == 0 and not self.several and index:
            plain: Any = index[0] if len(index) == 1 else index
            return CodeValue(plain, _index_code(index))
        left = len(self._own) - sum(isinstance(i, int) for i in index)
        return _function(index, self.examples, self.several, left)

    def index_code(self, neuron: Neuron) -> str:
        """The Python of the neuron's index, dimension 0 left out, as ``switched_off`` takes it."""
        index = self._index(neuron)
        if self.again:  # at another size it is another layer
            full = index[: self.examples] + (slice(None),) + index[self.examples :]
            at = ", ".join(":" if i == slice(None) else str(i) for i in full)
            return f"lambda output: output[{at}] if output.shape == {self.shape} else output[:0]"
        if self.examples:  # time comes first, then the only example
            position, unit = index
            if position != slice(None):
                return f"lambda output: output[{position}, :, {unit}]"
            index = (slice(None), unit)
        return _index_code(index)


def _function(index: tuple[Any, ...], examples: int, several: bool, left: int) -> CodeValue:
    """A selector for outputs that are tuples, or do not count the examples first.

    What the index picks for one example has ``left`` dimensions.
    """

    def select(values: Any) -> Tensor:
        first: Tensor = values[0] if several else values
        picked = first.movedim(examples, 0)[(slice(None), *index)]
        return picked.flatten(1).sum(1) if picked.dim() > 1 else picked

    at = ", ".join([":", *(":" if i == slice(None) else str(i) for i in index)])
    moved = f".movedim({examples}, 0)" if examples else ""
    code = f"lambda values: values{'[0]' if several else ''}{moved}[{at}]"
    return CodeValue(select, code + ("", ".sum(1)", ".flatten(1).sum(1)")[min(left, 2)])


def _index_code(index: tuple[int | slice, ...]) -> str:
    plain: Any = index[0] if len(index) == 1 else index
    return repr(plain).replace("slice(None, None, None)", "slice(None)")


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
    latest: dict[tuple[int, ...], Kind] = {}
    grids: list[tuple[int, int]] = []
    for layer in sorted((row for row in layers if row.order is not None), key=lambda row: row.order or 0):
        form = _form_of(layer, latest)
        if form is None:
            continue
        latest[form.shape] = form.kind
        if form.kind == "map" and layer.kind.startswith("Conv"):
            grids.append((form.shape[2], form.shape[3]))
        if form.kind == "tokens":
            form = dataclasses.replace(form, **_grid(form, grids), heads=_heads(layer.name, form, modules))
        found[layer.name] = form
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


def _form_of(layer: LayerInfo, latest: dict[tuple[int, ...], Kind]) -> Layout | None:
    shape = layer.latest
    if shape is None or not layer.floating or 0 in shape:
        return None
    more = (layer.tensors > 1, layer.calls > 1)
    if shape[:1] != (1,):
        if len(shape) == 3 and shape[1] == 1:  # time comes first
            return Layout("tokens", shape, 1, *more)
        return None
    kinds: dict[int, Kind] = {1: "vector", 2: "vector", 4: "attention" if layer.weighs else "map"}
    if len(shape) != 3:
        return Layout(kinds.get(len(shape), "other"), shape, 0, *more)
    if "1d" in layer.kind:
        return Layout("sequence", shape, 0, *more)
    inherited: Kind = "tokens" if layer.kind in _OF_TOKENS else latest.get(shape, "tokens")
    return Layout(inherited, shape, 0, *more)


def _grid(form: Layout, grids: list[tuple[int, int]]) -> dict[str, Any]:
    """Where the tokens lie, if a convolution before cut the picture into about so many patches."""
    positions = form.size[2]
    for grid in reversed(grids):
        skipped = positions - math.prod(grid)
        if 0 <= skipped <= _MOST_SKIPPED and math.prod(grid) > 1:
            return {"grid": grid, "skipped": skipped}
    return {}


def _heads(name: str, form: Layout, modules: dict[str, nn.Module]) -> int:
    parent, _, leaf = name.rpartition(".")
    if leaf not in _BY_HEAD:
        return 0
    for attribute in _HEADS:
        heads = getattr(modules.get(parent), attribute, None)
        if isinstance(heads, int) and 1 < heads <= form.size[0] and form.size[0] % heads == 0:
            return heads
    return 0


def silencer(form: Layout, edits: Sequence[tuple[Neuron, Tensor | None]]) -> Callable[[Tensor], Tensor]:
    """What sets neurons to zero, or to the values (C, H, W) that came with them, in an output for one example.

    What a layer that runs several times gives in another shape is left alone.
    """

    def change(output: Tensor) -> Tensor:
        if tuple(output.shape) != form.shape:
            return output
        channels = form.channels(output)
        for neuron, instead in edits:
            form.within(channels, neuron)[...] = 0 if instead is None else form.within(instead, neuron)
        return output

    return change
