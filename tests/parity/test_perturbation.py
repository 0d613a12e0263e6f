"""The numbers of Captum 0.9.0 for perturbations, wherever Captum is right, and its signatures."""

from __future__ import annotations

import inspect
from typing import Any

import captum._utils.models.linear_model as captum_linear
import captum.attr
import pytest
import torch
from captum.attr._core.dataloader_attr import DataLoaderAttribution as CaptumLoader
from captum.attr._core.dataloader_attr import InputRole as CaptumRole
from captum.attr._core.lime import get_exp_kernel_similarity_function as captum_kernel
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import attriscope.attr
from attriscope.attr import linear
from attriscope.zoo import small_cnn, small_pictures
from games import GAMES
from models import draw, mlp, pair, pictures, seeded, tensors_in

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = (
    "FeatureAblation", "FeaturePermutation", "Occlusion", "ShapleyValueSampling", "ShapleyValues", "LimeBase", "Lime",
    "KernelShap", "DataLoaderAttribution",
)  # fmt: skip
X = draw(3, 4, seed=5)
PICTURES = draw(3, 2, 6, 5)
MASK = torch.arange(60).reshape(1, 2, 6, 5) // 12


def assert_as_captum(found: Any, expected: Any, rtol: float = 1e-6, atol: float = 1e-7) -> None:
    """Form, shape and type too."""
    assert type(found) is type(expected)
    ours, theirs = list(tensors_in(found)), list(tensors_in(expected))
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=rtol, atol=atol)


def both(name: str, forward: Any, *arguments: Any, seed: int = 0, **given_: Any) -> tuple[Any, Any]:
    """Ours and Captum's, with the same seed."""
    found = []
    for library in (attriscope.attr, captum.attr):
        torch.manual_seed(seed)
        found.append(getattr(library, name)(forward).attribute(*arguments, **given_))
    return found[0], found[1]


