"""Operations in place on a view: autograd keeps one node for the whole tensor, ``CopySlices``, and hides them in it.

:mod:`attriscope.core.tape` notes what was written where; :mod:`attriscope.core.propagation` has the rule of the hidden
operation work on that part of the gradient, and leaves the rest alone.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class ViewWrite:
    """An operation that wrote into a part of a tensor.

    Attributes:
        function: the operator.
        size, stride, offset: where the part lies in the memory of the whole, in its own numbers.
        whole_size, whole_stride: how the whole lies there.
        as_real: the part holds real numbers, the whole complex ones.
        conjugated: the part is read through a lazy conjugation or sign, which memory does not show.
    """

    function: Any
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    whole_size: tuple[int, ...]
    whole_stride: tuple[int, ...]
    as_real: bool
    conjugated: bool

    @classmethod
    def of(cls, function: Any, view: Tensor) -> ViewWrite:
        """What ``function`` wrote into ``view``."""
        base = view._base
        assert base is not None
        as_real = base.is_complex() and not view.is_complex()
        return cls(
            function,
            tuple(view.shape),
            tuple(view.stride()),
            int(view.storage_offset()) - int(base.storage_offset()) * (2 if as_real else 1),
            tuple(base.shape),
            tuple(base.stride()),
            as_real,
            view.is_conj() or view.is_neg(),
        )

    def laid_out(self, whole: Tensor) -> Tensor:
        """A copy of a gradient of the whole, in memory as the whole is."""
        return torch.empty_strided(
            self.whole_size, self.whole_stride, dtype=whole.dtype, device=whole.device
        ).copy_(whole)

    def part(self, laid_out: Tensor) -> Tensor:
        """The part of it that was written, as a view."""
        flat = torch.view_as_real(laid_out) if self.as_real else laid_out
        return flat.as_strided(self.size, self.stride, self.offset + flat.storage_offset())
