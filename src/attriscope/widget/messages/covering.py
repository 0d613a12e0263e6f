"""What covering a region of the picture comes to, as it travels to the page."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from attriscope.widget.messages.class_names import ClassNames
from attriscope.widget.messages.layer_types import (
    ChangedPrediction,
)
from attriscope.widget.messages.predictions import Outputs, best
from attriscope.widget.messages.region_types import RawCovered, Region
from attriscope.widget.messages.types import (
    Amount,
    Request,
)
from attriscope.widget.messages.wire import number


@dataclasses.dataclass(frozen=True)
class Covered:
    """What the model says of the picture, and of it with a region covered by each baseline.

    Attributes:
        pixels: how many the region has.
        before: the explained number.
        after: the same for each baseline, (B,).
        scores: what the model says before, (C,); ``None`` if that is no row of scores.
        scores_after: the same for each baseline, (B, C).
    """

    pixels: int
    before: Tensor
    after: Tensor
    scores: Tensor | None
    scores_after: Tensor | None


def covered_message(
    found: Covered, names: ClassNames, outputs: Outputs, request: Request, region: Region
) -> RawCovered:
    """The explained number and the best classes, before and after: the means over the baselines.

    Args:
        found: what the model says.
        names: of the classes.
        outputs: what the scores are.
        request: what was explained, and by what it is covered.
        region: what is covered.
    """
    before, after = (value.detach().to("cpu", torch.float64).mean() for value in (found.before, found.after))
    message: RawCovered = {
        "request": request,
        "region": region,
        "pixels": found.pixels,
        "before": number(before),
        "after": number(after),
        "cost": number(before - after),
    }
    if found.scores is not None and found.scores_after is not None:
        target = request["target"]
        message["kind"], message["items"] = _changed(found.scores, found.scores_after, names, outputs, target)
    return message


def _changed(
    scores: Tensor, scores_after: Tensor, names: ClassNames, outputs: Outputs, target: object
) -> tuple[Amount, list[ChangedPrediction]]:
    before, each = (one.detach().to("cpu", torch.float64) for one in (scores, scores_after))
    after = each.mean(0)
    chances, chances_after = outputs.probabilities(before), outputs.probabilities(each)
    kind: Amount = "score"
    shown, shown_after = before, after
    if chances is not None and chances_after is not None:
        shown, shown_after, kind = chances, chances_after.mean(0), "probability"
    listed = [*best(before), *best(shown_after)]
    listed += [target] if isinstance(target, int) and 0 <= target < len(before) else []
    return kind, [
        {
            "index": i,
            "label": names.label(i),
            "before": number(shown[i]),
            "after": number(shown_after[i]),
            "before_score": number(before[i]),
            "after_score": number(after[i]),
        }
        for i in dict.fromkeys(listed)
    ]
