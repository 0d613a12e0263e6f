"""Which pixels lie in a region, and what is no region."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attriscope.core.errors import InputError
from attriscope.widget.stages.region import checked_region, mask_of

SIZE = (7, 9)
LABELS = torch.tensor([[0, 0, 1], [2, 1, 1]])
STAR = [[4.2, -1.0], [6.9, 8.0], [0.3, 2.4], [8.8, 2.1], [1.6, 7.7]]


def never() -> Tensor:
    raise AssertionError("nobody asked for segments")


def mask(value: Any) -> Tensor:
    region = checked_region(value, SIZE)
    assert json.loads(json.dumps(region)) == region
    assert checked_region(region, SIZE) == region
    return mask_of(region, SIZE, (lambda: LABELS) if region["kind"] == "segment" else never)


def winds(points: list[list[float]], x: float, y: float) -> bool:
    """The even-odd rule by the angle of a ray to the right, edge by edge."""
    crossings = 0
    for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True):
        low, high = ((x1, y1), (x2, y2)) if y1 < y2 else ((x2, y2), (x1, y1))
        if low[1] <= y < high[1]:
            side = (high[0] - low[0]) * (y - low[1]) - (high[1] - low[1]) * (x - low[0])
            crossings += side > 0  # the point lies to the left of the edge
    return crossings % 2 == 1


def test_a_box_is_half_open() -> None:
    found = mask({"kind": "box", "box": [2, 3, 5, 9]})
    assert found.dtype == torch.bool
    for y in range(7):
        for x in range(9):
            assert bool(found[y, x]) == (2 <= y < 5 and 3 <= x < 9)
    assert mask({"kind": "box", "box": (np.int64(0), 0, 7, 9)}).all()


@pytest.mark.parametrize("points", [STAR, [[1, 1], [8, 1], [8, 6], [1, 6]], [[0.4, 0.6], [8.7, 3.6], [4, 7]]])
def test_a_lasso_holds_the_pixels_whose_middles_are_inside(points: list[list[float]]) -> None:
    found = mask({"kind": "lasso", "points": points})
    wanted = [[winds(points, x + 0.5, y + 0.5) for x in range(9)] for y in range(7)]
    assert found.tolist() == wanted
    assert found.any()
    assert not found.all()


def test_a_lasso_along_the_edges_of_pixels_is_the_box() -> None:
    lasso = mask({"kind": "lasso", "points": [[3, 2], [9, 2], [9, 5], [3, 5]]})
    assert torch.equal(lasso, mask({"kind": "box", "box": [2, 3, 5, 9]}))


@pytest.mark.parametrize("point", [[0, 0], [8, 0], [0, 6], [5, 3], [4, 4]])
def test_a_segment_holds_the_pixels_of_its_number(point: list[int]) -> None:
    def label(x: int, y: int) -> int:
        return int(LABELS[y * 2 // 7, x * 3 // 9])

    found = mask({"kind": "segment", "point": point})
    assert found.tolist() == [[label(x, y) == label(*point) for x in range(9)] for y in range(7)]


@pytest.mark.parametrize("seed", range(4))
def test_a_mask_comes_back_as_it_was(seed: int) -> None:
    given = torch.rand(SIZE, generator=torch.Generator().manual_seed(seed)) < 0.4
    given[0, 0] = seed % 2 == 0
    region = checked_region(given, SIZE)
    assert sum(region["runs"]) == 63
    assert torch.equal(mask(given), given)
    assert torch.equal(mask(given.numpy()), given)
    assert torch.equal(mask(torch.ones(SIZE, dtype=torch.bool)), torch.ones(SIZE, dtype=torch.bool))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("the nose", "'the nose'"),
        (3, "but 3 came"),
        ({"kind": "circle"}, "circle"),
        ({"kind": ["box"]}, "selection must be None, a boolean mask"),
        ({"kind": "box"}, "selection must be"),
        ({"kind": "box", "box": [0, 0, 2, 2], "colour": "red"}, "colour"),
        ({"kind": "box", "box": [0, 0, 8, 2]}, "bottom <= 7"),
        ({"kind": "box", "box": [2, 0, 2, 2]}, r"\[2, 0, 2, 2\]"),
        ({"kind": "box", "box": [0, 0, 2]}, r"\[0, 0, 2\]"),
        ({"kind": "box", "box": [0, 0.5, 2, 2]}, "whole numbers"),
        ({"kind": "box", "box": "0123"}, "'0123'"),
        ({"kind": "lasso", "points": [[0, 0], [1, 1]]}, "3 to 10000 pairs"),
        ({"kind": "lasso", "points": [[0, 0], [1, 1], [2]]}, "pairs"),
        ({"kind": "lasso", "points": [[0, 0], [1, 1], [2, float("nan")]]}, "nan"),
        ({"kind": "lasso", "points": [[1, 1], [1.2, 1], [1.2, 1.2]]}, "the middle of no pixel"),
        ({"kind": "lasso", "points": [[0, 0]] * 10_001}, "3 to 10000"),
        ({"kind": "segment", "point": [9, 0]}, "x from 0 to 8"),
        ({"kind": "segment", "point": [0.5, 0]}, "whole numbers"),
        ({"kind": "mask", "runs": [60, 4]}, "63 in all"),
        ({"kind": "mask", "runs": [63]}, "at least one inside"),
        ({"kind": "mask", "runs": [-1, 64]}, "-1"),
        ({"kind": "mask", "runs": "63"}, "'63'"),
        (torch.ones(9, 7, dtype=torch.bool), r"\(7, 9\)"),
        (torch.ones(7, 9), "boolean"),
        (np.zeros((7, 9), bool), "none is true"),
    ],
)
def test_what_is_no_region_is_refused(value: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        checked_region(value, SIZE)
