"""An explanation as metrics call it: of this model or a changed one, for this picture or others near it.

What it gives for the example on show is the map on show; :mod:`~attriscope.widget.jobs.comparison` and
:mod:`~attriscope.widget.jobs.checks` hand it to :mod:`attriscope.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.attr import LayerGradCam
from attriscope.core.errors import InputError
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.model.map import mean_map
from attriscope.widget.state.selection import Selection

Explain = Callable[..., Tensor]


def explanation(explained: ExplainedModel, selection: Selection) -> Explain:
    """What explains as a selection says.

    Args:
        explained: the model, and its examples.
        selection: the method, what is set for it, and where in the model it is asked.

    Returns:
        A function of (model, inputs (N, C, H, W), target, additional_forward_args). The target is the selection's. It
        gives attributions of the inputs, in their shape; for a layer its map, with as many rows and columns.
        ``InputError`` is raised where a layer has no map.
    """

    def explain(
        model: Any, inputs: Tensor, target: Any = None, additional_forward_args: Any = None
    ) -> Tensor:
        call = explained.call(selection, model)
        more = {"additional_forward_args": additional_forward_args} if additional_forward_args else {}
        found = []
        for arguments in call.rounds():
            *_, last = call.estimates({**arguments, **more, "inputs": inputs})
            found.append(last)
        if selection.place == "layer":
            return _over_picture(explained, selection, found, inputs)
        maps = [estimate.attributions for estimate in found]
        mean = maps[0] if len(maps) == 1 else torch.stack(maps).mean(0)
        coarse = isinstance(mean, Tensor) and mean.dim() == 4
        return _fitted(mean, inputs) if coarse else mean

    return explain


def _over_picture(
    explained: ExplainedModel, selection: Selection, found: list[Any], inputs: Tensor
) -> Tensor:
    """The map of a layer, its channels added up: (1, 1, H, W)."""
    if explained.is_cam_of_tokens(selection):
        raise InputError("Grad-CAM of tokens is only known for the example on show, not for others near it")
    assert selection.layer is not None
    layout = explained.layer_cache.layout(selection.layer)
    if selection.layer_method == "LayerGradCam":
        layout = layout.channels_second()
    over = mean_map(found, selection.layer_method, True, layout).over_picture
    if over is None:
        raise InputError("this layer gives nothing that could be laid over the picture")
    return _fitted(over.sum(1, keepdim=True), inputs)


def _fitted(maps: Tensor, inputs: Tensor) -> Tensor:
    return (
        maps
        if maps.shape[2:] == inputs.shape[2:]
        else LayerGradCam.interpolate(maps, tuple(inputs.shape[2:]), "bilinear")
    )
