"""Perturbed copies of the examples, drawn the same way however the rows are cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._random import check_generator
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import Examples, describe
from attriscope.metrics._arguments import takes

# So many numbers are drawn in one call, at most: all samples of a few pictures.
_TOGETHER = 1 << 24


class PerturbationSamples:
    """Samples of perturbed inputs that a user's function makes, in blocks of consecutive samples.

    How many samples make a block depends on the sizes only, so random draws do not depend on how rows are cut. Samples
    are asked for in order, some of them again after memory ran out; blocks that are past are dropped.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        examples: Examples,
        samples: int,
        generator: torch.Generator | None,
    ) -> None:
        if not callable(function):
            raise InputTypeError(f"perturb_func must be a function, but {describe(function)} came")
        if check_generator(generator) is not None and not takes(function, "generator"):
            raise InputError(
                "generator came, but perturb_func takes none and draws from wherever it likes; give it a parameter "
                "named generator"
            )
        self._function = function
        self._more = {} if generator is None else {"generator": generator}
        self.examples = examples
        self.samples = samples
        numbers = sum(x.numel() for x in examples.tensors)
        self._block = max(1, min(samples, _TOGETHER // max(1, numbers)))
        self._kept: dict[int, tuple[Tensor, ...]] = {}

    def call(self, *arguments: Any) -> Any:
        """What the user's function gives."""
        return self._function(*arguments, **self._more)

    def draw(self, first: int, count: int) -> tuple[Tensor, ...]:
        """Samples ``first`` to ``first + count`` of all examples, (N * count, ...), example by example."""
        raise NotImplementedError

    def rows(self, start: int, stop: int, part: slice) -> tuple[Tensor, ...]:
        """Samples ``start`` to ``stop`` of some examples, (samples * examples, ...), sample by sample."""
        if start == stop:
            return tuple(x[:0] for x in self.examples.tensors)
        return tuple(t[part].transpose(0, 1).flatten(0, 1) for t in self.samples_of(start, stop))

    def samples_of(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """Samples ``start`` to ``stop`` of all examples, (N, samples, ...)."""
        pieces: list[tuple[Tensor, ...]] = []
        self._kept = {first: b for first, b in self._kept.items() if first + self._block > start}
        while start < stop:
            first = start // self._block * self._block
            last = min(first + self._block, self.samples)
            end = min(stop, last)
            pieces.append(tuple(t[:, start - first : end - first] for t in self._drawn(first, last - first)))
            start = end
        return pieces[0] if len(pieces) == 1 else tuple(torch.cat(e, 1) for e in zip(*pieces, strict=True))

    def _drawn(self, first: int, count: int) -> tuple[Tensor, ...]:
        """A block, (N, count, ...)."""
        if first not in self._kept:
            with torch.no_grad():
                found = self.draw(first, count)
            self._kept[first] = tuple(
                t.detach().reshape(self.examples.count, count, *t.shape[1:]) for t in found
            )
        return self._kept[first]

    def repeated(self, count: int) -> Any:
        """The examples, each ``count`` times in a row, as a user's function gets them: one tensor alone, or a tuple."""
        return self.formed(tuple(x.detach().repeat_interleave(count, 0) for x in self.examples.tensors))

    def formed(self, tensors: tuple[Tensor, ...]) -> Any:
        """As Captum hands tensors to such functions: in a tuple only if there are several."""
        return tensors[0] if len(tensors) == 1 and not self.examples.keys else self.examples.form(tensors)

    def fitting(self, given: Any, count: int) -> tuple[Tensor, ...]:
        """What a user's function gave, one tensor per input.

        Raises:
            InputError: the number of tensors or a shape does not fit.
        """
        found = self.examples.per_input(given)
        wanted = [(self.examples.count * count, *x.shape[1:]) for x in self.examples.tensors]
        right = len(found) == len(wanted) and all(
            isinstance(t, Tensor) and tuple(t.shape) == shape for t, shape in zip(found, wanted, strict=False)
        )
        if not right:
            raise InputError(
                f"perturb_func must give tensors of shape {', '.join(map(str, wanted))}, as it got them, but gave "
                f"{describe(given)}"
            )
        return tuple(
            t.to(x.device, x.dtype if x.is_floating_point() or x.is_complex() else t.dtype)
            for t, x in zip(found, self.examples.tensors, strict=True)
        )
