"""Tables of pandas as inputs: the model gets their numbers, and what comes back has their rows and columns.

Pandas is never imported here: who hands a frame over has it.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError


def is_frame(value: Any) -> bool:
    """Whether it is a ``pandas.DataFrame``."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def is_series(value: Any) -> bool:
    """Whether it is a ``pandas.Series``."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.Series)


@dataclasses.dataclass(frozen=True)
class Frame:
    """What a frame has beside its numbers.

    Attributes:
        index: the names of its rows.
        columns: the names of its columns.
        forms: whether results are frames, too.
    """

    index: Any
    columns: Any
    forms: bool = True

    @classmethod
    def of(cls, frame: Any) -> Frame:
        """The names in a frame."""
        return cls(frame.index, frame.columns)

    def form(self, values: Any) -> Any:
        """A result (N, F), or with another number of rows, as a frame; what has another shape stays as it is."""
        if (
            not self.forms
            or not isinstance(values, Tensor)
            or values.dim() != 2
            or values.shape[1] != len(self.columns)
        ):
            return values
        pandas = sys.modules["pandas"]
        index = self.index if len(self.index) == len(values) else None
        return pandas.DataFrame(values.detach().cpu().numpy(), index=index, columns=self.columns)

    def tensor(self, values: Any) -> Any:
        """A frame or series with these columns, in whatever order, as (rows, F) or (1, F); other things as they are.

        Raises:
            InputError: it has other columns.
        """
        if is_series(values):
            values = values.to_frame().T
        if not is_frame(values):
            return values
        if list(values.columns) != list(self.columns):
            if sorted(map(str, values.columns)) != sorted(map(str, self.columns)):
                raise InputError(
                    f"a frame that goes with the inputs must have their columns, {_listed(self.columns)}, but has "
                    f"{_listed(values.columns)}"
                )
            values = values[list(self.columns)]
        return tensor_of(values)


def tensor_of(frame: Any) -> Tensor:
    """The numbers of a frame, (rows, columns), in torch's default type.

    Raises:
        InputTypeError: a column holds something else than numbers.
    """
    kinds = {name: getattr(kind, "kind", "O") for name, kind in frame.dtypes.items()}
    odd = [f"{name!r} ({frame.dtypes[name]})" for name, kind in kinds.items() if kind not in "biuf"]
    if odd:
        raise InputTypeError(
            f"the columns of a frame must hold numbers, but not so {', '.join(odd[:5])}; encode them first, e.g. with "
            "pandas.get_dummies, as they were for training"
        )
    dtype = torch.get_default_dtype()
    numbers = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return torch.tensor(np.ascontiguousarray(numbers), dtype=dtype, device="cpu")


def numbers_in(value: Any) -> Any:
    """A frame as a tensor of its numbers; other things as they are."""
    return tensor_of(value) if is_frame(value) else value


def _listed(names: Any) -> str:
    shown = [repr(name) for name in list(names)[:8]]
    return ", ".join(shown) + (", ..." if len(names) > 8 else "")
