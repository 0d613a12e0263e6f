"""Operations of torch, by name: what DeepLIFT and LRP make of each.

Each is a function of rows (N, 12) and says of DeepLIFT ``EXACT``, or the operation that is refused; and of LRP ``KEPT``
where all relevance arrives, ``TAKEN`` where constants take a part of it, or the operation that is refused.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import draw, with_drawn_parameters

EXACT, KEPT, TAKEN = "exact", "kept", "taken"
Case = tuple[Callable[[Tensor], Tensor], str, str]
OTHER = draw(1, 12, seed=21)
BUCKETS = torch.arange(12) % 3


def each(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Row by row, for what knows no batches."""
    return lambda h: torch.stack([function(row).flatten() for row in h])


def pairs(function: Callable[..., Tensor], **options: Any) -> Callable[[Tensor], Tensor]:
    """Of the first and the last six numbers."""
    return lambda h: function(h[:, :6], h[:, 6:], **options)


def to_fixed(function: Callable[..., Tensor], **options: Any) -> Callable[[Tensor], Tensor]:
    """Of the numbers and constants."""
    return lambda h: function(h, OTHER.expand_as(h), **options)


def grid(h: Tensor, rows: int = 3) -> Tensor:
    return h.reshape(len(h), rows, -1)


def square(h: Tensor) -> Tensor:
    return h[:, :9].reshape(-1, 3, 3)


def picture(h: Tensor) -> Tensor:
    return h.reshape(-1, 1, 3, 4)


@functools.cache
def recurrent(kind: Any, **options: Any) -> nn.Module:
    made = with_drawn_parameters(kind(4, 5, batch_first=True, bias=False, **options))
    return made.double().eval()


