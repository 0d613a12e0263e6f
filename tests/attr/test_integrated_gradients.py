"""Integrated gradients against the definition, worked out slowly in plain Python loops."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from attriscope import attr
from attriscope.attr import IntegratedGradients
from attriscope.attr.integrated_gradients import points_between
from attriscope.attr.quadrature import METHODS
from models import Recorder, assert_same, draw, pair, pictures

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

# --- the definition, after Sundararajan et al. 2017 and a textbook on quadrature ----------------------------


def legendre(n: int, x: float) -> tuple[float, float]:
    """The Legendre polynomial of degree n and its derivative, by the three-term recurrence."""
    before, now = 1.0, x
    for k in range(2, n + 1):
        before, now = now, ((2 * k - 1) * x * now - (k - 1) * before) / k
    return now, n * (x * now - before) / (x * x - 1)


def slow_rule(method: str, n: int) -> Iterator[tuple[float, float]]:
    """Nodes and weights on [0, 1]."""
    for k in range(1, n + 1):
        if method == "riemann_left":
            yield (k - 1) / n, 1 / n
        elif method == "riemann_right":
            yield k / n, 1 / n
        elif method == "riemann_middle":
            yield (k - 0.5) / n, 1 / n
        elif method == "riemann_trapezoid":
            yield (k - 1) / (n - 1), (0.5 if k in (1, n) else 1.0) / (n - 1)
        else:
            root = math.cos(math.pi * (k - 0.25) / (n + 0.5))
            for _ in range(50):  # Newton
                value, slope = (root, 1.0) if n == 1 else legendre(n, root)
                root -= value / slope
            slope = 1.0 if n == 1 else legendre(n, root)[1]
            yield (1 + root) / 2, 1 / ((1 - root * root) * slope * slope)


@dataclasses.dataclass
class Net:
    """W2 act(W1 x + c), with its derivative by hand: no autograd in the oracle."""

    w1: np.ndarray
    c: np.ndarray
    w2: np.ndarray
    smooth: bool

    def value(self, x: np.ndarray, target: int) -> float:
        hidden = self.w1 @ x + self.c
        return float(self.w2[target] @ (np.tanh(hidden) if self.smooth else np.maximum(hidden, 0)))

    def gradient(self, x: np.ndarray, target: int) -> np.ndarray:
        hidden = self.w1 @ x + self.c
        slope = 1 - np.tanh(hidden) ** 2 if self.smooth else (hidden > 0).astype(float)
        return self.w1.T @ (slope * self.w2[target])

    def torch(self, sizes: list[int], dtype: torch.dtype) -> Callable[..., Tensor]:
        """The same for tensors, with the features spread over several inputs of the given sizes."""
        w1, c, w2 = (torch.from_numpy(a).to(dtype) for a in (self.w1, self.c, self.w2))

        def model(*inputs: Tensor) -> Tensor:
            assert [x[0].numel() for x in inputs] == sizes
            hidden = torch.cat([x.flatten(1) for x in inputs], 1) @ w1.T + c
            return (hidden.tanh() if self.smooth else hidden.relu()) @ w2.T

        return model


def slow_integrated_gradients(
    net: Net, x: np.ndarray, b: np.ndarray, target: int, method: str, n: int
) -> np.ndarray:
    total = np.zeros_like(x)
    for node, weight in slow_rule(method, n):
        total += weight * net.gradient(b + node * (x - b), target)
    return total * (x - b)


@dataclasses.dataclass
class Problem:
    net: Net
    x: np.ndarray
    b: np.ndarray
    shapes: list[tuple[int, ...]]
    inputs: Any
    baselines: Any
    target: Any
    targets: list[int]
    method: str
    n_steps: int
    dtype: torch.dtype
    batch: int | None


def drawn_baselines(
    draw_: st.DrawFn, rng: np.random.Generator, shapes: list[tuple[int, ...]], count: int, dtype: torch.dtype
) -> tuple[np.ndarray, list[Any]]:
    """The baselines as rows, (count, features), and in some form for each input."""
    b = np.zeros((count, sum(math.prod(shape) for shape in shapes)))
    baselines: list[Any] = []
    at = 0
    for shape in shapes:
        columns = slice(at, at + math.prod(shape))
        at = columns.stop
        form = draw_(st.sampled_from(["none", "number", "one", "each"]))
        if form == "number":
            b[:, columns] = number = draw_(st.sampled_from([0, 1, -0.5]))
            baselines.append(number)
        elif form in ("one", "each"):
            rows = 1 if form == "one" else count
            own = rng.normal(size=(rows, math.prod(shape)))
            b[:, columns] = own
            baselines.append(torch.from_numpy(own).to(dtype).reshape(rows, *shape))
        else:
            baselines.append(None)
    return b, baselines


def drawn_target(
    draw_: st.DrawFn, rng: np.random.Generator, outputs: int, count: int
) -> tuple[Any, list[int]]:
    """A target in some form, and the output that it means for each example."""
    targets = [int(t) for t in rng.integers(0, outputs, size=count)]
    form = draw_(st.sampled_from(["int", "list", "tensor", "tuple", "list of tuples", "function"]))
    if form in ("int", "tuple", "function"):
        targets = targets[:1] * count
    target = {
        "int": targets[0],
        "tuple": (targets[0],),
        "function": lambda out: out[:, targets[0]],
        "list": targets,
        "tensor": torch.tensor(targets),
        "list of tuples": [(t,) for t in targets],
    }[form]
    return target, targets


@st.composite
def problems(draw_: st.DrawFn, dtypes: Any = None, smooth: bool | None = None) -> Problem:
    rng = np.random.default_rng(draw_(st.integers(0, 10**6)))
    count = draw_(st.integers(1, 4))
    shapes = draw_(
        st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3)
    )
    features = sum(math.prod(shape) for shape in shapes)
    hidden, outputs = draw_(st.integers(1, 5)), draw_(st.integers(1, 3))
    is_smooth = draw_(st.booleans()) if smooth is None else smooth
    # Where a ReLU bends, rounding decides which side a node is on: in single precision only smooth nets compare.
    dtype = draw_(
        st.sampled_from(dtypes or ([torch.float64, torch.float32] if is_smooth else [torch.float64]))
    )
    net = Net(
        rng.normal(size=(hidden, features)),
        rng.normal(size=hidden),
        rng.normal(size=(outputs, hidden)),
        is_smooth,
    )
    x = rng.normal(size=(count, features))

    def tensors(rows: np.ndarray) -> tuple[Tensor, ...]:
        parts = np.split(rows, np.cumsum([math.prod(s) for s in shapes])[:-1], axis=1)
        return tuple(
            torch.from_numpy(p.copy()).to(dtype).reshape(len(rows), *shape)
            for p, shape in zip(parts, shapes, strict=True)
        )

    b, baselines = drawn_baselines(draw_, rng, shapes, count, dtype)
    single = len(shapes) == 1 and draw_(st.booleans())
    all_none = all(value is None for value in baselines)
    target, targets = drawn_target(draw_, rng, outputs, count)
    method = draw_(st.sampled_from(METHODS))
    return Problem(
        net,
        x,
        b,
        shapes,
        tensors(x)[0] if single else tensors(x),
        (None if all_none and draw_(st.booleans()) else baselines[0] if single else tuple(baselines)),
        target,
        targets,
        method,
        draw_(st.integers(2 if method == "riemann_trapezoid" else 1, 12)),
        dtype,
        draw_(st.none() | st.integers(1, 50)),
    )  # fmt: skip


def solve(problem: Problem, multiply: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Attributions, with the features of all inputs side by side, and deltas."""
    sizes = [math.prod(shape) for shape in problem.shapes]
    found, delta = IntegratedGradients(problem.net.torch(sizes, problem.dtype), multiply).attribute(
        problem.inputs,
        problem.baselines,
        problem.target,
        n_steps=problem.n_steps,
        method=problem.method,
        internal_batch_size=problem.batch,
        return_convergence_delta=True,
    )
    assert isinstance(found, tuple) is isinstance(problem.inputs, tuple)
    parts = found if isinstance(found, tuple) else (found,)
    given = problem.inputs if isinstance(problem.inputs, tuple) else (problem.inputs,)
    for part, tensor in zip(parts, given, strict=True):
        assert part.shape == tensor.shape
        assert part.dtype == tensor.dtype
    return np.concatenate([p.flatten(1).double().numpy() for p in parts], 1), delta.double().numpy()


