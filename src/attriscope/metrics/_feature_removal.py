"""Removing features in the order of their attributions."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._features import Features, exact_dtype
from attriscope.attr._random import check_count, check_generator
from attriscope.core.errors import InputError
from attriscope.core.inputs import Examples, gather_examples
from attriscope.metrics._arguments import check_choice
from attriscope.metrics._explanations import attributions_of
from attriscope.metrics._generators import draws_from
from attriscope.metrics._model_outputs import outputs_of_rows
from attriscope.metrics._replacements import Replacement, resolve_replacement
from attriscope.metrics.base import refuse_undefined
from attriscope.metrics.feature_masks import features_of

ORDERS = ("most", "least", "size", "random")
_STEPS = 32


@dataclasses.dataclass(frozen=True)
class FeatureRemoval:
    """Examples, and the order in which their features go.

    Attributes:
        relevance: the attributions to each feature, (N, F).
        ranks: the place of each feature in the order, from 0, (N, F); features that an example does not have come last.
        counts: how many features each example has, (N,).
    """

    examples: Examples
    target: Any
    features: Features
    replacement: Replacement
    relevance: Tensor
    ranks: Tensor
    counts: Tensor

    @classmethod
    def of(
        cls,
        inputs: Any,
        attributions: Any,
        target: Any,
        arguments: Any,
        feature_mask: Any,
        replacement: Any,
        order: str,
        generator: torch.Generator | None,
    ) -> FeatureRemoval:
        """Check what came, and put the features in order."""
        check_choice(order, ORDERS, "order")
        check_generator(generator)
        examples = gather_examples(inputs, arguments).plain
        features = features_of(feature_mask, examples)
        relevance, present = relevances(attributions_of(attributions, examples, target), features)
        if order == "random":
            draws = draws_from(generator).stream(-1, relevance.device)
            first = torch.rand(relevance.shape, generator=draws, device=relevance.device)
        else:
            first = {"most": relevance, "least": -relevance, "size": relevance.abs()}[order]
            refuse_constant(first, present)
        values = resolve_replacement(replacement, examples, features, generator)
        counts = present.sum(1)
        return cls(examples, target, features, values, relevance, ranking(first, present), counts)

    @property
    def most(self) -> int:
        """The largest number of features that an example has; known without looking if all have the same."""
        return self.features.count if self.features.shared else int(self.counts.max())

    @property
    def least(self) -> int:
        """The smallest number of features that an example has."""
        return self.features.count if self.features.shared else int(self.counts.min())

    def evenly(self, steps: int | None) -> Tensor:
        """How many features are changed at each point of a curve from none to all, (K, N)."""
        most = self.most
        count = min(_STEPS, most) if steps is None else check_count(steps, "steps")
        if count > most:
            raise InputError(f"{count} steps came, but there are only {most} features")
        return self.points([i / count for i in range(count + 1)])

    def by_number(self, features_per_step: Any) -> Tensor:
        """How many features are changed at each point if so many more are from one to the next, (K, N)."""
        size, most = check_count(features_per_step, "features_per_step"), self.most
        if size > most:
            raise InputError(f"features_per_step is {size}, but there are only {most} features")
        return torch.arange(0, most + size, size, device=self.counts.device)[:, None].minimum(self.counts)

    def points(self, shares: Any) -> Tensor:
        """How many features these shares are, rounded, (K, N)."""
        given = torch.tensor(shares, dtype=exact_dtype(self.counts.device), device=self.counts.device)
        return (given[:, None] * self.counts).round().long()

    def shares(self, points: Tensor) -> Tensor:
        """Which shares of the features are changed, (K,): of the example with the most of them."""
        exact = points.to(exact_dtype(points.device))
        if self.features.shared:
            return exact[:, 0] / self.features.count
        widest = self.counts.argmax()
        return exact[:, widest] / self.counts[widest]

    def run(self, forward_func: Any, points: Tensor, batch: int | None, insert: bool) -> Tensor:
        """The output where the first ``points`` features are removed, or only these are there, (N, K)."""

        def rows(steps: slice, part: slice) -> tuple[Tensor, ...]:
            early = self.ranks[part][None] < points[steps, part, None]
            return self.replacement.rows(early if insert else ~early, part)

        return outputs_of_rows(forward_func, self.examples, self.target, len(points), rows, batch).T


def relevances(attributions: tuple[Tensor, ...], features: Features) -> tuple[Tensor, Tensor]:
    """The attributions to each feature added up, and whether the example has that feature, each (N, F)."""
    device = attributions[0].device
    exact = exact_dtype(device)
    total = sum(features.totals(i, a.to(exact)).to(device) for i, a in enumerate(attributions))
    assert isinstance(total, Tensor)
    if features.shared:
        return total, torch.ones_like(total, dtype=torch.bool)
    size = sum(features.totals(i, torch.ones_like(a)).to(device) for i, a in enumerate(attributions))
    assert isinstance(size, Tensor)
    return total, size > 0


def refuse_constant(relevance: Tensor, present: Tensor) -> None:
    """Without a difference between features there is no order.

    Raises:
        UndefinedMetricError: an example has several features, all with the same attribution.
    """
    high = relevance.masked_fill(~present, -torch.inf).amax(1)
    low = relevance.masked_fill(~present, torch.inf).amin(1)
    refuse_undefined(
        (high == low) & (present.sum(1) > 1), "all features have the same attribution, so none goes first"
    )


def ranking(relevance: Tensor, present: Tensor) -> Tensor:
    """The place of each feature from the largest number down, from 0, (N, F). Ties go by position."""
    ordered = relevance.masked_fill(~present, -torch.inf).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(relevance.shape[1], device=relevance.device).expand_as(ordered)
    return torch.empty_like(ordered).scatter_(1, ordered, places)
