"""A streaming method of a user's, written with what ``attriscope.attr`` exports, works wherever a method does.

The method is the example in the docstring of ``streaming``, run as it stands there.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import attriscope
from attriscope import attr, metrics
from attriscope.attr import At, IntegratedGradients, Neuron, NoiseTunnel, streaming
from models import Recorder, assert_same, draw


def example() -> str:
    """The code of the example, up to the end of the docstring."""
    assert streaming.__doc__ is not None
    return textwrap.dedent(inspect.cleandoc(streaming.__doc__).partition("Example::\n")[2])


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double().eval()


X = 3 * draw(3, 4)


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    """The names that the example leaves behind."""
    names: dict[str, Any] = {"model": network(), "x": X}
    exec(compile(example(), "the docstring of streaming", "exec"), names)
    return names


@pytest.fixture(scope="module")
def method(run: dict[str, Any]) -> Callable[[Any], Any]:
    return run["GradientPath"]


def test_the_example_needs_no_more_than_the_package_exports() -> None:
    imported = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(example()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    ours = {name.removeprefix("attriscope.attr.") for name in imported if name.startswith("attriscope")}
    assert ours == {"GradientAttribution", "PartialResult", "streaming"}
    assert ours <= set(attr.__all__)


def test_the_example_comes_to_integrated_gradients(run: dict[str, Any]) -> None:
    expected = IntegratedGradients(network()).attribute(X, target=1, n_steps=200)
    assert_same(run["attributions"], expected, atol=0.05)
    assert run["delta"].shape == (3,)
    assert run["delta"].abs().max() < 0.05
    last = run["last"]
    assert (last.stopped, last.evaluations % 3) == ("tolerance", 0)
    assert 3 < last.evaluations < 30_000
    assert_same(last.attributions, expected, atol=0.2)
    assert run["estimate"].stopped == "complete"
    assert run["estimate"].evaluations == 64 * 3


def test_every_estimate_has_its_own_delta(method: Callable[[Any], Any]) -> None:
    model = network()
    estimates = list(method(model).stream(X, 1, most=5))
    assert [e.evaluations for e in estimates] == [3, 6, 9, 12, 15]
    assert [e.stopped for e in estimates] == [None] * 4 + ["complete"]
    change = (model(X) - model(X * 0))[:, 1]
    for estimate in estimates:
        assert_same(estimate.delta, estimate.attributions.sum(1) - change, atol=1e-12)
    assert_same(method(model).attribute(X, 1, most=5), estimates[-1].attributions)


def test_a_tolerance_spares_the_work(method: Callable[[Any], Any]) -> None:
    model = Recorder(network())
    last = method(model).estimate(X, 1, most=64, tolerance=0.5)
    assert last.stopped == "tolerance"
    assert sum(model.rows) < 64 * 3


def test_under_a_noise_tunnel(method: Callable[[Any], Any]) -> None:
    torch.manual_seed(0)
    smooth, deltas = NoiseTunnel(method(network())).attribute(
        X, nt_samples=4, stdevs=0.1, target=1, most=8, return_convergence_delta=True
    )
    torch.manual_seed(0)
    without = NoiseTunnel(method(network())).attribute(X, nt_samples=4, stdevs=0.1, target=1, most=8)
    assert_same(smooth, without)
    assert deltas.shape == (12,)
    assert (smooth - method(network()).attribute(X, 1, most=8)).abs().max() > 1e-3, "there was noise"


def test_at_a_layer(method: Callable[[Any], Any]) -> None:
    model = network()
    found, delta = At(method, model, layer="0").attribute(X, target=2, most=8, return_convergence_delta=True)
    expected, gap = method(model[1:]).attribute(model[0](X), 2, most=8, return_convergence_delta=True)
    assert_same((found, delta), (expected, gap), atol=1e-12)
    early = At(method, model, layer="0").estimate(X, target=2, tolerance=0.2)
    assert (early.stopped, early.evaluations < 64 * 3) == ("tolerance", True)


def test_for_a_neuron(method: Callable[[Any], Any]) -> None:
    model = network()
    found = At(method, model, neuron=Neuron("0", 2)).estimate(X, most=3)
    assert_same(found.attributions, method(model[0]).attribute(X, target=2, most=3), atol=1e-12)
    assert found.evaluations == 9
    assert found.delta is not None
    assert found.delta.abs().max() < 1e-12, "the neuron is linear but for its bias"


def test_in_metrics_and_under_control(method: Callable[[Any], Any]) -> None:
    model = network()
    explainer = method(model)
    told: list[tuple[int, int]] = []
    with attriscope.control(progress=lambda done, total: told.append((done, total))):
        last = explainer.estimate(X, 1, most=16)
    assert told
    gap = metrics.completeness_gap(model, X, last.attributions, target=1)
    assert_same(gap, last.delta.abs(), atol=1e-12)
    torch.manual_seed(0)
    moved = metrics.sensitivity_max(explainer.attribute, X, target=1, most=4, perturb_radius=0.1)
    assert moved.shape == (3,)
    assert moved.min() > 0
