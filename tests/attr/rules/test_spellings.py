"""LRP of functions that are written out by hand, and where its ratios have nothing to hold on to."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attriscope.attr import LRP, LayerLRP
from attriscope.attr.lrp_rules import (
    Alpha1_Beta0_Rule,
    AlphaBetaRule,
    EpsilonRule,
    GammaRule,
    IdentityRule,
    PropagationRule,
)
from attriscope.attr.rules import linear
from models import draw, with_drawn_parameters
from spellings import NUMBERS, SPELLINGS, Function, graph_softmax, sigmoid, softmax, tanh_gelu

HALF = (torch.float16, torch.bfloat16)


def between(f: Function, dtype: torch.dtype = torch.float64) -> Function:
    """A function of rows of 6 with a layer before, which has a bias, and one after."""
    before, bias = draw(5, 6, seed=1).to(dtype), draw(6, seed=2).to(dtype)

    def net(x: Tensor) -> Tensor:
        y = f(x @ before + bias)
        return y @ draw(y.shape[-1], 3, seed=3).to(dtype)

    return net


def worst(found: Tensor, expected: Tensor) -> float:
    """The largest difference, by the largest number that is expected."""
    return float((found.double() - expected.double()).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_has_the_relevance_of_the_first(name: str) -> None:
    x = draw(4, 5)
    first, *others = SPELLINGS[name]
    expected = LRP(between(first)).attribute(x, target=1)
    for i, other in enumerate(others, 1):
        torch.testing.assert_close(between(other)(x), between(first)(x), rtol=1e-4, atol=1e-4)
        assert worst(LRP(between(other)).attribute(x, target=1), expected) < 1e-6, f"spelling {i}"
    for i, f in enumerate(SPELLINGS[name]):
        found = LRP(between(f, torch.float32)).attribute(x.float(), target=1)
        assert worst(found, expected) < 2e-4, f"spelling {i} in single precision"


def composed(names: tuple[str, ...], spelling: int, way: str) -> Function:
    """Functions of one number after one another, each in its n-th spelling."""
    layers = [draw(6, 6, seed=i) for i in range(len(names) + 1)]

    def net(x: Tensor) -> Tensor:
        h = x if way == "nothing between" else x @ layers[-1]
        for name, layer in zip(names, layers, strict=False):
            y = NUMBERS[name][min(spelling, len(NUMBERS[name]) - 1)](h)
            h = {"a sum": h + y, "a layer": y @ layer, "taken twice": y + y @ layer}.get(way, y)
        return h @ layers[-1]

    return net


WAYS = ("nothing between", "a layer", "a sum", "taken twice")
CHAINS = (
    ("GELU", "sigmoid"),
    ("hard sigmoid", "softplus"),
    ("ReLU6", "log sigmoid"),
    ("SiLU", "tanh", "GELU by tanh"),
)


@pytest.mark.parametrize("names", CHAINS, ids="-".join)
@pytest.mark.parametrize("way", WAYS)
def test_spellings_in_a_row(names: tuple[str, ...], way: str) -> None:
    x = draw(4, 6)
    x[:, ::2] = 0
    expected = LRP(composed(names, 0, way)).attribute(x, target=1)
    for spelling in (1, 2, 3):
        found = LRP(composed(names, spelling, way)).attribute(x, target=1)
        assert worst(found, expected) < 1e-6


class Written(nn.Module):
    """A function as a module."""

    def __init__(self, f: Function) -> None:
        super().__init__()
        self.f = f

    def forward(self, x: Tensor) -> Tensor:
        return self.f(x)


def test_layers_between_written_functions() -> None:
    layers = [with_drawn_parameters(nn.Linear(6, 6)).double() for _ in range(3)]
    one, other = (
        nn.Sequential(layers[0], Written(gelu), layers[1], Written(gate), layers[2])
        for gelu, gate in ((lambda x: F.gelu(x, approximate="tanh"), torch.sigmoid), (tanh_gelu, sigmoid))
    )
    x = draw(4, 6)
    for i in range(5):
        expected = LayerLRP(one, one[i]).attribute(x, target=1)
        torch.testing.assert_close(LayerLRP(other, other[i]).attribute(x, target=1), expected)


@pytest.mark.parametrize("written", [softmax, graph_softmax])
def test_a_written_softmax_weighs_and_gets_nothing(written: Function) -> None:
    x, query, value = draw(2, 5, 4), draw(4, seed=1), draw(4, 3, seed=2)
    found, delta = LRP(lambda x: (written(x @ query)[..., None] * (x @ value)).sum(1)).attribute(
        x, target=1, return_convergence_delta=True
    )
    weights = (x @ query).softmax(1)[..., None]
    torch.testing.assert_close(found, weights * x * value[:, 1])
    torch.testing.assert_close(delta, torch.zeros(2).double(), rtol=0, atol=1e-12)


def test_offsets_that_are_not_of_the_function_stay_apart() -> None:
    x, weight, bias = draw(4, 6), draw(6, 6, seed=1), draw(6, seed=2)
    slopes = draw(6, seed=4)
    pairs: list[tuple[Function, Function]] = [
        # A bias keeps its part, however it is added, below a written function as below a fused one.
        (
            lambda x: F.silu(F.linear(x, weight, bias)),
            lambda x: (x @ weight.t() + bias) * sigmoid(x @ weight.t() + bias),
        ),
        # So does what is subtracted from logits number by number.
        (lambda x: (x - slopes).softmax(-1), lambda x: softmax(x - slopes)),
    ]
    for one, other in pairs:
        torch.testing.assert_close(LRP(other).attribute(x, target=1), LRP(one).attribute(x, target=1))
    shifted = LRP(lambda x: 2 * x + 3).attribute(x, target=1)
    torch.testing.assert_close(shifted, 2 * x * F.one_hot(torch.tensor(1), 6))
    shared = LRP(lambda x: F.relu(x) * x.flip(1)).attribute(x, target=1)
    assert float(shared.sum()) == pytest.approx(float((F.relu(x) * x.flip(1))[:, 1].sum()))


def test_rules_of_ones_own_go_before() -> None:
    x = draw(3, 4)
    gelu = NUMBERS["GELU"][1]
    found = LRP(gelu, rules={"Erf": linear}).attribute(x, target=1)
    # Half by the factor x; half by the other, of which the number 1 keeps its part and erf passes its slope.
    t = x[:, 1]
    slope = 2 / math.sqrt(math.pi) * torch.exp(-t * t / 2) / math.sqrt(2)
    expected = 0.25 * t * (1 + torch.erf(t / math.sqrt(2))) + 0.25 * t * slope * t
    torch.testing.assert_close(found[:, 1], expected)


SMALL: dict[str, Function] = {
    "norm": lambda x: x.norm(dim=-1),
    "norm of order 3": lambda x: x.norm(p=3, dim=-1),
    "standard deviation": lambda x: x.std(-1),
    "root of squares": lambda x: (x * x).sum(-1).sqrt(),
    "reciprocal": lambda x: x.reciprocal().sum(-1),
    "negative power": lambda x: (x**-2).sum(-1),
    "rsqrt": lambda x: x.abs().rsqrt().sum(-1),
    "normalize": lambda x: F.normalize(x, eps=0, dim=-1).sum(-1),
    "sigmoid": lambda x: x.sigmoid().sum(-1),
    "exp": lambda x: (x / x.abs().amax()).exp().sum(-1),
    "softplus": lambda x: F.softplus(x).sum(-1),
    "log-sum-exp": lambda x: x.logsumexp(-1),
    "logarithm": lambda x: x.abs().log().sum(-1),
    "GELU": lambda x: F.gelu(x).sum(-1),
    "written sigmoid": lambda x: sigmoid(x).sum(-1),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", SMALL)
def test_relevance_is_conserved_in_any_units(name: str, dtype: torch.dtype) -> None:
    for unit in (1e-6, 1e-3, 1.0, 1e3, 1e6):
        x = (draw(4, 6) * unit).to(dtype)
        found = LRP(SMALL[name]).attribute(x)
        sizes = found.abs().sum(1)
        expected = SMALL[name](x)
        if expected.isfinite().all():
            assert float(((found.sum(1) - expected).abs() / sizes).max()) < (
                1e-9 if dtype == torch.float64 else 1e-5
            )


@pytest.mark.parametrize("name", [n for n in SPELLINGS if n not in ("normalize", "standard deviation")])
def test_relevance_stays_bounded_at_zero(name: str) -> None:
    """The layer before gives exact zeros out of large numbers that cancel."""
    x = torch.tensor([[1.0, -1.0, 2.0], [0.5, -0.5, 1.0]]).double()
    weight = torch.cat([torch.ones(2, 6), torch.linspace(-1, 1, 6)[None] * (torch.arange(6) % 2)]).double()
    assert (x @ weight == 0).any()
    for f in SPELLINGS[name]:
        found = LRP(lambda x, f=f: f(x @ weight).sum(1)).attribute(x)
        assert float(found.abs().max()) < 1e3


OPERATIONS: dict[str, Function] = {
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "softplus": F.softplus,
    "log sigmoid": F.logsigmoid,
    "hard sigmoid": F.hardsigmoid,
    "cosine": torch.cos,
    "softmax": lambda x: x.softmax(-1),
    "log-softmax": lambda x: x.log_softmax(-1),
    "log-sum-exp": lambda x: x.logsumexp(-1, keepdim=True),
    "written sigmoid": sigmoid,
    "written softmax": softmax,
    "written GELU": tanh_gelu,
    "standard deviation": lambda x: x / x.std(-1, keepdim=True),
    "layer norm": lambda x: F.layer_norm(x, (6,)),
}


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", OPERATIONS)
def test_half_precision(name: str, dtype: torch.dtype) -> None:
    f = OPERATIONS[name]
    for unit in (1e-3, 1.0):
        x = (draw(4, 6) * unit).to(dtype)
        x[:, 2] = 0
        found = LRP(lambda x: f(x)[:, :1].sum(1)).attribute(x)
        expected = LRP(lambda x: f(x)[:, :1].sum(1)).attribute(x.double())
        assert worst(found, expected) < (5e-3 if dtype == torch.float16 else 3e-2)


def net(dtype: torch.dtype) -> Any:
    torch.manual_seed(1)
    layers = (
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
    )
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(144, 3)).eval().to(dtype)


MODULE_RULES: tuple[PropagationRule, ...] = (
    EpsilonRule(0.1), GammaRule(), Alpha1_Beta0_Rule(), AlphaBetaRule(), AlphaBetaRule(2.0, 1.0), IdentityRule(),
)  # fmt: skip


def with_rule(model: Any, rule: PropagationRule) -> Any:
    for i in (2,) if isinstance(rule, IdentityRule) else (0, 3, 6):
        model[i].rule = rule
    return model


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("rule", MODULE_RULES, ids=repr)
def test_module_rules_in_half_precision(rule: PropagationRule, dtype: torch.dtype) -> None:
    model = with_rule(net(dtype), rule)
    x = draw(3, 2, 6, 6).to(dtype)
    weights = [p.clone() for p in model.parameters()]
    found = LRP(model).attribute(x, target=1)
    expected = LRP(with_rule(copy.deepcopy(model).double(), rule)).attribute(x.double(), target=1)
    assert worst(found, expected) < (5e-3 if dtype == torch.float16 else 5e-2)
    assert all(
        torch.equal(p, w) and p.dtype == dtype for p, w in zip(model.parameters(), weights, strict=True)
    )


class Inner(nn.Module):
    """A module around another, of which it gives the first tensor."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x)
        return y[0] if isinstance(y, tuple) else y


