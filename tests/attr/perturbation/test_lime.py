"""Lime and LimeBase: against scikit-learn, closed forms and loops over single samples."""

from __future__ import annotations

from typing import Any

import pytest
import sklearn.linear_model
import torch
from torch import Tensor

from attriscope.attr import KernelShap, Lime, LimeBase, linear
from attriscope.attr.perturbation.lime import default_from_interp_rep_transform
from attriscope.core.errors import InputError, TargetError
from models import Recorder, assert_same, draw, mlp, pair, pictures, seeded

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(3, 4, seed=5)
W = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
MASK = torch.tensor([[7, 7, -1, 3]])


def plain(x: Tensor) -> Tensor:
    return x @ W.to(x.dtype)


def close(found: Tensor, expected: Any, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    torch.testing.assert_close(found, torch.as_tensor(expected).to(found), rtol=rtol, atol=atol)


# --- Lime -----------------------------------------------------------------------------------------------------------


def by_hand(model: Any, x: Tensor, points: Tensor, weights: Tensor, f: Any) -> Tensor:
    """Lime for one example, a mask per element, in a loop."""
    rows = torch.stack([torch.where(p != 0, x, 0.0) for p in points])
    return model.fit(points.numpy(), f(rows).numpy(), sample_weight=weights.numpy()).coef_


@pytest.mark.parametrize("batch", [None, 1, 7, 1000])
def test_lime_by_hand(batch: int | None) -> None:
    """Default similarity and model; scikit-learn fits the same samples."""
    x, f = draw(2, 6, seed=7), lambda x: (x.cumsum(1).sin()).sum(1)
    torch.manual_seed(4)
    found = Lime(f).attribute(x, n_samples=80, perturbations_per_eval=batch)
    torch.manual_seed(4)
    points = torch.bernoulli(torch.full((80, 6), 0.5)).double()
    for n in range(2):
        kept = (points * x[n].square()).sum(1)
        distance = 1 - (kept / x[n].square().sum()).sqrt()
        weights = (-(distance**2) / 2).exp()
        model = sklearn.linear_model.Lasso(alpha=0.01, tol=1e-12, max_iter=100_000)
        close(found[n], by_hand(model, x[n], points, weights, f))


def test_lime_of_a_linear_model() -> None:
    found = Lime(plain, linear.LinearRegression()).estimate(X, X.flip(0), n_samples=40)
    close(found.attributions, (X - X.flip(0)) * W)
    assert float(found.error.max()) < 1e-6
    grouped = Lime(plain, linear.LinearRegression()).attribute(X, feature_mask=MASK, n_samples=40)
    group = (X * W)[:, :2].sum(1)
    close(grouped, torch.stack([group, group, X[:, 2] * 0.5, X[:, 3] * 3], 1))


def test_coefficients_themselves() -> None:
    """A column for each number in the mask, also for those between that do not occur."""
    torch.manual_seed(0)
    whole = Lime(plain).attribute(X, feature_mask=MASK, n_samples=40)
    torch.manual_seed(0)
    found = Lime(plain).attribute((X,), feature_mask=(MASK,), n_samples=40, return_input_shape=False)
    assert found.shape == (3, 9)
    assert found.dtype == torch.float32
    close(found[:, [0, 4, 8]], whole[:, [2, 3, 0]])
    assert found[:, [1, 2, 3, 5, 6, 7]].abs().sum() == 0
    shap = KernelShap(plain).estimate(X, feature_mask=MASK, return_input_shape=False)
    close(
        shap.attributions[:, [0, 4, 8]], torch.stack([X[:, 2] * 0.5, X[:, 3] * 3, (X * W)[:, :2].sum(1)], 1)
    )
    assert shap.error.shape == (3, 9)


@pytest.mark.parametrize("batch", [None, 1])
@pytest.mark.parametrize("count", [1, 3])
def test_one_number_for_all_examples(count: int, batch: int | None) -> None:
    """All examples are one input: one surrogate, whose similarity is that of the whole batch."""
    x = X[:count]
    for form in (lambda y: y.sum(), lambda y: float(y.sum())):
        torch.manual_seed(0)
        found = Lime(lambda x, form=form: form(plain(x))).attribute(
            x, n_samples=60, perturbations_per_eval=batch
        )
        assert found.shape == (1, 4)
        torch.manual_seed(0)
        points = torch.bernoulli(torch.full((60, 4), 0.5)).double()
        kept = (points * x.square().sum(0)).sum(1) / x.square().sum()
        weights = (-((1 - kept.sqrt()) ** 2) / 2).exp()
        model = sklearn.linear_model.Lasso(alpha=0.01, tol=1e-12, max_iter=100_000)
        expected = model.fit(
            points.numpy(), (points @ (x * W).sum(0)).numpy(), sample_weight=weights.numpy()
        ).coef_
        close(found[0], expected)


def test_functions_of_the_users() -> None:
    """They are called for each sample and example, with what Captum hands them."""
    calls: list[Any] = []

    def similarity(original: Any, perturbed: Any, point: Tensor, **context: Any) -> float:
        assert original[0].shape == perturbed[0].shape == (1, 4)
        assert point.shape == (1, 5)
        assert context["num_interp_features"] == 5
        assert [m.shape for m in context["feature_mask"]] == [(1, 4), (1, 2, 3)]
        assert [m.unique().tolist() for m in context["feature_mask"]] == [[0, 1, 2], [2, 3, 4]]
        on = point[0].bool()
        expected = [
            torch.where(on[m], x, b)
            for x, m, b in zip(original, context["feature_mask"], context["baselines"], strict=True)
        ]
        for found, one in zip(perturbed, expected, strict=True):
            assert torch.equal(found, one)
        calls.append(point)
        return float(point.sum()) + 1

    def perturb(original: Any, **context: Any) -> Tensor:
        return torch.randint(2, (1, context["num_interp_features"]))

    def stream(original: Any, **context: Any) -> Any:
        while True:
            yield perturb(original, **context)

    model, inputs = pair(), (draw(2, 4), draw(2, 2, 3, seed=1))
    masks = torch.tensor([[10, 10, 11, 15]]), torch.tensor([[[15, 15, 20], [20, 20, 30]]])
    results = []
    for batch, function in ((None, perturb), (1, perturb), (3, stream)):
        calls.clear()
        torch.manual_seed(0)
        method = Lime(model, linear.Ridge(), similarity, function)
        results.append(
            method.attribute(
                inputs, (0.5, 0.0), target=1, feature_mask=masks, n_samples=20, perturbations_per_eval=batch
            )
        )
        assert len(calls) == 40
        # Each example has samples of its own.
        assert not torch.equal(torch.cat(calls[:20]), torch.cat(calls[20:]))
    for other in results[1:]:
        for a, b in zip(other, results[0], strict=True):
            torch.testing.assert_close(a, b)
    torch.manual_seed(0)
    points = torch.cat([perturb(None, num_interp_features=5) for _ in range(20)]).double()
    rows = [
        torch.where((points != 0)[:, m[0] - 10], x[:1], b)
        for x, m, b in zip(
            inputs,
            (torch.tensor([[10, 10, 11, 12]]), torch.tensor([[[12, 12, 13], [13, 13, 14]]])),
            (0.5, 0.0),
            strict=True,
        )
    ]
    fitted = sklearn.linear_model.Ridge().fit(
        points.numpy(), model(*rows)[:, 1].detach().numpy(), sample_weight=(points.sum(1) + 1).numpy()
    )
    close(results[0][0][0], fitted.coef_[[0, 0, 1, 2]])


def test_samples_of_the_users_for_a_loss() -> None:
    """Drawn once, for all examples together."""
    shapes = []

    def perturb(original: Tensor, **context: Any) -> Tensor:
        shapes.append(original.shape)
        return torch.randint(2, (1, 4))

    found = Lime(lambda x: plain(x).sum(), linear.LinearRegression(), perturb_func=perturb).attribute(
        X, n_samples=40
    )
    close(found, (X * W).sum(0, keepdim=True))
    assert shapes == [(3, 4)] * 40


@pytest.mark.parametrize(
    "model",
    [
        linear.Lasso(0.01), linear.SkLearnLasso(alpha=0.01), sklearn.linear_model.Lasso(alpha=0.01),
    ],
    ids=lambda m: type(m).__name__,
)  # fmt: skip
def test_every_kind_of_model(model: Any) -> None:
    torch.manual_seed(1)
    expected = Lime(mlp()).attribute(X, target=1, n_samples=50)
    torch.manual_seed(1)
    found = Lime(mlp(), model).estimate(X, target=1, n_samples=50)
    close(found.attributions, expected, rtol=1e-2, atol=1e-3)
    assert (found.error is not None) == (type(model) is linear.Lasso)


def test_a_model_that_is_not_linear() -> None:
    class Tree:
        def fit(self, data: Any) -> None:
            ((x, y, w),) = data
            assert x.dtype == y.dtype == w.dtype == torch.float32
            self.seen = x.shape, y.shape, w.shape

        def representation(self) -> Tensor:
            return torch.tensor([1.0, 2.0])

    tree = Tree()
    found = Lime(mlp(), tree).attribute(X, target=0, n_samples=9, return_input_shape=False)
    assert found.tolist() == [[1, 2]] * 3
    assert tree.seen == ((9, 4), (9,), (9,))
    with pytest.raises(InputError, match="representation has 2 numbers for 4 features"):
        Lime(mlp(), Tree()).attribute(X, target=0, n_samples=9)


def test_errors_cover_the_coefficients() -> None:
    """Those of endless samples."""
    x, model = draw(2, 5, seed=3), mlp(features=5)
    for surrogate in (linear.LinearRegression(), linear.Ridge(1e-6)):
        truth = Lime(model, surrogate).attribute(x, target=1, n_samples=40_000, generator=seeded(99))
        z = []
        for seed in range(40):
            found = Lime(model, surrogate).estimate(x, target=1, n_samples=60, generator=seeded(seed))
            z.append((found.attributions - truth) / found.error)
        assert 0.8 < torch.cat(z).square().mean().sqrt() < 1.25


def test_a_batch_shares_its_samples() -> None:
    x = draw(4, 2, 6, 5)
    mask = torch.arange(60).reshape(1, 2, 6, 5) // 5
    whole = Lime(pictures()).attribute(
        x, target=[0, 1, 2, 0], feature_mask=mask, n_samples=30, generator=seeded(3)
    )
    for n, k in enumerate((0, 1, 2, 0)):
        alone = Lime(pictures()).attribute(
            x[n : n + 1], target=k, feature_mask=mask, n_samples=30, generator=seeded(3)
        )
        torch.testing.assert_close(whole[n : n + 1], alone, rtol=1e-5, atol=1e-6)


def test_estimates_on_the_way() -> None:
    stream = list(
        Lime(mlp(), linear.Ridge()).stream(
            X, target=1, n_samples=60, perturbations_per_eval=10, generator=seeded(0)
        )
    )
    assert [e.evaluations for e in stream] == [3, *range(33, 181, 30), 180]
    assert stream[0].error is None
    assert float(stream[-1].error.mean()) < float(stream[1].error.mean())
    stopped = Lime(mlp(), linear.Ridge()).estimate(
        X, target=1, n_samples=10_000, perturbations_per_eval=10, generator=seeded(0), tolerance=0.05
    )
    assert stopped.stopped == "tolerance"
    assert stopped.evaluations < 10_000


# --- LimeBase -------------------------------------------------------------------------------------------------------


def base(model: Any, f: Any, interpretable: bool = False, **more: Any) -> LimeBase:
    """The example of Captum's documentation: Gaussian noise, a kernel whose width is an argument."""

    def similarity(original: Tensor, perturbed: Tensor, point: Tensor, **given_: Any) -> Tensor:
        return torch.exp(-((original - perturbed).norm() ** 2) / given_["kernel_width"] ** 2)

    def noise(original: Tensor, **given_: Any) -> Tensor:
        return original + torch.randn_like(original)

    parts: dict[str, Any] = {
        "similarity_func": similarity, "perturb_func": noise, "perturb_interpretable_space": interpretable,
        "from_interp_rep_transform": None, "to_interp_rep_transform": lambda sample, original, **given_: sample, **more,
    }  # fmt: skip
    return LimeBase(f, model, **parts)


@pytest.mark.parametrize("batch", [None, 1, 8])
def test_samples_in_the_space_of_the_inputs(batch: int | None) -> None:
    recorder = Recorder(mlp())
    torch.manual_seed(0)
    found = base(linear.Ridge(), recorder).attribute(
        X[:1], target=1, n_samples=40, perturbations_per_eval=batch, kernel_width=1.5
    )
    torch.manual_seed(0)
    points = torch.cat([X[:1] + torch.randn_like(X[:1]) for _ in range(40)])
    weights = (-((points - X[:1]).norm(dim=1) ** 2) / 1.5**2).exp()
    y = mlp()(points)[:, 1].detach()
    expected = (
        sklearn.linear_model.Ridge().fit(points.numpy(), y.numpy(), sample_weight=weights.numpy()).coef_
    )
    assert found.shape == (1, 4)
    close(found[0], expected, rtol=1e-4, atol=1e-5)
    assert sum(recorder.rows) == 40
    assert batch is None or max(recorder.rows) == batch


@pytest.mark.parametrize("batch", [None, 1])
def test_samples_of_differing_lengths(batch: int | None) -> None:
    """As for text: the words that are off are left out."""
    words = torch.tensor([[5, 3, 8, 1, 9, 2]])
    model = Recorder(lambda t: t.double().sum(1))
    method = LimeBase(
        model, linear.LinearRegression(), lambda *_, **__: 1.0,
        lambda original, **__: torch.bernoulli(torch.full((1, 6), 0.5)), True,
        lambda point, original, **__: original[point != 0][None], None,
    )  # fmt: skip
    found = method.attribute(words, n_samples=60, perturbations_per_eval=batch)
    close(found, words.double())
    assert model.rows == [1] * 60


def test_a_generator_that_ends() -> None:
    def few(original: Tensor, **given_: Any) -> Any:
        for i in range(5):
            yield original + i

    with pytest.warns(UserWarning, match="Generator completed prior to given n_samples iterations!"):
        found = base(linear.Ridge(), mlp(), perturb_func=few).estimate(X[:1], target=1, kernel_width=9.0)
    assert found.evaluations == 5
    with pytest.warns(UserWarning, match="Generator"), pytest.raises(InputError, match="gave no sample"):
        base(linear.Ridge(), mlp(), perturb_func=lambda x, **_: (yield from ())).attribute(X[:1], target=1)


def test_kernel_shaps_samples_in_lime() -> None:
    """Captum's two methods do what they did there."""
    shap = KernelShap(plain)
    lime = Lime(
        plain,
        linear.LinearRegression(),
        shap.kernel_shap_similarity_kernel,
        shap.kernel_shap_perturb_generator,
    )
    close(lime.attribute(X, n_samples=30), X * W, rtol=1e-4, atol=1e-4)
    stream = shap.kernel_shap_perturb_generator(X[:1], num_interp_features=4)
    drawn = torch.cat([next(stream) for _ in range(3000)])
    assert drawn[0].tolist() == [1] * 4
    assert drawn[1].tolist() == [0] * 4
    share = torch.bincount(drawn[2:].sum(1), minlength=5)[1:4] / 2998
    expected = torch.tensor([1 / 3, 1 / 4, 1 / 3])
    torch.testing.assert_close(share.double(), (expected / expected.sum()).double(), rtol=0, atol=0.04)
    assert shap.kernel_shap_similarity_kernel(None, None, drawn[:1], num_interp_features=4).tolist() == [1e6]
    assert shap.kernel_shap_similarity_kernel(
        None, None, torch.tensor([[1, 0, 0, 0]]), num_interp_features=4
    ).tolist() == [1]


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: Lime(mlp()).attribute(X), IndexError, "the output has shape (3, 3) for 3 example(s), but must be one"),
        (lambda: Lime(mlp()).attribute(X[:1]), IndexError, "target must say which"),
        (lambda: Lime(lambda x: x.sum(0)[:2]).attribute(X), IndexError, "shape (2,)"),
        (lambda: Lime(lambda x: x.sum()).attribute(X, perturbations_per_eval=2), ValueError, "returns scalar"),
        (lambda: Lime(plain).attribute(X, n_samples=0), ValueError, "n_samples must be at least 1"),
        (lambda: Lime(plain).attribute(X, perturbations_per_eval=0), ValueError, "must be at least 1"),
        (lambda: Lime(plain, linear.Ridge), TypeError, "such as attriscope.attr.linear.Ridge()"),
        (lambda: Lime(plain, "ridge"), TypeError, "'ridge' came"),
        (lambda: Lime(plain, perturb_func=lambda x, **_: torch.ones(1, 3)).attribute(X), ValueError, "shape (1, 4)"),
        (lambda: Lime(plain, perturb_func=lambda x, **_: (yield torch.ones(1, 4))).attribute(X), ValueError, "after 1"),
        (lambda: base(linear.Ridge(), plain, True), TypeError, "from_interp_rep_transform must be"),
        (lambda: base(linear.Ridge(), plain, to_interp_rep_transform=None), TypeError, "to_interp_rep_transform"),
        (lambda: base(linear.Ridge(), plain).attribute(X, kernel_width=1.0), ValueError, "one output per perturbed"),
        (lambda: base(linear.Ridge(), mlp()).attribute(X[:1], kernel_width=1.0), IndexError, "target must say which"),
        (lambda: Lime(plain).attribute_future(X), NotImplementedError, "Lime"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained(call: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert says in str(caught.value)
    assert isinstance(caught.value, InputError | TargetError | NotImplementedError)


def test_a_target_that_leaves_several_numbers() -> None:
    with pytest.raises(IndexError, match=r"what the target selects has shape \(5, 3\)"):
        Lime(mlp()).attribute(draw(5, 4), target=lambda output: output)
    with pytest.raises(IndexError, match="Target not provided when necessary"):
        Lime(mlp()).attribute(draw(5, 4))


def test_of_several_inputs_each_is_mixed_and_none_left_as_it_is() -> None:
    x, y = torch.arange(1.0, 4)[None], torch.arange(4.0, 6)[None]
    sample = torch.tensor([[1.0, 0.0, 1.0]])
    about = {
        "feature_mask": (torch.tensor([[0, 1, 2]]), None, torch.tensor([[1, 2]])),
        "baselines": (0.0, None, torch.tensor([[-1.0, -2.0]])),
    }
    first, none, second = default_from_interp_rep_transform(sample, (x, None, y), **about)
    assert_same(first, torch.tensor([[1.0, 0.0, 3.0]]))
    assert none is None
    assert_same(second, torch.tensor([[-1.0, 5.0]]))
