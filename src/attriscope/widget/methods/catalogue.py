"""The library's methods as the Explorer offers them: where it departs from their signatures, what it settles itself.

To offer another one, add a :class:`~attriscope.widget.methods.spec.MethodSpec` to one of the two tables at the end. Its
label is what the page calls it, as the paper does; ``known_as`` is what else Python takes for its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from attriscope import attr
from attriscope.attr import Attribution
from attriscope.attr.quadrature import quadrature
from attriscope.attr.rules.composites import COMPOSITES, composite
from attriscope.widget.methods.arguments import CodeValue, MethodInputs, as_code, range_of
from attriscope.widget.methods.parameters import Parameter
from attriscope.widget.methods.spec import MethodSpec


def _are_pictures(inputs: Tensor) -> bool:
    return inputs.dim() == 4


def _has_places(inputs: Tensor) -> bool:
    return inputs.dim() > 2


# Two to the power of this many coalitions of columns are evaluated in a second or two by a model of a table.
_FEW_FEATURES = 12


def _few_features(inputs: Tensor) -> bool:
    """Whether all coalitions of the features can be asked for: of a picture these are cells."""
    return _are_pictures(inputs) or inputs[0].numel() <= _FEW_FEATURES


def _several_references(inputs: Tensor) -> bool:
    """Whether there is more than one baseline to compare with: of a table these are its rows."""
    return _are_pictures(inputs) or len(inputs) > 1


def _samples(inputs: Tensor) -> dict[str, Any]:
    """Samples for a linear model of the features, of which a table may have hundreds."""
    return {"n_samples": 400 if _are_pictures(inputs) else max(400, 2 * inputs[0].numel() + 200)}


def _cells(side: int, most: int) -> Callable[[Tensor], tuple[Parameter, ...]]:
    """So many cells along each side unless the picture has fewer pixels; other inputs are not cut."""

    def own(pictures: Tensor) -> tuple[Parameter, ...]:
        if not _are_pictures(pictures):
            return ()
        pixels = min(pictures.shape[2:])
        doc = "cells along each side of the picture; a cell's pixels go together, as one feature."
        return (Parameter("cells", "int", min(side, pixels), doc, 1, min(most, pixels)),)

    return own


def _window(pictures: Tensor) -> tuple[Parameter, ...]:
    pixels = min(pictures.shape[2:])
    return (
        Parameter(
            "window",
            "int",
            max(1, pixels // 8),
            "side of the window that hides the picture, in pixels.",
            1,
            pixels,
        ),
        Parameter("moves_per_window", "int", 2, "in how many steps the window moves by its own side.", 1, 16),
    )


def _noise(share: float, **others: Any) -> Callable[[Tensor], dict[str, Any]]:
    """Noise of a share of the range of the inputs' values, in three digits."""
    return lambda pictures: {"stdevs": float(f"{share * range_of(pictures):.3g}"), **others}


def _signed(pictures: Tensor) -> dict[str, Any]:
    return {"abs": False}


def _absolute(pictures: Tensor) -> tuple[Parameter, ...]:
    return (Parameter("abs", "bool", False, "smooth absolute values of the gradient.", home="attribute"),)


def _smoothed(model: Any, inputs: MethodInputs) -> tuple[Attribution, CodeValue]:
    return attr.NoiseTunnel(attr.Saliency(model)), CodeValue(None, "NoiseTunnel(Saliency(model))")


def _guided(model: Any, inputs: MethodInputs) -> tuple[Attribution, CodeValue]:
    layer = inputs.last_convolution()
    return attr.GuidedGradCam(model, layer.value), CodeValue(None, f"GuidedGradCam(model, {layer.code})")


