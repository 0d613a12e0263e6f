"""What a person chose, and what cannot be chosen."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import traitlets
from torch import Tensor

from attriscope.core.errors import InputError
from attriscope.widget.wire import Message


class ChoiceError(InputError, traitlets.TraitError):
    """A choice that the Explorer does not offer. A ``TraitError``, so that traitlets puts the old value back."""


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """What is bad input to the library is a bad choice in the widget."""
    try:
        yield
    except InputError as error:
        raise ChoiceError(str(error)) from error


@dataclasses.dataclass(frozen=True, eq=False)
class Own:
    """A baseline tensor of the user's; equal only to itself."""

    tensor: Tensor


@dataclasses.dataclass(frozen=True)
class Choice:
    """What a map answers: the page never shows it under another."""

    method: str
    target: Any
    baseline: str
    layer: str | None
    own: Own | None = None  # the user's own baseline, if that is chosen

    @property
    def message(self) -> Message:
        """As the page compares it with the present choice."""
        return {"method": self.method, "target": self.target, "baseline": self.baseline, "layer": self.layer}

    @property
    def output(self) -> Any:
        """The target as methods take it."""
        return tuple(self.target) if isinstance(self.target, list) else self.target
