"""Numbers that a linear model, or a reader, knows beforehand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from attriscope.metrics import (
    comprehensiveness,
    faithfulness_correlation,
    faithfulness_estimate,
    monotonicity,
    sensitivity_n,
    sufficiency,
)
from models import draw, seeded

WEIGHTS = torch.tensor([4.0, 3.0, 2.0, 1.0], dtype=torch.float64)


def linear(x: Tensor) -> Tensor:
    return x @ WEIGHTS


def curved(x: Tensor) -> Tensor:
    return (x[:, 0] * x[:, 1] + x[:, 2].exp() - x[:, 3].square()).tanh()


def test_rationales_of_a_linear_model_by_hand() -> None:
    """The top quarter is worth 4 of 10, the top half 7; of one feature at least, however small the share."""
    x = torch.ones(1, 4, dtype=torch.float64)
    assert comprehensiveness(linear, x, WEIGHTS[None], fractions=(0.25, 0.5)).tolist() == [(4 + 7) / 2]
    assert sufficiency(linear, x, WEIGHTS[None], fractions=(0.25, 0.5)).tolist() == [(6 + 3) / 2]
    assert comprehensiveness(linear, x, WEIGHTS[None], fractions=(0.001,)).tolist() == [4]
    assert sufficiency(linear, x, WEIGHTS[None], fractions=(1.0,)).tolist() == [0]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("subsets", [4, 1000])
def test_exact_contributions_have_sensitivity_n(n: int, subsets: int) -> None:
    x = draw(3, 4)
    found = sensitivity_n(linear, x, x * WEIGHTS, n, n_subsets=subsets, generator=seeded(0))
    torch.testing.assert_close(found, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(
        sensitivity_n(linear, x, -x * WEIGHTS, n, n_subsets=subsets, generator=seeded(0)),
        -torch.ones(3).double(),
    )


@pytest.mark.parametrize("n", [1, 2, 3])
def test_sensitivity_n_over_all_sets_beside_a_slow_one(n: int) -> None:
    x, attributions = draw(3, 4), draw(3, 4, seed=1)
    found = sensitivity_n(curved, x, attributions, n, replacement=0.5)
    for i in range(3):
        sums, changes = [], []
        for chosen in itertools.combinations(range(4), n):
            moved = x[i : i + 1].clone()
            moved[:, chosen] = 0.5
            sums.append(float(attributions[i, list(chosen)].sum()))
            changes.append(float(curved(x[i : i + 1]) - curved(moved)))
        assert float(found[i]) == pytest.approx(np.corrcoef(sums, changes)[0, 1], abs=1e-12)


def test_faithfulness_correlation_is_sensitivity_n_of_a_share() -> None:
    x, attributions = draw(3, 4), draw(3, 4, seed=1)
    found = faithfulness_correlation(curved, x, attributions, fraction=0.5)
    assert torch.equal(found, sensitivity_n(curved, x, attributions, 2))


def test_sets_have_n_features_and_depend_on_the_generator_only() -> None:
    x = draw(2, 30)
    seen: list[Tensor] = []

    def model(rows: Tensor) -> Tensor:
        seen.append(rows.clone())
        return rows.tanh().sum(1)

    found = [sensitivity_n(model, x, x, 7, n_subsets=50, generator=seeded(s)) for s in (1, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    removed = (torch.cat(seen) == 0).sum(1)
    assert set(removed.tolist()) == {0, 7}


def test_faithfulness_estimate_beside_a_slow_one() -> None:
    x, attributions = draw(3, 4), draw(3, 4, seed=1)
    found = faithfulness_estimate(curved, x, attributions, replacement=-1)
    for i in range(3):
        changes = []
        for p in range(4):
            moved = x[i : i + 1].clone()
            moved[:, p] = -1
            changes.append(float(curved(x[i : i + 1]) - curved(moved)))
        assert float(found[i]) == pytest.approx(
            np.corrcoef(attributions[i].numpy(), changes)[0, 1], abs=1e-12
        )


def test_faithfulness_estimate_in_groups_of_neighbours() -> None:
    """4 + 3 against 2 + 1: two groups, whose changes go with their sums."""
    x = torch.ones(1, 4, dtype=torch.float64)
    assert faithfulness_estimate(linear, x, WEIGHTS[None], features_per_step=2).tolist() == pytest.approx([1])
    # Ordered by these attributions the groups are {0, 3} and {1, 2}, and both make a change of 5: no correlation.
    with pytest.raises(ValueError, match="changes by as much"):
        faithfulness_estimate(linear, x, torch.tensor([[4.0, 1, 2, 3]]), features_per_step=2)


def test_monotonicity_by_hand() -> None:
    """Put in from the least relevant on, a feature that lowers the output is one step of four."""
    x = torch.tensor([[1.0, 1, 1, 1], [1, 1, -1, 1]], dtype=torch.float64)
    assert monotonicity(linear, x, WEIGHTS.expand(2, 4)).tolist() == [1, 0.75]
    assert monotonicity(linear, x, WEIGHTS.expand(2, 4), features_per_step=2).tolist() == [1, 0.5]
