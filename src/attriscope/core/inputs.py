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
from attriscope.core.frames import Frame, is_frame, tensor_of

TensorOrTuple = Tensor | tuple[Tensor, ...]
Inputs = Tensor | tuple[Tensor, ...] | dict[str, Tensor]
# What comes back in the form of the inputs; the union is for callers who do not know which form they have.
SameForm = TypeVar("SameForm", Tensor, tuple[Tensor, ...], dict[str, Tensor], TensorOrTuple)


def describe(value: Any) -> str:
    """A short quotation of a value for an error message."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')} on {value.device}"
    if is_frame(value):
        return f"a frame of {len(value)} rows and {len(value.columns)} columns"
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
        names: the names of these, where the model gets them by keyword; empty where it does not.
        keys: for inputs with ``None`` among them, or by keyword: position or name of each tensor in what the caller
            gave; empty if each stands at its own place.
        blanks: positions or names of the inputs that are ``None``.
        frame: the names of rows and columns, if the caller gave a frame of pandas.
        uneven: the inputs have different first dimensions, of which the first input's is taken to count the examples.
            There is no telling which parts of them belong to which example, so all of them are one unit.
    """

    tensors: tuple[Tensor, ...]
    single: bool
    arguments: tuple[Any, ...] = ()
    keys: tuple[int | str, ...] = ()
    blanks: tuple[int | str, ...] = ()
    frame: Frame | None = None
    uneven: bool = False
    names: tuple[str, ...] = ()

    @functools.cached_property
    def count(self) -> int:
        """The number N of examples."""
        if self.uneven:
            return next(t.shape[0] for t in self.tensors if t.shape[0])
        return self.tensors[0].shape[0]

    @property
    def plain(self) -> Examples:
        """The same for what hands rows on to others, as tensors; what comes from the caller may still be a frame."""
        if self.frame is None:
            return self
        return dataclasses.replace(self, frame=dataclasses.replace(self.frame, forms=False))

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
            if self.frame is not None:
                return self.frame.form(values[0])
            return values[0] if self.single else values
        placed = self._placed(values)
        return placed if self.by_keyword else tuple(placed[i] for i in range(len(placed)))

    @property
    def by_keyword(self) -> bool:
        """Whether the inputs came as a dict."""
        return any(isinstance(key, str) for key in self.keys)

    @property
    def given_arguments(self) -> Any:
        """The forward arguments beside the inputs in the form in which methods take them."""
        return dict(zip(self.names, self.arguments, strict=True)) if self.names else self.arguments

    def arrange(
        self, rows: tuple[Any, ...], arguments: tuple[Any, ...] = ()
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments of the model for these tensors, and the arguments beside them."""
        if not self.keys:
            return (*rows, *arguments), {}
        formed = self.form(rows)
        if not self.by_keyword:
            return (*formed, *arguments), {}
        named = dict(zip(self.names, arguments, strict=True)) if self.names else {}
        return () if self.names else arguments, {**formed, **named}

    def per_input(self, value: Any) -> tuple[Any, ...]:
        """Something that comes in the form of the inputs (baselines, masks), one entry per tensor."""
        if self.frame is not None:
            value = self.frame.tensor(value)
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


def gather_examples(inputs: Any, additional_forward_args: Any = None, *, uneven: bool = False) -> Examples:
    """Check the inputs of a call.

    Args:
        inputs: a tensor, a tuple of tensors, a dict of tensors, which the model gets by keyword, or a frame of pandas,
            of which the model gets the numbers as a tensor (N, columns). ``None`` in a tuple or dict is passed on as it
            is; attributions have ``None`` there too.
        additional_forward_args: further arguments of the model, a value or a tuple; or, if the inputs are a dict,
            another dict of what the model gets by keyword, as an attention mask beside embeddings.
        uneven: the inputs' first dimensions may differ, and be 0 in all but one.

    Raises:
        InputTypeError: inputs are none of these.
        InputError: an input has no example dimension, or the inputs disagree about the number of examples.
    """
    single, frame = isinstance(inputs, Tensor), None
    if not single and is_frame(inputs):
        single, frame, inputs = True, Frame.of(inputs), tensor_of(inputs)
    blanks: tuple[int | str, ...] = ()
    keys: tuple[int | str, ...] = ()
    if single:
        tensors = (inputs,)
    else:
        named = dict(inputs) if isinstance(inputs, Mapping) else dict(enumerate(as_tuple(inputs)))
        blanks = tuple(key for key, value in named.items() if value is None)
        keys = tuple(key for key in named if key not in blanks)
        tensors = tuple(named[key] for key in keys)
    if not single and not (tensors and all(isinstance(t, Tensor) for t in tensors)):
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
    differ = not single and len({t.shape[0] for t in tensors}) > 1
    uneven = uneven and differ
    if tensors[0].shape[0] == 0 and not uneven:
        raise InputError(f"there are no examples: inputs are {describe(inputs)}")
    if differ and not uneven:
        raise InputError(
            f"the inputs must have the same number of examples in dimension 0, but have shapes "
            f"{', '.join(str(tuple(t.shape)) for t in tensors)}"
        )
    arguments: tuple[Any, ...] = ()
    names: tuple[str, ...] = ()
    if isinstance(additional_forward_args, Mapping) and isinstance(inputs, Mapping):
        names, arguments = tuple(additional_forward_args), tuple(additional_forward_args.values())
        twice = [name for name in names if name in inputs]
        if twice:
            raise InputError(f"{twice[0]!r} is given in both, inputs and additional_forward_args")
    elif additional_forward_args is not None:
        arguments = as_tuple(additional_forward_args)
    special = blanks or isinstance(inputs, Mapping)
    return Examples(tensors, single, arguments, keys if special else (), blanks, frame, uneven, names)


def require_floating(examples: Examples, method: str, instead: str = "") -> None:
    """Refuse inputs for which there is no gradient.

    Args:
        examples: the inputs.
        method: what it is that needs gradients.
        instead: what explains token ids; ``""`` for the method at the layer of the embedding.

    Raises:
        InputTypeError: an input is of an integer or bool type.
    """
    for position, tensor in enumerate(examples.tensors):
        if not (tensor.is_floating_point() or tensor.is_complex()):
            which = "inputs are" if examples.single else f"input {position} is"
            instead = instead or f"At({method.replace(' ', '')}, model, layer=embedding)"
            raise InputTypeError(
                f"{method} needs gradients, which integer tensors do not have, but {which} {describe(tensor)}. "
                "Pass floating point inputs (x.float()), and masks as additional_forward_args; token ids are explained "
                f"at the layer that makes vectors of them: {instead}"
            )


def resolve_baselines(baselines: Any, examples: Examples, *, wide: bool = False) -> tuple[Tensor, ...]:
    """One tensor per input that broadcasts against it, in its dtype and on its device.

    Args:
        baselines: ``None`` (zero), a number, a tensor of the input's shape or with a first dimension of 1, or, for
            several inputs, a tuple with one of these per input (a dict if the inputs are one; a frame or series if they
            are a frame).
        wide: any tensor that broadcasts against the input will do; and where the input's type is of whole numbers and
            cannot hold the baseline, that keeps a type that can.

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
        _baseline(value, tensor, i, wide)
        for i, (value, tensor) in enumerate(zip(given, tensors, strict=True))
    )


