"""Layers that do not have the examples in dimension 0: the numbers are those of the same layer where it has them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr
from attriscope.attr import At, Call, Neuron
from attriscope.core.errors import InputError, InputTypeError, LayerError
from models import draw, seeded, with_drawn_parameters

FORMS = ("time first", "flat", "flat, time first")


class Net(nn.Module):
    """The same function in several forms: its body sees (N, T, 4), (T, N, 4), (N * T, 4) or (T * N, 4)."""

    def __init__(self, form: str = "") -> None:
        super().__init__()
        self.form = form
        self.body = nn.Sequential(nn.Linear(4, 6), nn.Tanh())
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        swapped = x.transpose(0, 1) if "time first" in self.form else x
        sizes = swapped.shape[:2]
        inner = self.body(swapped.flatten(0, 1) if "flat" in self.form else swapped)
        inner = inner.unflatten(0, sizes) if "flat" in self.form else inner
        inner = inner.transpose(0, 1) if "time first" in self.form else inner
        return self.last((inner * inner.sum(1, keepdim=True).tanh()).mean(1))


def net(form: str = "") -> Net:
    return with_drawn_parameters(Net(form)).double().eval()


def placed(form: str, found: Tensor) -> Tensor:
    """What belongs to the layer that has the examples first, as the form has it."""
    found = found.transpose(0, 1) if "time first" in form else found
    return found.flatten(0, 1) if "flat" in form else found


SIZES = [(2, 3), (3, 3), (1, 3), (2, 1), (2, 4), (1, 1)]
METHODS: dict[str, dict[str, Any]] = {
    "LayerConductance": {}, "InternalInfluence": {}, "LayerIntegratedGradients": {}, "LayerDeepLift": {},
    "LayerGradientShap": {"n_samples": 6}, "LayerDeepLiftShap": {}, "LayerLRP": {}, "LayerActivation": {},
    "LayerGradientXActivation": {}, "LayerFeatureAblation": {},
}  # fmt: skip
UNBASED = ("LayerLRP", "LayerActivation", "LayerGradientXActivation", "LayerFeatureAblation")
WITH_DELTA = (
    "LayerConductance",
    "LayerIntegratedGradients",
    "LayerDeepLift",
    "LayerDeepLiftShap",
    "LayerLRP",
)


def explain(method: str, model: nn.Module, x: Tensor, layer: Any = "body", **more: Any) -> Any:
    given = (
        {} if method in UNBASED else {"baselines": draw(2 if "Shap" in method else 1, *x.shape[1:], seed=5)}
    )
    given |= {} if method == "LayerActivation" else {"target": 1}
    given |= {"generator": seeded(0)} if method == "LayerGradientShap" else {}
    return getattr(attr, method)(model, layer).attribute(x, **given, **METHODS[method], **more)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", FORMS)
def test_every_method_has_the_numbers_of_the_layer_with_examples_first(form: str, method: str) -> None:
    for count, length in SIZES:
        x = draw(count, length, 4)
        for at_input in (False, True):
            there = {"attribute_to_layer_input": at_input}
            right = explain(method, net(), x, **there)
            found = explain(method, net(form), x, **there)
            torch.testing.assert_close(found, placed(form, right))
        if method in WITH_DELTA:
            right = explain(method, net(), x, return_convergence_delta=True)[1]
            torch.testing.assert_close(explain(method, net(form), x, return_convergence_delta=True)[1], right)


@pytest.mark.parametrize("form", FORMS)
def test_batches_baselines_masks_and_neurons(form: str) -> None:
    x, other = draw(3, 3, 4), draw(3, 3, 4, seed=8)
    for method in ("LayerConductance", "LayerIntegratedGradients", "InternalInfluence"):
        right = explain(method, net(), x, n_steps=7)
        for size in (1, 4):
            found = explain(method, net(form), x, n_steps=7, internal_batch_size=size)
            torch.testing.assert_close(found, placed(form, right))
    held, mask = draw(3, 3, 6, seed=9), torch.arange(18).reshape(1, 3, 6) // 2
    given: dict[str, Any] = {"inputs": x, "target": 1}
    for make in (attr.FeatureAblation, attr.ShapleyValueSampling):
        drawn = {"generator": seeded(3)} if make is attr.ShapleyValueSampling else {}
        right = At(make, net(), layer="body").attribute(
            **given, layer_baselines=held, feature_mask=mask, **drawn
        )
        drawn = {"generator": seeded(3)} if drawn else {}
        found = At(make, net(form), layer="body").attribute(
            **given, layer_baselines=placed(form, held), feature_mask=placed(form, mask), **drawn
        )
        torch.testing.assert_close(found, placed(form, right))
    for selector in ((1, 2), 1, (slice(0, 2), 3)):
        for kind in (attr.NeuronGradient, attr.NeuronIntegratedGradients, attr.NeuronDeepLift):
            right = kind(net(), "body").attribute(x, selector)
            torch.testing.assert_close(kind(net(form), "body").attribute(x, selector), right)
        right = attr.NeuronConductance(net(), "body").attribute(x, selector, target=1, baselines=other)
        found = attr.NeuronConductance(net(form), "body").attribute(x, selector, target=1, baselines=other)
        torch.testing.assert_close(found, right)
        for layer in (None, "body.0"):
            there = [
                At(attr.Saliency, net(f), layer=layer, neuron=Neuron("body", selector)).attribute(x)
                for f in ("", form)
            ]
            torch.testing.assert_close(there[1], there[0] if layer is None else placed(form, there[0]))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], batch_first: bool) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.cell, self.last = kind(4, 5, 2, batch_first=batch_first), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        found, state = self.cell(x if self.batch_first else x.transpose(0, 1))
        found = found if self.batch_first else found.transpose(0, 1)
        hidden = state[0] if isinstance(state, tuple) else state
        return self.last(found.mean(1) + hidden[-1].tanh())


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_in_both_layouts(kind: type[nn.RNNBase]) -> None:
    models = [with_drawn_parameters(Recurrent(kind, first)).double().eval() for first in (True, False)]
    models[1].load_state_dict(models[0].state_dict())
    for x in (draw(2, 3, 4), draw(3, 3, 4), draw(1, 2, 4)):
        change = (models[0](x) - models[0](0 * x))[:, 1]
        for method in ("LayerConductance", "LayerIntegratedGradients", "LayerDeepLift", "InternalInfluence"):
            explainers = [getattr(attr, method)(model, "cell") for model in models]
            first, later = (explainer.attribute(x, target=1) for explainer in explainers)
            torch.testing.assert_close(later[0], first[0].transpose(0, 1))
            torch.testing.assert_close(
                later[1:], first[1:]
            )  # states have the examples in dimension 1 in both
            assert first[1].shape == (2, len(x), 5)
            if method != "InternalInfluence":
                total = first[0].sum((1, 2)) + sum(state.sum((0, 2)) for state in first[1:])
                torch.testing.assert_close(total, change, rtol=2e-3, atol=1e-3)
            one = [
                getattr(attr, method)(model, Call("cell", tensor=0)).attribute(x, target=1)
                for model in models
            ]
            torch.testing.assert_close(one[1], one[0].transpose(0, 1))
            assert isinstance(one[0], Tensor)
        neurons = [
            attr.NeuronGradient(model, Call("cell", tensor=0)).attribute(x, (1, 2)) for model in models
        ]
        torch.testing.assert_close(neurons[1], neurons[0])


def test_where_the_examples_are_may_be_said() -> None:
    model, x = net("time first"), draw(3, 3, 4)
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    right = attr.LayerConductance(model, "body").attribute(x, target=1, n_steps=3)
    with_trials = len(calls)
    calls.clear()
    found = attr.LayerConductance(model, Call("body", examples=1)).attribute(x, target=1, n_steps=3)
    torch.testing.assert_close(found, right)
    assert with_trials == len(calls) + 2
    with pytest.raises(LayerError, match=r"dimension 7 was said to count .*\(3, 12, 6\) for 12 row"):
        attr.LayerConductance(model, Call("body", examples=7)).attribute(x, target=1, n_steps=3)


def test_what_cannot_be_meant() -> None:
    for given, says in (
        ({"tensor": "out"}, "tensor must be an int"),
        ({"examples": 0.5}, "the examples must be"),
    ):
        with pytest.raises(InputTypeError, match=says):
            Call("body", **given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="counted from 0, but -1"):
        Call("body", tensor=-1)
    for method in ("LayerConductance", "LayerIntegratedGradients", "LayerActivation"):
        with pytest.raises(LayerError, match="no tensor 3 at the output of layer 'body'"):
            explain(method, net(), draw(2, 3, 4), Call("body", tensor=3))
