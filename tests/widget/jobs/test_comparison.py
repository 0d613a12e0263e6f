"""Methods beside each other: the numbers of evaluate(), line by line, and the map that stays on show meanwhile."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attriscope import Explorer, attr, metrics
from attriscope.core.errors import OperationError
from attriscope.widget.methods.parameters import plain
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import (
    Gate,
    Make,
    Mirror,
    TwoLayers,
    assert_consistent,
    from_page,
    third_of_a_batch,
    without_bytes,
)


def by_name(explorer: Explorer) -> dict[str, Any]:
    return {one["name"]: one for one in explorer.comparison["methods"]}


def ask(explorer: Explorer) -> None:
    """What the page's button does."""
    explorer._handle_custom_msg({"type": "compare"}, [])


def test_the_numbers_are_those_of_evaluate(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=2, settings={"NoiseTunnel": {"nt_samples": 4}})
    names = ["Saliency", "NoiseTunnel", "DeepLift", "random", "edges"]
    wanted_metrics = ["deletion", "insertion", "faithfulness correlation", "average sensitivity"]
    explorer.compare(names, wanted_metrics).wait()
    stdevs = explorer._registry.parameters["NoiseTunnel"]["stdevs"].default
    smooth = {"abs": False, "nt_samples": 4, "stdevs": stdevs}

    def noise_tunnel(m: Any, inputs: Tensor, target: Any) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return attr.NoiseTunnel(attr.Saliency(m)).attribute(
            inputs, target=target, generator=generator, **smooth
        )

    wanted = metrics.evaluate(
        {
            "Saliency": (attr.Saliency(model), {"abs": False}),
            "NoiseTunnel": noise_tunnel,
            "DeepLift": attr.DeepLift(model),
            "random": metrics.random_attribution,
            "edges": metrics.edge_detector,
        },
        model, image, 2, wanted_metrics, generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    table = explorer.comparison_table
    assert table.methods == wanted.methods
    for name in names:
        for metric in wanted_metrics:
            assert table.mean(name, metric) == pytest.approx(wanted.mean(name, metric), abs=1e-5)
        values = by_name(explorer)[name]["values"]
        assert values == [table.mean(name, metric) for metric in wanted_metrics]
    assert [one["name"] for one in explorer.comparison["metrics"]] == wanted_metrics
    assert by_name(explorer)["NoiseTunnel"]["rows"] == 4


def test_what_the_page_is_told(make: Make) -> None:
    explorer = make(target=2, contrast=1, baseline=["zero", "white"], method="Occlusion").compare().wait()
    kernel_trait = explorer.comparison
    json.dumps(without_bytes(kernel_trait), allow_nan=False)
    assert (
        kernel_trait["title"]
        == "Explanations of class 2 rather than class 1, average over the baselines zero, white"
    )
    assert kernel_trait["request"] == explorer.choice.request("comparison")
    assert kernel_trait["settings"]["IntegratedGradients"] == {"n_steps": 8}
    assert (kernel_trait["final"], kernel_trait["awaited"]) == (True, [])
    assert next(iter(by_name(explorer))) == "Occlusion"  # the chosen one comes first
    assert len(by_name(explorer)) == 8  # six methods and two controls
    assert [name for name, one in by_name(explorer).items() if one["control"]] == ["random", "edges"]
    for j, metric in enumerate(kernel_trait["metrics"]):
        values = [one["values"][j] for one in kernel_trait["methods"]]
        top = max(values) if metric["better"] == "higher" else min(values)
        assert [one["best"][j] for one in kernel_trait["methods"]] == [value == top for value in values]
        assert metric["arrow"] == ("↑" if metric["better"] == "higher" else "↓")
        assert metric["doc"]
    assert_consistent(explorer)


def test_every_metric_is_explained(make: Make) -> None:
    explorer = make(target=2)
    largest = metrics.Metric(lambda case: case.attributions.flatten(1).amax(1), better="higher")
    explorer.compare(["Saliency"], {"mine": largest, "area": "deletion"}).wait()
    assert [one["doc"] for one in explorer.comparison["metrics"]] == [
        "",
        plain(metrics.CATALOGUE["deletion"].summary),
    ]
    assert all(plain(metric.summary) for metric in metrics.CATALOGUE.values())


def test_a_registered_metric_is_offered_by_its_name(make: Make) -> None:
    explorer = make(target=2)
    with pytest.raises(ChoiceError, match="metrics must be out of deletion, insertion"):
        explorer.compare(["Saliency"], ["largest"])

    @metrics.register("largest", better="higher")
    def largest(case: metrics.Case) -> Tensor:
        """The ``largest`` attribution."""
        return case.attributions.flatten(1).amax(1)

    try:
        explorer.compare(["Saliency"], ["largest"]).wait()
    finally:
        del metrics.CATALOGUE["largest"]
    (told,) = explorer.comparison["metrics"]
    assert (told["name"], told["arrow"], told["doc"]) == ("largest", "↑", "The largest attribution.")
    assert by_name(explorer)["Saliency"]["values"] == [explorer.comparison_table.mean("Saliency", "largest")]


def test_the_map_on_show_stays(make: Make) -> None:
    explorer = make(target=2, method="Saliency").wait()
    heat, path, attributions = explorer.heat, explorer.path, explorer.attributions
    seen: list[Any] = []
    explorer.observe(lambda change: seen.append(change["name"]), ["heat", "path", "picture", "predictions"])
    mirror = Mirror(explorer)
    ask(explorer)
    explorer.wait()
    assert seen == []
    assert explorer.heat is heat
    assert explorer.path is path
    assert explorer.attributions is attributions
    assert explorer.comparison["final"]
    assert_consistent(explorer, mirror)


def test_a_map_that_is_not_ready_comes_first(make: Make, model: TwoLayers) -> None:
    gate = Gate()
    model.before = gate
    explorer = make(method="Occlusion")  # the target is found meanwhile
    assert gate.reached.wait(20)
    ask(explorer)
    gate.open.set()
    explorer.wait()
    assert explorer.heat["final"]
    assert explorer.comparison["request"]["target"] == explorer.target is not None
    assert_consistent(explorer)


def test_a_recomputation_is_not_lost_to_it(make: Make, model: TwoLayers) -> None:
    explorer = make(target=2, method="Saliency").wait()
    heat, gate = explorer.heat, Gate()
    model.before = gate
    explorer.compare()
    assert gate.reached.wait(20)
    explorer.recompute()
    explorer.compare(["Saliency"], ["entropy"])  # before the worker came to it
    gate.open.set()
    explorer.wait()
    assert explorer.heat is not heat
    assert_consistent(explorer)


@pytest.mark.parametrize("messages", [2, 10])  # the first eight are rough
def test_lines_come_one_by_one_and_cancel_keeps_them(make: Make, model: TwoLayers, messages: int) -> None:
    explorer = make(target=2, method="Saliency").wait()
    heat, gate, counts = explorer.heat, Gate(), []

    def lines(change: Any) -> None:
        if change["new"]:
            counts.append(len(change["new"]["methods"]))
        if len(counts) == messages:
            model.before = gate

    explorer.observe(lines, "comparison")
    ask(explorer)
    assert gate.reached.wait(20)
    assert (explorer.status, counts) == ("running", [1, 2, 3, 4, 5, 6, 7, 8, 8, 8][:messages])
    explorer.cancel()
    model.before = lambda x: None
    gate.open.set()
    assert (explorer.status, explorer.comparison["final"]) == ("cancelled", False)
    table = explorer.comparison_table
    assert (None if table is None else len(table.methods)) == (None if messages == 2 else 2)
    assert explorer.heat is heat
    ask(explorer)
    explorer.wait()
    assert explorer.comparison["final"]
    assert_consistent(explorer)


def test_the_latest_wish_wins(make: Make, model: TwoLayers) -> None:
    explorer = make(target=2, method="Saliency").wait()
    gate = Gate()
    model.before = gate
    ask(explorer)
    assert gate.reached.wait(20)
    from_page(explorer, target=3)
    model.before = lambda x: None
    gate.open.set()
    explorer.wait()
    assert explorer.heat["request"]["target"] == 3
    assert explorer.comparison == {}
    assert_consistent(explorer)


def test_progress_goes_on_and_never_back(make: Make, model: TwoLayers) -> None:
    explorer = make(target=2).wait()
    model.before = lambda x: time.sleep(0.01)
    seen: list[float] = []
    explorer.observe(lambda change: seen.append(change["new"]), "progress")
    explorer.compare(["Saliency", "edges"], ["deletion"]).wait()
    assert len(seen) >= 3
    assert seen[1:] == sorted(seen[1:])
    assert seen[-1] == 1.0


def test_a_method_that_fails_says_so_and_the_others_stand(make: Make) -> None:
    class Broken(attr.Attribution):
        def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
            raise OperationError("no rule for it")

    explorer = (
        make(target=2, methods=[Broken]).compare(["Broken", "Saliency"], ["deletion", "entropy"]).wait()
    )
    broken = by_name(explorer)["Broken"]
    assert broken["values"] == [None, None]
    assert broken["notes"] == ["OperationError: no rule for it"] * 2
    assert broken["best"] == [False, False]
    assert all(by_name(explorer)["Saliency"]["best"])
    assert "undefined [1]" in str(explorer.comparison_table)
    assert explorer.status == "idle"
    explorer.compare(["Broken"])
    with pytest.raises(OperationError, match="no rule for it"):
        explorer.wait()
    assert explorer.status == "error"
    assert explorer.heat["final"]


def test_rows_of_a_method_of_ones_own_are_counted(make: Make) -> None:
    class Own(attr.Attribution):
        def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
            for _ in range(7):
                self.forward_func(inputs)
            return inputs.clone()

    for chosen in ("Own", "Saliency"):  # the map on show is known, the other is not
        explorer = make(target=2, methods=[Own], method=chosen).compare(["Own", "random"], ["entropy"]).wait()
        assert {name: one["rows"] for name, one in by_name(explorer).items()} == {"Own": 7, "random": 0}
        assert explorer.comparison_table.explaining["Own"].rows == 7
    assert make(target=2, methods=[Own], method="Own").wait().heat["evaluations"] == 7


def test_metrics_that_change_the_model_leave_it_as_it_was(make: Make, model: TwoLayers) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    explorer = make(target=2).compare(["Saliency", "GuidedGradCam", "edges"], ["randomisation"]).wait()
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    found = {name: one["values"][0] for name, one in by_name(explorer).items()}
    assert found["edges"] == pytest.approx(1.0)  # the same whatever the weights
    assert found["Saliency"] < 0.9
    assert not explorer.weights_changed


def test_other_weights_make_it_out_of_date(make: Make, model: TwoLayers) -> None:
    explorer = make(target=2).compare(["Saliency"], ["entropy"]).wait()
    assert explorer.comparison["outdated"] is False
    with torch.no_grad():
        model.first.weight.mul_(2)
    explorer.recompute().wait()
    assert explorer.comparison["outdated"] is True
    assert explorer.weights_changed is False
    explorer.compare(["Saliency"], ["entropy"]).wait()
    assert explorer.comparison["outdated"] is False


def test_one_example_of_a_batch_with_what_belongs_to_it() -> None:
    explorer, x, own = third_of_a_batch()
    model = explorer._explained.model
    explorer.compare(["Saliency", "FeatureAblation"], ["deletion", "average sensitivity"]).wait()
    wanted = metrics.evaluate(
        {"Saliency": (attr.Saliency(model), {"abs": False})}, model, x, 1, ["deletion"],
        additional_forward_args=own,
    )  # fmt: skip
    assert by_name(explorer)["Saliency"]["values"][0] == pytest.approx(wanted.mean("Saliency", "deletion"))
    assert not any(by_name(explorer)["FeatureAblation"]["notes"])
    explorer.close()
    assert explorer.comparison_table is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"methods": "Saliency"}, "methods must be a list of names, but 'Saliency' came"),
        ({"methods": []}, "methods must be a list of names"),
        ({"methods": ["Saliency", "no such"]}, "each of methods must be one of .*edges, but 'no such' came"),
        ({"methods": [3]}, "but 3 came"),
        ({"metrics": "deletion"}, "metrics must be a list of names or a dict, but 'deletion' came"),
        ({"metrics": ["no such"]}, "metrics must be out of deletion, .*but 'no such' came"),
        ({"metrics": {"mine": len}}, "metrics must be out of"),
        ({"metrics": {3: "deletion"}}, "names of metrics must be strings, but 3 came"),
        ({"metrics": [["deletion"]]}, "metrics must be"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_at_once(make: Make, given: Any, words: str) -> None:
    explorer = make(target=2).wait()
    with pytest.raises(ChoiceError, match=words):
        explorer.compare(**given)
    assert (explorer.status, explorer.comparison) == ("idle", {})


def test_a_saved_page_has_the_table(make: Make, tmp_path: Any) -> None:
    explorer = make(target=2).compare(["Saliency"], ["entropy"]).wait()
    explorer.to_html(tmp_path / "page.html")
    assert '"comparison": {"title": "Explanations of class 2' in (tmp_path / "page.html").read_text()
    assert math.isfinite(by_name(explorer)["Saliency"]["seconds"])
    json.dumps(without_bytes(explorer.get_state()), allow_nan=False)


def shown(message: dict[str, Any]) -> Tensor:
    """A small map as the page reads it."""
    halves = np.frombuffer(message["data"], "<f2").astype(np.float32)
    return message["scale"] * torch.from_numpy(halves).reshape(message["shape"])


def test_each_line_has_its_map(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=2, method="DeepLift").compare(metrics=["sparseness"]).wait()
    found = {name: shown(one["map"]) for name, one in by_name(explorer).items()}
    gradients = attr.IntegratedGradients(model)
    cam = attr.LayerGradCam(model, "second").attribute(image, 2)
    wanted = {
        "DeepLift": attr.DeepLift(model).attribute(image, target=2),
        "Saliency": attr.Saliency(model).attribute(image, target=2, abs=False),
        "IntegratedGradients": gradients.attribute(image, target=2, n_steps=8),
        "Occlusion": attr.Occlusion(model).attribute(image, (3, 1, 1), target=2),
        "LayerGradCam": torch.nn.functional.interpolate(cam, image.shape[2:], mode="bilinear"),
        "edges": metrics.edge_detector(model, image),
    }
    for name, values in wanted.items():
        one = values.detach().sum(1)[0]
        assert torch.allclose(found[name], one, atol=2e-3 * float(one.abs().amax())), name
    assert set(found) == {*wanted, "GuidedBackprop", "random"}


def test_large_maps_are_made_small(explore: Callable[..., Explorer]) -> None:
    image = torch.rand(1, 3, 90, 120, generator=torch.Generator().manual_seed(3))
    explorer = explore(TwoLayers().eval(), image).compare(["Saliency"], ["sparseness"]).wait()
    small = shown(by_name(explorer)["Saliency"]["map"])
    assert tuple(small.shape) == (42, 56)
    assert explorer.attributions is not None
    wanted = torch.nn.functional.interpolate(
        explorer.attributions.sum(1, keepdim=True), (42, 56), mode="area"
    )[0, 0]
    assert torch.allclose(small, wanted, atol=2e-3 * float(wanted.abs().amax()))


def test_what_takes_long_is_quick_unless_it_is_chosen_or_set(explore: Callable[..., Explorer]) -> None:
    image = torch.rand(1, 3, 28, 28, generator=torch.Generator().manual_seed(3))
    model = TwoLayers().eval()
    quick = {"Occlusion": {"window": 4, "moves_per_window": 1}, "IntegratedGradients": {"n_steps": 16}}

    def compared(**options: Any) -> dict[str, Any]:
        explorer = Explorer(model, image, target=1, **options).compare(metrics=["sparseness"]).wait()
        found = {name: one["quick"] for name, one in by_name(explorer).items() if "quick" in one}
        rows = by_name(explorer)["Occlusion"]["rows"]
        assert (rows == 50) == ("Occlusion" in found), rows  # the picture, and 7 windows along each side
        explorer.close()
        return found

    assert compared(method="Saliency") == quick
    assert compared(method="IntegratedGradients") == {"Occlusion": quick["Occlusion"]}
    occlusion = {"Occlusion": {"window": 5}}
    assert set(compared(method="Saliency", settings=occlusion)) == {"IntegratedGradients"}
    named = explore(model, image).compare(["Occlusion"], ["sparseness"]).wait()
    assert "quick" not in by_name(named)["Occlusion"]


def test_a_layer_method_explains_by_the_last_convolution(make: Make, model: TwoLayers) -> None:
    explorer = make(target=2).compare(["LayerGradCam", "Saliency"], ["deletion"]).wait()
    assert by_name(explorer)["LayerGradCam"]["layer"] == "second"
    assert "layer" not in by_name(explorer)["Saliency"]
    wanted = metrics.evaluate(
        {"LayerGradCam": attr.LayerGradCam(model, "second")}, model, explorer._explained.example(0).tensor, 2,
        ["deletion"], generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    table = explorer.comparison_table
    assert table.mean("LayerGradCam", "deletion") == pytest.approx(
        wanted.mean("LayerGradCam", "deletion"), abs=1e-5
    )


def test_a_model_without_convolutions_has_no_grad_cam_and_says_why(explore: Callable[..., Explorer]) -> None:
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(12, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3)
    )
    explorer = explore(model.eval(), torch.rand(1, 3, 2, 2)).compare(metrics=["sparseness"]).wait()
    cam = by_name(explorer)["LayerGradCam"]
    assert cam["values"] == [None]
    assert "no convolution" in cam["notes"][0]
    assert "map" not in cam
    assert all("map" in one for name, one in by_name(explorer).items() if name != "LayerGradCam")


def test_the_page_hears_what_is_to_come(make: Make) -> None:
    explorer, seen = make(target=2).wait(), []
    explorer.observe(lambda change: seen.append(change["new"].get("awaited")), "comparison")
    explorer.compare(["Saliency", "LayerGradCam", "edges"], ["sparseness"]).wait()
    assert seen == [["Grad-CAM", "Edges of the picture"], ["Edges of the picture"], []]


def test_what_is_quick_comes_first_and_stands_where_it_was_asked(make: Make) -> None:
    explorer, seen = make(target=2).wait(), []
    explorer.observe(
        lambda change: seen.append([one["name"] for one in change["new"].get("methods", ())]), "comparison"
    )
    explorer.compare(["Occlusion", "Saliency", "FeatureAblation", "edges"], ["sparseness"]).wait()
    assert seen == [
        ["Saliency"],
        ["Saliency", "edges"],
        ["Occlusion", "Saliency", "edges"],
        ["Occlusion", "Saliency", "FeatureAblation", "edges"],
    ]
    assert list(explorer.comparison_table.methods) == seen[-1]