@pytest.mark.parametrize("kind", ["recurrent", "layers"])
def test_a_rule_on_a_module_with_parts_in_half_precision(kind: str) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(3), nn.Tanh()).eval()
    inner = nn.LSTM(6, 4, batch_first=True) if kind == "recurrent" else layers
    model: Any = nn.Sequential(Inner(inner), nn.Flatten(), nn.Linear(12, 2)).to(torch.bfloat16)
    model[0].rule = EpsilonRule(1e-3)
    x = draw(2, 3, 6).to(torch.bfloat16)
    found = LRP(model).attribute(x, target=1)
    expected = LRP(copy.deepcopy(model).double()).attribute(x.double(), target=1)
    assert worst(found, expected) < 5e-2


@pytest.mark.parametrize("rule", [GammaRule(), Alpha1_Beta0_Rule(), AlphaBetaRule()], ids=repr)
def test_module_rules_have_no_units(rule: PropagationRule) -> None:
    x = draw(3, 2, 6, 6)

    def relevance(unit: float) -> Tensor:
        model = net(torch.float64)
        with torch.no_grad():
            for i in (0, 3, 6):
                model[i].bias.zero_()
            model[2].running_mean.zero_()
            model[2].weight.mul_(unit)
        return LRP(with_rule(model, rule)).attribute(x, target=1) / unit

    torch.testing.assert_close(relevance(1e-9), relevance(1.0), rtol=1e-6, atol=1e-9)