def _composite(pictures: Tensor) -> tuple[Parameter, ...]:
    """Which rules LRP goes by, and their numbers."""
    doc = (
        "rules of the layers. default: as the model's modules say, else each output divided by its contributions; "
        "epsilon or gamma: that rule for all convolutions and linear layers; epsilon-gamma, epsilon-plus, "
        "epsilon-alpha2-beta1: epsilon for linear layers, and gamma, or only positive, or alpha 2 and beta 1 for "
        "convolutions."
    )
    choices = ("default", *COMPOSITES)
    return (
        Parameter("composite", "choice", "default", doc, choices=choices),
        Parameter(
            "epsilon", "float", 1e-6, "of the epsilon rule, in the units of a layer's output.", 0, None
        ),
        Parameter(
            "gamma", "float", 0.25, "of the gamma rule: positive weights count 1 + gamma times.", 0, None
        ),
    )


def _lrp(model: Any, inputs: MethodInputs) -> tuple[Attribution, CodeValue]:
    name, epsilon, gamma = (inputs.values[one] for one in ("composite", "epsilon", "gamma"))
    if name == "default":
        return attr.LRP(model), CodeValue(None, "LRP(model)")
    rules = composite(model, name, epsilon, gamma)
    numbers = {"epsilon": epsilon if name != "gamma" else None, "gamma": gamma if "gamma" in name else None}
    given = "".join(f", {one}={value!r}" for one, value in numbers.items() if value is not None)
    code = f"LRP(model, rules=composite(model, {as_code(name)}{given}))"
    return attr.LRP(model, rules), CodeValue(
        None, code, ("from attriscope.attr.lrp_rules import composite", "")
    )


def _some_references(inputs: MethodInputs) -> dict[str, CodeValue]:
    """At least two baselines."""
    return inputs.together(*(() if len(inputs.baselines) > 1 else inputs.references))


def _settle_path(values: dict[str, Any]) -> object:
    return quadrature(values.get("method", "gausslegendre"), values["n_steps"])


_INPUT_METHODS = (
    MethodSpec(
        attr.IntegratedGradients,
        "each",
        check=_settle_path,
        label="Integrated gradients",
        known_as=("IG", "integrated gradient"),
    ),
    MethodSpec(
        attr.Saliency,
        defaults=_signed,
        note="Shown with its sign.",
        known_as=("gradient", "gradients", "vanilla gradient", "saliency map"),
        quick=True,
    ),
    MethodSpec(
        attr.InputXGradient,
        label="Input x gradient",
        known_as=("input times gradient", "gradient x input", "gradient times input", "input * gradient"),
        quick=True,
    ),
    MethodSpec(
        attr.NoiseTunnel,
        defaults=_noise(0.15, nt_samples=20),
        own=_absolute,
        note="The gradient averaged over noisy copies of the input.",
        picture_note="The noise is 15 percent of its range.",
        note_elsewhere="The noise is 15 percent of the middle column's range.",
        make=_smoothed,
        label="SmoothGrad",
        known_as=("smooth gradient",),
    ),
    MethodSpec(
        attr.GradientShap,
        "together",
        defaults=_noise(0.05, n_samples=25),
        picture_note="Samples with noise of 5 percent of the picture's range.",
        note_elsewhere="Samples with noise of 5 percent of the middle column's range.",
        label="GradientSHAP",
        known_as=("SHAP", "expected gradients"),
        adds_up=True,
    ),
    MethodSpec(attr.DeepLift, "each", label="DeepLIFT", quick=True),
    MethodSpec(
        attr.DeepLiftShap,
        "together",
        options=_some_references,
        picture_note="Against the baseline, the mean colour and the blurred picture, or against several baselines of "
        "your own.",
        note_elsewhere="Against the baseline and up to 20 of the rows, or against several baselines of your own.",
        fits=_several_references,
        label="Deep SHAP",
        known_as=("SHAP", "DeepLIFT SHAP"),
        quick=True,
    ),
    MethodSpec(
        attr.GuidedBackprop, label="Guided backpropagation", known_as=("guided backprop",), quick=True
    ),
    MethodSpec(attr.Deconvolution, known_as=("deconv", "DeconvNet"), quick=True),
    MethodSpec(
        attr.GuidedGradCam,
        note="Grad-CAM at the last convolution.",
        make=_guided,
        fits=_are_pictures,
        label="Guided Grad-CAM",
        quick=True,
    ),
    MethodSpec(
        attr.LRP,
        own=_composite,
        make=_lrp,
        known_as=("layer-wise relevance propagation", "relevance propagation"),
        quick=True,
        sign=-1,
    ),
    MethodSpec(
        attr.Occlusion,
        "each",
        own=_window,
        options=MethodInputs.windows,
        fits=_are_pictures,
        picture_note="A window moves over the picture.",
        known_as=("sliding window",),
    ),
    MethodSpec(
        attr.FeatureAblation,
        "each",
        own=_cells(12, 64),
        options=MethodInputs.cells,
        picture_note="Cells of the picture, each replaced by the baseline.",
        label="Feature ablation",
        known_as=("ablation",),
    ),
    MethodSpec(
        attr.ShapleyValues,
        "each",
        fits=_few_features,
        own=_cells(3, 4),
        options=MethodInputs.cells,
        picture_note="Exactly, for few cells: 3 by 3 are 512 coalitions.",
        label="Shapley values",
        known_as=("Shapley", "Shapley value"),
        adds_up=True,
    ),
    MethodSpec(
        attr.ShapleyValueSampling,
        "each",
        defaults=lambda pictures: {"n_samples": 12},
        own=_cells(6, 32),
        options=MethodInputs.cells,
        picture_note="Cells of the picture; samples are orders.",
        label="Shapley value sampling",
        known_as=("Shapley", "Shapley sampling"),
        adds_up=True,
    ),
    MethodSpec(
        attr.KernelShap,
        "each",
        defaults=_samples,
        limits={"n_samples": (2, 100_000)},
        own=_cells(6, 32),
        options=MethodInputs.cells,
        picture_note="Cells of the picture; samples are coalitions.",
        label="Kernel SHAP",
        known_as=("SHAP",),
        adds_up=True,
    ),
    MethodSpec(
        attr.Lime,
        "each",
        defaults=_samples,
        limits={"n_samples": (2, 100_000)},
        own=_cells(6, 32),
        options=MethodInputs.cells,
        picture_note="Cells of the picture.",
        label="LIME",
    ),
)

