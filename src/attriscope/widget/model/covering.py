"""What the model says, or a neuron holds, when a region of the picture is covered by a baseline's pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from attriscope.core.passes import one_pass
from attriscope.core.target import resolve_target
from attriscope.widget.messages.covering import Covered
from attriscope.widget.model.example import Example
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.model.layers import values_at
from attriscope.widget.model.output_kind import scores_of
from attriscope.widget.state.selection import Selection


def cover(explained: ExplainedModel, selection: Selection, mask: Tensor) -> Covered:
    """Run the model on the picture, and on the picture covered by each selected baseline: a row each.

    Args:
        explained: the model; it is as it was before and after.
        selection: the example, the baselines, and the explained output or the neuron: what it holds, its positions
            added up.
        mask: the covered pixels, (H, W).

    Raises:
        TargetError: the target does not pick one number of the output.
    """
    if selection.place == "neuron":
        return _cover_neuron(explained, selection, mask)
    example = explained.example(selection.example)
    target = resolve_target(selection.explained, 1)
    picture = example.tensor.detach()

    def say(x: Tensor) -> tuple[Tensor, Tensor | None]:
        with one_pass(explained.model, False):
            output = explained.model(x, *example.examples.arguments)
            return target.select(output, 1, slice(0, 1)).detach(), scores_of(output)

    before, scores = say(picture.clone())
    after = [say(x) for x in _covered(example, selection, mask)]
    rows = [row.reshape(-1) for _, row in after if row is not None]
    return Covered(
        pixels=int(mask.sum()),
        before=before,
        after=torch.cat([value for value, _ in after]),
        scores=None if scores is None else scores.reshape(-1),
        scores_after=torch.stack(rows) if len(rows) == len(after) else None,
    )


def _covered(example: Example, selection: Selection, mask: Tensor) -> list[Tensor]:
    """The picture with the region covered, by each baseline."""
    picture = example.tensor.detach()
    hidden = example.stage.inside(mask)
    return [torch.where(hidden, start.value, picture) for start in example.baselines(selection)]


def _cover_neuron(explained: ExplainedModel, selection: Selection, mask: Tensor) -> Covered:
    layer, neuron = selection.layer, selection.neuron
    assert layer is not None
    assert neuron is not None
    example, layout = explained.example(selection.example), explained.layer_cache.layout(layer)

    def held(x: Tensor) -> Tensor:
        values = values_at(explained.model, layer, layout, example.examples, x)
        return layout.within(values, neuron).sum().reshape(1)

    after = [held(x) for x in _covered(example, selection, mask)]
    return Covered(int(mask.sum()), held(example.tensor.detach()), torch.cat(after), None, None)
