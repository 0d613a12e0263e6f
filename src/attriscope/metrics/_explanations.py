"""Explanations, in whatever form they come: tensors, methods, methods with options, functions."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.complex_parts import added
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.frames import is_frame
from attriscope.core.hooks import unwrap
from attriscope.core.inputs import Examples, describe, gather_examples
from attriscope.metrics.base import UndefinedMetricError

FORMS = (
    "attributions (a tensor, or a tuple with one per input), a method such as Saliency(model), a pair of a method and "
    "a dict of options for its attribute, or a function of (inputs, target)"
)


@dataclasses.dataclass(frozen=True)
class Explainer:
    """Something that makes attributions.

    Attributes:
        method: an object with ``attribute``; ``None`` for a function.
        function: called as ``function(inputs, target=..., **more)``.
        options: further keyword arguments.
    """

    method: Any
    function: Callable[..., Any]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __call__(self, inputs: Any, target: Any = None, additional_forward_args: Any = None) -> Any:
        """Attributions for other inputs, as the method or function gives them."""
        arguments = {"target": target} if target is not None else {}
        if additional_forward_args is not None:
            arguments["additional_forward_args"] = additional_forward_args
        return self.function(inputs, **self._given(arguments))

    def _given(self, arguments: dict[str, Any]) -> dict[str, Any]:
        given = {**arguments, **self.options}
        return accepted_arguments(self.function, given) if self.method is None else given

    def explain(self, examples: Examples, target: Any, parts: bool = False) -> tuple[Tensor, ...]:
        """Attributions for the examples, checked and in the inputs' shape."""
        arguments = {"target": target} if target is not None else {}
        if examples.arguments:
            arguments["additional_forward_args"] = examples.given_arguments
        found = self.function(examples.form(examples.tensors), **self._given(arguments))
        if hasattr(self.method, "layer"):
            found = _enlarged(found, examples)
        return fit_attributions(found, examples, parts)


def accepted_arguments(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments without those of the model, unless the function takes them."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return arguments
    name = "additional_forward_args"
    wanted = name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return arguments if wanted else {key: value for key, value in arguments.items() if key != name}


def as_explainer(given: Any) -> Explainer | None:
    """What makes the attributions; ``None`` if ``given`` is attributions already.

    Raises:
        InputTypeError: it is neither.
    """
    if isinstance(given, Tensor | Mapping) or is_frame(given):
        return None
    if isinstance(given, Explainer):
        return given
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], dict):
        inner = as_explainer(given[0])
        if inner is not None:
            return dataclasses.replace(inner, options={**inner.options, **given[1]})
    if isinstance(given, tuple):
        return None
    attribute = getattr(given, "attribute", None)
    if callable(attribute) and not isinstance(given, type):
        return Explainer(given, attribute)
    if callable(given) and not isinstance(given, type | nn.Module):
        owner = getattr(given, "__self__", None)
        return Explainer(owner if hasattr(owner, "attribute") else None, given)
    raise InputTypeError(f"an explanation must be {FORMS}, but {describe(given)} came")


def attributions_of(given: Any, examples: Examples, target: Any, parts: bool = False) -> tuple[Tensor, ...]:
    """The attributions, one tensor per input and in its shape, whatever form they came in.

    Raises:
        InputTypeError: it is no explanation.
        InputError, UndefinedMetricError: shapes or devices do not fit the inputs; attributions are not finite.
    """
    explainer = as_explainer(given)
    if explainer is None:
        return fit_attributions(given, examples, parts)
    return explainer.explain(examples, target, parts)


def given_attributions(
    given: Any, inputs: Any, target: Any, additional_forward_args: Any
) -> tuple[Tensor, ...]:
    """The attributions, checked; inputs are only needed to make them, or to check their shape.

    Raises:
        InputTypeError, InputError, UndefinedMetricError: there is no explanation, or one that does not fit.
    """
    if inputs is not None:
        return attributions_of(given, gather_examples(inputs, additional_forward_args).plain, target)
    if as_explainer(given) is not None:
        raise InputError(
            "inputs must be given for a method or function to explain; attributions would do without"
        )
    if not (isinstance(given, Tensor | tuple | dict) or is_frame(given)):
        raise InputTypeError(f"an explanation must be {FORMS}, but {describe(given)} came")
    return fit_attributions(given, gather_examples(given).plain)


def fit_attributions(given: Any, examples: Examples, parts: bool = False) -> tuple[Tensor, ...]:
    """Attributions as floating point tensors in the inputs' shapes.

    A map with one channel is shared evenly among the channels of a picture, so that each position keeps its sum. Of
    complex inputs, real and imaginary part are added up, unless ``parts`` are to be kept apart.

    Raises:
        InputTypeError, InputError, UndefinedMetricError: as for :func:`attributions_of`.
    """
    found = examples.per_input(given)
    if len(found) != len(examples.tensors):
        raise InputError(
            f"there must be attributions for each input, but {len(found)} tensor(s) came for "
            f"{len(examples.tensors)} input(s)"
        )
    return tuple(_fit(a, x, i, parts) for i, (a, x) in enumerate(zip(found, examples.tensors, strict=True)))


