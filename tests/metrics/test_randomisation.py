"""Randomisation finds out what depends on the model, and leaves the model alone whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attriscope
from attriscope.attr import (
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    LayerGradCam,
    NoiseTunnel,
    Saliency,
)
from attriscope.core.errors import Cancelled
from attriscope.metrics import (
    edge_detector,
    parameter_randomisation,
    probabilities,
    random_attribution,
    randomisation_complexity,
)
from attriscope.metrics.randomisation import histogram_entropy
from attriscope.metrics.similarity import cosine, pearson, ranks, spearman
from models import Mlp, Snapshot, draw, pictures, seeded, with_drawn_parameters


def mlp() -> Mlp:
    return with_drawn_parameters(Mlp(smooth=False)).double()


def test_what_does_not_depend_on_the_model_stays() -> None:
    model, x = pictures(), draw(3, 2, 6, 5)
    found = parameter_randomisation(edge_detector, model, x, target=1, generator=seeded(0))
    torch.testing.assert_close(found.scores, torch.ones_like(found.scores))
    rise = randomisation_complexity(edge_detector, model, x, target=1, generator=seeded(0))
    assert rise.tolist() == [0, 0, 0]


def test_layers_and_modes() -> None:
    model, x = pictures(), draw(3, 2, 6, 5)

    def run(mode: str, **more: Any) -> Any:
        return parameter_randomisation(
            InputXGradient(model), model, x, target=1, mode=mode, generator=seeded(0), **more
        )

    cascade, alone, complete = run("cascading"), run("independent"), run("complete")
    assert cascade.layers == alone.layers == ("unused", "fc", "block", "bn", "conv")
    assert complete.layers == ("all",)
    assert cascade.scores.shape == alone.scores.shape == (3, 5)
    # A layer that never runs matters to no explanation, and the last stage of the cascade is all layers.
    torch.testing.assert_close(cascade.scores[:, 0], torch.ones(3))
    torch.testing.assert_close(alone.scores[:, 0], torch.ones(3))
    assert torch.equal(cascade.scores[:, 1], alone.scores[:, 1])
    assert torch.equal(cascade.last, complete.last)
    assert (cascade.scores[:, 1:] < 0.99).any()
    some = run("cascading", layers=["conv", model.fc])
    assert some.layers == ("conv", "fc")
    torch.testing.assert_close(cascade.mean, cascade.scores.mean(1))


def test_scores_beside_a_slow_cascade() -> None:
    """One layer after the other made random by hand, with the same numbers, and scipy-like ranks."""
    model, x = mlp(), draw(4, 4)
    found = parameter_randomisation(Saliency(model), model, x, target=2, generator=seeded(0))
    kept: list[dict[str, Tensor]] = []

    def spy(copied: nn.Module, inputs: Tensor, target: Any) -> Tensor:
        kept.append({name: p.detach().clone() for name, p in copied.state_dict().items()})
        return Saliency(copied).attribute(inputs, target=target)

    parameter_randomisation(spy, model, x, target=2, generator=seeded(0))
    assert torch.equal(kept[0]["first.weight"], model.first.weight)
    assert not torch.equal(kept[1]["last.weight"], model.last.weight)
    assert torch.equal(kept[1]["first.weight"], model.first.weight)
    assert torch.equal(kept[2]["last.weight"], kept[1]["last.weight"])  # stays as it was made
    assert not torch.equal(kept[2]["first.weight"], model.first.weight)
    bound = 1 / np.sqrt(4)
    assert kept[2]["first.weight"].abs().max() <= bound  # torch's own initial values
    before = Saliency(model).attribute(x, target=2)
    other = mlp()
    for stage in (1, 2):
        other.load_state_dict(kept[stage])
        after = Saliency(other).attribute(x, target=2)
        for i in range(4):
            order = [np.argsort(np.argsort(t[i].detach().numpy())) for t in (before, after)]
            assert found.scores[i, stage - 1].item() == pytest.approx(np.corrcoef(*order)[0, 1], abs=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        Saliency,
        lambda model: LayerGradCam(model, "conv"),
        lambda model: LayerGradCam(model, model.block),
        lambda model: NoiseTunnel(Saliency(model)),
        lambda model: (IntegratedGradients(model), {"n_steps": 5}),
        lambda model: Saliency(probabilities(model)),
    ],
)
def test_methods_move_to_the_copy(make: Callable[[nn.Module], Any]) -> None:
    """Layers given by name or as modules, methods in methods, wrapped models: all see the random parameters."""
    model, x = pictures(), draw(3, 2, 6, 5)
    found = parameter_randomisation(make(model), model, x, target=1, mode="complete", generator=seeded(0))
    assert (found.scores < 0.999).all()


def test_the_judged_model_may_hold_the_explained_one() -> None:
    model, x = pictures(), draw(3, 2, 6, 5)
    found = parameter_randomisation(
        Saliency(model), probabilities(model), x, target=1, mode="complete", generator=seeded(0)
    )
    assert torch.equal(
        found.scores,
        parameter_randomisation(
            Saliency(model), model, x, target=1, mode="complete", generator=seeded(0)
        ).scores,
    )


class Odd(nn.Module):
    """Parameters in every kind of place: a module's own, shared by two, recurrent, attention."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        self.lstm = nn.LSTM(4, 4, batch_first=True)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.one = nn.Linear(4, 4)
        self.other = nn.Linear(4, 4)
        self.other.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.lstm(x * self.scale)[0]
        x = x + self.attention(x, x, x)[0]
        return self.other(self.one(x).tanh()).sum(1)


