"""Concentration of maps whose concentration is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from attriscope.attr import Saliency
from attriscope.metrics import effective_complexity, entropy, sparseness
from models import draw, pair, pictures


def one_hot(size: int) -> torch.Tensor:
    return torch.eye(size)[None, size // 2]


@pytest.mark.parametrize("size", [1, 2, 7, 784])
def test_one_hot_and_even_maps(size: int) -> None:
    assert sparseness(one_hot(size)).item() == pytest.approx(1 - 1 / size)
    assert sparseness(torch.full((1, size), -3.0)).item() == pytest.approx(0)
    assert entropy(one_hot(size)).item() == pytest.approx(0)
    assert entropy(torch.full((1, size), -3.0)).item() == pytest.approx(math.log(size))


def test_gini_beside_its_definition_by_pairs() -> None:
    """Half the mean difference of two numbers, in parts of the mean."""
    maps = draw(5, 2, 3, 4)
    sizes = maps.abs().flatten(1).numpy()
    expected = [np.abs(s[:, None] - s[None]).mean() / (2 * s.mean()) for s in sizes]
    assert sparseness(maps).tolist() == pytest.approx(expected)


def test_entropy_beside_its_definition() -> None:
    maps = draw(5, 6)
    shares = (maps.abs() / maps.abs().sum(1, keepdim=True)).numpy()
    assert entropy(maps).tolist() == pytest.approx((-shares * np.log(shares)).sum(1))


def test_inputs_count_together_and_methods_explain() -> None:
    a, b = draw(3, 4), draw(3, 2, 3, seed=1)
    joined = torch.cat([a, b.flatten(1)], 1)
    torch.testing.assert_close(sparseness((a, b)), sparseness(joined))
    model, inputs = pair(), (a, b)
    given = Saliency(model).attribute(inputs, target=0)
    assert torch.equal(entropy(Saliency(model), inputs=inputs, target=0), entropy(given))
    with pytest.raises(ValueError, match="inputs must be given"):
        entropy(Saliency(pictures()))


def test_effective_complexity_by_hand() -> None:
    """Of 4 + 3 + 2 + 1, the top three are within a tenth of everything, and the top two within a third."""
    weights = torch.tensor([1.0, 4, -2, 3])
    x = torch.tensor([[1.0, 1, -1, 1]])
    model = lambda x: x @ weights  # noqa: E731
    for tolerance, count in ((0, 4), (0.1, 3), (0.3, 2), (0.6, 1), (1, 0)):
        found = effective_complexity(model, x, x * weights, tolerance=tolerance)
        assert found.tolist() == [count]


@pytest.mark.parametrize("metric", [sparseness, entropy])
def test_maps_of_nothing_have_no_shares(metric: object) -> None:
    maps = draw(3, 4)
    maps[1] = 0
    with pytest.raises(ValueError, match="example 1 of 3"):
        metric(maps)  # type: ignore[operator]
    with pytest.raises(ValueError, match="NaN"):
        metric(maps / 0)  # type: ignore[operator]
