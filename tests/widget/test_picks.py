"""Layers and neurons picked by hand: from either side, in any order, at any speed, in models of every kind."""

from __future__ import annotations

import copy
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from torch import Tensor, nn

from attriscope import Explorer, attr, switched_off
from attriscope.core.errors import InputError, LayerError, NonFiniteError
from attriscope.core.inputs import gather_examples
from attriscope.widget.methods.catalogue import INSIDE_METHODS
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.model.code import code_of
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.model.weights import WeightsChangedError
from attriscope.widget.state.selection import ChoiceError, Selection
from models import seeded
from widget.helpers import Gate, Masked, Mirror, Opaque, TwoLayers, assert_consistent, from_page
from widget.nets import Awkward, Bottleneck, Rows, TimeFirst, Vit, Volume, net, picture

Make = Callable[..., Explorer]

AT = {
    place: [name for name, offer in INSIDE_METHODS.items() if offer.place == place]
    for place in ("layer", "neuron")
}
FEW = {
    name: {"n_steps": 6}
    for name, offer in INSIDE_METHODS.items()
    if "n_steps" in MethodRegistry(picture()).parameters[name]
}


@pytest.fixture
def explore() -> Iterator[Callable[..., Explorer]]:
    """Explorers of any model, stopped when the test ends."""
    made: list[Explorer] = []

    def explorer(model: nn.Module, x: Tensor, **options: Any) -> Explorer:
        made.append(Explorer(model, x, **{"method": "Saliency", "n_steps": 4, "target": 1, **options}))
        return made[-1]

    yield explorer
    for one in made:
        one.close()


# --- the picks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["python", "page"])
@pytest.mark.parametrize(
    ("wish", "becomes"),
    [
        ({"layer": "second"}, {"neuron": None}),
        ({"layer": "first", "neuron": 5}, {}),
        ({"neuron": [5, 7, 0], "layer": "first"}, {}),
        ({"layer": "", "neuron": 4}, {}),
        ({"layer": "first", "neuron": [3]}, {"neuron": 3}),
        ({"layer_method": "InternalInfluence", "neuron_method": "NeuronDeepLift"}, {}),
        ({"ablated": [["first", 1], ["second", [0, 1, 2]]], "ablate_to": "baseline"}, {}),
        ({"ablated": [["first", 1], ["first", [1]], ["first", 1]]}, {"ablated": [["first", 1]]}),
    ],
    ids=str,
)
def test_picks_from_either_side(make: Make, side: str, wish: dict[str, Any], becomes: dict[str, Any]) -> None:
    explorer = make(target=1, method="Saliency").wait()
    mirror = Mirror(explorer)
    if side == "page":
        from_page(explorer, **wish)
    else:
        for name in sorted(wish, key=lambda name: name == "neuron"):
            setattr(explorer, name, wish[name])
    for name, value in {**wish, **becomes}.items():
        assert getattr(explorer, name) == mirror.state[name] == value
    explorer.wait()
    assert_consistent(explorer, mirror)


def test_numbers_and_tuples_as_python_has_them(make: Make) -> None:
    explorer = make(target=1, method="Saliency", layer="first", neuron=(np.int64(2), 0, np.int32(1)))
    assert explorer.neuron == [2, 0, 1]
    assert type(explorer.neuron[0]) is int
    explorer.ablated = (("first", np.int64(3)), ("second", (1, 2, 3)))
    assert explorer.ablated == [["first", 3], ["second", [1, 2, 3]]]
    explorer.neuron = explorer.wait().top_channels(1)[0].channel
    assert_consistent(explorer.wait())


def test_first_picks_may_come_with_the_explorer(explore: Any, model: TwoLayers, image: Tensor) -> None:
    picks = {"layer": "first", "neuron": 2, "neuron_method": "NeuronDeepLift", "ablated": [["second", 0]]}
    for options in (picks, dict(reversed(picks.items()))):
        explorer = explore(model, image, **options).wait()
        assert {name: getattr(explorer, name) for name in picks} == picks
        assert explorer.heat["request"]["neuron"] == 2


NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"layer": "frist"}, "no layer 'frist'; its layers are 'first'"),
    ({"layer": 3}, "3"),
    ({"layer_method": "LayerLRP"}, "layer_method must be one of LayerGradCam, LayerActivation"),
    ({"layer_method": "NeuronGradient"}, "'NeuronGradient' came"),
    ({"layer_method": ["LayerGradCam"]}, "LayerGradCam"),
    ({"neuron_method": "LayerGradCam"}, "neuron_method must be one of NeuronGradient"),
    ({"neuron": 6}, "there is no channel 6 in layer 'first', which has channels 0 to 5"),
    ({"neuron": [0, 8, 0]}, "there is no row 8"),
    ({"neuron": [0, 1]}, "[channel, row, column], but [0, 1] came"),
    ({"neuron": -1}, "a list of it and its place, but -1 came"),
    ({"neuron": 1.0}, "but 1.0 came"),
    ({"neuron": True}, "but True came"),
    ({"neuron": "1"}, "but '1' came"),
    ({"neuron": []}, "but [] came"),
    ({"neuron": {}}, "but {} came"),
    ({"neuron": [0, None, 0]}, "but [0, None, 0] came"),
    ({"neuron": 10**400}, "there is no channel 1000"),
    ({"layer": "unused", "neuron": 0}, "'unused' did not run: the model never calls this module"),
    ({"ablated": "first"}, "ablated must be a list of pairs [layer, neuron], at most 1000, but 'first' came"),
    ({"ablated": None}, "but None came"),
    ({"ablated": [["first"]]}, "but it holds ['first']"),
    ({"ablated": [[3, 0]]}, "but it holds [3, 0]"),
    ({"ablated": [["frist", 0]]}, "no layer 'frist'"),
    ({"ablated": [["second", 5]]}, "there is no channel 5 in layer 'second'"),
    ({"ablated": [["first", 1], ["second", "x"]]}, "a neuron in ablated must be the index of a channel"),
    ({"ablated": [["unused", 0]]}, "'unused' did not run"),
    ({"ablated": [["first", 0]] * 1001}, "at most 1000"),
    ({"ablate_to": "mean"}, "ablate_to must be one of zero, baseline, but 'mean' came"),
    ({"ablate_to": ["zero"]}, "ablate_to must be one of zero, baseline, but ['zero'] came"),
]  # fmt: skip


@pytest.fixture(scope="module")
def shared() -> Iterator[Explorer]:
    image = torch.rand(1, 3, 8, 8, generator=seeded(5))
    explorer = Explorer(
        TwoLayers().eval(), image, target=0, method="Saliency", layer="first", n_steps=4
    ).wait()
    yield explorer
    explorer.close()


@pytest.mark.parametrize(("wish", "says"), NONSENSE, ids=[str(wish)[:50] for wish, _ in NONSENSE])
def test_nonsense_is_refused_with_a_quotation_and_the_page_is_put_right(
    shared: Explorer, wish: dict[str, Any], says: str
) -> None:
    shared.layer = "first"
    shared.wait()
    mirror = Mirror(shared)
    *before, (name, value) = wish.items()
    for other, granted in before:
        setattr(shared, other, granted)
    held = getattr(shared, name)
    with pytest.raises(traitlets.TraitError) as caught:
        setattr(shared, name, value)
    assert says in str(caught.value)
    assert getattr(shared, name) == held
    from_page(shared, **wish)
    assert shared.refused["trait"] == name
    assert says in shared.refused["reason"]
    assert len(shared.refused["reason"]) <= 500
    assert getattr(shared, name) == mirror.state[name] == held
    shared.layer = "first"
    assert_consistent(shared.wait(), mirror)


def test_a_neuron_needs_a_layer(make: Make) -> None:
    explorer = make(target=1, method="Saliency").wait()
    with pytest.raises(ChoiceError, match="neuron 3 of which layer"):
        explorer.neuron = 3
    from_page(explorer, neuron=[1, 2, 3])
    assert explorer.neuron is None
    assert "Pick a layer first" in explorer.refused["reason"]


def test_another_layer_has_other_neurons(make: Make) -> None:
    explorer = make(target=1, method="Saliency", layer="first").wait()
    explorer.neuron = 5
    explorer.layer = "second"
    assert explorer.neuron is None
    explorer.layer = "first"
    assert explorer.neuron is None
    explorer.neuron = 5
    from_page(explorer, layer="second")
    assert explorer.neuron is None
    from_page(explorer, neuron=3, layer="first")  # in whatever order they stand in the message
    assert (explorer.layer, explorer.neuron) == ("first", 3)
    from_page(explorer, neuron=5, layer="second")  # which has five
    assert (explorer.layer, explorer.neuron) == ("second", None)
    assert explorer.refused["trait"] == "neuron"
    from_page(explorer, layer="first", neuron=2)
    from_page(explorer, layer="first")  # no other layer
    assert explorer.neuron == 2
    assert_consistent(explorer.wait())


def test_a_shared_module_is_picked_by_any_of_its_names(explore: Any) -> None:
    model = TwoLayers().eval()
    model.tied = model.first
    explorer = explore(model, picture().float(), layer="tied").wait()
    assert explorer.layer == "first"  # as it stands in the tree
    explorer.ablated = [["tied", 1]]
    assert explorer.wait().what_if["request"]["ablated"] == [["first", 1]]
    from_page(explorer, layer=None)
    mirror = Mirror(explorer)
    from_page(explorer, layer="tied")
    assert mirror.state["layer"] == "first"


