"""Half precision in backward passes by rules: widened on the way in, and fitted into the type again on the way out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)
_LARGEST_HALF = torch.finfo(torch.float16).max


def widened(value: Any) -> Any:
    """Half precision in single precision; all else as it is."""
    return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value


def fitted(new: Tensor, old: Tensor, within: bool = True) -> Tensor:
    """A gradient in the type and shape of another; of what goes to real numbers, the real part counts.

    With ``within``, what half precision cannot hold becomes the largest it can: of relevance over activation, whose
    product is small again. Multipliers that leave the range are told of instead.
    """
    new = new.real if new.is_complex() and not old.is_complex() else new
    if within and old.dtype == torch.float16:
        new = new.clamp(-_LARGEST_HALF, _LARGEST_HALF)
    return new.to(old.dtype).sum_to_size(old.shape)


def precision(outputs: Iterable[Tensor | None]) -> float:
    """The distance from 1 to the next number in the type of the first output; 0 if that has whole numbers."""
    first = next((o.dtype for o in outputs if o is not None), torch.float64)
    return torch.finfo(first).eps if first.is_floating_point else 0.0
