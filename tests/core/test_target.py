"""The number that is explained is the one that the target names, whatever form the target has."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError, TargetError
from attriscope.core.target import resolve_target

WHOLE = slice(0, 4)


def output(*shape: int) -> Tensor:
    """All numbers differ, so that a wrong choice shows."""
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)


def select(target: Any, out: Any, steps: int = 1, examples: slice = WHOLE, count: int = 4) -> list[float]:
    return resolve_target(target, count).select(out, steps, examples).tolist()


@st.composite
def selections(draw: st.DrawFn) -> tuple[Any, list[tuple[int, ...]], tuple[int, ...]]:
    """A target in any form, the index it means for each example, and the dimensions of the output after the first."""
    count = draw(st.integers(1, 5))
    sizes = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    index = st.tuples(*(st.integers(-size, size - 1) for size in sizes))
    forms = ["tuple", "tuple of numpy", "list of tuples"]
    if len(sizes) == 1:
        forms += ["int", "numpy int", "0-d tensor", "one-element tensor", "0-d array"]
        forms += ["list", "list of numpy", "tensor", "int32 tensor", "array", "list of 1-tuples"]
    form = draw(st.sampled_from(forms))
    if "list" in form or form in ("tensor", "int32 tensor", "array"):
        indices = draw(st.lists(index, min_size=count, max_size=count))
    else:
        indices = [draw(index)] * count
    first = [i[0] for i in indices]
    target = {
        "tuple": lambda: indices[0],
        "tuple of numpy": lambda: tuple(np.int64(i) for i in indices[0]),
        "list of tuples": lambda: indices,
        "list of 1-tuples": lambda: indices,
        "int": lambda: first[0],
        "numpy int": lambda: np.int32(first[0]),
        "0-d tensor": lambda: torch.tensor(first[0]),
        "one-element tensor": lambda: torch.tensor(first[:1]),
        "0-d array": lambda: np.array(first[0]),
        "list": lambda: first,
        "list of numpy": lambda: [np.int16(i) for i in first],
        "tensor": lambda: torch.tensor(first),
        "int32 tensor": lambda: torch.tensor(first, dtype=torch.int32),
        "array": lambda: np.array(first),
    }[form]()
    return target, indices, sizes


@given(selections(), st.integers(1, 3), st.data())
def test_a_target_means_what_plain_indexing_means(
    selection: tuple[Any, list[tuple[int, ...]], tuple[int, ...]], steps: int, data: st.DataObject
) -> None:
    target, indices, sizes = selection
    count = len(indices)
    start = data.draw(st.integers(0, count - 1))
    stop = data.draw(st.integers(start + 1, count))
    out = output(steps * (stop - start), *sizes)
    expected = []
    for row in range(len(out)):
        entry = out[row]
        for i in indices[start + row % (stop - start)]:
            entry = entry[i]
        expected.append(float(entry))
    assert select(target, out, steps, slice(start, stop), count) == expected


@pytest.mark.parametrize("out", [output(4), output(4, 1), output(4, 1, 1)], ids=lambda o: str(tuple(o.shape)))
def test_no_target_is_needed_for_one_number_per_example(out: Tensor) -> None:
    assert select(None, out) == [0, 1, 2, 3]


@pytest.mark.parametrize("out", [torch.tensor(7.0), torch.tensor([7.0]), 7.0, np.float32(7)], ids=repr)
def test_one_number_for_a_batch_of_one(out: Any) -> None:
    assert select(None, out, examples=slice(2, 3)) == [7]


def test_a_tuple_may_leave_out_dimensions_with_one_entry() -> None:
    assert select((2,), output(4, 3, 1)) == [2, 5, 8, 11]
    assert select(2, output(4, 3, 1, 1)) == [2, 5, 8, 11]
    assert select([0, 1, 2, 0], output(4, 3, 1)) == [0, 4, 8, 9]


def test_a_function_sees_the_output_as_the_model_gave_it() -> None:
    logits = output(4, 3)
    assert select(lambda out: out["logits"][:, 1], {"logits": logits}) == [1, 4, 7, 10]
    assert select(lambda out: out.max(1).values[:, None], logits) == [2, 5, 8, 11]


def test_a_slice_that_leaves_one_number() -> None:
    assert select((slice(1, 2), 0), output(4, 3, 2)) == [2, 8, 14, 20]


@pytest.mark.parametrize(
    ("target", "shape", "says"),
    [
        (3, (4, 3), ["target 3", "index 3", "(4, 3)", "0 to 2"]),
        (-4, (4, 3), ["target -4", "0 to 2"]),
        ((1, 5), (4, 3, 2), ["(1, 5)", "index 5", "dimension 2", "0 to 1"]),
        ([0, 1, 9, 0], (4, 3), ["[0, 1, 9, 0]", "index 9", "0 to 2"]),
        ([(0, 0), (0, 1), (0, 2), (0, 0)], (4, 3, 2), ["index 2", "dimension 2"]),
        (torch.tensor([0, 1, 2, 3]), (4, 3), ["index 3", "(4,), int64"]),
        (0, (4,), ["1 index(es)", "(4,)", "0 are needed"]),
        (0, (4, 3, 2), ["1 index(es)", "(4, 3, 2)", "2 are needed"]),
        ((0, 1), (4, 3), ["2 index(es)", "1 are needed"]),
        (None, (4, 3), ["Target not provided when necessary", "(4, 3)"]),
        ((slice(0, 2),), (4, 3), ["one number per example", "(4, 2)"]),
        (lambda out: out[:, :2], (4, 3), ["target(output)", "one number per example (4)", "(4, 2)"]),
        (lambda out: out.sum(), (4, 3), ["one number per example (4)", "()"]),
        (lambda out: 3.5, (4, 3), ["target(output) must be a tensor", "3.5"]),
        (1, (8, 3), ["one number per example (4)", "(8,)"]),
    ],
)
def test_what_does_not_fit_the_output_is_said(target: Any, shape: tuple[int, ...], says: list[str]) -> None:
    with pytest.raises(TargetError) as caught:
        select(target, output(*shape))
    for words in says:
        assert words in str(caught.value)
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, IndexError)


@pytest.mark.parametrize(
    "target", [[0, 1, 2, 0], torch.tensor([0, 1, 2, 0]), [(0,), (1,), (2,), (0,)]], ids=repr
)
@pytest.mark.parametrize("rows", [1, 3, 8])
def test_one_entry_per_example_needs_one_row_per_example(target: Any, rows: int) -> None:
    """With more rows than examples it would be silent nonsense, with fewer an IndexError from deep inside."""
    with pytest.raises(TargetError, match=rf"\({rows}, 3\) for 4 example\(s\)"):
        select(target, output(rows, 3))


@dataclasses.dataclass
class ModelOutput:
    logits: Tensor
    hidden: Tensor
    loss: Tensor | None = None


class Named(NamedTuple):
    hidden: Tensor
    logits: Tensor


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda y: {"hidden": y + 1, "logits": y},
        lambda y: ModelOutput(y, y + 1),
        lambda y: Named(y + 1, y),
        lambda y: {"anything": y},
        lambda y: (y,),
        lambda y: [y],
        lambda y: {"scores": y, "names": ["a"], "loss": None},
    ],
)
def test_scores_are_found_in_what_models_give(wrapped: Any) -> None:
    assert select(1, wrapped(output(4, 3))) == [1, 4, 7, 10]


@pytest.mark.parametrize(
    ("out", "says"),
    [
        (
            {"a": output(4, 3), "b": output(4, 2)},
            r"is a dict of several tensors \(a: a tensor of shape .*target=lambda output: output\['a'\]\[:, 3\]",
        ),
        (
            (output(4, 3), output(4, 2)),
            r"is a tuple of several tensors .*=lambda output: output\[0\]\[:, 3\]",
        ),
        (None, r"is a NoneType, in which there is no tensor; .*target=lambda output: output.logits"),
        ({"text": "cat"}, r"is a dict, in which there is no tensor"),
        ({"logits": (output(4, 3),), "aux": output(4, 3)}, r"is a dict of several tensors \(aux: "),
    ],
    ids=["dict", "tuple", "None", "no tensor", "logits are none"],
)
def test_an_output_without_scores_asks_for_a_function(out: Any, says: str) -> None:
    with pytest.raises(TargetError, match=says):
        select(1, out)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (1.0, "1.0 of type float"),
        ("cat", "'cat' of type str"),
        (torch.tensor([0.5]), "float32"),
        (torch.tensor([[1, 2], [0, 1]]), "shape (2, 2)"),
        (np.array([[1, 2]]), "array([[1, 2]])"),
        (np.float64(2.0), "2.0"),
        ((1, "a"), "holds 'a'"),
        ([0, 1, 2.5, 0], "holds 2.5"),
        ({0: 1}, "{0: 1} of type dict"),
    ],
    ids=repr,
)
def test_a_target_of_no_known_form_is_a_type_error(target: Any, says: str) -> None:
    with pytest.raises(InputTypeError) as caught:
        resolve_target(target, 4)
    assert isinstance(caught.value, TypeError)
    assert says in str(caught.value)
    assert "an int, a tuple of ints" in str(caught.value)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ([0, 1], "2 entries for 4 example"),
        (torch.tensor([0, 1, 2]), "3 entries for 4 example"),
        (np.array([0, 1, 2, 3, 4]), "5 entries for 4 example"),
    ],
    ids=repr,
)
def test_as_many_entries_as_examples(target: Any, says: str) -> None:
    with pytest.raises(TargetError, match=says):
        resolve_target(target, 4)


@pytest.mark.parametrize(
    "target", [[0, (1, 2), 0, 0], [(0, 1), (0,), (1, 1), (1, 0)], [slice(0, 1)] * 4], ids=repr
)
def test_entries_of_one_list_have_one_length(target: Any) -> None:
    with pytest.raises(InputError, match="ints of one length"):
        resolve_target(target, 4)