MASKS: dict[str, Callable[[Tensor], Tensor]] = {
    "booleans": lambda seen: seen,
    "numbers": lambda seen: torch.zeros(seen.shape).double().masked_fill(~seen, -math.inf),
}


@pytest.mark.parametrize("kind", MASKS)
def test_attention_over_nothing(kind: str) -> None:
    seen = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    seen[0, :, 2] = False
    seen[1] = False
    weights = [draw(6, 6, seed=i) for i in range(3)]

    def attend(x: Tensor) -> Tensor:
        query, key, value = ((x @ w)[:, None] for w in weights)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=MASKS[kind](seen))[:, 0].sum(1)

    x = draw(2, 4, 6)
    found = LRP(attend).attribute(x, target=1)
    torch.testing.assert_close(found.sum((1, 2)), attend(x)[:, 1])
    assert not found[1].any()


def test_divisors_get_nothing_even_where_their_slope_is_infinite() -> None:
    x = torch.cat([torch.ones(1, 6), torch.zeros(1, 6)]).double()
    for scale in (
        lambda x: x.std(-1, keepdim=True),
        lambda x: x.norm(dim=-1, keepdim=True),
        lambda x: (x - x.mean(-1, keepdim=True)).square().sum(-1, keepdim=True).sqrt(),
        lambda x: x.square().sum(-1, keepdim=True) ** 0.25,
    ):
        found = LRP(lambda x, scale=scale: x / (1 + scale(x))).attribute(x, target=1)
        expected = x / (1 + scale(x)) * F.one_hot(torch.tensor(1), 6)
        torch.testing.assert_close(found, expected)


