"""NoiseTunnel: closed forms, any method inside, numbers that do not depend on batches, errors that cover."""

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
from attriscope.attr import (
    Attribution,
    GradientAttribution,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    LayerActivation,
    LayerGradCam,
    NoiseTunnel,
    PerturbationAttribution,
    Saliency,
)
from attriscope.attr._random import Draws, Noise
from attriscope.attr._running_moments import RunningMoments
from attriscope.core.errors import InputError
from attriscope.core.inputs import gather_examples
from attriscope.core.progress import Parts, control
from models import Recorder, Snapshot, assert_same, draw, mlp, pair, pictures, seeded, tensors_in

X = draw(3, 4, seed=5)
W = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
PICTURES = draw(3, 2, 6, 5)
TARGET = [0, 3, 1]


def linear(x: Tensor) -> Tensor:
    return x @ W.to(x.dtype)


class Own(Attribution):
    """A user's: the input itself, and what the model made of it, without anything of this library."""

    def __init__(self, forward_func: Any) -> None:
        super().__init__(forward_func)
        self.calls: list[int] = []

    def attribute(self, inputs: Tensor, scale: float = 1.0) -> Tensor:
        self.calls.append(len(inputs))
        return inputs * self.forward_func(inputs).reshape(-1, *[1] * (inputs.dim() - 1)) * scale


# --- what the numbers are -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 1, 2, 7])
def test_of_a_linear_model(batch: int | None) -> None:
    """Its gradient is the same everywhere, to the last bit: so is the mean, and there is no variance at all."""
    tunnel = NoiseTunnel(Saliency(linear))
    options: dict[str, Any] = {"nt_samples": 7, "nt_samples_batch_size": batch, "stdevs": 3.0, "abs": False}
    assert tunnel.attribute(X, **options).equal(W.expand(3, 4))
    torch.testing.assert_close(tunnel.attribute(X, "smoothgrad_sq", **options), (W**2).expand(3, 4))
    assert tunnel.attribute(X, "vargrad", **options).eq(0).all()


def test_moments_of_the_noise_itself() -> None:
    """The method gives its input, so that the three kinds are the noise's moments, known in closed form."""

    class Itself(Attribution):
        def attribute(self, inputs: Tensor) -> Tensor:
            return inputs

    x, s = torch.tensor([[2.0, -1.0]]).double(), 0.5
    for kind, truth in (
        ("smoothgrad", x),
        ("smoothgrad_sq", x**2 + s**2),
        ("vargrad", torch.full_like(x, s**2)),
    ):
        found = NoiseTunnel(Itself(linear)).estimate(x, kind, 40000, stdevs=s, generator=seeded(1))
        assert ((found.attributions - truth).abs() < 4 * found.error).all()
        assert found.error.max() < 0.03
        assert found.evaluations == 40000


@pytest.mark.parametrize(
    ("kind", "samples", "least"),
    [
        ("smoothgrad", 5, 0.91),
        ("smoothgrad", 60, 0.93),
        ("smoothgrad_sq", 10, 0.87),
        ("smoothgrad_sq", 60, 0.92),
        ("vargrad", 10, 0.85),
        ("vargrad", 60, 0.92),
    ],
)
def test_the_error_covers(kind: str, samples: int, least: float) -> None:
    x = X[:1].expand(2000, 4)
    tunnel = NoiseTunnel(Saliency(mlp()))
    options: dict[str, Any] = {"stdevs": 0.5, "target": 1, "abs": False}
    truth = tunnel.attribute(x, kind, 60, generator=seeded(0), **options).mean(0)
    truth = truth * 60 / 59 if kind == "vargrad" else truth
    found = tunnel.estimate(x, kind, samples, generator=seeded(1), **options)
    wrong = (found.attributions - truth).abs()
    # Variances and squares are skewed: their errors are too small a little more often.
    assert least < (wrong <= 1.96 * found.error).double().mean() < 0.97
    if samples == 60:
        assert 0.95 < found.error.square().mean().sqrt() / wrong.square().mean().sqrt() < 1.2


