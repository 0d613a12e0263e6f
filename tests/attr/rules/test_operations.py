"""What DeepLIFT and LRP make of torch's operations: exact, or refused by name, and nothing wrong without a word."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attriscope.attr import LRP, Deconvolution, DeepLift, GuidedBackprop, LayerDeepLift
from attriscope.attr.rules import DEEPLIFT, LRP_RULES
from attriscope.core.errors import OperationError
from models import draw, with_drawn_parameters
from operation_table import BUCKETS, EXACT, KEPT, TABLE, TAKEN, each, routed

FIRST = draw(6, 12, seed=31)
X, START = draw(3, 6, seed=32), draw(3, 6, seed=33)


def model_of(operation: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def model(x: Tensor) -> Tensor:
        found = operation(x @ FIRST).flatten(1)
        return found @ torch.linspace(-1, 2, found.shape[1], dtype=found.dtype)

    return model


@pytest.mark.parametrize("name", TABLE)
def test_every_operation_is_exact_or_refused(name: str) -> None:
    operation, by_deep_lift, by_lrp = TABLE[name]
    model = model_of(operation)
    start = X * 0.98 + 0.002 if operation is routed else START  # the experts must be the same
    with torch.no_grad():
        change = model(X) - model(start)
    for method, status, given in ((DeepLift, by_deep_lift, {"baselines": start}), (LRP, by_lrp, {})):
        if status not in (EXACT, KEPT, TAKEN):
            with pytest.raises(OperationError, match=status):
                method(model).attribute(X, **given)
            continue
        found, delta = method(model).attribute(X, return_convergence_delta=True, **given)
        assert found.isfinite().all()
        size = found.abs().sum(1)
        if method is DeepLift:
            assert size.max() < 1e3 * change.abs().max()
            assert (delta.abs() < 1e-11 * (size + change.abs())).all()
        elif status == KEPT:
            assert (delta.abs() < 1e-5 * size).all()


@pytest.mark.parametrize("factors", [1, 2, 3, 4, 5])
def test_products_share_as_shapley_values_do(factors: int) -> None:
    x, start = draw(3, factors, seed=34), draw(3, factors, seed=35)
    expected = torch.zeros_like(x)
    for order in itertools.permutations(range(factors)):
        point = start.clone()
        for i in order:
            before = point.prod(1)
            point[:, i] = x[:, i]
            expected[:, i] += (point.prod(1) - before) / math.factorial(factors)
    for spelled in (lambda x: x.prod(1), lambda x: x.cumprod(1)[:, -1]):
        torch.testing.assert_close(DeepLift(spelled).attribute(x, start), expected)
    torch.testing.assert_close(
        LRP(lambda x: x.prod(1)).attribute(x), x.prod(1, keepdim=True).expand_as(x) / factors
    )


def test_long_products_are_refused_and_long_enough_ones_are_not() -> None:
    x, start = 1 + 0.01 * draw(1, 300, seed=36), torch.ones(1, 300, dtype=torch.float64)
    delta = DeepLift(lambda x: x.prod(1)).attribute(x, start, return_convergence_delta=True)[1]
    assert delta.abs().max() < 1e-12
    with pytest.raises(OperationError, match="more than 1024 numbers, but 1100"):
        DeepLift(lambda x: x.prod(1)).attribute(torch.ones(1, 1100))


def test_determinants_share_as_shapley_values_do() -> None:
    x, start = draw(2, 2, 2, seed=37), draw(2, 2, 2, seed=38)
    (a, b, c, d), (a0, b0, c0, d0) = x.flatten(1).T, start.flatten(1).T
    main, cross = (a - a0) * (d + d0) / 2, (d - d0) * (a + a0) / 2
    others = -(b - b0) * (c + c0) / 2, -(c - c0) * (b + b0) / 2
    expected = torch.stack([main, *others, cross], 1).reshape(2, 2, 2)
    torch.testing.assert_close(DeepLift(torch.linalg.det).attribute(x, start), expected)


def test_positions_and_pictures_share_as_shapley_values_do() -> None:
    picture, before = draw(2, 1, 3, 4, seed=39), draw(2, 1, 3, 4, seed=40)
    at, at0 = draw(2, 1, 1, 2, seed=41).tanh(), draw(2, 1, 1, 2, seed=42).tanh()

    def sample(picture: Tensor, at: Tensor) -> Tensor:
        return F.grid_sample(picture, at, align_corners=False).flatten()

    found = DeepLift(sample).attribute((picture, at), (before, at0))
    end, start = sample(picture, at), sample(before, at0)
    by_picture = (end - sample(before, at) + sample(picture, at0) - start) / 2
    torch.testing.assert_close(found[0].sum((1, 2, 3)), by_picture)
    middle = (picture + before) / 2
    across = torch.stack([at[..., 0], at0[..., 1]], -1)
    down = torch.stack([at0[..., 0], at[..., 1]], -1)
    first, last = sample(middle, at0), sample(middle, at)
    by_x = (sample(middle, across) - first + last - sample(middle, down)) / 2
    torch.testing.assert_close(found[1].flatten(1), torch.stack([by_x, last - first - by_x], 1))


def test_the_largest_are_the_maximum_however_spelled() -> None:
    x, start = draw(6, 5, seed=43), draw(6, 5, seed=44)
    for largest, spelled in (
        (lambda x: x.max(1)[0], lambda x: x.topk(1)[0][:, 0]),
        (lambda x: x.max(1)[0], lambda x: x.sort(1)[0][:, -1]),
        (lambda x: x.max(1)[0], lambda x: x.kthvalue(5)[0]),
        (lambda x: x.max(1)[0], lambda x: x.cummax(1)[0][:, -1]),
        (lambda x: x.min(1)[0], lambda x: x.kthvalue(1)[0]),
        (lambda x: x.min(1)[0], lambda x: x.sort(1, descending=True)[0][:, -1]),
    ):
        found = [DeepLift(f).attribute(x, start) for f in (largest, spelled)]
        torch.testing.assert_close(*found)


@pytest.mark.parametrize("largest", [True, False])
def test_sorted_numbers_by_sums(largest: bool) -> None:
    """One sum at a time: the pass in which it is larger says which numbers share its change in proportion."""
    x, start = draw(4, 5, seed=45), draw(4, 5, seed=46)
    for row, before in zip(x, start, strict=True):
        below = torch.zeros(5, dtype=x.dtype)
        for k in range(1, 4 if largest else 3):
            places = [t.argsort(descending=largest)[:k] for t in (row, before)]
            change = row[places[0]].sum() - before[places[1]].sum()
            place = places[0] if (change >= 0) == largest else places[1]
            above = torch.zeros_like(below)
            above[place] = change * (row - before)[place] / (row - before)[place].sum()
            for spelled in (
                lambda x, k=k: x.sort(1, descending=largest)[0][:, k - 1],
                lambda x, k=k: x.sort(1, descending=not largest)[0][:, -k],
                lambda x, k=k: x.topk(k, largest=largest)[0][:, -1],
                lambda x, k=k: x.kthvalue(6 - k if largest else k)[0],
            ):
                found = DeepLift(spelled).attribute(row[None], before[None])
                torch.testing.assert_close(found[0], above - below)
            below = above


def test_multipliers_of_sorted_numbers_are_bounded() -> None:
    x = draw(50, 7, seed=47)
    start = x + 1e-9 * draw(50, 7, seed=48)
    start[:25] = x[:25].flip(1)
    for k in range(7):
        found = DeepLift(lambda x, k=k: x.sort(1)[0][:, k], multiply_by_inputs=False).attribute(x, start)
        assert found.abs().max() <= 1 + 1e-6


def test_activations_of_packages_are_known_by_name() -> None:
    class GeLUFunction(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return F.gelu(x, approximate="tanh")

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                return torch.autograd.grad(F.gelu(x, approximate="tanh"), x, grads[0])[0]

    models = [model_of(f) for f in (GeLUFunction.apply, lambda h: F.gelu(h, approximate="tanh"))]
    with pytest.raises(OperationError, match="GeLUFunction"):
        DeepLift(models[0]).attribute(X)
    GeLUFunction.__module__ = "transformers.models.bloom.modeling_bloom"
    GeLUFunction.__qualname__ = "GeLUFunction"
    for method in (DeepLift, LRP, GuidedBackprop, Deconvolution):
        torch.testing.assert_close(*(method(model).attribute(X) for model in models))


def test_experts_that_are_not_the_same_are_refused() -> None:
    with pytest.raises(OperationError, match="another way"):
        DeepLift(model_of(routed)).attribute(X, START)


CUT: dict[str, Callable[[Tensor], Tensor]] = {
    "clamp": lambda x: x.clamp(min=x.detach().mean(1, keepdim=True)),
    "layer_norm": each(lambda r: F.layer_norm(r, (12,), r.detach().exp())),
    "batch_norm": each(
        lambda r: F.batch_norm(
            r.reshape(1, 4, 3), torch.zeros(4).double(), torch.ones(4).double(), r[:4].detach()
        )
    ),
    "prelu": lambda x: F.prelu(x, x.detach().mean().reshape(1)),
    "atan2": lambda x: torch.atan2(x, x.detach().flip(1)),
    "maximum": lambda x: torch.maximum(x, x.detach().flip(1)),
    "power": lambda x: x.abs() ** x.detach().abs(),
    "where": lambda x: torch.where(x > 0, x, x.detach() * 2),
    "complex": lambda x: torch.complex(x, x.detach().tanh()).abs(),
    "distance": lambda x: torch.cdist(x[:, :, None], x.detach()[:, :, None] * 2),
    "loss": lambda x: F.mse_loss(x, x.detach().tanh(), reduction="none"),
}


@pytest.mark.parametrize("name", CUT)
def test_constants_that_depend_on_the_input_are_refused(name: str) -> None:
    x, start = draw(3, 12, seed=51), draw(3, 12, seed=52)
    with pytest.raises(OperationError, match="not the same for the input and for the baseline"):
        DeepLift(lambda x: CUT[name](x).flatten(1).sum(1)).attribute(x, start)


BETWEEN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "clamp": lambda a, b: a.clamp(min=b),
    "layer_norm": lambda a, b: torch.stack([F.layer_norm(r, (12,), w) for r, w in zip(a, b, strict=True)]),
    "grid_sample": lambda a, b: F.grid_sample(
        a.reshape(-1, 1, 3, 4), b.tanh().reshape(-1, 2, 3, 2), align_corners=False
    ),
    "distance": lambda a, b: torch.cdist(a.reshape(-1, 3, 4), b.reshape(-1, 3, 4)),
    "scatter_reduce": lambda a, b: a[:, :3].scatter_reduce(1, BUCKETS.expand_as(b), b, "amax"),
    "complex": lambda a, b: (torch.complex(a, b) * torch.complex(b, a).exp()).abs(),
    "maximum": torch.maximum,
    "in place": lambda a, b: in_part(a * 1, b),
}


def in_part(a: Tensor, b: Tensor) -> Tensor:
    a[:, 1:5].mul_(b[:, :4])
    return a


class Two(nn.Module):
    """Two layers side by side, and what is made of both."""

    def __init__(self, operation: Any) -> None:
        super().__init__()
        self.a, self.b = (with_drawn_parameters(nn.Linear(6, 12), seed=s).double() for s in (1, 2))
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        found = self.operation(self.a(x), self.b(x)).flatten(1)
        return found @ torch.linspace(-1, 2, found.shape[1], dtype=found.dtype)


@pytest.mark.parametrize("name", BETWEEN)
def test_layers_side_by_side_have_their_shares(name: str) -> None:
    model = Two(BETWEEN[name])
    found = [LayerDeepLift(model, layer).attribute(X, START).sum(1) for layer in ("a", "b")]
    torch.testing.assert_close(found[0] + found[1], (model(X) - model(START)).detach())


def test_positions_that_differ_without_a_gradient_are_refused() -> None:
    def sampled(x: Tensor) -> Tensor:
        at = x[:, :8].tanh().detach().reshape(-1, 2, 2, 2)
        return F.grid_sample(x.reshape(-1, 1, 3, 4), at, align_corners=False).sum((1, 2, 3))

    def reduced(x: Tensor) -> Tensor:
        return x[:, :3].detach().scatter_reduce(1, (torch.arange(12) % 3).expand_as(x), x, "sum").sum(1)

    def copied(x: Tensor) -> Tensor:
        h = x * 1
        h[:, 0] = (x[:, 1] > 0).to(x.dtype)
        return h.square().sum(1)

    x, start = draw(3, 12, seed=49), draw(3, 12, seed=50)
    for model in (sampled, reduced, copied):
        with pytest.raises(OperationError, match="not the same for the input and for the baseline"):
            DeepLift(model).attribute(x, start)


def test_what_draws_in_evaluation_is_told_what_would_do() -> None:
    with pytest.raises(OperationError, match="draws in evaluation mode"):
        DeepLift(lambda x: F.fractional_max_pool2d(x, 2, output_size=2).sum((1, 2, 3))).attribute(
            torch.rand(1, 1, 4, 4)
        )


def test_the_page_says_what_the_tables_hold() -> None:
    page = (Path(__file__).parents[3] / "notebooks" / "pages" / "operations.md").read_text()
    refused = [
        line.split("|")[2:4] for line in page.split("Refused, by the name")[1].splitlines() if "`" in line
    ]
    names = [re.findall(r"`([A-Z]\w+)`", column) for line in refused if len(line) == 2 for column in line]
    both, more = [n for column in names[::2] for n in column], [n for column in names[1::2] for n in column]
    assert len(both) > 15
    assert len(more) > 3
    assert not set(both) & set(DEEPLIFT)
    assert not set(both + more) & set(LRP_RULES)
