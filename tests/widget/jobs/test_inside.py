"""What is worked out for a selected layer or neuron: maps, channels, and what a neuron contributes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr, switched_off
from attriscope.widget.methods.catalogue import INSIDE_METHODS
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import Gate, Make, TwoLayers, assert_consistent
from widget.inside import AT, FEW
from widget.nets import Awkward, Bottleneck, Rows, Vit, Volume, net, picture


@pytest.mark.parametrize("name", AT["layer"])
def test_layer_methods_give_what_the_library_gives(explore: Any, name: str) -> None:
    model, x = net(Vit), picture(8, 12)
    explorer = explore(
        model, x, target=3, contrast=1, baseline="mean", layer="patches", layer_method=name, settings=FEW
    )
    explorer.wait()
    method = getattr(attr, name)(model, "patches")
    given: dict[str, Any] = dict(FEW.get(name, {}))
    if INSIDE_METHODS[name].compares:
        given["baselines"] = attr.baselines.mean(x)
    if name != "LayerActivation":
        given["target"] = lambda output: output[:, 3] - output[:, 1]
    wanted = method.attribute(x, **given)
    torch.testing.assert_close(explorer.attributions, wanted)
    torch.testing.assert_close(explorer.layer_attributions, wanted)
    assert explorer.neuron_attributions is None
    assert explorer.heat["request"]["layer_method"] == name
    assert explorer.heat["title"].startswith(f"{INSIDE_METHODS[name].title} at patches")
    assert ("for class 3 rather than class 1" in explorer.heat["title"]) == (name != "LayerActivation")
    assert ("baseline mean" in explorer.heat["title"]) == INSIDE_METHODS[name].compares
    explorer.neuron = 2  # the layer's stay what they are
    torch.testing.assert_close(explorer.wait().layer_attributions, wanted)


@pytest.mark.parametrize("neuron", [3, [3, 1, 2]], ids=["channel", "place"])
@pytest.mark.parametrize("name", AT["neuron"])
def test_neuron_methods_give_what_the_library_gives(explore: Any, name: str, neuron: Any) -> None:
    model, x = net(Vit), picture(8, 12)
    options = {"layer": "patches", "neuron": neuron, "neuron_method": name, "settings": FEW}
    explorer = explore(model, x, target=3, baseline="mean", **options).wait()
    given: dict[str, Any] = dict(FEW.get(name, {}))
    if INSIDE_METHODS[name].compares:
        given["baselines"] = attr.baselines.mean(x)
    if name == "NeuronConductance":
        given["target"] = 3
    selector = neuron if isinstance(neuron, int) else tuple(neuron)
    wanted = getattr(attr, name)(model, "patches").attribute(x, selector, **given)
    torch.testing.assert_close(explorer.neuron_attributions, wanted)
    torch.testing.assert_close(explorer.attributions, wanted)
    assert explorer.layer_attributions is None  # nobody has asked for those
    where = "" if isinstance(neuron, int) else " at row 1, column 2"
    assert explorer.heat["title"].startswith(f"{INSIDE_METHODS[name].title} of channel 3{where} of patches")
    explorer.neuron = None
    assert explorer.neuron_attributions is None
    explorer.wait()


def test_answers_are_not_given_for_other_questions(make: Make, model: TwoLayers) -> None:
    explorer = make(target=1, layer="first", layer_method="LayerActivation").wait()
    assert explorer.layer_attributions is not None
    gate = Gate()
    model.before = gate
    explorer.neuron = 2
    assert explorer.neuron_attributions is None
    explorer.layer = "second"
    assert gate.reached.wait(20)
    assert explorer.layer_attributions is None
    gate.open.set()
    explorer.wait()
    model.before = lambda x: None
    assert explorer.layer_attributions.shape == (1, 5, 8, 8)
    explorer.target = 2
    assert explorer.layer_attributions is None or explorer.wait().layer_attributions is not None


@pytest.mark.parametrize(
    ("model", "layer", "layout", "size", "method"),
    [
        *(
            (*layer, method)
            for layer in (
                (Bottleneck, "head", "vector", [1, 1]),
                (Rows, "lstm", "tokens", [1, 8]),
                (lambda: Rows(False), "lstm", "tokens", [1, 8]),
                (Volume, "conv", "other", [1, 98]),
            )
            for method in ("LayerActivation", "LayerGradCam")
        ),
        (Awkward, "total", "vector", [1, 1], "LayerActivation"),  # which has no channels to weigh
    ],
)
def test_layers_without_a_map_show_what_they_are_and_still_give_attributions(
    explore: Any, model: Any, layer: str, layout: str, size: list[int], method: str
) -> None:
    network = net(model)
    explorer = explore(network, picture(), layer=layer, layer_method=method).wait()
    assert explorer.heat == {}
    assert (explorer.channels["layout"], explorer.channels["size"]) == (layout, size)
    rows = {row["name"]: row for row in explorer.layers}
    assert (rows[layer]["layout"], rows[layer]["spatial"], rows[layer]["pickable"]) == (layout, False, True)
    if method == "LayerActivation":
        held = attr.LayerActivation(network, layer).attribute(picture())
        assert explorer.layer_attributions.equal(held[0] if isinstance(held, tuple) else held)
    else:
        assert explorer.layer_attributions is not None
    explorer.neuron = 0
    assert explorer.wait().heat["shape"] == [8, 8]  # what drives it has a map
    explorer.neuron = None
    assert_consistent(explorer.wait())


def test_channels_and_contributions_of_the_picked_layer(explore: Any) -> None:
    model, x = net(Vit), picture(8, 12)
    explorer = explore(model, x, target=3, layer="block.mlp.1").wait()
    held = attr.LayerActivation(model, "block.mlp.1").attribute(x)
    parts = attr.LayerGradientXActivation(model, "block.mlp.1").attribute(x, target=3).sum((0, 1))
    best = explorer.top_channels(4)
    order = parts.abs().argsort(descending=True)[:4].tolist()
    assert [one.channel for one in best] == order
    for one in best:
        assert one.contribution == pytest.approx(parts[one.channel].item(), rel=1e-5)
        assert one.activation == pytest.approx(held[0, :, one.channel].mean().item(), rel=1e-5)
    assert len(explorer.top_channels(10_000)) == 10
    assert explorer.top_channels(0) == []
    explorer.layer = None
    with pytest.raises(ChoiceError, match="no layer is picked"):
        explorer.top_channels()


def test_the_neuron_card_knows_activation_baseline_and_the_best_classes(explore: Any) -> None:
    model, x = net(Vit), picture(8, 12)
    explorer = explore(model, x, target=3, layer="patches", neuron=[4, 2, 5], baseline="mean").wait()
    info = explorer.neuron_info
    held = model.patches(x)[0, 4, 2, 5].item()
    assert info["activation"] == pytest.approx(held)
    assert info["at_baseline"] == pytest.approx(model.patches(attr.baselines.mean(x))[0, 4, 2, 5].item())
    assert info["title"] == "channel 4 at row 2, column 5 of patches"
    assert [one["index"] for one in info["classes"]] == [i["index"] for i in explorer.predictions["items"]]
    for one in info["classes"]:
        parts = attr.LayerGradientXActivation(model, "patches").attribute(x, target=one["index"])
        assert one["contribution"] == pytest.approx(parts[0, 4, 2, 5].item())


def test_a_model_with_one_output_has_contributions_to_that(explore: Any) -> None:
    class One(nn.Module):
        def __init__(self, keep: bool) -> None:
            super().__init__()
            self.net, self.keep = net(Bottleneck), keep
            self.eval()

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x).sum(1, keepdim=self.keep)

    for keep in (True, False):
        model = One(keep)
        explorer = explore(
            model, picture(), target=None, layer="net.wide", neuron=3, ablated=[["net.wide", 3]]
        ).wait()
        parts = attr.LayerGradientXActivation(model, "net.wide").attribute(picture())
        (one,) = explorer.neuron_info["classes"]
        assert one["contribution"] == pytest.approx(parts[0, 3].sum().item())
        (changed,) = explorer.what_if["items"]
        assert explorer.what_if["kind"] == "score"
        assert changed["before"] == pytest.approx(model(picture()).item())
        with switched_off(model, [("net.wide", 3)]):
            assert changed["after"] == pytest.approx(model(picture()).item())
