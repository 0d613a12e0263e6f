"""The one owner of what an Explorer was asked for and has answered; it knows no model, no page and no thread.

The Explorer holds it and its jobs tell it what they found (:meth:`ExplorerState.accept`); both have the lock of
:mod:`attriscope.widget.state.part` while they read or change it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from attriscope.widget.state.selection import ChoiceError, Selection


@dataclasses.dataclass(frozen=True)
class Result:
    """A map that was worked out for a selection.

    Attributes:
        selection: what it answers.
        attributions: what lies over the picture; of a layer without a map, what the method gave.
        weights: those of the model that it was made with.
        final: whether it is the last word.
        of_layer: for a layer, what the method gave.
        contributions: what each pixel adds to what is explained, (H, W), by a final map that says so.
        code: the lines of Python that reproduce it.
        seconds: how long it has taken.
    """

    selection: Selection
    attributions: Tensor
    weights: Any
    final: bool
    of_layer: Tensor | None = None
    contributions: Tensor | None = None
    code: Sequence[str] = ()
    seconds: float = 0.0


@dataclasses.dataclass
class ExplorerState:
    """What was requested, what is on show, of which weights, and how far it has been worked out.

    Attributes:
        requested: the latest selection that was asked for.
        example: which example the picture on show is of.
        edited: its cells that are on show with other values.
        attributions: of the map on show.
        contributions: what each pixel adds by that map, (H, W), if it says that.
        weights: those of the map on show; ``None`` if there is no map.
        seconds: how long the map on show has taken.
        answered: the selection whose map is final; others that differ in nothing that the map depends on are, too.
        finished: the selection of which everything has been worked out.
        of_layer: the latest attributions of a layer, and what they answer.
        settled: the target that was found and not chosen.
        looked_at: the example for which it was last seen to whether the target follows what is predicted: a job may be
            replaced between turning to an example and seeing to that.
        layers: what the page knows of the layers, as the model gave it.
        code: the lines of Python that reproduce the map on show, and what that answers.
    """

    requested: Selection | None = None
    example: int | None = None
    edited: Sequence[tuple[int, float]] = ()
    attributions: Tensor | None = None
    contributions: Tensor | None = None
    weights: Any = None
    answered: Selection | None = None
    finished: Selection | None = None
    of_layer: tuple[Selection, Tensor] | None = None
    layers: Any = None
    code: tuple[Selection, Sequence[str]] | None = None
    settled: int | None = None
    seconds: float = 0.0
    looked_at: int | None = None

    # --- questions --------------------------------------------------------------------------------------------

    def is_requested(self, selection: Selection) -> bool:
        """Whether this was asked for already, with whatever effort."""
        return self.requested is not None and self.requested.is_but_for_effort(selection)

    def is_map_requested(self, selection: Selection) -> bool:
        """The same as far as the map is concerned."""
        return self.requested is not None and self.requested.map.is_but_for_effort(selection.map)

    def has_map(self, selection: Selection) -> bool:
        """Whether the final map of a selection has been worked out; it may be of former weights."""
        return self.answered is not None and self.answered.map == selection.map

    def layer_attributions(self, selection: Selection) -> Tensor | None:
        """Those of the selected layer; ``None`` if they are not known."""
        known = self.of_layer is not None and self.of_layer[0].map == selection.map
        return self.of_layer[1] if known and self.of_layer is not None else None

    def input_attributions(self, selection: Selection, weights: Any) -> Tensor | None:
        """The final ones of the pixels, by a model of these weights; ``None`` if they are not known."""
        known = selection.place == "input" and self.has_map(selection) and self.weights == weights
        return self.attributions if known else None

    # --- changes ----------------------------------------------------------------------------------------------

    def count_target(self, target: int) -> None:
        """The index of the target that was requested counted from the end, or by a name."""
        if self.requested is not None:
            self.requested = dataclasses.replace(self.requested, target=target)

    def settle_target(self, target: int) -> None:
        """The target that is explained where nobody chose one: from now on it is as if it had been requested.

        Raises:
            ChoiceError: it is the contrast.
        """
        self.settled = target
        if self.requested is None:
            return
        if self.requested.contrast == target:
            raise ChoiceError(
                f"the best class is {target}, which is also the contrast; say which target is to be compared"
            )
        self.requested = dataclasses.replace(self.requested, target=target)

    def look_at(self, example: int) -> None:
        """The target is what is to be explained of this example."""
        self.looked_at = example

    def leave_contrast(self) -> None:
        """What is explained is compared with no other class any more."""
        if self.requested is not None:
            self.requested = dataclasses.replace(self.requested, contrast=None)

    def begin(self, selection: Selection) -> None:
        """A selection is being worked out: what else was is not the answer any more."""
        if not self.has_map(selection):
            self.answered = None
        self.finished = None

    def turn_to(self, example: int, edited: Sequence[tuple[int, float]]) -> None:
        """Another example is on show, with these cells edited, and no map yet."""
        self.example, self.edited = example, edited
        self.attributions = self.contributions = self.weights = self.answered = self.of_layer = self.code = (
            None
        )

    def edit(self, edited: Sequence[tuple[int, float]]) -> None:
        """Other cells of the example on show have other values: the map on show is not the answer any more."""
        self.edited = edited
        self.forget_map()

    def forget_map(self) -> None:
        """The map on show is not the answer any more, to whatever selection."""
        self.answered = None

    def accept(self, result: Result) -> None:
        """This map is on show."""
        self.attributions, self.weights = result.attributions, result.weights
        self.seconds = result.seconds
        self.contributions = result.contributions
        self.write_down(result.selection, result.code)
        if result.final:
            self.answered = result.selection
            if result.of_layer is not None:
                self.of_layer = result.selection, result.of_layer

    def write_down(self, selection: Selection, code: Sequence[str]) -> None:
        """This is the code of the map on show."""
        self.code = selection, code

    def finish(self) -> None:
        """All that was requested has been worked out."""
        self.finished = self.requested

    def clear(self) -> None:
        """Let go of what was kept."""
        for field in dataclasses.fields(self):
            if field.name not in ("example", "edited", "looked_at"):
                setattr(self, field.name, field.default)
