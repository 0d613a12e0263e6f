"""One function written in several ways: first as torch has it, then by hand as people write it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Function = Callable[[Tensor], Tensor]


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def tanh_gelu(x: Tensor) -> Tensor:
    """gelu_new of Hugging Face's transformers."""
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    e = (x - x.amax(dim, keepdim=True).detach()).exp()
    return e / e.sum(dim, keepdim=True)


def graph_softmax(x: Tensor) -> Tensor:
    """As graph networks normalize over the edges of a node: here a row is one node."""
    flat, index = x.reshape(-1), torch.arange(x.numel()) // x.shape[-1]
    most = flat.new_zeros(len(flat) // x.shape[-1])
    most.scatter_reduce_(0, index, flat.detach(), "amax", include_self=False)
    e = (flat - most.index_select(0, index)).exp()
    total = flat.new_zeros(len(most)).scatter_add_(0, index, e) + 1e-16
    return (e / total.index_select(0, index)).reshape(x.shape)


def _share(e: Tensor, times: bool = False) -> Tensor:
    total = e.sum(-1, keepdim=True)
    return e * total.reciprocal() if times else e / total


def _less_its_total(x: Tensor) -> Tensor:
    return x - x.exp().sum(-1, keepdim=True).log()


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _power(x: Tensor) -> Tensor:
    return (x * x).mean(-1, keepdim=True) + 1e-5


def log_sum_exp(x: Tensor, detach: bool = True) -> Tensor:
    most = x.amax(-1, keepdim=True)
    most = most.detach() if detach else most
    return (x - most).exp().sum(-1, keepdim=True).log() + most


# Functions of one number.
NUMBERS: dict[str, list[Function]] = {
    "sigmoid": [
        torch.sigmoid,
        sigmoid,
        lambda x: x.exp() / (1 + x.exp()),
        lambda x: 0.5 * (1 + (x / 2).tanh()),
        lambda x: (1 + (-x).exp()).reciprocal(),
        lambda x: (1 + (-x).exp()) ** -1,
        lambda x: 1 - torch.sigmoid(-x),
    ],
    "tanh": [
        torch.tanh,
        lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
        lambda x: 1 - 2 / ((2 * x).exp() + 1),
        lambda x: ((2 * x).exp() - 1) / ((2 * x).exp() + 1),
        lambda x: 2 * torch.sigmoid(2 * x) - 1,
    ],
    "GELU": [
        F.gelu,
        lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)),
        lambda x: x * 0.5 * (1.0 + torch.erf(x * 0.5**0.5)),
        lambda x: x * (0.5 * (1 + torch.erf(x / math.sqrt(2)))),
        lambda x: x * torch.special.ndtr(x),
        lambda x: x / 2 * (2 - torch.erfc(x / 2**0.5)),
    ],
    "GELU by tanh": [
        lambda x: F.gelu(x, approximate="tanh"),
        tanh_gelu,
        lambda x: 0.5 * x * (1 + torch.tanh(x * 0.7978845608028654 * (1 + 0.044715 * x * x))),
        lambda x: x * torch.sigmoid(2 * 0.7978845608028654 * (x + 0.044715 * x**3)),
    ],
    "SiLU": [
        F.silu,
        lambda x: x * x.sigmoid(),
        lambda x: x / (1 + torch.exp(-x)),
        lambda x: x * sigmoid(x),
        lambda x: x.mul(torch.sigmoid(x)),
        lambda x: x * (0.5 + 0.5 * torch.tanh(0.5 * x)),
    ],
    "Mish": [
        F.mish,
        lambda x: x * torch.tanh(F.softplus(x)),
        lambda x: x * torch.tanh(torch.log(1 + torch.exp(x))),
        lambda x: x * torch.tanh(torch.log1p(x.exp())),
        lambda x: x * (1 - 2 / ((1 + x.exp()) ** 2 + 1)),
    ],
    "hard sigmoid": [
        F.hardsigmoid,
        lambda x: F.relu6(x + 3) / 6,
        lambda x: (x + 3).clamp(0, 6) / 6,
        lambda x: (x / 6 + 0.5).clamp(0, 1),
        lambda x: (0.5 + x * (1 / 6)).clamp(min=0).clamp(max=1),
        lambda x: F.relu(x + 3).clamp(max=6) / 6,
        lambda x: (F.relu(x + 3) - F.relu(x - 3)) / 6,
    ],
    "hard swish": [
        F.hardswish,
        lambda x: x * F.relu6(x + 3) / 6,
        lambda x: x * (F.relu6(x + 3) / 6),
        lambda x: x * F.hardsigmoid(x),
        lambda x: x * torch.clamp(x / 6 + 0.5, 0, 1),
        lambda x: x * F.relu(x + 3).clamp(max=6) / 6,
    ],
    "softplus": [
        F.softplus,
        lambda x: torch.log(1 + torch.exp(x)),
        lambda x: x.exp().log1p(),
        lambda x: F.relu(x) + torch.log1p(torch.exp(-x.abs())),
        lambda x: -torch.sigmoid(-x).log(),
    ],
    "log sigmoid": [
        F.logsigmoid,
        lambda x: torch.sigmoid(x).log(),
        lambda x: -torch.log(1 + torch.exp(-x)),
        lambda x: -F.softplus(-x),
    ],
    "ELU": [
        F.elu,
        lambda x: torch.where(x > 0, x, x.exp() - 1),
        lambda x: torch.where(x > 0, x, x.expm1()),
        lambda x: F.relu(x) - (1 - x.clamp(max=0).exp()),
    ],
    "ReLU6": [F.relu6, lambda x: x.clamp(0, 6), lambda x: F.relu(x).clamp(max=6)],
    "softsign": [F.softsign, lambda x: x / (1 + x.abs()), lambda x: x * (1 + x.abs()).reciprocal()],
    "tanh shrink": [F.tanhshrink, lambda x: x - x.tanh()],
    "squared ReLU": [lambda x: F.relu(x) ** 2, lambda x: F.relu(x).square(), lambda x: F.relu(x) * F.relu(x)],
    "reciprocal": [
        lambda x: (x.square() + 1).reciprocal(),
        lambda x: 1 / (x**2 + 1),
        lambda x: (x * x + 1) ** -1,
        lambda x: torch.div(1, x.square() + 1),
    ],
    "square root": [
        lambda x: (x.square() + 1).sqrt(),
        lambda x: (x * x + 1) ** 0.5,
        lambda x: 1 / (x * x + 1).rsqrt(),
    ],
}

