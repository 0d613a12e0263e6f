"""What a layer gives is read as what it is: which numbers make a channel, what stands where, and what a neuron is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attriscope.attr import LayerActivation
from attriscope.core.errors import InputError
from attriscope.core.layer_map import map_layers
from attriscope.core.layouts import Layout, Neuron, ablation, layouts_of, why_not
from layouts import KINDS, every_kind, layout_and_output, layouts, places, random_output
from widget.nets import Awkward, Bottleneck, Rows, Text, TimeFirst, Vit, Volume, ids, net, picture


@pytest.mark.parametrize(
    ("model", "inputs", "layer", "kind", "size", "noun"),
    [
        (Bottleneck, picture(), "narrow", "map", (4, 8, 8), "channel"),
        (Bottleneck, picture(), "relu", "map", (9, 4, 4), "channel"),  # as of its last call
        (Bottleneck, picture(), "head", "vector", (5, 1, 1), "unit"),
        (Bottleneck, picture(), "", "vector", (5, 1, 1), "unit"),
        (Text, ids(), "embedding", "tokens", (6, 1, 9), "unit"),
        (Text, ids(), "attention", "tokens", (6, 1, 9), "unit"),
        (Text, ids(), "series", "sequence", (5, 1, 7), "channel"),
        (Text, ids(), "act", "sequence", (5, 1, 7), "channel"),  # as what it got
        (Rows, picture(), "lstm", "tokens", (7, 1, 8), "unit"),
        (Vit, picture(8, 12), "patches", "map", (6, 4, 6), "channel"),
        (Vit, picture(8, 12), "dropout", "tokens", (6, 1, 25), "unit"),
        (Vit, picture(8, 12), "block.attention.weigh", "attention", (2, 25, 25), "head"),
        (Vit, picture(8, 12), "block.mlp.2", "tokens", (10, 1, 25), "unit"),
        (Volume, picture(), "conv", "other", (4, 1, 2 * 7 * 7), "channel"),
        (Volume, picture(), "act", "other", (4, 1, 2 * 7 * 7), "channel"),
        (Awkward, picture(), "pair", "map", (3, 8, 8), "channel"),
        (Awkward, picture(), "volumes", "other", (3, 1, 64), "channel"),
        (Awkward, picture(), "total", "vector", (1, 1, 1), "unit"),
    ],
)  # fmt: skip
def test_every_kind_of_output_is_told(
    model: Any, inputs: Tensor, layer: str, kind: str, size: tuple[int, ...], noun: str
) -> None:
    layout = layouts(net(model), inputs)[layer]
    assert (layout.kind, layout.size, layout.noun) == (kind, size, noun)


@pytest.mark.parametrize("batch_first", [True, False])
def test_positions_may_come_first(batch_first: bool) -> None:
    model = net(Rows, batch_first)
    layout, output = layout_and_output(model, "lstm", picture())
    assert (layout.kind, layout.batch_dimension, layout.size) == (
        "tokens",
        0 if batch_first else 1,
        (7, 1, 8),
    )
    x = picture().transpose(1, 2).flatten(2)
    held = model.lstm(x if batch_first else x.transpose(0, 1))[0].reshape(8, 7)
    assert layout.channels(output)[:, 0].equal(held.t())


@pytest.mark.parametrize("class_token", [True, False])
def test_tokens_of_patches_lie_where_the_patches_lay(class_token: bool) -> None:
    """A picture with one bright patch: of what the first tokens hold, only that place is different."""
    model = net(Vit, class_token)
    dark = torch.zeros(1, 3, 8, 12).double()
    bright = dark.clone()
    bright[..., 2:4, 8:10] = 5
    layout, held = layout_and_output(model, "dropout", bright)
    assert (layout.grid, layout.skipped, layout.spatial) == ((4, 6), int(class_token), True)
    other = LayerActivation(model, "dropout").attribute(dark)
    there = layout.over_picture(layout.channels(held - other).abs().sum(0, keepdim=True))
    assert there.shape == (1, 4, 6)
    assert there[0].nonzero().tolist() == [[1, 4]]


def test_tokens_of_patches_when_positions_come_first() -> None:
    model = net(TimeFirst)
    layout, held = layout_and_output(model, "block", picture())
    assert (layout.batch_dimension, layout.grid, layout.skipped) == (1, (4, 4), 0)
    wanted = held[:, 0].sum(-1).reshape(4, 4)
    assert layout.over_picture(layout.channels(held).sum(0, keepdim=True))[0].allclose(wanted)


def test_tokens_of_words_lie_nowhere() -> None:
    for layout in layouts(net(Text), ids()).values():
        assert (layout.grid, layout.spatial) == (None, False)


def test_units_belong_to_the_heads_of_their_attention() -> None:
    found = layouts(net(Vit), picture(8, 12))
    assert {name for name, layout in found.items() if layout.heads} == {
        f"block.attention.{part}_proj" for part in "qkv"
    }
    assert found["block.attention.q_proj"].heads == 2


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("unused", "did not run: the model never calls this module"),
        ("text", "gives no tensor"),
        ("ints", "gives no floating point numbers"),
        ("folded", "its output, of shape (2, 3, 4, 8), does not count the examples in dimension 0"),
        ("scalar", "its output, of shape (), does not count the examples in dimension 0"),
        ("nothing", "its output, of shape (1, 0, 8, 8), holds no numbers"),
    ],
)
def test_what_cannot_be_looked_into_says_why(layer: str, says: str) -> None:
    model = net(Awkward)
    layers = map_layers(model, lambda: model(picture()))
    assert layer not in layouts_of(layers, model)
    assert why_not(layers[layer]) == says


def test_rows_come_in_the_order_of_the_tree() -> None:
    model = net(Awkward)
    layers = map_layers(model, lambda: model(picture()))
    found = list(layouts_of(layers, model))
    assert found == [row.name for row in layers if row.name in found]


def entry(layout: Layout, output: Tensor, channel: int, row: int, column: int) -> Tensor:
    """The number that stands there, written once more."""
    one = output.movedim(layout.batch_dimension, 0)[0]
    if layout.kind == "tokens":
        return one[column, channel]
    if layout.channels_last:
        return (
            one[row, column, channel]
            if layout.kind == "map"
            else one.reshape(-1, layout.size[0])[column, channel]
        )
    if layout.kind in ("map", "attention"):
        return one[channel, row, column]
    return one.reshape(layout.size[0], -1)[channel, column]


@every_kind
def test_channels_are_a_view_of_the_right_numbers(kind: str) -> None:
    layout = KINDS[kind]
    output = random_output(layout)
    channels = layout.channels(output)
    count, height, width = layout.size
    assert channels.numel() == output.numel()
    for c in range(count):
        for y in range(height):
            for x in range(width):
                assert channels[c, y, x] == entry(layout, output, c, y, x)
    channels[:] = 0
    assert not output.any(), "a copy was written to: switching off would do nothing"


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_several_neurons_get_what_they_hold_elsewhere(kind: str, data: st.DataObject) -> None:
    layout = KINDS[kind]
    output, other = random_output(layout), random_output(layout)
    some = data.draw(st.lists(st.sampled_from(places(layout)), min_size=1, max_size=4))
    silent = data.draw(st.lists(st.booleans(), min_size=len(some), max_size=len(some)))
    found = ablation(
        layout, [(n, None if s else layout.channels(other)) for n, s in zip(some, silent, strict=True)]
    )(output.clone())
    wanted = output.clone()
    for neuron, zero in zip(some, silent, strict=True):
        part = layout.within(layout.channels(wanted), neuron)
        part[...] = 0 if zero else layout.within(layout.channels(other), neuron)
    assert found.equal(wanted)


@pytest.mark.parametrize(
    ("kind", "neuron", "says"),
    [
        ("map", 3, "there is no channel 3 in layer 'a', which has channels 0 to 2"),
        ("map", [0, 4, 0], "there is no row 4 in layer 'a', which has rows 0 to 3"),
        ("map", [0, 0, 5], "there is no column 5 in layer 'a', which has columns 0 to 4"),
        ("map", [0, 1], "a neuron of layer 'a' is a channel, or [channel, row, column], but [0, 1] came"),
        ("attention", 2, "there is no head 2 in layer 'a', which has heads 0 to 1"),
        ("tokens", 4, "there is no unit 4 in layer 'a', which has units 0 to 3"),
        ("tokens", [0, 6], "there is no position 6 in layer 'a', which has positions 0 to 5"),
        ("tokens", [0, 1, 2], "a neuron of layer 'a' is a unit, or [unit, position], but [0, 1, 2] came"),
        ("sequence", [4, 0], "there is no channel 4 in layer 'a', which has channels 0 to 3"),
        ("vector", [1, 0], "a neuron of layer 'a' is a unit, but [1, 0] came"),
        ("vector", 7, "there is no unit 7 in layer 'a', which has units 0 to 6"),
        ("one number", 1, "there is no unit 1 in layer 'a', which has units 0 to 0"),
        ("volume", [0, 40], "there is no position 40 in layer 'a', which has positions 0 to 39"),
    ],
)
def test_neurons_that_are_not_there(kind: str, neuron: Neuron, says: str) -> None:
    with pytest.raises(InputError) as caught:
        KINDS[kind].check(neuron, "a")
    assert str(caught.value) == says
