"""Whether a model's code reads numbers out of tensors, so that what it does next may depend on them.

:mod:`attriscope.core.section` asks, to know whether what it learned from one pass holds for the next.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# What hands numbers, or shapes that depend on numbers, over to Python.
_READERS = frozenset(
    {
        "__array__", "__bool__", "__complex__", "__contains__", "__float__", "__index__", "__int__", "allclose",
        "argwhere", "bincount", "equal", "is_nonzero", "item", "masked_select", "nonzero", "nonzero_static", "numpy",
        "tolist", "unique", "unique_consecutive",
    }
)  # fmt: skip


class DataDependenceMode(TorchFunctionMode):
    """Inside the block, notes whether the code of this thread reads the numbers in a tensor.

    Code that never does takes the same path whatever the numbers are. Compiled and scripted code is not seen.

    Attributes:
        found: whether it did.
    """

    found = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        where = name == "where" and len(args) + len(kwargs or {}) == 1  # with one argument: where it is true
        self.found |= name in _READERS or where or (name == "__getitem__" and _is_mask(args[1]))
        return func(*args, **(kwargs or {}))


def _is_mask(index: Any) -> bool:
    """Whether there is a mask in an index: then the result's shape depends on numbers."""
    entries = index if isinstance(index, tuple) else (index,)
    return any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in entries)
