"""How many rows go at a time: measured, under a clock that only the model moves, or as users say."""

from __future__ import annotations

import gc
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import attriscope
from attriscope.core import evaluate
from attriscope.core.batch_size import check_batch
from attriscope.core.errors import (
    InputError,
    InputTypeError,
)
from attriscope.core.inputs import gather_examples
from models import Recorder, draw
from row_grids import evaluator, expected, grid_rows, out_of_memory_above, put_together, squares

# How it is found out that rows do not depend on each other is told in test_row_dependence.py.
pytestmark = pytest.mark.usefixtures("independent_rows")

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
    monkeypatch.setattr("attriscope.core.batch_size._FIRST_BATCH_NUMBERS", 2 * rows)


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


def test_the_first_batch_heeds_the_widest_layer() -> None:
    """A small row may go through a large layer: nobody wants gigabytes of it before anything was measured."""
    wide = torch.nn.Sequential(
        torch.nn.Linear(2, 1 << 17), torch.nn.ReLU(), torch.nn.Linear(1 << 17, 1)
    ).double()
    seen: list[int] = []
    wide[1].register_forward_hook(lambda module, args, output: seen.append(len(output)))
    examples = gather_examples(draw(3, 2))
    list(evaluator(wide, examples, target=0).run(50, grid_rows(examples, 50)))
    assert seen[0] == 1
    assert sum(seen) >= 150
