"""Features: every form of mask against loops over single elements."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attriscope.attr._features import Features, resolve_features
from attriscope.core.errors import InputError
from attriscope.core.inputs import Examples, describe, gather_examples
from models import draw, seeded

SHAPES = ((4,), (2, 3), (2, 2, 3))


@st.composite
def masked(draw_one: Any) -> tuple[Examples, tuple[Tensor, ...] | None]:
    """One to three inputs, and a mask of any legal form: shared or per example, broadcast, with gaps, negative."""
    count = draw_one(st.integers(1, 3))
    shapes = draw_one(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
    inputs = tuple(draw(count, *shape, seed=i) for i, shape in enumerate(shapes))
    if draw_one(st.booleans()):
        return gather_examples(inputs), None
    ids = draw_one(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=4, unique=True))
    masks = []
    for i, x in enumerate(inputs):
        first = draw_one(st.sampled_from([1, count]))
        sizes = [draw_one(st.sampled_from([1, n])) for n in x.shape[1:]]
        shape = (first, *sizes)
        chosen = torch.randint(len(ids), shape, generator=seeded(draw_one(st.integers(0, 99)) + i))
        mask = torch.tensor(ids)[chosen]
        masks.append(mask[0] if first == 1 and draw_one(st.booleans()) else mask)
    return gather_examples(inputs), tuple(masks)


def ids_of(examples: Examples, mask: tuple[Tensor, ...] | None) -> list[Tensor]:
    """The caller's number of every element of every example, spelled out."""
    if mask is not None:
        return [m.expand_as(x) for m, x in zip(mask, examples.tensors, strict=True)]
    found, first = [], 0
    for x in examples.tensors:
        numbers = first + torch.arange(x[0].numel()).reshape(x.shape[1:])
        found.append(numbers.expand_as(x))
        first += x[0].numel()
    return found


def names_of(ids: list[Tensor]) -> list[int]:
    return sorted({int(i) for tensor in ids for i in tensor.flatten()})


@given(masked())
def test_numbers_are_made_dense_and_nothing_else(given_: Any) -> None:
    examples, mask = given_
    features, names = resolve_features(mask, examples), names_of(ids_of(examples, mask))
    assert features.count == len(names)
    assert features.names.tolist() == names
    dense = features.masks(slice(0, examples.count))
    for found, ids in zip(dense, ids_of(examples, mask), strict=True):
        assert torch.equal(torch.tensor(names)[found].expand_as(ids), ids)


@given(masked(), st.integers(1, 3), st.data())
def test_mix(given_: Any, steps: int, data: Any) -> None:
    examples, mask = given_
    features, ids = resolve_features(mask, examples), ids_of(examples, mask)
    baselines = tuple(
        draw(data.draw(st.sampled_from([1, examples.count])), *x.shape[1:], seed=9) for x in examples.tensors
    )
    start = data.draw(st.integers(0, examples.count - 1))
    part = slice(start, data.draw(st.integers(start + 1, examples.count)))
    each = data.draw(st.booleans())
    inner = (steps, part.stop - part.start, features.count) if each else (steps, features.count)
    keep = torch.rand(inner, generator=seeded(steps)) < 0.5
    found = features.mix(keep, examples.slices(part), baselines, part)
    names = names_of(ids)
    for rows, x, b, number in zip(found, examples.tensors, baselines, ids, strict=True):
        assert rows.shape == (steps * (part.stop - part.start), *x.shape[1:])
        rows = rows.reshape(steps, -1, *x.shape[1:])
        b = b.expand_as(x)
        for s in range(steps):
            for n in range(part.start, part.stop):
                on = keep[s, n - part.start] if each else keep[s]
                for at in torch.ones(x.shape[1:]).nonzero().tolist():
                    place = (n, *at)
                    expected = x[place] if on[names.index(int(number[place]))] else b[place]
                    assert rows[(s, n - part.start, *at)] == expected


@given(masked(), st.data())
def test_replace(given_: Any, data: Any) -> None:
    """Each row has one feature replaced, and rows before them none."""
    examples, mask = given_
    features, ids = resolve_features(mask, examples), ids_of(examples, mask)
    names = names_of(ids)
    first = data.draw(st.integers(0, features.count))
    last = data.draw(st.integers(first, features.count))
    lead = data.draw(st.integers(0, 1))
    start = data.draw(st.integers(0, examples.count - 1))
    part = slice(start, data.draw(st.integers(start + 1, examples.count)))

    def new(i: int, step: Tensor, example: Tensor, place: Tensor) -> Tensor:
        return (1000.0 * (i + 1) + 100 * step + 10 * (example + part.start) + place).double()

    found = features.replace(slice(first, last), lead, examples.slices(part), part, new)
    for i, (rows, x, number) in enumerate(zip(found, examples.tensors, ids, strict=True)):
        rows = rows.reshape(lead + last - first, part.stop - part.start, *x.shape[1:])
        for s in range(len(rows)):
            for n in range(part.start, part.stop):
                for p, at in enumerate(torch.ones(x.shape[1:]).nonzero().tolist()):
                    changed = s >= lead and int(number[(n, *at)]) == names[first + s - lead]
                    expected = 1000 * (i + 1) + 100 * s + 10 * n + p if changed else x[(n, *at)]
                    assert rows[(s, n - part.start, *at)] == expected


