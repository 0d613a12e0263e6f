"""Sums and joins of tensors that methods share: blocks of examples, sums per example, and the type they are kept in."""

from __future__ import annotations

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


def excess(sums: Tensor, change: Tensor) -> Tensor:
    """By how much sums of attributions (..., N) miss the change of the output (..., N) that they should add up to.

    A model that gives one number for the whole batch changes by (..., 1), which all examples together should add up to.
    """
    if change.shape[-1] == 1:
        sums = sums.sum(-1, keepdim=True)
    return sums - change
