"""The examples of a batch, one at a time: tensor, pictures, baselines, and how code calls them.

How tensors become pictures, and baselines tensors, is in :mod:`~attriscope.widget.model.images`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attriscope.core.inputs import Examples
from attriscope.widget.messages import wire
from attriscope.widget.messages.region_types import Region
from attriscope.widget.messages.types import ExampleInfo, RawCloseUp, RawPicture
from attriscope.widget.methods.arguments import CodeValue
from attriscope.widget.methods.spec import SEED
from attriscope.widget.model.images import Pictures, ToImage
from attriscope.widget.model.region import mask_of
from attriscope.widget.model.segments import segments
from attriscope.widget.state.selection import Selection
from attriscope.widget.state.table import PATH

# Thumbnails are this large at most, in pixels along a side; smaller where there are many.
_THUMBNAIL, _MANY, _THUMBNAIL_OF_MANY = 64, 64, 32


class Example:
    """One example of the batch.

    Args:
        examples: all of them, with the model's other arguments.
        index: which of them.
        to_image: see :class:`~attriscope.widget.model.images.Pictures`.
    """

    def __init__(self, examples: Examples, index: int, to_image: ToImage | None) -> None:
        part = slice(index, index + 1)
        self._part, self._of_many = part, examples.count > 1
        self._cut = f"[{part.start}:{part.stop}]"
        arguments = examples.forward_arguments(1, part)
        self.examples = Examples((examples.tensors[0].detach()[part],), True, arguments)
        self.tensor = self.examples.tensors[0]
        self.pictures = Pictures(self.tensor, to_image)
        cut = (f"example = inputs{self._cut}",) if self._of_many else ()
        self.inputs = CodeValue(self.tensor, "example" if self._of_many else "inputs", cut)
        self.arguments = self._arguments_in_code(examples) if arguments else None
        self._latest_baselines: tuple[Any, tuple[CodeValue, ...]] | None = None

    def _arguments_in_code(self, examples: Examples) -> CodeValue:
        """The model's other arguments, cut from those that the user gave."""
        name, values = "additional_forward_args", self.examples.arguments
        if all(a is b for a, b in zip(values, examples.arguments, strict=True)):
            return CodeValue(values, name)
        cut = [
            f"forward_args[{i}]" + ("" if value is given else self._cut)
            for i, (value, given) in enumerate(zip(values, examples.arguments, strict=True))
        ]
        as_tuple = f"forward_args = {name} if isinstance({name}, tuple) else ({name},)"
        return CodeValue(values, f"({', '.join(cut)},)", (as_tuple,))

    def baselines(self, selection: Selection) -> tuple[CodeValue, ...]:
        """The selected baselines; the latest ones are kept."""
        key = repr(selection.values(PATH)), selection.custom
        if self._latest_baselines is None or self._latest_baselines[0] != key:
            made = tuple(self._baseline(name, selection) for name in selection.baselines)
            self._latest_baselines = key, made
        return self._latest_baselines[1]

    def forget_baselines(self) -> None:
        """Make them anew, for the example may be another: it is the user's tensor."""
        self._latest_baselines = None

    def _baseline(self, name: str, selection: Selection) -> CodeValue:
        x = self.inputs.code
        if name == "custom":
            assert selection.custom is not None
            own = selection.custom.tensor
            if own.numel() == 1 < self.tensor.numel():  # it came as a number
                return CodeValue(own.expand_as(self.tensor), f"torch.full_like({x}, {own.item()!r})")
            cut = own.shape[0] > 1
            return CodeValue(
                own[self._part] if cut else own,
                f"baseline{self._cut}" if cut else "baseline",
                ("# baseline is the tensor of your own",),
            )
        tensor = self.pictures.baseline(name, seed=SEED)
        if name in ("black", "white"):
            values = ", ".join(map(repr, tensor[0, :, 0, 0].tolist()))
            code = f"{x}.new_tensor([{values}]).reshape(1, -1, 1, 1).expand_as({x})"
            return CodeValue(
                tensor, name, (f"# the tensor whose picture, by to_image, is {name}", f"{name} = {code}")
            )
        if name == "noise":
            return CodeValue(
                tensor, f"baselines.uniform({x}, generator=torch.Generator().manual_seed({SEED}))"
            )
        return CodeValue(tensor, f"baselines.{name}({x})")

    @functools.cached_property
    def segments(self) -> Tensor:
        """The number of each pixel's segment in the picture, (h, w)."""
        return segments(self.pictures.show(self.tensor))

    def mask(self, region: Region) -> Tensor:
        """The pixels of a region, a boolean tensor (H, W) where the example is."""
        size = (self.tensor.shape[2], self.tensor.shape[3])
        return mask_of(region, size, lambda: self.segments).to(self.tensor.device)

    @functools.cached_property
    def picture(self) -> RawPicture:
        """The picture for the page."""
        return wire.picture_message(self._pixels)

    def close_up(self, box: Sequence[int] | None) -> RawCloseUp:
        """A part of the picture for the page, where the whole was averaged down."""
        return wire.close_up_message(self._pixels, box)

    @functools.cached_property
    def _pixels(self) -> NDArray[np.uint8]:
        return self.pictures.show(self.tensor)

    def baseline_picture(self, selection: Selection) -> RawPicture:
        """The baseline as a picture; of several their mean."""
        shown = [self.pictures.show(start.value) for start in self.baselines(selection)]
        return wire.picture_message(
            shown[0] if len(shown) == 1 else np.mean(shown, 0).round().astype(np.uint8)
        )

    def baseline_thumbnail(self, name: str, custom: Tensor | None) -> RawPicture:
        """A baseline as a small picture, to choose it by; {} where ``to_image`` takes none of that size.

        It is made of a small copy of the example: of a photograph two hundred times sooner.

        Args:
            name: of the baseline.
            custom: the user's own, of one example or of all of them, if it is that.
        """
        size = _small_size(self.tensor.shape[2], self.tensor.shape[3])
        try:
            if name == "custom" and custom is not None:
                whole = custom[self._part] if custom.shape[0] > 1 else custom
                made = _resized(whole.expand_as(self.tensor), size)
            else:
                small = Pictures(_resized(self.tensor, size), self.pictures.to_image)
                made = small.baseline(name, seed=SEED)
            return wire.picture_message(self.pictures.show(made))
        except Exception:  # a thumbnail is worth no error: whoever picks the baseline is told of it
            return {}


def _small_size(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, _THUMBNAIL / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(x.shape[2:]) == size:
        return x.detach()
    return torch.nn.functional.interpolate(x.detach().float(), size, mode="area").to(x.dtype)


def thumbnails(examples: Examples, to_image: ToImage | None) -> list[ExampleInfo]:
    """Small pictures of all examples, to choose from; none if there is only one."""
    if examples.count == 1:
        return []
    side = _THUMBNAIL if examples.count <= _MANY else _THUMBNAIL_OF_MANY
    return [
        {
            "label": f"Example {i + 1}",
            # Nobody reads places in these.
            "picture": wire.picture_message(
                wire.shrunk(picture_of(examples.tensors[0][i : i + 1], to_image), side)
            ),
        }
        for i in range(examples.count)
    ]


def picture_of(tensor: Tensor, to_image: ToImage | None) -> NDArray[np.uint8]:
    """The picture (H, W, 3) of an example (1, C, H, W)."""
    return Pictures(tensor, to_image).show(tensor)
