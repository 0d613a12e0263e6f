"""Pictures: what an input of a model looks like, what a baseline is in the model's space, and where its pixels are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attriscope.attr import baselines
from attriscope.widget.messages import wire
from attriscope.widget.messages.types import ExampleInfo, RawCloseUp, RawPicture
from attriscope.widget.methods.arguments import CodeValue, range_of
from attriscope.widget.methods.spec import SEED
from attriscope.widget.stages.pixels import as_pixels
from attriscope.widget.stages.segments import segments
from attriscope.widget.stages.stage import Stage, Words

ToImage = Callable[[Tensor], Any]

# Pictures of one colour that are this wide and high are asked for when black and white are looked for.
_PROBE = 8


# Thumbnails are this large at most, in pixels along a side; smaller where there are many.
_THUMBNAIL, _MANY, _THUMBNAIL_OF_MANY = 64, 64, 32


class PictureStage(Stage):
    """Shows tensors (1, C, H, W) of the model's space as pictures; each pixel is a place.

    Args:
        example: the input that is explained, of shape (1, C, H, W).
        to_image: turns such a tensor into a picture: an array or tensor of shape (H, W), (H, W, 3) or (3, H, W), with
            or without a leading 1, of 8-bit numbers or of floats from 0 to 1. ``None`` stretches the range of
            ``example`` over that of a picture.
    """

    words: ClassVar = Words("the picture", "pixel", "pixels", "its range")
    has_segments: ClassVar = True
    baseline_labels = {
        "zero": "zero",
        "black": "black",
        "white": "white",
        "mean": "mean colour",
        "blur": "blurred",
        "noise": "uniform noise",
    }

    def __init__(self, example: Tensor, to_image: ToImage | None = None) -> None:
        super().__init__(example)
        self.to_image = to_image
        """As it was given."""
        self.given = {"to_image": to_image is not None}
        self._constants: dict[str, Tensor] = {}
        if to_image is None:
            low, high = example.min(), example.max()
            span = torch.where(high > low, high - low, torch.ones_like(high))
            self._to_image: ToImage = lambda tensor: ((tensor - low) / span).clamp(0, 1)
        else:
            self._to_image = to_image

    @property
    def places(self) -> tuple[int, int]:
        """See :class:`Stage`: height and width."""
        return int(self.example.shape[2]), int(self.example.shape[3])

    def as_map(self, values: Tensor) -> Tensor:
        """See :class:`Stage`: values are maps, one for each channel."""
        return values

    def inside(self, mask: Tensor) -> Tensor:
        """See :class:`Stage`: all channels of the pixels."""
        return mask.to(self.example.device)

    # --- as pictures ------------------------------------------------------------------------------------------

    def show(self, tensor: Tensor) -> NDArray[np.uint8]:
        """The picture (H, W, 3) of a tensor (1, C, H, W)."""
        clip = tensor is not self.example  # what is only tried may be brighter than any picture
        return as_pixels(self._to_image(tensor.detach()), (tensor.shape[2], tensor.shape[3]), clip)

    @functools.cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """The picture (H, W, 3)."""
        return self.show(self.example)

    @functools.cached_property
    def shown(self) -> dict[str, Any]:
        """See :class:`Stage`."""
        return {"picture": wire.picture_message(self.pixels)}

    def close_up(self, box: Sequence[int] | None) -> RawCloseUp:
        """See :class:`Stage`: where the whole was averaged down."""
        return wire.close_up_message(self.pixels, box)

    def example_info(self, index: int, count: int) -> ExampleInfo:
        """See :class:`Stage`. Nobody reads places in these pictures."""
        side = _THUMBNAIL if count <= _MANY else _THUMBNAIL_OF_MANY
        return {
            "label": f"Example {index + 1}",
            "picture": wire.picture_message(wire.shrunk(self.pixels, side)),
        }

    @functools.cached_property
    def segments(self) -> Tensor:
        """The number of each pixel's segment in the picture, (h, w)."""
        return segments(self.pixels)

    @functools.cached_property
    def noise_range(self) -> Tensor:
        """See :class:`Stage`: one for all pixels."""
        return torch.as_tensor(range_of(self.example), device=self.example.device)

    # --- baselines --------------------------------------------------------------------------------------------

    def baseline(self, name: str) -> Tensor:
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
            return baselines.blur(x)
        if name == "noise":
            return baselines.uniform(x, generator=torch.Generator().manual_seed(SEED))
        raise self.unknown_baseline(name)

    def baseline_in_code(self, name: str, example: str) -> CodeValue:
        """See :class:`Stage`."""
        tensor = self.baseline(name)
        if name in ("black", "white"):
            values = ", ".join(map(repr, tensor[0, :, 0, 0].tolist()))
            code = f"{example}.new_tensor([{values}]).reshape(1, -1, 1, 1).expand_as({example})"
            return CodeValue(
                tensor, name, (f"# the tensor whose picture, by to_image, is {name}", f"{name} = {code}")
            )
        if name == "noise":
            made = f"baselines.uniform({example}, generator=torch.Generator().manual_seed({SEED}))"
            return CodeValue(tensor, made)
        return CodeValue(tensor, f"baselines.{name}({example})")

    @property
    def references(self) -> Sequence[tuple[Tensor, str]]:
        """See :class:`Stage`: the mean colour and the blurred picture."""
        x = self.example.detach()
        return [(baselines.mean(x), "baselines.mean({})"), (baselines.blur(x), "baselines.blur({})")]

    def baseline_shown(self, starts: Sequence[Tensor]) -> dict[str, Any]:
        """See :class:`Stage`."""
        shown = [self.show(start) for start in starts]
        mean = shown[0] if len(shown) == 1 else np.mean(shown, 0).round().astype(np.uint8)
        return {"baseline_picture": wire.picture_message(mean)}

    def baseline_thumbnail(self, name: str, custom: Tensor | None) -> RawPicture:
        """See :class:`Stage`; {} where ``to_image`` takes none of that size.

        It is made of a small copy of the example: of a photograph two hundred times sooner.
        """
        size = _small_size(*self.places)
        try:
            if name == "custom" and custom is not None:
                made = _resized(custom.expand_as(self.example), size)
            else:
                made = PictureStage(_resized(self.example, size), self.to_image).baseline(name)
            return wire.picture_message(self.show(made))
        except Exception:  # a thumbnail is worth no error: whoever picks the baseline is told of it
            return {}

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


def _small_size(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, _THUMBNAIL / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(x.shape[2:]) == size:
        return x.detach()
    return torch.nn.functional.interpolate(x.detach().float(), size, mode="area").to(x.dtype)


def picture_of(tensor: Tensor, to_image: ToImage | None) -> NDArray[np.uint8]:
    """The picture (H, W, 3) of an example (1, C, H, W)."""
    return PictureStage(tensor, to_image).show(tensor)
