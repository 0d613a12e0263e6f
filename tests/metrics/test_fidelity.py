"""Infidelity in closed form, and how perturbations are asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope.attr import IntegratedGradients, Saliency
from attriscope.core.inputs import gather_examples
from attriscope.metrics import (
    evaluate,
    gaussian_perturbation,
    infidelity,
    infidelity_perturb_func_decorator,
    removal_perturbation,
)
from attriscope.metrics._explanations import fit_attributions
from models import assert_same, draw, pair, pictures, seeded

WEIGHTS = draw(5, seed=8)


def linear(x: Tensor) -> Tensor:
    return x @ WEIGHTS


def test_the_gradient_of_a_linear_model_is_faithful() -> None:
    x = draw(3, 5)
    found = infidelity(linear, gaussian_perturbation(0.5), x, WEIGHTS.expand(3, 5), generator=seeded(0))
    torch.testing.assert_close(found, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-25)
    effects = infidelity(linear, removal_perturbation(), x, x * WEIGHTS, generator=seeded(0))
    torch.testing.assert_close(effects, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-25)


def test_by_hand() -> None:
    """Zero attributions foretell nothing, so what is left is the mean square of the change."""
    x = torch.tensor([[1.0, 2.0]])
    moves = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])

    def perturb(inputs: Tensor) -> tuple[Tensor, Tensor]:
        return moves, inputs - moves

    found = infidelity(lambda x: 3 * x[:, 0] + x[:, 1], perturb, x, torch.zeros(1, 2), n_perturb_samples=3)
    assert found.tolist() == pytest.approx([(9 + 1 + 16) / 3])


def test_normalized_it_is_blind_to_a_factor() -> None:
    x, model = draw(3, 2, 6, 5), pictures()
    a = Saliency(model).attribute(x, target=1, abs=False)
    one, ten, none = (
        infidelity(model, gaussian_perturbation(0.1), x, k * a, target=1, normalize=True, generator=seeded(0))
        for k in (1, 10, 0)
    )
    torch.testing.assert_close(one, ten, rtol=1e-9, atol=0)
    assert (one < none).all()


@pytest.mark.parametrize("batch", [1, 2, 5, 7, 1000, None])
def test_how_rows_are_cut_changes_nothing(batch: int | None) -> None:
    model, x = pictures(), draw(4, 2, 6, 5)
    a = draw(4, 2, 6, 5, seed=1)
    calls: list[int] = []

    def perturb(inputs: Tensor, generator: Any = None) -> tuple[Tensor, Tensor]:
        calls.append(len(inputs))
        noise = torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype)
        return noise, inputs - noise

    def run(batch: int | None) -> Tensor:
        return infidelity(
            model, perturb, x, a, target=[0, 1, 2, 3], n_perturb_samples=6, max_examples_per_batch=batch,
            generator=seeded(3),
        )  # fmt: skip

    torch.testing.assert_close(run(batch), run(None), rtol=1e-10, atol=0)
    assert calls == [24, 24]  # in one call, as Captum does


def test_many_samples_are_drawn_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks bound the memory; they depend on sizes only, and every sample is used once, whatever the batch."""
    from attriscope.metrics import _perturbation_samples

    monkeypatch.setattr(
        _perturbation_samples, "_TOGETHER", 40
    )  # of 2 examples of 5 numbers: 4 samples at a time
    x = draw(2, 5)
    sizes: list[int] = []

    def perturb(inputs: Tensor, generator: Any = None) -> tuple[Tensor, Tensor]:
        sizes.append(len(inputs))
        noise = torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype)
        return noise, inputs - noise

    found = [
        infidelity(
            lambda x: x.square().sum(1), perturb, x, x, n_perturb_samples=10, max_examples_per_batch=b,
            generator=seeded(1),
        )
        for b in (3, 7, 100)
    ]  # fmt: skip
    assert sizes == [8, 8, 4] * 3
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=0)
    torch.testing.assert_close(found[0], found[2], rtol=1e-12, atol=0)


