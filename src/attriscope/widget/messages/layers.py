"""What is found inside a model, as it travels to the page.

The types are in :mod:`~attriscope.widget.messages.types`, what is found is
:mod:`~attriscope.widget.model.layers`' to say, and the page reads it in ``js/src/data``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attriscope.core.layer_map import LayerInfo
from attriscope.core.layouts import Layout, why_not
from attriscope.widget.messages.class_names import ClassNames
from attriscope.widget.messages.layer_types import (
    LayerRow,
    RawChannels,
    RawLayerMaps,
    RawLayerRelevance,
    RawNeuronInfo,
    RawWhatIf,
)
from attriscope.widget.messages.predictions import Outputs, best
from attriscope.widget.messages.types import (
    Neuron,
    Request,
)
from attriscope.widget.messages.wire import half, largest, number, reduced

if TYPE_CHECKING:
    from typing_extensions import Unpack

# Bytes for the maps of all layers, and for the channels of one: more are sent coarser.
_MAPS_BYTES = 2_000_000
_CHANNEL_BYTES = 1_000_000
# The longest side of a channel's thumbnail, and the most positions of a strip.
_THUMB_SIDE, _STRIP = 28, 256

RELEVANCE_DOC = (
    "Gradient x activation, added up over all that the layer holds: to first order, by how much the explained output "
    "would fall if the layer held nothing. Layers with a bias of their own add to it on the way."
)
CONDUCTANCE_DOC = (
    "Conductance, added up over all that the layer holds: how much of the change of the explained output, from the "
    "baseline to the input, comes through it. All of it comes through a layer that there is no way around."
)
NEURON_DOC = (
    "Gradient x activation of the neuron for each class: to first order, by how much the class's score would fall if "
    "the neuron were zero."
)


def layer_rows(layers: Sequence[LayerInfo], layouts: Mapping[str, Layout]) -> list[LayerRow]:
    """The rows of the layer tree."""
    return [_row(layer, layouts.get(layer.name)) for layer in layers]


def _row(layer: LayerInfo, layout: Layout | None) -> LayerRow:
    row: LayerRow = {
        "name": layer.name,
        "kind": layer.kind,
        "depth": layer.depth,
        "parameters": layer.parameters,
        "shape": None if layer.latest is None else list(layer.latest),
        "spatial": layout is not None and layout.spatial,
        "pickable": layout is not None,
        "layout": None if layout is None else layout.kind,
        "order": layer.latest_order,
        "same_as": layer.same_as,
        "channels": None if layout is None else layout.size[0],
    }
    if layout is None:
        row["why"] = why_not(layer)
    return row


def layer_relevance_message(
    layers: Sequence[LayerInfo], relevance: Mapping[str, float], request: Request, doc: str = RELEVANCE_DOC
) -> RawLayerRelevance:
    """How much of the explained output passes at each layer."""
    if not relevance:
        return {}
    return {
        "request": request,
        "label": "Carries",
        "doc": doc,
        "values": [number(relevance[layer.name]) if layer.name in relevance else None for layer in layers],
    }


def layer_maps_message(
    by_layer: Mapping[str, Tensor], layer_sums: Mapping[str, float], **about: Unpack[RawLayerMaps]
) -> RawLayerMaps:
    """The maps of layers, (h, w) each, in 16 bits: a share of the largest value of the map.

    Args:
        by_layer: the maps.
        layer_sums: of all that a layer was attributed.
        **about: title, request, and whether they are final.
    """
    if not by_layer:
        return {}
    maps = _fitting(by_layer)
    scales = {name: largest(values) for name, values in maps.items()}
    return {
        "names": list(maps),
        "shapes": [list(values.shape) for values in maps.values()],
        "scales": list(scales.values()),
        "sums": [number(layer_sums[name]) for name in maps],
        "maps": b"".join(half(values, scales[name]) for name, values in maps.items()),
        **about,
    }


def _fitting(maps: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The same, coarser if they are too much to send."""
    side = max(max(values.shape) for values in maps.values())
    while 2 * sum(values.numel() for values in maps.values()) > _MAPS_BYTES and side > 1:
        side = side // 2
        maps = reduced(maps, side)
    return maps


def channels_message(
    layout: Layout,
    values: Tensor,
    grad_x_activation: Tensor | None,
    positions: Sequence[str] | None,
    request: Request,
) -> RawChannels:
    """The channels of a layer: what they hold, what they contribute, and a small picture of each.

    Args:
        layout: of the layer.
        values: what its channels hold, (C, H, W).
        grad_x_activation: of the same shape; ``None`` for a model without gradients.
        positions: what stands at the positions, where that is known.
        request: what it answers.
    """
    count, height, width = values.shape
    small = _small(values)
    thumbs, scales = _coded(small)
    found: RawChannels = {
        "request": request,
        "layout": layout.kind,
        "noun": layout.noun,
        "count": count,
        "size": [height, width],
        "shape": list(small.shape[1:]),
        "activations": _floats(values.flatten(1).mean(1)),
        "thumbs": thumbs,
        "scales": scales,
    }
    if grad_x_activation is not None:
        found["contributions"] = _floats(grad_x_activation.flatten(1).sum(1))
        found["parts"], found["part_scales"] = _coded(_small(grad_x_activation))
    if positions is not None and len(positions) == width:
        found["positions"] = list(positions)
    if layout.heads:
        found["heads"] = layout.heads
    bad = int((~torch.isfinite(values)).flatten(1).any(1).sum())
    if bad:
        found["notice"] = f"{bad} of {count} {layout.noun}s hold numbers that are not finite"
    return found


