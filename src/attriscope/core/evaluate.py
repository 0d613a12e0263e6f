"""Runs rows through a subject: chooses batches, reports, stops, and makes do with the memory there is.

Work is a grid of rows, steps x examples: each step (a position on the path, a perturbation, a noise sample) is one row
per example. A method says how to make the rows of some steps and some examples, and what to do with the answers; how
the grid is cut is decided here and nowhere else, and never changes a number beyond rounding.

What lies between ``attribute`` and this, and between this and the model, is listed in
:mod:`attriscope.attr._streaming`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from attriscope.core.batch_size import FixedBatchSize, batch_size, synchronize
from attriscope.core.errors import InputError, NonFiniteError
from attriscope.core.inputs import Examples
from attriscope.core.progress import current
from attriscope.core.subject import Nested, Subject

MakeRows = Callable[[slice, slice], tuple[Tensor, ...]]


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
        self._batch = batch_size(self.subject.forward, self.examples, kind, batch)

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
            batch = self._batch.rows(total - done, control.batch_seconds)
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
            self._batch.limit(size // 2)
            return None
        except InputError:
            # The output may not grow with the batch (one number for the whole batch, say): then a row at a time.
            if size == 1 or not self._works_alone(rows, steps, examples):
                raise
            # For this call only: the target may be to blame, and the next call has another.
            self._batch = FixedBatchSize(1)
            return None
        if self._batch.measuring or current().batch_seconds is not None:
            synchronize(made[0].device)
            self._batch.record(size, time.perf_counter() - began)
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
