"""Shapley values: by enumeration, from orders and from coalitions; budgets kept, sums kept, errors that cover."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.futures import Future

from attriscope.attr import KernelShap, ShapleyValues, ShapleyValueSampling
from attriscope.core.errors import InputError, TargetError
from games import GAMES, Game, shapley_values
from models import Recorder, draw, mlp, pair, pictures, seeded

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(3, 4, seed=5)
W = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
SAMPLERS = pytest.mark.parametrize("method", [ShapleyValueSampling, KernelShap])
EACH = pytest.mark.parametrize("method", [ShapleyValues, ShapleyValueSampling, KernelShap])
every_game = pytest.mark.parametrize("game", GAMES, ids=lambda g: g.name)


def linear(x: Tensor) -> Tensor:
    return x @ W.to(x.dtype)


def options(method: Any, **more: Any) -> dict[str, Any]:
    return {} if method is ShapleyValues else more


def close(found: Tensor, expected: Tensor, rtol: float = 1e-6, atol: float = 1e-6) -> None:
    torch.testing.assert_close(found, expected.to(found.dtype), rtol=rtol, atol=atol)


# --- closed forms ---------------------------------------------------------------------------------------------------


def test_the_reference_is_the_mean_over_all_orders() -> None:
    """The truth of these tests, spelled out for four features."""
    values = draw(16)
    found = torch.zeros(4, dtype=torch.float64)
    for order in itertools.permutations(range(4)):
        coalition = 0
        for f in order:
            found[f] += values[coalition + 2**f] - values[coalition]
            coalition += 2**f
    torch.testing.assert_close(found / 24, shapley_values(values))


@EACH
@pytest.mark.parametrize("batch", [None, 1, 2, 3, 100])
def test_a_linear_model(method: Any, batch: int | None) -> None:
    found = method(linear).attribute(
        X, X.flip(0), perturbations_per_eval=batch, **options(method, n_samples=9)
    )
    close(found, (X - X.flip(0)) * W)
    assert found.dtype == torch.float32


def test_a_product() -> None:
    """From a baseline of 0 all features of a product have equal parts."""
    close(ShapleyValues(lambda x: x.prod(1)).attribute(X), X.prod(1, keepdim=True).expand(-1, 4) / 4)


@pytest.mark.parametrize("game", [g for g in GAMES if g.features <= 12], ids=lambda g: g.name)
def test_enumeration(game: Game) -> None:
    """ShapleyValues, and the others where their budget reaches 2^F, for games of every kind."""
    truth, rows = game.shapley_values(), 2**game.features
    model = Recorder(game.function)
    close(ShapleyValues(model).attribute(game.inputs, game.baselines)[0], truth)
    assert sum(model.rows) == rows
    model = Recorder(game.function)
    found = KernelShap(model).estimate(game.inputs, game.baselines, n_samples=rows)
    close(found.attributions[0], truth)
    assert float(found.error.abs().max()) == 0
    assert found.evaluations == sum(model.rows) == rows
    orders = -(-(rows - 2) // (game.features - 1))
    found = ShapleyValueSampling(game.function).estimate(game.inputs, game.baselines, n_samples=orders)
    close(found.attributions[0], truth)
    assert float(found.error.abs().max()) == 0


@given(st.data())
@settings(max_examples=40)
def test_masks_and_baselines_of_any_kind(data: Any) -> None:
    """Every example against a brute-force game of its own."""
    count = data.draw(st.integers(1, 2))
    x = draw(count, 2, 3, seed=data.draw(st.integers(0, 9)))
    shape = data.draw(st.sampled_from([(1, 2, 3), (count, 2, 3), (2, 1), (1, 1, 3)]))
    mask = torch.randint(-2, 3, shape, generator=seeded(data.draw(st.integers(0, 99))))
    baseline = draw(data.draw(st.sampled_from([1, count])), 2, 3, seed=4)
    batch = data.draw(st.sampled_from([None, 1, 5]))

    def f(x: Tensor) -> Tensor:
        return (x.flatten(1).cumsum(1).sin() * x.flatten(1)).sum(1)

    method = data.draw(st.sampled_from([ShapleyValues, ShapleyValueSampling, KernelShap]))
    found = method(f).attribute(
        x, baseline, feature_mask=mask, perturbations_per_eval=batch, **options(method, n_samples=64)
    )
    names = mask.unique().tolist()
    for n in range(count):
        own, other = mask.expand_as(x)[n], baseline.expand_as(x)[n]
        values = []
        for coalition in range(2 ** len(names)):
            on = torch.zeros(2, 3, dtype=torch.bool)
            for i, name in enumerate(names):
                if coalition >> i & 1:
                    on |= own == name
            values.append(f(torch.where(on, x[n], other)[None])[0])
        truth = shapley_values(torch.stack(values))
        for i, name in enumerate(names):
            close(found[n][own == name], truth[i].expand(int((own == name).sum())))


def test_features_of_several_inputs() -> None:
    x, y = draw(2, 4), draw(2, 2, 3, seed=1)
    masks = torch.tensor([[0, 0, 1, 2]]), torch.tensor([[[1, 1, 1], [5, 5, 5]]])
    a, b = ShapleyValues(pair()).attribute((x, y), (1.0, 0.5), target=2, feature_mask=masks)
    values = []
    for coalition in range(16):
        on = [
            sum((m == name) & bool(coalition >> i & 1) for i, name in enumerate((0, 1, 2, 5))) > 0
            for m in masks
        ]
        values.append(pair()(torch.where(on[0], x, 1.0), torch.where(on[1], y, 0.5))[:, 2])
    for n in range(2):
        truth = shapley_values(torch.stack(values)[:, n])
        close(a[n], truth[[0, 0, 1, 2]])
        close(b[n], truth[torch.tensor([[1, 1, 1], [3, 3, 3]])])


# --- outputs --------------------------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("batch", [None, 1])
@pytest.mark.parametrize("count", [1, 3])
def test_one_number_for_all_examples(method: Any, count: int, batch: int | None) -> None:
    x = X[:count]
    for form in (lambda y: y.sum(), lambda y: y.sum().reshape(1), lambda y: float(y.sum())):
        found = method(lambda x, form=form: form(linear(x))).attribute(
            x, perturbations_per_eval=batch, **options(method, n_samples=12)
        )
        close(found, (x * W).sum(0, keepdim=True))


@pytest.mark.parametrize("method", [ShapleyValues, ShapleyValueSampling])
def test_several_numbers(method: Any) -> None:
    """The output's own dimensions come between the examples and the features."""
    model, given_ = mlp(), options(method, n_samples=5)
    torch.manual_seed(0)
    found = method(model).attribute(X, **given_)
    assert found.shape == (3, 3, 4)
    for k in range(3):
        torch.manual_seed(0)
        close(found[:, k], method(model).attribute(X, target=k, **given_))
    column = method(lambda x: model(x)[:, :1]).attribute(X, **given_)
    assert column.shape == (3, 1, 4)
    both = method(lambda x: torch.stack([linear(x).sum(), x.sum()])).attribute(X, **given_)
    close(both, torch.stack([(X * W).sum(0), X.sum(0)]))