# --- signatures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name: str) -> None:
    """Ours has keywords of its own, and batches that it chooses itself; all else is the same."""
    ours, theirs = getattr(attriscope.attr, name), getattr(captum.attr, name)
    assert name in attriscope.attr.__all__
    methods = [n for n, f in vars(theirs).items() if inspect.isfunction(f) and not n.startswith("_")]
    pairs = [
        (ours, theirs),
        *((getattr(ours, n), getattr(theirs, n)) for n in methods if n != "attribute_future"),
    ]
    for one, other in pairs:
        expected = list(inspect.signature(other).parameters.values())
        found = list(inspect.signature(one).parameters.values())
        shared = [p for p in found if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        names = [p.name for p in expected]
        if name == "DataLoaderAttribution" and "dataloader" in names:
            names.append("kwargs")  # for the method inside
        assert [p.name for p in shared] == names, one
        for p, q in zip(shared, expected, strict=False):
            if p.name in ("perturbations_per_eval", "perturbations_per_pass"):
                assert p.default is None
            elif p.name not in ("perm_func", "feature_mask"):
                assert p.default == q.default, (one, p)
    assert ours.__mro__[1].__name__ != "object"
    assert (
        ours(mlp()).get_name() == theirs(mlp()).get_name()
        if name not in ("LimeBase", "DataLoaderAttribution")
        else True
    )


def test_names_beside_the_methods() -> None:
    assert {k: v for k, v in vars(attriscope.attr.InputRole).items() if k[0] != "_"} == {
        k: v for k, v in vars(CaptumRole).items() if k[0] != "_"
    }
    for name in captum_linear.__all__:
        if not name.startswith("SGD"):  # ours are solved, not descended
            assert hasattr(linear, name)
    assert issubclass(attriscope.attr.KernelShap, attriscope.attr.Lime)
    assert issubclass(attriscope.attr.Occlusion, attriscope.attr.FeatureAblation)


# --- ablation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [1, [0, 3, 1], None])
@pytest.mark.parametrize("mask", [None, MASK, MASK[0], -MASK * 7, torch.arange(30).reshape(6, 5) % 4])
@pytest.mark.parametrize("batch", [1, 4])
def test_ablation(target: Any, mask: Tensor | None, batch: int) -> None:
    given_ = {"target": target, "feature_mask": mask}
    fails = mask is not None and mask.dim() < 4  # Captum, where such a mask meets more than one perturbation
    theirs = captum.attr.FeatureAblation(pictures()).attribute(
        PICTURES, PICTURES.flip(0), perturbations_per_eval=1 if fails else batch, **given_
    )
    for own in (batch, None):
        ours = attriscope.attr.FeatureAblation(pictures()).attribute(
            PICTURES, PICTURES.flip(0), perturbations_per_eval=own, **given_
        )
        assert_as_captum(ours, theirs)


@given(st.data())
@settings(max_examples=30)
def test_ablation_of_several_inputs(data: Any) -> None:
    count = data.draw(st.integers(1, 3))
    inputs = draw(count, 4), draw(count, 2, 3, seed=1)
    kinds = [
        st.sampled_from([None, 0, 0.5, draw(1, *x.shape[1:], seed=3), draw(*x.shape, seed=4)]) for x in inputs
    ]
    baselines = data.draw(
        st.one_of(st.none(), st.tuples(*(k.filter(lambda v: v is not None) for k in kinds)))
    )
    masks = tuple(
        torch.randint(5, (data.draw(st.sampled_from([1, count])), *x.shape[1:]), generator=seeded(i))
        for i, x in enumerate(inputs)
    )
    mask = data.draw(st.sampled_from([None, masks]))
    target = data.draw(st.sampled_from([0, 2, [0, 1, 2][:count]]))
    more = data.draw(st.sampled_from([None, (draw(count, 3, seed=7),), (draw(count, 3, seed=7), None, 2.0)]))
    given_ = {"target": target, "additional_forward_args": more, "feature_mask": mask}
    batch = data.draw(st.sampled_from([1, 3]))
    assert_as_captum(
        *both("FeatureAblation", pair(), inputs, baselines, perturbations_per_eval=batch, **given_)
    )
    given_["perturbations_per_eval"] = 1
    exact = both(
        "ShapleyValues", pair(), inputs, baselines, **{**given_, "feature_mask": tuple(m % 3 for m in masks)}
    )
    assert_as_captum(*exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x.sum(), lambda x: x.sum().reshape(1), lambda x: float(x.sum()), lambda x: int(x.sum()),
        lambda x: x.sum(0)[:2], lambda x: x.sum(1, keepdim=True), lambda x: torch.stack([x, 2 * x], 1),
        lambda x: (x > 0).sum(1), lambda x: x.sum(1).float(),
    ],
)  # fmt: skip
@pytest.mark.parametrize("count", [1, 3])
def test_outputs_of_every_kind(forward: Any, count: int) -> None:
    """Shapes and types too."""
    x = X[:count].float()
    assert_as_captum(*both("FeatureAblation", forward, x))
    assert_as_captum(*both("Occlusion", forward, x, (2,)), rtol=1e-5, atol=1e-6)
    assert_as_captum(*both("ShapleyValues", forward, x), rtol=1e-4, atol=1e-5)
    if forward(x) is not None and torch.as_tensor(forward(x)).numel() in (1, count):
        assert_as_captum(*both("Lime", forward, x[:1], n_samples=40), rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("batch", [1, 2])
def test_permutation(batch: int) -> None:
    """With the same seed, the same permutations."""
    for mask in (None, MASK, MASK.repeat(3, 1, 1, 1)):
        given_ = {"target": [0, 3, 1], "feature_mask": mask, "perturbations_per_eval": batch}
        assert_as_captum(*both("FeaturePermutation", pictures(), PICTURES, **given_))
    assert_as_captum(*both("FeaturePermutation", lambda x: x.square().sum() ** 2, X))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("window", "strides"), [((2, 3, 3), (1, 2, 2)), ((1, 6, 5), None), ((2, 4, 2), 2), ((1, 3, 3), (1, 3, 3))]
)
def test_occlusion(window: Any, strides: Any, batch: int) -> None:
    given_ = {"strides": strides, "baselines": 0.3, "perturbations_per_eval": batch}
    for target in (1, None):
        assert_as_captum(
            *both("Occlusion", pictures(), PICTURES, window, target=target, **given_), rtol=1e-5, atol=1e-6
        )
    inputs = draw(2, 4), draw(2, 2, 3, seed=1)
    assert_as_captum(
        *both("Occlusion", pair(), inputs, ((2,), (1, 2)), strides=(2, (1, 1)), target=1),
        rtol=1e-5,
        atol=1e-6,
    )


def test_futures() -> None:
    def later(x: Tensor) -> Any:
        made: Any = torch.futures.Future()
        made.set_result(model(x))
        return made

    model = mlp()
    for name in ("FeatureAblation", "FeaturePermutation", "ShapleyValues"):
        found = []
        for library in (attriscope.attr, captum.attr):
            torch.manual_seed(0)
            found.append(getattr(library, name)(later).attribute_future(X, target=1).wait())
        assert_as_captum(*found, rtol=1e-5, atol=1e-6)


