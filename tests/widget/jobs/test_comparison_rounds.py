"""Methods are ranked roughly before they are judged, and nothing is worked out twice for it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import Explorer, attr, metrics
from widget.helpers import Make, TwoLayers


def by_name(explorer: Explorer) -> dict[str, Any]:
    return {one["name"]: one for one in explorer.comparison["methods"]}


def test_maps_are_ranked_roughly_before_they_are_judged(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer, seen = make(target=2, method="Saliency").wait(), []
    explorer.observe(lambda change: seen.append(change["new"]), "comparison")
    explorer.compare().wait()
    first, rough, halfway, last = seen[0], seen[7], seen[11], seen[15]
    roughly = {"deletion": True, "comprehensiveness": None, "sufficiency": None, "sparseness": None}
    for message in (first, rough, halfway):
        assert {one["name"]: one.get("rough") for one in message["metrics"]} == roughly
    assert not any("rough" in one for one in last["metrics"])
    assert (len(first["methods"]), len(first["awaited"])) == (1, 7)
    assert (rough["final"], rough["awaited"], last["final"], len(seen)) == (False, [], True, 16)
    names = [one["name"] for one in rough["methods"]]
    explained = (attr.Saliency(model), {"abs": False})
    for steps, message in ((8, rough), (8, halfway), (32, last)):
        # Nothing that is ranked has been measured in other ways than the rest.
        wanted = metrics.deletion(model, image, explained, target=2, steps=steps).auc
        saliency = message["methods"][names.index("Saliency")]
        assert saliency["values"][0] == pytest.approx(float(wanted), abs=1e-5)
        assert all("map" in one for one in message["methods"])
    assert rough["methods"][0]["values"][1:] == [None] * 3
    known = [one["name"] for one in halfway["methods"] if one["values"][1] is not None]
    assert 0 < len(known) < 8
    assert [one["map"] for one in rough["methods"]] == [one["map"] for one in last["methods"]]


def test_nothing_is_explained_twice(make: Make, model: TwoLayers) -> None:
    explorer = make(target=2, method="IntegratedGradients").wait()
    with_gradients: list[int] = []

    def count(x: Tensor) -> None:
        if torch.is_grad_enabled():
            with_gradients.append(len(x))

    model.before = count
    explorer.compare(["IntegratedGradients", "edges"]).wait()
    assert with_gradients == []  # the map on show is the chosen method's
    assert by_name(explorer)["IntegratedGradients"]["rows"] == explorer.heat["evaluations"]
    assert by_name(explorer)["IntegratedGradients"]["seconds"] > 0
    explorer.compare(["Saliency", "edges"]).wait()
    assert sum(with_gradients) == 1  # for two rounds


def test_a_map_that_was_refined_is_not_what_is_compared(make: Make) -> None:
    explorer = make(target=2, method="GradientShap").wait().compare(["GradientShap"]).wait()
    usual = explorer.comparison
    explorer.refine()
    explorer.compare(["GradientShap"]).wait()
    assert explorer.comparison["methods"][0]["map"] == usual["methods"][0]["map"]
