"""The methods that the Explorer offers, and how it calls each of them for a picture."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from attriscope import attr
from attriscope.attr import Attribution
from attriscope.attr.baselines import blur, mean
from attriscope.attr.quadrature import quadrature
from attriscope.core.estimate import Estimate
from attriscope.core.inputs import describe
from attriscope.widget.messages.types import MethodInfo
from attriscope.widget.methods.arguments import CodeValue, MethodInputs, as_code, range_of
from attriscope.widget.methods.parameters import Parameter, plain, read_parameters
from attriscope.widget.state.selection import ChoiceError, Place, refusing

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
        starts: baselines, if the method is called once with each and the results are averaged; else empty.
        random: whether the method takes a generator.
    """

    method: Any
    made: CodeValue
    arguments: dict[str, CodeValue]
    starts: tuple[CodeValue, ...] = ()
    random: bool = False

    def rounds(self) -> Iterator[dict[str, Any]]:
        """The keyword arguments of each call."""
        common = {name: written.value for name, written in self.arguments.items()}
        for start in self.starts or (None,):
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
    def sums(self) -> bool:
        """Whether its attributions may be added up: not those of windows that overlap."""
        return "sliding_window_shapes" not in self.arguments

    @property
    def written(self) -> dict[str, CodeValue]:
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
        note: what the Explorer has settled for the user.
        make: builds it for a model.
        label: what people call it.
        quick: whether it takes only a pass or two.
        check: raises ``InputError`` for parameters that do not fit together.
        key: the name that it is asked for by, if that is not its class's.
        place: what it explains by: the input, a layer, or the inputs of a neuron.
        before: lines that must stand before the class is called by its name.
    """

    method: type[Any]
    baselines: Literal["none", "each", "together"] = "none"
    defaults: Callable[[Tensor], dict[str, Any]] = lambda pictures: {}
    limits: Mapping[str, tuple[float | None, float | None]] = dataclasses.field(default_factory=dict)
    own: Callable[[Tensor], tuple[Parameter, ...]] = lambda pictures: ()
    options: Callable[[MethodInputs], dict[str, CodeValue]] = lambda asked: {}
    note: str = ""
    make: Callable[[Any, MethodInputs], tuple[Any, CodeValue]] | None = None
    label: str = ""
    quick: bool = False
    check: Callable[[dict[str, Any]], object] = lambda values: None
    key: str = ""
    place: Place = "input"
    before: tuple[str, ...] = ()

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

    @property
    def doc(self) -> str:
        """What it is, in a line or two."""
        first = inspect.cleandoc(self.method.__doc__ or "").split("\n\n")[0]
        return plain(f"{first} {self.note}")

    def parameters(self, pictures: Tensor) -> dict[str, Parameter]:
        """What a person may set, for pictures (N, C, H, W)."""
        read = read_parameters(self.method, self.defaults(pictures), self.limits)
        # Whatever makes the method has settled what it is made with.
        kept = [parameter for parameter in read if self.make is None or parameter.home != "init"]
        return {parameter.name: parameter for parameter in (*self.own(pictures), *kept)}

    def question(self, model: Any, asked: MethodInputs, parameters: Mapping[str, Parameter]) -> MethodCall:
        """The call that answers what is asked."""
        given: dict[str, dict[str, CodeValue]] = {"init": {}, "attribute": {}, "own": {}}
        for name, parameter in parameters.items():
            value = asked.values[name]
            if parameter.worth_writing(value):
                given[parameter.home][name] = CodeValue(value, as_code(value))
        where = () if asked.layer is None or self.place == "input" else (asked.layer,)
        built = ", ".join(
            ["model", *(w.code for w in where), *(f"{name}={w.code}" for name, w in given["init"].items())]
        )
        if self.make is not None:
            method, made = self.make(model, asked)
        else:
            init = {name: w.value for name, w in given["init"].items()}
            method = self.method(model, *(w.value for w in where), **init)
            made = CodeValue(None, f"{self.method.__name__}({built})", self.before)
        arguments = {
            "inputs": asked.picture,
            **({} if asked.neuron is None or self.place != "neuron" else {"neuron_selector": asked.neuron}),
            **(asked.together() if self.baselines == "together" else {}),
            **self._common(asked),
            **given["attribute"],
            **self.options(asked),
        }
        starts = asked.starts if self.baselines == "each" else ()
        random = "generator" in inspect.signature(self.method.attribute).parameters
        return MethodCall(method, made, arguments, starts, random)

    def _common(self, asked: MethodInputs) -> dict[str, CodeValue]:
        """The arguments that every method takes; inside the model not all explain an output."""
        given = asked.common
        if not self.explains_output:
            given.pop("target", None)
        return given


class MethodRegistry:
    """All methods on offer with their parameters.

    Args:
        pictures: what they are for, (N, C, H, W).
        more: what is on offer beside this library's.
    """

    def __init__(self, pictures: Tensor, more: Mapping[str, MethodSpec] | None = None) -> None:
        self.offers = {**OFFERS, **(more or {})}
        self.every = {**self.offers, **INSIDE}
        self.parameters = {name: offer.parameters(pictures) for name, offer in self.every.items()}

    def at(self, place: Place) -> dict[str, MethodSpec]:
        """What is on offer for the input, for layers or for neurons."""
        return {name: offer for name, offer in self.every.items() if offer.place == place}

    def message(self, place: Place = "input") -> list[MethodInfo]:
        """As the page lists it."""
        return [
            {
                "name": name,
                "label": offer.title,
                "doc": offer.doc,
                "parameters": [parameter.message for parameter in self.parameters[name].values()],
            }
            for name, offer in self.at(place).items()
        ]

    def check(self, settings: Any) -> dict[str, dict[str, Any]]:
        """Settings by method and parameter, without what is the default anyway.

        Raises:
            ChoiceError: something in them cannot be used.
        """
        if not isinstance(settings, Mapping):
            raise ChoiceError(f"settings must be a dict by method, but {describe(settings)} came")
        found = {}
        for method, values in settings.items():
            if not isinstance(method, str) or method not in self.parameters:
                known = ", ".join(self.parameters)
                raise ChoiceError(f"settings must be by method, one of {known}, but has {describe(method)}")
            if not isinstance(values, Mapping):
                raise ChoiceError(
                    f"the settings of {method} must be a dict by parameter, but {describe(values)} came",
                    method,
                )
            kept = self._check_method(method, values)
            if kept:
                found[method] = kept
        return found

    def _check_method(self, method: str, values: Mapping[Any, Any]) -> dict[str, Any]:
        parameters = self.parameters[method]
        kept = {}
        for name, value in values.items():
            if not isinstance(name, str) or name not in parameters:
                known = ", ".join(parameters) or "none"
                raise ChoiceError(f"{method} has no parameter {describe(name)}; it has {known}", method)
            try:
                with refusing():
                    checked = parameters[name].check(value)
                    if checked != parameters[name].default:
                        kept[name] = checked
                    self.every[method].check({**self._defaults(method), **kept})
            except ChoiceError as refused:
                raise ChoiceError(str(refused), method, name, value) from refused
        return kept

    def values(self, method: str, settings: Mapping[str, Any], effort: int = 0) -> dict[str, Any]:
        """All parameters of a method, its spending doubled ``effort`` times."""
        values = {**self._defaults(method), **settings}
        for name, parameter in self.parameters[method].items():
            if parameter.spends:
                values[name] = int(min(values[name] * 2**effort, parameter.most or values[name]))
        return values

    def refinable(self, method: str, settings: Mapping[str, Any], effort: int) -> bool:
        """Whether there is more to spend."""
        return self.values(method, settings, effort) != self.values(method, settings, effort + 1)

    def _defaults(self, method: str) -> dict[str, Any]:
        return {name: parameter.default for name, parameter in self.parameters[method].items()}


def _cells(side: int, most: int) -> Callable[[Tensor], tuple[Parameter, ...]]:
    """So many cells along each side unless the picture has fewer pixels."""

    def own(pictures: Tensor) -> tuple[Parameter, ...]:
        pixels = min(pictures.shape[2:])
        doc = "cells along each side of the picture; a cell's pixels go together, as one feature."
        return (Parameter("cells", "int", min(side, pixels), doc, 1, min(most, pixels)),)

    return own


def _window(pictures: Tensor) -> tuple[Parameter, ...]:
    pixels = min(pictures.shape[2:])
    return (
        Parameter(
            "window",
            "int",
            max(1, pixels // 8),
            "side of the window that hides the picture, in pixels.",
            1,
            pixels,
        ),
        Parameter("moves_per_window", "int", 2, "in how many steps the window moves by its own side.", 1, 16),
    )


def _noise(share: float, **others: Any) -> Callable[[Tensor], dict[str, Any]]:
    """Noise of a share of the range of the pictures' values, in three digits."""
    return lambda pictures: {"stdevs": float(f"{share * range_of(pictures):.3g}"), **others}


