"""What can be chosen, as traits: each wish is checked here, whoever has it, and refused with a reason."""

from __future__ import annotations

import numbers
from typing import Any

import traitlets
from torch import nn

from attriscope.core.hooks import find_layer, layer_names
from attriscope.core.inputs import Examples, describe
from attriscope.core.target import resolve_target
from attriscope.widget.messages.labels import baseline_choices
from attriscope.widget.messages.types import Neuron
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.model.images import BASELINES, custom_baseline
from attriscope.widget.model.layouts import Layout
from attriscope.widget.state.selection import (
    ChoiceError,
    Own,
    Place,
    Selection,
    baseline_names,
    refusing,
)
from attriscope.widget.state.table import ExplorerTraits
from attriscope.widget.state.traits import also

# More neurons than this to switch off are a mistake.
_MOST_ABLATED = 1000


def _whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


class NeuronTraits(traitlets.HasTraits):
    """The picked layer, and the neuron that is picked in it.

    Whoever has them sets ``_model`` first.
    """

    _model: nn.Module
    layer = also(ExplorerTraits.layer)
    neuron = also(ExplorerTraits.neuron)

    def _form(self, layer: str) -> Layout | None:
        """How to read a layer; ``None`` while that is not known."""
        return None

    @traitlets.validate("layer")
    def _valid_layer(self, proposal: Any) -> str | None:
        return None if proposal["value"] is None else self._path(proposal["value"])

    def _path(self, layer: str) -> str:
        """The path of a layer as it stands in the tree: a shared module has others."""
        with refusing():
            return layer_names(self._model)[find_layer(self._model, layer)]

    @traitlets.validate("neuron")
    def _valid_neuron(self, proposal: Any) -> Neuron | None:
        value = proposal["value"]
        if value is None:
            return None
        if self.layer is None:
            raise ChoiceError(f"neuron {describe(value)} of which layer? Pick a layer first")
        return self._one_neuron(self._path(self.layer), value, "neuron")

    def _one_neuron(self, layer: str, value: Any, what: str) -> Neuron:
        index = list(value) if isinstance(value, list | tuple) else [value]
        if not 1 <= len(index) <= 3 or not all(_whole(i) and i >= 0 for i in index):
            raise ChoiceError(
                f"{what} must be the index of a channel or unit, or a list of it and its place, but "
                f"{describe(value)} came"
            )
        neuron = int(index[0]) if len(index) == 1 else [int(i) for i in index]
        with refusing():
            form = self._form(layer)
        if form is not None:
            form.check(neuron, layer)
        return neuron

    @traitlets.observe("layer")
    def _leave_neuron(self, change: Any) -> None:
        if change["old"] is not None:  # without a layer there was no neuron; the first ones may come together
            self.neuron = None


