"""Whether code reads numbers out of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import NeuronGradient
from attriscope.core.data_dependence import DataDependenceMode
from models import assert_same, draw, pictures

X = torch.tensor([1.0, -2.0, 3.0])

READS: dict[str, Callable[[Tensor], Any]] = {
    "if": lambda x: 1 if x.sum() > 0 else 2,
    "while": lambda x: bool((x > 5).any()),
    "item": lambda x: x[0].item(),
    "int": lambda x: int(x[0]),
    "float": lambda x: float(x[0]),
    "range": lambda x: range(x.long()[0]),
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(),
    "mask": lambda x: x[x > 0],
    "mask among indices": lambda x: x[None][:, x > 0],
    "nonzero": lambda x: x.nonzero(),
    "where": lambda x: torch.where(x > 0),
    "unique": lambda x: torch.unique(x),
    "in": lambda x: 3.0 in x,
    "equal": lambda x: torch.equal(x, x),
    "masked_select": lambda x: torch.masked_select(x, x > 0),
}


@pytest.mark.parametrize("name", READS)
def test_reading_is_noticed(name: str) -> None:
    with DataDependenceMode() as mode:
        READS[name](X)
    assert mode.found


def test_what_reads_nothing_is_left_alone() -> None:
    model = pictures(torch.float32)
    with DataDependenceMode() as mode:
        found = model(draw(2, 2, 6, 5, dtype=torch.float32))
        torch.where(found > 0, found, -found)[0, [1, 2]].max(0)
        found[:, torch.tensor([0, 1])].shape  # noqa: B018
    assert not mode.found


class Ponders(nn.Module):
    """Runs its layer once or twice, depending on the numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        if x.abs().max() > 5:
            x = self.layer(x / 10)
        return x.sum(1)


def test_a_neuron_is_that_of_the_last_call_even_if_numbers_decide_which_that_is() -> None:
    torch.manual_seed(0)
    model = Ponders().eval()
    calm, wild = torch.full((1, 3), 0.01), torch.full((1, 3), 100.0)
    once = NeuronGradient(model, "layer").attribute(calm, 0)
    assert_same(once, model.layer.weight[:1].detach(), atol=1e-6)
    twice = NeuronGradient(model, "layer").attribute(wild, 0)
    assert_same(twice, (model.layer.weight @ model.layer.weight / 10)[:1].detach(), atol=1e-6)