def _signed(pictures: Tensor) -> dict[str, Any]:
    return {"abs": False}


def _absolute(pictures: Tensor) -> tuple[Parameter, ...]:
    return (Parameter("abs", "bool", False, "smooth absolute values of the gradient.", home="attribute"),)


def _smoothed(model: Any, asked: MethodInputs) -> tuple[Attribution, CodeValue]:
    return attr.NoiseTunnel(attr.Saliency(model)), CodeValue(None, "NoiseTunnel(Saliency(model))")


def _guided(model: Any, asked: MethodInputs) -> tuple[Attribution, CodeValue]:
    layer = asked.last_convolution()
    return attr.GuidedGradCam(model, layer.value), CodeValue(None, f"GuidedGradCam(model, {layer.code})")


def _some_references(asked: MethodInputs) -> dict[str, CodeValue]:
    """At least two baselines."""
    if len(asked.starts) > 1:
        return asked.together()
    x, name = asked.picture.value, asked.picture.code
    return asked.together(
        CodeValue(mean(x), f"baselines.mean({name})"), CodeValue(blur(x), f"baselines.blur({name})")
    )


def _settle_path(values: dict[str, Any]) -> object:
    return quadrature(values.get("method", "gausslegendre"), values["n_steps"])


_OFFERS = (
    MethodSpec(
        attr.IntegratedGradients,
        "each",
        check=_settle_path,
    ),
    MethodSpec(attr.Saliency, defaults=_signed, note="Shown with its sign.", quick=True),
    MethodSpec(attr.InputXGradient, quick=True),
    MethodSpec(
        attr.NoiseTunnel,
        defaults=_noise(0.15, nt_samples=20),
        own=_absolute,
        note="The gradient averaged over noisy copies of the picture; the noise is 15 percent of its range.",
        make=_smoothed,
        label="SmoothGrad",
    ),
    MethodSpec(
        attr.GradientShap,
        "together",
        defaults=_noise(0.05, n_samples=25),
        note="Samples with noise of 5 percent of the picture's range.",
    ),
    MethodSpec(attr.DeepLift, "each", quick=True),
    MethodSpec(
        attr.DeepLiftShap,
        "together",
        options=_some_references,
        note="Against the baseline, the mean colour and the blurred picture, or against several baselines of your own.",
        quick=True,
    ),
    MethodSpec(attr.GuidedBackprop, quick=True),
    MethodSpec(attr.Deconvolution, quick=True),
    MethodSpec(attr.GuidedGradCam, note="Grad-CAM at the last convolution.", make=_guided, quick=True),
    MethodSpec(attr.LRP, quick=True),
    MethodSpec(
        attr.Occlusion,
        "each",
        own=_window,
        options=MethodInputs.windows,
        note="A window moves over the picture.",
    ),
    MethodSpec(
        attr.FeatureAblation,
        "each",
        own=_cells(12, 64),
        options=MethodInputs.cells,
        note="Cells of the picture, each replaced by the baseline.",
    ),
    MethodSpec(
        attr.ShapleyValues,
        "each",
        own=_cells(3, 4),
        options=MethodInputs.cells,
        note="Exactly, for few cells: 3 by 3 are 512 coalitions.",
    ),
    MethodSpec(
        attr.ShapleyValueSampling,
        "each",
        defaults=lambda pictures: {"n_samples": 12},
        own=_cells(6, 32),
        options=MethodInputs.cells,
        note="Cells of the picture; samples are orders.",
    ),
    MethodSpec(
        attr.KernelShap,
        "each",
        defaults=lambda pictures: {"n_samples": 400},
        limits={"n_samples": (2, 100_000)},
        own=_cells(6, 32),
        options=MethodInputs.cells,
        note="Cells of the picture; samples are coalitions.",
    ),
    MethodSpec(
        attr.Lime,
        "each",
        defaults=lambda pictures: {"n_samples": 400},
        limits={"n_samples": (2, 100_000)},
        own=_cells(6, 32),
        options=MethodInputs.cells,
        note="Cells of the picture.",
    ),
)

