"""What methods are asked with: which layer is meant where nobody names one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from attriscope.core.errors import InputError
from attriscope.core.layer_map import LayerInfo, map_layers
from attriscope.widget.methods.arguments import last_convolution


class Pooled(nn.Module):
    """Ends with a convolution of one position, as a classifier may."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x)).mean((2, 3), keepdim=True)).flatten(1)


def layers_of(model: nn.Module, x: Tensor) -> list[LayerInfo]:
    return list(map_layers(model, lambda: model(x)))


def test_the_last_convolution_is_one_that_has_several_positions() -> None:
    assert last_convolution(layers_of(Pooled(), torch.rand(1, 3, 8, 8))) == "second"


def test_one_position_is_better_than_none() -> None:
    only = nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten())
    assert last_convolution(layers_of(only, torch.rand(1, 3, 8, 8))) == "0"


def test_a_model_without_any_is_refused_in_words() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(InputError, match="no convolution that gives a map"):
        last_convolution(layers_of(flat, torch.rand(1, 3, 2, 2)))
