"""Rows that depend on each other are found out, and each step is then one unit; one number for a batch is explained."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr, control, metrics
from attriscope.core.errors import ConvergenceWarning, RowDependenceWarning, TargetError, TrainingModeWarning
from attriscope.core.evaluate import Evaluator
from attriscope.core.inputs import gather_examples
from attriscope.core.subject import Subject
from attriscope.core.target import resolve_target
from models import Recorder, draw


@pytest.fixture(autouse=True)
def no_other_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def grid(
    model: Callable[..., Any], x: Tensor, steps: int, batch: int | None = None, **options: Any
) -> Tensor:
    """f of rows that are the examples times the step's number, (steps, N)."""
    examples = gather_examples(x, options.pop("arguments", None))
    evaluator = Evaluator(Subject(model, resolve_target(None, len(x))), examples, batch=batch, **options)
    found = torch.full((steps, len(x)), torch.nan, dtype=x.dtype)

    def rows(at: slice, part: slice) -> tuple[Tensor, ...]:
        return (torch.cat([examples.slices(part)[0] * (1 + step) for step in range(at.start, at.stop)]),)

    for block in evaluator.run(steps, rows):
        assert block.f is not None
        found[block.steps, block.examples] = block.f
    return found


def by_steps(model: Callable[..., Any], x: Tensor, steps: int, *arguments: Any) -> Tensor:
    return torch.stack([model(x * (1 + step), *arguments).detach() for step in range(steps)])


def batch_attention(x: Tensor) -> Tensor:
    return (torch.softmax(x @ x.T, 1) @ x).sum(1)


def whitening(x: Tensor) -> Tensor:
    return ((x - x.mean(0)) / (1 + x.std(0, unbiased=False))).square().sum(1)


EDGES = torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]])


def ring(x: Tensor) -> Tensor:
    """Each node sees its neighbour. Of a batch of several steps only the first rows have neighbours."""
    return x.index_add(0, EDGES[1], x[EDGES[0]]).square().sum(1)


DEPENDENT = {"attention over the batch": batch_attention, "normalisation": whitening, "a graph": ring}


@pytest.mark.parametrize("model", DEPENDENT.values(), ids=DEPENDENT)
@pytest.mark.parametrize("batch", [None, 1, 2, 5, 7, 10, 1000])
@pytest.mark.parametrize("gradient", [True, False])
def test_steps_do_not_share_a_batch(model: Any, batch: int | None, gradient: bool) -> None:
    x = draw(5, 3)

    def fresh(x: Tensor) -> Tensor:  # nothing is known of it
        return model(x)

    if batch in (5, 7):
        found = grid(
            fresh, x, 4, batch, gradient=gradient
        )  # whole steps anyway: there is nothing to find out
    else:
        with pytest.warns(
            RowDependenceWarning, match="the rows of a batch depend on each other in <function"
        ):
            found = grid(fresh, x, 4, batch, gradient=gradient)
    torch.testing.assert_close(found, by_steps(model, x, 4))
    torch.testing.assert_close(grid(fresh, x, 4, batch, gradient=gradient), found)  # and is told once


def test_what_was_found_out_is_remembered_for_the_model_and_told_once() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return whitening(x)

    x, net = draw(5, 3), Net()
    with pytest.warns(RowDependenceWarning, match="in Net") as told:
        grid(net, x, 4)
    assert len(told) == 1
    recorder = Recorder(net)
    handle = net.register_forward_hook(lambda module, args, output: recorder.rows.append(len(args[0])))
    grid(net, x, 4)
    handle.remove()
    assert recorder.rows == [5, 5, 5, 5]


def test_a_bound_method_is_remembered_too() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return whitening(x)

    x, net = draw(5, 3), Net()
    with pytest.warns(RowDependenceWarning) as told:
        grid(net.forward, x, 4)
    assert len(told) == 1
    grid(net.forward, x, 4)


def test_independent_rows_cost_four_steps_once() -> None:
    """One alone, twice, as it may draw; and one behind another."""
    recorder = Recorder(lambda x: x.square().sum(1))
    x = draw(5, 3)
    grid(recorder, x, 4, 20)
    grid(recorder, x, 4, 20)
    assert recorder.rows == [20, 5, 10, 5, 20]


def test_batch_normalisation_in_training_mode() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Flatten(0)).double()
    x = draw(5, 3)
    expected = grid(net.eval(), x, 4)
    net.train()
    with pytest.warns(TrainingModeWarning), pytest.warns(RowDependenceWarning):
        found = grid(net, x, 4)
    torch.testing.assert_close(found, by_steps(net, x, 4))
    assert not torch.allclose(found, expected)