OFFERS: dict[str, MethodSpec] = {offer.name: offer for offer in _OFFERS}


_INSIDE = (
    MethodSpec(attr.LayerGradCam, label="Grad-CAM", place="layer", quick=True),
    MethodSpec(attr.LayerActivation, label="Activation", place="layer", quick=True),
    MethodSpec(attr.LayerGradientXActivation, label="Gradient x activation", place="layer", quick=True),
    MethodSpec(attr.LayerConductance, "each", label="Conductance", place="layer", check=_settle_path),
    MethodSpec(
        attr.LayerIntegratedGradients, "each", label="Integrated gradients", place="layer", check=_settle_path
    ),
    MethodSpec(attr.InternalInfluence, "each", label="Internal influence", place="layer", check=_settle_path),
    MethodSpec(attr.NeuronGradient, label="Gradient", place="neuron", quick=True),
    MethodSpec(
        attr.NeuronIntegratedGradients,
        "each",
        label="Integrated gradients",
        place="neuron",
        check=_settle_path,
    ),
    MethodSpec(attr.NeuronConductance, "each", label="Conductance", place="neuron", check=_settle_path),
    MethodSpec(attr.NeuronGuidedBackprop, label="Guided backprop", place="neuron", quick=True),
    MethodSpec(attr.NeuronDeepLift, "each", label="DeepLIFT", place="neuron", quick=True),
)
INSIDE: Mapping[str, MethodSpec] = {offer.name: offer for offer in _INSIDE}
