"""Which number of the model's output is explained: what users write as ``target``, and how it is selected."""

from __future__ import annotations

import dataclasses
import functools
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from attriscope.core.errors import InputTypeError, TargetError
from attriscope.core.inputs import as_tensor, describe, repeat_rows

TargetLike = (
    int | tuple[int, ...] | list[int] | list[tuple[int, ...]] | Tensor | Callable[[Any], Tensor] | None
)

_FORMS = (
    "an int, a tuple of ints (one per output dimension after the first), a list or 1-D tensor of ints with one entry "
    "per example, a list of such tuples, a function of the output that gives one number per example, or None for "
    "models with one output"
)


# What models call their scores.
_SCORES = ("logits", "out")

# What to say of a target to an output of so many dimensions.
_LEAVE_OUT = {
    0: "; leave target out",
    1: "; leave target out, or if these are scores of the whole batch, give a function that picks one",
}


@dataclasses.dataclass(frozen=True)
class Target:
    """Selects one number per row of an output; rows are ``steps`` repetitions of a slice of the examples.

    Attributes:
        column: the same index for all examples, as a tuple over the output's dimensions after the first.
        each: one index per example, a tensor of shape (N, output dimensions after the first).
        function: maps the whole output to one number per row.
    """

    column: tuple[Any, ...] | None = None
    each: Tensor | None = None
    function: Callable[[Any], Tensor] | None = None
    given: Any = None

    def select(self, output: Any, steps: int, examples: slice) -> Tensor:
        """The explained numbers, of shape (rows,).

        Raises:
            TargetError: the selection is out of range or not one number per row.
        """
        rows = steps * (examples.stop - examples.start)
        if self.function is not None:
            return self._one_per_row(self.function(output), rows, "target(output)")
        if isinstance(output, numbers.Number):
            output = as_tensor(output)
        output = scores_in(output)
        if rows == 1 and output.dim() and output.shape[0] != 1 and output.dim() == self._indices:
            output = output[None]  # the model squeezes the dimension of a batch of one away
        if self.each is not None:
            return self._select_each(output, steps, examples, rows)
        return self._select_column(output, rows)

    def _select_column(self, output: Tensor, rows: int) -> Tensor:
        if self.column is None:
            return self._one_per_row(output, rows, "the output")
        self._check(output, [(i,) for i in self.column])
        return self._one_per_row(output[(slice(None), *self.column)], rows, f"output[:, {self.given}]")

    def select_of_batch(self, output: Any) -> Tensor:
        """The explained number of a model that gives one for the whole batch, of shape (1,).

        Raises:
            TargetError: there is not one, or the target has one entry for each example.
        """
        if self.each is not None:
            raise TargetError(
                f"target {describe(self.given)} has one entry per example, but the model gives one output for the "
                "whole batch"
            )
        if self.function is not None or isinstance(output, numbers.Number):
            return self.select(output, 1, slice(0, 1))
        # What several rows gave is not taken for the scores of one.
        return self._select_column(scores_in(output), 1)

    def _select_each(self, output: Tensor, steps: int, examples: slice, rows: int) -> Tensor:
        assert self.each is not None
        self._check(output, self._bounds)
        if output.shape[0] != rows:
            raise TargetError(
                f"target {describe(self.given)} has one entry per example, but the output has shape "
                f"{tuple(output.shape)} for {rows} example(s): dimension 0 must count the examples"
            )
        # A copy, because autograd refuses indices that were made under torch.inference_mode.
        index = repeat_rows(self.each[examples], steps).to(output.device, copy=True)
        row = torch.arange(rows, device=output.device)
        return self._one_per_row(output[(row, *index.unbind(1))], rows, "the selected output")

    @functools.cached_property
    def _indices(self) -> int:
        """How many indices there are for each example."""
        return self.each.shape[1] if self.each is not None else len(self.column or ())

    @functools.cached_property
    def _bounds(self) -> list[tuple[Any, ...]]:
        """For each output dimension after the first, the smallest and the largest index: enough to see a wrong one."""
        assert self.each is not None
        if not len(self.each):
            return [() for _ in range(self.each.shape[1])]
        low, high = self.each.aminmax(dim=0)
        return list(zip(low.tolist(), high.tolist(), strict=True))

    def _check(self, output: Tensor, indices: list[tuple[Any, ...]]) -> None:
        """``indices``: for each output dimension after the first, the indices used there."""
        if len(indices) != output.dim() - 1:
            # A tuple shorter than the output is allowed if what is left has one element.
            left = output.shape[len(indices) + 1 :].numel() if len(indices) < output.dim() else 0
            if left != 1:
                raise TargetError(
                    f"target {describe(self.given)} has {len(indices)} index(es) per example, but the output has shape "
                    f"{tuple(output.shape)}: {max(output.dim() - 1, 0)} are needed"
                    + _LEAVE_OUT.get(output.dim(), "")
                )
        for dimension, used in enumerate(indices, start=1):
            size = output.shape[dimension]
            wrong = [i for i in used if isinstance(i, int) and not -size <= i < size]
            if wrong:
                raise TargetError(
                    f"target {describe(self.given)} is out of range: index {wrong[0]} does not exist in dimension "
                    f"{dimension} of an output of shape {tuple(output.shape)}, which has indices 0 to {size - 1}"
                )

    def _one_per_row(self, selected: Any, rows: int, what: str) -> Tensor:
        if not isinstance(selected, Tensor):
            raise TargetError(
                f"{what} must be a tensor with one number per example, but is {describe(selected)}"
            )
        if selected.numel() == rows and (selected.dim() > 0 or rows == 1):
            return selected.reshape(rows)
        if self.column is None and self.function is None:
            raise TargetError(
                f"Target not provided when necessary: the output has shape {tuple(selected.shape)} for {rows} "
                "example(s), so target must say which of its numbers to explain"
            )
        raise TargetError(
            f"{what} must hold one number per example ({rows}), but has shape {tuple(selected.shape)}"
        )