@given(problems())
def test_it_is_the_definition(problem: Problem) -> None:
    tolerance = 1e-11 if problem.dtype == torch.float64 else 1e-4
    found, delta = solve(problem)
    for i, target in enumerate(problem.targets):
        args = problem.net, problem.x[i], problem.b[i], target, problem.method, problem.n_steps
        expected = slow_integrated_gradients(*args)
        np.testing.assert_allclose(found[i], expected, rtol=tolerance, atol=tolerance)
        change = problem.net.value(problem.x[i], target) - problem.net.value(problem.b[i], target)
        assert delta[i] == pytest.approx(expected.sum() - change, abs=10 * tolerance)


@given(problems(dtypes=[torch.float64]))
@settings(max_examples=30)
def test_sensitivities_times_differences_are_contributions(problem: Problem) -> None:
    contributions, delta = solve(problem)
    sensitivities, own_delta = solve(problem, multiply=False)
    np.testing.assert_allclose(sensitivities * (problem.x - problem.b), contributions, rtol=1e-12, atol=1e-12)
    change = contributions.reshape(len(delta), -1).sum(1) - delta
    np.testing.assert_allclose(own_delta, sensitivities.reshape(len(delta), -1).sum(1) - change, atol=1e-10)


@given(problems(dtypes=[torch.float64], smooth=True))
@settings(max_examples=50)
def test_contributions_of_a_smooth_net_add_up_to_the_change_of_the_output(problem: Problem) -> None:
    found, delta = solve(dataclasses.replace(problem, method="gausslegendre", n_steps=100))
    for i, target in enumerate(problem.targets):
        change = problem.net.value(problem.x[i], target) - problem.net.value(problem.b[i], target)
        assert found[i].sum() == pytest.approx(change, abs=1e-6)
    assert np.abs(delta).max() < 1e-6


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [2, 3, 8, 21])
def test_the_slow_rules_agree_with_ours_where_both_are_hard_to_doubt(method: str, n: int) -> None:
    """The oracle itself: weights add up to 1, and integrate a line right where the rule is symmetric."""
    nodes, weights = zip(*slow_rule(method, n), strict=True)
    assert sum(weights) == pytest.approx(1, abs=1e-12)
    if method not in ("riemann_left", "riemann_right"):
        assert np.dot(nodes, weights) == pytest.approx(0.5, abs=1e-12)


