"""The numbers of Captum 0.9.0 and Quantus 0.6.0, where definitions are the same.

Where Quantus defines something else under a name that we have too, there is nothing to compare:

* its SensitivityN removes features one after the other in the order of attributions, and correlates over examples;
  the paper, and ``sensitivity_n`` here, draw sets of n features and correlate over these for each example;
* its Monotonicity fills a baseline with the baseline, so the output never changes and the answer is always yes;
* its NonSensitivity calls every attribution below a threshold zero, negative ones included;
* its EffectiveComplexity counts attributions above a threshold and does not ask the model, as the paper does;
* its ROAD and Completeness answer yes or no; here are the outputs and the gap, from which these follow;
* its Sensitivity and Lipschitz metrics draw in numpy, so ``sensitivity_max`` is compared with Captum instead.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import captum.metrics
import pytest
import torch
from torch import Tensor

from attriscope import attr, metrics
from attriscope.metrics.randomisation import histogram_entropy
from models import draw, pair, pictures, seeded
from parity.quantus_values import PATCH, STEP, holes, scene

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = ("infidelity", "infidelity_perturb_func_decorator", "sensitivity_max")


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name: str) -> None:
    """Captum's parameters in Captum's order with Captum's defaults; what is ours is keyword-only."""
    ours, theirs = (
        inspect.signature(getattr(module, name)).parameters for module in (metrics, captum.metrics)
    )
    more = [p for n, p in ours.items() if n not in theirs]
    assert [n for n in ours if n in theirs] == list(theirs)
    assert all(p.kind is p.KEYWORD_ONLY and p.default is None for p in more)
    for parameter, expected in theirs.items():
        if not callable(expected.default):  # the default perturb_func is a function of ours
            assert ours[parameter].default == expected.default, parameter


def perturb(inputs: Any, baselines: Any = None) -> Any:
    """Draws from torch's global generator, as Captum's users' functions do."""
    single = isinstance(inputs, Tensor)
    given = (inputs,) if single else inputs
    noise = tuple(0.3 * torch.randn(x.shape, dtype=x.dtype) for x in given)
    moved = tuple(x - n for x, n in zip(given, noise, strict=True))
    return (noise[0], moved[0]) if single else (noise, moved)


