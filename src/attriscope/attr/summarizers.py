"""Summaries of tensors that come one after another: several statistics at once, also by class.

What there is to be kept is in :mod:`attriscope.attr.statistics`.
"""

from __future__ import annotations

import copy
import numbers
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from attriscope.attr.statistics import Stat, StatValue
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import as_tensor, as_tuple, describe

Summary = dict[str, StatValue | None]


class SummarizerSingleTensor:
    """Several statistics of one series of tensors; :class:`Summarizer` is simpler to use.

    Args:
        stats: the statistics, each after those it needs; they are used as they are, not copied.
        summary_stats_indices: which of them the summary shows.
    """

    def __init__(self, stats: list[Stat], summary_stats_indices: list[int]) -> None:
        self._stats = stats
        self._known: dict[Stat, Stat] = {}
        for stat in stats:
            self._known.setdefault(stat, stat)
        self._shown = [stats[i] for i in summary_stats_indices]
        self._shape: torch.Size | None = None
        for stat in stats:
            stat._other_stats = self
            stat.init()

    def update(self, x: Tensor) -> None:
        """Update all statistics with one tensor.

        Raises:
            InputError: its shape is not that of the tensors before.
        """
        if self._shape is not None and x.shape != self._shape:
            raise InputError(
                f"all tensors of a summary must have one shape, but {describe(x)} came after tensors of shape "
                f"{tuple(self._shape)}; for batches of different sizes, summarize example by example"
            )
        self._shape = x.shape
        x = x.detach()
        for stat in self._stats:
            stat.update(x)

    def get(self, stat: Stat) -> Stat | None:
        """The statistic here that equals ``stat``; ``None`` if there is none."""
        return self._known.get(stat)

    @property
    def summary(self) -> Summary:
        """The value of each statistic under its name."""
        return {stat.name: stat.get() for stat in self._shown}


class Summarizer:
    """Several statistics of one or more series of tensors.

    Args:
        stats: what to keep, e.g. ``CommonStats()``; they are copied.

    Example::

        summarizer = Summarizer([Mean(), StdDev()])
        for batch in batches:
            summarizer.update(method.attribute(batch).mean(0))
        summarizer.summary["mean"]
    """

    def __init__(self, stats: Sequence[Stat]) -> None:
        self._stats = _with_needed(stats)
        self._shown = [i for i, stat in enumerate(self._stats) if any(stat is one for one in stats)]
        self._shown.sort(key=lambda i: next(k for k, one in enumerate(stats) if one is self._stats[i]))
        self._summarizers: list[SummarizerSingleTensor] = []
        self._is_inputs_tuple: bool | None = None

    def update(self, x: float | Tensor | tuple[float | Tensor, ...]) -> None:
        """Update all statistics.

        Args:
            x: one tensor or number, or a tuple with one per series; the same form each time.

        Raises:
            InputTypeError, InputError: it is none of these, or not of the form or shape of those before.
        """
        if self._is_inputs_tuple not in (None, isinstance(x, tuple)):
            form = "tuples" if self._is_inputs_tuple else "single tensors"
            raise InputError(f"this summary is one of {form}, but {describe(x)} came")
        tensors = [_tensor(one) for one in as_tuple(x)]
        self._is_inputs_tuple = isinstance(x, tuple)
        while len(self._summarizers) < len(tensors):
            self._summarizers.append(SummarizerSingleTensor(copy.deepcopy(self._stats), self._shown))
        for summarizer, tensor in zip(self._summarizers, tensors, strict=False):
            summarizer.update(tensor)

    @property
    def summary(self) -> Summary | list[Summary] | None:
        """The value of each statistic under its name; a list of these for tuples; ``None`` before the first update."""
        if not self._summarizers:
            return None
        found = [summarizer.summary for summarizer in self._summarizers]
        return found if self._is_inputs_tuple else found[0]


class ClassSummarizer(Summarizer):
    """Statistics of all examples, and of the examples of each class.

    Args:
        stats: as for :class:`Summarizer`.
    """

    def __init__(self, stats: Sequence[Stat]) -> None:
        super().__init__(stats)
        self._template = list(stats)
        self.summaries: dict[Hashable, Summarizer] = {}

    def update(self, x: Any, labels: Any = None) -> None:
        """Update with a batch, example by example; without labels with ``x`` as a whole, as :class:`Summarizer`.

        Args:
            x: a tensor or tuple of tensors, N examples in dimension 0.
            labels: the class of each example, as a list or tensor; or one label for all of them, of any type that has a
                hash. A label out of a tensor is a number, so that equal ones are one class (in Captum they are not).

        Raises:
            InputError: there are not as many labels as examples.
        """
        if labels is None:
            return super().update(x)
        tensors = tuple(_tensor(one) for one in as_tuple(x))
        count = len(tensors[0])
        if isinstance(labels, Tensor):
            labels = labels.flatten().tolist()
        each = labels if isinstance(labels, list) else [labels]
        if len(each) not in (1, count) or any(len(t) != count for t in tensors):
            raise InputError(
                f"there must be one label per example, or one for all: {len(each)} came for {describe(tensors)}"
            )
        for i in range(count):
            example = tuple(t[i] for t in tensors)
            label = each[i] if len(each) > 1 else each[0]
            self.summaries.setdefault(label, Summarizer(self._template)).update(example)
            super().update(example)
        return None

    @property
    def class_summaries(self) -> dict[Hashable, Summary | list[Summary] | None]:
        """The summary of each class, a list with one per tensor of ``x``."""
        return {label: summarizer.summary for label, summarizer in self.summaries.items()}


def _with_needed(stats: Iterable[Stat]) -> list[Stat]:
    """The statistics and those that they need, each after its own; of equal ones that are needed only one."""
    found: list[Stat] = []

    def place(stat: Stat) -> None:
        if any(stat is one for one in found):
            return
        for needed in stat.needs():
            if needed not in found:
                place(next((one for one in wanted if one == needed), needed))
        found.append(stat)

    wanted = list(stats)
    for stat in wanted:
        place(stat)
    return found


def _tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, numbers.Real):
        return as_tensor(float(value))
    raise InputTypeError(f"a summary takes tensors and numbers, but {describe(value)} came")
