"""GradientShap: against quadrature and linear models, however it was cut, and as exact as it says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import attriscope
from attriscope.attr import GradientShap
from attriscope.attr._random import even_choices
from attriscope.attr._random_paths import _sample_order
from attriscope.core.errors import InputError
from models import Recorder, Snapshot, assert_same, draw, mlp, pair, pictures, seeded

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(3, 4, seed=5)


def linear(x: Tensor) -> Tensor:
    return x @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]], dtype=x.dtype)[:, 0]


def expected_gradients(model: Any, x: Tensor, baselines: Tensor, target: int) -> Tensor:
    """The integral that is estimated, by a rule of 100 nodes in float64, for x of shape (1, F)."""
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(100))
    total = torch.zeros_like(x[0])
    for start in baselines:
        points = (start + (nodes[:, None] + 1) / 2 * (x - start)).requires_grad_()
        (gradient,) = torch.autograd.grad(model(points)[:, target].sum(), points)
        total += (weights / 2) @ gradient * (x[0] - start)
    return total / len(baselines)


# --- what the numbers are -----------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, 2, 5, 7, 20])
def test_of_a_linear_model_every_sample_is_exact(samples: int) -> None:
    one = draw(1, 4, seed=6)
    found, delta = GradientShap(linear).attribute(X, one, n_samples=samples, return_convergence_delta=True)
    torch.testing.assert_close(found, (X - one) * torch.tensor([1, -2, 0.5, 3]).double())
    assert delta.shape == (3 * samples,)
    torch.testing.assert_close(delta, torch.zeros_like(delta), rtol=0, atol=1e-12)
    sensitivity = GradientShap(linear, multiply_by_inputs=False).attribute(X, one, samples)
    torch.testing.assert_close(sensitivity, torch.tensor([1, -2, 0.5, 3]).double().expand(3, 4))


@pytest.mark.parametrize("samples", [5, 10, 11, 13])
def test_of_a_linear_model_even_drawing_leaves_nothing_to_chance(samples: int) -> None:
    """With two samples or more for each baseline all of them weigh the same, also when numbers do not divide."""
    baselines = draw(5, 4, seed=6) if samples > 5 else draw(2, 4, seed=6)
    found = GradientShap(linear).attribute(X, baselines, n_samples=samples)
    torch.testing.assert_close(found, (X - baselines.mean(0)) * torch.tensor([1, -2, 0.5, 3]).double())


@pytest.mark.parametrize(("count", "samples"), [(1, 9), (2, 5), (3, 50), (4, 12), (10, 15), (40, 12)])
def test_the_mean_is_the_integral_and_the_error_covers(count: int, samples: int) -> None:
    """Many runs at once, as examples that are all the same but for what is drawn."""
    model, baselines, x = mlp(), draw(count, 4, seed=11), draw(1, 4, seed=7) * 1.5
    truth = expected_gradients(model, x, baselines, 1)
    runs = [
        GradientShap(model).estimate(x.expand(40, 4), baselines, samples, 0.0, 1, generator=seeded(i))
        for i in range(20)
    ]
    found, error = torch.cat([r.attributions for r in runs]), torch.cat([r.error for r in runs])
    wrong = found - truth
    assert (wrong.mean(0).abs() < 4 * wrong.square().mean(0).sqrt() / math.sqrt(20)).all()
    covered = (wrong.abs() <= 1.96 * error).double().mean()
    assert covered > 0.85, covered
    # Never half as large as it should be; up to five times where baselines are few, but fewer than two samples each.
    assert wrong.square().mean() < 2 * error.square().mean()
    assert error.square().mean() < 25 * wrong.square().mean()


def test_positions_are_spread_evenly() -> None:
    """One baseline: every n-th of the path has one sample. Five baselines: so has every piece of each one's path."""
    seen: list[Tensor] = []

    def model(x: Tensor) -> Tensor:
        seen.append(x.detach().clone())
        return x.sum(1)

    GradientShap(model).attribute(torch.ones(2, 1), torch.zeros(1, 1), n_samples=20)
    at = torch.cat(seen).reshape(20, 2)
    assert (at.sort(0).values * 20).floor().equal(torch.arange(20.0)[:, None].expand(20, 2))
    seen.clear()
    # The second number tells the baseline, as it is the same at both ends of a path.
    starts = torch.stack([torch.zeros(5), torch.arange(5.0)], 1)
    GradientShap(lambda x: model(x[:, :1]) + 0 * model(x).sum()).attribute(
        torch.tensor([[1.0, 0.0]]), starts, n_samples=20
    )
    position, second = torch.cat(seen[1::2]).T
    which = (second / (1 - position)).round()
    for baseline in range(5):
        pieces = (position[which == baseline].sort().values * 4).floor()
        assert pieces.equal(torch.arange(4.0))


