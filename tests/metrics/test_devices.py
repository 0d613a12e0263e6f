"""Devices: only checks look at numbers, never the work itself, and everything stays where the inputs are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import metrics
from attriscope.attr import InputXGradient
from attriscope.metrics import Curve
from models import draw, pictures, seeded

TARGETS = [0, 3, 1]
MASKS = torch.rand(3, 6, 5, generator=seeded(0)) > 0.5


def asked(name: str, **options: Any) -> Callable[..., Any]:
    """A metric that removes numbers one by one: a mask is looked at, to see which numbers it holds."""

    def call(model: Any, x: Tensor, a: Tensor) -> Any:
        flat = lambda rows: model(rows.reshape(-1, 2, 6, 5))  # noqa: E731
        return getattr(metrics, name)(flat, x.flatten(1), a.flatten(1), target=TARGETS, **options)

    return call


CALLS: dict[str, Callable[..., Any]] = {
    "deletion": asked("deletion"),
    "deletion at random": asked("deletion", order="random", generator=seeded(0)),
    "insertion": asked("insertion", replacement=0.3, steps=5),
    "pixel flipping": asked("pixel_flipping", features_per_step=7),
    "comprehensiveness": asked("comprehensiveness"),
    "sufficiency": asked("sufficiency"),
    "sensitivity-n": asked("sensitivity_n", n=3, generator=seeded(0)),
    "faithfulness estimate": asked("faithfulness_estimate"),
    "monotonicity": asked("monotonicity"),
    "effective complexity": asked("effective_complexity"),
    "non-sensitivity": asked("non_sensitivity", generator=seeded(0)),
    "completeness gap": asked("completeness_gap"),
    "infidelity": lambda model, x, a: metrics.infidelity(
        model, metrics.removal_perturbation(), x, a, target=TARGETS, normalize=True, generator=seeded(0)
    ),
    "sensitivity": lambda model, x, a: metrics.sensitivity_max(
        InputXGradient(model), x, target=TARGETS, generator=seeded(0)
    ),
    "local Lipschitz": lambda model, x, a: metrics.local_lipschitz(
        InputXGradient(model), x, target=TARGETS, generator=seeded(0)
    ),
    "sparseness": lambda model, x, a: metrics.sparseness(a),
    "entropy": lambda model, x, a: metrics.entropy(a),
    "pointing game": lambda model, x, a: metrics.pointing_game(a, MASKS.to(a.device), tolerance=1),
    "relevance mass": lambda model, x, a: metrics.relevance_mass_accuracy(a, MASKS.to(a.device)),
    "relevance rank": lambda model, x, a: metrics.relevance_rank_accuracy(a, MASKS.to(a.device)),
    "edges": lambda model, x, a: metrics.edge_detector(model, x),
    "random": lambda model, x, a: metrics.random_attribution(model, x, generator=seeded(0)),
}
every = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
# These look at numbers on their way: which there are in a mask, whether equations are solved or models agree.
LOOKING: dict[str, Callable[..., Any]] = {
    "road": lambda model, x, a: metrics.road(model, x, a, target=TARGETS, generator=seeded(0)),
    "regions": lambda model, x, a: metrics.region_perturbation(
        model, x, a, target=TARGETS, region=2, replacement="blur"
    ),
    "randomisation": lambda model, x, a: (
        metrics.parameter_randomisation(
            InputXGradient(model), model, x, target=TARGETS, similarity="pearson", layers=["unused"]
        ).scores
    ),
    "invariance": lambda model, x, a: metrics.input_invariance(InputXGradient, model, x, 2.0, target=TARGETS),
}


def numbers(found: Any) -> Tensor:
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
