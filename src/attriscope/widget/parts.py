"""The Explorer's parts. Each draws itself from traits of its own and can stand alone; the Explorer has them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from attriscope.attr import IntegratedGradients
from attriscope.core.errors import InputError
from attriscope.core.inputs import describe, gather_examples, require_floating
from attriscope.widget.messages import wire
from attriscope.widget.messages.types import RawPath
from attriscope.widget.model.images import Pictures, ToImage, as_pixels, custom_baseline
from attriscope.widget.model.path import MeanWalk, Walk, thinned
from attriscope.widget.state.part import Part
from attriscope.widget.state.table import ExplorerTraits
from attriscope.widget.state.traits import also


class Overlay(Part):
    """Any attributions over any picture, to restyle by hand.

    Args:
        image: the picture: a tensor (1, C, H, W) for ``to_image``, or what ``to_image`` would return.
        attributions: a tensor of shape (H, W), (C, H, W) or (1, C, H, W); channels are added up. Its height and width
            may be smaller than the picture's.
        title: what it shows; becomes part of the picture's label.
        to_image: see :class:`Explorer`.
        **traits: initial ``opacity``, ``colormap``, ``sign``, ``mode``, ``outlier_percent`` or ``scale_limit``.
    """

    picture = also(ExplorerTraits.picture)
    baseline_picture = also(ExplorerTraits.baseline_picture)
    heat = also(ExplorerTraits.heat)
    luts = also(ExplorerTraits.luts)
    opacity = also(ExplorerTraits.opacity)
    colormap = also(ExplorerTraits.colormap)
    sign = also(ExplorerTraits.sign)
    mode = also(ExplorerTraits.mode)
    outlier_percent = also(ExplorerTraits.outlier_percent)
    scale_limit = also(ExplorerTraits.scale_limit)

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


class Predictions(Part):
    """A model's output for one example as a list of classes to pick from; the pick is ``target``.

    Args:
        output: scores or probabilities, of shape (C,) or (1, C).
        class_names: a name for each class, as a sequence or a dict.
        target: the class picked at first; ``None`` picks the best.
    """

    predictions = also(ExplorerTraits.predictions)
    target = also(ExplorerTraits.target)

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


class PathWalk(Part):
    """The prediction along the path from a baseline to the input; the position is ``alpha``.

    Args:
        model, inputs, target, baseline, to_image: see :class:`Explorer`; ``target`` must be given.
        n_steps: points on the path.
    """

    path = also(ExplorerTraits.path)
    alpha = also(ExplorerTraits.alpha)

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
            start = custom_baseline(baseline, examples).expand_as(inputs)
        walk = Walk(IntegratedGradients(model), examples, start, target, n_steps)
        for _ in walk.steps():
            pass
        self.path = path_message(walk, None, [], "Integrated Gradients", str(target), None)


def path_message(
    walk: Walk | MeanWalk,
    names: Sequence[str] | dict[int, str] | None,
    classes: Sequence[int],
    title: str,
    target_label: str,
    request: Any,
) -> RawPath:
    """A finished walk for the page: as many points as are worth sending."""
    kept = thinned(len(walk.positions))
    chances = walk.chances if classes else None
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