def test_noise_moves_the_input() -> None:
    """For a square, f' at x + e times (x + e), averaged over the path: (x + e)^2, whose mean is x^2 + s^2."""
    x = torch.full((2000, 2), 0.5, dtype=torch.float64)
    found = GradientShap(lambda x: x.square().sum(1)).estimate(
        x, torch.zeros(1, 2).double(), 60, 0.3, generator=seeded(0)
    )
    assert abs(float(found.attributions.mean()) - (0.25 + 0.09)) < 0.003
    covered = (found.attributions - 0.34).abs() <= 1.96 * found.error
    assert 0.87 < covered.double().mean() < 0.99


def test_two_inputs_keep_their_baselines_together() -> None:
    """The model is zero unless both come from the same entry of the distribution."""
    x, y = torch.zeros(2, 1), torch.zeros(2, 1)
    a, b = torch.arange(1.0, 5)[:, None], torch.arange(1.0, 5)[:, None] ** 2
    GradientShap(lambda x, y: check(x, y)).attribute((x, y), (a, b), n_samples=6)
    with pytest.raises(ArithmeticError):
        GradientShap(lambda x, y: check(x, y)).attribute((x, y), (a, torch.cat([b, b])), n_samples=6)


def check(x: Tensor, y: Tensor) -> Tensor:
    # On the way from (n, n^2) to (0, 0) at (n s, n^2 s): x^2 / y = s, in (0, 1), and y / x = n.
    if not torch.allclose((y / x).round(), y / x, atol=1e-4):
        raise ArithmeticError("torn apart")
    return (x + y).sum(1)


def test_deltas_are_those_of_each_samples_path() -> None:
    """With noise, for few and for many baselines: each sample's sum minus what f does between its own ends."""
    for count, noise in ((2, 0.0), (2, 0.4), (30, 0.0), (30, 0.4)):
        _, delta = GradientShap(linear).attribute(X, draw(count, 4), 8, noise, return_convergence_delta=True)
        torch.testing.assert_close(delta, torch.zeros(24).double(), rtol=0, atol=1e-12)
    found, delta = GradientShap(mlp()).attribute(
        X, X[:1] * 0, 40, 0.0, [0, 1, 2], return_convergence_delta=True
    )
    rise = mlp()(X).diagonal() - mlp()(X[:1] * 0)[0]
    # One baseline and no noise: the mean of the deltas is the delta of the mean.
    torch.testing.assert_close(delta.reshape(3, 40).mean(1), found.sum(1) - rise)


