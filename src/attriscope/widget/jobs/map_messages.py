"""A map as it travels to the page: its numbers, what they are, and how good they are as an estimate."""

from __future__ import annotations

from typing import TypedDict

from torch import Tensor

from attriscope.attr import LayerGradCam
from attriscope.widget.messages import wire
from attriscope.widget.messages.predictions import Outputs
from attriscope.widget.messages.types import Quantity, RawHeat
from attriscope.widget.methods.labels import Labels
from attriscope.widget.methods.quantities import quantity_of, tells_worth, unit_words
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.model.map import Map
from attriscope.widget.state.selection import Selection


class Unit(TypedDict):
    """What the numbers of a map are, by kind and in words."""

    quantity: Quantity
    unit: str


class MapMessages:
    """What is told of maps.

    Args:
        explained: the model.
        registry: the methods on offer.
        labels: what things are called.
    """

    def __init__(self, explained: ExplainedModel, registry: MethodRegistry, labels: Labels) -> None:
        self._explained, self._registry, self._labels = explained, registry, labels

    def about(self, selection: Selection, title: str) -> RawHeat:
        """What is said of a map however far it has been worked out."""
        unit = self.unit(selection)
        return {
            "title": title,
            "request": {**selection.request("heat"), "effort": selection.effort},
            "refinable": self._registry.refinable(
                selection.shown_method, selection.shown_settings, selection.effort
            ),
            "preview": False,
            "changed": False,
            "quantity": unit["quantity"],
            "unit": unit["unit"],
            "compares": self._registry.specs[selection.shown_method].compares,
            "tells_worth": tells_worth(
                unit["quantity"], self._registry.specs[selection.shown_method], selection
            ),
        }

    def unit(self, selection: Selection) -> Unit:
        """What the numbers of the selected method are."""
        spec, custom = (
            self._registry.specs[selection.shown_method],
            self._registry.is_custom(selection.shown_method),
        )
        quantity = quantity_of(spec, selection, custom)
        noun = self._outputs(selection).noun
        return {"quantity": quantity, "unit": unit_words(quantity, self._labels.explained(selection, noun))}

    def heat(self, selection: Selection, found: Map, about: RawHeat) -> RawHeat:
        """A map as far as it has been worked out; {} for a layer that has nothing to lay over the picture."""
        stage = self._explained.example(selection.example).stage
        over = found.over_picture
        if over is None or (found.layout is not None and not stage.has_neighbours):
            return {}  # the page says what the layer gives instead
        size, side = stage.places, wire.MAP_SIDE if stage.has_neighbours else None
        shown = wire.flat_map(_fitted(over, size), side)
        errors = None if found.error is None else found.placed(found.error.abs())
        error = None if errors is None else wire.flat_map(_fitted(errors, size), side)
        heat = wire.heat_message(
            shown,
            final=found.final,
            sum=None if found.total is None else wire.number(found.total),
            gap=None if found.gap is None else wire.number(found.gap),
            error=None if error is None else wire.number(error.amax()),
            relative_error=None if error is None else wire.number(_size(error) / _size(shown)),
            evaluations=found.evaluations,
            pixels=over.shape[2] * over.shape[3] / shown.numel(),
            summable=found.additive and found.shares is None and selection.place != "layer",
            output=self._output(selection),
        )
        return {**heat, **about}

    def _output(self, selection: Selection) -> float | None:
        """The explained number at the input; ``None`` where it is none of those that the model gives a row of."""
        scores = self._explained.scores(selection.example)
        if scores is None or selection.place == "neuron" or selection.picked is not None:
            return None
        if selection.target is None:
            return wire.number(scores[0]) if len(scores) == 1 else None
        if not isinstance(selection.target, int) or selection.target >= len(scores):
            return None
        found = scores[selection.target]
        return wire.number(found if selection.contrast is None else found - scores[selection.contrast])

    def _outputs(self, selection: Selection) -> Outputs:
        return self._explained.outputs(selection, self._labels.names.binary)


def _fitted(found: Tensor, size: tuple[int, ...]) -> Tensor:
    return found if tuple(found.shape[2:]) == size else LayerGradCam.interpolate(found, size, "bilinear")


def _size(values: Tensor) -> Tensor:
    """Root mean square."""
    return values.double().square().mean().sqrt()
