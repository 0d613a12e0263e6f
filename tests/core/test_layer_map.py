"""The map of a model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import attriscope
from attriscope.core.errors import InputTypeError
from attriscope.core.layer_map import LayerInfo, map_layers
from models import Snapshot, draw, pictures

X = draw(2, 2, 6, 5)


class Structured(nn.Module):
    def forward(self, x: Any) -> Any:
        return x, None


def test_the_map_of_a_model() -> None:
    shared = nn.ReLU()
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 4), shared), nn.Linear(4, 2), shared, Structured())
    x = torch.ones(5, 3)
    assert list(map_layers(model, lambda: model(x))) == [
        LayerInfo("", "Sequential", 0, 26, (5, 2), 1, ((5, 3),), memory=40),
        LayerInfo("0", "Sequential", 1, 16, (5, 4), 1, ((5, 3),), memory=80),
        LayerInfo("0.0", "Linear", 2, 16, (5, 4), 1, ((5, 3),), memory=80),
        LayerInfo("0.1", "ReLU", 2, 0, (5, 4), 2, ((5, 4),), memory=120),
        LayerInfo("1", "Linear", 1, 10, (5, 2), 1, ((5, 4),), memory=40),
        LayerInfo("3", "Structured", 1, 0, (5, 2), 1, ((5, 2),), memory=40),
    ]


def test_the_map_names_layers_that_did_not_run() -> None:
    model = pictures()
    info = {layer.name: layer for layer in map_layers(model, lambda: model(X))}
    assert (info["unused"].shape, info["unused"].calls) == (None, 0)
    assert info["block"].shape == (2, 3, 6, 5)


@pytest.mark.parametrize("fails", [False, True])
def test_making_the_map_leaves_no_trace(fails: bool) -> None:
    model = pictures().train()
    before = Snapshot(model.bn, (X,))

    def forward() -> Any:
        model(X)
        if fails:
            raise ZeroDivisionError

    torch.manual_seed(0)  # what dropout draws in training mode is the model's own business
    state = torch.get_rng_state()
    if fails:
        with pytest.raises(ZeroDivisionError):
            map_layers(model, forward)
    else:
        map_layers(model, forward)
    torch.set_rng_state(state)
    before.before["world"]["torch's random state"] = state
    before.check()
    assert not any(m._forward_hooks for m in model.modules())


def test_a_person_reads_the_map_in_a_terminal_and_in_a_notebook() -> None:
    found = attriscope.layers(pictures(), X)
    lines = str(found).splitlines()
    assert lines[0].split() == ["layer", "kind", "parameters", "input", "output", "calls", "time", "memory"]
    conv = next(line for line in lines if line.lstrip().startswith("conv "))
    assert all(word in conv for word in ("Conv2d", "57", "2 x 2 x 6 x 5", "2 x 3 x 6 x 5", "ms"))
    assert next(line for line in lines if "unused" in line).rstrip().endswith("not run")
    assert found["conv"].inputs == ((2, 2, 6, 5),)
    assert found["conv"].seconds > 0
    with pytest.raises(KeyError, match="cnov"):
        found["cnov"]


def test_names_of_layers_are_text() -> None:
    model = nn.Module()
    model.add_module("<img src=x onerror=alert(1)>", nn.Identity())
    model.forward = lambda x: x  # type: ignore[method-assign]
    shown = attriscope.layers(model, X)._repr_html_()
    assert "<img" not in shown
    assert "&lt;img" in shown


def test_the_map_of_something_else_is_refused() -> None:
    with pytest.raises(InputTypeError, match=r"torch\.nn\.Module, but <function"):
        attriscope.layers(lambda x: x, X)
