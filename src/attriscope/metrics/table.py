"""The result of :func:`evaluate`: methods by metrics, as text, HTML, a data frame or a figure.

It is filled in ``evaluation``, and drawn by :func:`attriscope.plots.dots`.
"""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from attriscope.core.errors import InputError
from attriscope.metrics.base import HIGHER, Metric

_COSTS = ("rows", "seconds")


@dataclasses.dataclass(frozen=True)
class Cost:
    """What something took.

    Attributes:
        rows: how many rows (examples sent through the model) methods and metrics of this library reported. Of a
            method that reports none those that went through the model; ``None`` where these cannot be seen, of a model
            that is a function or scripted.
        seconds: on the clock.
    """

    rows: int | None
    seconds: float


@dataclasses.dataclass(frozen=True)
class Loss:
    """A method that is worse than a control by one metric.

    Attributes:
        method, metric: which.
        difference: how much worse, in the metric's unit, averaged over the examples for which both have a value.
        error: the standard error of that.
    """

    method: str
    metric: str
    difference: float
    error: float


@dataclasses.dataclass(frozen=True, repr=False)
class Table:
    """Methods by metrics.

    Attributes:
        methods: their names, in order.
        metrics: the metrics by name, in order.
        values: one number per example, (N,), by method and metric; NaN where the metric is undefined, which ``notes``
            explain.
        notes: why values are missing, by method and metric.
        explaining: what explaining the examples once took, by method.
        judging: what the metrics took, by method and metric.
    """

    methods: tuple[str, ...]
    metrics: dict[str, Metric]
    values: dict[tuple[str, str], Tensor]
    notes: dict[tuple[str, str], str]
    explaining: dict[str, Cost]
    judging: dict[tuple[str, str], Cost]

    def mean(self, method: str, metric: str) -> float:
        """The mean over the examples for which there is a value; NaN if there are none."""
        return float(self._of(method, metric).nanmean())

    def error(self, method: str, metric: str) -> float:
        """The standard error of the mean; NaN for fewer than two values."""
        return _standard_error(self._of(method, metric))

    def best(self, metric: str) -> tuple[str, ...]:
        """The methods with the best mean."""
        means = {method: self.mean(method, metric) for method in self.methods}
        known = [value for value in means.values() if not math.isnan(value)]
        if not known:
            return ()
        top = max(known) if self.metrics[metric].better == HIGHER else min(known)
        return tuple(method for method, value in means.items() if value == top)

    def worse_than(self, control: str) -> list[Loss]:
        """Where methods are worse than a control, in the mean over the same examples; clear differences first.

        Raises:
            InputError: there is no such method.
        """
        found = []
        for metric, about in self.metrics.items():
            for method in self.methods:
                if method == control:
                    continue
                behind = self._of(control, metric) - self._of(method, metric)
                behind = behind if about.better == HIGHER else -behind
                difference = float(behind.nanmean())
                if difference > 0:
                    found.append(Loss(method, metric, difference, _standard_error(behind)))
        return sorted(found, key=lambda loss: -_ratio(loss.difference, loss.error))

    def against(self, control: str, *, clear: float = 2.0) -> str:
        """In words: which methods are worse than a control, by each metric.

        Args:
            control: the name of one of the methods.
            clear: a difference counts if it is more than so many standard errors, over the same examples. Of a handful
                of examples the standard error itself is not well known, so that two of them are a weak test.

        Returns:
            A line for each metric.

        Raises:
            InputError: there is no such method.
        """
        losses = self.worse_than(control)
        lines = []
        for metric, about in self.metrics.items():
            worse = [loss for loss in losses if loss.metric == metric]
            lost = [x for x in worse if _ratio(x.difference, x.error) > clear]
            close = [x.method for x in worse if x not in lost]
            found = [f"{x.method} by {_number(x.difference)} ± {_number(x.error)}" for x in lost]
            text = f"{metric} {about.arrow}  worse than {control}: {', '.join(found) or 'none'}"
            lines.append(text + (f"; no clear difference: {', '.join(close)}" if close else ""))
        return "\n".join(lines)

    def to_pandas(self) -> Any:
        """The means as a ``pandas.DataFrame``, methods by metrics, and the cost of explaining.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped, unused-ignore]
        except ImportError as error:
            raise ImportError("to_pandas needs pandas, which is not installed: pip install pandas") from error
        columns: dict[str, list[Any]] = {
            f"{metric} {about.arrow}": [self.mean(method, metric) for method in self.methods]
            for metric, about in self.metrics.items()
        }
        columns["rows"] = [self.explaining[method].rows for method in self.methods]
        columns["seconds"] = [self.explaining[method].seconds for method in self.methods]
        return pandas.DataFrame(columns, index=pandas.Index(self.methods, name="method"))

    def figure(self) -> Any:
        """Means and standard errors, a panel for each metric, as a matplotlib figure; the best have another colour."""
        from attriscope.plots import dots

        titles = {metric: f"{metric} {about.arrow}" for metric, about in self.metrics.items()}

        def panels(number: Callable[[str, str], float]) -> dict[str, list[float]]:
            return {titles[metric]: [number(method, metric) for method in self.methods] for metric in titles}

        best = {
            titles[metric]: [self.methods.index(method) for method in self.best(metric)] for metric in titles
        }
        axes = dots(panels(self.mean), self.methods, errors=panels(self.error), marked=best, use_pyplot=False)
        return axes[0].figure

    def _of(self, method: str, metric: str) -> Tensor:
        if (method, metric) not in self.values:
            raise InputError(
                f"the table has no {method!r} by {metric!r}; it has the methods {', '.join(map(repr, self.methods))} "
                f"and the metrics {', '.join(map(repr, self.metrics))}"
            )
        return self.values[method, metric]

    # --- text -------------------------------------------------------------------------------------------------------

    def _cells(self) -> tuple[list[str], list[list[str]], list[str]]:
        """The head, the lines, and the notes."""
        notes: list[str] = []
        lines = []
        for method in self.methods:
            line = [method]
            for metric in self.metrics:
                text = _number(self.mean(method, metric))
                note = self.notes.get((method, metric))
                if note is not None:
                    if note not in notes:
                        notes.append(note)
                    text += f" [{notes.index(note) + 1}]"
                line.append(text)
            cost = self.explaining[method]
            lines.append([*line, "–" if cost.rows is None else str(cost.rows), f"{cost.seconds:.2f}"])
        head = ["", *(f"{metric} {about.arrow}" for metric, about in self.metrics.items()), *_COSTS]
        return head, lines, [f"[{i + 1}] {note}" for i, note in enumerate(notes)]

    def __str__(self) -> str:
        head, lines, notes = self._cells()
        widths = [max(len(row[i]) for row in (head, *lines)) for i in range(len(head))]

        def padded(row: list[str]) -> str:
            numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
            return "  ".join([row[0].ljust(widths[0]), *numbers])

        return "\n".join([padded(head), *map(padded, lines), *notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, lines, notes = self._cells()
        best = {metric: self.best(metric) for metric in self.metrics}
        cell = "padding:0.25em 0.7em;border:none;background:none;color:inherit;white-space:nowrap"
        right = f"text-align:right;font-variant-numeric:tabular-nums;{cell}"
        left = f"text-align:left;{cell}"
        frame = "border-collapse:collapse;color:inherit;background:none;font-size:inherit"
        rule = "border-bottom:1px solid currentColor"

        def row(texts: list[str], method: str | None) -> str:
            found = []
            for i, text in enumerate(texts):
                tag = "th" if method is None or i == 0 else "td"
                style = left if i == 0 else right
                names = list(self.metrics)
                top = method is not None and 0 < i <= len(names) and method in best[names[i - 1]]
                weight = "bold" if method is None or top else "normal"
                extra = f";{rule}" if method is None else ""
                found.append(
                    f'<{tag} style="{style};font-weight:{weight}{extra}">{html.escape(text)}</{tag}>'
                )
            return f'<tr style="background:none">{"".join(found)}</tr>'

        body = "".join(row(line, method) for line, method in zip(lines, self.methods, strict=True))
        below = "".join(f'<div style="opacity:0.8">{html.escape(note)}</div>' for note in notes)
        caption = (
            "Means over the examples; the arrow shows what is better, and the best is bold. Rows through the model and "
            "seconds are those of explaining."
        )
        return (
            f'<div style="overflow-x:auto"><table style="{frame}"><thead>{row(head, None)}</thead>'
            f'<tbody>{body}</tbody></table></div>{below}<div style="opacity:0.8">{caption}</div>'
        )


def _number(value: float) -> str:
    if math.isnan(value):
        return "undefined"
    if value == 0 or 0.001 <= abs(value) < 100_000:
        digits = 3 if value == 0 or abs(value) < 1 else max(0, 3 - len(str(int(abs(value)))))
        return f"{value:.{digits}f}"
    return f"{value:.2e}"


def _standard_error(values: Tensor) -> float:
    known = values[~values.isnan()]
    return float(known.std() / math.sqrt(len(known))) if len(known) > 1 else math.nan


def _ratio(difference: float, error: float) -> float:
    return difference / error if error > 0 else math.inf
