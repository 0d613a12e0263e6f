"""One worker per widget: it does one thing at a time, and of what was asked for only what a later wish has left.

It knows nothing of widgets: that is :class:`~attriscope.widget.jobs.runner.JobRunner`'s to know.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from attriscope.widget.jobs.torch_context import TorchContext

# Seconds that the end of the interpreter waits for a job to notice that it was told to stop.
_PATIENCE = 10.0
_WORKERS: weakref.WeakSet[Worker] = weakref.WeakSet()


class Job:
    """Something to do, which may be told to stop.

    Args:
        run: does it, on the worker's thread.
        about: what it is about.
        torch_context: what torch keeps per thread, for ``run`` to restore; ``None`` takes the present thread's.
        quiet: whether nobody is told of it.
    """

    def __init__(
        self,
        run: Callable[[Job], None],
        about: Any = None,
        torch_context: TorchContext | None = None,
        quiet: bool = False,
    ) -> None:
        self.run = run
        self.quiet = quiet
        self.about = about
        self.torch_context = torch_context or TorchContext.of_caller()
        self.stop = threading.Event()
        self.open = True
        """Whether it still looks for what is asked for meanwhile; set by who runs it."""
        # Handlers run where the notebook wants its replies to go; the job's messages must go there too.
        self.context = contextvars.copy_context()

    def is_set(self) -> bool:
        """Whether it was told to stop (so that a job can be handed to ``control(cancel=...)``)."""
        return self.stop.is_set()


def everything(job: Job) -> bool:
    """All jobs."""
    return True


def nothing(job: Job) -> bool:
    """No job."""
    return False


class Worker:
    """Runs jobs on a thread of its own, which exists only while there is something to do.

    It ends with the interpreter: a thread that is inside torch by then would abort the process. A process that is
    forked off begins without jobs.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        _WORKERS.add(self)
        self.reset()

    def reset(self) -> None:
        """Forget about jobs and the thread, as a process must that was forked off: threads do not come along."""
        self._changed = threading.Condition()
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._thread: threading.Thread | None = None

    @property
    def open(self) -> bool:
        """Whether something that is to be done, or is done now, looks for what is asked for meanwhile."""
        with self._changed:
            return any(job.open and not job.is_set() for job in self._jobs())

    @property
    def busy(self) -> bool:
        """Whether something is running, be it told to stop or not."""
        return self._running is not None

    @property
    def awaited(self) -> bool:
        """Whether something waits that somebody is told of."""
        with self._changed:
            return not all(job.quiet for job in self._waiting)

    def _jobs(self) -> list[Job]:
        return self._waiting if self._running is None else [self._running, *self._waiting]

    def submit(self, job: Job, instead_of: Callable[[Job], bool] = everything) -> None:
        """Do this after what runs and waits already.

        Args:
            job: what.
            instead_of: which of these jobs it takes the place of: what waits is dropped, and what runs is told to stop.
        """
        with self._changed:
            self._drop(instead_of)
            self._waiting.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def cancel(self) -> bool:
        """Drop what waits and tell what runs to stop. Returns whether there was anything."""
        with self._changed:
            busy = not all(job.is_set() for job in self._jobs())
            self._drop(everything)
            self._changed.notify_all()
            return busy

    def drop(self, which: Callable[[Job], bool]) -> None:
        """Drop some of what waits."""
        with self._changed:
            self._waiting = [job for job in self._waiting if not which(job)]
            self._changed.notify_all()

    def _drop(self, which: Callable[[Job], bool]) -> None:
        self._waiting = [job for job in self._waiting if not which(job)]
        if self._running is not None and which(self._running):
            self._running.stop.set()

    def end(self, timeout: float) -> None:
        """Stop, and wait at most so many seconds until the thread has."""
        thread = self._thread
        self.cancel()
        if thread is not None:
            thread.join(timeout)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until there is nothing to do. Returns whether that came to pass in ``timeout`` seconds."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a job cannot wait for itself: do not call wait() from an observer")
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs(), timeout)

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._thread = None
                    self._changed.notify_all()
                    return
                job = self._running = self._waiting.pop(0)
            try:
                job.context.run(job.run, job)
            except BaseException:  # reported as of any thread; the next job has nothing to do with it
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
            finally:
                with self._changed:
                    self._running = None
                    self._changed.notify_all()


@atexit.register
def _end_all() -> None:
    for worker in list(_WORKERS):
        worker.end(_PATIENCE)


def _reset_all() -> None:
    for worker in list(_WORKERS):
        worker.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
