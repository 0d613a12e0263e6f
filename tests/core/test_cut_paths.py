"""Zeros are zeros: where no gradient arrives though there is an effect, that is an error, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr
from attriscope.core.errors import InputError
from models import draw, with_drawn_parameters


class Net(nn.Module):
    """Two layers, with something between them."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.head, self.between = nn.Linear(4, 5), nn.Linear(5, 3), between

    def forward(self, x: Tensor, more: Tensor | None = None) -> Tensor:
        return self.head(self.between(self.body(x)))


def net(between: Callable[[Tensor], Tensor]) -> Net:
    return with_drawn_parameters(Net(between)).double().eval()


def without_gradient(z: Tensor) -> Tensor:
    with torch.no_grad():
        return z.tanh()


CUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "detach": lambda z: z.detach(),
    "no_grad": without_gradient,
    "numpy": lambda z: torch.from_numpy(z.detach().numpy() * 2),
    "data": lambda z: z.data,
}
METHODS: dict[str, Callable[[nn.Module], Any]] = {
    "Saliency": attr.Saliency,
    "InputXGradient": attr.InputXGradient,
    "IntegratedGradients": attr.IntegratedGradients,
    "DeepLift": attr.DeepLift,
    "LRP": attr.LRP,
    "GuidedBackprop": attr.GuidedBackprop,
    "NoiseTunnel": lambda model: attr.NoiseTunnel(attr.Saliency(model)),
    "LayerGradientXActivation": lambda model: attr.LayerGradientXActivation(model, "body"),
    "LayerConductance": lambda model: attr.LayerConductance(model, "body"),
    "InternalInfluence": lambda model: attr.InternalInfluence(model, ["head", "body"]),
    "LayerIntegratedGradients": lambda model: attr.LayerIntegratedGradients(model, "body"),
}
X = draw(3, 4)


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("between", CUTS.values(), ids=CUTS)
def test_a_path_that_is_cut_before_trained_layers_is_an_error(between: Any, make: Any) -> None:
    with pytest.raises(InputError, match=r"no gradient arrives at .*though the explained output changes"):
        make(net(between)).attribute(X, target=1)


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_a_path_that_is_not_cut_is_none(make: Any) -> None:
    make(net(torch.tanh)).attribute(X, target=1)


def test_an_input_without_effect_has_zeros() -> None:
    used, unused = attr.Saliency(net(torch.tanh)).attribute((X, X + 1), target=1)
    assert used.any()
    assert not unused.any()


def test_one_of_two_inputs_that_is_cut_off() -> None:
    model = net(torch.tanh)

    def both(x: Tensor, y: Tensor) -> Tensor:
        return model(x) * y.detach().sum(1, keepdim=True)

    with pytest.raises(InputError, match="no gradient arrives at input 1, though"):
        attr.IntegratedGradients(both).attribute((X, X + 1), target=1)


def test_a_model_that_draws_is_asked_twice_with_the_same_numbers() -> None:
    dropout = nn.Dropout(0.5).train()
    model = net(lambda z: dropout(z))
    _, unused = attr.Saliency(model).attribute((X, X + 1), target=1)
    assert not unused.any()


class Reader(nn.Module):
    """An LSTM's cell, word by word; of its last state, c has no effect."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTMCell(4, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for word in x.unbind(1):
            state = self.cell(word, state)
        assert state is not None
        return self.head(state[0])


@pytest.mark.parametrize("call", [-1, 2, None, 0])
def test_what_the_last_call_of_a_layer_gives_in_vain_has_zeros(call: int | None) -> None:
    model, x = with_drawn_parameters(Reader()).double(), draw(2, 3, 4)
    found = attr.LayerGradientXActivation(model, attr.Call("cell", call)).attribute(x, target=1)
    assert found[0].any()
    assert found[-1].any() == (call == 0), "c matters as long as words come after it"


def test_what_one_target_does_not_use_another_may() -> None:
    class Two(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.stack([a.sum(1), a.sum(1) + 3 * b.detach().sum(1)], 1)

    model = Two()
    assert not attr.Saliency(model).attribute((X, X + 1), target=0)[1].any()
    with pytest.raises(InputError, match="no gradient arrives at input 1"):
        attr.Saliency(model).attribute((X, X + 1), target=1)


def test_an_index_that_is_a_float_is_tried_within_its_range() -> None:
    table = nn.Embedding(4, 4).double()
    with pytest.raises(InputError, match="no gradient arrives at input 1"):
        attr.Saliency(lambda a, i: (a * table(i.long())).sum(1)).attribute((X, torch.tensor([1.0, 3.0, 2.0])))


def test_a_model_that_draws_from_a_generator_of_its_own_is_no_cut_path() -> None:
    own = torch.Generator().manual_seed(0)

    def model(a: Tensor, b: Tensor) -> Tensor:
        return a.sum(1) + float(torch.randn((), generator=own))

    assert not attr.Saliency(model).attribute((X, X + 1))[1].any()
