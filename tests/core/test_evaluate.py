"""How rows are cut into batches never changes what comes out, and obeys the user, the clock and the memory."""

from __future__ import annotations

import gc
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import attriscope
from attriscope.core import batch_size, evaluate
from attriscope.core.batch_size import check_batch
from attriscope.core.errors import (
    Cancelled,
    ForwardError,
    InputError,
    InputTypeError,
    NonFiniteError,
    TargetError,
)
from attriscope.core.evaluate import Block, Evaluator
from attriscope.core.inputs import Examples, gather_examples
from attriscope.core.row_dependence import Units
from attriscope.core.subject import Subject
from attriscope.core.target import resolve_target
from models import Recorder, draw


@pytest.fixture(scope="module", autouse=True)
def independent() -> Iterator[None]:
    """Rows are known not to depend on each other: how that is found out is told in ``test_row_dependence.py``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Units, "unit", property(lambda self: "any"))
        yield


def evaluator(
    model: Callable[..., Any], examples: Examples, batch: int | None = None, target: Any = None
) -> Evaluator:
    return Evaluator(Subject(model, resolve_target(target, examples.count)), examples, batch=batch)


def grid_rows(examples: Examples, steps: int) -> Callable[[slice, slice], tuple[Tensor, ...]]:
    """Row (step, example) is the example plus 100 times the step, so that each row can be told from all others."""

    def rows(at: slice, part: slice) -> tuple[Tensor, ...]:
        assert 0 <= at.start < at.stop <= steps
        (x,) = examples.slices(part)
        return (torch.cat([x + 100 * step for step in range(at.start, at.stop)]),)

    return rows


def put_together(blocks: Iterator[Block], steps: int, count: int) -> Tensor:
    """The explained numbers of all blocks as (steps, count); every cell must come once, in order."""
    found = torch.full((steps, count), torch.nan, dtype=torch.float64)
    done = 0
    for block in blocks:
        assert block.f is not None
        cells = block.f.shape
        assert found[block.steps, block.examples].shape == cells
        assert found[block.steps, block.examples].isnan().all(), "a row came twice"
        assert block.steps.start * count + block.examples.start == done, "a row came out of order"
        assert torch.equal(
            block.grid(block.gradients[0][0])[..., 0], 2 * block.grid(block.values[0][0])[..., 0]
        )
        found[block.steps, block.examples] = block.f
        done += cells.numel()
    assert not found.isnan().any(), "a row is missing"
    return found


def squares(x: Tensor, more: Tensor | None = None) -> Tensor:
    return x.square().sum(1) if more is None else x.square().sum(1) + more


def expected(examples: Examples, steps: int) -> Tensor:
    (x,) = examples.tensors
    return torch.stack([squares(x + 100 * step) for step in range(steps)])


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


def out_of_memory_above(most: int) -> Recorder:
    def model(x: Tensor) -> Tensor:
        if len(x) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return squares(x)

    return Recorder(model)


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


def test_an_error_of_the_model_itself_is_seen_after_a_step_and_a_row_were_tried() -> None:
    def model(x: Tensor) -> Tensor:
        raise ZeroDivisionError("in the model")

    examples = gather_examples(draw(4, 2))
    recorder = Recorder(model)
    with pytest.raises(ZeroDivisionError, match="in the model"):
        list(evaluator(recorder, examples).run(3, grid_rows(examples, 3)))
    assert recorder.rows == [12, 4, 1]


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


# --- the automatic choice, under a clock that only the model moves ------------------------------------------


class Clock:
    """Stands in for the ``time`` module; the model says how long its batches take."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    ours = Clock()
    monkeypatch.setattr(evaluate, "time", types.SimpleNamespace(perf_counter=ours.perf_counter))
    return ours


def timed(clock: Clock, seconds: Callable[[int], float]) -> Recorder:
    def model(x: Tensor) -> Tensor:
        clock.now += seconds(len(x))
        return squares(x)

    return Recorder(model)


def rows_of(model: Recorder, steps: int, count: int = 1) -> list[int]:
    """The batch sizes of a run over this many steps."""
    model.rows.clear()
    examples = gather_examples(draw(count, 2))
    found = put_together(evaluator(model, examples).run(steps, grid_rows(examples, steps)), steps, count)
    assert torch.equal(found, expected(examples, steps))
    return list(model.rows)


def begin_with(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "_FIRST_BATCH_NUMBERS", 2 * rows)


def test_tiny_work_goes_through_at_once(clock: Clock) -> None:
    """A linear model of two features with 50 steps must not become 50 calls."""
    assert rows_of(timed(clock, lambda rows: 1e-4), steps=50, count=8) == [400]


