"""Inputs as layers: a wrapper that gives each input one, and a method at a layer that is none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr
from attriscope.attr import IntegratedGradients, LayerIntegratedGradients, ModelInputWrapper
from attriscope.core.errors import InputError, InputTypeError
from models import assert_same, draw, with_drawn_parameters


class Question(nn.Module):
    """A picture's features, the tokens of a question, and a switch."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.last = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, features: Tensor, ids: Tensor, *, scale: float = 1.0) -> Tensor:
        return self.last(scale * (features * self.embedding(ids).mean(1)).tanh())


def model() -> Question:
    return with_drawn_parameters(Question()).double().eval()


X, IDS = draw(2, 4), torch.tensor([[1, 5, 2], [8, 4, 4]])


def test_the_wrapped_model_is_the_model() -> None:
    wrapped = ModelInputWrapper(model())
    assert not wrapped.training
    assert list(wrapped.input_maps) == ["features", "ids", "scale"]
    for args, named in (
        ((X, IDS), {}),
        ((X,), {"ids": IDS}),
        ((), {"ids": IDS, "features": X, "scale": 2.0}),
    ):
        assert_same(wrapped(*args, **named), model()(*args, **named))
    with pytest.raises(InputError, match=r"Question.forward names 2 input\(s\), features, ids, but 3 came"):
        wrapped(X, IDS, 2.0)
    with pytest.raises(InputTypeError, match="must be a torch"):
        ModelInputWrapper(print)  # type: ignore[arg-type]


@pytest.mark.parametrize("at_input", [False, True])
def test_inputs_are_explained_beside_an_embedding(at_input: bool) -> None:
    wrapped = ModelInputWrapper(model())
    layers = [wrapped.input_maps["features"], wrapped.module.embedding]
    found: Any = LayerIntegratedGradients(wrapped, layers).attribute((X, IDS), target=1, baselines=(0.5, 0))
    change = (model()(X, IDS) - model()(torch.full_like(X, 0.5), 0 * IDS))[:, 1]
    torch.testing.assert_close(found[0].sum(1) + found[1].sum((1, 2)), change)
    one = LayerIntegratedGradients(wrapped, wrapped.input_maps["features"])
    alone = one.attribute((X, IDS), target=1, baselines=(0.5, 0), attribute_to_layer_input=at_input)
    right = IntegratedGradients(model()).attribute(X, 0.5, 1, IDS)
    torch.testing.assert_close(alone, right)


def test_no_layer_is_the_inputs() -> None:
    for given in ({}, {"multiply_by_inputs": False}):
        method = LayerIntegratedGradients(model(), None, **given)
        assert method.layer is None
        for more in ({}, {"return_convergence_delta": True}, {"n_steps": 7, "internal_batch_size": 3}):
            asked: dict[str, Any] = {"baselines": 0.5, "target": 1, "additional_forward_args": IDS, **more}
            right = IntegratedGradients(model(), **given).attribute(X, **asked)
            assert_same(method.attribute(X, **asked), right)
    for kind in (attr.LayerConductance, attr.LayerActivation):
        with pytest.raises(InputTypeError, match="but None came"):
            kind(model(), None)
