"""Rows of tables as the Explorer sees them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import gather_examples
from attriscope.widget.stages.pictures import PictureStage
from attriscope.widget.stages.recognition import recognised_stage
from attriscope.widget.stages.table import TableStage, column_names
from models import draw

ROWS = draw(7, 4, seed=1)


def stage(row: int = 2, rows: Tensor = ROWS, **more: object) -> TableStage:
    return TableStage(rows[row : row + 1], rows, **more)  # type: ignore[arg-type]


def test_each_column_is_a_place() -> None:
    table = stage()
    assert table.places == (1, 4)
    assert torch.equal(table.as_map(ROWS[:1]), ROWS[:1].reshape(1, 1, 1, 4))
    mask = table.mask({"kind": "box", "box": [0, 1, 1, 3]})
    assert mask.tolist() == [[False, True, True, False]]
    covered = torch.where(table.inside(mask), torch.zeros_like(ROWS[2:3]), ROWS[2:3])
    assert covered[0].tolist() == [ROWS[2, 0], 0, 0, ROWS[2, 3]]
    with pytest.raises(InputError, match="the row has no segments"):
        table.checked_region({"kind": "segment", "point": [0, 0]})


def test_baselines_are_of_all_rows() -> None:
    table = stage()
    assert table.usual_baseline == "mean"
    assert list(table.baseline_labels) == ["mean", "median", "zero"]
    assert torch.allclose(table.baseline("mean"), ROWS.mean(0, keepdim=True))
    assert torch.equal(table.baseline("median"), ROWS.median(0, keepdim=True).values)
    assert torch.equal(table.baseline("zero"), torch.zeros(1, 4))
    for name in table.baseline_labels:
        code = table.baseline_in_code(name, "inputs[2:3]")
        found = eval(code.code, {"torch": torch, "inputs": ROWS})
        assert torch.equal(found, table.baseline(name)), name
    with pytest.raises(
        InputError, match="baseline must be one of mean, median, zero or a tensor, but 'blur'"
    ):
        table.baseline("blur")


def test_a_row_alone_has_no_average() -> None:
    alone = stage(0, ROWS[:1])
    assert alone.usual_baseline == "zero"
    assert list(alone.baseline_labels) == ["zero"]
    assert torch.equal(alone.noise_range, ROWS[:1].abs())


def test_missing_values_are_left_out_of_baselines_and_ranges() -> None:
    rows = ROWS.clone()
    rows[3, 1] = torch.nan
    rows[:, 2] = torch.nan
    table = stage(0, rows)
    others = torch.cat([ROWS[:3, 1], ROWS[4:, 1]])
    assert table.baseline("mean")[0, 1] == pytest.approx(others.mean().item(), rel=1e-6)
    shown = table.shown["table"]
    assert shown["low"][1] == pytest.approx(others.min().item())
    assert shown["high"][1] == pytest.approx(others.max().item())
    assert shown["values"][2] is shown["low"][2] is shown["high"][2] is None
    assert table.noise_range[0, 2] == 0
    assert table.noise_range[0, 1] == others.max() - others.min()


def test_the_page_gets_the_digits_of_the_numbers() -> None:
    rows = torch.tensor([[0.1, 1e-8, 123456.78], [2.0, -3.0, 0.0]])
    shown = stage(0, rows, names=["a", "b", "c"]).shown["table"]
    assert shown["values"] == [0.1, 1e-8, 123456.78]
    assert shown["names"] == ["a", "b", "c"]
    assert shown["rows"] == 2
    assert stage(0, rows.double()).shown["table"]["values"][0] == rows.double()[0, 0].item()
    assert stage(0, rows).shown["table"]["names"] == ["Column 1", "Column 2", "Column 3"]


def test_an_edit_is_a_copy() -> None:
    table = stage()
    before = ROWS[2:3].clone()
    edited = table.edit([(1, 5.0), (3, -1.0)])
    assert edited[0].tolist() == [before[0, 0], 5.0, before[0, 2], -1.0]
    assert torch.equal(ROWS[2:3], before)
    assert table.edit([]) is table.example


def test_references_are_rows_evenly_apart() -> None:
    many = draw(95, 3, seed=2)
    ((rows, code),) = stage(0, many).references
    assert code == "inputs[::5]"
    assert torch.equal(rows, many[::5])
    ((rows, code),) = stage().references
    assert code == "inputs"
    assert torch.equal(rows, ROWS)


def test_names_of_columns() -> None:
    assert column_names(None, 3, None) is None
    assert column_names(("a", 1, "<b>"), 3, None) == ["a", "1", "<b>"]
    with pytest.raises(InputTypeError, match="feature_names must be a list of names, one for each column"):
        column_names("abc", 3, None)
    with pytest.raises(
        InputError, match=r"feature_names holds 2 name\(s\), but the inputs have 3 column\(s\)"
    ):
        column_names(["a", "b"], 3, None)


@pytest.mark.parametrize(
    ("inputs", "said", "message"),
    [
        (
            draw(4),
            None,
            r"the Explorer shows pictures \(N, C, H, W\) or tables \(N, F\), but .*inputs\[None\]",
        ),
        (draw(3, 8, 8), None, "of one picture write inputs"),
        (draw(2, 7, 8), None, "the Explorer shows pictures"),
        (draw(2, 7), "picture", r"stage='picture' shows inputs of shape \(N, C, H, W\), but"),
        (draw(2, 3, 4, 4), "table", r"stage='table' shows inputs of shape \(N, F\), but"),
        (
            draw(2, 7),
            "graph",
            "stage must be one of picture, table, a Stage of your own or None, but 'graph' came",
        ),
        (draw(2, 7), 3, "stage must be a name, a class .* but 3 came"),
        (torch.zeros(2, 0), None, "a table must have columns"),
    ],
)
def test_what_cannot_be_shown(inputs: Tensor, said: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        recognised_stage(gather_examples(inputs), said, None, None)


def test_what_is_for_another_stage_is_refused() -> None:
    with pytest.raises(InputError, match="to_image is for pictures, but the inputs are a table"):
        recognised_stage(gather_examples(ROWS), None, lambda x: x, None)
    with pytest.raises(InputError, match="feature_names are of the columns of a table"):
        recognised_stage(gather_examples(draw(1, 3, 4, 4)), None, None, ["a"])


def test_a_stage_of_ones_own() -> None:
    make = recognised_stage(
        gather_examples(draw(2, 9)), lambda x: PictureStage(x.reshape(1, 1, 3, 3)), None, None
    )
    assert make(draw(1, 9)).places == (3, 3)
    wrong = recognised_stage(gather_examples(ROWS), lambda x: x, None, None)
    with pytest.raises(InputTypeError, match="stage must give a Stage, but it gave"):
        wrong(ROWS[:1])
