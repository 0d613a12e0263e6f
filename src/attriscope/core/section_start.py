"""Opening a section that starts at a layer: what the layer holds, and a function of what could stand there instead."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from attriscope.core.detour import detour
from attriscope.core.errors import InputError, LayerError
from attriscope.core.hooks import Layers, NotRun, module_of, not_run, passing
from attriscope.core.inputs import Examples, repeat_rows
from attriscope.core.pytree import leaves_of, take_apart
from attriscope.core.replay import Again, Before, Made

if TYPE_CHECKING:
    from attriscope.core.section import Section


@dataclasses.dataclass(frozen=True)
class Opened:
    """A section that starts at a layer, and what belongs there.

    Attributes:
        forward: the section as a function of the values and the arguments.
        examples: the values at the start, with the arguments that go with them: ``forward(*examples.tensors,
            *examples.arguments)`` is what the model gives for the inputs.
        counts: how many of the tensors are at each layer.
        start: the layers.
        evaluations: how many rows went through the model to find this out.
    """

    forward: Callable[..., Any]
    examples: Examples
    counts: tuple[int, ...]
    start: Layers
    evaluations: int

    def per_layer(self, tensors: Sequence[Any]) -> list[tuple[Any, ...]]:
        """What belongs to each layer."""
        ends = [sum(self.counts[: i + 1]) for i in range(len(self.counts))]
        return [tuple(tensors[end - n : end]) for end, n in zip(ends, self.counts, strict=True)]


def varied(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Those of a layer's tensors that can be varied: the floating point ones, or if there is none, all."""
    return tuple(tensors[i] for i in _places(tensors))


def _places(leaves: Sequence[Any]) -> list[int]:
    tensors = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
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
            leaves, rebuild = take_apart(value)
            for position, one in enumerate(self.start.modules):
                if one is module:
                    if self._meant(position, counts[position]):
                        visit(position, leaves, _places(leaves))
                    counts[position] += 1
            return rebuild(leaves)

        with passing(dict.fromkeys(self.start.modules), self.start.at_input, change):
            yield counts

    def _meant(self, position: int, count: int) -> bool:
        call = self.start.call(position)
        return call is None or call < 0 or call == count


def open_section(section: Section, start: Layers, examples: Examples, resume: bool) -> Opened:
    model = module_of(section.explained_model)
    whole = isinstance(model, nn.Module)
    resume = resume and whole and not any(module.training for module in model.modules())
    at, before = Injector(start), Before()
    found: dict[int, list[Tensor]] = {}

    def visit(position: int, leaves: list[Any], places: list[int]) -> None:
        before.now()
        if position in found:
            raise InputError(
                f"the layer {start.name(position)} runs several times in one forward pass, and no values can be put in "
                "all of them at once: say which call is meant, as in Call(layer, 0)"
            )
        found[position] = [leaves[i].detach().clone() for i in places]
        for i, tensor in zip(places, found[position], strict=True):
            leaves[i] = tensor.clone()

    given, named = examples.arrange(tuple(x.detach().clone() for x in examples.tensors))
    watched = model.modules() if resume else ()

    def run() -> Any:
        return section(*given, *examples.arguments, **named)

    with at.visited(visit) as counts, detour(watched, before):
        output = run()
    for position in range(len(start)):
        _check_found(start, position, found, counts, section, run)
    values = tuple(t for position in range(len(start)) for t in found[position])
    per_layer = tuple(len(found[position]) for position in range(len(start)))
    inner = Examples(values, len(values) == 1, (*examples.tensors, *examples.arguments))
    if any(t.dim() == 0 or t.shape[0] != examples.count for t in values):
        shapes = ", ".join(str(tuple(t.shape)) for t in values)
        raise LayerError(
            f"at the {start.side} of {', '.join(map(start.name, range(len(start))))} are tensors of shape {shapes}; to "
            f"put values there, dimension 0 must count the {examples.count} example(s)"
        )
    plain = ResumedSection(section, at, per_layer, examples, ())
    # Calls are counted, and those inside what is left out would be missed.
    kept = tuple(before.kept or ()) if all((start.call(p) or 0) <= 0 for p in range(len(start))) else ()
    if kept:
        tail = ResumedSection(section, at, per_layer, examples, kept)
        arguments = (*inner.arguments, *(t for made in kept for t in made.tensors))
        resumed = dataclasses.replace(inner, arguments=arguments)
        tried = sum(steps * (part.stop - part.start) for steps, part in _tries(examples.count))
        if _same(tail, resumed, output):
            return Opened(tail, resumed, per_layer, start, examples.count + tried)
        return Opened(plain, inner, per_layer, start, examples.count + tried)
    return Opened(plain, inner, per_layer, start, examples.count)


