"""Whether a model's weights are still those that a map was made with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

# So many numbers of each tensor are looked at.
_SAMPLES = 64


class WeightsChangedError(RuntimeError):
    """The model was trained while it was explained, in the middle of a backward pass."""


def fingerprint(model: nn.Module) -> tuple[Any, ...]:
    """Something that is another as soon as weights are written to: compare with ``==``.

    It holds each tensor's address and version, which ordinary and foreach optimisers and ``load_state_dict`` change,
    and up to 64 of its numbers, because fused optimisers and writing to ``.data`` change neither. What is written only
    between those numbers and past the version goes unnoticed. Buffers of modules in training mode are left out: running
    the model changes them.
    """
    tensors = list(_tensors(model))
    marks = tuple((t.data_ptr(), _version(t)) for t in tensors if not t.is_meta)
    samples = [_sample(t).to(torch.float64) for t in tensors if not t.is_meta and t.numel()]
    by_device: dict[torch.device, list[Tensor]] = {}
    for sample in samples:
        by_device.setdefault(sample.device, []).append(sample)
    # One transfer per device; bytes, because a NaN equals nothing.
    numbers = tuple(torch.cat(found).cpu().numpy().tobytes() for found in by_device.values())
    return marks, numbers


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from (p.detach() for p in model.parameters())
    for module in model.modules():
        if not module.training:
            yield from (b.detach() for b in module.buffers(recurse=False))


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version  # those keep none, and cannot be trained


def _sample(tensor: Tensor) -> Tensor:
    """Numbers from all over the tensor; a view where memory is dense, so that nothing large is copied."""
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    count = min(_SAMPLES, tensor.numel())
    stride = max(1, tensor.numel() // count)
    if tensor.is_contiguous() or (
        tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    ):
        return tensor.as_strided((count,), (stride,))
    return tensor.flatten()[::stride][:count]