# Functions of a row.
ROWS: dict[str, list[Function]] = {
    "softmax": [
        lambda x: x.softmax(-1),
        softmax,
        lambda x: x.exp() / x.exp().sum(-1, keepdim=True),
        graph_softmax,
        lambda x: x.log_softmax(-1).exp(),
        lambda x: (x - x.logsumexp(-1, keepdim=True)).exp(),
        lambda x: (x - x.max(-1, keepdim=True)[0]).softmax(-1),
        lambda x: _share((x - x.max(-1, keepdim=True)[0]).exp()),
        lambda x: _share((x - x.amax(-1, keepdim=True)).exp(), times=True),
    ],
    "log-softmax": [
        lambda x: x.log_softmax(-1),
        lambda x: x.softmax(-1).log(),
        lambda x: softmax(x).log(),
        lambda x: x - x.logsumexp(-1, keepdim=True),
        lambda x: x - log_sum_exp(x),
        lambda x: _less_its_total(x - x.amax(-1, keepdim=True).detach()),
        lambda x: _less_its_total(x - x.amax(-1, keepdim=True)),
    ],
    "log-sum-exp": [
        lambda x: x.logsumexp(-1, keepdim=True),
        log_sum_exp,
        lambda x: x.exp().sum(-1, keepdim=True).log(),
        lambda x: log_sum_exp(x, detach=False),
    ],
    "layer norm": [
        lambda x: F.layer_norm(x, (6,)),
        lambda x: _centred(x) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt(),
        lambda x: _centred(x) * (x.var(-1, keepdim=True, unbiased=False) + 1e-5).rsqrt(),
        lambda x: _centred(x) * (_centred(x).pow(2).mean(-1, keepdim=True) + 1e-5) ** -0.5,
        lambda x: _centred(x) / torch.sqrt(_power(_centred(x))),
        lambda x: _centred(x) * (1 / torch.sqrt(_power(_centred(x)))),
        lambda x: _centred(x) * torch.sqrt(1 / _power(_centred(x))),
        lambda x: _centred(x) * (_power(x) - x.mean(-1, keepdim=True) ** 2).rsqrt(),
        lambda x: F.group_norm(x, 1),
    ],
    "RMS norm": [
        lambda x: F.rms_norm(x, (6,), eps=1e-6),
        lambda x: x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt(),
        lambda x: x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt(),
        lambda x: x * torch.pow(x.pow(2).mean(-1, keepdim=True) + 1e-6, -0.5),
        lambda x: x * torch.div(1.0, ((x * x).sum(-1, keepdim=True) / 6 + 1e-6).sqrt()),
    ],
    "normalize": [
        lambda x: F.normalize(x, dim=-1),
        lambda x: x / x.norm(dim=-1, keepdim=True),
        lambda x: x / (x * x).sum(-1, keepdim=True).sqrt(),
        lambda x: x / x.square().sum(-1, keepdim=True) ** 0.5,
    ],
    "standard deviation": [
        lambda x: x.std(-1, keepdim=True),
        lambda x: x.var(-1, keepdim=True).sqrt(),
        lambda x: ((x - x.mean(-1, keepdim=True)) ** 2).sum(-1, keepdim=True).div(5).sqrt(),
    ],
}


