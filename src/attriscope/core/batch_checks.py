"""What is seen to before a batch is believed: that its rows do not depend on each other, and that zeros are zeros.

Both are found out by trying, the first time that a model is seen with rows of a shape, and remembered
(:class:`~attriscope.core.row_dependence.Units`); the :class:`~attriscope.core.evaluate.Evaluator` asks.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.batch_size import is_out_of_memory
from attriscope.core.errors import (
    Cancelled,
    InputError,
    RowDependenceWarning,
    TargetError,
    UnusedTensorWarning,
)
from attriscope.core.graph import feeds
from attriscope.core.hooks import hooked
from attriscope.core.inputs import Examples
from attriscope.core.notices import tell
from attriscope.core.reading import following, outputs_of
from attriscope.core.row_dependence import (
    Piece,
    Unit,
    Units,
    beyond_chance,
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

    def unit(self, rows: MakeRows, part: Part) -> Unit:
        """Try some of the rows in one batch, and alone.

        Args:
            rows: makes the rows of a part.
            part: the first batch that mixes steps or parts with examples; it was not refused.
        """
        if self._examples.tensors[0].is_meta:
            return "any"
        trial = self._steps(rows, part) if part[0].stop - part[0].start > 1 else self._rows(rows, part)
        try:
            with unchanged_random_state(self._device):
                alone = self._run(self._subject, trial.alone(), trial.alone_part, self._gradient)
                mixed = self._run(self._subject, trial.mixed(), trial.mixed_part, self._gradient)
                again = self._run(self._subject, trial.alone(), trial.alone_part, self._gradient)
        except TargetError:  # two rows give one number, as one did
            return "step"
        except Exception as error:
            if isinstance(error, Cancelled) or is_out_of_memory(error):
                raise
            # Rows that were taken in one batch are refused in another, but by a model for one row at a time.
            return "any" if rows_in(part) == 1 else self.depend()
        differ = not same_evaluation(mixed, trial.piece, alone, (1, 0))
        if differ and same_evaluation(alone, (1, 0), again, (1, 0)):
            return self.depend()
        if differ and beyond_chance(mixed, trial.piece, alone, (1, 0), again):
            return self.depend()
        if not differ and trial.tells:
            self._units.learn("any")
        return "any"

    def _steps(self, rows: MakeRows, part: Part) -> _Trial:
        """The examples themselves behind another step: of a graph, the first rows of a batch may have all the edges."""
        every = slice(0, self._examples.count)
        last = slice(part[0].stop - 1, part[0].stop)
        count = len(self._examples.tensors)

        def alone() -> tuple[Tensor, ...]:
            with torch.no_grad():
                made = rows(last, every)
            return (*(x.detach().clone() for x in self._examples.tensors), *made[count:])

        def mixed() -> tuple[Tensor, ...]:
            with torch.no_grad():
                made = rows(last, every)
            return tuple(torch.cat([y, x.to(y.dtype)]) for y, x in zip(made, alone(), strict=True))

        with torch.no_grad():
            other = rows(last, every)[:count]
        pairs = zip(other, self._examples.tensors, strict=True)
        tells = not all(torch.equal(y, x.to(y.dtype)) for y, x in pairs)
        return _Trial(alone, (slice(0, 1), every), mixed, (slice(0, 2), every), (2, 1), tells)

    def _rows(self, rows: MakeRows, part: Part) -> _Trial:
        """A row beside its neighbour."""
        step, i = part[0], part[1].stop - 1
        one, two = slice(i, i + 1), slice(max(0, i - 1), max(2, i + 1))

        def made(examples: slice) -> tuple[Tensor, ...]:
            with torch.no_grad():
                return rows(step, examples)

        tells = not all(torch.equal(*t.split(1)) for t in made(two))
        place = (2, i - two.start)
        return _Trial(lambda: made(one), (step, one), lambda: made(two), (step, two), place, tells)

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
        missing, what = tuple(result.unreached), self._what()
        if self._seen or self._examples.tensors[0].is_meta:
            return
        if what is not None and self._units.unused(what) == missing:
            return
        self._seen = True
        with unchanged_random_state(self._device), self._counted() as calls:
            before = self._run(self._subject, rows(*part), part, gradient=False)
        with unchanged_random_state(self._device):  # the same random numbers again
            again = self._run(self._subject, rows(*part), part, gradient=False)
        if not same_evaluation(before, (1, 0), again, (1, 0)):
            return  # it draws from somewhere else, so there is no telling
        for place in missing:
            tensors = len(result.values[place[0]])
            nudged = dataclasses.replace(self._subject, nudged=self._nudge(*place, tensors, calls))
            try:
                with unchanged_random_state(self._device):
                    after = self._run(nudged, rows(*part), part, gradient=False)
            except Exception as error:
                if isinstance(error, Cancelled) or is_out_of_memory(error):
                    raise
                raise InputError(self._cut(place)) from error
            if not same_evaluation(before, (1, 0), after, (1, 0)):
                raise InputError(self._cut(place))
        self._tell_of_effects_inside(missing, rows, part)
        if what is not None:
            self._units.learn_unused(what, missing)

    def _tell_of_effects_inside(
        self, missing: tuple[tuple[int, int], ...], rows: MakeRows, part: Part
    ) -> None:
        """Say where a tensor that nothing after the layer uses has an effect by way of the layer's other tensors."""
        read = self._subject.read
        if read is None or read.at_input:
            return
        for place in dict.fromkeys(place for place, _ in missing):
            unused = [position for other, position in missing if other == place]
            call = read.call(place)
            if call is None or read.tensor(place) is not None:
                continue
            with following(read.modules[place]), outputs_of(read.modules[place]) as passed:
                self._run(self._subject, rows(*part), part, gradient=True)
            given = [t for t in passed[call] if t.is_floating_point() or t.is_complex()]
            inside = [
                i for i in unused if feeds(given[i], [t for j, t in enumerate(given) if j not in unused])
            ]
            if inside:
                number = next(j for j, t in enumerate(passed[call]) if t is given[inside[0]])
                tell(
                    f"nothing after the layer {read.name(place)} uses tensor {number} of those that it gives, so its "
                    "attributions are zero, and those of all its tensors add up. It goes into another of them inside "
                    f"the layer; what it does there is told by Call(layer, tensor={number})",
                    UnusedTensorWarning,
                )

    def _what(self) -> Hashable:
        """What is explained and where it is read; ``None`` if that cannot be told from another."""
        of, read = self._subject.of, self._subject.read
        given = tuple(one.given for one in (of if isinstance(of, tuple) else (of,)) if one is not None)
        if not all(one is None or isinstance(one, int | tuple) for one in given):
            return None
        place = None if read is None else read.place
        return given, place

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
            "runs under torch.no_grad, uses detach() or numpy, is run again on the way back, or is an operation that "
            "torch has no gradient for, such as a quantised one. A method that only needs outputs, such as "
            "FeatureAblation, can explain it"
        )


@dataclasses.dataclass(frozen=True)
class _Trial:
    """The same rows in two batches.

    Attributes:
        alone, mixed: make the rows of each, anew for each run, as a model may work in place on them.
        alone_part, mixed_part: which part of a grid they stand for.
        piece: which piece of the second batch is the first.
        tells: whether the second holds anything else.
    """

    alone: Callable[[], tuple[Tensor, ...]]
    alone_part: Part
    mixed: Callable[[], tuple[Tensor, ...]]
    mixed_part: Part
    piece: Piece
    tells: bool
