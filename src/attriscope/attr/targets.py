"""Targets beyond the index of a class: a class of a segmentation, a box of a detector, likeness to another picture.

Each is a function of the model's output that gives one number per example, as every ``target`` may be. A class of a
segmentation and a box are those that the model finds in one picture: they are for that picture, and for what methods
make of it on their way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError, TargetError
from attriscope.core.inputs import as_tuple, describe
from attriscope.core.passes import one_pass
from attriscope.core.pytree import flatten
from attriscope.core.target import scores_in

Boxes = Callable[[Any], Sequence[Sequence[Sequence[Any]]]]
"""Finds the boxes in a model's output: for each example a list of (x0, y0, x1, y1, label, score)."""

# Boxes that overlap by this share of what they cover together are one and the same.
_SAME = 0.5


# --- segmentation -------------------------------------------------------------------------------------------------


def pixel_scores(output: Any) -> Tensor | None:
    """The scores of a segmentation of one picture, (C, H, W); ``None`` if the output is none."""
    try:
        scores = scores_in(output)
    except TargetError:
        return None
    if scores.dim() != 4 or len(scores) != 1 or not scores.numel() or scores.is_complex():
        return None
    return scores.detach()[0]


def predicted(scores: Tensor) -> Tensor:
    """Where each class is predicted, by scores (N, C, H, W): true or false, of the same shape.

    At each pixel that is the class with the highest score. Of a single class it is where its score is above zero, or
    above a half if all scores lie between 0 and 1.
    """
    if scores.shape[1] == 1:
        shares = bool(((scores >= 0) & (scores <= 1)).all())
        return scores > (0.5 if shares else 0.0)
    best = scores.argmax(1, keepdim=True)
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, best, True)


@dataclasses.dataclass(frozen=True, eq=False)
class ClassRegion:
    """The score of a class, added up over some pixels. See :func:`class_region`.

    Attributes:
        index: which class.
        mask: which pixels, true or false, (H, W).
        contrast: a class whose score is subtracted at each of them; ``None`` for none.
    """

    index: int
    mask: Tensor
    contrast: int | None = None

    def __call__(self, output: Any) -> Tensor:
        scores = scores_in(output)
        where = self.mask.to(scores.device).flatten().nonzero()[:, 0]

        def summed(index: int) -> Tensor:
            return scores[:, index].flatten(1)[:, where].sum(1)

        found = summed(self.index)
        return found if self.contrast is None else found - summed(self.contrast)


def class_region(output: Any, index: int, contrast: int | None = None) -> ClassRegion:
    """As target: the score of a class, summed over the pixels where the model predicts it in one picture.

    The pixels are looked up once, in ``output``, and stay the same whatever a method changes about the picture.

    Args:
        output: what the model gives for the picture: scores (1, C, H, W), alone or in a dict such as torchvision's
            ``{"out": scores, "aux": ...}``. At each pixel the class with the highest score is predicted; a single class
            is where its score is above zero, or above a half if all scores lie between 0 and 1.
        index: which class.
        contrast: a class whose score at the same pixels is subtracted.

    Raises:
        InputError: that is no segmentation of one picture, or the class is predicted nowhere.
        TargetError: there is no such class.

    Example::

        region = attr.targets.class_region(model(picture), 8)
        attr.IntegratedGradients(model).attribute(picture, target=region)
    """
    scores = pixel_scores(output)
    if scores is None:
        raise InputError(
            f"output must hold the scores (1, C, H, W) of one picture's pixels, but {describe(output)} came"
        )
    for one in (index, *(() if contrast is None else (contrast,))):
        if not -len(scores) <= one < len(scores):
            raise TargetError(f"there is no class {one}: the model has classes 0 to {len(scores) - 1}")
    mask = predicted(scores[None])[0, index]
    if not bool(mask.any()):
        raise InputError(
            f"class {index} is predicted at no pixel of this picture, so there is no region to explain; take a class "
            "that is, or one pixel: target=(class, row, column)"
        )
    return ClassRegion(index % len(scores), mask, contrast)


# --- detection ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Box:
    """A box that a detector found.

    Attributes:
        corners: x0, y0, x1, y1, in pixels of the picture.
        label: what is in it, as the model says.
        score: how sure it is, one number.
    """

    corners: tuple[float, float, float, float]
    label: Any
    score: Tensor

    def overlap(self, other: Box) -> float:
        """The share that two boxes have in common of what they cover together."""
        a, b = self.corners, other.corners
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        common = max(0.0, width) * max(0.0, height)
        both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
        return common / both if both > 0 else 0.0


def boxes_in(boxes: Boxes, output: Any) -> list[list[Box]]:
    """The boxes of each example in a model's output.

    Raises:
        InputTypeError: ``boxes`` gives something else than lists of (x0, y0, x1, y1, label, score) for each example.
    """
    found = boxes(output)
    if not isinstance(found, list | tuple) or not all(isinstance(row, list | tuple) for row in found):
        raise InputTypeError(
            "boxes must give a list with, for each example, a list of boxes (x0, y0, x1, y1, label, score), but gave "
            + describe(found)
        )
    return [_boxes_of_row(row) for row in found]


