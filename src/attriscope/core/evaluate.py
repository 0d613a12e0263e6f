"""Runs rows through a subject: chooses batches, reports, stops, and makes do with the memory there is.

Work is a grid of rows, steps x examples: each step (a position on the path, a perturbation, a noise sample) is one row
per example. A method says how to make the rows of some steps and some examples, and what to do with the answers; how
the grid is cut is decided here and nowhere else, and never changes a number beyond rounding.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import time
import weakref
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import torch
from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError, NonFiniteError
from attriscope.core.inputs import Examples, describe
from attriscope.core.progress import current
from attriscope.core.subject import Nested, Subject

MakeRows = Callable[[slice, slice], tuple[Tensor, ...]]

# Without a measurement the first batch holds about this many input numbers: tiny models start with all their rows at
# once, image models with a few.
_FIRST_BATCH_NUMBERS = 1 << 17
# A larger batch must be this much faster per row to be kept.
_WORTHWHILE = 1.05
# Batches that already take this long (seconds) are not grown: nothing is gained, and progress and cancel would lag.
_LONG_ENOUGH = 0.25
# How often a size is tried that was not faster.
_TRIES = 2


@dataclasses.dataclass(frozen=True)
class Block:
    """The answers for the rows of ``steps`` x ``examples``.

    Attributes:
        steps, examples: the part of the grid.
        output: the model's output for these rows, step by step, as it came.
        f: the explained numbers, of shape (steps, examples); ``None`` without a target.
        values, gradients: per place that was read, tensors with the rows in dimension 0, step by step.
        baseline_f, baseline_values: the same at the baselines, for methods whose rules compare with them.
    """

    steps: slice
    examples: slice
    output: Any
    f: Tensor | None
    values: Nested
    gradients: Nested
    baseline_f: Tensor | None = None
    baseline_values: Nested = ()

    def grid(self, rows: Tensor) -> Tensor:
        """A tensor with the block's rows in dimension 0, as (steps, examples, ...)."""
        k, n = self.steps.stop - self.steps.start, self.examples.stop - self.examples.start
        return rows.reshape(k, n, *rows.shape[1:])


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


