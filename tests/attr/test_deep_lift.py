"""DeepLIFT: exact at every operation, however it is written."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attriscope.attr import DeepLift, DeepLiftShap
from attriscope.core.errors import InputError, InputTypeError, OperationError
from models import draw, with_drawn_parameters
from operations import MIXING, POOLS, UNARY, exact


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number_follow_the_rescale_rule(name: str) -> None:
    first, last = draw(6, 5, seed=1), draw(3, 6, seed=2)
    f = UNARY[name]
    x, start = draw(4, 5, seed=3), draw(4, 5, seed=4)
    before, after = start @ first.t(), x @ first.t()
    with torch.no_grad():
        ratio = (f(after.clone()) - f(before.clone())) / (after - before)
    multipliers = torch.einsum("k,nk,ki->ni", last[1], ratio, first)
    found = DeepLift(lambda x: f(x @ first.t()) @ last.t()).attribute(x, start, target=1)
    torch.testing.assert_close(found, multipliers * (x - start), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", MIXING)
def test_functions_of_several_numbers_are_exact(name: str) -> None:
    first = draw(6, 5, seed=1)
    exact(lambda x: MIXING[name](x @ first.t()), draw(4, 5, seed=3), draw(4, 5, seed=4), 3, 1e-13)


@pytest.mark.parametrize("name", POOLS)
def test_pools_are_exact(name: str) -> None:
    conv = with_drawn_parameters(nn.Conv2d(2, 3, 3)).double()
    exact(lambda x: POOLS[name](conv(x)), draw(3, 2, 9, 8, seed=1), draw(3, 2, 9, 8, seed=2), 4, 1e-13)


def test_overlapping_max_pool_by_loops() -> None:
    x, start = draw(2, 1, 7, 6, seed=1), draw(2, 1, 7, 6, seed=2)
    expected = torch.zeros_like(x)
    for n, i, j in itertools.product(range(2), range(4), range(3)):
        places = [
            (a, b)
            for a in range(2 * i - 1, 2 * i + 2)
            for b in range(2 * j - 1, 2 * j + 2)
            if 0 <= a < 7 and 0 <= b < 6
        ]
        at, at0 = (max(places, key=lambda p, t=t, n=n: float(t[n, 0, p[0], p[1]])) for t in (x, start))
        change = x[(n, 0, *at)] - start[(n, 0, *at0)]
        expected[(n, 0, *(at if change >= 0 else at0))] += change * (i + 2 * j + 1)
    weights = torch.tensor([[i + 2.0 * j + 1 for j in range(3)] for i in range(4)]).double()
    found = DeepLift(lambda x: (F.max_pool2d(x, 3, 2, 1) * weights).sum((1, 2, 3))).attribute(x, start)
    torch.testing.assert_close(found, expected)


def test_products_share_by_halves_as_shapley_values_do() -> None:
    x, start = draw(5, 2, seed=1), draw(5, 2, seed=2)
    (a, b), (a0, b0) = x.unbind(1), start.unbind(1)
    for f in (torch.mul, lambda a, b: a / (b * b + 1), torch.maximum, lambda a, b: (a * a + 1) ** b):
        first = (f(a, b) - f(a0, b) + f(a, b0) - f(a0, b0)) / 2
        expected = torch.stack([first, f(a, b) - f(a0, b0) - first], 1)
        found = DeepLift(lambda x, f=f: f(x[:, 0], x[:, 1])).attribute(x, start)
        torch.testing.assert_close(found, expected)


def test_one_relu_for_all_layers_and_inputs_equal_to_the_baseline() -> None:
    relu = nn.ReLU()
    net = with_drawn_parameters(
        nn.Sequential(nn.Linear(4, 5), relu, nn.Linear(5, 5), relu, nn.Linear(5, 2), relu)
    )
    exact(net.double(), draw(3, 4), draw(3, 4, seed=5), 2, 1e-13)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        x = draw(3, 4, dtype=dtype)
        found, delta = DeepLift(net.to(dtype)).attribute(
            x, x.clone(), target=0, return_convergence_delta=True
        )
        assert (found == 0).all()
        assert (delta == 0).all()
        start = x.clone()
        start[:, 0] = 0
        found, delta = DeepLift(net).attribute(x, start, target=0, return_convergence_delta=True)
        assert found.dtype == dtype
        assert found.isfinite().all()
        assert (delta.abs() < {torch.float16: 1e-2, torch.bfloat16: 1e-1}.get(dtype, 1e-6)).all()


def test_equal_inputs_give_the_gradient() -> None:
    net = with_drawn_parameters(nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 2))).double()
    x = draw(3, 4)
    found = DeepLift(net, multiply_by_inputs=False).attribute(x, x.clone(), target=1)
    torch.testing.assert_close(found, torch.autograd.functional.jacobian(lambda x: net(x)[:, 1].sum(), x))


def test_batch_mates_do_not_matter() -> None:
    net = with_drawn_parameters(
        nn.Sequential(
            nn.Conv1d(2, 3, 2),
            nn.Softmax(1),
            nn.MaxPool1d(3, 1),
            nn.Flatten(),
            nn.LayerNorm(12),
            nn.Linear(12, 2),
        )
    ).double()
    x, start = draw(4, 2, 7), draw(4, 2, 7, seed=1)
    together = DeepLift(net).attribute(x, start, target=1)
    for n in range(4):
        alone = DeepLift(net).attribute(x[n : n + 1], start[n : n + 1], target=1)
        torch.testing.assert_close(together[n : n + 1], alone, rtol=1e-12, atol=1e-14)


def test_softmax_far_apart_stays_finite() -> None:
    for dtype in (torch.float32, torch.float64):
        x = torch.tensor([[300.0, -300, 0], [-400, -390, -380], [1e-8, 0, 0]], dtype=dtype)
        found, delta = DeepLift(lambda x: x.softmax(1)).attribute(x, target=0, return_convergence_delta=True)
        assert found.isfinite().all()
        assert (delta.abs() < 1e-6 * x.abs().sum(1).clamp(min=1)).all()


def test_custom_attributions_multipliers_tuples_and_arguments() -> None:
    def model(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
        return (a * b.sum(1)).tanh() * scale

    a, b, scale = draw(3, 2), draw(3, 4, 2, seed=1), draw(3, 2, seed=2)
    method = DeepLift(model)
    plain = method.attribute((a, b), (0.5, None), target=1, additional_forward_args=scale)
    multipliers = DeepLift(model, multiply_by_inputs=False).attribute(
        (a, b), (0.5, None), target=1, additional_forward_args=scale
    )
    torch.testing.assert_close(plain[0], multipliers[0] * (a - 0.5))
    for custom in (
        lambda m: tuple(x * 2 for x in m),
        lambda m, x: tuple(i * j for i, j in zip(m, x, strict=True)),
        lambda m, x, start: tuple(i * (j - k) for i, j, k in zip(m, x, start, strict=True)),
    ):
        found = method.attribute(
            (a, b), (0.5, None), target=1, additional_forward_args=scale, custom_attribution_func=custom
        )
        assert [f.shape for f in found] == [a.shape, b.shape]
    torch.testing.assert_close(found, plain)
    with pytest.raises(InputTypeError, match="takes 4"):
        method.attribute(
            (a, b), target=1, additional_forward_args=scale, custom_attribution_func=lambda a, b, c, d: a
        )


def test_shap_is_the_mean_over_baselines_and_streams() -> None:
    net = with_drawn_parameters(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))).double()
    x, starts = draw(3, 4), draw(5, 4, seed=7)
    alone = torch.stack([DeepLift(net).attribute(x, s[None], target=2) for s in starts])
    found, delta = DeepLiftShap(net).attribute(x, starts, target=2, return_convergence_delta=True)
    torch.testing.assert_close(found, alone.mean(0))
    assert delta.shape == (15,)
    assert (delta.abs() < 1e-12).all()
    torch.testing.assert_close(found.sum(1), net(x)[:, 2] - net(starts)[:, 2].mean())
    for given in (lambda: starts, lambda inputs: starts):
        torch.testing.assert_close(
            DeepLiftShap(net).attribute(x, given, target=2, internal_batch_size=2), found
        )
    last = list(DeepLiftShap(net).stream(x, starts, target=2, internal_batch_size=3))[-1]
    torch.testing.assert_close(last.error, alone.std(0, unbiased=False) / 2)
    assert last.evaluations == 30
    some = DeepLiftShap(net).estimate(x, starts, target=2, internal_batch_size=3, tolerance=1e9)
    assert some.stopped == "tolerance"
    assert some.evaluations < 30
    with pytest.raises(InputError, match="more than one"):
        DeepLiftShap(net).attribute(x, starts[:1], target=2)
    with pytest.raises(InputTypeError):
        DeepLiftShap(net).attribute(x, 0.0, target=2)


def test_what_cannot_be_compared_is_refused() -> None:
    x = draw(3, 4)
    drop = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2).double())
    with pytest.raises(OperationError, match=r"model\.eval\(\)"):
        DeepLift(drop).attribute(x, target=0)
    norm = nn.Sequential(nn.BatchNorm1d(4).double(), nn.Linear(4, 2).double())
    with pytest.raises(OperationError, match=r"model\.eval\(\)"):
        DeepLift(norm).attribute(x, target=0)
    with pytest.raises(OperationError, match="another way"):
        DeepLift(lambda x: (x.relu() if x.sum() == 0 else x.tanh()).sum(1)).attribute(x)
    with pytest.raises(OperationError, match="Add gets a constant that is not the same"):
        DeepLift(lambda x: (x + (x > 0)).sum(1)).attribute(x)
