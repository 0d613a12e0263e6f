"""Which threads carry out what the page asks for.

What comes in one message is taken over first (:mod:`~attriscope.widget.state.part`) and answered once; what the page
asks for runs in the torch state of the cell that last asked (:mod:`~attriscope.widget.jobs.runner`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class PageCalls:
    """Whether what happens in a thread happens because the page asked for it.

    Args:
        then: what is done once when all that came in one message has been taken over.
    """

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then
        self._threads: set[int] = set()
        self._receiving: set[int] = set()

    @property
    def active(self) -> bool:
        """Whether this thread carries out what the page asked for."""
        return threading.get_ident() in self._threads

    @property
    def receiving(self) -> bool:
        """Whether this thread takes over what the page chose, of which more may follow at once."""
        return threading.get_ident() in self._receiving

    @contextlib.contextmanager
    def receive(self) -> Iterator[None]:
        """What happens in here happens because the page asked for it."""
        if self.active:
            yield
            return
        thread = threading.get_ident()
        self._threads.add(thread)
        self._receiving.add(thread)
        try:
            yield
        finally:
            self._receiving.discard(thread)
            try:
                self._then()
            finally:
                self._threads.discard(thread)
