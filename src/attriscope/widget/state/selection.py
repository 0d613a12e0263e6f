"""What a person selected, as one value: each result says which selection it answers.

A new trait that is part of a request (see :mod:`attriscope.widget.state.table`) becomes a field of :class:`Selection`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Literal

import traitlets
from torch import Tensor

from attriscope.core.errors import InputError
from attriscope.core.layouts import Neuron
from attriscope.widget.messages.types import Output, Request
from attriscope.widget.state.table import REQUESTED, ROWS, ExplorerTraits
from attriscope.widget.state.traits import baseline_names

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
class CustomBaseline:
    """A baseline tensor of the user's own; equal only to itself.

    Attributes:
        tensor: the baseline.
        number: tells it from others, on the page, too.
    """

    tensor: Tensor
    number: int = dataclasses.field(default_factory=itertools.count(1).__next__)


@dataclasses.dataclass(frozen=True, eq=False)
class TargetFunction:
    """A function of the user's own that picks the explained number; equal only to itself.

    Attributes:
        function: gives one number per example of the model's output.
        name: what it is called; tells it from others, on the page, too.
    """

    function: Callable[[Any], Tensor]
    name: str

    def __call__(self, output: Any) -> Tensor:
        return self.function(output)


@dataclasses.dataclass(frozen=True, eq=False)
class PickedOutput:
    """What picks the explained number of one picture, where the target alone does not say: a region, or a box.

    Attributes:
        function: gives one number per row of the model's output.
        code: the Python that makes it.
        before: the lines that must stand before that.
    """

    function: Callable[[Any], Tensor]
    code: str
    before: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Selection:
    """What a map answers: the page never shows it under another.

    Attributes:
        method: how the input is explained.
        baselines: their names; the map is the average over all of them.
        layer, layer_method: the layer that is looked into, and how.
        custom: the user's own baseline, if that is selected.
        neuron, neuron_method: the neuron of that layer whose inputs are looked for, and how.
        settings: by method, what is set otherwise than its defaults; of all methods that are named here.
        effort: how often the spending of the method on show was doubled.
        ablated: neurons that are switched off, by layer: predictions are made without them, too.
        ablate_to: whether to zero or to what they are at the baseline.
        edited: cells of the example's row that have other values, as (column, value).
        output: what the model's numbers are said to be: predictions are told as that.
        picked: what picks the explained number of a segmentation or a detector; it follows from the rest and from what
            the model says of the example, so it tells no selection from another.
    """

    method: str
    target: Any
    baselines: tuple[str, ...] = ("zero",)
    layer: str | None = None
    custom: CustomBaseline | None = None
    contrast: int | None = None
    example: int = 0
    settings: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    effort: int = 0
    layer_method: str = "LayerGradCam"
    neuron: Neuron | None = None
    neuron_method: str = "NeuronGradient"
    ablated: tuple[tuple[str, Neuron], ...] = ()
    ablate_to: str = "zero"
    edited: tuple[tuple[int, float], ...] = ()
    output: Output = "auto"
    picked: PickedOutput | None = dataclasses.field(default=None, compare=False)

    @classmethod
    def of(cls, traits: ExplorerTraits, custom: CustomBaseline | None) -> Selection:
        """What is selected now; with the user's own baseline, should that be part of it."""
        values = {name: getattr(traits, name) for name in (*REQUESTED, "effort")}
        names = baseline_names(values.pop("baseline"))
        names = tuple(names) if isinstance(names, list) else (names,)
        values |= {
            "settings": {name: dict(values) for name, values in traits.settings.items()},
            "ablated": tuple((layer, neuron) for layer, neuron in traits.ablated),
            "edited": tuple((column, value) for column, value in traits.edited),
        }
        return cls(**values, baselines=names, custom=custom if "custom" in names else None)

    @functools.cached_property
    def place(self) -> Place:
        """What is looked at."""
        if self.layer is None:
            return "input"
        return "layer" if self.neuron is None else "neuron"

    @property
    def channel(self) -> int | None:
        """The channel that the selected neuron is or lies in."""
        neuron = self.neuron
        return neuron if neuron is None or isinstance(neuron, int) else neuron[0]

    @functools.cached_property
    def shown_method(self) -> str:
        """The method of the map on show."""
        return {"input": self.method, "layer": self.layer_method, "neuron": self.neuron_method}[self.place]

    @functools.cached_property
    def shown_settings(self) -> dict[str, Any]:
        """What is set otherwise than its defaults."""
        return self.settings.get(self.shown_method, {})

    @property
    def at_input(self) -> Selection:
        """The same, seen at the input."""
        return dataclasses.replace(self, layer=None, neuron=None)

    @functools.cached_property
    def map(self) -> Selection:
        """The same as far as the map on show is concerned."""
        names = {self.shown_method, "IntegratedGradients"}  # the path is theirs whatever the method
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
            output=usual.output,
        )

    @functools.cached_property
    def covering(self) -> Selection:
        """The same as far as it matters to what covering a region of the picture costs: the output, or a neuron."""
        names = ("target", "contrast", "example", "edited", "baselines", "custom", "output")
        of_neuron = ("layer", "neuron") if self.place == "neuron" else ()
        return dataclasses.replace(
            Selection("", None), **{name: getattr(self, name) for name in (*names, *of_neuron)}
        )

    def is_but_for_effort(self, other: Selection) -> bool:
        """Whether another asks for the same, with whatever effort."""
        return dataclasses.replace(other, effort=self.effort) == self

    # --- as the page knows it ---------------------------------------------------------------------------------

    def request(self, result: str) -> Request:
        """What a result says it answers: the table says which traits these are."""
        return self.values(ROWS[result].metadata["answers"])

    def values(self, names: tuple[str, ...]) -> Request:
        """The values of some traits as the page has them."""
        return {name: self._value(name) for name in names}

    def _value(self, name: str) -> Any:
        match name:
            case "baseline":
                return self.baselines[0] if len(self.baselines) == 1 else list(self.baselines)
            case "target" if isinstance(self.target, TargetFunction):
                return self.target.name
            case "settings":
                return dict(self.shown_settings)
            case "ablated":
                return [[layer, neuron] for layer, neuron in self.ablated]
            case "edited":
                return [[column, value] for column, value in self.edited]
        return getattr(self, name)

    # --- as methods know it -----------------------------------------------------------------------------------

    @functools.cached_property
    def explained(self) -> Any:
        """The target as methods take it."""
        if self.picked is not None:
            return self.picked.function
        target = tuple(self.target) if isinstance(self.target, list) else self.target
        if self.contrast is None:
            return target
        contrast = self.contrast
        return lambda output: output[:, target] - output[:, contrast]

    @functools.cached_property
    def explained_code(self) -> str | None:
        """The Python that says the same."""
        if self.picked is not None:
            return self.picked.code
        if self.contrast is not None:
            return f"lambda output: output[:, {self.target}] - output[:, {self.contrast}]"
        if self.target is None:
            return None
        if isinstance(self.target, TargetFunction):
            return "target"
        return repr(tuple(self.target) if isinstance(self.target, list) else self.target)

    @functools.cached_property
    def explained_lines(self) -> tuple[str, ...]:
        """The lines that must stand before that Python."""
        if self.picked is not None:
            return self.picked.before
        own = self.contrast is None and isinstance(self.target, TargetFunction)
        return ("# target is the function of your own",) if own else ()
