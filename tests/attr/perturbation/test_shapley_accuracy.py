"""How near the samplers come to exact Shapley values, how well they know it, and the parts that do it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attriscope.attr import KernelShap, ShapleyValueSampling
from attriscope.attr.perturbation._coalitions import spread_pairs
from attriscope.attr.perturbation._kriging import table
from attriscope.attr.perturbation.shapley import even_orders
from games import GAMES, Game, shapley_values
from models import draw, seeded

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

SAMPLERS = pytest.mark.parametrize("method", [ShapleyValueSampling, KernelShap])


# --- accuracy -------------------------------------------------------------------------------------------------------


def captums(game: Game, values: Tensor, rows: int, generator: torch.Generator) -> Tensor:
    """What Captum's KernelShap computes: coalitions with replacement, a regression with heavily weighted ends."""
    count = game.features
    sizes = torch.arange(1, count).double()
    size = (
        torch.multinomial(1 / (sizes * (count - sizes)), rows - 2, replacement=True, generator=generator) + 1
    )
    inside = torch.rand(rows - 2, count, generator=generator).argsort(1).argsort(1) < size[:, None]
    number = torch.cat([torch.tensor([2**count - 1, 0]), (inside.long() << torch.arange(count)).sum(1)])
    x = torch.cat([(number[:, None] >> torch.arange(count)) & 1, torch.ones(rows, 1)], 1).double()
    root = torch.ones(rows, 1, dtype=torch.float64)
    root[:2] = 1000
    return torch.linalg.lstsq(x * root, values[number, None] * root, driver="gelsd").solution[:count, 0]


def captums_sampling(game: Game, values: Tensor, orders: int, generator: torch.Generator) -> Tensor:
    """What Captum's ShapleyValueSampling computes: the mean over random orders."""
    count = game.features
    order = torch.rand(orders, count, generator=generator).argsort(1)
    number = torch.cat([torch.zeros(orders, 1).long(), (1 << order).cumsum(1)], 1)
    changes = values[number].diff(dim=1)
    return torch.zeros_like(changes).scatter_(1, order, changes).mean(0)


@SAMPLERS
@pytest.mark.parametrize("per_feature", [4, 16])
def test_several_times_as_accurate_as_captum(method: Any, per_feature: int) -> None:
    """At equal rows; tests/benchmarks/bench_accuracy.py runs Captum itself, and more of everything."""
    ratios = {}
    for game in GAMES:
        rows, seeds = per_feature * game.features, 20
        if rows >= 2**game.features:
            continue
        values = game.values()
        truth = shapley_values(values)
        mine = theirs = 0.0
        kernel = method is KernelShap
        for seed in range(seeds):
            found = method(game.function).attribute(
                game.inputs,
                game.baselines,
                n_samples=rows if kernel else per_feature,
                generator=seeded(seed),
            )
            mine += float((found[0] - truth).square().mean())
            for i in range(4):
                generator = seeded(10 * seed + i)
                other = (
                    captums(game, values, rows, generator)
                    if kernel
                    else captums_sampling(game, values, per_feature, generator)
                )
                theirs += float((other - truth).square().mean()) / 4
        ratios[game.name] = mine / theirs
    assert len(ratios) >= 10
    assert max(ratios.values()) < 1, ratios
    assert sum(ratios.values()) / len(ratios) < (1 / 3 if per_feature == 4 else 0.15), ratios
    assert math.prod(max(r, 1e-6) for r in ratios.values()) ** (1 / len(ratios)) < 0.1, ratios


@SAMPLERS
@pytest.mark.parametrize("per_feature", [4, 16])
def test_errors_cover_the_truth_about_as_often_as_they_say(method: Any, per_feature: int) -> None:
    """68 and 95 of 100 times; an error of half or twice the size would fail."""
    within_one = within_two = total = 0.0
    for game in GAMES:
        truth = game.shapley_values()
        rough = truth.abs().max() < 1e-9 or game.name.startswith(
            ("neighbours", "odd tanh")
        )  # exact, or nearly
        if per_feature * game.features >= 2**game.features or rough:
            continue
        for seed in range(3):
            samples = per_feature * (game.features if method is KernelShap else 1)
            found = method(game.function).estimate(
                game.inputs, game.baselines, n_samples=samples, generator=seeded(seed)
            )
            z = (found.attributions[0] - truth).abs() / found.error[0]
            within_one += float((z < 1).double().sum())
            within_two += float((z < 1.96).double().sum())
            total += len(z)
    assert total > 250
    assert 0.58 < within_one / total < 0.82
    assert 0.88 < within_two / total < 0.99