# --- Shapley --------------------------------------------------------------------------------------------------------


def test_sampling_goes_where_captum_goes() -> None:
    """Both estimate the same: the means of many runs agree within their errors."""
    game = next(g for g in GAMES if g.name == "tanh net, 8")
    for name, options in (("ShapleyValueSampling", {"n_samples": 6}), ("KernelShap", {"n_samples": 60})):
        runs = [both(name, game.function, game.inputs, game.baselines, seed=s, **options) for s in range(30)]
        ours, theirs = (torch.cat([r[i] for r in runs]).double() for i in (0, 1))
        error = ((ours.var(0) + theirs.var(0)) / 30).sqrt()
        assert ((ours.mean(0) - theirs.mean(0)).abs() < 4 * error + 1e-6).all()
        assert (ours - game.shapley_values()).square().mean() < (
            theirs - game.shapley_values()
        ).square().mean() / 3


# --- Lime -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("mask", [None, MASK])
def test_lime(mask: Tensor | None, batch: int) -> None:
    """With the same seed a single example gets the same samples; ours solves what scikit-learn iterates on."""
    given_ = {"target": 1, "feature_mask": mask, "n_samples": 120, "perturbations_per_eval": batch}
    assert_as_captum(*both("Lime", pictures(), PICTURES[:1], PICTURES[1:2], **given_), rtol=1e-2, atol=5e-4)
    given_["return_input_shape"] = False
    assert_as_captum(*both("Lime", pictures(), PICTURES[:1], 0.5, **given_), rtol=1e-2, atol=5e-4)


def test_lime_with_gaps_in_the_mask() -> None:
    """Captum draws for the numbers in the gaps too, so only the places of the coefficients can be compared."""
    ours, theirs = both(
        "Lime", mlp(), X[:1], target=1, feature_mask=torch.tensor([[3, 3, 5, 8]]), return_input_shape=False
    )
    assert ours.shape == theirs.shape == (1, 6)


@pytest.mark.parametrize("mode", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    "models",
    [
        (linear.Ridge(), captum_linear.SkLearnRidge()),
        (linear.LinearRegression(), captum_linear.SkLearnLinearRegression()),
        (linear.SkLearnLasso(alpha=0.05), captum_linear.SkLearnLasso(alpha=0.05)),
        (captum_linear.SkLearnRidge(alpha=2.0), captum_linear.SkLearnRidge(alpha=2.0)),
    ],
    ids=["ridge", "regression", "scikit-learn", "captum's own"],
)
def test_lime_with_models_and_similarities(mode: str, models: tuple[Any, Any]) -> None:
    found = []
    for library, model, kernel in zip(
        (attriscope.attr, captum.attr),
        models,
        (attriscope.attr.get_exp_kernel_similarity_function, captum_kernel),
        strict=True,
    ):
        torch.manual_seed(0)
        method = library.Lime(mlp(), model, kernel(mode, 0.7))
        found.append(method.attribute(X[:1], X[1:2], target=2, n_samples=200))
    assert_as_captum(*found, rtol=1e-3, atol=1e-4)


def test_captums_similarities_in_ours() -> None:
    """And a batch, example by example, with samples of the user's."""

    def perturb(original: Tensor, **context: Any) -> Tensor:
        return torch.randint(2, (1, context["num_interp_features"]), generator=generator)

    found = []
    for library in (attriscope.attr, captum.attr):
        generator = seeded(0)  # Captum's data loaders draw from the global one, example by example
        method = library.Lime(mlp(), captum_linear.SkLearnRidge(), captum_kernel(), perturb)
        found.append(
            method.attribute(X, target=[0, 1, 2], feature_mask=torch.tensor([[0, 0, 1, 2]]), n_samples=30)
        )
    assert_as_captum(*found, rtol=1e-4, atol=1e-5)


def test_lime_base() -> None:
    def similarity(original: Tensor, perturbed: Tensor, point: Tensor, **given_: Any) -> Tensor:
        return torch.exp(-((original - perturbed).norm() ** 2) / given_["width"])

    for batch in (1, 6):
        found = []
        for library, model in (
            (attriscope.attr, linear.Ridge()),
            (captum.attr, captum_linear.SkLearnRidge()),
        ):
            torch.manual_seed(0)
            method = library.LimeBase(
                mlp(dtype=torch.float32), model, similarity, lambda x, **_: x + torch.randn_like(x), False, None,
                lambda sample, original, **_: sample,
            )  # fmt: skip
            found.append(
                method.attribute(
                    X[:1].float(), target=1, n_samples=40, perturbations_per_eval=batch, width=3.0
                )
            )
        assert_as_captum(*found, rtol=1e-4, atol=1e-5)


