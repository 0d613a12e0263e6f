"""Which coalitions are asked for when Shapley values are estimated from a sample of them, and what the answers say."""

from __future__ import annotations

import torch
from torch import Tensor

from attriscope.attr._features import Features, exact_dtype
from attriscope.attr.perturbation._coalitions import spread_pairs
from attriscope.attr.perturbation._game import Game
from attriscope.attr.perturbation._kriging import Errors, Observations, krige
from attriscope.core.inputs import Examples

_TRIED, _SHARE = 6, 4  # at least so many pairs, and one in so many, show whether a game is odd


class PairedCoalitions(Game):
    """Step 0 is the inputs, step 1 the baselines, then come pairs of complements, and then coalitions alone.

    Where a game is odd, a coalition's complement tells nothing new, so all but the first pairs come alone.

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
        self._mixed = 2 * pairs < inner
        pairs = min(pairs, len(self._sets))
        self.steps = 2 + min(inner if self._mixed else 2 * pairs, 2 * len(self._sets))
        self._set_order(pairs)
        self._odd = False
        self._tried = max(_TRIED, pairs // _SHARE)
        look = 2 + 2 * self._tried
        self.checkpoints = (look,) if self._tried <= pairs and look < self.steps else ()
        self._values: list[Tensor] = []
        self._kept: tuple[Tensor, Errors] | None = None

    def _set_order(self, pairs: int) -> None:
        """So many pairs first, then the other coalitions one by one, then their complements."""
        number = torch.arange(len(self._sets), device=self.device)
        paired, single = number[:pairs].repeat_interleave(2), number[pairs:]
        turn = torch.zeros_like(paired)
        turn[1::2] = 1
        self._number = torch.cat([paired, single, single])[: self.steps - 2]
        self._turned = torch.cat([turn, torch.zeros_like(single), torch.ones_like(single)])[
            : self.steps - 2
        ].bool()

    def coalitions(self, steps: slice) -> Tensor:
        """Which features come from the inputs."""
        ends = torch.tensor([[True], [False]], device=self.device)[steps.start : steps.stop]
        inner = slice(max(steps.start - 2, 0), max(steps.stop - 2, 0))
        chosen = self._sets[self._number[inner]] ^ self._turned[inner, None]
        return torch.cat([ends.expand(-1, self.features.count), chosen])

    def take(self, steps: slice, values: Tensor) -> None:
        """Keep the answers."""
        self._kept = None
        self._values.append(values.to(exact_dtype(values.device)))
        self.ready = steps.stop >= 2

    def adapt(self) -> None:
        """See whether the game is odd, up to rounding: a coalition and its complement always have the same sum."""
        values = torch.cat(self._values)
        sums, apart = values[0::2] + values[1::2], values[0::2] - values[1::2]
        scale = apart.abs().amax(0) + values[:2].abs().amax(0)
        if bool(((sums - sums[:1]).abs().amax(0) <= 1e-5 * scale).all()):
            self._odd, self._mixed = True, False
            self._set_order(self._tried)

    def numbers(self) -> Tensor:
        """The Shapley values."""
        return self._solution()[0]

    def standard_errors(self) -> Tensor | None:
        """Their standard errors."""
        return self._solution()[1]()

    def _solution(self) -> tuple[Tensor, Errors]:
        """Kept until the next answers come."""
        if self._kept is None:
            self._kept = krige(self._observations())
        return self._kept

    def _observations(self) -> Observations:
        """What the answers so far say about the odd and the even part of the game."""
        values = torch.cat(self._values)
        inner = values[2:]
        number, turned = (
            self._number[: len(inner)].to(values.device),
            self._turned[: len(inner)].to(values.device),
        )
        centre, half = (values[:1] + values[1:2]) / 2, (values[:1] - values[1:2]) / 2
        direct, other = self._placed(inner, number, ~turned), self._placed(inner, number, turned)
        asked, both = self._asked(number, ~turned), self._asked(number, turned)
        alone = asked & ~both
        sets = self._sets.to(values.device)
        full = torch.ones(1, self.features.count, dtype=torch.bool, device=values.device)
        odd = (direct[both] - other[both]) / 2
        if not self._mixed:
            # In an odd game a coalition alone is as good as a pair; else it waits for its complement.
            alone = alone if self._odd else torch.zeros_like(alone)
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