@given(masked(), st.integers(1, 2))
def test_spread_and_totals(given_: Any, outputs: int) -> None:
    examples, mask = given_
    features, ids = resolve_features(mask, examples), ids_of(examples, mask)
    names = names_of(ids)
    values = draw(examples.count * outputs, features.count)
    for found, number in zip(features.to_elements(values, (values.device,) * len(ids)), ids, strict=True):
        assert found.shape == (len(values), *number.shape[1:])
        assert found.is_contiguous()
        for m in range(len(values)):
            own = number[m // outputs]
            assert [names.index(int(i)) for i in own.flatten()] == [
                int((values[m] == v).nonzero()) for v in found[m].flatten()
            ]
    for i, (x, number) in enumerate(zip(examples.tensors, ids, strict=True)):
        sums = features.totals(i, x)
        for f, name in enumerate(names):
            torch.testing.assert_close(sums[:, f], (x * (number == name)).flatten(1).sum(1))


@given(masked())
def test_where_a_single_feature_is(given_: Any) -> None:
    examples, mask = given_
    features, ids = resolve_features(mask, examples), ids_of(examples, mask)
    for f, name in enumerate(names_of(ids)):
        for i, number in enumerate(ids):
            found = features.only(f, i)
            assert torch.equal(
                torch.zeros_like(number) > 0 if found is None else found.expand_as(number), number == name
            )
            assert found is None or bool(found.any())


def test_results_are_tensors_of_their_own() -> None:
    """Writing into a result must change no other element, nor what the next call gives."""
    examples = gather_examples(torch.zeros(1, 2, 3))
    features = resolve_features(torch.tensor([[[0], [1]]]), examples)
    values = torch.tensor([[1.0, 2.0]])
    (found,) = features.to_elements(values, (values.device,))
    found[0, 0, 0] = 7
    assert found.tolist() == [[[7, 1, 1], [2, 2, 2]]]
    assert values.tolist() == [[1, 2]]


def test_dense() -> None:
    features = resolve_features(torch.tensor([[-2, 0, 3]]), gather_examples(torch.zeros(1, 3)))
    assert features.dense(torch.tensor([[1.0, 2, 3]])).tolist() == [[1, 0, 2, 0, 0, 3]]
    apart = resolve_features(torch.tensor([[0, 10**9]]), gather_examples(torch.zeros(1, 2)))
    with pytest.raises(InputError, match="number the features from 0"):
        apart.dense(torch.zeros(1, 2))


def test_masks_of_other_types() -> None:
    """Segmentations come as bools and whole floats too."""
    x = torch.zeros(1, 3)
    assert resolve_features(torch.tensor([[True, False, True]]), gather_examples(x)).count == 2
    assert resolve_features(torch.tensor([[1.0, 1.0, 7.0]]), gather_examples(x)).count == 2
    assert resolve_features(torch.tensor([[1, 1, 7]], dtype=torch.uint8), gather_examples(x)).count == 2


def test_one_feature_over_all_inputs() -> None:
    examples = gather_examples((torch.zeros(1, 2), torch.zeros(1, 3)))
    features = resolve_features((torch.tensor([[4, 5]]), torch.tensor([[5, 5, 4]])), examples)
    assert features.count == 2
    assert [
        f.tolist() for f in features.to_elements(torch.tensor([[1.0, 2.0]]), (torch.device("cpu"),) * 2)
    ] == [
        [[1, 2]],
        [[2, 2, 1]],
    ]


def test_bookkeeping_grows_with_elements_not_with_elements_times_features() -> None:
    """150,000 features of one element each: masks of full size would be 22,650,000,000 numbers."""
    examples = gather_examples(torch.zeros(1, 3, 224, 224))
    features = resolve_features(torch.arange(150_528).reshape(1, 3, 224, 224), examples)
    assert features.count == 150_528
    (rows,) = features.replace(
        slice(150_000, 150_003), 0, examples.tensors, slice(0, 1), lambda *_: torch.ones(())
    )
    assert rows.flatten(1).nonzero().tolist() == [[0, 150_000], [1, 150_001], [2, 150_002]]
    (spread,) = features.to_elements(torch.arange(150_528.0)[None], (torch.device("cpu"),))
    assert torch.equal(spread.flatten(), torch.arange(150_528.0))


@pytest.mark.parametrize(
    ("mask", "kind", "says"),
    [
        ([[0, 1, 2]], TypeError, "for input 0 came [[0, 1, 2]] of type list"),
        ("a", TypeError, "'a' of type str"),
        (torch.tensor([[0.0, 0.5, 1.0]]), TypeError, "must hold whole numbers, but for input 0 came a tensor of shape"),
        (torch.zeros(2, 2).long(), ValueError, "(2, 2), which does not broadcast against an input of shape (3, 3)"),
        (torch.zeros(2, 3).long(), ValueError, "(1, 3) gives all examples the same features"),
        (torch.zeros(1, 1, 3).long(), ValueError, "shape (1, 1, 3)"),
        ((torch.zeros(1, 3).long(),) * 2, ValueError, "one feature_mask per input, but 2 came for 1 input(s)"),
    ],
    ids=lambda value: describe(value)[:40],
)  # fmt: skip
def test_masks_that_cannot_be_used(mask: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind) as caught:
        resolve_features(mask, gather_examples(torch.zeros(3, 3)))
    assert says in str(caught.value)
    assert isinstance(caught.value, InputError)


def test_the_same_features_in_all_examples_are_noticed() -> None:
    examples = gather_examples(torch.zeros(2, 3))
    assert resolve_features(None, examples).shared
    assert resolve_features(torch.zeros(3).long(), examples).shared
    assert not resolve_features(torch.zeros(2, 3).long(), examples).shared
    assert isinstance(resolve_features(None, examples), Features)
