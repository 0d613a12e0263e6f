"""What must hold whatever the numbers are, for numbers that hypothesis chooses."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attriscope import metrics
from attriscope.metrics.similarity import pearson, ranks, spearman
from models import draw, seeded

seeds = st.integers(0, 10_000)
factors = st.floats(0.01, 100)


def curved(x: Tensor) -> Tensor:
    return (x.flatten(1).cumsum(1).sin() * x.flatten(1)).sum(1)


@settings(max_examples=25)
@given(seeds, factors, st.sampled_from(["most", "least", "size"]))
def test_only_the_order_of_attributions_matters(seed: int, factor: float, order: str) -> None:
    x, a = draw(2, 7, seed=seed), draw(2, 7, seed=seed + 1)
    found = metrics.deletion(curved, x, a, order=order).scores
    grown = a.sign() * (factor * a.abs()).expm1() if order == "size" else (a * factor).tanh()
    if (grown.sort(1).values.diff(dim=1) <= 0).any():  # rounding made ties
        return
    torch.testing.assert_close(metrics.deletion(curved, x, grown, order=order).scores, found)


@settings(max_examples=25)
@given(seeds, factors, st.floats(-5, 5))
def test_correlations_are_blind_to_a_factor(seed: int, factor: float, offset: float) -> None:
    x, a = draw(2, 6, seed=seed), draw(2, 6, seed=seed + 1)
    for metric in (metrics.sensitivity_n, metrics.faithfulness_estimate):
        options = {"n": 2} if metric is metrics.sensitivity_n else {}
        one = metric(curved, x, a, replacement=0.5, **options)
        other = metric(curved, x, factor * a + offset, replacement=0.5, **options)
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)
        assert (one.abs() <= 1).all()


@settings(max_examples=40)
@given(seeds, factors, st.integers(1, 40))
def test_concentration_is_blind_to_scale_sign_and_place(seed: int, factor: float, size: int) -> None:
    a = draw(3, size, seed=seed)
    moved = -factor * a[:, torch.randperm(size, generator=seeded(seed))]
    for metric in (metrics.sparseness, metrics.entropy):
        torch.testing.assert_close(metric(moved), metric(a))
    assert (metrics.sparseness(a) >= -1e-12).all()
    assert (metrics.sparseness(a) <= 1 - 1 / size + 1e-12).all()
    assert (metrics.entropy(a) <= torch.tensor(float(size)).log() + 1e-9).all()


@settings(max_examples=40)
@given(seeds)
def test_what_is_inside_and_outside_makes_the_whole(seed: int) -> None:
    a = draw(3, 2, 4, 5, seed=seed)
    masks = torch.rand(3, 4, 5, generator=seeded(seed)) > 0.5
    masks[:, 0, 0], masks[:, 3, 4] = True, False
    for sign in ("positive", "absolute"):
        both = sum(metrics.relevance_mass_accuracy(a, m, sign=sign) for m in (masks, ~masks))
        torch.testing.assert_close(both, torch.ones(3))
    assert torch.equal(metrics.pointing_game(a, masks) + metrics.pointing_game(a, ~masks), torch.ones(3))
    assert torch.equal(metrics.pointing_game(a, masks, tolerance=5), torch.ones(3))


@settings(max_examples=40)
@given(seeds, st.integers(2, 30), st.integers(1, 4))
def test_ranks_with_ties(seed: int, size: int, levels: int) -> None:
    """As counted one by one: below, and half of the others alike."""
    values = torch.randint(levels, (2, size), generator=seeded(seed)).double()
    for row, found in zip(values.tolist(), ranks(values).tolist(), strict=True):
        expected = [sum(w < v for w in row) + (sum(w == v for w in row) - 1) / 2 for v in row]
        assert found == expected
    assert (spearman(values, draw(2, size, seed=seed)).abs() <= 1).all()
    assert (pearson(values, values) <= 1).all()


@settings(max_examples=25)
@given(seeds, st.floats(0.05, 0.95))
def test_imputation_stays_within_what_is_known(seed: int, share: float) -> None:
    """A weighted mean of neighbours is never above the highest or below the lowest of them."""
    x = draw(2, 1, 7, 8, seed=seed)
    keep = torch.rand(2, 1, 7, 8, generator=seeded(seed)) > share
    keep[:, :, 3, 3] = True
    found = metrics.impute_linearly(x, keep)
    for i in range(2):
        known = x[i][keep[i]]
        assert found[i].max() <= known.max() + 1e-5
        assert found[i].min() >= known.min() - 1e-5


@settings(max_examples=25)
@given(seeds, st.integers(1, 3), st.integers(1, 3), st.integers(0, 5))
def test_grids_never_mix_classes(seed: int, down: int, across: int, extra: int) -> None:
    classes = down * across + extra
    labels = torch.randint(classes, (40,), generator=seeded(seed))
    labels[:classes] = torch.arange(classes)
    pictures = labels.double().reshape(-1, 1, 1, 1).expand(-1, 1, 2, 3)
    games = metrics.grid_pointing_games(pictures, labels, size=(down, across), generator=seeded(seed + 1))
    for grid, mask, target in zip(games.inputs, games.masks, games.targets, strict=True):
        assert (grid[mask] == target).all()
        assert not (grid[~mask] == target).any()
        assert grid.unique().numel() == down * across
