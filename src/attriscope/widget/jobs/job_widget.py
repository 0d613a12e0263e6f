"""A part whose answers are worked out on a thread of its own: it takes over what the page chooses and asks for.

What runs, and what becomes of it, is :class:`~attriscope.widget.jobs.runner.JobRunner`'s to say.
"""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any, get_args

import traitlets

from attriscope.core.inputs import describe
from attriscope.widget.jobs.runner import JobRunner
from attriscope.widget.jobs.worker import Job
from attriscope.widget.messages import wire
from attriscope.widget.messages.types import Ask
from attriscope.widget.state.page_calls import PageCalls
from attriscope.widget.state.part import LOCK, Part
from attriscope.widget.state.selection import ChoiceError
from attriscope.widget.state.table import ExplorerTraits
from attriscope.widget.state.traits import also

# The longest refused value, as JSON, that is sent back.
_VALUE = 200
# What the page may ask for by a message of its own: names of methods.
_MESSAGES = get_args(Ask)
# What comes with some of them.
_ARGUMENTS = {"explain_pixel": ("row", "column"), "unpin": ("pin",)}


class JobWidget(Part):
    """A part with a job runner.

    Handlers only enqueue, on whatever thread they run. Subclasses say what is to be done in :meth:`_work`, and ask for
    it in :meth:`_follow`.
    """

    status = also(ExplorerTraits.status)
    progress = also(ExplorerTraits.progress)
    message = also(ExplorerTraits.message)
    traceback = also(ExplorerTraits.traceback)
    refused = also(ExplorerTraits.refused)

    def __init__(self, **traits: Any) -> None:
        self._jobs = JobRunner(self, self._work)
        self._page = PageCalls(self._follow)
        self._refusals = 0
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

    # --- what a person can do ---------------------------------------------------------------------------------

    @property
    def error(self) -> BaseException | None:
        """What the latest computation raised; ``None`` if all is well."""
        return self._jobs.error

    def cancel(self) -> None:
        """Stop what is being computed; what is on show stays.

        The page is idle at once. The model is left at the end of the batch it is in; what is asked for next waits for
        that.
        """
        self._jobs.cancel()

    def close(self) -> None:
        """Take it off the page, stop what is being computed, and let go of what was kept."""
        jobs = self.__dict__.get("_jobs")  # not there if the widget was never made
        if jobs is not None:
            jobs.close()
        layout = self.layout if self.comm is not None and self._own_layout else None
        super().close()
        if layout is not None:
            layout.close()

    def __del__(self) -> None:
        jobs = self.__dict__.get("_jobs")
        if jobs is not None:
            jobs.abandon()
        super().__del__()

    def _wait(self, timeout: float | None) -> None:
        if LOCK._is_owned():  # type: ignore[attr-defined]  # an observer that runs while the page is answered
            raise RuntimeError(
                "the Explorer cannot wait while it answers the page: do not call wait() from an observer"
            )
        try:
            if not self._jobs.wait(timeout):
                raise TimeoutError(
                    f"the explanation was not ready after {timeout} s; it goes on: {self.message}"
                )
        except KeyboardInterrupt:
            self.cancel()
            raise
        if self._jobs.error is not None:
            raise self._jobs.error

    # --- messages ---------------------------------------------------------------------------------------------

    def _route_messages(self) -> None:
        # ipykernel 7.4.0 sends a widget's messages to the shell that the widget last answered from, so that Cancel
        # waits for a running cell. Routing by the message's own header is what 7.1 to 7.3 do.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default

    def set_state(self, sync_data: Any) -> None:
        """Take over what the page chose; what cannot be is refused, and the page is told why."""
        with LOCK, self._page.receive():
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

    def _grant(self, name: str) -> None:
        if self.refused.get("trait") == name:
            self.refused = {}

    def _receive(self, widget: Any, content: Any, buffers: Any) -> None:
        kind = content.get("type") if isinstance(content, dict) else None
        asked = getattr(self, kind, None) if isinstance(kind, str) and kind in _MESSAGES else None
        if asked is not None:
            given = [content.get(name) for name in _ARGUMENTS.get(content["type"], ())]
            with self._page.receive(), contextlib.suppress(ChoiceError):
                asked(*given)


def _sent_back(value: Any) -> Any:
    """A refused value as JSON, or a quotation of it if it is long or no JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return describe(value)
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return describe(value)
    return value if len(text) <= _VALUE else text[:_VALUE] + "..."
