"""The Explorer's part that looks inside the model: what is known of the picked layer and neuron, and a map to keep."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from torch import Tensor

from attriscope.widget.jobs.job_widget import JobWidget
from attriscope.widget.messages.layers import Channel, top_channels
from attriscope.widget.model.layouts import Layout
from attriscope.widget.model.session import Session
from attriscope.widget.state.selection import ChoiceError, Selection
from attriscope.widget.validation import ChoiceTraits

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclasses.dataclass(frozen=True)
class Pinning:
    """That the map of a choice is to be kept."""

    choice: Selection


def pinned_message(heat: Any, picture: Any) -> Any:
    """A map to keep, with the picture it lies over; nothing if there is no map."""
    return {"heat": heat, "picture": picture, "title": heat["title"]} if heat else {}


class LookingInside(JobWidget, ChoiceTraits):
    """Layers, neurons, and what the model says without some of them."""

    _session: Session
    _requested: Selection | None
    _answered: Selection | None
    _attributions: Tensor | None
    _of_layer: tuple[Selection, Tensor] | None = (
        None  # the latest attributions of a layer, and what they answer
    )

    def pin(self) -> Self:
        """Keep the map on show, to look at it beside those to come, on one scale: of other layers, classes, examples.

        It is worked out first if it is not ready.
        """
        with self._lock:
            self._requested = self.choice
            self._submit(Pinning(self.choice))
        return self

    def unpin(self) -> Self:
        """Let go of the map that was kept."""
        self.pinned = {}
        return self

    @property
    def layer_attributions(self) -> Tensor | None:
        """The picked layer's attributions by ``layer_method``, in the shape of what it gives; ``None`` if not ready.

        Of a layer that gives several tensors, those of the first.
        """
        kept, choice = self._of_layer, dataclasses.replace(self.choice, neuron=None)
        if kept is None or kept[0].map != choice.map:
            return None
        return kept[1]

    @property
    def neuron_attributions(self) -> Tensor | None:
        """What drives the picked neuron: attributions of the input, (1, C, H, W); ``None`` if not ready."""
        answered = self._answered
        ready = answered is not None and answered.place == "neuron" and answered.map == self.choice.map
        return self._attributions if ready else None

    def top_channels(self, k: int = 10) -> list[Channel]:
        """The channels (or units, or heads) of the picked layer that contribute most, waiting for them if need be.

        Args:
            k: how many.

        Returns:
            A list of (channel, contribution, activation), by size of the contribution: gradient x activation added up
            over the channel. For a model without gradients contributions are NaN, and activations set the order.

        Raises:
            ChoiceError: no layer is picked, or there are no channels in it.
        """
        if self.layer is None:
            raise ChoiceError("top_channels are those of the picked layer, but no layer is picked")
        self._wait(None)
        if not self.channels:
            raise ChoiceError(f"there are no channels in layer {self.layer!r}")
        return top_channels(self.channels, k)

    def _form(self, layer: str) -> Layout | None:
        interior = self._session.interior
        return interior.form(layer) if interior.forms else None