def test_kernel_shap_explains_one_number() -> None:
    with pytest.raises(TargetError, match="Target not provided when necessary: the output has shape"):
        KernelShap(mlp()).attribute(X)


# --- contracts ------------------------------------------------------------------------------------------------------


@SAMPLERS
@every_game
def test_budgets_and_sums(method: Any, game: Game) -> None:
    """At most what Captum runs, and the attributions add up to the change of the output, whatever the budget."""
    ends = game.function(torch.cat([game.inputs, game.baselines]))
    for samples in (1, 2, 3, 4, 7, 16, 25, 60):
        if method is KernelShap and samples == 1:
            continue
        model = Recorder(game.function)
        found = method(model).estimate(game.inputs, game.baselines, n_samples=samples, generator=seeded(1))
        budget = samples if method is KernelShap else samples * (game.features - 1) + 2
        assert found.evaluations == sum(model.rows) <= min(budget, 2**game.features)
        close(found.attributions.sum(), ends[0] - ends[1], rtol=1e-5, atol=1e-5)


@SAMPLERS
def test_linear_games_are_exact_as_soon_as_they_can_be(method: Any) -> None:
    x, weights = draw(2, 30, seed=2), draw(30, seed=3)
    for samples in {KernelShap: (40, 61, 100), ShapleyValueSampling: (1, 2, 3, 4)}[method]:
        found = method(lambda x: x @ weights).attribute(x, n_samples=samples)
        close(found, x * weights, rtol=1e-4, atol=1e-4)