# --- what is given for them -----------------------------------------------------------------------------------


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
    ("model", "layer", "form", "size", "method"),
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
    explore: Any, model: Any, layer: str, form: str, size: list[int], method: str
) -> None:
    network = net(model)
    explorer = explore(network, picture(), layer=layer, layer_method=method).wait()
    assert explorer.heat == {}
    assert (explorer.channels["form"], explorer.channels["size"]) == (form, size)
    rows = {row["name"]: row for row in explorer.layers}
    assert (rows[layer]["form"], rows[layer]["spatial"], rows[layer]["pickable"]) == (form, False, True)
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


# --- all layers at once ---------------------------------------------------------------------------------------


def test_the_tree_is_filled_and_scrubbed_from_one_pass(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=2).wait()
    rows = [row["name"] for row in explorer.layers]
    assert [row["order"] for row in explorer.layers] == [3, 0, 1, 2, None]
    parts = {n: attr.LayerGradientXActivation(model, n).attribute(image, target=2).sum() for n in rows[:-1]}
    for name, value in zip(rows, explorer.layer_relevance["values"], strict=True):
        assert value == (pytest.approx(parts[name].item(), rel=1e-4) if name in parts else None)
    assert explorer.layer_maps["names"] == ["first", "act", "second"]
    assert explorer.layer_maps["title"] == ("Grad-CAM at ", " for class 2")
    halves = np.frombuffer(explorer.layer_maps["maps"], "<f2").reshape(3, 8, 8).astype(float)
    for name, scale, map_ in zip(
        explorer.layer_maps["names"], explorer.layer_maps["scales"], halves, strict=True
    ):
        wanted = attr.LayerGradCam(model, name).attribute(image, target=2)[0, 0].numpy()
        assert np.abs(map_ * scale - wanted).max() <= np.abs(wanted).max() / 2048
    asked: list[Tensor] = []
    model.before = asked.append
    explorer.layer_method = "LayerActivation"  # which came from the same pass
    assert explorer.wait().layer_maps["request"]["layer_method"] == "LayerActivation"
    assert not asked


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("LayerGradCam", {"relu_attributions": True}),
        ("LayerGradientXActivation", {"multiply_by_inputs": False}),
    ],
)
@pytest.mark.parametrize("layer", ["patches", "dropout"])
def test_maps_of_all_layers_are_not_sent_for_settings_that_they_do_not_have(
    explore: Any, name: str, settings: dict[str, Any], layer: str
) -> None:
    model, x = net(Vit), picture(8, 12)
    explorer = explore(model, x, layer=layer, layer_method=name)
    plain = explorer.wait().attributions
    assert explorer.layer_maps
    explorer.settings = {name: settings}
    found = explorer.wait().attributions
    assert explorer.layer_maps == {}
    if name == "LayerGradCam":
        assert found.equal(plain.relu())
        assert not found.equal(plain)
    else:
        gradient = attr.LayerGradientXActivation(model, layer, multiply_by_inputs=False)
        wanted = gradient.attribute(x, target=1)
        torch.testing.assert_close(explorer.layer_attributions, wanted)
    assert_consistent(explorer)


def test_maps_along_a_path_follow_a_baseline_of_ones_own(
    explore: Any, model: TwoLayers, image: Tensor
) -> None:
    """The name of the baseline stays the same when another tensor takes its place: the maps must not."""
    one, other = torch.full_like(image, 0.3), torch.full_like(image, 0.9)
    explorer = explore(model, image, baseline=one, layer="first", layer_method="LayerConductance").wait()
    assert explorer.layer_maps["final"]
    before = explorer.layer_maps["sums"][explorer.layer_maps["names"].index("first")]
    explorer.baseline = other
    after = explorer.wait().layer_maps["sums"][explorer.layer_maps["names"].index("first")]
    for baseline, total in ((one, before), (other, after)):
        wanted = attr.LayerConductance(model, "first").attribute(image, baseline, target=1)
        assert total == pytest.approx(wanted.sum().item(), rel=1e-4)
    calls: list[Tensor] = []
    model.before = calls.append
    explorer.ablated = [["second", 1]]  # asks nothing of the path
    explorer.wait()
    assert len(calls) == 1


