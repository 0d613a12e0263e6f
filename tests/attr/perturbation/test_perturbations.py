"""What holds for every method that perturbs inputs: numbers that depend on nothing else, a world left as it was."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attriscope
from attriscope.attr import (
    FeatureAblation,
    FeaturePermutation,
    KernelShap,
    Lime,
    LimeBase,
    Occlusion,
    ShapleyValues,
    ShapleyValueSampling,
    linear,
)
from attriscope.core.errors import Cancelled
from models import Recorder, Snapshot, assert_same, draw, mlp, pair, pictures, seeded, tensors_in

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(3, 2, 6, 5)
TARGET = [0, 3, 1]
MASK = torch.arange(60).reshape(1, 2, 6, 5) // 8  # 8 features


def _lime_base(model: Any) -> LimeBase:
    """One example at a time is all that it takes."""

    def perturb(original: Any, **_: Any) -> Tensor:
        return torch.randint(2, (1, 8))

    def onto(point: Tensor, original: Any, **_: Any) -> Tensor:
        return torch.where(point[0, MASK] != 0, original, 0.0)

    return LimeBase(model, linear.Ridge(), lambda *_, **__: 1.0, perturb, True, onto, None)


@dataclasses.dataclass(frozen=True)
class Way:
    """A method as these tests call it.

    Attributes:
        options: for ``attribute``.
        masked: it takes a feature mask.
        draws: it draws random numbers.
        alone: it takes one example.
    """

    make: Callable[..., Any]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    masked: bool = True
    draws: bool = False
    alone: bool = False

    def arguments(self, x: Any = X, target: Any = TARGET, mask: Any = MASK, **more: Any) -> dict[str, Any]:
        given = {"inputs": x, "target": target, **self.options, **more}
        if self.alone:
            return {**given, "inputs": x[:1], "target": target[0] if isinstance(target, list) else target}
        return {**given, "feature_mask": mask} if self.masked else given


WAYS = {
    "FeatureAblation": Way(FeatureAblation),
    "FeaturePermutation": Way(FeaturePermutation, draws=True),
    "Occlusion": Way(Occlusion, {"sliding_window_shapes": (2, 3, 3), "strides": 2}, masked=False),
    "ShapleyValues": Way(ShapleyValues),
    "ShapleyValueSampling": Way(ShapleyValueSampling, {"n_samples": 7}, draws=True),
    "KernelShap": Way(KernelShap, {"n_samples": 50}, draws=True),
    "KernelShap, few": Way(KernelShap, {"n_samples": 25}, draws=True),
    "Lime": Way(Lime, {"n_samples": 30}, draws=True),
    "LimeBase": Way(_lime_base, {"n_samples": 30}, masked=False, draws=True, alone=True),
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
every_input_way = pytest.mark.parametrize(
    "way", [w for w in WAYS.values() if w.masked], ids=[n for n, w in WAYS.items() if w.masked]
)
every_drawing_way = pytest.mark.parametrize(
    "way", [w for w in WAYS.values() if w.draws], ids=[n for n, w in WAYS.items() if w.draws]
)


def run(way: Way, model: Any, seed: int = 0, **more: Any) -> Any:
    torch.manual_seed(seed)
    return way.make(model).attribute(**way.arguments(**more))


# --- numbers --------------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("batch", [1, 2, 5, 1000])
def test_numbers_do_not_depend_on_how_rows_were_cut(way: Way, batch: int) -> None:
    model = pictures()
    torch.testing.assert_close(
        run(way, model, perturbations_per_eval=batch), run(way, model), rtol=1e-5, atol=1e-6
    )


@every_way
def test_numbers_do_not_depend_on_the_clock(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """The automatic choice follows a clock; whatever that says, the numbers stay."""
    from attriscope.core import evaluate

    expected, clock = run(way, pictures()), iter(range(10**6))
    hasty = random.Random(0)
    monkeypatch.setattr(evaluate.time, "perf_counter", lambda: next(clock) * hasty.random())
    for _ in range(3):
        torch.testing.assert_close(run(way, pictures()), expected, rtol=1e-5, atol=1e-6)


@every_way
def test_a_longest_time_for_a_batch_changes_no_number(way: Way) -> None:
    model = Recorder(pictures())
    expected = run(way, model)
    model.rows.clear()
    with attriscope.control(batch_seconds=1e-9):
        found = run(way, model)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert max(model.rows[1:]) == 1  # the first step tells what kind of output it is, and goes whole


@every_drawing_way
def test_torchs_seed_is_all_that_counts(way: Way) -> None:
    """Same seed, same numbers, whatever the other generators say; and they are not touched."""
    model = pictures()
    expected = run(way, model, seed=3)
    np.random.seed(1)
    random.seed(1)
    before = np.random.get_state()[1].tolist(), random.getstate()
    assert_same(run(way, model, seed=3), expected)
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before
    assert not torch.equal(run(way, model, seed=4), expected)


@pytest.mark.parametrize(
    "name", ["FeaturePermutation", "ShapleyValueSampling", "KernelShap", "KernelShap, few", "Lime"]
)
def test_a_generator_of_ones_own(name: str) -> None:
    """Then torch's global one is left alone."""
    way, model = WAYS[name], pictures()
    before = Snapshot(model, (X,))
    one = way.make(model).attribute(**way.arguments(generator=seeded(5)))
    before.check()
    assert_same(way.make(model).attribute(**way.arguments(generator=seeded(5))), one)
    assert not torch.equal(way.make(model).attribute(**way.arguments(generator=seeded(6))), one)


