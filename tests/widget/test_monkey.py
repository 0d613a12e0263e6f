"""A monkey at page, cells and callbacks: whatever it does, the Explorer ends in a consistent state.

It plays for 12 seconds, or as many as ``ATTRISCOPE_MONKEY_SECONDS`` says, with a new seed for each round;
``ATTRISCOPE_MONKEY_SEED`` sets the first.
"""

from __future__ import annotations

import contextlib
import os
import queue
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from attriscope import Explorer
from attriscope.core.errors import LayerError
from attriscope.widget.methods.catalogue import INPUT_METHODS, INSIDE_METHODS
from attriscope.widget.model.weights import WeightsChangedError
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import Mirror, TwoLayers, assert_consistent, from_page

SECONDS = float(os.environ.get("ATTRISCOPE_MONKEY_SECONDS", "12"))
SEED = int(os.environ.get("ATTRISCOPE_MONKEY_SEED", "0"))
_ACTIONS = 60  # of a round

# The dearest are left out: a round is to hold many choices.
METHODS = [
    name
    for name in INPUT_METHODS
    if name not in ("ShapleyValues", "KernelShap", "Lime", "ShapleyValueSampling")
]
LAYER_METHODS = [name for name, offer in INSIDE_METHODS.items() if offer.place == "layer"]
NEURON_METHODS = [name for name, offer in INSIDE_METHODS.items() if offer.place == "neuron"]
# What the user's own callbacks hang on.
OBSERVED = [
    "heat",
    "status",
    "target",
    "path",
    "example",
    "channels",
    "patches",
    "what_if",
    "layer_maps",
    "layer",
    "neuron",
]
SMALL = {
    "IntegratedGradients": {"n_steps": 5},
    "NoiseTunnel": {"nt_samples": 4},
    "GradientShap": {"n_samples": 4},
    **{
        name: {"n_steps": 5} for name in ("LayerConductance", "LayerIntegratedGradients", "InternalInfluence")
    },
    **{name: {"n_steps": 5} for name in ("NeuronConductance", "NeuronIntegratedGradients")},
}


class Trouble(Exception):
    """What the model raises now and then."""


