"""Which coalitions (sets of features) to ask a model about, so that few tell much about Shapley values."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attriscope.attr._random import device_of


def spread_pairs(count: int, most: int, generator: torch.Generator | None) -> Tensor:
    """Random coalitions, none empty or full, of which no two are equal or complements of each other.

    How often a coalition is drawn goes by its statistical leverage in the regression behind Shapley values, which is
    the same for all sizes together (Musco and Witter 2024, arXiv 2410.01917): every size comes equally often until its
    coalitions are used up. This holds for every beginning of the list.

    Args:
        count: the number F of features.
        most: how many coalitions are wanted; fewer come where there are no more.
        generator: where random numbers come from; ``None`` for torch's global generator.

    Returns:
        bool (most, F) on the CPU. Of each pair of complements either member comes with equal chance.
    """
    sizes = torch.arange(1, count // 2 + 1, device="cpu")
    # A size and its complement share their pairs; the middle size, if there is one, is its own.
    limits = _limits(count, 4 * most + 1)
    rates = torch.where(2 * sizes == count, 0.5, 1.0).double()
    most = min(most, sum(limits))
    if most <= 0:
        return torch.zeros(0, count, dtype=torch.bool, device="cpu")
    draw = _Draw(count, generator)
    # The j-th coalition of a size comes at time (j + offset) / rate, and what comes first is taken.
    offsets = draw.uniform(len(sizes))
    wanted = _wanted(limits, rates, most)
    size = torch.repeat_interleave(sizes, wanted)
    number = torch.cat([torch.arange(w, device="cpu") for w in wanted.tolist()])
    time = (number + torch.repeat_interleave(offsets, wanted)) / torch.repeat_interleave(rates, wanted)
    members = draw.distinct(size[time.argsort(stable=True)[:most]], limits)
    return members ^ (draw.uniform(len(members)) < 0.5)[:, None]


def _limits(count: int, most: int) -> list[int]:
    """How many pairs of complements have 1, 2, .. members at one end; of more than ``most`` it may be fewer."""
    limits: list[int] = []
    for k in range(1, count // 2 + 1):
        if limits and limits[-1] > most:
            limits.append(limits[-1])
        else:
            limits.append(math.comb(count, k) // (2 if 2 * k == count else 1))
    return limits


def _wanted(limits: list[int], rates: Tensor, most: int) -> Tensor:
    """How many coalitions of each size are enough to choose ``most`` by time: one round more than on average."""
    bounds = torch.tensor([min(n, most) for n in limits], dtype=torch.float64, device="cpu")
    open_, each = torch.ones_like(bounds, dtype=torch.bool), 0.0
    while True:  # equal shares, of which what a size cannot take goes to the others
        left = most - float(bounds[~open_].sum())
        each = left / float(rates[open_].sum()) if bool(open_.any()) else 0.0
        full = open_ & (bounds <= each * rates)
        if not bool(full.any()):
            break
        open_ &= ~full
    shares = torch.where(open_, (each * rates).ceil() + 1, bounds)
    return torch.minimum(shares, bounds).long()


class _Draw:
    """Random numbers on the CPU, from wherever the generator is."""

    def __init__(self, count: int, generator: torch.Generator | None) -> None:
        self._count, self._generator = count, generator
        bits = torch.Generator().manual_seed(0)
        self._checks = torch.randint(
            -(1 << 62), 1 << 62, (count,), generator=bits, device="cpu"
        )  # sums of these wrap around

    def uniform(self, *shape: int) -> Tensor:
        """Numbers between 0 and 1."""
        device = device_of(self._generator)
        return torch.rand(*shape, generator=self._generator, device=device, dtype=torch.float64).cpu()

    def distinct(self, sizes: Tensor, limits: list[int]) -> Tensor:
        """A random coalition of each size, all pairs of complements distinct: bool (len(sizes), F)."""
        found = sizes.new_zeros(len(sizes), self._count, dtype=torch.bool)
        open_ = torch.ones_like(sizes, dtype=torch.bool)
        for k, number in zip(*torch.unique(sizes, return_counts=True), strict=True):
            if limits[int(k) - 1] <= 4 * int(number):  # most of them are needed: shuffle the list of all
                found[sizes == k] = self._some_of_all(int(k), int(number))
                open_ &= sizes != k
        while bool(open_.any()):
            found[open_] = self._random(sizes[open_])
            # Equal coalitions have equal checksums; of each, only the first in the list is kept.
            _, which = torch.unique(found.long() @ self._checks, return_inverse=True)
            places = torch.arange(len(sizes), device="cpu")
            first = places.new_full((int(which.max()) + 1,), len(sizes))
            first.scatter_reduce_(0, which, places, "amin")
            open_ = first[which] != places
        return found

    def _some_of_all(self, size: int, number: int) -> Tensor:
        members = torch.combinations(torch.arange(self._count, device="cpu"), size)
        if 2 * size == self._count:
            members = members[members[:, 0] == 0]  # one of each pair of complements
        order = self.uniform(len(members)).argsort()[:number]
        return members.new_zeros(number, self._count, dtype=torch.bool).scatter_(1, members[order], True)

    def _random(self, sizes: Tensor) -> Tensor:
        drawn = self.uniform(len(sizes), self._count)
        found = drawn <= drawn.sort(1).values.gather(1, sizes[:, None] - 1)
        middle = (2 * sizes == self._count) & ~found[:, 0]
        return found ^ middle[:, None]