def test_even_games_have_no_shapley_values() -> None:
    """Pairs see it at once."""
    game = next(g for g in GAMES if g.name.startswith("even cosine"))
    for method, samples in ((KernelShap, 100), (ShapleyValueSampling, 8)):
        assert (
            float(method(game.function).attribute(game.inputs, game.baselines, n_samples=samples).abs().max())
            < 1e-6
        )


def test_games_of_pairs_are_exact_from_few_coalitions() -> None:
    game = next(g for g in GAMES if g.name.startswith("neighbours"))
    found = KernelShap(game.function).attribute(game.inputs, game.baselines, n_samples=8 * game.features)
    close(found[0], game.shapley_values())


def test_odd_games_are_not_asked_in_pairs() -> None:
    """A complement would tell nothing new: nearly all coalitions differ by more than that."""
    game = next(g for g in GAMES if g.name.startswith("odd steep"))
    rows: list[Tensor] = []

    def watched(x: Tensor) -> Tensor:
        rows.extend(x == game.inputs)
        return game.function(x)

    for method, samples in ((KernelShap, 200), (ShapleyValueSampling, 16)):
        rows.clear()
        method(watched).attribute(game.inputs, game.baselines, n_samples=samples, generator=seeded(0))
        seen = {tuple(r.tolist()) for r in rows}
        assert len(seen) == len(rows) > 190
        assert 12 < sum(tuple(not i for i in s) in seen for s in seen) < len(rows) / 3


@SAMPLERS
def test_games_that_only_look_odd_at_first_are_asked_in_pairs(method: Any) -> None:
    """Two features at once, or none: half of all pairs of complements have the sum of the ends."""
    x = torch.ones(1, 12, dtype=torch.float64)
    samples = 200 if method is KernelShap else 16
    for seed in range(30):
        found = method(lambda x: x[:, 0] * x[:, 5]).attribute(x, n_samples=samples, generator=seeded(seed))
        close(found[0, [0, 5]], torch.tensor([0.5, 0.5]), atol=1e-3)
        assert float(found[0, 1:5].abs().max()) < 1e-3


@SAMPLERS
def test_numbers_do_not_depend_on_how_rows_were_cut(method: Any) -> None:
    model = pictures()
    x = draw(3, 2, 6, 5)
    mask = torch.arange(60).reshape(1, 2, 6, 5) // 4
    expected = None
    for batch in (None, 1, 2, 5, 1000):
        found = method(model).attribute(
            x, target=1, feature_mask=mask, n_samples=40, perturbations_per_eval=batch, generator=seeded(3)
        )
        expected = found if expected is None else expected
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@EACH
def test_a_batch_shares_its_draws(method: Any) -> None:
    """So each example gets the numbers that it gets alone with the same seed."""
    x = draw(4, 8, seed=6)
    model = mlp(features=8)
    given_ = [options(method, n_samples=30, generator=seeded(3)) for _ in range(5)]
    whole = method(model).attribute(x, target=[0, 1, 2, 0], **given_[4])
    for n, k in enumerate((0, 1, 2, 0)):
        alone = method(model).attribute(x[n : n + 1], target=k, **given_[n])
        torch.testing.assert_close(whole[n : n + 1], alone, rtol=1e-5, atol=1e-6)


