"""Pictures of tensors, and baselines in model space."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from attriscope import Explorer
from attriscope.core.errors import InputError
from attriscope.widget.stages.pictures import PictureStage
from attriscope.widget.stages.pixels import as_pixels
from attriscope.widget.views import Overlay
from models import seeded


def imagenet_style(x: Tensor) -> Tensor:
    """Channels of different scale, as with the usual mean and standard deviation; 8 bits, clipped."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    image = x[0] * std.reshape(3, 1, 1).to(x) + mean.reshape(3, 1, 1).to(x)
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)


@pytest.mark.parametrize(("name", "pixel"), [("black", 0.0), ("white", 1.0)])
def test_black_and_white_are_found_through_any_affine_preprocessing(name: str, pixel: float) -> None:
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = PictureStage(x, imagenet_style).baseline(name)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    wanted = ((pixel - mean) / std).reshape(1, 3, 1, 1).expand_as(x)
    # Not only "the picture is black": the value is the one at which black begins, to a fraction of a grey level.
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=0)


def test_without_to_image_the_input_range_is_the_picture_range() -> None:
    x = torch.linspace(-3, 5, 2 * 2 * 3).reshape(1, 3, 2, 2)
    pictures = PictureStage(x)
    assert pictures.show(x).min() == 0
    assert pictures.show(x).max() == 255
    torch.testing.assert_close(pictures.baseline("black"), torch.full_like(x, -3), atol=2e-2, rtol=0)
    torch.testing.assert_close(pictures.baseline("white"), torch.full_like(x, 5), atol=2e-2, rtol=0)


def test_grey_inputs_of_one_channel() -> None:
    x = torch.rand(1, 1, 6, 6)
    pictures = PictureStage(x, lambda t: t[0, 0])
    assert pictures.show(x).shape == (6, 6, 3)
    torch.testing.assert_close(pictures.baseline("white"), torch.ones_like(x), atol=1e-3, rtol=0)


def test_named_baselines() -> None:
    x = torch.rand(1, 3, 24, 30, generator=torch.Generator().manual_seed(1)) * 4 - 1
    pictures = PictureStage(x)
    assert pictures.baseline("zero").eq(0).all()
    torch.testing.assert_close(pictures.baseline("mean")[0, :, 3, 4], x.mean((0, 2, 3)))
    noise = pictures.baseline("noise")
    assert noise.equal(pictures.baseline("noise"))  # the same each time, or a map could not be reproduced
    assert x.amin() <= noise.amin() < noise.amax() <= x.amax()
    blurred = pictures.baseline("blur")
    torch.testing.assert_close(blurred.mean(), x.mean(), atol=0.1, rtol=0)
    assert blurred.std() < 0.2 * x.std()


def test_asking_for_baselines_neither_changes_the_input_nor_the_random_state() -> None:
    x = torch.rand(1, 3, 8, 8)
    before, state = x.clone(), torch.get_rng_state()
    for name in ("zero", "black", "white", "mean", "blur", "noise"):
        assert PictureStage(x, imagenet_style).baseline(name).shape == x.shape
    assert x.equal(before)
    assert torch.get_rng_state().equal(state)


PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


@pytest.mark.parametrize(
    "image",
    [
        PIXELS,
        PIXELS[None],
        torch.from_numpy(PIXELS),
        torch.from_numpy(PIXELS).permute(2, 0, 1),
        torch.from_numpy(PIXELS).permute(2, 0, 1)[None],
        PIXELS / 255,
        torch.from_numpy(PIXELS / 255).permute(2, 0, 1),
        PIXELS.astype(np.uint16) * 257,
        PIXELS.astype(np.int64),
        Image.fromarray(PIXELS),
    ],
    ids=["HWC", "1HWC", "tensor HWC", "CHW", "1CHW", "floats", "float CHW", "16 bits", "int64", "PIL"],
)
def test_every_usual_form_of_picture(image: Any) -> None:
    assert (as_pixels(image) == PIXELS).all()


