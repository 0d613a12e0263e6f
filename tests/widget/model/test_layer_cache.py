"""Looking inside leaves a model as it was, and manages with those that have something against it."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import (
    LayerActivation,
)
from attriscope.core.errors import Cancelled, TargetError
from attriscope.core.progress import control
from attriscope.widget.messages.layers import (
    layer_relevance_message,
)
from attriscope.widget.model.code import code_of
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.state.selection import Selection
from models import Snapshot, draw, pictures
from widget.autograd import TARGET, explained


def use(looked: ExplainedModel) -> None:
    """All that is asked of a model for its inside."""
    choice = Selection("Saliency", TARGET, layer="block", neuron=1, layer_method="LayerConductance")
    choice = dataclasses.replace(choice, ablated=(("conv", 0), ("relu", [1, 2, 3])), ablate_to="baseline")
    cache = looked.layer_cache
    cache.overview(choice)
    cache.reading(choice)
    cache.by_class(choice, [0, 1])
    cache.run_ablated(choice)
    list(looked.layer_maps(choice))
    for one in (choice, dataclasses.replace(choice, neuron=None)):
        list(looked.maps(one))
        code_of(looked, one)


@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_as_it_was(training: bool) -> None:
    model, x = pictures().train(training), draw(1, 2, 6, 5)
    model.drop.p = 0.0  # what dropout draws is the model's own business
    before = Snapshot(model, (x,))
    use(explained(model, x))
    before.check()


class Trouble(Exception):
    pass


@pytest.mark.parametrize("kind", ["raises", "cancelled"])
@pytest.mark.parametrize("after", range(8))
def test_the_model_is_left_as_it_was_when_something_comes_between(kind: str, after: int) -> None:
    """In the middle of a pass, whichever that is."""
    model, x = pictures(), draw(1, 2, 6, 5)
    looked, stop, passes = explained(model, x), threading.Event(), [0]

    def interrupt(module: nn.Module, args: Any) -> None:
        passes[0] += 1
        if passes[0] > after:
            if kind == "raises":
                raise Trouble
            stop.set()

    handle = model.pool.register_forward_pre_hook(interrupt)
    before = Snapshot(model, (x,))
    with pytest.raises(Trouble if kind == "raises" else Cancelled), control(cancel=stop):
        use(looked)
    before.check()
    handle.remove()


class Opaque(nn.Module):
    """A model without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.net = pictures()

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.net(x)


def test_of_a_model_without_gradients_the_activations_are_seen() -> None:
    model, x = Opaque(), draw(1, 2, 6, 5)
    looked = explained(model, x)
    found = looked.layer_cache.overview(Selection("Saliency", TARGET))
    assert not found.relevance
    assert layer_relevance_message(looked.layers, found.relevance, {}) == {}
    wanted = LayerActivation(model, "net.conv").attribute(x)[0].sum(0)
    torch.testing.assert_close(found.maps["LayerActivation"]["net.conv"], wanted.float())
    assert not found.maps["LayerGradCam"]
    held = looked.layer_cache.reading(Selection("Saliency", TARGET, layer="net.conv"))
    assert held.gradients is None
    assert looked.layer_cache.by_class(Selection("Saliency", TARGET, layer="net.conv"), [0]) == {0: None}


def test_a_model_that_fails_is_not_one_without_gradients() -> None:
    """It fails without any gradient being asked for."""
    model, broken = pictures(), []

    def fail(*_: Any) -> None:
        if broken:
            raise ZeroDivisionError("no more")

    model.fc.register_forward_hook(fail)
    looked = explained(model, draw(1, 2, 6, 5))
    assert not looked.without_gradients(Selection("Saliency", 1))
    broken.append(True)
    assert not looked.without_gradients(Selection("Saliency", 1))


def test_a_target_that_is_not_there_is_not_taken_for_a_model_without_gradients() -> None:
    model, x = pictures(), draw(1, 2, 6, 5)
    looked = explained(model, x)
    with pytest.raises(TargetError, match="17 is out of range"):
        looked.layer_cache.overview(Selection("Saliency", 17))
