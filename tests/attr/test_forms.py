"""Inputs by keyword, and inputs that are None: the model gets them as from the user, and results come back alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr
from attriscope.core.errors import InputError, InputTypeError


class TwoNamed(nn.Module):
    """y = tanh(a W + b V) with an optional third input."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.w = nn.Parameter(torch.randn(3, 2, generator=generator, dtype=torch.float64))
        self.v = nn.Parameter(torch.randn(4, 2, generator=generator, dtype=torch.float64))

    def forward(self, a: Tensor, b: Tensor, scale: Tensor | None = None, *, shift: float = 0.0) -> Tensor:
        y = (a @ self.w + b @ self.v + shift).tanh()
        return y if scale is None else y * scale


A = torch.randn(2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
B = torch.randn(2, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
MODEL = TwoNamed().eval()

CALLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "Saliency": (attr.Saliency, {}),
    "InputXGradient": (attr.InputXGradient, {}),
    "IntegratedGradients": (attr.IntegratedGradients, {"n_steps": 6}),
    "DeepLift": (attr.DeepLift, {}),
    "FeatureAblation": (attr.FeatureAblation, {}),
    "ShapleyValues": (attr.ShapleyValues, {}),
    "LRP": (attr.LRP, {}),
    "NoiseTunnel": (lambda model: attr.NoiseTunnel(attr.InputXGradient(model)), {"stdevs": 0.0}),
}


@pytest.mark.parametrize("name", CALLS)
def test_inputs_by_keyword_give_what_inputs_by_position_give(name: str) -> None:
    make, options = CALLS[name]
    a, b = make(MODEL).attribute((A, B), target=1, **options)
    found = make(MODEL).attribute({"b": B, "a": A}, target=1, **options)
    assert list(found) == ["b", "a"]  # in the order in which they came
    torch.testing.assert_close(found["a"], a)
    torch.testing.assert_close(found["b"], b)


@pytest.mark.parametrize("name", CALLS)
def test_none_among_the_inputs_is_passed_on_and_comes_back(name: str) -> None:
    make, options = CALLS[name]
    a, b = make(MODEL).attribute((A, B), target=1, **options)
    found = make(MODEL).attribute((A, B, None), target=1, **options)
    assert found[2] is None
    torch.testing.assert_close(found[:2], (a, b))
    named = make(MODEL).attribute({"a": A, "scale": None, "b": B}, target=1, **options)
    assert named["scale"] is None
    torch.testing.assert_close((named["a"], named["b"]), (a, b))


def test_baselines_and_masks_come_in_the_form_of_the_inputs() -> None:
    baselines = {"a": torch.ones_like(A), "b": 0.5}
    wanted = attr.IntegratedGradients(MODEL).attribute((A, B), (torch.ones_like(A), 0.5), target=0)
    found = attr.IntegratedGradients(MODEL).attribute({"a": A, "b": B}, baselines, target=0)
    torch.testing.assert_close((found["a"], found["b"]), wanted)
    with_none = attr.IntegratedGradients(MODEL).attribute(
        (A, B, None), (torch.ones_like(A), 0.5, None), target=0
    )
    torch.testing.assert_close(with_none[:2], wanted)

    masks = (torch.tensor([[0, 0, 1]]), torch.tensor([[1, 2, 2, 2]]))
    wanted = attr.FeatureAblation(MODEL).attribute((A, B), target=0, feature_mask=masks)
    found = attr.FeatureAblation(MODEL).attribute(
        {"a": A, "b": B}, target=0, feature_mask={"a": masks[0], "b": masks[1]}
    )
    torch.testing.assert_close((found["a"], found["b"]), wanted)


def test_outputs_with_a_key() -> None:
    class Named(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
            return {"logits": MODEL(a, b), "extra": a}

    found = attr.IntegratedGradients(Named()).attribute(
        {"a": A, "b": B}, target=lambda output: output["logits"][:, 1]
    )
    wanted = attr.IntegratedGradients(MODEL).attribute((A, B), target=1)
    torch.testing.assert_close((found["a"], found["b"]), wanted)


def test_what_cannot_be() -> None:
    with pytest.raises(InputError, match=r"'c' is not the name of an input.*'a', 'b'"):
        attr.IntegratedGradients(MODEL).attribute({"a": A, "b": B}, {"c": 0}, target=0)
    with pytest.raises(InputTypeError, match="None"):
        attr.Saliency(MODEL).attribute((None,), target=0)
    with pytest.raises(InputTypeError, match="'text'"):
        attr.Saliency(MODEL).attribute({"a": A, "b": "text"}, target=0)


@pytest.mark.parametrize(
    "cut",
    [
        torch.no_grad()(MODEL.forward),
        lambda a, b: MODEL(a, b).detach(),
        lambda a, b: MODEL(a, b).argmax(1).double(),
    ],
    ids=["no_grad", "detach", "argmax"],
)
def test_a_graph_that_is_cut_is_no_map_of_zeros(cut: Any) -> None:
    """Zeros would look like an answer: nothing matters."""
    with pytest.raises(InputError, match="does not depend on the inputs in a way that autograd can follow"):
        attr.Saliency(cut).attribute(
            (A, B), target=None if "argmax" in str(cut) else lambda output: output.reshape(2, -1)[:, 0]
        )
