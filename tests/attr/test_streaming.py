"""Estimates that improve, end where ``attribute`` does, and can be left at any point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import attriscope
from attriscope.attr import (
    Attribution,
    Estimate,
    GradientAttribution,
    IntegratedGradients,
    PartialResult,
    PerturbationAttribution,
    Saliency,
    streaming,
)
from attriscope.core.errors import InputError, NonFiniteError
from methods import METHODS, Method, every_method
from models import Recorder, Snapshot, assert_same, draw, mlp, pictures

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(3, 2, 6, 5)
TARGET = [0, 3, 1]


# --- every method -------------------------------------------------------------------------------------------


@every_method
@pytest.mark.parametrize("batch", [None, 1, 4])
def test_the_last_estimate_is_what_attribute_returns(method: Method, batch: int | None) -> None:
    """To the last bit: what a person saw arriving is what code computes."""
    model = pictures()
    options = {"internal_batch_size": batch} if method.path else {}
    explainer = method.on(model)
    expected = explainer.attribute(X, **method.arguments(TARGET, **options))
    *_, last = explainer.stream(X, **method.arguments(TARGET, **options))
    assert_same(last.attributions, expected)
    assert last.stopped == "complete"
    once = explainer.estimate(X, **method.arguments(TARGET, **options))
    assert_same(once.attributions, expected)
    assert once.stopped == "complete"


@every_method
def test_estimates_count_the_rows_they_took(method: Method) -> None:
    model = Recorder(pictures())
    found = method.on(model, model.inner.conv).estimate(X, **method.arguments(TARGET))
    end_points = 2 * len(X) if found.delta is not None and "Integrated" in method.name else 0
    assert found.evaluations == sum(model.rows) - end_points


@every_method
def test_bad_input_is_said_when_the_stream_begins(method: Method) -> None:
    with pytest.raises(AssertionError, match=r"write tuple\(inputs\)"):
        next(method.on(pictures()).stream([X], **method.arguments(TARGET)))


# --- paths ---------------------------------------------------------------------------------------------------


def curve(x: Tensor) -> Tensor:
    """Smooth and strongly bent, so that a part of the path says little about the rest."""
    return (x * x.sum(1, keepdim=True)).tanh().sum(1)


Z = draw(3, 4, seed=8)


@pytest.mark.parametrize("method", [m for m in METHODS if m.path and not m.layered], ids=lambda m: m.name)
@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_an_estimate_follows_every_step(method: Method, batch: int) -> None:
    """Only when all examples are equally far, so that no picture is shown that is half old, half new."""
    found = list(method.on(curve).stream(Z, **method.arguments(internal_batch_size=batch)))
    steps = method.options["n_steps"]
    assert [e.evaluations for e in found] == [3 * (i + 1) for i in range(steps)]
    assert [e.stopped for e in found] == [None] * (steps - 1) + ["complete"]


def test_early_estimates_are_near_the_end_result() -> None:
    """Nodes come in an order that covers the path early; left to right, half the nodes know half the path."""
    explainer = IntegratedGradients(curve)
    found = list(explainer.stream(Z, n_steps=64, internal_batch_size=3))
    final = found[-1].attributions
    wrong = [float((e.attributions - final).abs().max() / final.abs().max()) for e in found]
    assert wrong[3] < 0.5
    assert max(wrong[7:]) < 0.25
    assert max(wrong[31:]) < 0.06
    assert wrong[-1] == 0


def test_estimates_along_the_way_are_means_over_what_is_known() -> None:
    """Of a linear model every estimate is exact from the first on."""
    for estimate in IntegratedGradients(lambda x: 3 * x.sum(1)).stream(Z, n_steps=9, internal_batch_size=3):
        assert_same(estimate.attributions, 3 * Z, atol=1e-13)
        assert estimate.delta is not None
        assert estimate.delta.abs().max() < 1e-12


@pytest.mark.parametrize("multiply", [True, False])
def test_every_delta_is_that_of_its_attributions(multiply: bool) -> None:
    explainer = IntegratedGradients(curve, multiply)
    change = curve(Z) - curve(Z * 0 + 0.1)
    for estimate in explainer.stream(Z, 0.1, n_steps=8, internal_batch_size=3):
        assert_same(estimate.delta, estimate.attributions.sum(1) - change, atol=1e-13)
        # How good an estimate is, is told by what the contributions add up to.
        effects = estimate.attributions if multiply else estimate.attributions * (Z - 0.1)
        assert float(estimate.inaccuracy) == pytest.approx(float((effects.sum(1) - change).abs().max()))


def test_the_delta_is_the_same_however_one_asks() -> None:
    model = pictures()
    explainer = IntegratedGradients(model)
    found, delta = explainer.attribute(X, target=TARGET, n_steps=9, return_convergence_delta=True)
    positional = explainer.attribute(X, None, TARGET, None, 9, "gausslegendre", None, True)
    assert_same(positional, (found, delta))
    for asked in (False, True):
        estimate = explainer.estimate(X, target=TARGET, n_steps=9, return_convergence_delta=asked)
        assert_same((estimate.attributions, estimate.delta), (found, delta))
    assert_same(explainer.compute_convergence_delta(found, 0, X, TARGET), delta, atol=1e-14)
    assert delta.shape == (3,)


# --- stopping early ---------------------------------------------------------------------------------------------


def test_a_tolerance_stops_as_soon_as_it_is_met() -> None:
    explainer = IntegratedGradients(curve)
    whole = list(explainer.stream(Z, n_steps=64, internal_batch_size=3))
    worst = [float(e.delta.abs().max()) for e in whole if e.delta is not None]
    assert worst[0] > 0.05
    found = list(explainer.stream(Z, n_steps=64, internal_batch_size=3, tolerance=0.05))
    assert len(found) == next(i for i, d in enumerate(worst) if d <= 0.05) + 1 < 64
    assert [e.stopped for e in found] == [None] * (len(found) - 1) + ["tolerance"]
    for early, same in zip(found, whole, strict=False):
        assert_same(early.attributions, same.attributions)
    last = explainer.estimate(Z, n_steps=64, internal_batch_size=3, tolerance=0.05)
    assert last.delta is not None
    assert last.delta.abs().max() <= 0.05
    assert last.inaccuracy == last.delta.abs().max()
    assert (last.stopped, last.evaluations) == ("tolerance", found[-1].evaluations)


def test_a_tolerance_stops_the_work_and_not_just_the_telling() -> None:
    model = Recorder(curve)
    last = IntegratedGradients(model).estimate(Z, n_steps=64, internal_batch_size=3, tolerance=0.05)
    assert sum(model.rows) == last.evaluations + 2 * len(Z) < 3 * 64


def test_a_tolerance_that_is_never_met_runs_to_the_end() -> None:
    last = IntegratedGradients(curve).estimate(Z, n_steps=5, tolerance=0)
    assert (last.stopped, last.evaluations) == ("complete", 15)


def test_methods_without_an_inaccuracy_run_to_the_end() -> None:
    found = Saliency(curve).estimate(Z, tolerance=100.0)
    assert (found.stopped, found.delta, found.inaccuracy) == ("complete", None, None)


@pytest.mark.parametrize("tolerance", [-1, -0.1, float("nan")])
def test_tolerances_that_make_no_sense(tolerance: float) -> None:
    with pytest.raises(
        InputError, match=f"tolerance must be a number of at least 0 or None, but {tolerance}"
    ):
        IntegratedGradients(curve).stream(Z, tolerance=tolerance)


# --- leaving ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
def test_nothing_is_left_on_the_model_between_two_estimates(training: bool) -> None:
    model = pictures()
    model.bn.train(training)
    before = Snapshot(model, (X,))
    stream = IntegratedGradients(model).stream(X, target=TARGET, n_steps=9, internal_batch_size=2)
    for _ in range(3):
        next(stream)
        before.check()
    del stream
    before.check()


def test_two_streams_on_one_model_do_not_meet() -> None:
    model = pictures()
    first = IntegratedGradients(model).stream(X, target=0, n_steps=6, internal_batch_size=3)
    second = IntegratedGradients(model).stream(X, target=1, n_steps=6, internal_batch_size=3)
    *_, (one, other) = zip(first, second, strict=True)
    assert_same(
        one.attributions, IntegratedGradients(model).estimate(X, target=0, n_steps=6).attributions, atol=1e-13
    )
    assert_same(
        other.attributions,
        IntegratedGradients(model).estimate(X, target=1, n_steps=6).attributions,
        atol=1e-13,
    )


def test_a_stream_obeys_the_control_around_its_next_step() -> None:
    class Set:
        def is_set(self) -> bool:
            return True

    stream = IntegratedGradients(curve).stream(Z, n_steps=9, internal_batch_size=3)
    next(stream)
    with attriscope.control(cancel=Set()), pytest.raises(attriscope.Cancelled):
        next(stream)


def test_nan_does_not_count_as_accurate() -> None:
    def model(x: Tensor) -> Tensor:
        return x.sum(1) * torch.nan

    with pytest.raises(NonFiniteError):
        IntegratedGradients(model).estimate(Z, n_steps=3, tolerance=1.0)


# --- methods of one's own -----------------------------------------------------------------------------------------


class SquareGrad(GradientAttribution):
    """A user's method, as one writes it for Captum."""

    def attribute(self, inputs: Tensor, target: Any = None, return_convergence_delta: bool = False) -> Any:
        (gradient,) = self.gradient_func(self.forward_func, inputs, target)
        found = gradient.square()
        return (found, found.flatten(1).sum(1)) if return_convergence_delta else found