class ChoiceTraits(NeuronTraits, ExplorerTraits):
    """What is explained and how.

    Whoever has them sets ``_model``, ``_batch`` (all examples) and ``_menu`` first.
    """

    _batch: Examples
    _menu: MethodRegistry
    _own: Own | None = None

    @property
    def _outputs(self) -> int | None:
        """How many classes the model has; ``None`` while that is not known."""
        return None

    @property
    def choice(self) -> Selection:
        """All of it, as it is now."""
        named = baseline_names(self.baseline)
        names = tuple(named) if isinstance(named, list) else (named,)
        return Selection(
            self.method,
            self.target,
            names,
            self.layer,
            self._own if "custom" in names else None,
            self.contrast,
            self.example,
            {name: dict(values) for name, values in self.settings.items()},
            self.effort,
            self.layer_method,
            self.neuron,
            self.neuron_method,
            tuple((layer, neuron) for layer, neuron in self.ablated),
            self.ablate_to,
        )

    def baseline_of(self, value: Any) -> Any:
        """What the page's names stand for."""
        if isinstance(value, list):
            return [self.baseline_of(one) for one in value]
        return self._own.tensor if value == "custom" and self._own is not None else value

    @traitlets.default("baselines")
    def _default_baselines(self) -> Any:
        return baseline_choices(own=False)

    @traitlets.validate("method")
    def _valid_method(self, proposal: Any) -> str:
        if proposal["value"] not in self._menu.offers:
            raise ChoiceError(
                f"method must be one of {', '.join(self._menu.offers)}, but {describe(proposal['value'])} came"
            )
        return str(proposal["value"])

    @traitlets.validate("layer_method")
    def _valid_layer_method(self, proposal: Any) -> str:
        return self._inside_method(proposal, "layer")

    @traitlets.validate("neuron_method")
    def _valid_neuron_method(self, proposal: Any) -> str:
        return self._inside_method(proposal, "neuron")

    def _inside_method(self, proposal: Any, place: Place) -> str:
        value, known = proposal["value"], self._menu.at(place)
        if value not in known:
            raise ChoiceError(f"{place}_method must be one of {', '.join(known)}, but {describe(value)} came")
        return str(value)

    @traitlets.validate("ablated")
    def _valid_ablated(self, proposal: Any) -> list[Any]:
        value = proposal["value"]
        what = "ablated must be a list of pairs [layer, neuron]"
        if not isinstance(value, list | tuple) or len(value) > _MOST_ABLATED:
            raise ChoiceError(f"{what}, at most {_MOST_ABLATED}, but {describe(value)} came")
        found: list[Any] = []
        paths: dict[str, str] = {}
        for one in value:
            if not isinstance(one, list | tuple) or len(one) != 2 or not isinstance(one[0], str):
                raise ChoiceError(f"{what}, but it holds {describe(one)}")
            if one[0] not in paths:
                paths[one[0]] = self._path(one[0])
            layer = paths[one[0]]
            pair = [layer, self._one_neuron(layer, one[1], "a neuron in ablated")]
            if pair not in found:
                found.append(pair)
        return found

    @traitlets.validate("baseline")
    def _valid_baseline(self, proposal: Any) -> Any:
        value = proposal["value"]
        if not isinstance(value, list | tuple):
            return self._one_baseline(value)
        found = [self._one_baseline(one) for one in value[: len(BASELINES) + 2]]
        names = [baseline_names(one) for one in found]
        if not found or len(set(names)) < len(value):
            raise ChoiceError(
                "several baselines must be different ones, and at most one tensor, but "
                f"{describe(baseline_names(list(value[:10])))} came"
            )
        return found if len(found) > 1 else found[0]

    def _one_baseline(self, value: Any) -> Any:
        if isinstance(value, str):
            if value not in BASELINES:
                names = ", ".join(BASELINES)
                raise ChoiceError(f"baseline must be one of {names} or a tensor, but {describe(value)} came")
            return value
        if self._own is None or value is not self._own.tensor:
            with refusing():
                self._own = Own(custom_baseline(value, self._batch))
        self.baselines = baseline_choices(own=True)
        return self._own.tensor

    @traitlets.validate("target")
    def _valid_target(self, proposal: Any) -> Any:
        value = proposal["value"]
        if isinstance(value, bool) or (isinstance(value, list | tuple) and len(value) > 16):
            raise ChoiceError(f"target must be an int or a short list of ints, but {describe(value)} came")
        with refusing():
            target = resolve_target(tuple(value) if isinstance(value, list) else value, 1)
        if target.function is not None:
            raise ChoiceError("the page cannot show a function as target; give an int or a tuple of ints")
        if target.column is None:
            return None
        index = list(target.column)
        if any(isinstance(i, slice) for i in index) or not index:
            raise ChoiceError(f"target must be an int or a list of ints, but {describe(value)} came")
        if len(index) > 1:
            return index
        return self._class(index[0], "target")

    @traitlets.validate("contrast")
    def _valid_contrast(self, proposal: Any) -> int | None:
        value = proposal["value"]
        if value is None:
            return None
        contrast = self._class(value, "contrast")
        if isinstance(self.target, list):
            raise ChoiceError(f"contrast compares with a target that is one class, but that is {self.target}")
        if contrast == self.target:
            raise ChoiceError(f"contrast must be another class than the target, but both are {contrast}")
        return contrast

    def _class(self, value: Any, what: str) -> int:
        if not _whole(value):
            raise ChoiceError(f"{what} must be the index of a class, but {describe(value)} came")
        count = self._outputs
        if count is not None and not -count <= value < count:
            raise ChoiceError(
                f"{what} {describe(value)} is out of range: the model has classes 0 to {count - 1}"
            )
        return int(value) % count if count is not None else int(value)

    @traitlets.validate("example")
    def _valid_example(self, proposal: Any) -> int:
        value, count = proposal["value"], self._batch.count
        if not _whole(value) or not 0 <= value < count:
            raise ChoiceError(f"example must be an int from 0 to {count - 1}, but {describe(value)} came")
        return int(value)

    @traitlets.validate("settings")
    def _valid_settings(self, proposal: Any) -> dict[str, Any]:
        return self._menu.check(proposal["value"])