def test_parameters_everywhere() -> None:
    model, x = Odd(), draw(3, 5, 4, dtype=torch.float32)
    watch = Snapshot(model, (x,))
    found = parameter_randomisation(
        InputXGradient(model), model, x, target=1, mode="independent", generator=seeded(0)
    )
    watch.check()
    assert {"", "lstm", "attention", "one", "other"} <= set(found.layers)
    assert (found.scores.mean(0) < 0.9999).all()  # none of them is passed over


@pytest.mark.parametrize("metric", [parameter_randomisation, randomisation_complexity])
@pytest.mark.parametrize("outcome", ["success", "exception", "cancel"])
def test_the_model_is_never_touched(metric: Any, outcome: str) -> None:
    """Not a bit, a hook, a version or a random number is different afterwards, whatever happens; nor meanwhile."""
    model, x = pictures(), draw(3, 2, 6, 5)
    before = model(x).detach()
    watch = Snapshot(model, (x,))
    stop, runs = threading.Event(), []

    def explain(copied: nn.Module, inputs: Tensor, target: Any) -> Tensor:
        runs.append(copied)
        with torch.no_grad():
            assert torch.equal(model(x), before)  # also while the copy is random
        if len(runs) == 2 and outcome == "exception":
            raise OSError("disk full")
        if len(runs) == 2 and outcome == "cancel":
            stop.set()
        return InputXGradient(copied).attribute(inputs, target=target)

    generator = seeded(0)
    with attriscope.control(cancel=stop):
        if outcome == "success":
            metric(explain, model, x, target=1, generator=generator)
        else:
            with pytest.raises(OSError if outcome == "exception" else Cancelled):
                metric(explain, model, x, target=1, generator=generator)
    watch.check()
    assert all(copied is not model for copied in runs)


def test_the_copy_is_put_back_between_stages() -> None:
    """With layers one at a time, each stage begins with the trained parameters, running statistics included."""
    model, x = pictures(), draw(3, 2, 6, 5)
    states: list[dict[str, Tensor]] = []

    def explain(copied: nn.Module, inputs: Tensor, target: Any) -> Tensor:
        states.append({name: t.clone() for name, t in copied.state_dict().items()})
        return InputXGradient(copied).attribute(inputs, target=target)

    found = parameter_randomisation(explain, model, x, target=1, mode="independent", generator=seeded(0))
    trained = model.state_dict()
    for layer, state in zip(("", *found.layers), states, strict=True):
        for name, tensor in state.items():
            if layer == "" or not name.startswith(f"{layer}."):
                assert torch.equal(tensor, trained[name]), (layer, name)
    assert not torch.equal(states[4]["bn.running_mean"], trained["bn.running_mean"])


