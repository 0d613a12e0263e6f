"""What a method is asked about an example; each value comes with the Python that makes it.

:class:`MethodInputs` is put together by :mod:`~attriscope.widget.model.explained_model`, and made into a call by
:mod:`~attriscope.widget.methods.spec`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from attriscope.core.errors import InputError
from attriscope.core.layer_map import LayerInfo


@dataclasses.dataclass(frozen=True)
class CodeValue:
    """A value, the Python expression that makes it, and the lines that must stand before that."""

    value: Any
    code: str
    before: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class MethodInputs:
    """What a method is asked about.

    Attributes:
        example: what is explained, of shape (1, ...).
        arguments: the model's other arguments, or ``None``.
        baselines: each of the example's shape.
        references: what else to compare with where one baseline is too little.
        groups: which feature each number belongs to, as a mask that broadcasts over the example; ``None`` where that is
            for the method to settle.
        target: the explained output, or ``None``.
        values: the method's parameters by name.
        layers: what the model is made of.
        layer, neuron: the layer that is looked into, and the neuron in it as a selector, if there are any.
    """

    example: CodeValue
    arguments: CodeValue | None
    baselines: tuple[CodeValue, ...]
    references: tuple[CodeValue, ...]
    target: CodeValue | None
    values: dict[str, Any]
    layers: Sequence[LayerInfo]
    layer: CodeValue | None = None
    neuron: CodeValue | None = None
    groups: CodeValue | None = None

    @property
    def common(self) -> dict[str, CodeValue]:
        """The arguments that every method takes."""
        given = {"target": self.target, "additional_forward_args": self.arguments}
        return {name: written for name, written in given.items() if written is not None}

    def cells(self) -> dict[str, CodeValue]:
        """A picture cut into cells, each one feature: ids of shape (H, W); elsewhere each number is one by itself."""
        if self.groups is not None:
            return {"feature_mask": self.groups}
        if "cells" not in self.values:
            return {}
        side, tensor, name = self.values["cells"], self.example.value, self.example.code
        height, width = tensor.shape[2:]
        down = torch.arange(height, device=tensor.device) * side // height
        across = torch.arange(width, device=tensor.device) * side // width
        before = (
            f"# {side} by {side} cells, each of them one feature",
            f"rows = torch.arange({height}, device={name}.device) * {side} // {height}",
            f"columns = torch.arange({width}, device={name}.device) * {side} // {width}",
        )
        mask = (down[:, None] * side + across)[None, None]
        return {"feature_mask": CodeValue(mask, f"(rows[:, None] * {side} + columns)[None, None]", before)}

    def windows(self) -> dict[str, CodeValue]:
        """A square window over all channels, and how far it moves."""
        channels, *sides = self.example.value.shape[1:]
        window = tuple(min(self.values["window"], side) for side in sides)
        strides = tuple(max(1, side // self.values["moves_per_window"]) for side in window)
        shapes = {"sliding_window_shapes": (channels, *window), "strides": (channels, *strides)}
        return {name: CodeValue(shape, repr(shape)) for name, shape in shapes.items()}

    def together(self, *others: CodeValue) -> dict[str, CodeValue]:
        """All baselines, and others, as one tensor."""
        baselines = [*self.baselines, *others]
        if len(baselines) == 1:
            return {"baselines": baselines[0]}
        code = f"torch.cat([{', '.join(s.code for s in baselines)}])"
        before = tuple(line for s in baselines for line in s.before)
        return {"baselines": CodeValue(torch.cat([s.value for s in baselines]), code, before)}

    def last_convolution(self) -> CodeValue:
        """The path of the last convolution that gave a map."""
        found = last_convolution(self.layers)
        return CodeValue(found, as_code(found))


def last_convolution(layers: Sequence[LayerInfo]) -> str:
    """The path of the last convolution that gave a map; of one with a single position only if there is no other.

    Raises:
        InputError: there is none.
    """
    maps = [row for row in layers if row.kind.startswith("Conv") and len(row.shape or ()) == 4]
    if not maps:
        raise InputError("the model has no convolution that gives a map, which this method needs")
    wide = [row for row in maps if math.prod((row.shape or ())[2:]) > 1]
    return (wide or maps)[-1].name


def as_code(value: Any) -> str:
    """A plain value as Python's formatters write it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def range_of(inputs: Tensor) -> float:
    """From the lowest to the highest value; 1 if that is no number.

    Columns of a table have units of their own: of several rows (N, F) it is the middle one of the columns' ranges.
    """
    of_columns = inputs.dim() == 2 and len(inputs) > 1
    ranges = inputs.amax(0) - inputs.amin(0) if of_columns else (inputs.amax() - inputs.amin())[None]
    found = float(ranges.float().nanmedian())
    return found if math.isfinite(found) else 1.0