def test_variances_do_not_cancel() -> None:
    """Gradients of 1e4 that vary by 1: in single precision the mean of squares minus the squared mean is noise."""

    def model(x: Tensor) -> Tensor:
        return (1e4 * x + x.square() / 2).sum(1)

    x = torch.zeros(1, 200)
    options: dict[str, Any] = {"nt_samples": 50, "abs": False, "generator": seeded(0)}
    found = NoiseTunnel(Saliency(model)).attribute(x, "vargrad", **options)
    options["generator"] = seeded(0)
    exact = NoiseTunnel(Saliency(lambda x: x.square().sum(1) / 2)).attribute(x, "vargrad", **options)
    torch.testing.assert_close(found, exact, rtol=2e-3, atol=2e-3)  # what 1e4 + e rounds to


@settings(max_examples=60)
@given(
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    order=st.sampled_from([2, 4]),
    shift=st.sampled_from([0.0, 1e6]),
    seed=st.integers(0, 99),
)
def test_moments_against_the_definition(cuts: list[int], order: int, shift: float, seed: int) -> None:
    values = draw(sum(cuts), 2, 3, seed=seed) + shift
    moments = RunningMoments(order)
    for part in values.split(cuts):
        moments.add(part)
    away = values - values.mean(0)
    torch.testing.assert_close(moments.mean, values.mean(0))
    for power, found in enumerate(moments.sums, start=2):
        torch.testing.assert_close(found, (away**power).sum(0), rtol=1e-6, atol=1e-7)


# --- any method inside --------------------------------------------------------------------------------------


def test_a_method_of_ones_own() -> None:
    method = Own(linear)
    noisy = NoiseTunnel(method).attribute(X, nt_samples=6, stdevs=0.0, scale=2.0)
    torch.testing.assert_close(noisy, X * linear(X)[:, None] * 2)
    assert sum(method.calls) == 18


def test_a_gradient_method_of_ones_own() -> None:
    class Plain(GradientAttribution):
        def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
            (found,) = self.gradient_func(self.forward_func, inputs, target)
            return found

    class ByHand(GradientAttribution):
        def attribute(self, inputs: Tensor, target: int) -> Tensor:
            return torch.autograd.grad(self.forward_func(inputs)[:, target].sum(), inputs)[0]

    expected = NoiseTunnel(Saliency(mlp())).attribute(X, target=1, abs=False, generator=seeded(0))
    for method in (Plain(mlp()), ByHand(mlp())):
        found = NoiseTunnel(method).attribute(X, target=1, generator=seeded(0))
        torch.testing.assert_close(found, expected)


def test_anything_that_has_attribute() -> None:
    class Duck:
        def attribute(self, inputs: Tensor) -> Tensor:
            return inputs * 2

    tunnel = NoiseTunnel(Duck())  # type: ignore[arg-type]
    torch.testing.assert_close(tunnel.attribute(X, stdevs=0.0), X * 2)
    assert not tunnel.has_convergence_delta()
    assert not tunnel.multiplies_by_inputs


def test_layers_tuples_and_lists_keep_their_form() -> None:
    model = pictures()
    cam = NoiseTunnel(LayerGradCam(model, "conv")).attribute(PICTURES, target=TARGET, stdevs=0.1)
    assert cam.shape == (3, 1, 6, 5)
    several = NoiseTunnel(LayerActivation(model, ["conv", "fc"])).attribute(PICTURES, stdevs=0.0)
    assert_same(several, LayerActivation(model, ["conv", "fc"]).attribute(PICTURES), 1e-12, 1e-12)
    estimate = NoiseTunnel(LayerActivation(model, ["conv", "fc"])).estimate(PICTURES, tolerance=10.0)
    assert [e.shape for e in tensors_in(estimate.error)] == [(3, 3, 6, 5), (3, 4)]
    both = NoiseTunnel(InputXGradient(pair())).attribute((X, draw(3, 2, 3)), target=0, stdevs=(0.1, 0.0))
    assert [t.shape for t in both] == [(3, 4), (3, 2, 3)]
    wrapped = NoiseTunnel(Saliency(mlp())).attribute((X,), target=0)
    assert isinstance(wrapped, tuple)


