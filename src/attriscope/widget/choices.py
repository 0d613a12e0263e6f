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
    """A choice that the Explorer does not offer. A ``TraitError``, so that traitlets puts the old value back.

    Attributes:
        method, name: for a parameter of a method, which.
        value: what came.
    """

    def __init__(
        self, reason: str, method: str | None = None, name: str | None = None, value: Any = None
    ) -> None:
        super().__init__(reason)
        self.method, self.name, self.value = method, name, value


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """What is bad input to the library is a bad choice in the widget."""
    try:
        yield
    except ChoiceError:
        raise
    except (InputError, OverflowError) as error:
        raise ChoiceError(str(error)) from error


@dataclasses.dataclass(frozen=True, eq=False)
class Own:
    """A baseline tensor of the user's; equal only to itself."""

    tensor: Tensor


@dataclasses.dataclass(frozen=True)
class Choice:
    """What a map answers: the page never shows it under another.

    Attributes:
        baselines: their names; the map is the average over all of them.
        settings: what is set otherwise than the method's defaults.
        path: the same of integrated gradients, which the path is walked with whatever the method.
        effort: how often the method's spending was doubled.
    """

    method: str
    target: Any
    baselines: tuple[str, ...] = ("zero",)
    layer: str | None = None
    own: Own | None = None  # the user's own baseline, if that is chosen
    contrast: int | None = None
    example: int = 0
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    path: dict[str, Any] = dataclasses.field(default_factory=dict)
    effort: int = 0

    @property
    def walk_message(self) -> Message:
        """What the path answers."""
        names = list(self.baselines)
        return {
            "target": self.target,
            "baseline": names[0] if len(names) == 1 else names,
            "contrast": self.contrast,
            "example": self.example,
        }

    @property
    def message(self) -> Message:
        """As the page compares it with the present choice."""
        return {
            **self.walk_message,
            "method": self.method,
            "layer": self.layer,
            "settings": dict(self.settings),
            "effort": self.effort,
        }

    @property
    def output(self) -> Any:
        """The target as methods take it."""
        target = tuple(self.target) if isinstance(self.target, list) else self.target
        if self.contrast is None:
            return target
        contrast = self.contrast
        return lambda output: output[:, target] - output[:, contrast]

    @property
    def output_code(self) -> str | None:
        """The Python that says the same."""
        if self.contrast is not None:
            return f"lambda output: output[:, {self.target}] - output[:, {self.contrast}]"
        return (
            None
            if self.target is None
            else repr(tuple(self.target) if isinstance(self.target, list) else self.target)
        )
