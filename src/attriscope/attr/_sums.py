"""Sums and joins of tensors that methods share: blocks of examples, sums per example, and the type they are kept in."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from attriscope.core.complex_parts import added


def join(parts: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Blocks of examples put together again."""
    return parts[0] if len(parts) == 1 else tuple(torch.cat(column) for column in zip(*parts, strict=True))


def sum_per_example(tensors: tuple[Tensor, ...]) -> Tensor:
    """All attributions of each example added up, of shape (N,), with both parts of complex ones.

    Half precision is added in single.
    """
    sums = []
    for t in tensors:
        t = added(t) if t.is_complex() else t
        sums.append(t.reshape(t.shape[0], -1).sum(1, dtype=accumulation_dtype(t.dtype)))
    return sums[0] if len(sums) == 1 else torch.stack(sums).sum(0)


_HALF = (torch.float16, torch.bfloat16)


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """Sums over half-precision rows are kept in single precision."""
    return torch.float32 if dtype in _HALF else dtype


MANY = 256


@functools.lru_cache(maxsize=64)
def widest(device: torch.device) -> torch.dtype:
    """The widest real type that a device has: double precision, on Apple's GPUs single."""
    try:
        torch.zeros(1, dtype=torch.float64, device=device)
    except (RuntimeError, TypeError):
        return torch.float32
    return torch.float64


def total_dtype(values: Tensor, terms: int) -> torch.dtype:
    """The type in which so many terms are added up, one batch after the other: of many, the rounding would add up."""
    dtype = torch.float32 if values.dtype in _HALF else values.dtype
    return widest(values.device) if terms > MANY and dtype == torch.float32 else dtype


def narrowed(total: Tensor, values: Tensor) -> Tensor:
    """A sum of such values in the type of results."""
    return total.to(accumulation_dtype(values.dtype))


def excess(sums: Tensor, change: Tensor) -> Tensor:
    """By how much sums of attributions (..., N) miss the change of the output (..., N) that they should add up to.

    A model that gives one number for the whole batch changes by (..., 1), which all examples together should add up to.
    """
    if change.shape[-1] == 1:
        sums = sums.sum(-1, keepdim=True)
    return sums - change