def _two(f: Callable[[Tensor, Tensor], Tensor]) -> Function:
    return lambda h: f(*h.chunk(2, -1))


# Products of two activations; of a gate and an activation.
PRODUCTS: dict[str, list[Function]] = {
    "GLU": [
        lambda h: F.glu(h, -1),
        _two(lambda a, b: a * b.sigmoid()),
        _two(lambda a, b: sigmoid(b) * a),
        _two(lambda a, b: a / (1 + torch.exp(-b))),
        _two(lambda a, b: a * (b.exp() / (1 + b.exp()))),
        _two(lambda a, b: a * (0.5 * (1 + (b / 2).tanh()))),
        _two(lambda a, b: torch.addcmul(torch.zeros_like(a), a, b.sigmoid())),
        _two(lambda a, b: torch.lerp(torch.zeros_like(a), a, b.sigmoid())),
        _two(lambda a, b: a * F.logsigmoid(b).exp()),
        _two(lambda a, b: a * (1 - (-b).sigmoid())),
        _two(lambda a, b: torch.einsum("ni,ni->ni", a, b.sigmoid())),
    ],
    "gate by a hard sigmoid": [
        _two(lambda a, b: a * F.hardsigmoid(b)),
        _two(lambda a, b: a * F.relu6(b + 3) / 6),
        _two(lambda a, b: a * (b / 6 + 0.5).clamp(0, 1)),
        _two(lambda a, b: F.relu6(b + 3) / 6 * a),
    ],
    "SwiGLU": [
        _two(lambda a, b: F.silu(a) * b),
        _two(lambda a, b: b * (a * a.sigmoid())),
        _two(lambda a, b: a * (a.sigmoid() * b)),
        _two(lambda a, b: a * b * a.sigmoid()),
        _two(lambda a, b: a / (1 + torch.exp(-a)) * b),
        _two(lambda a, b: a * b / (1 + torch.exp(-a))),
        _two(lambda a, b: a * sigmoid(a) * b),
        _two(lambda a, b: torch.einsum("ni,ni->ni", F.silu(a), b)),
    ],
    "GEGLU": [
        _two(lambda a, b: F.gelu(a) * b),
        _two(lambda a, b: 0.5 * a * (1 + torch.erf(a / 2**0.5)) * b),
        _two(lambda a, b: 0.5 * a * b * (1 + torch.erf(a / 2**0.5))),
        _two(lambda a, b: b * (a * torch.special.ndtr(a))),
    ],
    "ReGLU": [
        _two(lambda a, b: F.relu(a) * b),
        _two(lambda a, b: a.clamp(min=0) * b),
        _two(lambda a, b: torch.where(a > 0, a, 0.0) * b),
    ],
    "gate by tanh": [
        _two(lambda a, b: a * b.tanh()),
        _two(lambda a, b: a * (2 * torch.sigmoid(2 * b) - 1)),
        _two(lambda a, b: a * (1 - 2 / ((2 * b).exp() + 1))),
    ],
    "attention": [
        *[
            _two(lambda a, b, f=f: (f(a)[:, None] @ b[:, :, None].expand(-1, -1, 3))[:, 0])
            for f in ROWS["softmax"]
        ],
        *[
            _two(lambda a, b, f=f: (f(a)[:, :, None] * b[:, :, None].expand(-1, -1, 3)).sum(1))
            for f in ROWS["softmax"]
        ],
        _two(
            lambda a, b: F.scaled_dot_product_attention(
                torch.ones_like(a[:, :1, None]), a[:, :, None], b[:, :, None].expand(-1, -1, 3)
            )[:, 0]
        ),
    ],
    "gated state": [
        _two(lambda a, b: b.sigmoid() * a + (1 - b.sigmoid()) * a.tanh()),
        _two(lambda a, b: a.tanh() + b.sigmoid() * (a - a.tanh())),
        _two(lambda a, b: torch.lerp(a.tanh(), a, b.sigmoid())),
        _two(lambda a, b: sigmoid(b) * a + (1 - sigmoid(b)) * a.tanh()),
    ],
    "ratio": [
        _two(lambda a, b: a / (b * b + 1)),
        _two(lambda a, b: a * (b * b + 1).reciprocal()),
        _two(lambda a, b: a * (b * b + 1) ** -1),
        _two(lambda a, b: torch.addcdiv(torch.zeros_like(a), a, b * b + 1)),
        _two(lambda a, b: a * (1 / (b * b + 1))),
    ],
}

