"""Between the model's space and pictures: what an input looks like, and what a baseline is in model space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attriscope.attr import baselines
from attriscope.core.errors import InputError
from attriscope.core.inputs import Examples, describe, resolve_baselines
from attriscope.widget.messages.types import BaselineInfo

ToImage = Callable[[Tensor], Any]

BASELINES = {
    "zero": "zero",
    "black": "black",
    "white": "white",
    "mean": "mean colour",
    "blur": "blurred",
    "noise": "uniform noise",
}


# Floats that go further than this above 1 are no picture with some overshoot, but of another range.
_BRIGHTEST = 2.0
# Pictures of one colour that are this wide and high are asked for when black and white are looked for.
_PROBE = 8


class Pictures:
    """Shows tensors (1, C, H, W) of the model's space as pictures.

    Args:
        example: the input that is explained, of shape (1, C, H, W).
        to_image: turns such a tensor into a picture: an array or tensor of shape (H, W), (H, W, 3) or (3, H, W), with
            or without a leading 1, of 8-bit numbers or of floats from 0 to 1. ``None`` stretches the range of
            ``example`` over that of a picture.
    """

    def __init__(self, example: Tensor, to_image: ToImage | None = None) -> None:
        self.example = example
        self.to_image = to_image
        """As it was given."""
        self._constants: dict[str, Tensor] = {}
        if to_image is None:
            low, high = example.min(), example.max()
            span = torch.where(high > low, high - low, torch.ones_like(high))
            self._to_image: ToImage = lambda tensor: ((tensor - low) / span).clamp(0, 1)
        else:
            self._to_image = to_image

    def show(self, tensor: Tensor) -> NDArray[np.uint8]:
        """The picture (H, W, 3) of a tensor (1, C, H, W)."""
        clip = tensor is not self.example  # what is only tried may be brighter than any picture
        return as_pixels(self._to_image(tensor.detach()), (tensor.shape[2], tensor.shape[3]), clip)

    def baseline(self, name: str, blur_radius: float | None = None, seed: int = 0) -> Tensor:
        """A named baseline in model space, of the example's shape.

        ``"zero"``; ``"black"`` and ``"white"``; ``"mean"``: every channel's mean over positions; ``"blur"``: a Gaussian
        blur of a twelfth of the shorter side; ``"noise"``: every pixel uniform between the example's extremes, the same
        each time.
        """
        if name in ("black", "white"):
            if name not in self._constants:
                self._constants[name] = self._constant(name)
            return self._constants[name].to(self.example).expand_as(self.example).clone()
        x = self.example.detach()
        if name == "zero":
            return baselines.zero(x)
        if name == "mean":
            return baselines.mean(x)
        if name == "blur":
            return baselines.blur(x, blur_radius or None)
        if name == "noise":
            return baselines.uniform(x, generator=torch.Generator().manual_seed(seed))
        raise InputError(
            f"baseline must be one of {', '.join(BASELINES)} or a tensor, but {describe(name)} came"
        )

    def _constant(self, name: str) -> Tensor:
        """The numbers (1, C, 1, 1) whose picture is black or white, found by asking ``to_image``.

        Pictures are rounded and clipped, so each channel's scale is measured between the two values at which its
        pixels leave 0 and reach 255: those are half a level inside the range.

        Small pictures are asked for where their colours are those of a large one: two hundred times sooner for a
        photograph.
        """
        dark, bright = self._range()
        half_level = (bright - dark) / 254 / 2
        return dark - half_level if name == "black" else bright + half_level

    def _range(self) -> tuple[Tensor, Tensor]:
        """Where the pixels of each channel leave 0, and where they reach 255."""
        x = self.example.detach()
        full, small = (x.shape[2], x.shape[3]), (min(_PROBE, x.shape[2]), min(_PROBE, x.shape[3]))
        if small != full:
            try:
                dark, bright = self._edge(0.5, small), self._edge(254.5, small)
                middle = (dark + bright) / 2
                if torch.equal(self._levels(middle, small), self._levels(middle, full)):
                    return dark, bright
            except Exception:  # such as a mean for each pixel, which has a size of its own
                pass
        return self._edge(0.5, full), self._edge(254.5, full)

    def _edge(self, level: float, size: Sequence[int]) -> Tensor:
        """For each channel the value (1, C, 1, 1) at which the picture crosses ``level``; by bisection."""
        x = self.example.detach()
        reach = 4 * x.abs().amax().clamp(min=1).double().cpu()
        high = reach.repeat(x.shape[1])[None, :, None, None]
        low = -high
        for _ in range(40):
            middle = (low + high) / 2
            above = self._levels(middle, size)[None, :, None, None] > level
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        return (low + high) / 2

    def _levels(self, values: Tensor, size: Sequence[int]) -> Tensor:
        """The mean pixel of each channel in the picture of a constant tensor, from values (1, C, 1, 1)."""
        channels = values.shape[1]
        pixels = self.show(values.to(self.example).expand(1, channels, *size))
        levels = torch.from_numpy(pixels.reshape(-1, 3).mean(0))
        return levels if channels == 3 else levels.mean().expand(channels)


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


def custom_baseline(value: Any, examples: Examples) -> Tensor:
    """The user's own baseline, checked: a copy that broadcasts against the examples."""
    (found,) = resolve_baselines(value, examples)
    return found.clone()


def baseline_infos(custom: bool) -> list[BaselineInfo]:
    """The baselines to choose from; with the user's own if there is one."""
    offered: list[BaselineInfo] = [{"name": name, "label": label} for name, label in BASELINES.items()]
    return [*offered, {"name": "custom", "label": "your own"}] if custom else offered