def scores_in(output: Any) -> Tensor:
    """The tensor that a target selects from: the output, its ``logits`` or ``out``, or the only tensor in it.

    ``out`` is what segmentation models of torchvision call it, beside ``aux``.

    Raises:
        TargetError: there are several, and none is called so; or none.
    """
    if isinstance(output, Tensor):
        return output
    parts = _parts(output)
    tensors = {name: part for name, part in parts.items() if isinstance(part, Tensor)}
    for name in _SCORES:
        if name in tensors:
            return tensors[name]
    if len(tensors) == 1 and "logits" not in parts:
        return next(iter(tensors.values()))
    listed = ", ".join(f"{name}: {describe(part)}" for name, part in list(tensors.items())[:8])
    first = next(iter(tensors), "logits")
    picked = (
        f"output[{first!r}]" if isinstance(output, Mapping) or isinstance(first, int) else f"output.{first}"
    )
    raise TargetError(
        f"the model's output is a {type(output).__name__}"
        + (f" of several tensors ({listed})" if tensors else ", in which there is no tensor")
        + f"; pass a function as target that picks one number per example, such as target=lambda output: {picked}[:, 3]"
    )


def _parts(output: Any) -> dict[Any, Any]:
    """What an output is made of, by name or position."""
    if isinstance(output, Mapping):
        return dict(output)
    if hasattr(output, "_asdict"):
        return dict(output._asdict())
    if isinstance(output, tuple | list):
        return dict(enumerate(output))
    if dataclasses.is_dataclass(output):
        return {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    return {}


def resolve_target(target: Any, count: int) -> Target:
    """Check a target for ``count`` examples, without having seen an output yet.

    Raises:
        InputTypeError: the target is of no known form.
        TargetError: a list or tensor does not have one entry per example.
    """
    if target is None:
        return Target()
    if isinstance(target, Target):
        return target
    if callable(target) and not isinstance(target, Tensor):
        return Target(function=target, given=target)
    if isinstance(target, numbers.Integral):
        return Target(column=(int(target),), given=target)
    if isinstance(target, tuple):
        return Target(column=tuple(_index(i, target) for i in target), given=target)
    if isinstance(target, Tensor) or type(target).__module__ == "numpy":
        return _from_tensor(as_tensor(target), target, count)
    if isinstance(target, list):
        return _from_list(target, count)
    raise InputTypeError(
        f"target must be {_FORMS}, but {describe(target)} of type {type(target).__name__} came"
    )


def _from_tensor(values: Tensor, given: Any, count: int) -> Target:
    if values.is_floating_point() or values.is_complex() or values.dim() > 1:
        raise InputTypeError(f"target must be {_FORMS}, but {describe(given)} came")
    if values.numel() == 1:
        return Target(column=(int(values),), given=given)
    if len(values) != count:
        raise TargetError(
            f"target has {len(values)} entries for {count} example(s); there must be one per example"
        )
    return Target(each=values.detach().to("cpu", torch.long)[:, None], given=given)


def _from_list(target: list[Any], count: int) -> Target:
    if len(target) != count:
        raise TargetError(f"target {describe(target)} has {len(target)} entries for {count} example(s)")
    rows = [tuple(_index(i, target) for i in as_indices(entry)) for entry in target]
    if len({len(row) for row in rows}) > 1 or any(isinstance(i, slice) for row in rows for i in row):
        raise TargetError(
            f"the entries of target {describe(target)} must be ints, or tuples of ints of one length"
        )
    return Target(each=torch.tensor(rows, dtype=torch.long, device="cpu").reshape(count, -1), given=target)


def as_indices(entry: Any) -> tuple[Any, ...]:
    """The entry of a target list as a tuple of indices."""
    return entry if isinstance(entry, tuple) else (entry,)


def _index(value: Any, target: Any) -> Any:
    if isinstance(value, slice):
        return value
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_floating_point():
        return int(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    raise InputTypeError(f"target must be {_FORMS}, but {describe(target)} holds {describe(value)}")
