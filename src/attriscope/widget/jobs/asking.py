"""What the Explorer's parts share: what is chosen now, and how it is asked for."""

from __future__ import annotations

from typing import Any, Protocol

from attriscope.widget.jobs.job_widget import JobWidget
from attriscope.widget.state.explorer_state import ExplorerState
from attriscope.widget.state.part import LOCK
from attriscope.widget.state.selection import CustomBaseline, Selection
from attriscope.widget.state.table import ExplorerTraits


class HoldsBaseline(Protocol):
    """Where the user's own baseline is."""

    @property
    def custom(self) -> CustomBaseline | None:
        """The baseline; ``None`` if none was given."""


class Asking(JobWidget, ExplorerTraits):
    """A widget with all traits, which asks its jobs for what they select."""

    _state: ExplorerState
    _validation: HoldsBaseline

    @property
    def choice(self) -> Selection:
        """What is selected, as it is now."""
        return Selection.of(self, self._validation.custom)

    def _ask(self, choice: Selection, about: Any = None) -> None:
        """Work a choice out instead of what was asked for before.

        Args:
            choice: what.
            about: what there is to do besides, with its map: of the choice that was asked for already, this comes after
                all else that is to be done with that.
        """
        with LOCK:
            besides = about is not None and self._state.requested == choice
            self._state.requested = choice
            self._jobs.submit(about or choice, self._page.active, besides=besides)
