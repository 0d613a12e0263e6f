"""Devices: only checks look at numbers, never the work itself, and everything stays where the inputs are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attriscope import metrics
from attriscope.attr import DeepLift, InputXGradient
from attriscope.metrics import Curve
from models import assert_same, draw, elsewhere, pictures, seeded

TARGETS = [0, 3, 1]
MASKS = torch.rand(3, 6, 5, generator=seeded(0)) > 0.5


def asked(name: str, random: bool = False, **options: Any) -> Callable[..., Any]:
    """A metric that removes numbers one by one: a mask is looked at, to see which numbers it holds."""

    def call(model: Any, x: Tensor, a: Tensor) -> Any:
        flat = lambda rows: model(rows.reshape(-1, 2, 6, 5))  # noqa: E731
        more = {"generator": seeded(0)} if random else {}
        return getattr(metrics, name)(flat, x.flatten(1), a.flatten(1), target=TARGETS, **options, **more)

    return call


def registered(name: str) -> Callable[..., Any]:
    """A registered metric as ``evaluate`` asks it: of numbers one by one, or of pictures where it has masks."""
    metric = metrics.CATALOGUE[name]
    parameters = inspect.signature(metric.source).parameters if metric.source is not None else {}

    def call(model: Any, x: Tensor, a: Tensor) -> Any:
        of: Any = model
        if "masks" not in parameters:
            of = lambda rows: model(rows.reshape(-1, 2, 6, 5))  # noqa: E731
            x, a = x.flatten(1), a.flatten(1)
        method = InputXGradient(of)
        masks = MASKS.to(a.device)
        return metric.function(metrics.Case(of, x, TARGETS, a, method, method, masks, generator=seeded(0)))

    return call


# These look at numbers on their way: which there are in a mask, whether equations are solved or models agree.
LOOKING: dict[str, Callable[..., Any]] = {
    "road": lambda model, x, a: metrics.road(model, x, a, target=TARGETS, generator=seeded(0)),
    "region perturbation": lambda model, x, a: metrics.region_perturbation(
        model, x, a, target=TARGETS, region=2, replacement="blur"
    ),
    "randomisation": lambda model, x, a: (
        metrics.parameter_randomisation(
            InputXGradient(model), model, x, target=TARGETS, similarity="pearson", layers=["unused"]
        ).scores
    ),
    "randomisation complexity": lambda model, x, a: metrics.randomisation_complexity(
        InputXGradient(model), model, x, target=TARGETS, generator=seeded(0)
    ),
    "invariance": lambda model, x, a: metrics.input_invariance(InputXGradient, model, x, 2.0, target=TARGETS),
}
CALLS: dict[str, Callable[..., Any]] = {
    **{name: registered(name) for name in metrics.CATALOGUE if name not in LOOKING},
    "deletion at random": asked("deletion", random=True, order="random"),
    "insertion of some": asked("insertion", replacement=0.3, steps=5),
    "pixel flipping, seven at a time": asked("pixel_flipping", features_per_step=7),
    "sensitivity-n": asked("sensitivity_n", random=True, n=3),
    "pointing game with a tolerance": lambda model, x, a: metrics.pointing_game(
        a, MASKS.to(a.device), tolerance=1
    ),
    "edges": lambda model, x, a: metrics.edge_detector(model, x),
    "random": lambda model, x, a: metrics.random_attribution(model, x, generator=seeded(0)),
}
every = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)

# The rest, drawing from torch's global generator.
MORE: dict[str, Callable[..., Any]] = {
    "deletion, noise": asked("deletion", replacement="noise"),
    "deletion, uniform": asked("deletion", replacement="uniform"),
    "deletion, numbers": lambda model, x, a: metrics.deletion(
        lambda rows: float(model(rows)[0, 1]), x[:1], a[:1], max_examples_per_batch=1
    ),
    "sensitivity-n, all sets": asked("sensitivity_n", n=1),
    "infidelity, noise": lambda model, x, a: metrics.infidelity(
        model, metrics.gaussian_perturbation(0.1), x, a, target=TARGETS
    ),
    "implementation invariance": lambda model, x, a: metrics.implementation_invariance(
        InputXGradient, model, model, x, target=TARGETS
    ),
    "grids": lambda model, x, a: games(x, every_cell=True),
    "grids, one cell": lambda model, x, a: games(x, size=(2, 1), shrink=True),
    "masks": lambda model, x, a: (metrics.pixel_mask(x), metrics.patch_mask(x, 2), metrics.token_mask(x)),
    "imputation": lambda model, x, a: metrics.impute_linearly(x, a[:, :1] > 0),
    "probabilities": lambda model, x, a: metrics.probabilities(model)(x).detach(),
    "all that evaluate knows": lambda model, x, a: tuple(
        evaluated({"DeepLift": DeepLift(model), "random": metrics.random_attribution}, model, x)
    ),
    "undefined": lambda model, x, a: tuple(evaluated({"zero": lambda *_: a * 0}, model, x, ["sparseness"])),
}


def games(x: Tensor, **options: Any) -> tuple[Tensor, ...]:
    found = metrics.grid_pointing_games(x.repeat(3, 1, 1, 1), [0, 1, 2, 3, 0, 1, 2, 3, 0], count=4, **options)
    return found.inputs, found.targets, found.masks, found.members, found.cells


def evaluated(methods: Any, model: Any, x: Tensor, names: Any = tuple(metrics.CATALOGUE)) -> Iterable[Tensor]:
    return metrics.evaluate(
        methods, model, x, np.array(TARGETS), names, masks=MASKS, feature_mask=metrics.patch_mask(x, 2)
    ).values.values()


def numbers(found: Any) -> Any:
    return found.scores if isinstance(found, Curve) else found


@every
def test_shapes_can_be_worked_out_without_data(call: Callable[..., Any]) -> None:
    """Any ``.item()``, ``.cpu()`` or branch on a number would fail on the meta device, and be slow on a GPU."""
    model, x, a = pictures(), draw(3, 2, 6, 5), draw(3, 2, 6, 5, seed=1)
    found = numbers(call(pictures().to("meta"), x.to("meta"), a.to("meta")))
    expected = numbers(call(model, x, a))
    assert found.is_meta
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("call", [*CALLS.values(), *LOOKING.values()], ids=[*CALLS, *LOOKING])
def test_cuda_gives_the_numbers_of_the_cpu(call: Callable[..., Any], request: pytest.FixtureRequest) -> None:
    x, a = draw(3, 2, 6, 5), draw(3, 2, 6, 5, seed=1)
    found = numbers(call(pictures().cuda(), x.cuda(), a.cuda()))
    assert found.is_cuda
    name = request.node.callspec.id
    if not any(word in name for word in ("random", "road", "non-sensitivity")):  # drawn on the device
        torch.testing.assert_close(found.cpu(), numbers(call(pictures(), x, a)), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", [*CALLS, *LOOKING, *MORE])
def test_a_default_device_changes_no_number(name: str) -> None:
    """Nothing is made, and nothing drawn, where neither inputs nor generators are."""
    call = {**CALLS, **LOOKING, **MORE}[name]
    given = pictures(), draw(3, 2, 6, 5), draw(3, 2, 6, 5, seed=1)
    torch.manual_seed(3)
    with elsewhere():  # first, so that nothing made there is kept for later
        found = numbers(call(*given))
    state = torch.get_rng_state()
    torch.manual_seed(3)
    assert_same(found, numbers(call(*given)))
    assert torch.equal(state, torch.get_rng_state())
