"""Taking what a layer gives apart into tensors, and putting it together again.

Torch knows tuples, lists, named tuples and plain dicts. Layers also give dataclasses and mappings of their own, such as
the outputs of language models; here these are containers too.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from torch.utils._pytree import tree_flatten, tree_unflatten

Rebuild = Callable[[Sequence[Any]], Any]


def take_apart(value: Any) -> tuple[list[Any], Rebuild]:
    """The leaves of ``value``, in order, and a function that makes the same thing of other leaves."""
    outer, tree = tree_flatten(value)
    leaves: list[Any] = []
    parts: list[tuple[int, Rebuild | None]] = []
    for leaf in outer:
        inner, rebuild = _opened(leaf)
        leaves.extend(inner)
        parts.append((len(inner), rebuild))

    def together(new: Sequence[Any]) -> Any:
        done, filled = 0, []
        for count, rebuild in parts:
            some = new[done : done + count]
            filled.append(some[0] if rebuild is None else rebuild(some))
            done += count
        return tree_unflatten(filled, tree)

    return leaves, together


def leaves_of(value: Any) -> list[Any]:
    """The leaves of ``value``, in order."""
    return take_apart(value)[0]


def _opened(value: Any) -> tuple[list[Any], Rebuild | None]:
    """What is in a container that torch takes for a leaf; ``None`` if it is a leaf indeed."""
    if isinstance(value, MutableMapping):
        return _contents(value, list(value), value.get, lambda new, key, item: new.__setitem__(key, item))
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Mapping):
        names = [field.name for field in dataclasses.fields(value)]
        return _contents(value, names, lambda name: getattr(value, name), object.__setattr__)
    return [value], None


def _contents(
    value: Any, keys: list[Any], get: Callable[[Any], Any], put: Callable[[Any, Any, Any], None]
) -> tuple[list[Any], Rebuild]:
    leaves, rebuild = take_apart([get(key) for key in keys])

    def together(new: Sequence[Any]) -> Any:
        made = copy.copy(value)
        for key, item in zip(keys, rebuild(new), strict=True):
            put(made, key, item)
        return made

    return leaves, together
