"""What a model says of an example: which classes it is told as, and as what: shares of 100 %, or plain numbers.

What the model's numbers are is found by :mod:`~attriscope.widget.model.output_kind`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from attriscope.widget.messages.class_names import ClassNames
from attriscope.widget.messages.types import OutputKind, RawPredictions
from attriscope.widget.messages.wire import number

# How many classes are listed: the menu has all of them. More boxes than that are no list to choose from.
_MOST, _MOST_BOXES = 5, 30


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What the numbers are that a model gives for an example.

    Attributes:
        kind: ``"logits"``: the softmax of them are shares of 100 %, the sigmoid if there is only one;
            ``"probabilities"``: they are shares already; ``"sigmoid"``: each is a yes or no by itself;
            ``"segmentation"``: for each class the share of the pixels where it is predicted; ``"boxes"``: the score of
            each box; ``"values"``: anything else.
        shares: whether they were seen to lie between 0 and 1, so that they need no sigmoid.
        one: whether there is only one.
    """

    kind: OutputKind = "logits"
    shares: bool = False
    one: bool = False

    def probabilities(self, scores: Tensor) -> Tensor | None:
        """Of scores (..., C); ``None`` if they are none, and there is nothing to make them so."""
        if self.kind == "logits":
            return scores.sigmoid() if self.one else scores.softmax(-1)
        if self.kind == "segmentation":
            return scores
        if self.kind == "boxes":
            return scores if self.shares else None
        if self.kind == "values" or (self.kind == "probabilities" and not self.shares):
            return None
        return scores if self.shares else scores.sigmoid()

    @property
    def noun(self) -> str:
        """What one of them is called."""
        if self.kind == "values":
            return "output"
        return "probability" if self.shares and self.kind != "logits" else "score"

    @property
    def doc(self) -> str:
        """How the numbers come about that are shown."""
        if self.kind == "logits":
            return "sigmoid of the score" if self.one else "softmax of the scores"
        if self.kind == "segmentation":
            return "share of the pixels where it is predicted"
        if self.kind == "boxes":
            return "score of each box"
        if self.kind == "sigmoid":
            return "each by itself" if self.shares else "sigmoid of each score"
        if self.kind == "probabilities":
            return "probabilities" if self.shares else "scores: they are not between 0 and 1"
        return "what the model gives"


def predictions_message(
    output: Tensor,
    names: ClassNames,
    outputs: Outputs,
    boxes: Sequence[Sequence[float]] = (),
    shape: Sequence[int] = (),
    explained: Collection[int] = (),
) -> RawPredictions:
    """The best classes of one example's output (C,): of a segmentation those that are there, of a detector boxes.

    Args:
        output: the number of each class or box.
        names: what they are called.
        outputs: what the numbers are.
        boxes: of each box the corners x0, y0, x1, y1 in pixels of the picture.
        shape: of a segmentation: classes, rows, columns.
        explained: classes that are listed whatever the model says of them.
    """
    scores = output.detach().to("cpu", torch.float64)
    chances = outputs.probabilities(scores)
    shown = [
        i
        for i in best(output, _MOST_BOXES if boxes else _MOST)
        if outputs.kind != "segmentation" or scores[i]
    ]
    missing = [i for i in explained if 0 <= i < len(scores) and i not in shown]
    shown += sorted(missing, key=lambda i: -scores[i].item())
    found: RawPredictions = {
        "kind": "score" if chances is None else "probability",
        "output": outputs.kind,
        "doc": outputs.doc,
        "items": [
            {
                "index": i,
                "label": names.label(i),
                "score": number(scores[i]),
                "probability": None if chances is None else number(chances[i]),
            }
            for i in shown
        ],
    }
    if boxes:
        found["boxes"] = [list(boxes[i]) for i in shown]
    if shape:
        found["shape"] = list(shape)
    return found


def maps_message(shape: Sequence[int]) -> RawPredictions:
    """That there are no predictions, but values with places: channels, rows, columns."""
    channels, height, width = shape
    doc = f"{channels} x {height} x {width} values, of which the target picks one"
    return {"kind": "score", "output": "values", "doc": doc, "items": [], "shape": list(shape)}


def best(output: Tensor, most: int = _MOST) -> list[int]:
    """The indices of the highest scores of one example's output (C,)."""
    return output.detach().to("cpu", torch.float64).argsort(descending=True)[:most].tolist()
