"""Layers along paths: closed forms, sums that must come out, and a list of layers that is as good as each alone."""

from __future__ import annotations

import itertools
from typing import Any

import captum.attr
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from attriscope.attr import (
    Call,
    IntegratedGradients,
    InternalInfluence,
    LayerConductance,
    LayerIntegratedGradients,
    NeuronConductance,
    NoiseTunnel,
)
from attriscope.attr.quadrature import METHODS, quadrature, stieltjes
from attriscope.core.errors import LayerError
from models import Beside, Snapshot, assert_same, draw, mlp, pictures, seeded, with_drawn_parameters

X = draw(3, 2, 6, 5)


def smooth(seed: int = 1, width: int = 6, depth: int = 3) -> Any:
    """A smooth net in which everything flows through every layer."""
    layers: list[nn.Module] = [nn.Linear(4, width)]
    for _ in range(depth - 1):
        layers += [nn.Tanh(), nn.Linear(width, width)]
    return with_drawn_parameters(nn.Sequential(*layers, nn.Softplus(), nn.Linear(width, 3)), seed).double()


def gradients_at(model: Any, after: int, x: Tensor, target: int) -> Tensor:
    """d output / d what comes after ``after`` modules of a chain, row by row."""
    rows = []
    for one in x:
        held = model[:after](one[None]).detach().requires_grad_()
        rows.append(torch.autograd.grad(model[after:](held)[0, target], held)[0])
    return torch.cat(rows)


