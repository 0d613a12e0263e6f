"""The Explorer's part that compares methods: what is asked for, and the table on show."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attriscope.widget.jobs.comparison import (
    Comparison,
    compare,
    comparison_message,
    settle_methods,
    settle_metrics,
)
from attriscope.widget.jobs.job_widget import JobWidget
from attriscope.widget.jobs.pipeline import ExplanationJob
from attriscope.widget.jobs.worker import Job
from attriscope.widget.messages.labels import Words
from attriscope.widget.model.session import Session
from attriscope.widget.state.selection import Selection
from attriscope.widget.validation import ChoiceTraits

if TYPE_CHECKING:
    from typing_extensions import Self

    from attriscope.metrics.table import Table


class Comparing(JobWidget, ChoiceTraits):
    """Judges methods on the example on show. Whoever has it works the map out first, in the same job."""

    _session: Session
    _words: Words
    _requested: Selection | None
    _table: Table | None = None
    _compared: Any = None  # the weights that the table is of

    def compare(self, methods: Sequence[str] | None = None, metrics: Any = None) -> Self:
        """Judge several methods on the example on show, for what is explained now: the table is on the page.

        The table gets a line for each method as soon as that is judged; a method that fails on this model says so
        there. The map on show stays; if it is not ready yet, it comes first. One example says little about methods in
        general: :func:`attriscope.metrics.evaluate` asks more of them.

        Args:
            methods: names as for ``method``, and the controls ``"random"`` and ``"edges"``, which know nothing of the
                model. ``None``: the chosen method, integrated gradients, three quick ones and the controls. Each with
                what ``settings`` has for it.
            metrics: names out of ``attriscope.metrics.CATALOGUE``, or a dict by name as for ``evaluate``. ``None``:
                deletion, insertion, comprehensiveness, sufficiency and sparseness, about 80 rows per method in all.

        Returns:
            The Explorer itself.

        Raises:
            ChoiceError: there is no such method or metric.
        """
        wanted = settle_metrics(metrics)
        with self._lock:
            choice = self.choice
            named = settle_methods(methods, choice, self._menu, self.settings)
            self._requested = choice
            self._submit(Comparison(choice, named, wanted))
        return self

    @property
    def comparison_table(self) -> Table | None:
        """The latest comparison as :func:`attriscope.metrics.evaluate` gives it; ``None`` before there is one."""
        return self._table

    def _judge(self, job: Job, answer: ExplanationJob, asked: Comparison) -> None:
        """Work a comparison out, method by method."""
        weights, count = self._session.weights(), len(asked.methods)
        title = self._words.comparison_title(asked.choice)
        with self._lock:
            self._publish(job, comparison={}, progress=0.0, message="Comparing methods")
            self._table, self._compared = None, weights
        for table in answer.reported("Comparing methods", compare(asked, self._session), every=True):
            final = len(table.methods) == count
            shown = comparison_message(table, asked, self._menu, title=title, final=final)
            with self._lock:
                self._publish(job, comparison=shown)
                self._table = table

    def _notice_comparison(self) -> None:
        """Say whether the table on show is of other weights than the model's."""
        if self._table is not None and self.comparison:
            outdated = self._session.weights() != self._compared
            if outdated != self.comparison["outdated"]:
                self.comparison = {**self.comparison, "outdated": outdated}

    @staticmethod
    def _settled(asked: Comparison, choice: Selection | None) -> Comparison:
        """The comparison for the target that was found, where nobody had chosen one."""
        return asked if choice is None else dataclasses.replace(asked, choice=choice)
