"""Gradients of batch normalisation on the CPU, which some releases of torch get wrong for a batch of one.

For one row (1, C, H, W), or (1, C, D, H, W), a gradient that comes in with the strides (C, 1, W * C, C), as after a
flatten and a transpose of the output, is read as if it were contiguous, so numbers of one channel are taken for those
of another. Two rows come out right. Instance normalisation is made of the same operation. Seen for instance
normalisation in torch 2.4.1, 2.8, 2.12, 2.13 and 2.14.1, and for batch normalisation in 2.13.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import batch_norm


@functools.cache
def ignores_strides() -> bool:
    """Whether this release of torch does so; found out by trying."""
    with torch.inference_mode(False), torch.enable_grad():
        x = torch.zeros(1, 2, 2, 1, device="cpu", dtype=torch.float32).requires_grad_()
        y = batch_norm(x, x.new_zeros(2), x.new_tensor([1.0, 4.0]))
        incoming = x.new_tensor([0.0, 1.0, 2.0, 3.0]).as_strided((1, 2, 2, 1), (2, 1, 2, 2))
        found, right = (
            torch.autograd.grad(y, x, g, retain_graph=True)[0] for g in (incoming, incoming.contiguous())
        )
        return not torch.equal(found, right)


def see_to_strides(ends: Iterable[Tensor]) -> None:
    """Have the batch normalisations that these were made of get their gradients with the strides that they take."""
    waiting = [end.grad_fn for end in ends if end.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        if "BatchNorm" in node.name():
            node.register_prehook(_contiguous)
        for before, _ in node.next_functions:
            if before is not None and before not in seen:
                seen.add(before)
                waiting.append(before)


def _contiguous(gradients: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(g.contiguous() if isinstance(g, Tensor) and g.shape[:1] == (1,) else g for g in gradients)
