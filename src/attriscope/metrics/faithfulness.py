"""Does the output change as the attributions say? Numbers for each example, from removing features.

Curves of the same kind are in ``perturbation_curves``. What a feature is, in which order features go and what stands in
their place: see ``feature_masks``, ``_feature_removal`` and ``_replacements``. Inputs that are perturbed otherwise than
by removing are in ``fidelity``.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._random import check_count
from attriscope.core.errors import InputError
from attriscope.metrics._arguments import check_fractions, check_number
from attriscope.metrics._feature_removal import FeatureRemoval
from attriscope.metrics._generators import draws_from, restores_generators
from attriscope.metrics._model_outputs import outputs_of_rows
from attriscope.metrics.base import HIGHER, LOWER, on_removal, refuse_undefined, register
from attriscope.metrics.similarity import pearson

_RATIONALES = (0.01, 0.05, 0.1, 0.2, 0.5)


@register("comprehensiveness", better=HIGHER, call=on_removal)
@restores_generators
def comprehensiveness(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    replacement: Any = None,
    fractions: Any = _RATIONALES,
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """How far the output falls without the most relevant features (ERASER, DeYoung et al. 2019, arXiv 1911.03429).

    f(x) - f(x without the top share), averaged over the shares. Large is good. The paper explains probabilities, and
    removes the top 1, 5, 10, 20 and 50 % of the tokens.

    Args:
        forward_func, inputs, attributions, target, additional_forward_args, feature_mask, replacement,
            max_examples_per_batch, generator: as for :func:`deletion`.
        fractions: the shares, ascending. At least one feature goes.

    Returns:
        A tensor (N,), in the output's unit. N examples give what N calls give, unless something is drawn at random.

    Raises:
        as :func:`deletion`.
    """
    removal = FeatureRemoval.of(
        inputs, attributions, target, additional_forward_args, feature_mask, replacement, "most", generator
    )
    return _fall(removal, forward_func, fractions, max_examples_per_batch, insert=False)


@register("sufficiency", better=LOWER, call=on_removal)
@restores_generators
def sufficiency(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    replacement: Any = None,
    fractions: Any = _RATIONALES,
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """How far the output falls with the most relevant features alone (ERASER, DeYoung et al. 2019, arXiv 1911.03429).

    f(x) - f(the top share alone), averaged over the shares. Small is good.

    Args:
        as for :func:`comprehensiveness`.

    Returns:
        A tensor (N,), in the output's unit.

    Raises:
        as :func:`deletion`.
    """
    removal = FeatureRemoval.of(
        inputs, attributions, target, additional_forward_args, feature_mask, replacement, "most", generator
    )
    return _fall(removal, forward_func, fractions, max_examples_per_batch, insert=True)


def _fall(
    removal: FeatureRemoval, forward_func: Any, fractions: Any, batch: int | None, insert: bool
) -> Tensor:
    """How far the output falls, on average, with the top shares removed or alone, (N,)."""
    points = removal.points(check_fractions(fractions)).clamp(min=1)
    whole = removal.counts[None] if insert else torch.zeros_like(points[:1])
    scores = removal.run(forward_func, torch.cat([whole, points]), batch, insert)
    return (scores[:, :1] - scores[:, 1:]).mean(1)


@restores_generators
def sensitivity_n(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    n: int,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    replacement: Any = None,
    n_subsets: int = 100,
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Sensitivity-n: do n features together change the output by what their attributions add up to?
    (Ancona et al. 2017, arXiv 1711.06104)

    The correlation (Pearson's) between the sum of the attributions to n features and the change of the output when they
    are removed, over sets of n features. 1 is best; a linear model's exact contributions have it for every n.

    Args:
        forward_func, inputs, attributions, target, additional_forward_args, feature_mask, replacement,
            max_examples_per_batch, generator: as for :func:`deletion`.
        n: how many features a set has: 1 up to one less than there are, or all sets would be the same.
        n_subsets: how many sets, drawn at random, the same for all examples; if there are no more than that, each comes
            once, and nothing is random.

    Returns:
        A tensor (N,) from -1 to 1.

    Raises:
        as :func:`deletion`; InputError also for an ``n`` that is too large, or a mask that differs between examples;
            UndefinedMetricError also if the output never changes, or always by as much.
    """
    removal = FeatureRemoval.of(
        inputs, attributions, target, additional_forward_args, feature_mask, replacement, "most", generator
    )
    count = check_count(n, "n")
    if count >= removal.features.count and not (count == 1 == removal.features.count):
        raise InputError(
            f"n is {count}, but there are {removal.features.count} features: n must be at most "
            f"{removal.features.count - 1}, or there is only one set"
        )
    sets = _sets(removal.features.count, count, check_count(n_subsets, "n_subsets"), generator).to(
        removal.ranks.device
    )
    return _agreement(removal, forward_func, sets, max_examples_per_batch)


