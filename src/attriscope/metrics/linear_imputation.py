"""Filling in missing pixels from those around them, as ROAD does (Rong et al. 2022, arXiv 2202.00449).

``road`` in ``perturbation_curves`` is what it is for; every metric that removes features takes it as
``replacement="linear"``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attriscope.core.errors import InputError
from attriscope.core.inputs import describe

# A missing pixel is the weighted mean of its eight neighbours; those at an edge count twice those at a corner.
_WEIGHTS = ((1 / 12, 1 / 6, 1 / 12), (1 / 6, 0.0, 1 / 6), (1 / 12, 1 / 6, 1 / 12))
# The residual at which a picture is done, in parts of its right-hand side.
_DONE = 1e-6
# Whether all are done is only asked after so many steps: asking waits for the device.
_PATIENCE = 16


def impute_linearly(pictures: Tensor, keep: Tensor) -> Tensor:
    """Pictures in which every missing pixel is the weighted mean of its neighbours, missing ones included.

    That is one system of linear equations for each picture, positive definite as long as one pixel is known. It is
    solved for all pictures and channels together by conjugate gradients, to a relative residual of 1e-6; a picture's
    result does not depend on what else is in the batch.

    Args:
        pictures: shape (N, C, H, W).
        keep: bool, (N, C, H, W) or (N, 1, H, W): the pixels that are known.

    Returns:
        A tensor like ``pictures``; what is known is unchanged. A picture of which nothing is known becomes 0.

    Raises:
        InputError: shapes do not fit.
    """
    if pictures.dim() != 4 or keep.dim() != 4 or keep.shape[0] != pictures.shape[0]:
        raise InputError(
            f"pictures and keep must have shape (N, C, H, W), but {describe((pictures, keep))} came"
        )
    dtype = torch.float32 if pictures.dtype in (torch.float16, torch.bfloat16) else pictures.dtype
    known, missing = keep.to(dtype), (~keep).to(dtype)
    x = pictures.to(dtype)
    kernel = torch.tensor(_WEIGHTS, dtype=dtype, device=x.device)[None, None]

    def around(values: Tensor) -> Tensor:
        n, c, h, w = values.shape
        flat = values.reshape(n * c, 1, h, w)
        return torch.nn.functional.conv2d(flat, kernel, padding=1).reshape(n, c, h, w)

    # At the border there are fewer neighbours, so their weights add up to less than 1.
    total = around(torch.ones_like(x[:1, :1]))

    def equations(values: Tensor) -> Tensor:
        return (total * values - around(values)) * missing

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum((2, 3), keepdim=True)

    goal = around(x * known) * missing
    solution = torch.zeros_like(goal)
    residual = goal.clone()
    direction = residual / total
    size = dot(residual, direction)
    enough = size * _DONE**2
    for step in range(4 * x.shape[2] * x.shape[3]):
        active = size > enough
        if step % _PATIENCE == 0 and not bool(active.any()):
            break
        image = equations(direction)
        curvature = dot(direction, image)
        # A picture that is done stays as it is, so that its numbers do not depend on the others.
        length = torch.where(active & (curvature > 0), size / curvature.clamp(min=1e-30), 0)
        solution = solution + length * direction
        residual = residual - length * image
        scaled = residual / total
        latest = dot(residual, scaled)
        turn = torch.where(active, latest / size.clamp(min=1e-30), 0)
        direction = torch.where(active, scaled + turn * direction, direction)
        size = torch.where(active, latest, size)
    return torch.where(keep, pictures, solution.to(pictures.dtype))
