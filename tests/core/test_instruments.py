"""The instruments of these tests: a snapshot that notices nothing would make every test of a trace pass."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models import Pictures, Snapshot, draw, pictures


def run_in_training_mode(model: Pictures) -> None:
    model.bn.train()
    model.bn(draw(2, 3, 4, 4))
    model.bn.eval()


def replace_parameter(model: Pictures) -> None:
    model.conv.bias = nn.Parameter(model.conv.bias.detach().clone())


def write_parameter(model: Pictures) -> None:
    with torch.no_grad():
        model.conv.bias.mul_(1)


CHANGES: dict[str, Callable[[Pictures], Any]] = {
    "training flag": lambda m: m.drop.train(),
    "running statistics": run_in_training_mode,
    "parameter replaced": replace_parameter,
    "parameter written to": write_parameter,
    "parameter frozen": lambda m: m.fc.requires_grad_(False),
    "gradient": lambda m: m(draw(2, 2, 6, 5)).sum().backward(),
    "attribute": lambda m: setattr(m.pool, "note", 1),
    "option": lambda m: setattr(m.relu, "inplace", False),
    "module": lambda m: setattr(m, "relu", nn.ReLU()),
    "forward hook": lambda m: m.conv.register_forward_hook(print),
    "forward pre-hook": lambda m: m.conv.register_forward_pre_hook(print, with_kwargs=True),
    "backward hook": lambda m: m.conv.register_full_backward_hook(print),
    "method": lambda m: setattr(m.conv, "forward", m.conv.forward),
    "torch's random state": lambda m: torch.rand(1),
    "numpy's random state": lambda m: np.random.rand(),
    "python's random state": lambda m: random.random(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_snapshot_notices(change: str) -> None:
    model = pictures()
    before = Snapshot(model, ())
    before.check()
    CHANGES[change](model)
    with pytest.raises(AssertionError, match="changed"):
        before.check()


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.detach().mul_(1),
        lambda x: x.detach().mul_(2),
        lambda x: x.requires_grad_(),
        lambda x: setattr(x, "grad", torch.ones_like(x)),
    ],
)
def test_the_snapshot_notices_tensors(change: Callable[[torch.Tensor], Any]) -> None:
    x = torch.ones(2)
    before = Snapshot(None, (x,))
    before.check()
    change(x)
    with pytest.raises(AssertionError, match="changed"):
        before.check()


def test_the_snapshot_notices_the_grad_mode() -> None:
    before = Snapshot(None, ())
    with torch.no_grad(), pytest.raises(AssertionError, match="grad mode"):
        before.check()