@pytest.mark.parametrize("batch", [None, 1, 2, 5])
def test_deltas_come_example_by_example(batch: int | None) -> None:
    """The order is the same however samples were cut (in Captum it is not)."""
    method = IntegratedGradients(mlp())
    tunnel = NoiseTunnel(method)
    options: dict[str, Any] = {"nt_samples": 5, "target": [0, 1, 2], "n_steps": 3, "stdevs": 0.5}
    options["return_convergence_delta"] = True
    found, delta = tunnel.attribute(X, nt_samples_batch_size=batch, generator=seeded(1), **options)
    expected, one_by_one = tunnel.attribute(X, nt_samples_batch_size=1, generator=seeded(1), **options)
    assert delta.shape == (15,)
    torch.testing.assert_close(delta, one_by_one)
    torch.testing.assert_close(found, expected)
    still, delta = tunnel.attribute(X, **{**options, "stdevs": 0.0})
    whole, once = method.attribute(X, target=[0, 1, 2], n_steps=3, return_convergence_delta=True)
    torch.testing.assert_close(delta, once.repeat_interleave(5))
    torch.testing.assert_close(still, whole)
    assert tunnel.has_convergence_delta()
    assert tunnel.multiplies_by_inputs


def test_methods_whose_results_do_not_grow_get_one_sample_at_a_time() -> None:
    """One number for all rows; a layer whose dimension 0 is something else, and as long as there are rows."""

    class Loss(PerturbationAttribution):
        def attribute(self, inputs: Tensor) -> Tensor:
            return inputs.square().sum(0, keepdim=True)

    found = NoiseTunnel(Loss(linear)).attribute(X, nt_samples=4, stdevs=0.0)
    torch.testing.assert_close(found, X.square().sum(0, keepdim=True))

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.turn = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.turn(x.T).T.sum(1)

    model = Turned()
    x = draw(2, 6)  # at three samples, six rows
    found = NoiseTunnel(LayerActivation(model, "turn")).attribute(x, nt_samples=4, stdevs=0.0)
    torch.testing.assert_close(found, x.T)


