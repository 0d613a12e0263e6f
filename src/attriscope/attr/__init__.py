"""Attribution methods, under Captum's names and signatures."""

from __future__ import annotations

from attriscope.attr._base import (
    Attribution,
    GradientAttribution,
    LayerAttribution,
    NeuronAttribution,
    PerturbationAttribution,
    streams,
)
from attriscope.attr.cam import LayerGradCam
from attriscope.attr.gradients import InputXGradient, Saliency
from attriscope.attr.layers import LayerActivation
from attriscope.attr.paths import IntegratedGradients

__all__ = [
    "Attribution",
    "GradientAttribution",
    "InputXGradient",
    "IntegratedGradients",
    "LayerActivation",
    "LayerAttribution",
    "LayerGradCam",
    "NeuronAttribution",
    "PerturbationAttribution",
    "Saliency",
    "streams",
]