# --- second implementations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch", [None, 1, 2, 7])
def test_conductance_is_the_sum_along_the_path(method: str, batch: int | None) -> None:
    model, x, start, after = smooth(), draw(3, 4), draw(1, 4, seed=4), 3
    points, share = stieltjes(method, 6)
    total = torch.zeros(3, 6).double()
    for a, b in itertools.pairwise(points):
        one, other = start + a * (x - start), start + b * (x - start)
        between = (1 - share) * gradients_at(model, after, one, 1) + share * gradients_at(
            model, after, other, 1
        )
        total += between * (model[:after](other) - model[:after](one)).detach()
    explainer = LayerConductance(model, "2")
    found, delta = explainer.attribute(
        x, start, 1, n_steps=6, method=method, internal_batch_size=batch, return_convergence_delta=True
    )
    assert_same(found, total, atol=1e-13)
    assert_same(delta, total.sum(1) - (model(x) - model(start))[:, 1].detach(), atol=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_internal_influence_is_the_mean_gradient_along_the_path(method: str) -> None:
    model, x, start = smooth(), draw(3, 4), draw(3, 4, seed=4)
    rule = quadrature(method, 6)
    total = torch.zeros(3, 6).double()
    for at, weight in zip(rule.nodes, rule.weights, strict=True):
        total += weight * gradients_at(model, 3, start + at * (x - start), 1)
    for batch in (None, 1, 4):
        found = InternalInfluence(model, "2").attribute(
            x, start, 1, n_steps=6, method=method, internal_batch_size=batch
        )
        assert_same(found, total, atol=1e-13)


def test_layer_integrated_gradients_is_integrated_gradients_of_the_rest() -> None:
    model, x, start = smooth(), draw(3, 4), draw(1, 4, seed=4)
    for multiply in (True, False):
        found, delta = LayerIntegratedGradients(model, "2", multiply_by_inputs=multiply).attribute(
            x, start, 1, n_steps=6, return_convergence_delta=True
        )
        expected, same = IntegratedGradients(model[3:], multiply).attribute(
            model[:3](x).detach(), model[:3](start).detach(), 1, n_steps=6, return_convergence_delta=True
        )
        assert_same((found, delta), (expected, same), atol=1e-13)


# --- identities ---------------------------------------------------------------------------------------------------

nets = st.builds(smooth, seed=st.integers(0, 50), width=st.integers(1, 7), depth=st.integers(1, 4))


@given(nets, st.integers(0, 7), st.booleans(), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=40)
def test_conductance_adds_up_to_the_change_of_the_output(
    model: Any, layer: int, at_input: bool, count: int, seed: int
) -> None:
    x, start = draw(count, 4, seed=seed), draw(count, 4, seed=seed + 1)
    layer %= len(model)
    change = (model(x) - model(start))[:, 1].detach()
    options = {"attribute_to_layer_input": at_input, "return_convergence_delta": True}
    found, delta = LayerConductance(model, str(layer)).attribute(x, start, 1, n_steps=60, **options)
    assert_same(found.sum(1), change + delta, atol=1e-12)
    # Its error falls with the square of the number of pieces.
    assert delta.abs().max() < 0.05
    finer = LayerConductance(model, str(layer)).attribute(x, start, 1, n_steps=240, **options)[1]
    assert finer.abs().max() < delta.abs().max() / 8 + 1e-7


@given(nets, st.integers(0, 7), st.integers(0, 99))
@settings(max_examples=25)
def test_a_neurons_conductances_add_up_to_its_own(model: Any, layer: int, seed: int) -> None:
    x, start, layer = draw(2, 4, seed=seed), draw(1, 4, seed=seed + 1), layer % len(model)
    whole = LayerConductance(model, str(layer)).attribute(x, start, 1, n_steps=300)
    for neuron in range(whole.shape[1]):
        found = NeuronConductance(model, str(layer)).attribute(
            x, neuron, start, 1, n_steps=60, method="gausslegendre"
        )
        assert_same(found.sum(1), whole[:, neuron], atol=2e-3)


@given(nets, st.integers(0, 7), st.integers(1, 3), st.integers(0, 99), st.sampled_from(METHODS))
@settings(max_examples=25)
def test_layer_integrated_gradients_add_up(
    model: Any, layer: int, count: int, seed: int, method: str
) -> None:
    x, start = draw(count, 4, seed=seed), draw(1, 4, seed=seed + 1)
    found, delta = LayerIntegratedGradients(model, str(layer % len(model))).attribute(
        x, start, 1, n_steps=50, method=method, return_convergence_delta=True
    )
    assert_same(found.sum(1), (model(x) - model(start))[:, 1].detach() + delta, atol=1e-12)
    if method == "gausslegendre":
        assert delta.abs().max() < 1e-3


def test_conductance_is_twenty_times_nearer_than_captums() -> None:
    """On smooth nets, with as many passes; on every one of them, and not just on average."""
    for seed in range(8):
        model, x, start = smooth(seed), draw(4, 4, seed=seed), draw(4, 4, seed=seed + 100)
        for layer in ("0", "2", "4"):
            options: dict[str, Any] = {"target": 1, "n_steps": 50, "return_convergence_delta": True}
            _, ours = LayerConductance(model, layer).attribute(x, start, **options)
            _, theirs = captum.attr.LayerConductance(model, model.get_submodule(layer)).attribute(
                x, start, **options
            )
            assert 20 * ours.abs().mean() < theirs.abs().mean(), (seed, layer)


@pytest.mark.parametrize("kind", [LayerConductance, LayerIntegratedGradients])
def test_at_the_inputs_it_is_integrated_gradients(kind: Any) -> None:
    class Same(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 1

    model, start = nn.Sequential(Same(), pictures()), draw(1, 2, 6, 5, seed=2)
    exact = IntegratedGradients(model[1]).attribute(X, start, target=1, n_steps=400)
    for layer, at_input in (("0", False), ("0", True), ("1", True), ("1.conv", True)):
        found = kind(model, layer).attribute(X, start, 1, n_steps=400, attribute_to_layer_input=at_input)
        assert_same(found, exact, atol=2e-2 if kind is LayerConductance else 1e-4)
    unit = InternalInfluence(model, "0").attribute(X, start, 1, n_steps=40)
    expected = IntegratedGradients(model[1], multiply_by_inputs=False).attribute(
        X, start, target=1, n_steps=40
    )
    assert_same(unit, expected, atol=1e-12)


def test_a_linear_model_in_closed_form() -> None:
    model = with_drawn_parameters(nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2))).double()
    x, start = draw(3, 4), draw(3, 4, seed=7)
    rise = (model[0](x) - model[0](start)).detach()
    weights = model[1].weight[1].detach()
    for method in METHODS:
        assert_same(
            LayerConductance(model, "0").attribute(x, start, 1, n_steps=3, method=method),
            rise * weights,
            atol=1e-12,
        )
        assert_same(
            LayerIntegratedGradients(model, "0").attribute(x, start, 1, n_steps=3, method=method),
            rise * weights,
            atol=1e-12,
        )
        influence = InternalInfluence(model, "0").attribute(x, start, 1, n_steps=3, method=method)
        assert_same(influence, weights.expand(3, -1), atol=1e-12)


