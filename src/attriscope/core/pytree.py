"""Containers of tensors as leaves, and back.

Torch knows tuples, lists, named tuples and plain dicts. Layers also give dataclasses and mappings of their own, such as
the outputs of language models; here these are containers too.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from torch.utils._pytree import tree_flatten, tree_unflatten

Unflatten = Callable[[Sequence[Any]], Any]


def flatten(value: Any) -> tuple[list[Any], Unflatten]:
    """The leaves of ``value``, in order, and a function that makes the same thing of other leaves."""
    outer, tree = tree_flatten(value)
    leaves: list[Any] = []
    containers: list[
        tuple[int, Unflatten | None]
    ] = []  # for each outer leaf how many it holds; None if it is one
    for leaf in outer:
        inner, unflatten_inner = _flatten_container(leaf)
        leaves.extend(inner)
        containers.append((len(inner), unflatten_inner))

    def unflatten(new: Sequence[Any]) -> Any:
        done, filled = 0, []
        for count, unflatten_inner in containers:
            some = new[done : done + count]
            filled.append(some[0] if unflatten_inner is None else unflatten_inner(some))
            done += count
        return tree_unflatten(filled, tree)

    return leaves, unflatten


def tree_leaves(value: Any) -> list[Any]:
    """The leaves of ``value``, in order."""
    return flatten(value)[0]


def _flatten_container(value: Any) -> tuple[list[Any], Unflatten | None]:
    """The same for a container that torch takes for a leaf; with ``None`` if it is a leaf indeed."""
    if isinstance(value, MutableMapping):
        return _flatten_items(
            value, list(value), value.get, lambda new, key, item: new.__setitem__(key, item)
        )
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Mapping):
        names = [field.name for field in dataclasses.fields(value)]
        return _flatten_items(value, names, lambda name: getattr(value, name), object.__setattr__)
    return [value], None


def _flatten_items(
    value: Any, keys: list[Any], get: Callable[[Any], Any], put: Callable[[Any, Any, Any], None]
) -> tuple[list[Any], Unflatten]:
    leaves, unflatten_items = flatten([get(key) for key in keys])

    def unflatten(new: Sequence[Any]) -> Any:
        made = copy.copy(value)
        for key, item in zip(keys, unflatten_items(new), strict=True):
            put(made, key, item)
        return made

    return leaves, unflatten
