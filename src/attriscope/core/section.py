"""A model from one place to another, as a function.

What lies between a layer and the output, or between the input and a neuron, is a function like any other. So a method
that explains functions explains it, without knowing what a layer is: varying a layer is explaining the section that
starts there, explaining a neuron is explaining the section that ends there.

What is put in where a section starts is said in :mod:`attriscope.core.section_start`.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.arrangement import find_rows
from attriscope.core.data_dependence import DataDependenceMode
from attriscope.core.forward_errors import quoting_inputs
from attriscope.core.hooks import Layers, NotRun, not_run, unwrap
from attriscope.core.pytree import flatten, tree_leaves
from attriscope.core.reading import Reading, ReadTensor


class _Arrived(BaseException):
    """The place where the section ends was reached: the rest need not be computed."""


class Section:
    """The part of a model from the inputs, or from a layer, to the output, or to a layer.

    Args:
        model: the model, or any function that runs it.
        start: where values are put in: the input or output of one layer, or of several that stand side by side;
            ``None`` for the model's own inputs.
        end: what it gives: the tensor (or tuple of tensors) at one layer; ``None`` for the model's output.

    It is called as the model is; what stands at its start is put there by
    :func:`~attriscope.core.section_start.open_section`.

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
        # Of the layer at the end, in one forward pass; learned from the first, if no number in it was read.
        self._calls: int | None = None
        self._seen: tuple[Any, int] | None = None  # on what kind of call, and how often it ran
        self._steady = False
        self._learned = _learned(self._run)

    @property
    def timing_key(self) -> tuple[Any, Any]:
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
        mode = DataDependenceMode() if self._calls is None else contextlib.nullcontext()
        with reading.attached(), mode:
            try:
                self._pass(given, named)
                if kind is not None and isinstance(mode, DataDependenceMode):
                    calls = _UNKNOWN if mode.found else max(map(len, reading.calls.values()))
                    self._seen = kind, calls
                if not self._steady:
                    self._learn()
            except _Arrived:
                pass
        try:
            read = reading.read(0)
        except NotRun as error:
            raise not_run(error, self.explained_model, lambda: self._run(*given, **named)) from None
        found = tuple([one.tensor for one in read])
        if not self.end.as_it_is:
            found = self._rows_first(read, given, named)
        return found[0] if len(found) == 1 else found

    def _rows_first(
        self, read: list[ReadTensor], given: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[Tensor, ...]:
        """What was read at the end, with the rows in dimension 0."""
        assert self.end is not None
        leaves, unflatten = flatten((given, named))
        rows = next((leaf.shape[0] for leaf in leaves if isinstance(leaf, Tensor) and leaf.dim()), 1)

        def run(*some: Any) -> Any:
            positional, keywords = unflatten(some)
            return self._run(*positional, **keywords)

        places = find_rows(self.end, 0, read, rows, run, leaves)
        return tuple([place.rows_first(one.tensor, rows) for one, place in zip(read, places, strict=True)])

    def _kind(self, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What may decide how often a layer runs: what the model is made of, and what it is called with."""
        modules = list(self._run.modules()) if isinstance(self._run, nn.Module) else []
        leaves = tree_leaves((given, named))
        rows = next((leaf.shape[:1] for leaf in leaves if isinstance(leaf, Tensor)), torch.Size())

        def form(leaf: Any) -> Any:
            if isinstance(leaf, Tensor):
                return leaf.shape[1:] if leaf.shape[:1] == rows else tuple(leaf.shape)
            return leaf if isinstance(leaf, bool | int | float | str) else type(leaf)

        return (
            _place(self.end),
            tuple(getattr(module, "training", False) for module in modules),
            tuple(id(child) for module in modules for child in module._modules.values()),
            tuple(map(form, leaves)),
        )

    def _pass(self, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        with quoting_inputs(self._run, given, named):
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


_UNKNOWN = -1  # how often a layer runs, where that may depend on numbers
_LEARNED: weakref.WeakKeyDictionary[Any, dict[Any, int]] = weakref.WeakKeyDictionary()


def _learned(model: Any) -> dict[Any, int]:
    """How often a layer runs in one pass, as far as that was seen with this model; functions may change."""
    return _LEARNED.setdefault(model, {}) if isinstance(model, nn.Module) else {}


def _place(site: Layers | None) -> Any:
    # By number: what is remembered for a model must not keep its layers, or the model itself, alive.
    return site and site.place
