"""Names of classes in whichever form people keep them, and the forms that are refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from attriscope.core.errors import InputError, InputTypeError
from attriscope.widget.messages.class_names import read_class_names


@pytest.mark.parametrize(
    "given",
    [
        ["cat", "dog", "cow"],
        ("cat", "dog", "cow"),
        np.array(["cat", "dog", "cow"]),
        {0: "cat", 1: "dog", 2: "cow"},
        {np.int64(2): "cow", 0: "cat", 1: "dog"},
        {"cat": 0, "dog": 1, "cow": 2},  # ImageFolder's class_to_idx
        json.loads('{"0": "cat", "1": "dog", "2": "cow"}'),
    ],
)
def test_every_usual_form(given: Any) -> None:
    names = read_class_names(given).of(3)
    assert [names.label(i) for i in range(4)] == ["cat", "dog", "cow", "class 3"]


def test_a_class_without_a_visible_name_is_called_by_its_number() -> None:
    names = read_class_names(["cat", "", " "])
    assert [names.label(i) for i in range(4)] == ["cat", "class 1", "class 2", "class 3"]
    some = read_class_names({7: "", 8: "dog"}).of(10)  # a dict may have names for some
    assert [some.label(i) for i in (7, 8)] == ["class 7", "dog"]
    assert read_class_names(None).of(2).label(1) == "class 1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("abcd", "'abcd' of type str came; as a list it would be one letter per class"),
        ({"a", "b"}, "of type set came; it has no order"),
        ((letter for letter in "ab"), r"of type generator came; write list\(...\)"),
        (4, "4 of type int came"),
        ({"cat": "dog"}, "dict from index to name, or one from name to index"),
        ({"cat": 0, "dog": 0}, "each index once"),
    ],
)
def test_anything_else_is_refused(given: Any, said: str) -> None:
    with pytest.raises(InputTypeError, match=said):
        read_class_names(given)


def test_a_list_has_a_name_for_each_output() -> None:
    names = read_class_names([f"n{i}" for i in range(1000)])
    with pytest.raises(InputError, match=r"holds 1000 name\(s\), but the model gives 4 number\(s\)"):
        names.of(4)
    assert names.of(None).label(999) == "n999"  # no row of scores: nothing to compare with


def test_one_output_of_two_classes_is_the_second() -> None:
    for given in (["benign", "malignant"], {0: "benign", 1: "malignant"}, {"benign": 0, "malignant": 1}):
        assert read_class_names(given).of(1).label(0) == "malignant"
        assert read_class_names(given).of(2).label(0) == "benign"
