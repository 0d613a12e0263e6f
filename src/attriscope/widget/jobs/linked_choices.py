"""Choices that follow others: a neuron is one of its layer, a region of its picture, a target what is predicted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.state.explorer_state import ExplorerState
from attriscope.widget.state.table import REQUESTED


def link(widget: Any, explained: ExplainedModel, state: ExplorerState, choose: Callable[[Any], None]) -> None:
    """Have an Explorer's choices follow each other from now on; those that it was made with stand as they are.

    Args:
        widget: the Explorer.
        explained: knows what is predicted.
        state: knows whether the target was found or chosen.
        choose: asks for what is chosen.
    """

    def leave_neuron(change: Any) -> None:
        if change["old"] is not None:  # without a layer there was no neuron; the first ones may come together
            widget.neuron = None

    def leave_predicted(change: Any) -> None:
        if change["new"] not in (None, state.settled):
            widget.explain_predicted = False

    def turn_to_predicted(change: Any) -> None:
        if change["new"] and (best := explained.best(widget.example)) is not None:
            state.settled = widget.target = best

    def leave_example(change: Any) -> None:
        widget.selection = None  # it was drawn on another picture
        widget.edited = []  # of another row

    widget.observe(leave_neuron, "layer")
    widget.observe(leave_example, "example")
    widget.observe(leave_predicted, "target")
    widget.observe(turn_to_predicted, "explain_predicted")
    widget.observe(choose, [*REQUESTED, "selection"])