def sequence(kind: Any, packed: bool = False, **options: Any) -> Callable[[Tensor], Tensor]:
    def run(h: Tensor) -> Tensor:
        model, given = recurrent(kind, **options), grid(h)
        if not packed:
            return model(given)[0].flatten(1)
        lengths = torch.tensor([1, 3, 2])[: len(h)]
        given = nn.utils.rnn.pack_padded_sequence(given, lengths, batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(model(given)[0], True, total_length=3)[0].flatten(1)

    return run


def distances(p: float, own: bool = False, mode: str = "donot_use_mm_for_euclid_dist") -> Any:
    fixed = OTHER.reshape(1, 3, 4)
    return lambda h: torch.cdist(grid(h), grid(h).flip(1) * 2 if own else fixed.expand(len(h), 3, 4), p, mode)


def routed(h: Tensor) -> Tensor:
    """As in mixtures of experts: the two best of three, by a softmax, scaled to add up to one."""
    tokens, out = h.reshape(-1, 4), torch.zeros(len(h) * 3, 4, dtype=h.dtype)
    weights, chosen = (10 + tokens @ draw(4, 3, seed=22)).softmax(-1).topk(2, -1)
    weights = weights / weights.sum(-1, keepdim=True)
    for i in range(3):
        token, place = torch.where(chosen == i)
        made = tokens[token] @ draw(4, 4, seed=23 + i)
        out.index_add_(0, token, made * weights[token, place, None])
    return out.reshape(len(h), 12)


def relative_shift(h: Tensor) -> Tensor:
    """As in XLNet."""
    x = h.reshape(-1, 2, 2, 3)
    x = x.reshape(-1, 2, 3, 2)[:, :, 1:].reshape(-1, 2, 2, 2)
    return x.index_select(3, torch.arange(2))


def transformed(h: Tensor) -> Tensor:
    theta = 0.1 * h[:, :6].reshape(-1, 2, 3) + torch.eye(2, 3, dtype=h.dtype)
    at = F.affine_grid(theta, [len(h), 1, 3, 4], align_corners=False)
    return F.grid_sample(picture(h), at, align_corners=False)


def volume(h: Tensor) -> Tensor:
    at = h.tanh().reshape(-1, 2, 2, 1, 3)
    return F.grid_sample(h.reshape(-1, 1, 2, 2, 3), at, padding_mode="border", align_corners=True)


def scattered(how: str, own: bool = True) -> Callable[[Tensor], Tensor]:
    return lambda h: h[:, :3].exp().scatter_reduce(1, BUCKETS.expand_as(h), h, how, include_self=own)


def norm(p: float) -> Callable[[Tensor], Tensor]:
    return lambda h: torch.linalg.vector_norm(h, p, 1, keepdim=True)


TABLE: dict[str, Case] = {
    # order
    "sort": (lambda h: h.sort(-1)[0], EXACT, KEPT),
    "sort, descending, in the middle": (lambda h: grid(h).sort(1, descending=True)[0], EXACT, KEPT),
    "msort": (lambda h: h.t().msort().t(), EXACT, KEPT),
    "topk": (lambda h: h.topk(3)[0], EXACT, KEPT),
    "topk, smallest": (lambda h: grid(h).topk(2, 1, largest=False)[0], EXACT, KEPT),
    "kthvalue": (lambda h: h.kthvalue(4, keepdim=True)[0], EXACT, KEPT),
    "median": (lambda h: grid(h).median(1)[0], EXACT, KEPT),
    "median of all": (each(lambda r: r.median()), EXACT, KEPT),
    "quantile": (lambda h: h.quantile(0.3, -1, keepdim=True), EXACT, KEPT),
    "max of all": (each(lambda r: r.max()), EXACT, KEPT),
    "aminmax": (lambda h: torch.cat(torch.aminmax(h, dim=1, keepdim=True), 1), EXACT, KEPT),
    "cummax": (lambda h: h.cummax(-1)[0], EXACT, KEPT),
    "cummin": (lambda h: grid(h).cummin(1)[0], EXACT, KEPT),
    "mode": (lambda h: h.mode(-1, keepdim=True)[0], "Mode", "Mode"),
    "nanmedian": (lambda h: h.nanmedian(-1, keepdim=True)[0], "Nanmedian", "Nanmedian"),
    "routed to experts": (routed, EXACT, TAKEN),
    # products
    "prod": (lambda h: h.prod(-1, keepdim=True), EXACT, KEPT),
    "prod with zeros": (lambda h: (grid(h) + 1).relu().prod(1), EXACT, TAKEN),
    "cumprod": (lambda h: grid(h).cumprod(1), EXACT, KEPT),
    "det": (lambda h: torch.linalg.det(square(h))[:, None], EXACT, KEPT),
    "inv": (lambda h: torch.linalg.inv(square(h)), EXACT, "LinalgInvEx"),
    "solve": (lambda h: torch.linalg.solve(square(h), h[:, 9:, None]), EXACT, "LinalgInvEx"),
    "matrix_power": (lambda h: torch.linalg.matrix_power(square(h), 3), EXACT, KEPT),
    "cross": (
        lambda h: torch.linalg.cross(h[:, :6].reshape(-1, 2, 3), h[:, 6:].reshape(-1, 2, 3)),
        EXACT,
        KEPT,
    ),
    "einsum of three": (lambda h: torch.einsum("ni,nj,nk->nijk", *h.split(4, 1)), EXACT, KEPT),
    "bilinear, all three": (each(lambda r: F.bilinear(r[:2], r[2:4], r[4:].reshape(2, 2, 2))), EXACT, KEPT),
    "svdvals": (lambda h: torch.linalg.svdvals(grid(h)), "LinalgSvd", "LinalgSvd"),
    "slogdet": (lambda h: torch.linalg.slogdet(square(h))[1][:, None], "LinalgSlogdet", "LinalgSlogdet"),
    "matrix_exp": (lambda h: torch.matrix_exp(square(h)), "LinalgMatrixExp", "LinalgMatrixExp"),
    "eigvalsh": (lambda h: torch.linalg.eigvalsh(square(h)), "LinalgEigh", "LinalgEigh"),
    "cholesky": (
        lambda h: torch.linalg.cholesky(square(h) @ square(h).mT + torch.eye(3)),
        "LinalgCholeskyEx",
        "LinalgCholeskyEx",
    ),
    # distances, norms, spreads
    "pairwise_distance": (lambda h: pairs(F.pairwise_distance)(h)[:, None], EXACT, TAKEN),
    "cdist": (distances(2), EXACT, TAKEN),
    "cdist by products": (distances(2, mode="use_mm_for_euclid_dist"), EXACT, TAKEN),
    "cdist of both": (distances(2, own=True), EXACT, KEPT),
    "cdist, p = 1": (distances(1), EXACT, TAKEN),
    "cdist, p = 3": (distances(3), EXACT, TAKEN),
    "cdist, p = inf": (distances(math.inf), EXACT, TAKEN),
    "pdist": (each(lambda r: F.pdist(r.reshape(3, 4))), EXACT, KEPT),
    "dist": (each(lambda r: torch.dist(r[:6], r[6:])), EXACT, KEPT),
    "norm, p = 3": (norm(3), EXACT, KEPT),
    "norm, p = inf": (norm(math.inf), EXACT, KEPT),
    "norm, p = 0": (norm(0), "norm of order 0", "norm of order 0"),
    "var_mean": (lambda h: torch.cat(torch.var_mean(h, -1, keepdim=True), 1), EXACT, KEPT),
    "std_mean": (lambda h: torch.cat(torch.std_mean(grid(h), 1, keepdim=True), 1), EXACT, KEPT),
    "corrcoef": (each(lambda r: torch.corrcoef(r.reshape(3, 4))), EXACT, TAKEN),
    "renorm": (lambda h: h.renorm(2, 0, 1.0), "Renorm", "Renorm"),
    # losses
    "mse_loss": (pairs(F.mse_loss, reduction="none"), EXACT, KEPT),
    "mse_loss, mean": (each(lambda r: F.mse_loss(r[:6], r[6:])), EXACT, KEPT),
    "l1_loss": (pairs(F.l1_loss, reduction="none"), EXACT, KEPT),
    "smooth_l1_loss": (pairs(F.smooth_l1_loss, reduction="none", beta=0.7), EXACT, KEPT),
    "huber_loss": (pairs(F.huber_loss, reduction="none", delta=0.7), EXACT, KEPT),
    "binary_cross_entropy": (
        lambda h: F.binary_cross_entropy(h.sigmoid(), OTHER.sigmoid().expand_as(h), reduction="none"),
        EXACT,
        TAKEN,
    ),
    "the same, of logits": (
        lambda h: F.binary_cross_entropy_with_logits(
            h, OTHER.sigmoid().expand_as(h), reduction="none", pos_weight=OTHER[0].exp()
        ),
        EXACT,
        KEPT,
    ),
    "cross_entropy": (
        lambda h: F.cross_entropy(h, BUCKETS[: len(h)], reduction="none", label_smoothing=0.1)[:, None],
        EXACT,
        KEPT,
    ),
    "cross_entropy of pixels": (
        lambda h: F.cross_entropy(h.reshape(-1, 3, 2, 2), torch.zeros(len(h), 2, 2).long(), reduction="none"),
        EXACT,
        KEPT,
    ),
    "kl_div": (lambda h: F.kl_div(h.log_softmax(-1), OTHER.softmax(-1), reduction="none"), EXACT, TAKEN),
    "kl_div of both": (lambda h: F.kl_div(h[:, :6], h[:, 6:].exp(), reduction="none"), EXACT, KEPT),
    "soft_margin_loss": (to_fixed(F.soft_margin_loss, reduction="none"), EXACT, KEPT),
    "triplet_margin_loss": (
        lambda h: F.triplet_margin_loss(*h.split(4, 1), reduction="none")[:, None],
        EXACT,
        TAKEN,
    ),
    "multi_margin_loss": (
        lambda h: F.multi_margin_loss(h, BUCKETS[: len(h)], reduction="none")[:, None],
        "MultiMarginLoss",
        "MultiMarginLoss",
    ),
    "ctc_loss": (
        each(lambda r: F.ctc_loss(r.reshape(4, 3).log_softmax(-1), torch.ones(1).long(), [4], [1])),
        "CtcLoss",
        "CtcLoss",
    ),
    # functions of two numbers
    "logaddexp": (pairs(torch.logaddexp), EXACT, KEPT),
    "logaddexp2": (pairs(torch.logaddexp2), EXACT, KEPT),
    "logcumsumexp": (lambda h: grid(h * 30).logcumsumexp(1), EXACT, KEPT),
    "hypot": (pairs(torch.hypot), EXACT, KEPT),
    "xlogy": (lambda h: torch.xlogy(h[:, :6], h[:, 6:].exp()), EXACT, KEPT),
    "copysign": (pairs(torch.copysign), EXACT, KEPT),
    "fmod": (lambda h: torch.fmod(h, 0.7), EXACT, KEPT),
    "fmod by numbers of the input": (lambda h: torch.fmod(h[:, :6], h[:, 6:]), EXACT, "Fmod"),
    "remainder": (lambda h: torch.remainder(h, 0.7), EXACT, KEPT),
    "ldexp": (lambda h: torch.ldexp(h, torch.tensor(2)), EXACT, KEPT),
    "zeta": (lambda h: torch.special.zeta(2.0, h.abs() + 1), EXACT, "SpecialZeta"),
    "heaviside": (to_fixed(torch.heaviside), "NotImplemented", "NotImplemented"),
    # factors and limits that depend on the input
    "clamp": (lambda h: h[:, :4].clamp(h[:, 4:8], h[:, 8:].exp()), EXACT, KEPT),
    "clamp, min": (lambda h: h[:, :6].clamp(min=h[:, 6:]), EXACT, KEPT),
    "prelu": (each(lambda r: F.prelu(r, r[:1])), EXACT, KEPT),
    "layer_norm": (each(lambda r: F.layer_norm(r[:4], (4,), r[4:8], r[8:])), EXACT, KEPT),
    "rms_norm": (each(lambda r: F.rms_norm(r[:4], (4,), r[4:8])), EXACT, KEPT),
    "group_norm": (each(lambda r: F.group_norm(r[None, :8].reshape(1, 4, 2), 2, r[8:], r[:4])), EXACT, KEPT),
    "batch_norm": (
        each(
            lambda r: F.batch_norm(
                r[None, :8].reshape(1, 4, 2), OTHER[0, :4], OTHER[0, :4].exp(), r[8:], r[:4]
            )
        ),
        EXACT,
        TAKEN,
    ),
    "instance_norm": (lambda h: F.instance_norm(h.reshape(-1, 2, 6)), EXACT, KEPT),
    "addmm": (lambda h: torch.addmm(h[:, :4], h[:, 4:8], draw(4, 4, seed=26), beta=0.5), EXACT, KEPT),
    "convolution with a bias": (
        each(lambda r: F.conv1d(r[None, :8], draw(1, 1, 3, seed=27), r[8:9])),
        EXACT,
        KEPT,
    ),
    "convolution, all three": (
        each(lambda r: F.conv1d(r[None, :8], r[8:11].reshape(1, 1, 3), r[11:])),
        EXACT,
        KEPT,
    ),
    "baddbmm": (lambda h: torch.baddbmm(*(p.reshape(-1, 2, 2) for p in h.split(4, 1))), EXACT, KEPT),
    # places
    "scatter": (lambda h: h[:, :6].scatter(1, BUCKETS[:2].expand(len(h), 2), h[:, 6:8]), EXACT, KEPT),
    "scatter_reduce, sum": (scattered("sum"), EXACT, KEPT),
    "scatter_reduce, mean": (scattered("mean"), EXACT, KEPT),
    "scatter_reduce, amax": (scattered("amax"), EXACT, KEPT),
    "scatter_reduce, amin": (scattered("amin", own=False), EXACT, KEPT),
    "scatter_reduce, prod": (scattered("prod"), "reduce='prod'", "reduce='prod'"),
    "index_reduce": (lambda h: h[:, :3].index_reduce(1, BUCKETS[:9], h[:, 3:], "amin"), EXACT, KEPT),
    "masked_select": (lambda h: h.masked_select(BUCKETS.expand_as(h) == 0).reshape(len(h), -1), EXACT, KEPT),
    "masked_scatter": (each(lambda r: r[:6].masked_scatter(BUCKETS[:6] == 0, r[6:])), EXACT, KEPT),
    "put": (each(lambda r: r[:6].put(torch.tensor([1, 2]), r[6:8])), EXACT, KEPT),
    "diagonal_scatter": (lambda h: square(h).diagonal_scatter(h[:, 9:], dim1=1, dim2=2), EXACT, KEPT),
    "block_diag": (each(lambda r: torch.block_diag(r[:4].reshape(2, 2), r[4:8].reshape(2, 2))), EXACT, KEPT),
    "segment_reduce": (
        lambda h: torch.segment_reduce(h.t().contiguous(), "sum", lengths=torch.tensor([5, 7])).t(),
        EXACT,
        KEPT,
    ),
    "segment_reduce, max": (
        lambda h: torch.segment_reduce(h.t().contiguous(), "max", lengths=torch.tensor([5, 7])).t(),
        "reduce='max'",
        KEPT,
    ),
    "embedding_bag": (
        each(lambda r: F.embedding_bag(BUCKETS[None, :4], r.reshape(3, 4), mode="mean")),
        EXACT,
        KEPT,
    ),
    "embedding_bag, weights": (
        lambda h: F.embedding_bag(
            BUCKETS[:4].expand(len(h), 4), draw(3, 5, seed=28), per_sample_weights=h[:, :4], mode="sum"
        ),
        EXACT,
        KEPT,
    ),
    "embedding_bag, max": (
        each(lambda r: F.embedding_bag(BUCKETS[None, :4], r.reshape(3, 4), mode="max")),
        "EmbeddingBag",
        "EmbeddingBag",
    ),
    "relative shift": (relative_shift, EXACT, KEPT),
    # pictures
    "max_pool1d": (lambda h: F.max_pool1d(grid(h), 2, 1), EXACT, KEPT),
    "max_pool3d": (lambda h: F.max_pool3d(h.reshape(-1, 1, 2, 2, 3), (1, 2, 2)), EXACT, KEPT),
    "adaptive_max_pool1d": (lambda h: F.adaptive_max_pool1d(grid(h), 3), EXACT, KEPT),
    "fractional_max_pool2d": (
        lambda h: F.fractional_max_pool2d(
            picture(h), 2, output_size=(2, 2), _random_samples=torch.full((len(h), 1, 2), 0.3, dtype=h.dtype)
        ),
        EXACT,
        KEPT,
    ),
    "max_unpool1d": (
        lambda h: F.max_unpool1d(*F.max_pool1d(grid(h), 2, return_indices=True), 2),
        "MaxUnpool2D",
        KEPT,
    ),
    "lp_pool2d": (lambda h: F.lp_pool2d(picture(h), 2, 2), EXACT, KEPT),
    "interpolate": (lambda h: F.interpolate(picture(h), (5, 6), mode="bicubic", antialias=True), EXACT, KEPT),
    "unfold": (lambda h: F.unfold(picture(h), 2), EXACT, KEPT),
    "fold": (lambda h: F.fold(h.reshape(-1, 4, 3), (2, 4), (2, 2), stride=1), EXACT, KEPT),
    "pixel_shuffle": (lambda h: F.pixel_shuffle(h.reshape(-1, 4, 3, 1), 2), EXACT, KEPT),
    "grid_sample": (
        lambda h: F.grid_sample(
            picture(h), OTHER.tanh().reshape(1, 2, 3, 2).expand(len(h), 2, 3, 2), align_corners=False
        ),
        EXACT,
        KEPT,
    ),
    "grid_sample at its own positions": (transformed, EXACT, "GridSampler2D"),
    "grid_sample of a volume": (volume, EXACT, "GridSampler3D"),
    # sequences
    "RNN": (sequence(nn.RNN), EXACT, KEPT),
    "GRU": (sequence(nn.GRU, bidirectional=True), EXACT, KEPT),
    "LSTM": (sequence(nn.LSTM, num_layers=2), EXACT, KEPT),
    "RNN, packed": (sequence(nn.RNN, packed=True), EXACT, KEPT),
    "GRU, packed": (sequence(nn.GRU, packed=True), EXACT, KEPT),
    "LSTM, packed": (sequence(nn.LSTM, packed=True, bidirectional=True), EXACT, KEPT),
    # functions of one number
    "logit": (lambda h: h.sigmoid().logit(1e-3), EXACT, TAKEN),
    "log_ndtr": (torch.special.log_ndtr, EXACT, KEPT),
    "i0e": (torch.special.i0e, EXACT, KEPT),
    "polygamma": (lambda h: torch.polygamma(1, h.abs() + 1), EXACT, TAKEN),
    "frexp": (lambda h: torch.frexp(h)[0], EXACT, KEPT),
    "deg2rad": (torch.deg2rad, EXACT, KEPT),
    "sparse.mm": (
        lambda h: torch.sparse.mm(draw(3, 12, seed=29).to_sparse(), h.t()).t(),
        "SparseAddmm",
        "SparseAddmm",
    ),
}
