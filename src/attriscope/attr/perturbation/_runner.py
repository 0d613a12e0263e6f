"""Runs perturbed copies of the examples through a model, and says what came back to the method that planned them.

Unlike gradients, differences of outputs need not be single numbers per example: here outputs may have any shape, belong
to each example or, like a loss, to all of them together, and may arrive later.
"""

from __future__ import annotations

import dataclasses
import itertools
import numbers
from collections.abc import Iterator
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.futures import Future, collect_all

from attriscope.attr._base import Attribution
from attriscope.attr.perturbation._progress_bar import ProgressBar
from attriscope.core.batch_checks import MakeRows
from attriscope.core.batch_size import check_batch
from attriscope.core.errors import InputError, InputTypeError, TargetError
from attriscope.core.estimate import PartialResult
from attriscope.core.evaluate import Evaluator
from attriscope.core.inputs import Examples, TensorOrTuple, as_tensor, describe
from attriscope.core.subject import Subject
from attriscope.core.target import Target, resolve_target, scores_in


class _DoesNotGrow(InputError):
    """The output of more steps is not accordingly longer."""


@dataclasses.dataclass
class OutputShape:
    """What the first step told about the output.

    Attributes:
        shape: of the explained numbers of one step, all examples together.
        grows: whether they belong to examples; else they belong to the batch as a whole.
        refused: a batch of several steps did not give accordingly many numbers.
    """

    shape: torch.Size | None = None
    grows: bool = True
    refused: bool = False


@dataclasses.dataclass(frozen=True)
class Outputs(Target):
    """Selects all explained numbers, whatever their shape.

    Attributes:
        examples: the number N of examples.
        single: more than one number per example (or for the batch as a whole) is refused.
        found: filled when the first step comes.
    """

    examples: int = 1
    single: bool = False
    found: OutputShape = dataclasses.field(default_factory=OutputShape)

    def select(self, output: Any, steps: int, examples: slice) -> Tensor:
        """The explained numbers of each step, of shape (steps * numbers,)."""
        rows = steps * (examples.stop - examples.start)
        chosen = _countable(self._chosen(output, steps, examples))
        if self.found.shape is None:
            self._learn(chosen, rows)
        shape = self.found.shape
        assert shape is not None
        if not self.found.grows:
            if chosen.shape != shape and not (self.single and chosen.numel() == 1):
                raise TargetError(
                    f"the output of the whole batch changed its shape from {tuple(shape)} to {tuple(chosen.shape)}"
                )
        elif chosen.numel() != rows * shape[1:].numel() or (chosen.shape[:1] != (rows,) and not self.single):
            self.found.refused = self.found.refused or rows > 1
            raise _DoesNotGrow(
                "When perturbations_per_eval > 1, forward_func's output should be a tensor whose dimension 0 grows "
                f"with the batch: {self.examples} example(s) gave shape {tuple(shape)}, and {rows} rows gave "
                f"{tuple(chosen.shape)}. Set perturbations_per_eval to 1, or to None"
            )
        return chosen.flatten()

    def _learn(self, chosen: Tensor, rows: int) -> None:
        if self.single:
            grows = chosen.numel() == rows and not (chosen.dim() == 0 and rows > 1)
            if not grows and chosen.numel() != 1:
                said = self.column is not None or self.function is not None
                what = "what the target selects" if said else "Target not provided when necessary: the output"
                raise TargetError(
                    f"{what} has shape {tuple(chosen.shape)} for {rows} example(s), but must be one number per "
                    "example, or one for the whole batch; target must say which"
                )
            shape = torch.Size([self.examples] if grows else [])
        else:
            grows = chosen.dim() > 0 and chosen.shape[0] == rows
            shape = torch.Size([self.examples, *chosen.shape[1:]]) if grows else chosen.shape
        if not grows and rows < self.examples:
            raise TargetError(
                f"an output of shape {tuple(chosen.shape)} for {rows} rows does not belong to examples, so all "
                f"{self.examples} examples must go through the model at once, for which there is too little memory"
            )
        self.found.shape, self.found.grows = shape, grows

    def _chosen(self, output: Any, steps: int, examples: slice) -> Any:
        if self.function is not None:
            return self.function(output)
        if isinstance(output, Future):
            raise InputTypeError(
                "forward_func returned a torch.futures.Future; use attribute_future, where there is one"
            )
        if isinstance(output, numbers.Number):
            dtype = torch.float64 if isinstance(output, float) else None
            output = torch.as_tensor(output, dtype=dtype, device="cpu")
        output = scores_in(output)
        one = steps * (examples.stop - examples.start) == 1
        if one and output.dim() and output.shape[0] != 1 and output.dim() == self._indices:
            output = output[None]  # the model squeezes the dimension of a batch of one away
        whole = self.each is None
        if whole and self.column is None:
            return output
        if whole and self.column is not None and len(self.column) < output.dim() - 1:
            # What is left has several numbers per row, all of which are explained.
            self._check(output.flatten(1 + len(self.column)).select(-1, 0), [(i,) for i in self.column])
            return output[(slice(None), *self.column)]
        if whole and self.column is not None and any(isinstance(i, slice) for i in self.column):
            return output[(slice(None), *self.column)]
        if whole and self.column is not None and output.dim() > 0:
            return super().select(output, 1, slice(0, output.shape[0]))
        return super().select(output, steps, examples)


