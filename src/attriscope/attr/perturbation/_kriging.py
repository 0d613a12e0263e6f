"""Shapley values of a game of which only some coalitions are known.

A game v is split into an odd part h, which changes its sign when every feature is switched, and an even part g:
v(S) = h(S) + g(S), h(not S) = -h(S), g(not S) = g(S). Shapley values depend on the odd part only, so a pair of
complements gives a value of h free of g. The odd part is a sum of interactions of 1, 3, 5, ... features, and an
interaction of d features adds 2/d of its coefficient to the Shapley value of each. Interactions of equal order are
taken to be alike in size, how much there is of each order is judged by likelihood, and the rest is Gaussian
conditioning (kriging): the most likely game through all known values, its Shapley values, and their variance. With the
additive part left free and nothing else this would be KernelSHAP's regression.

Several assumptions about the sizes of orders are averaged by likelihood, and what they differ in is part of the
variance. Such estimates are not unbiased: from few observations the interactions come out too small.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import torch
from torch import Tensor

_ORDERS = 11  # interactions of more features are left out: no sample shows them
_DECAYS = (0.03, 0.1, 0.3, 0.6, 1.0)  # of the variance, from one odd (or even) order to the next
_FEW_DECAYS, _DECAY = (0.1, 0.6), 0.2  # the same, where few, or hardly any, observations tell
_EVEN = (1e-4, 0.03, 0.3, 3.0, 30.0)  # variance of the even part relative to the odd interactions
_CURVED = (1e-8, 1e-4, 1e-2, 0.1, 0.5)  # variance of the odd interactions relative to the additive part
_JITTER = 1e-9  # relative: keeps matrices of nearly equal coalitions invertible
_ROUNDING = 1e-11  # of squares, relative
_SHOWN = 200  # observations that choose between the assumptions, unless there are many features
_TOGETHER = 1024  # observations that are solved at once: the cost grows with their cube
_FEW = 5  # observations for each feature, below which the size of the additive part is judged too
_UNLIKELY = 0.01  # assumptions that are so much less likely than the best are left out
_NUMBERS = 1 << 20  # observations times games that are solved at once


@dataclasses.dataclass(frozen=True)
class Observations:
    """What is known of M games.

    Attributes:
        sets: bool (R, F), the coalition that each observation is about.
        odd, even: (R,), how much of h and of g at that coalition was observed.
        values: (R, M), in double precision.
        ends: how many of the first observations are about the full coalition. They hold exactly.
    """

    sets: Tensor
    odd: Tensor
    even: Tensor
    values: Tensor
    ends: int

    def __getitem__(self, index: Tensor) -> Observations:
        return Observations(
            self.sets[index], self.odd[index], self.even[index], self.values[index], self.ends
        )


@dataclasses.dataclass(frozen=True)
class _Assumption:
    """How large the parts of a game are, relative to the odd interactions."""

    decay: float
    even: float
    curved: float | None  # None leaves the additive part free


Errors = Callable[[], Tensor | None]


def krige(known: Observations) -> tuple[Tensor, Errors]:
    """Shapley values (F, M), and a function for their standard errors; ``None`` where too little is known for them."""
    rows, folds = len(known.values), -(-len(known.values) // _TOGETHER)
    count = known.sets.shape[1]
    if rows <= known.ends:  # nothing but the ends: equal parts
        return (2 * known.values[:1] / count).expand(count, -1).clone(), lambda: None
    additive, alone = _if_additive(known)
    if additive is not None:
        if bool(alone.all()):
            return additive
        others = _krige_curved(dataclasses.replace(known, values=known.values[:, ~alone]), folds)
        return side_by_side([alone, ~alone], [additive, others])
    return _krige_curved(known, folds)


def side_by_side(games: list[Tensor], parts: list[tuple[Tensor, Errors]]) -> tuple[Tensor, Errors]:
    """The answers for several kinds of games, of which each has its own (M,) bool, put together."""

    def joined(values: list[Tensor]) -> Tensor:
        found = values[0].new_zeros(len(values[0]), len(games[0]))
        for which, value in zip(games, values, strict=True):
            found[:, which] = value
        return found

    def errors() -> Tensor | None:
        each = [error() for _, error in parts]
        known = [error for error in each if error is not None]
        return joined(known) if len(known) == len(each) else None

    return joined([phi for phi, _ in parts]), errors


def _krige_curved(known: Observations, folds: int) -> tuple[Tensor, Errors]:
    """:func:`krige` for games with interactions, in so many parts."""
    rows, device = len(known.values), known.values.device
    ends = torch.arange(known.ends, device=device)
    together = max(64, _NUMBERS // min(rows, _TOGETHER))
    found: list[list[tuple[Tensor, Errors]]] = []
    for fold in range(folds):
        inner = torch.arange(known.ends + fold, rows, folds, device=device)
        part = known[torch.cat([ends, inner])]
        games = part.values.split(together, 1)
        found.append([_solve(dataclasses.replace(part, values=values)) for values in games])

    def errors() -> Tensor | None:
        each = [[error() for _, error in solved] for solved in found]
        joined = [torch.cat([e for e in fold if e is not None], 1) for fold in each if None not in fold]
        return torch.stack(joined).square().sum(0).sqrt() / folds if len(joined) == folds else None

    return torch.stack([torch.cat([phi for phi, _ in solved], 1) for solved in found]).mean(0), errors


def _if_additive(known: Observations) -> tuple[tuple[Tensor, Errors] | None, Tensor]:
    """The answer for games of which the additive part alone explains all observations, up to rounding; and which are.

    ``None`` if there are none.
    """
    rows, count = known.sets.shape
    some = 2 * count + 10
    none = torch.zeros(known.values.shape[1], dtype=torch.bool, device=known.values.device)
    if rows < some or bool(known.even.any()):
        return None, none
    parts = (known.sets.to(known.values.dtype) - 0.5) * known.odd[:, None]
    root, failed = torch.linalg.cholesky_ex(parts[:some].T @ parts[:some])
    phi = torch.cholesky_solve(parts[:some].T @ known.values[:some], root)
    left = (parts @ phi - known.values).square().sum(0) / (rows - count)
    alone = left <= _ROUNDING * known.values.square().mean(0)
    if bool(failed) or not bool(alone.any()):
        return None, none
    phi, left = phi[:, alone], left[alone]
    phi += (2 * known.values[:1, alone] - phi.sum(0)) / count
    return (phi, lambda: (torch.cholesky_inverse(root).diagonal()[:, None] * left).sqrt()), alone


def _solve(known: Observations) -> tuple[Tensor, Errors]:
    count, mixed = known.sets.shape[1], bool((known.odd * known.even).any())
    few = len(known.values) < _FEW * count
    grid = [
        _Assumption(decay, even, curved)
        for decay in ((_DECAY,) if mixed else _FEW_DECAYS if few else _DECAYS)
        for even in (_EVEN if mixed else (1.0,))
        for curved in (_CURVED if few else (None,))
    ]
    # A free additive part takes one observation for each feature before anything shows.
    step = max(1, len(known.values) // (_SHOWN if few else max(_SHOWN, 3 * count)))
    shown = torch.arange(known.ends, len(known.values), step, device=known.values.device)
    sample = known[torch.cat([torch.arange(known.ends, device=shown.device), shown])]
    fits = _Fits(_Geometry(sample), sample.values, grid)
    weights = _weights(fits.misfit() * step)
    every = torch.arange(known.values.shape[1], device=known.values.device)
    # Where a part of a game's observations leaves nothing to explain but rounding, the others only say the same.
    enough = torch.full_like(every, step == 1, dtype=torch.bool)
    if step > 1 and not few:
        enough = fits.explained(weights.argmax(0))
    # Fits, weights (G, m), and of these games the numbers in the fits, and among all.
    solved = [(fits, weights[:, enough], every[enough], every[enough])]
    if not bool(enough.all()):
        weights = weights[:, ~enough]
        likely = weights.amax(1).nonzero()[:, 0]
        again = _Fits(_Geometry(known), known.values[:, ~enough], [grid[i] for i in likely.tolist()])
        weights = _weights(again.misfit().masked_fill(weights[likely] == 0, torch.inf))
        solved.append((again, weights, every[: weights.shape[1]], every[~enough]))
    parts = []
    for fits, weights, own, games in solved:
        if not len(games):
            continue
        for i in weights.amax(1).nonzero()[:, 0].tolist():
            some = weights[i].nonzero()[:, 0]
            found = fits.shapley_values(i, own[some])
            parts.append((fits, i, own[some], games[some], weights[i, some], found))
    phi = known.values.new_zeros(count, known.values.shape[1])
    for *_, games, weight, found in parts:
        phi.index_add_(1, games, weight * found)

    def errors() -> Tensor | None:
        if len(known.values) <= count + 2:
            return None
        variance = torch.zeros_like(phi)
        for fits, i, own, games, weight, found in parts:
            apart = found - phi[:, games]
            variance.index_add_(1, games, weight * (fits.errors(i, own).square() + apart.square()))
        return variance.sqrt()

    return phi, errors


def _weights(misfit: Tensor) -> Tensor:
    """How likely each assumption is for each game, (G, M); 0 for those that are left out."""
    least, best = misfit.min(0)
    found = ((least - misfit) / 2).exp().nan_to_num(nan=0.0)
    found.scatter_(0, best[None], 1.0)  # also where no assumption can be judged
    found = torch.where(found < _UNLIKELY, 0, found)
    return found / found.sum(0)


class _Geometry:
    """How observations relate to each other, whatever is assumed about the game."""

    def __init__(self, known: Observations) -> None:
        self.odd, self.even, self.members = known.odd, known.even, known.sets
        self.count = known.sets.shape[1]
        self.sets = known.sets.to(known.values.dtype)
        self.size = self.sets.sum(1)
        overlap = self.sets @ self.sets.T
        self.differ = (self.size[:, None] + self.size - 2 * overlap).round().long()
        self.signs = self.sets * 2 - 1
        self.odd_pairs = torch.outer(self.odd, self.odd)
        self.even_pairs = torch.outer(self.even, self.even) if bool(self.even.any()) else None

    @functools.cached_property
    def additive(self) -> Tensor:
        """The covariance of an additive part about its mean, (R, R)."""
        # The product of two coalitions' signs adds up to F less two for each feature in which they differ.
        mean = self.signs.mean(1)
        about = self.count - 2 * self.differ - self.count * torch.outer(mean, mean)
        return about * self.odd_pairs / self.count


class _Fits:
    """The most likely games under each of G assumptions, which are all with, or all without, a free additive part."""

    def __init__(self, geometry: _Geometry, values: Tensor, assumptions: list[_Assumption]) -> None:
        self._geometry, self._values, self._assumptions = geometry, values, assumptions
        self._count, self._curved = geometry.count, assumptions[0].curved is not None
        self._root, failed = torch.linalg.cholesky_ex(self._covariance())  # (G, R, R)
        free = self._free()
        known = torch.cat([free, values], 1).expand(len(assumptions), -1, -1)
        solved = torch.linalg.solve_triangular(self._root, known, upper=False)
        self._free_solved, whitened = solved[..., : free.shape[1]], solved[..., free.shape[1] :]
        gram = self._free_solved.mT @ self._free_solved
        gram.diagonal(dim1=1, dim2=2).mul_(1 + 1e-12)
        self._gram_root, also = torch.linalg.cholesky_ex(gram)
        self._failed = failed + also
        self._coefficients = torch.cholesky_solve(self._free_solved.mT @ whitened, self._gram_root)
        self._rest = whitened - self._free_solved @ self._coefficients
        self._freedom = max(len(values) - free.shape[1], 1)
        self._variance = self._rest.square().sum(1) / self._freedom  # (G, M)
        self._scale = values.square().mean(0).clamp_min(torch.finfo(values.dtype).tiny)

    def misfit(self) -> Tensor:
        """Twice the negative log likelihood (restricted, up to a constant) of each game, (G, M)."""
        fit = self._freedom * (self._variance / self._scale + 1e-30).log()
        roots = (self._root, self._gram_root)
        size = sum(2 * root.diagonal(dim1=1, dim2=2).log().sum(1, keepdim=True) for root in roots)
        found = torch.where(self._failed[:, None] > 0, torch.inf, fit + size)
        return found.nan_to_num(nan=torch.inf, posinf=torch.inf)

    def explained(self, best: Tensor) -> Tensor:
        """Of which games nothing but rounding is left beside the additive part, bool (M,)."""
        left = self._variance.gather(0, best[None])[0]
        return left <= _ROUNDING * self._scale

    def shapley_values(self, at: int, games: Tensor) -> Tensor:
        """(F, games), under assumption ``at``."""
        weights = torch.linalg.solve_triangular(self._root[at].T, self._rest[at][:, games], upper=True)
        # The covariance of a Shapley value with an observation depends on whether the coalition holds the feature.
        inside, outside = self._of_members(self._assumptions[at])
        found = self._geometry.sets.T @ ((inside - outside)[:, None] * weights) + (
            outside[:, None] * weights
        ).sum(0)
        return self._coefficients[at, : 1 if self._curved else self._count, games] + found

    def errors(self, at: int, games: Tensor) -> Tensor:
        """(F, games): the standard deviation of the Shapley values of all games that agree with what is known."""
        count, assumption = self._count, self._assumptions[at]
        inside, outside = self._of_members(assumption)
        covariance = torch.where(self._geometry.members, inside[:, None], outside[:, None])
        seen = torch.linalg.solve_triangular(self._root[at], covariance, upper=False)
        free = seen.new_zeros(count, self._free_solved.shape[2])
        prior = sum(4 / d * share for d, share in _shares(count, assumption.decay, 3)) / count
        if assumption.curved is None:
            free[:, :count].fill_diagonal_(1)
        else:
            free[:, 0] = 1
            prior += 4 / assumption.curved / count * (1 - 1 / count)
        left = (free - seen.T @ self._free_solved[at]).T
        unknown = torch.linalg.solve_triangular(self._gram_root[at], left, upper=False)
        shares = prior - seen.square().sum(0) + unknown.square().sum(0)
        return (shares.clamp_min(0)[:, None] * self._variance[at, games]).sqrt()

    def _free(self) -> Tensor:
        """What a priori is of any size, (R, free coefficients): the additive part or its mean, the even constant."""
        geometry = self._geometry
        additive = geometry.signs.sum(1, keepdim=True) if self._curved else geometry.signs
        found = [additive / 2 * geometry.odd[:, None]]
        if geometry.even_pairs is not None:
            found.append(geometry.even[:, None])
        return torch.cat(found, 1)

    def _covariance(self) -> Tensor:
        """(G, R, R). An interaction's covariance depends on how many features two coalitions differ in."""
        geometry, decays = self._geometry, dict.fromkeys(a.decay for a in self._assumptions)
        odd = {decay: self._at(decay, 3)[geometry.differ] * geometry.odd_pairs for decay in decays}
        pairs = geometry.even_pairs
        even = {} if pairs is None else {d: self._at(d, 2)[geometry.differ] * pairs for d in decays}
        found = torch.stack([odd[a.decay] for a in self._assumptions])
        for one, assumption in zip(found, self._assumptions, strict=True):
            if even:
                one.add_(even[assumption.decay], alpha=assumption.even)
            if assumption.curved is not None:
                one.add_(geometry.additive, alpha=1 / assumption.curved)
        diagonal = found.diagonal(dim1=1, dim2=2)
        diagonal += _JITTER * diagonal.mean(1, keepdim=True)
        return found

    def _at(self, decay: float, lowest: int) -> Tensor:
        """The covariance at 0 .. F differences of the interactions from order ``lowest`` on."""
        terms = (share * table(self._count, d) for d, share in _shares(self._count, decay, lowest))
        return sum(terms, _zeros(self._count)).to(self._values)

    def _of_members(self, assumption: _Assumption) -> tuple[Tensor, Tensor]:
        """The covariance of an observation with the Shapley value of a member, and of another feature; (R,) each."""
        count, size = self._count, self._geometry.size
        terms = (
            share * 2 / count * table(count - 1, d - 1) for d, share in _shares(count, assumption.decay, 3)
        )
        others = sum(terms, _zeros(count - 1)).to(self._values)
        out = (count - size).round().long()  # how many features are switched off
        inside, outside = others[out.clamp(0, count - 1)], -others[(out - 1).clamp(0, count - 1)]
        if assumption.curved is not None:
            mean, additive = (2 * size - count) / count, 2 / (assumption.curved * count)
            inside, outside = inside + additive * (1 - mean), outside + additive * (-1 - mean)
        return inside * self._geometry.odd, outside * self._geometry.odd


def _zeros(count: int) -> Tensor:
    return torch.zeros(count + 1, dtype=torch.float64, device="cpu")


def _shares(count: int, decay: float, lowest: int) -> list[tuple[int, float]]:
    """Pairs of an order and its share of the variance: every second order from the lowest on."""
    orders = range(lowest, min(count, _ORDERS) + 1, 2)
    weights = [decay**i for i in range(len(orders))]
    return [(d, w / sum(weights)) for d, w in zip(orders, weights, strict=True)]


@functools.lru_cache(maxsize=256)
def table(count: int, degree: int) -> Tensor:
    """The Krawtchouk polynomial of a degree at 0 .. ``count``, divided by its value at 0: double precision.

    At x, it is the mean over all interactions of ``degree`` features of the sign that x switched features give them.
    """
    x = torch.arange(count + 1, dtype=torch.float64, device="cpu")
    before, found = torch.zeros_like(x), torch.ones_like(x)
    for d in range(degree):
        step = (count - 2 * x) * found - d * before
        before, found = found, step / (count - d) if count > d else torch.zeros_like(x)
    return found