def _small(values: Tensor) -> Tensor:
    """Channels (C, H, W), averaged down to what is worth sending."""
    count, height, width = values.shape
    room = max(1.0, _CHANNEL_BYTES / count)
    if height == 1:
        size = (1, max(1, min(width, _STRIP, int(room))))
    else:
        scale = min(1.0, _THUMB_SIDE / max(height, width), math.sqrt(room / (height * width)))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
    if size == (height, width):
        return values.float()
    return torch.nn.functional.adaptive_avg_pool2d(values.float(), size)


def _coded(values: Tensor) -> tuple[bytes, bytes]:
    """Channels (C, h, w) in 8 bits each, and the scale of each channel: NaN if it holds what is not finite."""
    scales = values.abs().flatten(1).amax(1)
    ratio = values / torch.where(scales > 0, scales, torch.ones_like(scales))[:, None, None]
    codes = (ratio * 127).round().nan_to_num(0.0, 0.0, 0.0).clamp(-127, 127).to(torch.int8)
    scales = torch.where(torch.isfinite(scales), scales, torch.full_like(scales, torch.nan))
    return codes.cpu().contiguous().numpy().tobytes(), _floats(scales)


def _floats(values: Tensor) -> bytes:
    return values.detach().to("cpu", torch.float32).contiguous().numpy().astype("<f4", copy=False).tobytes()


def what_if_message(
    intact: Tensor,
    changed: Tensor,
    names: ClassNames,
    outputs: Outputs,
    request: Request,
    message: str = "",
    explained: Collection[int] = (),
) -> RawWhatIf:
    """What the model says of its best classes, those of before and those of now, with neurons switched off.

    Args:
        intact, changed: scores (C,) before and after.
        names: of the classes.
        outputs: what the scores are.
        request: what was switched off.
        message: what else there is to say.
        explained: classes that are listed whatever the model says of them.
    """
    before, after = (scores.detach().to("cpu", torch.float64) for scores in (intact, changed))
    chances = outputs.probabilities(before), outputs.probabilities(after)
    shown = best(before)
    shown += [i for i in best(after) if i not in shown]
    shown += [i for i in explained if 0 <= i < len(before) and i not in shown]
    is_chance = chances[0] is not None and chances[1] is not None
    relevance = [
        chance if is_chance and chance is not None else scores
        for chance, scores in zip(chances, (before, after), strict=True)
    ]
    found: RawWhatIf = {
        "request": request,
        "kind": "probability" if is_chance else "score",
        "items": [
            {
                "index": i,
                "label": names.label(i),
                "before": number(relevance[0][i]),
                "after": number(relevance[1][i]),
                "before_score": number(before[i]),
                "after_score": number(after[i]),
            }
            for i in shown
        ],
    }
    if message:
        found["message"] = message
    return found


def neuron_message(
    layout: Layout,
    neuron: Neuron,
    values: Tensor,
    baseline_values: Tensor | None,
    by_class: Mapping[int, Tensor | None],
    names: ClassNames,
    **about: Unpack[RawNeuronInfo],
) -> RawNeuronInfo:
    """What a neuron holds, and what it contributes to each class.

    Args:
        layout: of its layer.
        neuron: which.
        values: what the layer holds, (C, H, W).
        baseline_values: what the layer holds at the baseline, (C, H, W).
        by_class: gradient x activation of the layer for each class, (C, H, W).
        names: of the classes.
        **about: title and request.
    """

    def of(channels: Tensor | None, total: bool) -> float | None:
        if channels is None:
            return None
        part = layout.within(channels, neuron)
        return number(part.sum() if total else part.mean())

    return {
        "activation": of(values, False),
        "at_baseline": of(baseline_values, False),
        "classes": [
            {"index": i, "label": names.label(i), "contribution": of(found, True)}
            for i, found in by_class.items()
        ],
        "doc": NEURON_DOC,
        **about,
    }


class Channel(NamedTuple):
    """One channel of a layer, and what it contributes to the explained output."""

    channel: int
    contribution: float
    activation: float


def top_channels(message: RawChannels, k: int) -> list[Channel]:
    """The channels of a layer that contribute most, out of what the page was sent."""
    activations = np.frombuffer(message["activations"], "<f4")
    sent = message.get("contributions")
    contributions = np.frombuffer(sent, "<f4") if sent is not None else np.full_like(activations, np.nan)
    size = np.nan_to_num(np.abs(contributions if sent is not None else activations), nan=-1.0)
    order = np.argsort(-size, kind="stable")[:k]
    return [Channel(int(i), float(contributions[i]), float(activations[i])) for i in order]
