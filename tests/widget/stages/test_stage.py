"""What a stage is asked for: here columns of a table, in the place of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from attriscope.attr import IntegratedGradients
from attriscope.core.errors import InputError
from attriscope.core.estimate import Estimate
from attriscope.core.inputs import gather_examples
from attriscope.widget.methods.arguments import CodeValue
from attriscope.widget.model.map import Map, mean_map
from attriscope.widget.model.path import PathIntegral
from attriscope.widget.stages.pictures import PictureStage
from attriscope.widget.stages.stage import Stage, Words
from models import draw


class Columns(Stage):
    """A row of a table: its places lie beside each other."""

    words: ClassVar = Words("the row", "column", "columns", "its range")
    baseline_labels: Mapping[str, str] = {"zero": "zero"}

    @property
    def places(self) -> tuple[int, int]:
        return 1, self.example.shape[1]

    def as_map(self, values: Tensor) -> Tensor:
        return values[:, None, None]

    def inside(self, mask: Tensor) -> Tensor:
        return mask

    def baseline(self, name: str) -> Tensor:
        return torch.zeros_like(self.example)

    def baseline_in_code(self, name: str, example: str) -> CodeValue:
        return CodeValue(self.baseline(name), f"torch.zeros_like({example})")

    @property
    def noise_range(self) -> Tensor:
        return self.example.abs()

    @property
    def references(self) -> Sequence[tuple[Tensor, str]]:
        return [(self.example + 1, "{} + 1")]

    @property
    def shown(self) -> dict[str, Any]:
        return {}

    def baseline_shown(self, starts: Sequence[Tensor]) -> dict[str, Any]:
        return {}


ROW = draw(1, 5, seed=3)


def test_a_map_lies_where_the_stage_says() -> None:
    found = Map(ROW, stage=Columns(ROW))
    assert found.over_picture is not None
    assert found.contributions is not None
    assert torch.equal(found.over_picture, ROW.reshape(1, 1, 1, 5))
    assert torch.equal(found.contributions, ROW)
    assert float(found.total) == pytest.approx(float(ROW.sum()))
    shared = Map(ROW, stage=Columns(ROW), shares=torch.full_like(ROW, 0.5))
    assert torch.equal(shared.contributions, ROW / 2)
    picture = draw(1, 3, 4, 2)
    colours = Map(picture, stage=PictureStage(picture))
    assert torch.equal(colours.over_picture, picture)
    assert torch.equal(colours.contributions, picture.sum(1)[0])


def test_what_a_method_gives_must_be_like_the_input() -> None:
    assert torch.equal(mean_map([Estimate(ROW)], "it", True, Columns(ROW)).attributions, ROW)
    with pytest.raises(InputError, match=r"it gives .*\(1, 1, 1, 5\).*, which is no map \(1, F\) to show"):
        mean_map([Estimate(ROW.reshape(1, 1, 1, 5))], "it", True, Columns(ROW))
    picture = draw(1, 3, 4, 2)
    with pytest.raises(InputError, match=r"no map \(1, C, H, W\)"):
        mean_map([Estimate(ROW)], "it", True, PictureStage(picture))


def test_a_path_keeps_what_happens_at_each_place() -> None:
    weights = draw(5, seed=4)
    stage = Columns(ROW)
    path = PathIntegral(
        IntegratedGradients(lambda x: (x * weights).sum(1)),
        gather_examples(ROW),
        stage.baseline("zero"),
        None,
        4,
        as_map=stage.as_map,
    )
    for _ in path.steps():
        pass
    torch.testing.assert_close(path.attributions, ROW * weights)
    for frame in path._maps:
        torch.testing.assert_close(frame.double(), ROW * weights, rtol=1e-6, atol=1e-6)


def test_what_a_stage_does_not_have_it_says() -> None:
    stage = Columns(ROW)
    with pytest.raises(InputError, match="the row has no segments: select columns by a box or a mask"):
        stage.checked_region({"kind": "segment", "point": [0, 0]})
    assert stage.edit(()) is ROW
    with pytest.raises(InputError, match="edited is for the cells of a table, and not for the row"):
        stage.edit([(0, 1.0)])
    assert stage.close_up([0, 0, 1, 1]) == {}
    assert stage.example_info(2, 5) == {"label": "Example 3", "picture": {}}
