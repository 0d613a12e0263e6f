"""Baselines in every form that torch broadcasts, and in types that the inputs do not have."""

from __future__ import annotations

from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor

from attriscope import attr
from models import draw, mlp, seeded

NET = mlp(features=3)
X, WHOLE = draw(4, 3), torch.arange(12).reshape(4, 3) % 5
METHODS: dict[str, dict[str, Any]] = {
    "FeatureAblation": {},
    "Occlusion": {"sliding_window_shapes": (1,)},
    "ShapleyValues": {},
    "ShapleyValueSampling": {"n_samples": 2},
    "KernelShap": {"n_samples": 6},
    "Lime": {"n_samples": 20},
}
every_method = pytest.mark.parametrize("name", METHODS)


def model(x: Tensor) -> Tensor:
    return NET(x.double())[:, 1]


def explained(name: str, x: Tensor, baselines: Any) -> Tensor:
    options = dict(METHODS[name])
    if "n_samples" in options:
        options["generator"] = seeded(0)
    return getattr(attr, name)(model).attribute(x, baselines=baselines, **options)


@every_method
@pytest.mark.parametrize("shape", [(), (3,), (1,), (1, 3), (4, 1), (1, 1)], ids=str)
def test_broadcasting(name: str, shape: tuple[int, ...]) -> None:
    baseline = draw(3, seed=3)[0] if not shape else draw(*shape, seed=3)
    torch.testing.assert_close(
        explained(name, X, baseline), explained(name, X, baseline.expand(4, 3).clone())
    )
    if name in ("FeatureAblation", "Occlusion"):
        theirs = getattr(captum.attr, name)(model).attribute(X, baselines=baseline, **METHODS[name])
        torch.testing.assert_close(
            explained(name, X, baseline).double(), theirs.double(), rtol=1e-5, atol=1e-6
        )


@every_method
@pytest.mark.parametrize("baseline", [0.5, torch.tensor([0.5, 1.0, 2.5])], ids=["number", "tensor"])
def test_a_fraction_for_whole_numbers(name: str, baseline: Any) -> None:
    """What the type cannot hold is not cut to what it can."""
    found = explained(name, WHOLE, baseline)
    torch.testing.assert_close(found, explained(name, WHOLE.float(), baseline))
    if name in ("FeatureAblation", "Occlusion"):
        theirs = getattr(captum.attr, name)(model).attribute(WHOLE, baselines=baseline, **METHODS[name])
        torch.testing.assert_close(found.double(), theirs.double(), rtol=1e-5, atol=1e-6)


def test_whole_numbers_stay_what_they_are() -> None:
    """A model of token ids must get ids."""
    types: list[torch.dtype] = []

    def note(x: Tensor) -> Tensor:
        types.append(x.dtype)
        return model(x)

    for baseline in (None, 0, 2.0, torch.tensor([1.0, 2.0, 0.0])):
        attr.FeatureAblation(note).attribute(WHOLE, baselines=baseline)
    assert set(types) == {torch.int64}


def test_numbers_beyond_a_types_range() -> None:
    x = torch.tensor([[3, 5]], dtype=torch.uint8)
    found = attr.FeatureAblation(lambda x: x.double().sum(1)).attribute(x, baselines=300)
    torch.testing.assert_close(found, torch.tensor([[-297.0, -295.0]], dtype=torch.float64))


def test_through_a_data_loader() -> None:
    batches = [WHOLE[:2], WHOLE[2:]]
    for baseline in (0.5, torch.tensor([[0.5, 1.0, 2.5]])):
        found = attr.DataLoaderAttribution(attr.FeatureAblation(lambda x: model(x).sum())).attribute(
            batches, baselines=baseline, reduce=lambda a, b, _: b if a is None else a + b
        )
        whole = attr.FeatureAblation(lambda x: model(x).sum()).attribute(WHOLE, baselines=baseline)
        torch.testing.assert_close(found, whole)


def test_one_number_per_example() -> None:
    """Of an input (N,) too, a baseline may be given for each example."""
    x, baseline = draw(5), draw(5, seed=1)
    found = attr.FeatureAblation(lambda x: x**2).attribute(x, baselines=baseline)
    torch.testing.assert_close(found, x**2 - baseline**2)


def test_what_does_not_broadcast() -> None:
    with pytest.raises(ValueError, match=r"has shape \(2,\)"):
        attr.FeatureAblation(model).attribute(X, baselines=draw(2))
    with pytest.raises(ValueError, match=r"has shape \(3,\)"):
        attr.IntegratedGradients(model).attribute(X, baselines=draw(3))
