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
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from attriscope.core.batch_size import batch_size, is_out_of_memory, synchronize
from attriscope.core.errors import (
    Cancelled,
    InputError,
    LayerError,
    NonFiniteError,
    OperationError,
    RowDependenceWarning,
    TargetError,
)
from attriscope.core.inputs import Examples
from attriscope.core.notices import tell, tell_of_training
from attriscope.core.progress import current
from attriscope.core.row_dependence import (
    Piece,
    Unit,
    Units,
    dependence,
    mixes_rows,
    same_evaluation,
    unchanged_random_state,
)
from attriscope.core.subject import Evaluation, Nested, Subject

MakeRows = Callable[[slice, slice], tuple[Tensor, ...]]
Part = tuple[slice, slice]

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

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return _size(self.steps, self.examples)

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
        self._unit: Unit | None = None
        self._reached = False  # whether it was seen that where no gradient arrives there is none
        self._not_finite: Tensor | None = None
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
            control = current()
            control.check()
            part = self._part(step, example, steps, control.batch_seconds)
            block = self._attempt(*part, rows)
            if block is None:
                continue
            size = _size(*part)
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

    def _part(self, step: int, example: int, steps: int, seconds: float | None) -> Part:
        """The steps and examples of the next batch."""
        count = self.examples.count
        batch = self._batch.rows((steps - step) * count - example, seconds)
        if self._unit is None and (batch < count or batch >= 2 * count):
            self._unit = self._units.unit
        if self._unit in ("row", "step"):
            batch = 1 if self._unit == "row" else count
        if example == 0 and batch >= count:
            return slice(step, min(steps, step + batch // count)), slice(0, count)
        return slice(step, step + 1), slice(example, min(count, example + batch))

    @property
    def together(self) -> bool:
        """Whether all examples of a step are one unit, as far as that is known."""
        return (self._unit or self._units.unit) == "step"

    @functools.cached_property
    def _units(self) -> Units:
        return Units(self.subject.forward, self.examples)

    def _cuts(self, steps: slice, examples: slice) -> bool:
        """Whether a batch is something else than one step with all examples."""
        return steps.stop - steps.start > 1 or examples.stop - examples.start < self.examples.count

    def _attempt(self, steps: slice, examples: slice, rows: MakeRows) -> Block | None:
        """Run one part; ``None`` if it must be cut otherwise."""
        repeats, size = steps.stop - steps.start, _size(steps, examples)
        began = time.perf_counter()
        try:
            with torch.no_grad():
                made = rows(steps, examples)
            result = self._run(self.subject, made, steps, examples)
        except (Cancelled, OperationError, LayerError):
            raise
        except _REFUSALS as error:
            if is_out_of_memory(error):
                if size == 1 or self._unit == "step":
                    raise
                self._batch.limit(size // 2)
                return None
            found = self._otherwise(error, made, rows, steps, examples)
            if found is None:
                return None
            result = found
        if self._batch.measuring or current().batch_seconds is not None:
            synchronize(self.examples.tensors[0].device)
            self._batch.record(size, time.perf_counter() - began)
        if self._unit is None and self._cuts(steps, examples):
            self._unit = self._found_unit(result, made, rows, steps, examples)
            if self._unit == "step":
                return None
        if result.unreached and not self._reached:
            self._check_reached(result, made, steps, examples)
        self._note_numbers(result.f)
        f = None if result.f is None else result.f.reshape(repeats, -1)
        base = None if result.baseline_f is None else result.baseline_f.reshape(repeats, -1)
        self._note_numbers(base)
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
        )

    def _run(
        self,
        subject: Subject,
        made: tuple[Tensor, ...],
        steps: slice,
        examples: slice,
        gradient: bool | None = None,
    ) -> Evaluation:
        repeats = steps.stop - steps.start
        arguments = self.examples.forward_arguments(repeats, examples)
        return subject.run(
            made, arguments, repeats, examples, self.gradient if gradient is None else gradient
        )

    def _otherwise(
        self, error: Exception, made: tuple[Tensor, ...], rows: MakeRows, steps: slice, examples: slice
    ) -> Evaluation | None:
        """What to do about rows that were refused: ``None`` to cut them otherwise.

        Only this call remembers that: the next one has another target, which may be to blame.
        """
        if self._unit == "row":  # and not even that
            raise error
        count, one = self.examples.count, slice(steps.start, steps.start + 1)
        if steps.stop - steps.start > 1:
            self._unit = "step"
            return None
        if examples.stop - examples.start < count and self._works(rows, one, slice(0, count)):
            self._unit = self._dependent()  # some of the examples are refused, all of them are not
            return None
        first = slice(examples.start, examples.start + 1)
        if _size(steps, examples) == 1 or not self._works(rows, one, first):
            raise error
        if not isinstance(error, TargetError):
            self._unit = "row"  # a model for one row at a time
            return None
        if not self._whole_batch or self.subject.whole_batch:
            raise error
        if examples.stop - examples.start < count:
            self._unit = "step"
            return None
        # One number for the whole batch: a set, a bag, a graph, a loss.
        together = dataclasses.replace(self.subject, whole_batch=True)
        try:
            result = self._run(together, made, steps, examples)
        except InputError:
            raise error from None
        self.subject, self._unit = together, "step"
        return result

    def _works(self, rows: MakeRows, steps: slice, examples: slice) -> bool:
        """Whether these rows are not refused, so that those which were are too many or too few."""
        try:
            with torch.no_grad():
                made = rows(steps, examples)
            self._run(self.subject, made, steps, examples)
        except Exception:  # whatever it is, the error for the first batch is the one to show
            return False
        return True

    def _found_unit(
        self,
        result: Evaluation,
        made: tuple[Tensor, ...],
        rows: MakeRows,
        steps: slice,
        examples: slice,
    ) -> Unit:
        """Hold a batch against its last step alone, or its last row against the same in another batch."""
        if self.examples.tensors[0].is_meta:
            return "any"
        last, other, here, there = _other_batch(steps, examples)
        if there == (1, 0):
            some = tuple(t[-_size(last, other) :] for t in made)
        else:
            with torch.no_grad():
                some = rows(last, other)
        try:
            with unchanged_random_state(self.examples.tensors[0].device):
                alone = self._run(self.subject, some, last, other)
                same = same_evaluation(result, here, alone, there)
                # A model that draws random numbers cannot be found out like this.
                random = not same and not same_evaluation(
                    alone, there, self._run(self.subject, some, last, other), there
                )
        except TargetError:  # two rows give one number, as one did
            return "step"
        except Exception as error:
            if isinstance(error, Cancelled) or is_out_of_memory(error):
                raise
            same, random = False, True  # the other batch is refused: nothing to compare with
        if not same and (not random or mixes_rows(self.subject.forward)):
            return self._dependent()
        if not random:
            self._units.learn("any")
        return "any"

    def _check_reached(
        self, result: Evaluation, made: tuple[Tensor, ...], steps: slice, examples: slice
    ) -> None:
        """See whether what no gradient arrived at has an effect all the same.

        Raises:
            InputError: it has, so the zeros that would come out would be wrong.
        """
        self._reached = True
        missing = tuple(result.unreached)
        if self.examples.tensors[0].is_meta or self._units.unused == missing:
            return
        for place in missing:
            nudged = dataclasses.replace(self.subject, nudged=place)
            device = self.examples.tensors[0].device
            # Twice with the same random numbers.
            with unchanged_random_state(device):
                before = self._run(self.subject, made, steps, examples, gradient=False)
            with unchanged_random_state(device):
                after = self._run(nudged, made, steps, examples, gradient=False)
            if not same_evaluation(before, (1, 0), after, (1, 0)):
                raise InputError(self._cut(place))
        self._units.unused = missing

    def _cut(self, place: tuple[int, int]) -> str:
        read = self.subject.read
        where = f"input {place[1]}" if read is None else f"the {read.side} of layer {read.name(place[0])}"
        return (
            f"no gradient arrives at {where}, though the explained output changes when it does: on the way something "
            "runs under torch.no_grad, uses detach() or numpy, is recomputed by torch.utils.checkpoint, or is an "
            "operation that torch has no gradient for, such as a quantised one. A method that only needs outputs, such "
            "as FeatureAblation, can explain it"
        )

    def _dependent(self) -> Unit:
        """A step is one unit from now on; say so, once for each model."""
        self._units.learn("step")
        tell(dependence(self.subject.forward), RowDependenceWarning)
        return "step"

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
        if self._not_finite is None or self._not_finite.is_meta or bool(torch.isfinite(self._not_finite)):
            return
        raise NonFiniteError(
            "the explained output is NaN or infinite for some of the rows that this method sent through the model; "
            "look at model(*inputs) and at the baseline, e.g. for a logarithm or division of zero, or float16 overflow"
        )


def _size(steps: slice, examples: slice) -> int:
    return (steps.stop - steps.start) * (examples.stop - examples.start)


def _other_batch(steps: slice, examples: slice) -> tuple[slice, slice, Piece, Piece]:
    """Another batch that has some of the same rows, and which piece of each batch these are.

    It is the last step without those before it (of a graph, the first rows of a batch may be the only ones with edges),
    the last row alone, or one row beside its neighbour.
    """
    several, count = steps.stop - steps.start, examples.stop - examples.start
    last = slice(steps.stop - 1, steps.stop)
    if several > 1:
        return last, examples, (several, several - 1), (1, 0)
    if count > 1:
        return last, slice(examples.stop - 1, examples.stop), (count, count - 1), (1, 0)
    if examples.start == 0:
        return last, slice(0, 2), (1, 0), (2, 0)
    return last, slice(examples.start - 1, examples.stop), (1, 0), (2, 1)
