"""Running something else in place of a module's forward, for one thread, and only as long as a block lasts.

Hooks can change what goes in and comes out of a module but cannot spare its work. So for the time of a block
``module.forward`` is replaced. Several threads may borrow a module at once: the replacement asks which thread it is in.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

Instead = Callable[..., Any]
"""Called as ``instead(module, original, *args, **kwargs)``, where ``original`` is the module's own forward."""

_LOCK = threading.Lock()


class _Detour:
    """Stands as a module's ``forward`` while anyone borrows it."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.own = vars(module).get("forward")  # some have one of their own, which hides that of the class
        self.original = module.forward
        self.borrowers: dict[int, list[Instead]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mine = self.borrowers.get(threading.get_ident())
        if not mine:
            return self.original(*args, **kwargs)
        return mine[-1](self.module, self.original, *args, **kwargs)


@contextlib.contextmanager
def detour(modules: Iterable[nn.Module], instead: Instead) -> Iterator[None]:
    """Inside the block, in this thread, ``instead`` runs in place of the forward of these modules."""
    ours = threading.get_ident()
    taken: list[nn.Module] = []
    try:
        for module in modules:
            if isinstance(module, torch.jit.ScriptModule):
                continue  # its forward is compiled into those that call it
            with _LOCK:
                standing = vars(module).get("forward")
                if not isinstance(standing, _Detour):
                    standing = _Detour(module)
                    vars(module)["forward"] = standing
                standing.borrowers.setdefault(ours, []).append(instead)
                taken.append(module)
        yield
    finally:
        for module in taken:
            with _LOCK:
                standing = vars(module)["forward"]
                standing.borrowers[ours].pop()
                if not standing.borrowers[ours]:
                    del standing.borrowers[ours]
                if standing.borrowers:
                    continue
                if standing.own is None:
                    del vars(module)["forward"]
                else:
                    vars(module)["forward"] = standing.own
