"""Devices: nothing on the way looks at a number, and everything stays where the inputs are."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attriscope import attr
from attriscope.attr import IntegratedGradients, LayerGradCam, linear
from attriscope.attr.perturbation import lime
from attriscope.zoo import efficientnet_lite0
from methods import METHODS, Method, every_method
from models import Snapshot, assert_same, draw, elsewhere, pair, pictures, seeded, tensors_in

X = draw(3, 2, 6, 5)
TARGET = [0, 3, 1]
MASK = torch.arange(60).reshape(1, 2, 6, 5) // 8  # 8 features
MASKS = torch.cat([MASK, MASK.flip(1), MASK // 2])


@pytest.mark.parametrize("method", [m for m in METHODS if m.gradient], ids=lambda m: m.name)
@pytest.mark.parametrize("target", [1, [0, 3, 1]], ids=["one", "each"])
def test_shapes_can_be_worked_out_without_data(method: Method, target: Any) -> None:
    """Any ``.item()``, ``.cpu()`` or branch on a number would fail on the meta device, and be slow on a GPU."""
    found = method.attribute(pictures().to("meta"), X.to("meta"), target)
    expected = method.attribute(pictures(), X, target)
    assert found.is_meta
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)


def test_a_real_network_without_data() -> None:
    with torch.device("meta"):
        model = efficientnet_lite0(pretrained=False)
        x = torch.empty(2, 3, 224, 224)
        start = torch.empty(1, 3, 224, 224)
    found, delta = IntegratedGradients(model).attribute(
        x, start, target=[1, 999], internal_batch_size=40, return_convergence_delta=True
    )
    assert found.is_meta
    assert found.shape == x.shape
    assert delta.shape == (2,)
    cam = LayerGradCam(model, "blocks.15").attribute(x, target=5)
    assert cam.shape == (2, 1, 7, 7)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_method
@pytest.mark.parametrize("target", [1, [0, 3, 1]], ids=["one", "each"])
def test_cuda_gives_the_numbers_of_the_cpu(method: Method, target: Any) -> None:
    model, x = pictures().cuda(), X.cuda()
    before = Snapshot(model, (x,))
    found = method.attribute(model, x, target)
    before.check()
    assert found.device == x.device
    torch.testing.assert_close(found.cpu(), method.attribute(pictures(), X, target), rtol=1e-9, atol=1e-11)


# --- whatever torch's default device is -----------------------------------------------------------------------------


def on(kind: Callable[..., Any], x: Any = X, target: Any = TARGET, **options: Any) -> Callable[[], Any]:
    """A call of a method that explains pictures."""
    explainer = kind(pictures())
    return lambda: explainer.attribute(x, target=target, **options)


def on_pairs(kind: Callable[..., Any], **options: Any) -> Callable[[], Any]:
    """The same with two inputs, and targets from numpy."""
    explainer, inputs = kind(pair()), (draw(3, 4), draw(3, 2, 3, seed=1))
    return lambda: explainer.attribute(inputs, target=np.array([0, 2, 1]), **options)


def on_data(kind: Callable[..., Any], **options: Any) -> Callable[[], Any]:
    explainer = attr.DataLoaderAttribution(kind(pictures()))
    return lambda: explainer.attribute([X, X[:2]], feature_mask=MASK, **options)


def counting(model: Any) -> Any:
    """A model that gives a plain number."""
    return attr.FeatureAblation(lambda x: int((model(x) * 10).round().sum()))


def permuting(model: Any) -> Any:
    return attr.FeaturePermutation(model, lambda x, mask: torch.where(mask, x.flip(0), x))


def at_a_neuron(model: Any) -> Any:
    return attr.At(attr.FeatureAblation, model, layer="conv", neuron=attr.Neuron("block", (1, 2, 3)))


def smoothed_paths(model: Any) -> Any:
    return attr.NoiseTunnel(IntegratedGradients(model))


def lime_by_hand(model: Any) -> Any:
    """LimeBase with the parts that Lime has."""
    weights = attr.get_exp_kernel_similarity_function("euclidean", 9.0)
    draws, mixes = lime.default_perturb_func, lime.default_from_interp_rep_transform
    return attr.LimeBase(model, linear.Ridge(), weights, draws, True, mixes, None)


def kernel_shap_by_hand(model: Any) -> Any:
    """Lime with the weights and samples that are methods of KernelShap."""
    its = attr.KernelShap(model)
    weights, draws = its.kernel_shap_similarity_kernel, its.kernel_shap_perturb_generator
    return attr.Lime(model, linear.LinearRegression(), weights, draws)


def lime_base(model: Any) -> Any:
    def perturb(original: Any, **_: Any) -> Tensor:
        return torch.randint(2, (1, 8), device="cpu")

    def onto(point: Tensor, original: Any, **_: Any) -> Tensor:
        return torch.where(point[0, MASK] != 0, original, 0.0)

    return attr.LimeBase(model, linear.Lasso(0.01), lambda *_, **__: 0.5, perturb, True, onto, None)


def sklearn_fit(model: linear.SkLearnLinearModel, y: Tensor) -> Any:
    model.fit([(X.flatten(1), y, torch.ones_like(y))])
    return [*tensors_in((model.representation(), model.bias(), model.classes()))]


def summary(*values: Any) -> list[Any]:
    summarizer = attr.Summarizer(attr.CommonStats())
    for value in values:
        summarizer.update(value)
    return [*summarizer.summary.values()]


MASKED = {"feature_mask": MASK, "perturbations_per_eval": 4}
CALLS: dict[str, Callable[[], Any]] = {
    **{m.name: functools.partial(m.attribute, pictures(), X, TARGET) for m in METHODS},
    "FeatureAblation": on(attr.FeatureAblation, perturbations_per_eval=7),
    "FeatureAblation, masks": on(attr.FeatureAblation, feature_mask=MASKS, perturbations_per_eval=4),
    "FeatureAblation of numbers": on(counting, target=None, feature_mask=MASK),
    "FeatureAblation of a chosen number": on(
        attr.FeatureAblation, target=lambda output: int(output.sum() * 10), feature_mask=MASK),
    "FeaturePermutation": on(attr.FeaturePermutation, **MASKED),
    "FeaturePermutation, own": on(permuting, perturbations_per_eval=7),
    "Occlusion": on(attr.Occlusion, sliding_window_shapes=(2, 3, 3), strides=2, perturbations_per_eval=4),
    "ShapleyValues": on(attr.ShapleyValues, **MASKED),
    "ShapleyValueSampling": on(attr.ShapleyValueSampling, n_samples=7, **MASKED),
    "ShapleyValueSampling, two orders": on(attr.ShapleyValueSampling, n_samples=2, **MASKED),
    "ShapleyValueSampling of pairs": on_pairs(attr.ShapleyValueSampling, n_samples=5, perturbations_per_eval=4),
    "KernelShap": on(attr.KernelShap, n_samples=50, **MASKED),
    "KernelShap, few": on(attr.KernelShap, n_samples=25, **MASKED),
    "KernelShap, many features": on(attr.KernelShap, n_samples=90, perturbations_per_eval=9),
    "KernelShap, coefficients": on(
        attr.KernelShap, n_samples=25, perturbations_per_eval=4, return_input_shape=False),
    "KernelShap, exact": on(attr.KernelShap, n_samples=256, **MASKED),
    "Lime": on(attr.Lime, n_samples=30, **MASKED),
    "Lime as KernelShap": on(kernel_shap_by_hand, n_samples=30, **MASKED),
    "LimeBase as Lime": on(
        lime_by_hand, X[:1], 1, feature_mask=MASK, baselines=0.1, num_interp_features=8, perturbations_per_eval=4),
    "LimeBase": on(lime_base, X[:1], 1, n_samples=30, perturbations_per_eval=4),
    "GuidedGradCam": on(lambda model: attr.GuidedGradCam(model, "conv")),
    "At": on(at_a_neuron, target=None, perturbations_per_eval=4),
    "DataLoaderAttribution": on_data(attr.FeatureAblation),
    "DataLoaderAttribution, Shapley": on_data(attr.ShapleyValueSampling, n_samples=4),
    "IntegratedGradients of pairs": on_pairs(IntegratedGradients, baselines=(0.5, 0), n_steps=5),
    "GradientShap of pairs": on_pairs(
        attr.GradientShap, baselines=(draw(2, 4), draw(5, 2, 3)), n_samples=6, stdevs=0.1),
    "GradientShap, delta": on(
        attr.GradientShap, baselines=draw(2, 2, 6, 5), n_samples=7, return_convergence_delta=True),
    "NoiseTunnel, baselines": on(
        smoothed_paths, baselines=draw(2, 2, 6, 5), nt_samples=4, n_steps=3, draw_baseline_from_distrib=True),
    # What stands beside the methods:
    "uniform": lambda: attr.baselines.uniform(X, count=2),
    "noise": lambda: attr.baselines.noise(X, generator=seeded(0)),
    "blur": lambda: attr.baselines.blur(X, 1.0),
    "samples": lambda: attr.baselines.samples((X, X.flatten(1)), 2),
    "samples of a data set": lambda: attr.baselines.samples([(x, 0) for x in X], 2),
    "tokens": lambda: attr.baselines.tokens(MASK, 3, [1, 2]),
    "column_medians": lambda: attr.baselines.column_medians([[1.0, 2.0], [3.0, 5.0]]),
    "ProductBaselines": lambda: attr.ProductBaselines([[1, 2, 3]] * 9).sample(),
    "Summarizer": lambda: summary(2.0, 3),
    "SkLearnRidge": lambda: sklearn_fit(linear.SkLearnRidge(), X[:, 0, 0, 0]),
    "LogisticRegression": lambda: sklearn_fit(
        linear.SkLearnLinearModel("linear_model.LogisticRegression"), MASK.flatten()[::20]),
}  # fmt: skip


def test_every_method_is_among_these_calls() -> None:
    kinds = [vars(attr).get(name) for name in attr.__all__]
    methods = {k.__name__ for k in kinds if isinstance(k, type) and issubclass(k, attr.Attribution)}
    bases = {f"{kind}Attribution" for kind in ("", "Gradient", "Layer", "Neuron", "Perturbation")}
    assert methods - bases <= {re.split(r"\W", name)[0] for name in CALLS}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_default_device_changes_no_number(call: Callable[[], Any]) -> None:
    """Nothing is made, and nothing drawn, where neither inputs nor generators are."""
    torch.manual_seed(3)
    with elsewhere():  # first, so that nothing made there is kept for later
        found = call()
    state = torch.get_rng_state()
    torch.manual_seed(3)
    assert_same(found, call())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_memory_that_runs_out_on_cuda_is_made_do_with() -> None:
    free, _ = torch.cuda.mem_get_info()
    x = torch.randn(8, 1024, device="cuda")

    def hungry(x: torch.Tensor) -> torch.Tensor:
        # 40 rows would need more than there is.
        return (x[:, :1] + torch.zeros(1, free // 40 // 4, device="cuda")).square().mean(1) + x.square().sum(
            1
        )

    found = IntegratedGradients(hungry).attribute(x, n_steps=20, internal_batch_size=160)
    torch.testing.assert_close(found[:, 1:], x[:, 1:].square(), rtol=1e-4, atol=1e-4)
