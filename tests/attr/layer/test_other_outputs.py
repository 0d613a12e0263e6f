"""Layers that give several tensors: all count for what is used after the layer, and one alone for all that it does."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr
from attriscope.attr import Call
from attriscope.core.errors import LayerError, UnusedTensorWarning
from models import draw, seeded, with_drawn_parameters


class Attention(nn.Module):
    """Gives the context and the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        weights = (self.query(x) @ self.key(x).transpose(1, 2)).softmax(-1)
        return weights @ self.value(x), weights


class Net(nn.Module):
    def __init__(self, uses: bool, builtin: bool = False) -> None:
        super().__init__()
        self.builtin, self.uses = builtin, uses
        self.layer = nn.MultiheadAttention(4, 2, batch_first=True) if builtin else Attention()
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        context, weights = self.layer(x, x, x) if self.builtin else self.layer(x)
        found = self.last(context).tanh().sum(1)
        return found + weights[:, 0, :3] ** 2 if self.uses else found


def net(uses: bool, builtin: bool = False) -> Net:
    return with_drawn_parameters(Net(uses, builtin)).double().eval()


X, B = draw(2, 5, 4), draw(1, 5, 4, seed=3)
ADD_UP: dict[str, dict[str, Any]] = {
    "LayerConductance": {"n_steps": 300}, "LayerIntegratedGradients": {}, "LayerDeepLift": {},
    "LayerGradientShap": {"n_samples": 200}, "LayerDeepLiftShap": {},
}  # fmt: skip


def explain(method: str, model: nn.Module, layer: Any = "layer") -> Any:
    given = {"baselines": B.expand(2, 5, 4)} if "Shap" in method else {"baselines": B}
    if method in ("LayerGradientXActivation", "LayerLRP", "LayerFeatureAblation"):
        given = {}
    given |= {"generator": seeded(0)} if method == "LayerGradientShap" else {}  # type: ignore[dict-item]
    return getattr(attr, method)(model, layer).attribute(X, target=1, **given, **ADD_UP.get(method, {}))


@pytest.mark.parametrize("builtin", [False, True])
@pytest.mark.parametrize("method", [*ADD_UP, "InternalInfluence", "LayerGradientXActivation", "LayerLRP"])
def test_all_that_is_used_after_the_layer_counts_and_adds_up(method: str, builtin: bool) -> None:
    model = net(True, builtin)
    context, weights = explain(method, model)
    assert weights[:, 0, 1].abs().amin() > 0
    assert weights[:, 1:].abs().amax() == 0
    if (
        method in ADD_UP and method != "LayerGradientShap"
    ):  # the layer's values do not change evenly along the path
        change = (model(X) - model(B))[:, 1]
        torch.testing.assert_close(context.sum((1, 2)) + weights.sum((1, 2)), change, rtol=1e-3, atol=1e-4)


def test_what_only_matters_inside_the_layer_is_zero_with_a_word_and_told_when_asked() -> None:
    with pytest.warns(UnusedTensorWarning, match=r"'layer' uses tensor 1 .*Call\(layer, tensor=1\)"):
        context, weights = explain("LayerGradientXActivation", net(False))
    assert not weights.any()
    assert context.any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explain("LayerGradientXActivation", net(True))
        alone = explain("LayerGradientXActivation", net(False), Call("layer", tensor=1))
        torch.testing.assert_close(
            explain("LayerGradientXActivation", net(False), Call("layer", tensor=0)), context
        )
    model = net(False)
    held = (model.layer.query(X) @ model.layer.key(X).transpose(1, 2)).softmax(-1).detach().requires_grad_()
    f = model.last(held @ model.layer.value(X)).tanh().sum(1)[:, 1]
    torch.testing.assert_close(alone, held.detach() * torch.autograd.grad(f.sum(), held)[0])


@pytest.mark.parametrize("uses", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_one_tensor_alone_counts_for_all_that_it_does(uses: bool, frozen: bool) -> None:
    """Along the path, gradient of f by the weights, by whatever way, times their change."""
    model = net(uses).requires_grad_(not frozen)
    steps = torch.linspace(0, 1, 301, dtype=torch.float64)
    total, before = 0.0, None
    for step in steps:
        point = B + step * (X - B)
        weights = (model.layer.query(point) @ model.layer.key(point).transpose(1, 2)).softmax(-1).detach()
        weights.requires_grad_()
        f = model.last(weights @ model.layer.value(point)).tanh().sum(1)[:, 1]
        f = f + weights[:, 0, 1] ** 2 if uses else f
        here = weights.detach(), torch.autograd.grad(f.sum(), weights)[0]
        if before is not None:
            total = total + (here[1] + before[1]) / 2 * (here[0] - before[0])
        before = here
    torch.testing.assert_close(explain("LayerConductance", model, Call("layer", tensor=1)), total)
    both = attr.LayerConductance(model, [Call("layer", tensor=1), "layer"])
    found = both.attribute(X, baselines=B, target=1, n_steps=300)
    torch.testing.assert_close(found[0], total)
    torch.testing.assert_close(found[1], explain("LayerConductance", model))


@pytest.mark.parametrize("method", ["LayerIntegratedGradients", "LayerFeatureAblation"])
def test_what_cannot_be_put_in_place_says_so(method: str) -> None:
    with pytest.raises(
        LayerError, match="inside the layer 'layer', tensor 1 goes into what the layer gives besides"
    ):
        explain(method, net(True), Call("layer", tensor=1))
    context = explain(method, net(True), Call("layer", tensor=0))
    torch.testing.assert_close(
        context, explain(method, net(False))[0]
    )  # of what is used besides nothing else depends


class Routed(nn.Module):
    """Gives numbers of experts before what it makes with them."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.argmax(1), x * 2


class Detached(nn.Module):
    """What it uses of the router's second tensor is cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.last = Routed(), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        which, made = self.router(x)
        return self.last(x) + made.detach().sum(1, keepdim=True) + which[:, None]


def test_a_cut_path_is_seen_behind_a_tensor_of_whole_numbers() -> None:
    model = with_drawn_parameters(Detached()).double()
    with pytest.raises(ValueError, match="no gradient arrives at the output of layer 'router'"):
        attr.LayerGradientXActivation(model, "router").attribute(draw(2, 4), target=1)
    with pytest.raises(LayerError, match="tensor 0 at the output of layer 'router' holds no floating point"):
        attr.LayerGradientXActivation(model, Call("router", tensor=0)).attribute(draw(2, 4), target=1)
