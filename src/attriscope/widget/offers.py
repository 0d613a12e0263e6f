"""The methods that the Explorer offers, and how it calls each of them for a picture."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from attriscope import attr
from attriscope.attr import Attribution
from attriscope.attr.baselines import blur, mean
from attriscope.core.errors import InputError
from attriscope.core.inputs import Examples
from attriscope.core.layer_map import LayerInfo


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a method is asked about.

    Attributes:
        examples: one picture, of shape (1, C, H, W), and the model's other arguments.
        start: the baseline, of the same shape.
        target: the explained output.
        layers: what the model is made of.
    """

    examples: Examples
    start: Tensor
    target: Any
    layers: Sequence[LayerInfo]

    @property
    def picture(self) -> Tensor:
        return self.examples.tensors[0]

    def cells(self, side: int) -> Tensor:
        """The picture cut into side x side cells, each one feature: ids of shape (1, 1, H, W)."""
        height, width = self.picture.shape[2:]
        across = torch.arange(width, device=self.picture.device) * side // width
        down = torch.arange(height, device=self.picture.device) * side // height
        return (down[:, None] * side + across)[None, None]

    def windows(self, parts: int) -> dict[str, Any]:
        """A window of one part of each side, moved by half of itself."""
        channels, *sides = self.picture.shape[1:]
        window = [max(1, side // parts) for side in sides]
        strides = [max(1, side // 2) for side in window]
        return {"sliding_window_shapes": (channels, *window), "strides": (channels, *strides)}

    def spread(self, share: float) -> float:
        """A share of the range of the picture's values, as the strength of noise."""
        return share * float(self.picture.amax() - self.picture.amin())

    def last_convolution(self) -> str:
        """The path of the last convolution that gave a map."""
        found = [row.name for row in self.layers if row.kind.startswith("Conv") and len(row.shape or ()) == 4]
        if not found:
            raise InputError("the model has no convolution that gives a map, which this method needs")
        return found[-1]


@dataclasses.dataclass(frozen=True)
class Offer:
    """A method on offer.

    Attributes:
        method: its class.
        options: the arguments beyond inputs, target and forward arguments.
        note: what the Explorer has settled for the user.
        make: builds it for a model.
        label: what people call it.
    """

    method: type[Attribution]
    options: Callable[[Asked], dict[str, Any]] = lambda asked: {}
    note: str = ""
    make: Callable[[Any, Asked], Attribution] | None = None
    label: str = ""

    @property
    def name(self) -> str:
        return self.method.__name__

    @property
    def title(self) -> str:
        return self.label or self.method.get_name()

    @property
    def compares(self) -> bool:
        """Whether the answer depends on the baseline."""
        return "baselines" in inspect.signature(self.method.attribute).parameters

    @property
    def doc(self) -> str:
        """What it is, in a line or two."""
        first = inspect.cleandoc(self.method.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        return f"{first} {self.note}".strip()

    def call(self, model: Any, asked: Asked) -> tuple[Attribution, dict[str, Any]]:
        """The method for a model, and the keyword arguments of its ``attribute`` and ``stream``."""
        method = self.make(model, asked) if self.make else self.method(model)
        asks = {
            "inputs": asked.picture,
            "target": asked.target,
            "additional_forward_args": asked.examples.arguments or None,
        }
        return method, {**asks, **self.options(asked)}


def _against(asked: Asked) -> dict[str, Any]:
    return {"baselines": asked.start}


_OFFERS = (
    Offer(attr.IntegratedGradients, _against),
    Offer(attr.Saliency, lambda asked: {"abs": False}, "Shown with its sign."),
    Offer(attr.InputXGradient),
    Offer(
        attr.NoiseTunnel,
        lambda asked: {"nt_samples": 20, "stdevs": asked.spread(0.15), "abs": False},
        "The gradient averaged over 20 noisy copies of the picture; the noise is 15 percent of its range.",
        lambda model, asked: attr.NoiseTunnel(attr.Saliency(model)),
        "SmoothGrad",
    ),
    Offer(
        attr.GradientShap,
        lambda asked: {**_against(asked), "n_samples": 25, "stdevs": asked.spread(0.05)},
        "25 samples with noise of 5 percent of the picture's range.",
    ),
    Offer(attr.DeepLift, _against),
    Offer(
        attr.DeepLiftShap,
        lambda asked: {"baselines": torch.cat([asked.start, mean(asked.picture), blur(asked.picture)])},
        "Against the baseline, the mean colour and the blurred picture.",
    ),
    Offer(attr.GuidedBackprop),
    Offer(attr.Deconvolution),
    Offer(
        attr.GuidedGradCam,
        note="Grad-CAM at the last convolution.",
        make=lambda model, asked: attr.GuidedGradCam(model, asked.last_convolution()),
    ),
    Offer(attr.LRP),
    Offer(
        attr.Occlusion,
        lambda asked: {**_against(asked), **asked.windows(8)},
        "A window of an eighth of each side, moved by half of itself.",
    ),
    Offer(
        attr.FeatureAblation,
        lambda asked: {**_against(asked), "feature_mask": asked.cells(12)},
        "12 by 12 cells, each replaced by the baseline.",
    ),
    Offer(
        attr.ShapleyValues,
        lambda asked: {**_against(asked), "feature_mask": asked.cells(3)},
        "3 by 3 cells, exactly: 512 coalitions.",
    ),
    Offer(
        attr.ShapleyValueSampling,
        lambda asked: {**_against(asked), "feature_mask": asked.cells(6), "n_samples": 12},
        "6 by 6 cells, 12 permutations.",
    ),
    Offer(
        attr.KernelShap,
        lambda asked: {**_against(asked), "feature_mask": asked.cells(6), "n_samples": 400},
        "6 by 6 cells, 400 coalitions.",
    ),
    Offer(
        attr.Lime,
        lambda asked: {**_against(asked), "feature_mask": asked.cells(6), "n_samples": 400},
        "6 by 6 cells, 400 samples.",
    ),
)

OFFERS: dict[str, Offer] = {offer.name: offer for offer in _OFFERS}
