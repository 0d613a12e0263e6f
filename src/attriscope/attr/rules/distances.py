"""Distances and losses, written out in parts that have rules; see :mod:`attriscope.attr.rules.decompositions`."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attriscope.attr.rules.decompositions import decomposed
from attriscope.core.errors import OperationError

_MEAN, _SUM = 1, 2


def _norm(x: Tensor, p: Any, dim: Any, keepdim: bool = False) -> Tensor:
    x = x.abs() if x.is_complex() else x
    if p == 2:
        return x.square().sum(dim, keepdim=keepdim).sqrt()
    if p == 0:
        raise OperationError("there is no rule for a norm of order 0, which counts and has no gradient")
    if math.isinf(p):
        return x.abs().amax(dim, keepdim) if p > 0 else x.abs().amin(dim, keepdim)
    powers = x.abs().sum(dim, keepdim=keepdim) if p == 1 else x.abs().pow(p).sum(dim, keepdim=keepdim)
    return powers if p == 1 else powers.pow(1 / p)


def _of_order(self: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, **_: Any) -> Tensor:
    dims = tuple(range(self.dim())) if dim is None or not len(dim) else tuple(dim)
    return _norm(self, 2 if p is None else p, dims, keepdim)


def _distance(self: Tensor, other: Tensor, p: Any = 2) -> Tensor:
    return _norm((self - other).flatten(), p, (0,))


def _distances(x1: Tensor, x2: Tensor, p: Any = 2, **_: Any) -> Tensor:
    return _norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, (-1,))


def _distances_within(self: Tensor, p: Any = 2) -> Tensor:
    first, second = torch.triu_indices(len(self), len(self), 1, device=self.device)
    return _norm(self[first] - self[second], p, (-1,))


def _reduced(values: Tensor, reduction: int) -> Tensor:
    return values.mean() if reduction == _MEAN else values.sum() if reduction == _SUM else values


def _mse(self: Tensor, target: Tensor, reduction: int = _MEAN) -> Tensor:
    return _reduced((self - target).square(), reduction)


def _smooth_l1(self: Tensor, target: Tensor, reduction: int = _MEAN, beta: float = 1.0) -> Tensor:
    size = (self - target).abs()
    if beta == 0:
        return _reduced(size, reduction)
    inner = size.clamp(max=beta)  # square up to there, straight from there on
    return _reduced(inner.square() / (2 * beta) + (size - inner), reduction)


def _huber(self: Tensor, target: Tensor, reduction: int = _MEAN, delta: float = 1.0) -> Tensor:
    size = (self - target).abs()
    inner = size.clamp(max=delta)
    return _reduced(inner.square() / 2 + (size - inner) * delta, reduction)


def _cross_entropy(
    self: Tensor, target: Tensor, weight: Tensor | None = None, reduction: int = _MEAN
) -> Tensor:
    found = -(target * self.log().clamp(min=-100) + (1 - target) * (1 - self).log().clamp(min=-100))
    return _reduced(found if weight is None else found * weight, reduction)


def _cross_entropy_of_logits(
    self: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: int = _MEAN,
) -> Tensor:
    positive = target if pos_weight is None else target * pos_weight
    found = -(positive * F.logsigmoid(self) + (1 - target) * F.logsigmoid(-self))
    return _reduced(found if weight is None else found * weight, reduction)


def _soft_margin(self: Tensor, target: Tensor, reduction: int = _MEAN) -> Tensor:
    return _reduced(-F.logsigmoid(self * target), reduction)


def _spread(
    self: Tensor, dim: Any = None, correction: Any = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    dims = tuple(range(self.dim())) if not dim else tuple(dim)
    mean = self.mean(dims, keepdim=True)
    count = math.prod(self.shape[d] for d in dims) - (1 if correction is None else correction)
    apart = self - mean
    variance = (apart.abs() if apart.is_complex() else apart).square().sum(dims, keepdim=keepdim) / max(
        0, count
    )
    return variance, mean if keepdim else self.mean(dims)


def _deviation(self: Tensor, **more: Any) -> tuple[Tensor, Tensor]:
    variance, mean = _spread(self, **more)
    return variance.sqrt(), mean


def _extremes(self: Tensor, dim: Any = None, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    dims = tuple(range(self.dim())) if dim is None else (dim,)
    return self.amin(dims, keepdim), self.amax(dims, keepdim)


def _times_power_of_two(self: Tensor, other: Tensor) -> Tensor:
    return self * torch.exp2(other.to(self.dtype))


def _running_log_sum(self: Tensor, dim: int) -> Tensor:
    rows = self.movedim(dim, -1)
    count = rows.shape[-1]
    later = torch.ones(count, count, dtype=torch.bool, device=self.device).triu(1)
    rows = rows.unsqueeze(-2).expand(*rows.shape[:-1], count, count)
    return rows.masked_fill(later, -math.inf).logsumexp(-1).movedim(-1, dim)


def _solved(A: Tensor, B: Tensor, left: bool = True, **_: Any) -> Tensor:
    inverse = torch.linalg.inv(A)
    if B.dim() == 1 or B.dim() == A.dim() - 1:  # vectors
        return (inverse @ B.unsqueeze(-1)).squeeze(-1) if left else (B.unsqueeze(-2) @ inverse).squeeze(-2)
    return inverse @ B if left else B @ inverse


def _hypotenuse(self: Tensor, other: Tensor) -> Tensor:
    return (self.square() + other.square()).sqrt()


def _log_add_exp(self: Tensor, other: Tensor) -> Tensor:
    return torch.stack(torch.broadcast_tensors(self, other)).logsumexp(0)


def _log_add_exp2(self: Tensor, other: Tensor) -> Tensor:
    return _log_add_exp(self * math.log(2), other * math.log(2)) / math.log(2)


def _times_log(self: Tensor, other: Tensor) -> Tensor:
    return self * torch.where(self == 0, torch.ones_like(other), other).log()


_TO_TARGET = ("self", "target")
DISTANCES = {
    "Norm": decomposed(_of_order, ("self",)),
    "Dist": decomposed(_distance, ("self", "other")),
    "Cdist": decomposed(_distances, ("x1", "x2")),
    "EuclideanDist": decomposed(_distances, ("x1", "x2")),
    "Pdist": decomposed(_distances_within, ("self",)),
    "MseLoss": decomposed(_mse, _TO_TARGET),
    "SmoothL1Loss": decomposed(_smooth_l1, _TO_TARGET),
    "HuberLoss": decomposed(_huber, _TO_TARGET),
    "BinaryCrossEntropy": decomposed(_cross_entropy, _TO_TARGET),
    "BinaryCrossEntropyWithLogits": decomposed(_cross_entropy_of_logits, _TO_TARGET),
    "SoftMarginLoss": decomposed(_soft_margin, ("self",)),
    "VarMean": decomposed(_spread, ("self",)),
    "StdMean": decomposed(_deviation, ("self",)),
    "Aminmax": decomposed(_extremes, ("self",)),
    "Logcumsumexp": decomposed(_running_log_sum, ("self",)),
    "LinalgSolveEx": decomposed(_solved, ("A", "B")),
    "Ldexp": decomposed(_times_power_of_two, ("self", "other")),
}
OF_TWO_IN_PARTS = {
    "Hypot": decomposed(_hypotenuse, ("self", "other")),
    "Logaddexp": decomposed(_log_add_exp, ("self", "other")),
    "Logaddexp2": decomposed(_log_add_exp2, ("self", "other")),
    "Xlogy": decomposed(_times_log, ("self", "other")),
}
"""For LRP: DeepLIFT treats these as any function of two numbers."""
