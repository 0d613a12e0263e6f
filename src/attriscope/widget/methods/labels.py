"""Titles and labels: what maps, methods, outputs and neurons are called on the page.

What a method is called by itself is in its :class:`~attriscope.widget.methods.spec.MethodSpec`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attriscope.widget.messages.class_names import ClassNames
from attriscope.widget.messages.types import Neuron
from attriscope.widget.methods.spec import MethodSpec
from attriscope.widget.state.selection import Selection, TargetFunction

# A tensor that a person gave as the baseline: its name, and what the page calls it.
OWN_BASELINE, OWN_BASELINE_LABEL = "custom", "your own"


class Labels:
    """Titles and labels.

    Args:
        names: of the classes.
        specs: the methods on offer, by name.
        noun: what one of a layer's channels is called, given the layer's path.
        baselines: what the baselines on offer are called, by their names; ``None`` (default): as their names.

    Attributes:
        names: of the outputs of the example on show, as far as they are known.
        given: of the classes, as they came.
        pixels: whether the model gives the scores of pixels.
    """

    def __init__(
        self,
        names: ClassNames,
        specs: Mapping[str, MethodSpec],
        noun: Callable[[str], str] = lambda layer: "channel",
        baselines: Mapping[str, str] | None = None,
    ) -> None:
        self.given = self.names = names
        self.pixels = False
        self._specs = specs
        self._noun = noun
        self._baselines = {OWN_BASELINE: OWN_BASELINE_LABEL, **(baselines or {})}

    def label(self, target: Any) -> str:
        """One output."""
        if isinstance(target, TargetFunction):
            return target.name
        if self.pixels and isinstance(target, list) and len(target) == 3:
            return f"{self.names.label(target[0])} at row {target[1]}, column {target[2]}"
        return self.names.label(target) if isinstance(target, int) else f"output {target}"

    def output(self, selection: Selection) -> str:
        """What is explained; empty for models with one output that has no name."""
        if selection.target is None:
            return self.names.only
        against = "" if selection.contrast is None else f" rather than {self.label(selection.contrast)}"
        return self.label(selection.target) + against

    def explained(self, selection: Selection, noun: str) -> str:
        """What the numbers of a map are about: an output, or what a neuron holds.

        Args:
            selection: what is selected.
            noun: what the model's numbers are, such as ``"score"``.
        """
        if selection.place == "neuron" and not self._spec(selection).explains_output:
            return f"the activation of {self.neuron(selection)}"
        if isinstance(selection.target, TargetFunction):
            return selection.target.name
        output = self.output(selection)
        return f"the {noun} of {output}" if output else f"the model's {noun}"

    def method(self, selection: Selection) -> str:
        """How it is explained."""
        title = self._spec(selection).title
        if selection.place == "layer":
            return f"{title} at {selection.layer or 'the model'}"
        return f"{title} of {self.neuron(selection)}" if selection.place == "neuron" else title

    def neuron(self, selection: Selection) -> str:
        """The selected neuron."""
        assert selection.layer is not None
        assert selection.neuron is not None
        return neuron_label(selection.neuron, selection.layer, self._noun(selection.layer))

    def title(self, selection: Selection) -> str:
        """Of a map."""
        spec = self._spec(selection)
        return self.method(selection) + self._about(selection, spec) + self._compared(selection, spec)

    def sentence(self, selection: Selection) -> str:
        """The question that a map answers, and by what."""
        spec = self._spec(selection)
        if selection.place == "neuron":
            about = (
                f" for {self.output(selection)}" if spec.explains_output and self.output(selection) else ""
            )
            return f"What drives {self.neuron(selection)}{about}, by {spec.title}"
        if not spec.explains_output:
            return f"What {selection.layer or 'the model'} gives, by {spec.title}"
        where = f", seen at {selection.layer or 'the model'}" if selection.place == "layer" else ""
        return f"Why {self.output(selection) or 'this output'}{where}, by {spec.title}"

    def layer_maps_title(self, selection: Selection) -> tuple[str, str]:
        """Of a layer's map, before and after its name."""
        spec = self._specs[selection.layer_method]
        return f"{spec.title} at ", self._about(selection, spec) + self._compared(selection, spec)

    def _about(self, selection: Selection, spec: MethodSpec) -> str:
        output = self.output(selection)
        return f" for {output}" if output and spec.explains_output else ""

    def _compared(self, selection: Selection, spec: MethodSpec) -> str:
        return self._against(selection, spec.baselines == "each") if spec.compares else ""

    def compares(self, selection: Selection) -> bool:
        """Whether the selected method explains a change from the baseline."""
        return self._spec(selection).compares

    def _spec(self, selection: Selection) -> MethodSpec:
        return self._specs[selection.shown_method]

    def comparison_title(self, selection: Selection) -> str:
        """Of a table of methods."""
        output = self.output(selection)
        about = f"Explanations of {output}" if output else "Explanations"
        return about + self._against(selection, averaged=True)

    def preview_title(self, selection: Selection) -> str:
        """Of the cheap map that stands in while the selected one is worked out."""
        output = self.output(selection)
        return (
            f"Preview of {self.method(selection)}"
            + (f" for {output}" if output else "")
            + ": one gradient times the difference from the baseline"
        )

    def path_title(self, selection: Selection) -> str:
        """Of the path, which is integrated gradients whatever the method."""
        output = self.output(selection)
        return (
            "Integrated gradients"
            + (f" for {output}" if output else "")
            + self._against(selection, averaged=True)
        )

    def _against(self, selection: Selection, averaged: bool) -> str:
        """In the words of the menu of baselines."""
        labels = [self._baselines.get(name, name) for name in selection.baselines]
        if selection.baselines == (OWN_BASELINE,):
            return f", {OWN_BASELINE_LABEL} baseline"
        if len(labels) == 1:
            return f", baseline {labels[0]}"
        names = ", ".join(labels)
        return f", average over the baselines {names}" if averaged else f", baselines {names}"


def neuron_label(neuron: Neuron, layer: str, noun: str) -> str:
    """A neuron of a layer."""
    first, *place = [neuron] if isinstance(neuron, int) else neuron
    where = {0: "", 1: " at position {}", 2: " at row {}, column {}"}[len(place)].format(*place)
    return f"{noun} {first}{where} of {layer or 'the model'}"
