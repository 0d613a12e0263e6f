"""How a person asks the Explorer how far an explanation can be trusted: by comparing methods, and by checking a map.

The page's *Trust* tab asks the same. What becomes of it is in :mod:`~attriscope.widget.jobs.comparison` and
:mod:`~attriscope.widget.jobs.checks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attriscope.attr._random import check_count
from attriscope.widget.jobs.asking import Asking
from attriscope.widget.jobs.checks import DRAWS, DRAWS_OF_SLOW, Check, CheckRequest, Checks
from attriscope.widget.jobs.comparison import Comparison
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.state.part import LOCK
from attriscope.widget.state.selection import refusing

if TYPE_CHECKING:
    from typing_extensions import Self

    from attriscope.metrics.table import Table


class Judging(Asking):
    """The part of the Explorer that judges explanations."""

    _comparison: Comparison
    _checks: Checks
    _registry: MethodRegistry

    def compare(self, methods: Sequence[str] | None = None, metrics: Any = None) -> Self:
        """Judge several methods on the example on show, for what is explained now: maps and table are on the page.

        What else is asked of the same map, as by :meth:`check` or :meth:`Explorer.pin`, is done in turn; another choice
        ends all of it.
        Each method's small map and its line of the table come as soon as it is judged; a method that fails on this
        model says so there. The map on show stays; if it is not ready yet, it comes first. One example says little
        about methods in general: :func:`attriscope.metrics.evaluate` asks more of them.

        Args:
            methods: names as for ``method``, or as for ``layer_method``, which then explain by the last convolution;
                and the controls ``"random"`` and ``"edges"``, which know nothing of the model. Each with what
                ``settings`` has for it. ``None``: the chosen method, others out of ``"Occlusion"``, ``"DeepLift"``,
                ``"IntegratedGradients"``, ``"GuidedBackprop"``, ``"LayerGradCam"`` and ``"Saliency"`` to make six, and
                the controls; what takes long is set to be quick unless it is chosen or set: 16 steps, windows of a
                seventh of the picture.
            metrics: names out of ``attriscope.metrics.CATALOGUE``, or a dict by name as for ``evaluate``. ``None``:
                deletion, comprehensiveness, sufficiency and sparseness, about 45 rows per method in all.

        Returns:
            The Explorer itself.

        Raises:
            ChoiceError: there is no such method or metric.
        """
        with LOCK:
            choice = self.choice
            self._ask(choice, self._comparison.request(choice, methods, metrics, self.settings))
        return self

    @property
    def comparison_table(self) -> Table | None:
        """The latest comparison as :func:`attriscope.metrics.evaluate` gives it; ``None`` before there is one."""
        return self._comparison.table

    def check(self, draws: int | None = None) -> Self:
        """Check the map on show: does it add up, does it stay under small noise, is it of what the model has learned?

        Each check comes as soon as it is done. The map on show stays; if it is not ready yet, it comes first. The model
        is not changed: random weights are given to a copy of it, which takes as much memory. Random numbers are drawn
        with seed 0, so that the same map gives the same numbers.

        - Complete, for methods that promise it: the gap between what the map adds up to and the change of the output
          from the baseline, as a share of that change. Good up to 5 %, poor beyond 20 %.
        - Stable: :func:`attriscope.metrics.sensitivity_average` with uniform noise of 1 % of the picture's range to
          both sides, the relative change of the map. Good up to 0.3, poor beyond 0.7.
        - Learned: :func:`attriscope.metrics.parameter_randomisation` of all weights at once, Spearman's rank
          correlation of the sizes of the attributions. Values that are exactly zero in both maps are left out, as where
          the picture is the baseline; with fewer than 10 others there is no verdict. Good up to 0.3, poor beyond 0.7.

        For a layer it is its map over the picture that is checked, if it has one.

        Args:
            draws: how often noise is drawn; ``None``: 10 times, and 4 times for methods that take more than a pass or
                two. The picture is explained once more for each, and three times besides.

        Returns:
            The Explorer itself.

        Raises:
            ChoiceError: ``draws`` is no count.
        """
        with LOCK:
            choice = self.choice
            if draws is None:
                draws = DRAWS if self._registry.specs[choice.shown_method].quick else DRAWS_OF_SLOW
            with refusing():
                draws = check_count(draws, "draws")
            self._ask(choice, CheckRequest(choice, draws))
        return self

    @property
    def check_results(self) -> dict[str, Check]:
        """What :meth:`check` has found so far: ``"complete"``, ``"stable"`` and ``"learned"``, each with a verdict, a
        number and a sentence. Empty before.
        """
        return dict(self._checks.results)
