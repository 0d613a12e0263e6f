"""What a model gives for one example, read: a row of scores, the scores of pixels, boxes, or something else.

What is explained of a segmentation or a detector depends on the picture: :meth:`Answer.picked` says what picks it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from attriscope.attr import targets
from attriscope.attr.targets import Box, Boxes, BoxScore
from attriscope.core.errors import InputError, TargetError
from attriscope.core.target import scores_in
from attriscope.widget.messages.class_names import ClassNames
from attriscope.widget.messages.predictions import best
from attriscope.widget.messages.types import Output
from attriscope.widget.methods.arguments import CodeValue
from attriscope.widget.model.dense_output import doubt_of, how_to_say
from attriscope.widget.model.output_kind import scores_of
from attriscope.widget.state.selection import PickedOutput, Selection

# What most people call what is no thing: nobody asks for it first.
_BACKGROUND = {"background", "unlabeled", "unlabelled", "void"}


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model gives for one example.

    Attributes:
        scores: a row of them, (C,).
        in_row: whether they came as a row (1, C).
        maps: numbers with places, (C, H, W), whatever they are.
        pixels: of a segmentation the same: the scores of classes.
        doubt: what they may be instead, where nobody has said.
        boxes: of a detector, what finds boxes in its output; ``None`` for what is none.
        found: those of the example.
    """

    scores: Tensor | None = None
    in_row: bool = True
    maps: Tensor | None = None
    pixels: Tensor | None = None
    doubt: str = ""
    boxes: Boxes | None = None
    found: Sequence[Box] = ()

    def read_as(self, said: Output, named: bool, picture: Sequence[int]) -> Answer:
        """The same, with maps taken for what they are said to be, or found to be.

        Args:
            said: what a person says.
            named: whether there are names of classes.
            picture: the channels, height and width of the picture.
        """
        if self.maps is None:
            return self
        doubt = "" if named or said != "auto" else doubt_of(self.maps, picture)
        pixels = None if doubt or said == "values" else self.maps
        return dataclasses.replace(self, pixels=pixels, doubt=doubt)

    def check(self, selection: Selection) -> None:
        """See that what is said of it can be, and that one number is picked.

        Raises:
            InputError: it is said to be a segmentation and has no places, or it may be something else than one.
            TargetError: there is no such class.
        """
        if self.maps is None and selection.output == "segmentation":
            raise InputError(
                "output='segmentation' is said of scores of pixels (N, C, H, W), which the model does not give"
            )
        whole = self.maps is not None and self.pixels is None
        if whole and (selection.target is None or isinstance(selection.target, int)):
            assert self.maps is not None
            raise InputError(how_to_say(self.maps, self.doubt))
        if self.scores is None or self.boxes is not None:
            return
        count = len(self.scores)
        for what, index in (("target", selection.target), ("contrast", selection.contrast)):
            if isinstance(index, int) and not -count <= index < count:
                raise TargetError(out_of_range(what, index, count))

    def counted(self, target: Any, name: str | None, names: ClassNames) -> Any:
        """The target as an index from 0 on, where it is a class that was counted from the end, or named.

        Args:
            target: what was chosen.
            name: the name it was chosen by; ``None`` if it was not.
            names: those of the classes, for this answer.

        Raises:
            TargetError: of two names for one output it is that of which the output does not tell.
        """
        if not isinstance(target, int) or self.boxes is not None:
            return target
        if name is not None and names.outputs == 1 and names.binary:
            only = names.label(0)
            if name.strip().casefold() != only.strip().casefold():
                raise TargetError(
                    f"the model's one output tells of {only!r}, so {name!r} has none to explain: leave target out, and "
                    f"what speaks against {only!r} speaks for {name!r}"
                )
            return 0
        return target + self.classes if target < 0 and self.classes else target

    @property
    def classes(self) -> int | None:
        """How many classes there are to choose from; ``None`` if there are none, or one."""
        if self.pixels is not None:
            return len(self.pixels)
        return None if self.scores is None or len(self.scores) < 2 else len(self.scores)

    @property
    def told(self) -> Tensor | None:
        """What there is to tell of each class or box: its score, or of a segmentation its share of the pixels."""
        if self.pixels is not None:
            return shares(self.pixels[None])[0]
        if self.boxes is not None:
            return torch.stack([box.score for box in self.found]) if self.found else None
        return self.scores

    @property
    def corners(self) -> list[tuple[float, float, float, float]]:
        """Of each box, x0, y0, x1, y1."""
        return [box.corners for box in self.found]

    def beside(self, run: Callable[[], Any]) -> tuple[Tensor, Tensor]:
        """What there is to tell of each class, here and in another output of the model, which is run for it.

        Raises:
            InputError: there are no classes.
        """
        intact = None if self.boxes is not None else self.told
        if intact is None:
            raise InputError("the model gives no row of scores, so there are no predictions to change")
        changed = scores_in(run())
        return intact, changed.reshape(-1) if self.pixels is None else shares(changed)[0]

    @property
    def likeliest(self) -> list[int]:
        """The classes, or boxes, that are told of first."""
        told = self.told
        return [] if told is None else [i for i in best(told) if self.pixels is None or told[i] > 0]

    def best(self, names: ClassNames) -> int | None:
        """What is explained where nobody chose: the highest score, the largest class but the background."""
        told = self.told
        if told is None or (self.scores is not None and len(told) < 2):
            return None
        if self.pixels is None:
            return int(told.argmax())
        return largest(told, names)

    def names(self, names: ClassNames) -> ClassNames:
        """What the classes, or boxes, of this answer are called.

        Raises:
            InputError: the names do not fit.
        """
        if self.boxes is None:
            told = self.told
            return names.of(None if told is None else len(told))
        labels = [self._label(names, box.label) for box in self.found]
        return ClassNames(dict(enumerate(labels)), outputs=len(labels) or None)

    @staticmethod
    def _label(names: ClassNames, label: Any) -> str:
        return str(label) if isinstance(label, str) else names.by_index.get(label, f"class {label}")

    def class_at(self, row: int, column: int, size: Sequence[int]) -> list[int]:
        """As target, the class that is predicted at a pixel of a picture of this size: (class, row, column).

        The last two count the pixels of the model's output, which may have fewer than the picture.

        Raises:
            InputError: the model gives no scores of pixels, or there is no such pixel.
        """
        if self.pixels is None:
            raise InputError("the model gives no scores of pixels, so no pixel can be explained by itself")
        if not (0 <= row < size[0] and 0 <= column < size[1]):
            raise InputError(
                f"there is no pixel {(row, column)} in a picture of {tuple(size)} rows and columns"
            )
        height, width = self.pixels.shape[1:]
        y, x = (2 * row + 1) * height // (2 * size[0]), (2 * column + 1) * width // (2 * size[1])
        return [int(self.pixels[:, y, x].argmax()), y, x]

    def picked(self, selection: Selection, run: CodeValue, finder: str = "boxes") -> PickedOutput | None:
        """What picks the explained number, where that depends on the picture; ``None`` where the target says it all.

        Args:
            selection: what is explained.
            run: the output of the model for the example, and the Python that makes it.
            finder: the Python that finds boxes.

        Raises:
            InputError: the class is predicted nowhere.
            TargetError: there is no such class or box.
        """
        index = selection.target
        if not isinstance(index, int) or (self.pixels is None and self.boxes is None):
            return None
        if self.boxes is not None:
            if not 0 <= index < len(self.found):
                known = f"boxes 0 to {len(self.found) - 1}" if self.found else "no box"
                raise TargetError(f"there is no box {index}: the model finds {known} in this picture")
            code = f"targets.box_score({finder}, output, {index})"
            return PickedOutput(BoxScore(self.boxes, self.found[index]), code, run.before)
        contrast = "" if selection.contrast is None else f", {selection.contrast}"
        code = f"targets.class_region(output, {index}{contrast})"
        assert self.pixels is not None
        region = targets.class_region(self.pixels[None], index, selection.contrast)
        return PickedOutput(region, code, run.before)


