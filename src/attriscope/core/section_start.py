"""Opening a section that starts at a layer: what the layer holds, and a function of what could stand there instead.

What comes before the layer is recorded and replayed (:mod:`attriscope.core.replay`), if that is seen to change nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from attriscope.core.arrangement import FIRST, Arrangement, find_rows
from attriscope.core.errors import InputError, LayerError
from attriscope.core.graph import feeds
from attriscope.core.hooks import Layers, NotRun, hooked, module_of, not_run
from attriscope.core.inputs import Examples, repeat_rows
from attriscope.core.passes import grad_mode, one_pass
from attriscope.core.progress import current
from attriscope.core.pytree import flatten, tree_leaves
from attriscope.core.reading import ReadTensor, following, outputs_of
from attriscope.core.replaced_forward import replaced_forward
from attriscope.core.replay import OutputRecorder, OutputReplay, RecordedOutput
from attriscope.core.section import Section


@dataclasses.dataclass(frozen=True)
class OpenedSection:
    """A section that starts at a layer, and what belongs there.

    Attributes:
        forward: the section as a function of the values and the arguments.
        examples: the values at the start, with the arguments that go with them: ``forward(*examples.tensors,
            *examples.arguments)`` is what the model gives for the inputs.
        counts: how many of the tensors are at each layer.
        start: the layers.
        evaluations: how many rows went through the model to find this out.
        places: where the layers have the examples, for each of the tensors; in ``examples`` they are in dimension 0.
    """

    forward: ResumedSection
    examples: Examples
    counts: tuple[int, ...]
    start: Layers
    evaluations: int
    places: tuple[Arrangement, ...] = ()

    def per_layer(self, tensors: Sequence[Any]) -> list[tuple[Any, ...]]:
        """What belongs to each layer."""
        ends = [sum(self.counts[: i + 1]) for i in range(len(self.counts))]
        return [tuple(tensors[end - n : end]) for end, n in zip(ends, self.counts, strict=True)]

    def as_they_were(self, tensors: tuple[Any, ...]) -> tuple[Any, ...]:
        """Results in the form of the values, arranged as the layers have them."""
        return tuple(
            place.as_it_was(t) if isinstance(t, Tensor) and t.shape == value.shape else t
            for t, value, place in zip(tensors, self.examples.tensors, self.places, strict=True)
        )

    def rows_first(self, tensors: tuple[Any, ...]) -> tuple[Any, ...]:
        """What came arranged as the layers have it, such as masks, with the examples in dimension 0."""
        return tuple(
            _rows_first(t, value, place)
            for t, value, place in zip(tensors, self.examples.tensors, self.places, strict=True)
        )


def _rows_first(tensor: Any, value: Tensor, place: Arrangement) -> Any:
    """A tensor of the layer's shape, or one with an example's in place of all."""
    if not isinstance(tensor, Tensor) or place == FIRST:
        return tensor
    shape = place.as_it_was(value).shape
    d = place.dimension
    fits = (
        tensor.dim() == len(shape) and tensor.shape[:d] + tensor.shape[d + 1 :] == shape[:d] + shape[d + 1 :]
    )
    if not fits or tensor.shape[d] % place.several:
        return tensor
    return place.rows_first(tensor, tensor.shape[d] // place.several)


def varied(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Those of a layer's tensors that can be varied: the floating point ones, or if there is none, all."""
    return tuple(tensors[i] for i in _places(tensors))


def _places(leaves: Sequence[Any], wanted: int | None = None) -> list[int]:
    tensors = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    if wanted is not None:
        return tensors[wanted : wanted + 1]
    floats = [i for i in tensors if leaves[i].is_floating_point() or leaves[i].is_complex()]
    return floats or tensors


