"""Operations of every kind and spelling, for tests of methods that go through them one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attriscope.attr import DeepLift

Function = Callable[[Tensor], Tensor]


def exact(model: Any, x: Tensor, start: Tensor, outputs: int, tolerance: float) -> None:
    """For every output alone, multipliers times input differences add up to the output difference."""
    with torch.no_grad():
        change = (model(x) - model(start)).flatten(1)
    for k in range(outputs):
        found = DeepLift(model).attribute(x, start, target=lambda y, k=k: y.flatten(1)[:, k])
        total = found.abs().flatten(1).sum(1) + change[:, k].abs() + 1e-12
        worst = ((found.flatten(1).sum(1) - change[:, k]).abs() / total).max()
        assert worst < tolerance, f"output {k}: {worst}"


class SubclassedReLU(nn.ReLU):
    pass


class OwnGelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x * (1 + torch.erf(x / 2**0.5))


def _index_put(h: Tensor) -> Tensor:
    h = h * 1
    h[h < 0] = 0
    return h


def _filled(h: Tensor) -> Tensor:
    out = torch.zeros_like(h)
    out[:, 0] = h[:, 1].relu()
    out[:, 1:3] = h[:, 2:4] * h[:, :2]
    return out


# Functions of one number: modules, functions, tensor methods, in place.
UNARY: dict[str, Function] = {
    "ReLU": nn.ReLU(),
    "ReLU in place": nn.ReLU(inplace=True),
    "subclass": SubclassedReLU(),
    "F.relu": F.relu,
    "torch.relu": torch.relu,
    "relu_": lambda h: (h * 1).relu_(),
    "F.relu_ as a statement": lambda h: (F.relu_(h), h)[1],
    "ReLU6": nn.ReLU6(),
    "F.relu6": lambda h: F.relu6(4 * h),
    "LeakyReLU": nn.LeakyReLU(0.2),
    "leaky_relu_": F.leaky_relu_,
    "PReLU": nn.PReLU(init=0.3).double(),
    "ELU": nn.ELU(),
    "elu_": F.elu_,
    "SELU": nn.SELU(),
    "CELU": nn.CELU(0.7),
    "GELU": nn.GELU(),
    "GELU tanh": nn.GELU("tanh"),
    "own GELU": OwnGelu(),
    "SiLU": nn.SiLU(),
    "SiLU in place": nn.SiLU(True),
    "x sigmoid(x)": lambda h: h * h.sigmoid(),
    "Mish": nn.Mish(),
    "Hardswish": nn.Hardswish(),
    "Hardsigmoid": nn.Hardsigmoid(),
    "Sigmoid": nn.Sigmoid(),
    "sigmoid_": lambda h: (h * 1).sigmoid_(),
    "Tanh": nn.Tanh(),
    "Softplus": nn.Softplus(),
    "LogSigmoid": nn.LogSigmoid(),
    "Hardtanh": nn.Hardtanh(-0.4, 0.3),
    "Hardshrink": nn.Hardshrink(),
    "Softsign": nn.Softsign(),
    "Softshrink": nn.Softshrink(),
    "Tanhshrink": nn.Tanhshrink(),
    "Threshold": nn.Threshold(0.1, -2.0),
    "RReLU": nn.RReLU().eval(),
    "exp": torch.exp,
    "square": torch.square,
    "pow": lambda h: h**3,
    "abs": torch.abs,
    "sqrt": lambda h: (h * h + 1).sqrt(),
    "rsqrt": lambda h: (h * h + 1).rsqrt(),
    "reciprocal": lambda h: (3 + h.tanh()).reciprocal(),
    "clamp": lambda h: h.clamp(-0.3, 0.2),
    "clamp min": lambda h: h.clamp(min=0),
    "clamp_": lambda h: (h * 1).clamp_(max=0.1),
    "where": lambda h: torch.where(h > 0, h, 0.1 * h),
    "where a number": lambda h: torch.where(h > 0, h, 0.0),
    "times a mask": lambda h: h * (h > 0),
    "times a float mask": lambda h: (h > 0).to(h) * h,
    "masked_fill": lambda h: h.masked_fill(h < 0, 0),
    "index_put": _index_put,
    "floor": lambda h: (3 * h).floor(),
    "chained": lambda h: F.relu(F.relu(h) - 0.1).tanh(),
}

# Functions of a row.
MIXING: dict[str, Function] = {
    "Softmax": nn.Softmax(1),
    "F.softmax": lambda h: F.softmax(5 * h, -1),
    "LogSoftmax": nn.LogSoftmax(1),
    "logsumexp": lambda h: h.logsumexp(1, keepdim=True) * h,
    "own softmax": lambda h: h.exp() / h.exp().sum(1, keepdim=True),
    "LayerNorm": nn.LayerNorm(6).double(),
    "F.layer_norm": lambda h: F.layer_norm(h, (6,)),
    "GroupNorm": nn.GroupNorm(2, 6).double(),
    "RMSNorm": nn.RMSNorm(6).double(),
    "own RMS norm": lambda h: h * (h.square().mean(-1, keepdim=True) + 1e-6).rsqrt(),
    "own norm": lambda h: (
        (h - h.mean(1, keepdim=True)) / (h.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    ),
    "standard deviation": lambda h: h / h.std(1, keepdim=True),
    "F.normalize": lambda h: F.normalize(h, dim=1),
    "product": lambda h: h * h.flip(1),
    "mul_": lambda h: (h * 1).mul_(h.roll(1, 1)),
    "quotient": lambda h: h / (1 + h.flip(1).square()),
    "number over": lambda h: 2 / (3 + h.tanh()),
    "maximum": lambda h: torch.maximum(h, h.flip(1)),
    "minimum": lambda h: torch.min(h, h.flip(1)),
    "power": lambda h: (h.abs() + 0.5) ** h,
    "atan2": lambda h: torch.atan2(h, h.flip(1)),
    "GLU": lambda h: F.glu(torch.cat([h, h.flip(1)], 1)),
    "max": lambda h: h.max(1, keepdim=True)[0] * h,
    "min": lambda h: h.min(1)[0][:, None] + h,
    "amax": lambda h: h.amax(1, keepdim=True) - h,
    "matmul": lambda h: (h.reshape(-1, 2, 3) @ h.reshape(-1, 3, 2)).flatten(1),
    "einsum": lambda h: torch.einsum("ni,nj->nij", h, h.tanh()).flatten(1),
    "where both": lambda h: torch.where(h > h.flip(1), h.exp(), h.flip(1)),
    "lerp": lambda h: torch.lerp(h, h.flip(1), h.sigmoid()),
    "addcmul": lambda h: torch.addcmul(h, h, h.flip(1)),
    "cosine": lambda h: F.cosine_similarity(h, h.flip(1).exp())[:, None] * h,
    "cumsum": lambda h: h.cumsum(1),
    "sorted pieces": lambda h: torch.cat([*h.split(2, 1)][::-1], 1),
    "parts in place": _filled,
    "gather": lambda h: h.gather(1, torch.tensor([[2, 0, 0]]).expand(len(h), -1)),
    "pad": lambda h: F.pad(h, (1, 2)),
    "one-dimensional filter": lambda h: F.conv1d(
        h[:, None], torch.tensor([[[0.3, -1.0, 2.0]]]).double(), padding=1
    ).flatten(1),
}


# Functions of pictures (N, 3, H, W).
POOLS: dict[str, Function] = {
    "max": nn.MaxPool2d(2),
    "overlapping": nn.MaxPool2d(3, 2, 1),
    "ceil mode": nn.MaxPool2d(2, ceil_mode=True),
    "dilated": nn.MaxPool2d(2, dilation=2),
    "with indices": lambda h: F.max_pool2d(h, 2, return_indices=True)[0],
    "adaptive max": nn.AdaptiveMaxPool2d(3),
    "max 1d": lambda h: F.max_pool1d(h.flatten(2), 3, 2, 1),
    "max 3d": lambda h: F.max_pool3d(h[:, None], 2),
    "average": nn.AvgPool2d(3, 2, 1),
    "adaptive average": nn.AdaptiveAvgPool2d(3),
    "average ceil": nn.AvgPool2d(2, ceil_mode=True),
    "ReLU then max": lambda h: F.max_pool2d(F.relu(h), 3, 2, 1),
    "max then ReLU": lambda h: F.relu(F.max_pool2d(h, 3, 2, 1)),
    "max then max": lambda h: F.max_pool2d(F.max_pool2d(h, 2, 1), 2),
    "batch norm": nn.BatchNorm2d(3).double().eval(),
    "upsample": nn.Upsample(scale_factor=2, mode="bilinear"),
}
