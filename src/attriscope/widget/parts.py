"""The Explorer's parts. Each draws itself from traits of its own and can stand alone; the Explorer has them all."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import anywidget
import traitlets
from torch import Tensor, nn

from attriscope.attr import IntegratedGradients
from attriscope.core.errors import InputError
from attriscope.core.inputs import describe, gather_examples, require_floating
from attriscope.core.layer_map import LayerInfo, map_layers
from attriscope.widget import wire
from attriscope.widget.pictures import BASELINES, Pictures, ToImage, as_pixels, custom_baseline
from attriscope.widget.walks import Walk, thinned

_STATIC = pathlib.Path(__file__).parent / "static"

SIGNS = ("all", "positive", "negative", "absolute")


class Part(anywidget.AnyWidget):
    """Something that the page bundle draws; ``_part`` says what."""

    _esm = _STATIC / "widget.js"
    _css = _STATIC / "widget.css"
    _part = traitlets.Unicode("explorer").tag(sync=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _data() -> Any:
    """A trait that the kernel fills and the page only reads."""
    return traitlets.Dict().tag(sync=True)


class OverlayTraits(traitlets.HasTraits):
    """A picture with a map over it, and how it is coloured. All of it restyles on the page."""

    picture = _data()
    baseline_picture = _data()
    heat = _data()
    luts = _data()
    opacity = traitlets.Float(0.6, min=0, max=1, help="0 shows the picture alone, 1 the map alone").tag(
        sync=True
    )
    colormap = traitlets.Enum(wire.COLORMAPS, "auto", help="a colour map's name, or auto").tag(sync=True)
    sign = traitlets.Enum(SIGNS, "all", help="which attributions are shown").tag(sync=True)
    outlier_percent = traitlets.Float(
        1.0, min=0, max=99, help="percent of the largest values that the colour scale clips"
    ).tag(sync=True)

    @traitlets.default("luts")
    def _default_luts(self) -> dict[str, wire.Message]:
        return wire.color_tables()


class PredictionTraits(traitlets.HasTraits):
    """The best classes, and the one that is explained."""

    predictions = _data()
    target = traitlets.Any(None, help="the explained output").tag(sync=True)


class PathTraits(traitlets.HasTraits):
    """A position on the path from the baseline (0) to the input (1)."""

    path = _data()
    alpha = traitlets.Float(1.0, min=0, max=1, help="position on the path: 0 baseline, 1 input").tag(
        sync=True
    )


class LayerTraits(traitlets.HasTraits):
    """The model's modules, and the one that is picked."""

    layers: Any = traitlets.List().tag(sync=True)
    layer = traitlets.Unicode(None, allow_none=True, help="path of the picked layer, or None").tag(sync=True)


class Overlay(Part, OverlayTraits):
    """Any attributions over any picture, to restyle by hand.

    Args:
        image: the picture: a tensor (1, C, H, W) for ``to_image``, or what ``to_image`` would return.
        attributions: a tensor of shape (H, W), (C, H, W) or (1, C, H, W); channels are added up. Its height and width
            may be smaller than the picture's.
        title: what it shows; becomes part of the picture's label.
        to_image: see :class:`Explorer`.
        **traits: initial ``opacity``, ``colormap``, ``sign`` or ``outlier_percent``.
    """

    def __init__(
        self,
        image: Any,
        attributions: Tensor,
        title: str = "Attributions",
        to_image: ToImage | None = None,
        **traits: Any,
    ) -> None:
        super().__init__(_part="overlay", **traits)
        of_model = isinstance(image, Tensor) and image.dim() == 4
        pixels = Pictures(image, to_image).show(image) if of_model else as_pixels(image)
        while attributions.dim() < 4:
            attributions = attributions[None]
        self.picture = wire.picture_message(pixels)
        heat = wire.flat_map(attributions)
        self.heat = wire.heat_message(
            heat, title=title, final=True, sum=float(heat.sum()), gap=None, request=None
        )


class Predictions(Part, PredictionTraits):
    """A model's output for one example as a list of classes to pick from; the pick is ``target``.

    Args:
        output: scores or probabilities, of shape (C,) or (1, C).
        class_names: a name for each class, as a sequence or a dict.
        target: the class picked at first; ``None`` picks the best.
    """

    def __init__(
        self,
        output: Tensor,
        class_names: Sequence[str] | dict[int, str] | None = None,
        target: int | None = None,
    ) -> None:
        scores = output.reshape(-1)
        if output.numel() != output.shape[-1]:
            raise InputError(
                f"output must hold one example, of shape (C,) or (1, C), but {describe(output)} came"
            )
        super().__init__(_part="predictions", target=int(scores.argmax()) if target is None else target)
        self.predictions = wire.predictions_message(scores, class_names)


class PathWalk(Part, PathTraits):
    """The prediction along the path from a baseline to the input; the position is ``alpha``.

    Args:
        model, inputs, target, baseline, to_image: see :class:`Explorer`; ``target`` must be given.
        n_steps: points on the path.
    """

    def __init__(
        self,
        model: Any,
        inputs: Tensor,
        target: Any,
        baseline: str | Tensor = "zero",
        to_image: ToImage | None = None,
        n_steps: int = 50,
    ) -> None:
        super().__init__(_part="path")
        examples = gather_examples(inputs)
        require_floating(examples, "PathWalk")
        if isinstance(baseline, str):
            start = Pictures(inputs, to_image).baseline(baseline)
        else:
            start = custom_baseline(baseline, examples)
        walk = Walk(IntegratedGradients(model), examples, start, target, n_steps)
        for _ in walk.steps():
            pass
        self.path = path_message(walk, None, [], "Integrated Gradients", str(target), None)


class LayerPicker(Part, LayerTraits):
    """The tree of a model's modules; the pick is ``layer``.

    Args:
        model: the model.
        *inputs: what to run it with, once, to learn the shapes.
    """

    def __init__(self, model: nn.Module, *inputs: Any) -> None:
        super().__init__(_part="layers")
        self.layers = layer_messages(map_layers(model, lambda: model(*inputs)))


def layer_messages(layers: Sequence[LayerInfo]) -> list[wire.Message]:
    """The rows of the layer tree."""
    return [
        {
            "name": layer.name,
            "kind": layer.kind,
            "depth": layer.depth,
            "parameters": layer.parameters,
            "shape": None if layer.shape is None else list(layer.shape),
            "spatial": layer.shape is not None and len(layer.shape) == 4,
        }
        for layer in layers
    ]


def path_message(
    walk: Walk,
    names: Sequence[str] | dict[int, str] | None,
    classes: Sequence[int],
    title: str,
    target_label: str,
    request: Any,
) -> wire.Message:
    """A finished walk for the page: as many points as are worth sending."""
    kept = thinned(len(walk.positions))
    outputs = walk.outputs
    chances = (
        wire.probabilities(outputs.double())
        if outputs is not None and outputs.dim() == 2 and classes
        else None
    )
    return wire.frames_message(
        walk.frames()[kept],
        alphas=[walk.positions[i] for i in kept],
        scores=walk.scores[kept].tolist(),
        totals=walk.totals()[kept].tolist(),
        classes=[{"index": i, "label": wire.class_label(i, names)} for i in classes],
        probabilities=[] if chances is None else chances[kept][:, list(classes)].T.tolist(),
        title=title,
        target_label=target_label,
        request=request,
    )


BASELINE_CHOICES = [{"name": name, "label": label} for name, label in BASELINES.items()]
