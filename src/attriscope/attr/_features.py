"""Features: which elements of the inputs are switched on and off together.

A feature mask numbers the elements; here the numbers are made dense once, and everything that perturbs inputs feature
by feature, or hands one number per feature back to the elements, goes through :class:`Features`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import Examples, baseline_rows, describe

Replace = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""What stands in place of some elements: of (input, step in the block, example in the block, position in the row)."""


@dataclasses.dataclass(frozen=True)
class _Ids:
    """Which feature each element of one input belongs to.

    Attributes:
        values: ids of shape (1 or N, *sizes) that broadcasts against the input; ``None`` if element ``p`` of every
            example simply is feature ``first + p``.
        first: see above.
        shape: the shape of one example.
    """

    values: Tensor | None
    first: int
    shape: torch.Size

    @functools.cached_property
    def numel(self) -> int:
        return self.shape.numel()


class Features:
    """F features of N examples.

    Attributes:
        count: the number F of features.
        shared: whether all examples have the same mask.
        names: the numbers in the caller's mask, ascending; feature ``f`` here is ``names[f]`` there.
    """

    def __init__(self, ids: tuple[_Ids, ...], names: Tensor) -> None:
        self._ids = ids
        self.names = names
        self.count = len(names)
        self.shared = all(i.values is None or i.values.shape[0] == 1 for i in ids)
        self._places: dict[int, tuple[Tensor, list[int]]] = {}

    # --- rows -----------------------------------------------------------------------------------------------------

    def mix(
        self,
        keep: Tensor,
        inputs: tuple[Tensor, ...],
        baselines: tuple[Tensor, ...],
        part: slice,
        *,
        per_step: bool = False,
    ) -> tuple[Tensor, ...]:
        """Rows in which some features come from the inputs and the others from the baselines.

        Args:
            keep: bool (steps, F), or (steps, examples, F) if the examples differ: what comes from the inputs.
            inputs: the inputs of the examples ``part``, (n, ...) each.
            baselines: of all examples, first dimension 1 or N.
            part: which examples.
            per_step: baselines are (steps, 1, ...) instead: each step has its own.

        Returns:
            For each input (steps * n, ...), step by step.
        """
        found = []
        for ids, x, b in zip(self._ids, inputs, baselines, strict=True):
            on = self._of_elements(keep.to(x.device), ids, part, x.shape[0])
            found.append(torch.where(on, x, b if per_step else baseline_rows(b, part)).flatten(0, 1))
        return tuple(found)

    def _of_elements(self, keep: Tensor, ids: _Ids, part: slice, count: int) -> Tensor:
        """``keep`` for each element, broadcasting against (steps, count, *shape)."""
        steps = keep.shape[0]
        if ids.values is None:
            each = keep if keep.dim() == 3 else keep.unsqueeze(1)
            return each[..., ids.first : ids.first + ids.numel].reshape(*each.shape[:2], *ids.shape)
        values = baseline_rows(ids.values, part)
        flat = values.reshape(values.shape[0], -1)
        if keep.dim() == 2:  # gather reads rows several times faster than index_select
            return keep.gather(1, flat.reshape(1, -1).expand(steps, -1)).reshape(steps, *values.shape)
        index = flat.expand(count, -1).expand(steps, -1, -1)
        return keep.gather(2, index).reshape(steps, count, *values.shape[1:])

    def replace(
        self, features: slice, lead: int, inputs: tuple[Tensor, ...], part: slice, replacement: Replace
    ) -> tuple[Tensor, ...]:
        """Rows in each of which one feature is replaced.

        Only what changes is written, so the cost is that of a copy of the inputs, however many features there are.

        Args:
            features: one row per example for each of these.
            lead: how many unchanged rows per example come first.
            inputs: the inputs of the examples ``part``, (n, ...) each.
            part: which examples.
            replacement: gives the new values.

        Returns:
            For each input ((lead + features) * n, ...), step by step.
        """
        steps = lead + features.stop - features.start
        found = []
        for i, x in enumerate(inputs):
            n = x.shape[0]
            rows = copies(x, steps)
            where, bounds = self._elements(i, x.device)
            places = where[bounds[features.start] : bounds[features.stop]]
            counts = torch.tensor(bounds[features.start : features.stop + 1], device="cpu").diff()
            step = torch.repeat_interleave(counts).to(x.device) + lead
            size = self._ids[i].numel
            ids = self._ids[i].values
            if ids is None or ids.shape[0] == 1:
                index = step[:, None], torch.arange(n, device=x.device)[None], places[:, None]
            else:  # places count through all examples
                example, place = places // size, places % size
                inside = (example >= part.start) & (example < part.stop)
                index = step[inside], example[inside] - part.start, place[inside]
            if index[0].numel():
                rows.view(steps, n, size)[index] = replacement(i, *index)
            found.append(rows.flatten(0, 1))
        return tuple(found)

    def _elements(self, i: int, device: torch.device) -> tuple[Tensor, list[int]]:
        """The places of input ``i``'s elements sorted by feature, and where each feature's begin (F + 1 numbers)."""
        if i not in self._places:
            ids = self._ids[i]
            if ids.values is None:
                where = torch.arange(ids.numel, device=device)
                starts = (torch.arange(self.count + 1, device="cpu") - ids.first).clamp(0, ids.numel)
            else:
                values = ids.values.expand(-1, *ids.shape).flatten()
                where = torch.argsort(values, stable=True)
                counts = torch.bincount(values, minlength=self.count)
                starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
            self._places[i] = where, starts.tolist()
        return self._places[i]

    def in_input(self, i: int) -> Tensor:
        """Which features are in input ``i``: bool (F,)."""
        ids = self._ids[i]
        number = torch.arange(self.count, device="cpu")
        if ids.values is None:
            return (number >= ids.first) & (number < ids.first + ids.numel)
        return torch.isin(number, ids.values.cpu())

    def only(self, feature: int, i: int) -> Tensor | None:
        """Where feature ``feature`` is in input ``i``: bool (1 or N, *sizes); ``None`` if nowhere."""
        ids = self._ids[i]
        if ids.values is not None:
            where = ids.values == feature
            return where if bool(where.any()) else None
        if not ids.first <= feature < ids.first + ids.numel:
            return None
        where = torch.zeros(1, ids.numel, dtype=torch.bool, device="cpu")
        where[0, feature - ids.first] = True
        return where.reshape(1, *ids.shape)

    # --- numbers ----------------------------------------------------------------------------------------------------

    def to_elements(self, values: Tensor, devices: tuple[torch.device, ...]) -> tuple[Tensor, ...]:
        """One number per feature handed to all of its elements.

        Args:
            values: (M, F). Unless the mask is shared, M is a multiple of N, and rows belong to examples in order.
            devices: where the result for each input shall be.

        Returns:
            For each input (M, *shape of one example).
        """
        rows = values.shape[0]
        found = []
        for ids, device in zip(self._ids, devices, strict=True):
            v = values.to(device)
            if ids.values is None:
                out = v[:, ids.first : ids.first + ids.numel].reshape(rows, *ids.shape)
            elif ids.values.shape[0] == 1:
                out = v.index_select(1, ids.values.flatten()).reshape(rows, *ids.values.shape[1:])
            else:
                each = ids.values.flatten(1).repeat_interleave(rows // ids.values.shape[0], 0)
                out = v.gather(1, each).reshape(rows, *ids.values.shape[1:])
            # Of a mask that broadcasts, the result is as large as the input all the same.
            found.append(out.expand(rows, *ids.shape).clone() if out.shape[1:] != ids.shape else out.clone())
        return tuple(found)

    def masks(self, example: slice) -> tuple[Tensor, ...]:
        """Dense masks of some examples, with first dimension 1 if all have the same: feature numbers 0 .. F - 1."""
        found = []
        for ids in self._ids:
            values = ids.values
            if values is None:
                values = torch.arange(ids.first, ids.first + ids.numel, device="cpu").reshape(1, *ids.shape)
            found.append(baseline_rows(values, example))
        return tuple(found)

    def totals(self, i: int, elements: Tensor) -> Tensor:
        """The numbers at the elements of input ``i`` (N, ...) added up by feature: (N, F) in the same dtype."""
        ids = self._ids[i]
        flat = elements.reshape(elements.shape[0], -1)
        sums = flat.new_zeros(flat.shape[0], self.count)
        if ids.values is None:
            sums[:, ids.first : ids.first + ids.numel] = flat
            return sums
        places = ids.values.expand(-1, *ids.shape).reshape(ids.values.shape[0], -1).expand_as(flat)
        return sums.scatter_add_(1, places, flat)

    def dense(self, values: Tensor) -> Tensor:
        """(M, F) as (M, high - low + 1), by the numbers in the caller's mask; 0 for numbers that do not occur there.

        Raises:
            InputError: the numbers lie too far apart for that.
        """
        places = self.names - self.names[:1]
        width = int(places[-1]) + 1 if self.count else 0
        if width == self.count:
            return values
        if width > 10_000_000:
            raise InputError(
                f"the numbers in feature_mask go from {int(self.names[0])} to {int(self.names[-1])}; one coefficient "
                "for each number between them is too much: use return_input_shape=True, or number the features from 0"
            )
        return values.new_zeros(values.shape[0], width).index_copy_(1, places.to(values.device), values)


def exact_dtype(device: torch.device) -> torch.dtype:
    """For sums that nearly cancel: double precision where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def copies(x: Tensor, count: int) -> Tensor:
    """``count`` copies of a tensor, (count, *shape), contiguous; several times faster than ``repeat``."""
    return x.expand(count, *x.shape).clone(memory_format=torch.contiguous_format)


def resolve_features(feature_mask: Any, examples: Examples) -> Features:
    """The features that a mask describes.

    Args:
        feature_mask: ``None`` (every number of an example is a feature), or a tensor of integers, for several inputs
            a tuple of these, that broadcasts against the input from the right. Elements with the same number, across
            inputs too, are one feature. A first dimension of N gives each example a mask of its own.

    Raises:
        InputTypeError: it is not a tensor, or one of something else than whole numbers.
        InputError: the number of masks or a shape does not fit.
    """
    tensors = examples.tensors
    if feature_mask is None:
        first, ids = 0, []
        for x in tensors:
            ids.append(_Ids(None, first, x.shape[1:]))
            first += ids[-1].numel
        return Features(tuple(ids), torch.arange(first, device="cpu"))
    masks = examples.per_input(feature_mask)
    if len(masks) != len(tensors):
        raise InputError(
            f"there must be one feature_mask per input, but {len(masks)} came for {len(tensors)} input(s): "
            f"{describe(feature_mask)}"
        )
    fitted = [_fit(mask, x, i) for i, (mask, x) in enumerate(zip(masks, tensors, strict=True))]
    if examples.uneven and any(len(mask) != 1 for mask in fitted):
        raise InputError(
            "with inputs of different first dimensions, masks must have a first dimension of 1, as it is not known "
            f"which parts belong to an example, but {describe(feature_mask)} came"
        )
    # On one device, because a feature may reach over inputs that are on several.
    flat = torch.cat([mask.flatten().to(tensors[0].device) for mask in fitted])
    names, dense = torch.unique(flat, return_inverse=True)
    parts = dense.split([mask.numel() for mask in fitted])
    return Features(
        tuple(
            _Ids(part.reshape(mask.shape).to(x.device), 0, x.shape[1:])
            for part, mask, x in zip(parts, fitted, tensors, strict=True)
        ),
        names.cpu(),
    )


def _fit(mask: Any, x: Tensor, position: int) -> Tensor:
    """A mask with as many dimensions as its input, of type int64."""
    if not isinstance(mask, Tensor):
        raise InputTypeError(
            f"feature_mask must be a tensor of integers, or a tuple with one per input, but for input {position} came "
            f"{describe(mask)} of type {type(mask).__name__}"
        )
    if mask.is_complex() or (mask.is_floating_point() and not bool((mask == mask.floor()).all())):
        raise InputTypeError(
            f"feature_mask must hold whole numbers, but for input {position} came {describe(mask)}"
        )
    shape = (1,) * (x.dim() - mask.dim()) + tuple(mask.shape)
    if len(shape) != x.dim() or any(m not in (1, n) for m, n in zip(shape, x.shape, strict=True)):
        raise InputError(
            f"the feature_mask of input {position} has shape {tuple(mask.shape)}, which does not broadcast against an "
            f"input of shape {tuple(x.shape)}; {(1, *x.shape[1:])} gives all examples the same features"
        )
    return mask.detach().reshape(shape).to(torch.int64)
