"""A region of the picture covered: what that costs, beside what the map says it is worth."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer, attr
from attriscope.widget.stages.segments import segments
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import Gate, Make, Masked, Mirror, TwoLayers, assert_consistent, from_page

BOX = {"kind": "box", "box": [2, 1, 6, 7]}


def box_mask() -> Tensor:
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[2:6, 1:7] = True
    return mask


def edited(image: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    """The picture with a baseline's pixels, one pixel after the other."""
    found = image.clone()
    for y, x in mask.nonzero().tolist():
        found[0, :, y, x] = start[0, :, y, x]
    return found


def baseline(image: Tensor, name: str) -> Tensor:
    if name == "zero":
        return torch.zeros_like(image)
    return attr.baselines.mean(image) if name == "mean" else attr.baselines.blur(image)


def row(explorer: Explorer, index: int) -> dict[str, Any]:
    (found,) = (one for one in explorer.covered["items"] if one["index"] == index)
    return dict(found)


@pytest.mark.parametrize("contrast", [None, 4])
@pytest.mark.parametrize("names", [["zero"], ["mean"], ["zero", "blur", "mean"]])
def test_the_cost_is_what_the_model_says_of_the_edited_picture(
    make: Make, model: TwoLayers, image: Tensor, names: list[str], contrast: int | None
) -> None:
    before = copy.deepcopy(model.state_dict())
    explorer = make(
        target=2, contrast=contrast, baseline=names if len(names) > 1 else names[0], selection=BOX
    )
    covered = explorer.wait().covered
    with torch.no_grad():
        intact = model(image)[0].double()
        after = [model(edited(image, box_mask(), baseline(image, name)))[0].double() for name in names]
    scores = torch.stack(after)

    def explained(output: Tensor) -> float:
        return float((output[..., 2] - (0 if contrast is None else output[..., contrast])).mean())

    assert covered["before"] == pytest.approx(explained(intact), abs=1e-6)
    assert covered["after"] == pytest.approx(explained(scores), abs=1e-6)
    assert covered["cost"] == pytest.approx(explained(intact) - explained(scores), abs=1e-6)
    assert covered["pixels"] == 24
    assert covered["kind"] == "probability"
    for index in range(5):
        one = row(explorer, index)
        assert one["before"] == pytest.approx(float(intact.softmax(0)[index]), abs=1e-6)
        assert one["after"] == pytest.approx(float(scores.softmax(1)[:, index].mean()), abs=1e-6)
        assert one["before_score"] == pytest.approx(float(intact[index]), abs=1e-6)
        assert one["after_score"] == pytest.approx(float(scores[:, index].mean()), abs=1e-6)
    assert torch.equal(explorer.selection_mask, box_mask())
    assert covered["worth"] == pytest.approx(
        float(explorer.attributions[0, :, box_mask()].double().sum()), abs=1e-6
    )
    assert covered["map"] == explorer.heat["request"]
    assert explorer.heat["summable"]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert_consistent(explorer)


def test_a_baseline_of_ones_own_covers_too(make: Make, model: TwoLayers, image: Tensor) -> None:
    kept = image.clone()
    own = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(9))
    explorer = make(target=0, baseline=own, selection=BOX).wait()
    with torch.no_grad():
        wanted = model(image)[0, 0] - model(edited(image, box_mask(), own))[0, 0]
    assert explorer.covered["cost"] == pytest.approx(float(wanted), abs=1e-6)
    other = torch.full_like(own, 0.7)
    explorer.baseline = other  # of the same name on the page
    with torch.no_grad():
        wanted = model(image)[0, 0] - model(edited(image, box_mask(), other))[0, 0]
    assert explorer.wait().covered["cost"] == pytest.approx(float(wanted), abs=1e-6)
    assert torch.equal(image, kept)


@pytest.mark.parametrize("kind", ["lasso", "segment", "mask", "array"])
def test_each_kind_of_region_covers_its_pixels(
    make: Make, model: TwoLayers, image: Tensor, kind: str
) -> None:
    mask = torch.rand(8, 8, generator=torch.Generator().manual_seed(1)) < 0.3
    given: Any = {
        "lasso": {"kind": "lasso", "points": [[0.2, 0.1], [7.1, 2.3], [2.4, 7.8]]},
        "segment": {"kind": "segment", "point": [5, 2]},
        "mask": mask,
        "array": mask.numpy(),
    }[kind]
    explorer = make(target=3, method="Saliency").wait()
    explorer.selection = given
    found = explorer.wait().selection_mask
    if kind in ("mask", "array"):
        assert torch.equal(found, mask)
    if kind == "segment":
        low, high = image.min(), image.max()
        pixels = ((image[0] - low) / (high - low) * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)
        labels = segments(pixels)
        assert torch.equal(found, labels == labels[2, 5])
        assert explorer.segments == {"shape": [8, 8], "data": labels.to(torch.uint8).numpy().tobytes()}
    with torch.no_grad():
        wanted = model(image)[0, 3] - model(edited(image, found, torch.zeros_like(image)))[0, 3]
    assert 0 < int(found.sum()) < 64
    assert explorer.covered["pixels"] == int(found.sum())
    assert explorer.covered["cost"] == pytest.approx(float(wanted), abs=1e-6)
    assert explorer.covered["region"] == explorer.selection
    assert "worth" not in explorer.covered  # a gradient is no part of the score
    assert_consistent(explorer)


