"""Attribution methods, under Captum's names and signatures: which part of the input made the model say that?

Each takes a model and has ``attribute(inputs, ...)``, which returns attributions in the form of the inputs; ``stream``
and ``estimate`` give them while they improve, with their inaccuracy and cost (:class:`Estimate`).

====================================  ===============================================================================
gradients                             :class:`Saliency`, :class:`InputXGradient`, :class:`IntegratedGradients`,
                                      :class:`GradientShap`
rules on the backward pass            :class:`DeepLift`, :class:`DeepLiftShap`, :class:`LRP`, :class:`GuidedBackprop`,
                                      :class:`Deconvolution`; the rules are in :mod:`attriscope.attr.rules` and
                                      :mod:`attriscope.attr.lrp_rules`
outputs only                          :class:`FeatureAblation`, :class:`FeaturePermutation`, :class:`Occlusion`,
                                      :class:`ShapleyValues`, :class:`ShapleyValueSampling`, :class:`KernelShap`,
                                      :class:`Lime` with models of :mod:`attriscope.attr.linear`; some of them
                                      against a :class:`Background` of several baselines
inside a model                        ``Layer...`` and ``Neuron...`` of these, :class:`LayerGradCam`,
                                      :class:`GuidedGradCam`, and :class:`At` for any method at any place
around a method                       :class:`NoiseTunnel`, :class:`DataLoaderAttribution`
beside them                           :mod:`attriscope.attr.baselines`, :mod:`attriscope.attr.targets` (segmentation,
                                      boxes, likeness), :mod:`attriscope.attr.visualization`, :class:`Summarizer`
====================================  ===============================================================================

A method of one's own derives from :class:`Attribution` or one of its kinds; :func:`streaming` shows one. How a method
gets from ``attribute`` to the model is told in :mod:`attriscope.attr._streaming`. How good an explanation is, is for
:mod:`attriscope.metrics` to say.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from attriscope.attr import baselines, linear, targets
from attriscope.attr._base import (
    Attribution,
    GradientAttribution,
    LayerAttribution,
    NeuronAttribution,
    PerturbationAttribution,
)
from attriscope.attr._streaming import streaming
from attriscope.attr.at import At, Neuron
from attriscope.attr.baselines import ProductBaselines
from attriscope.attr.dataloader import DataLoaderAttribution, InputRole
from attriscope.attr.deep_lift import DeepLift, DeepLiftShap
from attriscope.attr.embeddings import (
    InterpretableEmbeddingBase,
    TokenReferenceBase,
    configure_interpretable_embedding_layer,
    interpretable_embedding,
    remove_interpretable_embedding_layer,
)
from attriscope.attr.gradient_shap import GradientShap
from attriscope.attr.guided_backprop import Deconvolution, GuidedBackprop, GuidedGradCam
from attriscope.attr.input_wrapper import ModelInputWrapper
from attriscope.attr.input_x_gradient import InputXGradient
from attriscope.attr.integrated_gradients import IntegratedGradients
from attriscope.attr.layer.activation import LayerActivation, LayerGradientXActivation
from attriscope.attr.layer.feature_ablation import LayerFeatureAblation, LayerFeaturePermutation
from attriscope.attr.layer.grad_cam import LayerGradCam
from attriscope.attr.layer.gradient_shap import LayerGradientShap
from attriscope.attr.layer.integrated_gradients import (
    InternalInfluence,
    LayerConductance,
    LayerIntegratedGradients,
)
from attriscope.attr.layer.propagation import LayerDeepLift, LayerDeepLiftShap, LayerLRP
from attriscope.attr.lrp import LRP
from attriscope.attr.neuron.feature_ablation import NeuronFeatureAblation
from attriscope.attr.neuron.gradient import NeuronGradient
from attriscope.attr.neuron.gradient_shap import NeuronGradientShap
from attriscope.attr.neuron.integrated_gradients import NeuronConductance, NeuronIntegratedGradients
from attriscope.attr.neuron.propagation import (
    NeuronDeconvolution,
    NeuronDeepLift,
    NeuronDeepLiftShap,
    NeuronGuidedBackprop,
)
from attriscope.attr.noise_tunnel import NoiseTunnel
from attriscope.attr.perturbation.background import Background
from attriscope.attr.perturbation.feature_ablation import FeatureAblation
from attriscope.attr.perturbation.feature_permutation import FeaturePermutation
from attriscope.attr.perturbation.kernel_shap import KernelShap
from attriscope.attr.perturbation.lime import Lime, LimeBase
from attriscope.attr.perturbation.occlusion import Occlusion
from attriscope.attr.perturbation.shapley import ShapleyValues, ShapleyValueSampling
from attriscope.attr.perturbation.similarity import get_exp_kernel_similarity_function
from attriscope.attr.saliency import Saliency
from attriscope.attr.statistics import (
    MSE,
    CommonStats,
    Count,
    Max,
    Mean,
    Min,
    Stat,
    StatValue,
    StdDev,
    Sum,
    Var,
)
from attriscope.attr.summarizers import ClassSummarizer, Summarizer, SummarizerSingleTensor
from attriscope.core.estimate import Estimate, PartialResult
from attriscope.core.hooks import Call

if TYPE_CHECKING:
    from attriscope.attr import visualization as visualization

__all__ = [
    "LRP",
    "MSE",
    "At",
    "Attribution",
    "Background",
    "Call",
    "ClassSummarizer",
    "CommonStats",
    "Count",
    "DataLoaderAttribution",
    "Deconvolution",
    "DeepLift",
    "DeepLiftShap",
    "Estimate",
    "FeatureAblation",
    "FeaturePermutation",
    "GradientAttribution",
    "GradientShap",
    "GuidedBackprop",
    "GuidedGradCam",
    "InputRole",
    "InputXGradient",
    "IntegratedGradients",
    "InternalInfluence",
    "InterpretableEmbeddingBase",
    "KernelShap",
    "LayerActivation",
    "LayerAttribution",
    "LayerConductance",
    "LayerDeepLift",
    "LayerDeepLiftShap",
    "LayerFeatureAblation",
    "LayerFeaturePermutation",
    "LayerGradCam",
    "LayerGradientShap",
    "LayerGradientXActivation",
    "LayerIntegratedGradients",
    "LayerLRP",
    "Lime",
    "LimeBase",
    "Max",
    "Mean",
    "Min",
    "ModelInputWrapper",
    "Neuron",
    "NeuronAttribution",
    "NeuronConductance",
    "NeuronDeconvolution",
    "NeuronDeepLift",
    "NeuronDeepLiftShap",
    "NeuronFeatureAblation",
    "NeuronGradient",
    "NeuronGradientShap",
    "NeuronGuidedBackprop",
    "NeuronIntegratedGradients",
    "NoiseTunnel",
    "Occlusion",
    "PartialResult",
    "PerturbationAttribution",
    "ProductBaselines",
    "Saliency",
    "ShapleyValueSampling",
    "ShapleyValues",
    "Stat",
    "StatValue",
    "StdDev",
    "Sum",
    "Summarizer",
    "SummarizerSingleTensor",
    "TokenReferenceBase",
    "Var",
    "baselines",
    "configure_interpretable_embedding_layer",
    "get_exp_kernel_similarity_function",
    "interpretable_embedding",
    "linear",
    "remove_interpretable_embedding_layer",
    "streaming",
    "targets",
    "visualization",
]


def __getattr__(name: str) -> Any:
    if name == "visualization":  # loaded when it is used, as it needs matplotlib
        return importlib.import_module("attriscope.attr.visualization")
    raise AttributeError(f"module 'attriscope.attr' has no attribute {name!r}")