def test_kernel_shaps_own_samples() -> None:
    """Captum's kernel as Lime's parts: the regression that it is there."""
    x, f = X[:1], lambda x: (x.cumsum(1).sin()).sum(1)
    shap = attriscope.attr.KernelShap(f)
    ours = attriscope.attr.Lime(
        f, linear.LinearRegression(), shap.kernel_shap_similarity_kernel, shap.kernel_shap_perturb_generator
    )
    torch.manual_seed(0)
    truth = attriscope.attr.ShapleyValues(f).attribute(x)
    torch.testing.assert_close(ours.attribute(x, n_samples=4000), truth, rtol=0, atol=0.05)


# --- data loaders ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shaped", [True, False])
@pytest.mark.parametrize("per_pass", [1, 3])
def test_data_loaders(per_pass: int, shaped: bool) -> None:
    y = torch.arange(3)
    loader = DataLoader(TensorDataset(PICTURES, y), batch_size=2)

    def right(kept: Any, output: Tensor, entries: Any) -> Tensor:
        found = output.gather(1, entries[1][:, None]).sum(0)
        return found if kept is None else kept + found

    given_ = {
        "input_roles": (0, 2),
        "feature_mask": (MASK,),
        "perturbations_per_pass": per_pass,
        "return_input_shape": shaped,
    }
    for reduce, metric in (
        (right, None),
        (right, lambda kept: kept.exp()),
        (None, None),
        (None, lambda kept: kept.mean(0)),
    ):
        found = []
        for wrapper, library in (
            (attriscope.attr.DataLoaderAttribution, attriscope.attr),
            (CaptumLoader, captum.attr),
        ):
            method = wrapper(library.FeatureAblation(pictures()))
            found.append(method.attribute(loader, reduce=reduce, to_metric=metric, **given_))
        assert_as_captum(*found)


# --- a real model ---------------------------------------------------------------------------------------------------


def test_the_small_cnn() -> None:
    model, x = small_cnn(), small_pictures()[0][:2]
    mask = torch.arange(784).reshape(1, 1, 28, 28) // 98
    given_ = {"target": [0, 1], "feature_mask": mask, "perturbations_per_eval": 4}
    assert_as_captum(*both("FeatureAblation", model, x, **given_), rtol=1e-4, atol=1e-5)
    assert_as_captum(*both("FeaturePermutation", model, x, **given_), rtol=1e-4, atol=1e-5)
    given_["feature_mask"] = mask // 2
    assert_as_captum(*both("ShapleyValues", model, x, **given_), rtol=1e-4, atol=1e-4)
    assert_as_captum(
        *both("Occlusion", model, x, (1, 9, 9), strides=(1, 5, 5), target=[0, 1], perturbations_per_eval=8),
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip


# --- where Captum is wrong ------------------------------------------------------------------------------------------


def test_captum_has_no_kernel_shap_of_one_feature() -> None:
    """A change here means that Captum has mended it."""
    mask = torch.zeros(1, 4).long()
    # Which of the two depends on whether torch.distributions checks its arguments.
    with pytest.raises((ValueError, RuntimeError), match=r"Categorical|probability tensor"):
        captum.attr.KernelShap(mlp()).attribute(X[:1], target=0, feature_mask=mask)
    change = (mlp()(X) - mlp()(0 * X))[:, :1].expand(-1, 4)
    found = attriscope.attr.KernelShap(mlp()).attribute(X, target=0, feature_mask=mask)
    torch.testing.assert_close(found, change.float(), rtol=1e-5, atol=1e-6)


def test_captum_forgets_to_look_at_outputs_twice() -> None:
    method = captum.attr.FeatureAblation(nn.Identity())
    method.forward_func = lambda x: x.sum(1)
    method.attribute(X, perturbations_per_eval=2)
    method.forward_func = lambda x: x.sum()
    wrong = method.attribute(X, perturbations_per_eval=2)
    assert not torch.allclose(wrong, X.sum(0, keepdim=True))
    right = attriscope.attr.FeatureAblation(lambda x: x.sum()).attribute(X)
    torch.testing.assert_close(right, X.sum(0, keepdim=True))
