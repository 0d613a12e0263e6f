"""Statistics against numpy and the definition, one tensor after another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attriscope.attr import (
    MSE,
    ClassSummarizer,
    CommonStats,
    Count,
    Max,
    Mean,
    Min,
    Stat,
    StdDev,
    Sum,
    Summarizer,
    SummarizerSingleTensor,
    Var,
)
from attriscope.core.errors import InputError
from models import assert_same, draw


def everything() -> list[Stat]:
    return [
        StdDev(), Max(), Var(order=1), Mean(), MSE(), Min(), Sum(), Count(), Var(), StdDev(order=1), Var(order=2)
    ]  # fmt: skip


def summary_of(stats: list[Stat], tensors: Any) -> Any:
    summarizer = Summarizer(stats)
    for tensor in tensors:
        summarizer.update(tensor)
    return summarizer.summary


@settings(max_examples=60)
@given(
    count=st.integers(1, 9),
    shape=st.lists(st.integers(1, 3), max_size=3),
    shift=st.sampled_from([0.0, 1e6]),
    seed=st.integers(0, 99),
)
def test_against_numpy(count: int, shape: list[int], shift: float, seed: int) -> None:
    values = draw(count, *shape, seed=seed) + shift
    found = summary_of(everything(), values)
    array = values.numpy()
    expected = {
        "std_dev": array.std(0),
        "max": array.max(0),
        "sample_variance": array.var(0, ddof=1) if count > 1 else np.zeros(shape),
        "mean": array.mean(0),
        "mse": array.var(0) * count,
        "min": array.min(0),
        "sum": array.sum(0),
        "variance": array.var(0),
        "sample_std_dev": array.std(0, ddof=1) if count > 1 else np.zeros(shape),
        "variance(2)": array.var(0) * count / (count - 2) if count > 2 else np.zeros(shape),
    }
    assert found.pop("count") == count
    assert list(found) == [name for name in found if name in expected]
    assert {*found} == {*expected}
    for name, value in expected.items():
        torch.testing.assert_close(found[name], torch.as_tensor(value).double(), rtol=1e-6, atol=1e-8)


def test_the_summary_is_in_the_order_that_was_asked_for() -> None:
    stats = everything()
    assert list(summary_of(stats, draw(3, 2))) == [stat.name for stat in stats]
    assert list(summary_of(CommonStats(), draw(3, 2))) == [
        "mean",
        "sample_variance",
        "sample_std_dev",
        "min",
        "max",
    ]


def test_variances_do_not_cancel_in_single_precision() -> None:
    values = draw(1000, 5, dtype=torch.float32) + 1e4
    found = summary_of([Var()], values)["variance"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, values.double().var(0, correction=0).float(), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("given_type", "mean_type", "sum_type"),
    [
        (torch.float16, torch.float32, torch.float32),
        (torch.bfloat16, torch.float32, torch.float32),
        (torch.float32, torch.float32, torch.float32),
        (torch.float64, torch.float64, torch.float64),
        (torch.int64, torch.float64, torch.int64),
    ],
)
def test_types(given_type: torch.dtype, mean_type: torch.dtype, sum_type: torch.dtype) -> None:
    values = [torch.full((2,), v).to(given_type) for v in (1, 2, 6)]
    found = summary_of([Mean(), Var(), Sum(), Min()], values)
    assert_same(found["mean"], torch.full((2,), 3.0, dtype=mean_type))
    assert found["variance"].dtype == mean_type
    assert_same(found["sum"], torch.full((2,), 9).to(sum_type))
    assert_same(found["min"], torch.full((2,), 1).to(given_type))


def test_many_half_precision_numbers_add_up() -> None:
    """4096 ones: in float16 they would stop at 2048."""
    assert summary_of([Sum()], [torch.ones(1, dtype=torch.float16)] * 4096)["sum"] == 4096


def test_tuples_numbers_and_nothing() -> None:
    summarizer = Summarizer([Mean(), Count()])
    assert summarizer.summary is None
    for x, y in ((torch.tensor([1.0, 3.0]), 5.0), (torch.tensor([3.0, 5.0]), 7)):
        summarizer.update((x, y))
    first, second = summarizer.summary
    assert first["mean"].tolist() == [2, 4]
    assert (second["mean"], second["count"]) == (6, 2)
    plain = Summarizer([Mean()])
    plain.update(2.0)
    assert plain.summary == {"mean": 2}


def test_what_came_in_may_change_afterwards() -> None:
    """Neither later changes of a tensor, nor of a result, reach the statistics; and no graph is kept."""
    x = draw(4).requires_grad_()
    summarizer = Summarizer([*CommonStats(), Sum()])
    summarizer.update(x)
    expected = {name: value.clone() for name, value in summarizer.summary.items()}
    with torch.no_grad():
        x += 1
    for name, value in summarizer.summary.items():
        assert value.equal(expected[name])
        assert not value.requires_grad


def test_statistics_given_are_copied() -> None:
    stats = CommonStats()
    one, other = Summarizer(stats), Summarizer(stats)
    one.update(draw(3))
    other.update(draw(3, seed=1))
    assert one.summary["mean"].equal(draw(3))
    assert other.summary["mean"].equal(draw(3, seed=1))


def test_equal_statistics_and_their_names() -> None:
    assert Mean() == Mean("other name")
    assert hash(Mean()) == hash(Mean("other name"))
    assert Var(order=1) != Var(order=0)
    assert Var() != StdDev()
    assert Mean() != "mean"
    assert Min() != Min(min_fn=torch.fmin)
    found = summary_of([Mean("a"), Mean("b"), StdDev(order=3), Var("spread")], draw(4, 2))
    assert list(found) == ["a", "b", "std_dev(3)", "spread"]
    assert found["a"].equal(found["b"])


def test_a_statistic_of_ones_own() -> None:
    """It builds on others, which are there and up to date before it is."""

    class Range(Stat):
        def needs(self) -> tuple[Stat, ...]:
            return Max(), Min()

        def update(self, x: Tensor) -> None:
            self.latest = self._get_stat(Max()).get() - self._get_stat(Min()).get()

        def get(self) -> Tensor:
            return self.latest

    class Last(Stat):
        def __init__(self, scale: float) -> None:
            super().__init__(scale=scale)

        def update(self, x: Tensor) -> None:
            self.latest = x * self.params["scale"]

        def get(self) -> Tensor:
            return self.latest

    values = draw(5, 3)
    found = summary_of([Range(), Last(2.0)], values)
    assert list(found) == ["range", "last({'scale': 2.0})"]
    torch.testing.assert_close(found["range"], values.amax(0) - values.amin(0))
    assert found["last({'scale': 2.0})"].equal(values[-1] * 2)


def test_other_functions() -> None:
    values = [torch.tensor([1.0, math.nan]), torch.tensor([math.nan, 2.0])]
    found = summary_of([Min(min_fn=torch.fmin), Max("m", torch.fmax), Sum(add_fn=torch.mul)], values)
    assert found["min"].tolist() == [1, 2]
    assert found["m"].tolist() == [1, 2]
    assert found["sum"].isnan().all()


def test_one_series_alone() -> None:
    count, mean = Count(), Mean()
    summarizer = SummarizerSingleTensor([count, mean], [1])
    summarizer.update(torch.tensor([2.0]))
    summarizer.update(torch.tensor([4.0]))
    assert summarizer.summary == {"mean": torch.tensor([3.0])}
    assert summarizer.get(Mean()) is mean
    assert summarizer.get(Count()) is count
    assert summarizer.get(Max()) is None
    assert count.get() == 2
    alone = Sum()
    alone.update(torch.tensor([2]))
    assert alone.get() == 2


@pytest.mark.parametrize("as_tensor", [False, True])
def test_classes(as_tensor: bool) -> None:
    x, y = draw(6, 4), draw(6, 2, seed=1)
    labels = [0, 1, 0, 2, 1, 0]
    summarizer = ClassSummarizer([Mean(), Count()])
    for part in (slice(0, 4), slice(4, 6)):
        summarizer.update((x[part], y[part]), torch.tensor(labels[part]) if as_tensor else labels[part])
    assert {*summarizer.class_summaries} == {0, 1, 2}
    for label in range(3):
        of_class = [i for i in range(6) if labels[i] == label]
        first, second = summarizer.class_summaries[label]
        torch.testing.assert_close(first["mean"], x[of_class].mean(0))
        torch.testing.assert_close(second["mean"], y[of_class].mean(0))
        assert first["count"] == len(of_class)
    whole = summarizer.summary
    torch.testing.assert_close(whole[0]["mean"], x.mean(0))


def test_one_class_for_all_and_none() -> None:
    summarizer = ClassSummarizer([Mean(), Count()])
    summarizer.update(draw(6, 4), "cat")
    summarizer.update(draw(2, 4), [("dog", 3)])
    assert summarizer.class_summaries["cat"][0]["count"] == 6
    assert summarizer.class_summaries["dog", 3][0]["count"] == 2
    plain = ClassSummarizer([Mean(), Count()])
    plain.update(draw(6, 4))
    assert plain.summary["count"] == 1
    assert plain.class_summaries == {}


def test_on_the_meta_device() -> None:
    found = summary_of(everything(), [torch.empty(3, 2, device="meta")] * 3)
    assert all(value.device.type == "meta" for name, value in found.items() if name != "count")


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda: summary_of([Mean()], [draw(3), draw(1)]), "one shape"),
        (lambda: summary_of([Mean()], [draw(3), (draw(3),)]), "one of single tensors"),
        (lambda: summary_of([Mean()], [(draw(3),), draw(3)]), "one of tuples"),
        (lambda: summary_of([Mean()], ["much"]), "'much'"),
        (lambda: Mean().update(draw(3)), "Summarizer([Mean()])"),
        (lambda: StdDev().get(), "Summarizer([StdDev()])"),
        (lambda: ClassSummarizer([Mean()]).update(draw(3, 2), [0, 1]), "2 came"),
    ],
)
def test_what_cannot_be_used(use: Any, says: str) -> None:
    with pytest.raises(AssertionError) as caught:
        use()
    assert isinstance(caught.value, InputError)
    assert says in str(caught.value)
