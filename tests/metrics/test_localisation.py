"""Maps whose place is known, and games whose answers are."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from attriscope.attr import Saliency
from attriscope.metrics import (
    attribution_localisation,
    grid_pointing_games,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)
from models import draw, pictures, seeded

MAP = torch.tensor([[[[1.0, 2, 0], [3, 8, -4], [0, 1, 1]]]])
MASK = torch.tensor([[[0, 0, 0], [1, 1, 1], [0, 0, 0]]])


def test_by_hand() -> None:
    assert pointing_game(MAP, MASK).tolist() == [1]
    assert pointing_game(-MAP, MASK == 0).tolist() == [0]
    assert relevance_mass_accuracy(MAP, MASK).tolist() == pytest.approx([11 / 16])
    assert relevance_mass_accuracy(MAP, MASK, sign="absolute").tolist() == pytest.approx([15 / 20])
    assert relevance_rank_accuracy(MAP, MASK).tolist() == pytest.approx([2 / 3])
    assert attribution_localisation(MAP, MASK).tolist() == pytest.approx([11 / 16])
    assert attribution_localisation(MAP, MASK, weighted=True).tolist() == pytest.approx([11 / 16 * 3])


def test_a_map_that_is_the_mask_is_perfect_and_an_even_one_is_chance() -> None:
    masks = torch.rand(4, 5, 6, generator=seeded(0)) > 0.6
    perfect = masks[:, None].double()
    for metric in (pointing_game, relevance_mass_accuracy, relevance_rank_accuracy, attribution_localisation):
        assert metric(perfect, masks).tolist() == [1] * 4
    even = torch.ones(4, 1, 5, 6)
    share = masks.flatten(1).double().mean(1)
    torch.testing.assert_close(relevance_mass_accuracy(even, masks).double(), share)
    torch.testing.assert_close(attribution_localisation(even, masks, weighted=True), torch.ones(4))


def test_channels_are_added_up() -> None:
    """Two channels that cancel are nothing, however large."""
    maps = torch.zeros(1, 2, 3, 3)
    maps[0, :, 0, 0] = torch.tensor([9.0, -9])
    maps[0, :, 1, 1] = 1
    assert pointing_game(maps, MASK).tolist() == [1]
    assert relevance_mass_accuracy(maps, MASK).tolist() == [1]


def test_the_pointing_game_has_a_tolerance_and_shares_ties() -> None:
    maps = torch.zeros(1, 1, 5, 5)
    maps[0, 0, 0, 2] = 1
    mask = torch.zeros(1, 5, 5, dtype=torch.bool)
    mask[0, 2, 3] = True
    hits = [pointing_game(maps, mask, tolerance=t).item() for t in (0, 1, 2)]
    assert hits == [0, 0, 1]
    maps[0, 0, 2, 3] = 1
    assert pointing_game(maps, mask).tolist() == [0.5]
    assert pointing_game(maps, mask[:, None], tolerance=2).tolist() == [1]


def test_one_mask_for_all_and_methods() -> None:
    model, x = pictures(), draw(3, 2, 6, 5)
    masks = torch.rand(1, 6, 5, generator=seeded(1)) > 0.5
    given = Saliency(model).attribute(x, target=1)
    found = relevance_mass_accuracy(Saliency(model), masks, inputs=x, target=1)
    assert torch.equal(found, relevance_mass_accuracy(given, masks.expand(3, 6, 5)))


@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        (MAP, torch.zeros(1, 3, 3), "mask is empty"),
        (MAP, torch.zeros(1, 2, 3), "must have"),
        (MAP, MASK * 2, "0 and 1"),
        (MAP, "mask", "must be a tensor"),
        (MAP * torch.nan, MASK, "NaN"),
        (torch.zeros(1, 1, 3, 3), MASK, "same attribution|sign that counts"),
        (torch.ones(1, 9), MASK, "positions"),
        (Saliency(pictures()), MASK, "inputs must be given"),
    ],
)
@pytest.mark.parametrize(
    "metric", [pointing_game, relevance_mass_accuracy, relevance_rank_accuracy, attribution_localisation]
)
def test_bad_input(metric: Any, maps: Any, masks: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        metric(maps, masks)


# --- grids --------------------------------------------------------------------------------------------------------


def numbered(count: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures that are their own number all over."""
    pictures = torch.arange(count, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(count, 2, 3, 4).clone()
    return pictures, torch.arange(count) % classes


@pytest.mark.parametrize("every_cell", [False, True])
def test_grids_hold_what_they_say(every_cell: bool) -> None:
    pictures, labels = numbered(20, 5)
    games = grid_pointing_games(pictures, labels, every_cell=every_cell, generator=seeded(0))
    assert games.inputs.shape == (20 if every_cell else 5, 2, 6, 8)
    assert games.chance == 0.25
    for i, grid in enumerate(games.inputs):
        cells = grid[0].reshape(2, 3, 2, 4).transpose(1, 2).reshape(4, -1)
        assert (cells == games.members[i][:, None]).all()
        assert (
            len({int(labels[m]) for m in games.members[i]}) == 4
        )  # classes differ, so the answer is one cell
        inside = grid[0][games.masks[i, 0]]
        assert (inside == games.members[i, games.cells[i]]).all()
        assert games.masks[i].sum() == 12
        assert games.targets[i] == labels[games.members[i, games.cells[i]]]
    used = games.members[:: 4 if every_cell else 1].flatten()
    assert used.sort().values.tolist() == list(range(20))  # each once
    if every_cell:
        assert games.cells.reshape(5, 4).tolist() == [[0, 1, 2, 3]] * 5


def test_a_row_of_three() -> None:
    pictures, labels = numbered(3, 3)
    games = grid_pointing_games(pictures, labels, size=(1, 3), every_cell=True, generator=seeded(0))
    assert games.inputs.shape == (3, 2, 3, 12)
    assert games.chance == pytest.approx(1 / 3)
    for i in range(3):
        assert (games.inputs[i, 0][games.masks[i, 0]] == games.members[i, i]).all()
        assert games.targets[i] == games.members[i, i]


def test_grids_depend_on_the_generator_only() -> None:
    one, same, other = (
        grid_pointing_games(*numbered(20, 5), count=9, generator=seeded(s)) for s in (1, 1, 2)
    )
    assert torch.equal(one.inputs, same.inputs)
    assert torch.equal(one.cells, same.cells)
    assert not torch.equal(one.members, other.members)


def test_shrunken_grids_are_as_large_as_a_picture() -> None:
    pictures, labels = torch.rand(8, 1, 4, 6, generator=seeded(0)), torch.arange(8) % 4
    whole, small = (
        grid_pointing_games(pictures, labels, shrink=s, generator=seeded(1)) for s in (False, True)
    )
    assert small.inputs.shape == (2, 1, 4, 6)
    torch.testing.assert_close(small.inputs, torch.nn.functional.avg_pool2d(whole.inputs, 2))
    assert small.masks.flatten(1).sum(1).tolist() == [6, 6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 3}, "9 classes"),
        ({"size": 0}, "at least 1"),
        ({"targets": torch.zeros(3, dtype=torch.long)}, "one int for each"),
        ({"inputs": torch.zeros(20, 5)}, "shape"),
        ({"shrink": True}, "do not shrink"),
    ],
)
def test_bad_grids(options: dict[str, Any], message: str) -> None:
    pictures, labels = numbered(20, 5)
    with pytest.raises(AssertionError, match=message):
        grid_pointing_games(**{"inputs": pictures, "targets": labels, **options})
