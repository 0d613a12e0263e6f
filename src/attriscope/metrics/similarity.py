"""How alike two maps are, example by example; ``randomisation`` and ``faithfulness`` ask it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._features import exact_dtype
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import describe

Similarity = Callable[[Tensor, Tensor], Tensor]


def pearson(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of the rows of two tensors (N, D): (N,), 0 where a row is constant."""
    a, b = (t - t.mean(1, keepdim=True) for t in (a, b))
    return cosine(a, b)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """The cosine of the angle between the rows of two tensors (N, D): (N,), 0 where a row is zero."""
    lengths = torch.linalg.vector_norm(a, dim=1) * torch.linalg.vector_norm(b, dim=1)
    found = (a * b).sum(1) / torch.where(lengths > 0, lengths, 1)
    return found.clamp(-1, 1)


def spearman(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of the ranks in each row of two tensors (N, D): (N,). Ties share their mean rank."""
    return pearson(ranks(a), ranks(b))


def ranks(values: Tensor) -> Tensor:
    """The place of each number in its row (N, D), from 0 for the least; ties share their mean."""
    ordered = values.sort(1).values
    values = values.contiguous()
    first = torch.searchsorted(ordered, values)
    last = torch.searchsorted(ordered, values, right=True)
    return (first + last - 1).to(exact_dtype(values.device)) / 2


SIMILARITIES: dict[str, Similarity] = {"spearman": spearman, "pearson": pearson, "cosine": cosine}


def resolve_similarity(given: Any) -> Similarity:
    """A similarity by name, or a function of two tensors (N, D) that gives (N,).

    Raises:
        InputTypeError, InputError: it is neither.
    """
    if isinstance(given, str):
        if given not in SIMILARITIES:
            raise InputError(
                f"similarity must be one of {', '.join(map(repr, SIMILARITIES))}, but {given!r} came"
            )
        return SIMILARITIES[given]
    if not callable(given):
        raise InputTypeError(f"similarity must be a name or a function, but {describe(given)} came")

    def checked(a: Tensor, b: Tensor) -> Tensor:
        found = given(a, b)
        if not isinstance(found, Tensor) or tuple(found.shape) != (len(a),):
            raise InputError(
                f"similarity must give one number per example ({len(a)}), but gave {describe(found)}"
            )
        return found

    return checked
