"""A model from one place to another, as a function.

What lies between a layer and the output, or between the input and a neuron, is a function like any other. So a method
that explains functions explains it, without knowing what a layer is: varying a layer is explaining the section that
begins there, explaining a neuron is explaining the section that ends there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.detour import detour
from attriscope.core.errors import InputError, LayerError
from attriscope.core.inputs import Examples, repeat_rows
from attriscope.core.looking import Looking
from attriscope.core.progress import current
from attriscope.core.refusal import refusals
from attriscope.core.sites import (
    Layers,
    NotRun,
    Reading,
    grad_mode,
    kept_buffers,
    module_of,
    not_run,
    passing,
    unwrap,
)
from attriscope.core.structure import Rebuild, leaves_of, take_apart


class _Arrived(BaseException):
    """The place where the section ends was reached: the rest need not be computed."""


class Section:
    """The part of a model from the inputs, or from a layer, to the output, or to a layer.

    Args:
        model: the model, or any function that runs it.
        start: where values are put in: the input or output of one layer, or of several that stand side by side;
            ``None`` for the model's own inputs.
        end: what it gives: the tensor (or tuple of tensors) at one layer; ``None`` for the model's output.

    A section without ``start`` is called as the model is. One with ``start`` is called with the values there and then
    with what :meth:`open` gave as arguments.

    Attributes:
        explained_model: the model.
    """

    def __init__(
        self, model: Callable[..., Any], start: Layers | None = None, end: Layers | None = None
    ) -> None:
        self.explained_model = model
        self.start = start
        self.end = end
        self._run = unwrap(model)  # compiled code and replicas know no hooks
        # Of the layer at the end, in one forward pass; learned from the first, if that did not look at any number.
        self._calls: int | None = None
        self._seen: tuple[Any, int] | None = None  # on what kind of call, and how often it ran
        self._steady = False
        self._learned = _learned(self._run)

    @property
    def paced_as(self) -> tuple[Any, Any]:
        """The model, and which part of it: how fast that runs is remembered beyond this object."""
        return self.explained_model, (_place(self.start), _place(self.end))

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Run it from the model's inputs on."""
        if self.end is None:
            return self._pass(given, named)
        reading = Reading(self.end, False, self._arrive)
        kind = None if self._calls is not None else self._kind(given, named)
        if kind is not None:
            self._calls = self._learned.get(kind)
        looking = Looking() if self._calls is None else contextlib.nullcontext()
        with reading.attached(), looking:
            try:
                self._pass(given, named)
                if kind is not None and isinstance(looking, Looking):
                    often = _UNKNOWN if looking.looked else max(map(len, reading.calls.values()))
                    self._seen = kind, often
                if not self._steady:
                    self._learn()
            except _Arrived:
                pass
        try:
            (found,) = reading.values()
        except NotRun as error:
            raise not_run(error, self.explained_model, lambda: self._run(*given, **named)) from None
        return found[0] if len(found) == 1 else found

    def _kind(self, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What may decide how often a layer runs: what the model is made of, and what it is called with."""
        modules = list(self._run.modules()) if isinstance(self._run, nn.Module) else []
        leaves = leaves_of((given, named))
        rows = next((leaf.shape[:1] for leaf in leaves if isinstance(leaf, Tensor)), torch.Size())

        def form(leaf: Any) -> Any:
            if isinstance(leaf, Tensor):
                return leaf.shape[1:] if leaf.shape[:1] == rows else tuple(leaf.shape)
            return leaf if isinstance(leaf, bool | int | float | str) else type(leaf)

        return (
            _place(self.end),
            tuple(module.training for module in modules),
            tuple(id(child) for module in modules for child in module._modules.values()),
            tuple(map(form, leaves)),
        )

    def _pass(self, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        with refusals(self._run, (*given, *named.values())):
            return self._run(*given, **named)

    @contextlib.contextmanager
    def steady(self) -> Iterator[None]:
        """Inside the block all passes end at the same place, for those who compare what happens in them."""
        self._steady = True
        try:
            yield
        finally:
            self._steady = False
            self._learn()

    def _learn(self) -> None:
        if self._seen is not None:
            kind, self._calls = self._seen
            self._learned[kind] = self._calls
            self._seen = None

    def _arrive(self, reading: Reading) -> None:
        """Stop as soon as what comes later cannot matter."""
        assert self.end is not None
        call, done = self.end.call(0), max(map(len, reading.calls.values()))
        # Of a layer that runs once in a pass, whatever the numbers, the last call is the first.
        if (call is not None and 0 <= call < done) or (self._calls == 1 and call == -1):
            raise _Arrived

    def open(self, examples: Examples, resume: bool = True) -> Opened:
        """Look at what the examples make of the place where the section starts.

        Args:
            examples: inputs of the model.
            resume: keep what the layers before the start give, so that they need not run again. That is done in
                evaluation mode only, and only if the model is seen to give the same with and without.
        """
        assert self.start is not None
        current().check()
        try:
            with grad_mode(False), kept_buffers(self.explained_model):
                return _open(self, self.start, examples, resume)
        except torch.cuda.OutOfMemoryError:
            if examples.count == 1:
                raise
        return self._open_in_parts(self.start, examples)

    def _open_in_parts(self, start: Layers, examples: Examples) -> Opened:
        """Half of the examples, and then the other: together they did not fit into memory."""
        middle = examples.count // 2
        halves = [
            self.open(
                dataclasses.replace(
                    examples, tensors=examples.slices(part), arguments=examples.forward_arguments(1, part)
                ),
                resume=False,
            )
            for part in (slice(0, middle), slice(middle, examples.count))
        ]
        values = tuple(torch.cat(both) for both in zip(*(h.examples.tensors for h in halves), strict=True))
        counts = halves[0].counts
        inner = Examples(values, len(values) == 1, (*examples.tensors, *examples.arguments))
        tail = _Tail(self, _At(start), counts, examples, ())
        return Opened(tail, inner, counts, start, sum(h.evaluations for h in halves))


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


_UNKNOWN = -1  # how often a layer runs, where that may depend on numbers
_LEARNED: weakref.WeakKeyDictionary[Any, dict[Any, int]] = weakref.WeakKeyDictionary()


def _learned(model: Any) -> dict[Any, int]:
    """How often a layer runs in one pass, as far as that was seen with this model; functions may change."""
    return _LEARNED.setdefault(model, {}) if isinstance(model, nn.Module) else {}


def _place(site: Layers | None) -> Any:
    # By number: what is remembered for a model must not keep its layers, or the model itself, alive.
    return site and (tuple(map(id, site.modules)), site.at_input, site.calls)


def varied(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Those of a layer's tensors that can be varied: the floating point ones, or if there is none, all."""
    return tuple(tensors[i] for i in _places(tensors))


def _places(leaves: Sequence[Any]) -> list[int]:
    tensors = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    floats = [i for i in tensors if leaves[i].is_floating_point() or leaves[i].is_complex()]
    return floats or tensors


@dataclasses.dataclass(frozen=True)
class _Made:
    """What a module gave in one call, ready to be given again."""

    module: nn.Module
    constants: tuple[Any, ...]  # leaves; where there is a tensor, None
    tensors: tuple[Tensor, ...]
    places: tuple[int, ...]
    rebuild: Rebuild

    @staticmethod
    def of(module: nn.Module, output: Any) -> _Made | None:
        leaves, rebuild = take_apart(output)
        places = tuple(i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor))
        plain = (bool, int, float, str, type(None))
        if not places or not all(isinstance(leaf, (Tensor, *plain)) for leaf in leaves):
            return None  # who knows what that is
        constants = tuple(None if isinstance(leaf, Tensor) else leaf for leaf in leaves)
        # Copies: what comes next may work in place on them.
        return _Made(module, constants, tuple(leaves[i].detach().clone() for i in places), places, rebuild)

    def again(self, tensors: Sequence[Tensor]) -> Any:
        leaves = list(self.constants)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor.clone()
        return self.rebuild(leaves)