@every_drawing_way
def test_a_model_that_draws_changes_no_draw_of_ours(way: Way) -> None:
    """All that a method draws is drawn before the model runs, or does not mind it."""
    calls: list[Tensor] = []

    def thirsty(x: Tensor) -> Tensor:
        calls.append(x)
        torch.rand(7)
        return pictures_model(x)

    pictures_model = pictures()
    expected = run(way, pictures_model)
    if way.make is _lime_base:
        return  # the user's own function draws in between, as in Captum
    torch.testing.assert_close(run(way, thirsty), expected, rtol=1e-5, atol=1e-6)


# --- the world ------------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("training", [False, True])
def test_all_is_left_as_it_was(way: Way, training: bool) -> None:
    model = pictures().train(training)
    x = X.clone().requires_grad_()
    state = torch.get_rng_state()
    before = Snapshot(model, (x,))
    found = way.make(model).attribute(**way.arguments(x))
    torch.set_rng_state(state)
    before.check()
    assert not any(t.requires_grad for t in tensors_in(found))


@every_way
@pytest.mark.parametrize("after", [0, 1, 3])
def test_all_is_left_as_it_was_when_the_model_fails(way: Way, after: int) -> None:
    inner, calls = pictures(), iter(range(1000))

    def failing(x: Tensor) -> Tensor:
        if next(calls) == after:
            raise KeyError("mine")
        return inner(x)

    state = torch.get_rng_state()
    before = Snapshot(inner, (X,))
    method = way.make(failing)
    with pytest.raises(KeyError, match="mine"):
        method.attribute(**way.arguments(perturbations_per_eval=1))
    torch.set_rng_state(state)
    before.check()
    assert_same(run(way, failing, perturbations_per_eval=1), run(way, inner, perturbations_per_eval=1))


@every_way
def test_all_is_left_as_it_was_when_cancelled(way: Way) -> None:
    stop, model, reports = threading.Event(), pictures(), []

    def report(done: int, total: int) -> None:
        reports.append((done, total))
        if len(reports) == 3:
            stop.set()

    state = torch.get_rng_state()
    before = Snapshot(model, (X,))
    with pytest.raises(Cancelled), attriscope.control(progress=report, cancel=stop):
        way.make(model).attribute(**way.arguments(perturbations_per_eval=1))
    torch.set_rng_state(state)
    before.check()
    assert len(reports) == 3


