"""What the Explorer's jobs are about: a selection is explained, its map pinned, or methods compared on it.

How a selection is explained is in :mod:`~attriscope.widget.jobs.pipeline`, how methods are compared in
:mod:`~attriscope.widget.jobs.comparison`.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

from attriscope.core.errors import ConvergenceWarning, TrainingModeWarning
from attriscope.core.notices import of_training, once
from attriscope.widget.jobs.comparison import Comparison, ComparisonRequest
from attriscope.widget.jobs.pipeline import ExplanationJob, Publish
from attriscope.widget.jobs.survey import tell_of_examples
from attriscope.widget.methods.labels import Labels
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.state.explorer_state import ExplorerState
from attriscope.widget.state.part import LOCK
from attriscope.widget.state.selection import Selection
from attriscope.widget.state.table import ExplorerTraits


@dataclasses.dataclass(frozen=True)
class PinRequest:
    """That the map of a selection is to be kept."""

    selection: Selection


class ExplorerJobs:
    """Does one job after the other, on the worker's thread.

    Args:
        shown: the Explorer's traits.
        explained: the model.
        registry: the methods on offer.
        labels: what things are called.
        state: what was requested and answered.
        comparison: the latest comparison.
        truths: the true class of each example, if they are known.

    Attributes:
        anew: set to work everything out again, whatever is known.
    """

    def __init__(
        self,
        shown: ExplorerTraits,
        explained: ExplainedModel,
        registry: MethodRegistry,
        labels: Labels,
        state: ExplorerState,
        comparison: Comparison,
        truths: Sequence[int] | None = None,
    ) -> None:
        self.anew = threading.Event()
        self._shown, self._explained, self._registry, self._labels = shown, explained, registry, labels
        self._state, self._comparison, self._truths = state, comparison, truths

    def do(self, about: Selection | ComparisonRequest | PinRequest, publish: Publish) -> str:
        """Do what a job is about; that a selection is on show already saves its part of it.

        Returns:
            What there is to say when it is done.
        """
        if self.anew.is_set():
            self.anew.clear()
            self._explained.forget()
            self._state.answered = None
        self.mark_outdated()
        job = ExplanationJob(self._explained, self._registry, self._labels, self._state, self._shown, publish)
        if isinstance(about, Selection):
            return self._explain(about, job)
        finished = self._state.has_map(about.selection) and self._state.finished == about.selection
        note = "" if finished and not self._shown.weights_changed else self._explain(about.selection, job)
        if isinstance(about, PinRequest):
            heat, picture = self._shown.heat, self._shown.picture
            publish(pinned={"heat": heat, "picture": picture, "title": heat["title"]} if heat else {})
        else:
            # For the target that was found, where nobody had chosen one.
            settled = self._state.answered or about.selection
            self._comparison.run(dataclasses.replace(about, selection=settled), job)
        return note

    def _explain(self, selection: Selection, job: ExplanationJob) -> str:
        if self._shown.weights_changed:
            self._state.answered = None
        self._state.begin(selection)
        with once({TrainingModeWarning, ConvergenceWarning}):  # the page says so by itself
            note = job.explain(selection)
            tell_of_examples(job, self._state.requested or selection, self._truths)
        job.publish(self._state.finish)
        training = of_training(self._explained.model)
        return " ".join(filter(None, (training[:1].upper() + training[1:], note)))

    def mark_outdated(self) -> None:
        """Say whether what is on show is of other weights than the model's."""
        if self._state.weights is None and self._comparison.table is None:
            return
        with LOCK:  # a job may show a newer map meanwhile
            weights = self._explained.weights()
            if self._state.weights is not None:
                self._shown.weights_changed = self._state.weights != weights
            self._shown.comparison = self._comparison.marked(self._shown.comparison, weights)
