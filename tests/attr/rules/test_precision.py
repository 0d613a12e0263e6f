"""DeepLIFT's rules in single and half precision, near, far and saturated, against double precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attriscope.attr import LRP, DeepLift
from attriscope.attr.rules import precision
from models import draw, with_drawn_parameters

WIDTH = 8
WEIGHTS = (0.7, -1.3, 0.4, 1.1, -0.6, 0.9, -0.8, 0.5)
Function = Callable[[Tensor], Tensor]


def anywhere(u: Tensor) -> Tensor:
    return u


def inside(u: Tensor) -> Tensor:
    return u.clamp(-0.99, 0.99)


def above_one(u: Tensor) -> Tensor:
    return 1 + u.abs()


def attend(x: Tensor) -> Tensor:
    q = x.reshape(-1, 1, 2, 4)
    return F.scaled_dot_product_attention(q, q.flip(2), q).flatten(1)


def both(f: Callable[[Tensor, Tensor], Tensor]) -> Function:
    return lambda x: f(x, 0.5 * x.flip(-1))


# Functions and where they are defined.
ALONE: dict[str, tuple[Function, Function]] = {
    **{
        name: (getattr(F, name), anywhere)
        for name in [
            "elu",
            "celu",
            "selu",
            "gelu",
            "silu",
            "mish",
            "hardswish",
            "hardsigmoid",
            "logsigmoid",
            "softplus",
            "softshrink",
            "leaky_relu",
            "relu",
            "relu6",
            "hardtanh",
            "hardshrink",
        ]
    },
    **{
        name: (getattr(torch, name), anywhere)
        for name in [
            "sigmoid",
            "tanh",
            "exp",
            "expm1",
            "exp2",
            "square",
            "sin",
            "cos",
            "tan",
            "atan",
            "sinh",
            "cosh",
            "asinh",
            "erf",
            "erfc",
            "sinc",
            "floor",
            "abs",
        ]
    },
    **{
        name: (getattr(torch, name), torch.abs)
        for name in ["log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal", "lgamma", "digamma"]
    },
    **{name: (getattr(torch.special, name), anywhere) for name in ("i0", "ndtr")},
    "entr": (torch.special.entr, torch.abs),
    "tanh GELU": (lambda x: F.gelu(x, approximate="tanh"), anywhere),
    "cube": (lambda x: x**3, anywhere),
    "power 1.5": (lambda x: x**1.5, torch.abs),
    "power -0.5": (lambda x: x**-0.5, torch.abs),
    "asin": (lambda x: torch.asin(x * 0.5), inside),
    "atanh": (torch.atanh, inside),
    "erfinv": (torch.erfinv, inside),
    "acosh": (torch.acosh, above_one),
    "logit": (torch.logit, lambda u: u.abs().clamp(1e-3, 0.999)),
}
TOGETHER: dict[str, tuple[Function, Function]] = {
    "softmax": (lambda x: x.softmax(-1), anywhere),
    "log_softmax": (lambda x: x.log_softmax(-1), anywhere),
    "logsumexp": (lambda x: x.logsumexp(-1, keepdim=True), anywhere),
    "logsumexp of two": (lambda x: x.reshape(-1, 2, 4).logsumexp((1, 2))[:, None], anywhere),
    "norm": (lambda x: x.norm(dim=-1, keepdim=True), anywhere),
    "norm of 1": (lambda x: torch.linalg.vector_norm(x, 1, -1, keepdim=True), anywhere),
    "norm of 3": (lambda x: torch.linalg.vector_norm(x, 3, -1)[:, None], anywhere),
    "norm of inf": (lambda x: torch.linalg.vector_norm(x, math.inf, -1, keepdim=True), anywhere),
    "norm of -inf": (lambda x: torch.linalg.vector_norm(x, -math.inf, -1, keepdim=True), anywhere),
    "own norm": (lambda x: x.square().sum(-1, keepdim=True).sqrt(), anywhere),
    "std": (lambda x: x.std(-1, keepdim=True), anywhere),
    "var": (lambda x: x.reshape(-1, 2, 4).var((1, 2), correction=0)[:, None], anywhere),
    "layer_norm": (lambda x: F.layer_norm(x, (WIDTH,)), anywhere),
    "group_norm": (lambda x: F.group_norm(x, 2), anywhere),
    "rms_norm": (lambda x: F.rms_norm(x, (WIDTH,), eps=1e-6), anywhere),
    "normalize": (lambda x: F.normalize(x, dim=-1), anywhere),
    "quotient": (both(lambda a, b: a / (b.abs() + 0.1)), anywhere),
    "product": (both(torch.mul), anywhere),
    "hypot": (both(torch.hypot), anywhere),
    "atan2": (both(torch.atan2), anywhere),
    "logaddexp": (both(torch.logaddexp), anywhere),
    "maximum": (both(torch.maximum), anywhere),
    "xlogy": (both(torch.xlogy), torch.abs),
    "power": (both(lambda a, b: a ** b.tanh()), torch.abs),
    "max": (lambda x: x.max(-1, keepdim=True)[0], anywhere),
}
# Of these the model itself rounds what lies between: up to a thousandth where that is large.
IN_PARTS: dict[str, tuple[Function, Function]] = {
    "glu": (F.glu, anywhere),
    "attention": (attend, anywhere),
    "cosine": (
        lambda x: F.cosine_similarity(x, x.flip(-1) * torch.arange(1, WIDTH + 1).to(x))[:, None],
        anywhere,
    ),
    "own softmax": (
        lambda x: (e := (x - x.amax(-1, keepdim=True)).exp()) / e.sum(-1, keepdim=True),
        anywhere,
    ),
    "own RMS norm": (lambda x: x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt(), anywhere),
    "standardised": (
        lambda x: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5),
        anywhere,
    ),
}
OPERATIONS = ALONE | TOGETHER | IN_PARTS


def regimes() -> tuple[Tensor, Tensor]:
    """Inputs and baselines, 4 rows of each kind."""
    a, b = draw(4, WIDTH, seed=11), draw(4, WIDTH, seed=12)
    pairs = [(a * scale, b * scale) for scale in (1e-6, 1e-3, 1.0, 1e3, 1e6)]
    for scale in (1e-6, 1e-2, 1.0, 1e3):
        pairs += [(a * scale, a * scale * (1 + near)) for near in (1e-3, 1e-5)]
    pairs += [(a + offset, b + offset) for offset in (1e3, 1e5)]
    pairs += [(a + offset, b) for offset in (1e3, 1e5)]
    pairs += [(20 + a, 20 + b), (a - 20, b - 20), (20 + a, (20 + a) * (1 + 1e-3))]
    pairs += [(a * scale, torch.zeros_like(a)) for scale in (1e-6, 1.0, 1e3)]
    pairs += [
        (a[:, :1].expand_as(a), 1.5 * a[:, :1].expand_as(a)),
        (torch.zeros_like(a), torch.zeros_like(a)),
    ]
    pairs += [(a, torch.where(b > 0, a, b))]
    return torch.cat([x for x, _ in pairs]), torch.cat([start for _, start in pairs])


def multipliers(f: Function, x: Tensor, start: Tensor) -> Tensor:
    def model(x: Tensor) -> Tensor:
        y = f(x)
        return (y * torch.tensor(WEIGHTS[: y.shape[1]]).to(y)).sum(1)

    # As a function of its own, so that what is not finite is seen here and not refused.
    return DeepLift(model).attribute(x, start, custom_attribution_func=lambda m: m).double()


def rows_in_range(f: Function, x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Those that the type holds, with what the function makes of them."""
    limits = torch.finfo(x.dtype)
    fine = x.abs().amax(1) > (1e3 * limits.tiny if x.dtype == torch.float16 else -1)
    for one in (x, start):
        for y in (one, f(one), f(one.double())):
            fine &= y.isfinite().all(1) & (y.abs().amax(1) < limits.max / 64)
    return x[fine], start[fine]