def test_random_models_are_left_as_they_are() -> None:
    x = draw(5, 3)
    net = nn.Dropout(0.5).train()

    def model(x: Tensor) -> Tensor:
        return net(x).sum(1)

    torch.manual_seed(0)
    grid(model, x, 4, 20)
    after = torch.rand(1)
    torch.manual_seed(0)
    model(x.repeat(4, 1))
    assert torch.equal(after, torch.rand(1)), "looking draws no numbers that others would miss"


def test_batch_normalisation_beside_dropout_is_known_by_its_name() -> None:
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3), nn.Linear(3, 1), nn.Flatten(0)).double().train()
    with pytest.warns(TrainingModeWarning), pytest.warns(RowDependenceWarning):
        grid(net, draw(5, 3), 4)


# --- one number for the whole batch ---------------------------------------------------------------------------------


OUTPUTS = {
    "no dimension": lambda x: x.square().mean(),
    "(1,)": lambda x: x.square().mean()[None],
    "(1, 1)": lambda x: x.square().mean()[None, None],
    "variance": lambda x: x[:, 0].var(unbiased=False),
}


@pytest.mark.parametrize("model", OUTPUTS.values(), ids=OUTPUTS)
@pytest.mark.parametrize("batch", [None, 1, 4, 5, 6])
def test_one_number_for_the_whole_batch(model: Any, batch: int | None) -> None:
    x = draw(5, 3)
    found = grid(model, x, 4, batch)
    torch.testing.assert_close(found, by_steps(model, x, 4).reshape(4, 1).expand(4, 5))


def test_one_number_for_the_batch_is_refused_where_it_is_no_answer() -> None:
    with pytest.raises(TargetError, match="Target not provided when necessary"):
        grid(lambda x: x.square().mean(), draw(5, 3), 4, whole_batch=False)


def bag(x: Tensor) -> Tensor:
    """(instances, 3) -> (1, 2)"""
    weights = torch.softmax(x[:, :1], 0)
    return (weights * x).sum(0)[None, :2].tanh()


@pytest.mark.parametrize("target", [1, (1,), lambda out: out[:, 1], lambda out: out[0, 1]])
def test_a_bag_of_instances(target: Any) -> None:
    x = draw(6, 3)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(bag(leaf)[0, 1], leaf)
    torch.testing.assert_close(attr.Saliency(bag).attribute(x, target=target, abs=False), expected)
    torch.testing.assert_close(attr.InputXGradient(bag).attribute(x, target=target), x * expected)


def test_one_entry_per_example_does_not_fit_one_output() -> None:
    with pytest.raises(TargetError):
        attr.Saliency(bag).attribute(draw(6, 3), target=[1] * 6)


# --- samples of examples that are handed to another method ----------------------------------------------------------


@pytest.mark.parametrize(
    "model", [whitening, ring, lambda x: x.var(0).sum()], ids=["whitening", "ring", "one output"]
)
def test_noise_tunnel_hands_over_one_sample_at_a_time(model: Any) -> None:
    def fresh(x: Tensor) -> Tensor:
        return model(x)

    x = draw(5, 3)
    options = {"stdevs": 0.1, "nt_samples": 4}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RowDependenceWarning)
        found = attr.NoiseTunnel(attr.Saliency(fresh)).attribute(
            x, generator=torch.Generator().manual_seed(0), **options
        )
    expected = attr.NoiseTunnel(attr.Saliency(fresh)).attribute(
        x, generator=torch.Generator().manual_seed(0), nt_samples_batch_size=1, **options
    )
    torch.testing.assert_close(found, expected)


def test_sensitivity_explains_one_sample_at_a_time() -> None:
    def model(x: Tensor) -> Tensor:
        return whitening(x)

    x = draw(5, 3)

    def sensitivity(most: int | None) -> Tensor:
        return metrics.sensitivity_max(
            attr.Saliency(model),
            x,
            perturb_radius=0.1,
            max_examples_per_batch=most,
            generator=torch.Generator().manual_seed(0),
        )

    with pytest.warns(RowDependenceWarning):
        found = sensitivity(None)
    torch.testing.assert_close(found, sensitivity(5))


# --- what an adversary found ----------------------------------------------------------------------------------------


