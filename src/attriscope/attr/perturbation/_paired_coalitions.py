"""Which coalitions are asked for when Shapley values are estimated from a sample of them, and what the answers say."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from attriscope.attr._features import Features, exact_dtype
from attriscope.attr.perturbation._coalitions import spread_pairs
from attriscope.attr.perturbation._game import Game, of_each_game
from attriscope.attr.perturbation._kriging import Errors, Observations, krige, side_by_side
from attriscope.attr.perturbation._runner import OutputShape
from attriscope.core.inputs import Examples

_TRIED, _SHARE = 6, 4  # at least so many pairs, and one in so many, show whether a game is odd


@dataclasses.dataclass(frozen=True)
class _Order:
    """In which order coalitions are asked for.

    Attributes:
        number: which of the drawn coalitions.
        turned: whether its complement.
        mixed: some come alone, and the even part of the game is estimated, too.
        odd: the game is odd, so that a coalition alone is as good as a pair.
    """

    number: Tensor
    turned: Tensor
    mixed: bool
    odd: bool


class PairedCoalitions(Game):
    """Step 0 is the inputs, step 1 the baselines, then come pairs of complements, and then coalitions alone.

    Where an example's game is odd, a coalition's complement tells nothing new, so all but the first pairs come alone.

    Args:
        examples, baselines, features: the game.
        rows: how many coalitions at most, with inputs and baselines: at least 2.
        pairs: how many of the others come in pairs. Two halves of a pair tell less about the linear part, but all about
            the odd part, to which Shapley values belong. Where all rows come in pairs, the even part is left out.
        generator: where random numbers come from; ``None`` for torch's global generator.
    """

    ready = False

    def __init__(
        self,
        examples: Examples,
        baselines: tuple[Tensor, ...],
        features: Features,
        rows: int,
        pairs: int,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__(examples, baselines, features)
        inner = rows - 2
        self._sets = spread_pairs(features.count, inner, generator).to(self.device)
        mixed = 2 * pairs < inner
        pairs = min(pairs, len(self._sets))
        self.steps = 2 + min(inner if mixed else 2 * pairs, 2 * len(self._sets))
        self._orders = [self._order(pairs, mixed)]
        self._games: list[
            Tensor
        ] = []  # for each order whose it is, bool (M,); empty while there is one for all
        self._examples: Tensor | None = None  # bool (N,): which have the second order
        self._tried = max(_TRIED, pairs // _SHARE)
        look = 2 + 2 * self._tried
        self.checkpoints = (look,) if self._tried <= pairs and look < self.steps else ()
        self._values: list[Tensor] = []
        self._kept: tuple[Tensor, Errors] | None = None

    def _order(self, pairs: int, mixed: bool, odd: bool = False) -> _Order:
        """So many pairs first, then the other coalitions one by one, then their complements."""
        number = torch.arange(len(self._sets), device=self.device)
        paired, single = number[:pairs].repeat_interleave(2), number[pairs:]
        turn = torch.zeros_like(paired)
        turn[1::2] = 1
        turned = torch.cat([turn, torch.zeros_like(single), torch.ones_like(single)]).bool()
        return _Order(
            torch.cat([paired, single, single])[: self.steps - 2], turned[: self.steps - 2], mixed, odd
        )

    def coalitions(self, steps: slice) -> Tensor:
        """Which features come from the inputs."""
        ends = torch.tensor([[True], [False]], device=self.device)[steps.start : steps.stop]
        inner = slice(max(steps.start - 2, 0), max(steps.stop - 2, 0))
        chosen = [self._sets[one.number[inner]] ^ one.turned[inner, None] for one in self._orders]
        found = [torch.cat([ends.expand(-1, self.features.count), one]) for one in chosen]
        if self._examples is None:
            return found[0]
        return torch.where(self._examples[:, None], found[1].unsqueeze(1), found[0].unsqueeze(1))

    def take(self, steps: slice, values: Tensor) -> None:
        """Keep the answers."""
        self._kept = None
        self._values.append(values.to(exact_dtype(values.device)))
        self.ready = steps.stop >= 2

    def adapt(self, found: OutputShape) -> None:
        """See which games are odd, up to rounding: a coalition and its complement always have the same sum."""
        values = torch.cat(self._values)
        sums, apart = values[0::2] + values[1::2], values[0::2] - values[1::2]
        scale = apart.abs().amax(0) + values[:2].abs().amax(0)
        alike = (sums - sums[:1]).abs().amax(0) <= 1e-5 * scale
        odd = of_each_game(alike, self.examples.count, found)
        if not bool(odd.any()):
            return
        order = self._order(self._tried, False, odd=True)
        if bool(odd.all()):
            self._orders = [order]
            return
        self._orders.append(order)
        self._games = [~odd, odd]
        self._examples = odd.reshape(self.examples.count, -1)[:, 0].to(self.device)

    def numbers(self) -> Tensor:
        """The Shapley values."""
        return self._solution()[0]

    def standard_errors(self) -> Tensor | None:
        """Their standard errors."""
        return self._solution()[1]()

    def _solution(self) -> tuple[Tensor, Errors]:
        """Kept until the next answers come."""
        if self._kept is None:
            values = torch.cat(self._values)
            if not self._games:
                self._kept = krige(self._observations(values, self._orders[0]))
            else:
                parts = [
                    krige(self._observations(values[:, games], order))
                    for games, order in zip(self._games, self._orders, strict=True)
                ]
                self._kept = side_by_side(self._games, parts)
        return self._kept

    def _observations(self, values: Tensor, order: _Order) -> Observations:
        """What the answers so far say about the odd and the even part of the games."""
        inner = values[2:]
        number, turned = (
            order.number[: len(inner)].to(values.device),
            order.turned[: len(inner)].to(values.device),
        )
        centre, half = (values[:1] + values[1:2]) / 2, (values[:1] - values[1:2]) / 2
        direct, other = self._placed(inner, number, ~turned), self._placed(inner, number, turned)
        asked, both = self._asked(number, ~turned), self._asked(number, turned)
        alone = asked & ~both
        sets = self._sets.to(values.device)
        full = torch.ones(1, self.features.count, dtype=torch.bool, device=values.device)
        odd = (direct[both] - other[both]) / 2
        if not order.mixed:
            # In an odd game a coalition alone is as good as a pair; else it waits for its complement.
            alone = alone if order.odd else torch.zeros_like(alone)
            parts = [(full, 1, 0, half), (sets[both], 1, 0, odd), (sets[alone], 1, 0, direct[alone] - centre)]
            return _joined(parts, 1)
        even = (direct[both] + other[both]) / 2
        ends = [(full, 1, 0, half), (full, 0, 1, centre)]
        pairs = [(sets[both], 1, 0, odd), (sets[both], 0, 1, even)]
        return _joined([*ends, *pairs, (sets[alone], 1, 1, direct[alone])], 2)

    def _placed(self, inner: Tensor, number: Tensor, which: Tensor) -> Tensor:
        placed = inner.new_zeros(len(self._sets), inner.shape[1])
        placed[number[which]] = inner[which]
        return placed

    def _asked(self, number: Tensor, which: Tensor) -> Tensor:
        asked = torch.zeros(len(self._sets), dtype=torch.bool, device=number.device)
        asked[number[which]] = True
        return asked


def _joined(parts: list[tuple[Tensor, int, int, Tensor]], ends: int) -> Observations:
    values = torch.cat([value for *_, value in parts])
    odd = torch.cat([value.new_full((len(value),), share) for _, share, _, value in parts])
    even = torch.cat([value.new_full((len(value),), share) for _, _, share, value in parts])
    return Observations(torch.cat([s for s, *_ in parts]), odd, even, values, ends)
