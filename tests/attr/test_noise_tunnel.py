"""NoiseTunnel: closed forms, any method inside, numbers that do not depend on batches, errors that cover."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from attriscope.attr import (
    Attribution,
    GradientAttribution,
    InputXGradient,
    IntegratedGradients,
    LayerActivation,
    LayerGradCam,
    NoiseTunnel,
    PerturbationAttribution,
    Saliency,
)
from attriscope.attr._running_moments import RunningMoments
from attriscope.core.errors import InputError
from models import Snapshot, assert_same, draw, mlp, pair, pictures, seeded, tensors_in
from own_methods import Own, W, linear

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(3, 4, seed=5)


PICTURES = draw(3, 2, 6, 5)


TARGET = [0, 3, 1]


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