def _boxes_of_row(row: Sequence[Any]) -> list[Box]:
    for one in row:
        if not isinstance(one, list | tuple) or len(one) != 6:
            hint = "; one example's boxes stand in a list, too: [[...]]" if len(row) == 6 else ""
            raise InputTypeError(
                f"each box must be (x0, y0, x1, y1, label, score), but boxes gave {describe(one)}{hint}"
            )
        if not isinstance(one[5], Tensor) or one[5].numel() != 1:
            raise InputTypeError(
                "the score of each box must be a tensor of one number, out of the model's output, so that it can be "
                f"explained, but boxes gave {describe(one[5])}"
            )
    given = [value for one in row for value in one[:4]]
    placed = [value if isinstance(value, Tensor) else torch.tensor(value, device="cpu") for value in given]
    corners = [value.detach().double().reshape(()) for value in placed]
    # One transfer for all of them.
    numbers = torch.stack([value.to(corners[0].device) for value in corners]).tolist() if corners else []
    return [
        Box(
            (numbers[4 * i], numbers[4 * i + 1], numbers[4 * i + 2], numbers[4 * i + 3]),
            one[4].item() if isinstance(one[4], Tensor) else one[4],
            one[5].reshape(()),
        )
        for i, one in enumerate(row)
    ]


@dataclasses.dataclass(frozen=True, eq=False)
class BoxScore:
    """The score of a box that was found in a picture. See :func:`box_score`.

    Attributes:
        boxes: finds boxes in a model's output.
        box: which one is explained.
    """

    boxes: Boxes
    box: Box

    def __call__(self, output: Any) -> Tensor:
        nothing = _nothing(output)
        return torch.stack([self._score(row, nothing) for row in boxes_in(self.boxes, output)])

    def _score(self, row: list[Box], nothing: Tensor) -> Tensor:
        alike = [(self.box.overlap(one), one) for one in row if one.label == self.box.label]
        overlap, nearest = max(alike, key=lambda pair: pair[0], default=(0.0, self.box))
        return nearest.score if overlap >= _SAME else nothing.to(self.box.score)


def _nothing(output: Any) -> Tensor:
    """Zero, as a function of the output: where a box is not found, its score is no constant that autograd refuses."""
    leaves, _ = flatten(output)
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    empty = [tensor.flatten()[:0].sum() for tensor in tensors if tensor.requires_grad]
    # Without any it is moved to where the box is.
    return sum(empty[1:], empty[0]) if empty else torch.zeros((), device="cpu")


def box_score(boxes: Boxes, output: Any, index: int) -> BoxScore:
    """As target: the score of a box that a detector finds in one picture.

    What methods change about a picture moves its boxes and makes some come and go. The box is followed like this: of
    the boxes with the same label, the one that overlaps the box of the picture itself most counts as the same, if the
    two have at least half in common of what they cover together; where there is none, the score is 0.

    Args:
        boxes: a function of the model's output that gives, for each example, a list of
            (x0, y0, x1, y1, label, score): pixels of the picture, and a score that is part of the output, for autograd.
        output: what the model gives for the picture.
        index: which of its boxes.

    Raises:
        InputTypeError: ``boxes`` gives something else.
        TargetError: there is no such box.

    Example::

        def boxes(output):  # of a detector of torchvision
            return [
                [(*box, int(label), score) for box, label, score in zip(o["boxes"], o["labels"], o["scores"])]
                for o in output
            ]

        target = attr.targets.box_score(boxes, model(picture), 0)
        attr.Saliency(model).attribute(picture, target=target)
    """
    rows = boxes_in(boxes, output)
    if len(rows) != 1:
        raise InputError(f"output must be that of one picture, but boxes finds {len(rows)} in it")
    if not 0 <= index < len(rows[0]):
        known = f"boxes 0 to {len(rows[0]) - 1}" if rows[0] else "no box"
        raise TargetError(f"there is no box {index}: the model finds {known} in this picture")
    box = rows[0][index]
    return BoxScore(boxes, dataclasses.replace(box, score=box.score.detach()))


# --- likeness -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Similarity:
    """How alike the model's output is to what it gave for another picture. See :func:`similarity_to`.

    Attributes:
        reference: what it gave, as one row.
        name: what the Explorer calls it.
    """

    reference: Tensor
    name: str = "similarity to your picture"

    def __call__(self, output: Any) -> Tensor:
        found = scores_in(output).flatten(1)
        return torch.nn.functional.cosine_similarity(found, self.reference.to(found), dim=1)


def similarity_to(
    model: Callable[..., Any],
    other: Tensor,
    additional_forward_args: Any = None,
    name: str = "similarity to your picture",
) -> Similarity:
    """As target: the cosine similarity of the model's output, an embedding, with that of another picture.

    Args:
        model: gives an embedding (N, D); more dimensions are taken as one.
        other: the other picture, (1, C, H, W). The model sees it once, now: with other weights, make another target.
        additional_forward_args: what else the model takes, a value or a tuple.
        name: what the Explorer calls it.

    Raises:
        InputError: the model gives something else than one row for it.

    Example::

        target = attr.targets.similarity_to(model, other)
        attr.IntegratedGradients(model).attribute(picture, target=target)
    """
    more = () if additional_forward_args is None else as_tuple(additional_forward_args)
    with one_pass(model, False):
        found = scores_in(model(other, *more))
    if found.dim() < 2 or len(found) != 1:
        raise InputError(
            f"the model must give one embedding (1, D) for the other picture, but it gives shape {tuple(found.shape)}"
        )
    return Similarity(found.detach().flatten(1).clone(), name)
