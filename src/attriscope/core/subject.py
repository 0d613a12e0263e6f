"""The one function that is explained, and how one batch is sent through it, forward and back.

:mod:`attriscope.core.evaluate` cuts work into such batches; :mod:`attriscope.core.hooks` reads at layers on the way,
and :mod:`attriscope.core.propagation` puts rules on the way back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.arrangement import FIRST, Places, find_rows, rows_are_first
from attriscope.core.batch_norm import ignores_strides, see_to_strides
from attriscope.core.complex_parts import added, times
from attriscope.core.errors import AnotherWayError, InputError
from attriscope.core.forward_errors import quoting_inputs
from attriscope.core.hooks import Layers, NotRun, not_run, unwrap
from attriscope.core.inputs import describe
from attriscope.core.passes import one_pass
from attriscope.core.propagation import Propagation, Scheme
from attriscope.core.reading import Reading, ReadTensor, nudge
from attriscope.core.target import Target

Nested = tuple[tuple[Tensor, ...], ...]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What one batch of rows gave.

    Attributes:
        output: whatever the model returned, detached if it is a tensor.
        f: the explained numbers, of shape (rows,); ``None`` if no target was asked for. With several selections, their
            sum.
        values: for each place that was read, the tensors found there.
        gradients: d f / d values, in the same order; empty without gradients. With several selections, those of the
            first and then of the others.
        baseline_f, baseline_values: f and values at the baselines, for rules that compare with them.
        places: where the rows were in the values at layers, which have them in dimension 0 here; empty for dimension 0.
        unreached: place and position of the values at which no gradient arrived, which is then given as zero: f does
            not depend on them, or autograd cannot follow how.
    """

    output: Any
    f: Tensor | None
    values: Nested
    gradients: Nested
    baseline_f: Tensor | None = None
    baseline_values: Nested = ()
    unreached: tuple[tuple[int, int], ...] = ()
    places: Places = ()


