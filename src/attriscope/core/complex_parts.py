"""Complex numbers in attributions: real and imaginary parts count as inputs of their own.

An attribution of complex numbers is complex, too: its real part is that of the real parts, its imaginary part that of
the imaginary ones, and what they contributed together is the sum of both. Torch's gradient of a real number is such a
pair already.
"""

from __future__ import annotations

import torch
from torch import Tensor


def times(first: Tensor, second: Tensor) -> Tensor:
    """The product, part by part: 5 times (1 + 2j) has parts of its own only if 5 stands for 5 + 0j."""
    if not (first.is_complex() and second.is_complex()):
        return first * second
    return torch.complex(first.real * second.real, first.imag * second.imag)


def absolute(values: Tensor) -> Tensor:
    """Absolute values, part by part."""
    return torch.complex(values.real.abs(), values.imag.abs()) if values.is_complex() else values.abs()


def as_real(values: Tensor) -> Tensor:
    """Both parts in a last dimension of 2; real tensors as they are."""
    return torch.view_as_real(values.resolve_conj()) if values.is_complex() else values


def as_complex(values: Tensor) -> Tensor:
    """Back again, from (..., 2)."""
    return torch.view_as_complex(values.contiguous())


def added(values: Tensor) -> Tensor:
    """Real and imaginary part added up: what the complex number contributed."""
    return values.real + values.imag if values.is_complex() else values