# --- streams --------------------------------------------------------------------------------------------------------


def test_a_tolerance_is_about_the_whole_path() -> None:
    """What is found for the beginning of the path may be exact, and still be little of the whole."""
    model, x = smooth(), draw(3, 4)
    explainer = LayerConductance(model, "2")
    whole, delta = explainer.attribute(x, target=1, n_steps=40, return_convergence_delta=True)
    found = explainer.estimate(
        x, target=1, n_steps=40, internal_batch_size=3, tolerance=float(delta.abs().max()) * 1.01
    )
    assert found.delta is not None
    assert found.delta.abs().max() <= delta.abs().max() * 1.01
    assert_same(found.attributions, whole, atol=0.05)
    change = (model(x) - model(x * 0))[:, 1].detach()
    for estimate in explainer.stream(x, target=1, n_steps=10, internal_batch_size=3):
        assert_same(estimate.delta, estimate.attributions.sum(1) - change, atol=1e-12)


def test_estimates_arrive_point_by_point() -> None:
    model, x = smooth(), draw(3, 4)
    for kind, points in ((LayerConductance, 8), (InternalInfluence, 7), (LayerIntegratedGradients, 7)):
        explainer = kind(model, "2")
        found = list(explainer.stream(x, target=1, n_steps=7, internal_batch_size=3))
        assert len(found) == (points - 1 if kind is LayerConductance else points)
        assert found[-1].stopped == "complete"
        assert_same(
            found[-1].attributions, explainer.attribute(x, target=1, n_steps=7, internal_batch_size=3)
        )
    # Of a linear model, the influence is known from the first point on.
    linear = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2)).double()
    for estimate in InternalInfluence(linear, "0").stream(x, target=1, n_steps=7, internal_batch_size=3):
        assert_same(estimate.attributions, linear[1].weight[1].detach().expand(3, -1), atol=1e-12)


# --- what passes at layers --------------------------------------------------------------------------------------


class Reads(nn.Module):
    """A recurrent net, batch first or not, attention, or a transformer, and a head on what it gives."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.layer: Any = {
            "lstm": lambda: nn.LSTM(4, 6, batch_first=True),
            "gru": lambda: nn.GRU(4, 6, batch_first=True),
            "attention": lambda: nn.MultiheadAttention(4, 2, batch_first=True),
            "transformer": lambda: nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True),
        }[kind]()
        self.head = nn.Linear(6 if kind in ("lstm", "gru") else 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "attention":
            out, _ = self.layer(x, key=x, value=x)
        elif self.kind == "transformer":
            out = self.layer(x)
        else:
            out, _ = self.layer(x)
        return self.head(out).mean(1).tanh()


@pytest.mark.parametrize("kind", ["lstm", "gru", "attention", "transformer"])
def test_layers_that_give_what_they_like(kind: str) -> None:
    """At the head, everything flows through; what passes there is compared with the layer's own output."""
    model: Any = with_drawn_parameters(Reads(kind)).double()
    x = draw(2, 3, 4)
    before = Snapshot(model, (x,))
    for explainer in (LayerConductance(model, "head"), LayerIntegratedGradients(model, "head")):
        found, delta = explainer.attribute(
            x, target=1, n_steps=300, attribute_to_layer_input=True, return_convergence_delta=True
        )
        change = (model(x) - model(x * 0))[:, 1].detach()
        assert delta.abs().max() < 1e-3
        assert_same(found.sum((1, 2)), change, atol=1e-3)
    before.check()