def test_a_model_that_takes_only_so_many_examples() -> None:
    class Three(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(3, 4).square().sum(1)

    found = NoiseTunnel(InputXGradient(Three())).attribute(X, stdevs=0.0)
    torch.testing.assert_close(found, 2 * X**2)


# --- arguments of the method --------------------------------------------------------------------------------


class Spy(Attribution):
    """Notes what comes."""

    seen: dict[str, Any]

    def attribute(self, inputs: Any, **kwargs: Any) -> Any:
        self.seen = {"inputs": inputs, **kwargs}
        return inputs


def spied(inputs: Any = X, nt_samples: int = 2, **kwargs: Any) -> dict[str, Any]:
    spy = Spy(linear)
    NoiseTunnel(spy).attribute(inputs, nt_samples=nt_samples, stdevs=0.0, **kwargs)
    return spy.seen


def test_what_belongs_to_an_example_is_repeated_with_it() -> None:
    per, shared, table, scalar = draw(3, 2), draw(1, 2), draw(5, 2), torch.tensor(2.0)
    seen = spied(
        target=[0, 3, 1],
        additional_forward_args=(per, shared, table, scalar, "mode"),
        baselines=X + 1,
        feature_mask=torch.arange(12).reshape(3, 4),
        n_steps=9,
    )
    assert_same(seen["inputs"], X.repeat_interleave(2, 0))
    assert seen["target"] == [0, 0, 3, 3, 1, 1]
    a, b, c, d, e = seen["additional_forward_args"]
    assert_same(a, per.repeat_interleave(2, 0))
    assert_same(b, shared.expand(6, 2))
    assert c is table
    assert d is scalar
    assert e == "mode"
    assert_same(seen["baselines"], (X + 1).repeat_interleave(2, 0))
    assert_same(seen["feature_mask"], torch.arange(12).reshape(3, 4).repeat_interleave(2, 0))
    assert seen["n_steps"] == 9


def test_what_is_shared_stays_as_it_is() -> None:
    shared = {
        "target": 2,
        "baselines": draw(1, 4),
        "feature_mask": torch.arange(4)[None],
        "additional_forward_args": None,
    }
    seen = spied(**shared)
    for name, value in shared.items():
        assert seen[name] is value
    # As long as there are examples, and yet no example's: it has fewer dimensions than the input.
    mask = torch.arange(3)
    assert spied(draw(3, 4, 3), feature_mask=mask)["feature_mask"] is mask
    assert spied(baselines=0.5)["baselines"] == 0.5
    assert spied(target=torch.tensor([0, 1, 2]))["target"].tolist() == [0, 0, 1, 1, 2, 2]
    assert spied(target=np.array([0, 1, 2]))["target"].tolist() == [0, 0, 1, 1, 2, 2]
    assert spied(target=(1,))["target"] == (1,)


def test_a_table_as_long_as_there_are_rows_is_not_taken_for_one_entry_per_row() -> None:
    """Six rows of two samples, and six weights: then there are other rows."""
    weights = draw(6)

    def model(x: Tensor, w: Tensor) -> Tensor:
        assert w.shape == (6,)
        return (x * w[:4]).sum(1)

    options: dict[str, Any] = {"stdevs": 0.0, "additional_forward_args": weights, "n_steps": 3}
    for samples in (1, 2, 3, 4):
        found = NoiseTunnel(IntegratedGradients(model)).attribute(X, nt_samples=samples, **options)
        torch.testing.assert_close(found, X * weights[:4])


def test_a_distribution_as_long_as_there_are_examples_belongs_to_none_of_them() -> None:
    seen: list[int] = []

    class Pooled(GradientShap):
        def attribute(self, inputs: Tensor, baselines: Tensor) -> Tensor:
            seen.append(len(baselines))
            return inputs

    Pooled.__module__ = "attriscope.attr.somewhere"
    NoiseTunnel(Pooled(linear)).attribute(X, nt_samples=4, nt_samples_batch_size=2, baselines=draw(3, 4))
    assert seen == [3, 3]


def test_drawn_baselines() -> None:
    """Each sample of each example gets one, all about as often; the same however samples are cut."""
    pool = torch.arange(5.0)[:, None].expand(5, 4).double()
    seen = spied(nt_samples=10, baselines=pool, draw_baseline_from_distrib=True, generator=seeded(0))
    drawn = seen["baselines"].reshape(3, 10, 4)[..., 0]
    assert (drawn.sort(1).values == torch.arange(5.0).double().repeat_interleave(2)).all()
    assert not drawn[0].equal(drawn[1]) or not drawn[0].equal(drawn[2])

    def run(batch: int | None) -> Tensor:
        return NoiseTunnel(InputLessBaseline(linear)).attribute(
            X, nt_samples=10, nt_samples_batch_size=batch, baselines=pool[:3], generator=seeded(2),
            draw_baseline_from_distrib=True,
        )  # fmt: skip

    for batch in (1, 3, 10):
        torch.testing.assert_close(run(batch), run(None))


class InputLessBaseline(Attribution):
    def attribute(self, inputs: Tensor, baselines: Tensor) -> Tensor:
        return (inputs - baselines).square()


def test_drawn_baselines_of_two_inputs_stay_together() -> None:
    pool = (torch.arange(4.0)[:, None].expand(4, 4), torch.arange(4.0)[:, None, None].expand(4, 2, 3))
    seen = spied((X, draw(3, 2, 3)), 8, baselines=pool, draw_baseline_from_distrib=True)
    a, b = seen["baselines"]
    assert a[:, 0].equal(b[:, 0, 0])
    numbers = spied((X, draw(3, 2, 3)), 8, baselines=(pool[0], 0.5), draw_baseline_from_distrib=True)
    assert numbers["baselines"][1] == 0.5


# --- random numbers -----------------------------------------------------------------------------------------

INNER: tuple[tuple[Any, dict[str, Any]], ...] = (
    (Saliency, {}),
    (IntegratedGradients, {"n_steps": 4, "return_convergence_delta": True}),
    (GradientShap, {"baselines": draw(4, 2, 6, 5), "return_convergence_delta": True}),
    (lambda model: LayerGradCam(model, model.conv), {}),
)


@pytest.mark.parametrize(("method", "kwargs"), INNER)
@pytest.mark.parametrize(
    ("kind", "batch"), [("smoothgrad", 2), ("smoothgrad_sq", 5), *(("vargrad", b) for b in (1, 2, 9, 100))]
)
def test_the_same_seed_gives_the_same_numbers_however_samples_are_cut(
    kind: str, method: Any, kwargs: dict[str, Any], batch: int
) -> None:
    """Also when the method draws random numbers itself."""

    def run(model: nn.Module, **more: Any) -> Any:
        return NoiseTunnel(method(model)).attribute(
            PICTURES, kind, 9, stdevs=0.3, target=TARGET, generator=seeded(3), **kwargs, **more
        )

    model = pictures()
    expected = run(model)
    assert_same(run(model, nt_samples_batch_size=batch), expected, 1e-9, 1e-12)
    with control(batch_seconds=1e-9):
        assert_same(run(model), expected, 1e-9, 1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 7), (1, 15), (3, 16), (1, 200)])
