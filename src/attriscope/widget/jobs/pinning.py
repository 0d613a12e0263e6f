"""How a person keeps maps of the Explorer, to look at beside others; the page's tray does the same.

A pin is a map with its title and the picture under it, as they were on show. Which pins are looked at, and how, are the
traits ``beside`` and ``compare_as``: the page draws and subtracts by itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attriscope.core.inputs import describe
from attriscope.widget.jobs.asking import Asking
from attriscope.widget.messages.types import RawHeat, RawPicture, RawPinned
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.state.part import LOCK
from attriscope.widget.state.selection import ChoiceError, Selection

if TYPE_CHECKING:
    from typing_extensions import Self

# As many as are still told apart at a glance, and no more bytes than a page takes in without a pause: all of them
# travel whenever one comes. Two may be larger, for without two there is nothing to compare.
# Maps are kept in 32 bits: of 16 bits, of a map by integrated gradients of 224 pixels, every tenth block that a person
# points at would read otherwise in its third digit than in Python, and every fifth of a difference of two maps; of 8
# bits with square roots nine in ten would.
MOST_PINS = 8
MOST_BYTES = 16_000_000
FEWEST_PINS = 2


@dataclasses.dataclass(frozen=True)
class PinRequest:
    """That the map of a selection is to be kept."""

    selection: Selection


class Pinning(Asking):
    """The part of the Explorer that keeps maps."""

    _explained: ExplainedModel

    def pin(self) -> Self:
        """Keep the map on show, to look at it beside those to come, on one scale: of other layers, classes, examples.

        It is worked out first if it is not ready. It gets a number, its ``"id"`` in ``pinned``, and ``beside`` becomes
        that number alone. A map that is kept already is not kept twice. Up to 8 maps are kept, and fewer where they
        take more than 16 MB: the oldest ones go then, and ``message`` says so.

        Raises:
            ChoiceError: the inputs are a table: its rows have no pins yet.
        """
        with LOCK:
            if self.table:
                raise ChoiceError("pins are of maps over pictures; the rows of a table have none yet")
            choice = self.choice
            ready = self.status == "idle" and self._state.finished == choice
            if ready and self._state.weights == self._explained.weights() and self.heat:
                # At once: what is asked for next must not come before it.
                pinned, number, note = with_pin(self.pinned, self.heat, self.picture)
                self.beside = []
                self.pinned, self.beside, self.message = pinned, [number], note
            else:
                self._ask(choice, PinRequest(choice))
        return self

    def unpin(self, pin: int | None = None) -> Self:
        """Let go of maps that were kept.

        Args:
            pin: the number of one of them; ``None`` (default) lets go of all.

        Raises:
            ChoiceError: there is no such pin.
        """
        with LOCK:
            numbers = [] if pin is None else checked_pins([pin], self.pinned, "pin")
            rest = [kept for kept in self.pinned if numbers and kept["id"] not in numbers]
            gone = {kept["id"] for kept in self.pinned} - {kept["id"] for kept in rest}
            self.beside = [number for number in self.beside if number not in gone]
            self.pinned = rest
        return self


def with_pin(
    pinned: Sequence[RawPinned], heat: RawHeat, picture: RawPicture
) -> tuple[list[RawPinned], int, str]:
    """The pins with one more.

    Args:
        pinned: those there are, oldest first.
        heat, picture: what is kept.

    Returns:
        All pins, the number of the new one, and what there is to say; of a map that is kept already, what there was.
    """
    for kept in pinned:
        if kept["heat"] == heat and kept["picture"] == picture:
            return list(pinned), kept["id"], ""
    number = 1 + max((kept["id"] for kept in pinned), default=0)
    found: list[RawPinned] = [
        *pinned,
        {"id": number, "title": heat["title"], "heat": heat, "picture": picture},
    ]
    gone: list[str] = []
    while len(found) > MOST_PINS or (len(found) > FEWEST_PINS and sum(map(_size, found)) > MOST_BYTES):
        gone.append(found.pop(0)["title"])
    return found, number, f"Let go of the oldest pin: {', '.join(gone)}" if gone else ""


def _size(pin: RawPinned) -> int:
    return len(pin["heat"]["data"]) + len(pin["picture"]["data"])


def checked_pins(value: Any, pinned: Sequence[RawPinned], what: str) -> list[int]:
    """Numbers of pins, each once.

    Raises:
        ChoiceError: there is no such pin.
    """
    known = [kept["id"] for kept in pinned]
    for one in value:
        if isinstance(one, bool) or one not in known:
            there = f"there are {', '.join(map(str, known))}" if known else "nothing is pinned"
            raise ChoiceError(f"{what} must be the number of a pin, but {describe(one)} came; {there}")
    return [int(one) for one in dict.fromkeys(value)]