@dataclasses.dataclass(frozen=True)
class Through:
    """Neurons that an effect must pass through.

    Attributes:
        layer: the layer that they are in.
        select: one number per row of what the layer gives: a neuron, or the sum of several.
    """

    layer: Layers
    select: Target


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is explained (``of``) and where values and gradients are read (``read``).

    Where a layer is varied, or a neuron explained, ``forward`` is a :class:`~attriscope.core.section.Section`.

    Attributes:
        forward: the model, or a function, called as ``forward(*inputs, *arguments)``.
        of: selects the explained number of each row; ``None`` when only values are read. Several selections make as
            many backward passes through one forward pass.
        read: ``None`` for the inputs, else layers.
        through: only the part of the effect counts that goes through these neurons; ``None`` for all of it.
        gradient_options: keyword arguments for ``torch.autograd.grad``.
        scheme: rules by which gradients are passed back; ``None`` for autograd's own.
        arrange: how rows and arguments become positional and keyword arguments; ``None`` if they are the former as they
            are.
        whole_batch: the model gives one number for all rows together, and that is explained.
        as_it_is: layers are read arranged as they are, if so many rows go through the model at once.
        nudged: the place, the position there and the call of a value that is read, which is changed on the way: to see
            whether f moves.
    """

    forward: Callable[..., Any]
    of: Target | tuple[Target, ...] | None
    read: Layers | None = None
    gradient_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    scheme: Scheme | None = None
    arrange: Callable[[tuple[Any, ...], tuple[Any, ...]], tuple[tuple[Any, ...], dict[str, Any]]] | None = (
        None
    )
    through: Through | None = None
    whole_batch: bool = False
    nudged: tuple[int, int, int] | None = None
    as_it_is: int | None = None

    @property
    def method(self) -> str:
        """Whose rules these are, ``""`` for autograd's own."""
        return "" if self.scheme is None else self.scheme.method

    @functools.cached_property
    def _takes_nothing(self) -> bool:
        """Whether the function has no parameters; looked up once, as it takes longer than running a small model."""
        if isinstance(self.forward, nn.Module):
            return False
        try:
            return not inspect.signature(self.forward).parameters
        except (TypeError, ValueError):
            return False

    def run(
        self,
        rows: tuple[Tensor, ...],
        arguments: tuple[Any, ...],
        steps: int,
        examples: slice,
        gradient: bool,
    ) -> Evaluation:
        """Send rows (``steps`` repetitions of a slice of the examples) through the model."""
        with one_pass(self.forward, gradient):
            rows, arguments = _ordinary(rows), _ordinary(arguments)
            baseline: tuple[Tensor | None, Nested] = None, ()
            if self.scheme is None:
                output, fs, values, places = self._forward(rows, arguments, steps, examples, gradient)
            else:
                with getattr(self.forward, "steady", contextlib.nullcontext)():
                    parts = self.scheme, rows, arguments, steps, examples, gradient
                    try:
                        output, fs, values, places, baseline = self._by_rules(*parts)
                    except AnotherWayError:
                        # The first pass may have filled a cache: then the second time both go the same way.
                        output, fs, values, places, baseline = self._by_rules(*parts)
            ends: tuple[tuple[Tensor, ...], tuple[Any, ...] | None] = fs, None
            if self.through is not None:
                ends = self._through(fs, values, places) if gradient and fs else ends
                values = values[:-1]
            gradients, unreached = self._all_gradients(*ends, values) if gradient else ((), ())
            places = places[: len(values)] if self.read is not None else ()
            if any(place != FIRST for layer in places for place in layer):
                count = rows[0].shape[0]
                values, gradients = _rows_first(values, places, count), _rows_first(gradients, places, count)
                baseline = baseline[0], _rows_first(baseline[1], places, count)
            else:
                places = ()
            f = _sum(fs)
        keep = self.gradient_options.get("create_graph", False)
        return Evaluation(
            output.detach() if isinstance(output, Tensor) else output,
            f if f is None or keep else f.detach(),
            values
            if keep or not gradient
            else tuple([tuple([v.detach() for v in layer]) for layer in values]),
            gradients,
            *baseline,
            unreached,
            places,
        )

    def _by_rules(
        self,
        scheme: Scheme,
        rows: tuple[Tensor, ...],
        arguments: tuple[Any, ...],
        steps: int,
        examples: slice,
        gradient: bool,
    ) -> tuple[Any, tuple[Tensor, ...], Nested, Places, tuple[Tensor | None, Nested]]:
        """The same as :meth:`_forward`, with a scheme's rules on the graph; and what was found at the baselines."""
        rows, baselines = scheme.split(rows)
        propagation = Propagation(scheme)
        baseline: tuple[Tensor | None, Nested] = None, ()
        if gradient and baselines:
            with propagation.reference():
                _, fs, values, _ = self._forward(baselines, arguments, steps, examples, gradient)
            baseline = _detached(_sum(fs)), tuple(tuple(map(_detached, layer)) for layer in values)
            del fs, values  # and the graph with them
        with propagation.recording() if gradient else contextlib.nullcontext():
            output, fs, values, places = self._forward(rows, arguments, steps, examples, gradient)
        if gradient and fs:
            propagation.attach(fs, [v for layer in values for v in layer], self.read is not None)
        return output, fs, values, places, baseline

    def _forward(
        self,
        rows: tuple[Tensor, ...],
        arguments: tuple[Any, ...],
        steps: int,
        examples: slice,
        gradient: bool,
    ) -> tuple[Any, tuple[Tensor, ...], Nested, Places]:
        """The output, the explained numbers, the values that are read and where rows are in those of layers."""
        values: Nested
        given = rows
        if gradient:
            # At layers too: else what a gradient there takes in would depend on whether parameters are frozen.
            rows = tuple([row.detach().requires_grad_(_differentiable(row)) for row in rows])
            # The model gets copies, so that it may work in place on what it is given.
            given = tuple([row.clone() for row in rows])
        # Rules need to see every operation, which compiled code and replicas in other threads do not show.
        whole = self.read is None and self.scheme is None and self.through is None
        if self.nudged is not None and self.read is None:
            given = tuple(nudge(x) if i == self.nudged[1] else x for i, x in enumerate(given))
        forward = self.forward if whole else unwrap(self.forward)
        readings = []
        if self.read is not None:
            readings.append(Reading(self.read, gradient, nudged=self.nudged))
        if self.through is not None:
            readings.append(Reading(self.through.layer, gradient))
        with contextlib.ExitStack() as stack:
            for reading in readings:
                stack.enter_context(reading.attached())
            output = self._call(forward, given, arguments)
        try:
            found = [[reading.read(i) for i in range(len(reading.site))] for reading in readings]
        except NotRun as error:
            raise not_run(error, self.forward, lambda: self._call(forward, given, arguments)) from None
        values = (() if self.read is not None else (rows,)) + tuple(
            [tuple([one.tensor for one in read]) for layers in found for read in layers]
        )
        places = self._places(readings, found, forward, rows, arguments) if readings else ()
        of = () if self.of is None else self.of if isinstance(self.of, tuple) else (self.of,)
        if self.whole_batch:
            fs = tuple([one.select_of_batch(output) for one in of])
        else:
            fs = tuple([one.select(output, steps, examples) for one in of])
        if gradient and fs and fs[0].device.type == "cpu" and ignores_strides():
            see_to_strides(fs)
        return output, fs, values, places

    def _places(
        self,
        readings: list[Reading],
        found: list[list[list[ReadTensor]]],
        forward: Any,
        rows: tuple[Tensor, ...],
        arguments: tuple[Any, ...],
    ) -> Places:
        """Where the rows are in each tensor that was read at layers; empty for dimension 0 in all."""
        number = rows[0].shape[0]
        if number == self.as_it_is or rows_are_first(readings, found, number):
            return ()
        given = (*(row.detach() for row in rows), *arguments)
        count = len(rows)

        def run(*some: Any) -> Any:
            return self._call(forward, some[:count], some[count:])

        return tuple(
            tuple(find_rows(one.site, i, read, number, run, given))
            for one, layers in zip(readings, found, strict=True)
            for i, read in enumerate(layers)
        )

    def _through(
        self, fs: tuple[Tensor, ...], values: Nested, places: Places
    ) -> tuple[tuple[Tensor, ...], tuple[Any, ...]]:
        """What the neurons' layer holds, and for each selection how much its parts count."""
        assert self.through is not None
        layer, rows = values[-1], fs[0].shape[0]
        plain = not places or self.through.layer.as_it_is
        (arranged,) = (layer,) if plain else _rows_first((layer,), places[-1:], rows)
        held = arranged[0] if len(layer) == 1 else arranged
        neurons = self.through.select.select(held, 1, slice(0, rows))
        if not neurons.requires_grad:
            raise InputError(
                f"what neuron_selector {describe(self.through.select.given)} gives does not depend on what the layer "
                "holds in a way that autograd can follow"
            )
        # The gradient of the selection picks the neurons out of the layer.
        picked = torch.autograd.grad(neurons.sum(), layer, allow_unused=True, retain_graph=True)
        weights = []
        for f in fs:
            found = self._gradients(f, (layer,), keep=True)[0][0]
            weights.append([None if p is None else times(p, g) for p, g in zip(picked, found, strict=True)])
        return layer, tuple(weights)

    def _all_gradients(
        self, ends: tuple[Tensor, ...], weights: tuple[Any, ...] | None, values: Nested
    ) -> tuple[Nested, tuple[tuple[int, int], ...]]:
        """The gradients of all that is explained, one after the other; and where none of them arrived."""
        if weights is not None:  # a neuron may have no part in the effect: then there is nothing to pass on
            return tuple(layer for weight in weights for layer in self._passed_on(ends, weight, values)), ()
        last = len(ends) - 1
        found = [self._gradients(f, values, keep=i < last) for i, f in enumerate(ends)]
        if len(found) == 1:
            return found[0][0], tuple(sorted(found[0][1]))
        unreached = set.intersection(*[missing for _, missing in found]) if found else set()
        return tuple(layer for gradients, _ in found for layer in gradients), tuple(sorted(unreached))

    def _passed_on(self, ends: tuple[Tensor, ...], weights: list[Tensor | None], values: Nested) -> Nested:
        """The gradient of the neurons, each times its weight."""
        pairs = [(e, w) for e, w in zip(ends, weights, strict=True) if w is not None]
        weighted = [added(times(e, w.detach())).sum() for e, w in pairs]
        return self._gradients(torch.stack(weighted), values, keep=True)[0]

    def _gradients(
        self, f: Tensor, values: Nested, keep: bool = False
    ) -> tuple[Nested, set[tuple[int, int]]]:
        """The gradient with respect to all values; and the places and positions where none arrived."""
        flat = [v for layer in values for v in layer]
        if f.is_complex():
            raise InputError(
                "the explained output is complex, so there is no more or less of it: explain its absolute value or one "
                "of its parts, as in target=lambda y: y[:, 0].abs()"
            )
        if f.requires_grad:
            kept = {"retain_graph": True} if keep else {}
            options = {"allow_unused": True, **self.gradient_options, **kept}
            found: list[Tensor | None] = list(torch.autograd.grad(f.sum(), flat, **options))
        elif self._takes_nothing or not any(v.requires_grad for v in flat):
            found = [None] * len(flat)
        else:
            raise InputError(
                "the explained output does not depend on the inputs in a way that autograd can follow: does the model "
                "run under torch.no_grad, use detach() or numpy, or give something like argmax? A method that only "
                "needs outputs, such as FeatureAblation, can explain it"
            )
        # What the explained number does not depend on has gradient zero; the evaluator sees to it that this is so.
        missing: set[tuple[int, int]] = set()
        grads, left = [], iter(found)
        for i, layer in enumerate(values):
            here = []
            for j, value in enumerate(layer):
                gradient = next(left)
                if gradient is None:
                    gradient = torch.zeros_like(value)
                    if value.requires_grad:
                        missing.add((i, j))
                here.append(gradient)
            grads.append(tuple(here))
        return tuple(grads), missing

    def _call(self, forward: Callable[..., Any], rows: tuple[Tensor, ...], arguments: tuple[Any, ...]) -> Any:
        if self._takes_nothing:
            return forward()
        given: tuple[Any, ...] = (*rows, *arguments)
        named: dict[str, Any] = {}
        if self.arrange is not None:
            given, named = self.arrange(rows, arguments)
        with quoting_inputs(forward, given, named, len(rows)):
            return forward(*given, **named)


def _rows_first(values: Nested, places: Places, rows: int) -> Nested:
    """What was read at layers with the rows in dimension 0; gradients of several selections, one after the other."""
    arranged = [places[i % len(places)] for i in range(len(values))]
    return tuple(
        tuple([place.rows_first(v, rows) for v, place in zip(layer, where, strict=True)])
        for layer, where in zip(values, arranged, strict=True)
    )


def _ordinary(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same values with tensors made under ``torch.inference_mode`` copied: autograd refuses those."""
    return tuple([v.clone() if isinstance(v, Tensor) and v.is_inference() else v for v in values])


def _differentiable(row: Tensor) -> bool:
    return row.is_floating_point() or row.is_complex()


def _sum(fs: tuple[Tensor, ...]) -> Tensor | None:
    return None if not fs else fs[0] if len(fs) == 1 else torch.stack(fs).sum(0)


def _detached(tensor: Any) -> Any:
    return tensor.detach() if isinstance(tensor, Tensor) else tensor