class Passes(SquareGrad):
    """One more, that hands its arguments on."""

    def attribute(self, *args: Any, **kwargs: Any) -> Any:
        return super().attribute(*args, **kwargs)


class Halving(PerturbationAttribution):
    """A user's method that says what it knows along the way."""

    @streaming
    def attribute(
        self, inputs: Tensor, n: int = 3, return_convergence_delta: bool = False
    ) -> Iterator[PartialResult]:
        total = torch.zeros_like(inputs)
        for i in range(n):
            total = total + inputs / 2**i
            yield PartialResult(
                lambda total=total: total,
                lambda i=i: torch.full((len(inputs),), 2.0**-i, dtype=inputs.dtype),
                evaluations=i + 1,
            )


@pytest.mark.parametrize("kind", [SquareGrad, Passes])
def test_a_plain_method_of_ones_own_streams_one_estimate(kind: type[SquareGrad]) -> None:
    explainer = kind(mlp())
    x = draw(2, 4)
    expected = Saliency(mlp()).attribute(x, target=1).square()
    assert_same(explainer.attribute(x, target=1), expected)
    (only,) = explainer.stream(x, target=1)
    assert_same(only.attributions, expected)
    assert (only.delta, only.stopped) == (None, "complete")
    assert_same(explainer.estimate(x, 1, tolerance=0.1).attributions, expected)


