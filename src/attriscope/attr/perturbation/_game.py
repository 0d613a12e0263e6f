"""Outputs as a function of which features come from the inputs, and what of that belongs to each feature."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attriscope.attr._features import Features, exact_dtype
from attriscope.attr.perturbation._runner import OutputShape
from attriscope.core.inputs import Examples


class Game:
    """The outputs as a function of which features come from the inputs; the others come from the baselines.

    A plan's ``rows`` and ``attributions`` for methods that give one number to each feature. Derived classes say which
    coalitions (sets of features) they need, and what a feature's number is.
    """

    checkpoints: tuple[int, ...] = ()
    ready = True
    steps: int

    def __init__(self, examples: Examples, baselines: tuple[Tensor, ...], features: Features) -> None:
        self.examples, self.baselines, self.features = examples, baselines, features
        self.device = examples.tensors[0].device

    def coalitions(self, steps: slice) -> Tensor:
        """Which features come from the inputs: bool (steps, F), or (steps, N, F) where examples differ."""
        raise NotImplementedError

    def take(self, steps: slice, values: Tensor) -> None:
        """The answers to some steps, in order: (steps, numbers of a step)."""
        raise NotImplementedError

    def numbers(self) -> Tensor:
        """One number per feature: (F, numbers of a step)."""
        raise NotImplementedError

    def standard_errors(self) -> Tensor | None:
        """The standard errors of these; ``None`` if they cannot be told."""
        raise NotImplementedError

    def rows(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """The inputs of some steps and examples."""
        keep = self.coalitions(steps)
        keep = keep[:, part] if keep.dim() == 3 else keep
        return self.features.mix(keep, self.examples.slices(part), self.baselines, part)

    def adapt(self, found: OutputShape) -> None:
        """All coalitions are known beforehand."""

    def attributions(self, found: OutputShape) -> tuple[Tensor, ...]:
        """The features' numbers in the shape of the outputs and the inputs."""
        return self._to_elements(self.numbers(), found)

    def error(self, found: OutputShape) -> tuple[Tensor, ...] | None:
        """Their standard errors."""
        standard_errors = self.standard_errors()
        return None if standard_errors is None else self._to_elements(standard_errors, found)

    def _to_elements(self, numbers: Tensor, found: OutputShape) -> tuple[Tensor, ...]:
        assert found.shape is not None
        devices = (self.device,) * len(self.examples.tensors)
        maps = self.features.to_elements(numbers.T.float(), devices)
        return tuple(m.reshape(*(found.shape or (1,)), *m.shape[1:]) for m in maps)


def of_each_game(said: Tensor, examples: int, found: OutputShape) -> Tensor:
    """What is said of each number of a step, bool (M,), said of all numbers of the same example, or of all examples.

    What is decided for an example does not depend on those beside it, unless they have an output together.
    """
    together = said.reshape(examples if found.grows else 1, -1)
    return together.all(1, keepdim=True).expand_as(together).flatten()


class Enumeration(Game):
    """All 2^F coalitions: exact."""

    ready = False

    def __init__(self, examples: Examples, baselines: tuple[Tensor, ...], features: Features) -> None:
        super().__init__(examples, baselines, features)
        self.steps = 1 << features.count
        self._totals: Tensor | None = None

    def coalitions(self, steps: slice) -> Tensor:
        """The binary digits of the steps' numbers, from the last step down: the first step is the inputs."""
        return self._members(steps).to(self.device)

    def _members(self, steps: slice) -> Tensor:
        number = self.steps - 1 - torch.arange(steps.start, steps.stop, device="cpu")
        return (number[:, None] >> torch.arange(self.features.count, device="cpu")) & 1 == 1

    def take(self, steps: slice, values: Tensor) -> None:
        """Add each answer to the features' totals, with its weight."""
        dtype = exact_dtype(values.device)
        members, weights = self._members(steps), shapley_weights(max(self.features.count, 1))
        size = members.sum(1)
        # A coalition of k features is the end of k steps in which a member was added, and the beginning of F - k.
        share = torch.where(
            members, weights[size - 1][:, None], -weights[size.clamp_max(len(weights) - 1)][:, None]
        )
        found = share.to(values.device, dtype).T @ values.to(dtype)
        self._totals = found if self._totals is None else self._totals + found
        self.ready = steps.stop == self.steps

    def numbers(self) -> Tensor:
        """The Shapley values."""
        assert self._totals is not None
        return self._totals

    def standard_errors(self) -> Tensor:
        """None at all."""
        return torch.zeros_like(self.numbers())


def shapley_weights(count: int) -> Tensor:
    """For k = 0 .. F - 1 the share of all orders in which a given feature comes after k given others: k!(F-1-k)!/F!."""
    shares = [1 / (count * math.comb(count - 1, k)) for k in range(count)]
    return torch.tensor(shares, dtype=torch.float64, device="cpu")
