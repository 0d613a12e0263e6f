"""Which stage shows the inputs: what a person says, or what their shape says."""

from __future__ import annotations

from typing import Any

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import Examples, describe
from attriscope.widget.stages.pictures import PictureStage, ToImage
from attriscope.widget.stages.stage import MakeStage, Stage
from attriscope.widget.stages.table import TableStage, column_names

# By name, with how many dimensions their inputs have.
_DIMENSIONS = {"picture": 4, "table": 2}
_SHAPES = {"picture": "(N, C, H, W)", "table": "(N, F)"}


def recognised_stage(
    examples: Examples, said: Any, to_image: ToImage | None, feature_names: Any
) -> MakeStage:
    """What makes the stage of one example.

    Args:
        examples: all of them, of which a single tensor is known to be the input.
        said: what a person says: ``"picture"``, ``"table"``, a class that derives from :class:`Stage` or a function of
            an example (1, ...) that gives one; ``None`` asks the shape.
        to_image: see :class:`~attriscope.widget.stages.pictures.PictureStage`.
        feature_names: of the columns of a table.

    Raises:
        InputTypeError, InputError: there is no such stage, it is for inputs of another shape, or what was given is for
            another stage.
    """
    x = examples.tensors[0]
    if said is not None and not isinstance(said, str):
        return _own(said)
    if said is not None and said not in _DIMENSIONS:
        raise InputError(
            f"stage must be one of {', '.join(_DIMENSIONS)}, a Stage of your own or None, but {describe(said)} came"
        )
    by_shape = {count: name for name, count in _DIMENSIONS.items()}
    name = said if said is not None else by_shape.get(x.dim())
    if name is None or x.dim() != _DIMENSIONS[name]:
        raise InputError(_what_is_shown(x, said))
    if name == "picture":
        if feature_names is not None:
            raise InputError("feature_names are of the columns of a table, but the inputs are pictures")
        return lambda example: PictureStage(example, to_image)
    if to_image is not None:
        raise InputError("to_image is for pictures, but the inputs are a table")
    if x.shape[1] == 0:
        raise InputError(f"a table must have columns, but {describe(x)} came")
    names = column_names(feature_names, x.shape[1], examples.frame)
    rows = None if examples.frame is None else [str(name) for name in examples.frame.index]
    framed = examples.frame is not None
    return lambda example: TableStage(example, x, names, rows, framed, feature_names)


def _own(said: Any) -> MakeStage:
    if not callable(said):
        raise InputTypeError(
            "stage must be a name, a class that derives from attriscope.widget.stages.stage.Stage or a function that "
            f"gives one, but {describe(said)} came"
        )

    def make(example: Any) -> Stage:
        found = said(example)
        if not isinstance(found, Stage):
            raise InputTypeError(f"stage must give a Stage, but it gave {describe(found)}")
        found.given = {**found.given, "stage": True}
        return found

    return make


def _what_is_shown(x: Any, said: str | None) -> str:
    """The error for inputs that no stage is for."""
    if said is not None:
        return f"stage={said!r} shows inputs of shape {_SHAPES[said]}, but {describe(x)} came"
    shapes = " or ".join(f"{name}s {shape}" for name, shape in _SHAPES.items())
    hint = {
        1: "; of one row write inputs[None]",
        3: "; of one picture write inputs[None]" if x.dim() == 3 and x.shape[0] in (1, 3, 4) else "",
    }.get(x.dim(), "")
    return f"the Explorer shows {shapes}, but {describe(x)} came{hint}"
