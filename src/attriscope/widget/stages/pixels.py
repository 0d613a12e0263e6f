"""Pictures of 8 bits, from arrays and tensors of any of the usual forms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attriscope.core.errors import InputError

# Floats that go further than this above 1 are no picture with some overshoot, but of another range.
_BRIGHTEST = 2.0


def as_pixels(image: Any, size: tuple[int, int] | None = None, clip: bool = False) -> NDArray[np.uint8]:
    """A picture (H, W, 3) of 8 bits, from an array or tensor of any of the usual forms.

    Args:
        image: 8-bit numbers, floats from 0 to 1 (those a little outside are clipped), true and false, 16-bit numbers,
            or a PIL picture of any mode. Channels come last, or first; where both are possible, as ``size`` says, and
            if it fits both or none, first in a tensor and last in an array.
        size: the height and width that it should have.
        clip: take numbers of any range, and clip them.

    Raises:
        InputError: it is no picture.
    """
    if hasattr(image, "convert") and hasattr(image, "mode"):  # of PIL: a palette's numbers are no colours
        image = image if image.mode in ("L", "RGB") else image.convert("RGB")
    of_torch = isinstance(image, Tensor)
    if isinstance(image, Tensor):
        image = (
            image.detach().cpu().float().numpy()
            if image.is_floating_point()
            else image.detach().cpu().numpy()
        )
    array = np.asarray(image)
    came = array.shape
    while array.ndim > 2 and array.shape[0] == 1 and not (array.ndim == 3 and array.shape[-1] in (1, 3)):
        array = array[0]
    if array.ndim == 3 and _channels_first(array.shape, size, of_torch):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4):
        raise InputError(
            f"a picture must have shape (H, W), (H, W, 3) or (3, H, W), but an array of shape {came} came; give "
            "to_image= a function that turns the model's input into a picture"
        )
    array = _eight_bits(array[..., :3], clip)
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)).astype(np.uint8))


def _eight_bits(array: NDArray[Any], clip: bool) -> NDArray[Any]:
    """Numbers from 0 to 255, from those of any usual type.

    Raises:
        InputError: they are of another range than their type stands for.
    """
    if array.dtype.kind == "f":
        finite = array[np.isfinite(array)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        if not clip and low >= 0 and _BRIGHTEST < high <= 255:
            raise InputError(
                f"a picture of floats must have values from 0 to 1, but they go up to {high:g}: divide by 255, or give "
                "8-bit numbers (uint8)"
            )
        return (np.nan_to_num(array).clip(0, 1) * 255).round()
    if array.dtype.kind == "b":
        return array * 255
    if array.dtype == np.uint16:
        return (array / 257).round()
    if (
        array.dtype.kind in "iu"
        and array.dtype != np.uint8
        and array.size
        and not 0 <= array.min() <= array.max() <= 255
    ):
        raise InputError(
            f"a picture of whole numbers must have values from 0 to 255, but {array.dtype} from {array.min()} to "
            f"{array.max()} came"
        )
    return array


def _channels_first(shape: tuple[int, ...], size: tuple[int, int] | None, of_torch: bool) -> bool:
    """Which end the channels of a picture are at; of one that is 1, 3 or 4 pixels wide, both may look like it."""
    first, last = shape[0] in (1, 3, 4), shape[-1] in (1, 3, 4)
    if not (first and last) or size is None:
        return first and not last
    fits_first, fits_last = shape[1:] == size, shape[:2] == size
    return of_torch if fits_first == fits_last else fits_first
