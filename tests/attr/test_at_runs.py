"""How a method runs at a place inside a model: users' own methods, streams, work, threads, cancelling."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn

import attriscope
from attriscope.attr import (
    At,
    FeatureAblation,
    GradientAttribution,
    IntegratedGradients,
    Neuron,
    NoiseTunnel,
    Occlusion,
    PerturbationAttribution,
    ShapleyValueSampling,
    streaming,
)
from attriscope.core.estimate import PartialResult
from models import Recorder, Snapshot, assert_same, draw, pictures, seeded, with_drawn_parameters

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(3, 2, 5, 5)


def chain() -> Any:
    """A model of which any beginning and any end is a model, too."""
    return with_drawn_parameters(
        nn.Sequential(
            nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.Tanh(), nn.MaxPool2d(2, 1),
            nn.Flatten(), nn.Linear(16, 5), nn.ELU(), nn.Linear(5, 3),
        )
    ).double()  # fmt: skip


SIXTEEN = torch.arange(4).reshape(1, 4, 1, 1)


# --- methods of one's own ------------------------------------------------------------------------------------------


class SquaredGradient(GradientAttribution):
    """A method in ten lines: how strongly the output reacts, times how far the input is from zero."""

    def attribute(self, inputs: Any, target: Any = None, additional_forward_args: Any = None) -> Any:
        gradients = self.gradient_func(self.forward_func, inputs, target, additional_forward_args)
        values = inputs if isinstance(inputs, tuple) else (inputs,)
        found = tuple(g.square() * x for g, x in zip(gradients, values, strict=True))
        return found if isinstance(inputs, tuple) else found[0]


class Knocked(PerturbationAttribution):
    """A method that streams, and only asks."""

    @streaming
    def attribute(
        self, inputs: Any, target: Any = None, additional_forward_args: Any = ()
    ) -> Iterator[PartialResult]:
        arguments = additional_forward_args
        total = torch.zeros_like(inputs)
        for i in range(3):
            change = self.forward_func(inputs * (1 + 0.1 * i), *arguments) - self.forward_func(
                inputs, *arguments
            )
            effect = target(change) if callable(target) else change[:, target]
            total = total + effect.detach().reshape(-1, *[1] * (inputs.dim() - 1)) * inputs
            yield PartialResult(lambda total=total: total, evaluations=i + 1)


@pytest.mark.parametrize("kind", [SquaredGradient, Knocked])
def test_a_method_of_ones_own_works_everywhere(kind: Any) -> None:
    model = chain()
    values = model[:3](X).detach()
    assert_same(
        At(kind, model, layer="2").attribute(X, target=1), kind(model[3:]).attribute(values, 1), atol=1e-12
    )
    pick = lambda out: out[:, 1, 2, 0]  # noqa: E731
    assert_same(
        At(kind, model, neuron=Neuron("2", (1, 2, 0))).attribute(X),
        kind(model[:3]).attribute(X, pick),
        atol=1e-12,
    )
    inner = At(kind, model, layer="2", neuron=Neuron("7", 4)).attribute(X)
    assert_same(inner, kind(model[3:8]).attribute(values, lambda out: out[:, 4]), atol=1e-12)
    found = At(kind, model, layer=["2", "6"]).attribute(X, target=1)
    assert [f.shape for f in found] == [(3, 4, 3, 3), (3, 5)]


def test_a_method_of_ones_own_in_noise() -> None:
    model = chain()
    noise: dict[str, Any] = {"nt_samples": 4, "stdevs": 0.1}
    at_inputs = NoiseTunnel(SquaredGradient(model)).attribute(X, target=1, generator=seeded(1), **noise)
    assert at_inputs.shape == X.shape
    at_layer = NoiseTunnel(At(SquaredGradient, model, layer="2")).attribute(
        X, target=1, generator=seeded(1), **noise
    )
    by_hand = NoiseTunnel(At(SquaredGradient, model, layer="2")).attribute(
        X, target=1, generator=seeded(1), nt_samples_batch_size=1, **noise
    )
    assert at_layer.shape == (3, 4, 3, 3)
    assert_same(at_layer, by_hand, atol=1e-12)
    inside = At(lambda f: NoiseTunnel(SquaredGradient(f)), model, layer="2").attribute(
        X, target=1, generator=seeded(1), **noise
    )
    expected = NoiseTunnel(SquaredGradient(model[3:])).attribute(
        model[:3](X).detach(), target=1, generator=seeded(1), **noise
    )
    assert_same(inside, expected, atol=1e-12)
    neuron = NoiseTunnel(At(SquaredGradient, model, neuron=Neuron("2", 1))).attribute(
        X, generator=seeded(1), **noise
    )
    assert_same(
        neuron, NoiseTunnel(SquaredGradient(model[:3])).attribute(
            X, target=lambda out: out[:, 1].sum((1, 2)), generator=seeded(1), **noise
        ), atol=1e-12,
    )  # fmt: skip


# --- streams, work, threads ------------------------------------------------------------------------------------------


def test_it_streams_as_the_method_does() -> None:
    model = chain()
    values, start = model[:3](X).detach(), model[:3](X * 0).detach()
    at = At(IntegratedGradients, model, layer="2")
    found = list(at.stream(X, 0.0, target=1, n_steps=6, internal_batch_size=3))
    expected = list(
        IntegratedGradients(model[3:]).stream(values, start, target=1, n_steps=6, internal_batch_size=3)
    )
    assert len(found) == 6
    for one, other in zip(found, expected, strict=True):
        assert_same(one.attributions, other.attributions, atol=1e-12)
        assert_same(one.delta, other.delta, atol=1e-12)
        assert one.evaluations > other.evaluations, "what it took to look at the layer counts, too"
    early = at.estimate(X, 0.0, target=1, n_steps=50, internal_batch_size=3, tolerance=1e-2)
    assert early.stopped == "tolerance"
    assert_same(at.estimate(X, 0.0, target=1, n_steps=6).attributions, found[-1].attributions, atol=1e-12)


def test_errors_of_estimates_have_the_form_of_attributions() -> None:
    found = At(ShapleyValueSampling, chain(), layer=["2"]).estimate(
        X, target=1, n_samples=6, generator=seeded(1), feature_mask=SIXTEEN
    )
    assert isinstance(found.error, list)
    assert found.error[0].shape == found.attributions[0].shape == (3, 4, 3, 3)


def test_progress_only_grows_and_ends_at_the_end() -> None:
    seen: list[tuple[int, int]] = []
    with attriscope.control(progress=lambda *args: seen.append(args)):
        At(FeatureAblation, chain(), layer=["2", "6"]).attribute(X, 0.1, target=1)
    shares = [done / total for done, total in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_the_work_is_that_of_the_rest_of_the_model() -> None:
    early, late = Recorder(chain()[:5]), Recorder(chain()[5:])
    model = nn.Sequential(early, late).eval()
    found = At(FeatureAblation, model, layer="0").estimate(X, target=1)
    assert sum(early.rows) <= 3
    assert sum(late.rows) == found.evaluations >= 3 * (1 + 16)
    neuron = At(FeatureAblation, model, neuron=Neuron("0", (0, 0, 0)))
    neuron.attribute(X)
    late.rows.clear()
    neuron.attribute(X)
    assert late.rows == []


def test_threads_and_a_cell_share_a_model() -> None:
    model = pictures()
    inputs = [draw(2, 2, 6, 5, seed=i) for i in range(3)]
    ways = [
        At(FeatureAblation, model, layer="block"),
        At(IntegratedGradients, model, neuron=Neuron("bn", (0, 1, 2))),
        At(lambda f: Occlusion(f), model, layer="pool"),
    ]
    options: list[dict[str, Any]] = [
        {"target": 1},
        {"n_steps": 9},
        {"target": 2, "sliding_window_shapes": (1, 2, 2)},
    ]
    expected = [way.attribute(x, **o) for way, x, o in zip(ways, inputs, options, strict=True)]
    plain = [model(x).detach() for x in inputs]
    together = threading.Barrier(4)
    before = Snapshot(model, tuple(inputs))

    def explain(i: int) -> list[Any]:
        together.wait(60)
        return [ways[i].attribute(inputs[i], **options[i]) for _ in range(6)]

    def use() -> list[Any]:
        together.wait(60)
        with torch.no_grad():
            return [[model(x) for x in inputs] for _ in range(60)]

    with ThreadPoolExecutor(4) as pool:
        jobs, cell = [pool.submit(explain, i) for i in range(3)], pool.submit(use)
        for job, wanted in zip(jobs, expected, strict=True):
            for one in job.result(120):
                torch.testing.assert_close(one, wanted, rtol=1e-11, atol=1e-13)
        for outputs in cell.result(120):
            assert_same(outputs, plain)
    before.check()


def test_cancelling_leaves_nothing_behind() -> None:
    model, stop = pictures(), threading.Event()
    before = Snapshot(model, (X,))
    rows: list[int] = []

    def progress(done: int, total: int) -> None:
        rows.append(done)
        stop.set()

    with attriscope.control(progress=progress, cancel=stop), pytest.raises(attriscope.Cancelled):
        At(FeatureAblation, model, layer="block").attribute(
            draw(2, 2, 6, 5), target=0, perturbations_per_eval=1
        )
    assert rows == [2]
    before.check()


@pytest.mark.parametrize("outside", [torch.no_grad, torch.inference_mode])
def test_the_callers_grad_mode_does_not_matter(outside: Any) -> None:
    model = chain()
    at = At(IntegratedGradients, model, layer=["0", "2"], neuron=Neuron("7", 1))
    expected = at.attribute(X, 0.1)
    with outside():
        assert_same(at.attribute(X, 0.1), expected)
        assert_same(at.attribute(X * 1, 0.1), expected)
