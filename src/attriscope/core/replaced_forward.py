"""Running something else in place of a module's forward, for one thread, and only as long as a block lasts.

Hooks (:mod:`attriscope.core.hooks`) can change what goes in and comes out of a module but cannot spare its work. So for
the time of a block ``module.forward`` is replaced. Several threads may replace that of one module at once: what stands
there asks which thread it is in.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

Replacement = Callable[..., Any]
"""Called as ``replacement(module, original, *args, **kwargs)``, where ``original`` is the module's own forward."""

_LOCK = threading.Lock()


class _ReplacedForward:
    """Stands as a module's ``forward`` while any thread replaces it."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.own = vars(module).get("forward")  # some have one of their own, which hides that of the class
        self.original = module.forward
        self.replacements: dict[int, list[Replacement]] = {}  # by thread, the innermost last

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mine = self.replacements.get(threading.get_ident())
        if not mine:
            return self.original(*args, **kwargs)
        return mine[-1](self.module, self.original, *args, **kwargs)


@contextlib.contextmanager
def replaced_forward(modules: Iterable[nn.Module], replacement: Replacement) -> Iterator[None]:
    """Inside the block, in this thread, ``replacement`` runs in place of the forward of these modules."""
    thread = threading.get_ident()
    replaced: list[nn.Module] = []
    try:
        for module in modules:
            if isinstance(module, torch.jit.ScriptModule):
                continue  # its forward is compiled into those that call it
            with _LOCK:
                forward = vars(module).get("forward")
                if not isinstance(forward, _ReplacedForward):
                    forward = _ReplacedForward(module)
                    vars(module)["forward"] = forward
                forward.replacements.setdefault(thread, []).append(replacement)
                replaced.append(module)
        yield
    finally:
        for module in replaced:
            with _LOCK:
                forward = vars(module)["forward"]
                forward.replacements[thread].pop()
                if not forward.replacements[thread]:
                    del forward.replacements[thread]
                if forward.replacements:
                    continue
                if forward.own is None:
                    del vars(module)["forward"]
                else:
                    vars(module)["forward"] = forward.own