class Injector:
    """Puts values in place of what passes at the start, call by call."""

    def __init__(self, start: Layers) -> None:
        self.start = start

    @contextlib.contextmanager
    def visited(self, visit: Callable[[int, list[Any], list[int]], None]) -> Iterator[list[int]]:
        """Calls ``visit(position of the layer, leaves, places of the tensors)`` at the call that is meant.

        Yields how often each layer has run.
        """
        counts = [0] * len(self.start)

        def change(module: nn.Module, value: Any) -> Any:
            leaves, unflatten = flatten(value)
            for position, one in enumerate(self.start.modules):
                if one is module:
                    if self._meant(position, counts[position]):
                        visit(position, leaves, _places(leaves, self.start.tensor(position)))
                    counts[position] += 1
            return unflatten(leaves)

        # Before those that read: they find what was put in.
        with hooked(dict.fromkeys(self.start.modules), self.start.at_input, change, first=True):
            yield counts

    def _meant(self, position: int, count: int) -> bool:
        call = self.start.call(position)
        return call is None or call < 0 or call == count


def open_section(section: Section, examples: Examples, resume: bool = True) -> OpenedSection:
    """Look at what the examples make of the place where a section starts.

    Args:
        section: with a start.
        examples: inputs of the model.
        resume: keep what the layers before the start give, so that they need not run again. That is done in evaluation
            mode only, and only if the model is seen to give the same with and without.
    """
    assert section.start is not None
    current().check()
    try:
        with one_pass(section.explained_model, False):
            return _open(section, section.start, examples, resume)
    except torch.cuda.OutOfMemoryError:
        if examples.count == 1:
            raise
    return _open_in_halves(section, section.start, examples)


def _open_in_halves(section: Section, start: Layers, examples: Examples) -> OpenedSection:
    """Half of the examples, and then the other: together they did not fit into memory."""
    middle = examples.count // 2
    halves = [
        open_section(
            section,
            dataclasses.replace(
                examples, tensors=examples.slices(part), arguments=examples.forward_arguments(1, part)
            ),
            resume=False,
        )
        for part in (slice(0, middle), slice(middle, examples.count))
    ]
    values = tuple(torch.cat(both) for both in zip(*(h.examples.tensors for h in halves), strict=True))
    counts, where = halves[0].counts, halves[0].places
    forward = ResumedSection(section, Injector(start), counts, examples, (), where)
    evaluations = sum(h.evaluations for h in halves)
    return OpenedSection(forward, _at_start(values, examples), counts, start, evaluations, where)


def _at_start(values: tuple[Tensor, ...], examples: Examples) -> Examples:
    """The values there as inputs of the section, whose arguments are the inputs of the model."""
    return Examples(values, len(values) == 1, (*examples.tensors, *examples.arguments))


def _open(section: Section, start: Layers, examples: Examples, resume: bool) -> OpenedSection:
    model = module_of(section.explained_model)
    whole = isinstance(model, nn.Module)
    resume = resume and whole and not any(getattr(module, "training", False) for module in model.modules())
    injector, recorder = Injector(start), OutputRecorder()
    found: dict[int, list[Tensor]] = {}
    indices: dict[int, list[int]] = {}  # which of all tensors there these are

    def visit(position: int, leaves: list[Any], places: list[int]) -> None:
        recorder.stop()
        tensors = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        indices[position] = [tensors.index(i) for i in places]
        if position in found:
            raise InputError(
                f"the layer {start.name(position)} runs several times in one forward pass, and no values can be put in "
                "all of them at once: say which call is meant, as in Call(layer, 0)"
            )
        found[position] = [leaves[i].detach().clone() for i in places]
        for i, tensor in zip(places, found[position], strict=True):
            leaves[i] = tensor.clone()

    given, named = examples.arrange(tuple(x.detach().clone() for x in examples.tensors), examples.arguments)

    def run() -> Any:
        return section(*given, **named)

    with injector.visited(visit) as calls, replaced_forward(model.modules() if resume else (), recorder):
        output = run()
    for position in range(len(start)):
        _check_found(start, position, found, calls, section, run)
    where = _where(section, start, found, indices, examples)
    values = tuple(t for position in range(len(start)) for t in found[position])
    values = tuple(_arranged(t, place, examples.count) for t, place in zip(values, where, strict=True))
    counts = tuple(len(found[position]) for position in range(len(start)))
    if any(t.dim() == 0 or t.shape[0] != examples.count for t in values):
        shapes = ", ".join(str(tuple(t.shape)) for t in values)
        raise LayerError(
            f"at the {start.side} of {', '.join(map(start.name, range(len(start))))} are tensors of shape {shapes}; to "
            f"put values there, one dimension must count the {examples.count} example(s)"
        )
    inner = _at_start(values, examples)
    evaluations = examples.count
    # Calls are counted, and those inside what is left out would be missed.
    first_or_last = all((start.call(p) or 0) <= 0 for p in range(len(start)))
    recorded = tuple(recorder.recorded or ()) if first_or_last else ()
    if recorded:
        forward = ResumedSection(section, injector, counts, examples, recorded, where)
        arguments = (*inner.arguments, *(t for record in recorded for t in record.tensors))
        resumed = dataclasses.replace(inner, arguments=arguments)
        evaluations += sum(steps * (part.stop - part.start) for steps, part in _trials(examples.count))
        if _gives_the_same(forward, resumed, output):
            return OpenedSection(forward, resumed, counts, start, evaluations, where)
    forward = ResumedSection(section, injector, counts, examples, (), where)
    return OpenedSection(forward, inner, counts, start, evaluations, where)