@every_way
def test_progress_goes_from_nothing_to_all(way: Way) -> None:
    """Over all runs of the model together, in rows."""
    reports: list[tuple[int, int]] = []
    model = Recorder(pictures())
    with attriscope.control(progress=lambda done, total: reports.append((done, total))):
        run(way, model, perturbations_per_eval=2)
    done = [d for d, _ in reports]
    assert done == sorted(set(done))
    assert {t for _, t in reports} == {sum(model.rows)} == {done[-1]}


@every_way
def test_a_stream_may_be_left(way: Way) -> None:
    model = pictures()
    state = torch.get_rng_state()
    before = Snapshot(model, (X,))
    stream = way.make(model).stream(**way.arguments(perturbations_per_eval=1))
    next(stream)
    stream.close()
    torch.set_rng_state(state)
    before.check()


@every_way
def test_the_last_estimate_is_what_attribute_returns(way: Way) -> None:
    model = pictures()
    expected = run(way, model)
    torch.manual_seed(0)
    *_, last = way.make(model).stream(**way.arguments())
    assert_same(last.attributions, expected)
    assert last.stopped == "complete"
    if last.error is not None:
        assert all(
            e.shape == a.shape for e, a in zip(tensors_in(last.error), tensors_in(expected), strict=True)
        )


# --- models of every kind -------------------------------------------------------------------------------------------


@every_way
def test_a_model_that_keeps_and_changes_its_input(way: Way) -> None:
    """Rows are nobody's memory but the model's."""
    kept: list[Tensor] = []

    def greedy(x: Tensor) -> Tensor:
        kept.append(x)
        out = inner(x.clone())
        x.fill_(float("nan"))
        return out

    inner, before = pictures(), X.clone()
    torch.testing.assert_close(run(way, greedy), run(way, inner), rtol=1e-5, atol=1e-6)
    assert torch.equal(X, before)
    assert len({t.data_ptr() for t in kept}) == len(kept)


@every_way
def test_a_model_whose_output_is_its_input(way: Way) -> None:
    """A view of the rows must not change when the next rows are made."""
    given_ = {"target": None} if not way.alone else {"target": (0, 0, 0)}
    x = X.flatten(1)[:, :1]
    if way.masked:
        found = run(way, nn.Flatten(0), x=x, mask=None, **given_)
        assert found.shape == x.shape


@every_way
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_every_mode_of_gradients(way: Way, mode: Any) -> None:
    model = pictures()
    expected = run(way, model)
    with mode():
        x, mask = X.clone(), MASK.clone()
        found = run(way, model, x=x, mask=mask)
        found = found.clone()
    torch.testing.assert_close(found.clone(), expected, rtol=1e-6, atol=1e-7)


@every_way
def test_outputs_that_are_no_tensors(way: Way) -> None:
    """A function as target takes the numbers out."""
    model = pictures()

    def hidden(x: Tensor) -> dict[str, Any]:
        return {"logits": model(x), "other": None}

    found = run(way, hidden, target=lambda output: output["logits"][:, 2])
    assert_same(found, run(way, model, target=2))


@every_way
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_lower_precision(way: Way, dtype: torch.dtype) -> None:
    """Results in single precision, but ablation and permutation give the output's type, as in Captum."""
    low, exact = run(way, pictures(dtype), x=X.to(dtype)), run(way, pictures())
    own = way.make in (FeatureAblation, FeaturePermutation)
    assert low.dtype == (dtype if own else torch.float32)
    assert exact.dtype == (torch.float64 if own else torch.float32)
    scale = float(exact.abs().max()) * {torch.float32: 1e-4, torch.bfloat16: 0.2, torch.float16: 0.05}[dtype]
    torch.testing.assert_close(low.double(), exact.double(), rtol=0.05, atol=scale)


