"""Random numbers of metrics: drawn when they are needed, and given back if nothing came of it."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from attriscope.attr._random import Draws, check_generator

P = ParamSpec("P")
R = TypeVar("R")

# Of each generator that was drawn from: its state before and after.
_Taken = list[tuple[torch.Generator, Tensor, Tensor]]
_taken: contextvars.ContextVar[_Taken | None] = contextvars.ContextVar(
    "attriscope_metrics_taken", default=None
)


def draws_from(generator: torch.Generator | None) -> Draws:
    """The random numbers of one purpose, for which one number is drawn from ``generator``.

    Raises:
        InputTypeError: it is no ``torch.Generator``.
    """
    source = check_generator(generator) or torch.default_generator
    before = source.get_state()
    found = Draws(generator)
    log = _taken.get()
    if log is not None:
        log.append((source, before, source.get_state()))
    return found


def restores_generators(function: Callable[P, R]) -> Callable[P, R]:
    """A function that leaves generators as they were if it raises, unless others drew from them meanwhile."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        outer, log = _taken.get(), _Taken()
        token = _taken.set(log)
        try:
            found = function(*args, **kwargs)
        except BaseException:
            for source, before, after in reversed(log):
                if torch.equal(source.get_state(), after):
                    source.set_state(before)
            raise
        finally:
            _taken.reset(token)
        if outer is not None:
            outer.extend(log)
        return found

    return wrapped
