"""What is seen to before a batch is believed: that its rows do not depend on each other, and that zeros are zeros.

Both are found out by trying, the first time that a model is seen with rows of a shape, and remembered
(:class:`~attriscope.core.row_dependence.Units`); the :class:`~attriscope.core.evaluate.Evaluator` asks.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.batch_size import is_out_of_memory
from attriscope.core.errors import Cancelled, InputError, RowDependenceWarning, TargetError
from attriscope.core.hooks import hooked
from attriscope.core.inputs import Examples
from attriscope.core.notices import tell
from attriscope.core.row_dependence import (
    Piece,
    Unit,
    Units,
    dependence,
    mixes_rows,
    same_evaluation,
    unchanged_random_state,
)
from attriscope.core.subject import Evaluation, Subject

MakeRows = Callable[[slice, slice], tuple[Tensor, ...]]
Part = tuple[slice, slice]
"""Some steps of a grid of rows, and some examples."""


def rows_in(part: Part) -> int:
    """How many rows a part of a grid has."""
    steps, examples = part
    return (steps.stop - steps.start) * (examples.stop - examples.start)


def run_part(
    subject: Subject, examples: Examples, made: tuple[Tensor, ...], part: Part, gradient: bool
) -> Evaluation:
    """Send the rows made for a part of a grid through the model."""
    repeats = part[0].stop - part[0].start
    return subject.run(made, examples.forward_arguments(repeats, part[1]), repeats, part[1], gradient)


class BatchChecks:
    """The checks of one grid of rows.

    Args:
        subject: what is run.
        examples: what rows are made of.
        gradient: whether gradients are wanted.
    """

    def __init__(self, subject: Subject, examples: Examples, gradient: bool) -> None:
        self._subject, self._examples, self._gradient = subject, examples, gradient
        self._units = Units(subject.forward, examples)
        self._device = examples.tensors[0].device
        self._seen = False  # whether zeros were looked at in this call

    @property
    def known_unit(self) -> Unit | None:
        """What must stay together, as far as that is known of the model."""
        return self._units.unit

    def unit_by_name(self) -> Unit | None:
        """What is known of the model's modules, without trying."""
        return self.depend() if mixes_rows(self._subject.forward) else None

    def unit(self, result: Evaluation, rows: MakeRows, part: Part) -> Unit:
        """Hold a batch against its last step alone, or a row of it against the same in another batch."""
        if self._examples.tensors[0].is_meta:
            return "any"
        other, here, there = _other_batch(part)
        with torch.no_grad():
            some = rows(*other)  # those of the batch may have been changed in place
        try:
            with unchanged_random_state(self._device):
                alone = self._run(self._subject, some, other, self._gradient)
                same = same_evaluation(result, here, alone, there)
                # A model that draws random numbers cannot be found out like this.
                random = not same and not same_evaluation(
                    alone, there, self._run(self._subject, some, other, self._gradient), there
                )
        except TargetError:  # two rows give one number, as one did
            return "step"
        except Exception as error:
            if isinstance(error, Cancelled) or is_out_of_memory(error):
                raise
            same, random = False, True  # the other batch is refused: nothing to compare with
        if not same and not random:
            return self.depend()
        if not random:
            self._units.learn("any")
        return "any"

    def depend(self) -> Unit:
        """Rows depend on each other, so a step is one unit; it is said once for each model."""
        self._units.learn("step")
        tell(dependence(self._subject.forward), RowDependenceWarning)
        return "step"

    def see_that_unused(self, result: Evaluation, rows: MakeRows, part: Part) -> None:
        """See that what no gradient arrived at has no effect.

        Raises:
            InputError: it has, so the zeros that would come out would be wrong.
        """
        missing = tuple(result.unreached)
        if self._seen or self._examples.tensors[0].is_meta or self._units.unused == missing:
            return
        self._seen = True
        with unchanged_random_state(self._device), self._counted() as calls:
            before = self._run(self._subject, rows(*part), part, gradient=False)
        for place in missing:
            tensors = len(result.values[place[0]])
            nudged = dataclasses.replace(self._subject, nudged=self._nudge(*place, tensors, calls))
            with unchanged_random_state(self._device):  # the same random numbers again
                after = self._run(nudged, rows(*part), part, gradient=False)
            if not same_evaluation(before, (1, 0), after, (1, 0)):
                raise InputError(self._cut(place))
        self._units.unused = missing

    @contextlib.contextmanager
    def _counted(self) -> Iterator[dict[nn.Module, int]]:
        """How often each layer that is read runs inside the block."""
        read = self._subject.read
        calls = {} if read is None else dict.fromkeys(read.modules, 0)

        def count(module: nn.Module, value: Any) -> Any:
            calls[module] += 1
            return value

        with hooked(calls, read is not None and read.at_input, count):
            yield calls

    def _nudge(
        self, place: int, position: int, tensors: int, calls: dict[nn.Module, int]
    ) -> tuple[int, int, int]:
        """The place, the position there and the call of the tensor that is one of so many that were read at a place."""
        read = self._subject.read
        if read is None:
            return place, position, 0
        call, often = read.call(place), calls[read.modules[place]]
        if call is None:  # of each call as many
            call, position = divmod(position, max(1, tensors // max(1, often)))
        return place, position, call if call >= 0 else often + call

    def _run(self, subject: Subject, made: tuple[Tensor, ...], part: Part, gradient: bool) -> Evaluation:
        return run_part(subject, self._examples, made, part, gradient)

    def _cut(self, place: tuple[int, int]) -> str:
        read = self._subject.read
        where = f"input {place[1]}" if read is None else f"the {read.side} of layer {read.name(place[0])}"
        return (
            f"no gradient arrives at {where}, though the explained output changes when it does: on the way something "
            "runs under torch.no_grad, uses detach() or numpy, is recomputed by torch.utils.checkpoint, or is an "
            "operation that torch has no gradient for, such as a quantised one. A method that only needs outputs, such "
            "as FeatureAblation, can explain it"
        )


def _other_batch(part: Part) -> tuple[Part, Piece, Piece]:
    """Another batch that has some of the same rows, and which piece of each batch these are.

    It is the last step without those before it (of a graph, the first rows of a batch may be the only ones with edges),
    the last row alone, or one row beside its neighbour.
    """
    steps, examples = part
    several, count = steps.stop - steps.start, examples.stop - examples.start
    last = slice(steps.stop - 1, steps.stop)
    if several > 1:
        return (last, examples), (several, several - 1), (1, 0)
    if count > 1:
        return (last, slice(examples.stop - 1, examples.stop)), (count, count - 1), (1, 0)
    if examples.start == 0:
        return (last, slice(0, 2)), (1, 0), (2, 0)
    return (last, slice(examples.start - 1, examples.stop)), (1, 0), (2, 1)