def out_of_range(what: str, index: int, count: int) -> str:
    """That a model has no such class."""
    has = f"classes 0 to {count - 1}" if count > 1 else "one output, 0"
    return f"{what} {index} is out of range: the model has {has}"


def answer_of(output: Any, boxes: Boxes | None) -> Answer:
    """What a model gave for one example.

    Args:
        output: what it gave.
        boxes: finds boxes in it, for a detector.

    Raises:
        InputTypeError, InputError: what finds boxes gives something else.
    """
    if boxes is not None:
        rows = targets.boxes_in(boxes, output)
        if len(rows) != 1:
            raise InputError(f"boxes must give one list for one picture, but gave {len(rows)}")
        found = [dataclasses.replace(box, score=box.score.detach()) for box in rows[0]]
        return Answer(boxes=boxes, found=found)
    scores = scores_of(output)
    if scores is not None:
        return Answer(scores.reshape(-1), scores.dim() == 2)
    return Answer(None, False, targets.pixel_scores(output))


def largest(shares: Tensor, names: ClassNames) -> int:
    """The class with the largest share (C,) of the pixels that is not called background, if there is one."""
    order: list[int] = shares.argsort(descending=True).tolist()
    seen = [i for i in order if bool(shares[i] > 0)]
    things = [i for i in seen if names.label(i).strip("_ ").casefold() not in _BACKGROUND]
    return (things or order)[0]


def shares(scores: Tensor) -> Tensor:
    """The share of the pixels at which each class is predicted, (N, C), by scores (N, C, H, W)."""
    return targets.predicted(scores).flatten(2).double().mean(2)
