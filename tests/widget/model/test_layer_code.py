"""The code of neurons and of maps of tokens means what the layout says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import switched_off
from attriscope.attr import NeuronGradient
from attriscope.attr.at import neuron_target
from attriscope.core.layouts import Layout, Neuron, ablation
from attriscope.widget.model.layer_code import index_code, over_picture_code, selector
from layouts import KINDS, every_kind, layouts, places, random_output, tuple_of
from widget.nets import Awkward, Bottleneck, Rows, TimeFirst, Vit, Volume, net, picture


def test_code_lays_tokens_over_the_picture_as_the_page_does() -> None:
    for model, size in ((net(Vit), (8, 12)), (net(Vit, False), (8, 12)), (net(TimeFirst), (8, 8))):
        for layer, layout in layouts(model, picture(*size)).items():
            if layout.kind != "tokens":
                continue
            names: dict[str, Any] = {"attributions": torch.randn(layout.shape)}
            wanted = layout.over_picture(layout.channels(names["attributions"]).sum(0, keepdim=True))
            exec(over_picture_code(layout), names)
            torch.testing.assert_close(names["attributions"], wanted[None], msg=layer)


either = pytest.mark.parametrize("again", [False, True], ids=["once", "again"])


@every_kind
def test_a_neuron_is_the_sum_of_what_stands_in_its_part(kind: str) -> None:
    """As channels hold it, as methods are told it, as the code says it: three ways to the same numbers."""
    layout = KINDS[kind]
    output = random_output(layout)
    given = tuple_of(layout, output)
    for neuron in places(layout):
        layout.check(neuron, "layer")
        wanted = layout.within(layout.channels(output), neuron).sum()
        written = selector(layout, neuron)
        for chosen in (written.value, eval(written.code)):
            found = neuron_target(chosen).select(given, 1, slice(0, 1))
            torch.testing.assert_close(found, wanted[None], msg=f"{neuron}: {written.code}")


class Gives(nn.Module):
    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout

    def forward(self, x: Tensor) -> Any:
        return tuple_of(self.layout, x)


@every_kind
@either
def test_code_switches_off_what_the_page_switches_off(kind: str, again: bool) -> None:
    layout = dataclasses.replace(KINDS[kind], again=again)
    layer, output = Gives(layout), random_output(layout)
    smaller = output[..., :1].clone() if output.dim() > 2 else output[..., None]
    for neuron in places(layout):
        wanted = ablation(layout, [(neuron, None)])(output.clone())
        assert (wanted == 0).sum() == layout.within(layout.channels(output), neuron).numel()
        with switched_off(layer, [("", eval(index_code(layout, neuron)))]):
            found = layer(output)
            if again:  # another call of the same layer, at another size
                assert torch.equal(ablation(layout, [(neuron, None)])(smaller.clone()), smaller)
                other = layer(smaller)
                assert (other[0] if layout.several else other).equal(smaller)
        assert (found[0] if layout.several else found).equal(wanted), (
            f"{neuron}: {index_code(layout, neuron)}"
        )
        if layout.several:
            assert found[1].equal(output * 7)


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
    layout = layouts(network, inputs)[layer]
    found = NeuronGradient(network, layer).attribute(inputs, selector(layout, neuron).value)
    x = inputs.clone().requires_grad_()
    read: list[Any] = []
    handle = network.get_submodule(layer).register_forward_hook(
        lambda module, args, output: read.append(output)
    )
    network(x)
    handle.remove()
    output = read[-1][0] if isinstance(read[-1], tuple) else read[-1]
    (wanted,) = torch.autograd.grad(layout.within(layout.channels(output), neuron).sum(), x)
    torch.testing.assert_close(found, wanted)
