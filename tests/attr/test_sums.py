"""Sums over many passes: of a type in which rounding does not add up, and never of one that loses a part."""

from __future__ import annotations

import pytest
import torch

from attriscope.attr import IntegratedGradients
from attriscope.attr._sums import MANY, accumulation_dtype, total_dtype


@pytest.mark.parametrize(
    ("dtype", "few", "many"),
    [
        (torch.float16, torch.float32, torch.float64),
        (torch.bfloat16, torch.float32, torch.float64),
        (torch.float32, torch.float32, torch.float64),
        (torch.float64, torch.float64, torch.float64),
        (torch.complex64, torch.complex64, torch.complex64),
        (torch.complex128, torch.complex128, torch.complex128),
    ],
)
def test_the_type_of_a_total(dtype: torch.dtype, few: torch.dtype, many: torch.dtype) -> None:
    values = torch.zeros(2, dtype=dtype)
    assert (accumulation_dtype(dtype), total_dtype(values, MANY)) == (few, few)
    assert [total_dtype(values, MANY + more) for more in (1, 1000)] == [many, many]


def test_many_steps_keep_the_imaginary_part() -> None:
    """Of w·z, whose gradient is the same everywhere, both parts of z have their share whatever the steps."""
    z, w = torch.tensor([[1 + 2j, -3j]]), torch.tensor([[2.0, 1.0]])
    method = IntegratedGradients(lambda z: (z.real * w).sum(1) + (z.imag * w).sum(1))
    found = [method.attribute(z, n_steps=steps, internal_batch_size=50) for steps in (8, MANY + 50)]
    for one in found:
        torch.testing.assert_close(one, torch.tensor([[2 + 4j, -3j]]))
