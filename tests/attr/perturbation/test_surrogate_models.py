"""The linear models that Lime takes, and its weights: against scikit-learn, and against loops over single samples."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest
import sklearn.linear_model
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from attriscope.attr import get_exp_kernel_similarity_function, linear
from attriscope.attr._features import resolve_features
from attriscope.attr.perturbation import surrogate_models
from attriscope.core.errors import InputError
from attriscope.core.inputs import gather_examples, resolve_baselines
from models import draw, seeded

X = draw(3, 4, seed=5)


def close(found: Tensor, expected: Any, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    torch.testing.assert_close(found, torch.as_tensor(expected).to(found), rtol=rtol, atol=atol)


# --- models ---------------------------------------------------------------------------------------------------------

SKLEARN = {
    "LinearRegression": (linear.LinearRegression, sklearn.linear_model.LinearRegression, ({},)),
    "Ridge": (linear.Ridge, sklearn.linear_model.Ridge, ({}, {"alpha": 0.0}, {"alpha": 30.0})),
    "Lasso": (
        linear.Lasso,
        sklearn.linear_model.Lasso,
        ({}, {"alpha": 0.01}, {"alpha": 0.1}, {"alpha": 100.0}),
    ),
}


def samples(count: int, features: int, seed: int, binary: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    x = draw(count, features, seed=seed)
    x = (x > 0).double() if binary else x + 3
    y = x @ draw(features, seed=seed + 1) + draw(count, seed=seed + 2) * 0.3 + 5
    return x, y, draw(count, seed=seed + 3).abs() + 0.01


@pytest.mark.parametrize("name", SKLEARN)
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("count", "features"), [(40, 3), (40, 12), (200, 30), (5, 1)])
def test_models_are_scikit_learns(name: str, binary: bool, count: int, features: int) -> None:
    ours, theirs, variants = SKLEARN[name]
    x, y, w = samples(count, features, seed=count, binary=binary)
    for given_ in variants:
        more = {"tol": 1e-12, "max_iter": 100_000} if name == "Lasso" else {}
        expected = theirs(**given_, **more).fit(x.numpy(), y.numpy(), sample_weight=w.numpy())
        found = ours(**given_).solve(x, y[:, None], w[:, None])
        torch.testing.assert_close(
            found.coefficients[0], torch.as_tensor(expected.coef_), rtol=1e-7, atol=1e-8
        )
        torch.testing.assert_close(
            found.intercepts[0], torch.tensor(float(expected.intercept_)).double(), rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("name", SKLEARN)
def test_fewer_samples_than_features(name: str) -> None:
    """The solution of least norm, or the penalised one, which is only one."""
    ours, theirs, _ = SKLEARN[name]
    x, y, w = samples(8, 20, seed=3)
    given_ = {"alpha": 0.05} if name == "Lasso" else {}
    more = {"tol": 1e-12, "max_iter": 1_000_000} if name == "Lasso" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(**given_, **more).fit(x.numpy(), y.numpy(), sample_weight=w.numpy())
    found = ours(**given_).solve(x, y[:, None], w[:, None])
    torch.testing.assert_close(found.coefficients[0], torch.as_tensor(expected.coef_), rtol=1e-3, atol=1e-4)
    assert found.errors() is None


@given(
    st.integers(2, 30), st.integers(1, 6), st.integers(1, 5), st.booleans(), st.sampled_from(list(SKLEARN))
)
def test_a_batch_is_solved_as_one_by_one(
    count: int, features: int, columns: int, each: bool, name: str
) -> None:
    x = (draw(count, columns, features) > 0).double()
    y, w = draw(count, columns, seed=1), draw(count, columns, seed=2).abs() + 0.1
    model = SKLEARN[name][0](**({} if name == "LinearRegression" else {"alpha": 0.1}))
    whole = model.solve(x if each else x[:, 0], y, w)
    for i in range(columns):
        one = slice(i, i + 1)
        alone = model.solve(x[:, i] if each else x[:, 0], y[:, one], w[:, one])
        torch.testing.assert_close(whole.coefficients[one], alone.coefficients, rtol=1e-6, atol=1e-8)
        errors, own = whole.errors(), alone.errors()
        assert (errors is None) == (own is None)
        if errors is not None:
            torch.testing.assert_close(errors[one], own, rtol=1e-6, atol=1e-8)


def test_large_problems_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, w = draw(20, 4), draw(20, 7, seed=1), draw(20, 7, seed=2).abs()
    whole = linear.Ridge().solve(x, y, w)
    monkeypatch.setattr(surrogate_models, "_AT_ONCE", 160)
    torch.testing.assert_close(linear.Ridge().solve(x, y, w).coefficients, whole.coefficients)


def test_errors_of_coefficients_cover() -> None:
    """With noise that differs from sample to sample."""
    truth, z = draw(3, seed=4), []
    for seed in range(60):
        x = (draw(80, 3, seed=seed) > 0).double()
        y = x @ truth + draw(80, seed=seed + 500) * (0.1 + x[:, 0])
        found = linear.LinearRegression().solve(x, y[:, None], torch.ones(80, 1))
        z.append((found.coefficients - truth) / found.errors())
    assert 0.85 < torch.cat(z).square().mean().sqrt() < 1.2


def test_models_are_used_as_captums() -> None:
    x, y, w = samples(30, 3, seed=1)
    model = linear.Ridge(2.0)
    with pytest.raises(InputError, match="Ridge was not fitted yet"):
        model.representation()
    assert model.bias() is None
    model.fit(DataLoader(TensorDataset(x, y, w), batch_size=7))
    found = model.solve(x, y[:, None], w[:, None])
    close(model.representation(), found.coefficients)
    close(model(x)[:, 0], x @ found.coefficients[0] + found.intercepts)
    model.fit(DataLoader(TensorDataset(x, y)))
    close(model.representation(), linear.Ridge(2.0).solve(x, y[:, None], torch.ones(30, 1)).coefficients)
    with pytest.raises(InputError, match="batches of"):
        model.fit([])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (linear.SkLearnLasso(alpha=0.1), sklearn.linear_model.Lasso(alpha=0.1)),
        (linear.SkLearnRidge(), sklearn.linear_model.Ridge()),
        (
            linear.SkLearnLinearRegression(fit_intercept=False),
            sklearn.linear_model.LinearRegression(fit_intercept=False),
        ),
        (linear.SkLearnLinearModel("linear_model.BayesianRidge"), sklearn.linear_model.BayesianRidge()),
    ],
)
def test_scikit_learn_by_name(ours: Any, theirs: Any) -> None:
    x, y, w = (t.float() for t in samples(30, 3, seed=1))
    ours.fit(DataLoader(TensorDataset(x, y, w), batch_size=30))
    theirs.fit(x.numpy(), y.numpy(), sample_weight=w.numpy())
    assert ours.representation().shape == (1, 3)
    close(ours.representation()[0], theirs.coef_)
    close(ours.bias(), torch.as_tensor(theirs.intercept_).reshape(-1))
    assert ours.classes() is None


def test_a_classifier_of_scikit_learn_has_classes() -> None:
    x, y, _ = samples(30, 3, seed=1)
    model = linear.SkLearnLinearModel("linear_model.LogisticRegression")
    model.fit([(x, (y > y.median()).long())])
    assert model.classes().tolist() == [0, 1]
    assert model.representation().shape == (1, 3)


def test_scikit_learn_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    data = [(X.float(), X[:, 0].float())]
    with pytest.raises(InputError, match=r"scikit-learn has no 'linear_model.Lass'"):
        linear.SkLearnLinearModel("linear_model.Lass").fit(data)
    with pytest.raises(InputError, match=r"scikit-learn has no 'nothing.Lasso'"):
        linear.SkLearnLinearModel("nothing.Lasso").fit(data)
    monkeypatch.setitem(sys.modules, "sklearn", None)  # importing it fails
    with pytest.raises(ImportError, match="SkLearnLasso needs scikit-learn: pip install scikit-learn"):
        linear.SkLearnLasso().fit(data)


@pytest.mark.parametrize(
    ("call", "kind"), [(lambda: linear.Ridge(-1), ValueError), (lambda: linear.Lasso("a"), TypeError)]
)
def test_penalties_that_cannot_be_used(call: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="alpha must be"):
        call()


# --- similarity -----------------------------------------------------------------------------------------------------


@given(st.data())
def test_weights_of_all_samples_are_those_of_each(data: Any) -> None:
    """Computed from sums over features, without the perturbed inputs."""
    count = data.draw(st.integers(1, 3))
    inputs = draw(count, 2, 3, seed=1), draw(count, 4, seed=2)
    if data.draw(st.booleans()):
        masks = None
    else:
        first = data.draw(st.sampled_from([1, count]))
        masks = tuple(
            torch.randint(3, (first, *x.shape[1:]), generator=seeded(i)) for i, x in enumerate(inputs)
        )
    examples = gather_examples(inputs)
    baselines = resolve_baselines(
        data.draw(st.sampled_from([(0, 0), (1.5, draw(1, 4, seed=3)), (None, inputs[1] * 0.5)])), examples
    )
    features = resolve_features(masks, examples)
    kernel = get_exp_kernel_similarity_function(
        data.draw(st.sampled_from(["cosine", "euclidean"])), data.draw(st.floats(0.2, 3))
    )
    each, whole = data.draw(st.booleans()), data.draw(st.booleans())
    shape = (5, count, features.count) if each and not whole else (5, features.count)
    keep = torch.rand(shape, generator=seeded(count)) < 0.5
    keep[0], keep[1] = True, False
    found = kernel.weights(keep, examples, baselines, features, whole)
    assert found.shape == (5, 1 if whole else count)
    for s in range(5):
        for n, part in enumerate([slice(0, count)] if whole else [slice(i, i + 1) for i in range(count)]):
            on = keep[s, n] if keep.dim() == 3 else keep[s]
            perturbed = features.mix(on[None], examples.slices(part), baselines, part)
            expected = kernel(examples.slices(part), perturbed, None)
            assert float(found[s, n]) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_similarities_that_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="distance_mode must be either cosine or euclidean, but 'l1' came"):
        get_exp_kernel_similarity_function("l1")
    with pytest.raises(ValueError, match="kernel_width must be above 0"):
        get_exp_kernel_similarity_function(kernel_width=0)
