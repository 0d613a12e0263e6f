"""Layer-wise relevance propagation, against a slow version with explicit Jacobians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attriscope import zoo
from attriscope.attr import LRP, InputXGradient
from attriscope.attr.lrp_rules import (
    Alpha1_Beta0_Rule,
    AlphaBetaRule,
    EpsilonRule,
    GammaRule,
    IdentityRule,
    PropagationRule,
)
from attriscope.core.errors import InputTypeError, OperationError
from models import draw, with_drawn_parameters


def jacobian(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """d layer(x)_k / d x_j of one example, as a matrix."""
    return torch.autograd.functional.jacobian(lambda v: layer(v[None])[0], x[0]).reshape(-1, x.numel())


def slow(layers: list[nn.Module], x: Tensor, target: int) -> Tensor:
    """Relevance of one example (1, ...), by the formulas of Bach et al. 2015 and Montavon et al. 2019."""
    values = [x]
    for layer in layers:
        values.append(layer(values[-1]).detach())
    relevance = torch.zeros_like(values[-1])
    relevance[0, target] = values[-1][0, target]
    for layer, a, z in reversed(list(zip(layers, values, values[1:], strict=False))):
        r, rule = relevance.flatten(), getattr(layer, "rule", None)
        if isinstance(rule, IdentityRule) or isinstance(layer, nn.ReLU | nn.Tanh | nn.GELU):
            relevance = relevance.reshape(a.shape)
            continue
        w = jacobian(layer, a)
        bias = (
            z.flatten() - w @ a.flatten()
            if not isinstance(layer, nn.MaxPool2d)
            else torch.zeros(z.numel()).double()
        )
        parts = w * a.flatten()
        if isinstance(rule, AlphaBetaRule):
            up, down = parts.clamp(min=0), parts.clamp(max=0)
            total = rule.alpha * up / _away(up.sum(1) + bias.clamp(min=0))[:, None]
            total = total - rule.beta * down / _away(down.sum(1) + bias.clamp(max=0))[:, None]
            relevance = (r @ total).reshape(a.shape)
            continue
        epsilon = 1e-9
        if isinstance(rule, GammaRule):
            parts = parts + rule.gamma * w.clamp(min=0) * a.flatten()
        elif isinstance(rule, Alpha1_Beta0_Rule):
            parts = w.clamp(min=0) * a.flatten()
        elif isinstance(rule, EpsilonRule):
            epsilon = rule.epsilon
        if getattr(rule, "set_bias_to_zero", False):
            bias = torch.zeros_like(bias)
        relevance = (r @ (parts / _away(parts.sum(1) + bias, epsilon)[:, None])).reshape(a.shape)
    return relevance


def _away(z: Tensor, epsilon: float = 1e-9) -> Tensor:
    return z + epsilon * torch.where(z < 0, -1.0, 1.0)


def net() -> Any:
    return with_drawn_parameters(
        nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 2, stride=2), nn.Tanh(),
            nn.MaxPool2d(2, 1), nn.GELU(), nn.AvgPool2d(2, 1), nn.Flatten(), nn.Linear(12, 5), nn.ReLU(),
            nn.Linear(5, 3),
        )
    ).double()  # fmt: skip


RULES: dict[str, dict[int, PropagationRule]] = {
    "default": {},
    "epsilon": {0: EpsilonRule(0.3), 3: EpsilonRule(1e-3), 9: EpsilonRule(0.1), 7: EpsilonRule(0.2)},
    "gamma": {0: GammaRule(), 3: GammaRule(2.0), 9: GammaRule(0.5, set_bias_to_zero=True)},
    "alpha beta of Captum": {3: Alpha1_Beta0_Rule(), 9: Alpha1_Beta0_Rule(set_bias_to_zero=True)},
    "alpha beta of the paper": {0: AlphaBetaRule(), 3: AlphaBetaRule(2.0, 1.0), 9: AlphaBetaRule()},
    "identity": {1: IdentityRule(), 4: IdentityRule(), 0: EpsilonRule(0.1)},
    "all": {
        0: GammaRule(),
        1: IdentityRule(),
        3: Alpha1_Beta0_Rule(),
        9: EpsilonRule(0.2),
        11: EpsilonRule(),
    },
}


@pytest.mark.parametrize("name", RULES)
def test_rules_against_explicit_jacobians(name: str) -> None:
    model = net()
    for i, rule in RULES[name].items():
        model[i].rule = rule
    x = draw(3, 2, 8, 8)
    found = LRP(model).attribute(x, target=1)
    for n in range(3):
        expected = slow(list(model), x[n : n + 1], 1)
        torch.testing.assert_close(found[n : n + 1], expected, rtol=1e-4, atol=1e-6)
    assert all(model[i].rule is rule for i, rule in RULES[name].items())
    if RULES[name]:
        plain = net()
        given = LRP(plain, rules={plain[i]: rule for i, rule in RULES[name].items()})
        torch.testing.assert_close(given.attribute(x, target=1), found)


def test_rectifier_nets_give_input_times_gradient() -> None:
    model = with_drawn_parameters(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))).double()
    x = draw(3, 4)
    torch.testing.assert_close(
        LRP(model).attribute(x, target=2), InputXGradient(model).attribute(x, target=2)
    )


class Layers(nn.Module):
    """One layer between others, written as functions, with its outputs added up."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(F.relu(x))
        return (y[0] if isinstance(y, tuple) else y).flatten(1)[:, :3].sum(1)