@pytest.mark.parametrize(
    ("method", "settings", "summable"),
    [
        ("InputXGradient", {}, True),
        ("DeepLift", {}, True),
        ("LRP", {}, True),
        ("FeatureAblation", {"cells": 4}, False),
        ("KernelShap", {"cells": 3, "n_samples": 40}, False),
    ],
)
def test_the_map_says_what_its_numbers_in_the_region_add_up_to(
    make: Make, method: str, settings: dict[str, Any], summable: bool
) -> None:
    """Of cells, each pixel has its share of the cell's number."""
    explorer = make(target=1, method=method, settings={method: settings}, selection=BOX).wait()
    parts = explorer.attributions[0].double()
    if "cells" in settings:
        cells = settings["cells"]
        place = torch.arange(8) * cells // 8
        length = (place[:, None] == place).sum(1)
        parts = parts / (3 * length[:, None] * length[None])
    wanted = float(parts[:, box_mask()].sum())
    assert explorer.covered["worth"] == pytest.approx(wanted, abs=1e-6)
    assert explorer.heat["summable"] == summable
    whole = torch.ones(8, 8, dtype=torch.bool)
    explorer.selection = whole
    assert explorer.wait().covered["worth"] == pytest.approx(explorer.heat["sum"], abs=1e-5)


@pytest.mark.parametrize(
    "choice",
    [
        {"method": "Saliency"},
        {"method": "Occlusion"},
        {"settings": {"IntegratedGradients": {"n_steps": 8, "multiply_by_inputs": False}}},
        {"layer": "second"},
        {"layer": "first", "neuron": 2},
        {"layer": "first", "neuron": 2, "neuron_method": "NeuronConductance"},
    ],
    ids=str,
)
def test_what_is_no_part_of_the_score_is_not_added_up(make: Make, choice: dict[str, Any]) -> None:
    explorer = make(target=1, selection=BOX, **choice).wait()
    assert "worth" not in explorer.covered
    assert isinstance(explorer.covered["cost"], float)


class Halves(attr.Attribution):
    """A method of one's own, of which nothing is known."""

    def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
        return inputs / 2


def test_of_a_method_of_ones_own_it_is_the_sum_of_its_numbers(make: Make, image: Tensor) -> None:
    explorer = make(target=1, methods=[Halves], method="Halves", selection=BOX).wait()
    assert explorer.heat["quantity"] == "attribution"
    assert explorer.heat["tells_worth"]
    wanted = float(image[0, :, box_mask()].double().sum() / 2)
    assert explorer.covered["worth"] == pytest.approx(wanted, abs=1e-6)
    assert explorer.covered["map"] == explorer.heat["request"]


@pytest.mark.parametrize("neuron", [2, [2, 3, 4]])
def test_at_a_neuron_covering_costs_what_the_neuron_holds(
    make: Make, model: TwoLayers, image: Tensor, neuron: Any
) -> None:
    names = ["zero", "mean"]
    explorer = make(
        target=1, baseline=names, selection=BOX, layer="act", neuron=neuron, neuron_method="NeuronIntegratedGradients",
        settings={"NeuronIntegratedGradients": {"n_steps": 400}},
    ).wait()  # fmt: skip
    index = (2,) if isinstance(neuron, int) else tuple(neuron)

    def held(x: Tensor) -> float:
        with torch.no_grad():
            return float(model.act(model.first(x))[0].double()[index].sum())

    after = sum(held(edited(image, box_mask(), baseline(image, name))) for name in names) / 2
    covered = explorer.covered
    assert covered["before"] == pytest.approx(held(image), rel=1e-5)
    assert covered["after"] == pytest.approx(after, rel=1e-5)
    assert covered["cost"] == pytest.approx(held(image) - after, rel=1e-5, abs=1e-6)
    assert (covered["request"]["layer"], covered["request"]["neuron"]) == ("act", neuron)
    assert "items" not in covered
    assert covered["worth"] == pytest.approx(
        float(explorer.neuron_attributions[0, :, box_mask()].double().sum()), abs=1e-6
    )
    whole = torch.ones(8, 8, dtype=torch.bool)
    explorer.selection = whole  # of the whole picture, what it is worth is what it costs: the map is complete
    covered = explorer.wait().covered
    assert covered["worth"] == pytest.approx(covered["cost"], rel=0.01)
    assert_consistent(explorer)


