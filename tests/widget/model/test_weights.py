"""Training meanwhile: the Explorer says that the weights changed, whichever optimiser changed them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer
from attriscope.attr import IntegratedGradients
from attriscope.widget.model.weights import WeightsChangedError, fingerprint
from widget.helpers import Gate, Make, TwoLayers

OPTIMISERS = {
    f"{kind.__name__}-{way}": (kind, {} if way == "ordinary" else {way: True})
    for kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
    for way in ("ordinary", "foreach", "fused")
}


def step(model: nn.Module, image: Tensor, optimiser: str) -> None:
    """One step of training."""
    kind, options = OPTIMISERS[optimiser]
    made = kind(model.parameters(), lr=0.05, **options)
    model(image).square().sum().backward()
    made.step()
    made.zero_grad()


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_every_optimiser_is_noticed(model: TwoLayers, image: Tensor, optimiser: str) -> None:
    before, weights = fingerprint(model), copy.deepcopy(model.state_dict())
    assert fingerprint(model) == before
    step(model, image, optimiser)
    assert any(not w.equal(weights[name]) for name, w in model.state_dict().items())
    assert fingerprint(model) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.first.weight.data.mul_(1.5),
        lambda m: setattr(m.first.weight, "data", m.first.weight.data.clone()),
        lambda m: m.load_state_dict({k: v + 1 for k, v in m.state_dict().items()}),
        lambda m: m.norm.running_mean.add_(1),
        lambda m: setattr(m, "first", nn.Conv2d(3, 6, 3)),
    ],
    ids=["in .data", "new .data", "loaded", "buffer", "another layer"],
)
def test_other_ways_to_change_weights(change: Callable[[Any], None]) -> None:
    model = TwoLayers().eval()
    model.norm = nn.BatchNorm2d(3).eval()
    before = fingerprint(model)
    with torch.no_grad():
        change(model)
    assert fingerprint(model) != before


def test_running_a_model_changes_nothing(image: Tensor) -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(), nn.Flatten(), nn.Linear(192, 2))
    for mode in (True, False):
        model.train(mode)
        before = fingerprint(model)
        model(image).sum().backward()
        assert fingerprint(model) == before


def test_weights_of_every_kind() -> None:
    model = nn.Module()
    model.plain = nn.Parameter(torch.randn(3))
    model.empty = nn.Parameter(torch.zeros(0))
    model.many = nn.Parameter(torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last))
    model.turned = nn.Parameter(torch.randn(70, 50).T)
    model.waves = nn.Parameter(torch.randn(4, dtype=torch.complex64))
    model.short = nn.Parameter(torch.randn(100, dtype=torch.bfloat16))
    model.register_buffer("counts", torch.arange(3))
    model.register_buffer("nan", torch.full((2,), torch.nan))
    model.register_buffer("wide", torch.zeros(1).expand(1000))
    model.register_buffer("elsewhere", torch.zeros(5, device="meta"))
    with torch.inference_mode():
        model.register_buffer("fixed", torch.ones(2))
    model.eval()
    before = fingerprint(model)
    assert fingerprint(model) == before
    for name in ("plain", "many", "turned", "waves", "short", "counts", "nan"):
        model.get_parameter(name).data.add_(1) if name in dict(
            model.named_parameters()
        ) else model.get_buffer(name).data.copy_(torch.full_like(model.get_buffer(name), 7))
        assert fingerprint(model) != before, name
        before = fingerprint(model)


@pytest.mark.parametrize("optimiser", ["Adam-ordinary", "Adam-foreach", "Adam-fused"])
def test_a_map_that_was_trained_over_says_so(
    make: Make, model: TwoLayers, image: Tensor, optimiser: str
) -> None:
    explorer = make(target=0).wait()
    assert (explorer.weights_changed, explorer.heat["changed"]) == (False, False)
    gate, calls = Gate(), []

    def hold_after_the_preview(x: Tensor) -> None:
        calls.append(1)
        if len(calls) == 2:
            gate(x)

    model.before = hold_after_the_preview
    explorer.target = 1
    assert gate.reached.wait(20)
    model.before = lambda x: None
    step(model, image, optimiser)
    gate.open.set()
    explorer.wait()
    assert (explorer.weights_changed, explorer.heat["changed"]) == (True, True)

    explorer.recompute().wait()
    assert (explorer.weights_changed, explorer.heat["changed"]) == (False, False)
    wanted = IntegratedGradients(model).attribute(image, target=1, n_steps=8)
    torch.testing.assert_close(explorer.attributions, wanted)


def test_training_after_the_map_is_noticed_when_anything_is_called(
    make: Make, model: TwoLayers, image: Tensor
) -> None:
    explorer = make(target=0).wait()
    for call in (lambda: explorer.attributions, explorer.wait, explorer.figure):
        step(model, image, "SGD-fused")
        call()
        assert explorer.weights_changed
        explorer.recompute().wait()
        assert not explorer.weights_changed


def test_predictions_are_those_of_the_weights_of_the_map(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=0).wait()
    step(model, image, "SGD-fused")
    explorer.target = 1
    explorer.wait()
    assert explorer.predictions["items"][0]["score"] == pytest.approx(model(image).max().item(), rel=1e-5)
    assert not explorer.weights_changed


def test_training_in_the_middle_of_a_backward_pass_is_said(make: Make, image: Tensor) -> None:
    class Trained(TwoLayers):
        """Autograd notices: the weights that backward needs are no longer those of forward."""

        training_now = False

        def forward(self, x: Tensor) -> Tensor:
            found = super().forward(x)
            if self.training_now and found.requires_grad:
                with torch.no_grad():
                    self.second.weight.mul_(1.01)
            return found

    model = Trained().eval()
    explorer = Explorer(model, image, target=0, n_steps=4).wait()
    model.training_now = True
    explorer.target = 1
    with pytest.raises(WeightsChangedError, match="recompute when that is done"):
        explorer.wait()
    assert explorer.status == "error"
    assert explorer.weights_changed
    model.training_now = False
    assert explorer.recompute().wait().heat["request"]["target"] == 1
    assert not explorer.weights_changed
    explorer.close()


def test_observers_that_choose_anew_are_later_than_what_they_observe(make: Make) -> None:
    explorer = make(target=0).wait()

    def prefer(change: Any) -> None:
        if change["new"] == "running" and explorer.target == 1:
            explorer.target = 2

    explorer.observe(prefer, "status")
    explorer.target = 1
    assert explorer.wait().heat["request"]["target"] == explorer.target == 2
