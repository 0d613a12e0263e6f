"""Where the examples are in what passes at a layer.

Methods work on tensors whose dimension 0 counts the rows. Some layers of recurrent nets have time there, and some run
on all positions or windows of all examples at once. Where the shape leaves it open, two small passes find it out: what
one row gives, and what it gives beside another (:func:`find_rows`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes

from attriscope.core.complex_parts import as_real
from attriscope.core.errors import LayerError
from attriscope.core.hooks import Layers, hooked
from attriscope.core.pytree import tree_leaves
from attriscope.core.reading import Reading, ReadTensor, nudge

# By how much, as a share of the largest number, what a row gives may differ by rounding.
_NEAR = 1e-2


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """Where the rows are in one tensor.

    Attributes:
        dimension: which dimension counts them.
        blocks: so often all rows come there, one time after the other, ...
        entries: ... and each time every row has so many entries: the size is blocks * rows * entries.
    """

    dimension: int = 0
    blocks: int = 1
    entries: int = 1

    @property
    def several(self) -> int:
        """How many entries a row has in that dimension in all."""
        return self.blocks * self.entries

    def rows_first(self, tensor: Tensor, rows: int) -> Tensor:
        """The tensor with the rows in dimension 0; a row's entries, if it has several, where the rows were."""
        if self == FIRST:
            return tensor
        d = self.dimension
        cut = tensor.unflatten(d, (self.blocks, rows, self.entries)).movedim(d + 1, 0)
        return cut.flatten(d + 1, d + 2) if self.several > 1 else cut.squeeze(d + 2).squeeze(d + 1)

    def as_it_was(self, tensor: Tensor) -> Tensor:
        """What :meth:`rows_first` made, undone."""
        if self == FIRST:
            return tensor
        d = self.dimension
        if self.several > 1:
            cut = tensor.unflatten(d + 1, (self.blocks, self.entries))
        else:
            cut = tensor.unsqueeze(d + 1).unsqueeze(d + 1)
        return cut.movedim(0, d + 1).flatten(d, d + 2)


FIRST = Arrangement()

Run = Callable[..., Any]
Places = tuple[tuple[Arrangement, ...], ...]
"""For each layer that was read, where the rows were in each of its tensors."""


def as_they_were(per_layer: Sequence[tuple[Tensor, ...]], places: Places) -> list[tuple[Tensor, ...]]:
    """Results with the rows in dimension 0, arranged as layers have them."""
    if not places:
        return list(per_layer)
    return [
        tuple([place.as_it_was(t) for t, place in zip(tensors, where, strict=True)])
        for tensors, where in zip(per_layer, places, strict=True)
    ]


def rows_are_first(readings: Sequence[Reading], found: Sequence[list[list[ReadTensor]]], rows: int) -> bool:
    """Whether the shapes alone tell that the rows are in dimension 0 of all that was read."""
    for reading, layers in zip(readings, found, strict=True):
        if any(reading.site.dimensions) or 0 in reading.site.dimensions:
            return False
        for read in layers:
            for one in read:
                shape = one.tensor.shape
                if not shape or shape[0] != rows or (len(shape) > 1 and shape[1] == rows):
                    return False
    return True


def find_rows(
    site: Layers, position: int, read: Sequence[ReadTensor], rows: int, run: Run, given: Sequence[Any]
) -> list[Arrangement]:
    """Where the rows are in each of the tensors that were read at a layer.

    Args:
        site, position: the layer.
        read: what was read there.
        rows: how many rows went in.
        run: runs the model.
        given: its arguments; of tensors with that many entries in dimension 0, each belongs to a row.

    Raises:
        LayerError: the dimension that was named does not count them.
    """
    declared = site.examples(position)
    return [_find(site, position, one, rows, run, given, declared) for one in read]


def _find(
    site: Layers,
    position: int,
    one: ReadTensor,
    rows: int,
    run: Run,
    given: Sequence[Any],
    declared: int | None,
) -> Arrangement:
    if declared is not None:
        return _declared(site, position, one, rows, run, given, declared)
    if _plain(site.modules[position], one.tensor.shape, rows):
        return FIRST
    return _tried(site, position, one, rows, run, given) or FIRST


def _plain(module: nn.Module, shape: Sequence[int], rows: int) -> bool:
    """Whether nothing but dimension 0 can be meant."""
    if not shape or shape[0] != rows:
        return False
    return len(shape) == 1 or shape[1] != rows or isinstance(module, _FIRST[len(shape) > 2])


# Modules that have the rows in dimension 0 whenever it has their number: with two dimensions, and with more.
_OF_CHANNELS = (
    nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd, nn.modules.pooling._AdaptiveAvgPoolNd, nn.GroupNorm, nn.Upsample, nn.Flatten,
)  # fmt: skip
_FIRST = ((*_OF_CHANNELS, nn.Linear), _OF_CHANNELS)