@pytest.mark.usefixtures("independent_rows")  # they are counted
def test_f_of_x_is_computed_once() -> None:
    x, rows = draw(2, 5), []

    def model(given: Tensor) -> Tensor:
        rows.append(given.clone())
        return given.sum(1)

    infidelity(
        model,
        gaussian_perturbation(),
        x,
        x,
        n_perturb_samples=10,
        max_examples_per_batch=4,
        generator=seeded(0),
    )
    assert sum(map(len, rows)) == 2 * 11
    everything = torch.cat(rows)
    assert all((everything == one).all(1).sum() == 1 for one in x)


def test_the_decorator() -> None:
    """Effects: which share of the way to the baseline. Sensitivities: the change itself."""
    x = torch.tensor([[2.0, 4.0, 1.0]])
    base = torch.tensor([[0.0, 2.0, 1.0]])

    def halfway(inputs: Tensor, baselines: Tensor) -> Tensor:
        return (inputs + baselines) / 2

    changes, moved = infidelity_perturb_func_decorator(True)(halfway)(x, base)
    assert changes[0].tolist() == [[0.5, 0.5, 0.0]]
    assert moved[0].tolist() == [[1.0, 3.0, 1.0]]
    changes, _ = infidelity_perturb_func_decorator(False)(halfway)(x, base)
    assert changes[0].tolist() == [[1.0, 1.0, 0.0]]


def test_several_inputs_baselines_and_a_method() -> None:
    model, inputs = pair(), (draw(3, 4), draw(3, 2, 3, seed=1))
    options = {"target": 1, "baselines": (0.3, draw(3, 2, 3, seed=4)), "n_perturb_samples": 4}
    exact = infidelity(
        model,
        removal_perturbation(),
        inputs,
        (IntegratedGradients(model), {"baselines": options["baselines"]}),
        generator=seeded(0),
        **options,
    )
    given = IntegratedGradients(model).attribute(inputs, options["baselines"], target=1)
    assert_same(
        exact, infidelity(model, removal_perturbation(), inputs, given, generator=seeded(0), **options)
    )


@pytest.mark.parametrize(
    ("perturb", "message"),
    [
        (lambda x: x, "must give a pair"),
        (lambda x: (x, x, x), "must give a pair"),
        (lambda x: (x,), "must give a pair"),
        (lambda x: (x[:1], x), "tensors of shape"),
        (lambda x: (x, x[:, :2]), "tensors of shape"),
        ("noise", "must be a function"),
    ],
)
def test_bad_perturbations(perturb: Any, message: str) -> None:
    x = draw(2, 5)
    with pytest.raises((AssertionError, TypeError), match=message):
        infidelity(linear, perturb, x, x)


def test_a_generator_that_would_not_be_used() -> None:
    x = draw(2, 5)
    with pytest.raises(ValueError, match="takes none"):
        infidelity(linear, lambda x: (x, x), x, x, generator=seeded(0))


def test_examples_that_are_single_numbers() -> None:
    """Inputs (N,): x^2 falls by 2 x h - h^2 when x falls by h, of which the gradient foretells all but the last."""
    x, step = draw(6), 0.1

    def fall(x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(x, step), x - step

    found = infidelity(lambda x: x**2, fall, x, 2 * x)
    torch.testing.assert_close(found, torch.full_like(x, step**4))


def test_of_complex_attributions_both_parts_count() -> None:
    """A real and an imaginary part are two numbers: added up where features are ranked, apart where they are moved."""
    x = torch.complex(draw(2, 3, seed=1), draw(2, 3, seed=2))
    attributions = torch.complex(draw(2, 3, seed=3), draw(2, 3, seed=4))
    examples = gather_examples(x)
    (ranked,) = fit_attributions(attributions, examples)
    assert_same(ranked, attributions.real + attributions.imag)
    (apart,) = fit_attributions(attributions, examples, parts=True)
    assert_same(apart, attributions)


def test_among_other_metrics_infidelity_is_blind_to_a_factor() -> None:
    """Methods give numbers of different sizes, and are compared by their order."""
    x, attributions = draw(3, 5), draw(3, 5, seed=1)

    def values(factor: float) -> Tensor:
        method = {"m": lambda model, inputs, target: factor * attributions}
        table = evaluate(method, lambda x: linear(x).sin(), x, metrics=["infidelity"], generator=seeded(0))
        return table.values["m", "infidelity"]

    torch.testing.assert_close(values(10.0), values(1.0))
