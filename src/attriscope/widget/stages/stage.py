"""What the Explorer has to know of a kind of data: :mod:`~attriscope.widget.stages.pictures` knows it of pictures,
:mod:`~attriscope.widget.stages.table` of the rows of a table.

Methods explain inputs of any shape. What is seen of an explanation is a map: numbers at places, which lie in rows and
columns. A stage says which places an example has, how attributions reduce to them, what an edit of some of them changes
in the input, which baselines make sense, and what the page is told.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from torch import Tensor

from attriscope.core.errors import InputError
from attriscope.core.inputs import describe
from attriscope.widget.messages.region_types import Region
from attriscope.widget.messages.types import ExampleInfo, RawCloseUp, RawPicture
from attriscope.widget.methods.arguments import CodeValue
from attriscope.widget.stages.region import checked_region, mask_of


@dataclasses.dataclass(frozen=True)
class Words:
    """What sentences call an example, its places, and that by which its noise is measured."""

    whole: str
    place: str
    places: str
    noise_range: str


class Stage(abc.ABC):
    """One example, as it is seen.

    Args:
        example: what is explained, of shape (1, ...).

    Attributes:
        words: what sentences call it.
        baseline_labels: what the baselines on offer are called, by their names.
        usual_baseline: the one that is taken where nobody says which.
        given: which arguments of the Explorer it was made with that no code can write down, by name.
        has_segments: whether places make up segments, such as things in a picture.
        has_neighbours: whether places beside each other belong together, so that they may be averaged where there are
            more than a page can show, and what a layer gives at places lies over them.
    """

    words: ClassVar[Words]
    has_segments: ClassVar[bool] = False
    has_neighbours: ClassVar[bool] = True
    baseline_labels: Mapping[str, str]
    usual_baseline: str = "zero"
    given: Mapping[str, bool] = {}

    def __init__(self, example: Tensor) -> None:
        self.example = example

    # --- places -----------------------------------------------------------------------------------------------

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

    def checked_region(self, value: Any) -> Region:
        """A region as it travels, from what a person wrote for it.

        Raises:
            InputError: it is none of this example.
        """
        region = checked_region(value, self.places)
        if region["kind"] == "segment" and not self.has_segments:
            whole, places = self.words.whole, self.words.places
            raise InputError(f"{whole} has no segments: select {places} by a box or a mask")
        return region

    @property
    def segments(self) -> Tensor:
        """The number of each place's segment, of as many rows and columns as there are, or fewer."""
        raise NotImplementedError(f"{self.words.whole} has no segments")

    def mask(self, region: Region) -> Tensor:
        """The places of a region, a boolean tensor (rows, columns) where the example is."""
        return mask_of(region, self.places, lambda: self.segments).to(self.example.device)

    @property
    @abc.abstractmethod
    def noise_range(self) -> Tensor:
        """How far numbers of the example range, by which noise is measured; broadcasts over it."""

    def edit(self, cells: Sequence[tuple[int, float]]) -> Tensor:
        """The example with other values in some cells, as the page names them.

        Raises:
            InputError: nothing can be edited here.
        """
        if cells:
            raise InputError(f"edited is for the cells of a table, and not for {self.words.whole}")
        return self.example

    @property
    def inputs(self) -> CodeValue:
        """All examples as a tensor, and the Python for it, given the Explorer's ``inputs``."""
        return CodeValue(None, "inputs")

    @property
    def groups(self) -> Tensor | None:
        """Which feature each number of the example belongs to, in its shape but for the first dimension; ``None`` where
        methods are to cut it by themselves.
        """
        return None

    # --- baselines --------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def baseline(self, name: str) -> Tensor:
        """A baseline by its name, in the example's shape; the same each time.

        Raises:
            InputError: there is no such baseline.
        """

    @abc.abstractmethod
    def baseline_in_code(self, name: str, example: str) -> CodeValue:
        """The same, and the Python that makes it of the example, which is called so."""

    @property
    @abc.abstractmethod
    def references(self) -> Sequence[tuple[Tensor, str]]:
        """What else to compare with where a method needs several baselines, and Python for it; ``{}`` in that stands
        for the example.
        """

    def unknown_baseline(self, name: object) -> InputError:
        """The error for a name that no baseline has."""
        known = ", ".join(self.baseline_labels)
        return InputError(f"baseline must be one of {known} or a tensor, but {describe(name)} came")

    # --- what the page is told --------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def shown(self) -> dict[str, Any]:
        """The traits by which the page draws the example."""

    @abc.abstractmethod
    def baseline_shown(self, starts: Sequence[Tensor]) -> dict[str, Any]:
        """The traits by which it draws baselines: their mean."""

    def close_up(self, box: Sequence[int] | None) -> RawCloseUp:
        """A part of the example, where the page has it coarser than it is; {} where it has all of it."""
        return {}

    def baseline_thumbnail(self, name: str, custom: Tensor | None) -> RawPicture:
        """A baseline as a small picture, to choose it by; {} where there is none.

        Args:
            name: of the baseline.
            custom: the user's own, which broadcasts against the example, if it is that.
        """
        return {}

    def example_info(self, index: int, count: int) -> ExampleInfo:
        """The example in the strip of all examples.

        Args:
            index: which it is.
            count: how many there are.
        """
        return {"label": f"Example {index + 1}", "picture": {}}


MakeStage: TypeAlias = Callable[[Tensor], Stage]
"""Makes the stage of an example (1, ...)."""