def _declared(
    site: Layers, position: int, one: ReadTensor, rows: int, run: Run, given: Sequence[Any], dimension: int
) -> Arrangement:
    shape = one.tensor.shape
    if not -len(shape) <= dimension < len(shape) or shape[dimension] % rows:
        raise LayerError(
            f"dimension {dimension} was said to count the examples at layer {site.name(position)}, but at its "
            f"{site.side} is a tensor of shape {tuple(shape)} for {rows} row(s)"
        )
    dimension %= len(shape)
    if shape[dimension] == rows:
        return Arrangement(dimension)
    found = _tried(site, position, one, rows, run, given)
    if found is None or found.dimension != dimension:
        return Arrangement(dimension, entries=shape[dimension] // rows)
    return found


def _tried(
    site: Layers, position: int, one: ReadTensor, rows: int, run: Run, given: Sequence[Any]
) -> Arrangement | None:
    """What passes with one row and with two tell, if anything."""
    known = _known(site, position, one, rows)
    tried = site.at_input, tuple(v.shape for v in given if isinstance(v, Tensor))
    if known is not None or tried in site.found:
        return known
    site.found[tried] = True
    try:
        with _disable_current_modes():  # these passes are nobody's but ours
            alone, pair = (_passing(site, run, values) for values in _trials(given, rows))
    except Exception:  # a model for one row, or for exactly so many
        return None
    for module in dict.fromkeys(site.modules):
        for call, (few, more) in enumerate(zip(alone[module], pair[module], strict=False)):
            for index, (a, b) in enumerate(zip(few, more, strict=False)):
                site.found[module, site.at_input, call, index] = _between(a, b), tuple(a.shape)
    return _known(site, position, one, rows)


def _known(site: Layers, position: int, one: ReadTensor, rows: int) -> Arrangement | None:
    """What was found out already, if it is about a tensor of this shape."""
    where, alone = site.found.get((site.modules[position], site.at_input, one.call, one.index), (None, ()))
    if where is None:
        return None
    d: int = where.dimension
    return where if tuple(one.tensor.shape) == (*alone[:d], where.several * rows, *alone[d + 1 :]) else None


def _trials(given: Sequence[Any], rows: int) -> tuple[list[Any], list[Any]]:
    """The first row, and the first row with another."""

    def own(value: Any) -> bool:
        return isinstance(value, Tensor) and value.dim() > 0 and value.shape[0] == rows

    alone = [v[:1].clone() if own(v) else v for v in given]
    differ = rows > 1 and any(own(v) and not torch.equal(v[0], v[-1]) for v in given)
    pair = []
    for value in given:
        if not own(value):
            pair.append(value)
        elif differ:
            pair.append(torch.cat([value[:1], value[-1:]]))
        elif value.is_floating_point() or value.is_complex() or value.dim() == 1:
            pair.append(torch.cat([value[:1], nudge(value[:1])]))
        else:  # ids: others of the same
            pair.append(torch.cat([value[:1], value[:1].flip(1)]))
    return alone, pair


def _passing(site: Layers, run: Run, values: Sequence[Any]) -> dict[nn.Module, list[list[Tensor]]]:
    """The tensors at each layer, call by call."""
    found: dict[nn.Module, list[list[Tensor]]] = {module: [] for module in site.modules}

    def note(module: nn.Module, value: Any) -> Any:
        found[module].append(
            [leaf.detach().clone() for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
        )

    cuda = [v.device for v in values if isinstance(v, Tensor) and v.device.type == "cuda"]
    with torch.random.fork_rng(devices=cuda[:1]), torch.no_grad(), hooked(found, site.at_input, note):
        run(*values)
    return found


def _between(alone: Tensor, pair: Tensor) -> Arrangement | None:
    """Where the rows are, of what one row gave and what it gave beside another; ``None`` if that does not tell."""
    if alone.dim() != pair.dim():
        return None
    grown = [d for d in range(alone.dim()) if alone.shape[d] != pair.shape[d]]
    if len(grown) != 1 or pair.shape[grown[0]] != 2 * alone.shape[grown[0]]:
        return None
    (d,), size = grown, alone.shape[grown[0]]
    blocks = sorted((n for n in range(1, size + 1) if size % n == 0), key=lambda n: (n not in (1, size), n))
    if size == 1 or alone.is_meta:
        return Arrangement(d, 1, size)
    alone, pair = as_real(alone), as_real(pair)

    def distance(n: int) -> float:
        own = pair.unflatten(d, (n, 2, size // n)).select(d + 1, 0).flatten(d, d + 1)
        return float((own.double() - alone.double()).abs().amax().nan_to_num(torch.inf))

    best = min(blocks, key=distance)
    near = distance(best) <= _NEAR * float(alone.double().abs().amax())
    return Arrangement(d, best, size // best) if near else None
