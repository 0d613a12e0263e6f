"""What every metric asks of its arguments: numbers within bounds, words out of a list, ascending fractions."""

from __future__ import annotations

import inspect
import itertools
import numbers
from collections.abc import Callable
from typing import Any

from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import describe


def check_choice(value: Any, choices: tuple[str, ...], name: str) -> str:
    """One of some words.

    Raises:
        InputError: it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} must be one of {', '.join(map(repr, choices))}, but {describe(value)} came")
    return value


def check_number(
    value: Any, name: str, low: float, high: float = float("inf"), open_low: bool = False
) -> float:
    """A finite number within bounds.

    Raises:
        InputTypeError, InputError: it is not.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise InputTypeError(f"{name} must be a number, but {describe(value)} came")
    found = float(value)
    if not (low < found if open_low else low <= found) or not found <= high or found == float("inf"):
        begin = "above" if open_low else "at least"
        end = "" if high == float("inf") else f" and at most {high:g}"
        raise InputError(f"{name} must be {begin} {low:g}{end}, but {value!r} came")
    return found


def check_fractions(values: Any, name: str = "fractions") -> tuple[float, ...]:
    """Shares between 0 and 1, ascending.

    Raises:
        InputTypeError, InputError: they are not.
    """
    given = values.tolist() if isinstance(values, Tensor) else values
    if not isinstance(given, list | tuple) or not given:
        raise InputTypeError(f"{name} must be numbers between 0 and 1, but {describe(values)} came")
    found = tuple(check_number(value, name, 0, 1) for value in given)
    if any(a >= b for a, b in itertools.pairwise(found)):
        raise InputError(f"{name} must ascend, but {describe(values)} came")
    return found


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of this name."""
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
