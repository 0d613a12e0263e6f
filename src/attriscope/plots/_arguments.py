"""What plots are given: finite numbers, and names for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from attriscope._drawing.scales import Floats, as_array
from attriscope.core.errors import InputError


def finite_array(value: ArrayLike, argument: str, shape: str, *dimensions: int) -> Floats:
    """Finite numbers as float64, with one of the given numbers of dimensions and at least one of each.

    Args:
        shape: how the error names what would be right, such as "(F,)".
    """
    array = as_array(value, argument).astype(np.float64)
    if array.ndim not in dimensions or not array.size:
        hint = f"; for the first example: {argument}[0]" if array.ndim == max(dimensions) + 1 else ""
        raise InputError(f"{argument} must be of shape {shape}, but {array.shape} came{hint}")
    wrong = ~np.isfinite(array)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f"{argument} must be finite, but {wrong.sum():,} of {array.size:,} are not; the first is "
            f"{array[where]} at {where[0] if len(where) == 1 else where}"
        )
    return array


def names_for(names: Sequence[object] | None, count: int, argument: str, default: str) -> list[str]:
    """One name per item: the given ones as text, or numbered ones."""
    if names is None:
        return [f"{default} {i}" for i in range(count)]
    if isinstance(names, str) or len(names) != count:
        came = repr(names) if isinstance(names, str) else f"{len(names)}"
        raise InputError(f"{argument} must hold one name for each of {count}, but {came} came")
    return [str(name) for name in names]