def _countable(chosen: Any) -> Tensor:
    """As a tensor whose numbers can be subtracted from each other."""
    if isinstance(chosen, numbers.Number):
        chosen = as_tensor(chosen)
    if not isinstance(chosen, Tensor):
        raise TargetError(f"the explained output must be a tensor or a number, but is {describe(chosen)}")
    small = not (chosen.is_floating_point() or chosen.is_complex() or chosen.dtype.is_signed)
    return chosen.to(torch.int64) if small else chosen


class PerturbationPlan(Protocol):
    """What a method wants to know, and what it makes of the answers.

    Attributes:
        steps: how many perturbed copies of the examples.
        checkpoints: after how many steps :meth:`adapt` is called, ascending.
        ready: whether what was taken is enough for attributions.
    """

    steps: int
    checkpoints: tuple[int, ...]
    ready: bool

    def rows(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """The inputs of some steps and examples, step by step."""

    def take(self, steps: slice, values: Tensor) -> None:
        """The answers to some steps, in order: (steps, numbers of a step)."""

    def adapt(self, found: OutputShape) -> None:
        """Later steps may depend on the answers to earlier ones."""

    def attributions(self, found: OutputShape) -> tuple[Tensor, ...]:
        """What the answers so far say, per input."""

    def error(self, found: OutputShape) -> tuple[Tensor, ...] | None:
        """The standard error of each attribution; ``None`` if it cannot be told (yet)."""


@dataclasses.dataclass(frozen=True)
class Query:
    """What a plan is carried out on: a method's model, with these examples and this target.

    Attributes:
        method: whose ``forward_func`` is asked.
        target: which output.
        batch: ``perturbations_per_eval``: steps per batch; ``None`` measures and chooses.
        single: only one number per example, or for the batch as a whole, can be explained.
        shared: whether all examples have the same feature mask.
        show_progress: print a bar.
        shaped: whether results have the form of the inputs; else a plan's only tensor is the result.
    """

    method: Attribution
    examples: Examples
    target: Any
    batch: Any = None
    single: bool = False
    shared: bool = True
    show_progress: bool = False
    shaped: bool = True

    def form(self, values: tuple[Tensor, ...]) -> TensorOrTuple:
        """The result for the caller."""
        return self.examples.form(values) if self.shaped else values[0]

    def outputs(self) -> Outputs:
        """The selection of this query's numbers."""
        check_batch(self.batch, "perturbations_per_eval")
        chosen = resolve_target(self.target, self.examples.count)
        fields = (chosen.column, chosen.each, chosen.function, chosen.given)
        return Outputs(*fields, examples=self.examples.count, single=self.single)

    def check(self, found: OutputShape) -> None:
        """Refuse what outputs that belong to no example forbid.

        Raises:
            InputError: several steps per batch, or masks that differ between examples.
        """
        if found.grows or found.shape is None:
            return
        if self.batch is not None and self.batch > 1:
            raise InputError(
                "Cannot have perturbations_per_eval > 1 when function returns scalar: the output has shape "
                f"{tuple(found.shape)} for {self.examples.count} example(s), and one more perturbation would not show "
                f"in it. Set perturbations_per_eval to 1 or None instead of {self.batch}"
            )
        if not self.shared:
            raise InputError(
                "Cannot provide different masks for each example when function returns a scalar: the output has shape "
                f"{tuple(found.shape)} for {self.examples.count} examples; give a feature_mask with first dimension 1"
            )


class Runner:
    """Runs the steps of a plan; a step is one perturbed copy of every example."""

    def __init__(self, query: Query, steps: int) -> None:
        self._query = query
        outputs = query.outputs()
        self.found = outputs.found
        """What the first step told."""
        examples = query.examples
        # The first step goes alone and whole: it tells what kind of output this is.
        self._evaluator = Evaluator(
            Subject(query.method.forward_func, outputs),
            examples,
            gradient=False,
            batch=examples.count,
        )
        self._evaluator.expected = steps * examples.count
        self._together = True
        self._bar = (
            ProgressBar(query.method.get_name(), steps * examples.count) if query.show_progress else None
        )

    @property
    def evaluations(self) -> int:
        """How many rows went through the model."""
        return self._evaluator.evaluations

    def ask(
        self, first: int, last: int, rows: MakeRows, together: bool = True
    ) -> Iterator[tuple[slice, Tensor]]:
        """The answers to the steps from ``first`` to ``last``: pairs of steps and (steps, numbers of a step).

        ``together=False`` for rows whose shapes differ from step to step, which no batch can hold.
        """
        done = first
        if together != self._together:
            self._together = together
            self._begin()
        while done < last:
            fresh = self.found.shape is None
            try:
                for steps, values in self._whole_steps(done, done + 1 if fresh else last, rows):
                    done = steps.stop
                    yield steps, values
            except _DoesNotGrow:
                if self._query.batch is not None or not self.found.grows:
                    raise
                # What looked like one number per example is as many numbers for the batch as a whole.
                self.found.grows, fresh = False, True
            if fresh:
                self._begin()

    def close(self) -> None:
        """Nothing more will be asked."""
        if self._bar is not None:
            self._bar.close()

    def _begin(self) -> None:
        """Choose the batches of all steps after the first."""
        self._query.check(self.found)
        count, batch = self._query.examples.count, self._query.batch
        if self.found.shape is None or not (self.found.grows and self._together):
            self._evaluator.set_batch(count)
        else:
            self._evaluator.set_batch(None if batch is None else batch * count)

    def _whole_steps(self, first: int, last: int, rows: MakeRows) -> Iterator[tuple[slice, Tensor]]:
        """Answers step by step, even where the examples of one step did not fit into a batch."""
        count, pieces = self._query.examples.count, list[Tensor]()

        def later(steps: slice, part: slice) -> tuple[Tensor, ...]:
            return rows(slice(first + steps.start, first + steps.stop), part)

        for block in self._evaluator.run(last - first, later):
            assert block.f is not None
            if self.found.refused and self._query.batch is not None:
                raise InputError(
                    "When perturbations_per_eval > 1, forward_func's output should be a tensor whose dimension 0 grows "
                    f"with the batch, which it does not; set perturbations_per_eval to 1 or None instead of "
                    f"{self._query.batch}"
                )
            pieces.append(block.f)
            if self._bar is not None:
                self._bar.show(self.evaluations)
            if block.examples.stop == count:
                steps = slice(first + block.steps.start, first + block.steps.stop)
                yield steps, pieces[0] if len(pieces) == 1 else torch.cat(pieces, 1)
                pieces = []


def estimates(query: Query, plan: PerturbationPlan) -> Iterator[PartialResult]:
    """Carry a plan out, and yield a partial result after each batch."""
    runner, form = Runner(query, plan.steps), query.form

    @torch.no_grad()
    def attributions() -> TensorOrTuple:
        return form(plan.attributions(runner.found))

    @torch.no_grad()
    def error() -> TensorOrTuple | None:
        found = plan.error(runner.found)
        return None if found is None else form(found)

    ends = [0, *plan.checkpoints, plan.steps]
    try:
        for first, last in itertools.pairwise(ends):
            if first:
                with torch.no_grad():
                    plan.adapt(runner.found)
            for steps, values in runner.ask(first, last, plan.rows):
                with torch.no_grad():
                    plan.take(steps, values)
                if plan.ready:
                    yield PartialResult(attributions, error=cast(Any, error), evaluations=runner.evaluations)
    finally:
        runner.close()


def future(query: Query, plan: PerturbationPlan) -> Future[Any]:
    """Carry a plan out on a function that returns futures: all batches are sent off, none is waited for."""
    outputs, examples = query.outputs(), query.examples
    arrange = examples.arrange if examples.keys else None
    subject, whole = Subject(query.method.forward_func, None, arrange=arrange), slice(0, examples.count)
    batch = query.batch or 1  # without having seen an output, only one step at a time is safe
    cuts = [0, *range(1, plan.steps, batch), plan.steps]
    parts = [slice(a, b) for a, b in itertools.pairwise(cuts)]
    sent: list[Future[Any]] = []
    for steps in parts:
        with torch.no_grad():
            made = plan.rows(steps, whole)
        arguments = examples.forward_arguments(steps.stop - steps.start, whole)
        output = subject.run(made, arguments, steps.stop - steps.start, whole, False).output
        if not isinstance(output, Future):
            raise InputTypeError(
                "attribute_future needs a forward_func that returns a torch.futures.Future, but "
                f"{describe(output)} of type {type(output).__name__} came; attribute is the method for that"
            )
        sent.append(output)

    def finish(all_of_them: Future[list[Future[Any]]]) -> Any:
        for steps, done in zip(parts, all_of_them.value(), strict=True):
            count = steps.stop - steps.start
            values = outputs.select(done.value(), count, whole)
            query.check(outputs.found)
            plan.take(steps, values.detach().reshape(count, -1))
        return query.form(plan.attributions(outputs.found))

    return collect_all(sent).then(finish)
