"""What holds for every metric: examples do not mix, batches change nothing, the world stays as it was."""

from __future__ import annotations

import dataclasses
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import attriscope
from attriscope import metrics
from attriscope.attr import InputXGradient
from attriscope.core.errors import Cancelled
from attriscope.metrics import Curve
from models import Snapshot, draw, pictures, seeded

N = 4
TARGETS = [0, 3, 1, 2]


@dataclasses.dataclass(frozen=True)
class Asked:
    """A metric as these tests call it.

    Attributes:
        call: takes the model, inputs, attributions, targets and keywords, and gives (N,) or a curve.
        random: it draws for the batch as a whole, so that an example alone gets other numbers.
        asks: it sends rows through the model in batches of ``max_examples_per_batch``.
    """

    name: str
    call: Callable[..., Any]
    random: bool = False
    asks: bool = True

    def run(self, model: Any, x: Tensor, a: Any, targets: Any, **more: Any) -> Tensor:
        found = self.call(model, x, a, targets, **more)
        return found.scores if isinstance(found, Curve) else found


def called(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """With those of the options that it takes."""
    parameters = inspect.signature(function).parameters
    return function(*arguments, **{key: value for key, value in options.items() if key in parameters})


def removing(name: str, random: bool = False, **options: Any) -> Asked:
    function = getattr(metrics, name)

    def call(model: Any, x: Tensor, a: Any, targets: Any, **more: Any) -> Any:
        return called(function, model, x, a, target=targets, **{**options, **more})

    label = " ".join([name, *map(str, options.values())])
    return Asked(label, call, random)


def nearby(name: str) -> Asked:
    def call(model: Any, x: Tensor, a: Any, targets: Any, **more: Any) -> Any:
        return getattr(metrics, name)(InputXGradient(model), x, target=targets, n_perturb_samples=3, **more)

    return Asked(name, call, random=True)


def randomising(name: str) -> Asked:
    def call(model: Any, x: Tensor, a: Any, targets: Any, **more: Any) -> Any:
        found = called(getattr(metrics, name), InputXGradient(model), model, x, target=targets, **more)
        return found.scores if isinstance(found, metrics.Randomisation) else found

    return Asked(name, call, asks=False)


def infidelity(model: Any, x: Tensor, a: Any, targets: Any, **more: Any) -> Tensor:
    return metrics.infidelity(
        model, metrics.gaussian_perturbation(0.1), x, a, target=targets, n_perturb_samples=3, **more
    )


# Beside their defaults, or instead of them where those do not suit small pictures.
CHOSEN = (
    removing("deletion", replacement="blur", order="least", steps=7),
    removing("deletion", replacement="mean", order="size"),
    removing("deletion", random=True, replacement="noise"),
    removing("deletion", random=True, replacement="uniform"),
    removing("deletion", random=True, order="random"),
    removing("insertion", replacement=0.3),
    removing("pixel_flipping", features_per_step=4),
    removing("region_perturbation", region=2, replacement="zero"),
    removing("road", random=True),
    removing("sensitivity_n", n=3),
    removing("faithfulness_estimate", features_per_step=4),
    Asked("infidelity", infidelity, random=True),
)
INSTEAD = ("region_perturbation", "infidelity")
RANDOM = ("road_combined", "non_sensitivity")


def registered() -> Iterator[Asked]:
    """Every registered metric that asks the model, by what it takes."""
    for metric in metrics.CATALOGUE.values():
        function: Any = metric.source
        name, parameters = function.__name__, inspect.signature(function).parameters
        if name in INSTEAD:
            continue
        if "explanation_func" in parameters:
            yield nearby(name)
        elif "explanation" in parameters:
            yield randomising(name)
        elif "forward_func" in parameters:
            yield removing(name, name in RANDOM)


ASKED = (*registered(), *CHOSEN)

# What is drawn for parameters depends on their type, and counting changes that are nearly nothing on rounding.
ROUGH = ("parameter_randomisation", "randomisation_complexity", "non_sensitivity")

every = pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name)
asking = pytest.mark.parametrize("asked", [a for a in ASKED if a.asks], ids=lambda asked: asked.name)


@pytest.fixture
def scene() -> tuple[Any, Tensor, Tensor]:
    return pictures(), draw(N, 2, 6, 5), draw(N, 2, 6, 5, seed=1)