def _arranged(tensor: Tensor, place: Arrangement, count: int) -> Tensor:
    return tensor if place == FIRST else place.rows_first(tensor, count).contiguous()


def _where(
    section: Section,
    start: Layers,
    found: dict[int, list[Tensor]],
    indices: dict[int, list[int]],
    examples: Examples,
) -> tuple[Arrangement, ...]:
    """Where the layers have the examples, for each of the tensors."""
    given, inputs = (*examples.tensors, *examples.arguments), len(examples.tensors)

    def run(*some: Any) -> Any:
        positional, named = examples.arrange(some[:inputs], some[inputs:])
        return section(*positional, **named)

    places: list[Arrangement] = []
    for position in range(len(start)):
        call = max(0, start.call(position) or 0)
        pairs = zip(indices[position], found[position], strict=True)
        read = [ReadTensor(call, index, tensor, tensor) for index, tensor in pairs]
        places += find_rows(start, position, read, examples.count, run, given)
        if start.tensor(position) is not None and not start.at_input:
            _see_that_others_stay(start, position, lambda: run(*given))
    return tuple(places)


def _see_that_others_stay(start: Layers, position: int, run: Callable[[], Any]) -> None:
    """See that other tensors of the layer are not made of the one in whose place values are put.

    Raises:
        LayerError: they are.
    """
    wanted = start.tensor(position)
    with grad_mode(True), following(start.modules[position]), outputs_of(start.modules[position]) as passed:
        run()
    call = start.call(position)
    tensors = passed[call if call is not None else -1]
    others = [t for i, t in enumerate(tensors) if i != wanted]
    if feeds(tensors[cast(int, wanted)], others):
        raise LayerError(
            f"inside the layer {start.name(position)}, tensor {wanted} goes into what the layer gives besides, and "
            "putting values in its place does not reach that; LayerConductance, LayerDeepLift and others that vary the "
            "inputs count it, or take the layer inside that makes it"
        )


def _check_found(
    start: Layers,
    position: int,
    found: dict[int, list[Tensor]],
    calls: list[int],
    section: Section,
    run: Callable[[], Any],
) -> None:
    name = start.name(position)
    if position not in found:
        if calls[position]:
            raise LayerError(
                f"the layer {name} has no call {start.call(position)}: it ran {calls[position]} time(s)"
            )
        error = NotRun(
            _out_of_reach(name)
            if section.end is not None
            else f"the layer {name} did not run in the model's forward pass, so nothing can be put there"
        )
        raise not_run(error, section.explained_model, run)
    if not found[position]:
        wanted = start.tensor(position)
        which = "no tensor passed" if wanted is None else f"there is no tensor {wanted}"
        raise LayerError(f"{which} at the {start.side} of layer {name}")


def _out_of_reach(name: str) -> str:
    return f"the layer {name} did not run before what is explained was reached, so it has no effect"


