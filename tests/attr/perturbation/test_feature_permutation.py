"""FeaturePermutation: a feature's values come from other examples, whoever chooses which."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from attriscope.attr import FeatureAblation, FeaturePermutation
from attriscope.core.errors import InputError
from models import Recorder, draw, seeded

X = draw(3, 4, seed=5)
W = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
MASK = torch.tensor([[7, 7, -1, 3]])


def linear(x: Tensor) -> Tensor:
    return x @ W.to(x.dtype)


def test_a_permuted_linear_model() -> None:
    """A feature's values come from another example each; together they are the same values."""
    found = FeaturePermutation(linear).attribute(X)
    moved = X - found / W
    for f in range(4):
        assert sorted(moved[:, f].tolist()) == pytest.approx(sorted(X[:, f].tolist()))
        assert found[:, f].abs().sum() > 0, "left in place"


def test_the_permutations_are_captums() -> None:
    """With the same seed, one number after the other is drawn as Captum draws."""
    torch.manual_seed(3)
    found = FeaturePermutation(linear).attribute(X)
    torch.manual_seed(3)
    for f in range(4):
        drawn = torch.randperm(3)
        while torch.equal(drawn, torch.arange(3)):
            drawn = torch.randperm(3)
        torch.testing.assert_close(found[:, f], (X[:, f] - X[drawn, f]) * W[f])


def test_a_feature_is_permuted_as_one() -> None:
    """Also where it reaches over several inputs: what depends on their agreement only does not change."""
    x = draw(5, 3)

    def agreement(x: Tensor, y: Tensor) -> Tensor:
        return (x - y).abs().sum()

    masks = torch.tensor([[0, 1, 2]]), torch.tensor([[0, 1, 2]])
    found = FeaturePermutation(agreement).attribute((x, x.clone()), feature_mask=masks)
    assert all((a == 0).all() for a in found)
    own = torch.arange(15).reshape(5, 3) % 4
    whole = FeaturePermutation(lambda x: x.sum(1)).attribute(x, feature_mask=own, generator=seeded(1))
    assert whole.shape == x.shape


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_a_function_of_the_users(batch: int | None) -> None:
    calls: list[Tensor] = []

    def turn(x: Tensor, mask: Tensor) -> Tensor:
        calls.append(mask)
        x.mul_(1)  # what it gets is its own
        return torch.where(mask, x.flip(0), x)

    before = X.clone()
    found = FeaturePermutation(linear, turn).attribute(X, feature_mask=MASK, perturbations_per_eval=batch)
    expected = FeatureAblation(linear).attribute(X, X.flip(0), feature_mask=MASK)
    torch.testing.assert_close(found, expected)
    assert [c.tolist() for c in calls] == [[[m == name for m in MASK[0].tolist()]] for name in (-1, 3, 7)]
    assert torch.equal(X, before)
    default = FeaturePermutation(linear).perm_func(X, MASK == 7)
    assert torch.equal(default[:, 2:], X[:, 2:])
    assert not torch.equal(default, X)


def test_a_user_function_that_draws_is_asked_once_per_feature() -> None:
    """Even if the examples of one step do not fit into a batch."""
    x = draw(200, 2000)
    calls = []

    def noisy(x: Tensor, mask: Tensor) -> Tensor:
        calls.append(1)
        return x + mask * torch.randn(x.shape[0], 1, dtype=x.dtype)

    model = Recorder(lambda x: x.sum(1))
    mask = torch.arange(2000)[None] // 1000
    torch.manual_seed(0)
    found = FeaturePermutation(model, noisy).attribute(x, feature_mask=mask)
    assert len(calls) == 2
    assert any(rows < 200 for rows in model.rows)
    torch.manual_seed(0)
    for f in range(2):
        torch.testing.assert_close(found[:, f * 1000], -1000 * torch.randn(200, dtype=torch.float64))


def test_repeats_average_and_tell_an_error() -> None:
    """Uneven data: after many repeats the mean is near the mean over all donors, as the error says."""
    x = draw(6, 3, seed=9)
    method = FeaturePermutation(lambda x: (x**3).sum(1))
    once = method.estimate(x, generator=seeded(0))
    assert once.error is None
    many = method.estimate(x, n_repeats=400, generator=seeded(0))
    # Permutations are never the identity, so an example keeps its value with chance (5! - 1) / (6! - 1).
    stay = (120 - 1) / (720 - 1)
    others = ((x**3).sum(0) - x**3) / 5
    truth = (1 - stay) * (x**3 - others)
    z = (many.attributions - truth) / many.error
    assert 0.5 < z.square().mean().sqrt() < 1.6
    assert method.attribute(x, n_repeats=3, perturbations_per_eval=4, generator=seeded(1)).equal(
        method.attribute(x, n_repeats=3, perturbations_per_eval=1, generator=seeded(1))
    )


def test_nothing_to_permute_with() -> None:
    with pytest.warns(UserWarning, match="nothing can be permuted with"):
        found = FeaturePermutation(linear).attribute(X[:1])
    assert found.tolist() == [[0, 0, 0, 0]]
    with pytest.raises(InputError, match="batch_size = 1"):
        FeaturePermutation(linear).perm_func(X[:1], MASK == 7)


def test_permutation_takes_what_captum_takes() -> None:
    torch.manual_seed(0)
    found = FeaturePermutation(linear).attribute(X, baselines=3)
    torch.manual_seed(0)
    assert torch.equal(found, FeaturePermutation(linear).attribute(X))
    with pytest.raises(InputError, match="does not know 'masks'"):
        FeaturePermutation(linear).attribute(X, masks=MASK)
    with pytest.raises(InputError, match="perm_func must be a function"):
        FeaturePermutation(linear, 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"write torch.Generator"):
        FeaturePermutation(linear).attribute(X, generator=0)
    with pytest.raises(InputError, match="n_repeats must be at least 1"):
        FeaturePermutation(linear).attribute(X, n_repeats=0)
