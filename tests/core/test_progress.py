"""Watching and stopping from outside."""

from __future__ import annotations

import threading

import pytest

import attriscope
from attriscope.core.errors import Cancelled
from attriscope.core.progress import Control, current


def test_blocks_take_over_what_they_do_not_set() -> None:
    event, seen = threading.Event(), []
    with attriscope.control(progress=lambda *a: seen.append(a), cancel=event):
        with attriscope.control(batch_seconds=0.5):
            current().report(1, 2)
            assert current().batch_seconds == 0.5
            event.set()
            with pytest.raises(Cancelled):
                current().check()
        assert current().batch_seconds is None
    assert seen == [(1, 2)]
    assert current() == Control()


def test_an_exception_ends_the_block_too() -> None:
    with pytest.raises(ZeroDivisionError), attriscope.control(batch_seconds=0.5):
        raise ZeroDivisionError
    assert current() == Control()


def test_an_event_that_is_not_set_stops_nothing() -> None:
    with attriscope.control(cancel=threading.Event()):
        current().check()


def test_other_threads_are_not_controlled() -> None:
    """A cell that runs while a job is cancelled goes on."""
    found: list[Control] = []
    with attriscope.control(batch_seconds=0.5):
        thread = threading.Thread(target=lambda: found.append(current()))
        thread.start()
        thread.join()
    assert found == [Control()]
