"""What the classes of a model are called, in whichever form people keep their names."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import describe
from attriscope.widget.messages.types import RawClasses

ClassNamesLike = Sequence[str] | Mapping[int, str] | Mapping[str, int] | None
"""What users give: names in the order of the classes, a dict from index to name, or one from name to index."""


@dataclasses.dataclass(frozen=True)
class ClassNames:
    """The names of a model's outputs.

    Attributes:
        by_index: the names that are known.
        listed: how many came as a list, which has one for each output; ``None`` for a dict, which may have some.
        outputs: how many outputs the model has for an example; ``None`` if that is not known.
    """

    by_index: Mapping[int, str] = dataclasses.field(default_factory=dict)
    listed: int | None = None
    outputs: int | None = None

    def of(self, outputs: int | None) -> ClassNames:
        """The same for a model that gives so many numbers for an example; ``None`` if it gives no row of them.

        Raises:
            InputError: a list has not one name for each.
        """
        binary = outputs == 1 and len(self.by_index) == 2
        if outputs is not None and self.listed not in (None, outputs) and not binary:
            raise InputError(
                f"class_names holds {self.listed} name(s), but the model gives {outputs} number(s) for an example: "
                "give one name for each, or a dict from index to name for some of them"
            )
        return dataclasses.replace(self, outputs=outputs)

    def label(self, index: int) -> str:
        """What to call an output: its name, or its number where there is none to be seen.

        Of two classes, a model with one output gives the probability of class 1, by convention.
        """
        binary = self.outputs == 1 and len(self.by_index) == 2
        name = self.by_index.get(1 if binary else index, "")
        return name if name.strip() else f"class {index}"

    def of_binary(self, truth: int) -> str:
        """What one of the two classes of a model with one output is called: by its name, or as not the other."""
        if self.binary:
            name = self.by_index[truth]
        else:
            name = self.only if truth else f"not {self.only}" if self.only else ""
        return name if name.strip() else f"class {truth}"

    @property
    def only(self) -> str:
        """The name of the output of a model that has one; empty where there is none."""
        named = self.outputs == 1 and self.label(0) in self.by_index.values()
        return self.label(0) if named else ""

    def message(self) -> RawClasses:
        """What the page is told of them."""
        count = self.outputs
        if count is None:
            return {}
        last = max((i for i, name in self.by_index.items() if i < count and name.strip()), default=-1)
        names = [self.by_index.get(i, "") for i in range(last + 1)]
        return {"count": count, "names": [name for name in [self.only] if name] if count == 1 else names}

    def indices(self, name: str) -> list[int]:
        """Which outputs have this name: as it is, or but for case where none is."""
        found = [i for i, one in self.by_index.items() if one == name]
        folded = name.strip().casefold()
        return found or [i for i, one in self.by_index.items() if one.strip().casefold() == folded]

    @property
    def binary(self) -> bool:
        """Whether they are those of two classes."""
        return set(self.by_index) == {0, 1}


def read_class_names(given: Any) -> ClassNames:
    """The names in whichever form they came.

    Args:
        given: a list, tuple or array of names in the order of the classes; a dict from index to name, whose keys may be
            digits, as JSON has them; a dict from name to index, as ``torchvision.datasets.ImageFolder.class_to_idx``
            is; or ``None``.

    Raises:
        InputTypeError: it is none of these.
    """
    if given is None:
        return ClassNames()
    if isinstance(given, ClassNames):
        return given
    if isinstance(given, Mapping):
        return ClassNames(_from_mapping(given))
    if hasattr(given, "tolist"):  # an array, or a column of a table
        given = given.tolist()
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return ClassNames({i: str(name) for i, name in enumerate(given)}, len(given))
    hint = ""
    if isinstance(given, str):
        hint = "; as a list it would be one letter per class"
    elif isinstance(given, Collection):
        hint = "; it has no order: write sorted(...) or a list"
    elif hasattr(given, "__iter__"):
        hint = "; write list(...)"
    raise InputTypeError(
        "class_names must be a list of names in the order of the classes, or a dict from index to name, but "
        f"{describe(given)} of type {type(given).__name__} came{hint}"
    )


def _from_mapping(given: Mapping[Any, Any]) -> dict[int, str]:
    if all(_is_index(key) for key in given):
        return {int(key): str(name) for key, name in given.items()}
    if all(isinstance(value, numbers.Integral) for value in given.values()):
        inverted = {int(index): str(name) for name, index in given.items()}
        if len(inverted) == len(given):
            return inverted
    raise InputTypeError(
        "class_names must be a dict from index to name, or one from name to index with each index once, but "
        f"{describe(given)} came"
    )


def _is_index(key: Any) -> bool:
    return isinstance(key, numbers.Integral) or (isinstance(key, str) and key.isascii() and key.isdigit())