@register("faithfulness correlation", better=HIGHER, call=on_removal)
@restores_generators
def faithfulness_correlation(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    replacement: Any = None,
    fraction: float = 0.2,
    n_subsets: int = 100,
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The correlation of :func:`sensitivity_n` for sets of a given share of the features (Bhatt et al. 2020, arXiv
    2005.00631).

    Args:
        forward_func, inputs, attributions, target, additional_forward_args, feature_mask, replacement, n_subsets,
            max_examples_per_batch, generator: as for :func:`sensitivity_n`.
        fraction: which share of the features a set has, between 0 and 1; it is rounded to a number of features that
            leaves more than one set.

    Returns:
        A tensor (N,) from -1 to 1. 1 is best.

    Raises:
        as :func:`sensitivity_n`.
    """
    removal = FeatureRemoval.of(
        inputs, attributions, target, additional_forward_args, feature_mask, replacement, "most", generator
    )
    share = check_number(fraction, "fraction", 0, 1, open_low=True)
    size = min(max(1, round(share * removal.features.count)), max(1, removal.features.count - 1))
    sets = _sets(removal.features.count, size, check_count(n_subsets, "n_subsets"), generator).to(
        removal.ranks.device
    )
    return _agreement(removal, forward_func, sets, max_examples_per_batch)


@register("faithfulness estimate", better=HIGHER, call=on_removal)
@restores_generators
def faithfulness_estimate(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    replacement: Any = None,
    features_per_step: int = 1,
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The correlation between attributions and the change of the output when one feature after the other is removed,
    each alone (Alvarez-Melis and Jaakkola 2018, arXiv 1806.07538).

    Args:
        forward_func, inputs, attributions, target, additional_forward_args, feature_mask, replacement,
            max_examples_per_batch, generator: as for :func:`deletion`. The mask is the same for all examples.
        features_per_step: how many go together, neighbours in the order of their attributions. That saves rows; there
            must be at least two such groups.

    Returns:
        A tensor (N,) from -1 to 1. 1 is best.

    Raises:
        as :func:`sensitivity_n`.
    """
    removal = FeatureRemoval.of(
        inputs, attributions, target, additional_forward_args, feature_mask, replacement, "most", generator
    )
    _require_shared(removal)
    size, count = check_count(features_per_step, "features_per_step"), removal.features.count
    steps = -(-count // size)
    if steps < 2:
        raise InputError(
            f"features_per_step is {size}, but there are {count} features: there must be two groups"
        )
    group = removal.ranks // size

    def rows(part_of: slice, part: slice) -> tuple[Tensor, ...]:
        # Step 0 is the inputs: no feature is in group -1.
        which = torch.arange(part_of.start - 1, part_of.stop - 1, device=group.device)[:, None, None]
        return removal.replacement.rows(group[part][None] != which, part)

    f = outputs_of_rows(
        forward_func, removal.examples, removal.target, steps + 1, rows, max_examples_per_batch
    )
    sums = removal.relevance.new_zeros(len(group), steps).scatter_add_(1, group, removal.relevance)
    return _correlated(sums, (f[:1] - f[1:]).T)


@register("monotonicity", better=HIGHER, call=on_removal)
@restores_generators
def monotonicity(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    replacement: Any = None,
    features_per_step: int = 1,
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Does the output rise with every feature that is put in, the least relevant first? (Arya et al. 2019, arXiv
    1909.03012)

    The paper says yes or no; this is the share of steps at which the output does not fall, and 1 is the paper's yes.

    Args:
        forward_func, inputs, attributions, target, additional_forward_args, feature_mask, replacement,
            max_examples_per_batch, generator: as for :func:`deletion`.
        features_per_step: how many are put in at a time.

    Returns:
        A tensor (N,) from 0 to 1. 1 is best.

    Raises:
        as :func:`deletion`.
    """
    removal = FeatureRemoval.of(
        inputs, attributions, target, additional_forward_args, feature_mask, replacement, "least", generator
    )
    points = removal.by_number(features_per_step)
    f = removal.run(forward_func, points, max_examples_per_batch, insert=True)
    real = (
        points.diff(dim=0).T > 0
    )  # of examples with fewer features than others, the last steps change nothing
    return ((f.diff(dim=1) >= 0) & real).sum(1) / real.sum(1).to(f.dtype)


def _require_shared(removal: FeatureRemoval) -> None:
    if not removal.features.shared:
        raise InputError(
            "this metric needs a feature_mask that is the same for all examples (first dimension 1)"
        )


def _sets(features: int, size: int, most: int, generator: torch.Generator | None) -> Tensor:
    """Sets of ``size`` features, bool (sets, F): all of them if there are at most ``most``, else so many at random."""
    if math.comb(features, size) <= most:
        sets = list(itertools.combinations(range(features), size))
        chosen = torch.tensor(sets, dtype=torch.int64, device="cpu")
    else:
        drawn = torch.rand(most, features, generator=draws_from(generator).stream(0), device="cpu")
        chosen = drawn.argsort(1)[:, :size]
    return chosen.new_zeros(len(chosen), features, dtype=torch.bool).scatter_(1, chosen, True)


def _agreement(removal: FeatureRemoval, forward_func: Any, sets: Tensor, batch: int | None) -> Tensor:
    """How sums of attributions over sets of features go with the change that removing these makes, (N,)."""
    _require_shared(removal)

    def rows(steps: slice, part: slice) -> tuple[Tensor, ...]:
        lead = int(steps.start == 0)  # step 0 is the inputs
        gone = sets[max(steps.start - 1, 0) : steps.stop - 1]
        keep = torch.cat([gone.new_ones(lead, gone.shape[1]), ~gone])
        return removal.replacement.rows(keep, part)

    f = outputs_of_rows(forward_func, removal.examples, removal.target, len(sets) + 1, rows, batch)
    return _correlated(removal.relevance @ sets.T.to(removal.relevance), (f[:1] - f[1:]).T)


def _correlated(sums: Tensor, changes: Tensor) -> Tensor:
    """Pearson's correlation of each row, in the outputs' type."""
    exact = changes.to(sums)
    # What is left when equal numbers are subtracted is rounding, and correlates with anything.
    noise = 8 * torch.finfo(changes.dtype).eps
    still = exact.std(1, unbiased=False) <= noise * exact.abs().amax(1)
    refuse_undefined(still, "the output changes by as much whichever features are removed")
    even = sums.std(1, unbiased=False) <= 8 * torch.finfo(sums.dtype).eps * sums.abs().amax(1)
    refuse_undefined(even, "the attributions add up to the same for all sets of features")
    return pearson(sums, exact).to(changes.dtype)
