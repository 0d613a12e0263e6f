"""What a person chose, and what cannot be chosen."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, Literal

import traitlets
from torch import Tensor

from attriscope.core.errors import InputError
from attriscope.widget.messages.types import Neuron, Request

Place = Literal["input", "layer", "neuron"]


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
    """A baseline tensor of the user's; equal only to itself.

    Attributes:
        tensor: the baseline.
        number: tells it from others, on the page, too.
    """

    tensor: Tensor
    number: int = dataclasses.field(default_factory=itertools.count(1).__next__)


def baseline_names(baseline: Any) -> Any:
    """A baseline, or several, by their names."""
    if isinstance(baseline, list):
        return [baseline_names(one) for one in baseline]
    return baseline if isinstance(baseline, str) else "custom"


@dataclasses.dataclass(frozen=True)
class Selection:
    """What a map answers: the page never shows it under another.

    Attributes:
        method: how the input is explained.
        baselines: their names; the map is the average over all of them.
        layer, layer_method: the layer that is looked into, and how.
        neuron, neuron_method: the neuron of that layer whose inputs are looked for, and how.
        settings: by method, what is set otherwise than its defaults; of all methods that are named here.
        effort: how often the spending of the method on show was doubled.
        ablated: neurons that are switched off, by layer: predictions are made without them, too.
        ablate_to: whether to zero or to what they are at the baseline.
    """

    method: str
    target: Any
    baselines: tuple[str, ...] = ("zero",)
    layer: str | None = None
    own: Own | None = None  # the user's own baseline, if that is chosen
    contrast: int | None = None
    example: int = 0
    settings: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    effort: int = 0
    layer_method: str = "LayerGradCam"
    neuron: Neuron | None = None
    neuron_method: str = "NeuronGradient"
    ablated: tuple[tuple[str, Neuron], ...] = ()
    ablate_to: str = "zero"

    @property
    def place(self) -> Place:
        """What is looked at."""
        if self.layer is None:
            return "input"
        return "layer" if self.neuron is None else "neuron"

    @property
    def shown_method(self) -> str:
        """The method of the map on show."""
        return {"input": self.method, "layer": self.layer_method, "neuron": self.neuron_method}[self.place]

    @property
    def shown_settings(self) -> dict[str, Any]:
        """What is set otherwise than its defaults."""
        return self.settings.get(self.shown_method, {})

    @property
    def map(self) -> Selection:
        """The same as far as the map on show is concerned."""
        names = {self.shown_method, "IntegratedGradients"}  # the path is walked whatever the method
        place = self.place
        usual = Selection(self.method, self.target)
        return dataclasses.replace(
            self,
            method=self.method if place == "input" else usual.method,
            layer_method=self.layer_method if place == "layer" else usual.layer_method,
            neuron_method=self.neuron_method if place == "neuron" else usual.neuron_method,
            settings={name: values for name, values in self.settings.items() if name in names},
            ablated=(),
            ablate_to=usual.ablate_to,
        )

    @property
    def seen(self) -> Request:
        """Which output, of which example."""
        return {"target": self.target, "contrast": self.contrast, "example": self.example}

    @property
    def what_if_message(self) -> Request:
        """What the changed predictions answer."""
        return {
            "example": self.example,
            "ablated": [[layer, neuron] for layer, neuron in self.ablated],
            "ablate_to": self.ablate_to,
        }

    @property
    def walk_message(self) -> Request:
        """What the path answers."""
        names = list(self.baselines)
        return {**self.seen, "baseline": names[0] if len(names) == 1 else names}

    @property
    def message(self) -> Request:
        """As the page compares it with the present choice."""
        return {
            **self.walk_message,
            "method": self.method,
            "layer": self.layer,
            "layer_method": self.layer_method,
            "neuron": self.neuron,
            "neuron_method": self.neuron_method,
            "settings": dict(self.shown_settings),
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
