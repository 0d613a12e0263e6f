"""The Explorer of tables: a row explained by its columns, its cells edited, and its numbers those of the library."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer, attr
from attriscope.core.errors import InputError, InputTypeError
from attriscope.widget.messages.wire import number
from attriscope.widget.state.selection import ChoiceError
from models import draw
from widget.tables import COLUMNS, Tabular, heat_of, made_tables, table_rows, tabular  # noqa: F401 - fixtures


def test_a_row_is_explained_against_the_average_of_all(make: Any, model: Tabular, rows: Tensor) -> None:
    explorer = make(example=4).wait()
    best = int(model(rows[4:5]).argmax())
    mean = rows.mean(0, keepdim=True)
    wanted = attr.IntegratedGradients(model).attribute(rows[4:5], mean, target=best, n_steps=20)
    assert (explorer.target, explorer.baseline) == (best, "mean")
    torch.testing.assert_close(explorer.attributions, wanted)
    assert heat_of(explorer).shape == (1, 5)
    np.testing.assert_allclose(heat_of(explorer), wanted, rtol=1e-6)
    heat = explorer.heat
    assert heat["output"] == pytest.approx(model(rows[4:5])[0, best].item())
    # From the average row's output to this one's.
    start = model(mean)[0, best].item()
    assert heat["output"] - (heat["sum"] - heat["gap"]) == pytest.approx(start, abs=1e-5)
    assert explorer.table["names"] == COLUMNS
    assert explorer.table["values"] == pytest.approx(rows[4].tolist())
    assert explorer.baseline_row == pytest.approx(mean[0].tolist())
    assert explorer.picture == explorer.baseline_picture == explorer.segments == {}
    assert [one["label"] for one in explorer.examples][:2] == ["Row 1", "Row 2"]
    assert not any(one["picture"] for one in explorer.examples)
    assert np.array(explorer.path["shape"]).tolist() == [1, 5]


def test_the_output_of_a_contrast_is_a_difference(make: Any, model: Tabular, rows: Tensor) -> None:
    explorer = make(target=2, contrast=0).wait()
    logits = model(rows[:1])[0]
    assert explorer.heat["output"] == pytest.approx((logits[2] - logits[0]).item(), rel=1e-5)
    explorer.target = lambda output: output[:, 1] * 2
    assert explorer.wait().heat["output"] is None


def test_every_method_on_offer_explains_a_row(make: Any, model: Tabular, rows: Tensor) -> None:
    explorer = make()
    offered = {one["name"] for one in explorer.methods}
    assert not offered & {"Occlusion", "GuidedGradCam"}
    assert "LayerGradCam" not in {one["name"] for one in explorer.layer_methods}
    assert explorer.layer_method == "LayerGradientXActivation"
    assert {"ShapleyValues", "KernelShap", "FeatureAblation", "DeepLiftShap", "LRP"} <= offered
    for one in explorer.methods:
        explorer.method = one["name"]
        explorer.wait()
        assert explorer.attributions.shape == (1, 5), one["name"]
        assert heat_of(explorer).shape == (1, 5)
        np.testing.assert_allclose(heat_of(explorer), explorer.attributions, rtol=1e-5)
        assert "picture" not in one["doc"], one
        assert "cells" not in [parameter["name"] for parameter in one.get("parameters", ())]


def test_shapley_values_are_those_of_all_coalitions_of_columns(
    make: Any, model: Tabular, rows: Tensor
) -> None:
    explorer = make(method="ShapleyValues", target=1).wait()
    x, start = rows[:1].double(), rows.double().mean(0, keepdim=True)
    double = Tabular().eval().double()

    def value(inside: tuple[int, ...]) -> float:
        mixed = start.clone()
        mixed[:, list(inside)] = x[:, list(inside)]
        return double(mixed)[0, 1].item()

    wanted = torch.zeros(5, dtype=torch.float64)
    orders = list(itertools.permutations(range(5)))
    for order in orders:
        for place, column in enumerate(order):
            gain = value(order[: place + 1]) - value(order[:place])
            wanted[column] += gain / len(orders)
    torch.testing.assert_close(explorer.attributions[0].double(), wanted, rtol=1e-4, atol=1e-5)


def test_wide_tables_have_no_exact_shapley_values_and_enough_samples() -> None:
    wide = nn.Linear(300, 2)
    explorer = Explorer(wide, draw(3, 300, seed=1).float())
    samples = {
        one["name"]: {parameter["name"]: parameter["value"] for parameter in one.get("parameters", ())}
        for one in explorer.methods
    }
    assert "ShapleyValues" not in samples
    assert samples["KernelShap"]["n_samples"] == 800
    explorer.method = "KernelShap"
    explorer.wait()
    change = (
        explorer.heat["output"] - wide(draw(3, 300, seed=1).float().mean(0, keepdim=True))[0, explorer.target]
    )
    assert explorer.heat["sum"] == pytest.approx(change.item(), rel=1e-4)
    explorer.close()


def test_columns_are_never_averaged() -> None:
    wide = nn.Linear(3000, 2)
    rows = draw(2, 3000, seed=1).float()
    explorer = Explorer(wide, rows, target=0, n_steps=4).wait()
    assert explorer.heat["shape"] == explorer.path["shape"] == [1, 3000]
    np.testing.assert_allclose(heat_of(explorer), explorer.attributions, rtol=1e-6)
    explorer.compare(["Saliency"], ["sparseness"]).wait()
    assert explorer.comparison["methods"][0]["map"]["shape"] == [1, 3000]
    explorer.close()


def test_a_column_covered_costs_what_the_model_says(make: Any, model: Tabular, rows: Tensor) -> None:
    explorer = make(target=1).wait()
    explorer.selection = {"kind": "box", "box": [0, 1, 1, 3]}
    covered = explorer.wait().covered
    mixed = rows[:1].clone()
    mixed[:, 1:3] = rows.mean(0)[1:3]
    assert covered["before"] == pytest.approx(model(rows[:1])[0, 1].item())
    assert covered["after"] == pytest.approx(model(mixed)[0, 1].item())
    assert covered["worth"] == pytest.approx(explorer.attributions[0, 1:3].sum().item(), rel=1e-5)
    assert covered["pixels"] == 2
    assert explorer.selection_mask.tolist() == [[False, True, True, False, False]]
    explorer.selection = torch.tensor([[True, False, False, False, True]])
    assert explorer.wait().covered["pixels"] == 2
    with pytest.raises(ChoiceError, match="the row has no segments"):
        explorer.selection = {"kind": "segment", "point": [0, 0]}
    assert explorer.selection["kind"] == "mask"


def test_an_edited_row_is_explained_as_if_it_had_come_so(make: Any, model: Tabular, rows: Tensor) -> None:
    explorer = make(target=1, example=3).wait()
    before, layers = rows.clone(), explorer.layers
    explorer.edited = [[4, 2.5], [0, -1]]
    edited = rows[3:4].clone()
    edited[0, 4], edited[0, 0] = 2.5, -1
    explorer.wait()
    mean = rows.mean(0, keepdim=True)  # the others stay, and so does what they are compared with
    wanted = attr.IntegratedGradients(model).attribute(edited, mean, target=1, n_steps=20)
    torch.testing.assert_close(explorer.attributions, wanted)
    assert explorer.edited == [[0, -1.0], [4, 2.5]]
    assert explorer.heat["output"] == pytest.approx(model(edited)[0, 1].item(), rel=1e-6)
    assert explorer.table["values"] == pytest.approx(edited[0].tolist())
    shown = {one["index"]: one["score"] for one in explorer.predictions["items"]}
    assert [shown[i] for i in range(3)] == pytest.approx(model(edited)[0].tolist(), rel=1e-5)
    assert explorer.layers is layers
    assert torch.equal(rows, before)
    explorer.edited = []
    explorer.wait()
    wanted = attr.IntegratedGradients(model).attribute(rows[3:4], mean, target=1, n_steps=20)
    torch.testing.assert_close(explorer.attributions, wanted)
    assert explorer.table["values"] == pytest.approx(rows[3].tolist())


def test_edits_reach_everything_that_is_worked_out(make: Any, model: Tabular, rows: Tensor) -> None:
    explorer = make(target=1, layer="act").wait()
    held = explorer.top_channels(8)
    explorer.edited = [[2, 3.0]]
    edited = rows[:1].clone()
    edited[0, 2] = 3.0
    found = {one.channel: one.activation for one in explorer.wait().top_channels(8)}
    wanted = model.act(model.first(edited))[0]
    assert [found[i] for i in range(8)] == pytest.approx(wanted.tolist(), rel=1e-5)
    assert held != explorer.top_channels(8)
    explorer.layer = None
    explorer.ablated = [["act", 0]]
    explorer.wait()
    assert explorer.what_if["items"][0]["before"] == pytest.approx(
        model(edited).softmax(1)[0, explorer.what_if["items"][0]["index"]].item(), rel=1e-5
    )
    explorer.selection = {"kind": "box", "box": [0, 2, 1, 3]}
    explorer.wait()
    assert explorer.covered["before"] == pytest.approx(model(edited)[0, 1].item(), rel=1e-5)
    table = explorer.compare(["InputXGradient"], ["deletion"]).wait().comparison_table
    alone = attr.InputXGradient(model).attribute(edited, target=1)
    assert table.methods == ("InputXGradient",)
    map_ = explorer.comparison["methods"][0]["map"]
    values = np.frombuffer(map_["data"], "<f2").astype(float) * map_["scale"]
    np.testing.assert_allclose(values, alone[0].detach(), rtol=2e-3, atol=2e-3 * map_["scale"])
    assert all(one.verdict for one in explorer.check(2).wait().check_results.values())


def test_another_row_has_no_edits_and_the_strip_tells_of_rows_as_they_came(
    make: Any, model: Tabular, rows: Tensor
) -> None:
    explorer = make(labels=[0] * 9)
    explorer.wait()
    told = list(explorer.example_predictions)
    explorer.edited = [[0, 9.0], [1, -9.0], [2, 9.0]]
    explorer.wait()
    assert explorer.example_predictions == told
    explorer.example = 1
    assert explorer.edited == []
    explorer.wait()
    assert explorer.table["values"] == pytest.approx(rows[1].tolist())
    explorer.example = 0
    explorer.wait()
    assert explorer.table["values"] == pytest.approx(rows[0].tolist())
    assert explorer.target == int(model(rows[:1]).argmax())


def test_an_edit_that_is_cancelled_leaves_no_mixture(make: Any, model: Tabular, rows: Tensor) -> None:
    explorer = make(target=1).wait()
    for value in range(12):
        explorer.edited = [[1, float(value)]]
        if value % 3 == 0:
            explorer.cancel()
    explorer.recompute()
    edited = rows[:1].clone()
    edited[0, 1] = 11.0
    explorer.wait()
    wanted = attr.IntegratedGradients(model).attribute(
        edited, rows.mean(0, keepdim=True), target=1, n_steps=20
    )
    torch.testing.assert_close(explorer.attributions, wanted)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("age", "edited must be a list of pairs"),
        ([3], "but it holds 3"),
        ([[5, 1.0]], "of columns 0 to 4, but it holds column 5"),
        ([[-1, 1.0]], "but it holds column -1"),
        ([["age", 1.0]], "but it holds"),
        ([[0, float("nan")]], "of values that are numbers, but it holds nan"),
        ([[0, "63"]], "of values that are numbers, but it holds '63'"),
        ([[0, True]], "of values that are numbers, but it holds True"),
    ],
)
def test_bad_edits_are_refused(make: Any, value: object, message: str) -> None:
    explorer = make()
    with pytest.raises(ChoiceError, match=message):
        explorer.edited = value
    assert explorer.edited == []


def test_pictures_are_not_edited() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    explorer = Explorer(model, draw(1, 3, 8, 8).float())
    with pytest.raises(ChoiceError, match="edited is for the cells of a table, and not for the picture"):
        explorer.edited = [[0, 1.0]]
    with pytest.raises(ChoiceError, match="not for the picture"):
        explorer.edited = [[5, 1.0]]
    explorer.close()


def test_frames_bring_their_names_and_code_takes_them(make: Any, model: Tabular, rows: Tensor) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows.numpy(), columns=COLUMNS, index=[f"patient {i}" for i in range(9)])
    explorer = make(frame, feature_names=None, example=2, target=0, edited=[[3, 0.5]]).wait()
    assert explorer.table["names"] == COLUMNS
    assert explorer.examples[2]["label"] == "patient 2"
    scope: dict[str, Any] = {"model": model, "inputs": frame}
    exec(explorer.code, scope)
    torch.testing.assert_close(scope["attributions"], explorer.attributions)
    again = scope["explorer"].wait()
    assert (again.edited, again.example, again.baseline) == ([[3, 0.5]], 2, "mean")
    torch.testing.assert_close(again.attributions, explorer.attributions)
    again.close()


@pytest.mark.parametrize("baseline", ["zero", "mean", "median", 0.5, ["zero", "mean"]])
@pytest.mark.parametrize("method", ["IntegratedGradients", "DeepLiftShap", "FeatureAblation"])
def test_code_gives_the_same_numbers(
    make: Any, model: Tabular, rows: Tensor, baseline: Any, method: str
) -> None:
    explorer = make(baseline=baseline, method=method, example=1).wait()
    scope: dict[str, Any] = {"model": model, "inputs": rows}
    exec(explorer.code, scope)
    torch.testing.assert_close(scope["attributions"], explorer.attributions)
    assert scope["explorer"].choice.baselines == explorer.choice.baselines
    scope["explorer"].close()


def test_a_state_brings_a_table_back(make: Any, model: Tabular, rows: Tensor) -> None:
    explorer = make(example=2, edited=[[1, 0.25]], baseline="median").wait()
    state = explorer.state()
    again = Explorer.from_state(state, model, rows, feature_names=COLUMNS).wait()
    assert again.edited == [[1, 0.25]]
    torch.testing.assert_close(again.attributions, explorer.attributions)
    again.close()


def test_rows_are_compared_with_random_numbers_but_have_no_edges(make: Any) -> None:
    explorer = make().wait()
    table = explorer.compare().wait().comparison_table
    assert "random" in table.methods
    assert "edges" not in table.methods
    assert "LayerGradCam" not in table.methods
    assert not table.notes
    with pytest.raises(ChoiceError, match="edges"):
        explorer.compare(["edges"])


def test_noise_is_of_each_columns_range(make: Any, model: Tabular, rows: Tensor) -> None:
    wide = rows.clone()
    wide[:, 0] *= 1e6
    explorer = make(wide).wait()
    seen: list[Tensor] = []
    forward = model.forward
    model.forward = lambda x: (seen.append(x.detach().clone()), forward(x))[1]  # type: ignore[method-assign]
    result = explorer.check(3).wait().check_results["stable"]
    noisy = torch.cat([x for x in seen if len(x) == 4])  # the row and three with noise
    assert result.sentence
    moved = (noisy[1:4] - wide[:1]).abs().amax(0)
    assert (moved <= 0.0101 * (wide.amax(0) - wide.amin(0))).all()
    assert moved[0] > 100 * moved[1]
    assert "each column's range" in next(
        one["doc"] for one in explorer.checks["results"] if one["name"] == "stable"
    )
    assert "columns add up" in explorer.check_results["complete"].sentence


def test_layers_of_a_table_lie_over_nothing(model: Tabular, rows: Tensor) -> None:
    inner = nn.Sequential(
        nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 4, 3, padding=1), nn.Flatten(), nn.Linear(20, 3)
    )
    explorer = Explorer(inner, rows, layer="1").wait()
    assert explorer.heat == {}
    assert explorer.channels["count"] == 4
    explorer.neuron = 2
    assert explorer.wait().heat["shape"] == [1, 5]
    explorer.close()


def test_bad_tables(model: Tabular, rows: Tensor) -> None:
    with pytest.raises(InputError, match="as the one input that is explained"):
        Explorer(model, (rows, rows))
    with pytest.raises(InputTypeError, match="floating point"):
        Explorer(model, rows.long())
    pandas = pytest.importorskip("pandas")
    with pytest.raises(InputTypeError, match="the columns of a frame must hold numbers"):
        Explorer(model, pandas.DataFrame({"a": ["x", "y"]}))
    assert number("0.5") == 0.5


def test_a_missing_value_has_no_way_from_the_baseline_and_spoils_no_other(rows: Tensor) -> None:
    class Imputing(Tabular):
        """Takes what is missing for a half."""

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(torch.where(x.isnan(), 0.5, x))

    model, holed = Imputing().eval(), rows.clone()
    holed[0, 3] = torch.nan
    explorer = Explorer(model, holed, target=1, n_steps=40, feature_names=COLUMNS).wait()
    found, mean = explorer.attributions[0], holed.nanmean(0, keepdim=True)
    assert found.isnan().tolist() == [False, False, False, True, False]
    # On the way the value is missing all along, but for the baseline itself: the others lead from there to the row.
    start = mean.clone()
    start[0, 3] = torch.nan
    change = (model(holed[:1]) - model(start))[0, 1].item()
    assert found.nansum().item() == pytest.approx(change, abs=1e-3)
    assert np.isfinite(explorer.path["totals"]).all()
    assert explorer.path["totals"][-1] == pytest.approx(found.nansum().item(), abs=1e-4)
    assert explorer.table["values"][3] is None
    assert explorer.heat["sum"] is None
    explorer.method = "FeatureAblation"
    one = mean.clone()
    without = holed[:1].clone()
    without[0, 3] = one[0, 3]
    wanted = (model(holed[:1]) - model(without))[0, 1].item()
    assert explorer.wait().attributions[0, 3].item() == pytest.approx(wanted, rel=1e-4)
    explorer.edited = [[3, 1.0]]
    assert explorer.wait().attributions.isfinite().all()
    explorer.close()
