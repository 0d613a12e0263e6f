"""What the tests of the widget share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer
from widget.helpers import TwoLayers


@pytest.fixture
def model() -> TwoLayers:
    return TwoLayers().eval()


@pytest.fixture
def image() -> Tensor:
    return torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def make(model: TwoLayers, image: Tensor) -> Iterator[Callable[..., Explorer]]:
    """Explorers that are stopped when the test ends."""
    made: list[Explorer] = []

    def explorer(**options: object) -> Explorer:
        made.append(Explorer(model, image, n_steps=8, **options))  # type: ignore[arg-type]
        return made[-1]

    yield explorer
    for one in made:
        one.cancel()


@pytest.fixture
def explore() -> Iterator[Callable[..., Explorer]]:
    """Explorers of any model, stopped when the test ends."""
    made: list[Explorer] = []

    def explorer(model: nn.Module, x: Tensor, **options: Any) -> Explorer:
        made.append(Explorer(model, x, **{"method": "Saliency", "n_steps": 4, "target": 1, **options}))
        return made[-1]

    yield explorer
    for one in made:
        one.close()