def _fit(attributions: Any, x: Tensor, position: int, parts: bool) -> Tensor:
    if not isinstance(attributions, Tensor) or (attributions.is_complex() and not x.is_complex()):
        raise InputTypeError(
            f"attributions must be a real tensor per input, but for input {position} came {describe(attributions)}"
        )
    shape, wanted = tuple(attributions.shape), tuple(x.shape)
    one_channel = x.dim() > 2 and shape == (wanted[0], 1, *wanted[2:])
    if shape != wanted and not one_channel:
        hint = f" or {(wanted[0], 1, *wanted[2:])}" if x.dim() > 2 else ""
        raise InputError(
            f"the attributions of input {position} have shape {shape}, but the input has {wanted}; they must have "
            f"shape {wanted}{hint}"
        )
    if attributions.device != x.device:
        raise InputError(
            f"the attributions of input {position} are on {attributions.device} and the input on {x.device}; move "
            f"them with attributions.to({str(x.device)!r})"
        )
    values = attributions.detach()
    if values.is_complex():
        values = values if parts else added(values)
    elif not values.is_floating_point():
        values = values.to(torch.get_default_dtype())
    elif values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    if not values.is_meta and not bool(torch.isfinite(values).all()):
        bad = torch.nonzero(~torch.isfinite(values.reshape(len(values), -1)).all(1)).flatten().tolist()
        raise UndefinedMetricError(
            f"the attributions of input {position} are NaN or infinite for example(s) "
            f"{', '.join(map(str, bad[:5]))}{', ...' if len(bad) > 5 else ''}"
        )
    if one_channel and wanted[1] != 1:
        values = (values / wanted[1]).expand(wanted)
    return values


def _enlarged(found: Any, examples: Examples) -> Any:
    """A layer's map brought to the size of the picture, or its units added up for each token: as commonly shown."""
    if not isinstance(found, Tensor) or not examples.single:
        return found
    x = examples.tensors[0]
    ids = not (x.is_floating_point() or x.is_complex())
    if ids and found.dim() > x.dim() and found.shape[: x.dim()] == x.shape:
        return found.flatten(x.dim()).sum(-1)
    if found.dim() not in (3, 4, 5):
        return found
    if found.shape == x.shape or found.dim() != x.dim() or len(found) != len(x):
        return found
    if found.shape[1] not in (1, x.shape[1]):
        return found
    mode = {3: "linear", 4: "bilinear", 5: "trilinear"}[found.dim()]
    return nn.functional.interpolate(found.detach(), x.shape[2:], mode=mode, align_corners=False)


def copied_with_model(given: Any, model: nn.Module) -> tuple[nn.Module, Explainer]:
    """A copy of the model, and the explanation that runs on the copy.

    Args:
        given: a method that explains the model (with options), or a function of (model, inputs, target).
        model: the model; it is not touched.

    Raises:
        InputTypeError: there is nothing to run again, or no model.
        InputError: the method explains something in which the model cannot be found.
    """
    if not isinstance(model, nn.Module):
        raise InputTypeError(f"the model must be a torch.nn.Module, but {describe(model)} came")
    explainer = as_explainer(given)
    if explainer is None:
        raise InputTypeError(
            "this metric explains a changed model, so it needs a method such as Saliency(model), or a function of "
            f"(model, inputs, target), and not attributions: {describe(given)} came"
        )
    memo: dict[int, Any] = {}
    other = copy.deepcopy(model, memo)
    if explainer.method is None:
        function = explainer.function

        def on_the_copy(inputs: Any, target: Any = None, **more: Any) -> Any:
            return function(other, inputs, target, **accepted_arguments(function, more))

        return other, Explainer(None, on_the_copy, explainer.options)
    inside = unwrap(getattr(explainer.method, "forward_func", None))
    if not isinstance(inside, nn.Module) or not _one_in_the_other(inside, unwrap(model)):
        raise InputError(
            f"the method explains {describe(inside)}, in which the model {type(model).__name__} is not to be found; "
            "explain the model itself, or pass a function of (model, inputs, target)"
        )
    method = copy.deepcopy(explainer.method, memo)
    return other, Explainer(method, method.attribute, explainer.options)


def _one_in_the_other(a: nn.Module, b: nn.Module) -> bool:
    return a in set(b.modules()) or b in set(a.modules())


def flattened(attributions: tuple[Tensor, ...]) -> Tensor:
    """All numbers of each example in a row, (N, D)."""
    rows = [a.reshape(a.shape[0], -1).to(attributions[0].device) for a in attributions]
    return rows[0] if len(rows) == 1 else torch.cat(rows, 1)
