"""Fused operations, written out in parts that have rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.core.errors import OperationError
from attriscope.core.propagation import Passed, Rule, Step


def decomposed(function: Callable[..., Any], edges: tuple[str, ...]) -> Rule:
    """A rule for an operation that can be written out in operations that have rules.

    Args:
        function: called with the operation's arguments by name; returns its outputs (those that gradients come to).
        edges: the names of the arguments that autograd knows as inputs, in the order of its graph.
    """

    def parts(step: Step, gradients: Passed, incoming: Passed) -> list[Tensor | None]:
        return step.propagation.replay(function, edges, step, incoming)

    parts.__name__ = f"decomposed({function.__name__.strip('_')})"
    return Rule(parts)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_bias: Tensor | None = None,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    **others: Any,
) -> Tensor:
    if others.get("dropout_p"):
        raise OperationError("attention with dropout draws random numbers: call model.eval() first")
    if key.shape[-3] != query.shape[-3]:  # grouped queries
        repeats = query.shape[-3] // key.shape[-3]
        key, value = (t.repeat_interleave(repeats, -3) for t in (key, value))
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    bias = attn_mask if attn_bias is None else attn_bias
    unmasked = None
    if bias is not None:
        scores = scores.masked_fill(~bias, -math.inf) if bias.dtype == torch.bool else scores + bias
        unmasked = scores.detach().amax(-1, keepdim=True) > -math.inf
    if is_causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~seen, -math.inf)
    if unmasked is not None:  # of nothing, attention gives zero
        scores = scores.masked_fill(~unmasked, 0.0)
        return scores.softmax(-1).masked_fill(~unmasked, 0.0) @ value
    return scores.softmax(-1) @ value


def _lstm(
    input: Tensor,
    weight0: Tensor,
    weight1: Tensor,
    weight2: Tensor,
    weight3: Tensor,
    hx_: Tensor,
    cx_: Tensor,
    reverse: bool,
    batch_sizes: Any,
    has_biases: bool,
    **others: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    if batch_sizes:
        raise OperationError(
            "packed sequences in a fused LSTM have no rule: use model.double() or pad the sequences"
        )
    h, c = (state.reshape(input.shape[1], -1) for state in (hx_, cx_))
    outputs = []
    along = range(input.shape[0])
    for t in reversed(along) if reverse else along:
        gates = input[t] @ weight0.t() + h @ weight1.t()
        if has_biases:
            gates = gates + (weight2 + weight3)
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs[::-1] if reverse else outputs), h.reshape(hx_.shape), c.reshape(cx_.shape)


def _centred(x: Tensor, dim: Any) -> Tensor:
    return x - x.mean(dim, keepdim=True)


def _var(self: Tensor, dim: Any = None, correction: Any = None, keepdim: bool = False, **_: Any) -> Tensor:
    dim = tuple(range(self.dim())) if not dim else tuple(dim)
    count = math.prod(self.shape[d] for d in dim)
    centred = _centred(self, dim)
    total = (centred.abs() if centred.is_complex() else centred).square().sum(dim, keepdim=keepdim)
    return total / max(0, count - (1 if correction is None else correction))


def _std(self: Tensor, **more: Any) -> Tensor:
    return _var(self, **more).sqrt()


def _norm(self: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, **_: Any) -> Tensor:
    dim = tuple(range(self.dim())) if dim is None else dim
    if ord == 0:
        raise OperationError("there is no rule for a norm of order 0, which counts and has no gradient")
    if self.is_complex():
        self = self.abs()
    if math.isinf(ord):
        return self.abs().amax(dim, keepdim) if ord > 0 else self.abs().amin(dim, keepdim)
    if ord == 1:
        return self.abs().sum(dim, keepdim=keepdim)
    if ord == 2:
        return self.square().sum(dim, keepdim=keepdim).sqrt()
    return self.abs().pow(ord).sum(dim, keepdim=keepdim).pow(1 / ord)


def _glu(self: Tensor, dim: int = -1) -> Tensor:
    a, b = self.chunk(2, dim)
    return a * b.sigmoid()


def _addcmul(self: Tensor, tensor1: Tensor, tensor2: Tensor, value: float = 1) -> Tensor:
    return self + tensor1 * tensor2 * value


def _addcdiv(self: Tensor, tensor1: Tensor, tensor2: Tensor, value: float = 1) -> Tensor:
    return self + tensor1 / tensor2 * value


def _lerp(self: Tensor, end: Tensor, weight: Any) -> Tensor:
    return self + (end - self) * weight


def _extreme(self: Tensor, dim: Any = None, keepdim: bool = False, sign: int = 1) -> Tensor:
    dims = sorted(d % self.dim() for d in (dim or range(self.dim())))
    rest = [d for d in range(self.dim()) if d not in dims]
    flat = self.permute(*rest, *dims).flatten(len(rest))
    found = (flat.max(-1) if sign > 0 else flat.min(-1))[0]
    for d in dims if keepdim else ():
        found = found.unsqueeze(d)
    return found


def _amin(self: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    return _extreme(self, dim, keepdim, -1)


def _amax(self: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    return _extreme(self, dim, keepdim)


_QKV = ("query", "key", "value", "attn_bias")
_OF_SELF = ("self",)
DECOMPOSED = {
    "ScaledDotProductFlashAttentionForCpu": decomposed(_attention, ("query", "key", "value", "attn_mask")),
    "ScaledDotProductFlashAttention": decomposed(_attention, _QKV),
    "ScaledDotProductEfficientAttention": decomposed(_attention, _QKV),
    "ScaledDotProductCudnnAttention": decomposed(_attention, _QKV),
    "ScaledDotProductFusedAttentionOverrideable": decomposed(_attention, _QKV),
    "MkldnnRnnLayer": decomposed(_lstm, ("input", "weight0", "weight1", "weight2", "weight3", "hx_", "cx_")),
    "Var": decomposed(_var, _OF_SELF),
    "Std": decomposed(_std, _OF_SELF),
    "LinalgVectorNorm": decomposed(_norm, _OF_SELF),
    "Glu": decomposed(_glu, _OF_SELF),
    "Amax": decomposed(_amax, _OF_SELF),
    "Amin": decomposed(_amin, _OF_SELF),
    "Addcmul": decomposed(_addcmul, ("self", "tensor1", "tensor2")),
    "Addcdiv": decomposed(_addcdiv, ("self", "tensor1", "tensor2")),
    "Lerp": decomposed(_lerp, ("self", "end", "weight")),
}
