"""Running checkpointed functions as they are: ``torch.utils.checkpoint`` throws away what a backward pass needs.

Its reentrant form runs a function without gradients, so nothing inside can be read, rules see one unknown operation,
and ``torch.autograd.grad`` is refused. The other form runs the function again on the way back, when the hooks that have
read or changed values are gone. Both give the numbers of the function by itself, which is what runs here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import torch.utils.checkpoint as torch_checkpoint

_LOCK = threading.Lock()


class _WithoutCheckpoints:
    """A context manager: in this thread, inside the block, checkpointed functions run as any other."""

    def __init__(self) -> None:
        self._depths: dict[int, int] = {}  # by thread
        self._own: dict[str, Any] = {}

    def __enter__(self) -> None:
        with _LOCK:
            if not self._depths:
                self._own = {
                    name: vars(torch_checkpoint)[name]
                    for name in _STAND_INS
                    if name in vars(torch_checkpoint)
                }
                for name, own in self._own.items():
                    setattr(torch_checkpoint, name, _STAND_INS[name](own, self._depths))
            thread = threading.get_ident()
            self._depths[thread] = self._depths.get(thread, 0) + 1

    def __exit__(self, *error: object) -> None:
        with _LOCK:
            thread = threading.get_ident()
            self._depths[thread] -= 1
            if not self._depths[thread]:
                del self._depths[thread]
            if not self._depths:
                for name, own in self._own.items():
                    setattr(torch_checkpoint, name, own)


class _Reentrant:
    """Stands in for ``CheckpointFunction``."""

    def __init__(self, own: Any, depths: dict[int, int]) -> None:
        self._own, self._depths = own, depths

    def apply(self, function: Any, preserve_rng_state: bool, *args: Any) -> Any:
        """Run the function."""
        if threading.get_ident() in self._depths:
            return function(*args)
        return self._own.apply(function, preserve_rng_state, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


class _NotReentrant:
    """Stands in for the generator that surrounds the function in the form that is not reentrant."""

    def __init__(self, own: Any, depths: dict[int, int]) -> None:
        self._own, self._depths = own, depths

    def __call__(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        return _nothing_around() if threading.get_ident() in self._depths else self._own(*args, **kwargs)


def _nothing_around() -> Iterator[None]:
    yield


_STAND_INS = {"CheckpointFunction": _Reentrant, "_checkpoint_without_reentrant_generator": _NotReentrant}

without_checkpoints = _WithoutCheckpoints()
