"""Pictures into the ImageNet network and back, and the names of its classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from attriscope.zoo import imagenet_class_names, imagenet_preprocess, imagenet_to_image


def noise(*shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "top", "left"),
    [(256, 256, 16, 16), (256, 401, 16, 89), (300, 256, 38, 16), (257, 257, 17, 17)],
)
def test_crops_the_middle(height: int, width: int, top: int, left: int) -> None:
    # 0.875 of 256 or 257, rounded down, is 224: nothing is resized, the crop can be read off the pixels
    pixels = noise(height, width, 3)
    x = imagenet_preprocess(pixels)
    assert (x.shape, x.dtype, x.device.type) == ((1, 3, 224, 224), torch.float32, "cpu")
    square = pixels[top : top + 224, left : left + 224]
    np.testing.assert_array_equal(x[0].numpy(), (np.float32(square).transpose(2, 0, 1) - 127) / 128)


def test_resizes_the_square_alone() -> None:
    # what lies outside the crop leaves no trace
    pixels = noise(512, 640, 3)
    framed = np.zeros_like(pixels)
    framed[32:480, 96:544] = pixels[32:480, 96:544]
    assert torch.equal(imagenet_preprocess(pixels), imagenet_preprocess(framed))
    expected = Image.fromarray(pixels[32:480, 96:544]).resize((224, 224), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(imagenet_to_image(imagenet_preprocess(pixels))[0], np.asarray(expected))


def test_takes_what_pictures_come_as() -> None:
    pixels, grey = noise(64, 80, 3), noise(64, 80)
    x = imagenet_preprocess(pixels)
    assert torch.equal(imagenet_preprocess(Image.fromarray(pixels)), x)
    assert torch.equal(imagenet_preprocess(Image.fromarray(pixels).convert("RGBA")), x)
    assert torch.equal(imagenet_preprocess(pixels[:, ::-1]), imagenet_preprocess(pixels[:, ::-1].copy()))
    three = imagenet_preprocess(np.stack([grey] * 3, axis=-1))
    assert torch.equal(imagenet_preprocess(grey), three)
    assert torch.equal(imagenet_preprocess(Image.fromarray(grey)), three)
    assert imagenet_preprocess(noise(1, 1, 3)).shape == (1, 3, 224, 224)


def test_turns_photographs_upright() -> None:
    pixels = noise(64, 80, 3)
    sideways = Image.fromarray(np.rot90(pixels).copy())
    sideways.getexif()[0x0112] = 6  # orientation: rotate by 90 degrees clockwise to show
    assert torch.equal(imagenet_preprocess(sideways), imagenet_preprocess(pixels))


@pytest.mark.parametrize(
    ("image", "error", "says"),
    [
        ("cat.png", TypeError, "but got builtins.str"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), TypeError, "but got torch.Tensor"),
        (np.zeros((8, 8, 3)), TypeError, r"dtype float64.*255"),
        (noise(8, 8, 4), ValueError, r"\(8, 8, 4\)"),
        (noise(2, 8, 8, 3), ValueError, r"\(2, 8, 8, 3\)"),
        (noise(0, 8, 3), ValueError, r"\(0, 8, 3\)"),
        (Image.fromarray(np.full((8, 8), 70000, dtype=np.int32)), ValueError, "mode 'I'"),
    ],
)
def test_quotes_what_it_cannot_use(image: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        imagenet_preprocess(image)


def test_to_image_undoes_every_pixel_value() -> None:
    levels = torch.arange(256).expand(3, 1, 256)
    expected = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (1, 256, 3))
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        np.testing.assert_array_equal(imagenet_to_image((levels.to(dtype) - 127) / 128), expected)


def test_to_image_loses_half_a_level_at_most() -> None:
    x = torch.rand(4, 3, 9, 7, generator=torch.Generator().manual_seed(1)) * (255 / 128) - 127 / 128
    back = (torch.from_numpy(imagenet_to_image(x)).movedim(-1, -3).float() - 127) / 128
    assert (back - x).abs().max() <= 1 / 256 + 1e-6


def test_to_image_clips_and_keeps_leading_dimensions() -> None:
    x = torch.tensor([-5.0, 0.0, 5.0, torch.nan, torch.inf, -torch.inf]).repeat(3, 1, 1)
    image = imagenet_to_image(x)
    assert (image.shape, image.dtype) == ((1, 6, 3), np.uint8)
    assert image[0, :, 0].tolist() == [0, 127, 255, 127, 255, 0]
    assert imagenet_to_image(torch.zeros(2, 3, 5, 4)).shape == (2, 5, 4, 3)
    assert imagenet_to_image(torch.zeros(6, 2, 3, 5, 4)).shape == (6, 2, 5, 4, 3)
    assert imagenet_to_image(torch.zeros(0, 3, 5, 4)).shape == (0, 5, 4, 3)


def test_to_image_leaves_its_input_alone() -> None:
    x = torch.full((1, 3, 2, 2), torch.nan, requires_grad=True)
    image = imagenet_to_image(x)
    image[:] = 0  # and the picture may be written to
    assert x.isnan().all()
    assert x.requires_grad


@pytest.mark.parametrize(
    ("tensor", "error", "says"),
    [
        (torch.zeros(1, 4, 2, 2), ValueError, r"\(1, 4, 2, 2\)"),
        (torch.zeros(3, 2), ValueError, r"\(3, 2\)"),
        (torch.zeros(3, 2, 2, dtype=torch.uint8), TypeError, "torch.uint8"),
        (np.zeros((3, 2, 2)), TypeError, "ndarray"),
    ],
)
def test_to_image_quotes_what_it_cannot_use(tensor: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        imagenet_to_image(tensor)


def test_class_names_are_short_and_tell_classes_apart() -> None:
    names = imagenet_class_names()
    assert len(names) == len(set(names)) == 1000
    assert not any("," in name or name != name.strip() or not name for name in names)
    by_index = {
        0: "tench",
        281: "tabby",
        285: "Egyptian cat",
        872: "tripod",
        967: "espresso",
        999: "toilet tissue",
    }
    assert {index: names[index] for index in by_index} == by_index
    assert [names[i] for i in (134, 517, 638, 639)] == [
        "crane (bird)",
        "crane (machine)",
        "maillot",
        "tank suit",
    ]
