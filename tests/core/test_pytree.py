"""Taking apart what layers give, and putting it together again."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attriscope.core.pytree import flatten, tree_leaves
from models import spelled

A, B, C = torch.ones(1), torch.zeros(2), torch.full((3,), 3.0)


class Named(NamedTuple):
    hidden: Any
    weights: Any = None


@dataclasses.dataclass
class Data:
    logits: Any
    extra: Any = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    logits: Any


@dataclasses.dataclass
class ModelOutput(collections.OrderedDict):  # type: ignore[type-arg]
    """As the outputs of language models are: a dataclass and a mapping at once, in which ``None`` is left out."""

    logits: Any = None
    hidden_states: Any = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None:
                super().__setitem__(field.name, value)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        super().__setattr__(key, value)


class Own(collections.UserDict):  # type: ignore[type-arg]
    """A mapping that is no dict."""


class ReadOnly(Mapping):  # type: ignore[type-arg]
    def __getitem__(self, key: Any) -> Any:
        return A

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Any:
        return iter("a")


VALUES = {
    "tensor": (A, [A]),
    "none": (None, [None]),
    "tuple with none": ((A, None, B), [A, None, B]),
    "nested": ((A, [B, {"x": C}]), [A, B, C]),
    "lstm": ((A, (B, C)), [A, B, C]),
    "named": (Named(A, B), [A, B]),
    "dict": ({"b": A, "a": B}, [A, B]),
    "dataclass": (Data(A, (B, None)), [A, B, None]),
    "frozen": (Frozen(A), [A]),
    "in a tuple": ((A, Data(B)), [A, B, None]),
    "model output": (ModelOutput(A, (B, C)), [A, B, C]),
    "own mapping": (Own(x=A, y=None), [A, None]),
    "empty": ((), []),
}


@pytest.mark.parametrize("name", VALUES)
def test_leaves_in_order_and_back(name: str) -> None:
    value, expected = VALUES[name]
    leaves, unflatten = flatten(value)
    assert [id(leaf) for leaf in leaves] == [id(leaf) for leaf in expected]
    assert tree_leaves(value) == leaves
    new = [leaf + 1 if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    made = unflatten(new)
    assert type(made) is type(value)
    assert [id(leaf) for leaf in tree_leaves(made)] == [id(leaf) for leaf in new]
    # The original is as it was.
    assert [id(leaf) for leaf in tree_leaves(value)] == [id(leaf) for leaf in expected]


def test_a_model_output_answers_by_name_and_by_key() -> None:
    leaves, unflatten = flatten(ModelOutput(A, (B, C)))
    made = unflatten([leaf * 2 for leaf in leaves])
    assert made.logits is made["logits"]
    assert torch.equal(made.hidden_states[1], C * 2)
    assert list(made) == ["logits", "hidden_states"]


@pytest.mark.parametrize("value", [ReadOnly(), Data, "text", 3, {1, 2}, object()], ids=spelled)
def test_what_cannot_be_put_together_is_a_leaf(value: Any) -> None:
    leaves, unflatten = flatten(value)
    assert leaves == [value]
    assert unflatten(leaves) is value


_LEAVES = st.sampled_from([A, B, C, None, 1, "x"])
_NESTED = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        inner.map(Data),
        st.tuples(inner, inner).map(lambda pair: Named(*pair)),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(Own),
    ),
    max_leaves=8,
)


@given(_NESTED)
def test_any_nesting_comes_back(value: Any) -> None:
    leaves, unflatten = flatten(value)
    again = unflatten(leaves)
    assert [id(leaf) for leaf in tree_leaves(again)] == [id(leaf) for leaf in leaves]
    assert repr(again) == repr(value)