def test_a_layer_that_gives_one_row_for_however_many_came_spoils_no_other(explore: Any) -> None:
    class Placed(nn.Module):
        """Adds an embedding of positions, which is made for one example whatever the batch."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.places = nn.Conv2d(3, 4, 2, stride=2), nn.Embedding(16, 4)
            self.head = nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.conv(x).flatten(2).transpose(1, 2) + self.places(torch.arange(16)[None])
            return self.head(tokens.tanh().mean(1))

    model = net(Placed)
    explorer = explore(model, picture(), layer="conv", layer_method="LayerConductance", settings=FEW).wait()
    sums = dict(zip(explorer.layer_maps["names"], explorer.layer_maps["sums"], strict=True))
    wanted = attr.LayerConductance(model, "conv").attribute(picture(), target=1, n_steps=6)
    assert sums["conv"] == pytest.approx(wanted.sum().item(), rel=1e-4)
    assert sums["places"] == 0  # on the way from the baseline it does not change


# --- what if --------------------------------------------------------------------------------------------------


def scores(explorer: Explorer, when: str) -> dict[int, float]:
    return {one["index"]: one[when] for one in explorer.what_if["items"]}


def test_predictions_without_channels_and_back(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=2, method="Saliency").wait()
    intact, heat = explorer.predictions, explorer.heat
    first, second = copy.deepcopy(model), copy.deepcopy(model)
    with torch.no_grad():
        for one in (first, second):
            one.first.weight[3], one.first.bias[3] = 0, 0
        second.second.weight[0], second.second.bias[0] = 0, 0
    from_page(explorer, ablated=[["first", 3]])
    explorer.wait()
    for off, other in (([["first", 3]], first), ([["first", 3], ["second", 0]], second)):
        explorer.ablated = off
        explorer.wait()
        with torch.no_grad():
            wanted, before = other(image)[0], model(image)[0]
        for when, output in (("before", before), ("after", wanted)):
            for index, value in scores(explorer, when).items():
                assert value == pytest.approx(output.softmax(0)[index].item(), abs=1e-6)
            for index, value in scores(explorer, f"{when}_score").items():
                assert value == pytest.approx(output[index].item(), abs=1e-5)
        assert explorer.what_if["kind"] == "probability"
        assert explorer.predictions == intact
        assert explorer.heat is heat
    explorer.ablated = [["first", 3]]  # one back
    explorer.wait()
    assert scores(explorer, "after_score")[0] == pytest.approx(first(image)[0, 0].item(), abs=1e-5)
    explorer.ablated = []
    explorer.wait()
    assert explorer.what_if == {}
    assert explorer.predictions == intact
    assert_consistent(explorer)


def test_without_anything_the_predictions_are_the_intact_ones_to_the_last_bit(
    make: Make, model: TwoLayers
) -> None:
    explorer = make(target=2, method="Saliency", baseline="mean").wait()
    model.first.weight.data[4], model.first.bias.data[4] = 0, 0  # a dead channel
    explorer.recompute().wait()
    explorer.ablated = [["first", 4]]
    explorer.wait()
    assert scores(explorer, "before_score") == scores(explorer, "after_score")
    assert scores(explorer, "before") == scores(explorer, "after")
    explorer.ablate_to = "baseline"
    explorer.wait()
    assert scores(explorer, "before_score") == scores(explorer, "after_score")


def test_classes_that_come_into_the_best_are_shown_beside_those_that_were() -> None:
    class Many(TwoLayers):
        def forward(self, x: Tensor) -> Tensor:
            best = super().forward(x)
            return torch.cat([best, -best, best.sum(1, keepdim=True) * torch.arange(20.0)], 1)

    model, image = Many().eval(), torch.rand(1, 3, 8, 8, generator=seeded(2))
    explorer = Explorer(
        model, image, target=0, method="Saliency", n_steps=2, ablated=[["second", 0], ["second", 3]]
    )
    explorer.wait()
    with torch.no_grad(), switched_off(model, [("second", 0), ("second", 3)]):
        after = model(image)[0]
    best = [output.argsort(descending=True)[:8].tolist() for output in (model(image)[0], after)]
    assert set(best[0]) != set(best[1])
    shown = [one["index"] for one in explorer.what_if["items"]]
    assert shown == best[0] + [i for i in best[1] if i not in best[0]]
    explorer.close()


def test_switching_off_asks_the_model_once(make: Make, model: TwoLayers) -> None:
    """The map, the tree, the channels and the path stay as they are."""
    explorer = make(
        target=2, layer="first", layer_method="LayerConductance", baseline=["zero", "mean"]
    ).wait()
    changed: list[str] = []
    explorer.observe(
        lambda change: changed.append(change["name"]),
        ["heat", "path", "channels", "layer_maps", "layer_relevance"],
    )
    asked: list[int] = []
    model.before = lambda x: asked.append(len(x))
    for off in ([["first", 1]], [["first", 1], ["second", 2]], [["second", 2]]):
        explorer.ablated = off
        explorer.wait()
        assert asked == [1]
        asked.clear()
    explorer.ablate_to = "baseline"
    explorer.wait()
    assert asked == [1, 1, 1]  # and one for each baseline
    asked.clear()
    explorer.ablated = []
    explorer.wait()
    assert asked == []
    assert changed == []


def test_models_without_a_row_of_scores_have_no_predictions_to_change(explore: Any) -> None:
    class Segments(TwoLayers):
        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.act(self.first(x)))

    explorer = explore(Segments().eval(), picture().float(), target=[1, 2, 3])
    explorer.wait()
    explorer.ablated = [["first", 1]]
    with pytest.raises(InputError, match="no row of scores"):
        explorer.wait()
    explorer.ablated = []
    assert_consistent(explorer.wait())


def test_cells_see_the_whole_model_while_parts_of_it_are_off(
    make: Make, model: TwoLayers, image: Tensor
) -> None:
    alone = model(image)
    explorer = make(target=0).wait()
    gate = Gate()
    model.before = gate
    explorer.ablated = [["first", 1], ["second", 0]]
    assert gate.reached.wait(20)  # they are off in the job's thread now
    model.before = lambda x: None
    assert model(image).equal(alone)
    gate.open.set()
    explorer.wait()
    assert scores(explorer, "before_score") != scores(explorer, "after_score")


# --- code -----------------------------------------------------------------------------------------------------


def run(code: str, **names: Any) -> dict[str, Any]:
    exec(compile(code, "<copied>", "exec"), names)
    return names


CODED: list[tuple[Any, Tensor, list[str]]] = [
    (Vit, picture(8, 12), ["patches", "block", "block.attention.weigh", "block.attention.q_proj", "head"]),
    (lambda: Vit(False), picture(8, 12), ["dropout"]),
    (TimeFirst, picture(), ["patches", "block", "block.self_attn"]),
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
        session = ExplainedModel(model, gather_examples(x), None, MethodRegistry(x))
        session.run(0)
        for layer in layers:
            form = session.layer_cache.layout(layer)
            place = {"map": [1, 2, 1], "attention": [1, 2, 1], "vector": 0}.get(form.kind, [1, 2])
            for neuron in [None] if INSIDE_METHODS[name].place == "layer" else [0, place]:
                which = "layer_method" if neuron is None else "neuron_method"
                choice = Selection(
                    "Saliency", 2, ("mean",), layer, neuron=neuron, settings=FEW, **{which: name}
                )
                try:
                    *_, found = session.maps(choice)
                except InputError as error:
                    if not any(words in str(error) for words in REFUSED):
                        raise
                    continue
                wanted = found.attributions if found.over_picture is None else found.over_picture
                code = code_of(session, choice)
                torch.testing.assert_close(run(code, model=model, inputs=x)["attributions"], wanted, msg=code)
                done += 1
    assert done >= 8


@pytest.mark.parametrize("to", ["zero", "baseline"])
@pytest.mark.parametrize("baseline", ["mean", ["zero", "blur"], "own"], ids=str)
@pytest.mark.parametrize(
    ("kind", "size", "off"),
    [
        (Vit, (8, 12), [["patches", [1, 2, 3]], ["block", 2], ["block.mlp.2", [3, 0]], ["block.attention.weigh", 1]]),
        (Rows, (), [["lstm", 3], ["lstm", [1, 6]], ["head", 0]]),
        (lambda: Rows(False), (), [["lstm", 3], ["lstm", [1, 6]]]),
        (Bottleneck, (), [["relu", 8], ["narrow", 0], ["relu", [1, 0, 3]]]),
        (Volume, (), [["conv", 1], ["conv", [2, 50]]]),
        (Awkward, (), [["pair", 1], ["volumes", [0, 3]], ["total", 0]]),
    ],
    ids=["Vit", "Rows", "positions first", "Bottleneck", "Volume", "Awkward"],
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


# --- pin and refine -------------------------------------------------------------------------------------------


def test_a_pinned_map_stays_while_others_come(make: Make) -> None:
    explorer = make(target=1, method="Saliency", layer="first").wait()
    heat, picture_ = explorer.heat, explorer.picture
    explorer._handle_custom_msg({"type": "pin"}, [])
    explorer.wait()
    assert explorer.pinned == {"heat": heat, "picture": picture_, "title": heat["title"]}
    explorer.layer = "second"
    explorer.wait()
    assert explorer.pinned["heat"] is heat
    assert explorer.heat["request"]["layer"] == "second"
    explorer.pin().wait()
    assert explorer.pinned["heat"] is explorer.heat
    explorer._handle_custom_msg({"type": "unpin"}, [])
    assert explorer.pinned == {}
    assert_consistent(explorer)


def test_what_has_no_map_cannot_be_pinned(explore: Any) -> None:
    explorer = explore(net(Rows), picture(), layer="lstm").wait()
    assert explorer.pin().wait().pinned == {}


def test_a_map_is_worked_out_before_it_is_pinned(make: Make, model: TwoLayers) -> None:
    explorer = make(target=1, method="Saliency").wait()
    gate = Gate()
    model.before = gate
    explorer.layer = "second"
    assert gate.reached.wait(20)
    explorer.pin()
    gate.open.set()
    explorer.wait()
    assert explorer.pinned["heat"] is explorer.heat
    assert explorer.heat["request"]["layer"] == "second"
    assert explorer.heat["final"]
    assert_consistent(explorer)


@pytest.mark.parametrize("then", ["pin", "compare"])
def test_what_comes_after_the_map_is_not_lost_when_it_is_pinned_or_compared(
    make: Make, model: TwoLayers, then: str
) -> None:
    """The map is there, and the path is being walked, when somebody asks for something else about the same map."""
    explorer = make(target=1, method="Saliency").wait()
    gate = Gate()

    def hold(change: Any) -> None:
        model.before = gate  # from the map on

    explorer.observe(hold, "heat")
    explorer.baseline = "mean"
    explorer.target = 2
    assert gate.reached.wait(20)
    explorer.unobserve(hold, "heat")
    explorer.pin() if then == "pin" else explorer.compare(["Saliency"], ["entropy"])
    gate.open.set()
    explorer.wait()
    assert explorer.heat["request"]["target"] == 2
    assert_consistent(explorer)


@pytest.mark.parametrize("name", ["LayerConductance", "LayerIntegratedGradients", "InternalInfluence"])
def test_refining_the_map_of_a_layer(explore: Any, model: TwoLayers, image: Tensor, name: str) -> None:
    explorer = explore(model, image, layer="first", layer_method=name, settings={name: {"n_steps": 3}}).wait()
    assert explorer.heat["refinable"]
    explorer.refine().wait()
    wanted = getattr(attr, name)(model, "first").attribute(image, target=1, n_steps=6)
    torch.testing.assert_close(explorer.attributions, wanted)
    assert "n_steps=6" in explorer.code
    explorer._handle_custom_msg({"type": "refine"}, [])
    explorer.wait()
    assert explorer.effort == 2
    wanted = getattr(attr, name)(model, "first").attribute(image, target=1, n_steps=12)
    torch.testing.assert_close(explorer.layer_attributions, wanted)
    explorer.ablated = [["first", 0]]  # which is no other map
    assert explorer.wait().effort == 2
    torch.testing.assert_close(explorer.attributions, wanted)
    assert_consistent(explorer)
    explorer.layer_method = "LayerActivation"
    assert explorer.wait().effort == 0
    assert not explorer.heat["refinable"]
    with pytest.raises(ChoiceError, match="Activation at first has nothing more to spend"):
        explorer.refine()


# --- speed and faults -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_under_fast_random_clicks_everything_on_show_answers_what_it_says(seed: int) -> None:
    """Each message as it arrives carries the request that it answers, and its numbers are the answer to that."""
    chance = random.Random(seed)
    model = TwoLayers().eval()
    inputs = torch.rand(2, 3, 8, 8, generator=seeded(seed))
    explorer = Explorer(model, inputs, target=0, method="Saliency", n_steps=2, settings=FEW).wait()
    mirror = Mirror(explorer)
    seen: dict[str, list[Any]] = {n: [] for n in ("heat", "channels", "neuron_info", "what_if", "layer_maps")}
    for name, found in seen.items():
        explorer.observe(lambda change, found=found: found.append(change["new"]), name)
    wishes: dict[str, Callable[[], Any]] = {
        "target": lambda: chance.randrange(5),
        "example": lambda: chance.randrange(2),
        "layer": lambda: chance.choice([None, "first", "second", "act"]),
        "layer_method": lambda: chance.choice(AT["layer"]),
        "neuron": lambda: chance.choice([None, 0, 3, [2, 4, 4]]),
        "neuron_method": lambda: chance.choice(AT["neuron"]),
        "ablated": lambda: chance.choice([[], [["first", 2]], [["second", 1], ["act", [0, 3, 3]]]]),
        "ablate_to": lambda: chance.choice(["zero", "baseline"]),
    }
    for _ in range(80):
        names = chance.choice([["layer", "neuron"], chance.sample(sorted(wishes), chance.choice([1, 1, 2]))])
        from_page(explorer, **{name: wishes[name]() for name in names})
        time.sleep(chance.choice([0, 0, 0.002, 0.01, 0.03]))
    explorer.wait(60)
    assert_consistent(explorer, mirror)
    assert all(map(any, seen.values()))
    for found in seen["heat"]:
        if found:
            assert np.frombuffer(found["data"], "<f4").reshape(found["shape"]).shape == (8, 8)
    for found in filter(None, seen["channels"]):
        about, one = found["request"], inputs[found["request"]["example"]][None]
        held = attr.LayerActivation(model, about["layer"]).attribute(one)
        parts = attr.LayerGradientXActivation(model, about["layer"]).attribute(one, target=about["target"])
        for name, wanted in (("activations", held.mean((2, 3))[0]), ("contributions", parts.sum((2, 3))[0])):
            np.testing.assert_allclose(np.frombuffer(found[name], "<f4"), wanted, atol=1e-4)
    for found in filter(None, seen["neuron_info"]):
        about, one = found["request"], inputs[found["request"]["example"]][None]
        held = attr.LayerActivation(model, about["layer"]).attribute(one)[0]
        neuron = about["neuron"] if isinstance(about["neuron"], int) else tuple(about["neuron"])
        assert found["activation"] == pytest.approx(held[neuron].mean().item(), abs=1e-5)
    for found in filter(None, seen["what_if"]):
        about, one = found["request"], inputs[found["request"]["example"]][None]
        start = torch.zeros_like(one)
        off = [(layer, n if isinstance(n, int) else tuple(n)) for layer, n in about["ablated"]]
        layers = {layer for layer, _ in off}
        to = {layer: attr.LayerActivation(model, layer).attribute(start) for layer in layers}
        with torch.no_grad(), switched_off(model, off, to if about["ablate_to"] == "baseline" else 0.0):
            wanted = model(one)[0]
        for item in found["items"]:
            assert item["after_score"] == pytest.approx(wanted[item["index"]].item(), abs=1e-5)
    for found in filter(None, seen["layer_maps"]):
        about, one = found["request"], inputs[found["request"]["example"]][None]
        if about["layer_method"] == "LayerActivation" and "second" in found["names"]:
            wanted = attr.LayerActivation(model, "second").attribute(one).sum().item()
            assert found["sums"][found["names"].index("second")] == pytest.approx(wanted, abs=1e-3)
    explorer.close()


def test_a_model_without_gradients_is_looked_into_all_the_same(explore: Any, image: Tensor) -> None:
    explorer = explore(Opaque().eval(), image, layer="first", layer_method="LayerActivation").wait()
    assert explorer.heat["final"]
    assert explorer.layer_relevance == {}
    assert "contributions" not in explorer.channels
    best = explorer.top_channels(2)
    assert all(np.isnan(one.contribution) for one in best)
    held = explorer.layer_attributions[0].mean((1, 2))
    assert [one.channel for one in best] == held.abs().argsort(descending=True)[:2].tolist()
    explorer.ablated = [["first", 3]]
    explorer.wait()
    assert scores(explorer, "before_score") != scores(explorer, "after_score")
    explorer.layer_method = "LayerGradCam"
    with pytest.raises(InputError, match="autograd"):
        explorer.wait()
    explorer.neuron = 2
    with pytest.raises(InputError, match="autograd"):
        explorer.wait()


def test_grad_cam_of_tokens_without_gradients_says_why(explore: Any) -> None:
    class OpaqueVit(Vit):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(x)

    explorer = explore(net(OpaqueVit), picture(8, 12), layer="block")
    with pytest.raises(InputError, match="autograd"):
        explorer.wait()


def test_a_model_that_raises_is_heard_and_the_next_pick_works(make: Make, model: TwoLayers) -> None:
    explorer = make(target=0, layer="first").wait()

    def refuse(x: Tensor) -> None:
        raise KeyError("<b>no such key</b>")

    for picks in ({"layer": "second"}, {"neuron": 2}, {"ablated": [["first", 0]]}):
        model.before = refuse
        from_page(explorer, **picks)
        with pytest.raises(KeyError, match="no such key"):
            explorer.wait()
        assert explorer.status == "error"
        model.before = lambda x: None
        assert_consistent(explorer.recompute().wait())
    for name, module in model.named_modules():
        assert not module._forward_hooks, name
        assert not module._forward_pre_hooks, name


def test_a_layer_that_never_ran_is_said(make: Make) -> None:
    explorer = make(target=0, method="Saliency").wait()
    row = next(row for row in explorer.layers if row["name"] == "unused")
    assert row["why"] == "did not run: the model never calls this module"
    assert (row["pickable"], row["spatial"], row["form"], row["order"]) == (False, False, None, None)
    explorer.layer = "unused"
    with pytest.raises(LayerError, match="'unused' did not run"):
        explorer.wait()
    assert explorer.channels.get("request") is None
    explorer.layer = "first"
    assert_consistent(explorer.wait())


def test_a_layer_that_is_not_run_any_more_is_said(explore: Any, image: Tensor) -> None:
    class Fickle(TwoLayers):
        short = False

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x) if self.short else self.act(self.first(x))).mean((2, 3))

    model = Fickle().eval()
    explorer = explore(model, image, layer="act", neuron=2, ablated=[["act", 1]]).wait()
    model.short = True
    explorer.recompute()
    with pytest.raises(LayerError, match="'act' did not run"):
        explorer.wait()
    explorer.layer, explorer.ablated = "first", []
    assert_consistent(explorer.wait())


class Broken(TwoLayers):
    """Channels 1 and 4 of ``first`` hold NaN and infinity somewhere, and the model goes on without those."""

    def __init__(self) -> None:
        super().__init__()
        self.spoil = Spoil()

    def forward(self, x: Tensor) -> Tensor:
        self.before(x)
        x = self.spoil(self.first(x)).nan_to_num(0.0, 0.0, 0.0)
        return self.second(self.act(x)).mean((2, 3))


class Spoil(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        spoiled = x.clone()
        spoiled[:, 1, 0, 0], spoiled[:, 4, 2, 2] = float("nan"), float("inf")
        return spoiled


def test_activations_that_are_no_numbers_are_marked_and_the_rest_is_shown(
    explore: Any, image: Tensor
) -> None:
    explorer = explore(Broken().eval(), image, layer="spoil", layer_method="LayerActivation").wait()
    mirror = Mirror(explorer)
    assert explorer.channels["notice"] == "2 of 6 channels hold numbers that are not finite"
    scales = np.frombuffer(explorer.channels["scales"], "<f4")
    assert np.isnan(scales).tolist() == [False, True, False, False, True, False]
    best = explorer.top_channels(6)
    assert {one.channel for one in best[-2:]} == {1, 4}  # nobody knows what they contribute
    assert explorer.heat["sum"] is None
    explorer.neuron = [1, 0, 0]
    with pytest.raises(NonFiniteError):
        explorer.wait()
    explorer.neuron = [1, 0, 1]
    assert explorer.wait().neuron_info["activation"] is not None
    explorer.ablated = [["spoil", 1], ["spoil", 4]]
    assert_consistent(explorer.wait(), mirror)


def test_a_prediction_that_is_no_number_is_said(explore: Any, image: Tensor) -> None:
    class Lost(TwoLayers):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * float("nan")

    explorer = explore(Lost().eval(), image, layer="first", layer_method="LayerActivation").wait()
    assert "the explained output is NaN" in explorer.message  # so there is no path
    assert explorer.heat["final"]
    assert explorer.channels["request"]["layer"] == "first"
    explorer.ablated = [["first", 0]]
    assert explorer.wait().what_if["items"][0]["after"] is None
    explorer.layer_method = "LayerGradientXActivation"
    with pytest.raises(NonFiniteError):
        explorer.wait()


def test_ten_thousand_modules(explore: Any) -> None:
    """A tree, its bars and the maps of all layers, in a few seconds: nothing takes the square of their number."""

    class Cell(nn.Module):
        def __init__(self, conv: bool) -> None:
            super().__init__()
            self.work = nn.Conv2d(2, 2, 1) if conv else nn.Identity()
            self.spare = nn.Sequential(*(nn.Identity() for _ in range(7)))

        def forward(self, x: Tensor) -> Tensor:
            return self.work(x)

    model = nn.Sequential(*(Cell(i % 100 == 0) for i in range(1000)), nn.Flatten(), nn.Linear(32, 3)).eval()
    count, ran = len(list(model.modules())), 2003
    assert count >= 10_000
    x = torch.rand(1, 2, 4, 4)
    began = time.perf_counter()
    explorer = explore(model, x, layer="500.work").wait()
    spent = time.perf_counter() - began
    assert len(explorer.layers) == len(explorer.layer_relevance["values"]) == count
    assert sum(value is not None for value in explorer.layer_relevance["values"]) == ran
    assert len(explorer.layer_maps["names"]) == ran - 3
    began = time.perf_counter()
    explorer.neuron = 1
    explorer.ablated = [["500.work", 0]]
    explorer.layer = "700.work"
    explorer.wait()
    assert spent < 30  # 2 s alone
    assert time.perf_counter() - began < 15  # 0.5 s alone


def test_trained_meanwhile_it_explains_the_new_weights_inside_too(
    make: Make, model: TwoLayers, image: Tensor
) -> None:
    explorer = make(target=0, layer="first", neuron=2, ablated=[["first", 1]]).wait()
    with torch.no_grad():
        model.second.weight.mul_(2)
        model.first.bias.add_(0.1)
    explorer.neuron = 3  # notices, and begins anew
    explorer.wait()
    assert_consistent(explorer)
    held = attr.LayerActivation(model, "first").attribute(image)[0]
    parts = attr.LayerGradientXActivation(model, "first").attribute(image, target=0)[0]
    np.testing.assert_allclose(
        np.frombuffer(explorer.channels["activations"], "<f4"), held.mean((1, 2)), atol=1e-5
    )
    assert explorer.neuron_info["activation"] == pytest.approx(held[3].mean().item(), abs=1e-5)
    assert explorer.layer_relevance["values"][1] == pytest.approx(parts.sum().item(), abs=1e-4)
    with torch.no_grad(), switched_off(model, [("first", 1)]):
        after = model(image)[0]
    for index, value in scores(explorer, "after_score").items():
        assert value == pytest.approx(after[index].item(), abs=1e-5)


def test_training_all_the_while_leaves_it_in_order(make: Make, model: TwoLayers) -> None:
    explorer = make(target=0, layer="first").wait()
    stop = threading.Event()

    def train() -> None:
        while not stop.is_set():
            with torch.no_grad():
                model.first.weight.mul_(1.0001)

    trainer = threading.Thread(target=train, daemon=True)
    trainer.start()
    for i in range(12):
        explorer.layer = ["first", "second"][i % 2]
        explorer.neuron = i % 5
        explorer.ablated = [["first", i % 6]]
        explorer.layer_method = AT["layer"][i % 6]
        try:
            explorer.wait(30)
        except WeightsChangedError:
            continue
    stop.set()
    trainer.join(10)
    assert_consistent(explorer.recompute().wait())
    assert not explorer.weights_changed
