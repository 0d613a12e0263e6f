"""What things are called on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attriscope.widget.messages import wire
from attriscope.widget.messages.types import BaselineInfo, Neuron
from attriscope.widget.methods.registry import MethodSpec
from attriscope.widget.model.images import BASELINES
from attriscope.widget.state.selection import Selection

ClassNames = wire.ClassNames


class Words:
    """Titles and labels.

    Args:
        names: of the classes.
        offers: the methods on offer, by name.
        noun: what one of a layer's channels is called, given the layer's path.
    """

    def __init__(
        self,
        names: ClassNames,
        offers: Mapping[str, MethodSpec],
        noun: Callable[[str], str] = lambda layer: "channel",
    ) -> None:
        self.names = names
        self._offers = offers
        self._noun = noun

    def label(self, target: Any) -> str:
        """One output."""
        return wire.class_label(target, self.names) if isinstance(target, int) else f"output {target}"

    def output(self, choice: Selection) -> str:
        """What is explained; empty for models with one output."""
        if choice.target is None:
            return ""
        against = "" if choice.contrast is None else f" rather than {self.label(choice.contrast)}"
        return self.label(choice.target) + against

    def method(self, choice: Selection) -> str:
        """How it is explained."""
        title = self._offer(choice).title
        if choice.place == "layer":
            return f"{title} at {choice.layer or 'the model'}"
        return f"{title} of {self.neuron(choice)}" if choice.place == "neuron" else title

    def neuron(self, choice: Selection) -> str:
        """The picked neuron."""
        assert choice.layer is not None
        assert choice.neuron is not None
        return neuron_label(choice.neuron, choice.layer, self._noun(choice.layer))

    def title(self, choice: Selection) -> str:
        """Of a map."""
        offer = self._offer(choice)
        return self.method(choice) + self._about(choice, offer) + self._compared(choice, offer)

    def depth_title(self, choice: Selection) -> tuple[str, str]:
        """Of a layer's map, before and after its name."""
        offer = self._offers[choice.layer_method]
        return f"{offer.title} at ", self._about(choice, offer) + self._compared(choice, offer)

    def _about(self, choice: Selection, offer: MethodSpec) -> str:
        output = self.output(choice)
        return f" for {output}" if output and offer.explains_output else ""

    def _compared(self, choice: Selection, offer: MethodSpec) -> str:
        return self._against(choice, offer.baselines == "each") if offer.compares else ""

    def _offer(self, choice: Selection) -> MethodSpec:
        return self._offers[choice.shown_method]

    def comparison_title(self, choice: Selection) -> str:
        """Of a table of methods."""
        output = self.output(choice)
        about = f"Explanations of {output}" if output else "Explanations"
        return about + self._against(choice, averaged=True)

    def preview_title(self, choice: Selection) -> str:
        """Of the cheap map that stands in while the chosen one is worked out."""
        output = self.output(choice)
        return (
            f"Preview of {self.method(choice)}"
            + (f" for {output}" if output else "")
            + ": one gradient times the difference from the baseline"
        )

    def path_title(self, choice: Selection) -> str:
        """Of the walk, which is integrated gradients whatever the method."""
        output = self.output(choice)
        return (
            "Integrated Gradients"
            + (f" for {output}" if output else "")
            + self._against(choice, averaged=True)
        )

    @staticmethod
    def _against(choice: Selection, averaged: bool) -> str:
        if len(choice.baselines) == 1:
            return f", baseline {choice.baselines[0]}"
        names = ", ".join(choice.baselines)
        return f", average over the baselines {names}" if averaged else f", baselines {names}"


def neuron_label(neuron: Neuron, layer: str, noun: str) -> str:
    """A neuron of a layer."""
    first, *place = [neuron] if isinstance(neuron, int) else neuron
    where = {0: "", 1: " at position {}", 2: " at row {}, column {}"}[len(place)].format(*place)
    return f"{noun} {first}{where} of {layer or 'the model'}"


def baseline_choices(own: bool) -> list[BaselineInfo]:
    """The baselines to choose from; with the user's own if there is one."""
    offered: list[BaselineInfo] = [{"name": name, "label": label} for name, label in BASELINES.items()]
    return [*offered, {"name": "custom", "label": "Your own"}] if own else offered
