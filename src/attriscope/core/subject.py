"""The one function that is explained, and how it is run."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.errors import ForwardError
from attriscope.core.inputs import describe
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
    """

    output: Any
    f: Tensor | None
    values: Nested
    gradients: Nested


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is explained (``of``) and where values and gradients are read (``read``).

    Attributes:
        forward: the model, or a function, called as ``forward(*inputs, *arguments)``.
        of: selects the explained number of each row; ``None`` when only values are read.
        read: ``None`` for the inputs, else layers.
        gradient_options: keyword arguments for ``torch.autograd.grad``.
    """

    forward: Callable[..., Any]
    of: Target | None
    read: Layers | None = None
    gradient_options: dict[str, Any] = dataclasses.field(default_factory=dict)

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
            values: Nested
            given = rows
            if gradient:
                # At layers too: else what a gradient there takes in would depend on whether parameters are frozen.
                rows = tuple(row.detach().requires_grad_(_differentiable(row)) for row in rows)
                # The model gets copies, so that it may work in place on what it is given.
                given = tuple(row.clone() for row in rows)
            if self.read is None:
                output, values = self._call(self.forward, given, arguments), (rows,)
            else:
                reading = Reading(self.read, gradient)
                with reading.attached():
                    output = self._call(unwrap(self.forward), given, arguments)
                values = reading.last()
            f = None if self.of is None else self.of.select(output, steps, examples)
            gradients = self._gradients(f, values) if gradient and f is not None else ()
        keep = self.gradient_options.get("create_graph", False)
        return Evaluation(
            output.detach() if isinstance(output, Tensor) else output,
            f if f is None or keep else f.detach(),
            values if keep else tuple(tuple(v.detach() for v in layer) for layer in values),
            gradients,
        )

    def _gradients(self, f: Tensor, values: Nested) -> Nested:
        flat = [v for layer in values for v in layer]
        if f.requires_grad:
            options = {"allow_unused": True, **self.gradient_options}
            found: list[Tensor | None] = list(torch.autograd.grad(f.sum(), flat, **options))
        else:
            found = [None] * len(flat)
        # An input that the explained number does not depend on has gradient zero.
        grads = iter(torch.zeros_like(v) if g is None else g for v, g in zip(flat, found, strict=True))
        return tuple(tuple(next(grads) for _ in layer) for layer in values)

    def _call(self, forward: Callable[..., Any], rows: tuple[Tensor, ...], arguments: tuple[Any, ...]) -> Any:
        try:
            return forward() if _takes_nothing(forward) else forward(*rows, *arguments)
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


def _takes_nothing(forward: Callable[..., Any]) -> bool:
    if isinstance(forward, nn.Module):
        return False
    try:
        return not inspect.signature(forward).parameters
    except (TypeError, ValueError):
        return False


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
