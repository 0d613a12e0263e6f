"""Scripted, traced, frozen and quantised models: what works gives the model's own numbers, the rest is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr
from attriscope.attr.lrp_rules import EpsilonRule
from attriscope.core.errors import InputError, LayerError, OperationError
from models import draw, with_drawn_parameters

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def net() -> nn.Module:
    layers = nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
    return with_drawn_parameters(nn.Sequential(*layers)).double().eval()


X = draw(2, 1, 6, 6)
MODELS: dict[str, Any] = {
    "scripted": torch.jit.script,
    "traced": lambda model: torch.jit.trace(model, X),
    "frozen": lambda model: torch.jit.freeze(torch.jit.script(model)),
}


class Holder(nn.Module):
    """A model of which a part is not Python."""

    def __init__(self, part: Any) -> None:
        super().__init__()
        self.first, self.part = nn.Identity(), part

    def forward(self, x: Tensor) -> Tensor:
        return self.part(self.first(x)).tanh()


@pytest.mark.parametrize("kind", MODELS)
def test_gradients_and_outputs_are_those_of_the_model(kind: str) -> None:
    model = net()
    other = MODELS[kind](copy.deepcopy(model))
    for name in (
        "Saliency",
        "InputXGradient",
        "IntegratedGradients",
        "FeatureAblation",
        "ShapleyValueSampling",
    ):
        found = []
        for one in (model, other, other):
            torch.manual_seed(0)
            given = (
                {"feature_mask": torch.arange(36).reshape(1, 1, 6, 6) // 9}
                if name[0] in "FS" and name[1] != "a"
                else {}
            )
            found.append(getattr(attr, name)(one).attribute(X, target=1, **given))
        torch.testing.assert_close(found[1], found[0])
        torch.testing.assert_close(found[2], found[0])


@pytest.mark.parametrize("kind", MODELS)
def test_rules_work_or_say_why_not(kind: str) -> None:
    model = net()
    for method in (attr.DeepLift, attr.LRP, attr.GuidedBackprop):
        other = MODELS[kind](copy.deepcopy(model))
        expected = method(model).attribute(X, target=1)
        for _ in range(3):  # the first runs are not yet optimised, and may show their operations
            found, said = expected, ""
            try:
                found = method(other).attribute(X, target=1)
            except OperationError as error:
                said = str(error)
            torch.testing.assert_close(found, expected)
            assert not said or ("explain the module that was scripted" in said and kind != "traced")


@pytest.mark.parametrize("kind", ["scripted", "traced"])
def test_their_layers_are_refused_by_name(kind: str) -> None:
    other = MODELS[kind](net())
    for layer in ("0", next(other.children())):
        for method in (attr.LayerActivation, attr.LayerConductance, attr.LayerGradCam, attr.NeuronGradient):
            with pytest.raises(LayerError, match="the layer Conv2d is scripted, or part of a module that is"):
                method(other, layer)


def test_layers_around_them_are_explained() -> None:
    model, x = net(), X
    whole = attr.LayerIntegratedGradients(Holder(model), "first").attribute(x, target=1)
    for kind, make in MODELS.items():
        holder = Holder(make(copy.deepcopy(model)))
        torch.testing.assert_close(
            attr.LayerIntegratedGradients(holder, "first").attribute(x, target=1), whole
        )
        if kind != "traced":
            with pytest.raises(LayerError, match="is scripted"):
                attr.LayerActivation(holder, "part")
        else:
            torch.testing.assert_close(attr.LayerActivation(holder, "part").attribute(x), model(x))


class Words(nn.Module):
    """Ids, a layer of vectors, and a part that is not Python."""

    def __init__(self, part: Any) -> None:
        super().__init__()
        self.embedding, self.vectors, self.part = nn.Embedding(5, 6), nn.Linear(6, 6), part

    def forward(self, ids: Tensor) -> Tensor:
        return self.part(self.vectors(self.embedding(ids)).tanh().unsqueeze(1))


@pytest.mark.parametrize("kind", MODELS)
def test_what_watches_all_modules_passes_over_them(kind: str) -> None:
    part = net()
    other = MODELS[kind](copy.deepcopy(part))
    maps = [attr.LayerGradCam(Holder(p), "first").attribute(X, target=1) for p in (part, other)]
    torch.testing.assert_close(maps[1], maps[0])
    words = with_drawn_parameters(Words(part)).double().eval()
    ids, starts = torch.tensor([[0, 1, 2, 3, 4, 2]]), torch.zeros(1, 6, dtype=torch.long)
    found = [attr.LayerConductance(words, "vectors").attribute(ids, starts, target=1)]
    words.part = MODELS[kind](copy.deepcopy(part))
    found.append(attr.LayerConductance(words, "vectors").attribute(ids, starts, target=1))
    torch.testing.assert_close(found[1], found[0])
    words.unused = nn.ReLU()
    with pytest.raises(LayerError, match="did not run"):
        attr.LayerActivation(words, "unused").attribute(ids)


def test_rules_for_scripted_modules_are_refused() -> None:
    holder = Holder(torch.jit.script(net()))
    with pytest.raises(OperationError, match="scripted module"):
        attr.LRP(holder, rules={holder.part: EpsilonRule()})


def test_quantised_layers_have_no_gradient() -> None:
    engines = [engine for engine in torch.backends.quantized.supported_engines if engine != "none"]
    if not engines:
        pytest.skip("this torch has no engine for quantised layers")
    before, torch.backends.quantized.engine = torch.backends.quantized.engine, engines[0]
    try:
        plain = nn.Sequential(nn.Flatten(), nn.Linear(36, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
        model = torch.ao.quantization.quantize_dynamic(plain, {nn.Linear})
        x = X.float()
        found = attr.FeatureAblation(model).attribute(x, target=1)
        expected = torch.stack(
            [(model(x) - model(x * (torch.arange(36) != i).reshape(1, 1, 6, 6)))[:, 1] for i in range(36)], 1
        )
        torch.testing.assert_close(found, expected.reshape(2, 1, 6, 6).detach(), rtol=1e-5, atol=1e-6)
        assert attr.LayerActivation(model, "1").attribute(x).shape == (2, 5)
        for method in (attr.Saliency, attr.IntegratedGradients):
            with pytest.raises(InputError, match="no gradient arrives"):
                method(model).attribute(x, target=1)
        for method in (attr.DeepLift, attr.LRP, attr.GuidedBackprop):
            with pytest.raises(OperationError, match="torch has no gradient for what runs there"):
                method(model).attribute(x, target=1)
    finally:
        torch.backends.quantized.engine = before
