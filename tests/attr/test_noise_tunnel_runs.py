"""How a NoiseTunnel runs: random numbers, batches, progress, cancelling, types and devices."""

from __future__ import annotations

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
    GradientShap,
    IntegratedGradients,
    LayerGradCam,
    NoiseTunnel,
    PerturbationAttribution,
    Saliency,
)
from attriscope.attr._random import Draws, Noise
from attriscope.core.inputs import gather_examples
from attriscope.core.progress import Parts, control
from models import Recorder, Snapshot, assert_same, draw, mlp, pictures, seeded
from own_methods import Own, Spy, linear

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(3, 4, seed=5)


PICTURES = draw(3, 2, 6, 5)


TARGET = [0, 3, 1]


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