def as_captum(name: str, *args: Any, **kwargs: Any) -> None:
    """Both from the same seed."""
    found = []
    for module in (metrics, captum.metrics):
        torch.manual_seed(7)
        found.append(getattr(module, name)(*args, **kwargs))
    torch.testing.assert_close(found[0], found[1].detach(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("normalize", [False, True])
def test_infidelity(normalize: bool) -> None:
    model, x = pictures(), draw(4, 2, 6, 5)
    attributions = attr.Saliency(model).attribute(x, target=1, abs=False).detach()
    for target in (1, [0, 3, 1, 2]):
        as_captum("infidelity", model, perturb, x, attributions, target=target, normalize=normalize)


@pytest.mark.parametrize("batch", [4, 9, 40, 1000])
def test_infidelity_in_batches(batch: int) -> None:
    """Captum's perturb_func gets as many copies as fit; ours all of them. So it must not draw here."""
    model, x = pictures(), draw(4, 2, 6, 5)
    fixed = lambda x: (x / 3, x - x / 3)  # noqa: E731
    as_captum("infidelity", model, fixed, x, draw(4, 2, 6, 5, seed=1), target=1, max_examples_per_batch=batch)


@pytest.mark.parametrize("effects", [False, True])
def test_infidelity_of_several_inputs_with_the_decorator(effects: bool) -> None:
    model, inputs = pair(), (draw(3, 4), draw(3, 2, 3, seed=1))
    attributions = (draw(3, 4, seed=3), draw(3, 2, 3, seed=4))
    base = (draw(3, 4, seed=5), draw(1, 2, 3, seed=6))

    def move(inputs: Any, baselines: Any) -> Any:
        return tuple(
            x + 0.2 * (b - x) + 0.1 * torch.randn_like(x) for x, b in zip(inputs, baselines, strict=True)
        )

    found = []
    for module in (metrics, captum.metrics):
        torch.manual_seed(2)
        wrapped = module.infidelity_perturb_func_decorator(effects)(move)
        found.append(
            module.infidelity(
                model,
                wrapped,
                inputs,
                attributions,
                baselines=base,
                target=[0, 1, 2],
                additional_forward_args=(draw(3, 3, seed=2),),
                n_perturb_samples=5,
            )
        )
    torch.testing.assert_close(found[0], found[1].detach(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("norm", ["fro", 1, 2, 3.5, float("inf")])
def test_sensitivity(norm: Any) -> None:
    model, x = pictures(torch.float32), draw(4, 2, 6, 5, dtype=torch.float32)
    found = []
    for module in (metrics, captum.metrics):
        torch.manual_seed(7)
        method = attr.Saliency(model) if module is metrics else captum.attr.Saliency(model)
        found.append(module.sensitivity_max(method.attribute, x, target=[0, 3, 1, 2], norm_ord=norm))
    torch.testing.assert_close(found[0], found[1].detach(), rtol=1e-4, atol=1e-6)


def test_sensitivity_of_several_inputs_with_baselines() -> None:
    model, inputs = pair(torch.float32), tuple(t.float() for t in (draw(3, 4), draw(3, 2, 3, seed=1)))
    base = tuple(t.float() for t in (draw(3, 4, seed=5), draw(3, 2, 3, seed=6)))
    found = []
    for module in (metrics, captum.metrics):
        torch.manual_seed(7)
        ours = module is metrics
        method = (attr if ours else captum.attr).IntegratedGradients(model)
        found.append(
            module.sensitivity_max(
                method.attribute,
                inputs,
                perturb_radius=0.3,
                n_perturb_samples=4,
                target=[0, 1, 2],
                baselines=base,
                additional_forward_args=(draw(3, 3, seed=2).float(),),
                n_steps=8,
            )
        )
    torch.testing.assert_close(found[0], found[1].detach(), rtol=1e-4, atol=1e-6)


def test_captums_methods_are_methods() -> None:
    """Whoever has Captum objects can judge them as they are."""
    model, x = pictures(torch.float32), draw(3, 2, 6, 5, dtype=torch.float32)
    theirs, ours = captum.attr.IntegratedGradients(model), attr.IntegratedGradients(model)
    names = ["deletion", "sensitivity", "randomisation", "completeness gap"]
    table = metrics.evaluate(
        {"theirs": theirs, "ours": ours}, model, x, [0, 1, 2], names, generator=seeded(0)
    )
    for name in names:
        torch.testing.assert_close(
            table.values["theirs", name], table.values["ours", name], rtol=1e-3, atol=1e-4
        )


# --- Quantus, from the file that quantus_values.py writes -----------------------------------------------------------

EXPECTED = json.loads(Path(__file__).with_name("quantus.json").read_text())


def black(function: Any, **options: Any) -> Any:
    model, x, y, a, _ = scene()
    return function(metrics.probabilities(model), x, a, target=y, **options)


def localised(function: Any, **options: Any) -> Tensor:
    _, _, _, a, masks = scene()
    return function(a, masks, **options)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        # Quantus leaves out f(x) itself.
        ("pixel flipping", lambda: black(metrics.pixel_flipping, features_per_step=STEP).scores[:, 1:]),
        ("faithfulness estimate", lambda: black(metrics.faithfulness_estimate, features_per_step=STEP)),
        (
            "region perturbation",
            lambda: (lambda s: s[:, :1] - s[:, 1:])(
                black(metrics.region_perturbation, region=PATCH, replacement="zero").scores
            ),
        ),
        ("sparseness", lambda: metrics.sparseness(scene()[3])),
        ("entropy", lambda: metrics.entropy(scene()[3])),
        ("pointing game", lambda: localised(metrics.pointing_game)),
        ("relevance mass", lambda: localised(metrics.relevance_mass_accuracy, sign="absolute")),
        ("relevance rank", lambda: localised(metrics.relevance_rank_accuracy)),
        # Quantus asks for attributions of one sign here, and takes their sizes.
        ("attribution localisation", lambda: metrics.attribution_localisation(scene()[3].abs(), scene()[4])),
        ("histogram entropy", lambda: histogram_entropy(scene()[3].flatten(1).double())),
    ],
)
def test_as_quantus(name: str, ours: Any) -> None:
    expected = torch.tensor(EXPECTED[name], dtype=torch.float64)
    torch.testing.assert_close(ours().double(), expected, rtol=1e-4, atol=2e-6)


def test_imputation_as_in_quantus() -> None:
    _, x, _, _, _ = scene()
    keep = torch.ones(784, dtype=torch.bool)
    keep[holes()] = False
    found = metrics.impute_linearly(x[:1].double(), keep.reshape(1, 1, 28, 28))
    expected = torch.tensor(EXPECTED["linear imputation"], dtype=torch.float64)
    torch.testing.assert_close(found.flatten()[holes()], expected, rtol=0, atol=1e-5)