@pytest.mark.parametrize("together", [1, 40, 1 << 16])
def test_noise_is_the_same_for_every_cut_to_the_last_bit(
    shape: tuple[int, ...], together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch draws fewer than 16 numbers in another way than more of them."""
    monkeypatch.setattr("attriscope.attr._random._TOGETHER", together)
    examples = gather_examples(torch.zeros(shape))

    def noise() -> Noise:
        return Noise(examples, (1.0,), 9, Draws(seeded(0)))

    everything = slice(0, len(examples.tensors[0]))
    whole = noise().step_by_step(slice(0, 9), everything)[0]
    for size in (1, 2, 4, 7):
        cuts = [slice(i, min(9, i + size)) for i in range(0, 9, size)]
        one = noise()
        assert whole.equal(torch.cat([one.step_by_step(cut, everything)[0] for cut in cuts]))
        rows = torch.cat([one.example_by_example(cut)[0].reshape(shape[0], -1, shape[1]) for cut in cuts], 1)
        assert whole.equal(rows.transpose(0, 1))
    one, parts = noise(), [slice(i, i + 1) for i in range(shape[0])]
    for sample in range(9):
        step = slice(sample, sample + 1)
        assert whole[step].equal(torch.cat([one.step_by_step(step, part)[0] for part in parts], 1))


def test_no_two_samples_or_inputs_share_their_noise() -> None:
    seen = spied_noise((torch.zeros(2, 8), torch.zeros(2, 8)), 50)
    rows = torch.cat(seen)
    assert len(torch.unique(rows, dim=0)) == 200
    assert abs(float(rows.mean())) < 0.1
    assert abs(float(rows.std()) - 1) < 0.1
    correlation = torch.corrcoef(rows)
    correlation.fill_diagonal_(0)
    assert correlation.abs().max() < 0.999
    assert abs(float(correlation.mean())) < 0.02


def spied_noise(inputs: Any, samples: int) -> Any:
    spy = Spy(linear)
    NoiseTunnel(spy).attribute(inputs, nt_samples=samples, generator=seeded(0))
    return spy.seen["inputs"]


def test_seeding_torch_is_enough_and_nothing_else_is_touched() -> None:
    model = mlp()
    tunnel = NoiseTunnel(GradientShap(model))

    def run(**more: Any) -> Tensor:
        return tunnel.attribute(X, baselines=draw(4, 4), target=1, **more)

    torch.manual_seed(7)
    numpy_before = np.random.get_state()[1].copy()
    first, second = run(), run()
    torch.manual_seed(7)
    assert_same(run(), first)
    assert_same(run(), second)
    assert not first.equal(second)
    assert (np.random.get_state()[1] == numpy_before).all()
    before = Snapshot(model, (X,))
    assert_same(run(generator=seeded(1)), run(generator=seeded(1)))
    before.check()


# --- batches, progress, cancel ------------------------------------------------------------------------------


def test_memory_is_bounded_by_the_batch_and_not_by_the_samples() -> None:
    model = Recorder(lambda x: x.flatten(1).square().sum(1))
    NoiseTunnel(Saliency(model)).attribute(torch.rand(2, 3, 64, 64), nt_samples=60)
    assert sum(model.rows) == 120
    assert max(model.rows) <= 60
    method = Own(lambda x: x.flatten(1).square().sum(1))
    NoiseTunnel(method).attribute(torch.rand(2, 3, 64, 64), nt_samples=60)
    assert method.calls == [10] * 12  # about 2^17 numbers, whatever a clock says


def test_an_explicit_batch_size_is_honoured() -> None:
    model = Recorder(mlp())
    NoiseTunnel(Saliency(model)).attribute(X, nt_samples=7, nt_samples_batch_size=3, target=1)
    assert model.rows == [9, 9, 3]


def test_memory_running_out() -> None:
    net = mlp()

    def small(x: Tensor) -> Tensor:
        if len(x) > 7:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return net(x)

    options: dict[str, Any] = {"nt_samples": 9, "target": 1, "n_steps": 3}
    for method in (Saliency, IntegratedGradients):
        given = {**options} if method is IntegratedGradients else {"nt_samples": 9, "target": 1}
        found = NoiseTunnel(method(small)).attribute(X, generator=seeded(0), **given)
        expected = NoiseTunnel(method(net)).attribute(X, generator=seeded(0), **given)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("batch", [None, 1, 2, 3])
@pytest.mark.parametrize(("method", "kwargs"), INNER)
def test_progress_is_one_count_of_rows(method: Any, kwargs: dict[str, Any], batch: int | None) -> None:
    seen: list[tuple[int, int]] = []
    model = pictures()
    with control(progress=lambda done, total: seen.append((done, total)), batch_seconds=1e-9):
        NoiseTunnel(method(model)).attribute(
            PICTURES, nt_samples=6, nt_samples_batch_size=batch, target=TARGET, **kwargs
        )
    assert len({total for _, total in seen}) == 1
    done = [done for done, _ in seen]
    assert done == sorted(set(done))
    assert done[-1] == seen[-1][1]
    assert len(seen) >= (1 if batch is None else 6 // batch)
    if method is IntegratedGradients:
        assert seen[-1][1] == 6 * 3 * 4
        assert len(seen) == 6 * 4 * 3  # row by row, as asked for


def test_progress_of_methods_that_report_nothing_and_of_tunnels_in_tunnels() -> None:
    seen: list[tuple[int, int]] = []
    with control(progress=lambda done, total: seen.append((done, total))):
        NoiseTunnel(Own(linear)).attribute(X, nt_samples=4, nt_samples_batch_size=2)
    assert seen == [(6, 12), (12, 12)]
    seen.clear()
    with control(progress=lambda done, total: seen.append((done, total))):
        found = NoiseTunnel(NoiseTunnel(Saliency(mlp()))).estimate(X, nt_samples=4, target=1)
    assert seen[-1] == (4 * 5 * 3, 4 * 5 * 3)
    assert found.evaluations == 60


def test_parts_never_go_back() -> None:
    """Whatever runs inside: a second run in one part, or a part of another size than was foreseen."""
    seen: list[tuple[int, int]] = []
    parts = Parts(3)
    with control(progress=lambda done, total: seen.append((done, total))):
        for i, runs in enumerate(([4, 2], [4], [40])):
            with parts.part(i, i + 1, 1):
                for rows in runs:
                    for done in range(1, rows + 1):
                        attriscope.core.progress.current().report(done, rows)
    assert parts.rows == 50
    done = [d for d, _ in seen]
    assert done == sorted(set(done))
    assert seen[-1] == (12, 12)


def test_cancel_and_exceptions_leave_everything_as_it_was() -> None:
    model = pictures()
    before = Snapshot(model, (PICTURES,))
    for method in (Saliency(model), LayerGradCam(model, "conv"), IntegratedGradients(model)):

        class Stop:
            left = 2

            def is_set(self) -> bool:
                self.left -= 1
                return self.left < 0

        with pytest.raises(attriscope.Cancelled), control(cancel=Stop(), batch_seconds=1e-9):
            NoiseTunnel(method).attribute(PICTURES, target=TARGET, generator=seeded(0))
        before.check()
        NoiseTunnel(method).attribute(PICTURES, target=TARGET, generator=seeded(0))
        before.check()
        with pytest.raises(IndexError):
            NoiseTunnel(method).attribute(PICTURES, target=[0, 1, 9], generator=seeded(0))
        before.check()

    def fails(x: Tensor) -> Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        NoiseTunnel(Saliency(fails)).attribute(PICTURES, generator=seeded(0))
    before.check()
    seen = attriscope.core.progress.current()
    assert seen.progress is None  # the count of parts is not left behind


def test_the_stream_improves_and_ends_with_what_attribute_gives() -> None:
    tunnel = NoiseTunnel(Saliency(mlp()))
    options: dict[str, Any] = {"nt_samples": 12, "nt_samples_batch_size": 1, "target": 1, "stdevs": 0.4}
    for kind in ("smoothgrad", "vargrad"):
        estimates = list(tunnel.stream(X, kind, generator=seeded(0), **options))
        assert [e.evaluations for e in estimates] == [3 * (i + 1) for i in range(12)]
        assert [e.error is None for e in estimates] == [True] * 3 + [False] * 9
        assert [e.stopped for e in estimates] == [None] * 11 + ["complete"]
        assert_same(estimates[-1].attributions, tunnel.attribute(X, kind, generator=seeded(0), **options))
        assert not estimates[3].attributions.equal(estimates[-1].attributions)
    found = tunnel.estimate(X, tolerance=0.05, generator=seeded(0), **{**options, "nt_samples": 1000})
    assert found.stopped == "tolerance"
    assert found.inaccuracy <= 0.05
    assert found.evaluations < 2000


# --- types and devices --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq", "vargrad"])
def test_models_of_every_type(dtype: torch.dtype, kind: str) -> None:
    model = mlp(dtype=dtype)
    seen: list[torch.dtype] = []
    model.register_forward_pre_hook(lambda module, args: seen.append(args[0].dtype))
    tunnel = NoiseTunnel(Saliency(model))
    options: dict[str, Any] = {"stdevs": 0.3, "target": 1, "abs": False, "generator": seeded(0)}
    found = tunnel.estimate(X.to(dtype), kind, 100, **options)
    assert set(seen) == {dtype}
    assert found.attributions.dtype == (dtype if dtype == torch.float64 else torch.float32)
    exact = NoiseTunnel(Saliency(mlp())).attribute(X, kind, 5000, **options)
    wrong = (found.attributions.double() - exact).abs() - 5 * found.error.double()
    assert wrong.max() < 5 * torch.finfo(dtype).eps


def test_token_numbers_stay_integers_without_noise() -> None:
    embedding = nn.Embedding(5, 4)

    class Weighted(PerturbationAttribution):
        def attribute(self, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
            return inputs[0] * embedding(inputs[1]), inputs[1]

    tokens = torch.tensor([0, 4, 2])
    found = NoiseTunnel(Weighted(linear)).attribute((X.float(), tokens), stdevs=(0.1, 0.0))
    assert_same(found[1], tokens.float())
    noisy = NoiseTunnel(Spy(linear))
    noisy.attribute(tokens, stdevs=1.0)
    assert noisy.attribution_method.seen["inputs"].dtype == torch.float32  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_grad_mode_does_not_matter(mode: Any) -> None:
    model = mlp()
    for method in (Saliency(model), IntegratedGradients(model)):
        expected = NoiseTunnel(method).attribute(X, target=1, generator=seeded(0))
        with mode():
            for x in (X, X * 1):
                found = NoiseTunnel(method).attribute(x, target=1, generator=seeded(0))
                assert_same(found, expected)
                assert not found.requires_grad


def test_on_the_meta_device_shapes_are_right() -> None:
    model = nn.Linear(4, 3, device="meta")
    x = torch.empty(5, 4, device="meta")
    found, delta = NoiseTunnel(IntegratedGradients(model)).attribute(
        x, target=1, nt_samples=3, return_convergence_delta=True
    )
    assert (found.shape, found.device.type) == ((5, 4), "meta")
    assert delta.shape == (15,)


def test_inputs_are_copies_for_the_method_to_do_with_as_it_likes() -> None:
    class Rough(Attribution):
        def attribute(self, inputs: Tensor) -> Tensor:
            return inputs.mul_(0).add_(1)

    for stdev in (0.0, 1.0):
        before = X.clone()
        assert NoiseTunnel(Rough(linear)).attribute(X, stdevs=stdev).eq(1).all()
        assert_same(X, before)


@settings(max_examples=30)
@given(
    examples=st.integers(1, 3),
    shape=st.lists(st.integers(1, 3), min_size=0, max_size=3),
    samples=st.integers(1, 9),
    batch=st.one_of(st.none(), st.integers(1, 12)),
    kind=st.sampled_from(["smoothgrad", "smoothgrad_sq", "vargrad"]),
    seed=st.integers(0, 9),
)
def test_any_shape(
    examples: int, shape: list[int], samples: int, batch: int | None, kind: str, seed: int
) -> None:
    """Against the definition, from the very inputs that the method got."""
    x = draw(examples, *shape, seed=seed)

    def model(x: Tensor) -> Tensor:
        return (x.sin() * x).reshape(len(x), -1).sum(1)

    rows: list[Tensor] = []

    class Noted(Attribution):
        def attribute(self, inputs: Tensor) -> Tensor:
            rows.append(inputs.clone().reshape(examples, -1, *inputs.shape[1:]))
            return inputs.cos()

    found = NoiseTunnel(Noted(model)).attribute(x, kind, samples, batch, generator=seeded(seed))
    values = torch.cat(rows, 1).cos()
    assert values.shape[1] == samples
    expected = {
        "smoothgrad": values.mean(1),
        "smoothgrad_sq": values.square().mean(1),
        "vargrad": values.var(1, correction=0),
    }[kind]
    torch.testing.assert_close(found, expected)


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        ({"nt_type": "smooth"}, ValueError, "smoothgrad_sq"),
        ({"nt_samples": 0}, ValueError, "at least 1"),
        ({"nt_samples": 1.5}, TypeError, "nt_samples must be an int"),
        ({"nt_samples_batch_size": 0}, ValueError, "at least 1"),
        ({"nt_samples_batch_size": True}, TypeError, "positive int"),
        ({"stdevs": -0.1}, ValueError, "at least 0"),
        ({"stdevs": math.inf}, ValueError, "finite"),
        ({"stdevs": None}, TypeError, "None"),
        ({"stdevs": (1.0, 1.0)}, ValueError, "one per input"),
        ({"generator": 1}, TypeError, "torch.Generator"),
        ({"target": [0, 1]}, IndexError, "2 entries for 3 example(s)"),
        ({"target": 7}, IndexError, "out of range"),
        ({"target": torch.tensor([0, 1])}, IndexError, "2 entries for 3 example(s)"),
        ({"inputs": [X]}, TypeError, "write tuple(inputs)"),
        ({"inputs": draw(3, 7)}, RuntimeError, "refused its inputs, which were (a tensor of shape (3, 7)"),
    ],
)
def test_what_cannot_be_used(arguments: dict[str, Any], kind: type[Exception], says: str) -> None:
    model = mlp()
    given = {"inputs": X, "target": 1, "generator": seeded(0), **arguments}
    before = Snapshot(model, (X,))
    with pytest.raises(kind) as caught:
        NoiseTunnel(Saliency(model)).attribute(**given)
    before.check()
    assert isinstance(caught.value, InputError)
    assert isinstance(caught.value, AssertionError)
    assert says in str(caught.value)


def test_drawn_baselines_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(M, 4\)"):
        NoiseTunnel(IntegratedGradients(mlp())).attribute(
            X, target=1, baselines=draw(2, 3), draw_baseline_from_distrib=True
        )


@pytest.mark.parametrize("method", [None, mlp(), Saliency, 3])
def test_what_is_no_method(method: Any) -> None:
    with pytest.raises(InputError, match="Saliency"):
        NoiseTunnel(method)


def test_arguments_that_the_method_does_not_know() -> None:
    with pytest.raises(TypeError, match="n_steps"):
        NoiseTunnel(Saliency(mlp())).attribute(X, target=1, n_steps=3)
