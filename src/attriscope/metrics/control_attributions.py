"""Explanations that know nothing of the model: what a method must do better than.

They are methods for :func:`~attriscope.metrics.evaluate`; ``Table.against`` then says who loses to them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attriscope.core.errors import InputError
from attriscope.core.inputs import describe, gather_examples
from attriscope.metrics._generators import draws_from, restores_generators


@restores_generators
def random_attribution(
    model: Any, inputs: Any, target: Any = None, *, generator: torch.Generator | None = None
) -> Any:
    """Normal numbers in the shape of the inputs.

    Args:
        model: not used; here so that :func:`evaluate` can call this as it calls every function.
        inputs: a tensor, tuple or dict of tensors.
        target: not used.
        generator: where random numbers come from; ``None`` is torch's global generator.
    """
    examples, draws = gather_examples(inputs).plain, draws_from(generator)
    found = []
    for i, x in enumerate(examples.tensors):
        dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
        stream = draws.stream(i, x.device)
        found.append(torch.randn(x.shape, generator=stream, dtype=dtype, device=x.device))
    return examples.form(tuple(found))


def edge_detector(model: Any, inputs: Tensor, target: Any = None) -> Tensor:
    """How strongly a picture changes at each pixel: the length of Sobel's gradient, for each channel.

    Args:
        model: not used; here so that :func:`evaluate` can call this as it calls every function.
        inputs: pictures (N, C, H, W).
        target: not used.

    Returns:
        A tensor like ``inputs``.

    Raises:
        InputError: the inputs are no pictures.
    """
    if not isinstance(inputs, Tensor) or inputs.dim() != 4 or not inputs.is_floating_point():
        raise InputError(f"edges are found in pictures (N, C, H, W) of floats, but {describe(inputs)} came")
    n, c, h, w = inputs.shape
    x = inputs.detach().reshape(n * c, 1, h, w)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=x.dtype, device=x.device) / 8
    kernels = torch.stack([across, across.T])[:, None]
    return torch.linalg.vector_norm(torch.nn.functional.conv2d(padded, kernels), dim=1).reshape(n, c, h, w)
