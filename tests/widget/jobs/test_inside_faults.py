"""Inside models of every kind under fast clicks, errors, training, and numbers that are none."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer, attr, switched_off
from attriscope.core.errors import InputError, LayerError, NonFiniteError
from attriscope.widget.model.weights import WeightsChangedError
from models import seeded
from widget.helpers import Make, Mirror, Opaque, TwoLayers, assert_consistent, from_page
from widget.inside import AT, FEW, scores
from widget.nets import Vit, net, picture


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
    assert (row["pickable"], row["spatial"], row["layout"], row["order"]) == (False, False, None, None)
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
