"""The maps of all layers at once, to scrub through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope import attr
from widget.helpers import Make, TwoLayers, assert_consistent
from widget.inside import FEW
from widget.nets import Vit, net, picture


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
