"""The examples that are explained: inputs, the forward arguments beside them, and baselines.

Every method begins with :func:`gather_examples`; which number of the output is explained is said in
:mod:`attriscope.core.target`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError

TensorOrTuple = Tensor | tuple[Tensor, ...]
Inputs = Tensor | tuple[Tensor, ...] | dict[str, Tensor]
# What comes back in the form of the inputs; the union is for callers who do not know which form they have.
SameForm = TypeVar("SameForm", Tensor, tuple[Tensor, ...], dict[str, Tensor], TensorOrTuple)


def describe(value: Any) -> str:
    """A short quotation of a value for an error message."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')} on {value.device}"
    if isinstance(value, tuple):
        return "(" + ", ".join(describe(v) for v in value) + ("," if len(value) == 1 else "") + ")"
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def as_tuple(value: Any) -> tuple[Any, ...]:
    """``value`` itself if it is a tuple, else a tuple that holds only ``value``."""
    return value if isinstance(value, tuple) else (value,)


def as_tensor(value: Any) -> Tensor:
    """``value`` itself if it is a tensor; numbers and arrays as one on the CPU, whatever the default device."""
    return value if isinstance(value, Tensor) else torch.as_tensor(value, device="cpu")


def repeat_rows(value: Tensor, steps: int) -> Tensor:
    """``value`` (n, ...) as (steps * n, ...), step by step; no copy for one step or one example."""
    if steps == 1:
        return value
    if value.shape[0] == 1:
        return value.expand(steps, *value.shape[1:])
    return value.expand(steps, *value.shape).flatten(0, 1)  # several times faster than repeat


