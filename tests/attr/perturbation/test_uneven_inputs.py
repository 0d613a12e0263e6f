"""Inputs whose first dimensions differ, such as values and offsets; empty ones; and groups that are too small."""

from __future__ import annotations

from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn

from attriscope import attr
from models import draw, with_drawn_parameters

DENSE = draw(3, 2, dtype=torch.float32)
VALUES, OFFSETS = torch.tensor([1, 7, 2, 4, 5, 3, 6, 1, 2]), torch.tensor([0, 2, 5])
MASKS = (torch.tensor([0]), torch.tensor([1]), torch.tensor([[0, 2]]))


class Bags(nn.Module):
    """Scores (N, 2) of bags of words, and of N rows of numbers beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.bag, self.last = nn.EmbeddingBag(9, 4, mode="sum"), nn.Linear(4, 2)

    def forward(self, values: Tensor, offsets: Tensor, dense: Tensor) -> Tensor:
        return self.last(self.bag(values, offsets)) + dense.sum(1, keepdim=True)


def total(dense: Tensor, sparse: Tensor) -> Tensor:
    """One number for all of them."""
    return dense.square().sum() + (sparse[0] * 2.0 if sparse.numel() else 0)


BAGS = with_drawn_parameters(Bags()).float()
CASES: dict[str, tuple[Any, tuple[Tensor, ...], dict[str, Any]]] = {
    "bags": (BAGS, (VALUES, OFFSETS, DENSE), {"target": 1}),
    "a feature over several": (BAGS, (VALUES, OFFSETS, DENSE), {"target": 1, "feature_mask": MASKS}),
    "one output": (total, (DENSE, VALUES), {}),
    "empty": (total, (DENSE, torch.tensor([])), {}),
}


@pytest.mark.parametrize("least", [None, 2, 4])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:.*are left alone")
def test_as_captum(case: str, least: int | None) -> None:
    model, inputs, options = CASES[case]
    theirs = captum.attr.FeatureAblation(model)
    theirs._min_examples_per_batch_grouped = least
    ours = attr.FeatureAblation(model, min_examples_per_batch_grouped=least)
    expected = theirs.attribute(inputs, **options)
    torch.testing.assert_close(ours.attribute(inputs, **options), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", ["one output", "empty"])
def test_permutations_as_captum(case: str) -> None:
    model, inputs, options = CASES[case]
    torch.manual_seed(1)
    expected = captum.attr.FeaturePermutation(model).attribute(inputs, **options)
    torch.manual_seed(1)
    found = attr.FeaturePermutation(model).attribute(inputs, **options)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*are left alone")
def test_several_rounds_and_what_is_left_alone() -> None:
    """Only the first number of the dense input has an effect, and the sparse one has nothing to be permuted with."""
    seen: list[Tensor] = []

    def model(dense: Tensor, sparse: Tensor) -> Tensor:
        seen.append(sparse)
        return dense[0, 0] + sparse.sum()

    inputs = DENSE, torch.tensor([5.0])
    found = attr.FeaturePermutation(model).attribute(inputs, n_repeats=4)
    assert bool((found[1] == 0).all())
    assert bool((found[0][:, 1] == 0).all())
    assert len(seen) == 1 + 4 * 2
    assert bool(found[0][:, 0].abs() > 0)


def test_every_step_is_a_batch_of_its_own() -> None:
    rows: list[tuple[int, ...]] = []

    def model(*inputs: Tensor) -> Tensor:
        rows.append(tuple(len(x) for x in inputs))
        return BAGS(*inputs)

    attr.FeatureAblation(model).attribute((VALUES, OFFSETS, DENSE), target=1)
    assert rows == [(9, 3, 3)] * 5


@pytest.mark.parametrize("kind", [attr.FeatureAblation, attr.FeaturePermutation])
def test_small_groups_are_told_of(kind: Any) -> None:
    method = kind(lambda x: x.sum(1), min_examples_per_batch_grouped=4)
    with pytest.warns(UserWarning, match="2 feature.s. of inputs with fewer than 4 entries"):
        found = method.attribute(DENSE)
    assert bool((found == 0).all())
    assert bool((kind(lambda x: x.sum(1)).attribute(DENSE) != 0).any())


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: attr.IntegratedGradients(total).attribute((DENSE, torch.ones(7))),
            "same number of examples",
        ),
        (lambda: attr.ShapleyValues(total).attribute((DENSE, VALUES)), "same number of examples"),
        (
            lambda: attr.FeatureAblation(total).attribute(
                (DENSE, VALUES), feature_mask=(torch.zeros(3, 2).long(), torch.zeros(1).long())
            ),
            "masks must have a first dimension of 1",
        ),
        (
            lambda: attr.FeatureAblation(total).attribute(
                (DENSE, VALUES), attr.Background((DENSE, DENSE[:, 0]))
            ),
            "cannot be compared with a Background",
        ),
    ],
    ids=["a path", "Shapley", "mask", "background"],
)
def test_refusals(call: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
