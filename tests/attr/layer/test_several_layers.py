"""Several layers at once, side by side or one feeding the other, and several calls of one layer."""

from __future__ import annotations

from typing import Any

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
)
from attriscope.attr.layer.activation import _feed_each_other
from attriscope.core.errors import InputError
from models import assert_same, draw, with_drawn_parameters


class Branched(nn.Module):
    """Layers side by side, one after another, one in another, and one that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Linear(4, 4), nn.Linear(4, 4)
        self.body = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Sequential(nn.Linear(4, 4), nn.Softplus()))
        self.twice = nn.Linear(4, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        z = self.words(x).sin() + self.places(y)
        return self.twice(self.twice(self.body(z)).tanh() + z)


def branched() -> Any:
    return with_drawn_parameters(Branched()).double()


PAIR = (draw(3, 4), draw(3, 4, seed=2))
LAYERS = [
    "words",
    "places",
    "body",
    "body.0",
    "body.1",
    "body.2",
    "body.2.0",
    Call("twice", 0),
    "twice",
    "words",
]


@given(st.lists(st.sampled_from(LAYERS), min_size=1, max_size=5), st.booleans())
@settings(max_examples=25)
@pytest.mark.parametrize("kind", [LayerConductance, InternalInfluence])
def test_a_list_of_layers_is_each_by_itself(kind: Any, layers: list[Any], at_input: bool) -> None:
    model = branched()
    options: dict[str, Any] = {"target": 1, "n_steps": 5, "attribute_to_layer_input": at_input}
    found = kind(model, layers).attribute(PAIR, (0.1, 0.1), **options)
    assert len(found) == len(layers)
    for layer, one in zip(layers, found, strict=True):
        assert_same(one, kind(model, layer).attribute(PAIR, (0.1, 0.1), **options), atol=1e-12)


@pytest.mark.parametrize("kind", [LayerConductance, InternalInfluence])
def test_what_goes_around_a_layer_counts_the_same_in_a_list(kind: Any) -> None:
    """``body`` and its first part take the same tensor, which also goes around both."""
    model = branched()
    options: dict[str, Any] = {"target": 1, "n_steps": 5, "attribute_to_layer_input": True}
    for layers in (["body", "body.0"], ["body.0", "body"]):
        for layer, one in zip(layers, kind(model, layers).attribute(PAIR, **options), strict=True):
            assert_same(one, kind(model, layer).attribute(PAIR, **options), atol=1e-12)


def test_a_list_takes_as_many_passes_as_one_layer() -> None:
    model = branched()
    runs: list[int] = []
    model.words.register_forward_hook(lambda *_: runs.append(1))
    LayerConductance(model, "body").attribute(PAIR, target=1, n_steps=5, internal_batch_size=3)
    alone = len(runs)
    _, delta = LayerConductance(model, ["words", "body", "body.2"]).attribute(
        PAIR, target=1, n_steps=5, internal_batch_size=3, return_convergence_delta=True
    )
    assert len(runs) == 2 * alone == 12
    assert delta.shape == (3, 3)


@given(st.lists(st.sampled_from([la for la in LAYERS if la != "twice"]), min_size=1, max_size=3))
@settings(max_examples=20)
def test_layers_that_feed_each_other_are_explained_one_by_one(layers: list[Any]) -> None:
    model = branched()
    options: dict[str, Any] = {"target": 1, "n_steps": 5}
    found = LayerIntegratedGradients(model, layers).attribute(PAIR, (0.1, 0.1), **options)
    assert len(found) == len(layers)
    if set(layers) == {"words", "places"} and len(layers) == 2:
        return  # these are varied together; see below
    for layer, one in zip(layers, found, strict=True):
        assert_same(
            one, LayerIntegratedGradients(model, layer).attribute(PAIR, (0.1, 0.1), **options), atol=1e-12
        )


@pytest.mark.parametrize("constant_first", [True, False])
def test_that_one_feeds_another_is_seen_past_what_has_no_gradient(constant_first: bool) -> None:
    """On the way from one to the other, a constant and a tensor that is used twice are dead ends."""
    early = torch.ones(2, requires_grad=True) * 2
    twice = early.exp()
    both = (torch.ones(2) + twice) + twice if constant_first else twice + (twice + torch.ones(2))
    for values in ([early, both], [both, early]):
        assert _feed_each_other(values)
    beside = torch.ones(2, requires_grad=True) * 3
    assert not _feed_each_other([beside, both])


def test_a_sequence_and_its_last_layer_give_one_tensor() -> None:
    model = branched()
    options: dict[str, Any] = {"target": 1, "n_steps": 5}
    for layers in (["body", "body.2"], ["body.2", "body"]):
        for layer, one in zip(
            layers,
            LayerIntegratedGradients(model, layers).attribute(PAIR, (0.1, 0.1), **options),
            strict=True,
        ):
            assert_same(
                one, LayerIntegratedGradients(model, layer).attribute(PAIR, (0.1, 0.1), **options), atol=1e-12
            )


def test_layers_side_by_side_share_the_change() -> None:
    """As the embeddings of words and of places: all attributions together add up to the change of the output."""
    model = branched()
    explainer = LayerIntegratedGradients(model, ["words", "places"])
    (words, places), delta = explainer.attribute(
        PAIR, (0.1, 0.1), target=1, n_steps=60, return_convergence_delta=True
    )
    change = (model(*PAIR) - model(*(torch.full_like(x, 0.1) for x in PAIR)))[:, 1].detach()
    assert delta.shape == (3,)
    assert delta.abs().max() < 1e-6
    assert_same(words.sum(1) + places.sum(1), change + delta, atol=1e-12)
    # The same as for one input that holds both.
    held = [model.words(PAIR[0]).detach(), model.places(PAIR[1]).detach()]
    from_ = [
        model.words(torch.full((1, 4), 0.1, dtype=torch.float64)).detach(),
        model.places(torch.full((1, 4), 0.1, dtype=torch.float64)).detach(),
    ]

    def rest(a: Tensor, b: Tensor) -> Tensor:
        z = a.sin() + b
        return model.twice(model.twice(model.body(z)).tanh() + z)

    expected = IntegratedGradients(rest).attribute(tuple(held), tuple(from_), target=1, n_steps=60)
    assert_same((words, places), expected, atol=1e-12)


def test_calls_of_a_layer() -> None:
    model = branched()
    z = (model.words(PAIR[0]).sin() + model.places(PAIR[1])).detach()
    found = LayerIntegratedGradients(model, Call("twice", 0)).attribute(PAIR, PAIR, target=1, n_steps=4)
    assert_same(found, torch.zeros(3, 4).double())
    with pytest.raises(InputError, match=r"'twice' runs several times.*Call\(layer, 0\)"):
        LayerIntegratedGradients(model, "twice").attribute(PAIR, target=1)
    (first, second) = InternalInfluence(model, Call("twice", None)).attribute(PAIR, PAIR, target=1, n_steps=1)
    assert_same(second, torch.eye(4)[1].double().expand(3, -1))
    inner = (1 - model.twice(model.body(z)).tanh().square()) * model.twice.weight[1]
    assert_same(first, inner.detach(), atol=1e-12)