def test_draws_come_from_the_generator() -> None:
    model, x = pictures(), draw(3, 2, 6, 5)
    one, same, other = (
        parameter_randomisation(
            Saliency(model), model, x, target=1, mode="complete", generator=seeded(s)
        ).scores
        for s in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    torch.manual_seed(4)
    first = parameter_randomisation(Saliency(model), model, x, target=1, mode="complete").scores
    torch.manual_seed(4)
    assert torch.equal(
        first, parameter_randomisation(Saliency(model), model, x, target=1, mode="complete").scores
    )


def test_one_example_or_many() -> None:
    model, x = pictures(), draw(3, 2, 6, 5)
    together = parameter_randomisation(
        Saliency(model), model, x, target=[0, 1, 2], generator=seeded(1)
    ).scores
    for i in range(3):
        alone = parameter_randomisation(
            Saliency(model), model, x[i : i + 1], target=i, generator=seeded(1)
        ).scores
        torch.testing.assert_close(together[i : i + 1], alone)


def test_complexity_rises_when_order_is_lost() -> None:
    """A function that gives a point for the trained model and noise for any other: from a little to much entropy."""
    model, x = mlp(), draw(3, 4)
    large = torch.zeros(3, 4).double()
    trained = model.first.weight.detach().clone()

    def explain(copied: Any, inputs: Tensor, target: Any) -> Tensor:
        point = large.clone()
        point[:, 0] = 1
        return point if torch.equal(copied.first.weight, trained) else inputs

    rise = randomisation_complexity(explain, model, x, generator=seeded(0))
    little = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert rise.tolist() == pytest.approx([(np.log(4) - little) / little] * 3, rel=1e-6)


def test_entropy_of_a_histogram() -> None:
    values = draw(3, 200)
    for row, found in zip(values.numpy(), histogram_entropy(values, 20).tolist(), strict=True):
        counts = np.histogram(row, bins=20)[0] / 200
        assert found == pytest.approx(-sum(c * np.log(c) for c in counts if c), abs=1e-12)
    assert histogram_entropy(torch.ones(2, 5)).tolist() == [0, 0]


def test_similarities() -> None:
    a, b = draw(3, 6), draw(3, 6, seed=1)
    for i in range(3):
        assert pearson(a, b)[i].item() == pytest.approx(np.corrcoef(a[i], b[i])[0, 1])
        assert cosine(a, b)[i].item() == pytest.approx(float(a[i] @ b[i] / a[i].norm() / b[i].norm()))
    assert ranks(torch.tensor([[3.0, 1, 3, 2, 3]])).tolist() == [[3, 0, 3, 1, 3]]
    torch.testing.assert_close(spearman(a, a.exp()), torch.ones(3).double())
    assert pearson(a, torch.ones_like(a)).tolist() == [0, 0, 0]


def test_a_similarity_of_ones_own() -> None:
    model, x = mlp(), draw(3, 4)
    found = parameter_randomisation(
        Saliency(model), model, x, target=0, similarity=lambda a, b: (a - b).abs().sum(1), generator=seeded(0)
    )
    assert (found.scores > 0).all()
    with pytest.raises(ValueError, match="one number per example"):
        parameter_randomisation(Saliency(model), model, x, target=0, similarity=lambda a, b: a)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"explanation": torch.zeros(3, 4)}, "not attributions"),
        ({"explanation": Saliency(mlp())}, "not to be found"),
        ({"explanation": Saliency(lambda x: x)}, "not to be found"),
        ({"model": lambda x: x}, "torch.nn.Module"),
        ({"mode": "cascade"}, "mode must be one of"),
        ({"similarity": "ssim"}, "similarity must be one of"),
        ({"layers": []}, "list of layers"),
        ({"layers": ["third"]}, "no layer 'third'"),
        ({"layers": ["act"]}, "no parameters"),
        ({"explanation": lambda model, inputs, target: torch.ones(3, 4)}, "all the same"),
        ({"target": 7}, "out of range"),
    ],
)
def test_bad_input(change: dict[str, Any], message: str) -> None:
    model = mlp()
    given = {"explanation": Saliency(model), "model": model, "inputs": draw(3, 4), "target": 0, **change}
    watch = Snapshot(model, (given["inputs"],))
    with pytest.raises((AssertionError, LookupError), match=message):
        parameter_randomisation(**given)
    watch.check()


def test_random_explanations_have_nothing_in_common() -> None:
    model, x = pictures(), draw(2, 2, 6, 5)
    found = parameter_randomisation((random_attribution, {}), model, x, target=1, generator=seeded(0))
    assert found.scores.abs().max() < 0.6
    shap = (GradientShap(model), {"baselines": torch.zeros_like(x), "generator": seeded(0)})
    assert parameter_randomisation(shap, model, x, target=1, generator=seeded(0)).scores.shape == (2, 5)


def test_figure_names_the_layers() -> None:
    model, x = pictures(), draw(2, 2, 6, 5)
    found = parameter_randomisation(Saliency(model), model, x, target=1, generator=seeded(0))
    known = plt.get_fignums()
    axes = found.figure().axes[0]
    assert plt.get_fignums() == known  # it shows itself; pyplot would show it once more
    medians = found.scores.double().quantile(0.5, dim=0).tolist()
    assert axes.lines[0].get_xdata().tolist() == pytest.approx(medians)
    assert axes.get_xlim()[0] <= -0.1
    assert axes.get_xlim()[1] == pytest.approx(1.02)  # of a similarity, whatever the numbers are
    assert [label.get_text() for label in axes.get_yticklabels()] == ["unused", "fc", "block", "bn", "conv"]
