"""Frames of pandas as inputs: the numbers are those of a tensor, and rows and columns keep their names."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from attriscope import attr, metrics
from attriscope.attr import Attribution
from models import mlp, seeded

pandas = pytest.importorskip("pandas")

NET = mlp(features=3, dtype=torch.float32)
TABLE = pandas.DataFrame(
    {"age": [0.3, 0.4, 0.5], "income": [1, 2, 3], "member": [True, False, True]}, index=["a", "b", "c"]
)
NUMBERS = torch.tensor(TABLE.to_numpy(dtype=float), dtype=torch.float32)
OTHER_ORDER = TABLE[["member", "income", "age"]]
METHODS: dict[str, dict[str, Any]] = {
    "Saliency": {},
    "InputXGradient": {},
    "IntegratedGradients": {},
    "GradientShap": {"baselines": torch.zeros(1, 3)},
    "DeepLift": {},
    "LRP": {},
    "GuidedBackprop": {},
    "FeatureAblation": {},
    "FeaturePermutation": {},
    "Occlusion": {"sliding_window_shapes": (1,)},
    "ShapleyValues": {},
    "KernelShap": {},
    "Lime": {},
}


def explained(method: Attribution, inputs: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    return method.attribute(inputs, target=1, **options)


@pytest.mark.parametrize("name", METHODS)
def test_every_method(name: str) -> None:
    method, options = getattr(attr, name)(NET), METHODS[name]
    found = explained(method, TABLE, **options)
    assert list(found.columns) == list(TABLE.columns)
    assert list(found.index) == list(TABLE.index)
    expected = explained(method, NUMBERS, **options).detach()
    torch.testing.assert_close(torch.tensor(found.to_numpy()), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["IntegratedGradients", "ShapleyValues", "FeatureAblation"])
def test_baselines_go_by_name(name: str) -> None:
    method = getattr(attr, name)(NET)
    expected = explained(method, NUMBERS, baselines=NUMBERS.mean(0, keepdim=True))
    for baselines in (TABLE.mean(), OTHER_ORDER.mean()):
        found = explained(method, TABLE, baselines=baselines)
        torch.testing.assert_close(torch.tensor(found.to_numpy()), expected)
    found = explained(method, TABLE, baselines=OTHER_ORDER.iloc[::-1])
    expected = explained(method, NUMBERS, baselines=NUMBERS.flip(0))
    torch.testing.assert_close(torch.tensor(found.to_numpy()), expected)


def test_backgrounds_go_by_name() -> None:
    method = attr.ShapleyValues(NET)
    found = explained(method, TABLE, baselines=attr.Background(OTHER_ORDER))
    expected = explained(method, NUMBERS, baselines=attr.Background(NUMBERS))
    torch.testing.assert_close(torch.tensor(found.to_numpy()), expected)


def test_estimates_and_noise() -> None:
    options = {"n_samples": 5, "generator": seeded(0)}
    last = attr.KernelShap(NET).estimate(TABLE, target=1, **options)
    assert isinstance(last.error, pandas.DataFrame) or last.error is None
    last = attr.ShapleyValueSampling(NET).estimate(TABLE, target=1)
    assert isinstance(last.error, pandas.DataFrame)
    assert float(last.inaccuracy) == 0
    smooth = attr.NoiseTunnel(attr.IntegratedGradients(NET))
    options = {"nt_samples": 5, "target": 1, "generator": seeded(0)}
    found = smooth.attribute(TABLE, baselines=OTHER_ORDER.mean(), **options)
    options["generator"] = seeded(0)
    expected = smooth.attribute(NUMBERS, baselines=NUMBERS.mean(0, keepdim=True), **options)
    assert list(found.index) == list(TABLE.index)
    torch.testing.assert_close(torch.tensor(found.to_numpy()), expected)


def test_metrics() -> None:
    method = attr.IntegratedGradients(NET)
    expected = metrics.deletion(NET, NUMBERS, method, target=1).scores
    for given in (method, method.attribute(TABLE, target=1)):
        torch.testing.assert_close(metrics.deletion(NET, TABLE, given, target=1).scores, expected)
    table = metrics.evaluate({"IG": method}, NET, TABLE, torch.tensor([0, 1, 2]), ["deletion"])
    assert "IG" in str(table)
    assert metrics.sensitivity_max(method, TABLE, target=1).shape == (3,)


def test_results_of_other_shapes() -> None:
    several = attr.ShapleyValues(NET).attribute(TABLE)
    assert several.shape == (3, 3, 3)  # three outputs: no table
    together = attr.FeatureAblation(lambda x: NET(x).sum()).attribute(TABLE)
    assert list(together.columns) == list(TABLE.columns)
    assert len(together) == 1


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: attr.Saliency(NET).attribute(TABLE.assign(city=["x", "y", "z"])), "'city'.*get_dummies"),
        (
            lambda: attr.ShapleyValues(NET).attribute(TABLE, TABLE[["age", "income"]].mean()),
            "'age', 'income', 'member', but has 'age', 'income'",
        ),
    ],
    ids=["words", "columns"],
)
def test_refusals(call: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
