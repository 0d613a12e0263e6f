"""What the Explorer has worked out, as tensors, and what can be asked about a place in the picture."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from torch import Tensor

from attriscope.widget.jobs.asking import Asking
from attriscope.widget.jobs.covering import Covering
from attriscope.widget.jobs.explorer_jobs import ExplorerJobs
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.validation import Validation

if TYPE_CHECKING:
    from typing_extensions import Self


class Answers(Asking):
    """The part of the Explorer that answers."""

    _explained: ExplainedModel
    _validation: Validation
    _covering: Covering
    _explorer_jobs: ExplorerJobs

    def _look_closer(self, change: Any) -> None:
        if self._state.example is not None:
            self.close_up = self._explained.example(self._state.example).stage.close_up(change["new"])

    @property
    def attributions(self) -> Tensor | None:
        """The latest map of the chosen method, as it returned it, in the shape of one example; ``None`` before."""
        self._explorer_jobs.mark_outdated()
        return self._state.attributions

    @property
    def layer_attributions(self) -> Tensor | None:
        """The picked layer's attributions by ``layer_method``, in the shape of what it gives; ``None`` if not ready.

        Of a layer that gives several tensors, those of the first.
        """
        return self._state.layer_attributions(dataclasses.replace(self.choice, neuron=None))

    @property
    def neuron_attributions(self) -> Tensor | None:
        """What drives the picked neuron: attributions in the shape of one example; ``None`` if not ready."""
        choice = self.choice
        ready = choice.place == "neuron" and self._state.has_map(choice)
        return self._state.attributions if ready else None

    @property
    def selection_mask(self) -> Tensor | None:
        """The places of ``selection`` on the inputs' device, boolean: pixels (H, W), or the columns of a table (1, F);
        ``None`` without one.
        """
        return self._covering.mask()

    def explain_pixel(self, row: int, column: int) -> Self:
        """Explain the class that a segmentation predicts at a pixel of the picture, there alone: sets ``target``.

        Raises:
            ChoiceError: there is no such pixel, or the model gives no scores of pixels, or none yet: wait for it.
        """
        self.target = self._validation.pixel(row, column, self.example)
        return self
