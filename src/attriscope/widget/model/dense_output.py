"""What an output with places is, (1, C, H, W): the scores of classes at each pixel, or something else.

A picture, a depth map or a detector's grid has the shape of a segmentation. So what was found is said on the page and
can be changed there, and where it cannot be known it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

# Segmentations have a place for so many pixels along a side, or more places; detectors and backbones have fewer, too.
_COARSEST = 8


def doubt_of(maps: Tensor, picture: Sequence[int]) -> str:
    """What maps (C, H, W) may be rather than scores of classes; empty where nothing speaks against these.

    Args:
        maps: what the model gives for a picture.
        picture: the channels, height and width of that; fewer or more numbers if it is none.
    """
    if len(picture) != 3:
        return "something else, as the input is no picture"
    channels, *size = maps.shape
    if channels == picture[0] and all(side >= of for side, of in zip(size, picture[1:], strict=True)):
        return "a picture again, as a reconstruction is"
    if all(side * _COARSEST < of for side, of in zip(size, picture[1:], strict=True)):
        return f"a grid of {size[0]} x {size[1]} places, as a detector or a layer gives it"
    if channels == 1 and bool((maps >= 0).all()) and bool((maps > 1).any()):
        return "something measured at each pixel, as a depth is"
    return ""


def how_to_say(maps: Tensor, doubt: str) -> str:
    """The error for maps (C, H, W) of which no single number was picked."""
    classes = "a class" if len(maps) == 1 else f"{len(maps)} classes"
    what = f"the model gives {(1, *maps.shape)} for one example"
    pick = (
        "a target that picks one number, such as (channel, row, column) or "
        "lambda output: output[:, 0].mean((1, 2))"
    )
    if not doubt:
        return (
            f"{what}, which output='values' takes for plain values: give {pick}; or say output='segmentation'"
        )
    return (
        f"{what}: are these the scores of {classes} at each pixel, or {doubt}? Say output='segmentation', or give "
        f"class_names, for the former; for the latter say output='values' and give {pick}"
    )