@pytest.mark.parametrize("asked", [a for a in ASKED if not a.random], ids=lambda asked: asked.name)
def test_many_examples_or_one_by_one(asked: Asked, scene: Any) -> None:
    model, x, a = scene
    together = asked.run(model, x, a, TARGETS, generator=seeded(0))
    alone = [asked.run(model, x[i : i + 1], a[i : i + 1], TARGETS[i], generator=seeded(0)) for i in range(N)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("name", metrics.CATALOGUE)
def test_registered_metrics_do_not_mix_examples(name: str, scene: Any) -> None:
    """As ``evaluate`` asks them, with maps and masks; where something is drawn for the batch, that is left out."""
    model, x, a = scene
    masks = torch.rand(N, 6, 5, generator=seeded(4)) > 0.5
    drawn = metrics.CATALOGUE[name].source in (
        metrics.region_perturbation,
        metrics.road_combined,
        metrics.infidelity,
        metrics.non_sensitivity,
        metrics.sensitivity_max,
        metrics.sensitivity_average,
        metrics.local_lipschitz,
    )

    def found(i: slice) -> Tensor:
        mask = metrics.patch_mask(x, 2)
        method = InputXGradient(model)
        case = metrics.Case(
            model, x[i], TARGETS[i], a[i], method, method, masks[i], mask, generator=seeded(0)
        )
        return metrics.CATALOGUE[name].function(case)

    together = found(slice(N))
    assert together.shape == (N,)
    if not drawn:
        alone = [found(slice(i, i + 1)) for i in range(N)]
        torch.testing.assert_close(together, torch.cat(alone), rtol=1e-7, atol=1e-10)


@asking
@pytest.mark.parametrize("batch", [1, 7])
def test_how_rows_are_cut_changes_nothing(asked: Asked, batch: int, scene: Any) -> None:
    model, x, a = scene
    found = asked.run(model, x, a, TARGETS, max_examples_per_batch=batch, generator=seeded(0))
    expected = asked.run(model, x, a, TARGETS, generator=seeded(0))
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-10)


@every
@pytest.mark.parametrize("outcome", ["success", "exception", "cancel"])
def test_the_world_stays_as_it_was(asked: Asked, outcome: str, scene: Any) -> None:
    """Model, inputs, attributions, hooks, modes and random states, on every way out."""
    model, x, a = scene
    x.requires_grad_()
    stop, seen = threading.Event(), []

    class Watched(type(model)):  # type: ignore[misc]
        """Fails, or asks to stop, in the second pass."""

        def forward(self, rows: Tensor) -> Tensor:
            seen.append(len(rows))
            if len(seen) == 2 and outcome == "exception":
                raise OSError("disk full")
            if len(seen) == 2 and outcome == "cancel":
                stop.set()
            return super().forward(rows)

    model.__class__ = Watched
    watch = Snapshot(model, (x, a))
    options = {"generator": seeded(0)}
    if asked.asks:
        options["max_examples_per_batch"] = 4
    with attriscope.control(cancel=stop):
        # Of two batches, the second is the last: it is too late to stop.
        late = outcome == "cancel" and asked.name in ("completeness_gap", "randomisation_complexity")
        if outcome == "success" or late:
            asked.run(model, x, a, TARGETS, **options)
        else:
            with pytest.raises(OSError if outcome == "exception" else Cancelled):
                asked.run(model, x, a, TARGETS, **options)
    watch.check()


@every
def test_progress_goes_up_and_ends(asked: Asked, scene: Any) -> None:
    model, x, a = scene
    reports: list[tuple[int, int]] = []
    options = {"max_examples_per_batch": 5} if asked.asks else {}
    with attriscope.control(progress=lambda done, total: reports.append((done, total))):
        asked.run(model, x, a, TARGETS, generator=seeded(0), **options)
    assert len(reports) > 1
    assert all(done <= total for done, total in reports)
    assert reports[-1][0] == reports[-1][1]


@every
def test_random_numbers_are_the_generators(asked: Asked, scene: Any) -> None:
    """The same seed, the same numbers; and without a generator, those of torch's global one."""
    model, x, a = scene
    one, same = (asked.run(model, x, a, TARGETS, generator=seeded(5)) for _ in range(2))
    assert torch.equal(one, same)
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(asked.run(model, x, a, TARGETS))
    assert torch.equal(*found)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_types(asked: Asked, dtype: torch.dtype, scene: Any) -> None:
    """Results are finite numbers in single precision at least, near those in double."""
    model, x, a = scene
    exact = asked.run(model, x, a, TARGETS, generator=seeded(0))
    if dtype is torch.bfloat16 and not asked.asks:
        return  # entropies and ranks of numbers with three digits say nothing
    rough = asked.run(model.to(dtype), x.to(dtype), a.to(dtype), TARGETS, generator=seeded(0))
    assert rough.dtype is torch.float32
    assert torch.isfinite(rough).all()
    if dtype is torch.float32 and asked.name not in ROUGH:
        torch.testing.assert_close(rough.double(), exact.double(), rtol=2e-2, atol=2e-3)


@settings(max_examples=30)
@given(
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from(["most", "least", "size"]),
    st.data(),
)
def test_curves_of_a_sum(examples: int, features: int, steps: int, order: str, data: Any) -> None:
    """Of a model that adds up: what is deleted and what is inserted make the whole, at every point."""
    steps = min(steps, features)
    seed = data.draw(st.integers(0, 99))
    x = draw(examples, features, seed=seed)
    a = draw(examples, features, seed=seed + 100)
    model = lambda x: x.sum(1)  # noqa: E731
    away = metrics.deletion(model, x, a, steps=steps, order=order)
    back = metrics.insertion(model, x, a, steps=steps, order=order)
    torch.testing.assert_close(away.scores + back.scores, x.sum(1)[:, None].expand(-1, steps + 1))
    assert away.scores.shape == (examples, steps + 1)
    torch.testing.assert_close(away.auc + back.auc, x.sum(1))
