"""Guided backpropagation, deconvolution and guided Grad-CAM: every rectifier, however it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attriscope.attr import Deconvolution, GuidedBackprop, GuidedGradCam, LayerGradCam, Saliency
from attriscope.attr.rules import linear
from attriscope.core.errors import InputError, OperationError
from models import draw, pictures, with_drawn_parameters

Function = Callable[[Tensor], Tensor]


def _index_put(h: Tensor) -> Tensor:
    h = h * 1
    h[h <= 0] = 0
    return h


RECTIFIERS: dict[str, Function] = {
    "module": nn.ReLU(),
    "in place": nn.ReLU(inplace=True),
    "function": F.relu,
    "method": lambda h: h.relu(),
    "clamp": lambda h: h.clamp(min=0),
    "clip": lambda h: torch.clip(h, 0),
    "threshold": nn.Threshold(0, 0),
    "maximum": lambda h: torch.maximum(h, torch.zeros(())),
    "mask": lambda h: h * (h > 0),
    "float mask": lambda h: (h > 0).double() * h,
    "where": lambda h: torch.where(h > 0, h, 0.0),
    "masked_fill": lambda h: h.masked_fill(h < 0, 0.0),
    "index_put": _index_put,
    "ReLU6": nn.ReLU6(),
    "hardtanh": lambda h: F.hardtanh(h, 0, 6),
    "leaky": nn.LeakyReLU(0.1),
    "PReLU": nn.PReLU().double(),
    "ELU": nn.ELU(),
    "SELU": nn.SELU(),
    "GELU": nn.GELU(),
    "SiLU": nn.SiLU(),
    "Mish": nn.Mish(),
    "Hardswish": nn.Hardswish(),
    "Softplus": nn.Softplus(),
}


@pytest.mark.parametrize("name", RECTIFIERS)
def test_every_rectifier(name: str) -> None:
    f = RECTIFIERS[name]
    first, last = draw(6, 5, seed=1), draw(3, 6, seed=2)
    x = draw(4, 5, seed=3)
    hidden = (x @ first.t()).requires_grad_()
    (slope,) = torch.autograd.grad(f(hidden * 1).sum(), hidden)
    arrived = last[1].expand_as(hidden)

    def model(x: Tensor) -> Tensor:
        return f(x @ first.t()) @ last.t()

    guided = (slope * arrived * (arrived > 0)) @ first
    torch.testing.assert_close(GuidedBackprop(model).attribute(x, target=1), guided)
    torch.testing.assert_close(Deconvolution(model).attribute(x, target=1), arrived.clamp(min=0) @ first)


@pytest.mark.parametrize(
    "f",
    [
        torch.tanh,
        torch.sigmoid,
        lambda h: h.clamp(-1, 1),
        lambda h: h * (h.flip(1) > 0),
        lambda h: torch.where(h > 0, h, -h),
        lambda h: F.max_pool1d(h, 3, 1, 1),
        lambda h: h.softmax(1) * F.layer_norm(h, (6,)),
    ],
)
def test_what_is_no_rectifier_keeps_its_gradient(f: Function) -> None:
    first = draw(6, 5, seed=1)

    def model(x: Tensor) -> Tensor:
        return f(x @ first.t())

    plain = Saliency(model).attribute(draw(4, 5), target=1, abs=False)
    for method in (GuidedBackprop, Deconvolution):
        torch.testing.assert_close(method(model).attribute(draw(4, 5), target=1), plain)


def _convolutional(relu: Callable[[], nn.Module]) -> Any:
    return with_drawn_parameters(
        nn.Sequential(nn.Conv2d(2, 4, 3), relu(), nn.Conv2d(4, 4, 3), relu(), nn.Flatten(), nn.Linear(64, 3))
    ).double()


def test_a_relu_that_runs_twice() -> None:
    relu = nn.ReLU()
    twice, apart = _convolutional(lambda: relu), _convolutional(nn.ReLU)
    x = draw(3, 2, 8, 8)
    for method in (GuidedBackprop, Deconvolution):
        assert torch.equal(method(twice).attribute(x, target=2), method(apart).attribute(x, target=2))


def test_guided_grad_cam_is_the_product() -> None:
    model = _convolutional(nn.ReLU)
    x = draw(3, 2, 8, 8)
    for mode in ("nearest", "bilinear"):
        cam = LayerGradCam(model, model[2]).attribute(x, target=1, relu_attributions=True)
        expected = F.interpolate(cam, (8, 8), mode=mode) * GuidedBackprop(model).attribute(x, target=1)
        found = GuidedGradCam(model, model[2]).attribute(x, target=1, interpolate_mode=mode)
        torch.testing.assert_close(found, expected)
    assert GuidedGradCam(model, "2").attribute(x, target=1, attribute_to_layer_input=True).shape == x.shape
    (alone,) = GuidedGradCam(model, "2").attribute((x,), target=1)
    torch.testing.assert_close(alone, GuidedGradCam(model, "2").attribute(x, target=1))


class OwnRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0] * (ctx.saved_tensors[0] > 0)


def test_hidden_operations_are_refused_by_name() -> None:
    x = draw(4, 5)
    with pytest.raises(OperationError, match=r"GuidedBackprop\.rules\[OwnRelu\]"):
        GuidedBackprop(OwnRelu.apply).attribute(x, target=0)
    found = GuidedBackprop(OwnRelu.apply, rules={OwnRelu: linear}).attribute(x, target=0)
    torch.testing.assert_close(found, Saliency(OwnRelu.apply).attribute(x, target=0, abs=False))


def test_an_unknown_mode_of_interpolation_is_refused() -> None:
    with pytest.raises(InputError, match=r"interpolate_mode must be one of nearest, .*'bilinar' came"):
        GuidedGradCam(pictures(), "conv").attribute(draw(2, 2, 5, 6), target=1, interpolate_mode="bilinar")
