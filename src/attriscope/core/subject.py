"""The one function that is explained, and how it is run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.errors import ForwardError, InputError
from attriscope.core.inputs import describe
from attriscope.core.propagation import Propagation, Scheme
from attriscope.core.sites import Layers, Reading, grad_mode, kept_buffers, unwrap
from attriscope.core.target import Target

Nested = tuple[tuple[Tensor, ...], ...]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What one batch of rows gave.

    Attributes:
        output: whatever the model returned, detached if it is a tensor.
        f: the explained numbers, of shape (rows,); ``None`` if no target was asked for.
        values: for each place that was read, the tensors found there.
        gradients: d f / d values, in the same order; empty without gradients.
        baseline_f, baseline_values: f and values at the baselines, for rules that compare with them.
    """

    output: Any
    f: Tensor | None
    values: Nested
    gradients: Nested
    baseline_f: Tensor | None = None
    baseline_values: Nested = ()


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is explained (``of``) and where values and gradients are read (``read``).

    Attributes:
        forward: the model, or a function, called as ``forward(*inputs, *arguments)``.
        of: selects the explained number of each row; ``None`` when only values are read.
        read: ``None`` for the inputs, else layers.
        gradient_options: keyword arguments for ``torch.autograd.grad``.
        scheme: rules by which gradients are passed back; ``None`` for autograd's own.
        arrange: how the rows become positional and keyword arguments; ``None`` if they are the former as they are.
    """

    forward: Callable[..., Any]
    of: Target | None
    read: Layers | None = None
    gradient_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    scheme: Scheme | None = None
    arrange: Callable[[tuple[Any, ...]], tuple[tuple[Any, ...], dict[str, Any]]] | None = None

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
        with grad_mode(gradient), kept_buffers(self.forward):
            rows, arguments = _ordinary(rows), _ordinary(arguments)
            if self.scheme is None:
                output, f, values = self._forward(rows, arguments, steps, examples, gradient)
                baseline: tuple[Tensor | None, Nested] = None, ()
            else:
                rows, baselines = self.scheme.split(rows)
                propagation = Propagation(self.scheme)
                baseline = None, ()
                if gradient and baselines:
                    with propagation.reference():
                        found = self._forward(baselines, arguments, steps, examples, gradient)
                    baseline = _detached(found[1]), tuple(tuple(map(_detached, v)) for v in found[2])
                    del found  # and the graph with it
                with propagation.recording() if gradient else contextlib.nullcontext():
                    output, f, values = self._forward(rows, arguments, steps, examples, gradient)
                if gradient and f is not None:
                    propagation.attach([f], [v for layer in values for v in layer], self.read is not None)
            gradients = self._gradients(f, values) if gradient and f is not None else ()
        keep = self.gradient_options.get("create_graph", False)
        return Evaluation(
            output.detach() if isinstance(output, Tensor) else output,
            f if f is None or keep else f.detach(),
            values if keep else tuple(tuple(v.detach() for v in layer) for layer in values),
            gradients,
            *baseline,
        )

    def _forward(
        self,
        rows: tuple[Tensor, ...],
        arguments: tuple[Any, ...],
        steps: int,
        examples: slice,
        gradient: bool,
    ) -> tuple[Any, Tensor | None, Nested]:
        """The output, the explained numbers and the values that are read."""
        values: Nested
        given = rows
        if gradient:
            # At layers too: else what a gradient there takes in would depend on whether parameters are frozen.
            rows = tuple(row.detach().requires_grad_(_differentiable(row)) for row in rows)
            # The model gets copies, so that it may work in place on what it is given.
            given = tuple(row.clone() for row in rows)
        # Rules need to see every operation, which compiled code and replicas in other threads do not show.
        forward = self.forward if self.read is None and self.scheme is None else unwrap(self.forward)
        if self.read is None:
            output, values = self._call(forward, given, arguments), (rows,)
        else:
            reading = Reading(self.read, gradient)
            with reading.attached():
                output = self._call(forward, given, arguments)
            values = reading.last()
        return output, None if self.of is None else self.of.select(output, steps, examples), values

    def _gradients(self, f: Tensor, values: Nested) -> Nested:
        flat = [v for layer in values for v in layer]
        if f.requires_grad:
            options = {"allow_unused": True, **self.gradient_options}
            found: list[Tensor | None] = list(torch.autograd.grad(f.sum(), flat, **options))
        elif self._takes_nothing or not any(v.requires_grad for v in flat):
            found = [None] * len(flat)
        else:
            raise InputError(
                "the explained output does not depend on the inputs in a way that autograd can follow: does the model "
                "run under torch.no_grad, use detach() or numpy, or give something like argmax? A method that only "
                "needs outputs, such as FeatureAblation, can explain it"
            )
        # An input that the explained number does not depend on has gradient zero.
        grads = iter(torch.zeros_like(v) if g is None else g for v, g in zip(flat, found, strict=True))
        return tuple(tuple(next(grads) for _ in layer) for layer in values)

    def _call(self, forward: Callable[..., Any], rows: tuple[Tensor, ...], arguments: tuple[Any, ...]) -> Any:
        try:
            if self._takes_nothing:
                return forward()
            given, named = (rows, {}) if self.arrange is None else self.arrange(rows)
            return forward(*given, *arguments, **named)
        except RuntimeError as error:
            # Only torch's own bare complaint about shapes, types and devices; a model's own errors stay as they are.
            if type(error) is not RuntimeError or not isinstance(forward, nn.Module):
                raise
            raise ForwardError(_complaint(forward, rows, error)) from error


def _ordinary(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same values with tensors made under ``torch.inference_mode`` copied: autograd refuses those."""
    return tuple(v.clone() if isinstance(v, Tensor) and v.is_inference() else v for v in values)


def _differentiable(row: Tensor) -> bool:
    return row.is_floating_point() or row.is_complex()


def _detached(tensor: Any) -> Any:
    return tensor.detach() if isinstance(tensor, Tensor) else tensor


def _complaint(model: nn.Module, rows: tuple[Tensor, ...], error: RuntimeError) -> str:
    message = f"the model {type(model).__name__} refused its inputs, which were {describe(rows)}: {error}"
    parameter = next(model.parameters(), None)
    if parameter is None:
        return message
    if parameter.device != rows[0].device:
        place = str(parameter.device)
        return f"{message}\nThe model is on {place}; move the inputs there with x.to({place!r})"
    if rows[0].is_floating_point() and parameter.is_floating_point() and parameter.dtype != rows[0].dtype:
        wanted = str(parameter.dtype)
        return f"{message}\nThe model's parameters are {wanted}; convert the inputs with x.to({wanted})"
    first = next(((n, m) for n, m in model.named_modules() if m._parameters and not m._modules), None)
    if first is None:
        return message
    return f"{message}\nThe first layer with parameters is {first[0] or type(model).__name__}: {first[1]}"
