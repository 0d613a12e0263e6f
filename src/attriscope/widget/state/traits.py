"""Kinds of traits, and how a row of the table (:mod:`attriscope.widget.state.table`) is written."""

from __future__ import annotations

import copy
import math
import numbers
from collections.abc import Callable
from typing import Any, Literal, NoReturn, TypeVar

import traitlets

from attriscope.core.inputs import describe

T = TypeVar("T")


class Number(traitlets.Float):
    """A float that is a number: NaN passes every bound, and JSON knows neither it nor infinity."""

    def validate(self, obj: Any, value: Any) -> Any:
        if isinstance(value, bool) or not _finite(value):
            self.error(obj, value, info=f"a number, but {describe(value)} came")
        # As numpy and torch have them, too.
        return super().validate(obj, value if value is None or isinstance(value, str) else float(value))

    def error(self, obj: Any, value: Any, error: Any = None, info: str | None = None) -> NoReturn:
        raise traitlets.TraitError(f"{self.name} must be {info or f'a number, but {describe(value)} came'}")


def _finite(value: Any) -> bool:
    try:
        return value is None or math.isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False


class OneOf(traitlets.Enum):
    """One of some names."""

    def __init__(self, values: Any, default_value: str, **more: Any) -> None:
        super().__init__(values, default_value, **more)

    def error(self, obj: Any, value: Any, error: Any = None, info: str | None = None) -> NoReturn:
        raise traitlets.TraitError(
            f"{self.name} must be one of {', '.join(map(str, self.values or ()))}, but {describe(value)} came"
        )

    def validate(self, obj: Any, value: Any) -> Any:
        if not isinstance(value, str):  # a list would be looked for among the names, too
            self.error(obj, value)
        return super().validate(obj, value)


class Checked(traitlets.Any):
    """Anything that its validator lets pass; of ``None`` it is asked, too."""

    allow_none = False


class Limit(Number):
    """A number above 0."""

    def validate(self, obj: Any, value: Any) -> Any:
        found = super().validate(obj, value)
        if found is not None and not found > 0:
            raise traitlets.TraitError(f"{self.name} must be a number above 0 or None, but {value!r} came")
        return found


class BlockSide(traitlets.Int):
    """A whole number of pixels, at least 1."""

    def validate(self, obj: Any, value: Any) -> Any:
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if value is not None and (not whole or value < 1):
            raise traitlets.TraitError(
                f"{self.name} must be a whole number of pixels from 1 on or None, but {describe(value)} came"
            )
        return None if value is None else int(value)


def filled_by(make: Callable[[], Any], trait: Any) -> Any:
    """A trait that is at first what a function returns, anew for each widget."""
    trait.default_value, trait.make_dynamic_default = traitlets.Undefined, make
    return trait


def kernel_trait(
    trait: Any = None,
    *,
    requested: bool | str = False,
    answers: tuple[str, ...] = (),
    cleared_with: Literal["example", "model"] | None = None,
) -> Any:
    """A row that the kernel writes and the page only reads.

    Args:
        trait: its kind and default; ``None`` for a message, at first an empty one.
        requested: see :func:`shared_trait`.
        answers: for a result, the requested traits that it says it answers: when one of these changes, it is stale.
        cleared_with: what a result does not outlive: that its example is on show, or also that the model is as it was
            when it was run to see what it is made of.
    """
    trait = traitlets.Dict() if trait is None else trait
    return trait.tag(sync=True, page=False, requested=requested, answers=answers, cleared_with=cleared_with)


def shared_trait(trait: Any, *, requested: bool | str = False, **metadata: Any) -> Any:
    """A row that both sides write.

    Args:
        trait: its kind and default.
        requested: whether it is part of a request, so that a change asks the kernel for a new answer. A text is its
            type there, in Python, where that is another.
        **metadata: ``rank``: of several in one message, those of a higher rank are taken over later; ``page_type``: its
            type on the page, in Python, where it is annotated with more than that; ``names``: the trait that holds what
            it names, without which it means nothing.
    """
    return trait.tag(sync=True, page=True, requested=requested, answers=(), cleared_with=None, **metadata)


def also(row: T) -> T:
    """The same row for a part of the page that stands alone."""
    return copy.deepcopy(row)


def baseline_names(baseline: Any) -> Any:
    """A baseline, or several, by their names: a tensor is "custom"."""
    if isinstance(baseline, list):
        return [baseline_names(one) for one in baseline]
    return baseline if isinstance(baseline, str) else "custom"
