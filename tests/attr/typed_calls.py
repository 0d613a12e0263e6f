"""Calls as users write them, with the types that a type checker must find; test_types.py runs mypy on this file."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from typing_extensions import assert_type

from attriscope.attr import (
    LRP,
    DataLoaderAttribution,
    DeepLift,
    DeepLiftShap,
    Estimate,
    FeatureAblation,
    GradientAttribution,
    GradientShap,
    GuidedGradCam,
    IntegratedGradients,
    KernelShap,
    LayerConductance,
    LayerDeepLiftShap,
    LayerGradCam,
    LayerIntegratedGradients,
    NeuronGradient,
    NoiseTunnel,
    Occlusion,
    PartialResult,
    Saliency,
    ShapleyValues,
    streaming,
)

OneOrMore = Tensor | tuple[Tensor, ...]
PerLayer = Tensor | tuple[Tensor, ...] | list[Tensor | tuple[Tensor, ...]]


def one_form_goes_in_and_comes_out(
    model: nn.Module, x: Tensor, pair: tuple[Tensor, Tensor], named: dict[str, Tensor], either: OneOrMore
) -> None:
    assert_type(Saliency(model).attribute(x, target=1), Tensor)
    assert_type(Saliency(model).attribute(pair), tuple[Tensor, ...])
    assert_type(Saliency(model).attribute(named), dict[str, Tensor])
    assert_type(Saliency(model).attribute(either), OneOrMore)
    assert_type(Saliency(model).attribute(nn.Parameter(x)), Tensor)
    assert_type(FeatureAblation(model).attribute(x), Tensor)
    assert_type(Occlusion(model).attribute(pair, ((3,), (2,))), tuple[Tensor, ...])
    assert_type(ShapleyValues(model).attribute(x), Tensor)
    assert_type(GuidedGradCam(model, "conv").attribute(x), Tensor)


def a_delta_comes_where_it_is_asked_for(model: nn.Module, x: Tensor, pair: tuple[Tensor, Tensor]) -> None:
    path = IntegratedGradients(model)
    assert_type(path.attribute(x, target=1, n_steps=20), Tensor)
    assert_type(path.attribute(x, return_convergence_delta=False), Tensor)
    assert_type(path.attribute(x, return_convergence_delta=True), tuple[Tensor, Tensor])
    assert_type(path.attribute(pair, return_convergence_delta=True), tuple[tuple[Tensor, ...], Tensor])
    assert_type(GradientShap(model).attribute(x, x, return_convergence_delta=True), tuple[Tensor, Tensor])
    assert_type(DeepLift(model).attribute(x), Tensor)
    assert_type(DeepLiftShap(model).attribute(x, x, return_convergence_delta=True), tuple[Tensor, Tensor])
    assert_type(LRP(model).attribute(pair), tuple[Tensor, ...])


def layers_and_neurons(model: nn.Module, x: Tensor) -> None:
    assert_type(LayerGradCam(model, "conv").attribute(x), PerLayer)
    assert_type(LayerConductance(model, "conv").attribute(x), PerLayer)
    deltas = LayerIntegratedGradients(model, "conv").attribute(x, return_convergence_delta=True)
    assert_type(deltas, tuple[PerLayer, Tensor])
    several = LayerDeepLiftShap(model, "conv").attribute(x, x, return_convergence_delta=True)
    assert_type(several, tuple[PerLayer, Tensor])
    assert_type(NeuronGradient(model, "conv").attribute(x, 3), Tensor | list[Tensor])


def estimates_are_estimates(model: nn.Module, x: Tensor) -> None:
    assert_type(IntegratedGradients(model).estimate(x, tolerance=0.1), Estimate)
    assert_type(IntegratedGradients(model).stream(x), Iterator[Estimate])


def what_another_method_decides(model: nn.Module, x: Tensor) -> None:
    assert_type(KernelShap(model).attribute(x, return_input_shape=False), Tensor)
    assert_type(DataLoaderAttribution(FeatureAblation(model)).attribute([x]), OneOrMore)
    NoiseTunnel(Saliency(model)).attribute(x, nt_samples=3).sum()  # as the method inside


class OnesOwn(GradientAttribution):
    @streaming
    def attribute(self, inputs: Tensor, scale: float = 1.0) -> Iterator[PartialResult[Tensor]]:
        yield PartialResult(lambda: inputs * scale)


def a_method_of_ones_own(model: nn.Module, x: Tensor) -> None:
    assert_type(OnesOwn(model).attribute(x, scale=2.0), Tensor)


def what_is_wrong_is_found(model: nn.Module, x: Tensor) -> None:
    """mypy complains of a comment that ignores nothing, so these are errors indeed."""
    Saliency(model).attribute(x, targets=1)  # type: ignore[call-arg]
    IntegratedGradients(model).attribute(x, steps=9)  # type: ignore[call-overload]
    OnesOwn(model).attribute(x, "2")  # type: ignore[arg-type]
    OnesOwn(model).attribute(x).stopped  # type: ignore[attr-defined]  # noqa: B018


def whether_deltas_are_wanted_may_be_known_later(model: nn.Module, x: Tensor, wanted: bool) -> None:
    IntegratedGradients(model).attribute(x, return_convergence_delta=wanted)
    IntegratedGradients(model).attribute(x, None, 0, None, 50, "gausslegendre", None, True)
    LRP(model).attribute(x, 0, None, wanted)
    DeepLiftShap(model).attribute(x, x, 0, None, wanted)
    GradientShap(model).attribute(x, x, return_convergence_delta=wanted)
    LayerConductance(model, "0").attribute(x, return_convergence_delta=wanted)
