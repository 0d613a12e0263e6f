"""Whether a trait may have a value: each is checked here, whoever sets it, and refused with a reason.

A method of :class:`LayerValidation` or :class:`Validation` is named after the trait that it checks, and returns the
value that the trait gets; a trait without one takes whatever its kind in the table lets pass.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import torch
import traitlets
from torch import Tensor, nn

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.hooks import find_layer, layer_names
from attriscope.core.inputs import Examples, describe, gather_examples, require_floating
from attriscope.core.layouts import Layout, Neuron
from attriscope.core.notices import tell_of_training
from attriscope.core.pytree import flatten
from attriscope.core.target import resolve_target
from attriscope.widget.jobs.pinning import checked_pins
from attriscope.widget.messages.class_names import ClassNames
from attriscope.widget.messages.region_types import Region
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.methods.spelling import method_name
from attriscope.widget.model.answer import out_of_range
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.stages.baselines import baseline_infos, custom_baseline
from attriscope.widget.stages.stage import Stage
from attriscope.widget.state.selection import (
    ChoiceError,
    CustomBaseline,
    Place,
    TargetFunction,
    refusing,
)
from attriscope.widget.state.table import ROWS, ExplorerTraits
from attriscope.widget.state.traits import baseline_names

# More neurons than this to switch off are a mistake.
_MOST_ABLATED = 1000
# More maps than this have no place beside each other.
_MOST_BESIDE = 2
# A strip of more examples than this is of no use to anybody.
_MOST_EXAMPLES = 1000


def check_keywords(widget: type[traitlets.HasTraits], given: Iterable[str]) -> None:
    """Refuse initial values of what is no trait, which traitlets would let pass.

    Raises:
        TypeError: as Python does for functions.
    """
    known = [name for name in widget.class_trait_names(sync=True) if not name.startswith("_")]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{widget.__name__}() got an unexpected keyword argument {name!r}{hint}")


def checked_examples(model: Any, inputs: Any, additional_forward_args: Any) -> Examples:
    """The Explorer's examples: copies, for whoever made the inputs may use their memory again.

    Raises:
        InputTypeError, InputError: the Explorer cannot show this model and its inputs.
    """
    examples = gather_examples(inputs, additional_forward_args).plain
    _check_inputs(model, examples, inputs)
    tensors = tuple(x.detach().clone() for x in examples.tensors)
    return dataclasses.replace(examples, tensors=tensors, arguments=tuple(map(_copied, examples.arguments)))


def _copied(value: Any) -> Any:
    """The same with copies of the tensors and arrays in it; what holds none of them is the thing itself."""
    leaves, unflatten = flatten(value)
    copies = [
        leaf.detach().clone()
        if isinstance(leaf, Tensor)
        else (leaf.copy() if isinstance(leaf, np.ndarray) else leaf)
        for leaf in leaves
    ]
    same = all(a is b for a, b in zip(leaves, copies, strict=True))
    return value if same else unflatten(copies)


def _check_inputs(model: Any, examples: Examples, inputs: Any) -> None:
    if not isinstance(model, nn.Module):
        raise InputTypeError(f"model must be a torch.nn.Module, but {describe(model)} came")
    x = examples.tensors[0]
    if len(examples.tensors) > 1 or examples.keys:
        hint = ""
        of_pictures = any(one.dim() == 4 for one in examples.tensors)
        if not examples.keys and (x.dim() == 4 or (x.dim() == 2 and not of_pictures)):
            hint = (
                f"; give the {'pictures' if x.dim() == 4 else 'table'}, and what else the model takes as "
                "additional_forward_args: Explorer(model, inputs[0], additional_forward_args=inputs[1:])"
            )
        raise InputError(
            "the Explorer shows pictures, of shape (N, C, H, W), or a table, of shape (N, F), as the one input that is "
            f"explained, but {describe(inputs)} came{hint}"
        )
    if len(x) > _MOST_EXAMPLES:
        raise InputError(
            f"the Explorer offers at most {_MOST_EXAMPLES} examples to choose from, but {len(x)} came; "
            f"write inputs[:{_MOST_EXAMPLES}]"
        )
    require_floating(examples, "the Explorer")
    tell_of_training(model)


class HasLayer(Protocol):
    """Traits among which a layer is selected."""

    layer: Any


class LayerValidation:
    """Of the traits that name a layer and a neuron.

    Args:
        traits: all values as they are.
        model: what the layers are of.
        layout_of: how to read a layer; ``None`` while that is not known. It raises ``InputError`` for what is none.
    """

    def __init__(self, traits: HasLayer, model: nn.Module, layout_of: Callable[[str], Layout | None]) -> None:
        self._layer_of, self._model, self._layout_of = traits, model, layout_of

    def check(self, name: str, value: Any) -> Any:
        """What the trait of this name gets for a value.

        Raises:
            ChoiceError: the value cannot be used.
        """
        return getattr(self, name)(value)

    def layer(self, value: str | None) -> str | None:
        """A path of a layer, or none."""
        return None if value is None else self._path(value)

    def neuron(self, value: Any) -> Neuron | None:
        """A channel of the selected layer, or one of its places."""
        if value is None:
            return None
        layer = self._layer_of.layer
        if layer is None:
            raise ChoiceError(f"neuron {describe(value)} of which layer? Pick a layer first")
        return self._neuron(self._path(layer), value, "neuron")

    def _path(self, layer: str) -> str:
        """The path of a layer as it stands in the tree: a shared module has others."""
        with refusing():
            return layer_names(self._model)[find_layer(self._model, layer)]

    def _neuron(self, layer: str, value: Any, what: str) -> Neuron:
        index = list(value) if isinstance(value, list | tuple) else [value]
        if not 1 <= len(index) <= 3 or not all(_whole(i) and i >= 0 for i in index):
            raise ChoiceError(
                f"{what} must be the index of a channel or unit, or a list of it and its place, but "
                f"{describe(value)} came"
            )
        neuron = int(index[0]) if len(index) == 1 else [int(i) for i in index]
        with refusing():
            layout = self._layout_of(layer)
            if layout is not None:
                layout.check(neuron, layer)
        return neuron


class Validation(LayerValidation):
    """Of all that can be selected in the Explorer.

    Args:
        traits: all values as they are.
        explained: the model, and its examples.
        registry: the methods on offer.
        names: of the classes.

    Attributes:
        custom: the user's own baseline, if there was one.
    """

    def __init__(
        self, traits: ExplorerTraits, explained: ExplainedModel, registry: MethodRegistry, names: ClassNames
    ) -> None:
        super().__init__(traits, explained.model, explained.layer_cache.known_layout)
        self._traits, self._explained, self._registry = traits, explained, registry
        self.custom: CustomBaseline | None = None
        self._names = names
        self._functions: dict[str, TargetFunction] = {}

    # --- methods ----------------------------------------------------------------------------------------------

    def method(self, value: Any) -> str:
        """The name of a method for the input."""
        return self._method(value, "input", "method")

    def layer_method(self, value: Any) -> str:
        """The name of a method for a layer."""
        return self._method(value, "layer", "layer_method")

    def neuron_method(self, value: Any) -> str:
        """The name of a method for a neuron."""
        return self._method(value, "neuron", "neuron_method")

    def _method(self, value: Any, place: Place, what: str) -> str:
        offered = self._registry.at(place)
        elsewhere = {name: spec for name, spec in self._registry.specs.items() if name not in offered}
        return method_name(value, offered, what, elsewhere=elsewhere)

    def settings(self, value: Any) -> dict[str, Any]:
        """What is set otherwise than the methods' defaults."""
        return self._registry.check(value)

    # --- what is explained ------------------------------------------------------------------------------------

    def target(self, value: Any) -> Any:
        """An index of the output, or a list of them."""
        self._explained.asked_name = None
        if isinstance(value, str):
            if value in self._functions:
                return self._functions[value]
            named, self._explained.asked_name = self._named(value, "target"), value
            return named
        if isinstance(value, list | tuple) and value and isinstance(value[0], str):
            value = (self._named(value[0], "target"), *value[1:])  # a class, and where
        if isinstance(value, bool) or (isinstance(value, list | tuple) and len(value) > 16):
            raise ChoiceError(f"target must be an int or a short list of ints, but {describe(value)} came")
        with refusing():
            target = resolve_target(tuple(value) if isinstance(value, list) else value, 1)
        if target.function is not None:
            return self._function(value)
        if target.column is None:
            return None
        index = list(target.column)
        if any(isinstance(i, slice) for i in index) or not index:
            raise ChoiceError(f"target must be an int or a list of ints, but {describe(value)} came")
        if len(index) > 1:
            return index
        return self._class(index[0], "target")

    def _named(self, value: str, what: str) -> int:
        """A class by its name."""
        if self._explained.boxes is not None:
            raise ChoiceError(f"{what} must be the index of a box, but {describe(value)} came")
        indices = self._names.indices(value)
        if len(indices) > 1:
            raise ChoiceError(
                f"{what} {value!r} is the name of several classes, {indices}: give one of these"
            )
        if not indices:
            near = difflib.get_close_matches(value, self._names.by_index.values(), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ChoiceError(f"{what} {describe(value)} is the name of no class{hint}")
        return self._class(indices[0], what)

    def _function(self, value: Any) -> TargetFunction:
        """A function as target, with a name that no other has."""
        if isinstance(value, TargetFunction):
            value = value.function
        for known in self._functions.values():
            if known.function is value:
                return known
        name = getattr(value, "__name__", None) or getattr(value, "name", None) or type(value).__name__
        name = "your function" if name == "<lambda>" else name
        same = sum(known.partition(" (")[0] == name for known in self._functions)
        found = TargetFunction(value, f"{name} ({same + 1})" if same else name)
        self._functions[found.name] = found
        return found

    def pixel(self, row: Any, column: Any, example: int) -> list[int]:
        """As target, the class at a pixel of the picture; see :meth:`attriscope.Explorer.explain_pixel`."""
        if not _whole(row) or not _whole(column):
            raise ChoiceError(f"row and column must be ints, but {describe(row)} and {describe(column)} came")
        with refusing():
            return self._explained.answer(example).class_at(int(row), int(column), self._stage.places)

    def contrast(self, value: Any) -> int | None:
        """Another class than the target, or none."""
        if value is None:
            return None
        if self._explained.boxes is not None:
            raise ChoiceError("contrast compares classes, but what is explained is the score of a box")
        contrast = (
            self._named(value, "contrast") if isinstance(value, str) else self._class(value, "contrast")
        )
        target = self._traits.target
        if isinstance(target, list | TargetFunction):
            which = target.name if isinstance(target, TargetFunction) else target
            raise ChoiceError(f"contrast compares with a target that is one class, but that is {which}")
        if contrast == target:
            raise ChoiceError(f"contrast must be another class than the target, but both are {contrast}")
        return contrast

    def _class(self, value: Any, what: str) -> int:
        if not _whole(value):
            raise ChoiceError(f"{what} must be the index of a class, but {describe(value)} came")
        count = self._explained.classes
        listed = None if self._explained.boxes is not None else self._names.listed
        if count is None and listed is not None and not -listed <= value < listed:  # before the model has run
            raise ChoiceError(
                f"{what} {value} is out of range: class_names holds {listed} name(s), from 0 on"
            )
        if count is not None and not -count <= value < count:
            raise ChoiceError(out_of_range(what, value, count))
        return int(value) % count if count is not None else int(value)

    def example(self, value: Any) -> int:
        """The index of an example."""
        count = self._explained.examples.count
        if not _whole(value) or not 0 <= value < count:
            raise ChoiceError(f"example must be an int from 0 to {count - 1}, but {describe(value)} came")
        return int(value)

    def view_box(self, value: Any) -> list[int] | None:
        """A part of the picture, or none."""
        if value is None:
            return None
        box = list(value) if isinstance(value, list | tuple) else []
        if len(box) != 4 or not all(map(_whole, box)) or not (box[0] < box[2] and box[1] < box[3]):
            raise ChoiceError(
                f"view_box must be None or x0, y0, x1, y1 in pixels of the picture, but {describe(value)} came"
            )
        return [int(one) for one in box]

    @property
    def _stage(self) -> Stage:
        """All examples have places of the same kind and number."""
        return self._explained.example(0).stage

    # --- baselines --------------------------------------------------------------------------------------------

    def baseline(self, value: Any) -> Any:
        """A baseline by its name or as a tensor, or several of these."""
        if not isinstance(value, list | tuple):
            return self._one_baseline(value)
        found = [self._one_baseline(one) for one in value[: len(self._stage.baseline_labels) + 2]]
        names = [baseline_names(one) for one in found]
        if not found or len(set(names)) < len(value):
            raise ChoiceError(
                "several baselines must be different ones, and at most one tensor, but "
                f"{describe(baseline_names(list(value[:10])))} came"
            )
        return found if len(found) > 1 else found[0]

    def _one_baseline(self, value: Any) -> Any:
        if isinstance(value, str):
            labels = self._stage.baseline_labels
            if value not in labels:
                names = ", ".join(labels)
                raise ChoiceError(f"baseline must be one of {names} or a tensor, but {describe(value)} came")
            return value
        if self.custom is None or value is not self.custom.tensor:
            with refusing():
                self.custom = CustomBaseline(custom_baseline(value, self._explained.examples))
        self._traits.baselines = baseline_infos(self._stage.baseline_labels, custom=True)
        return self.custom.tensor

    def baseline_of_names(self, value: Any) -> Any:
        """The baselines that the page names."""
        if isinstance(value, list):
            return [self.baseline_of_names(one) for one in value]
        return self.custom.tensor if value == "custom" and self.custom is not None else value

    def edited(self, value: Any) -> list[Any]:
        """Pairs of a column and a number."""
        what = "edited must be a list of pairs [column, value]"
        if not isinstance(value, list | tuple):
            raise ChoiceError(f"{what}, but {describe(value)} came")
        example = self._explained.example(self._traits.example)
        if value:
            with refusing():
                example.stage.edit([(0, 0.0)])  # whether anything can be edited at all
        columns = example.tensor.shape[1]
        found: dict[int, float] = {}
        for one in value:
            if not isinstance(one, list | tuple) or len(one) != 2 or not _whole(one[0]):
                raise ChoiceError(f"{what}, but it holds {describe(one)}")
            column, number = one
            if not 0 <= column < columns:
                raise ChoiceError(f"{what}, of columns 0 to {columns - 1}, but it holds column {column}")
            if isinstance(number, bool) or not isinstance(number, numbers.Real) or not math.isfinite(number):
                raise ChoiceError(f"{what}, of values that are numbers, but it holds {describe(number)}")
            found[int(column)] = float(number)
        dtype = example.tensor.dtype
        for number in found.values():
            if not torch.tensor(number, dtype=torch.float64, device="cpu").to(dtype).isfinite():
                kind = str(dtype).removeprefix("torch.")
                raise ChoiceError(f"{what}, of values that {kind} can hold, but it holds {number}")
        return [[column, number] for column, number in sorted(found.items())]

    def selection(self, value: Any) -> Region | None:
        """A region of the picture, or none."""
        with refusing():
            return None if value is None else self._stage.checked_region(value)

    def beside(self, value: Any) -> list[int]:
        """The numbers of at most two pins."""
        if not isinstance(value, list | tuple) or len(value) > _MOST_BESIDE:
            raise ChoiceError(
                f"beside must be a list of at most two numbers of pins, but {describe(value)} came"
            )
        return checked_pins(value, self._traits.pinned, "each in beside")

    # --- what is switched off ---------------------------------------------------------------------------------

    def ablated(self, value: Any) -> list[Any]:
        """Pairs of a layer and a neuron."""
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
            pair = [layer, self._neuron(layer, one[1], "a neuron in ablated")]
            if pair not in found:
                found.append(pair)
        return found


CHECKED = tuple(name for name in ROWS if hasattr(Validation, name))
"""The traits of the Explorer that are checked here."""


def _whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
