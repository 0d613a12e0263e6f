"""Inputs, baselines and further arguments: every form that Captum takes, and clear words for all others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import (
    as_tensor,
    baseline_rows,
    describe,
    gather_examples,
    repeat_rows,
    resolve_baselines,
)
from models import elsewhere


def numbered(*shape: int) -> Tensor:
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)


X, Y = numbered(3, 2), numbered(3, 4, 5)


# --- inputs -------------------------------------------------------------------------------------------------


def test_results_go_back_in_the_form_that_came() -> None:
    """A caller who wraps one input in a tuple unpacks a tuple."""
    assert gather_examples(X).form((Y,)) is Y
    assert gather_examples((X,)).form((Y,)) == (Y,)
    assert gather_examples((X, Y)).form((Y, X)) == (Y, X)


@pytest.mark.parametrize(
    ("inputs", "kind", "says"),
    [
        ([X, Y], TypeError, "of type list came; write tuple(inputs)"),
        (np.zeros((3, 2)), TypeError, "of type ndarray came"),
        ("x", TypeError, "'x' of type str came"),
        (None, TypeError, "None of type NoneType came"),
        ((), TypeError, "() of type tuple came"),
        ((X, 1), TypeError, "(a tensor of shape (3, 2), float32 on cpu, 1)"),
        ((None, None), TypeError, "(None, None)"),
        ({"x": X, "y": "z"}, TypeError, "of type dict came"),
        ({}, TypeError, "{} of type dict came"),
        (torch.tensor(1.0), ValueError, "input 0 is a tensor without dimensions"),
        ((X, torch.tensor(1.0)), ValueError, "input 1 is a tensor without dimensions"),
        (torch.zeros(0, 3), ValueError, "no examples: inputs are a tensor of shape (0, 3)"),
        ((X, numbered(2, 2)), ValueError, "(3, 2), (2, 2)"),
    ],
    ids=str,
)
def test_inputs_that_cannot_be_used(inputs: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind) as caught:
        gather_examples(inputs)
    assert says in str(caught.value)
    assert isinstance(caught.value, AssertionError), "what Captum raises"


def test_a_long_value_is_quoted_in_short() -> None:
    with pytest.raises(InputTypeError) as caught:
        gather_examples("x" * 10_000)
    assert len(str(caught.value)) < 300
    assert describe((X, 1)) == "(a tensor of shape (3, 2), float32 on cpu, 1)"
    assert describe((1,)) == "(1,)"


# --- further arguments --------------------------------------------------------------------------------------


def test_arguments_are_a_tuple_or_one_value() -> None:
    mask = numbered(3)
    assert gather_examples(X).arguments == ()
    assert gather_examples(X, mask).arguments == (mask,)
    assert gather_examples(X, (mask, None, "mode")).arguments == (mask, None, "mode")
    assert gather_examples(X, [1, 2]).arguments == ([1, 2],), "a list is one argument, as in Captum"


@given(st.integers(1, 4), st.integers(1, 3), st.data())
def test_arguments_follow_the_rows(count: int, steps: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, count - 1))
    stop = data.draw(st.integers(start + 1, count))
    each, shared, table = numbered(count, 2), numbered(1, 3), numbered(7, 2)
    plain, others = torch.tensor(5.0), ("mode", 2, None, [each])
    examples = gather_examples(numbered(count, 2), (each, shared, table, plain, *others))
    got_each, got_shared, got_table, got_plain, *got_others = examples.forward_arguments(
        steps, slice(start, stop)
    )
    rows = [i for _ in range(steps) for i in range(start, stop)]
    assert got_each.tolist() == [each[i].tolist() for i in rows]
    # One entry for all: the model may rely on as many entries as rows, or broadcast it, as in the caller's own call.
    assert got_shared.tolist() in ([shared[0].tolist()] * len(rows), shared.tolist())
    if len(rows) != count or steps > 1:
        assert len(got_shared) == len(rows)
    assert got_table is table
    assert got_plain is plain
    assert got_others == list(others)


def test_repeated_rows_of_one_example_take_no_memory() -> None:
    """50 steps for a mask of one picture must not be 50 masks."""
    assert repeat_rows(numbered(1, 4), 50).untyped_storage().nbytes() == 16
    assert repeat_rows(X, 1) is X


# --- baselines ----------------------------------------------------------------------------------------------


def baseline(given: Any, x: Tensor) -> Tensor:
    (found,) = resolve_baselines(given, gather_examples(x))
    return found.expand_as(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64], ids=str)
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, [[0, 0], [0, 0], [0, 0]]),
        (2, [[2, 2], [2, 2], [2, 2]]),
        (3.0, [[3, 3], [3, 3], [3, 3]]),
        (np.float32(4), [[4, 4], [4, 4], [4, 4]]),
        (torch.tensor([[1, 2]]), [[1, 2], [1, 2], [1, 2]]),
        (torch.tensor([[1.0, 2], [3, 4], [5, 6]]), [[1, 2], [3, 4], [5, 6]]),
        ((None,), [[0, 0], [0, 0], [0, 0]]),
        ((7,), [[7, 7], [7, 7], [7, 7]]),
    ],
    ids=str,
)
def test_every_form_of_baseline(given: Any, expected: list[list[float]], dtype: torch.dtype) -> None:
    found = baseline(given, X.to(dtype))
    assert found.tolist() == expected
    assert found.dtype == dtype


@pytest.mark.parametrize("given", [0.1, float("inf"), 1 / 3, 16777217])
def test_rounding_a_baseline_is_no_loss(given: float) -> None:
    assert torch.equal(baseline(given, X.float()), torch.full((3, 2), given))
    assert baseline(float("nan"), X.float()).isnan().all()
    assert baseline(True, X.bool()).all()


def test_each_input_has_its_baseline() -> None:
    first, second = resolve_baselines((1, numbered(1, 4, 5)), gather_examples((X, Y)))
    assert first.expand_as(X).unique().tolist() == [1]
    assert torch.equal(second, numbered(1, 4, 5))


def test_the_baseline_of_some_examples() -> None:
    own, shared = numbered(3, 2), numbered(1, 2)
    assert torch.equal(baseline_rows(own, slice(1, 3)), own[1:3])
    assert baseline_rows(shared, slice(1, 3)) is shared


def test_a_baseline_carries_no_graph() -> None:
    """A baseline computed by the user's network must not keep that network's graph alive."""
    assert not baseline(numbered(3, 2).requires_grad_() * 2, X).requires_grad


@pytest.mark.parametrize(
    ("given", "inputs", "kind", "says"),
    [
        (numbered(2, 2), X, ValueError, "shape (2, 2); for an input of shape (3, 2) it must be a number or have"),
        (numbered(2), X, ValueError, "shape (2,)"),
        (numbered(3, 1), X, ValueError, "shape (3, 1)"),
        (numbered(3, 2, 1), X, ValueError, "(3, 2) or (1, 2)"),
        ("black", X, TypeError, "input 0 came 'black' of type str"),
        ([0, 0], X, TypeError, "[0, 0] of type list"),
        (np.zeros((3, 2)), X, TypeError, "of type ndarray"),
        ((0, 0), X, ValueError, "2 came for 1 input(s)"),
        (0, (X, Y), ValueError, "1 came for 2 input(s): 0"),
        ((0,), (X, Y), ValueError, "1 came for 2 input(s)"),
        ((0, numbered(3, 4)), (X, Y), ValueError, "input 1 has shape (3, 4)"),
        (torch.zeros(3, 2, device="meta"), X, ValueError, "on meta and the input on cpu; move it with"),
        (0.5, X.long(), TypeError, "the baseline of input 0 is 0.5, which an input of torch.int64 cannot hold"),
        ((0, 0.25), (X, Y.int()), TypeError, "the baseline of input 1 is 0.25, which an input of torch.int32"),
        (torch.tensor([[1.0, 1.5]]), X.long(), TypeError, "is 1.5, which an input of torch.int64 cannot hold: give wh"),
        (float("nan"), X.long(), TypeError, "is nan, which"),
        (-1, X.to(torch.uint8), TypeError, "is -1, which an input of torch.uint8 cannot hold"),
        (300, X.to(torch.uint8), TypeError, "give whole numbers in its range"),
        (2, X.bool(), TypeError, "is 2, which an input of torch.bool cannot hold"),
        (1e6, X.half(), TypeError, "is 1000000.0, which an input of torch.float16 cannot hold: give numbers in its"),
        (1j, X, TypeError, "is 1j, which"),
    ],
    ids=lambda value: describe(value)[:40],
)  # fmt: skip
def test_baselines_that_cannot_be_used(given: Any, inputs: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind) as caught:
        resolve_baselines(given, gather_examples(inputs))
    assert says in str(caught.value)
    assert isinstance(caught.value, InputError)


def test_what_is_no_tensor_yet_is_made_on_the_cpu() -> None:
    with elsewhere():
        assert as_tensor(X) is X
        assert [as_tensor(value).tolist() for value in (2.5, np.array([1, 2]))] == [2.5, [1, 2]]


def test_a_default_device_does_not_decide_what_a_baseline_can_be() -> None:
    with torch.device("meta"):
        found = resolve_baselines(2, gather_examples(torch.zeros(1, 3, dtype=torch.int64, device="cpu")))
        with pytest.raises(InputTypeError, match=r"the baseline of input 0 is 0\.5"):
            resolve_baselines(0.5, gather_examples(torch.zeros(1, 3, dtype=torch.int64, device="cpu")))
    assert found[0].tolist() == [[2]]
