"""A graph that a method reads before rules are put there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from attriscope.core.tape import Record

_Passed = tuple[Tensor | None, ...]


@dataclasses.dataclass(frozen=True)
class Way:
    """The graph between what is explained and what is read, before rules are put there.

    Attributes:
        nodes: each with its operation and which of its inputs lead on, those next to the inputs first. The operation is
            ``""`` where it follows another rule than the method's own.
        records: what was written down of them.
        open: nodes that give what is explained or read.
        outer: for tensors at which the graph begins, by id, what they come from in the graph around it.
    """

    nodes: list[tuple[Any, str, tuple[bool, ...]]]
    records: dict[Any, Record]
    open: frozenset[Any]
    outer: dict[int, str]


class Reading(Protocol):
    """What a method has read from a graph: see :attr:`~attriscope.core.propagation.Scheme.reading`."""

    hooks: dict[Any, Callable[[_Passed, _Passed], _Passed] | None]

    def sources(self, node: Any) -> tuple[str, ...]:
        """As ``sources`` of a :class:`~attriscope.core.propagation.Step`."""