_SEEN = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])
_SLOPES = torch.tensor([0.5, 1.0, 1.7, 0.1, 2.0, 0.9])

# With constants of many kinds.
CONSTANTS: dict[str, list[Function]] = {
    "masked softmax": [
        lambda x: x.masked_fill(_SEEN == 0, -math.inf).softmax(-1),
        lambda x: _share(x.exp() * _SEEN.to(x.dtype)),
        lambda x: _share(x.masked_fill(_SEEN == 0, -math.inf).exp()),
        lambda x: (x + torch.where(_SEEN == 0, -math.inf, 0.0).to(x.dtype)).softmax(-1),
        lambda x: (x.exp() * _SEEN.to(x.dtype)) / (x.exp() * _SEEN.to(x.dtype)).sum(-1, keepdim=True),
    ],
    "swish with slopes": [
        lambda x: x * torch.sigmoid(_SLOPES.to(x.dtype) * x),
        lambda x: x / (1 + torch.exp(-_SLOPES.to(x.dtype) * x)),
        lambda x: x * (1 / (1 + torch.exp(-x * _SLOPES.to(x.dtype)))),
    ],
    "sigmoid with tensors of ones": [
        torch.sigmoid,
        lambda x: 1 / (torch.ones_like(x) + torch.exp(-x)),
        lambda x: torch.ones_like(x) - torch.sigmoid(-x),
        lambda x: torch.where(x >= 0, 1 / (1 + torch.exp(-x)), x.exp() / (1 + x.exp())),
    ],
    "hard sigmoid in pieces": [
        F.hardsigmoid,
        lambda x: torch.where(x > 3, 1.0, torch.where(x < -3, 0.0, x / 6 + 0.5)),
        lambda x: torch.max(torch.zeros_like(x), torch.min(torch.ones_like(x), (x + 3) / 6)),
    ],
    "ReLU6 in pieces": [
        F.relu6,
        lambda x: torch.minimum(F.relu(x), torch.tensor(6.0).to(x.dtype)),
        lambda x: 6 - F.relu(6 - F.relu(x)),
        lambda x: torch.where(x > 6, 6.0, F.relu(x)),
    ],
    "leaky ReLU": [
        lambda x: F.leaky_relu(x, 0.1),
        lambda x: torch.maximum(x, 0.1 * x),
        lambda x: F.relu(x) - 0.1 * F.relu(-x),
        lambda x: 0.55 * x + 0.45 * x.abs(),
    ],
    "softplus with a threshold": [
        F.softplus,
        lambda x: torch.where(x > 20, x, torch.log1p(torch.exp(x))),
    ],
    "layer norm with weights": [
        lambda x: F.layer_norm(x, (6,), _SLOPES.to(x.dtype), _SEEN.to(x.dtype)),
        lambda x: _centred(x) * _power(_centred(x)).rsqrt() * _SLOPES.to(x.dtype) + _SEEN.to(x.dtype),
        lambda x: _SLOPES.to(x.dtype) * _centred(x) / _power(_centred(x)) ** 0.5 + _SEEN.to(x.dtype),
    ],
    "entropy": [
        lambda x: x.softmax(-1) * x.log_softmax(-1),
        lambda x: softmax(x) * softmax(x).log(),
    ],
}

SPELLINGS = NUMBERS | ROWS | PRODUCTS | CONSTANTS