@dataclasses.dataclass(frozen=True)
class Examples:
    """N examples as the caller gave them, and the form in which results go back.

    Attributes:
        tensors: one tensor per input of the model; dimension 0 counts the examples.
        single: the caller gave a bare tensor, so results are bare tensors.
        arguments: forward arguments after the inputs.
        keys: for inputs with ``None`` among them, or by keyword: position or name of each tensor in what the caller
            gave; empty if each stands at its own place.
        blanks: positions or names of the inputs that are ``None``.
    """

    tensors: tuple[Tensor, ...]
    single: bool
    arguments: tuple[Any, ...] = ()
    keys: tuple[int | str, ...] = ()
    blanks: tuple[int | str, ...] = ()

    @functools.cached_property
    def count(self) -> int:
        """The number N of examples."""
        return self.tensors[0].shape[0]

    def slices(self, examples: slice) -> tuple[Tensor, ...]:
        """The inputs of some of the examples."""
        whole = examples.start == 0 and examples.stop == self.count
        return self.tensors if whole else tuple(t[examples] for t in self.tensors)

    def forward_arguments(self, steps: int, examples: slice) -> tuple[Any, ...]:
        """The extra forward arguments for ``steps`` repetitions of some of the examples, step by step.

        A tensor with one entry per example is cut and repeated with them, a tensor with a first dimension of 1 is
        repeated, and everything else (scalars, 0-d tensors, class weights, ...) is passed on as it is.
        """
        count = self.count

        def rows(value: Any) -> Any:
            if not isinstance(value, Tensor) or value.dim() == 0:
                return value
            if value.shape[0] == count:
                return repeat_rows(value[examples], steps)
            if value.shape[0] == 1:
                return repeat_rows(value, steps * (examples.stop - examples.start))
            return value

        if steps == 1 and examples.start == 0 and examples.stop == count:
            return self.arguments  # the caller's own call: nothing to touch
        return tuple(rows(value) for value in self.arguments)

    def form(self, values: tuple[Tensor, ...]) -> Any:
        """Results in the form of the inputs: tensor in, tensor out; tuple in, tuple out; dict in, dict out."""
        if not self.keys:
            return values[0] if self.single else values
        placed = self._placed(values)
        return placed if self.by_keyword else tuple(placed[i] for i in range(len(placed)))

    @property
    def by_keyword(self) -> bool:
        """Whether the inputs came as a dict."""
        return any(isinstance(key, str) for key in self.keys)

    def arrange(self, rows: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments of the model for these tensors."""
        if not self.keys:
            return rows, {}
        formed = self.form(rows)
        return ((), formed) if self.by_keyword else (formed, {})

    def per_input(self, value: Any) -> tuple[Any, ...]:
        """Something that comes in the form of the inputs (baselines, masks), one entry per tensor."""
        if isinstance(value, Mapping):
            unknown = [key for key in value if key not in (*self.keys, *self.blanks)]
            if unknown:
                names = ", ".join(map(repr, self.keys))
                raise InputError(f"{unknown[0]!r} is not the name of an input; these are {names}")
            return tuple(value.get(key) for key in self.keys)
        given = as_tuple(value)
        if self.blanks and not self.by_keyword and len(given) == len(self.keys) + len(self.blanks):
            return tuple(given[int(key)] for key in self.keys)
        return given

    def _placed(self, values: tuple[Any, ...]) -> dict[Any, Any]:
        return {**dict(zip(self.keys, values, strict=True)), **dict.fromkeys(self.blanks)}


def gather_examples(inputs: Any, additional_forward_args: Any = None) -> Examples:
    """Check the inputs of a call.

    Args:
        inputs: a tensor, a tuple of tensors, or a dict of tensors, which the model gets by keyword. ``None`` in a tuple
            or dict is passed on as it is; attributions have ``None`` there too.
        additional_forward_args: further arguments of the model, a value or a tuple.

    Raises:
        InputTypeError: inputs are none of these.
        InputError: an input has no example dimension, or the inputs disagree about the number of examples.
    """
    single = isinstance(inputs, Tensor)
    named = dict(inputs) if isinstance(inputs, Mapping) else dict(enumerate(as_tuple(inputs)))
    blanks = tuple(key for key, value in named.items() if value is None)
    keys = tuple(key for key in named if key not in blanks)
    tensors = tuple(named[key] for key in keys)
    if not tensors or not all(isinstance(t, Tensor) for t in tensors):
        raise InputTypeError(
            f"inputs must be a torch.Tensor or a tuple of tensors, but {describe(inputs)} of type "
            f"{type(inputs).__name__} came" + ("; write tuple(inputs)" if isinstance(inputs, list) else "")
        )
    for position, tensor in enumerate(tensors):
        if tensor.dim() == 0:
            raise InputError(
                f"input {position} is a tensor without dimensions; dimension 0 must count the examples, "
                "so write x.reshape(1) or x[None]"
            )
    if tensors[0].shape[0] == 0:
        raise InputError(f"there are no examples: inputs are {describe(inputs)}")
    if len({t.shape[0] for t in tensors}) > 1:
        raise InputError(
            f"the inputs must have the same number of examples in dimension 0, but have shapes "
            f"{', '.join(str(tuple(t.shape)) for t in tensors)}"
        )
    if additional_forward_args is None:
        arguments: tuple[Any, ...] = ()
    else:
        arguments = as_tuple(additional_forward_args)
    special = blanks or isinstance(inputs, Mapping)
    return Examples(tensors, single, arguments, keys if special else (), blanks)


def require_floating(examples: Examples, method: str) -> None:
    """Refuse inputs for which there is no gradient.

    Raises:
        InputTypeError: an input is of an integer or bool type.
    """
    for position, tensor in enumerate(examples.tensors):
        if not (tensor.is_floating_point() or tensor.is_complex()):
            which = "inputs are" if examples.single else f"input {position} is"
            raise InputTypeError(
                f"{method} needs gradients, which integer tensors do not have, but {which} {describe(tensor)}. "
                "Pass floating point inputs (x.float()); hand token ids and masks over as additional_forward_args, "
                "or explain the embedding layer with a layer method"
            )


def resolve_baselines(baselines: Any, examples: Examples) -> tuple[Tensor, ...]:
    """One tensor per input that broadcasts against it, in its dtype and on its device.

    Args:
        baselines: ``None`` (zero), a number, a tensor of the input's shape or with a first dimension of 1, or, for
            several inputs, a tuple with one of these per input (a dict if the inputs are one).

    Raises:
        InputTypeError: a baseline is none of these, or the input's dtype cannot hold it, as whole numbers cannot 0.5.
        InputError: the number of baselines, a shape or a device does not fit.
    """
    tensors = examples.tensors
    given = (None,) * len(tensors) if baselines is None else examples.per_input(baselines)
    if len(given) != len(tensors):
        raise InputError(
            f"there must be one baseline per input, but {len(given)} came for {len(tensors)} input(s): "
            f"{describe(baselines)}"
        )
    return tuple(
        _baseline(value, tensor, i) for i, (value, tensor) in enumerate(zip(given, tensors, strict=True))
    )


def _baseline(value: Any, tensor: Tensor, position: int) -> Tensor:
    if value is None:
        value = 0
    if isinstance(value, int | float | complex | numbers.Real):
        _check_fits(value, tensor, position)
        return torch.full((1,) * tensor.dim(), cast(float, value), dtype=tensor.dtype, device=tensor.device)
    if not isinstance(value, Tensor):
        raise InputTypeError(
            f"a baseline must be None, a number or a tensor, but for input {position} came {describe(value)} of type "
            f"{type(value).__name__}"
        )
    shape = tuple(tensor.shape)
    if tuple(value.shape) not in {shape, (1, *shape[1:])}:
        raise InputError(
            f"the baseline of input {position} has shape {tuple(value.shape)}; for an input of shape {shape} it must "
            f"be a number or have shape {shape} or {(1, *shape[1:])}"
        )
    if value.device != tensor.device:
        raise InputError(
            f"the baseline of input {position} is on {value.device} and the input on {tensor.device}; "
            f"move it with baseline.to({str(tensor.device)!r})"
        )
    value, held = value.detach(), value.detach().to(tensor.dtype)
    if not _fractional(tensor) and _fractional(value) and not held.is_meta:
        lost = value[held != value]
        if len(lost):
            _check_fits(lost[0].item(), tensor, position)
    return held


def _fractional(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _check_fits(value: Any, tensor: Tensor, position: int) -> None:
    """Refuse a number of which the input's dtype would keep something else, by more than rounding.

    Raises:
        InputTypeError: there is none such in the dtype.
    """
    try:
        held = torch.full((), cast(float, value), dtype=tensor.dtype, device="cpu").item()
        fits = held == value if not _fractional(tensor) else abs(held) < math.inf or abs(value) == math.inf
    except RuntimeError:  # what torch raises for numbers out of range, and for complex ones
        fits = False
    if not (fits or (value != value and _fractional(tensor))):
        kind = "numbers in its range" if _fractional(tensor) else "whole numbers in its range"
        raise InputTypeError(
            f"the baseline of input {position} is {value}, which an input of {tensor.dtype} cannot hold: give "
            f"{kind}, or inputs of another type (x.float())"
        )


def baseline_rows(baseline: Tensor, examples: slice) -> Tensor:
    """The baseline of some of the examples; still of first dimension 1 when all share it."""
    return baseline if baseline.shape[0] == 1 else baseline[examples]
