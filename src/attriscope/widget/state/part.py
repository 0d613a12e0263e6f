"""What the page bundle draws: the base of the Explorer and of the parts that stand alone.

It takes over what the page chooses; which traits the page may write is said by the table
(:mod:`~attriscope.widget.state.table`).
"""

from __future__ import annotations

import os
import pathlib
import threading
from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets
from ipywidgets.widgets.widget import JUPYTER_WIDGETS_ECHO, _remove_buffers

from attriscope.widget.state.table import ExplorerTraits
from attriscope.widget.state.traits import also

# For each update of several traits. It is one for all widgets, because observers link them with each other: with a lock
# for each, two threads could wait for one another.
LOCK = threading.RLock()

_STATIC = pathlib.Path(__file__).parents[1] / "static"


def _bundled(name: str) -> Any:
    """Part of the page bundle.

    Given a path, anywidget keeps every widget alive for good, for the sake of reloading the file when it changes. So it
    gets the text, unless that is asked for.
    """
    path = _STATIC / name
    return path if os.environ.get("ANYWIDGET_HMR") == "1" else path.read_text(encoding="utf-8")


class Part(anywidget.AnyWidget):
    """Something that the page bundle draws; ``_part`` says what.

    Messages come and answers go on whatever thread: ``LOCK`` guards each update of several traits.
    """

    _esm = _bundled("widget.js")
    _css = _bundled("widget.css")
    _part = also(ExplorerTraits._part)
    _live = also(ExplorerTraits._live)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled: it belongs to a page and to this process; make "
            "another one from the model and the inputs"
        )

    def set_state(self, sync_data: Any) -> None:
        """Take over what the page chose; what cannot be is refused, and the page is told what holds.

        Unlike the inherited one it does not hold notifications back, which is done by exchanging a method of the
        widget: what a cell sets at the same moment would go unnoticed.
        """
        if not isinstance(sync_data, Mapping):
            return
        traits = self.traits(page=True)
        chosen = {name: value for name, value in sync_data.items() if name in traits}
        with LOCK:
            if JUPYTER_WIDGETS_ECHO and chosen:  # the page waits for this before it believes anything else
                state, paths, buffers = _remove_buffers(dict(chosen))
                self._send({"method": "echo_update", "state": state, "buffer_paths": paths}, buffers=buffers)
            with self._lock_property(**chosen):
                for name in sorted(chosen, key=lambda name: traits[name].metadata.get("rank", 0)):
                    self._take_over(name, chosen[name])

    def _take_over(self, name: str, value: Any) -> None:
        try:
            self.set_trait(name, self._from_page(name, value))
        except traitlets.TraitError as refused:
            self._refuse(name, value, refused)
        else:
            self._grant(name)
        if self.get_state(name)[name] != value:  # refused, or the same in other words
            self.send_state(name)

    def _from_page(self, name: str, value: Any) -> Any:
        """What a value of the page stands for."""
        return value

    def _refuse(self, name: str, value: Any, refused: traitlets.TraitError) -> None:
        """Say why a value was not taken over."""

    def _grant(self, name: str) -> None:
        """Nothing stands against this trait's value any more."""

    def notify_change(self, change: Any) -> None:
        """Tell the page, one thread at a time, and then whoever observes."""
        name = change["name"]
        if self.comm is not None and getattr(self.comm, "kernel", True) is not None and name in self.keys:
            with LOCK:
                if self._should_send_property(name, getattr(self, name)):
                    self.send_state(key=name)
        traitlets.HasTraits.notify_change(self, change)