@SAMPLERS
def test_half_precision(method: Any) -> None:
    """Outputs of 8 bits are summed in more; the result is as good as the outputs."""
    x = draw(2, 6, seed=6)
    exact = method(mlp(features=6)).attribute(x, target=1, n_samples=64)
    low = method(mlp(features=6, dtype=torch.bfloat16)).attribute(x.bfloat16(), target=1, n_samples=64)
    torch.testing.assert_close(low, exact, rtol=0.05, atol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        cast = method(mlp(features=6, dtype=torch.float32)).attribute(x.float(), target=1, n_samples=64)
    torch.testing.assert_close(cast, exact, rtol=0.05, atol=0.05)


@EACH
def test_one_feature_and_none(method: Any) -> None:
    found = method(linear).estimate(X, feature_mask=torch.zeros(1, 4).long())
    close(found.attributions, (X @ W)[:, None].expand(-1, 4))
    assert float(found.error.abs().max()) == 0
    assert found.evaluations == 6
    if method is not KernelShap:
        assert method(lambda x: x.sum(1)).attribute(torch.zeros(3, 0)).shape == (3, 0)


@SAMPLERS
@pytest.mark.parametrize("samples", [2, 3, 5, 9, 14, 15])
def test_two_and_three_and_four_features(method: Any, samples: int) -> None:
    """The smallest games, with less than enough and just enough."""
    for count in (2, 3, 4):
        x = draw(2, count, seed=1)
        found = method(lambda x: x.prod(1)).attribute(x, n_samples=samples)
        close(found.sum(1), x.prod(1))
        if samples >= 2**count:
            close(found, x.prod(1, keepdim=True).expand(-1, count) / count)


def test_estimates_improve_and_stop_when_told() -> None:
    game = next(g for g in GAMES if g.name == "ReLU net, 12")
    truth = game.shapley_values()
    for method, samples in ((KernelShap, 1500), (ShapleyValueSampling, 300)):
        stream = list(
            method(game.function).stream(
                game.inputs, game.baselines, n_samples=samples, perturbations_per_eval=50, generator=seeded(1)
            )
        )
        away = [float((e.attributions[0] - truth).square().mean()) for e in stream]
        assert len(stream) > 10
        assert away[-1] < 0.05 * sum(away[:5]) / 5
        assert stream[-1].stopped == "complete"
        early = method(game.function).estimate(
            game.inputs,
            game.baselines,
            n_samples=samples,
            perturbations_per_eval=50,
            generator=seeded(1),
            tolerance=0.02,
        )
        assert early.stopped == "tolerance"
        assert early.evaluations < stream[-1].evaluations / 2
        assert float(early.error.max()) <= 0.02


# --- refusals and warnings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: ShapleyValues(linear).attribute(draw(1, 25)), ValueError, "25 features have 2^25 coalitions"),
        (lambda: KernelShap(linear).attribute(X, n_samples=1), ValueError, "n_samples must be at least 2"),
        (lambda: KernelShap(linear).attribute(X, n_samples=2.5), TypeError, "n_samples must be an int, but 2.5 came"),
        (lambda: ShapleyValueSampling(linear).attribute(X, n_samples=0), ValueError, "n_samples must be at least 1"),
        (lambda: KernelShap(linear).attribute(torch.zeros(2, 0)), ValueError, "no features to explain"),
        (lambda: KernelShap(linear).attribute(X, generator="0"), TypeError, "generator must be a torch.Generator"),
        (lambda: KernelShap(lambda x: x.sum()).attribute(X, perturbations_per_eval=2), ValueError, "returns scalar"),
        (lambda: ShapleyValues(lambda x: x.sum()).attribute(X, feature_mask=torch.zeros(3, 4).long()), ValueError,
         "different masks for each example"),
        (lambda: KernelShap(linear).attribute_future(X), NotImplementedError, "Kernel Shap"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained(call: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert says in str(caught.value)
    assert isinstance(caught.value, InputError | NotImplementedError)


def test_many_features_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="16 features need 65536 rows per example"):
        ShapleyValues(lambda x: x.sum(1)).attribute(draw(1, 16, dtype=torch.float32))


@pytest.mark.parametrize("method", [ShapleyValues, ShapleyValueSampling])
@pytest.mark.parametrize("batch", [None, 3])
def test_futures(method: Any, batch: int | None) -> None:
    model = mlp()

    def later(x: Tensor) -> Future[Tensor]:
        made: Future[Tensor] = Future()
        made.set_result(model(x))
        return made

    given_ = options(method, n_samples=3)
    torch.manual_seed(0)
    found = method(later).attribute_future(X, 0.1, target=1, perturbations_per_eval=batch, **given_).wait()
    torch.manual_seed(0)
    torch.testing.assert_close(
        found, method(model).attribute(X, 0.1, target=1, **given_), rtol=1e-6, atol=1e-7
    )


def test_on_the_meta_device() -> None:
    """Enumeration has no choice to make; the samplers look at answers to decide how to go on."""
    found = ShapleyValues(lambda x: x.sum(1)).attribute(torch.zeros(2, 4, device="meta"))
    assert found.shape == (2, 4)
    assert found.is_meta
