"""Copy code: the lines run elsewhere, and what they give is what is on show."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import Explorer
from attriscope.widget.methods.catalogue import INPUT_METHODS
from widget.helpers import Make, Masked, TwoLayers, attributions_of


@pytest.mark.parametrize("baseline", ["black", ["zero", "blur"]], ids=["one", "several"])
@pytest.mark.parametrize("name", list(INPUT_METHODS))
def test_code_reproduces_every_method(
    make: Make, model: TwoLayers, image: Tensor, name: str, baseline: Any
) -> None:
    explorer = make(target=2, method=name, baseline=baseline).wait()
    torch.testing.assert_close(
        attributions_of(explorer.code, model=model, inputs=image), explorer.attributions
    )
    assert name in explorer.code


@pytest.mark.parametrize("baseline", ["zero", "white", "mean", "blur", "noise"])
def test_code_reproduces_every_baseline(make: Make, model: TwoLayers, image: Tensor, baseline: str) -> None:
    explorer = make(target=2, method="DeepLift", baseline=baseline).wait()
    torch.testing.assert_close(
        attributions_of(explorer.code, model=model, inputs=image), explorer.attributions
    )


def test_code_knows_a_baseline_of_ones_own(make: Make, model: TwoLayers, image: Tensor) -> None:
    own = torch.full_like(image, 0.3)
    explorer = make(target=2, baseline=[own, "zero"]).wait()
    found = attributions_of(explorer.code, model=model, inputs=image, baseline=own)
    torch.testing.assert_close(found, explorer.attributions)
    explorer.baseline = 0.25
    found = attributions_of(explorer.wait().code, model=model, inputs=image)
    torch.testing.assert_close(found, explorer.attributions)


def test_code_says_what_was_set(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=2)
    explorer.settings = {
        "IntegratedGradients": {"n_steps": 7, "method": "riemann_trapezoid", "multiply_by_inputs": False}
    }
    code = explorer.wait().code
    assert 'method="riemann_trapezoid"' in code
    torch.testing.assert_close(attributions_of(code, model=model, inputs=image), explorer.attributions)
    explorer.settings = {"Occlusion": {"window": 3, "moves_per_window": 3}}
    explorer.method = "Occlusion"
    code = explorer.wait().code
    assert "(3, 3, 3)" in code
    torch.testing.assert_close(attributions_of(code, model=model, inputs=image), explorer.attributions)


def test_code_of_a_layer_a_contrast_and_a_refined_map(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=2, contrast=4, layer="first").wait()
    torch.testing.assert_close(
        attributions_of(explorer.code, model=model, inputs=image), explorer.attributions
    )
    explorer.layer = None
    explorer.wait().refine().wait()
    assert "n_steps=16" in explorer.code
    torch.testing.assert_close(
        attributions_of(explorer.code, model=model, inputs=image), explorer.attributions
    )


@pytest.mark.parametrize("method", ["IntegratedGradients", "NoiseTunnel", "KernelShap"])
def test_code_cuts_one_example_and_what_belongs_to_it_from_a_batch(method: str) -> None:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(3, 3, 8, 8, generator=generator)
    others = (torch.rand(3, 1, 8, 8, generator=generator), torch.rand(5, generator=generator), 2.0)
    own = torch.rand(3, 3, 8, 8, generator=generator)
    model = Masked().eval()
    explorer = Explorer(
        model,
        inputs,
        target=1,
        example=2,
        method=method,
        baseline=own,
        additional_forward_args=others,
        n_steps=6,
    ).wait()
    found = attributions_of(
        explorer.code, model=model, inputs=inputs, baseline=own, additional_forward_args=others
    )
    torch.testing.assert_close(found, explorer.attributions)
    assert explorer.attributions.shape == (1, 3, 8, 8)
    explorer.close()


def test_one_further_argument_need_not_be_a_tuple() -> None:
    class Scaled(TwoLayers):
        def forward(self, x: Tensor, scale: Tensor) -> Tensor:
            return super().forward(x) * scale

    inputs, scale = torch.rand(2, 3, 8, 8), torch.tensor([[1.0], [3.0]])
    model = Scaled().eval()
    explorer = Explorer(
        model, inputs, target=1, example=1, method="Saliency", additional_forward_args=scale
    ).wait()
    found = attributions_of(explorer.code, model=model, inputs=inputs, additional_forward_args=scale)
    torch.testing.assert_close(found, explorer.attributions)
    explorer.close()
