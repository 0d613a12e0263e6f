"""What the Explorer's jobs are about: a selection is explained, its map pinned or checked, or methods compared on it.

How a selection is explained is in :mod:`~attriscope.widget.jobs.pipeline`, how methods are compared in
:mod:`~attriscope.widget.jobs.comparison`, how a map is checked in :mod:`~attriscope.widget.jobs.checks`.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Sequence
from typing import Any

from attriscope.core.errors import Cancelled, ConvergenceWarning, TrainingModeWarning
from attriscope.core.notices import of_training, once
from attriscope.widget.jobs.baseline_pictures import show_baselines
from attriscope.widget.jobs.checks import CheckRequest, Checks
from attriscope.widget.jobs.comparison import Comparison, ComparisonRequest
from attriscope.widget.jobs.covering import Covering, CoverRequest, quiet
from attriscope.widget.jobs.patches import show_patches
from attriscope.widget.jobs.pinning import PinRequest, with_pin
from attriscope.widget.jobs.pipeline import ExplanationJob, Publish
from attriscope.widget.jobs.rows import Rows, RowsRequest
from attriscope.widget.jobs.survey import tell_of_examples
from attriscope.widget.methods.labels import Labels
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.model.explorer_code import whole_code
from attriscope.widget.stages.stage import Words
from attriscope.widget.state.explorer_state import ExplorerState
from attriscope.widget.state.part import LOCK
from attriscope.widget.state.selection import Selection
from attriscope.widget.state.table import ExplorerTraits


class ExplorerJobs:
    """Does one job after the other, on the worker's thread.

    Args:
        shown: the Explorer's traits.
        explained: the model.
        registry: the methods on offer.
        labels: what things are called.
        state: what was requested and answered.
        comparison: the latest comparison.
        covering: the region that is covered.
        checks: the latest checks.
        rows: all rows of a table.
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
        covering: Covering,
        checks: Checks,
        rows: Rows,
        truths: Sequence[int] | None = None,
    ) -> None:
        self.anew = threading.Event()
        self._shown, self._explained, self._registry, self._labels = shown, explained, registry, labels
        self._state, self._comparison, self._checks, self._covering = state, comparison, checks, covering
        self._truths, self._rows = truths, rows
        self._surveyed: Any = None

    def do(
        self,
        about: Selection | ComparisonRequest | CheckRequest | PinRequest | CoverRequest | RowsRequest,
        publish: Publish,
    ) -> str:
        """Do what a job is about; that a selection is on show already saves its part of it.

        Returns:
            What there is to say when it is done.
        """
        try:
            return self._do(about, publish)
        except Cancelled:
            raise
        except BaseException:
            self.mark_outdated()
            raise

    def _do(
        self,
        about: Selection | ComparisonRequest | CheckRequest | PinRequest | CoverRequest | RowsRequest,
        publish: Publish,
    ) -> str:
        if self.anew.is_set():
            self.anew.clear()
            self._explained.forget()
            self._state.answered = None
        self.mark_outdated()
        if isinstance(about, CoverRequest):
            publish = quiet(publish)
        cover = functools.partial(self._covering.run, publish)
        job = ExplanationJob(
            self._explained, self._registry, self._labels, self._state, self._shown, publish, cover
        )
        if isinstance(about, Selection):
            return self._explain(about, job)
        if isinstance(about, CoverRequest):
            example = self._explained.example(about.selection.example)
            known = self._state.layers is not None and self._state.example == about.selection.example
            if not known or example.edited != about.selection.edited:
                job.predict(about.selection)
            cover()
            return ""
        selection = self._present(publish)
        finished = self._state.has_map(selection) and self._state.finished == selection
        note = "" if finished and not self._shown.weights_changed else self._explain(selection, job)
        if isinstance(about, PinRequest):
            note = " ".join(filter(None, (note, self._pin(publish))))
        else:
            # For the target that was found, where nobody had chosen one.
            settled = dataclasses.replace(about, selection=self._state.answered or selection)
            with once({TrainingModeWarning, ConvergenceWarning}):  # told of the map on show already
                if isinstance(settled, CheckRequest):
                    self._checks.run(settled, job)
                elif isinstance(settled, RowsRequest):
                    self._rows.run(settled, job)
                else:
                    self._comparison.run(settled, job)
        return note

    def _present(self, publish: Publish) -> Selection:
        """What was requested, as it is by now: its target may have been found since it was asked for."""
        found: list[Selection | None] = []
        publish(lambda: found.append(self._state.requested))
        (selection,) = found
        assert selection is not None
        return selection

    def _pin(self, publish: Publish) -> str:
        """Keep the map on show, if there is one. Returns what there is to say."""
        with LOCK:  # somebody may let go of a pin meanwhile
            if not self._shown.heat:
                return ""
            pinned, number, note = with_pin(self._shown.pinned, self._shown.heat, self._shown.picture)
            publish(beside=[], pinned=pinned)
            publish(beside=[number])
        return note

    def _explain(self, selection: Selection, job: ExplanationJob) -> str:
        if self._shown.weights_changed:
            self._state.answered = None
        self._state.begin(selection)
        with once({TrainingModeWarning, ConvergenceWarning}):  # the page says so by itself
            note = job.explain(selection)
            settled = self._state.requested or selection
            show_patches(job, settled)
            show_baselines(job, settled)
            self._survey(job, settled)
        job.publish(self._state.finish)
        training = of_training(self._explained.model)
        return " ".join(filter(None, (training[:1].upper() + training[1:], note)))

    def _survey(self, job: ExplanationJob, selection: Selection) -> None:
        """Say what the model says of all examples, where that may have changed: a thousand take as many softmaxes."""
        answers = job.outputs(selection), self._labels.names, self._explained.weights()
        if self._surveyed != answers or not self._shown.example_predictions:
            tell_of_examples(job, selection, self._truths)
            self._surveyed = answers

    @property
    def shown_selection(self) -> Selection:
        """What the map on show answers."""
        if self._state.code is None or self._shown.heat.get("preview"):
            assert self._state.requested is not None
            return self._state.requested
        return self._state.code[0]

    @property
    def words(self) -> Words:
        """What sentences call the example on show."""
        return self._explained.example(self._shown.example).stage.words

    def write_code(self, change: object = None) -> None:
        """The code of the map on show, with how that is drawn now."""
        with LOCK:
            if self._state.code is not None:
                self._shown.code = whole_code(
                    self._explained, self._registry, self._labels, self._shown, *self._state.code
                )

    def close(self) -> None:
        """Let go of what was kept."""
        self._explained.release()
        self._comparison.clear()
        self._checks.clear()
        self._rows.clear()
        self._state.clear()

    def mark_outdated(self) -> None:
        """Say whether what is on show is of other weights than the model's."""
        rows = self._rows.attributions is not None
        if (
            self._state.weights is None
            and self._comparison.table is None
            and not (self._checks.known or rows)
        ):
            return
        with LOCK:  # a job may show a newer map meanwhile
            weights = self._explained.weights()
            if self._state.weights is not None:
                self._shown.weights_changed = self._state.weights != weights
            self._shown.comparison = self._comparison.marked(self._shown.comparison, weights)
            self._shown.checks = self._checks.marked(self._shown.checks, weights)
            self._shown.rows = self._rows.marked(self._shown.rows, weights)
