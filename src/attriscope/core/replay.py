"""What modules gave in one forward pass, kept to be given again in others, so that they need not run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from attriscope.core.pytree import Rebuild, take_apart


@dataclasses.dataclass(frozen=True)
class Made:
    """What a module gave in one call, ready to be given again."""

    module: nn.Module
    constants: tuple[Any, ...]  # leaves; where there is a tensor, None
    tensors: tuple[Tensor, ...]
    places: tuple[int, ...]
    rebuild: Rebuild

    @staticmethod
    def of(module: nn.Module, output: Any) -> Made | None:
        leaves, rebuild = take_apart(output)
        places = tuple(i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor))
        plain = (bool, int, float, str, type(None))
        if not places or not all(isinstance(leaf, (Tensor, *plain)) for leaf in leaves):
            return None  # who knows what that is
        constants = tuple(None if isinstance(leaf, Tensor) else leaf for leaf in leaves)
        # Copies: what comes next may work in place on them.
        return Made(module, constants, tuple(leaves[i].detach().clone() for i in places), places, rebuild)

    def again(self, tensors: Sequence[Tensor]) -> Any:
        leaves = list(self.constants)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor.clone()
        return self.rebuild(leaves)


class Before:
    """What modules gave before a moment in the forward pass: of nested ones, the outermost that had ended."""

    def __init__(self) -> None:
        self._ended: list[Made] = []
        self.kept: list[Made] | None = None

    def __call__(self, module: nn.Module, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.kept is not None:
            return original(*args, **kwargs)
        before = len(self._ended)
        output = original(*args, **kwargs)
        if self.kept is None:
            made = Made.of(module, output)
            if made is not None:
                self._ended[before:] = [made]
        return output

    def now(self) -> None:
        """This is the moment."""
        if self.kept is None:
            self.kept = list(self._ended)


class Again:
    """Gives again what modules gave, in order."""

    def __init__(self, kept: tuple[Made, ...], tensors: tuple[Tensor, ...]) -> None:
        self._kept, self._tensors = kept, tensors
        self._next = self._used = 0

    def __call__(self, module: nn.Module, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._next == len(self._kept) or self._kept[self._next].module is not module:
            return original(*args, **kwargs)
        made = self._kept[self._next]
        first, self._used = self._used, self._used + len(made.tensors)
        self._next += 1
        return made.again(self._tensors[first : self._used])
