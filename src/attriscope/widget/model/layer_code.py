"""A layer's neurons and maps as Python that a person can run: selectors for methods, indices, and reshaping.

What stands where in a layer is said by :mod:`attriscope.core.layouts`; whole calls are written by
:mod:`~attriscope.widget.model.code`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attriscope.core.layouts import Layout, Neuron
from attriscope.widget.methods.arguments import CodeValue


def over_picture_code(layout: Layout) -> str:
    """The Python that turns attributions of tokens, their units added up, or of a map into a map (1, C or 1, H, W)."""
    if layout.channels_last:
        return "attributions = attributions.movedim(-1, 1)"
    assert layout.grid is not None
    tokens = "attributions.sum(-1)" + (".transpose(0, 1)" if layout.batch_dimension else "")
    cut = f"[:, {layout.skipped}:]" if layout.skipped else ""
    return f"attributions = {tokens}{cut}.reshape(1, 1, {layout.grid[0]}, {layout.grid[1]})"


def selector(layout: Layout, neuron: Neuron) -> CodeValue:
    """The neuron as methods take it: what it holds, added up over its positions."""
    index = layout.index(neuron)
    if layout.batch_dimension == 0 and not layout.several and index:
        plain: Any = index[0] if len(index) == 1 else index
        return CodeValue(plain, _plain_code(index))
    summed = len(layout.shape) - 1 - sum(isinstance(i, int) for i in index)
    return _function(index, layout.batch_dimension, layout.several, summed)


def _function(index: tuple[Any, ...], batch_dimension: int, several: bool, summed: int) -> CodeValue:
    """A selector for outputs that are tuples, or do not count the examples first.

    What the index picks for one example has ``summed`` dimensions.
    """

    def select(values: Any) -> Tensor:
        first: Tensor = values[0] if several else values
        picked = first.movedim(batch_dimension, 0)[(slice(None), *index)]
        return picked.flatten(1).sum(1) if picked.dim() > 1 else picked

    at = ", ".join([":", *(":" if i == slice(None) else str(i) for i in index)])
    moved = f".movedim({batch_dimension}, 0)" if batch_dimension else ""
    code = f"lambda values: values{'[0]' if several else ''}{moved}[{at}]"
    return CodeValue(select, code + ("", ".sum(1)", ".flatten(1).sum(1)")[min(summed, 2)])


def index_code(layout: Layout, neuron: Neuron) -> str:
    """The Python of the neuron's index, dimension 0 left out, as ``switched_off`` takes it."""
    index = layout.index(neuron)
    if layout.again:  # at another size it is another layer
        full = index[: layout.batch_dimension] + (slice(None),) + index[layout.batch_dimension :]
        at = ", ".join(":" if i == slice(None) else str(i) for i in full)
        return f"lambda output: output[{at}] if output.shape == {layout.shape} else output[:0]"
    if layout.batch_dimension:  # time comes first, then the only example
        position, unit = index
        if position != slice(None):
            return f"lambda output: output[{position}, :, {unit}]"
        index = (slice(None), unit)
    return _plain_code(index)


def _plain_code(index: tuple[int | slice, ...]) -> str:
    plain: Any = index[0] if len(index) == 1 else index
    return repr(plain).replace("slice(None, None, None)", "slice(None)")
