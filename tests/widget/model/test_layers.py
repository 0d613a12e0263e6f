"""What is found inside a model is what plain autograd, and the layer methods one by one, find there."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope.attr import (
    InternalInfluence,
    LayerActivation,
    LayerConductance,
    LayerGradCam,
    LayerGradientXActivation,
)
from attriscope.core.inputs import gather_examples
from attriscope.core.layouts import Layout
from attriscope.widget.messages.layers import (
    layer_relevance_message,
)
from attriscope.widget.model import layers as model_layers
from attriscope.widget.state.selection import Selection
from models import draw, pictures
from widget.autograd import NETWORKS, TARGET, Network, by_autograd, every_network, explained
from widget.nets import Bottleneck, ChannelsLast, net, picture


@every_network
def test_relevance_is_gradient_times_activation(network: Network) -> None:
    model, x = network()
    looked = explained(model, x)
    found = looked.layer_cache.overview(Selection("Saliency", TARGET)).relevance
    wanted = by_autograd(model, x, TARGET)
    assert found.keys() == looked.layer_cache.layouts.keys()
    for name, amount in found.items():
        value, gradient = wanted[name]
        assert amount == pytest.approx((value * gradient).sum().item(), abs=1e-10), name
    message = layer_relevance_message(looked.layers, found, {})
    for row, value in zip(looked.layers, message["values"], strict=True):
        assert value == found.get(row.name)


def test_relevance_does_not_depend_on_how_many_layers_are_read_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, x = pictures(), draw(1, 2, 6, 5)
    looked = explained(model, x)
    whole = model_layers.overview(
        model, looked.layers, looked.layer_cache.layouts, gather_examples(x), TARGET
    )
    monkeypatch.setattr(model_layers, "_AT_ONCE", 800)
    parts = model_layers.overview(
        model, looked.layers, looked.layer_cache.layouts, gather_examples(x), TARGET
    )
    assert parts.relevance == pytest.approx(whole.relevance)
    assert list(parts.relevance) == list(whole.relevance)
    for method, maps in whole.maps.items():
        torch.testing.assert_close(parts.maps[method], maps)


def laid(layout: Layout, attributions: Any) -> Tensor:
    """What a layer method gives, as a map; written for maps and tokens separately."""
    found = attributions[0] if isinstance(attributions, tuple) else attributions
    if layout.kind == "map":
        return found[0].sum(-1 if layout.channels_last and found.shape == layout.shape else 0)
    positions = found.movedim(layout.batch_dimension, 0)[0].sum(-1)
    assert layout.grid is not None
    return positions[layout.skipped :].reshape(layout.grid)


@every_network
@pytest.mark.parametrize("method", [LayerActivation, LayerGradientXActivation, LayerGradCam])
def test_maps_from_one_pass_are_those_of_each_layer_by_itself(network: Network, method: Any) -> None:
    model, x = network()
    looked = explained(model, x)
    (found,) = looked.layer_maps(Selection("Saliency", TARGET, layer_method=method.__name__))
    spatial = [name for name, layout in looked.layer_cache.layouts.items() if layout.spatial]
    assert list(found.maps) == list(found.sums) == spatial
    read = by_autograd(model, x, TARGET)
    for name in spatial:
        layout = looked.layer_cache.layouts[name]
        if method is LayerGradCam and layout.kind == "tokens":
            value, gradient = (t.movedim(layout.batch_dimension, 0)[0, layout.skipped :] for t in read[name])
            wanted = (value @ gradient.mean(0)).reshape(layout.grid)
        else:
            target = {} if method is LayerActivation else {"target": TARGET}
            wanted = laid(layout, method(model, name).attribute(x, **target))
        torch.testing.assert_close(found.maps[name], wanted.float(), rtol=1e-5, atol=1e-6, msg=name)
        assert found.sums[name] == pytest.approx(wanted.sum().item(), abs=1e-8)


@pytest.mark.parametrize("baselines", [("zero",), ("mean", "blur")], ids=["one", "several"])
@pytest.mark.parametrize("method", [LayerConductance, InternalInfluence])
@pytest.mark.parametrize(
    "network",
    ["every kind of layer", "vision transformer", "positions first", "lstm", "one module at several sizes"],
)
def test_maps_along_a_path_are_those_of_each_layer_by_itself(
    network: str, method: Any, baselines: tuple[str, ...]
) -> None:
    model, x = NETWORKS[network]()
    looked = explained(model, x)
    name = method.__name__
    choice = Selection("Saliency", TARGET, baselines, "", layer_method=name, settings={name: {"n_steps": 6}})
    *_, found = looked.layer_maps(choice)
    assert found.final
    # Not those of which a batch of several points cannot be read: positions first, and tuples with who knows what.
    layouts = {
        n: layout
        for n, layout in looked.layer_cache.layouts.items()
        if not (layout.batch_dimension or layout.several)
    }
    assert list(found.sums) == list(layouts)
    assert list(found.maps) == [layer for layer, layout in layouts.items() if layout.spatial]
    starts = [start.value for start in looked.example(0).baselines(choice)]
    assert len(starts) == len(baselines)
    for layer, layout in layouts.items():
        each = [
            method(model, layer).attribute(x, start, target=TARGET, n_steps=6, internal_batch_size=1)
            for start in starts
        ]
        total = torch.stack([one.sum() for one in each]).mean().item()
        assert found.sums[layer] == pytest.approx(total, abs=1e-6)
        if layout.spatial:
            wanted = torch.stack([laid(layout, one) for one in each]).mean(0)
            torch.testing.assert_close(found.maps[layer], wanted.float(), rtol=1e-5, atol=1e-6, msg=layer)


def test_methods_that_begin_anew_for_each_layer_give_no_maps_of_all() -> None:
    looked = explained(net(Bottleneck), picture())
    assert not list(
        looked.layer_maps(Selection("Saliency", 1, layer="wide", layer_method="LayerIntegratedGradients"))
    )


def test_a_layer_with_channels_last_is_laid_over_the_picture_as_it_lies() -> None:
    model, x = net(ChannelsLast), torch.zeros(1, 3, 8, 12, dtype=torch.float64)
    x[:, :, :2, 10:] = 3.0  # the upper right corner
    looked = explained(model, x)
    layout = looked.layer_cache.layout("block")
    assert (layout.kind, layout.size) == ("map", (5, 4, 6))
    held = model.block(model.norm(model.patches(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
    chosen = Selection("Saliency", TARGET, ("zero",), "block", layer_method="LayerActivation")
    *_, found = looked.maps(chosen)
    assert found.over_picture is not None
    torch.testing.assert_close(found.over_picture, held.detach())
    odd = (found.over_picture.sum(1)[0] - found.over_picture.sum(1)[0, 3, 0]).abs()
    assert odd.argmax() == 5
    *_, cam = looked.maps(dataclasses.replace(chosen, layer_method="LayerGradCam"))
    assert cam.over_picture is not None
    torch.testing.assert_close(cam.over_picture, LayerGradCam(model, "block").attribute(x, target=TARGET))
    assert cam.over_picture.shape == (1, 1, 4, 6)