def test_true_and_false_are_white_and_black_and_a_palette_is_colours() -> None:
    assert as_pixels(np.array([[True, False]])).tolist() == [[[255] * 3, [0] * 3]]
    assert as_pixels(torch.tensor([[True, False]])).tolist() == [[[255] * 3, [0] * 3]]
    palette = Image.fromarray(PIXELS).convert("P", palette=Image.Palette.ADAPTIVE)
    assert (as_pixels(palette) == np.asarray(palette.convert("RGB"))).all()
    assert as_pixels(Image.fromarray(PIXELS).convert("RGBA")).shape == PIXELS.shape


def test_numbers_of_another_range_are_refused_in_words() -> None:
    with pytest.raises(InputError, match="from 0 to 1, but they go up to 59: divide by 255"):
        as_pixels(PIXELS.astype(np.float32))
    with pytest.raises(InputError, match="from 0 to 255, but int64 from -1 to 58 came"):
        as_pixels(PIXELS.astype(np.int64) - 1)
    assert as_pixels(np.array([[-0.2, 1.3]])).tolist() == [[[0] * 3, [255] * 3]]  # overshoot
    with pytest.raises(InputError, match="divide by 255"):
        Explorer(nn.Flatten(), torch.rand(1, 3, 4, 4), to_image=lambda x: x[0] * 255)


def test_no_picture_is_refused_with_what_came() -> None:
    with pytest.raises(InputError, match=r"\(7, 5, 9\).*to_image"):
        as_pixels(np.zeros((7, 5, 9)))
    with pytest.raises(InputError, match=r"baseline must be one of zero.*'grey'"):
        PictureStage(torch.rand(1, 3, 4, 4)).baseline("grey")


@pytest.mark.parametrize("width", [1, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_narrow_pictures_are_not_turned_round(width: int, channels: int) -> None:
    """With 1, 3 or 4 columns either end of the shape could be the channels."""
    image = torch.arange(channels * 7 * width).reshape(channels, 7, width) % 256
    wanted = image.permute(1, 2, 0).expand(7, width, 3).numpy()
    channels_last = image.permute(1, 2, 0).contiguous()
    for given in (image, image[None], image.numpy(), channels_last, channels_last.numpy()):
        assert (as_pixels(given, (7, width)) == wanted).all()


def test_black_and_white_are_found_with_small_pictures_and_once() -> None:
    shapes: list[tuple[int, ...]] = []

    def to_image(tensor: Tensor) -> Tensor:
        shapes.append(tuple(tensor.shape[2:]))
        return tensor * torch.tensor([0.2, 0.3, 0.4]).reshape(1, 3, 1, 1) + 0.5

    pictures = PictureStage(torch.randn(1, 3, 64, 48), to_image)
    white, black = pictures.baseline("white"), pictures.baseline("black")
    torch.testing.assert_close(white[0, :, 0, 0], torch.tensor([2.5, 0.5 / 0.3, 1.25]), atol=1e-4, rtol=0)
    torch.testing.assert_close(black, -white, atol=1e-4, rtol=0)
    assert white.shape == (1, 3, 64, 48)
    assert shapes.count((64, 48)) <= 2
    seen = len(shapes)
    assert pictures.baseline("white").equal(white)
    assert len(shapes) == seen


def test_black_and_white_of_pictures_that_have_a_mean_for_each_pixel() -> None:
    mean = torch.rand(3, 20, 16, generator=torch.Generator().manual_seed(0))
    pictures = PictureStage(torch.randn(1, 3, 20, 16), lambda tensor: tensor[0] * 0.2 + mean)
    assert pictures.show(pictures.baseline("white")).mean() > 252
    assert pictures.show(pictures.baseline("black")).mean() < 3


@pytest.mark.parametrize("width", [1, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_narrow_tensor_is_not_turned_on_its_side(channels: int, width: int) -> None:
    """Nor beside a coarser map."""
    tensor = torch.rand(channels, 7, width, generator=seeded(0))
    wanted = (tensor.permute(1, 2, 0) * 255).round().to(torch.uint8).expand(7, width, 3).numpy()
    for given in (tensor, tensor[None]):
        for size in ((4, 2), (7, width)):
            assert (as_pixels(given, size) == wanted).all()
    picture = Overlay(tensor, torch.rand(7, width)).picture
    assert picture["shape"] == [7, width]
    beside = np.zeros((7, width, 3))
    assert Overlay(beside, torch.rand(7, width)).picture["shape"] == [7, width]
