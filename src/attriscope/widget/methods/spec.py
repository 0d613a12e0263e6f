"""How a method is called for a picture: what the Explorer knows of it, and the call that answers a selection.

A :class:`MethodSpec` for each method stands in :mod:`~attriscope.widget.methods.catalogue`.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from attriscope.core.estimate import Estimate
from attriscope.widget.methods.arguments import CodeValue, MethodInputs, as_code
from attriscope.widget.methods.parameters import Parameter, plain, read_parameters
from attriscope.widget.state.selection import Place

# Whatever is random is drawn from a generator with this seed, so that the same choices give the same map.
SEED = 0
_GENERATOR = f"torch.Generator().manual_seed({SEED})"


@dataclasses.dataclass(frozen=True)
class MethodCall:
    """A call of a method, and the Python that makes it.

    Attributes:
        method: the method for the model: an ``Attribution``, or anything else with ``attribute``.
        made: the Python that makes it.
        arguments: those of ``attribute`` and ``stream``, by name.
        baselines: those, if the method is called once with each and the results are averaged; else empty.
        random: whether the method takes a generator.
        sign: -1 if its delta is what the attributions lack, as LRP's is, instead of what they have too much.
    """

    method: Any
    made: CodeValue
    arguments: dict[str, CodeValue]
    baselines: tuple[CodeValue, ...] = ()
    random: bool = False
    sign: int = 1

    def rounds(self) -> Iterator[dict[str, Any]]:
        """The keyword arguments of each call."""
        common = {name: argument.value for name, argument in self.arguments.items()}
        for start in self.baselines or (None,):
            baselines = {} if start is None else {"baselines": start.value}
            drawn = {"generator": torch.Generator().manual_seed(SEED)} if self.random else {}
            yield {**baselines, **common, **drawn}

    def estimates(self, arguments: dict[str, Any]) -> Iterator[Estimate]:
        """What the method gives for one round, getting better; the last one is complete."""
        given = dict(arguments)
        inputs = given.pop("inputs")  # which methods of the user's own may call by another name
        if hasattr(self.method, "stream"):
            yield from self.method.stream(inputs, **given)
        else:
            yield Estimate(self.method.attribute(inputs, **given), stopped="complete")

    @property
    def shares(self) -> Tensor | None:
        """One over the size of the feature that each number of a picture belongs to; ``None`` without features."""
        if "feature_mask" not in self.arguments:
            return None
        picture: Tensor = self.arguments["inputs"].value
        features: Tensor = self.arguments["feature_mask"].value.expand_as(picture)
        return features.flatten().bincount().to(picture.dtype).reciprocal()[features]

    @property
    def additive(self) -> bool:
        """Whether its attributions may be added up: not those of windows that overlap."""
        return "sliding_window_shapes" not in self.arguments

    @property
    def arguments_in_code(self) -> dict[str, CodeValue]:
        """The arguments to write down."""
        return {**self.arguments, **({"generator": CodeValue(None, _GENERATOR)} if self.random else {})}


@dataclasses.dataclass(frozen=True)
class MethodSpec:
    """A method on offer.

    Attributes:
        method: its class: one of this library, or the user's own.
        baselines: ``"none"``: it has none; ``"each"``: it takes one, so several are averaged over calls;
            ``"together"``: it takes a distribution.
        defaults: where the Explorer departs from the signature; a function of all the pictures.
        limits: bounds of parameters by name, in place of the usual ones.
        own: parameters that the Explorer makes something of; a function of all the pictures.
        options: what it makes of them: further arguments.
        note, picture_note, note_elsewhere: what the Explorer has settled for the user: whatever the inputs are, for
            pictures, and for others.
        fits: whether it is on offer for such inputs, all of them.
        make: builds it for a model.
        label: what it is called on the page: as in the paper that it comes from.
        known_as: what else people call it. Of several methods with the same name none is meant, see
            :mod:`~attriscope.widget.methods.spelling`.
        quick: whether it takes only a pass or two.
        check: raises ``InputError`` for parameters that do not fit together.
        key: the name that it is asked for by, if that is not its class's.
        place: what it explains by: the input, a layer, or the inputs of a neuron.
        sign: see :class:`MethodCall`.
        before: lines that must stand before the class is called by its name.
        adds_up: whether its attributions promise to add up to the change of the output, though it gives no delta.
    """

    method: type[Any]
    baselines: Literal["none", "each", "together"] = "none"
    defaults: Callable[[Tensor], dict[str, Any]] = lambda pictures: {}
    limits: Mapping[str, tuple[float | None, float | None]] = dataclasses.field(default_factory=dict)
    own: Callable[[Tensor], tuple[Parameter, ...]] = lambda pictures: ()
    options: Callable[[MethodInputs], dict[str, CodeValue]] = lambda inputs: {}
    note: str = ""
    picture_note: str = ""
    note_elsewhere: str = ""
    fits: Callable[[Tensor], bool] = lambda inputs: True
    make: Callable[[Any, MethodInputs], tuple[Any, CodeValue]] | None = None
    label: str = ""
    known_as: tuple[str, ...] = ()
    quick: bool = False
    check: Callable[[dict[str, Any]], object] = lambda values: None
    key: str = ""
    place: Place = "input"
    sign: int = 1
    before: tuple[str, ...] = ()
    adds_up: bool = False

    @property
    def name(self) -> str:
        return self.key or self.method.__name__

    @property
    def title(self) -> str:
        return self.label or str(self.method.get_name())

    @property
    def compares(self) -> bool:
        """Whether the answer depends on the baseline."""
        return self.baselines != "none"

    @property
    def explains_output(self) -> bool:
        """Whether the answer depends on the target."""
        return self.place == "input" or "target" in inspect.signature(self.method.attribute).parameters

    def doc(self, inputs: Tensor) -> str:
        """What it is, in a line or two, for inputs (N, ...)."""
        first = inspect.cleandoc(self.method.__doc__ or "").split("\n\n")[0]
        notes = self.note, self.picture_note if inputs.dim() == 4 else self.note_elsewhere
        return plain(" ".join(filter(None, (first, *notes))))

    def parameters(self, pictures: Tensor) -> dict[str, Parameter]:
        """What a person may set, for pictures (N, C, H, W)."""
        read = read_parameters(self.method, self.defaults(pictures), self.limits)
        # Whatever makes the method has settled what it is made with.
        kept = [parameter for parameter in read if self.make is None or parameter.home != "init"]
        return {parameter.name: parameter for parameter in (*self.own(pictures), *kept)}

    def call(self, model: Any, inputs: MethodInputs, parameters: Mapping[str, Parameter]) -> MethodCall:
        """The call that answers what is asked."""
        given: dict[str, dict[str, CodeValue]] = {"init": {}, "attribute": {}, "own": {}}
        for name, parameter in parameters.items():
            value = inputs.values[name]
            if parameter.worth_writing(value):
                given[parameter.home][name] = CodeValue(value, as_code(value))
        layer = () if inputs.layer is None or self.place == "input" else (inputs.layer,)
        built = ", ".join(
            ["model", *(w.code for w in layer), *(f"{name}={w.code}" for name, w in given["init"].items())]
        )
        if self.make is not None:
            method, made = self.make(model, inputs)
        else:
            init = {name: w.value for name, w in given["init"].items()}
            method = self.method(model, *(w.value for w in layer), **init)
            made = CodeValue(None, f"{self.method.__name__}({built})", self.before)
        arguments = {
            "inputs": inputs.example,
            **({} if inputs.neuron is None or self.place != "neuron" else {"neuron_selector": inputs.neuron}),
            **(inputs.together() if self.baselines == "together" else {}),
            **self._common(inputs),
            **given["attribute"],
            **self.options(inputs),
        }
        baselines = inputs.baselines if self.baselines == "each" else ()
        random = "generator" in inspect.signature(self.method.attribute).parameters
        return MethodCall(method, made, arguments, baselines, random, self.sign)

    def _common(self, inputs: MethodInputs) -> dict[str, CodeValue]:
        """The arguments that every method takes; inside the model not all explain an output."""
        given = inputs.common
        if not self.explains_output:
            given.pop("target", None)
        return given
