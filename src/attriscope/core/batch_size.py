"""How many rows go through a model at a time: what the user says, or what was measured to be fastest.

:mod:`attriscope.core.evaluate` asks before every batch.
"""

from __future__ import annotations

import math
import numbers
import weakref
from collections.abc import Hashable
from typing import Any

import torch
from torch import nn

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.hooks import module_of
from attriscope.core.inputs import Examples, describe

# Without a measurement the first batch holds about this many input numbers: tiny models start with all their rows at
# once, image models with a few.
_FIRST_BATCH_NUMBERS = 1 << 17
# A larger batch must be this much faster per row to be kept.
_WORTHWHILE = 1.05
# Batches that already take this long (seconds) are not grown: nothing is gained, and progress and cancel would lag.
_LONG_ENOUGH = 0.25
# How often a size is tried that was not faster.
_TRIES = 2


def check_batch(batch: Any, name: str) -> int | None:
    """A batch size given by the user.

    Raises:
        InputTypeError, InputError: it is not a positive whole number.
    """
    if batch is None:
        return None
    if not isinstance(batch, numbers.Integral) or isinstance(batch, bool):
        raise InputTypeError(f"{name} must be a positive int or None, but {describe(batch)} came")
    if batch < 1:
        raise InputError(f"{name} must be at least 1, but {batch} came")
    return int(batch)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that a clock tells the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was too little memory, on whatever device."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    # What torch's allocator for the CPU says.
    return isinstance(error, RuntimeError) and "not enough memory" in str(error)


def batch_size(
    forward: Any, examples: Examples, kind: Hashable, batch: int | None
) -> FixedBatchSize | MeasuredBatchSize:
    """Says how many rows go through the model at a time: ``batch``, or what was measured for work of this kind."""
    return FixedBatchSize(batch) if batch is not None else MeasuredBatchSize.of(forward, examples, kind)


class FixedBatchSize:
    """The number of rows that the user asked for."""

    measuring = False

    def __init__(self, batch: int) -> None:
        self._batch = batch

    def rows(self, left: int, seconds: float | None) -> int:
        return min(self._batch, left)

    def limit(self, rows: int) -> None:
        self._batch = max(1, rows)

    def record(self, rows: int, seconds: float) -> None:
        """Nothing is measured."""


class MeasuredBatchSize:
    """Finds the batch size with the most rows per second, and remembers it for the model and the row's shape.

    It doubles and halves as long as that pays. Smaller may be faster: on a CPU, what fits into the cache.
    """

    _known: weakref.WeakKeyDictionary[Any, dict[Any, MeasuredBatchSize]] = weakref.WeakKeyDictionary()

    def __init__(self, first: int) -> None:
        self._batch = self._best = first
        self._cap: float = math.inf
        self._speeds: dict[int, list[float]] = {}  # for each size, rows per second of the batches so far
        self._speed = 0.0  # rows per second of the latest batch: a machine that grows busy is noticed
        self._warm = False
        self._searching = True
        self._full = False  # whether the latest batch was asked for in full

    @property
    def measuring(self) -> bool:
        """Whether it is still finding out."""
        return self._searching or not self._warm

    @classmethod
    def of(cls, forward: Any, examples: Examples, kind: Hashable) -> MeasuredBatchSize:
        # A section of a model is an object of its own in each call, but runs as fast as in the last.
        forward, part = getattr(forward, "timing_key", (forward, None))
        key = (kind, part, tuple((t.shape[1:], t.dtype, t.device) for t in examples.tensors))
        try:
            known = cls._known.setdefault(forward, {})
        except TypeError:  # a callable that takes no weak reference or has no hash
            known = {}
        return known.get(key) or known.setdefault(key, cls(_first_batch(module_of(forward), examples)))

    def rows(self, left: int, seconds: float | None) -> int:
        batch = self._batch
        if seconds is not None:  # one row as long as nothing was measured
            batch = min(batch, int(seconds * self._speed))
        self._full = batch == self._batch <= left
        return max(1, min(batch, left))

    def limit(self, rows: int) -> None:
        """A larger batch does not work."""
        self._cap = max(1, rows)
        self._batch = int(min(self._batch, self._cap))
        self._searching = False

    def record(self, rows: int, seconds: float) -> None:
        """Take note that a batch of so many rows took so long."""
        if not self._warm:  # the first run of a model also plans kernels and fills caches
            self._warm = True
            return
        self._speed = rows / max(seconds, 1e-9)
        # A batch holds whole steps where it can, so it may be smaller than was asked for.
        if not self._searching or not self._full or 2 * rows <= self._batch:
            return
        self._speeds.setdefault(self._batch, []).append(self._speed)
        # Noise only slows down, so of each size the fastest batch counts.
        if max(self._speeds[self._batch]) > max(self._speeds[self._best]) * _WORTHWHILE:
            self._best = self._batch
        near = [self._best // 2]
        if self._best / max(self._speeds[self._best]) < _LONG_ENOUGH:
            near.insert(0, 2 * self._best)
        open_ = [n for n in near if 1 <= n <= self._cap and len(self._speeds.get(n, ())) < _TRIES]
        self._searching = bool(open_)
        self._batch = open_[0] if open_ else self._best


def _first_batch(model: Any, examples: Examples) -> int:
    """How many rows to begin with: by the numbers in a row, or in the widest layer that it goes through."""
    per_row = sum(max(1, t.shape[1:].numel()) for t in examples.tensors)
    if isinstance(model, nn.Module):
        widths = (module.out_features for module in model.modules() if isinstance(module, nn.Linear))
        per_row = max(per_row, max(widths, default=1))
    return max(1, _FIRST_BATCH_NUMBERS // per_row)
