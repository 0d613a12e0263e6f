"""Runs what a widget is asked for on a worker's thread, and says on the page how it goes on.

A job's results go out by :meth:`JobRunner.publish`, which a superseded job cannot pass.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable
from typing import Any, Protocol

import torch

from attriscope.core.errors import Cancelled
from attriscope.core.progress import control
from attriscope.widget.jobs.failure import traceback_of
from attriscope.widget.jobs.torch_context import TorchContext
from attriscope.widget.jobs.worker import Job, Worker, nothing
from attriscope.widget.messages.types import Status
from attriscope.widget.state.part import LOCK

# Seconds: one batch of interactive work.
_BATCH_SECONDS = 0.1


class ShowsJobs(Protocol):
    """As much of a widget as its jobs tell the page by."""

    status: Status
    progress: float
    message: str

    def hold_sync(self) -> contextlib.AbstractContextManager[Any]:
        """Traits that are set in here go to the page in one message."""


class JobRunner:
    """One thing at a time: the latest wish, and what was asked for besides.

    Args:
        widget: where jobs are shown.
        work: does a job, and returns what to say when it is done.

    Attributes:
        error: what the latest job raised; ``None`` if all is well.
    """

    def __init__(self, widget: ShowsJobs, work: Callable[[Job], str]) -> None:
        self.error: BaseException | None = None
        self._widget, self._work = widget, work
        self._worker = Worker("attriscope-explorer")
        self._torch_context = TorchContext.of_caller()
        self._notes: list[str] = []
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether something is running, be it told to stop or not."""
        return self._worker.busy

    @property
    def open(self) -> bool:
        """Whether a job is about to look for what is asked for meanwhile, so that another is not needed."""
        return self._worker.open

    def submit(self, about: Any, from_page: bool = False, quiet: bool = False, besides: bool = False) -> None:
        """Do this instead of what was asked for before.

        Args:
            about: what.
            from_page: whether the page asks, which has no state of torch: then it is that of the thread that last
                asked from Python.
            quiet: do it after what runs rather than instead, and say nothing of it unless it fails: how the last job
                that was not quiet has ended is still true.
            besides: do it after what was asked for before, and instead of that only which is of the same kind. If that
                fails or is cancelled, this is not done either.
        """
        if self._closed:
            return
        if not from_page:
            self._torch_context = TorchContext.of_caller()
        with LOCK:
            job = Job(self._run, about, self._torch_context, quiet)
            if quiet:
                self._worker.submit(job, instead_of=nothing)
                return
            if besides and self._widget.status == "running":
                self._worker.submit(job, instead_of=lambda other: isinstance(other.about, type(about)))
                return
            self.error = None
            self._notes = []
            waits = "Waiting for the batch that still runs" if self._worker.busy else "Starting"
            # Before anybody hears of it: an observer of these traits may ask for something else, which is then later.
            self._worker.submit(job)
            self._show(status="running", progress=0.0, message=waits, traceback="")

    def publish(self, job: Job, accept: Callable[[], None] | None = None, **traits: Any) -> None:
        """Set traits on behalf of a job, in one message.

        Args:
            job: which.
            accept: takes note of the result first.
            **traits: by name.

        Raises:
            Cancelled: the job was told to stop, so that its results are of no use.
        """
        with LOCK:
            if job.stop.is_set():
                raise Cancelled("superseded")
            if accept is not None:
                accept()
            self._show(**traits)

    def _show(self, **traits: Any) -> None:
        with self._widget.hold_sync():
            for name, value in traits.items():
                setattr(self._widget, name, value)

    def cancel(self) -> None:
        """Stop what is being computed; what is on show stays. What goes on quietly is not worth stopping."""
        if self._closed:
            self._worker.cancel()
            return
        if self._widget.status == "running":
            self._worker.cancel()  # at once, whoever has the lock
        with LOCK:
            if self._widget.status == "running":
                self._worker.cancel()  # and what was asked for since, lest it ran on under "cancelled"
                self._show(status="cancelled", message="Cancelled")

    def rest(self) -> None:
        """Stop what is being computed: nothing is to be done any more."""
        with LOCK:
            self._worker.cancel()
            self._widget.status = "idle"

    def abandon(self) -> None:
        """Stop for good, saying nothing of it and waiting for no lock.

        The garbage collector may ask for this in any thread, also in one that is just being started by somebody who has
        the lock and waits for it.
        """
        self._closed = True
        self._worker.cancel()

    def close(self) -> None:
        """Stop for good."""
        self.cancel()
        self._closed = True
        self._worker.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until there is nothing to do. Returns whether that came to pass in ``timeout`` seconds."""
        return self._worker.wait(timeout)

    def _run(self, job: Job) -> None:
        try:
            # A job that an observer asked for while another one ran begins in that one's context: what goes on in it
            # is not to be reported to the other, which is over.
            with (
                job.torch_context.restored(),
                control(progress=_unheard, cancel=job, batch_seconds=_BATCH_SECONDS),
            ):
                note = self._work(job)
            if not job.quiet:
                self._end(job, note)
        except BaseException as error:  # whatever a model raises must neither kill the worker nor go unseen
            if isinstance(error, Cancelled) and job.is_set():
                return  # whoever told the job to stop has said so on the page
            # The frames would keep tensors alive for as long as the error is kept.
            traceback.clear_frames(error.__traceback__)
            with LOCK:
                if not job.is_set():
                    self._worker.drop(lambda other: not other.quiet)  # which was to come after this
                    self.error = error
                    self._show(status="error", message=_described(error), traceback=traceback_of(error))

    def _end(self, job: Job, note: str) -> None:
        """Say that it is done, unless something else that was asked for is still to come."""
        with LOCK:
            self.publish(job, lambda: self._notes.append(note))
            if not self._worker.awaited:
                said = dict.fromkeys(filter(None, self._notes))
                self.publish(job, status="idle", progress=1.0, message=" ".join(said))


def _unheard(done: int, total: int) -> None:
    """Progress that nobody asked about."""


def _described(error: BaseException) -> str:
    """What went wrong, and what may help."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error):
        text += "\nThere is not enough memory for one row; a smaller picture or another device may do."
    return text
