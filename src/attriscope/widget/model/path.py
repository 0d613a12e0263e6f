"""The path from a baseline to the input: what the model says, and what has been attributed, on the way.

Integrated gradients with everything kept that :mod:`attriscope.attr.integrated_gradients` throws away: the page's
slider goes along it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from attriscope.attr import IntegratedGradients
from attriscope.attr.integrated_gradients import add_weighted, gradients_along
from attriscope.attr.quadrature import Quadrature, quadrature
from attriscope.core.errors import NonFiniteError, TargetError
from attriscope.core.inputs import Examples
from attriscope.core.target import scores_in
from attriscope.widget.messages.class_names import ClassNames
from attriscope.widget.messages.predictions import Outputs
from attriscope.widget.messages.types import RawPath, Request
from attriscope.widget.messages.wire import (
    FRAME_SIDE,
    FRAMES,
    flat_map,
    frames_message,
    number,
)
from attriscope.widget.model.answer import shares


class PathIntegral:
    """Integrated gradients of one example, keeping what happens at each point of the path.

    Args:
        method: what runs the model.
        examples: one example, its input of shape (1, ...).
        baseline: where the path starts, of the same shape.
        target: the explained output.
        n_steps: points on the path besides its two ends.
        rule: how they are placed and weighted, see :func:`~attriscope.attr.quadrature.quadrature`.
        as_map: lays effects, in the inputs' shape, out by their places: (1, C, rows, columns).
        side: maps of more rows or columns are averaged down to that; ``None`` for none.
    """

    def __init__(
        self,
        method: IntegratedGradients,
        examples: Examples,
        baseline: Tensor,
        target: object,
        n_steps: int = 50,
        rule: str = "gausslegendre",
        as_map: Callable[[Tensor], Tensor] = lambda effects: effects,
        side: int | None = FRAME_SIDE,
    ) -> None:
        self._as_map, self._side = as_map, side
        inner = quadrature(rule, n_steps).spread
        weights = dict(zip(inner.nodes, inner.weights, strict=True))
        # The ends may carry no weight in the integral, but the curve is drawn from one to the other, and they say from
        # the start what the attributions should add up to.
        ends = {end: weights.pop(end, 0.0) for end in (0.0, 1.0)}
        self._rule = Quadrature((*ends, *weights), (*ends.values(), *weights.values()))
        self._method, self._examples, self._target = method, examples, target
        self._baseline = baseline
        self._difference = examples.tensors[0].detach() - baseline
        # A missing value has no way from the baseline: what it adds is not known, and left out of sums.
        self._missing = examples.tensors[0].detach().isnan()
        self._totals = [torch.zeros_like(self._difference)]
        self._maps: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._scores: list[Tensor] = []
        self._outputs: list[Tensor] = []

    def steps(self) -> Iterator[None]:
        """Go along the path; whatever is asked for between two steps is as good as it is by then.

        One that was left goes on from where it was.
        """
        if self.done:
            self._see_numbers()
            return
        done_nodes = len(self._maps)
        rest = Quadrature(self._rule.nodes[done_nodes:], self._rule.weights[done_nodes:])
        for block in gradients_along(
            self._method, self._examples, (self._baseline,), self._target, rest.nodes
        ):
            effects = block.gradients[0][0] * self._difference
            maps = [flat_map(self._as_map(effect[None]), self._side) for effect in effects]
            sums = effects.masked_fill(self._missing, 0).flatten(1).sum(1)
            assert block.f is not None
            # Nothing fails from here on, so that each node counts once whatever happens.
            add_weighted(self._totals, block.gradients[0], block, rest)
            self._maps.extend(maps)
            self._sums.extend(sums)
            self._scores.extend(block.f.flatten())
            self._outputs.extend(_rows(block.output))
            if self.started:
                yield

    def _see_numbers(self) -> None:
        """Refuse a path on which the output is no number, also when it was gone before."""
        if not bool(torch.stack(self._scores).isfinite().all()):
            raise NonFiniteError(
                "the explained output is NaN or infinite somewhere on the path from the baseline to the input; look at "
                "the baseline, e.g. for a logarithm or division of zero, and take another one"
            )

    @property
    def done(self) -> bool:
        """Whether the whole path has been evaluated."""
        return len(self._maps) == len(self._rule.nodes)

    @property
    def started(self) -> bool:
        """Whether there is something to tell: part of the integral is known, and the output at both ends."""
        return self._covered > 0 and len(self._scores) > 1

    @property
    def evaluations(self) -> int:
        """How many rows went through the model so far."""
        return len(self._maps)

    @property
    def attributions(self) -> Tensor:
        """The integrated gradients found so far, (1, C, H, W): those of the whole path once that is done."""
        return self.sensitivities * self._difference

    @property
    def sensitivities(self) -> Tensor:
        """The gradient averaged along the path, so far."""
        return self._totals[0] / (1.0 if self.done else self._covered)

    @property
    def _covered(self) -> float:
        """How much of the integral the nodes so far stand for."""
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
        """The scores of all classes at each of the positions; ``None`` if the model gives no row of them."""
        return torch.stack(self._outputs)[self._order] if len(self._outputs) == len(self._scores) else None

    def chances(self, outputs: Outputs) -> Tensor | None:
        """The probabilities of all classes at each of the positions, (positions, C); ``None`` if there are none."""
        scores = self.outputs
        return outputs.probabilities(scores.double()) if scores is not None and scores.dim() == 2 else None

    @property
    def gap(self) -> float:
        """The sum of the attributions minus what the output changed by."""
        start, end = self._scores[:2]
        return float(self.attributions.masked_fill(self._missing, 0).sum() - (end - start))

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
        weights = torch.tensor([self._rule.weights[i] for i in order], dtype=torch.float64, device="cpu")
        nodes = torch.tensor([self._rule.nodes[i] for i in order], dtype=torch.float64, device="cpu")
        ahead = (nodes - (weights.cumsum(0) - weights)).clamp(min=0)
        effects, shape = effects[order], (-1, *[1] * (effects.dim() - 1))
        finished = (effects * weights.to(effects).reshape(shape)).cumsum(0).roll(1, 0)
        finished[0] = 0
        return finished + effects * ahead.to(effects).reshape(shape)

    @property
    def _order(self) -> list[int]:
        return sorted(range(len(self._rule.nodes)), key=self._rule.nodes.__getitem__)


def _rows(output: object) -> Iterable[Tensor]:
    """The scores of each row, where the model gives a row of them; of a segmentation the share of each class."""
    try:
        scores = scores_in(output)
    except TargetError:  # several tensors, of which a function picks
        return ()
    if scores.dim() == 4 and scores.numel():
        return shares(scores.detach())
    return scores if 0 < scores.dim() < 3 else ()


class MeanPathIntegral:
    """The mean of paths from several baselines: of scores, probabilities and attributions, position by position.

    Each path is a straight line of its own, so the mean is not the path from the mean of the baselines; it ends in the
    average of their attributions, which is what is shown for several baselines.

    Args:
        paths: at least one, all with the same positions.
    """

    def __init__(self, paths: Sequence[PathIntegral]) -> None:
        self._paths = paths

    def steps(self) -> Iterator[None]:
        """Go along one after the other; what is known in between is the mean of those begun."""
        for one in self._paths:
            yield from one.steps()

    @property
    def done(self) -> bool:
        """Whether all have been evaluated."""
        return all(one.done for one in self._paths)

    @property
    def evaluations(self) -> int:
        """How many rows went through the model so far."""
        return sum(one.evaluations for one in self._paths)

    @property
    def attributions(self) -> Tensor:
        """See :attr:`PathIntegral.attributions`."""
        return self._mean(one.attributions for one in self._begun)

    @property
    def sensitivities(self) -> Tensor:
        """See :attr:`PathIntegral.sensitivities`."""
        return self._mean(one.sensitivities for one in self._begun)

    @property
    def positions(self) -> list[float]:
        """See :attr:`PathIntegral.positions`."""
        return self._paths[0].positions

    @property
    def scores(self) -> Tensor:
        """See :attr:`PathIntegral.scores`."""
        return self._mean(one.scores for one in self._paths)

    def chances(self, outputs: Outputs) -> Tensor | None:
        """See :meth:`PathIntegral.chances`."""
        found = [chances for one in self._paths if (chances := one.chances(outputs)) is not None]
        return self._mean(found) if len(found) == len(self._paths) else None

    @property
    def gap(self) -> float:
        """See :attr:`PathIntegral.gap`."""
        gaps = [one.gap for one in self._begun]
        return sum(gaps) / len(gaps)

    def frames(self) -> Tensor:
        """See :meth:`PathIntegral.frames`."""
        return self._mean(one.frames() for one in self._paths)

    def totals(self) -> Tensor:
        """See :meth:`PathIntegral.totals`."""
        return self._mean(one.totals() for one in self._paths)

    @property
    def _begun(self) -> list[PathIntegral]:
        return [one for one in self._paths if one.started]

    @staticmethod
    def _mean(of: Iterable[Tensor]) -> Tensor:
        found = list(of)
        return found[0] if len(found) == 1 else torch.stack(found).mean(0)


def thinned(count: int, most: int = FRAMES) -> list[int]:
    """At most ``most`` of the numbers 0 to count - 1, evenly, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def path_message(
    path: PathIntegral | MeanPathIntegral,
    names: ClassNames,
    outputs: Outputs,
    followed: Sequence[int],
    input_pixels: int,
    *,
    title: str,
    target_label: str,
    unit: str = "",
    request: Request | None,
) -> RawPath:
    """A path that was gone to its end, for the page: as many points as are worth sending.

    Args:
        path: the path.
        names: of the classes.
        outputs: what the model's numbers are.
        followed: the classes whose probabilities are told on the way.
        input_pixels: how many the input has.
        title: of the walk.
        target_label: what the explained output is called.
        unit: what the maps' numbers are, in words.
        request: what it answers.
    """
    kept = thinned(len(path.positions))
    chances = path.chances(outputs) if followed else None
    frames = path.frames()[kept]
    return frames_message(
        frames,
        pixels=input_pixels / frames[0].numel(),
        alphas=[path.positions[i] for i in kept],
        scores=path.scores[kept].tolist(),
        totals=path.totals()[kept].tolist(),
        classes=[{"index": i, "label": names.label(i)} for i in followed],
        probabilities=[]
        if chances is None
        else [[number(chance) for chance in one] for one in chances[kept][:, list(followed)].T.tolist()],
        title=title,
        target_label=target_label,
        unit=unit,
        request=request,
    )