def _squares(f: Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor]) -> tuple[Function, Function]:
    """A function of matrices of 3 x 3, as written, and with a factor of one where LRP would recognise a part."""

    def net(hide: Callable[[Tensor], Tensor]) -> Function:
        return lambda x: f((x @ draw(9, 9, seed=1)).reshape(-1, 3, 3), hide).flatten(1) @ draw(9, 2, seed=2)

    return net(lambda t: t), net(lambda t: t * 1.0)


def _log_of_sum_below(h: Tensor, m: Tensor) -> Tensor:
    return torch.log(torch.exp(h - m).sum(-1, keepdim=True))


NO_SOFTMAXES: dict[str, Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor]] = {
    "of other rows": lambda h, hide: h - hide(torch.logsumexp(h, -1)).unsqueeze(1),
    "written, of other rows": lambda h, hide: h - hide(h.exp().sum(-1).log()).unsqueeze(1),
    "expanded": lambda h, hide: h - hide(torch.logsumexp(h, -1)).unsqueeze(1).expand(-1, 3, -1),
    "transposed": lambda h, hide: h - hide(torch.logsumexp(h, -1, keepdim=True)).mT,
    "twice": lambda h, hide: torch.sub(h, hide(torch.logsumexp(h, -1, keepdim=True)), alpha=2),
    "maximum of columns": lambda h, hide: _log_of_sum_below(h, m := hide(h.amax(1, keepdim=True))) + m,
    "maximum transposed": lambda h, hide: _log_of_sum_below(h, m := hide(h.amax(-1, keepdim=True))) + m.mT,
    "maximum of the example": lambda h, hide: (
        _log_of_sum_below(h, hide(h.amax(-1, keepdim=True))) + hide(h.amax((1, 2), keepdim=True))
    ).expand_as(h),
    "maximum twice": lambda h, hide: torch.add(
        _log_of_sum_below(h, m := hide(h.amax(-1, keepdim=True))), m, alpha=2
    ).expand_as(h),
}


@pytest.mark.parametrize("name", NO_SOFTMAXES)
def test_what_only_looks_like_a_softmax_follows_the_rules_of_its_operations(name: str) -> None:
    """A log-sum-exp of other rows, or an offset that is not the one that was subtracted, is no log-softmax."""
    written, hidden = _squares(NO_SOFTMAXES[name])
    x = draw(2, 9)
    torch.testing.assert_close(LRP(written).attribute(x, target=1), LRP(hidden).attribute(x, target=1))


class _Softmax(nn.Module):
    """A softmax or its logarithm, with a layer inside."""

    def __init__(self, log: bool) -> None:
        super().__init__()
        self.before, self.inner, self.log = nn.Linear(5, 6), nn.Identity(), log

    def forward(self, x: Tensor) -> Tensor:
        h = self.before(x)
        if self.log:
            return (self.inner(h) - h.exp().sum(-1, keepdim=True).log()) @ draw(6, 3, seed=3)
        e = self.inner(torch.exp(h - h.amax(-1, keepdim=True)))
        return e / e.sum(-1, keepdim=True) @ draw(6, 3, seed=3)


@pytest.mark.parametrize("log", [False, True])
def test_the_relevance_of_a_layer_does_not_depend_on_a_second_one_within_a_written_softmax(log: bool) -> None:
    model, x = with_drawn_parameters(_Softmax(log)).double(), draw(4, 5)
    layers = [model.before, model.inner]
    together, deltas = LayerLRP(model, layers).attribute(x, target=1, return_convergence_delta=True)
    for layer, found, delta in zip(layers, together, deltas, strict=True):
        torch.testing.assert_close(found, LayerLRP(model, layer).attribute(x, target=1))
        assert delta.abs().max() < 1e-12
