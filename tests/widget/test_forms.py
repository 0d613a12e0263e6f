"""What a layer gives is read as what it is: which numbers make a channel, what stands where, and what a neuron is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from attriscope import switched_off
from attriscope.attr import LayerActivation, NeuronGradient
from attriscope.attr.at import neuron_target
from attriscope.core.errors import InputError
from attriscope.core.layer_map import map_layers
from attriscope.core.layouts import Layout, Neuron, ablation, layouts_of, why_not
from attriscope.widget.model.layer_code import index_code, over_picture_code, selector
from widget.nets import Awkward, Bottleneck, Rows, Text, TimeFirst, Vit, Volume, ids, net, picture


def layouts(model: nn.Module, *inputs: Any) -> dict[str, Layout]:
    return layouts_of(map_layers(model, lambda: model(*inputs)), model)


def form_and_output(model: nn.Module, layer: str, *inputs: Any) -> tuple[Layout, Tensor]:
    output = LayerActivation(model, layer).attribute(inputs)
    return layouts(model, *inputs)[layer], output[0] if isinstance(output, tuple) else output


# --- what kind of output it is ------------------------------------------------------------------------------


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
    form = layouts(net(model), inputs)[layer]
    assert (form.kind, form.size, form.noun) == (kind, size, noun)


@pytest.mark.parametrize("batch_first", [True, False])
def test_positions_may_come_first(batch_first: bool) -> None:
    model = net(Rows, batch_first)
    form, output = form_and_output(model, "lstm", picture())
    assert (form.kind, form.batch_dimension, form.size) == ("tokens", 0 if batch_first else 1, (7, 1, 8))
    x = picture().transpose(1, 2).flatten(2)
    held = model.lstm(x if batch_first else x.transpose(0, 1))[0].reshape(8, 7)
    assert form.channels(output)[:, 0].equal(held.t())


@pytest.mark.parametrize("class_token", [True, False])
def test_tokens_of_patches_lie_where_the_patches_lay(class_token: bool) -> None:
    """A picture with one bright patch: of what the first tokens hold, only that place is different."""
    model = net(Vit, class_token)
    dark = torch.zeros(1, 3, 8, 12).double()
    bright = dark.clone()
    bright[..., 2:4, 8:10] = 5
    form, held = form_and_output(model, "dropout", bright)
    assert (form.grid, form.skipped, form.spatial) == ((4, 6), int(class_token), True)
    other = LayerActivation(model, "dropout").attribute(dark)
    there = form.over_picture(form.channels(held - other).abs().sum(0, keepdim=True))
    assert there.shape == (1, 4, 6)
    assert there[0].nonzero().tolist() == [[1, 4]]


def test_tokens_of_patches_when_positions_come_first() -> None:
    model = net(TimeFirst)
    form, held = form_and_output(model, "block", picture())
    assert (form.batch_dimension, form.grid, form.skipped) == (1, (4, 4), 0)
    wanted = held[:, 0].sum(-1).reshape(4, 4)
    assert form.over_picture(form.channels(held).sum(0, keepdim=True))[0].allclose(wanted)


def test_tokens_of_words_lie_nowhere() -> None:
    for form in layouts(net(Text), ids()).values():
        assert (form.grid, form.spatial) == (None, False)


def test_code_lays_tokens_over_the_picture_as_the_page_does() -> None:
    for model, size in ((net(Vit), (8, 12)), (net(Vit, False), (8, 12)), (net(TimeFirst), (8, 8))):
        for layer, form in layouts(model, picture(*size)).items():
            if form.kind != "tokens":
                continue
            names: dict[str, Any] = {"attributions": torch.randn(form.shape)}
            wanted = form.over_picture(form.channels(names["attributions"]).sum(0, keepdim=True))
            exec(over_picture_code(form), names)
            torch.testing.assert_close(names["attributions"], wanted[None], msg=layer)


def test_units_belong_to_the_heads_of_their_attention() -> None:
    found = layouts(net(Vit), picture(8, 12))
    assert {name for name, form in found.items() if form.heads} == {
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


# --- channels and neurons -----------------------------------------------------------------------------------

KINDS: dict[str, Layout] = {
    "map": Layout("map", (1, 3, 4, 5)),
    "map of a tuple": Layout("map", (1, 3, 4, 5), several=True),
    "attention": Layout("attention", (1, 2, 4, 4)),
    "tokens": Layout("tokens", (1, 6, 4)),
    "tokens of a tuple": Layout("tokens", (1, 6, 4), several=True),
    "tokens, positions first": Layout("tokens", (6, 1, 4), batch_dimension=1),
    "tokens of a tuple, positions first": Layout("tokens", (6, 1, 4), batch_dimension=1, several=True),
    "sequence": Layout("sequence", (1, 4, 6)),
    "sequence of a tuple": Layout("sequence", (1, 4, 6), several=True),
    "vector": Layout("vector", (1, 7)),
    "vector of a tuple": Layout("vector", (1, 7), several=True),
    "one number": Layout("vector", (1,)),
    "one number of a tuple": Layout("vector", (1,), several=True),
    "volume": Layout("other", (1, 3, 2, 4, 5)),
    "volume of a tuple": Layout("other", (1, 3, 2, 4, 5), several=True),
    "six dimensions": Layout("other", (1, 3, 2, 2, 4, 2)),
}
every_kind = pytest.mark.parametrize("kind", list(KINDS))
either = pytest.mark.parametrize("again", [False, True], ids=["once", "again"])


def places(form: Layout) -> list[Neuron]:
    """Every neuron of a form, whole channels and single places."""
    count, height, width = form.size
    found: list[Neuron] = list(range(count))
    if form.kind in ("map", "attention"):
        return found + [[c, y, x] for c in range(count) for y in range(height) for x in range(width)]
    return found + ([] if form.kind == "vector" else [[c, x] for c in range(count) for x in range(width)])


def entry(form: Layout, output: Tensor, channel: int, row: int, column: int) -> Tensor:
    """The number that stands there, written once more."""
    one = output.movedim(form.batch_dimension, 0)[0]
    if form.kind == "tokens":
        return one[column, channel]
    if form.kind in ("map", "attention"):
        return one[channel, row, column]
    return one.reshape(form.size[0], -1)[channel, column]


def drawn(form: Layout) -> Tensor:
    return torch.randn(form.shape, dtype=torch.float64)


@every_kind
def test_channels_are_a_view_of_the_right_numbers(kind: str) -> None:
    form = KINDS[kind]
    output = drawn(form)
    channels = form.channels(output)
    count, height, width = form.size
    assert channels.numel() == output.numel()
    for c in range(count):
        for y in range(height):
            for x in range(width):
                assert channels[c, y, x] == entry(form, output, c, y, x)
    channels[:] = 0
    assert not output.any(), "a copy was written to: switching off would do nothing"


def tuple_of(form: Layout, output: Tensor) -> Any:
    return (output, output * 7) if form.several else output


@every_kind
def test_a_neuron_is_the_sum_of_what_stands_in_its_part(kind: str) -> None:
    """As channels hold it, as methods are told it, as the code says it: three ways to the same numbers."""
    form = KINDS[kind]
    output = drawn(form)
    given = tuple_of(form, output)
    for neuron in places(form):
        form.check(neuron, "layer")
        wanted = form.within(form.channels(output), neuron).sum()
        written = selector(form, neuron)
        for chosen in (written.value, eval(written.code)):
            found = neuron_target(chosen).select(given, 1, slice(0, 1))
            torch.testing.assert_close(found, wanted[None], msg=f"{neuron}: {written.code}")


class Gives(nn.Module):
    def __init__(self, form: Layout) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: Tensor) -> Any:
        return tuple_of(self.form, x)


@every_kind
@either
def test_code_switches_off_what_the_page_switches_off(kind: str, again: bool) -> None:
    form = dataclasses.replace(KINDS[kind], again=again)
    layer, output = Gives(form), drawn(form)
    smaller = output[..., :1].clone() if output.dim() > 2 else output[..., None]
    for neuron in places(form):
        wanted = ablation(form, [(neuron, None)])(output.clone())
        assert (wanted == 0).sum() == form.within(form.channels(output), neuron).numel()
        with switched_off(layer, [("", eval(index_code(form, neuron)))]):
            found = layer(output)
            if again:  # another call of the same layer, at another size
                assert torch.equal(ablation(form, [(neuron, None)])(smaller.clone()), smaller)
                other = layer(smaller)
                assert (other[0] if form.several else other).equal(smaller)
        assert (found[0] if form.several else found).equal(wanted), f"{neuron}: {index_code(form, neuron)}"
        if form.several:
            assert found[1].equal(output * 7)


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_several_neurons_get_what_they_hold_elsewhere(kind: str, data: st.DataObject) -> None:
    form = KINDS[kind]
    output, other = drawn(form), drawn(form)
    some = data.draw(st.lists(st.sampled_from(places(form)), min_size=1, max_size=4))
    silent = data.draw(st.lists(st.booleans(), min_size=len(some), max_size=len(some)))
    found = ablation(
        form, [(n, None if s else form.channels(other)) for n, s in zip(some, silent, strict=True)]
    )(output.clone())
    wanted = output.clone()
    for neuron, zero in zip(some, silent, strict=True):
        part = form.within(form.channels(wanted), neuron)
        part[...] = 0 if zero else form.within(form.channels(other), neuron)
    assert found.equal(wanted)


@pytest.mark.parametrize(
    ("model", "inputs", "layer", "neuron"),
    [
        (Bottleneck, picture(), "relu", [4, 1, 2]),
        (Rows, picture(), "lstm", 3),
        (Rows, picture(), "lstm", [3, 5]),
        (lambda: Rows(False), picture(), "lstm", 3),
        (lambda: Rows(False), picture(), "lstm", [3, 5]),
        (TimeFirst, picture(), "block", [2, 7]),
        (Vit, picture(8, 12), "block.attention.weigh", [1, 3, 4]),
        (Volume, picture(), "conv", [1, 60]),
        (Awkward, picture(), "pair", 1),
        (Awkward, picture(), "total", 0),
    ],
)  # fmt: skip
def test_methods_explain_the_neuron_that_was_meant(
    model: Callable[[], nn.Module], inputs: Tensor, layer: str, neuron: Neuron
) -> None:
    """The gradient of the neuron, by a method that was given the selector, and by autograd through the channels."""
    network = net(model)
    form = layouts(network, inputs)[layer]
    found = NeuronGradient(network, layer).attribute(inputs, selector(form, neuron).value)
    x = inputs.clone().requires_grad_()
    read: list[Any] = []
    handle = network.get_submodule(layer).register_forward_hook(
        lambda module, args, output: read.append(output)
    )
    network(x)
    handle.remove()
    output = read[-1][0] if isinstance(read[-1], tuple) else read[-1]
    (wanted,) = torch.autograd.grad(form.within(form.channels(output), neuron).sum(), x)
    torch.testing.assert_close(found, wanted)


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
