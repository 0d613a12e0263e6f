"""Models that keep memory by torch.utils.checkpoint are explained as those that do not."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from attriscope import attr
from attriscope.core.checkpoints import without_checkpoints
from models import draw, seeded, with_drawn_parameters


class Net(nn.Module):
    """A body that is checkpointed in one of torch's forms, or not."""

    def __init__(self, form: str = "") -> None:
        super().__init__()
        self.first, self.last, self.form = nn.Linear(4, 5), nn.Linear(5, 3), form
        self.body = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 5))

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        if self.form == "sequential":
            h = checkpoint_sequential(self.body, 2, h, use_reentrant=False)
        elif self.form:
            h = checkpoint(self.body, h, use_reentrant=self.form == "reentrant")
        else:
            h = self.body(h)
        return self.last(h.relu())


def net(form: str = "") -> Net:
    return with_drawn_parameters(Net(form)).double().eval()


X, B = draw(3, 4), draw(1, 4, seed=1)
METHODS: dict[str, dict[str, Any]] = {
    "Saliency": {}, "IntegratedGradients": {}, "DeepLift": {}, "LRP": {}, "GuidedBackprop": {},
    "LayerConductance": {"baselines": B}, "InternalInfluence": {"baselines": B}, "LayerGradientXActivation": {},
    "LayerDeepLift": {"baselines": B}, "LayerIntegratedGradients": {"baselines": B}, "LayerLRP": {},
    "LayerDeepLiftShap": {"baselines": draw(3, 4, seed=2)}, "LayerGradCam": {}, "LayerFeatureAblation": {},
    "LayerGradientShap": {"baselines": B, "n_samples": 4}, "NeuronGradient": {"neuron_selector": 1},
    "NeuronConductance": {"neuron_selector": 1, "target": 1}, "NeuronDeepLift": {"neuron_selector": 1},
}  # fmt: skip


def explain(method: str, model: nn.Module, layer: str, given: dict[str, Any]) -> Any:
    inside = method.startswith(("Layer", "Neuron", "Internal"))
    given = given if method.startswith("Neuron") else {"target": 1, **given}
    given = {**given, "generator": seeded(0)} if "Shap" in method and "Deep" not in method else given
    return getattr(attr, method)(model, *([layer] if inside else [])).attribute(X, **given)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", ["reentrant", "not reentrant", "sequential"])
def test_the_numbers_are_those_without(form: str, method: str) -> None:
    for layer in ("first", "body.0", "body.3"):
        found = explain(method, net(form), layer, METHODS[method])
        torch.testing.assert_close(found, explain(method, net(), layer, METHODS[method]))


def test_torch_is_left_as_it_was_and_other_threads_have_theirs() -> None:
    own = torch.utils.checkpoint.CheckpointFunction
    names: list[str] = []

    def elsewhere() -> None:
        x = torch.ones(2, requires_grad=True)
        for reentrant in (True, False):
            y = checkpoint(torch.sin, x, use_reentrant=reentrant)
            names.append(y.grad_fn.name())
            y.sum().backward()
        assert torch.equal(x.grad, 2 * torch.cos(torch.ones(2)))

    with without_checkpoints, without_checkpoints:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        here = checkpoint(torch.sin, torch.ones(2, requires_grad=True), use_reentrant=True)
    assert names == ["CheckpointFunctionBackward", "SinBackward0"]
    assert here.grad_fn.name() == "SinBackward0"
    assert torch.utils.checkpoint.CheckpointFunction is own