def _trials(count: int) -> list[tuple[int, slice]]:
    """Which rows show whether what was recorded can be repeated, and cut, with the examples."""
    return [(2, slice(0, count)), *([(1, slice(0, 1))] if count > 1 else [])]


def _gives_the_same(forward: ResumedSection, examples: Examples, output: Any) -> bool:
    """Whether the section gives what the model gave: for two copies of the examples twice, for one example its own."""
    wanted = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
    for steps, part in _trials(examples.count):
        rows = tuple(repeat_rows(t, steps).clone() for t in examples.slices(part))
        try:
            again = forward(*rows, *examples.forward_arguments(steps, part))
        except Exception:  # some shape does not fit: then everything runs anew each time
            return False
        found = [leaf for leaf in tree_leaves(again) if isinstance(leaf, Tensor)]
        if len(found) != len(wanted):
            return False
        expected = [
            repeat_rows(w[part], steps) if w.dim() > 0 and w.shape[0] == examples.count else w for w in wanted
        ]
        if not all(_nearly_equal(f, w) for f, w in zip(found, expected, strict=True)):
            return False
    return True


def _nearly_equal(found: Tensor, wanted: Tensor) -> bool:
    if found.shape != wanted.shape:
        return False
    if wanted.is_meta:
        return True
    if not (wanted.is_floating_point() or wanted.is_complex()):
        return torch.equal(found, wanted)
    # Rounding differs with the number of rows; a layer that was wrongly left out makes another number altogether.
    share = _ROUNDING.get(wanted.dtype, 1e-9)
    finite = torch.isfinite(wanted)
    scale = wanted[finite].abs().max() if finite.any() else wanted.new_zeros(())
    near = (found - wanted)[finite].abs().max() <= share * scale + 1e-12 if finite.any() else True
    return bool(near) and torch.equal(torch.isfinite(found), finite)


_ROUNDING = {torch.float16: 1e-2, torch.bfloat16: 3e-2, torch.float32: 1e-4, torch.complex64: 1e-4}


class ResumedSection:
    """A section from its start on, as a function of the values there, the model's inputs and what was recorded."""

    def __init__(
        self,
        section: Section,
        injector: Injector,
        counts: tuple[int, ...],
        examples: Examples,
        recorded: tuple[RecordedOutput, ...],
        places: tuple[Arrangement, ...],
    ) -> None:
        self.explained_model = section.explained_model
        self._places = places
        self._section, self._injector, self._counts, self._recorded = section, injector, counts, recorded
        self._inputs = len(examples.tensors)
        self._arguments = len(examples.arguments)
        self._arrange = examples.arrange
        self.timing_key = section.timing_key
        self.steady = section.steady

    def __call__(self, *given: Any) -> Any:
        values, inputs, arguments, tensors = self._split(given)
        # Copies: these may be the caller's own, and the model may work in place on them.
        positional, named = self._arrange(tuple(x.detach().clone() for x in inputs), arguments)
        first_of = [sum(self._counts[:i]) for i in range(len(self._counts))]
        filled: set[int] = set()

        def fill(position: int, leaves: list[Any], places: list[int]) -> None:
            filled.add(position)
            for offset, place in enumerate(places):
                number = first_of[position] + offset
                # A copy, as the model may go on in place.
                leaves[place] = self._places[number].as_it_was(values[number]).clone()

        replay = OutputReplay(self._recorded, tensors)
        skipped = dict.fromkeys(record.module for record in self._recorded)
        with self._injector.visited(fill), replaced_forward(skipped, replay):
            output = self._section(*positional, **named)
        missing = [p for p in range(len(self._counts)) if p not in filled]
        if missing:
            raise NotRun(_out_of_reach(self._injector.start.name(missing[0])))
        return output

    def _split(self, given: tuple[Any, ...]) -> tuple[tuple[Any, ...], ...]:
        parts, done = [], 0
        for count in (sum(self._counts), self._inputs, self._arguments):
            parts.append(given[done : done + count])
            done += count
        return (*parts, given[done:])
