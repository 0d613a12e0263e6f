"""How explanations move, where it is known how they must."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import GradientShap, InputXGradient, LayerActivation, NoiseTunnel, Saliency
from attriscope.metrics import local_lipschitz, sensitivity_average, sensitivity_max
from models import draw, pair, pictures, seeded

ALL = (sensitivity_max, sensitivity_average, local_lipschitz)


def fixed_steps(steps: Tensor) -> Any:
    """A perturb_func that moves every example by each of these steps, (samples, ...)."""

    def perturb(inputs: Tensor) -> Tensor:
        count = len(inputs) // len(steps)
        return inputs + steps.repeat(count, *(1,) * (steps.dim() - 1))

    return perturb


@pytest.mark.parametrize("metric", ALL)
def test_the_gradient_of_a_linear_model_never_moves(metric: Any) -> None:
    model = nn.Linear(4, 3).double()
    found = metric(Saliency(model), draw(5, 4), target=1, generator=seeded(0))
    assert found.tolist() == [0] * 5


def test_by_hand() -> None:
    """Twice the input as explanation: it moves by twice the step, whose lengths are 5 and 10, in parts of 2 |x| = 2."""
    x = torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    steps = torch.tensor([[3.0, 4.0], [-6.0, 8.0]])
    options: dict[str, Any] = {"perturb_func": fixed_steps(steps), "n_perturb_samples": 2}
    assert sensitivity_max(lambda x: 2 * x, x, **options).tolist() == [10, 10]
    assert sensitivity_average(lambda x: 2 * x, x, **options).tolist() == [7.5, 7.5]
    assert local_lipschitz(lambda x: 2 * x, x, **options).tolist() == pytest.approx([2, 2])
    assert sensitivity_max(lambda x: 2 * x, x, norm_ord=1, **options).tolist() == [14, 14]
    assert sensitivity_max(lambda x: 2 * x, x, norm_ord=float("inf"), **options).tolist() == [8, 8]
    # Where the explanation is 0 at x, the change itself counts.
    assert sensitivity_max(lambda x: 2 * x, torch.zeros(1, 2), **options).tolist() == [20]


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("batch", [1, 3, 8, 1000])
def test_how_rows_are_cut_changes_nothing(metric: Any, batch: int) -> None:
    model, x = pictures(), draw(3, 2, 6, 5)
    method = InputXGradient(model)
    options = {"target": [0, 1, 2], "n_perturb_samples": 7}
    found = metric(method, x, max_examples_per_batch=batch, generator=seeded(2), **options)
    torch.testing.assert_close(
        found, metric(method.attribute, x, generator=seeded(2), **options), rtol=1e-9, atol=0
    )


def test_explained_once_at_the_inputs() -> None:
    x, seen = draw(2, 3), []

    def explain(rows: Tensor) -> Tensor:
        seen.append(rows.clone())
        return rows

    sensitivity_max(explain, x, max_examples_per_batch=4, generator=seeded(0))
    assert sum(map(len, seen)) == 2 * 11
    rows = torch.cat(seen)
    assert all((rows == one).all(1).sum() == 1 for one in x)


def test_what_belongs_to_examples_goes_with_them() -> None:
    """Targets, baselines and forward arguments of each example, several inputs: as one by one."""
    model, inputs = pair(), (draw(3, 4), draw(3, 2, 3, seed=1))
    extra, steps = draw(3, 3, seed=2), draw(2, 4, seed=5)

    def perturb(given: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return fixed_steps(steps)(given[0]), given[1]

    def run(part: slice) -> Tensor:
        return sensitivity_max(
            InputXGradient(model),
            tuple(t[part] for t in inputs),
            perturb,
            n_perturb_samples=2,
            target=[2, 0, 1][part],
            additional_forward_args=(extra[part],),
        )

    alone = torch.cat([run(slice(i, i + 1)) for i in range(3)])
    torch.testing.assert_close(run(slice(0, 3)), alone, rtol=1e-10, atol=0)


def test_random_methods_get_numbers_of_their_own() -> None:
    model, x = pictures(), draw(2, 2, 6, 5)
    method = (GradientShap(model), {"baselines": torch.zeros(1, 2, 6, 5).double(), "n_samples": 3})
    found = [sensitivity_max(method, x, target=0, generator=seeded(s)) for s in (1, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    smooth = sensitivity_average(NoiseTunnel(Saliency(model)), x, target=0, generator=seeded(0))
    assert smooth.shape == (2,)


def test_explanations_of_layers() -> None:
    """Of any shape, as long as dimension 0 counts the examples; lists of several layers too."""
    model, x = pictures(), draw(2, 2, 6, 5)
    found = sensitivity_max(LayerActivation(model, ["conv", "block"]), x, generator=seeded(0))
    assert found.shape == (2,)
    assert (found > 0).all()


def test_the_radius_is_handed_on() -> None:
    x = draw(2, 50)
    near, far = (
        local_lipschitz(lambda x: x.square(), x, perturb_radius=r, generator=seeded(0)) for r in (1e-3, 1.0)
    )
    moved = sensitivity_max(lambda x: x, x, perturb_radius=0.5, norm_ord=float("inf"), generator=seeded(0))
    assert (moved * x.abs().amax(1) <= 0.5).all()
    assert (moved * x.abs().amax(1) > 0.45).all()
    assert (near < far).all()


@pytest.mark.parametrize(
    ("explain", "options", "message"),
    [
        (lambda x: x[:1], {}, "one entry per row"),
        (lambda x: x / 0, {}, "NaN or infinite"),
        (lambda x: x, {"perturb_func": lambda x: x[:, :1]}, "tensors of shape"),
        (lambda x: x, {"norm_ord": "nuc"}, "norm_ord"),
        (lambda x: x, {"perturb_radius": -1}, "perturb_radius"),
        (lambda x: x, {"n_perturb_samples": 0}, "n_perturb_samples"),
        (torch.zeros(2, 3), {}, "no attributions"),
        (lambda x: x, {"generator": seeded(0), "perturb_func": lambda x: x}, "takes none"),
    ],
)
def test_bad_input(explain: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        sensitivity_max(explain, torch.zeros(2, 3), **options)


def test_lipschitz_wants_movement() -> None:
    with pytest.raises(ValueError, match="did not move"):
        local_lipschitz(lambda x: x, torch.ones(2, 3), lambda x: x)


def test_examples_that_are_single_numbers() -> None:
    """Inputs (N,): the explanation of x^2 changes twice as fast as its input, whatever the noise."""
    x = draw(6)
    method = Saliency(lambda x: x**2)
    found = local_lipschitz(lambda x: method.attribute(x, abs=False), x, generator=seeded(0))
    torch.testing.assert_close(found, torch.full_like(x, 2.0), rtol=1e-6, atol=1e-6)
