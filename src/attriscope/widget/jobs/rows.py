"""All rows of a table explained, one after the other: asked for by :meth:`ExplainingRows.explain_rows`, or on the page.

One row says why the model said so of that row; all of them say what it goes by.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attriscope.core.errors import Cancelled
from attriscope.core.progress import Parts
from attriscope.widget.jobs.asking import Asking
from attriscope.widget.jobs.pipeline import ExplanationJob
from attriscope.widget.messages.types import RawRows
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.model.explanation import explanation
from attriscope.widget.stages.table import TableStage
from attriscope.widget.state.part import LOCK
from attriscope.widget.state.selection import ChoiceError, Selection

if TYPE_CHECKING:
    from typing_extensions import Self

# So many rows go through a method at once where they do not disturb each other.
_AT_ONCE = 32
# More columns than these are not looked at one by one.
_MOST_COLUMNS = 20


@dataclasses.dataclass(frozen=True)
class RowsRequest:
    """That all rows are to be explained as a selection says."""

    selection: Selection


class Rows:
    """All rows as they were explained last, and by which weights.

    Args:
        explained: the model.

    Attributes:
        attributions: of the rows that are explained so far, (n, F), NaN where one cannot be; ``None`` before.
    """

    def __init__(self, explained: ExplainedModel) -> None:
        self.attributions: Tensor | None = None
        self._failed: dict[int, Exception] = {}
        self._weights: Any = None
        self._explained = explained

    def run(self, request: RowsRequest, job: ExplanationJob) -> None:
        """Explain them, and show those that are."""
        weights = self._explained.weights()
        selection = dataclasses.replace(request.selection.at_input, edited=())
        about: RawRows = {
            "request": selection.request("rows"),
            "title": job.labels.title(selection),
            "unit": job.unit(selection),
        }

        def keep(found: Tensor | None) -> None:
            self.attributions, self._weights = found, weights

        self._failed = {}
        what = "Explaining all rows"
        job.publish(functools.partial(keep, None), rows={}, progress=0.0, message=what)
        total = self._explained.examples.count
        for found in job.reported(what, self._explain(selection)):
            message = _rows_message(found, self._explained.examples.tensors[0], about)
            message["final"] = len(found) == total
            message["failed"] = len(self._failed)
            job.publish(functools.partial(keep, found), rows=message)

    def _explain(self, selection: Selection) -> Iterator[Tensor]:
        """The attributions of the first rows, and of more and more."""
        custom, count = selection.custom, self._explained.examples.count
        # As each would be by itself: with the random numbers that it gets alone, or a baseline of its own.
        own = custom is not None and custom.tensor.shape[0] > 1
        size = 1 if own or self._explained.call(selection).random else min(count, _AT_ONCE)
        if size > 1 and not self._are_independent(selection, size):
            size = 1
        starts = range(0, count, size)
        parts = Parts(len(starts))
        found: list[Tensor] = []
        for number, start in enumerate(starts):
            with parts.part(number, number + 1, 0):
                found.append(self._explained_rows(selection, start, min(size, count - start)))
            yield torch.cat(found)
        if self._failed and len(self._failed) == count:
            raise next(iter(self._failed.values()))

    def _explained_rows(self, selection: Selection, start: int, size: int) -> Tensor:
        """Attributions of some rows, (size, F); NaN for one that cannot be explained, as with a missing value."""
        try:
            return self._part(selection, start, size)
        except (Cancelled, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:
            if size > 1:
                rows = range(start, start + size)
                return torch.cat([self._explained_rows(selection, row, 1) for row in rows])
            self._failed[start] = error
            row = self._explained.examples.tensors[0][start : start + 1]
            return torch.full_like(row, torch.nan)

    def _part(self, selection: Selection, start: int, size: int) -> Tensor:
        examples, part = self._explained.examples, slice(start, start + size)
        explain = explanation(self._explained, dataclasses.replace(selection, example=start))
        rows, arguments = examples.tensors[0][part].detach().clone(), examples.forward_arguments(1, part)
        return explain(self._explained.model, rows, None, arguments).detach()

    def _are_independent(self, selection: Selection, size: int) -> bool:
        """Whether a row beside others gets the numbers that it gets alone: a model may look at its whole batch."""
        try:
            beside, alone = self._part(selection, 0, size)[:1], self._part(selection, 0, 1)
        except (Cancelled, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception:  # one of them cannot be explained: which, is found out later
            return False
        return torch.allclose(beside, alone, rtol=1e-4, atol=1e-5 * float(alone.abs().amax()), equal_nan=True)

    def marked(self, message: RawRows, weights: Any) -> RawRows:
        """What is on show, saying whether it is of other weights than these."""
        if self.attributions is None or not message or message["outdated"] == (weights != self._weights):
            return message
        return {**message, "outdated": weights != self._weights}

    def clear(self) -> None:
        """Let go of what was kept."""
        self.attributions = self._weights = None


def _rows_message(found: Tensor, rows: Tensor, about: RawRows) -> RawRows:
    """Attributions (n, F) of the first rows as they travel: the columns that count most."""
    count = len(found)
    sizes = found.abs().nanmean(0, dtype=torch.float32).nan_to_num()
    columns = sizes.argsort(descending=True, stable=True)[:_MOST_COLUMNS]
    return {
        **about,
        "outdated": False,
        "columns": columns.tolist(),
        "sizes": sizes[columns].tolist(),
        "others": found.shape[1] - len(columns),
        "count": count,
        "attributions": _bytes(found[:, columns]),
        "values": _bytes(rows[:count, columns.to(rows.device)]),
    }


def _bytes(values: Tensor) -> bytes:
    data: bytes = values.detach().to("cpu", torch.float32).contiguous().numpy().astype("<f4").tobytes()
    return data


class ExplainingRows(Asking):
    """The part of the Explorer that explains all rows of a table."""

    _explained: ExplainedModel
    _rows: Rows

    def explain_rows(self) -> Self:
        """Explain every row of a table for what is explained now, by the chosen method: see :attr:`row_attributions`.

        The page draws all of them in the tab *Where*. The map on show stays; if it is not ready yet, it comes first.

        Returns:
            The Explorer itself.

        Raises:
            ChoiceError: the inputs are no table.
        """
        with LOCK:
            if not isinstance(self._explained.example(self.example).stage, TableStage):
                raise ChoiceError("explain_rows is for the rows of a table, but the inputs are none")
            choice = self.choice
            self._ask(choice, RowsRequest(choice))
        return self

    @property
    def row_attributions(self) -> Tensor | None:
        """What :meth:`explain_rows` has found so far, (n, F): of the first n rows, NaN for those that cannot be
        explained, as with a missing value that the model does not take; ``None`` before.
        """
        return self._rows.attributions
