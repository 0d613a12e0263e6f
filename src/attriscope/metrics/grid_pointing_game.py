"""Grid-pointing games: several labelled pictures in one, of which an explanation should find the right one.

Their masks are for the metrics in ``localisation``.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._random import check_count
from attriscope.core.errors import InputError
from attriscope.core.inputs import as_tensor, describe
from attriscope.metrics._generators import draws_from, restores_generators


@dataclasses.dataclass(frozen=True)
class GridGames:
    """Pictures made of pictures, each with one cell to be found.

    Attributes:
        inputs: shape (M, C, H, W).
        targets: the class of the cell to be found, int64 (M,).
        masks: where it is, bool (M, 1, H, W).
        members: which of the given pictures are in the cells, row by row, int64 (M, cells).
        cells: which cell is to be found, int64 (M,).
    """

    inputs: Tensor
    targets: Tensor
    masks: Tensor
    members: Tensor
    cells: Tensor

    @property
    def chance(self) -> float:
        """The share that an even map has in the cell."""
        return 1 / self.members.shape[1]


@restores_generators
def grid_pointing_games(
    inputs: Tensor,
    targets: Any,
    *,
    size: int | tuple[int, int] = 2,
    count: int | None = None,
    every_cell: bool = False,
    shrink: bool = False,
    generator: torch.Generator | None = None,
) -> GridGames:
    """Build grids of pictures of different classes (Böhle et al. 2021, arXiv 2104.00032).

    A model that takes pictures of any size is asked about a grid as a whole, for the class of one cell. Attribution for
    that class should lie in that cell: see :func:`attribution_localisation` and :func:`pointing_game`. The paper
    takes pictures that the model is most sure of; choose them before.

    Args:
        inputs: pictures, shape (K, C, H, W).
        targets: their classes, ints, (K,).
        size: the grid has ``size`` x ``size`` cells, or rows x columns for a pair; there must be as many classes.
        count: how many grids; ``None``: as many as there are pictures for, each used once where classes allow.
        every_cell: ask about every cell of each grid, in turn; by default about one, drawn at random.
        shrink: shrink the grids to the size of one picture, by area, for models that take no other; a grid that is no
            square is distorted.
        generator: where random numbers come from; ``None`` is torch's global generator.

    Returns:
        A :class:`GridGames`, of ``count`` games, or as many times the number of cells for every cell.

    Raises:
        InputTypeError, InputError: arguments that cannot be used; too few classes.
    """
    if not isinstance(inputs, Tensor) or inputs.dim() != 4:
        raise InputError(f"inputs must be pictures of shape (K, C, H, W), but {describe(inputs)} came")
    labels = as_tensor(targets).flatten().to("cpu")
    if len(labels) != len(inputs) or labels.is_floating_point():
        raise InputError(
            f"targets must be one int for each of {len(inputs)} pictures, but {describe(targets)} came"
        )
    down, across = (check_count(s, "size") for s in (size if isinstance(size, tuple) else (size, size)))
    cells = down * across
    classes = labels.unique()
    if len(classes) < cells:
        raise InputError(
            f"a grid of {down} x {across} needs pictures of {cells} classes, but there are {len(classes)}: "
            f"{classes.tolist()}"
        )
    games = max(1, len(inputs) // cells) if count is None else check_count(count, "count")
    draws = draws_from(generator).stream(0)
    members = _members(labels, classes, cells, games, draws)
    asked = torch.randint(cells, (games,), generator=draws, device="cpu")
    if every_cell:
        members = members.repeat_interleave(cells, 0)
        asked = torch.arange(cells, device="cpu").repeat(games)
    pictures = inputs.detach()[members.to(inputs.device)]
    n, c, h, w = len(members), *inputs.shape[1:]
    whole = (
        pictures.reshape(n, down, across, c, h, w)
        .permute(0, 3, 1, 4, 2, 5)
        .reshape(n, c, down * h, across * w)
    )
    place = torch.arange(cells, device="cpu").reshape(1, 1, down, 1, across, 1)
    masks = (place == asked.reshape(-1, 1, 1, 1, 1, 1)).expand(n, 1, down, h, across, w)
    masks = masks.reshape(n, 1, down * h, across * w)
    if shrink:
        if h % down or w % across:
            raise InputError(
                f"pictures of {h} x {w} do not shrink to cells of a {down} x {across} grid: crop them before"
            )
        whole = torch.nn.functional.avg_pool2d(whole, (down, across))
        masks = masks[..., ::down, ::across]
    targets = labels[members].gather(1, asked[:, None])[:, 0].long()
    device = inputs.device
    return GridGames(whole, targets.to(device), masks.to(device).contiguous(), members, asked)


def _members(labels: Tensor, classes: Tensor, cells: int, games: int, draws: torch.Generator) -> Tensor:
    """Pictures of different classes for each game, all used about as often, (games, cells)."""
    pools = {}
    for label in classes.tolist():
        own = torch.nonzero(labels == label).flatten()
        pools[label] = own[torch.randperm(len(own), generator=draws, device="cpu")].tolist()
    used = dict.fromkeys(pools, 0)
    found = []
    for _ in range(games):
        # The classes of which the largest part of pictures is still unused; chance decides between equals.
        order = classes[torch.randperm(len(classes), generator=draws, device="cpu")].tolist()
        chosen = sorted(order, key=lambda label: used[label] / len(pools[label]))[:cells]
        chosen = [chosen[i] for i in torch.randperm(cells, generator=draws, device="cpu").tolist()]
        row = []
        for label in chosen:
            row.append(pools[label][used[label] % len(pools[label])])
            used[label] += 1
        found.append(row)
    return torch.tensor(found, dtype=torch.int64, device="cpu")