KINDS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "Conv1d": (lambda: nn.Conv1d(3, 4, 3, bias=False), (2, 3, 9)),
    "Conv3d": (lambda: nn.Conv3d(3, 4, 2, bias=False), (2, 3, 3, 3, 3)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(3, 4, 2, bias=False), (2, 3, 5)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 4, 2, stride=2, bias=False), (2, 3, 5, 5)),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(3, 4, 2, bias=False), (2, 3, 3, 3, 3)),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), (2, 3, 5, 5)),
    "bicubic": (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), (2, 3, 5, 5)),
    "Identity": (nn.Identity, (2, 3)),
    "Dropout": (lambda: nn.Dropout(0.5), (2, 3)),
    "ZeroPad2d": (lambda: nn.ZeroPad2d(1), (2, 3, 5, 5)),
    "ReflectionPad1d": (lambda: nn.ReflectionPad1d(1), (2, 3, 5)),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), (2, 4, 3, 3)),
    "MaxPool3d": (lambda: nn.MaxPool3d(2), (2, 3, 4, 4, 4)),
    "AdaptiveAvgPool": (lambda: nn.AdaptiveAvgPool2d(2), (2, 3, 5, 5)),
    "ReLU6": (nn.ReLU6, (2, 3)),
    "ELU": (nn.ELU, (2, 3)),
    "LayerNorm": (lambda: nn.LayerNorm(6, elementwise_affine=False), (2, 6)),
    "RMSNorm": (lambda: nn.RMSNorm(6), (2, 6)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4, affine=False), (2, 4, 5)),
    "LSTM": (lambda: nn.LSTM(4, 3, 2, bias=False, batch_first=True), (2, 5, 4)),
    "GRU": (lambda: nn.GRU(4, 3, bias=False, batch_first=True), (2, 5, 4)),
    "RNN": (lambda: nn.RNN(4, 3, bias=False, batch_first=True), (2, 5, 4)),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(4, 2, 8, bias=False, batch_first=True), (2, 5, 4)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_relevance_is_conserved_without_biases(kind: str) -> None:
    make, shape = KINDS[kind]
    model = Layers(with_drawn_parameters(make())).double()
    relevance, delta = LRP(model).attribute(draw(*shape), return_convergence_delta=True)
    output = model(draw(*shape))
    torch.testing.assert_close(relevance.flatten(1).sum(1), output, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(delta, output - relevance.flatten(1).sum(1), rtol=0, atol=1e-12)


def test_gates_get_nothing_and_products_share() -> None:
    x = draw(3, 2).abs()
    a, b = x.unbind(1)
    gated = LRP(lambda x: x[:, 0] * x[:, 1].sigmoid()).attribute(x)
    torch.testing.assert_close(gated, torch.stack([a * b.sigmoid(), 0 * b], 1))
    shared = LRP(lambda x: x[:, 0] * x[:, 1]).attribute(x)
    torch.testing.assert_close(shared, torch.stack([a * b / 2, a * b / 2], 1))
    over = LRP(lambda x: x[:, 0] / x[:, 1]).attribute(x)
    torch.testing.assert_close(over, torch.stack([a / b, 0 * b], 1))


class Embedded(nn.Module):
    """Token ids beside a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.bag = nn.EmbeddingBag(7, 4)
        self.mix = nn.Linear(4, 3)

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        return self.mix((x + self.table(ids).sum(1) + self.bag(ids)).relu())


def test_embeddings_stand_beside() -> None:
    model = with_drawn_parameters(Embedded()).double()
    x, ids = draw(2, 4), torch.tensor([[1, 2, 3], [4, 5, 6]])
    found = LRP(model).attribute(x, target=1, additional_forward_args=ids)
    gradient = InputXGradient(model).attribute(x, target=1, additional_forward_args=ids)
    torch.testing.assert_close(found, gradient)


def test_efficientnet_and_what_verbose_says(capsys: pytest.CaptureFixture[str]) -> None:
    model = zoo.efficientnet_lite0()
    cat = zoo.imagenet_preprocess(zoo.picture("chelsea"))
    method = LRP(model, rules={model.stem.conv: GammaRule(), model.fc: EpsilonRule(0.01)})
    found, delta = method.attribute(cat, target=282, return_convergence_delta=True, verbose=True)
    assert found.isfinite().all()
    output = model(cat)[:, 282].detach()
    torch.testing.assert_close(delta, output - found.sum((1, 2, 3)))
    torch.testing.assert_close(method.compute_convergence_delta(found, output), delta)
    said = capsys.readouterr().out
    assert "Applied GammaRule(gamma=0.25, set_bias_to_zero=False) on layer Conv2d(3, 32" in said
    assert "Applied through on operation Hardtanh" in said


def test_wrong_rules_are_refused() -> None:
    model = net()
    model[0].rule = "gamma"
    with pytest.raises(InputTypeError, match=r"attriscope\.attr\.lrp_rules"):
        LRP(model)
    model[0].rule = IdentityRule()
    with pytest.raises(OperationError, match="IdentityRule is for modules"):
        LRP(model).attribute(draw(1, 2, 8, 8), target=0)
    model[0].rule = None
    normed = nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))).double()
    normed[0].rule = GammaRule()
    with pytest.raises(OperationError, match="parametrization"):
        LRP(normed).attribute(draw(1, 4), target=0)


def test_a_rule_of_ones_own() -> None:
    class Flat(PropagationRule):
        def changes(self, module: nn.Module) -> dict[str, Tensor | None]:
            weight: Any = module.weight
            return {"weight": torch.ones_like(weight), "bias": None}

    model = with_drawn_parameters(nn.Sequential(nn.Linear(4, 2), nn.ReLU())).double()
    model[0].rule = Flat()
    x = draw(3, 4)
    expected = x / x.sum(1, keepdim=True) * model(x)[:, :1].detach()
    torch.testing.assert_close(LRP(model).attribute(x, target=0), expected, rtol=1e-6, atol=1e-9)
