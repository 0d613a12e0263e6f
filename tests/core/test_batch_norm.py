"""One picture through a normalisation, then tokens: the gradient of a batch of one is that of a batch of two."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from attriscope import attr


class Tokens(nn.Module):
    """Attention hands back a gradient with strides that batch normalisation misreads when there is one row."""

    def __init__(self, norm: nn.Module, convolution: nn.Module, attends: bool = True) -> None:
        super().__init__()
        self.convolution, self.norm, self.attends = convolution, norm, attends
        self.head = nn.Linear(4, 3)
        self.scales = nn.Parameter(torch.randn(6, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.norm(self.convolution(x)).flatten(2).transpose(1, 2)
        if not self.attends:
            return (tokens * self.scales).unflatten(1, (3, 2)).sum((2, 3))
        tokens = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
        return self.head(tokens.mean(1))


def model(kind: str, attends: bool = True) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    norm = {
        "batch": nn.BatchNorm2d(4), "volume": nn.BatchNorm3d(4), "instance": nn.InstanceNorm2d(4, affine=True),
    }[kind]  # fmt: skip
    if not isinstance(norm, nn.InstanceNorm2d):
        norm.running_var.uniform_(0.5, 2)
    if kind == "volume":
        net, x = Tokens(norm, nn.Conv3d(2, 4, 1), attends), torch.randn(2, 2, 1, 2, 3)
    else:
        net, x = Tokens(norm, nn.Conv2d(2, 4, 1), attends), torch.randn(2, 2, 2, 3)
    return net.double().eval(), x.double()


@pytest.mark.parametrize("kind", ["batch", "volume", "instance"])
@pytest.mark.parametrize("attends", [True, False])
def test_one_picture_is_explained_as_one_of_two(kind: str, attends: bool) -> None:
    net, x = model(kind, attends)
    methods: list[tuple[Any, dict[str, Any]]] = [
        (attr.Saliency(net), {"abs": False}),
        (attr.GuidedBackprop(net), {}),
        (attr.LayerGradientXActivation(net, "convolution"), {}),
        (attr.LayerConductance(net, "convolution"), {"n_steps": 3, "internal_batch_size": 1}),
    ]
    if kind != "instance":
        methods += [
            (attr.DeepLift(net), {}),
            (attr.LRP(net), {}),
            (attr.LayerDeepLift(net, "convolution"), {}),
        ]
    for method, options in methods:
        alone = method.attribute(x[:1], target=1, **options)
        beside = method.attribute(
            x, target=1, **({**options, "internal_batch_size": None} if "n_steps" in options else options)
        )
        torch.testing.assert_close(alone, beside[:1], msg=method.get_name())


@pytest.mark.parametrize("kind", ["batch", "instance"])
def test_it_is_the_slope_of_the_output(kind: str) -> None:
    net, x = model(kind)
    found = attr.Saliency(net).attribute(x[:1], target=1, abs=False)
    step = 1e-6 * torch.eye(12, dtype=x.dtype).reshape(12, *x.shape[1:])
    with torch.no_grad():
        slope = (net(x[:1] + step) - net(x[:1] - step))[:, 1] / 2e-6
    torch.testing.assert_close(found.flatten(), slope, rtol=1e-6, atol=1e-8)