def test_between_a_neuron_and_the_output_it_is_measured_anew(make: Make, model: TwoLayers) -> None:
    explorer = make(target=1, selection=BOX).wait()
    cost, rows = explorer.covered["cost"], []
    model.before = lambda x: rows.append(len(x))
    explorer.layer = "act"  # of a layer it is the output still
    explorer.wait()
    assert explorer.covered["cost"] == cost
    assert explorer.covered["request"]["layer"] is None
    explorer.neuron = 2
    neurons = explorer.wait().covered["cost"]
    assert neurons != cost
    explorer.target = 3  # the neuron holds what it held
    assert explorer.wait().covered["cost"] == neurons
    assert explorer.covered["request"]["target"] == 3
    explorer.target, explorer.neuron = 1, None
    assert explorer.wait().covered["cost"] == cost


def test_a_region_asks_for_no_map_and_a_map_for_no_region(make: Make, model: TwoLayers) -> None:
    explorer = make(target=1, selection=BOX).wait()
    rows: list[int] = []
    said: list[str] = []
    heat, cost = explorer.heat, explorer.covered["cost"]
    model.before = lambda x: rows.append(len(x))
    explorer.observe(lambda change: said.append(change["new"]), ["status", "message"])
    from_page(explorer, selection={"kind": "box", "box": [0, 0, 3, 3]})
    explorer.wait()
    assert rows == [1, 1, 1]  # before, covered, and back for what reads it
    assert said == []  # it is over before anybody has read it
    assert explorer.heat is heat
    from_page(explorer, selection=None)
    explorer.wait()
    assert rows == [1, 1, 1]  # before, covered, and back for what reads it
    assert explorer.covered == {}
    explorer.selection = BOX
    assert explorer.wait().covered["cost"] == cost
    rows.clear()
    explorer.method = "InputXGradient"
    worth = explorer.wait().covered["worth"]
    assert worth == pytest.approx(float(explorer.attributions[0, :, box_mask()].sum()), abs=1e-6)
    explorer.opacity = 0.2
    assert explorer.covered["cost"] == cost
    assert len(rows) == 1  # the gradient's: neither the region nor the path was run anew
    assert_consistent(explorer)


def test_a_region_does_not_stop_a_map_and_does_not_wait_for_its_end(make: Make, model: TwoLayers) -> None:
    explorer = make(target=1, method="Saliency").wait()
    gate = Gate()
    model.before = gate
    began: list[str] = []
    explorer.observe(lambda change: began.append(change["new"]), "message")
    explorer.method = "Occlusion"
    assert gate.reached.wait(20)
    explorer.selection = BOX
    gate.open.set()
    explorer.wait()
    assert began.count("Starting") == 1
    assert explorer.heat["request"]["method"] == "Occlusion"
    assert explorer.covered["region"] == BOX
    assert_consistent(explorer)


def test_of_several_regions_in_a_row_the_last_is_covered(make: Make, model: TwoLayers) -> None:
    explorer = make(target=1, method="Saliency").wait()
    gate = Gate()
    model.before = gate
    seen: list[Any] = []
    explorer.observe(lambda change: seen.append(change["new"]["region"]["box"]), "covered")
    explorer.selection = BOX
    assert gate.reached.wait(20)
    for size in range(1, 8):
        explorer.selection = {"kind": "box", "box": [0, 0, size, size]}
    gate.open.set()
    explorer.wait()
    assert seen == [[0, 0, 7, 7]]


def test_a_region_outlives_a_cancelled_map_and_leaves_its_end_as_it_was(make: Make, model: TwoLayers) -> None:
    explorer = make(target=1, method="Saliency").wait()
    gate = Gate()
    model.before = gate
    explorer.target = 3
    assert gate.reached.wait(20)
    explorer.cancel()
    gate.open.set()
    explorer.wait()
    explorer.selection = BOX
    explorer.wait()
    assert (explorer.status, explorer.message) == ("cancelled", "Cancelled")
    assert explorer.covered["request"]["target"] == 3
    assert isinstance(explorer.covered["cost"], float)


