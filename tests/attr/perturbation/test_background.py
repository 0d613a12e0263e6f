"""Backgrounds: the explained function of a set of features is the mean over several baselines."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.futures import Future

from attriscope import attr
from models import Recorder, draw, mlp, seeded

pytestmark = pytest.mark.usefixtures("independent_rows")

NET = mlp()
EXACT = [attr.ShapleyValues, attr.ShapleyValueSampling, attr.KernelShap]


def value(x: Tensor, background: Tensor, kept: tuple[int, ...]) -> Tensor:
    """The mean output over the background, written out."""
    keep = torch.zeros(x.shape[1], dtype=torch.bool)
    keep[list(kept)] = True
    return torch.stack([NET(torch.where(keep, x, b))[:, 1] for b in background]).mean(0)


def shapley_values(x: Tensor, background: Tensor) -> Tensor:
    """By their definition, a sum over all sets of the other features."""
    count = x.shape[1]
    found = torch.zeros_like(x)
    for i in range(count):
        others = [j for j in range(count) if j != i]
        for size in range(count):
            weight = 1 / (count * math.comb(count - 1, size))
            for kept in itertools.combinations(others, size):
                found[:, i] += weight * (value(x, background, (*kept, i)) - value(x, background, kept))
    return found.detach()


@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize(("examples", "count"), [(3, 3), (2, 5), (1, 4), (3, 1)])
def test_exact_values(examples: int, count: int, batch: int | None) -> None:
    """As many baselines as examples are not one baseline each."""
    x, background = draw(examples, 4), draw(count, 4, seed=1)
    expected = shapley_values(x, background)
    for method in EXACT:
        found = method(NET).attribute(x, attr.Background(background), target=1, perturbations_per_eval=batch)
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)
    every = value(x, background, (0, 1, 2, 3))
    without = [value(x, background, tuple(j for j in range(4) if j != i)) for i in range(4)]
    found = attr.FeatureAblation(NET).attribute(
        x, attr.Background(background), target=1, perturbations_per_eval=batch
    )
    torch.testing.assert_close(found, torch.stack([every - w for w in without], 1), rtol=0, atol=1e-12)


def test_each_step_runs_once_against_each_baseline_and_the_inputs_once() -> None:
    for method, steps in [(attr.ShapleyValues, 2**4 - 1), (attr.FeatureAblation, 4)]:
        model = Recorder(NET)
        method(model).attribute(draw(2, 4), attr.Background(draw(5, 4)), target=1)
        assert sum(model.rows) == 2 * (1 + 5 * steps)


def test_several_inputs_and_masks_of_each_example() -> None:
    """Entry m of one input's background belongs with entry m of the other's."""
    x, background = draw(3, 4), draw(3, 4, seed=1)
    halves, backgrounds = x.split(2, 1), background.split(2, 1)

    def joined(a: Tensor, b: Tensor) -> Tensor:
        return NET(torch.cat([a, b], 1))

    found = attr.ShapleyValues(joined).attribute(halves, attr.Background(backgrounds), target=1)
    expected = shapley_values(x, background)
    torch.testing.assert_close(torch.cat(found, 1).double(), expected, rtol=0, atol=1e-6)
    masks = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 0, 1]])
    for method in (attr.FeatureAblation(NET), *(one(NET) for one in EXACT)):
        found = method.attribute(x, attr.Background(background), target=1, feature_mask=masks)
        alone = [
            method.attribute(
                x[i : i + 1], attr.Background(background), target=1, feature_mask=masks[i : i + 1]
            )
            for i in range(3)
        ]
        torch.testing.assert_close(found, torch.cat(alone), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("method", "samples"), [("KernelShap", 100), ("ShapleyValueSampling", 10)])
def test_samples_are_of_the_mean(method: str, samples: int) -> None:
    net = mlp(features=10, hidden=16)
    x, background = draw(2, 10), attr.Background(draw(7, 10, seed=1))
    exact = attr.ShapleyValues(net).attribute(x, background, target=1)
    options = {"n_samples": samples, "generator": seeded(0)}
    last = getattr(attr, method)(net).estimate(x, background, target=1, **options)
    assert (last.attributions - exact).abs().max() < 0.05 * exact.abs().max()
    assert last.evaluations == 2 * (1 + 7 * (last.evaluations // 2 - 1) // 7)


def test_futures() -> None:
    def sent(x: Tensor) -> Future[Tensor]:
        future: Future[Tensor] = Future()
        future.set_result(NET(x))
        return future

    x, background = draw(2, 4), attr.Background(draw(3, 4, seed=1))
    for method in (attr.FeatureAblation, attr.ShapleyValues):
        expected = method(NET).attribute(x, background, target=1)
        torch.testing.assert_close(method(sent).attribute_future(x, background, target=1).wait(), expected)


def test_whole_numbers_as_outputs() -> None:
    """A mean of whole numbers is none."""
    x = torch.tensor([[3.0, 1.0]])
    background = attr.Background(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    found = attr.FeatureAblation(lambda x: x.sum(1).long()).attribute(x, background)
    torch.testing.assert_close(found, torch.tensor([[2.5, 1.0]]))


TABLE = attr.Background(draw(5, 4))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: attr.FeatureAblation(NET).attribute(draw(3, 4), draw(5, 4), target=1), "attr.Background"),
        (lambda: attr.Lime(NET).attribute(draw(3, 4), TABLE, target=1), "ShapleyValueSampling"),
        (lambda: attr.IntegratedGradients(NET).attribute(draw(3, 4), TABLE, target=1), "take a background"),
        (lambda: attr.ShapleyValues(NET).attribute(draw(3, 2), TABLE), r"\(5, 4\)"),
        (
            lambda: attr.ShapleyValues(NET).attribute((draw(3, 4), draw(3, 4)), TABLE),
            "one baseline per input",
        ),
        (lambda: attr.Background((draw(3, 4), draw(2, 4))), "same number"),
        (lambda: attr.Background(0.5), "must be a tensor of baselines"),
        (lambda: attr.Background(draw(0, 4)), "no examples"),
    ],
    ids=["not said", "Lime", "a path", "shape", "inputs", "uneven", "number", "empty"],
)
def test_refusals(call: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
