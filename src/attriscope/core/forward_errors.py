"""Errors that say more than torch's own when a model refuses its inputs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from attriscope.core.errors import ForwardError
from attriscope.core.inputs import describe


@contextlib.contextmanager
def quoting_inputs(model: Any, rows: tuple[Any, ...]) -> Iterator[None]:
    """Turns torch's error about ``model(*rows)`` into one that quotes the rows; models that are functions are left.

    Raises:
        ForwardError: the model refused the rows.
    """
    try:
        yield
    except RuntimeError as error:
        # Only torch's own bare errors about shapes, types and devices; a model's own errors stay as they are.
        tensors = tuple(row for row in rows if isinstance(row, Tensor))
        if type(error) is not RuntimeError or not isinstance(model, nn.Module) or not tensors:
            raise
        raise ForwardError(_message(model, tensors, error)) from error


def _message(model: nn.Module, rows: tuple[Tensor, ...], error: RuntimeError) -> str:
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
