"""What the model says with neurons switched off."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import Explorer, switched_off
from attriscope.core.errors import InputError
from models import seeded
from widget.helpers import Gate, Make, TwoLayers, assert_consistent, from_page
from widget.inside import scores
from widget.nets import picture


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
    best = [output.argsort(descending=True)[:5].tolist() for output in (model(image)[0], after)]
    assert set(best[0]) != set(best[1])
    shown = [one["index"] for one in explorer.what_if["items"]]
    assert shown == [*best[0], *(i for i in best[1] if i not in best[0]), 0]  # and what is explained
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
    class Places(TwoLayers):
        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.act(self.first(x))).flatten(2)

    explorer = explore(Places().eval(), picture().float(), target=[1, 2])
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
