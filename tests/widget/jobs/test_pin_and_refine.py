"""A map that is kept beside those to come, and one that is worked out anew with more spending."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import attr
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import Gate, Make, TwoLayers, assert_consistent
from widget.nets import Rows, net, picture


def test_a_pinned_map_stays_while_others_come(make: Make) -> None:
    explorer = make(target=1, method="Saliency", layer="first").wait()
    heat, picture_ = explorer.heat, explorer.picture
    explorer._handle_custom_msg({"type": "pin"}, [])
    explorer.wait()
    assert explorer.pinned == [{"id": 1, "heat": heat, "picture": picture_, "title": heat["title"]}]
    explorer.layer = "second"
    explorer.wait()
    assert explorer.pinned[0]["heat"] is heat
    assert explorer.heat["request"]["layer"] == "second"
    explorer.pin().wait()
    assert explorer.pinned[1]["heat"] is explorer.heat
    explorer._handle_custom_msg({"type": "unpin"}, [])
    assert explorer.pinned == []
    assert_consistent(explorer)


def test_what_has_no_map_cannot_be_pinned(explore: Any) -> None:
    explorer = explore(net(Rows), picture(), layer="lstm").wait()
    assert explorer.pin().wait().pinned == []


def test_a_map_is_worked_out_before_it_is_pinned(make: Make, model: TwoLayers) -> None:
    explorer = make(target=1, method="Saliency").wait()
    gate = Gate()
    model.before = gate
    explorer.layer = "second"
    assert gate.reached.wait(20)
    explorer.pin()
    gate.open.set()
    explorer.wait()
    assert explorer.pinned[0]["heat"] is explorer.heat
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
