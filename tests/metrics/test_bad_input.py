"""What cannot be judged is refused with words, and never a silent NaN."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import metrics
from attriscope.attr import Saliency
from attriscope.core.errors import InputError, NonFiniteError, TargetError
from attriscope.metrics import UndefinedMetricError
from models import Snapshot, draw, pictures, seeded

# A region is no single feature, and maps that are constant have no order but agree with a model that does not care.
OTHERWISE = (metrics.region_perturbation, metrics.non_sensitivity)
REMOVING: list[Any] = [metrics.road] + [
    metric.source
    for metric in metrics.CATALOGUE.values()
    if metric.source is not None
    and metric.source not in OTHERWISE
    and {"forward_func", "attributions", "feature_mask"} <= inspect.signature(metric.source).parameters.keys()
]
removing = pytest.mark.parametrize("metric", REMOVING, ids=lambda m: m.__name__)


def changed(value: Tensor, number: float) -> Tensor:
    value = value.clone()
    value[1, 0, 2, 2] = number
    return value


X = draw(2, 2, 6, 5)
A = draw(2, 2, 6, 5, seed=1)
NAN, INF = float("nan"), float("inf")


@removing
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"attributions": A[:, :, :3]},
            InputError,
            r"shape \(2, 2, 3, 5\), but the input has \(2, 2, 6, 5\)",
        ),
        ({"attributions": A[:1]}, InputError, "must have shape"),
        ({"attributions": (A, A)}, InputError, r"2 tensor\(s\) came for 1 input"),
        ({"attributions": changed(A, NAN)}, UndefinedMetricError, r"NaN or infinite for example\(s\) 1"),
        ({"attributions": changed(A, INF)}, UndefinedMetricError, "NaN or infinite"),
        ({"attributions": torch.ones_like(A)}, UndefinedMetricError, "undefined for examples 0, 1 of 2"),
        ({"attributions": "saliency"}, InputError, "saliency"),
        ({"attributions": Saliency}, InputError, "must be"),
        ({"target": 7}, TargetError, "out of range"),
        ({"target": [0]}, TargetError, "1 entries for 2"),
        ({"target": None}, TargetError, "target must say which"),
        ({"inputs": changed(X, NAN)}, NonFiniteError, "NaN"),
        ({"feature_mask": torch.zeros(1, 1, 6, 4, dtype=torch.long)}, InputError, "does not broadcast"),
        ({"feature_mask": torch.zeros(1, 1, 6, 5)}, InputError, None),  # one feature: nothing to order
        ({"forward_func": 3}, InputError, "forward_func must be"),
        ({"max_examples_per_batch": 0}, InputError, "max_examples_per_batch"),
    ],
    ids=str,
)
def test_refused(metric: Any, change: dict[str, Any], error: type[Exception], message: str | None) -> None:
    model = pictures()
    options = {"forward_func": model, "inputs": X, "attributions": A, "target": [0, 1], **change}
    if message is None and metric not in (metrics.road, metrics.road_combined, metrics.faithfulness_estimate):
        if metric is metrics.faithfulness_correlation:
            with pytest.raises(UndefinedMetricError, match="as much"):
                metric(**options)
        else:
            found = metric(**options)  # there is one order of one feature
            assert torch.isfinite(getattr(found, "scores", found)).all()
        return
    watch = Snapshot(model, (X, A))
    with pytest.raises(error, match=message):
        metric(**options)
    watch.check()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: metrics.deletion(m, X, A, target=0, steps=31),
            "31 steps came, but there are only 30 features",
        ),
        (lambda m: metrics.insertion(m, X, A, target=0, steps=0), "at least 1"),
        (lambda m: metrics.pixel_flipping(m, X, A, target=0, features_per_step=31), "only 30 features"),
        (lambda m: metrics.monotonicity(m, X, A, target=0, features_per_step=31), "only 30 features"),
        (lambda m: metrics.region_perturbation(m, X, A, target=0, region=2, steps=10), "only 9 regions"),
        (lambda m: metrics.faithfulness_estimate(m, X, A, target=0, features_per_step=30), "two groups"),
        (lambda m: metrics.sensitivity_n(m, X, A, 30, target=0), "at most 29"),
        (lambda m: metrics.sensitivity_n(m, X, A, 0, target=0), "at least 1"),
        (lambda m: metrics.comprehensiveness(m, X, A, target=0, fractions=(0.5, 0.1)), "must ascend"),
        (lambda m: metrics.sufficiency(m, X, A, target=0, fractions=(0.5, 1.1)), "at most 1"),
        (lambda m: metrics.sufficiency(m, X, A, target=0, fractions=()), "between 0 and 1"),
        (lambda m: metrics.road(m, X, A, target=0, fractions=(0.5, 1.0)), "stay below 1"),
        (lambda m: metrics.deletion(m, X, A, target=0, order="first"), "order must be one of"),
        (lambda m: metrics.deletion(m, X, A, target=0, replacement="black"), "replacement must be one of"),
        (lambda m: metrics.deletion(m, X, A, target=0, replacement=X[:, :1]), "baseline"),
        (lambda m: metrics.deletion(m, X, A, target=0, replacement=float("nan")), "NaN"),
        (lambda m: metrics.deletion(m, X, A, target=0, generator=3), "generator"),
        (lambda m: metrics.non_sensitivity(m, X, A, target=0, tolerance=2), "at most 1"),
        (lambda m: metrics.effective_complexity(m, X, A, target=0, tolerance=-1), "at least 0"),
        (lambda m: metrics.faithfulness_correlation(m, X, A, target=0, fraction=0), "above 0"),
        *(
            (
                lambda m, given=given: metrics.pointing_game(A, X[:, 0] > 0, tolerance=given),
                f"but {given} came",
            )
            for given in (True, 1.5, -1)
        ),
    ],
)
def test_numbers_that_do_not_fit(call: Any, message: str) -> None:
    model = pictures()
    watch = Snapshot(model, (X, A))
    with pytest.raises(AssertionError, match=message):
        call(model)
    watch.check()


def test_drawn_numbers_are_given_back_unless_others_drew_too() -> None:
    """After an error the generator is as before; but what others drew meanwhile must not come a second time."""
    before = torch.get_rng_state()

    def failing(draws: bool) -> Any:
        def model(x: Tensor) -> Tensor:
            if draws:
                torch.rand(1)
            raise OSError("disk full")

        return model

    with pytest.raises(OSError, match="disk full"):
        metrics.road(failing(False), X, A)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(OSError, match="disk full"):
        metrics.road(failing(True), X, A)
    assert not torch.equal(torch.get_rng_state(), before)


def test_nothing_is_drawn_where_nothing_is_random() -> None:
    model = pictures()
    before = torch.get_rng_state()
    metrics.deletion(model, X, A, target=0, replacement="blur")
    metrics.faithfulness_estimate(model, X, A, target=0)
    metrics.evaluate({"saliency": Saliency(model)}, model, X, 0, ["sparseness"], generator=seeded(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_that_does_not_care_has_no_correlation() -> None:
    """f is the same whatever is removed: 0 / 0, which is said and not returned."""
    flat = lambda x: x.flatten(1).sum(1) * 0 + 1  # noqa: E731
    with pytest.raises(UndefinedMetricError, match="changes by as much"):
        metrics.sensitivity_n(flat, X, A, 3)
    with pytest.raises(UndefinedMetricError, match="changes by as much"):
        metrics.faithfulness_estimate(flat, X, A)


def test_an_infinite_output() -> None:
    with pytest.raises(NonFiniteError, match="infinite"):
        metrics.deletion(lambda x: 1 / x.flatten(1).sum(1), X, A)


def test_token_ids_have_no_blur() -> None:
    ids = torch.tensor([[1, 2, 3]])
    with pytest.raises(TypeError, match="padding or mask token"):
        metrics.deletion(lambda ids: ids.float().sum(1), ids, torch.tensor([[1.0, 2, 3]]), replacement="blur")


def test_masks_that_differ_are_refused_where_sets_are_shared() -> None:
    x, a = draw(2, 4), draw(2, 4, seed=1)
    mask = torch.tensor([[0, 0, 1, 1], [0, 1, 2, 3]])
    for metric in (metrics.faithfulness_correlation, metrics.faithfulness_estimate):
        with pytest.raises(InputError, match="same for all examples"):
            metric(lambda x: x.sum(1), x, a, feature_mask=mask)


@pytest.mark.parametrize(
    "metric",
    [one for one in REMOVING if {"replacement", "generator"} <= inspect.signature(one).parameters.keys()],
    ids=lambda one: one.__name__,
)
def test_what_fails_leaves_the_generator_as_it_was(metric: Any) -> None:
    """Also where random numbers were drawn before it failed."""
    generator = seeded(4)
    before = generator.get_state()

    def broken(x: Tensor) -> Tensor:
        raise OSError("disk full")

    for replacement in ("noise", "linear"):
        with pytest.raises(OSError, match="disk full"):
            metric(broken, X, A, target=0, replacement=replacement, generator=generator)
        assert generator.get_state().equal(before), replacement