def worst(f: Function, x: Tensor, start: Tensor) -> tuple[float, float]:
    """How far multipliers of what changes are from those in double precision, and sums from the output's change."""
    wide = x.double(), start.double()
    found, right = multipliers(f, x, start), multipliers(f, *wide)
    y, y0 = (f(one) for one in wide)
    change = wide[0] - wide[1]
    difference = ((y - y0) * torch.tensor(WEIGHTS[: y.shape[1]]).double()).sum(1)
    # The rounding of double precision, and what is below the smallest number, is nothing.
    least = 1e-10 * (y.abs() + y0.abs()).sum(1)
    size = (
        right.abs().amax(1) + least / change.abs().amax(1).clamp(min=1e-300) + 1e3 * torch.finfo(x.dtype).tiny
    )
    sums = (found * change).sum(1) - difference
    total = size * change.abs().amax(1) + difference.abs() + least + 1e-300
    if x.dtype == torch.float16:  # which cannot hold all multipliers
        most = right.abs().amax(1)
        rows = ((most < 1e4) & (most > 1e-2)) | (most == 0)
        found, right, change, size, sums, total = (t[rows] for t in (found, right, change, size, sums, total))
    assert found.isfinite().all()
    assert len(found) >= 8
    off = torch.where(change != 0, (found - right).abs(), 0.0).amax(1) / size
    return float(off.max()), float((sums.abs() / total).max())


