"""What stands between page and worker: wishes come in, one job answers the latest, and its results go out."""

from __future__ import annotations

import contextlib
import json
import math
import threading
import traceback
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import torch
import traitlets

from attriscope.core.errors import Cancelled
from attriscope.core.inputs import describe
from attriscope.core.progress import control
from attriscope.widget.jobs.torch_context import TorchContext
from attriscope.widget.jobs.worker import Job, Worker
from attriscope.widget.messages import wire
from attriscope.widget.messages.types import Message
from attriscope.widget.state.part import Part
from attriscope.widget.state.selection import ChoiceError
from attriscope.widget.state.table import ExplorerTraits
from attriscope.widget.state.traits import also

# Seconds: one batch of interactive work.
_BATCH_SECONDS = 0.1
# The longest refused value, as JSON, that is sent back.
_VALUE = 200


class JobWidget(Part):
    """A part whose answers are worked out on a thread of its own, the latest wish first.

    Handlers only enqueue, on whatever thread they run. Subclasses say what is to be done in :meth:`_work`, start it
    with :meth:`_submit`, and hand results over with :meth:`_publish`.
    """

    status = also(ExplorerTraits.status)
    progress = also(ExplorerTraits.progress)
    message = also(ExplorerTraits.message)
    refused = also(ExplorerTraits.refused)

    _closed = False

    def __init__(self, **traits: Any) -> None:
        self._worker = Worker("attriscope-explorer")
        self._surroundings = TorchContext.of_caller()
        # The threads that carry out what the page wishes, and those of them that still hear what that is.
        self._for_pages: set[int] = set()
        self._gatherers: set[int] = set()
        self._refusals = 0
        self._error: BaseException | None = None
        self._own_layout = "layout" not in traits
        super().__init__(**traits)
        self._route_messages()
        self.on_msg(self._receive)
        self.comm.on_close(lambda message: self.close())  # nobody looks any more

    def _work(self, job: Job) -> str:
        """What a job does. Returns what to say when it is done."""
        raise NotImplementedError

    def _follow(self) -> None:
        """Ask for what is chosen now, unless it was asked for."""

    @property
    def _gathering(self) -> bool:
        """Whether this thread takes over wishes of the page, of which more may follow at once."""
        return threading.get_ident() in self._gatherers

    # --- what a person can do ---------------------------------------------------------------------------------

    @property
    def error(self) -> BaseException | None:
        """What the latest computation raised; ``None`` if all is well."""
        return self._error

    def cancel(self) -> None:
        """Stop what is being computed; what is on show stays.

        The page is idle at once. The model is left at the end of the batch it is in; what is asked for next waits for
        that.
        """
        self._worker.cancel()  # at once, whoever has the lock
        with self._lock:
            self._worker.cancel()  # and what was asked for since, lest it ran on under "cancelled"
            if self.status == "running":
                with self.hold_sync():
                    self.status, self.message = "cancelled", "Cancelled"

    def close(self) -> None:
        """Take it off the page, stop what is being computed, and let go of what was kept."""
        self._closed = True
        worker = self.__dict__.get("_worker")  # not there if the widget was never made
        if worker is not None:
            worker.cancel()
        layout = self.layout if self.comm is not None and self._own_layout else None
        super().close()
        if layout is not None:
            layout.close()

    def _wait(self, timeout: float | None) -> None:
        if self._lock._is_owned():  # type: ignore[attr-defined]  # an observer that runs while the page is answered
            raise RuntimeError(
                "the Explorer cannot wait while it answers the page: do not call wait() from an observer"
            )
        try:
            if not self._worker.wait(timeout):
                raise TimeoutError(
                    f"the explanation was not ready after {timeout} s; it goes on: {self.message}"
                )
        except KeyboardInterrupt:
            self.cancel()
            raise
        if self._error is not None:
            raise self._error

    # --- jobs -------------------------------------------------------------------------------------------------

    def _submit(self, about: Any) -> None:
        """Do this next, in the surroundings of whoever last asked from Python: the page has none."""
        if self._closed:
            return
        if threading.get_ident() not in self._for_pages:
            self._surroundings = TorchContext.of_caller()
        with self._lock:
            self._error = None
            waits = "Waiting for the batch that still runs" if self._worker.busy else "Starting"
            # Before anybody hears of it: an observer of these traits may ask for something else, which is then later.
            self._worker.submit(Job(self._run, about, self._surroundings))
            with self.hold_sync():
                self.status, self.progress, self.message = "running", 0.0, waits

    def _publish(self, job: Job, **traits: Any) -> None:
        """Set traits on behalf of a job, in one message, unless it was told to stop: then they are of no use."""
        with self._lock:
            if job.is_set():
                raise Cancelled("superseded")
            with self.hold_sync():
                for name, value in traits.items():
                    setattr(self, name, value)

    def _run(self, job: Job) -> None:
        try:
            # A job that an observer asked for while another one ran begins in that one's context: what goes on in it
            # is not to be reported to the other, which is over.
            with (
                job.surroundings.restored(),
                control(progress=_unheard, cancel=job, batch_seconds=_BATCH_SECONDS),
            ):
                said = self._work(job)
            self._publish(job, status="idle", progress=1.0, message=said)
        except BaseException as error:  # whatever a model raises must neither kill the worker nor go unseen
            if isinstance(error, Cancelled) and job.is_set():
                return  # whoever told the job to stop has said so on the page
            # The frames would keep tensors alive for as long as the error is kept.
            traceback.clear_frames(error.__traceback__)
            with self._lock:
                if not job.is_set():
                    self._error = error
                    with self.hold_sync():
                        self.status, self.message = "error", _told(error)

    # --- messages ---------------------------------------------------------------------------------------------

    def _route_messages(self) -> None:
        # ipykernel 7.4.0 sends a widget's messages to the shell that the widget last answered from, so that Cancel
        # waits for a running cell. Routing by the message's own header is what 7.1 to 7.3 do.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default

    @contextlib.contextmanager
    def _for_page(self) -> Iterator[None]:
        """What happens in here happens because the page wishes it."""
        thread = threading.get_ident()
        if thread in self._for_pages:
            yield
            return
        self._for_pages.add(thread)
        self._gatherers.add(thread)
        try:
            yield
        finally:
            self._gatherers.discard(thread)
            try:
                self._follow()
            finally:
                self._for_pages.discard(thread)

    def set_state(self, sync_data: Any) -> None:
        """Take over what the page wishes for; what cannot be is refused, and the page is told why."""
        with self._lock, self._for_page():
            super().set_state(sync_data)

    def _refuse(self, name: str, value: Any, refused: traitlets.TraitError) -> None:
        self._refusals += 1
        about = refused if isinstance(refused, ChoiceError) else ChoiceError("", value=value)
        self.refused = {
            "trait": name,
            "method": about.method,
            "name": about.name,
            "value": _sent_back(about.value if about.method else value),
            "reason": wire.short(str(refused)),
            "count": self._refusals,
        }

    def _granted(self, name: str) -> None:
        if self.refused.get("trait") == name:
            self.refused = {}

    def _receive(self, widget: Any, content: Any, buffers: Any) -> None:
        kind = content.get("type") if isinstance(content, dict) else None
        asked = getattr(self, kind, None) if isinstance(kind, str) and kind in _MESSAGES else None
        if asked is not None:
            with self._for_page(), contextlib.suppress(ChoiceError):
                asked()


# What the page may ask for by a message of its own: names of methods.
_MESSAGES = get_args(get_type_hints(Message)["type"])


def _unheard(done: int, total: int) -> None:
    """Progress that nobody asked about."""


def _told(error: BaseException) -> str:
    """What went wrong, and what may help."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error):
        said += "\nThere is not enough memory for one row; a smaller picture or another device may do."
    return said


def _sent_back(value: Any) -> Any:
    """A refused value as JSON, or a quotation of it if it is long or no JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return describe(value)
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return describe(value)
    return value if len(text) <= _VALUE else text[:_VALUE] + "..."
