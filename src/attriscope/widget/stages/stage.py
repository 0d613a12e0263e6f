"""What the Explorer has to know of a kind of data; :mod:`~attriscope.widget.stages.pictures` knows it of pictures.

Methods explain inputs of any shape. What is seen of an explanation is a map: numbers at places, which lie in rows and
columns. A stage says which places an example has, how attributions reduce to them, what an edit of some of them changes
in the input, and which baselines make sense.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from attriscope.widget.methods.arguments import CodeValue


class Stage(abc.ABC):
    """One example, as it is seen.

    Args:
        example: what is explained, of shape (1, ...).

    Attributes:
        baseline_labels: what the baselines on offer are called, by their names.
    """

    baseline_labels: ClassVar[Mapping[str, str]]

    def __init__(self, example: Tensor) -> None:
        self.example = example

    @property
    @abc.abstractmethod
    def places(self) -> tuple[int, int]:
        """How many rows and columns of places there are."""

    @abc.abstractmethod
    def as_map(self, values: Tensor) -> Tensor:
        """Values in the shape of examples, (N, ...), by their places: (N, C, rows, columns).

        The C numbers of a place add up to what it is worth. It may have fewer rows and columns than there are places,
        where the values are coarser.
        """

    @abc.abstractmethod
    def inside(self, mask: Tensor) -> Tensor:
        """Which numbers of the example belong to some places.

        Args:
            mask: boolean, (rows, columns).

        Returns:
            A boolean tensor that broadcasts over the example.
        """

    @abc.abstractmethod
    def baseline(self, name: str) -> Tensor:
        """A baseline by its name, in the example's shape; the same each time.

        Raises:
            InputError: there is no such baseline.
        """

    @abc.abstractmethod
    def baseline_in_code(self, name: str, example: str) -> CodeValue:
        """The same, and the Python that makes it of the example, which is called so."""
