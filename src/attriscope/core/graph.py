"""The nodes of the graph that autograd has built: which lie between tensors, and what their inputs come from.

:mod:`attriscope.core.propagation` puts rules on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

from attriscope.core.tape import operation_of


def nodes_between(ends: Iterable[Tensor], starts: Iterable[Tensor]) -> Iterator[tuple[Any, tuple[bool, ...]]]:
    """The nodes on the way from ``ends`` to ``starts``, each with which of its inputs lead there."""
    starts = list(starts)
    leaves = {id(t) for t in starts if t.grad_fn is None}
    goals = {t.grad_fn for t in starts if t.grad_fn is not None}
    leads: dict[Any, bool] = {}
    stack = [t.grad_fn for t in ends if t.grad_fn is not None]
    while stack:
        node = stack[-1]
        if node in leads:
            stack.pop()
            continue
        nexts = [n for n, _ in node.next_functions if n is not None]
        todo = [n for n in nexts if n not in leads]
        if todo:
            stack.extend(todo)
            continue
        stack.pop()
        variable = getattr(node, "variable", None) if not nexts else None
        leads[node] = (variable is not None and id(variable) in leaves) or any(
            leads[n] or n in goals for n in nexts
        )
        if leads[node] and nexts:
            yield node, tuple(n is not None and (leads[n] or n in goals) for n, _ in node.next_functions)


CARRIERS = frozenset(
    [
        "View",
        "UnsafeView",
        "Reshape",
        "ReshapeAlias",
        "Expand",
        "Transpose",
        "T",
        "Permute",
        "Squeeze",
        "Unsqueeze",
        "Clone",
        "ToCopy",
        "Slice",
        "Select",
        "Alias",
        "Repeat",
        "AsStrided",
        "Mul",
        "Div",
        "Add",
        "Sub",
        "Rsub",
        "Neg",
        "NativeDropout",
        "MaskedFill",
        "Unbind",
        "Stack",
        "Cat",
    ]
)
"""Looked through when asking where a factor comes from: what a gate goes through before it multiplies."""


def sources(node: Any, names: Mapping[Any, str] | None = None) -> tuple[str, ...]:
    """For each input of a node the operation it comes from, looked up through views and factors; ``""`` for a leaf.

    Args:
        names: the operations of nodes that are called otherwise in the graph: writes into views.
    """
    names = names or {}

    def source(start: Any) -> str:
        while start is not None:
            operation = names.get(start) or operation_of(start.name())
            exponent = getattr(start, "_saved_exponent", None) if operation == "Pow" else None
            if isinstance(exponent, float | int) and exponent < 0:
                return "Reciprocal"  # another spelling of it, or of an inverse root
            ahead = [n for n, _ in start.next_functions if n is not None and "AccumulateGrad" not in n.name()]
            if operation not in CARRIERS or len(ahead) != 1:
                return operation
            start = ahead[0]
        return ""

    return tuple(source(n) for n, _ in node.next_functions)


def feeds(tensor: Tensor, others: Iterable[Tensor]) -> bool:
    """Whether any of the others was made of the tensor, in a way that autograd can follow."""
    if tensor.grad_fn is None:
        return False
    wanted = (tensor.grad_fn, tensor.output_nr)
    waiting = [other.grad_fn for other in others if other.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        for edge in waiting.pop().next_functions:
            if edge == wanted:
                return True
            if edge[0] is not None and edge[0] not in seen:
                seen.add(edge[0])
                waiting.append(edge[0])
    return False
