"""A small picture model for the Explorer, and a way to hold it up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attriscope import Explorer


class TwoLayers(nn.Module):
    """Conv, ReLU, conv, mean over positions: five classes from 1x3x8x8, quick and smooth enough."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.act = nn.ReLU()
        self.second = nn.Conv2d(6, 5, 3, padding=1)
        self.unused = nn.Linear(2, 2)
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=generator) / 3)
        self.before: Callable[[Tensor], None] = lambda x: None

    def forward(self, x: Tensor) -> Tensor:
        self.before(x)
        return self.second(self.act(self.first(x))).mean((2, 3))


class Gate:
    """Holds a model up in its forward pass until it is told to go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, x: Tensor) -> None:
        self.reached.set()
        assert self.open.wait(20)


def from_page(explorer: Explorer, **state: Any) -> None:
    """What the page does when a person clicks."""
    explorer._handle_msg(
        {"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []}
    )


class Masked(nn.Module):
    """A model with further arguments: a mask with one entry per example, weights of the classes, and a factor."""

    def __init__(self) -> None:
        super().__init__()
        self.net = TwoLayers()

    def forward(self, x: Tensor, mask: Tensor, weights: Tensor, factor: float = 1.0) -> Tensor:
        return self.net(x * mask) * weights * factor


PAGE_WRITES = {
    "method", "target", "baseline", "layer", "contrast", "example", "settings", "alpha", "opacity", "colormap", "sign",
    "mode", "outlier_percent", "scale_limit",
}  # fmt: skip


class Mirror:
    """What a page knows of an Explorer: all that it was sent, its own wishes among them, which the kernel echoes."""

    def __init__(self, explorer: Explorer) -> None:
        self.state = explorer.get_state()
        send = explorer._send

        def note(message: Any, buffers: Any = None) -> None:
            if message["method"] == "echo_update":
                self.state.update(message["state"])
            else:
                self.state.update(explorer.get_state(list(message["state"])))
            send(message, buffers)

        explorer._send = note


def assert_consistent(explorer: Explorer, mirror: Mirror | None = None) -> None:
    """Nothing runs any more: what is on show must be what is chosen, and the page must know."""
    choice = explorer.choice
    assert not explorer._worker.busy
    assert choice.contrast is None or choice.contrast != choice.target
    assert explorer._menu.check(explorer.settings) == explorer.settings
    json.dumps(without_bytes(explorer.get_state()), allow_nan=False)
    table = explorer.comparison_table
    compared = [method["name"] for method in explorer.comparison.get("methods", ())]
    assert compared == list(table.methods if table is not None else ())
    heat, path = explorer.heat, explorer.path
    for shown in (heat, path):
        assert not shown or shown["request"]["example"] == explorer._shown
    if explorer._shown is not None:
        assert explorer.picture == explorer._session.example(explorer._shown).shown
    if explorer.status == "idle":
        assert explorer.error is None
        assert explorer._shown == choice.example
        assert heat["request"] == choice.message
        assert heat["final"]
        assert not heat["preview"]
        assert path["request"] == choice.walk_message
        assert explorer.attributions is not None
    else:
        assert explorer.status in ("cancelled", "error")
        assert (explorer.status == "error") == (explorer.error is not None)
    if mirror is not None:
        state = explorer.get_state()
        wrong = {
            name: (mirror.state[name], state[name]) for name in state if mirror.state[name] != state[name]
        }
        assert not wrong, str(without_bytes(wrong))[:1000]


def without_bytes(value: Any) -> Any:
    """State as it goes into JSON: bytes travel beside it."""
    if isinstance(value, dict):
        return {name: without_bytes(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_bytes(one) for one in value]
    return None if isinstance(value, bytes | memoryview) else value