def test_a_plain_method_with_a_delta_is_taken_apart() -> None:
    x = draw(2, 4)
    for found in (
        SquareGrad(mlp()).estimate(x, 1, return_convergence_delta=True),
        SquareGrad(mlp()).estimate(x, 1, True),
        Passes(mlp()).estimate(x, 1, return_convergence_delta=True),
    ):
        assert_same(found.attributions, SquareGrad(mlp()).attribute(x, 1))
        assert_same(found.delta, found.attributions.sum(1))


def test_a_streaming_method_of_ones_own() -> None:
    x = draw(2, 4)
    explainer = Halving(mlp())
    assert_same(explainer.attribute(x), x * 1.75)
    assert_same(explainer.attribute(x, n=1), x)
    found, delta = explainer.attribute(x, return_convergence_delta=True)
    assert_same(found, x * 1.75)
    assert delta.tolist() == [0.25, 0.25]
    assert [e.evaluations for e in explainer.stream(x)] == [1, 2, 3]
    early = explainer.estimate(x, n=50, tolerance=0.01)
    assert (early.evaluations, early.stopped) == (8, "tolerance")
    assert explainer.estimate(x, n=50, tolerance=0.25).evaluations == 3, "at most, so equal is enough"
    assert explainer.multiplies_by_inputs


def test_a_method_that_yields_nothing_says_so() -> None:
    class Silent(Attribution):
        @streaming
        def attribute(self, inputs: Tensor) -> Iterator[PartialResult]:
            yield from ()

    with pytest.raises(RuntimeError, match="yielded nothing"):
        Silent(mlp()).attribute(draw(2, 4))


def test_a_method_keeps_its_signature_and_its_words() -> None:
    assert IntegratedGradients.attribute.__doc__.startswith("Integrate the gradient")
    assert IntegratedGradients.attribute.__name__ == "attribute"


def test_what_a_base_class_cannot_do_it_says() -> None:
    explainer = SquareGrad(mlp())
    assert not explainer.has_convergence_delta()
    assert not explainer.multiplies_by_inputs
    assert SquareGrad.get_name() == "Square Grad"
    with pytest.raises(NotImplementedError, match="not available for Square Grad"):
        explainer.attribute_future(draw(2, 4))
    with pytest.raises(NotImplementedError, match="Halving promise no sum"):
        Halving(mlp()).compute_convergence_delta(None)


def test_an_estimate_is_not_changed_by_what_comes_after() -> None:
    """A list of estimates is a film of the attributions, not so many views of the last one."""
    for multiply in (True, False):
        stream = IntegratedGradients(curve, multiply).stream(Z, n_steps=8, internal_batch_size=3)
        kept: list[tuple[Estimate, Tensor]] = [(e, e.attributions.clone()) for e in stream]
        for estimate, then in kept:
            assert_same(estimate.attributions, then)
        assert not torch.equal(kept[0][1], kept[-1][1])
