"""Random points between inputs and baselines, and the mean of what is found there.

They are what :mod:`attriscope.attr.gradient_shap` averages over.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attriscope.attr._random import Draws, Noise, even_choices
from attriscope.attr._sums import accumulation_dtype
from attriscope.attr.quadrature import spread_order
from attriscope.core.complex_parts import as_complex, as_real
from attriscope.core.inputs import (
    Examples,
)


class RandomPaths:
    """Where each sample of each example lies: between which ends, and how far.

    With two samples or more for each baseline, every baseline's path is cut into as many equal pieces as it has
    samples, with one at random in each, and all baselines weigh the same. With fewer, the path is cut into as many
    pieces as there are samples, with a baseline at random in each.

    Attributes:
        weights: how much each sample counts, adding up to 1.
        run: so many consecutive samples are neighbours, from which the error is read; only the last may have none.
    """

    def __init__(
        self,
        examples: Examples,
        distribution: tuple[Tensor, ...],
        samples: int,
        stdevs: tuple[float, ...],
        draws: Draws,
    ) -> None:
        self.examples, self.samples = examples, samples
        self.noisy = any(stdevs)
        self._latest: tuple[slice, slice] | None = None
        self._differences: tuple[Tensor, ...] = ()
        self._distribution = distribution
        self._noise = Noise(examples, stdevs, samples, draws)
        generator, count = draws.stream(-1), examples.count
        counts = [len(b) for b in distribution]
        joint = len(set(counts)) == 1
        slots = counts[0] if joint and samples >= 2 * counts[0] else 1
        self.run = 3 if samples >= 3 * slots else 2
        order = _sample_order(samples, slots, self.run)
        slot, piece, pieces = torch.tensor(order, device="cpu").T
        self.weights = 1.0 / (slots * pieces.double())
        # Within a piece the baselines' samples are spread out too.
        ranks = torch.rand(int(pieces.max()), slots, count, generator=generator, device="cpu").argsort(1)
        within = torch.rand(samples, count, generator=generator, dtype=torch.float64, device="cpu")
        self._positions = (piece[:, None] + (ranks[piece, slot] + within) / slots) / pieces[:, None]
        if joint and slots == counts[0]:
            choices = even_choices(slots, count, slots, generator)[slot]
            self.choices = [choices] * len(counts)
        elif joint:
            self.choices = [even_choices(samples, count, counts[0], generator)] * len(counts)
        else:
            self.choices = [even_choices(samples, count, m, generator) for m in counts]

    @property
    def few(self) -> tuple[int, Callable[[slice, slice], tuple[Tensor, ...]]] | None:
        """The baselines themselves as rows, if they are fewer than the samples."""
        counts = {len(b) for b in self._distribution}
        if len(counts) > 1 or min(counts) >= self.samples:
            return None
        return min(counts), lambda steps, part: tuple(
            b[steps].unsqueeze(1).expand(-1, part.stop - part.start, *b.shape[1:]) for b in self._distribution
        )

    def starts(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """The baselines, (steps, examples, ...)."""
        return tuple(
            b[chosen[steps, part].to(b.device)]
            for b, chosen in zip(self._distribution, self.choices, strict=True)
        )

    def ends(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """The inputs with noise, (steps, examples, ...)."""
        return self._noise.step_by_step(steps, part)

    def rows(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """Points on the paths."""
        made, differences = [], []
        for start, end in zip(self.starts(steps, part), self.ends(steps, part), strict=True):
            dtype = accumulation_dtype(end.dtype)
            at = self._positions[steps, part].to(dtype if not dtype.is_complex else end.real.dtype)
            at = at.to(end.device).reshape(*end.shape[:2], *[1] * (end.dim() - 2))
            start, difference = start.to(dtype), end.to(dtype) - start.to(dtype)
            made.append((start + at * difference).to(end.dtype).flatten(0, 1))
            differences.append(difference)
        self._latest, self._differences = (steps, part), tuple(differences)
        return tuple(made)

    def differences(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """What leads from one end of the paths to the other, (steps, examples, ...)."""
        if self._latest != (steps, part):
            self.rows(steps, part)
        return self._differences


def _sample_order(samples: int, slots: int, run: int) -> list[tuple[int, int, int]]:
    """For each sample in the order of evaluation its slot (a baseline), its piece of the path, and of how many pieces.

    Runs of neighbouring pieces stay together; their order covers the path early.
    """
    pieces = [samples // slots + (slot < samples % slots) for slot in range(slots)]
    runs = [
        (slot, run * k + i, pieces[slot])
        for k in spread_order(max(pieces) // run)
        for slot in range(slots)
        if k < pieces[slot] // run
        for i in range(run)
    ]
    return runs + [
        (slot, piece, pieces[slot])
        for slot in range(slots)
        for piece in range(pieces[slot] // run * run, pieces[slot])
    ]


class PathMean:
    """Weighted mean of samples, and its standard error from how much neighbours differ.

    The error of one sample per piece of the path is what neighbours differ by beyond the path's own trend: in twos
    their difference, in threes the middle one from the mean of the others.
    """

    def __init__(self, weights: Tensor, run: int) -> None:
        self._weights = weights
        self._contrast = {2: (0.5**0.5, -(0.5**0.5)), 3: (6**-0.5, -2 * 6**-0.5, 6**-0.5)}[run]
        self._count = self._runs = 0
        self._complex = False
        self._total: Tensor | None = None
        self._squares: Tensor | None = None
        self._waiting: Tensor | None = None

    def add(self, values: Tensor) -> None:
        """The next samples, (samples, N, ...)."""
        self._complex = values.is_complex()
        values = as_real(values)
        weights = (
            self._weights[self._count : self._count + len(values)].to(dtype=values.dtype).to(values.device)
        )
        found = torch.tensordot(weights, values, dims=1)
        self._total = found if self._total is None else self._total.add_(found)
        self._count += len(values)
        if self._waiting is not None:
            values = torch.cat([self._waiting, values])
        run = len(self._contrast)
        runs = len(values) // run
        self._waiting = values[run * runs :].clone() if len(values) % run else None
        if runs:
            contrast = sum(c * values[i : run * runs : run] for i, c in enumerate(self._contrast))
            squares = contrast.square().sum(0)
            self._squares = squares if self._squares is None else self._squares.add_(squares)
            self._runs += runs

    def mean(self) -> Tensor:
        """The mean so far."""
        assert self._total is not None
        return self._formed(self._total / float(self._weights[: self._count].sum()))

    def error(self) -> Tensor:
        """Its standard error; there must have been neighbours."""
        assert self._squares is not None
        weights = self._weights[: self._count]
        share = float(weights.square().sum() / weights.sum() ** 2)
        return self._formed((self._squares / self._runs * share).sqrt())

    def _formed(self, found: Tensor) -> Tensor:
        return as_complex(found) if self._complex else found
