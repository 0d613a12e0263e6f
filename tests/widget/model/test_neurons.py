"""What neurons contribute to each class is what autograd says."""

from __future__ import annotations

from typing import Any

import pytest

from attriscope.widget.messages.class_names import ClassNames
from attriscope.widget.messages.layers import (
    neuron_message,
)
from attriscope.widget.state.selection import Selection
from widget.autograd import NETWORKS, TARGET, by_autograd, explained
from widget.nets import Vit, net, picture


@pytest.mark.parametrize(
    ("network", "layer", "neuron"),
    [
        ("every kind of layer", "block", 1),
        ("every kind of layer", "relu", [2, 5, 4]),
        ("every kind of layer", "fc", 2),
        ("vision transformer", "block.mlp.2", [7, 12]),
        ("vision transformer", "block.attention.weigh", [1, 0, 24]),
        ("lstm", "lstm", 3),
        ("lstm, positions first", "lstm", [3, 2]),
        ("one module at several sizes", "relu", [8, 3, 3]),
        ("volumes", "conv", [2, 71]),
    ],
)
def test_a_neuron_contributes_to_each_class_what_autograd_says(network: str, layer: str, neuron: Any) -> None:
    model, x = NETWORKS[network]()
    looked = explained(model, x)
    classes = [3, 0, 1]
    choice = Selection("Saliency", 1, layer=layer, neuron=neuron, baselines=("mean",))
    cache = looked.layer_cache
    message = neuron_message(
        cache.layouts[layer],
        neuron,
        cache.reading(choice).values,
        cache.at_baseline(choice, layer),
        cache.by_class(choice, {index: index for index in classes}),
        ClassNames(),
    )
    layout = cache.layouts[layer]
    start = looked.example(0).baselines(choice)[0].value
    held, at_start = by_autograd(model, x, 0)[layer][0], by_autograd(model, start, 0)[layer][0]
    for key, value in (("activation", held), ("at_baseline", at_start)):
        assert message[key] == pytest.approx(
            layout.within(layout.channels(value), neuron).mean().item(), abs=1e-10
        )
    assert [one["index"] for one in message["classes"]] == classes
    for one in message["classes"]:
        value, gradient = by_autograd(model, x, one["index"])[layer]
        wanted = layout.within(layout.channels(value * gradient), neuron).sum().item()
        assert one["contribution"] == pytest.approx(wanted, abs=1e-10)


def test_contributions_of_all_neurons_add_up_to_what_passes_at_the_layer() -> None:
    looked = explained(net(Vit), picture(8, 12))
    relevance = looked.layer_cache.overview(Selection("Saliency", TARGET)).relevance
    for layer, layout in looked.layer_cache.layouts.items():
        by_class = looked.layer_cache.by_class(Selection("Saliency", TARGET, layer=layer), {TARGET: TARGET})[
            TARGET
        ]
        total = sum(layout.within(by_class, c).sum().item() for c in range(layout.size[0]))
        assert total == pytest.approx(relevance[layer], abs=1e-9), layer
