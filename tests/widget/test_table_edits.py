"""Edits of a row that come while something runs, or that cannot be; and what else a table's Explorer got wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer
from attriscope.core.errors import NonFiniteError
from attriscope.widget.jobs import covering
from attriscope.widget.model.covering import cover
from attriscope.widget.state.selection import ChoiceError
from models import draw

Make = Any


@pytest.fixture
def model() -> nn.Sequential:
    net = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return net


@pytest.fixture
def rows() -> Tensor:
    return draw(9, 5, seed=8).float()


@pytest.fixture
def make(model: nn.Sequential, rows: Tensor) -> Iterator[Make]:
    made: list[Explorer] = []

    def explorer(inputs: Any = rows, **more: Any) -> Explorer:
        made.append(Explorer(model, inputs, target=1, n_steps=20, **more))
        return made[-1]

    yield explorer
    for one in made:
        one.close()


def test_a_row_is_shown_as_edited_though_the_job_that_edited_it_was_stopped(
    make: Make, rows: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = make().wait()
    explained = explorer._explained
    edit = explained.edit

    def edit_and_cancel(*arguments: Any) -> None:
        edit(*arguments)
        explorer.cancel()

    with monkeypatch.context() as patch:
        patch.setattr(explained, "edit", edit_and_cancel)
        explorer.edited = [[1, 2.5]]
        assert explorer._jobs.wait(30)
    assert explorer.table["values"] == pytest.approx(rows[0].tolist())
    explorer.recompute().wait()
    assert explorer.table["values"][1] == 2.5


def test_an_edit_that_comes_while_a_column_is_covered_is_not_covered_as_the_row_was(
    make: Make, model: nn.Sequential, rows: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = make(selection={"kind": "box", "box": [0, 1, 1, 2]}).wait()
    values = [3.0]

    def cover_and_edit(*arguments: Any) -> Any:
        if values:
            explorer.edited = [[0, values.pop()]]
        return cover(*arguments)

    monkeypatch.setattr(covering, "cover", cover_and_edit)
    explorer.edited = [[0, -3.0]]
    assert explorer._jobs.wait(30)
    edited = rows[:1].clone()
    edited[0, 0] = 3.0
    assert explorer.table["values"][0] == 3.0
    assert explorer.covered["before"] == pytest.approx(model(edited)[0, 1].item(), rel=1e-5)


def test_a_value_that_the_row_cannot_hold_is_refused(make: Make) -> None:
    explorer = make()
    with pytest.raises(ChoiceError, match="of values that float32 can hold, but it holds 1e\\+39"):
        explorer.edited = [[0, 1e39]]
    assert explorer.edited == []


def test_what_drives_a_neuron_has_the_shape_of_the_row(
    make: Make, model: nn.Sequential, rows: Tensor
) -> None:
    explorer = make(layer="0", neuron=2).wait()
    assert explorer.attributions is explorer.neuron_attributions
    torch.testing.assert_close(explorer.neuron_attributions, model.get_parameter("0.weight")[2:3].detach())


def test_no_half_of_a_map_is_left_where_a_missing_value_fails_the_model(make: Make, rows: Tensor) -> None:
    rows[3, 2] = torch.nan
    explorer = make(rows, example=3)
    with pytest.raises(NonFiniteError):
        explorer.wait()
    assert explorer.heat == {}
    explorer.example = 0
    assert explorer.wait().heat["final"]


def test_code_takes_a_frame_that_is_backwards(make: Make, model: nn.Sequential, rows: Tensor) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows.numpy(), columns=list("abcde"))[::-1]
    explorer = make(frame).wait()
    names: dict[str, Any] = {"model": model, "inputs": frame}
    exec(explorer.code, names)
    names["explorer"].close()
    torch.testing.assert_close(names["attributions"], explorer.attributions)
