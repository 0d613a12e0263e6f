"""What things are called on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attriscope.widget import wire
from attriscope.widget.choices import Choice
from attriscope.widget.offers import OFFERS, Offer
from attriscope.widget.pictures import BASELINES

ClassNames = Sequence[str] | dict[int, str] | None


class Words:
    """Titles and labels, given the names of the classes and the methods on offer."""

    def __init__(self, names: ClassNames = None, offers: Mapping[str, Offer] = OFFERS) -> None:
        self.names = names
        self._offers = offers

    def label(self, target: Any) -> str:
        """One output."""
        return wire.class_label(target, self.names) if isinstance(target, int) else f"output {target}"

    def output(self, choice: Choice) -> str:
        """What is explained; empty for models with one output."""
        if choice.target is None:
            return ""
        against = "" if choice.contrast is None else f" rather than {self.label(choice.contrast)}"
        return self.label(choice.target) + against

    def method(self, choice: Choice) -> str:
        """How it is explained."""
        return self._offers[choice.method].title if choice.layer is None else f"Grad-CAM at {choice.layer}"

    def title(self, choice: Choice) -> str:
        """Of a map."""
        output = self.output(choice)
        offer = self._offers[choice.method]
        compared = choice.layer is None and offer.compares
        return (
            self.method(choice)
            + (f" for {output}" if output else "")
            + (self._against(choice, offer.baselines == "each") if compared else "")
        )

    def comparison_title(self, choice: Choice) -> str:
        """Of a table of methods."""
        output = self.output(choice)
        about = f"Explanations of {output}" if output else "Explanations"
        return about + self._against(choice, averaged=True)

    def preview_title(self, choice: Choice) -> str:
        """Of the cheap map that stands in while the chosen one is worked out."""
        output = self.output(choice)
        return (
            f"Preview of {self.method(choice)}"
            + (f" for {output}" if output else "")
            + ": one gradient times the difference from the baseline"
        )

    def path_title(self, choice: Choice) -> str:
        """Of the walk, which is integrated gradients whatever the method."""
        output = self.output(choice)
        return (
            "Integrated Gradients"
            + (f" for {output}" if output else "")
            + self._against(choice, averaged=True)
        )

    @staticmethod
    def _against(choice: Choice, averaged: bool) -> str:
        if len(choice.baselines) == 1:
            return f", baseline {choice.baselines[0]}"
        names = ", ".join(choice.baselines)
        return f", average over the baselines {names}" if averaged else f", baselines {names}"


def baseline_choices(own: bool) -> list[wire.Message]:
    """The baselines to choose from; with the user's own if there is one."""
    offered = [{"name": name, "label": label} for name, label in BASELINES.items()]
    return [*offered, {"name": "custom", "label": "Your own"}] if own else offered