class Normalised(nn.Module):
    """Batch normalisation by the batch's own numbers, as a function: no module tells of it."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.batch_norm(x, None, None, training=True).pow(3).sum(1)


def highest(x: Tensor) -> Tensor:
    return (x - x.topk(3, 0).values.mean(0)).square().sum(1)


@pytest.mark.parametrize("batch", [1, 2, 4, 5, 40])
@pytest.mark.parametrize("model", [Normalised, lambda: lambda x: highest(x)], ids=["normalised", "highest"])
def test_a_smaller_batch_that_is_refused_tells(model: Any, batch: int) -> None:
    """Rows left over at the end of a step were asked for without end; and a refusal was taken for no answer."""
    x = draw(5, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RowDependenceWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)  # at the baseline both models jump
        found = attr.IntegratedGradients(model()).attribute(x, n_steps=8, internal_batch_size=batch)
        with control(independent_rows=False):
            expected = attr.IntegratedGradients(model()).attribute(x, n_steps=8)
    torch.testing.assert_close(found, expected)


EDGES_OF_A_CHAIN = torch.tensor([[0, 1, 2], [1, 2, 3]])


def of_one_feature(x: Tensor) -> Tensor:
    """Only the last feature goes along the edges, and the last step of an ablation has none of it."""
    return x[:, 0] + torch.zeros_like(x[:, 0]).index_add(0, EDGES_OF_A_CHAIN[1], x[:, 2][EDGES_OF_A_CHAIN[0]])


@pytest.mark.parametrize("method", ["FeatureAblation", "ShapleyValues", "ShapleyValueSampling", "KernelShap"])
def test_dependence_that_the_last_step_does_not_show(method: str) -> None:
    with pytest.warns(RowDependenceWarning):
        found = getattr(attr, method)(lambda x: of_one_feature(x)).attribute(torch.ones(4, 3))
    torch.testing.assert_close(
        found, torch.tensor([[1.0, 0, 0], [1, 0, 1], [1, 0, 1], [1, 0, 1]]), atol=1e-4, rtol=0
    )


def test_what_could_not_show_dependence_is_not_remembered() -> None:
    def centred(x: Tensor) -> Tensor:
        return (x - x.mean(0)).pow(3).sum(1)

    attr.FeatureAblation(centred).attribute(torch.zeros(3, 2))
    with pytest.warns(RowDependenceWarning):
        attr.FeatureAblation(centred).attribute(draw(3, 2))


def test_weights_that_change_may_let_it_through() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Parameter(torch.zeros((), dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return x.sum(1) + self.gate * batch_attention(x)

    model, x = Gated(), draw(5, 3)
    attr.FeatureAblation(model).attribute(x)
    with torch.no_grad():
        model.gate.fill_(1.0)
    with pytest.warns(RowDependenceWarning):
        attr.FeatureAblation(model).attribute(x)


def test_a_bool_beside_the_scores_changes_nothing() -> None:
    def model(x: Tensor) -> dict[str, Tensor]:
        h = x - x.mean(0)
        return {"logits": h**3, "mask": h > 0}

    y = torch.tensor([[0.0, 1.0], [2.0, 3.0], [5.0, 1.0]])
    options = {"nt_samples": 6, "stdevs": 1.0, "target": lambda output: output["logits"][:, 0]}
    with pytest.warns(RowDependenceWarning):
        found = attr.NoiseTunnel(attr.Saliency(model)).attribute(
            y, generator=torch.Generator().manual_seed(0), **options
        )
    expected = attr.NoiseTunnel(attr.Saliency(model)).attribute(
        y, generator=torch.Generator().manual_seed(0), nt_samples_batch_size=1, **options
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "model",
    [
        lambda x: 1e5 + 3 * (x - x.mean(0)).sum(1),
        lambda x: (x - x.mean(0)).pow(3).sum(1) * 1e-13,
        lambda x: (x - x.mean(0)).pow(3).sum(1) + 1e-4 * torch.randn(len(x), dtype=x.dtype),
    ],
    ids=["beside a large number", "tiny", "beside noise"],
)
def test_small_dependence(model: Any) -> None:
    with pytest.warns(RowDependenceWarning):
        attr.FeatureAblation(lambda x: model(x)).attribute(torch.tensor([[1.0, 2.0], [3.0, 5.0], [0.0, 4.0]]))


def test_a_large_graph_runs_step_by_step() -> None:
    n, d = 3000, 100
    edges = torch.randint(0, n, (2, 4 * n), generator=torch.Generator().manual_seed(0))

    def hop(x: Tensor) -> Tensor:
        return x.index_add(0, edges[1], x[edges[0]]).sum(1)

    with pytest.warns(RowDependenceWarning):
        found = attr.IntegratedGradients(hop).attribute(torch.randn(n, d), n_steps=2)
    assert found.shape == (n, d)


def test_rows_that_are_tried_stay_within_the_range_of_the_inputs() -> None:
    def bounded(x: Tensor) -> Tensor:
        assert bool((x.abs() < 1.5).all())
        return x.square().sum(1)

    attr.NoiseTunnel(attr.Saliency(bounded)).attribute(draw(2, 3).clamp(-1, 1), nt_samples=4, stdevs=0.01)


def test_a_model_made_in_inference_mode() -> None:
    """Its weights keep no version by which a change could be noticed."""
    with torch.inference_mode():
        model = nn.Sequential(nn.Linear(3, 2)).double()
    x = draw(5, 3)
    found = attr.FeatureAblation(model).attribute(x, target=0)
    torch.testing.assert_close(found, x * model[0].weight[0].clone())
