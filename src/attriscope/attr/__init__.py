"""Attribution methods, under Captum's names and signatures."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from attriscope.attr import baselines
from attriscope.attr._base import (
    Attribution,
    GradientAttribution,
    LayerAttribution,
    NeuronAttribution,
    PerturbationAttribution,
    streams,
)
from attriscope.attr.baselines import ProductBaselines
from attriscope.attr.cam import LayerGradCam
from attriscope.attr.deeplift import DeepLift, DeepLiftShap
from attriscope.attr.embeddings import (
    InterpretableEmbeddingBase,
    TokenReferenceBase,
    configure_interpretable_embedding_layer,
    interpretable_embedding,
    remove_interpretable_embedding_layer,
)
from attriscope.attr.gradient_shap import GradientShap
from attriscope.attr.gradients import InputXGradient, Saliency
from attriscope.attr.guided import Deconvolution, GuidedBackprop, GuidedGradCam
from attriscope.attr.layers import LayerActivation
from attriscope.attr.lrp import LRP
from attriscope.attr.noise import NoiseTunnel
from attriscope.attr.paths import IntegratedGradients
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

if TYPE_CHECKING:
    from attriscope.attr import visualization as visualization

__all__ = [
    "LRP",
    "MSE",
    "Attribution",
    "ClassSummarizer",
    "CommonStats",
    "Count",
    "Deconvolution",
    "DeepLift",
    "DeepLiftShap",
    "GradientAttribution",
    "GradientShap",
    "GuidedBackprop",
    "GuidedGradCam",
    "InputXGradient",
    "IntegratedGradients",
    "InterpretableEmbeddingBase",
    "LayerActivation",
    "LayerAttribution",
    "LayerGradCam",
    "Max",
    "Mean",
    "Min",
    "NeuronAttribution",
    "NoiseTunnel",
    "PerturbationAttribution",
    "ProductBaselines",
    "Saliency",
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
    "interpretable_embedding",
    "remove_interpretable_embedding_layer",
    "streams",
    "visualization",
]


def __getattr__(name: str) -> Any:
    if name == "visualization":  # loaded when it is used, as it needs matplotlib
        return importlib.import_module("attriscope.attr.visualization")
    raise AttributeError(f"module 'attriscope.attr' has no attribute {name!r}")
