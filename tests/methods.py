"""All attribution methods with the arguments that they need, for tests of what they have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from attriscope.attr import (
    LRP,
    Attribution,
    Deconvolution,
    DeepLift,
    DeepLiftShap,
    GradientShap,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    InternalInfluence,
    LayerActivation,
    LayerConductance,
    LayerDeepLift,
    LayerDeepLiftShap,
    LayerFeatureAblation,
    LayerFeaturePermutation,
    LayerGradCam,
    LayerGradientShap,
    LayerGradientXActivation,
    LayerIntegratedGradients,
    LayerLRP,
    NeuronConductance,
    NeuronDeconvolution,
    NeuronDeepLift,
    NeuronDeepLiftShap,
    NeuronFeatureAblation,
    NeuronGradient,
    NeuronGradientShap,
    NeuronGuidedBackprop,
    NeuronIntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from models import draw, seeded


@dataclasses.dataclass(frozen=True)
class Method:
    """A method as contract tests call it, whatever its signature.

    Attributes:
        make: builds it for a model, and a layer if it looks at one.
        options: arguments for ``attribute`` that keep tests quick.
        layered: it looks at a layer.
        targeted: it explains an output.
        path: it integrates, so it takes ``n_steps`` and ``internal_batch_size``.
        random: it draws numbers, of which each example gets its own; here always from the same seed.
        gradient: it needs gradients of the output: one number per example must be explained.
        rules: its backward pass has rules of its own, which refuse operations that they do not know.
        baselines: how many baselines it takes, as a distribution.
    """

    name: str
    make: Callable[..., Attribution]
    options: dict[str, Any]
    layered: bool = False
    targeted: bool = True
    path: bool = False
    random: bool = False
    gradient: bool = True
    rules: bool = False
    baselines: int = 0

    @property
    def neuron(self) -> bool:
        """It stops at a neuron."""
        return "neuron_selector" in self.options

    def on(self, model: Any, layer: Any = "conv") -> Attribution:
        return self.make(model, layer) if self.layered else self.make(model)

    def arguments(self, target: Any = None, **more: Any) -> dict[str, Any]:
        given = {**self.options, **more}
        if self.random:
            given["generator"] = seeded(5)
        if self.baselines:
            given.setdefault("baselines", lambda inputs: baselines_for(inputs, self.baselines))
        return {**given, "target": target} if self.targeted else given

    def attribute(self, model: Any, inputs: Any, target: Any = None, layer: Any = "conv", **more: Any) -> Any:
        return self.on(model, layer).attribute(inputs, **self.arguments(target, **more))


def baselines_for(inputs: Any, count: int) -> Any:
    """A distribution of baselines that fits the inputs."""
    if isinstance(inputs, tuple):
        return tuple(baselines_for(x, count) for x in inputs)
    drawn = draw(count, *inputs.shape[1:], seed=8)
    return drawn.to(device=inputs.device, dtype=inputs.dtype)


def _smoothed(method: Any) -> Callable[..., Attribution]:
    return lambda *given: NoiseTunnel(method(*given))


QUARTERS = torch.tensor([0, 1, 1, 2, 3]).expand(6, 5)
"""Features of what the layers of :class:`Pictures` hold: positions, all channels together."""
_NEURON = {"neuron_selector": (1, 2, 3)}
_NOISE = {"nt_samples": 3, "stdevs": 0.1}

METHODS = (
    Method("Saliency", Saliency, {}),
    Method("Saliency signed", Saliency, {"abs": False}),
    Method("InputXGradient", InputXGradient, {}),
    Method("IntegratedGradients", IntegratedGradients, {"n_steps": 7}, path=True),
    Method(
        "IntegratedGradients sensitivity",
        lambda model: IntegratedGradients(model, multiply_by_inputs=False),
        {"n_steps": 6, "method": "riemann_trapezoid"},
        path=True,
    ),
    Method("GradientShap", GradientShap, {"n_samples": 4}, random=True, baselines=2),
    Method("GuidedBackprop", GuidedBackprop, {}, rules=True),
    Method("Deconvolution", Deconvolution, {}, rules=True),
    Method("DeepLift", DeepLift, {}, rules=True),
    Method("DeepLiftShap", DeepLiftShap, {}, rules=True, baselines=3),
    Method("LRP", LRP, {}, rules=True),
    Method("NoiseTunnel", _smoothed(Saliency), _NOISE, random=True),
    Method("LayerActivation", LayerActivation, {}, layered=True, targeted=False),
    Method("LayerActivation input", LayerActivation, {"attribute_to_layer_input": True}, layered=True, targeted=False),
    Method("LayerGradCam", LayerGradCam, {}, layered=True),
    Method("LayerGradCam input", LayerGradCam, {"attribute_to_layer_input": True}, layered=True),
    Method("LayerGradientXActivation", LayerGradientXActivation, {}, layered=True),
    Method("LayerConductance", LayerConductance, {"n_steps": 6, "baselines": 0.2}, layered=True, path=True),
    Method(
        "LayerConductance input",
        LayerConductance,
        {"n_steps": 6, "method": "riemann_right", "attribute_to_layer_input": True},
        layered=True,
        path=True,
    ),
    Method("InternalInfluence", InternalInfluence, {"n_steps": 7}, layered=True, path=True),
    Method("LayerIntegratedGradients", LayerIntegratedGradients, {"n_steps": 7}, layered=True, path=True),
    Method(
        "LayerIntegratedGradients input",
        LayerIntegratedGradients,
        {"n_steps": 7, "attribute_to_layer_input": True},
        layered=True,
        path=True,
    ),
    Method("LayerGradientShap", LayerGradientShap, {"n_samples": 4}, layered=True, random=True, baselines=2),
    Method("LayerDeepLift", LayerDeepLift, {"baselines": 0.1}, layered=True, rules=True),
    Method("LayerDeepLiftShap", LayerDeepLiftShap, {}, layered=True, rules=True, baselines=3),
    Method("LayerLRP", LayerLRP, {}, layered=True, rules=True),
    Method("LayerFeatureAblation", LayerFeatureAblation, {"layer_mask": QUARTERS}, layered=True, gradient=False),
    Method("LayerFeaturePermutation", LayerFeaturePermutation, {"layer_mask": QUARTERS},
           layered=True, random=True, gradient=False),
    Method("NoiseTunnel at a layer", _smoothed(LayerGradientXActivation), _NOISE, layered=True, random=True),
    Method("NeuronGradient", NeuronGradient, _NEURON, layered=True, targeted=False),
    Method("NeuronGradient input", NeuronGradient,
           {"neuron_selector": (0, 1, slice(1, 3)), "attribute_to_neuron_input": True}, layered=True, targeted=False),
    Method("NeuronIntegratedGradients", NeuronIntegratedGradients, {**_NEURON, "n_steps": 7},
           layered=True, targeted=False, path=True),
    Method("NeuronConductance", NeuronConductance, {**_NEURON, "n_steps": 7}, layered=True, path=True),
    Method("NeuronGradientShap", NeuronGradientShap, {**_NEURON, "n_samples": 4},
           layered=True, targeted=False, random=True, baselines=2),
    Method("NeuronDeepLift", NeuronDeepLift, _NEURON, layered=True, targeted=False, rules=True),
    Method("NeuronDeepLiftShap", NeuronDeepLiftShap, _NEURON, layered=True, targeted=False, rules=True, baselines=3),
    Method("NeuronGuidedBackprop", NeuronGuidedBackprop, _NEURON, layered=True, targeted=False, rules=True),
    Method("NeuronDeconvolution", NeuronDeconvolution, _NEURON, layered=True, targeted=False, rules=True),
    Method("NeuronFeatureAblation", NeuronFeatureAblation, _NEURON,
           layered=True, targeted=False, gradient=False),
    Method("NoiseTunnel for a neuron", _smoothed(NeuronGradient), {**_NEURON, **_NOISE},
           layered=True, targeted=False, random=True),
)  # fmt: skip


def _each(methods: Iterator[Method]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("method", list(methods), ids=lambda m: m.name)


every_method = _each(m for m in METHODS)
every_input_method = _each(m for m in METHODS if not m.layered)
every_targeted_method = _each(m for m in METHODS if m.targeted)
every_path_method = _each(m for m in METHODS if m.path)
every_fixed_method = _each(m for m in METHODS if not m.random)
every_fixed_input_method = _each(m for m in METHODS if not (m.random or m.layered))
every_trainable_method = _each(m for m in METHODS if not m.rules)
every_method_in_both_modes = pytest.mark.parametrize(
    ("method", "training"),
    [
        pytest.param(m, training, id=f"{m.name}{' in training' if training else ''}")
        for m in METHODS
        for training in (False, True)
        # Rules refuse dropout and batch statistics.
        if not (m.rules and training)
    ],
)
