"""The walk from a baseline to the input: what the model says, and what has been attributed, on the way."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from attriscope.attr import IntegratedGradients
from attriscope.attr.paths import add_weighted, walk
from attriscope.attr.quadrature import Quadrature, quadrature
from attriscope.core.inputs import Examples
from attriscope.widget.wire import FRAME_SIDE, FRAMES, flat_map


class Walk:
    """Integrated gradients of one example, keeping what happens at each point of the path.

    Args:
        method: what runs the model.
        examples: one example, its input of shape (1, C, H, W).
        baseline: where the walk starts, of the same shape.
        target: the explained output.
        n_steps: points on the path besides its two ends.
    """

    def __init__(
        self,
        method: IntegratedGradients,
        examples: Examples,
        baseline: Tensor,
        target: object,
        n_steps: int = 50,
    ) -> None:
        inner = quadrature("gausslegendre", n_steps).spread()
        # The ends carry no weight in the integral, but the curve is drawn from one to the other, and they say from the
        # start what the attributions should add up to.
        self._rule = Quadrature((0.0, 1.0, *inner.nodes), (0.0, 0.0, *inner.weights))
        self._method, self._examples, self._target = method, examples, target
        self._baseline = baseline
        self._difference = examples.tensors[0].detach() - baseline
        self._totals = [torch.zeros_like(self._difference)]
        self._maps: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._scores: list[Tensor] = []
        self._outputs: list[Tensor] = []

    def steps(self) -> Iterator[None]:
        """Walk; whatever is asked for between two steps is as good as it is by then."""
        if self.done:
            return
        blocks = walk(self._method, self._examples, (self._baseline,), self._target, self._rule.nodes)
        for block in blocks:
            add_weighted(self._totals, block.gradients[0], block, self._rule)
            effects = block.gradients[0][0] * self._difference
            self._maps.extend(flat_map(effect[None], FRAME_SIDE) for effect in effects)
            self._sums.extend(effects.flatten(1).sum(1))
            assert block.f is not None
            self._scores.extend(block.f.flatten())
            if isinstance(block.output, Tensor):
                self._outputs.extend(block.output)
            if self._covered:
                yield

    @property
    def done(self) -> bool:
        """Whether the whole path has been walked."""
        return len(self._maps) == len(self._rule.nodes)

    @property
    def attributions(self) -> Tensor:
        """The integrated gradients found so far, (1, C, H, W): those of the whole path once the walk is done."""
        return self._totals[0] * self._difference / (1.0 if self.done else self._covered)

    @property
    def _covered(self) -> float:
        """How much of the integral the nodes walked so far stand for."""
        return sum(self._rule.weights[: len(self._maps)])

    @property
    def positions(self) -> list[float]:
        """The points on the path in ascending order, from 0 to 1."""
        return [self._rule.nodes[i] for i in self._order]

    @property
    def scores(self) -> Tensor:
        """The explained output at each of the positions."""
        return torch.stack(self._scores)[self._order]

    @property
    def outputs(self) -> Tensor | None:
        """The model's whole output at each of the positions; ``None`` if it is no tensor."""
        return torch.stack(self._outputs)[self._order] if len(self._outputs) == len(self._scores) else None

    @property
    def gap(self) -> float:
        """The sum of the attributions minus what the output changed by."""
        start, end = self._scores[:2]
        return float(self.attributions.sum() - (end - start))

    def frames(self) -> Tensor:
        """What has been attributed from the baseline up to each of the positions, (positions, H, W)."""
        return self._accumulated(torch.stack(self._maps))

    def totals(self) -> Tensor:
        """The sum of what has been attributed up to each of the positions; the last one is the attributions' sum."""
        return self._accumulated(torch.stack(self._sums))

    def _accumulated(self, effects: Tensor) -> Tensor:
        """Integrals of the nodes' effects (nodes, ...) up to each of the positions.

        Between two nodes the effect is that of the node whose weight covers the stretch.
        """
        order = self._order
        weights = torch.tensor([self._rule.weights[i] for i in order], dtype=torch.float64)
        nodes = torch.tensor([self._rule.nodes[i] for i in order], dtype=torch.float64)
        ahead = (nodes - (weights.cumsum(0) - weights)).clamp(min=0)
        effects, shape = effects[order], (-1, *[1] * (effects.dim() - 1))
        finished = (effects * weights.to(effects).reshape(shape)).cumsum(0).roll(1, 0)
        finished[0] = 0
        return finished + effects * ahead.to(effects).reshape(shape)

    @property
    def _order(self) -> list[int]:
        return sorted(range(len(self._rule.nodes)), key=self._rule.nodes.__getitem__)


def thinned(count: int, most: int = FRAMES) -> list[int]:
    """At most ``most`` of the numbers 0 to count - 1, evenly, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]
