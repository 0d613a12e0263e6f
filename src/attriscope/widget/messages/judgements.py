"""What travels to the page when explanations are judged: methods beside each other, and checks of the map on show.

The rest of the contract, and how it becomes the page's, is in :mod:`~attriscope.widget.messages.types`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

from attriscope.widget.messages.types import Binary, MethodSettings, Request, Settings, Size

if TYPE_CHECKING:
    from typing_extensions import NotRequired

# What a map is asked, and what the answer is worth.
CheckName: TypeAlias = Literal["complete", "stable", "learned"]
Verdict: TypeAlias = Literal["good", "fair", "poor", "none"]


class RawSmallMap(TypedDict):
    """A map, small enough to stand among others.

    Attributes:
        data: float16, little-endian; value = scale * float16.
    """

    shape: Size
    scale: float
    data: Binary


class ComparedMetric(TypedDict):
    """A column of the comparison.

    Attributes:
        rough: its values have been measured in a few steps so far.
    """

    name: str
    arrow: str
    better: Literal["higher", "lower"]
    doc: NotRequired[str]
    rough: NotRequired[bool]


class ComparedMethod(TypedDict):
    """A line of the comparison.

    Attributes:
        control: it knows nothing of the model, and cannot be picked.
        values: one for each metric; null where the metric is undefined, of which the notes say why.
        rows: what explaining has cost; null where that is not known.
        map: not there where the method failed.
        layer: the path of the layer that it explains by, if it is a method for layers.
        quick: what was set to be quick, where nobody had set anything.
    """

    name: str
    label: str
    control: bool
    values: Sequence[float | None]
    best: Sequence[bool]
    notes: Sequence[str | None]
    rows: int | None
    seconds: float
    map: NotRequired[RawSmallMap]
    layer: NotRequired[str]
    quick: NotRequired[MethodSettings]


class RawComparison(TypedDict, total=False):
    """Methods by metrics, as many lines as are ready; {} before the first comparison.

    Attributes:
        settings: what was set for the methods that were compared.
        awaited: the names of methods whose lines are to come.
        final: false while there are lines to come.
        outdated: the model's weights are no longer those that were judged.
    """

    title: str
    request: Request
    settings: Settings
    final: bool
    outdated: bool
    metrics: Sequence[ComparedMetric]
    methods: Sequence[ComparedMethod]
    awaited: Sequence[str]


class CheckedProperty(TypedDict):
    """One check of the map on show.

    Attributes:
        verdict: ``"none"`` where there is nothing to be held to, or no number.
        value: the number that the verdict goes by, the lower the better.
        doc: what is measured, and which numbers are good.
    """

    name: CheckName
    verdict: Verdict
    value: float | None
    sentence: str
    doc: str


class RawChecks(TypedDict, total=False):
    """What can be said of the map on show, as many checks as are ready; {} before the first.

    Attributes:
        final: false while there are checks to come.
        outdated: the model's weights are no longer those of the map.
    """

    title: str
    request: Request
    final: bool
    outdated: bool
    results: Sequence[CheckedProperty]
