"""Random numbers that do not depend on how work is cut.

Work is cut by measured speed, so a generator that is simply read on would give other numbers on a busy day. Here what
is drawn has a number, which gives it a stream of its own, and is drawn whole, in a shape that no cut changes.
"""

from __future__ import annotations

import math
import numbers
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._sums import accumulation_dtype
from attriscope.core.complex_parts import as_real
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import Examples, describe

# An odd factor keeps the seeds of 2^32 samples apart, of which torch's CPU generator looks at 32 bits.
_APART = 0x9E3779B97F4A7C15
# About so many numbers are drawn at once.
_TOGETHER = 1 << 16


class Draws:
    """The random numbers of one call of a method.

    Args:
        generator: where they come from; ``None`` is torch's global CPU generator. One number is drawn from it, whatever
            the call then needs.

    Raises:
        InputTypeError: it is no ``torch.Generator``.
    """

    def __init__(self, generator: torch.Generator | None) -> None:
        check_generator(generator)
        self._seed = int(torch.randint(1 << 62, (), generator=generator, device=device_of(generator)))

    def stream(self, number: int, device: torch.device | str = "cpu") -> torch.Generator:
        """The generator of this number (any int), at its beginning."""
        where = torch.device(device)
        if where.type == "meta":  # has no generators, and draws nothing
            where = torch.device("cpu")
        return torch.Generator(where).manual_seed((self._seed + number * _APART) % (1 << 63))


def even_choices(samples: int, examples: int, among: int, generator: torch.Generator) -> Tensor:
    """For each sample and example a number below ``among``, of shape (samples, examples).

    Every number is equally likely, and each example gets every number once before it gets one again.
    """
    rounds = -(-samples // among)
    device = generator.device
    shuffled = torch.cat([torch.randperm(among, generator=generator, device=device) for _ in range(rounds)])
    # One order serves all examples, each beginning elsewhere: data sets may be large.
    offset = torch.randint(among, (1, examples), generator=generator, device=device)
    sample = torch.arange(samples, device=device)[:, None]
    return shuffled[sample // among * among + (sample + offset) % among]


def device_of(generator: torch.Generator | None) -> torch.device:
    """Where it draws; torch's global generator is the CPU's, whatever the default device."""
    return torch.device("cpu") if generator is None else generator.device


def check_generator(generator: Any) -> torch.Generator | None:
    """Where random numbers come from; ``None`` for torch's global generator.

    Raises:
        InputTypeError: it is no ``torch.Generator``.
    """
    if generator is not None and not isinstance(generator, torch.Generator):
        raise InputTypeError(
            f"generator must be a torch.Generator or None, but {describe(generator)} came; write "
            "torch.Generator().manual_seed(0)"
        )
    return generator


def check_count(count: Any, name: str) -> int:
    """A number of samples.

    Raises:
        InputTypeError, InputError: it is not a positive whole number.
    """
    if not isinstance(count, numbers.Integral) or isinstance(count, bool):
        raise InputTypeError(f"{name} must be an int, but {describe(count)} came")
    if count < 1:
        raise InputError(f"{name} must be at least 1, but {count} came")
    return int(count)


def check_stdevs(stdevs: Any, examples: Examples) -> tuple[float, ...]:
    """One standard deviation per input.

    Raises:
        InputTypeError, InputError: they are not numbers of at least 0, or not as many as there are inputs.
    """
    count = len(examples.tensors)
    given = stdevs if isinstance(stdevs, tuple) else (stdevs,) * count
    if len(given) != count:
        raise InputError(
            f"stdevs must be a number, or a tuple with one per input, but {describe(stdevs)} came for {count} input(s)"
        )
    for value in given:
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            raise InputTypeError(
                f"stdevs must be a number or a tuple of numbers, but {describe(stdevs)} came"
            )
        if not 0 <= float(value) < math.inf:
            raise InputError(f"stdevs must be at least 0 and finite, but {describe(stdevs)} came")
    return tuple(float(value) for value in given)


class Noise:
    """Examples with Gaussian noise, sample by sample.

    An input whose standard deviation is 0 stays as it is. Integers become floating point numbers where there is noise.
    """

    def __init__(self, examples: Examples, stdevs: tuple[float, ...], samples: int, draws: Draws) -> None:
        self.examples = examples
        self.stdevs = stdevs
        self._samples = samples
        self._draws = draws
        # So many samples are drawn at once: drawing small ones one by one would take longer than a small model.
        self._together = [max(1, min(samples, _TOGETHER // max(1, x.numel()))) for x in examples.tensors]
        self._kept: dict[int, tuple[int, Tensor]] = {}  # for each input the latest that were drawn together

    def step_by_step(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """For each input the samples ``steps`` of some of the examples, (steps, examples, ...)."""
        return tuple(
            x.detach().expand(steps.stop - steps.start, *x.shape)
            if stdev == 0
            else _added(x.detach(), self._drawn(i, steps, part), stdev)
            for i, (x, stdev) in enumerate(zip(self.examples.slices(part), self.stdevs, strict=True))
        )

    def example_by_example(self, steps: slice) -> tuple[Tensor, ...]:
        """The same for all examples, (examples * steps, ...); copies."""
        found = self.step_by_step(steps, slice(0, self.examples.count))
        return tuple(
            (
                t.transpose(0, 1)
                if stdev and len(t[0]) == 1
                else t.transpose(0, 1).clone(memory_format=torch.contiguous_format)
            ).flatten(0, 1)
            for t, stdev in zip(found, self.stdevs, strict=True)
        )

    def _drawn(self, i: int, steps: slice, part: slice) -> Tensor:
        """Standard normal numbers for an input, (steps, examples, ...)."""
        x = self.examples.tensors[i]
        # Half precision is rounded once, after the addition.
        dtype = accumulation_dtype(_noisy_dtype(x))
        found = torch.empty(
            (steps.stop - steps.start, part.stop - part.start, *x.shape[1:]), dtype=dtype, device=x.device
        )
        together, sample = self._together[i], steps.start
        while sample < steps.stop:
            first = sample // together * together
            last = min(first + together, self._samples)
            stop = min(last, steps.stop)
            into = found[sample - steps.start : stop - steps.start]
            if (sample, stop) == (first, last) and into.shape[1] == len(x):
                self._draw(into, i, first)
            else:
                # What is asked for in parts is drawn whole all the same.
                if self._kept.get(i, (None, x))[0] != first:
                    whole = torch.empty((last - first, *x.shape), dtype=dtype, device=x.device)
                    self._kept[i] = first, self._draw(whole, i, first)
                into.copy_(self._kept[i][1][sample - first : stop - first, part])
            sample = stop
        return found

    def _draw(self, out: Tensor, i: int, first: int) -> Tensor:
        generator = self._draws.stream(first * len(self.stdevs) + i, out.device)
        as_real(out).normal_(generator=generator)  # each part of complex numbers by itself
        return out


def _added(x: Tensor, drawn: Tensor, stdev: float) -> Tensor:
    return torch.add(x, drawn, alpha=stdev, out=drawn).to(_noisy_dtype(x))


def _noisy_dtype(x: Tensor) -> torch.dtype:
    return x.dtype if x.is_floating_point() or x.is_complex() else torch.get_default_dtype()
