"""Tables: a row is an example, and each of its columns a place."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import describe
from attriscope.widget.messages.types import ExampleInfo, RawTable
from attriscope.widget.messages.wire import number
from attriscope.widget.methods.arguments import CodeValue
from attriscope.widget.stages.stage import Stage, Words

# So many rows are enough to stand for all of them beside a baseline.
_REFERENCES = 20


class TableStage(Stage):
    """Shows one row of a table (1, F); each column is a place.

    Args:
        example: the row that is explained, of shape (1, F).
        rows: all rows, (N, F): baselines and ranges are made of them.
        names: of the columns; ``None``: ``"Column 1"`` and so on.
        row_names: of the rows; ``None``: ``"Row 1"`` and so on.
        framed: whether the rows came in a frame of pandas.
        given: the names as a person gave them to the Explorer, if anybody did.
    """

    words: ClassVar = Words("the row", "column", "columns", "each column's range")
    has_neighbours: ClassVar = False

    def __init__(
        self,
        example: Tensor,
        rows: Tensor,
        names: Sequence[str] | None = None,
        row_names: Sequence[str] | None = None,
        framed: bool = False,
        given: Any = None,
    ) -> None:
        super().__init__(example)
        self._framed = framed
        self.given = {"feature_names": given is not None}
        self._rows, self._row_names = rows, row_names
        count = example.shape[1]
        self.names = list(names) if names is not None else [f"Column {i + 1}" for i in range(count)]
        self.baseline_labels = {"zero": "zero"}
        if len(rows) > 1:  # the mean of one row is that row: nothing would be left to explain
            self.baseline_labels = {
                "mean": "the average row",
                "median": "the median row",
                **self.baseline_labels,
            }
            self.usual_baseline = "mean"

    @property
    def places(self) -> tuple[int, int]:
        """See :class:`Stage`: one row of columns."""
        return 1, int(self.example.shape[1])

    def as_map(self, values: Tensor) -> Tensor:
        """See :class:`Stage`."""
        return values[:, None, None]

    def inside(self, mask: Tensor) -> Tensor:
        """See :class:`Stage`."""
        return mask.to(self.example.device)

    @property
    def noise_range(self) -> Tensor:
        """See :class:`Stage`: of each column by itself, (1, F); of a single row the size of its numbers."""
        if len(self._rows) == 1:
            return self._rows.detach().abs()
        low, high = self._seen
        return torch.where(high > low, high - low, 0)[None]

    def edit(self, cells: Sequence[tuple[int, float]]) -> Tensor:
        """See :class:`Stage`: a cell is a column."""
        if not cells:
            return self.example
        edited = self.example.clone()
        for column, value in cells:
            edited[:, column] = value
        return edited

    @property
    def inputs(self) -> CodeValue:
        """See :class:`Stage`."""
        if not self._framed:
            return CodeValue(self._rows, "inputs")
        dtype = str(self._rows.dtype).removeprefix("torch.")
        return CodeValue(
            self._rows,
            "rows",
            # A copy, as of a frame backwards there are no tensors.
            (f'rows = torch.tensor(inputs.to_numpy("{dtype}").copy())  # as the model takes them',),
        )

    # --- baselines --------------------------------------------------------------------------------------------

    def baseline(self, name: str) -> Tensor:
        """A named baseline, (1, F).

        ``"zero"``; ``"mean"`` and ``"median"``: of each column in all rows, of which the median is a value that occurs.
        """
        rows = self._rows.detach()  # missing values are left out
        if name not in self.baseline_labels:
            raise self.unknown_baseline(name)
        if name == "zero":
            return torch.zeros_like(self.example)
        return rows.nanmean(0, keepdim=True) if name == "mean" else rows.nanmedian(0, keepdim=True).values

    def baseline_in_code(self, name: str, example: str) -> CodeValue:
        """See :class:`Stage`."""
        inputs = self.inputs
        code = {
            "zero": f"torch.zeros_like({example})",
            "mean": f"{inputs.code}.nanmean(0, keepdim=True)",
            "median": f"{inputs.code}.nanmedian(0, keepdim=True).values",
        }[name]
        return CodeValue(self.baseline(name), code, inputs.before)

    @property
    def references(self) -> Sequence[tuple[Tensor, str]]:
        """See :class:`Stage`: rows of the table, evenly apart."""
        step = math.ceil(len(self._rows) / _REFERENCES)
        name = self.inputs.code
        return [(self._rows.detach()[::step], name if step == 1 else f"{name}[::{step}]")]

    # --- what the page is told --------------------------------------------------------------------------------

    @property
    def shown(self) -> dict[str, Any]:
        """See :class:`Stage`."""
        low, high = self._seen
        table: RawTable = {
            "names": self.names,
            "values": _numbers(self.example[0]),
            "low": _numbers(low),
            "high": _numbers(high),
            "rows": len(self._rows),
        }
        return {"table": table}

    @functools.cached_property
    def _seen(self) -> tuple[Tensor, Tensor]:
        """The least and the largest number of each column, (F,); infinite where it has none."""
        rows = self._rows.detach()
        known = torch.isfinite(rows)
        return torch.where(known, rows, torch.inf).amin(0), torch.where(known, rows, -torch.inf).amax(0)

    def baseline_shown(self, starts: Sequence[Tensor]) -> dict[str, Any]:
        """See :class:`Stage`."""
        return {"baseline_row": _numbers(torch.cat(list(starts)).mean(0))}

    def example_info(self, index: int, count: int) -> ExampleInfo:
        """See :class:`Stage`."""
        label = f"Row {index + 1}" if self._row_names is None else self._row_names[index]
        return {"label": label, "picture": {}}


def _numbers(values: Tensor) -> list[float | None]:
    """As JSON has them, in the digits that their type has: 0.1 in single precision is told as 0.1."""
    found = values.detach().cpu()
    if found.dtype == torch.float64:
        return [number(value) for value in found.tolist()]
    return [number(str(value)) for value in found.float().numpy()]


def column_names(given: Any, columns: int, frame: Any) -> list[str] | None:
    """The names of the columns.

    Args:
        given: as a person gives them, a list or the index of a frame; ``None`` for those of the frame, if there is one.
        columns: how many there are.
        frame: the frame of pandas that the inputs came in, or ``None``.

    Raises:
        InputTypeError, InputError: they are something else, or too few or many.
    """
    if given is None:
        return None if frame is None else [str(name) for name in frame.columns]
    names = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise InputTypeError(
            f"feature_names must be a list of names, one for each column, but {describe(given)} came"
        )
    if len(names) != columns:
        raise InputError(f"feature_names holds {len(names)} name(s), but the inputs have {columns} column(s)")
    return [str(name) for name in names]