# --- the path -----------------------------------------------------------------------------------------------


@given(
    st.integers(1, 3),
    st.sampled_from([torch.float32, torch.float64, torch.float16]),
    st.integers(0, 99),
    st.booleans(),
)
def test_the_path_begins_and_ends_exactly(count: int, dtype: torch.dtype, seed: int, shared: bool) -> None:
    """So f at the last point of the walk is f of the picture itself, to the last bit."""
    end = draw(count, 3, seed=seed, dtype=dtype) * 1e3
    start = draw(1 if shared else count, 3, seed=seed + 1000, dtype=dtype) * 1e-3
    points = points_between(start, end, (0.0, 0.5, 1.0)).reshape(3, count, 3)
    assert points.dtype == dtype
    assert torch.equal(points[0], start.expand(count, 3))
    assert torch.equal(points[2], end)
    middle = (start.double() + end.double()) / 2
    torch.testing.assert_close(points[1], middle.to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=0)


# --- evaluations and memory ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 7, 10**6])
@pytest.mark.parametrize("with_delta", [False, True])
def test_no_batch_is_larger_than_the_user_allows(count: int, batch: int, with_delta: bool) -> None:
    """The end points for the delta included; Captum runs whole batches of examples whatever was asked for."""
    model = Recorder(lambda x: x.tanh().sum(1))
    IntegratedGradients(model).attribute(
        draw(count, 2), n_steps=5, internal_batch_size=batch, return_convergence_delta=with_delta
    )
    assert max(model.rows) <= batch
    assert sum(model.rows) == count * (5 + 2 * with_delta), "and no row more than needed"


# --- dtypes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_added_up_in_single(dtype: torch.dtype) -> None:
    """50 small gradients added up in half precision would lose what the delta then blames on the method."""
    x = draw(3, 2, 6, 5)
    exact = IntegratedGradients(pictures()).attribute(x, target=1, n_steps=40)
    half = pictures(dtype)
    found, delta = IntegratedGradients(half).attribute(
        x.to(dtype), target=1, n_steps=40, return_convergence_delta=True
    )
    assert found.dtype == torch.float32
    scale = exact.abs().max()
    eps = torch.finfo(dtype).eps
    assert (found - exact).abs().max() < 8 * eps * scale
    assert delta.abs().max() < 60 * eps * scale
    assert half(x.to(dtype)).dtype == dtype


class Scaled(nn.Module):
    """Every step adds the same, so that all roundings go the same way."""

    def __init__(self) -> None:
        super().__init__()
        self.held = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return (self.held(x) * 0.7).sum(1)


@pytest.mark.parametrize(
    "name",
    [
        "IntegratedGradients",
        "InternalInfluence",
        "LayerConductance",
        "LayerIntegratedGradients",
        "DeepLiftShap",
    ],
)
@pytest.mark.parametrize("batch", [2, None])
def test_many_steps_do_not_add_up_their_rounding(name: str, batch: int | None) -> None:
    model, x, steps = Scaled(), torch.tensor([[0.9, -0.3, 0.7, 0.55]]), 1000
    method = getattr(attr, name)(
        model, *([model.held] if "Layer" in name or name == "InternalInfluence" else [])
    )
    batch = 16 if batch and name == "DeepLiftShap" else batch
    options = {"baselines": torch.zeros(steps, 4)} if name == "DeepLiftShap" else {"n_steps": steps}
    found = method.attribute(x, internal_batch_size=batch, **options)
    right = 0.7 * (torch.ones_like(x) if name == "InternalInfluence" else x).double()
    assert found.dtype == torch.float32
    assert ((found.double() - right).abs() < 3e-7 * right.abs()).all()


def test_inputs_may_differ_in_dtype() -> None:
    model, (x, y) = pair(), (draw(2, 4), draw(2, 2, 3, seed=3))
    expected = IntegratedGradients(model).attribute((x, y), target=0, n_steps=6)
    mixed = IntegratedGradients(lambda x, y: model(x.double(), y)).attribute(
        (x.float(), y), target=0, n_steps=6
    )
    assert [t.dtype for t in mixed] == [torch.float32, torch.float64]
    assert_same(tuple(t.double() for t in mixed), expected, atol=1e-6)
