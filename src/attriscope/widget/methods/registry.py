"""All methods on offer with their parameters: what there is to choose from, and which settings are valid.

The methods themselves stand in :mod:`~attriscope.widget.methods.catalogue`, those of a user's own come from
:mod:`~attriscope.widget.methods.custom`, and what is known of each is a
:class:`~attriscope.widget.methods.spec.MethodSpec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from attriscope.core.inputs import describe
from attriscope.widget.messages.types import MethodInfo
from attriscope.widget.methods.catalogue import INPUT_METHODS, INSIDE_METHODS
from attriscope.widget.methods.spec import MethodSpec
from attriscope.widget.methods.spelling import method_name
from attriscope.widget.state.selection import ChoiceError, Place, refusing


class MethodRegistry:
    """All methods on offer with their parameters.

    Args:
        inputs: what they are for, (N, ...): not every method fits all of them.
        custom: what is on offer beside this library's.
    """

    def __init__(self, inputs: Tensor, custom: Mapping[str, MethodSpec] | None = None) -> None:
        self._custom, self._inputs = frozenset(custom or {}), inputs
        fitting = {name: spec for name, spec in INPUT_METHODS.items() if spec.fits(inputs)}
        self.input_specs = {**fitting, **(custom or {})}
        self.specs = {**self.input_specs, **INSIDE_METHODS}
        self.parameters = {name: spec.parameters(inputs) for name, spec in self.specs.items()}

    def is_custom(self, name: str) -> bool:
        """Whether a method is not this library's."""
        return name in self._custom

    def at(self, place: Place) -> dict[str, MethodSpec]:
        """What is on offer for the input, for layers or for neurons."""
        fitting = {name: spec for name, spec in self.specs.items() if spec.place == place}
        return {name: spec for name, spec in fitting.items() if spec.fits(self._inputs)}

    @property
    def usual_layer_method(self) -> str:
        """How a layer is explained where nobody says: by Grad-CAM, if it has places that it could be seen at."""
        return "LayerGradCam" if "LayerGradCam" in self.at("layer") else "LayerGradientXActivation"

    def message(self, place: Place = "input") -> list[MethodInfo]:
        """As the page lists it."""
        return [
            {
                "name": name,
                "label": spec.title,
                "compares": spec.compares,
                "doc": spec.doc(self._inputs),
                "parameters": [parameter.message for parameter in self.parameters[name].values()],
            }
            for name, spec in self.at(place).items()
        ]

    def check(self, settings: Any) -> dict[str, dict[str, Any]]:
        """Settings by method and parameter, without what is the default anyway.

        Raises:
            ChoiceError: something in them cannot be used.
        """
        if not isinstance(settings, Mapping):
            raise ChoiceError(f"settings must be a dict by method, but {describe(settings)} came")
        found: dict[str, dict[str, Any]] = {}
        for method, values in self.by_name(settings).items():
            if not isinstance(values, Mapping):
                raise ChoiceError(
                    f"the settings of {method} must be a dict by parameter, but {describe(values)} came",
                    method,
                )
            kept = self._check_method(method, values)
            if kept:
                found[method] = kept
        return found

    def by_name(self, settings: Mapping[Any, Any]) -> dict[str, Any]:
        """Settings by the names of methods, whatever their keys call them.

        Raises:
            ChoiceError: a key is no method, or two are the same one.
        """
        found: dict[str, Any] = {}
        for key, values in settings.items():
            name = method_name(key, self.specs, "each key of settings")
            if name in found:
                raise ChoiceError(f"settings has {name} twice, once as {key!r}: write one dict for it", name)
            found[name] = values
        return found

    def with_steps(self, settings: Mapping[Any, Any] | None, n_steps: int) -> dict[str, Any]:
        """Settings in which the path has so many steps, unless they say otherwise.

        Raises:
            ChoiceError: see :meth:`by_name`.
        """
        found = self.by_name(settings or {})
        return {**found, "IntegratedGradients": {"n_steps": n_steps, **found.get("IntegratedGradients", {})}}

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
                    self.specs[method].check({**self._defaults(method), **kept})
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
