"""A small picture model for the Explorer, and a way to hold it up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attriscope import Explorer
from attriscope.widget.messages.layers import top_channels
from attriscope.widget.model.layers import ONE_PASS
from attriscope.widget.state.selection import Selection

Make = Callable[..., Explorer]


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


class Opaque(TwoLayers):
    """Gives no gradients."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return super().forward(x)


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


def third_of_a_batch() -> tuple[Explorer, Tensor, tuple[Any, ...]]:
    """An Explorer of the third of three examples, that example, and what goes with it: one of its own, two of all."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(3, 3, 8, 8, generator=generator)
    others = (torch.rand(3, 1, 8, 8, generator=generator), torch.rand(5, generator=generator), 2.0)
    explorer = Explorer(
        Masked().eval(),
        inputs,
        target=1,
        example=2,
        method="Saliency",
        additional_forward_args=others,
        n_steps=4,
    )
    return explorer, inputs[2:], (others[0][2:], *others[1:])


PAGE_WRITES = {
    "method", "target", "baseline", "layer", "layer_method", "neuron", "neuron_method", "ablated", "ablate_to",
    "contrast", "example", "settings", "alpha", "view_box", "opacity", "colormap", "sign", "mode", "outlier_percent",
    "scale_limit", "selection", "output", "explain_predicted", "edited", "compare_as", "tab", "detail", "beside",
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


def agrees(request: dict[str, Any], choice: Selection) -> bool:
    """Whether a map that answers the request answers the choice: by the rules that the page goes by."""
    level = "input" if choice.layer is None else "layer" if choice.neuron is None else "neuron"
    method = {"input": "method", "layer": "layer_method", "neuron": "neuron_method"}[level]
    present = {**choice.request("heat"), "effort": choice.effort}
    names = {
        "target",
        "contrast",
        "example",
        "edited",
        "baseline",
        "layer",
        "neuron",
        "settings",
        "effort",
        method,
    }
    return all(request[name] == present[name] for name in names)


def assert_inside_consistent(explorer: Explorer) -> None:
    """What is known of the inside answers what is chosen, or is not there."""
    choice, layouts = explorer.choice, explorer._explained.layer_cache.layouts
    seen = choice.values(("target", "contrast", "example", "edited"))
    layer, neuron = choice.layer, choice.neuron
    assert neuron is None or layer is not None
    assert explorer.channels.get("request") == (None if layer is None else {**seen, "layer": layer})
    if explorer.patches:
        assert explorer.patches["request"] == {"layer": layer}
        best = [one.channel for one in top_channels(explorer.channels, 12)]
        more = [] if choice.channel is None or choice.channel in best else [choice.channel]
        assert explorer.patches["channels"] == [*best, *more]
    info = {**seen, "layer": layer, "neuron": neuron}
    assert explorer.neuron_info.get("request") == (None if neuron is None else info)
    ablated = [[name, one] for name, one in choice.ablated]
    what_if = {"example": choice.example, "ablated": ablated, "ablate_to": choice.ablate_to}
    what_if |= choice.values(("output", "edited"))
    assert explorer.what_if.get("request") == (what_if if ablated else None)
    rows = {row["name"]: row for row in explorer.layers}
    assert {name for name, row in rows.items() if row["pickable"]} == set(layouts)
    if explorer.layer_relevance:
        found = explorer.layer_relevance["request"]
        assert {name: found[name] for name in seen} == seen
        assert len(explorer.layer_relevance["values"]) == len(explorer.layers)
    if explorer.layer_maps and (choice.layer_method in ONE_PASS or (layer is not None and neuron is None)):
        found = explorer.layer_maps["request"]
        assert {name: found[name] for name in seen} == seen
        assert found["layer_method"] == choice.layer_method
        assert found["baseline"] in (None, choice.request("path")["baseline"])
        assert found["settings"] == choice.settings.get(choice.layer_method, {})
        assert explorer.layer_maps["final"]


def assert_consistent(explorer: Explorer, mirror: Mirror | None = None) -> None:
    """Nothing runs any more: what is on show must be what is chosen, and the page must know."""
    choice = explorer.choice
    assert not explorer._jobs.busy
    assert choice.contrast is None or choice.contrast != choice.target
    assert explorer._registry.check(explorer.settings) == explorer.settings
    json.dumps(without_bytes(explorer.get_state()), allow_nan=False)
    table = explorer.comparison_table
    compared = [method["name"] for method in explorer.comparison.get("methods", ())]
    judged = list(table.methods if table is not None else ())
    rough = any(metric.get("rough") for metric in explorer.comparison.get("metrics", ()))
    assert set(judged) <= set(compared) if rough else judged == compared
    heat, path = explorer.heat, explorer.path
    for shown in (
        heat,
        path,
        explorer.channels,
        explorer.neuron_info,
        explorer.what_if,
        explorer.layer_relevance,
    ):
        assert not shown or shown["request"]["example"] == explorer._state.example
    if explorer._state.example is not None:
        assert explorer.picture == explorer._explained.example(explorer._state.example).stage.shown["picture"]
    if explorer.status == "idle":
        assert explorer.error is None
        assert explorer._state.example == choice.example
        layouts = explorer._explained.layer_cache.layouts
        if choice.layer is not None and choice.neuron is None and not layouts[choice.layer].spatial:
            assert heat == {}
        else:
            assert agrees(heat["request"], choice)
            assert heat["final"]
            assert not heat["preview"]
        assert_inside_consistent(explorer)
        assert path["request"] == choice.request("path")
        assert explorer.covered.get("region") == explorer.selection
        assert explorer.selection is None or explorer.covered["request"] == choice.covering.request("covered")
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


def run(code: str, **names: Any) -> dict[str, Any]:
    """What somebody gets who pastes the code into a cell; the Explorer that it makes has been stopped."""
    exec(compile(code, "<copied>", "exec"), names)
    if "explorer" in names:
        names["explorer"].close()
    return names


def attributions_of(code: str, **names: Any) -> Tensor:
    """The map that code makes."""
    return run(code, **names)["attributions"]
