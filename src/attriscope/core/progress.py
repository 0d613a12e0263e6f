"""Watching and stopping a computation from outside, whatever method runs inside. Public as ``attriscope.control``."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator
from typing import Protocol

from attriscope.core.errors import Cancelled


class Stoppable(Protocol):
    """Anything with ``is_set``, such as ``threading.Event``."""

    def is_set(self) -> bool: ...


@dataclasses.dataclass(frozen=True)
class Control:
    """How the computations below a :func:`control` block report, stop and cut their work."""

    progress: Callable[[int, int], None] | None = None
    cancel: Stoppable | None = None
    batch_seconds: float | None = None
    independent_rows: bool | None = None

    def check(self) -> None:
        """Raise :class:`Cancelled` if the computation was asked to stop."""
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled("the computation was cancelled")

    def report(self, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` rows have gone through the model."""
        if self.progress is not None:
            self.progress(done, total)


_NOTHING = Control()
_current: contextvars.ContextVar[Control] = contextvars.ContextVar("attriscope_control", default=_NOTHING)


def current() -> Control:
    """The control in force in this thread."""
    return _current.get()


@contextlib.contextmanager
def control(
    progress: Callable[[int, int], None] | None = None,
    cancel: Stoppable | None = None,
    batch_seconds: float | None = None,
    independent_rows: bool | None = None,
) -> Iterator[Control]:
    """Watch and stop every computation of this library in the block, also inside methods of your own.

    Args:
        progress: called with ``(done, total)``, in rows (examples sent through the model), after each batch.
        cancel: an object with ``is_set()``, such as ``threading.Event``. Once set, the computation raises
            :class:`~attriscope.core.errors.Cancelled` at the next batch boundary.
        batch_seconds: the longest time one batch should take, in seconds; it is met as closely as whole rows
            allow. ``None`` (default) sets no limit.
        independent_rows: whether what the model gives for a row is the same whatever other rows are in the batch.
            ``None`` (default) finds out, with four more steps the first time that a model is seen; ``False`` runs each
            step by itself, with exactly the examples that were given, as a graph network needs it.

    What is not given is taken over from an enclosing block.

    Example::

        stop = threading.Event()
        with attriscope.control(progress=lambda done, total: print(done, "of", total), cancel=stop):
            attributions = IntegratedGradients(model).attribute(x, target=3)
    """
    outer = _current.get()
    inner = Control(
        progress if progress is not None else outer.progress,
        cancel if cancel is not None else outer.cancel,
        batch_seconds if batch_seconds is not None else outer.batch_seconds,
        independent_rows if independent_rows is not None else outer.independent_rows,
    )
    token = _current.set(inner)
    try:
        yield inner
    finally:
        _current.reset(token)


class Parts:
    """One computation that is made of many, such as a method that calls another one: they are reported as a whole.

    Args:
        count: how many parts there are.

    Attributes:
        rows: how many rows went through the model in all parts so far.
    """

    def __init__(self, count: int) -> None:
        self.rows = 0
        self._count = count
        self._done = self._total = 0

    @contextlib.contextmanager
    def part(self, start: int, stop: int, rows: int) -> Iterator[None]:
        """What runs inside the block is the parts from ``start`` to ``stop``.

        The first batch inside tells how many rows the whole will be. A part may hold several runs through the model;
        what comes after the first cannot be foreseen, so it never makes the whole go back.

        Args:
            start, stop: a range in the number of parts.
            rows: how many rows it stands for if nothing inside reports any.
        """
        outer, share = current(), (stop - start) / self._count
        before, latest = self.rows, 0

        def report(done: int, total: int) -> None:
            nonlocal latest
            self.rows += done - latest
            latest = done if done < total else 0  # then another run may follow
            self._total = self._total or round(total / share)
            self._tell(outer, start / self._count + share * done / total)

        with control(progress=report):
            yield
        self.rows = max(self.rows, before + rows)
        self._total = self._total or round(rows / share)
        self._tell(outer, stop / self._count)

    def _tell(self, outer: Control, share: float) -> None:
        now = round(share * self._total)
        if now > self._done:
            self._done = now
            outer.report(now, self._total)
