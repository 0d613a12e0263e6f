"""What all methods promise about the forms of inputs, targets and arguments."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from methods import (
    Method,
    every_fixed_input_method,
    every_input_method,
    every_method,
    every_targeted_method,
)
from models import Snapshot, assert_same, draw, mlp, pair, pictures

X = draw(5, 2, 6, 5)


TARGET = [0, 3, 1, 2, 1]


# --- forms of inputs, targets and arguments -----------------------------------------------------------------


@every_input_method
def test_the_form_of_inputs_is_the_form_of_results(method: Method) -> None:
    x, y = draw(3, 4), draw(3, 2, 3, seed=4)
    both = method.attribute(pair(), (x, y), 1)
    assert [t.shape for t in both] == [x.shape, y.shape]
    bare = method.attribute(mlp(), x, 1)
    wrapped = method.attribute(mlp(), (x,), 1)
    assert isinstance(bare, Tensor)
    assert isinstance(wrapped, tuple)
    assert_same(wrapped[0], bare)


@every_targeted_method
@pytest.mark.parametrize(
    "target",
    [
        np.array(TARGET),
        torch.tensor(TARGET),
        [np.int64(t) for t in TARGET],
        [(t,) for t in TARGET],
        lambda out: out.gather(1, torch.tensor([[t] for t in TARGET])),
    ],
    ids=["array", "tensor", "numpy integers", "tuples", "function"],
)
def test_every_form_of_target_means_the_same(method: Method, target: Any) -> None:
    if callable(target) and (method.random or method.baselines):
        pytest.skip("the function is written for five rows")
    options = {} if not method.path else {"internal_batch_size": 5}
    expected = method.attribute(pictures(), X, TARGET, **options)
    assert_same(method.attribute(pictures(), X, target, **options), expected)


@every_targeted_method
@pytest.mark.parametrize(
    "target", [np.int64(2), np.uint8(2), (2,), torch.tensor(2), -2, lambda out: out[:, 2]]
)
def test_every_form_of_one_target_for_all(method: Method, target: Any) -> None:
    assert_same(method.attribute(pictures(), X, target), method.attribute(pictures(), X, 2))


@every_fixed_input_method
@pytest.mark.parametrize("batch", [None, 1, 4])
def test_arguments_beside_the_inputs(method: Method, batch: int | None) -> None:
    """Each example keeps its own mask; what is shared by all is passed on as it came."""
    x, y = draw(3, 4), draw(3, 2, 3, seed=4)
    mask, shared = draw(3, 3, seed=5), draw(1, 3, seed=6)
    weights, scale = draw(5, 3, seed=7), torch.tensor(1.5, dtype=torch.float64)
    options = {"internal_batch_size": batch} if method.path else {}

    def with_table(x: Tensor, y: Tensor, mask: Tensor, shared: Tensor, table: Tensor, *more: Any) -> Tensor:
        assert table.shape == weights.shape
        assert len(mask) == len(x)
        return pair()(x, y, mask * shared, table[2], *more)

    args = (mask, shared, weights, scale, "squares")
    both = method.attribute(with_table, (x, y), 1, additional_forward_args=args, **options)
    for i in range(3):
        one = slice(i, i + 1)
        args = (mask[one], shared, weights, scale, "squares")
        alone = method.attribute(with_table, (x[one], y[one]), 1, additional_forward_args=args)
        for part, whole in zip(alone, both, strict=True):
            torch.testing.assert_close(part, whole[one], rtol=1e-11, atol=1e-13)


@every_input_method
def test_a_single_argument_needs_no_tuple(method: Method) -> None:
    x, mask = draw(3, 4), draw(3, 3, seed=5)
    net = mlp()
    expected = method.attribute(lambda x, m: net(x) * m, x, 1, additional_forward_args=(mask,))
    assert_same(method.attribute(lambda x, m: net(x) * m, x, 1, additional_forward_args=mask), expected)
    assert expected.abs().sum() > 0


@every_input_method
@pytest.mark.parametrize(
    "reduce",
    [lambda s: s.sum(), lambda s: s.sum()[None], lambda s: s.sum()[None, None]],
    ids=["()", "(1,)", "(1, 1)"],
)
def test_one_number_for_a_batch_is_explained_example_by_example(method: Method, reduce: Any) -> None:
    """As for a loss. For one example that is the loss itself."""
    net = mlp()
    x = draw(3, 4)
    expected = method.attribute(lambda x: net(x).square().sum(1), x)
    found = method.attribute(lambda x: reduce(net(x).square()), x)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


class Doubles(nn.Module):
    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2) if self.in_place else x * 2


@every_method
def test_models_that_work_in_place_on_their_input(method: Method) -> None:
    """The caller's tensor stays, and so does the gradient with respect to it; the end points of a delta too."""
    takes = inspect.signature(method.on(pictures()).attribute).parameters
    options = {"return_convergence_delta": True} if "return_convergence_delta" in takes else {}
    model, same = (nn.Sequential(Doubles(in_place), pictures()) for in_place in (True, False))
    before = Snapshot(model, (X,))
    found = method.attribute(model, X, TARGET, layer="1.conv", **options)
    before.check()
    assert_same(found, method.attribute(same, X, TARGET, layer="1.conv", **options))


@every_input_method
def test_inputs_that_the_output_does_not_depend_on_get_zeros(method: Method) -> None:
    x, y = draw(3, 4), draw(3, 2, seed=2)
    used, unused = method.attribute(lambda x, y: x.square().sum(1), (x, y))
    assert_same(used, method.attribute(lambda x: x.square().sum(1), x))
    assert_same(unused, torch.zeros_like(unused))


# --- names and signatures that Captum's users know ----------------------------------------------------------


@every_method
def test_arguments_may_be_given_by_position(method: Method) -> None:
    explainer = method.on(pictures())
    parameters = inspect.signature(explainer.attribute).parameters
    fixed = [name for name, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]

    def named() -> dict[str, Any]:
        return {"inputs": X, **method.arguments(TARGET)}

    given = named()
    positional = [given.pop(name, parameters[name].default) for name in fixed]
    assert_same(explainer.attribute(*positional, **given), explainer.attribute(**named()))