TOLERANCES = {torch.float32: 3e-6, torch.float16: 3e-3, torch.bfloat16: 2.5e-2}
# In float16 the model itself goes out of range between the parts; between its zeros, sinc is rounding.
NOT_IN_HALF = {"own norm", "power", "sinc"}


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("name", OPERATIONS)
def test_as_in_double_precision(name: str, dtype: torch.dtype) -> None:
    f, domain = OPERATIONS[name]
    if dtype != torch.float32 and (name in IN_PARTS or name in NOT_IN_HALF):
        return
    x, start = rows_in_range(f, *(domain(one).to(dtype) for one in regimes()))
    off, missing = worst(f, x, start)
    tolerance = {"attention": 3e-2}.get(name, 2e-3) if name in IN_PARTS else TOLERANCES[dtype]
    assert off < tolerance
    assert missing < tolerance


@pytest.mark.parametrize("name", OPERATIONS)
def test_nearly_equal_inputs_give_the_gradient_halfway(name: str) -> None:
    f, domain = OPERATIONS[name]
    x, start = (domain(draw(4, WIDTH, seed=11) * s).float().double() for s in (1.0, 1 + 1e-4))
    halfway = ((x + start) / 2).requires_grad_()
    weights = torch.tensor(WEIGHTS[: f(x).shape[1]]).double()
    (gradient,) = torch.autograd.grad((f(halfway) * weights).sum(), halfway)
    for dtype, tolerance in ((torch.float64, 3e-6), (torch.float32, 1e-5)):
        found = multipliers(f, x.to(dtype), start.to(dtype))
        assert (found - gradient).abs().max() <= tolerance * gradient.abs().max()


def test_a_net_of_four_layers_near_its_baseline() -> None:
    layers = [nn.Linear(WIDTH, 32), nn.GELU(), nn.Linear(32, 32), nn.Tanh(), nn.LayerNorm(32)]
    net = with_drawn_parameters(nn.Sequential(*layers, nn.Linear(32, 32), nn.Softplus(), nn.Linear(32, 3)))
    x = draw(4, WIDTH).float()
    for distance in (1e-2, 1e-3, 1e-4):
        start = x + distance * draw(4, WIDTH, seed=1).float()
        found = DeepLift(net.float(), multiply_by_inputs=False).attribute(x, start, target=1)
        right = DeepLift(net.double(), multiply_by_inputs=False).attribute(
            x.double(), start.double(), target=1
        )
        assert (found - right).abs().max() < 3e-6 * right.abs().max() / min(1, 10 * distance)


