"""What a person draws by a function of their own: a graph, a molecule, a map of sensors.

A :class:`DrawnStage` draws an example as a picture, and says which of its numbers each pixel stands for. The page then
shows, brushes and covers it as any picture.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from attriscope.core.errors import InputError
from attriscope.core.inputs import describe
from attriscope.widget.messages import wire
from attriscope.widget.methods.arguments import CodeValue, range_of
from attriscope.widget.stages.pixels import as_pixels
from attriscope.widget.stages.stage import Stage, Words

_THUMBNAIL = 64


class DrawnStage(Stage):
    """An example drawn as a picture; a subclass says how.

    It must have :meth:`draw` and :meth:`features`, and may say more: ``words``, ``baseline_labels`` and
    :meth:`baseline` where there are others than zero, and :attr:`groups`.

    Args:
        example: what is explained, of shape (1, ...).
    """

    words: ClassVar = Words("the drawing", "pixel", "pixels", "its range")
    has_neighbours: ClassVar = False

    def __init__(self, example: Tensor) -> None:
        super().__init__(example)
        self.baseline_labels = {"zero": "zero"}

    @abc.abstractmethod
    def draw(self, tensor: Tensor) -> Any:
        """A tensor in the example's shape as a picture: an array (H, W, 3) of 8-bit numbers or of floats from 0 to 1.

        Baselines are drawn by it, too.
        """

    @abc.abstractmethod
    def features(self) -> Tensor:
        """Which feature each pixel stands for: whole numbers (H, W) as in :attr:`groups`; -1 for none."""

    @property
    def groups(self) -> Tensor:
        """Which feature each number of the example belongs to: whole numbers from 0 on, in its shape but for the first
        dimension. Each is one by itself, unless a subclass says otherwise.
        """
        return torch.arange(self.example[0].numel(), device=self.example.device).reshape(
            self.example.shape[1:]
        )

    @functools.cached_property
    def _pixels_of(self) -> tuple[Tensor, Tensor]:
        """The features of the pixels, (H, W), and how many pixels each feature has."""
        found = self.features().to(self.example.device)
        count = int(self.groups.max()) + 1
        if (
            found.dim() != 2
            or found.is_floating_point()
            or found.is_complex()
            or bool((found >= count).any())
        ):
            raise InputError(
                f"features() must give whole numbers (H, W) below {count}, as many as groups has, and -1 for none, but "
                f"{describe(found)} came"
            )
        return found.long(), found[found >= 0].long().bincount(minlength=count)

    @property
    def places(self) -> tuple[int, int]:
        """See :class:`Stage`: the pixels of the drawing."""
        height, width = self._pixels_of[0].shape
        return int(height), int(width)

    def as_map(self, values: Tensor) -> Tensor:
        """See :class:`Stage`: what a feature is worth is shared out among its pixels."""
        pixels, sizes = self._pixels_of
        sums = values.new_zeros(len(values), len(sizes))
        sums.index_add_(1, self.groups.flatten(), values.flatten(1))
        shares = torch.cat([sums / sizes.clamp(min=1), sums.new_zeros(len(values), 1)], 1)
        return shares[:, torch.where(pixels < 0, len(sizes), pixels)][:, None]

    def inside(self, mask: Tensor) -> Tensor:
        """See :class:`Stage`: the features of which at least half of the pixels lie there."""
        pixels, sizes = self._pixels_of
        covered = pixels[mask.to(pixels.device) & (pixels >= 0)].bincount(minlength=len(sizes))
        return ((2 * covered >= sizes) & (covered > 0))[self.groups][None]

    @functools.cached_property
    def noise_range(self) -> Tensor:
        """See :class:`Stage`: one for all numbers."""
        return torch.as_tensor(range_of(self.example), device=self.example.device)

    # --- baselines --------------------------------------------------------------------------------------------

    def baseline(self, name: str) -> Tensor:
        """See :class:`Stage`: ``"zero"``."""
        if name != "zero":
            raise self.unknown_baseline(name)
        return torch.zeros_like(self.example)

    def baseline_in_code(self, name: str, example: str) -> CodeValue:
        """See :class:`Stage`; of a baseline of a subclass's own only its name."""
        if name == "zero":
            return CodeValue(self.baseline(name), f"torch.zeros_like({example})")
        return CodeValue(self.baseline(name), "baseline", (f"# baseline is your stage's {name!r}",))

    @property
    def references(self) -> Sequence[tuple[Tensor, str]]:
        """See :class:`Stage`: the example's mean."""
        mean = self.example.detach().mean()
        return [(torch.full_like(self.example, float(mean)), "torch.full_like({0}, {0}.mean().item())")]

    # --- what the page is told --------------------------------------------------------------------------------

    def _picture(self, tensor: Tensor) -> Any:
        return as_pixels(self.draw(tensor.detach()), self.places, clip=True)

    @functools.cached_property
    def shown(self) -> dict[str, Any]:
        """See :class:`Stage`."""
        pixels = self._picture(self.example)
        if pixels.shape[:2] != self.places:
            raise InputError(
                f"draw() gives a picture of {pixels.shape[:2]} pixels, but features() says of {self.places} what "
                "they stand for"
            )
        return {"picture": wire.picture_message(pixels)}

    def baseline_shown(self, starts: Sequence[Tensor]) -> dict[str, Any]:
        """See :class:`Stage`."""
        mean = np.mean([self._picture(start) for start in starts], 0).round().astype(np.uint8)
        return {"baseline_picture": wire.picture_message(mean)}

    def example_info(self, index: int, count: int) -> Any:
        """See :class:`Stage`."""
        small = wire.picture_message(wire.shrunk(self._picture(self.example), _THUMBNAIL))
        return {"label": f"Example {index + 1}", "picture": small}
