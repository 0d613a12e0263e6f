"""Devices: nothing on the way looks at a number, and everything stays where the inputs are."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from attriscope.attr import IntegratedGradients, LayerGradCam
from attriscope.zoo import efficientnet_lite0
from models import METHODS, Method, Snapshot, draw, every_method, pictures

X = draw(3, 2, 6, 5)


@pytest.mark.parametrize("method", [m for m in METHODS if m.gradient], ids=lambda m: m.name)
@pytest.mark.parametrize("target", [1, [0, 3, 1]], ids=["one", "each"])
def test_shapes_can_be_worked_out_without_data(method: Method, target: Any) -> None:
    """Any ``.item()``, ``.cpu()`` or branch on a number would fail on the meta device, and be slow on a GPU."""
    found = method.attribute(pictures().to("meta"), X.to("meta"), target)
    expected = method.attribute(pictures(), X, target)
    assert found.is_meta
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)


def test_a_real_network_without_data() -> None:
    with torch.device("meta"):
        model = efficientnet_lite0(pretrained=False)
        x = torch.empty(2, 3, 224, 224)
        start = torch.empty(1, 3, 224, 224)
    found, delta = IntegratedGradients(model).attribute(
        x, start, target=[1, 999], internal_batch_size=40, return_convergence_delta=True
    )
    assert found.is_meta
    assert found.shape == x.shape
    assert delta.shape == (2,)
    cam = LayerGradCam(model, "blocks.15").attribute(x, target=5)
    assert cam.shape == (2, 1, 7, 7)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_method
@pytest.mark.parametrize("target", [1, [0, 3, 1]], ids=["one", "each"])
def test_cuda_gives_the_numbers_of_the_cpu(method: Method, target: Any) -> None:
    model, x = pictures().cuda(), X.cuda()
    before = Snapshot(model, (x,))
    found = method.attribute(model, x, target)
    before.check()
    assert found.device == x.device
    torch.testing.assert_close(found.cpu(), method.attribute(pictures(), X, target), rtol=1e-9, atol=1e-11)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_memory_that_runs_out_on_cuda_is_made_do_with() -> None:
    free, _ = torch.cuda.mem_get_info()
    x = torch.randn(8, 1024, device="cuda")

    def hungry(x: torch.Tensor) -> torch.Tensor:
        # 40 rows would need more than there is.
        return (x[:, :1] + torch.zeros(1, free // 40 // 4, device="cuda")).square().mean(1) + x.square().sum(
            1
        )

    found = IntegratedGradients(hungry).attribute(x, n_steps=20, internal_batch_size=160)
    torch.testing.assert_close(found[:, 1:], x[:, 1:].square(), rtol=1e-4, atol=1e-4)
