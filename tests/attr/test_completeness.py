"""Attributions along a path that miss the change of the output by far are told of; others are not, and cost nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr, control
from attriscope.core.errors import ConvergenceWarning
from models import Recorder, draw, mlp, pictures

X = draw(3, 4).abs() + 0.1
X = X / X.sum(1, keepdim=True)


def jump(x: Tensor) -> Tensor:
    """From 0 to 1 between two of five points."""
    return torch.sigmoid(400_000 * (x.sum(1) - 0.3))


def direction(x: Tensor) -> Tensor:
    """The same all along the path from 0, but not at 0."""
    return nn.functional.normalize(x, dim=1)[:, 0]


class Layered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return jump(self.same(x))


@pytest.mark.parametrize(
    "call",
    [
        lambda: attr.IntegratedGradients(jump).attribute(X, n_steps=5),
        lambda: attr.IntegratedGradients(lambda x: jump(x).sum()).attribute(X, n_steps=5),
        lambda: attr.IntegratedGradients(jump).attribute(X, n_steps=5, internal_batch_size=2),
        lambda: attr.IntegratedGradients(jump).attribute(X.repeat(100, 1), n_steps=5),
        lambda: attr.IntegratedGradients(lambda x: jump(x).sum()).attribute(X.repeat(9, 1), n_steps=600),
        lambda: attr.IntegratedGradients(direction).attribute(X),
        lambda: attr.IntegratedGradients(direction).attribute(X, return_convergence_delta=True),
        lambda: attr.LayerIntegratedGradients(Layered(), "same").attribute(X, n_steps=5),
        lambda: attr.NoiseTunnel(attr.IntegratedGradients(jump)).attribute(
            X, nt_samples=4, nt_samples_batch_size=1, stdevs=0.0, n_steps=5
        ),
    ],
    ids=[
        "jump",
        "one number",
        "in parts",
        "many",
        "many for one number",
        "normalised",
        "with delta",
        "layer",
        "noise",
    ],
)
def test_one_warning_for_a_call(call: Callable[[], Any]) -> None:
    with pytest.warns(ConvergenceWarning, match="do not add up") as told:
        call()
    assert len(told) == 1


def test_what_is_said() -> None:
    with pytest.warns(ConvergenceWarning) as told:
        last = attr.IntegratedGradients(jump).estimate(X, n_steps=5)
    message = str(told[0].message)
    assert "Integrated Gradients for 3 of 3 output(s)" in message
    assert "miss it by up to 1, where f has a range of 1 " in message
    assert "n_steps=5" in message
    assert last.warning == message
    assert float(last.delta.abs().max()) == pytest.approx(1)
    with pytest.warns(ConvergenceWarning):
        last = list(attr.IntegratedGradients(jump).stream(X, n_steps=5))[-1]
    assert (last.stopped, last.warning) == ("complete", message)
    assert told[0].filename == __file__


def test_how_far_is_the_delta() -> None:
    """The tenth is of the range of f on the path: two sizes of a jump in front of the same slope."""

    def model(size: float) -> Callable[[Tensor], Tensor]:
        return lambda x: x.sum(1) + size * jump(x)

    for size, expected in [(0.05, 0), (0.2, 3)]:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            _, delta = attr.IntegratedGradients(model(size)).attribute(
                X, n_steps=5, return_convergence_delta=True
            )
        assert int((delta.abs() > 0.1 * (1 + size)).sum()) == expected
        assert len(told) == (expected > 0)


@pytest.mark.parametrize(
    ("model", "x", "target", "steps"),
    [
        *((mlp(), X, 1, n) for n in (3, 5, 50)),
        (mlp(), X.repeat(20, 1), 1, 10),
        *((lambda x: x.tanh().sum(1), X, None, n) for n in (2, 3, 5, 50)),
        (mlp(smooth=False), X, 1, 50),
        (pictures(), draw(2, 2, 6, 5), [0, 1], 50),
    ],
)
def test_no_word_and_no_row_where_all_is_well(model: Any, x: Tensor, target: Any, steps: int) -> None:
    recorder = Recorder(model)
    with control(independent_rows=True), warnings.catch_warnings():
        warnings.simplefilter("error")
        attr.IntegratedGradients(recorder).attribute(x, target=target, n_steps=steps)
    assert sum(recorder.rows) == steps * len(x)


def test_a_model_that_does_not_move() -> None:
    """All zeros are right where nothing changes, so nothing is said."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = attr.IntegratedGradients(lambda x: (x * 0).sum(1) + 3).attribute(X)
    assert bool((found == 0).all())


@pytest.mark.parametrize("declared", [None, False])
def test_rows_that_depend_on_each_other_only_add_up_together(declared: bool | None) -> None:
    def model(x: Tensor) -> Tensor:
        return x.sum(1) + 5 * x.roll(1, 0)[:, 0]

    with control(independent_rows=declared), warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "the rows of a batch depend")
        found = attr.IntegratedGradients(model).attribute(X, n_steps=8)
    torch.testing.assert_close(found.sum(), model(X).sum())


def test_random_numbers_are_left_alone() -> None:
    """The look at the ends takes none that what comes later would miss."""
    torch.manual_seed(0)
    with pytest.warns(ConvergenceWarning):
        attr.IntegratedGradients(lambda x: jump(x) + 0 * torch.rand(len(x))).attribute(
            X, n_steps=5, internal_batch_size=15
        )
    after = torch.rand(1)
    torch.manual_seed(0)
    with control(independent_rows=True), pytest.warns(ConvergenceWarning):
        attr.IntegratedGradients(lambda x: jump(x) + 0 * torch.rand(len(x))).attribute(
            X, n_steps=5, internal_batch_size=15
        )
    assert torch.equal(torch.rand(1), after)
    torch.manual_seed(0)
    torch.rand(15)
    assert torch.equal(torch.rand(1), after)