class Evaluator:
    """Runs one grid of rows after another for one call of a method.

    Args:
        subject: what is run.
        examples: the examples that rows are made of.
        gradient: whether gradients are wanted.
        batch: how many rows go through the model at a time; ``None`` measures and chooses.
    """

    def __init__(
        self, subject: Subject, examples: Examples, *, gradient: bool = True, batch: int | None = None
    ) -> None:
        self.subject = dataclasses.replace(subject, arrange=examples.arrange) if examples.keys else subject
        self.examples = examples
        self.gradient = gradient
        self.evaluations = 0
        self.expected: int | None = None
        """How many rows all runs together will be, for reports of progress; ``None`` reports each run by itself."""
        self.set_batch(batch)
        self._not_a_number: Tensor | None = None

    def set_batch(self, batch: int | None) -> None:
        """From the next batch on, this many rows go through the model at a time; ``None`` measures and chooses."""
        kind = (self.gradient, self.subject.method)
        self._pace = pace(self.subject.forward, self.examples, kind, batch)

    def run(self, steps: int, rows: MakeRows) -> Iterator[Block]:
        """Send ``steps`` x examples rows through the model, part by part.

        Args:
            steps: the number of steps.
            rows: ``rows(steps, examples)`` makes the inputs of a part of the grid, step by step in dimension 0. It may
                be called again for a part that did not fit into memory.

        Yields:
            The answers, in order of steps; within one step in order of examples.
        """
        count = self.examples.count
        total, done = steps * count, 0
        step = example = 0
        while step < steps:
            control = current()
            control.check()
            batch = self._pace.rows(total - done, control.batch_seconds)
            if example == 0 and batch >= count:
                part = slice(step, min(steps, step + batch // count)), slice(0, count)
            else:
                part = slice(step, step + 1), slice(example, min(count, example + batch))
            block = self._attempt(*part, rows)
            if block is None:
                continue
            size = (part[0].stop - part[0].start) * (part[1].stop - part[1].start)
            done += size
            self.evaluations += size
            if self.expected is None:
                control.report(done, total)
            else:
                control.report(self.evaluations, max(self.evaluations, self.expected))
            yield block
            example = part[1].stop % count
            step = part[0].stop if example == 0 else step
        self._check_numbers()

    def _attempt(self, steps: slice, examples: slice, rows: MakeRows) -> Block | None:
        """Run one part; ``None`` if it must be cut smaller."""
        repeats = steps.stop - steps.start
        size = repeats * (examples.stop - examples.start)
        arguments = self.examples.forward_arguments(repeats, examples)
        began = time.perf_counter()
        try:
            with torch.no_grad():
                made = rows(steps, examples)
            result = self.subject.run(made, arguments, repeats, examples, self.gradient)
        except torch.cuda.OutOfMemoryError:
            if size == 1:
                raise
            self._pace.limit(size // 2)
            return None
        except InputError:
            # The output may not grow with the batch (one number for the whole batch, say): then a row at a time.
            if size == 1 or not self._works_alone(rows, steps, examples):
                raise
            # For this call only: the target may be to blame, and the next call has another.
            self._pace = _Fixed(1)
            return None
        if self._pace.measuring or current().batch_seconds is not None:
            finish(made[0].device)
            self._pace.record(size, time.perf_counter() - began)
        self._note_numbers(result.f)
        f = None if result.f is None else result.f.reshape(repeats, -1)
        base = None if result.baseline_f is None else result.baseline_f.reshape(repeats, -1)
        self._note_numbers(base)
        return Block(
            steps, examples, result.output, f, result.values, result.gradients, base, result.baseline_values
        )

    def _works_alone(self, rows: MakeRows, steps: slice, examples: slice) -> bool:
        """Whether the first row, alone, is not refused, so that the batch is to blame."""
        one, first = slice(steps.start, steps.start + 1), slice(examples.start, examples.start + 1)
        try:
            self.subject.run(rows(one, first), self.examples.forward_arguments(1, first), 1, first, False)
        except Exception:  # whatever it is, the error for the whole batch is the one to show
            return False
        return True

    def _note_numbers(self, f: Tensor | None) -> None:
        """Remember on the device whether something was not a number: looking now would wait for the device."""
        if f is None:
            return
        wrong = torch.isnan(f).any()
        self._not_a_number = wrong if self._not_a_number is None else self._not_a_number | wrong

    def _check_numbers(self) -> None:
        if self._not_a_number is None or self._not_a_number.is_meta or not bool(self._not_a_number):
            return
        raise NonFiniteError(
            "the explained output is NaN for some of the rows that this method sent through the model; look at "
            "model(*inputs) and at the baseline, e.g. for a logarithm or division of zero, or float16 overflow"
        )


def finish(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that a clock tells the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def pace(forward: Any, examples: Examples, kind: Hashable, batch: int | None) -> _Fixed | _Measured:
    """Says how many rows go through the model at a time: ``batch``, or what was measured for work of this kind."""
    return _Fixed(batch) if batch is not None else _Measured.of(forward, examples, kind)


class _Fixed:
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


class _Measured:
    """Finds the batch size with the most rows per second, and remembers it for the model and the row's shape.

    It doubles and halves as long as that pays. Smaller may be faster: on a CPU, what fits into the cache.
    """

    _known: weakref.WeakKeyDictionary[Any, dict[Any, _Measured]] = weakref.WeakKeyDictionary()

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
    def of(cls, forward: Any, examples: Examples, kind: Hashable) -> _Measured:
        per_row = sum(max(1, t[0].numel()) for t in examples.tensors)
        first = max(1, _FIRST_BATCH_NUMBERS // per_row)
        # A section of a model is an object of its own in each call, but runs as fast as in the last.
        forward, part = getattr(forward, "paced_as", (forward, None))
        key = (kind, part, tuple((t.shape[1:], t.dtype, t.device) for t in examples.tensors))
        try:
            return cls._known.setdefault(forward, {}).setdefault(key, cls(first))
        except TypeError:  # a callable that takes no weak reference or has no hash
            return cls(first)

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
