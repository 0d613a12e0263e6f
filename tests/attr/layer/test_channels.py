"""Grad-CAM reads channels where a layer has them: after the positions in Swin and ConvNeXt, and of tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr
from models import draw, with_drawn_parameters

TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


class Permute(nn.Module):
    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


class LayerNorm2d(nn.LayerNorm):
    """Channels second outside, last inside, as those of torchvision and timm."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(TO_LAST)).permute(TO_FIRST)


class Mixed(nn.Module):
    """A block as in ConvNeXt: a convolution, then layers with channels last, then back."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.inner = nn.Sequential(
            Permute(*TO_LAST),
            nn.LayerNorm(6),
            nn.Linear(6, 8),
            nn.GELU(),
            nn.Linear(8, 6),
            Permute(*TO_FIRST),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(self.depthwise(x))


class Swin(nn.Module):
    """Patches, made channels last by a function, and blocks of layers that keep them there."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 6, 2, 2), nn.LayerNorm(6)
        self.block = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Dropout(0.1), nn.Linear(6, 6))
        self.mixed, self.after = Mixed(), LayerNorm2d(6)
        self.last = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.patches(x).permute(TO_LAST)
        maps = maps + self.block(self.norm(maps))
        maps = self.after(self.mixed(maps.permute(TO_FIRST)))
        return self.last(maps.tanh().mean((2, 3)))


X = draw(2, 3, 6, 8)


def net() -> Swin:
    return with_drawn_parameters(Swin()).double().eval()


def by_hand(layer: str, last: bool, at_input: bool = False) -> Tensor:
    gradient = attr.LayerGradientXActivation(net(), layer, multiply_by_inputs=False)
    held: Any = attr.LayerActivation(net(), layer).attribute(X, attribute_to_layer_input=at_input)
    slope: Any = gradient.attribute(X, target=1, attribute_to_layer_input=at_input)
    if last:
        held, slope = held.permute(TO_FIRST), slope.permute(TO_FIRST)
    return (held * slope.mean((2, 3), keepdim=True)).sum(1, keepdim=True)


LAST = {
    "patches": False, "norm": True, "block": True, "block.0": True, "block.1": True, "block.2": True, "mixed": False,
    "mixed.depthwise": False, "mixed.inner": False, "mixed.inner.0": True, "mixed.inner.1": True, "mixed.inner.3": True,
    "mixed.inner.5": False, "after": False,
}  # fmt: skip


@pytest.mark.parametrize("layer", LAST)
def test_channels_are_where_the_layer_has_them(layer: str) -> None:
    found = attr.LayerGradCam(net(), layer).attribute(X, target=1)
    torch.testing.assert_close(found, by_hand(layer, LAST[layer]))
    assert found.shape == (2, 1, 3, 4)
    several: Any = attr.LayerGradCam(net(), list(LAST)).attribute(X, target=1)
    torch.testing.assert_close(several[list(LAST).index(layer)], found)
    apart = attr.LayerGradCam(net(), layer).attribute(X, target=1, attr_dim_summation=False)
    torch.testing.assert_close(apart.sum(1, keepdim=True), found)


@pytest.mark.parametrize(
    ("layer", "last"),
    [
        ("norm", True),
        ("block.0", True),
        ("block.1", True),
        ("mixed", False),
        ("mixed.inner.1", True),
        ("after", False),
    ],
)
def test_at_inputs(layer: str, last: bool) -> None:
    found = attr.LayerGradCam(net(), layer).attribute(X, target=1, attribute_to_layer_input=True)
    torch.testing.assert_close(found, by_hand(layer, last, True))


class Tokens(nn.Module):
    """Units of tokens, with positions first or examples first, and channels of a series."""

    def __init__(self, time_first: bool = False) -> None:
        super().__init__()
        self.time_first = time_first
        self.series, self.act = nn.Conv1d(3, 5, 3, padding=1), nn.ReLU()
        self.body, self.last = nn.Sequential(nn.Linear(5, 6), nn.Tanh()), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.act(self.series(x)).transpose(1, 2)
        inner = self.body(tokens.transpose(0, 1)).transpose(0, 1) if self.time_first else self.body(tokens)
        return self.last(inner * inner.sum(1, keepdim=True)).sum(1)


@pytest.mark.parametrize("time_first", [False, True])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_units_of_tokens_are_channels(time_first: bool, count: int) -> None:
    model = with_drawn_parameters(Tokens(time_first)).double().eval()
    x = draw(count, 3, 7)
    with torch.enable_grad():
        series = model.act(model.series(x)).detach().requires_grad_()
        held = model.body(series.transpose(1, 2))
        f = model.last(held * held.sum(1, keepdim=True)).sum(1)[:, 1].sum()
        slopes = torch.autograd.grad(f, (held, series))
    found = attr.LayerGradCam(model, ["body", "body.1", "act"]).attribute(x, target=1)
    units = (held * slopes[0].mean(1, keepdim=True)).sum(-1)[:, None].detach()
    channels = (series * slopes[1].mean(2, keepdim=True)).sum(1, keepdim=True).detach()
    for one, right in zip(found, (units, units, channels), strict=True):
        torch.testing.assert_close(one, right)
    assert attr.LayerAttribution.interpolate(found[0], 14, "linear").shape == (count, 1, 14)
    wide = attr.LayerAttribution.interpolate(held.detach(), 14, "linear", channels_last=True)
    torch.testing.assert_close(
        wide, nn.functional.interpolate(held.detach().transpose(1, 2), 14, mode="linear")
    )


def test_a_norm_of_whole_maps_keeps_the_channels_first() -> None:
    """Such a norm has a weight for each number of a map, and stands between layers of pictures."""
    x = draw(2, 3, 4, 5)
    model = nn.Sequential(nn.LayerNorm((3, 4, 5)), nn.Flatten(), nn.Linear(60, 2)).double()
    held = model[0](x).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model[1:](held)[:, 1].sum(), held)
    expected = (gradient.mean((2, 3), keepdim=True) * held).sum(1, keepdim=True)
    torch.testing.assert_close(attr.LayerGradCam(model, "0").attribute(x, target=1), expected.detach())


def test_guided_grad_cam_lays_them_over_the_picture() -> None:
    found = attr.GuidedGradCam(net(), "block").attribute(X, target=1)
    cam = nn.functional.interpolate(by_hand("block", True).relu(), (6, 8))
    torch.testing.assert_close(found, cam * attr.GuidedBackprop(net()).attribute(X, target=1))
