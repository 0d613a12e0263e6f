"""What modules gave in one forward pass, kept to be given again in others, so that they need not run.

:mod:`attriscope.core.section_start` records and replays what comes before the layer where a section starts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from attriscope.core.pytree import Unflatten, flatten


@dataclasses.dataclass(frozen=True)
class RecordedOutput:
    """What a module gave in one call, ready to be given again."""

    module: nn.Module
    constants: tuple[Any, ...]  # leaves; where there is a tensor, None
    tensors: tuple[Tensor, ...]
    places: tuple[int, ...]
    unflatten: Unflatten

    @staticmethod
    def of(module: nn.Module, output: Any) -> RecordedOutput | None:
        """``None`` if there is something in the output that is neither a tensor nor a plain constant."""
        leaves, unflatten = flatten(output)
        places = tuple(i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor))
        plain = (bool, int, float, str, type(None))
        if not places or not all(isinstance(leaf, (Tensor, *plain)) for leaf in leaves):
            return None
        constants = tuple(None if isinstance(leaf, Tensor) else leaf for leaf in leaves)
        # Copies: what comes next may work in place on them.
        tensors = tuple(leaves[i].detach().clone() for i in places)
        return RecordedOutput(module, constants, tensors, places, unflatten)

    def with_tensors(self, tensors: Sequence[Tensor]) -> Any:
        """The same output with these tensors, which are copied, in the places of its own."""
        leaves = list(self.constants)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor.clone()
        return self.unflatten(leaves)


class OutputRecorder:
    """Records what modules give until it is stopped: of nested ones, the outermost that had ended by then.

    To be run in place of their forward.

    Attributes:
        recorded: the outputs in order; ``None`` before it is stopped.
    """

    def __init__(self) -> None:
        self._ended: list[RecordedOutput] = []
        self.recorded: list[RecordedOutput] | None = None

    def __call__(self, module: nn.Module, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.recorded is not None:
            return original(*args, **kwargs)
        before = len(self._ended)
        output = original(*args, **kwargs)
        if self.recorded is None:
            record = RecordedOutput.of(module, output)
            if record is not None:
                self._ended[before:] = [record]
        return output

    def stop(self) -> None:
        """What has not ended by now is not recorded."""
        if self.recorded is None:
            self.recorded = list(self._ended)


class OutputReplay:
    """Gives recorded outputs again, in order, with other tensors; to be run in place of the modules' forward."""

    def __init__(self, recorded: tuple[RecordedOutput, ...], tensors: tuple[Tensor, ...]) -> None:
        self._recorded, self._tensors = recorded, tensors
        self._next = self._used = 0

    def __call__(self, module: nn.Module, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._next == len(self._recorded) or self._recorded[self._next].module is not module:
            return original(*args, **kwargs)
        record = self._recorded[self._next]
        first, self._used = self._used, self._used + len(record.tensors)
        self._next += 1
        return record.with_tensors(self._tensors[first : self._used])