class Wavy(torch.autograd.Function):
    """For which there is no other type."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        assert x.dtype != torch.float64
        ctx.save_for_backward(x)
        return 5 + x.sin()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * ctx.saved_tensors[0].cos()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_cannot_be_computed_again_is_the_gradient_as_far_as_rounding_goes(dtype: torch.dtype) -> None:
    x, start = draw(4, WIDTH).to(dtype), draw(4, WIDTH, seed=1).to(dtype)
    unit = torch.finfo(dtype).eps
    for near in (1e-1, 1e-2, 1e-3, 1e-5):
        other = x * (1 + near) if near < 0.1 else start
        found = DeepLift(Wavy.apply, False, rules={Wavy: precision_rule}).attribute(x, other, target=3)[:, 3]
        a, b = x[:, 3].double(), other[:, 3].double()
        right = torch.where(a == b, a.cos(), (a.sin() - b.sin()) / (a - b))
        assert (found - right).abs().max() < (10 * unit / near if near >= 1e-2 else near + 2 * unit)


def precision_rule(step: Any, gradients: Any, incoming: Any) -> Any:
    return [precision.slope(step, gradients[0], incoming[0])]


@pytest.mark.parametrize(
    "name", ["silu", "sigmoid", "softplus", "rsqrt", "leaky_relu", "atan2", "hypot", "logaddexp"]
)
def test_on_a_device_without_double_precision(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    f, domain = OPERATIONS[name]
    x = domain(draw(4, WIDTH)).float()
    right = {near: multipliers(f, x.double(), (x * (1 + near)).double()) for near in (1e-3, 1e-5)}
    monkeypatch.setattr(precision, "widest", lambda device: torch.float32)
    for near, expected in right.items():
        found = multipliers(f, x, x * (1 + near))
        assert (found - expected).abs().max() < 1e-2 * expected.abs().max()


def test_softmax_does_not_see_a_common_shift_and_shares_add_up_to_one() -> None:
    x, start = draw(3, WIDTH, seed=3), draw(3, WIDTH, seed=4)
    for name in ("softmax", "log_softmax", "logsumexp"):
        f, right = TOGETHER[name][0], multipliers(TOGETHER[name][0], x, start)
        for one, other in ((1e3, 0.0), (0.0, -1e5), (1e4, 1e4)):
            found = multipliers(f, x + one, start + other)
            torch.testing.assert_close(found, right, rtol=1e-9, atol=1e-10)
    shares = multipliers(TOGETHER["logsumexp"][0], 30 * x, 30 * start) / WEIGHTS[0]
    assert (shares > 0).all()
    torch.testing.assert_close(shares.sum(1), torch.ones(3).double())


def test_a_quotient_is_bounded_by_what_it_gives() -> None:
    """Numerators and denominators of any size, of one sign: neither part is above twice the larger output."""
    a, a0, b, b0 = (draw(2000, seed=i) * 10 ** (4 * draw(2000, seed=i + 9)) for i in range(4))
    x, start = torch.stack([a, b.abs()], 1), torch.stack([a0, b0.abs()], 1)
    y, y0 = x[:, 0] / x[:, 1], start[:, 0] / start[:, 1]
    limit = torch.maximum(y.abs(), y0.abs()) * (2 + 1e-9)
    inverses = (torch.reciprocal, lambda b: b.square().rsqrt())
    for f in (torch.div, *(lambda a, b, q=q: a * q(b) for q in inverses), lambda a, b: inverses[0](b) * a):
        found = DeepLift(lambda x, f=f: f(x[:, 0], x[:, 1])).attribute(x, start)
        assert (found.abs() <= limit[:, None]).all()
        assert ((found.sum(1) - (y - y0)).abs() <= 1e-12 * limit).all()
        back = DeepLift(lambda x, f=f: f(x[:, 0], x[:, 1])).attribute(start, x)
        torch.testing.assert_close(back, -found)


def test_a_quotient_across_its_pole_takes_both_orders_of_exchange() -> None:
    x, start = torch.tensor([[3.0, 2.0]]).double(), torch.tensor([[1.0, -0.5]]).double()
    found = DeepLift(lambda x: x[:, 0] / x[:, 1]).attribute(x, start)
    torch.testing.assert_close(found, torch.tensor([[-1.5, 5.0]]).double())


NORMALIZED: dict[str, tuple[Function, ...]] = {
    "RMS": (
        lambda x: F.rms_norm(x, (WIDTH,), eps=1e-6),
        lambda x: x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt(),
        lambda x: x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt(),
        lambda x: (x.square().mean(-1, keepdim=True) + 1e-6).sqrt().reciprocal() * x,
        lambda x: x * (x.square().mean(-1, keepdim=True) + 1e-6) ** -0.5,
    ),
    "layer": (
        lambda x: F.layer_norm(x, (WIDTH,)),
        lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt(),
    ),
    "length": (lambda x: F.normalize(x, dim=-1), lambda x: x / x.norm(dim=-1, keepdim=True).clamp(min=1e-12)),
    "deviation": (lambda x: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5),),
}


@pytest.mark.parametrize("name", NORMALIZED)
def test_a_norm_at_a_baseline_of_zero_is_bounded_however_it_is_written(name: str) -> None:
    for scale in (1e-3, 1.0, 1e3):
        x = scale * draw(4, WIDTH)
        first, *others = NORMALIZED[name]
        weights = torch.tensor(WEIGHTS).double()
        right = multipliers(first, x, torch.zeros_like(x)) * x
        size = (first(x).abs() * weights.abs()).sum(1)
        assert (right.abs().amax(1) <= 2 * size).all()
        torch.testing.assert_close(right.sum(1), (first(x) * weights).sum(1))
        for other in others:
            found = multipliers(other, x, torch.zeros_like(x)) * x
            torch.testing.assert_close(found, right, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "name", ["norm", "norm of 3", "norm of inf", "own norm", "std", "normalize", "cosine", "hypot"]
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_rows_of_zeros_in_both_passes_contribute_nothing(name: str, dtype: torch.dtype) -> None:
    x, start = draw(3, WIDTH, dtype=dtype), draw(3, WIDTH, seed=1, dtype=dtype)
    x[1] = start[1] = 0.0
    if name == "std":
        x[1] = start[1] = 2.5
    f = OPERATIONS[name][0]
    found, delta = DeepLift(lambda x: f(x).sum(1)).attribute(x, start, return_convergence_delta=True)
    assert (found[1] == 0).all()
    assert delta.abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["bool", "bias"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
def test_attention_with_a_row_that_sees_nothing(kind: str, dtype: torch.dtype) -> None:
    seen = torch.ones(4, 4, dtype=torch.bool).tril()
    seen[2] = False
    mask = seen if kind == "bool" else torch.zeros(4, 4, dtype=dtype).masked_fill(~seen, -math.inf)
    x, start = draw(2, 3, 1, 4, 8, dtype=dtype), draw(2, 3, 1, 4, 8, seed=1, dtype=dtype)

    def model(rows: list[int]) -> Callable[[Tensor], Tensor]:
        def f(x: Tensor) -> Tensor:
            q, k, v = x.unbind(1)
            return F.scaled_dot_product_attention(q[..., rows, :], k, v, mask[rows]).tanh().flatten(1).sum(1)

        return f

    for method in (DeepLift(model([0, 1, 2, 3])), LRP(model([0, 1, 2, 3]))):
        among = (start,) if isinstance(method, DeepLift) else ()
        found = method.attribute(x, *among)
        without = type(method)(model([0, 1, 3])).attribute(x, *among)
        torch.testing.assert_close(found, without, rtol=1e-2, atol=1e-2 if dtype == torch.float16 else 1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_what_is_masked_with_infinity_in_both_passes_has_no_part(dtype: torch.dtype) -> None:
    x, start = draw(3, WIDTH, dtype=dtype), draw(3, WIDTH, seed=1, dtype=dtype)
    masked = torch.arange(WIDTH) % 3 == 1
    for f in (
        lambda h: IN_PARTS["own softmax"][0](h) @ torch.arange(WIDTH).to(h),
        lambda h: h.softmax(1) @ torch.arange(WIDTH).to(h),
        lambda h: h.logsumexp(1) + h.sigmoid().sum(1) + h.relu().sum(1) + h.max(1)[0],
        lambda h: torch.logaddexp(h, h.roll(1, 1)).exp().sum(1),
    ):
        found, delta = DeepLift(lambda x, f=f: f(x.masked_fill(masked, -math.inf))).attribute(
            x, start, return_convergence_delta=True
        )
        assert (found[:, masked] == 0).all()
        assert delta.abs().max() < 1e-5


def test_small_numbers_change_too() -> None:
    x, start = 1e-12 * draw(3, 4), 1e-12 * draw(3, 4, seed=1)
    for f in (
        lambda h: h * (h > 0),
        lambda h: h.square().sum(1, keepdim=True).sqrt(),
        lambda h: h.max(1)[0][:, None],
    ):
        found, delta = DeepLift(lambda x, f=f: f(x).sum(1)).attribute(x, start, return_convergence_delta=True)
        assert (delta.abs() < 1e-9 * found.abs().sum(1)).all()