@pytest.mark.parametrize("kind", ["attention", "transformer"])
def test_attention_is_varied_in_its_output(kind: str) -> None:
    model: Any = with_drawn_parameters(Reads(kind)).double()
    x = draw(2, 3, 4)
    found = LayerIntegratedGradients(model, "layer").attribute(x, target=1, n_steps=40)
    out = found[0] if isinstance(found, tuple) else found
    expected = LayerIntegratedGradients(model, "head").attribute(
        x, target=1, n_steps=40, attribute_to_layer_input=True
    )
    assert_same(out, expected, atol=1e-12)
    if kind == "attention":
        assert_same(found[1], torch.zeros_like(found[1])), "the weights are looked at by nobody"


def test_what_does_not_belong_to_rows_is_said() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.last = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(x @ self.layer(torch.eye(4, dtype=x.dtype)))

    model: Any = with_drawn_parameters(Net()).double()
    x = draw(2, 4)
    before = Snapshot(model, (x,))
    for kind in (LayerConductance, InternalInfluence, LayerIntegratedGradients):
        with pytest.raises(LayerError, match=r"at the output of (layer )?'layer'.*\(4, 6\)"):
            kind(model, "layer").attribute(x, target=1, n_steps=4)
        with pytest.raises(LayerError, match=r"dimension 1 was said to count.*\(4, 6\) for \d+ row"):
            kind(model, Call("layer", examples=1)).attribute(x[[0, 1, 0, 1]], target=1, n_steps=4)
    before.check()


def test_gradients_options_are_handed_on() -> None:
    x = draw(3, 4)
    for kind in (LayerConductance, InternalInfluence):
        found = kind(Beside(), "aside").attribute(x, target=1, n_steps=4)
        assert_same(found, torch.zeros(3, 2).double())
        with pytest.raises(RuntimeError, match="not have been used"):
            kind(Beside(), "aside").attribute(x, target=1, n_steps=4, grad_kwargs={"allow_unused": False})
    with pytest.raises(RuntimeError, match="not have been used"):
        LayerIntegratedGradients(Beside(), "aside").attribute(
            x, target=1, n_steps=4, grad_kwargs={"allow_unused": False}
        )


@pytest.mark.parametrize("kind", [LayerConductance, InternalInfluence, LayerIntegratedGradients])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_added_up_in_single(kind: Any, dtype: torch.dtype) -> None:
    model, x = mlp(dtype=dtype), draw(3, 4, dtype=dtype)
    found = kind(model, "first").attribute(x, target=1, n_steps=20)
    assert found.dtype == torch.float32
    exact = kind(mlp(), "first").attribute(x.double(), target=1, n_steps=20)
    assert (found - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("kind", [LayerConductance, InternalInfluence, LayerIntegratedGradients])
def test_noise_around_it(kind: Any) -> None:
    model = mlp()
    options: dict[str, Any] = {"target": 1, "n_steps": 4, "nt_samples": 3, "stdevs": 0.2}
    found = NoiseTunnel(kind(model, ["first", "last"])).attribute(draw(3, 4), generator=seeded(1), **options)
    for layer, one in zip(("first", "last"), found, strict=True):
        alone = NoiseTunnel(kind(model, layer)).attribute(draw(3, 4), generator=seeded(1), **options)
        assert_same(one, alone, atol=1e-12)


@pytest.mark.parametrize("kind", [LayerConductance, InternalInfluence, LayerIntegratedGradients])
def test_a_layer_that_never_ran_is_said_with_those_that_did(kind: Any) -> None:
    model = pictures()
    for layer in ("unused", ["conv", "unused"], ["unused", "conv"]):
        before = Snapshot(model, (X,))
        with pytest.raises(LayerError, match=r"'unused' did not run.*the layers that ran are 'conv', 'bn'"):
            kind(model, layer).attribute(X, target=1, n_steps=3)
        before.check()


def test_names_and_promises() -> None:
    for kind, promises, multiplies in (
        (LayerConductance, True, True),
        (InternalInfluence, False, False),
        (LayerIntegratedGradients, True, True),
    ):
        explainer = kind(mlp(), "first")
        assert explainer.has_convergence_delta() is promises
        assert explainer.multiplies_by_inputs is multiplies
    assert not LayerIntegratedGradients(mlp(), "first", multiply_by_inputs=False).multiplies_by_inputs
