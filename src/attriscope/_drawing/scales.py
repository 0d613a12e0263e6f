"""From attributions to what is drawn: choice of a sign, one scale, and how a colour bar tells it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attriscope.core.errors import InputError

Floats = NDArray[np.float64]


class VisualizeSign(Enum):
    """Which attributions are drawn; figures take the name, such as ``"positive"``, or the member."""

    positive = 1
    absolute_value = 2
    negative = 3
    all = 4


class UnknownName(InputError, KeyError):
    """No such method or sign. Captum raises ``AssertionError`` for some of these and ``KeyError`` for others."""

    __str__ = BaseException.__str__  # a KeyError would quote the whole message


Member = TypeVar("Member", bound=Enum)


def member(kind: type[Member], value: str | Member, argument: str) -> Member:
    """The member of an enum that a user named."""
    if isinstance(value, kind):
        return value
    for one in kind:
        if one.name == value:
            return one
    names = ", ".join(repr(one.name) for one in kind)
    raise UnknownName(f"{argument} must be one of {names}, but {value!r} came")


def as_array(value: ArrayLike, argument: str) -> NDArray[Any]:
    """An array of numbers; tensors of any device and dtype are copied to numpy, without importing torch."""
    tensor: Any = value
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        value = tensor.double() if tensor.is_floating_point() else tensor  # numpy has no bfloat16
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise InputError(f"{argument} must be an array of numbers: {error}") from error
    if array.dtype.kind not in "fiub":
        kind = type(value).__name__ if array.dtype == object else f"an array of {array.dtype}"
        raise InputError(f"{argument} must be an array of numbers, but {kind} came")
    return array


@dataclass(frozen=True)
class Scaled:
    """Attributions as they are drawn.

    Attributes:
        values: the numbers drawn, from -1 (0 without negative ones) to 1; nan where the attribution was not finite.
        unit: the attribution that is drawn as 1: negative for the sign ``negative``, 0 if there is nothing to draw.
        low, high: the extremes of the attributions of the chosen sign, before outliers were clipped.
        sign: which attributions were chosen.
        blanks: how many were not finite.
    """

    values: Floats
    unit: float
    low: float
    high: float
    sign: VisualizeSign
    blanks: int

    @property
    def lowest(self) -> float:
        """The lower end of the scale of ``values``."""
        return -1.0 if self.sign is VisualizeSign.all else 0.0

    @property
    def clipped(self) -> tuple[bool, bool]:
        """Whether values lie beyond the lower and the upper end of the scale."""
        limit = abs(self.unit) * (1 + 1e-9)
        beyond = self.low < -limit, self.high > limit
        return beyond[::-1] if self.unit < 0 else beyond  # the sign "negative" grows downwards

    @property
    def note(self) -> str:
        """What a reader must know and cannot see in the colours; often nothing."""
        notes = []
        if self.unit == 0:
            signed = self.sign in (VisualizeSign.positive, VisualizeSign.negative)
            notes.append(f"no {self.sign.name} attributions" if signed else "all attributions are 0")
        if self.blanks:
            notes.append(f"{self.blanks:,} not finite")
        return ", ".join(notes)


def scale(attributions: Floats, sign: VisualizeSign, outlier_perc: float) -> Scaled:
    """Choose a sign and divide by the scale.

    Sorted by size, the largest attributions that make up ``outlier_perc`` percent of the sum of all sizes are outliers;
    the smallest size among them becomes 1, and larger ones are clipped to it.
    """
    try:
        fits = 0 <= float(outlier_perc) <= 100
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise InputError(f"outlier_perc must be a number from 0 to 100, but {outlier_perc!r} came")
    finite = np.isfinite(attributions)
    chosen = np.where(finite, attributions, 0.0)
    if sign is VisualizeSign.positive:
        chosen = np.maximum(chosen, 0.0)
    elif sign is VisualizeSign.negative:
        chosen = np.minimum(chosen, 0.0)
    elif sign is VisualizeSign.absolute_value:
        chosen = np.abs(chosen)
    unit = _outlier_threshold(np.abs(chosen), 100 - outlier_perc)
    if sign is VisualizeSign.negative:
        unit = -unit
    # Without a unit all are 0 already. The sum turns -0.0, which divides to it, into 0.0.
    values = chosen if unit == 0 else np.clip(chosen / unit, -1.0, 1.0) + 0.0
    low, high = (float(chosen.min()), float(chosen.max())) if chosen.size else (0.0, 0.0)
    return Scaled(np.where(finite, values, np.nan), unit, low, high, sign, int((~finite).sum()))


def _outlier_threshold(sizes: Floats, percent: float) -> float:
    """The smallest size up to which the sizes make up ``percent`` of their sum; 0 only if all are 0."""
    ordered = np.sort(sizes, axis=None)
    ordered = ordered[ordered > 0]
    if not ordered.size:
        return 0.0
    sums = np.cumsum(ordered)
    # In this order of multiplication, exact ties fall where Captum's fall.
    at = np.searchsorted(sums, sums[-1] * 0.01 * percent)
    return float(ordered[min(int(at), ordered.size - 1)])  # rounding may ask for more than the whole sum
