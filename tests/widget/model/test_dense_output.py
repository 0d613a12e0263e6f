"""Outputs with places: which are taken for a segmentation, which are asked about, and how to say what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from attriscope import Explorer, attr
from attriscope.core.errors import InputError
from attriscope.widget.model.dense_output import doubt_of
from dense_models import Segmenter, X
from widget.helpers import from_page

RGB, GREY = (3, 64, 64), (1, 64, 64)


@pytest.mark.parametrize(
    ("shape", "picture", "doubt"),
    [
        ((21, 64, 64), RGB, ""),
        ((21, 8, 8), RGB, ""),  # as DeepLab gives them before they are enlarged
        ((150, 16, 16), RGB, ""),
        ((2, 64, 64), RGB, ""),
        ((3, 32, 32), RGB, ""),  # smaller than the picture: no reconstruction
        ((3, 64, 64), RGB, "picture again"),
        ((3, 128, 128), RGB, "picture again"),
        ((1, 64, 64), GREY, "picture again"),
        ((3, 64, 64), GREY, ""),
        ((85, 7, 7), RGB, "grid of 7 x 7"),
        ((1000, 1, 1), RGB, "grid of 1 x 1"),
    ],
)
def test_the_shape_says_what_it_may_be(shape: tuple[int, ...], picture: tuple[int, ...], doubt: str) -> None:
    found = doubt_of(torch.randn(shape), picture)
    assert doubt in found
    assert bool(doubt) == bool(found)


def test_of_one_channel_the_numbers_say_it() -> None:
    maps = torch.linspace(0, 3, 64 * 64).reshape(1, 64, 64)
    assert "measured at each pixel" in doubt_of(maps, RGB)
    assert doubt_of(maps / 3, RGB) == ""  # shares, as a mask has them
    assert doubt_of(maps - 1, RGB) == ""  # the scores of one


class Autoencoder(nn.Module):
    """Gives a picture back, of the size that is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1)
        with torch.no_grad():
            self.convolution.weight.copy_(
                torch.randn(3, 3, 3, 3, generator=torch.Generator().manual_seed(1)) / 3
            )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.convolution(x).tanh()
        return found


class Grid(Autoencoder):
    """One place for 16 pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return avg_pool2d(super().forward(x), 16)


class Depth(Autoencoder):
    def forward(self, x: Tensor) -> Tensor:
        return 5 * super().forward(x).square().sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("model", "size", "doubt"),
    [
        (Autoencoder, 6, "a picture again"),
        (Grid, 32, "a grid of 2 x 2"),
        (Depth, 8, "measured at each pixel"),
    ],
)
def test_what_cannot_be_known_is_asked_and_said_in_one_of_three_ways(
    model: Callable[[], nn.Module], size: int, doubt: str
) -> None:
    net, x = model().eval(), torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    maps = net(x)
    classes = maps.shape[1]
    options: dict[str, Any] = {"method": "Saliency", "n_steps": 2}
    explorer = Explorer(net, x, **options)
    with pytest.raises(InputError, match=doubt) as raised:
        explorer.wait(60)
    for words in (
        "output='segmentation'",
        "output='values'",
        "(channel, row, column)",
        str(tuple(maps.shape)),
    ):
        assert words in str(raised.value)
    assert explorer.status == "error"
    assert explorer.predictions["output"] == "values"
    assert explorer.predictions["shape"] == list(maps.shape[1:])
    assert explorer.heat == {}

    from_page(explorer, output="segmentation")  # as the card offers it
    explorer.wait(60)
    assert explorer.predictions["output"] == "segmentation"
    assert explorer.heat["request"]["target"] == explorer.target
    names = {"class_names": [str(i) for i in range(classes)]}
    assert Explorer(net, x, **names, **options).wait(60).target == explorer.target

    # Whoever says which number is meant need not say what they all are.
    target = (classes - 1, 1, 0)
    wanted = attr.Saliency(net).attribute(x, target=target, abs=False)
    explorer = Explorer(net, x, target=target, **options).wait(60)
    torch.testing.assert_close(explorer.attributions, wanted)
    assert explorer.predictions["output"] == "values"
    assert explorer.predictions["items"] == []

    def brightness(output: Tensor) -> Tensor:
        return output.mean((1, 2, 3))

    explorer = Explorer(net, x, target=brightness, output="values", **options).wait(60)
    wanted = attr.Saliency(net).attribute(x, target=brightness, abs=False)
    torch.testing.assert_close(explorer.attributions, wanted)


def test_a_segmentation_may_be_said_to_be_none() -> None:
    explorer = Explorer(Segmenter(), X, method="Saliency", n_steps=2).wait(60)
    assert explorer.predictions["output"] == "segmentation"
    assert explorer.predictions["shape"] == [4, 3, 4]
    picked = explorer.target
    explorer.output = "values"
    with pytest.raises(InputError, match=r"output='values' takes for plain values: give a target"):
        explorer.wait(60)
    assert (explorer.heat, explorer.path) == ({}, {})  # what was on show is of another reading
    explorer.target = (1, 2, 3)
    wanted = attr.Saliency(Segmenter()).attribute(X, target=(1, 2, 3), abs=False)
    torch.testing.assert_close(explorer.wait(60).attributions, wanted)
    explorer.output, explorer.target = "auto", picked
    explorer.wait(60)
    assert explorer.predictions["output"] == "segmentation"
    region = attr.targets.class_region(Segmenter()(X), picked)
    wanted = attr.Saliency(Segmenter()).attribute(X, target=region, abs=False)
    torch.testing.assert_close(explorer.attributions, wanted)


def test_a_row_of_scores_is_no_segmentation() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 3)).eval()
    explorer = Explorer(model, X, n_steps=2, output="segmentation")
    with pytest.raises(InputError, match="which the model does not give"):
        explorer.wait(60)
    explorer.output = "logits"
    assert explorer.wait(60).predictions["output"] == "logits"
