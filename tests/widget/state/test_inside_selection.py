"""Layers and neurons selected by hand: from either side, together or alone, and what cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from torch import Tensor

from attriscope import Explorer
from attriscope.widget.state.selection import ChoiceError
from models import seeded
from widget.helpers import Make, Mirror, TwoLayers, assert_consistent, from_page
from widget.nets import picture


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
