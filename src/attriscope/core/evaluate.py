"""Runs rows through a subject: chooses batches, reports, stops, and makes do with the memory there is.

Work is a grid of rows, steps x examples: each step (a position on the path, a perturbation, a noise sample) is one row
per example. A method says how to make the rows of some steps and some examples, and what to do with the answers; how
the grid is cut is decided here and nowhere else, and never changes a number beyond rounding.

What lies between ``attribute`` and this, and between this and the model, is listed in
:mod:`attriscope.attr._streaming`.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from attriscope.core.arrangement import Places
from attriscope.core.batch_checks import BatchChecks, MakeRows, Part, rows_in, run_part
from attriscope.core.batch_size import batch_size, is_out_of_memory, synchronize
from attriscope.core.caches import FirstPass
from attriscope.core.errors import (
    Cancelled,
    InputError,
    LayerError,
    NonFiniteError,
    OperationError,
    TargetError,
)
from attriscope.core.inputs import Examples
from attriscope.core.notices import tell_of_training
from attriscope.core.progress import control, current
from attriscope.core.reading import nudge
from attriscope.core.row_dependence import Unit, unchanged_random_state
from attriscope.core.subject import Evaluation, Nested, Subject

# Examples of so many numbers are tried together, where some of them were refused.
_MOST_TRIED = 1 << 26
# What models raise that are given more rows, or fewer, than they are made for, or than there is memory for.
_REFUSALS = (AssertionError, IndexError, MemoryError, RuntimeError, TypeError, ValueError)


@dataclasses.dataclass(frozen=True)
class Block:
    """The answers for the rows of ``steps`` x ``examples``.

    Attributes:
        steps, examples: the part of the grid.
        output: the model's output for these rows, step by step, as it came.
        f: the explained numbers, of shape (steps, examples), or (1, 1) where the model gives one for all examples
            together; ``None`` without a target.
        values, gradients: per place that was read, tensors with the rows in dimension 0, step by step.
        baseline_f, baseline_values: the same at the baselines, for methods whose rules compare with them.
        whole_batch: the model gives one number for all examples together.
        places: where layers have the rows that are in dimension 0 here; empty for there.
    """

    steps: slice
    examples: slice
    output: Any
    f: Tensor | None
    values: Nested
    gradients: Nested
    baseline_f: Tensor | None = None
    baseline_values: Nested = ()
    whole_batch: bool = False
    places: Places = ()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return rows_in((self.steps, self.examples))

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
        whole_batch: one number for all examples together may be explained, where the model gives no more.
    """

    def __init__(
        self,
        subject: Subject,
        examples: Examples,
        *,
        gradient: bool = True,
        batch: int | None = None,
        whole_batch: bool = True,
    ) -> None:
        self.subject = dataclasses.replace(subject, arrange=examples.arrange) if examples.keys else subject
        self.examples = examples
        self.gradient = gradient
        self.evaluations = 0
        self.expected: int | None = None
        """How many rows all runs together will be, for reports of progress; ``None`` reports each run by itself."""
        self.set_batch(batch)
        self._whole_batch = whole_batch
        # Of uneven inputs it is not known which rows belong together.
        self._unit: Unit | None = "step" if examples.uneven else None
        self._not_finite: Tensor | None = None
        self._gradients: Tensor | None = None  # all added up: NaN or infinite if one of them is
        tell_of_training(subject.forward)

    def set_batch(self, batch: int | None) -> None:
        """From the next batch on, this many rows go through the model at a time; ``None`` measures and chooses."""
        kind = (self.gradient, self.subject.method)
        self._batch = batch_size(self.subject.forward, self.examples, kind, batch)

    def run(self, steps: int, rows: MakeRows) -> Iterator[Block]:
        """Send ``steps`` x examples rows through the model, part by part.

        Args:
            steps: the number of steps.
            rows: ``rows(steps, examples)`` makes the inputs of a part of the grid, step by step in dimension 0. It may
                be called again for a part that did not fit into memory, or to see whether rows depend on each other.

        Yields:
            The answers, in order of steps; within one step in order of examples.
        """
        count = self.examples.count
        total, done = steps * count, 0
        step = example = 0
        while step < steps:
            watcher = current()
            watcher.check()
            part = self._part(step, example, steps, watcher.batch_seconds)
            block = self._attempt(*part, rows)
            if block is None:
                continue
            size = block.rows
            done += size
            self.evaluations += size
            if self.expected is None:
                watcher.report(done, total)
            else:
                watcher.report(self.evaluations, max(self.evaluations, self.expected))
            yield block
            example = part[1].stop % count
            step = part[0].stop if example == 0 else step
        self._check_numbers()

    def _part(self, step: int, example: int, steps: int, seconds: float | None) -> Part:
        """The steps and examples of the next batch."""
        count = self.examples.count
        batch = self._batch.rows((steps - step) * count - example, seconds)
        if self._unit is None and (batch < count or batch >= 2 * count):
            self._unit = self.known_unit or self._checks.unit_by_name()
        if self._unit in ("row", "step"):
            batch = 1 if self._unit == "row" else count
        if example == 0 and batch >= count:
            return slice(step, min(steps, step + batch // count)), slice(0, count)
        return slice(step, step + 1), slice(example, min(count, example + batch))

    @property
    def known_unit(self) -> Unit | None:
        """What must stay together, as far as that is known."""
        declared = current().independent_rows
        if self._unit is None and declared is not None:
            return "any" if declared else "step"
        return self._unit or self._checks.known_unit

    @property
    def together(self) -> bool:
        """Whether all examples of a step are one unit, as far as that is known."""
        return self.known_unit == "step"

    @functools.cached_property
    def _checks(self) -> BatchChecks:
        return BatchChecks(self.subject, self.examples, self.gradient)

    def _cuts(self, steps: slice, examples: slice) -> bool:
        """Whether a batch is something else than one step with all examples."""
        return steps.stop - steps.start > 1 or examples.stop - examples.start < self.examples.count

    def _attempt(self, steps: slice, examples: slice, rows: MakeRows) -> Block | None:
        """Run one part; ``None`` if it must be cut otherwise."""
        repeats, size = steps.stop - steps.start, rows_in((steps, examples))
        unknown = self._unit is None and self._cuts(steps, examples)
        first = FirstPass(self.subject.forward) if unknown else None
        began = time.perf_counter()
        try:
            with torch.no_grad():
                made = rows(steps, examples)
            result = run_part(self.subject, self.examples, made, (steps, examples), self.gradient)
        except (Cancelled, OperationError, LayerError):
            raise
        except _REFUSALS as error:
            if is_out_of_memory(error):
                if size == 1 or self._unit == "step":
                    raise
                self._batch.limit(size // 2)
                return None
            found = self._otherwise(error, rows, steps, examples)
            if found is None:
                return None
            result = found
        if self._batch.measuring or current().batch_seconds is not None:
            synchronize(self.examples.tensors[0].device)
            self._batch.record(size, time.perf_counter() - began)
        if first is not None and self._unit is None:
            first.forget()
            self._unit = self._checks.unit(rows, (steps, examples))
            if self._unit == "step":
                return None
        if result.unreached:
            self._checks.see_that_unused(result, rows, (steps, examples))
        self._note_numbers(result.f)
        f = None if result.f is None else result.f.reshape(repeats, -1)
        base = None if result.baseline_f is None else result.baseline_f.reshape(repeats, -1)
        self._note_numbers(base)
        for place in result.gradients:
            for gradient in place:
                if gradient.is_complex():
                    gradient = torch.view_as_real(gradient.resolve_conj())
                if gradient.is_floating_point():
                    # Added up they tell as much as one by one. Half precision would overflow.
                    wide = torch.float32 if gradient.dtype in (torch.float16, torch.bfloat16) else None
                    total, known = gradient.detach().sum(dtype=wide), self._gradients
                    self._gradients = total if known is None else known + total.to(known)
        return Block(
            steps,
            examples,
            result.output,
            f,
            result.values,
            result.gradients,
            base,
            result.baseline_values,
            self.subject.whole_batch,
            result.places,
        )

    def _otherwise(
        self, error: Exception, rows: MakeRows, steps: slice, examples: slice
    ) -> Evaluation | None:
        """What to do about rows that were refused: ``None`` to cut them otherwise.

        Only this call remembers that: the next one has another target, which may be to blame.
        """
        if (
            self._unit == "row" or examples.start > 0
        ):  # and not even that; or the step has been begun in parts
            raise error
        if steps.stop - steps.start > 1:
            self._unit = "step"
            return None
        count, size = self.examples.count, examples.stop - examples.start
        if isinstance(error, TargetError):
            return self._as_whole_batch(error, rows, steps, examples)
        # Perhaps some of the examples are refused, and all of them are not. More than this are not tried.
        numbers = sum(x.numel() for x in self.examples.tensors)
        if size < count and numbers <= _MOST_TRIED and self._works(rows, steps, slice(0, count)):
            self._unit = self._checks.depend()
            return None
        if size == 1 or not self._works(rows, steps, slice(examples.start, examples.start + 1)):
            raise error
        self._unit = "row"  # a model for one row at a time
        return None

    def _as_whole_batch(
        self, error: TargetError, rows: MakeRows, steps: slice, examples: slice
    ) -> Evaluation | None:
        """One number for the whole batch: a set, a bag, a graph, a loss."""
        if not self._whole_batch or self.subject.whole_batch or self.examples.count == 1:
            raise error
        if examples.stop - examples.start < self.examples.count:
            if not self._works(rows, steps, slice(examples.start, examples.start + 1)):
                raise error
            self._unit = "step"
            return None
        together = dataclasses.replace(self.subject, whole_batch=True)
        try:
            made = rows(steps, examples)
            result = run_part(together, self.examples, made, (steps, examples), self.gradient)
        except InputError:
            raise error from None
        self.subject, self._unit = together, "step"
        return result

    def _works(self, rows: MakeRows, steps: slice, examples: slice) -> bool:
        """Whether these rows are not refused, so that those which were are too many or too few."""
        try:
            with torch.no_grad():
                made = rows(steps, examples)
            run_part(self.subject, self.examples, made, (steps, examples), self.gradient)
        except Exception:  # whatever it is, the error for the first batch is the one to show
            return False
        return True

    def _note_numbers(self, f: Tensor | None) -> None:
        """Remember on the device whether a number is not finite: looking now would wait for the device."""
        if f is None or not (f.is_floating_point() or f.is_complex()):
            return
        # Times zero, what is finite is gone, and NaN and infinity are NaN.
        wrong = (f * 0).sum()
        self._not_finite = wrong if self._not_finite is None else self._not_finite + wrong

    def _check_numbers(self) -> None:
        """Refuse numbers that are not finite, of which nothing can be made.

        Raises:
            NonFiniteError: there were some.
        """
        found = self._not_finite
        if found is not None and not found.is_meta and not bool(torch.isfinite(found)):
            raise NonFiniteError(
                "the explained output is NaN or infinite for some of the rows that this method sent through the model; "
                "look at model(*inputs) and at the baseline, e.g. for a logarithm or division of zero, or float16 "
                "overflow"
            )
        found = self._gradients
        if found is None or found.is_meta or bool(torch.isfinite(found)):
            return
        read = self.subject.read
        what = "the gradient" if self.subject.scheme is None else f"what {self.subject.method} passes back"
        raise NonFiniteError(
            f"{what} is NaN or infinite at {'the inputs' if read is None else 'the layer'} for some of the rows that "
            "this method sent through the model, though the explained output is finite: look for a root, norm, "
            "logarithm or division at zero, also in the branch that torch.where does not take, or float16 overflow. "
            "Other inputs or another baseline avoid the place; a method that only needs outputs, such as "
            "FeatureAblation, does without gradients"
        )


def copies_can_share_batches(forward: Any, examples: Examples) -> bool:
    """Whether several copies of the examples may be explained as if they were so many examples.

    What calls another method with samples of its examples asks this first: to that method all of them are one step.
    """
    evaluator = Evaluator(Subject(forward, None), examples, gradient=False, batch=2 * examples.count)
    if evaluator.together or evaluator.known_unit == "any":
        return not evaluator.together

    def rows(steps: slice, part: slice) -> tuple[Tensor, ...]:
        made = [x if step == 0 else nudge(x) for step in range(2)[steps] for x in examples.slices(part)]
        return tuple(torch.cat(made[i :: len(examples.tensors)]) for i in range(len(examples.tensors)))

    # What is drawn and reported here is nobody's.
    with unchanged_random_state(examples.tensors[0].device), control(progress=lambda done, total: None):
        for _ in evaluator.run(2, rows):
            pass
    return not evaluator.together