def test_another_example_has_no_region(model: TwoLayers) -> None:
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    explorer = Explorer(model, images, method="Saliency", target=1, example=1, selection=BOX).wait()
    mirror = Mirror(explorer)
    assert explorer.covered["region"] == BOX
    explorer.example = 0
    explorer.wait()
    assert explorer.selection is explorer.selection_mask is None
    assert explorer.covered == {}
    from_page(explorer, example=1, selection={"kind": "segment", "point": [1, 1]})
    explorer.wait()
    assert explorer.covered["request"]["example"] == 1
    with torch.no_grad():
        other = edited(images[1:], explorer.selection_mask, torch.zeros(1, 3, 8, 8))
        wanted = model(images[1:])[0, 1] - model(other)[0, 1]
    assert explorer.covered["cost"] == pytest.approx(float(wanted), abs=1e-6)
    assert_consistent(explorer, mirror)


def test_weights_that_changed_are_covered_anew(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=2, method="InputXGradient", selection=BOX).wait()
    with torch.no_grad():
        model.first.weight.mul_(1.5)
    explorer.recompute().wait()
    with torch.no_grad():
        wanted = model(image)[0, 2] - model(edited(image, box_mask(), torch.zeros_like(image)))[0, 2]
    assert explorer.covered["cost"] == pytest.approx(float(wanted), abs=1e-6)


def test_models_of_one_output_of_several_and_with_further_arguments(explore: Any, image: Tensor) -> None:
    one = nn.Sequential(TwoLayers().eval(), nn.Linear(5, 1)).requires_grad_(False)
    explorer = explore(one, image, target=None, selection=BOX).wait()
    hidden = edited(image, box_mask(), torch.zeros_like(image))
    assert explorer.covered["cost"] == pytest.approx(float(one(image) - one(hidden)), abs=1e-6)
    assert explorer.covered["kind"] == "score"

    maps = TwoLayers().eval()
    maps.forward = lambda x: maps.second(maps.first(x))  # type: ignore[method-assign]
    explorer = explore(maps, image, target=[3, 4, 4], selection=BOX).wait()
    with torch.no_grad():
        wanted = maps(image)[0, 3, 4, 4] - maps(hidden)[0, 3, 4, 4]
    assert explorer.covered["cost"] == pytest.approx(float(wanted), abs=1e-6)
    assert "items" not in explorer.covered
    explorer.target = lambda output: output[:, 1].amax((1, 2))
    with torch.no_grad():
        wanted = maps(image)[0, 1].max() - maps(hidden)[0, 1].max()
    assert explorer.wait().covered["cost"] == pytest.approx(float(wanted), abs=1e-6)

    masked, mask = Masked().eval(), torch.ones(1, 3, 8, 8)
    mask[..., :4] = 0.5
    weights = torch.tensor([1.0, -2.0, 3.0, 0.5, 1.5])
    more = {"additional_forward_args": (mask, weights, 2.0)}
    explorer = explore(masked, image, target=2, selection=BOX, **more).wait()
    with torch.no_grad():
        wanted = (masked(image, mask, weights, 2.0) - masked(hidden, mask, weights, 2.0))[0, 2]
    assert explorer.covered["cost"] == pytest.approx(float(wanted), abs=1e-5)


def test_a_model_that_fails_on_the_edited_picture_says_so_there(make: Make, model: TwoLayers) -> None:
    explorer = make(target=2, method="Saliency").wait()

    def choke(x: Tensor) -> None:
        if (x[0, :, 3, 3] == 0).all():
            raise ValueError("a hole in the picture")

    model.before = choke
    explorer.selection = BOX
    covered = explorer.wait().covered
    assert covered["message"] == "ValueError: a hole in the picture"
    assert "cost" not in covered
    assert (explorer.status, explorer.error) == ("idle", None)
    explorer.selection = {"kind": "box", "box": [0, 0, 2, 2]}
    assert "message" not in explorer.wait().covered


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"kind": "box", "box": [0, 0, 9, 2]}, r"bottom <= 8.*\[0, 0, 9, 2\]"),
        (torch.ones(4, 4, dtype=torch.bool), r"\(8, 8\)"),
        ("nose", "'nose'"),
    ],
)
def test_what_is_no_region_is_refused_and_nothing_changes(make: Make, value: Any, says: str) -> None:
    explorer = make(target=2, method="Saliency", selection=BOX).wait()
    covered = explorer.covered
    with pytest.raises(ChoiceError, match=says):
        explorer.selection = value
    assert explorer.selection == BOX
    if not isinstance(value, Tensor):
        from_page(explorer, selection=value)
        assert explorer.refused["trait"] == "selection"
    assert explorer.wait().covered is covered
    assert_consistent(explorer)


def test_where_the_model_is_the_mask_is_too(make: Make) -> None:
    explorer = make(target=2, method="Saliency")
    assert explorer.selection_mask is None
    explorer.selection = BOX
    assert explorer.selection_mask.device == explorer.wait().attributions.device
