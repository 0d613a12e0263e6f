"""An explanation as metrics call it: of this model or a changed one, for this picture or others near it.

What it gives for the example on show is the map on show; :mod:`~attriscope.widget.jobs.comparison` and
:mod:`~attriscope.widget.jobs.checks` hand it to :mod:`attriscope.metrics`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

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


def remembering(explain: Explain, model: Any, inputs: Tensor, attributions: Tensor | None) -> Explain:
    """The same, but for what is known already: of this model and these inputs it gives the attributions at once.

    Args:
        explain: as :func:`explanation` gives it.
        model: whose attributions they are, as they are of a copy of it with the same weights.
        inputs: (N, C, H, W).
        attributions: what ``explain`` would give; ``None`` if that is not known.
    """
    if attributions is None:
        return explain

    @functools.wraps(explain)  # it may take a generator
    def explain_others(asked: Any, pictures: Tensor, *given: Any, **more: Any) -> Tensor:
        same_inputs = pictures.shape == inputs.shape and torch.equal(pictures, inputs)
        if same_inputs and (asked is model or _is_copy(asked, model)):
            return attributions
        return explain(asked, pictures, *given, **more)

    return explain_others


def _is_copy(one: Any, other: Any) -> bool:
    """Whether two models are of one class and have the same weights."""
    if not isinstance(one, nn.Module) or type(one) is not type(other):
        return False
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(
        isinstance(value, Tensor) and value.shape == b[name].shape and torch.equal(value, b[name])
        for name, value in a.items()
    )


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
