"""A map: what a method attributes to a picture or to a layer, and what is known about its numbers.

:mod:`~attriscope.widget.model.explained_model` gives them while they get better, and the page gets them by
:mod:`~attriscope.widget.jobs.pipeline`.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from attriscope.core.errors import InputError
from attriscope.core.estimate import Estimate
from attriscope.core.inputs import describe
from attriscope.core.layouts import Layout
from attriscope.widget.stages.stage import Stage


@dataclasses.dataclass(frozen=True)
class Map:
    """What a method gives, getting better while it is worked out.

    Attributes:
        attributions: as the method gives them, in the input's shape, (1, ...), or as a coarser map of it; of a layer,
            in the shape of its (first) output.
        gap: their sum minus what it should be, for methods that promise a sum.
        error: the standard error of each, of the same shape, where the method knows one.
        evaluations: rows that went through the model.
        final: whether this is the last word.
        shares: how much of each number counts in the sum, where a feature's number stands at each of its pixels;
            ``None`` for all of it.
        additive: whether adding the attributions up makes sense.
        layout: of the layer that they are attributed to; ``None`` for the input.
        stage: where they are seen, if they are the input's.
    """

    attributions: Tensor
    gap: float | None = None
    error: Tensor | None = None
    evaluations: int | None = None
    final: bool = True
    shares: Tensor | None = None
    additive: bool = True
    layout: Layout | None = None
    stage: Stage | None = None

    @property
    def over_picture(self) -> Tensor | None:
        """What is laid over the input's places, (1, C, h, w); ``None`` for layers that have nothing to lay there."""
        if self.layout is None:
            return self.placed(self.attributions)
        if self.layout.kind == "map" and not self.layout.channels_last:
            return self.attributions
        if self.layout.kind == "map":
            return self.layout.channels(self.attributions)[None]
        if self.layout.grid is None:
            return None
        return self.layout.over_picture(self.layout.channels(self.attributions).sum(0, keepdim=True))[None]

    @property
    def contributions(self) -> Tensor | None:
        """What each place adds, (H, W), by a final map of contributions; ``None`` if its numbers do not add up."""
        if not (self.final and self.additive and self.layout is None):
            return None
        return self.placed(self._counted).sum(1)[0]

    @property
    def total(self) -> Tensor | None:
        """What has been attributed in all, each feature counted once; ``None`` if that cannot be said."""
        if not self.additive:
            return None
        return self._counted.sum()

    def placed(self, values: Tensor) -> Tensor:
        """Values in the attributions' shape by the input's places, (1, C, h, w); of a layer as they are."""
        return values if self.stage is None else self.stage.as_map(values)

    @property
    def _counted(self) -> Tensor:
        return self.attributions if self.shares is None else self.attributions * self.shares


def mean_map(estimates: list[Estimate], what: str, final: bool, seen: Layout | Stage, sign: int = 1) -> Map:
    """The average over several baselines; ``sign`` is that of the method's delta.

    Errors are averaged too: an upper bound, reached if they all go the same way.

    Args:
        estimates: one for each baseline.
        what: the method, in words.
        final: whether they are the last word.
        seen: the layer's layout, or what the input is seen by.
        sign: of the method's delta.

    Raises:
        InputError: the method gives no map of the input.
    """
    layout = seen if isinstance(seen, Layout) else None
    stage = seen if isinstance(seen, Stage) else None
    if layout is not None and layout.several:
        estimates = [dataclasses.replace(e, attributions=e.attributions[0], error=None) for e in estimates]
    for estimate in estimates:
        found = estimate.attributions
        if layout is not None and isinstance(found, Tensor):
            continue
        dimensions = 4 if stage is None else stage.example.dim()
        if (
            not isinstance(found, Tensor)
            or found.dim() != dimensions
            or len(found) != 1
            or found.is_complex()
        ):
            shape = {4: "(1, C, H, W)", 2: "(1, F)"}.get(dimensions, "in the shape of the input")
            raise InputError(f"{what} gives {describe(found)}, which is no map {shape} to show")
    count = len(estimates)
    deltas = [float(e.delta.mean()) for e in estimates if e.delta is not None]
    errors = [e.error for e in estimates if isinstance(e.error, Tensor)]
    return Map(
        _average([e.attributions for e in estimates]),
        sign * sum(deltas) / count if len(deltas) == count else None,
        _average(errors) if len(errors) == count else None,
        sum(e.evaluations for e in estimates) or None,
        final,
        layout=layout,
        stage=stage,
    )


def _average(tensors: list[Tensor]) -> Tensor:
    # A method of the user's own may leave them on autograd's graph.
    return tensors[0].detach() if len(tensors) == 1 else torch.stack(tensors).detach().mean(0)
