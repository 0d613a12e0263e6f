"""A small model of a table, its rows, and what makes Explorers of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer
from models import draw

COLUMNS = ["age", "<b>bold</b>", "نبض", "❤", "cholesterol"]


class Tabular(nn.Module):
    """Two layers: three classes from five columns."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.first(x)))


@pytest.fixture(name="model")
def tabular() -> Tabular:
    return Tabular().eval()


@pytest.fixture(name="rows")
def table_rows() -> Tensor:
    return draw(9, 5, seed=8).float()


@pytest.fixture(name="make")
def made_tables(model: Tabular, rows: Tensor) -> Iterator[Any]:
    made: list[Explorer] = []

    def explorer(inputs: Any = rows, **more: Any) -> Explorer:
        made.append(Explorer(model, inputs, **{"feature_names": COLUMNS, "n_steps": 20, **more}))
        return made[-1]

    yield explorer
    for one in made:
        one.close()


def heat_of(explorer: Explorer) -> Any:
    return np.frombuffer(explorer.heat["data"], "<f4").reshape(explorer.heat["shape"])
