"""How many rows go through a model, seen at the model itself: for methods that report none.

What the library's methods report is in :mod:`~attriscope.core.progress`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten


class RowCount:
    """How many rows went through each of several models, which may hold one another.

    Attributes:
        of_model: for each that is watched.
    """

    def __init__(self) -> None:
        self.of_model: list[int] = []

    def beside(self, reported: int) -> int | None:
        """What is known of the rows where so many were reported; ``None`` if no model could be watched."""
        return reported or max(self.of_model, default=None)


@contextlib.contextmanager
def counted_rows(*models: Any) -> Iterator[RowCount]:
    """Count what is sent through models inside the block, by this thread.

    Args:
        models: modules; what is none is not watched, nor are scripted modules, which take no hooks.
    """
    count, thread = RowCount(), threading.get_ident()

    def watch(model: nn.Module, number: int) -> Any:
        def seen(module: Any, given: Any, named: Any) -> None:
            if threading.get_ident() == thread:
                count.of_model[number] += _rows_of((given, named))

        return model.register_forward_pre_hook(seen, with_kwargs=True)

    with contextlib.ExitStack() as stack:
        for model in {id(one): one for one in models if isinstance(one, nn.Module)}.values():
            if not isinstance(model, torch.jit.ScriptModule):
                stack.callback(watch(model, len(count.of_model)).remove)
                count.of_model.append(0)
        yield count


def _rows_of(arguments: Any) -> int:
    """How many rows a model is called with: its first tensor says so."""
    tensors = [leaf for leaf in tree_flatten(arguments)[0] if isinstance(leaf, Tensor)]
    return len(tensors[0]) if tensors and tensors[0].dim() else 1
