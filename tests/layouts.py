"""Layouts of every kind, and those of layers that ran."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import LayerActivation
from attriscope.core.layer_map import map_layers
from attriscope.core.layouts import Layout, Neuron, layouts_of


def layouts(model: nn.Module, *inputs: Any) -> dict[str, Layout]:
    return layouts_of(map_layers(model, lambda: model(*inputs)), model)


def layout_and_output(model: nn.Module, layer: str, *inputs: Any) -> tuple[Layout, Tensor]:
    output = LayerActivation(model, layer).attribute(inputs)
    return layouts(model, *inputs)[layer], output[0] if isinstance(output, tuple) else output


KINDS: dict[str, Layout] = {
    "map": Layout("map", (1, 3, 4, 5)),
    "map of a tuple": Layout("map", (1, 3, 4, 5), several=True),
    "map, channels last": Layout("map", (1, 4, 5, 3), channels_last=True),
    "map of a tuple, channels last": Layout("map", (1, 4, 5, 3), several=True, channels_last=True),
    "attention": Layout("attention", (1, 2, 4, 4)),
    "tokens": Layout("tokens", (1, 6, 4)),
    "tokens of a tuple": Layout("tokens", (1, 6, 4), several=True),
    "tokens, positions first": Layout("tokens", (6, 1, 4), batch_dimension=1),
    "tokens of a tuple, positions first": Layout("tokens", (6, 1, 4), batch_dimension=1, several=True),
    "sequence": Layout("sequence", (1, 4, 6)),
    "sequence of a tuple": Layout("sequence", (1, 4, 6), several=True),
    "vector": Layout("vector", (1, 7)),
    "vector of a tuple": Layout("vector", (1, 7), several=True),
    "one number": Layout("vector", (1,)),
    "one number of a tuple": Layout("vector", (1,), several=True),
    "volume": Layout("other", (1, 3, 2, 4, 5)),
    "volume of a tuple": Layout("other", (1, 3, 2, 4, 5), several=True),
    "volume, channels last": Layout("other", (1, 2, 4, 5, 3), channels_last=True),
    "six dimensions": Layout("other", (1, 3, 2, 2, 4, 2)),
}


every_kind = pytest.mark.parametrize("kind", list(KINDS))


def places(layout: Layout) -> list[Neuron]:
    """Every neuron of a form, whole channels and single places."""
    count, height, width = layout.size
    found: list[Neuron] = list(range(count))
    if layout.kind in ("map", "attention"):
        return found + [[c, y, x] for c in range(count) for y in range(height) for x in range(width)]
    return found + ([] if layout.kind == "vector" else [[c, x] for c in range(count) for x in range(width)])


def random_output(layout: Layout) -> Tensor:
    return torch.randn(layout.shape, dtype=torch.float64)


def tuple_of(layout: Layout, output: Tensor) -> Any:
    return (output, output * 7) if layout.several else output
