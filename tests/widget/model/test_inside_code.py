"""The code of maps of layers and neurons, and of changed predictions, run as it stands."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import Explorer
from attriscope.core.errors import InputError
from attriscope.core.inputs import gather_examples
from attriscope.widget.methods.catalogue import INSIDE_METHODS
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.model.code import code_of
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.stages.pictures import PictureStage
from attriscope.widget.state.selection import Selection
from models import seeded
from widget.helpers import Masked, run
from widget.inside import FEW, scores
from widget.nets import Awkward, Bottleneck, ChannelsLast, Rows, TimeFirst, Vit, Volume, net, picture

CODED: list[tuple[Any, Tensor, list[str]]] = [
    (Vit, picture(8, 12), ["patches", "block", "block.attention.weigh", "block.attention.q_proj", "head"]),
    (lambda: Vit(False), picture(8, 12), ["dropout"]),
    (TimeFirst, picture(), ["patches", "block", "block.self_attn"]),
    (ChannelsLast, picture(8, 12), ["patches", "norm", "block", "volume"]),
    (Rows, picture(), ["lstm"]),
    (Bottleneck, picture(), ["relu"]),
    (Volume, picture(), ["conv"]),
    (Awkward, picture(), ["pair", "volumes", "total"]),
]  # fmt: skip


# What the library says of layers that it cannot read on a path, or put values into.
REFUSED = ("dimension 0 must count", "runs several times", "Grad-CAM needs a layer that gives")


@pytest.mark.parametrize("name", list(INSIDE_METHODS))
def test_code_reproduces_every_method_at_every_kind_of_layer(name: str) -> None:
    done = 0
    for kind, x, layers in CODED:
        model = net(kind)
        explained_model = ExplainedModel(model, gather_examples(x), PictureStage, MethodRegistry(x))
        explained_model.run(0)
        for layer in layers:
            layout = explained_model.layer_cache.layout(layer)
            place = {"map": [1, 2, 1], "attention": [1, 2, 1], "vector": 0}.get(layout.kind, [1, 2])
            for neuron in [None] if INSIDE_METHODS[name].place == "layer" else [0, place]:
                which = "layer_method" if neuron is None else "neuron_method"
                choice = Selection(
                    "Saliency", 2, ("mean",), layer, neuron=neuron, settings=FEW, **{which: name}
                )
                try:
                    *_, found = explained_model.maps(choice)
                except InputError as error:
                    if not any(words in str(error) for words in REFUSED):
                        raise
                    continue
                wanted = found.attributions if found.over_picture is None else found.over_picture
                code = code_of(explained_model, choice)
                torch.testing.assert_close(run(code, model=model, inputs=x)["attributions"], wanted, msg=code)
                done += 1
    assert done >= 8


@pytest.mark.parametrize("to", ["zero", "baseline"])
@pytest.mark.parametrize("baseline", ["mean", ["zero", "blur"], "own"], ids=str)
@pytest.mark.parametrize(
    ("kind", "size", "off"),
    [
        (Vit, (8, 12), [["patches", [1, 2, 3]], ["block", 2], ["block.mlp.2", [3, 0]], ["block.attention.weigh", 1]]),
        (ChannelsLast, (8, 12), [["block", 1], ["norm", [2, 3, 5]], ["volume", 4], ["volume", [0, 7]]]),
        (Rows, (), [["lstm", 3], ["lstm", [1, 6]], ["head", 0]]),
        (lambda: Rows(False), (), [["lstm", 3], ["lstm", [1, 6]]]),
        (Bottleneck, (), [["relu", 8], ["narrow", 0], ["relu", [1, 0, 3]]]),
        (Volume, (), [["conv", 1], ["conv", [2, 50]]]),
        (Awkward, (), [["pair", 1], ["volumes", [0, 3]], ["total", 0]]),
    ],
    ids=["Vit", "channels last", "Rows", "positions first", "Bottleneck", "Volume", "Awkward"],
)  # fmt: skip
def test_code_reproduces_what_the_model_says_without_neurons(
    kind: Any, size: tuple[int, ...], off: Any, to: str, baseline: Any
) -> None:
    model, x = net(kind), picture(*size)
    own = torch.full_like(x, 0.25)
    explorer = Explorer(
        model, x, target=1, method="Saliency", n_steps=2, ablated=off, ablate_to=to,
        baseline=own if baseline == "own" else baseline,
    ).wait()  # fmt: skip
    found = run(explorer.code, model=model, inputs=x, baseline=own)
    torch.testing.assert_close(found["attributions"], explorer.attributions)
    for index, value in scores(explorer, "after_score").items():
        assert found["changed"][0, index].item() == pytest.approx(value, abs=1e-9)
    assert not found["changed"].allclose(model(x))
    explorer.close()


@pytest.mark.parametrize("place", [{}, {"layer": "net.first"}, {"layer": "net.first", "neuron": 2}], ids=str)
def test_code_of_one_example_of_a_batch_with_further_arguments(place: dict[str, Any]) -> None:
    generator = seeded(1)
    inputs, mask = (torch.rand(3, n, 8, 8, generator=generator) for n in (3, 1))
    others, own = (mask, torch.rand(5, generator=generator), 2.0), torch.rand(3, 3, 8, 8, generator=generator)
    model = Masked().eval()
    explorer = Explorer(
        model, inputs, target=1, example=2, method="Saliency", n_steps=2, additional_forward_args=others, baseline=own,
        ablated=[["net.first", 1], ["net.second", [0, 2, 2]]], ablate_to="baseline", **place,
    ).wait()  # fmt: skip
    found = run(explorer.code, model=model, inputs=inputs, additional_forward_args=others, baseline=own)
    torch.testing.assert_close(found["attributions"], explorer.attributions)
    for index, value in scores(explorer, "after_score").items():
        assert found["changed"][0, index].item() == pytest.approx(value, abs=1e-5)
    conv = model.net.first(inputs[2:] * mask[2:])
    conv[:, 1] = model.net.first(own[2:] * mask[2:])[:, 1]
    second = model.net.second(model.net.act(conv))
    second[:, 0, 2, 2] = model.net.second(model.net.act(model.net.first(own[2:] * mask[2:])))[:, 0, 2, 2]
    torch.testing.assert_close(found["changed"], second.mean((2, 3)) * others[1] * 2)
    explorer.close()