@pytest.mark.parametrize(
    ("method", "features", "samples"),
    [
        *((KernelShap, 60, n) for n in (300, 900)),
        *((KernelShap, 150, n) for n in (200, 800, 1500, 5000)),
        *((ShapleyValueSampling, 60, n) for n in (4, 25)),
        *((ShapleyValueSampling, 150, n) for n in (3, 30)),
        *((ShapleyValueSampling, 520, n) for n in (2, 20)),  # the mean over orders
    ],
)
def test_many_features(method: Any, features: int, samples: int) -> None:
    """Products of three features, which share each product equally; from too few rows to several folds of them."""
    generator = seeded(5)
    triples = torch.stack([torch.randperm(features, generator=generator)[:3] for _ in range(4 * features)])
    strength = torch.randn(len(triples), generator=generator, dtype=torch.float64)
    x = draw(2, features, seed=3)

    def f(x: Tensor) -> Tensor:
        return x.sum(1) + x[:, triples].prod(2) @ strength

    shares = (x[:, triples].prod(2) * strength / 3)[:, :, None].expand(-1, -1, 3).flatten(1)
    truth = x.clone().index_add_(1, triples.flatten(), shares)
    rows = samples if method is KernelShap else samples * (features - 1) + 2
    found = method(f).estimate(x, n_samples=samples, generator=seeded(1))
    assert found.evaluations <= 2 * rows
    torch.testing.assert_close(found.attributions.sum(1), f(x).float(), rtol=1e-4, atol=1e-3)
    away = found.attributions.double() - truth
    if found.error is not None:
        assert 0.85 < float((away.abs() <= 1.96 * found.error).double().mean()) < 0.995
        assert 0.55 < float((away.abs() <= found.error).double().mean()) < 0.85
    else:
        assert samples in (200, 2)
    # Always nearer than equal parts, which is what is known without any coalition.
    equal = (truth.sum(1, keepdim=True) / features - truth).square().mean()
    assert away.square().mean() < (0.95 if rows < 3 * features else 0.3) * equal


@pytest.mark.parametrize("odd", [False, True])
def test_orders_of_very_many_features_come_in_pairs_unless_the_model_is_odd(odd: bool) -> None:
    """There a reversed order says the same as the order itself."""
    x, rows = draw(1, 513).abs(), list[Tensor]()

    def f(y: Tensor) -> Tensor:
        rows.extend((y == x).cpu())
        z = y.sum(1) / 20
        return z.sin() if odd else z.cos() + z

    ShapleyValueSampling(f).attribute(x, -x, n_samples=12, generator=seeded(0))
    assert len(rows) == 12 * 512 + 2
    chains = torch.stack(rows[2:]).reshape(12, 512, 513)
    turned = [bool((chains[i + 1] == ~chains[i].flip(0)).all()) for i in range(0, 12, 2)]
    assert turned == [True] * 4 + [not odd] * 2
    assert bool((chains.sum(2) == torch.arange(1, 513)).all())
    assert bool((chains[:, 1:] >= chains[:, :-1]).all())


def test_a_single_order_tells_no_error() -> None:
    x = draw(1, 9)
    for samples in (1, 2):
        assert ShapleyValueSampling(lambda x: x.prod(1)).estimate(x, n_samples=samples).error is None
    assert KernelShap(lambda x: x.prod(1)).estimate(x, n_samples=2).error is None


# --- parts ----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 9), st.integers(0, 300), st.integers(0, 99))
def test_pairs_are_distinct_and_proper(count: int, most: int, seed: int) -> None:
    found = spread_pairs(count, most, seeded(seed))
    assert found.shape == (min(most, 2 ** (count - 1) - 1), count)
    both = [tuple(r) for r in torch.cat([found, ~found]).tolist()]
    assert len(set(both)) == len(both)
    assert all(0 < sum(r) < count for r in both)


@pytest.mark.parametrize(("count", "most"), [(12, 60), (20, 300), (40, 100), (200, 50)])
def test_sizes_come_equally_often(count: int, most: int) -> None:
    """Until the coalitions of a size are used up; of every beginning of the list."""
    found = torch.cat([spread_pairs(count, most, seeded(s)) for s in range(20)]).reshape(20, -1, count)
    for part in (found, found[:, : most // 2]):
        size = part.sum(2).flatten()
        small = torch.minimum(size, count - size)
        share = torch.bincount(small, minlength=count // 2 + 1)[1:].double() / len(part)
        limit = torch.tensor([math.comb(count, k) / (1 + (2 * k == count)) for k in range(1, count // 2 + 1)])
        open_ = limit > 2 * share.max()
        weight = torch.ones(count // 2, dtype=torch.float64)
        weight[-1] = 0.5 if count % 2 == 0 else 1
        each = (share / weight)[open_]
        assert each.max() < 1.6 * each.min() + 1
        # Each member of a pair with equal chance.
        assert abs((size < count / 2).double().mean() - (size > count / 2).double().mean()) < 0.1


@given(st.integers(1, 7), st.integers(1, 30), st.integers(0, 99))
def test_orders_are_even(count: int, number: int, seed: int) -> None:
    found = even_orders(count, number, seeded(seed))
    assert torch.equal(found.sort(1).values, torch.arange(count).expand(number, -1))
    for start in range(0, number - count + 1, count):
        assert torch.equal(
            found[start : start + count].sort(0).values, torch.arange(count)[:, None].expand(-1, count)
        )


def test_the_polynomials_are_means_of_signs() -> None:
    for count, degree in itertools.product(range(1, 7), range(7)):
        found = table(count, degree)
        for x in range(count + 1):
            signs = [
                math.prod(-1 if i < x else 1 for i in chosen)
                for chosen in itertools.combinations(range(count), degree)
            ]
            assert float(found[x]) == pytest.approx(sum(signs) / len(signs) if signs else 0, abs=1e-12)
