"""What is attributed in all: every feature counts once, however many pixels repeat its number."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer
from widget.helpers import TwoLayers


class Weighted(nn.Module):
    """Two weighted sums of all numbers of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(2, 3, 10, 7, generator=torch.Generator().manual_seed(4)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nchw,kchw->nk", x, self.weights)


@pytest.mark.parametrize("baseline", ["white", ["zero", "white"]], ids=["one", "several"])
@pytest.mark.parametrize(
    ("method", "cells"),
    [
        ("FeatureAblation", 3),
        ("FeatureAblation", 7),
        ("ShapleyValues", 2),
        ("ShapleyValueSampling", 4),
        ("KernelShap", 3),
        ("Lime", 2),
        ("IntegratedGradients", None),
        ("DeepLift", None),
    ],
)
def test_the_sum_of_a_linear_model_is_what_the_output_changed_by(
    method: str, cells: int | None, baseline: Any
) -> None:
    """Cells do not divide the picture evenly, so that counting pixels instead could not come out right."""
    model = Weighted().eval()
    image = torch.rand(1, 3, 10, 7, generator=torch.Generator().manual_seed(5))
    settings = {} if cells is None else {method: {"cells": cells}}
    if method == "Lime":
        settings[method]["n_samples"] = 4000
    explorer = Explorer(
        model, image, target=1, method=method, baseline=baseline, settings=settings, n_steps=4
    ).wait()
    with torch.no_grad():
        starts = [start.value for start in explorer._explained.example(0).baselines(explorer.choice)]
        wanted = (model(image) - torch.stack([model(start) for start in starts]).mean(0))[0, 1].item()
    rough = (
        {"abs": 0.2} if method == "Lime" else {"abs": 2e-3}
    )  # Lime's weights are shrunk, and fitted to samples
    assert explorer.heat["sum"] == pytest.approx(wanted, **rough)
    explorer.close()


def test_maps_whose_pixels_overlap_have_no_sum() -> None:
    explorer = Explorer(TwoLayers().eval(), torch.rand(1, 3, 8, 8), target=1, method="Occlusion", n_steps=4)
    assert explorer.wait().heat["sum"] is None
    assert "sum" not in explorer.figure().texts[-1].get_text()
    explorer.close()


class Detached(TwoLayers):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).detach()


class ThroughNumpy(TwoLayers):
    """Raises as soon as the picture asks for gradients."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy()).mean((2, 3)) * super().forward(x).detach()[:, :3]


class _OneWay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise NotImplementedError("there is no way back")


class OneWay(TwoLayers):
    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = _OneWay.apply(super().forward(x))
        return found


@pytest.mark.parametrize("kind", [Detached, ThroughNumpy, OneWay])
def test_a_model_without_gradients_has_a_map_and_no_path(kind: Any, image: Tensor) -> None:
    model = TwoLayers().eval()
    explorer = Explorer(model, image, target=1, method="FeatureAblation", n_steps=4).wait()
    assert explorer.path
    explorer.close()
    explorer = Explorer(kind().eval(), image, target=1, method="FeatureAblation", n_steps=4).wait()
    assert (explorer.status, explorer.error, explorer.path) == ("idle", None, {})
    assert explorer.message.startswith("No path: that needs gradients, which this model does not give.")
    assert explorer.heat["final"]
    explorer.method = "IntegratedGradients"  # whose map needs gradients is an error, as before
    with pytest.raises((ValueError, NotImplementedError)):
        explorer.wait()
    assert explorer.status == "error"
    explorer.method = "Occlusion"
    assert explorer.wait().status == "idle"
    explorer.close()


def test_a_model_that_breaks_on_the_way_is_an_error(model: TwoLayers, image: Tensor) -> None:
    """Gradients are not to blame, so nothing is glossed over."""
    explorer = Explorer(model, image, target=1, method="FeatureAblation", n_steps=4)

    def shown(change: Any) -> None:
        if change["new"].get("final"):
            model.before = broken

    def broken(x: Tensor) -> None:
        raise ValueError("out of order")

    explorer.observe(shown, "heat")
    explorer.recompute()
    with pytest.raises(ValueError, match="out of order"):
        explorer.wait()
    assert explorer.status == "error"
    explorer.close()
