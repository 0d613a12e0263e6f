"""DeepLIFT and relevance propagation at layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from attriscope.attr import (
    LRP,
    Call,
    DeepLift,
    DeepLiftShap,
    LayerDeepLift,
    LayerDeepLiftShap,
    LayerLRP,
    NoiseTunnel,
)
from attriscope.core.errors import InputError, LayerError, OperationError
from models import Snapshot, assert_same, draw, pictures, seeded, with_drawn_parameters

X = draw(3, 2, 6, 5)
STARTS = draw(4, 2, 6, 5, seed=6)


def chain() -> Any:
    return with_drawn_parameters(
        nn.Sequential(
            nn.Conv2d(2, 3, 2), nn.ReLU(inplace=True), nn.Conv2d(3, 4, 2), nn.GELU(), nn.MaxPool2d(2, 1), nn.Flatten(),
            nn.Linear(24, 5), nn.Sigmoid(), nn.Linear(5, 3),
        )
    ).double()  # fmt: skip


layers = st.integers(0, 8)


@given(layers, st.booleans(), st.integers(1, 3), st.integers(0, 99), st.booleans())
@settings(max_examples=30)
def test_deeplift_is_that_of_the_rest_of_the_model(
    layer: int, at_input: bool, count: int, seed: int, multiply: bool
) -> None:
    model, x, start = chain(), draw(count, 2, 6, 5, seed=seed), draw(1, 2, 6, 5, seed=seed + 1)
    cut = layer if at_input else layer + 1
    found, delta = LayerDeepLift(model, str(layer), multiply).attribute(
        x, start, 1, return_convergence_delta=True, attribute_to_layer_input=at_input
    )
    head, tail = model[:cut], model[cut:] if cut < 9 else nn.Identity()
    held, from_ = (head(t.clone()).detach().clone() if cut else t for t in (x, start))
    expected, its = DeepLift(tail, multiply).attribute(held, from_, target=1, return_convergence_delta=True)
    assert_same((found, delta), (expected, its), atol=1e-10)
    if multiply:
        assert delta.abs().max() < 1e-9
        assert_same(found.flatten(1).sum(1), (model(x) - model(start))[:, 1].detach(), atol=1e-9)


@given(layers, st.booleans(), st.integers(0, 99))
@settings(max_examples=20)
def test_relevance_is_that_of_the_rest_of_the_model(layer: int, at_input: bool, seed: int) -> None:
    model, x = chain(), draw(2, 2, 6, 5, seed=seed)
    cut = layer if at_input else layer + 1
    found, delta = LayerLRP(model, str(layer)).attribute(
        x, 1, return_convergence_delta=True, attribute_to_layer_input=at_input
    )
    held = model[:cut](x.clone()).detach().clone() if cut else x
    tail = model[cut:] if cut < 9 else nn.Identity()
    assert_same((found, delta), LRP(tail).attribute(held, 1, return_convergence_delta=True), atol=1e-10)


def test_a_distribution_of_baselines() -> None:
    model = chain()
    for layer, cut in (("0", 1), ("4", 5)):
        for batch in (None, 1, 5):
            found, delta = LayerDeepLiftShap(model, layer).attribute(
                X, STARTS, 1, return_convergence_delta=True, internal_batch_size=batch
            )
            held, from_ = (model[:cut](t.clone()).detach().clone() for t in (X, STARTS))
            expected = DeepLiftShap(model[cut:]).attribute(held, from_, 1, return_convergence_delta=True)
            assert_same((found, delta), expected, atol=1e-10)
            assert delta.shape == (12,)
            mean = (model(X)[:, 1] - model(STARTS)[:, 1].mean()).detach()
            assert_same(found.flatten(1).sum(1), mean, atol=1e-9)


@pytest.mark.parametrize("kind", [LayerDeepLift, LayerDeepLiftShap, LayerLRP])
@pytest.mark.parametrize(
    "chosen", [["conv", "fc"], ["fc", "bn", "conv", "drop"], ["block", "block"], ["pool"]], ids=str
)
def test_a_list_of_layers_is_each_by_itself(kind: Any, chosen: list[str]) -> None:
    model = pictures()
    before = Snapshot(model, (X,))
    start = {} if kind is LayerLRP else {"baselines": STARTS if kind is LayerDeepLiftShap else STARTS[:1]}
    found, delta = kind(model, chosen).attribute(X, target=1, return_convergence_delta=True, **start)
    before.check()
    assert len(found) == len(chosen)
    for i, layer in enumerate(chosen):
        one, its = kind(model, layer).attribute(X, target=1, return_convergence_delta=True, **start)
        assert_same(found[i], one, atol=1e-12)
        assert_same(delta if len(chosen) == 1 else delta[i], its, atol=1e-12)


def test_all_layers_come_from_one_pass() -> None:
    model = chain()
    rows: list[int] = []
    model[8].register_forward_hook(lambda module, args, output: rows.append(len(output)))
    LayerDeepLift(model, ["0", "2", "4"]).attribute(X, target=1)
    assert sum(rows) == 6
    rows.clear()
    LayerLRP(model, ["0", "2", "4"]).attribute(X, target=1)
    assert sum(rows) == 3


def test_a_batch_is_as_many_single_examples() -> None:
    model = chain()
    for kind, more in (
        (LayerDeepLift, {"baselines": 0.1}),
        (LayerDeepLiftShap, {"baselines": STARTS}),
        (LayerLRP, {}),
    ):
        whole = kind(model, "2").attribute(X, target=1, **more)
        alone = [kind(model, "2").attribute(X[i : i + 1], target=1, **more) for i in range(3)]
        assert_same(torch.cat(alone), whole, atol=1e-12)


def test_calls_and_tuples() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.rnn = nn.Linear(4, 4), nn.LSTM(4, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            out, (h, _) = self.rnn(self.cell(self.cell(x).tanh()))
            return out.sum(1) + h[0]

    model: Any = with_drawn_parameters(Net()).double()
    x = draw(2, 3, 4)
    first = model.cell(x).detach()

    def rest(h: Tensor) -> Tensor:
        out, (last, _) = model.rnn(model.cell(h.tanh()))
        return out.sum(1) + last[0]

    found = LayerDeepLift(model, Call("cell", 0)).attribute(x, target=1)
    expected = DeepLift(rest).attribute(first, model.cell(x * 0).detach(), target=1)
    assert_same(found, expected, atol=1e-10)
    out, h, c = LayerDeepLift(model, "rnn").attribute(x, target=1)
    assert out.shape == (2, 3, 4)
    assert h.shape == c.shape == (1, 2, 4)
    change = (model(x) - model(x * 0))[:, 1].detach()
    assert_same(out.sum((1, 2)) + h.sum((0, 2)), change, atol=1e-9)
    assert_same(c, torch.zeros_like(c))


def test_a_function_of_ones_own() -> None:
    model = chain()
    seen: list[tuple[int, ...]] = []

    def squares(multipliers: Any, inputs: Any, baselines: Any) -> Any:
        seen.append(tuple(inputs[0].shape))
        return tuple(m.square() for m in multipliers)

    found = LayerDeepLift(model, ["2", "6"]).attribute(X, target=1, custom_attribution_func=squares)
    plain = LayerDeepLift(model, ["2", "6"], multiply_by_inputs=False).attribute(X, target=1)
    assert_same(found, [p.square() for p in plain], atol=1e-13)
    assert seen == [(3, 4, 4, 3), (3, 5)]


def test_rules_for_this_object_alone() -> None:
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient * 3 * ctx.saved_tensors[0] ** 2

    class Cubes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Cube.apply(x)

    model = nn.Sequential(nn.Linear(4, 4), Cubes(), nn.Linear(4, 2)).double()
    x = draw(3, 4)
    before = Snapshot(model, (x,))
    with pytest.raises(OperationError, match="Cube"):
        LayerDeepLift(model, "0").attribute(x, target=1)
    before.check()
    LayerDeepLift(model, "1").attribute(
        x, target=1
    )  # the cube lies before the layer, where no rule is needed


def test_noise_around_it() -> None:
    model, noise = chain(), {"nt_samples": 3, "stdevs": 0.1}
    for kind, more in ((LayerDeepLift, {"baselines": 0.1}), (LayerLRP, {})):
        found = NoiseTunnel(kind(model, ["2", "6"])).attribute(
            X, target=1, generator=seeded(1), **more, **noise
        )
        for i, layer in enumerate(("2", "6")):
            alone = NoiseTunnel(kind(model, layer)).attribute(
                X, target=1, generator=seeded(1), **more, **noise
            )
            assert_same(found[i], alone, atol=1e-12)


def test_what_is_refused() -> None:
    model = pictures()
    before = Snapshot(model, (X,))
    for kind, more in ((LayerDeepLift, {}), (LayerDeepLiftShap, {"baselines": STARTS}), (LayerLRP, {})):
        with pytest.raises(LayerError, match=r"'unused' did not run.*the layers that ran are 'conv', 'bn'"):
            kind(model, "unused").attribute(X, target=1, **more)
        with pytest.raises(InputError, match="the list of layers is empty"):
            kind(model, [])
    with pytest.raises(InputError, match="more than one"):
        LayerDeepLiftShap(model, "conv").attribute(X, STARTS[:1], target=1)
    with pytest.raises(InputError, match=r"\(2, 2, 6, 5\)"):
        LayerDeepLift(model, "conv").attribute(X, STARTS[:2], target=1)
    before.check()


def test_names_and_promises() -> None:
    for kind in (LayerDeepLift, LayerDeepLiftShap, LayerLRP):
        explainer = kind(chain(), "2")
        assert explainer.has_convergence_delta()
        assert explainer.multiplies_by_inputs
    assert not LayerDeepLift(chain(), "2", multiply_by_inputs=False).multiplies_by_inputs
    output = torch.tensor([1.0, 2.0])
    parts = torch.tensor([[0.5, 0.25], [1.0, 1.0]])
    assert LayerLRP(chain(), "2").compute_convergence_delta(parts, output).tolist() == [0.25, 0.0]