def _baseline(value: Any, tensor: Tensor, position: int, wide: bool) -> Tensor:
    if value is None:
        value = 0
    if isinstance(value, int | float | complex | numbers.Real):
        number = cast(float, value)
        dtype = tensor.dtype
        if wide and not dtype.is_floating_point:
            dtype = _wider(tensor, torch.as_tensor(number, device="cpu"))
        _check_fits(value, dtype, position)
        return torch.full((1,) * tensor.dim(), number, dtype=dtype, device=tensor.device)
    if not isinstance(value, Tensor):
        raise InputTypeError(
            f"a baseline must be None, a number or a tensor, but for input {position} came {describe(value)} of type "
            f"{type(value).__name__}{getattr(value, 'taken_by', '')}"
        )
    shape = tuple(tensor.shape)
    if tuple(value.shape) not in {shape, (1, *shape[1:])}:
        full = (1,) * (len(shape) - value.dim()) + tuple(value.shape)
        if (
            not wide
            or len(full) != len(shape)
            or any(n not in (1, m) for n, m in zip(full, shape, strict=True))
        ):
            several = wide and len(full) == len(shape) and full[1:] == shape[1:]
            raise InputError(
                f"the baseline of input {position} has shape {tuple(value.shape)}; for an input of shape {shape} it "
                f"must be a number or have shape {shape} or {(1, *shape[1:])}"
                + (
                    "; several baselines, over which the mean is taken, are attr.Background(baselines)"
                    * several
                )
            )
        value = value.reshape(full).expand(full[0], *shape[1:])
    if value.device != tensor.device:
        raise InputError(
            f"the baseline of input {position} is on {value.device} and the input on {tensor.device}; "
            f"move it with baseline.to({str(tensor.device)!r})"
        )
    return held_as(value, tensor, position, wide)


def held_as(value: Tensor, tensor: Tensor, position: int, wide: bool = False) -> Tensor:
    """A baseline in the dtype of the input, or with ``wide`` in one that holds both.

    Raises:
        InputTypeError: that cannot hold it, as whole numbers cannot 0.5.
    """
    value = value.detach()
    dtype = _wider(tensor, value) if wide else tensor.dtype
    held = value.to(dtype)
    if not _fractional(dtype) and _fractional(value.dtype) and not held.is_meta:
        lost = value[held != value]
        if len(lost):
            _check_fits(lost[0].item(), dtype, position)
    return held


def _wider(tensor: Tensor, value: Tensor) -> torch.dtype:
    """The input's type, or if that is one of whole numbers in which a baseline would be another, one that holds it."""
    if _fractional(tensor.dtype) or tensor.is_meta or bool((value.to(tensor.dtype) == value).all()):
        return tensor.dtype
    return torch.promote_types(tensor.dtype, value.dtype)


def _fractional(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex


def _check_fits(value: Any, dtype: torch.dtype, position: int) -> None:
    """Refuse a number of which the input's dtype would keep something else, by more than rounding.

    Raises:
        InputTypeError: there is none such in the dtype.
    """
    try:
        held = torch.full((), cast(float, value), dtype=dtype, device="cpu").item()
        fits = held == value if not _fractional(dtype) else abs(held) < math.inf or abs(value) == math.inf
    except RuntimeError:  # what torch raises for numbers out of range, and for complex ones
        fits = False
    if not (fits or (value != value and _fractional(dtype))):
        kind = "numbers in its range" if _fractional(dtype) else "whole numbers in its range"
        raise InputTypeError(
            f"the baseline of input {position} is {value}, which an input of {dtype} cannot hold: give "
            f"{kind}, or inputs of another type (x.float())"
        )


def baseline_rows(baseline: Tensor, examples: slice) -> Tensor:
    """The baseline of some of the examples; still of first dimension 1 when all share it."""
    return baseline if baseline.shape[0] == 1 else baseline[examples]