INPUT_METHODS: dict[str, MethodSpec] = {spec.name: spec for spec in _INPUT_METHODS}


_INSIDE_METHODS = (
    # Of what it adds up over positions, a row of units has only one.
    MethodSpec(attr.LayerGradCam, label="Grad-CAM", place="layer", fits=_has_places, quick=True),
    MethodSpec(
        attr.LayerActivation, label="Activation", known_as=("activations",), place="layer", quick=True
    ),
    MethodSpec(
        attr.LayerGradientXActivation,
        label="Gradient x activation",
        known_as=("gradient times activation",),
        place="layer",
        quick=True,
    ),
    MethodSpec(attr.LayerConductance, "each", label="Conductance", place="layer", check=_settle_path),
    MethodSpec(
        attr.LayerIntegratedGradients,
        "each",
        label="Integrated gradients",
        known_as=("IG",),
        place="layer",
        check=_settle_path,
    ),
    MethodSpec(attr.InternalInfluence, "each", label="Internal influence", place="layer", check=_settle_path),
    MethodSpec(
        attr.NeuronGradient, label="Gradient", known_as=("gradients", "saliency"), place="neuron", quick=True
    ),
    MethodSpec(
        attr.NeuronIntegratedGradients,
        "each",
        label="Integrated gradients",
        known_as=("IG",),
        place="neuron",
        check=_settle_path,
    ),
    MethodSpec(attr.NeuronConductance, "each", label="Conductance", place="neuron", check=_settle_path),
    MethodSpec(
        attr.NeuronGuidedBackprop,
        label="Guided backpropagation",
        known_as=("guided backprop",),
        place="neuron",
        quick=True,
    ),
    MethodSpec(attr.NeuronDeepLift, "each", label="DeepLIFT", place="neuron", quick=True),
)
INSIDE_METHODS: Mapping[str, MethodSpec] = {spec.name: spec for spec in _INSIDE_METHODS}
