"""Baselines: against their definitions."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from attriscope.attr import GradientShap, IntegratedGradients, ProductBaselines, baselines
from attriscope.core.errors import InputError
from models import assert_same, draw, mlp, pictures, seeded

PICTURE = draw(2, 3, 9, 7)


def test_zero_and_mean() -> None:
    assert_same(baselines.zero(PICTURE), torch.zeros_like(PICTURE))
    found = baselines.mean(PICTURE)
    assert found.shape == PICTURE.shape
    torch.testing.assert_close(found[1, :, 4, 5], PICTURE[1].mean((1, 2)))
    found += 1  # no view of anything


def test_blur_against_the_definition() -> None:
    for radius, reach in ((1.0, 3), (2.0, 6), (0.1, 1)):  # three deviations to both sides
        at = np.arange(-reach, reach + 1)
        kernel = np.exp(-(at**2) / (2 * radius**2))
        kernel /= kernel.sum()
        padded = np.pad(PICTURE.numpy(), ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
        wanted = np.zeros(PICTURE.shape)
        for i, a in enumerate(kernel):
            for j, b in enumerate(kernel):
                wanted += a * b * padded[:, :, i : i + 9, j : j + 7]
        np.testing.assert_allclose(baselines.blur(PICTURE, radius).numpy(), wanted, atol=1e-12)
    assert_same(baselines.blur(PICTURE), baselines.blur(PICTURE, 7 / 12))


@settings(max_examples=30)
@given(sides=st.lists(st.integers(1, 9), min_size=1, max_size=3), radius=st.floats(0.1, 9))
def test_a_blur_keeps_what_is_flat_and_stays_within_bounds(sides: list[int], radius: float) -> None:
    x = draw(2, 2, *sides)
    found = baselines.blur(x, radius)
    assert found.shape == x.shape
    assert found.amin() >= x.amin() - 1e-9
    assert found.amax() <= x.amax() + 1e-9
    torch.testing.assert_close(baselines.blur(torch.ones_like(x), radius), torch.ones_like(x))


def test_random_baselines() -> None:
    found = baselines.uniform(PICTURE, generator=seeded(0))
    assert_same(found, baselines.uniform(PICTURE, generator=seeded(0)))
    assert found.dtype == PICTURE.dtype
    assert PICTURE.amin() <= found.amin() < found.amax() <= PICTURE.amax()
    bounded = baselines.uniform(PICTURE, torch.tensor([0.0, 1, 2]).reshape(3, 1, 1), 5.0, count=500)
    assert bounded.shape == (500, 3, 9, 7)
    assert bounded.amin((0, 2, 3)).round(decimals=1).tolist() == [0, 1, 2]
    assert bounded.amax() <= 5
    spread = baselines.noise(PICTURE[:1], 0.5, PICTURE[:1], count=2000, generator=seeded(1))
    assert (spread.mean(0) - PICTURE[0]).abs().max() < 5 * 0.5 / math.sqrt(2000)
    assert abs(float((spread - PICTURE[0]).std()) - 0.5) < 0.01
    assert baselines.noise(torch.zeros(2, 3, dtype=torch.long)).dtype == torch.float32


def test_seeding_torch_is_enough_and_a_generator_leaves_torch_alone() -> None:
    torch.manual_seed(3)
    first = baselines.noise(PICTURE), baselines.uniform(PICTURE), baselines.samples(PICTURE, 2)
    torch.manual_seed(3)
    second = baselines.noise(PICTURE), baselines.uniform(PICTURE), baselines.samples(PICTURE, 2)
    assert_same(first, second)
    before = torch.get_rng_state()
    for made in (baselines.noise, baselines.uniform):
        made(PICTURE, generator=seeded(0))
    baselines.samples(PICTURE, 1, generator=seeded(0))
    assert torch.get_rng_state().equal(before)


def test_samples_of_a_data_set() -> None:
    data = torch.arange(20.0)[:, None].expand(20, 3)
    labels = torch.arange(20)
    found = baselines.samples(data, 8, generator=seeded(0))
    assert found.shape == (8, 3)
    assert len(found[:, 0].unique()) == 8
    both = baselines.samples((data, labels), 8, generator=seeded(0))
    assert both[0][:, 0].equal(both[1].float())
    assert both[0].equal(found)
    dataset = TensorDataset(data, labels)
    assert baselines.samples(dataset, 8, generator=seeded(0)).equal(found)
    assert len(baselines.samples(dataset, 100)) == 20
    loader = DataLoader(dataset, batch_size=3)
    assert baselines.samples(loader, 8).equal(data[:8])
    assert baselines.samples((batch for batch in loader), 100).equal(data)
    assert baselines.samples(list(data), 8, generator=seeded(0)).equal(found)


def test_the_loader_is_not_read_further_than_needed() -> None:
    def batches() -> Any:
        yield torch.zeros(4, 2)
        yield torch.ones(4, 2)
        raise ZeroDivisionError

    assert baselines.samples(batches(), 6).sum(1).tolist() == [0, 0, 0, 0, 2, 2]


def test_tokens() -> None:
    tokens = torch.tensor([[101, 7, 8, 102, 0], [101, 9, 102, 0, 0]])
    assert baselines.tokens(tokens, 0).eq(0).all()
    framed = baselines.tokens(tokens, 103, keep=(101, 102, 0))
    assert framed.tolist() == [[101, 103, 103, 102, 0], [101, 103, 102, 0, 0]]
    assert framed.dtype == tokens.dtype
    assert baselines.tokens(tokens.int(), 5).dtype == torch.int32


@pytest.mark.parametrize("rows", [1, 4, 5])
def test_columns(rows: int) -> None:
    table = draw(rows, 3)
    assert_same(baselines.column_means(table), table.mean(0, keepdim=True))
    expected = torch.from_numpy(np.median(table.numpy(), axis=0, keepdims=True))
    torch.testing.assert_close(baselines.column_medians(table), expected)
    torch.testing.assert_close(baselines.column_medians(table.numpy()), expected)


def test_columns_with_gaps_and_of_integers() -> None:
    table = torch.tensor([[1.0, math.nan, 3], [5, math.nan, math.nan], [2, math.nan, 4]])
    means, medians = baselines.column_means(table), baselines.column_medians(table)
    assert means[0, [0, 2]].tolist() == pytest.approx([8 / 3, 3.5])
    assert medians[0, [0, 2]].tolist() == [2, 3.5]
    assert means[0, 1].isnan()
    assert medians[0, 1].isnan()
    assert baselines.column_medians(torch.tensor([[1, 4], [2, 8]])).tolist() == [[1.5, 6]]

    class Frame:
        def to_numpy(self) -> Any:
            return np.array([[1.0, 4], [2, 8]])

    assert baselines.column_means(Frame()).tolist() == [[1.5, 6]]


def test_methods_take_them() -> None:
    x = draw(2, 2, 6, 5)
    for start in (baselines.zero(x), baselines.mean(x), baselines.blur(x), baselines.uniform(x)):
        assert IntegratedGradients(pictures()).attribute(x, start, target=1).shape == x.shape
    for pool in (baselines.noise(x, count=7), baselines.samples(x, 2)):
        assert GradientShap(pictures()).attribute(x, pool, target=1).shape == x.shape
    table = draw(3, 4)
    assert IntegratedGradients(mlp()).attribute(table, baselines.column_medians(table), target=0).shape == (
        3,
        4,
    )


def test_on_the_meta_device_and_in_half_precision() -> None:
    x = torch.empty(2, 3, 4, 5, device="meta")
    for made in (baselines.zero, baselines.mean, baselines.blur, baselines.uniform, baselines.noise):
        assert made(x).device.type == "meta"
        assert made(PICTURE.bfloat16()).dtype == torch.bfloat16
    assert baselines.tokens(torch.empty(2, 3, dtype=torch.long, device="meta"), 0, (1,)).shape == (2, 3)


# --- ProductBaselines ---------------------------------------------------------------------------------------


def test_products() -> None:
    values: list[list[Any]] = [[1, 2], ["a", "b", "c"], [None]]
    drawn = [ProductBaselines(values)() for _ in range(300)]
    assert {tuple(d) for d in drawn} == {(i, s, None) for i in (1, 2) for s in "abc"}
    named = ProductBaselines({"x": [1, 2], ("y", "z"): [(3, 4), (5, 6)]})
    found = [named.sample() for _ in range(100)]
    assert {tuple(d) for d in found} == {("x", "y", "z")}
    assert {tuple(d.values()) for d in found} == {(1, 3, 4), (1, 5, 6), (2, 3, 4), (2, 5, 6)}


def test_products_are_drawn_by_torch_alone() -> None:
    state = random.getstate()
    torch.manual_seed(0)
    many = ProductBaselines([list(range(100))] * 10)
    first = many()
    torch.manual_seed(0)
    assert many() == first
    assert many() != first
    assert random.getstate() == state
    assert (
        ProductBaselines([[1, 2, 3]] * 9, generator=seeded(4))()
        == ProductBaselines([[1, 2, 3]] * 9, generator=seeded(4))()
    )


@pytest.mark.parametrize(
    ("use", "kind", "says"),
    [
        (lambda: baselines.mean(draw(3, 4)), ValueError, "column_means"),
        (lambda: baselines.blur(draw(3, 4)), ValueError, "column_means"),
        (lambda: baselines.blur(PICTURE, 0), ValueError, "above 0"),
        (lambda: baselines.blur(PICTURE, "much"), ValueError, "'much'"),
        (lambda: baselines.zero([1]), TypeError, "must be a tensor"),
        (lambda: baselines.noise(PICTURE, count=0), ValueError, "at least 1"),
        (lambda: baselines.tokens(PICTURE, 0), TypeError, "token numbers"),
        (lambda: baselines.tokens(torch.tensor([1]), "pad"), TypeError, "'pad'"),
        (lambda: baselines.column_means(draw(3)), ValueError, "(rows, columns)"),
        (lambda: baselines.samples(draw(3), 1.5), TypeError, "count must be an int"),
        (lambda: baselines.samples((draw(3), draw(2)), 1), ValueError, "one length"),
        (lambda: baselines.samples([], 1), ValueError, "empty"),
        (lambda: baselines.samples(["a"], 1), TypeError, "a tensor"),
        (lambda: baselines.samples(3, 1), TypeError, "data loader"),
        (lambda: ProductBaselines(3), TypeError, "list or dict"),
        (lambda: ProductBaselines([[1], []]), ValueError, "feature 1"),
        (lambda: ProductBaselines({("a", "b"): [(1,)]}), ValueError, "tuples of 2"),
    ],
)
def test_what_cannot_be_used(use: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind) as caught:
        use()
    assert isinstance(caught.value, InputError)
    assert isinstance(caught.value, AssertionError)
    assert says in str(caught.value)


def test_nothing_touches_the_inputs() -> None:
    x: Tensor = PICTURE.clone().requires_grad_()
    for made in (baselines.zero, baselines.mean, baselines.blur, baselines.uniform, baselines.noise):
        assert not made(x).requires_grad
    assert not baselines.samples(x, 1).requires_grad
    assert x.equal(PICTURE)