class _Before:
    """What modules gave before a moment in the forward pass: of nested ones, the outermost that had ended."""

    def __init__(self) -> None:
        self._ended: list[_Made] = []
        self.kept: list[_Made] | None = None

    def __call__(self, module: nn.Module, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.kept is not None:
            return original(*args, **kwargs)
        before = len(self._ended)
        output = original(*args, **kwargs)
        if self.kept is None:
            made = _Made.of(module, output)
            if made is not None:
                self._ended[before:] = [made]
        return output

    def now(self) -> None:
        """This is the moment."""
        if self.kept is None:
            self.kept = list(self._ended)


class _At:
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


def _open(section: Section, start: Layers, examples: Examples, resume: bool) -> Opened:
    model = module_of(section.explained_model)
    whole = isinstance(model, nn.Module)
    resume = resume and whole and not any(module.training for module in model.modules())
    at, before = _At(start), _Before()
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
    plain = _Tail(section, at, per_layer, examples, ())
    # Calls are counted, and those inside what is left out would be missed.
    kept = tuple(before.kept or ()) if all((start.call(p) or 0) <= 0 for p in range(len(start))) else ()
    if kept:
        tail = _Tail(section, at, per_layer, examples, kept)
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


def _same(tail: _Tail, examples: Examples, output: Any) -> bool:
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


class _Tail:
    """A section from its start on, as a function of the values there, the model's inputs, and what was kept."""

    def __init__(
        self, section: Section, at: _At, counts: tuple[int, ...], examples: Examples, kept: tuple[_Made, ...]
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

        queue = _Queue(self._kept, kept)
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


class _Queue:
    """Gives again what modules gave, in order."""

    def __init__(self, kept: tuple[_Made, ...], tensors: tuple[Tensor, ...]) -> None:
        self._kept, self._tensors = kept, tensors
        self._next = self._used = 0

    def __call__(self, module: nn.Module, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._next == len(self._kept) or self._kept[self._next].module is not module:
            return original(*args, **kwargs)
        made = self._kept[self._next]
        first, self._used = self._used, self._used + len(made.tensors)
        self._next += 1
        return made.again(self._tensors[first : self._used])
