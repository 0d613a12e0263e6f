"""Rows that depend on each other are found out, and each step is then one unit; one number for a batch is explained."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr, metrics
from attriscope.core.errors import RowDependenceWarning, TargetError, TrainingModeWarning
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


def test_independent_rows_cost_one_step_once() -> None:
    recorder = Recorder(lambda x: x.square().sum(1))
    x = draw(5, 3)
    grid(recorder, x, 4, 20)
    grid(recorder, x, 4, 20)
    assert recorder.rows == [20, 5, 20]


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
