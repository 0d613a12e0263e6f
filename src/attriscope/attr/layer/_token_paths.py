"""Paths between token ids, for the methods that follow a path through the inputs and read at a layer.

Between two ids there is nothing. The path goes where ids first become numbers: along the straight line between the
vectors that the embeddings give for the baselines and for the inputs.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

from torch import Tensor, nn

from attriscope.attr._base import LayerAttribution
from attriscope.attr.at import values_at
from attriscope.core.errors import InputTypeError
from attriscope.core.hooks import Layers, hooked, layer_names, module_of
from attriscope.core.inputs import Examples, describe
from attriscope.core.passes import one_pass
from attriscope.core.pytree import tree_leaves
from attriscope.core.section import Section
from attriscope.core.section_start import OpenedSection, open_section

Method = TypeVar("Method", bound=LayerAttribution)


def differentiable(examples: Examples) -> bool:
    """Whether there are points between all inputs and others like them."""
    return all(x.is_floating_point() or x.is_complex() for x in examples.tensors)


def through_embeddings(
    method: Method, examples: Examples, starts: tuple[Tensor, ...]
) -> tuple[Method, Examples, tuple[Tensor, ...]]:
    """The same question with vectors in place of token ids; as it is if there are no ids.

    Args:
        method: whose ``forward_func`` is explained.
        examples: inputs of the model.
        starts: where paths begin: a baseline for each input, of first dimension 1 or N; or a distribution of M.

    Returns:
        The method of a function of vectors, the vectors of the inputs as examples, and those of ``starts``.

    Raises:
        InputTypeError: the model has no embedding that takes ids in.
    """
    if differentiable(examples):
        return method, examples, starts
    site = _embeddings(method, examples)
    beginnings, ends = _held(method, site, examples, starts), _held(method, site, examples, examples.tensors)
    # What is the same at both ends, such as vectors of positions, is no part of the path.
    moved = [i for i in range(len(site)) if not _same(beginnings[i], ends[i])] or list(range(len(site)))
    site = site.only(moved)
    opened = open_section(Section(method.forward_func, site), examples, resume=False)
    floating = [i for i, x in enumerate(examples.tensors) if x.is_floating_point() or x.is_complex()]
    vectors = (*opened.examples.tensors, *(examples.tensors[i] for i in floating))
    made = copy.copy(method)
    made.forward_func = _OfVectors(opened, floating)
    starting = (*(v for i in moved for v in beginnings[i]), *(starts[i] for i in floating))
    return made, Examples(vectors, len(vectors) == 1, opened.examples.arguments), starting


def _held(
    method: LayerAttribution, site: Layers, examples: Examples, rows: tuple[Tensor, ...]
) -> list[tuple[Tensor, ...]]:
    """What the embeddings give for other inputs."""
    if all(r.shape[0] in (1, examples.count) for r in rows):
        return values_at(method, site, examples, rows)
    counts = {r.shape[0] for r in rows}
    tied = [
        a for a in examples.arguments if isinstance(a, Tensor) and a.dim() and len(a) == examples.count > 1
    ]
    if len(counts) > 1 or tied:
        raise InputTypeError(
            f"{method.get_name()} needs what the embeddings give for the baselines, {describe(rows)}, and cannot tell "
            "which of the additional_forward_args go with them; give as many baselines as there are examples"
        )
    those = dataclasses.replace(examples, tensors=rows)
    return values_at(method, site, those, rows)


def _same(beginning: tuple[Tensor, ...], end: tuple[Tensor, ...]) -> bool:
    return all(bool((b[:1] == e).all() and (b == e[:1]).all()) for b, e in zip(beginning, end, strict=True))


def _embeddings(method: LayerAttribution, examples: Examples) -> Layers:
    """The innermost modules that take whole numbers and give others, one entry for each call."""
    forward = method.forward_func
    model = module_of(forward)
    found: list[tuple[nn.Module, int]] = []
    calls: dict[nn.Module, int] = {}
    waiting: list[tuple[nn.Module, int]] = []  # modules that have begun, and how many were found before

    def before(module: nn.Module, value: Any) -> None:
        waiting.append((module, len(found)))

    def after(module: nn.Module, value: Any) -> None:
        while waiting:
            begun, count = waiting.pop()
            if begun is module:
                break
        number = calls[module] = calls.get(module, -1) + 1
        gives = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
        own = len(found) == count and any(
            g.is_floating_point() and g.dim() and len(g) == examples.count for g in gives
        )
        if own and taken.get(module, False):
            found.append((module, number))

    taken: dict[nn.Module, bool] = {}

    def takes(module: nn.Module, value: Any) -> None:
        tensors = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
        taken[module] = bool(tensors) and not any(t.is_floating_point() or t.is_complex() for t in tensors)
        before(module, value)

    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    given, named = examples.arrange(tuple(x.detach().clone() for x in examples.tensors), examples.arguments)
    with one_pass(forward, False), hooked(modules, True, takes), hooked(modules, False, after):
        forward(*given, **named)
    if not found:
        which = next(x for x in examples.tensors if not (x.is_floating_point() or x.is_complex()))
        raise InputTypeError(
            f"{method.get_name()} follows a path from the baseline to the input, and there is none between whole "
            f"numbers: among the inputs is {describe(which)}, and the model has no module that takes these and gives "
            "vectors. Pass floating point inputs (x.float()), and what is no input as additional_forward_args"
        )
    names = layer_names(forward)
    return Layers(
        tuple(module for module, _ in found),
        names=tuple(repr(names[module]) for module, _ in found),
        calls=tuple(number if calls[module] > 0 else -1 for module, number in found),
    )


class _OfVectors:
    """The model as a function of what its embeddings give, and of its other inputs."""

    def __init__(self, opened: OpenedSection, floating: Sequence[int]) -> None:
        self._opened, self._floating = opened, list(floating)
        self._vectors = sum(opened.counts)
        self.explained_model = opened.forward.explained_model
        self.timing_key = opened.forward.timing_key
        self.steady = opened.forward.steady

    def __call__(self, *given: Any) -> Any:
        first = self._vectors + len(self._floating)
        rest = list(given[first:])
        for place, value in zip(self._floating, given[self._vectors : first], strict=True):
            rest[place] = value
        return self._opened.forward(*given[: self._vectors], *rest)