@every_way
def test_autocast(way: Way) -> None:
    """The model runs as the caller's context says; what is made of its outputs does not suffer."""
    model, exact = pictures(torch.float32), run(way, pictures())
    with torch.autocast("cpu", torch.bfloat16):
        found = run(way, model, x=X.float())
    torch.testing.assert_close(found.double(), exact.double(), rtol=0.05, atol=0.2 * float(exact.abs().max()))


@every_input_way
def test_inputs_by_keyword_and_none(way: Way) -> None:
    """As a tuple, where the model takes them by place."""
    x, y, model = draw(2, 4), draw(2, 2, 3, seed=1), pair()
    masks = torch.tensor([[0, 0, 1, 2]]), torch.tensor([[[1, 1, 1], [5, 5, 5]]])
    plain = run(way, model, x=(x, y), target=1, mask=masks)
    named = run(
        way, lambda x, y: model(x, y), x={"x": x, "y": y}, target=1, mask={"x": masks[0], "y": masks[1]}
    )
    assert_same(tuple(named.values()), plain)
    blank = run(way, lambda x, _, y: model(x, y), x=(x, None, y), target=1, mask=masks)
    assert blank[1] is None
    assert_same((blank[0], blank[2]), plain)


def test_windows_by_keyword_and_none() -> None:
    x, y, model = draw(2, 4), draw(2, 2, 3, seed=1), pair()
    plain = Occlusion(model).attribute((x, y), ((2,), (1, 2)), (1, (1, 2)), target=1)
    named = Occlusion(lambda x, y: model(x, y)).attribute(
        {"x": x, "y": y},
        {"x": (2,), "y": (1, 2)},
        {"x": 1, "y": (1, 2)},
        target=1,  # type: ignore[arg-type]
    )
    assert_same(tuple(named.values()), plain)
    blank = Occlusion(lambda x, _, y: model(x, y)).attribute(
        (x, None, y),
        ((2,), None, (1, 2)),
        (1, None, (1, 2)),
        target=1,  # type: ignore[arg-type]
    )
    assert_same((blank[0], blank[2]), plain)


@every_way
def test_examples_go_through_in_threads_at_once(way: Way) -> None:
    """Two jobs on one model give what each gives alone."""
    if way.draws:
        return  # they would share torch's global generator
    model = pictures()
    expected = [run(way, model, x=x) for x in (X, X.flip(0))]
    found: list[Any] = [None, None]

    def work(i: int) -> None:
        found[i] = way.make(model).attribute(**way.arguments((X, X.flip(0))[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other, 1e-6, 1e-7)


@every_way
def test_what_is_not_a_number_is_said(way: Way) -> None:
    def broken(x: Tensor) -> Tensor:
        return pictures()(x) / 0 * 0

    with pytest.raises(ArithmeticError, match="the explained output is NaN"):
        run(way, broken)


@every_way
def test_batches_that_cannot_be_used(way: Way) -> None:
    for batch, kind in (
        (0, ValueError),
        (-1, ValueError),
        (1.5, TypeError),
        ("a", TypeError),
        (True, TypeError),
    ):
        with pytest.raises(kind, match="perturbations_per_eval must be"):
            run(way, pictures(), perturbations_per_eval=batch)


def test_memory_does_not_hold_all_rows() -> None:
    """3,072 copies of 3,072 numbers would be 38 million; a batch is a part of that."""
    model = Recorder(lambda x: x.flatten(1).sum(1))
    x = draw(1, 3, 32, 32, dtype=torch.float32)
    FeatureAblation(model).attribute(x)
    assert sum(model.rows) == 3073
    assert max(model.rows) < 3073
    small = Recorder(mlp())
    FeatureAblation(small).attribute(draw(2, 4), target=0)
    assert sum(small.rows) == 10
