"""A model from one place to another, as a function.

What lies between a layer and the output, or between the input and a neuron, is a function like any other. So a method
that explains functions explains it, without knowing what a layer is: varying a layer is explaining the section that
begins there, explaining a neuron is explaining the section that ends there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.data_dependence import Looking
from attriscope.core.forward_errors import refusals
from attriscope.core.hooks import (
    Layers,
    NotRun,
    Reading,
    grad_mode,
    kept_buffers,
    not_run,
    unwrap,
)
from attriscope.core.inputs import Examples
from attriscope.core.progress import current
from attriscope.core.pytree import leaves_of
from attriscope.core.section_start import Injector, Opened, ResumedSection, open_section


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
                return open_section(self, self.start, examples, resume)
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
        tail = ResumedSection(self, Injector(start), counts, examples, ())
        return Opened(tail, inner, counts, start, sum(h.evaluations for h in halves))


_UNKNOWN = -1  # how often a layer runs, where that may depend on numbers
_LEARNED: weakref.WeakKeyDictionary[Any, dict[Any, int]] = weakref.WeakKeyDictionary()


def _learned(model: Any) -> dict[Any, int]:
    """How often a layer runs in one pass, as far as that was seen with this model; functions may change."""
    return _LEARNED.setdefault(model, {}) if isinstance(model, nn.Module) else {}


def _place(site: Layers | None) -> Any:
    # By number: what is remembered for a model must not keep its layers, or the model itself, alive.
    return site and (tuple(map(id, site.modules)), site.at_input, site.calls)
