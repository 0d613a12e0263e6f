"""Errors that say more than torch's or Python's own when a model cannot run what it is given."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from attriscope.core.errors import ForwardError, InputTypeError
from attriscope.core.inputs import describe

# Parts of torch's messages that have nothing to do with what the inputs are.
_WITHOUT_GRADIENTS = "does not require grad"
_INFERENCE = "nference tensor"


@contextlib.contextmanager
def quoting_inputs(
    model: Any, given: tuple[Any, ...], named: Mapping[str, Any] | None = None, inputs: int | None = None
) -> Iterator[None]:
    """Turns an error about ``model(*given, **named)`` into one that quotes what is given.

    Of models that are functions, only being called with other arguments than they take is told.

    Args:
        inputs: how many of the arguments are inputs; ``None`` for all.

    Raises:
        ForwardError: the model refused the rows.
        InputTypeError: it takes other arguments.
    """
    try:
        yield
    except TypeError as error:
        message = (
            None if isinstance(error, InputTypeError) else _misfit(model, given, named or {}, inputs, error)
        )
        if message is None:
            raise
        raise InputTypeError(message) from error
    except RuntimeError as error:
        # Only torch's own bare errors about shapes, types and devices; a model's own errors stay as they are.
        tensors = tuple(row for row in (*given, *(named or {}).values()) if isinstance(row, Tensor))
        if type(error) is not RuntimeError or not isinstance(model, nn.Module) or not tensors:
            raise
        raise ForwardError(_message(model, tensors[:inputs], error)) from error


def _misfit(
    model: Any, given: tuple[Any, ...], named: Mapping[str, Any], inputs: int | None, error: TypeError
) -> str | None:
    """What to say if the model does not take so many arguments, or none of these names; ``None`` if it does."""
    function = model.forward if isinstance(model, nn.Module) else model
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*given, **named)
    except TypeError:
        name = type(model).__name__ if isinstance(model, nn.Module) else describe(model)
        count = len(given) + len(named)
        further = count - (count if inputs is None else inputs)
        beside = f" and {further} further argument(s)" if further else ""
        taken = ", ".join(str(p.replace(annotation=p.empty)) for p in signature.parameters.values())
        return (
            f"{name} takes ({taken}), but was given {count - further} input(s){beside}: {error}. inputs must be one "
            "tensor for each input of the model, several in a tuple, or in a dict by name; what comes after them "
            "belongs into additional_forward_args"
        )
    return None


def _message(model: nn.Module, rows: tuple[Tensor, ...], error: RuntimeError) -> str:
    name, text = type(model).__name__, str(error)
    if _WITHOUT_GRADIENTS in text:
        return (
            f"{name} asks autograd for a gradient in its forward pass, where there is none: {text}\n"
            "This pass runs without gradients, as the method needs outputs only; have the model turn them on itself, "
            "with torch.enable_grad() and x = x.requires_grad_() in its forward"
        )
    if _INFERENCE in text:
        return (
            f"{name} holds a tensor that was made under torch.inference_mode(), such as a cache that an earlier pass "
            f"filled, and autograd refuses it: {text}\nMake the model anew, or clear what it keeps, and run it under "
            "torch.no_grad() instead"
        )
    message = f"the model {name} refused its inputs, which were {describe(rows)}: {text}"
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
