"""Games whose Shapley values are known: small nets of several shapes, and what a game's truth is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from models import seeded


@dataclasses.dataclass(frozen=True)
class Game:
    """A function of F features, and the two points between which features are switched.

    Attributes:
        function: of rows (n, F), gives (n,).
        inputs, baselines: (1, F), double precision.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    inputs: Tensor
    baselines: Tensor

    @property
    def features(self) -> int:
        return self.inputs.shape[1]

    def values(self) -> Tensor:
        """f of all 2^F coalitions; feature i is bit i of a coalition's number."""
        return self.function(torch.where(members(self.features), self.inputs, self.baselines))

    def shapley_values(self) -> Tensor:
        return shapley_values(self.values())


def members(features: int) -> Tensor:
    """All coalitions, bool (2^F, F)."""
    return (torch.arange(2**features)[:, None] >> torch.arange(features)) & 1 == 1


def shapley_values(values: Tensor) -> Tensor:
    """By the definition: the mean over all orders of what a feature adds, in double precision."""
    features = int(math.log2(len(values)))
    inside = members(features)
    size = inside.sum(1)
    found = torch.zeros(features, dtype=torch.float64)
    for i in range(features):
        without = (~inside[:, i]).nonzero()[:, 0]
        k = size[without].double()
        weight = (torch.lgamma(k + 1) + torch.lgamma(features - k) - math.lgamma(features + 1)).exp()
        found[i] = (weight * (values[without + 2**i] - values[without])).sum()
    return found


def _net(
    features: int,
    act: Callable[[Tensor], Tensor],
    seed: int,
    scale: float = 1.5,
    bias: bool = True,
    depth: int = 1,
) -> Callable[[Tensor], Tensor]:
    generator, width, layers = seeded(seed), 24, []
    for i in range(depth):
        before = width if i else features
        weight = torch.randn(before, width, generator=generator, dtype=torch.float64) * scale / before**0.5
        shift = torch.randn(width, generator=generator, dtype=torch.float64) * (0.5 if bias else 0.0)
        layers.append((weight, shift))
    last = torch.randn(width, generator=generator, dtype=torch.float64) / width**0.5

    def run(x: Tensor) -> Tensor:
        for weight, shift in layers:
            x = act(x @ weight + shift)
        return x @ last

    return run


def _game(
    name: str, features: int, function: Callable[[Tensor], Tensor], seed: int, turned: bool = False
) -> Game:
    """``turned``: the baseline is minus the input, so that an odd (even) function makes an odd (even) game."""
    x = torch.randn(1, features, generator=seeded(100 + seed), dtype=torch.float64)
    return Game(name, function, x, -x if turned else torch.zeros_like(x))


def _attention(features: int, seed: int) -> Callable[[Tensor], Tensor]:
    weight = torch.randn(3, features, generator=seeded(seed), dtype=torch.float64)
    return lambda x: ((2 * x * weight[0]).softmax(1) * x * weight[1]).sum(1) + (x * weight[2]).sum(1) / 3


def _table(features: int, seed: int) -> Callable[[Tensor], Tensor]:
    """No structure at all: every coalition has a number of its own."""
    drawn = torch.randn(2**features, generator=seeded(seed), dtype=torch.float64)
    return lambda x: drawn[((x != 0).long() << torch.arange(features)).sum(1)]


GAMES = (
    _game("ReLU net, 6", 6, _net(6, torch.relu, 1), 1),
    _game("ReLU net, 12", 12, _net(12, torch.relu, 2), 2),
    _game("deep ReLU net, 10", 10, _net(10, torch.relu, 3, scale=2, depth=3), 3),
    _game("tanh net, 8", 8, _net(8, torch.tanh, 4), 4),
    _game("tanh net, 14", 14, _net(14, torch.tanh, 5, scale=2), 5),
    _game("odd tanh net, 8", 8, _net(8, torch.tanh, 6, bias=False), 6, turned=True),
    _game("odd steep tanh net, 13", 13, _net(13, torch.tanh, 7, scale=4, bias=False), 7, turned=True),
    _game("odd cubic net, 11", 11, _net(11, lambda t: t**3, 8, scale=1, bias=False), 8, turned=True),
    _game("even square net, 9", 9, _net(9, torch.square, 9, bias=False), 9, turned=True),
    _game("even cosine net, 12", 12, _net(12, torch.cos, 10, scale=2, bias=False), 10, turned=True),
    _game("product, 9", 9, lambda x: (1 + 0.8 * x).prod(1), 11),
    _game("neighbours multiplied, 11", 11, lambda x: (x[:, 1:] * x[:, :-1]).sum(1), 12),
    _game("triples multiplied, 12", 12, lambda x: (x[:, 2:] * x[:, 1:-1] * x[:, :-2]).sum(1), 13),
    _game("largest, 10", 10, lambda x: x.abs().amax(1), 14),
    _game("attention, 10", 10, _attention(10, 15), 15),
    _game("sine net, 13", 13, _net(13, torch.sin, 16, scale=3), 16),
    _game("random table, 10", 10, _table(10, 17), 17),
)  # fmt: skip