def _check_found(
    start: Layers,
    position: int,
    found: dict[int, list[Tensor]],
    counts: list[int],
    section: Section,
    run: Callable[[], Any],
) -> None:
    name = start.name(position)
    if position not in found:
        if counts[position]:
            raise LayerError(
                f"the layer {name} has no call {start.call(position)}: it ran {counts[position]} time(s)"
            )
        error = NotRun(
            _out_of_reach(name)
            if section.end is not None
            else f"the layer {name} did not run in the model's forward pass, so nothing can be put there"
        )
        raise not_run(error, section.explained_model, run)
    if not found[position]:
        raise LayerError(f"no tensor passed at the {start.side} of layer {name}")


def _out_of_reach(name: str) -> str:
    return f"the layer {name} did not run before what is explained was reached, so it has no effect"


def _tries(count: int) -> list[tuple[int, slice]]:
    """Which rows show whether what was kept can be repeated, and cut, with the examples."""
    return [(2, slice(0, count)), *([(1, slice(0, 1))] if count > 1 else [])]


def _same(tail: ResumedSection, examples: Examples, output: Any) -> bool:
    """Whether the section gives what the model gave: for two copies of the examples twice, for one example its own."""
    wanted = [leaf for leaf in leaves_of(output) if isinstance(leaf, Tensor)]
    for steps, part in _tries(examples.count):
        rows = tuple(repeat_rows(t, steps).clone() for t in examples.slices(part))
        try:
            again = tail(*rows, *examples.forward_arguments(steps, part))
        except Exception:  # some shape does not fit: then everything runs anew each time
            return False
        found = [leaf for leaf in leaves_of(again) if isinstance(leaf, Tensor)]
        if len(found) != len(wanted):
            return False
        expected = [
            repeat_rows(w[part], steps) if w.dim() > 0 and w.shape[0] == examples.count else w for w in wanted
        ]
        if not all(_near(f, w) for f, w in zip(found, expected, strict=True)):
            return False
    return True


def _near(found: Tensor, wanted: Tensor) -> bool:
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
    """A section from its start on, as a function of the values there, the model's inputs, and what was kept."""

    def __init__(
        self,
        section: Section,
        at: Injector,
        counts: tuple[int, ...],
        examples: Examples,
        kept: tuple[Made, ...],
    ) -> None:
        self.explained_model = section.explained_model
        self._section, self._at, self._counts, self._kept = section, at, counts, kept
        self._inputs = len(examples.tensors)
        self._arguments = len(examples.arguments)
        self._arrange = examples.arrange
        self.paced_as = section.paced_as
        self.steady = section.steady

    def __call__(self, *given: Any) -> Any:
        values, inputs, arguments, kept = self._parts(given)
        # Copies: these may be the caller's own, and the model may work in place on them.
        positional, named = self._arrange(tuple(x.detach().clone() for x in inputs))
        position_of = [sum(self._counts[:i]) for i in range(len(self._counts))]

        def put(position: int, leaves: list[Any], places: list[int]) -> None:
            for offset, place in enumerate(places):
                # A copy, as the model may go on in place.
                leaves[place] = values[position_of[position] + offset].clone()

        filled: set[int] = set()

        def fill(position: int, leaves: list[Any], places: list[int]) -> None:
            filled.add(position)
            put(position, leaves, places)

        queue = Again(self._kept, kept)
        skipped = dict.fromkeys(made.module for made in self._kept)
        with self._at.visited(fill), detour(skipped, queue):
            output = self._section(*positional, *arguments, **named)
        missing = [p for p in range(len(self._counts)) if p not in filled]
        if missing:
            raise NotRun(_out_of_reach(self._at.start.name(missing[0])))
        return output

    def _parts(self, given: tuple[Any, ...]) -> tuple[tuple[Any, ...], ...]:
        parts, done = [], 0
        for count in (sum(self._counts), self._inputs, self._arguments):
            parts.append(given[done : done + count])
            done += count
        return (*parts, given[done:])