def test_batches_grow_while_that_pays_and_no_further(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_with(1, monkeypatch)
    model = timed(clock, lambda rows: 1e-3 * (4 + rows))
    rows = rows_of(model, steps=600)
    speeds = [r / (1e-3 * (4 + r)) for r in rows]
    settled = rows[-2]  # the last one holds what was left
    assert speeds[-2] > 0.9 * 1000, "most of what larger batches could give"
    assert max(rows) < 300, "not everything at once: memory, progress and cancelling"
    assert rows_of(model, steps=600)[0] == settled, "the next call begins with what was found"


def test_batches_do_not_grow_when_that_does_not_pay(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_with(2, monkeypatch)
    rows = rows_of(timed(clock, lambda rows: 1e-3 * rows), steps=100)
    assert max(rows) <= 4
    assert rows[-1] == 2
    begin_with(4, monkeypatch)
    rows = rows_of(timed(clock, lambda rows: 1e-3 * rows**1.5), steps=100)
    assert max(rows) <= 8
    assert rows[-1] == 1, "what is faster in small batches goes in small batches"


def test_batches_need_not_divide_into_steps(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3 examples a batch of 4 rows holds one step; it is measured all the same."""
    begin_with(4, monkeypatch)
    rows = rows_of(timed(clock, lambda rows: 1e-3 * (4 + rows)), steps=300, count=3)
    assert max(rows) > 30


def test_long_batches_are_not_made_longer(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second a batch already: progress and cancel would lag, however much faster more rows would be."""
    begin_with(1, monkeypatch)
    assert max(rows_of(timed(clock, lambda rows: 0.5), steps=20)) == 1


@pytest.mark.parametrize("per_row", [0.001, 0.02, 0.03, 0.09, 0.4])
@pytest.mark.parametrize("overhead", [0.0, 0.01])
def test_batch_seconds_holds_from_the_first_batch_on(clock: Clock, per_row: float, overhead: float) -> None:
    """Inputs are small and the model is slow: the guess from the size of the input would be wrong by far."""
    model = timed(clock, lambda rows: overhead + per_row * rows)
    with attriscope.control(batch_seconds=0.1):
        rows = rows_of(model, steps=60, count=3)
    fit = max(1, int((0.1 - overhead) / per_row))
    assert max(rows) <= fit
    assert max(rows) >= 0.6 * min(fit, 3 * (fit // 3) or fit), "the time that is given is used"


def test_batch_seconds_holds_when_the_machine_grows_busy(clock: Clock) -> None:
    busy = [False]
    model = timed(clock, lambda rows: (0.04 if busy[0] else 0.01) * rows)
    with attriscope.control(batch_seconds=0.1):
        assert max(rows_of(model, steps=40)) == 10
        busy[0] = True
        rows = rows_of(model, steps=40)
        assert rows[0] == 10, "nobody could know"
        assert max(rows[1:]) == 2
        busy[0] = False
        assert max(rows_of(model, steps=40)) == 10, "and it recovers"


def test_what_was_learned_goes_with_the_model(clock: Clock) -> None:
    model = timed(clock, lambda rows: 1e-4)
    rows_of(model, steps=3)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None, "a measurement must not keep a model in memory"


def test_other_shapes_and_other_models_are_measured_anew(clock: Clock) -> None:
    """What failed for large pictures says nothing about small ones."""
    model = out_of_memory_above(2)
    rows_of(model, steps=8)
    large = gather_examples(draw(1, 3))
    model.rows.clear()
    list(evaluator(model, large).run(8, grid_rows(large, 8)))
    assert model.rows[0] == 8


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, x: Tensor) -> Tensor:
        return squares(x)


class Slotted:
    __slots__ = ()

    def __call__(self, x: Tensor) -> Tensor:
        return squares(x)


@pytest.mark.parametrize("model", [Unhashable(), Slotted()], ids=["no hash", "no weak reference"])
def test_callables_that_cannot_be_remembered_work_too(model: Any) -> None:
    examples = gather_examples(draw(2, 2))
    found = put_together(evaluator(model, examples).run(3, grid_rows(examples, 3)), 3, 2)
    assert torch.equal(found, expected(examples, 3))


# --- batch sizes that users give ----------------------------------------------------------------------------


def test_batch_sizes() -> None:
    assert check_batch(None, "internal_batch_size") is None
    assert check_batch(np.int64(4), "internal_batch_size") == 4
    for wrong in (2.0, "4", True, [4]):
        with pytest.raises(InputTypeError, match="internal_batch_size must be a positive int or None, but"):
            check_batch(wrong, "internal_batch_size")
    for wrong in (0, -3):
        with pytest.raises(InputError, match=f"internal_batch_size must be at least 1, but {wrong} came"):
            check_batch(wrong, "internal_batch_size")
