"""How rows are cut into batches never changes what comes out, and obeys the user, the clock and the memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import attriscope
from attriscope.core.errors import (
    Cancelled,
    ForwardError,
    NonFiniteError,
    TargetError,
)
from attriscope.core.inputs import gather_examples
from models import Recorder, draw
from row_grids import evaluator, expected, grid_rows, out_of_memory_above, put_together, squares

# How it is found out that rows do not depend on each other is told in test_row_dependence.py.
pytestmark = pytest.mark.usefixtures("independent_rows")


@given(st.integers(1, 7), st.integers(1, 9), st.none() | st.integers(1, 70))
def test_every_row_comes_once_and_in_order(count: int, steps: int, batch: int | None) -> None:
    examples = gather_examples(draw(count, 2))
    model = Recorder(squares)
    run = evaluator(model, examples, batch)
    found = put_together(run.run(steps, grid_rows(examples, steps)), steps, count)
    assert torch.equal(found, expected(examples, steps))
    assert run.evaluations == sum(model.rows) == steps * count
    if batch is not None:
        assert max(model.rows) <= batch, "the user's number is the most that goes through at a time"
        if batch >= count:  # whole steps, as many as fit
            assert max(model.rows) == min(batch // count, steps) * count
        else:
            assert max(model.rows) == batch


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 30))
def test_arguments_and_targets_are_cut_with_the_rows(count: int, steps: int, batch: int) -> None:
    """A mask, or a class, must stay with its example however the work is cut."""
    mask = 1000.0 * torch.arange(count, dtype=torch.float64)[:, None].expand(count, 3)
    examples = gather_examples(draw(count, 2), (mask, torch.ones(1, 3, dtype=torch.float64)))
    target = [i % 3 for i in range(count)]

    def model(x: Tensor, per_example: Tensor, shared: Tensor) -> Tensor:
        classes = torch.arange(3, dtype=x.dtype)
        return x.square().sum(1)[:, None] + per_example * shared + 10 * classes

    run = evaluator(model, examples, batch, target)
    found = put_together(run.run(steps, grid_rows(examples, steps)), steps, count)
    offsets = torch.tensor([1000.0 * i + 10 * (i % 3) for i in range(count)], dtype=torch.float64)
    torch.testing.assert_close(found, expected(examples, steps) + offsets)


# --- memory -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 12, 5])
@pytest.mark.parametrize("most", [1, 2, 3, 4, 11])
def test_smaller_batches_when_memory_runs_out(most: int, batch: int | None) -> None:
    examples = gather_examples(draw(4, 2))
    model = out_of_memory_above(most)
    run = evaluator(model, examples, batch)
    found = put_together(run.run(3, grid_rows(examples, 3)), 3, 4)
    assert torch.equal(found, expected(examples, 3))
    assert run.evaluations == 12, "rows that did not fit are not counted"
    failures = [i for i, rows in enumerate(model.rows) if rows > most]
    assert failures == list(range(len(failures))), "a size that failed is not tried again"


def test_a_size_that_failed_is_remembered_for_the_next_call() -> None:
    examples = gather_examples(draw(4, 2))
    model = out_of_memory_above(2)
    for _ in range(2):
        model.rows.clear()
        list(evaluator(model, examples).run(3, grid_rows(examples, 3)))
    assert max(model.rows) <= 2


def test_a_single_row_that_does_not_fit_is_the_callers_problem() -> None:
    examples = gather_examples(draw(2, 2))
    with pytest.raises(torch.cuda.OutOfMemoryError, match="Tried to allocate"):
        list(evaluator(out_of_memory_above(0), examples).run(3, grid_rows(examples, 3)))


# --- models that want one row at a time ---------------------------------------------------------------------


def one_row(x: Tensor) -> Tensor:
    assert len(x) == 1, "one at a time, please"
    return squares(x)


@pytest.mark.parametrize("batch", [None, 2, 5])
def test_a_model_for_one_row_at_a_time(batch: int | None) -> None:
    examples = gather_examples(draw(4, 2))
    recorder = Recorder(one_row)
    found = put_together(evaluator(recorder, examples, batch).run(3, grid_rows(examples, 3)), 3, 4)
    assert torch.equal(found, expected(examples, 3))
    assert recorder.rows[-12:] == [1] * 12


def test_what_one_call_could_not_batch_does_not_slow_down_later_calls() -> None:
    """Batch sizes are remembered for the model; what one target wanted must not be."""
    examples = gather_examples(draw(4, 2))
    model = Recorder(lambda x: squares(x)[:, None])
    list(evaluator(model, examples, target=lambda out: out[0, 0]).run(3, grid_rows(examples, 3)))
    model.rows.clear()
    list(evaluator(model, examples, target=0).run(3, grid_rows(examples, 3)))
    assert model.rows == [12]


def test_when_a_row_alone_fails_too_the_first_error_is_the_one_to_see() -> None:
    examples = gather_examples(draw(4, 2))
    with pytest.raises(TargetError, match=r"output of shape \(4, 2\)"):
        list(evaluator(lambda x: x, examples, target=7).run(3, grid_rows(examples, 3)))


@pytest.mark.parametrize(("error", "tried"), [(ZeroDivisionError, [12]), (RuntimeError, [12, 4, 1])])
def test_an_error_of_the_model_itself_is_the_one_to_see(error: type[Exception], tried: list[int]) -> None:
    """What may be said of a number of rows is tried with a step alone, and with a row."""

    def model(x: Tensor) -> Tensor:
        raise error("in the model")

    examples = gather_examples(draw(4, 2))
    recorder = Recorder(model)
    with pytest.raises(error, match="in the model"):
        list(evaluator(recorder, examples).run(3, grid_rows(examples, 3)))
    assert recorder.rows == tried


def test_torchs_complaint_about_a_batch_is_kept_as_the_cause() -> None:
    layer = torch.nn.Linear(5, 2)
    examples = gather_examples(draw(4, 2, dtype=torch.float32))
    with pytest.raises(ForwardError) as caught:
        list(evaluator(layer, examples, target=0).run(3, grid_rows(examples, 3)))
    assert isinstance(caught.value, RuntimeError)
    assert "mat1 and mat2" in str(caught.value.__cause__)


# --- numbers that are none ----------------------------------------------------------------------------------


def test_nan_anywhere_is_an_error_at_the_end() -> None:
    def model(x: Tensor) -> Tensor:
        return squares(x).where(x[:, 0] != 100, torch.nan)

    examples = gather_examples(torch.zeros(2, 2, dtype=torch.float64))
    with pytest.raises(NonFiniteError) as caught:
        list(evaluator(model, examples, 1).run(3, grid_rows(examples, 3)))
    assert isinstance(caught.value, ArithmeticError)
    assert isinstance(caught.value, ValueError)
    assert "NaN" in str(caught.value)
    list(evaluator(model, examples, 1).run(1, grid_rows(examples, 1)))  # step 1 is where it was


# --- watching and stopping ----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 1, 3, 8])
def test_progress_counts_rows_up_to_all_of_them(batch: int | None) -> None:
    examples = gather_examples(draw(4, 2))
    model = Recorder(squares)
    seen: list[tuple[int, int]] = []
    with attriscope.control(progress=lambda done, total: seen.append((done, total))):
        list(evaluator(model, examples, batch).run(3, grid_rows(examples, 3)))
    assert seen == [(int(done), 12) for done in np.cumsum(model.rows)]
    assert seen[-1] == (12, 12)


class Set:
    """An event that was set."""

    def is_set(self) -> bool:
        return True


def test_cancelled_before_the_first_batch_runs_nothing() -> None:
    examples = gather_examples(draw(4, 2))
    model = Recorder(squares)
    with attriscope.control(cancel=Set()), pytest.raises(Cancelled):
        list(evaluator(model, examples).run(3, grid_rows(examples, 3)))
    assert model.rows == []
