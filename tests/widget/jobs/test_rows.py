"""All rows of a table explained: each as by itself, those that fail left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer, attr
from attriscope.core.errors import NonFiniteError
from attriscope.widget.state.selection import ChoiceError
from models import draw
from widget.tables import COLUMNS, Tabular, heat_of, made_tables, table_rows, tabular  # noqa: F401 - fixtures


@pytest.mark.parametrize(
    "method", ["IntegratedGradients", "Saliency", "KernelShap", "DeepLiftShap", "GradientShap"]
)
def test_all_rows_are_explained_as_each_by_itself(make: Any, rows: Tensor, method: str) -> None:
    explorer = make(target=1, method=method, example=2).wait()
    found = explorer.explain_rows().wait().row_attributions
    assert found.shape == rows.shape
    told = explorer.rows
    sizes = found.abs().mean(0)
    order = sizes.argsort(descending=True).tolist()
    assert (told["columns"], told["count"], told["final"], told["others"]) == (order, 9, True, 0)
    assert told["sizes"] == pytest.approx(sizes[order].tolist(), rel=1e-5)
    sent = np.frombuffer(told["attributions"], "<f4").reshape(9, 5)
    np.testing.assert_allclose(sent, found[:, order], rtol=1e-6)
    values = np.frombuffer(told["values"], "<f4").reshape(9, 5)
    np.testing.assert_array_equal(values, rows[:, order])
    for i in (2, 7):
        explorer.example = i
        torch.testing.assert_close(
            explorer.wait().attributions[0], found[i], rtol=1e-4, atol=1e-5, msg=f"{method}, row {i}"
        )
    assert explorer.rows is told


def test_rows_have_baselines_of_their_own_and_no_edits(make: Any, model: Tabular, rows: Tensor) -> None:
    own = rows.flip(0).clone()
    explorer = make(target=0, baseline=own, edited=[[0, 50.0]]).wait()
    found = explorer.explain_rows().wait().row_attributions
    wanted = attr.IntegratedGradients(model).attribute(rows, own, target=0, n_steps=20)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        model.last.bias += 1
    explorer.figure()  # whatever is called notices
    assert explorer.rows["outdated"]


def test_wide_tables_send_the_columns_that_count() -> None:
    wide = nn.Linear(300, 2)
    table = draw(40, 300, seed=1).float()
    explorer = Explorer(wide, table, target=0, method="InputXGradient")
    explorer.explain_rows().wait()
    told, found = explorer.rows, explorer.row_attributions
    assert (len(told["columns"]), told["others"], told["count"]) == (20, 280, 40)
    assert told["columns"] == found.abs().mean(0).argsort(descending=True)[:20].tolist()
    explorer.close()


def test_only_tables_have_rows() -> None:
    pictures = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    explorer = Explorer(pictures, draw(2, 3, 8, 8).float())
    with pytest.raises(ChoiceError, match="explain_rows is for the rows of a table"):
        explorer.explain_rows()
    explorer.wait()
    explorer.close()


def test_rows_of_a_model_that_looks_at_its_whole_batch_are_explained_alone(rows: Tensor) -> None:
    class Centred(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x - x.mean(0)).square().cumsum(1)[:, :3] + x[:, :3]

    explorer = Explorer(Centred(), rows, target=1, method="Saliency").wait()
    found = explorer.explain_rows().wait().row_attributions
    for i in (0, 5):
        alone = attr.Saliency(Centred()).attribute(rows[i : i + 1], target=1, abs=False)
        torch.testing.assert_close(found[i : i + 1], alone)
    explorer.close()


def test_a_row_that_cannot_be_explained_does_not_stop_the_others(
    make: Any, model: Tabular, rows: Tensor
) -> None:
    holed = rows.clone()
    holed[4, 2] = torch.nan
    explorer = make(holed, target=1).wait()
    found = explorer.explain_rows().wait().row_attributions
    assert found[4].isnan().all()
    assert torch.cat([found[:4], found[5:]]).isfinite().all()
    assert (explorer.rows["failed"], explorer.rows["count"]) == (1, 9)
    assert explorer.rows["sizes"] == pytest.approx(sorted(found.abs().nanmean(0).tolist(), reverse=True))
    mean = holed.nanmean(0, keepdim=True)
    wanted = attr.IntegratedGradients(model).attribute(holed[5:6], mean, target=1, n_steps=20)
    torch.testing.assert_close(found[5:6], wanted, rtol=1e-4, atol=1e-5)
    holed[:] = torch.nan
    with pytest.raises(NonFiniteError):
        make(holed, target=1, baseline="zero").explain_rows().wait()
