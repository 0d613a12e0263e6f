"""DataLoaderAttribution: a metric of a data set, against switching features off by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from attriscope.attr import (
    DataLoaderAttribution,
    FeatureAblation,
    FeaturePermutation,
    InputRole,
    KernelShap,
    Lime,
    Occlusion,
    Saliency,
    ShapleyValues,
    ShapleyValueSampling,
    linear,
)
from attriscope.core.errors import InputError
from games import shapley_values
from models import Snapshot, draw, mlp, with_drawn_parameters

X, Y = draw(20, 4), torch.arange(20) % 3
MASK = torch.tensor([[7, 7, -1, 3]])
ROLES = (InputRole.need_attr, InputRole.no_forward)


class Counted:
    """A loader that counts its passes."""

    def __init__(self, *tensors: Tensor, size: int = 7, single: bool = False) -> None:
        self.inner = DataLoader(TensorDataset(*tensors), batch_size=size)
        self.passes, self.single = 0, single

    def __iter__(self) -> Any:
        self.passes += 1
        for batch in self.inner:
            yield batch[0] if self.single else batch


def count_right(kept: Any, output: Tensor, entries: tuple[Any, ...]) -> list[float]:
    right, seen = kept or [0, 0]
    return [right + int((output.argmax(1) == entries[1]).sum()), seen + len(output)]


def accuracy(kept: list[float]) -> Tensor:
    return torch.tensor(kept[0] / kept[1], dtype=torch.float64)


def by_hand(model: Any, mask: Tensor, keep: list[int]) -> float:
    x = torch.where(torch.isin(mask, torch.tensor(keep)), X, 0.0)
    return float((model(x).argmax(1) == Y).double().mean())


@pytest.mark.parametrize("per_pass", [None, 1, 2, 100])
def test_the_accuracy_of_a_data_set(per_pass: int | None) -> None:
    model, loader = mlp(), Counted(X, Y)
    found = DataLoaderAttribution(FeatureAblation(model)).attribute(
        loader,
        ROLES,
        feature_mask=(MASK,),
        reduce=count_right,
        to_metric=accuracy,
        perturbations_per_pass=per_pass,
    )
    whole = by_hand(model, MASK, [7, -1, 3])
    expected = {f: whole - by_hand(model, MASK, [g for g in (7, -1, 3) if g != f]) for f in (7, -1, 3)}
    assert isinstance(found, tuple)
    torch.testing.assert_close(
        found[0], torch.tensor([[expected[f] for f in (7, 7, -1, 3)]], dtype=torch.float64)
    )
    # One to see what a batch is, one for the whole data; then as many as the perturbations need.
    assert loader.passes == 2 + {None: 1, 1: 3, 2: 2, 100: 1}[per_pass]


def test_the_outputs_themselves() -> None:
    """By default the outputs of all batches, joined, are the metric: each is explained."""
    model = mlp()
    found = DataLoaderAttribution(FeatureAblation(model)).attribute(Counted(X, single=True))
    assert isinstance(found, Tensor)
    expected = torch.stack([model(X) - model(torch.where(torch.arange(4) == f, 0.0, X)) for f in range(4)], 2)
    torch.testing.assert_close(found, expected.flatten(0, 1))


@pytest.mark.parametrize("method", [ShapleyValues, ShapleyValueSampling, KernelShap])
def test_shapley_values_of_a_metric(method: Any) -> None:
    model, names = mlp(), (-1, 3, 7)
    values = [by_hand(model, MASK, [n for i, n in enumerate(names) if c >> i & 1]) for c in range(8)]
    truth = shapley_values(torch.tensor(values, dtype=torch.float64))
    estimate = DataLoaderAttribution(method(model)).estimate(
        Counted(X, Y),
        ROLES,
        feature_mask=MASK,
        reduce=count_right,
        to_metric=accuracy,
        return_input_shape=False,
    )
    assert estimate.attributions.shape == (1, 9)
    torch.testing.assert_close(estimate.attributions[0, [0, 4, 8]].double(), truth, rtol=1e-6, atol=1e-6)
    assert float(estimate.error.max()) == 0
    assert estimate.stopped == "complete"


def test_lime_of_a_metric() -> None:
    found = DataLoaderAttribution(
        Lime(lambda x: x @ torch.arange(4.0).double(), linear.LinearRegression())
    ).attribute(Counted(X, single=True), to_metric=lambda kept: kept.sum(), n_samples=30)
    torch.testing.assert_close(found, (X.sum(0) * torch.arange(4)).float()[None], rtol=1e-4, atol=1e-4)


def test_roles_and_baselines() -> None:
    """Entries go to the model in their order, explained or not."""
    a, b, extra = draw(6, 2), draw(6, 3, seed=1), draw(6, seed=2)
    roles = (InputRole.need_attr, InputRole.need_forward, InputRole.no_forward, InputRole.need_attr)
    seen = []

    def f(a: Tensor, extra: Tensor, b: Tensor) -> Tensor:
        return (a.sum(1) * extra + b.sum(1) ** 2).sum()

    def note(kept: Any, output: Tensor, entries: tuple[Any, ...]) -> Tensor:
        seen.append(entries)
        return output if kept is None else kept + output

    baselines = (1.0, torch.tensor([[1.0, 0.0, 2.0]], dtype=torch.float64))
    found = DataLoaderAttribution(FeatureAblation(f)).attribute(
        Counted(a, extra, Y[:6], b, size=4), roles, baselines, reduce=note
    )
    expected = FeatureAblation(lambda a, b: f(a, extra, b)).attribute((a, b), baselines)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert len(seen) == 2 * 6
    assert all(torch.equal(e[2], Y[:4] if len(e[0]) == 4 else Y[4:6]) for e in seen)
    assert torch.equal(seen[0][0], a[:4])


def test_much_that_is_held_makes_more_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    from attriscope.attr import dataloader

    monkeypatch.setattr(dataloader, "_HELD", 120)  # two data sets of outputs
    loader = Counted(X, single=True)
    DataLoaderAttribution(FeatureAblation(mlp())).attribute(loader)
    assert loader.passes == 2 + 2


def test_nothing_is_left_behind() -> None:
    """In training mode too, whose running statistics a forward pass changes."""
    model = with_drawn_parameters(nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))).double().train()
    method = FeatureAblation(model)
    before = Snapshot(model, (X,))
    DataLoaderAttribution(method).attribute([X[:7], X[7:]])
    before.check()
    assert method.forward_func is model

    def broken(*_: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        DataLoaderAttribution(method).attribute([X[:7], X[7:]], reduce=broken)
    before.check()


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: DataLoaderAttribution(Saliency(mlp())), TypeError, "works with FeatureAblation, ShapleyValueSampling"),
        (lambda: DataLoaderAttribution(Occlusion(mlp())), TypeError, "of type Occlusion came"),
        (lambda: DataLoaderAttribution(FeaturePermutation(mlp())), TypeError, "of type FeaturePermutation came"),
        (lambda: run([]), ValueError, "dataloader gives no batches"),
        (lambda: run([{"x": X}]), TypeError, "but {'x'"),
        (lambda: run([X], input_roles=(0, 1)), ValueError, "one entry for each of the 1 that a batch has"),
        (lambda: run([(X, Y)], input_roles=(1, 2)), ValueError, "need_attr at least once, but (1, 2) came"),
        (lambda: run([(X, Y)], input_roles=(0, 3)), ValueError, "(0, 3) came"),
        (lambda: run([(X,), (X, Y)]), ValueError, "a batch has 2 entries, but the first one had 1"),
        (lambda: run([X], baselines=X), ValueError, "first dimension of a baseline must be 1"),
        (lambda: run([X], feature_mask=torch.zeros(20, 4).long()), ValueError, "does not broadcast"),
        (lambda: run([X], to_metric=lambda kept: 1.0), TypeError, "metrics for attribution must be a Tensor"),
        (lambda: run([X], perturbations_per_pass=0), ValueError, "perturbations_per_pass must be at least 1"),
        (lambda: DataLoaderAttribution(FeatureAblation(mlp())).attribute_future([X]), NotImplementedError, ""),
    ],
)  # fmt: skip
def test_what_cannot_be_explained(call: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert says in str(caught.value)
    assert isinstance(caught.value, InputError | NotImplementedError)


def run(batches: list[Any], **more: Any) -> Any:
    return DataLoaderAttribution(FeatureAblation(mlp())).attribute(batches, **more)