class Monkey:
    """One round."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.model = TwoLayers().eval()
        self.trouble, self.delay = 0.0, 0.0
        self.inputs = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        self.own = torch.full((1, 3, 8, 8), 0.3)
        self.explorer = Explorer(self.model, self.inputs, target=0, settings=SMALL).wait()
        self.model.before = self.mischief
        self.mirror = Mirror(self.explorer)
        self.mood = random.Random(seed + 1)  # of callbacks and of the model, on whatever thread
        self.page: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self.failures: list[BaseException] = []
        self.explorer.observe(self.call_back, OBSERVED)

    def mischief(self, x: torch.Tensor) -> None:
        if self.delay:
            time.sleep(self.delay)
        if self.mood.random() < self.trouble:
            raise Trouble("the model did not feel like it")

    def call_back(self, change: Any) -> None:
        """An observer of the user's, on whatever thread sets the trait."""
        roll = self.mood.random()
        if roll < 0.02:
            self.explorer.cancel()
        elif roll < 0.05:
            self.explorer.example = self.mood.randrange(3)
        elif roll < 0.08 and self.explorer.target != 1:
            self.explorer.target = 1
        elif roll < 0.1:
            with contextlib.suppress(ChoiceError):
                self.explorer.refine()
        elif roll < 0.11:
            self.explorer.layer = None
        elif roll < 0.13:
            with contextlib.suppress(RuntimeError, LayerError, TimeoutError, Trouble, WeightsChangedError):
                self.explorer.wait(0.01)

    def wish(self) -> dict[str, Any]:
        """A choice or several, now and then an impossible one."""
        pick = self.random.choice
        every = {
            "method": lambda: pick([*METHODS, "Magic"]),
            "target": lambda: pick([0, 1, 2, 3, 4, -1, 9, None, "cat"]),
            "contrast": lambda: pick([None, None, 0, 1, 2, 9]),
            "example": lambda: pick([0, 1, 2, 3]),
            "baseline": lambda: pick(["zero", "blur", ["zero", "mean"], ["zero", "zero"], "custom", "grey"]),
            "layer": lambda: pick([None, None, "first", "second", "", "unused", "third"]),
            "layer_method": lambda: pick([*LAYER_METHODS, "LayerLRP"]),
            "neuron": lambda: pick([None, 0, 2, 5, [1, 2, 3], [4, 7, 7], [0, 8, 0], -1]),
            "neuron_method": lambda: pick([*NEURON_METHODS, "NeuronLRP"]),
            "ablated": lambda: pick(
                [[], [], [["first", 1]], [["second", 4], ["first", [0, 1, 2]]], [["third", 0]]]
            ),
            "ablate_to": lambda: pick(["zero", "baseline", "mean"]),
            "selection": lambda: pick(
                [
                    None,
                    {"kind": "box", "box": [1, 2, 5, 8]},
                    {"kind": "lasso", "points": [[0, 0], [6.5, 1], [3, 7.5]]},
                    {"kind": "segment", "point": [4, 4]},
                    {"kind": "box", "box": [3, 3, 3, 9]},
                    "the ear",
                ]
            ),
            "settings": lambda: pick([SMALL, {**SMALL, "IntegratedGradients": {"n_steps": 7}}, {"Lime": 3}]),
            "opacity": lambda: pick([0, 0.5, 1, 2]),
            "alpha": lambda: pick([0, 0.3, 1, float("nan")]),
            "mode": lambda: pick(["blended", "side", "upside down"]),
            "scale_limit": lambda: pick([None, 0.1, -1]),
        }
        return {
            name: every[name]()
            for name in self.random.sample(sorted(every), self.random.choice([1, 1, 1, 2, 4]))
        }

    def act(self) -> None:
        """One thing that somebody does."""
        explorer, roll = self.explorer, self.random.random()
        if roll < 0.4:
            wish = self.wish()
            self.page.put(lambda: from_page(explorer, **wish))
        elif roll < 0.5:
            message = {
                "type": self.random.choice(
                    ["cancel", "recompute", "refine", "compare", "check", "pin", "unpin", "close", "", 3]
                )
            }
            self.page.put(lambda: explorer._handle_custom_msg(message, []))
        elif roll < 0.7:
            for name, value in self.wish().items():
                with contextlib.suppress(Exception):  # a TraitError of some kind
                    setattr(explorer, name, value)
        elif roll < 0.75:
            explorer.baseline = self.own
        else:
            with contextlib.suppress(ChoiceError, LayerError, TimeoutError, Trouble, WeightsChangedError):
                self.random.choice(
                    [
                        explorer.cancel,
                        explorer.recompute,
                        explorer.refine,
                        lambda: explorer.compare(["Saliency", "random"], ["deletion", "entropy"]),
                        lambda: explorer.check(1),
                        lambda: explorer.wait(0.05),
                        explorer.wait,
                        explorer.pin,
                        explorer.unpin,
                        lambda: explorer.attributions,
                        lambda: (explorer.layer_attributions, explorer.neuron_attributions),
                        lambda: repr(explorer),
                        self.train,
                        self.use,
                        self.change_mood,
                    ]
                )()
        time.sleep(self.random.choice([0, 0, 0.001, 0.01]))

    def train(self) -> None:
        with torch.no_grad():
            self.model.first.weight.add_(0.001)

    def use(self) -> None:
        """A cell runs the model itself: jobs do not change what it gives."""
        with contextlib.suppress(Trouble):
            found = [self.model(self.inputs) for _ in range(2)]
            assert found[0].equal(found[1])
            assert found[0].requires_grad

    def change_mood(self) -> None:
        self.trouble = self.random.choice([0, 0, 0.1, 1])
        self.delay = self.random.choice([0, 0, 0.002, 0.02])

    def work_off(self) -> None:
        """The page's messages come on a thread of their own, one after the other."""
        while (message := self.page.get()) is not None:
            try:
                message()
            except BaseException as error:  # told to the test
                self.failures.append(error)

    def play(self) -> None:
        page = threading.Thread(target=self.work_off, daemon=True)
        page.start()
        for _ in range(_ACTIONS):
            self.act()
        self.page.put(None)
        page.join(30)
        assert not page.is_alive()
        assert not self.failures
        explorer = self.explorer
        assert explorer._jobs.wait(30)
        assert_consistent(explorer, self.mirror)
        # And it can still be used.
        self.trouble = self.delay = 0
        explorer.unobserve_all(name="heat")
        explorer.unobserve(self.call_back, [name for name in OBSERVED if name != "heat"])
        # A layer that never ran, or a neuron that is not there (picked while nobody knew): errors until it is mended.
        if explorer.layer == "unused" or isinstance(explorer.error, ChoiceError | LayerError):
            explorer.layer, explorer.ablated = None, []
        if explorer.contrast is not None and explorer.target is None:
            explorer.contrast = None
        explorer.recompute().wait(30)
        assert_consistent(explorer, self.mirror)
        assert not explorer.weights_changed
        self.compare()

    def compare(self) -> None:
        """What is on show is what anybody gets who runs the code."""
        explorer = self.explorer
        names: dict[str, Any] = {"model": self.model, "inputs": self.inputs, "baseline": self.own}
        exec(explorer.code, names)
        names["explorer"].close()
        torch.testing.assert_close(names["attributions"], explorer.attributions, atol=1e-5, rtol=1e-4)
        if explorer.ablated:
            after = [names["changed"][0, one["index"]].item() for one in explorer.what_if["items"]]
            assert [one["after_score"] for one in explorer.what_if["items"]] == pytest.approx(after, abs=1e-5)


@pytest.mark.timeout(SECONDS + 120)
def test_a_monkey_leaves_it_in_order() -> None:
    end, seed = time.monotonic() + SECONDS, SEED
    while time.monotonic() < end:
        monkey = Monkey(seed)
        try:
            monkey.play()
        except BaseException as error:
            error.add_note(f"seed {seed}, {monkey.explorer!r}") if hasattr(error, "add_note") else None
            raise
        finally:
            monkey.explorer.close()
        seed += 1
    assert seed > SEED