@pytest.mark.parametrize("multiply", [True, False])
def test_a_delta_is_the_sum_of_the_attributions_less_the_change(multiply: bool) -> None:
    method, base = GradientShap(linear, multiply), draw(1, 4)
    found, delta = method.attribute(X, base, 1, return_convergence_delta=True)
    expected = found.sum(1) - (linear(X) - linear(base))
    torch.testing.assert_close(delta, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(delta, method.compute_convergence_delta(found, base, X), rtol=0, atol=1e-12)
    assert bool(delta.abs().max() < 1e-12) is multiply


# --- random numbers -----------------------------------------------------------------------------------------


def options(**more: Any) -> dict[str, Any]:
    return {"n_samples": 7, "stdevs": 0.2, "target": [0, 1, 2], "return_convergence_delta": True, **more}


@pytest.mark.parametrize("seconds", [None, 1e-9])
@pytest.mark.parametrize("per_batch", [1, 2, 4, 10, 21])
def test_the_same_seed_gives_the_same_numbers_however_rows_are_cut(
    seconds: float | None, per_batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = draw(3, 2, 6, 5)
    baselines = draw(4, 2, 6, 5, seed=9)
    expected = GradientShap(pictures()).attribute(x, baselines, generator=seeded(3), **options())
    monkeypatch.setattr("attriscope.core.batch_size._FIRST_BATCH_NUMBERS", per_batch * 60)
    model = Recorder(pictures())
    with attriscope.control(batch_seconds=seconds):
        found = GradientShap(model).attribute(x, baselines, generator=seeded(3), **options())
    # Whole steps of three examples, or parts of one.
    assert model.rows[0] == (1 if seconds else per_batch if per_batch < 3 else per_batch // 3 * 3)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


def test_seeding_torch_is_enough_and_numpy_is_left_alone() -> None:
    model = mlp()

    def run(generator: torch.Generator | None = None) -> Any:
        return GradientShap(model).attribute(X, draw(6, 4), generator=generator, **options())

    torch.manual_seed(4)
    numpy_before = np.random.get_state()[1].copy()
    first = run()
    assert (np.random.get_state()[1] == numpy_before).all()
    other = run()
    torch.manual_seed(4)
    assert_same(run(), first)
    assert not first[0].equal(other[0])
    before = torch.get_rng_state()
    assert_same(run(seeded(8)), run(seeded(8)))
    assert torch.get_rng_state().equal(before)


@settings(max_examples=60)
@given(
    samples=st.integers(1, 40), examples=st.integers(1, 4), among=st.integers(1, 50), seed=st.integers(0, 99)
)
def test_choices_are_even(samples: int, examples: int, among: int, seed: int) -> None:
    chosen = even_choices(samples, examples, among, seeded(seed))
    assert chosen.shape == (samples, examples)
    for column in chosen.T:
        counts = torch.bincount(column, minlength=among)
        assert counts.max() - counts.min() <= 1


def test_every_choice_is_equally_likely() -> None:
    chosen = torch.stack([even_choices(3, 2, 5, seeded(seed)) for seed in range(4000)])
    for s in range(3):
        for n in range(2):
            shares = torch.bincount(chosen[:, s, n], minlength=5) / 4000
            assert (shares - 0.2).abs().max() < 0.03


@settings(max_examples=100)
@given(samples=st.integers(1, 60), slots=st.integers(1, 9), run=st.sampled_from([2, 3]))
def test_the_plan_covers_every_path_once(samples: int, slots: int, run: int) -> None:
    plan = _sample_order(samples, min(slots, samples), run)
    assert len(set(plan)) == len(plan) == samples
    for slot in range(min(slots, samples)):
        mine = [(piece, pieces) for one, piece, pieces in plan if one == slot]
        assert sorted(piece for piece, _ in mine) == list(range(mine[0][1]))
    whole = sum(pieces // run for _, piece, pieces in plan if piece == 0)
    for first in range(0, whole * run, run):
        slot, piece, _ = plan[first]
        assert [p[:2] for p in plan[first : first + run]] == [(slot, piece + i) for i in range(run)]


# --- estimates, progress, memory ----------------------------------------------------------------------------


def test_the_stream_improves_and_ends_with_what_attribute_gives() -> None:
    with attriscope.control(batch_seconds=1e-9):
        estimates = list(
            GradientShap(mlp()).stream(X, draw(2, 4), generator=seeded(0), **options(n_samples=30))
        )
    assert [e.evaluations for e in estimates] == [3 * (i + 1) for i in range(30)]
    assert [e.stopped for e in estimates] == [None] * 29 + ["complete"]
    assert [e.delta.numel() for e in estimates] == [3 * (i + 1) for i in range(30)]
    assert [e.error is None for e in estimates] == [True] * 2 + [False] * 28
    assert estimates[-1].error.max() < estimates[5].error.max()
    found = GradientShap(mlp()).attribute(X, draw(2, 4), generator=seeded(0), **options(n_samples=30))
    torch.testing.assert_close(estimates[-1].attributions, found[0])
    torch.testing.assert_close(estimates[-1].delta, found[1])


def test_tolerance_stops_early() -> None:
    with attriscope.control(batch_seconds=1e-9):
        found = GradientShap(mlp()).estimate(
            X, draw(2, 4), 1000, target=1, tolerance=1e-2, generator=seeded(0)
        )
    assert found.stopped == "tolerance"
    assert found.inaccuracy <= 1e-2
    assert found.evaluations < 600


def test_memory_is_bounded_by_the_batch_and_not_by_the_samples() -> None:
    model = Recorder(lambda x: x.flatten(1).square().sum(1))
    GradientShap(model).attribute(torch.rand(2, 3, 64, 64), torch.rand(5, 3, 64, 64), n_samples=60)
    assert sum(model.rows) == 120
    assert max(model.rows) <= 60


def test_one_number_for_the_whole_batch() -> None:
    net = mlp()
    found = GradientShap(lambda x: net(x).square().sum()).attribute(X, X[:1] * 0, 6, generator=seeded(0))
    each = GradientShap(lambda x: net(x).square().sum(1)).attribute(X, X[:1] * 0, 6, generator=seeded(0))
    torch.testing.assert_close(found, each)


# --- forms, types, devices ----------------------------------------------------------------------------------


def test_baselines_may_come_from_functions() -> None:
    b = draw(4, 4)
    expected = GradientShap(mlp()).attribute(X, b, target=1, generator=seeded(0))
    for given_as in (lambda: b, lambda inputs: b + 0 * inputs[:1], lambda: (b,)):
        assert_same(GradientShap(mlp()).attribute(X, given_as, target=1, generator=seeded(0)), expected)
    pairs = GradientShap(pair()).attribute(
        (draw(3, 4), draw(3, 2, 3)), lambda: (draw(2, 4), draw(2, 2, 3)), target=0
    )
    assert [t.shape for t in pairs] == [(3, 4), (3, 2, 3)]


def test_further_arguments_go_with_their_examples() -> None:
    mask, shared, table = draw(3, 3, seed=8), draw(1, 3, seed=9), draw(7, 3, seed=10)
    net = mlp()

    def model(x: Tensor, mask: Tensor, shared: Tensor, table: Tensor) -> Tensor:
        assert len(x) == len(mask) == len(shared)
        assert len(table) == 7
        return net(x) * mask * shared * table[4]

    found = GradientShap(model).attribute(
        X, X[:1] * 0, 60, target=1, additional_forward_args=(mask, shared, table), generator=seeded(0)
    )
    scale = (mask * shared * table[4])[:, 1]
    rise = (net(X) - net(X * 0))[:, 1]
    torch.testing.assert_close(found.sum(1), rise * scale, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_types(dtype: torch.dtype) -> None:
    found, delta = GradientShap(mlp(dtype=dtype)).attribute(
        X.to(dtype), draw(4, 4).to(dtype), generator=seeded(0), **options(stdevs=0.0)
    )
    half = dtype in (torch.float16, torch.bfloat16)
    assert found.dtype == (torch.float32 if half else dtype)
    expected, _ = GradientShap(mlp()).attribute(X, draw(4, 4), generator=seeded(0), **options(stdevs=0.0))
    assert (found.double() - expected).abs().max() < 30 * torch.finfo(dtype).eps
    assert delta.shape == (21,)


def test_on_the_meta_device_shapes_are_right() -> None:
    model = nn.Linear(4, 3, device="meta")
    x = torch.empty(5, 4, device="meta")
    found, delta = GradientShap(model).attribute(
        x, torch.empty(6, 4, device="meta"), 4, 0.1, 1, return_convergence_delta=True
    )
    assert found.shape == (5, 4)
    assert delta.shape == (20,)
    assert found.device.type == "meta"


@settings(max_examples=25)
@given(
    examples=st.integers(1, 3),
    shape=st.lists(st.integers(1, 3), min_size=0, max_size=3),
    among=st.integers(1, 6),
    samples=st.integers(1, 9),
    noise=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 9),
)
def test_any_shape(
    examples: int, shape: list[int], among: int, samples: int, noise: float, seed: int
) -> None:
    x, b = draw(examples, *shape, seed=seed), draw(among, *shape, seed=seed + 1)
    w = draw(*shape, seed=seed + 2) if shape else torch.tensor(2.0).double()

    def model(x: Tensor) -> Tensor:
        return (x * w).reshape(len(x), -1).sum(1) + 1

    found, delta = GradientShap(model).attribute(x, b, samples, noise, return_convergence_delta=True)
    assert found.shape == x.shape
    assert delta.shape == (examples * samples,)
    torch.testing.assert_close(delta, torch.zeros_like(delta), rtol=0, atol=1e-12)


# --- what is refused, and the world afterwards --------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        ({"baselines": None}, TypeError, "distribution"),
        ({"baselines": 0.0}, TypeError, "distribution"),
        ({"baselines": draw(2, 3)}, ValueError, "(M, 4)"),
        ({"baselines": draw(0, 4)}, ValueError, "(M, 4)"),
        ({"baselines": (draw(2, 4), draw(2, 4))}, ValueError, "one distribution of baselines per input"),
        ({"baselines": torch.empty(2, 4, device="meta")}, ValueError, "baselines.to('cpu')"),
        ({"n_samples": 0}, ValueError, "at least 1"),
        ({"n_samples": 2.5}, TypeError, "n_samples must be an int"),
        ({"stdevs": -1.0}, ValueError, "at least 0"),
        ({"stdevs": "much"}, TypeError, "'much'"),
        ({"stdevs": (0.1, 0.2)}, ValueError, "one per input"),
        ({"stdevs": math.nan}, ValueError, "at least 0"),
        ({"generator": 3}, TypeError, "manual_seed"),
        ({"target": 9}, IndexError, "out of range"),
        ({"inputs": torch.ones(2, 4, dtype=torch.long)}, TypeError, "gradients"),
    ],
)
def test_what_cannot_be_used(arguments: dict[str, Any], kind: type[Exception], says: str) -> None:
    model = mlp()
    given = {"inputs": X, "baselines": draw(2, 4), "target": 1, "generator": seeded(0), **arguments}
    before = Snapshot(model, (X,))
    with pytest.raises(kind) as caught:
        GradientShap(model).attribute(**given)
    before.check()
    assert isinstance(caught.value, InputError)
    assert isinstance(caught.value, AssertionError)
    assert says in str(caught.value)


def test_nothing_is_changed_after_success_exception_and_cancel() -> None:
    model = pictures()
    x = draw(3, 2, 6, 5)

    class Stop:
        def is_set(self) -> bool:
            return self.checks() > 2

        def __init__(self) -> None:
            counter = iter(range(100))
            self.checks = lambda: next(counter)

    def fails(x: Tensor) -> Tensor:
        raise ZeroDivisionError

    before = Snapshot(model, (x,))
    GradientShap(model).attribute(x, x, 4, 0.1, 1, generator=seeded(0))
    before.check()
    with pytest.raises(ZeroDivisionError):
        GradientShap(lambda x: fails(model(x))).attribute(x, x, 4, 0.1, 1, generator=seeded(0))
    before.check()
    with pytest.raises(attriscope.Cancelled), attriscope.control(cancel=Stop(), batch_seconds=1e-9):
        GradientShap(model).attribute(x, x, 4, 0.1, 1, generator=seeded(0))
    before.check()
