"""Curves: what the output does while features are removed, or put in, in the order of their attributions.

The order and the rows are made in ``_feature_removal``; single numbers of the same kind are in ``faithfulness``.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._random import check_count
from attriscope.core.errors import InputError
from attriscope.core.inputs import gather_examples
from attriscope.metrics._arguments import check_fractions
from attriscope.metrics._explanations import attributions_of
from attriscope.metrics._feature_removal import FeatureRemoval
from attriscope.metrics._generators import draws_from, restores_generators
from attriscope.metrics.base import HIGHER, LOWER, Case, on_removal, register
from attriscope.metrics.feature_masks import patch_mask


@dataclasses.dataclass(frozen=True)
class Curve:
    """The explained output while features are changed, for each example.

    Attributes:
        fractions: which share of the features is changed at each point, ascending, (K,).
        scores: the output there, (N, K).
        name: what was done, such as ``"deletion"``.
        better: ``"lower"`` if the area under the curve of a good explanation is small, else ``"higher"``.
    """

    fractions: Tensor
    scores: Tensor
    name: str = "curve"
    better: str = "lower"

    @property
    def auc(self) -> Tensor:
        """The area under the curve by the trapezoidal rule, in the output's unit, (N,)."""
        return torch.trapezoid(self.scores, self.fractions.to(self.scores), dim=1)

    @property
    def aopc(self) -> Tensor:
        """The area over the perturbation curve: how far the output has fallen, averaged over the points, (N,).

        The first point counts too, with a fall of 0, as in Samek et al. 2015 (arXiv 1509.06321).
        """
        return (self.scores[:, :1] - self.scores).mean(1)

    @property
    def mean(self) -> Tensor:
        """The curve of the examples' mean, (K,)."""
        return self.scores.mean(0)

    def figure(self) -> Any:
        """The curves of all examples, and their mean, as a matplotlib figure; see :func:`attriscope.plots.curves`."""
        from attriscope.plots import curves

        return curves(
            {f"mean of {len(self.scores)}": (self.fractions, self.scores)},
            each_example=True,
            use_pyplot=False,
            title=f"{self.name}: {self.better} is better",
            ylabel="explained output",
        ).figure


@register("deletion", better=LOWER, call=lambda function, case: on_removal(function, case).auc)
@restores_generators
def deletion(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    replacement: Any = None,
    steps: int | None = None,
    order: str = "most",
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Curve:
    """The output while features are removed, the most relevant first (RISE, Petsiuk et al. 2018, arXiv 1806.07421).

    If the explanation is right the output falls soon, so a small :attr:`Curve.auc` is good. The paper explains
    probabilities; for a model that gives logits pass :func:`~attriscope.metrics.probabilities` of it.

    Args:
        forward_func: the model, or any function, called as ``forward_func(*inputs, *additional_forward_args)``.
        inputs: a tensor, a tuple or a dict of tensors, N examples in dimension 0.
        attributions: tensors in the inputs' shape (or with one channel, for pictures); or a method such as
            ``Saliency(model)``, a pair of a method and a dict of its options, or a function of (inputs, target).
            Attributions to one feature are added up. Ties go by position.
        target: which output, as for ``Saliency.attribute``.
        additional_forward_args: further arguments of ``forward_func``.
        feature_mask: which numbers are removed together, as for ``FeatureAblation``; see ``pixel_mask``,
            ``patch_mask`` and ``token_mask``. ``None``: every position of pictures (four dimensions or more) with all
            its channels, and every number of other inputs.
        replacement: what stands in place of a removed feature. ``None`` or ``"zero"``; ``"mean"`` or ``"blur"`` of the
            example itself; ``"noise"``, normal with each channel's mean and deviation; ``"uniform"``, between the
            example's extremes; ``"linear"``, noisy linear imputation (see :func:`road`); a number, a tensor or a tuple
            of these, as for ``baselines``; or a function of the inputs that gives one of the last three.
        steps: the number of steps K - 1 of the curve, of equally many features each, up to one; ``None``: 32, or as
            many as there are features.
        order: ``"most"`` or ``"least"`` relevant first, ``"size"`` for the largest attributions whatever their sign, or
            ``"random"`` as a control.
        max_examples_per_batch: how many rows go through the model at a time; ``None`` measures and chooses. It changes
            no number beyond rounding.
        generator: where random numbers come from; ``None`` is torch's global generator.

    Returns:
        A :class:`Curve` from 0 (the inputs) to 1 (nothing left). N examples give what N calls give, unless something
        is drawn at random.

    Raises:
        InputTypeError, InputError: arguments that cannot be used; more steps than features.
        UndefinedMetricError: attributions are not finite, or all the same, so that there is no order.
        TargetError, NonFiniteError: the target does not fit the output; the output is NaN or infinite.
    """
    removal = FeatureRemoval.of(
        inputs, attributions, target, additional_forward_args, feature_mask, replacement, order, generator
    )
    points = removal.evenly(steps)
    scores = removal.run(forward_func, points, max_examples_per_batch, insert=False)
    return Curve(removal.shares(points), scores, "deletion", _better(order, insert=False))


def _insertion(function: Any, case: Case) -> Tensor:
    # A blurred picture is what the paper begins with; other inputs have nothing to blur.
    pictures = isinstance(case.inputs, Tensor) and case.inputs.dim() == 4
    return function(*case.explanation, replacement="blur" if pictures else None, **case.removing()).auc


@register("insertion", better=HIGHER, call=_insertion)
@restores_generators
def insertion(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    replacement: Any = None,
    steps: int | None = None,
    order: str = "most",
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Curve:
    """The output while features are put in, the most relevant first (RISE, Petsiuk et al. 2018, arXiv 1806.07421).

    If the explanation is right the output rises soon, so a large :attr:`Curve.auc` is good. The paper begins with a
    blurred picture: ``replacement="blur"``.

    Args:
        forward_func, inputs, attributions, target, additional_forward_args, feature_mask, steps, order,
            max_examples_per_batch, generator: as for :func:`deletion`.
        replacement: what stands there before, as for :func:`deletion`.

    Returns:
        A :class:`Curve` from 0 (nothing there) to 1 (the inputs).

    Raises:
        as :func:`deletion`.
    """
    removal = FeatureRemoval.of(
        inputs, attributions, target, additional_forward_args, feature_mask, replacement, order, generator
    )
    points = removal.evenly(steps)
    scores = removal.run(forward_func, points, max_examples_per_batch, insert=True)
    return Curve(removal.shares(points), scores, "insertion", _better(order, insert=True))


@register(
    "pixel flipping",
    better=LOWER,
    call=lambda function, case: on_removal(function, case).auc,
)
@restores_generators
def pixel_flipping(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    replacement: Any = None,
    features_per_step: int = 1,
    order: str = "most",
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Curve:
    """The output while one pixel after the other is flipped (Bach et al. 2015, doi 10.1371/journal.pone.0130140).

    A :func:`deletion` with steps of a given number of features; for pictures whose pixels are on or off, the opposite
    is ``replacement=lambda x: 1 - x``.

    Args:
        forward_func, inputs, attributions, target, additional_forward_args, feature_mask, replacement, order,
            max_examples_per_batch, generator: as for :func:`deletion`.
        features_per_step: how many are flipped between two points; the last step may be shorter.

    Returns:
        A :class:`Curve` from 0 to 1.

    Raises:
        as :func:`deletion`; InputError also for more ``features_per_step`` than features.
    """
    removal = FeatureRemoval.of(
        inputs, attributions, target, additional_forward_args, feature_mask, replacement, order, generator
    )
    points = removal.by_number(features_per_step)
    scores = removal.run(forward_func, points, max_examples_per_batch, insert=False)
    return Curve(removal.shares(points), scores, "pixel flipping", _better(order, insert=False))


@register(
    "region perturbation",
    better=HIGHER,
    call=lambda function, case: on_removal(function, case).aopc,
)
@restores_generators
def region_perturbation(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    region: int = 9,
    steps: int | None = None,
    feature_mask: Any = None,
    replacement: Any = "uniform",
    order: str = "most",
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Curve:
    """The output while regions of a picture are replaced by noise (Samek et al. 2015, arXiv 1509.06321).

    :attr:`Curve.aopc` is the paper's measure, large for a good explanation with ``order="most"``.

    Args:
        forward_func, inputs, attributions, target, additional_forward_args, order, max_examples_per_batch, generator:
            as for :func:`deletion`. The inputs are pictures, unless there is a ``feature_mask``.
        region: the side of the regions in pixels; the paper's, and the default, is 9.
        steps: how many regions are replaced, one in each step; ``None``: 100 as in the paper, or all there are.
        feature_mask: regions of another kind.
        replacement: as for :func:`deletion`; by default numbers that are uniform between the picture's extremes.

    Returns:
        A :class:`Curve` from 0 to the share of the regions that were replaced.

    Raises:
        as :func:`deletion`; InputError also for more steps than regions.
    """
    examples = gather_examples(inputs, additional_forward_args).plain
    if feature_mask is None:
        if len(examples.tensors) > 1:
            raise InputError(
                "regions of several inputs need a feature_mask: there is no telling how they belong together"
            )
        feature_mask = examples.form((patch_mask(examples.tensors[0], region),))
    removal = FeatureRemoval.of(
        inputs, attributions, target, additional_forward_args, feature_mask, replacement, order, generator
    )
    most = removal.least
    steps = min(100, most) if steps is None else check_count(steps, "steps")
    if steps > most:
        raise InputError(f"{steps} steps came, but there are only {most} regions")
    points = torch.arange(steps + 1, device=removal.counts.device)[:, None].minimum(removal.counts)
    scores = removal.run(forward_func, points, max_examples_per_batch, insert=False)
    return Curve(removal.shares(points), scores, "region perturbation", _better(order, insert=False))


@restores_generators
def road(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    fractions: Any = (0.1, 0.3, 0.5, 0.7, 0.9),
    order: str = "most",
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Curve:
    """The output while pixels are removed and filled in from their neighbours (ROAD, Rong et al. 2022, arXiv
    2202.00449).

    A hole that is simply black tells the model where something was. Here every removed pixel becomes the weighted mean
    of its eight neighbours (1/6 at an edge, 1/12 at a corner), which is a system of linear equations, and gets normal
    noise of deviation 0.01. The paper reports how often the model is still right: for that pass a ``target`` such as
    ``lambda output: (output.argmax(1) == label).float()``.

    Args:
        forward_func, inputs, attributions, target, additional_forward_args, feature_mask, order,
            max_examples_per_batch, generator: as for :func:`deletion`. The inputs are pictures (N, C, H, W).
        fractions: which shares of the pixels are removed, ascending, below 1.

    Returns:
        A :class:`Curve` over ``fractions``.

    Raises:
        as :func:`deletion`; InputError also if everything would be removed.
    """
    shares = check_fractions(fractions)
    removal = FeatureRemoval.of(
        inputs, attributions, target, additional_forward_args, feature_mask, "linear", order, generator
    )
    points = removal.points(shares)
    if round(shares[-1] * removal.least) >= removal.least:
        raise InputError(
            f"fractions {shares} remove every pixel, and nothing would be left to fill it in from; stay below 1"
        )
    scores = removal.run(forward_func, points, max_examples_per_batch, insert=False)
    fractions = torch.tensor(shares, dtype=scores.dtype, device=scores.device)
    return Curve(fractions, scores, "ROAD", _better(order, insert=False))


@register("road", better=HIGHER, call=on_removal)
@restores_generators
def road_combined(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    fractions: Any = (0.1, 0.3, 0.5, 0.7, 0.9),
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Half of how much higher the output stays if the least relevant pixels go first than if the most relevant do.

    Both curves are :func:`road`'s, and the difference is averaged over the fractions. Large is good, and a random
    order gives 0 in the mean.

    Args:
        as for :func:`road`.

    Returns:
        A tensor (N,), in the output's unit.
    """
    options = {
        "target": target,
        "additional_forward_args": additional_forward_args,
        "feature_mask": feature_mask,
        "fractions": fractions,
        "max_examples_per_batch": max_examples_per_batch,
    }
    examples = gather_examples(inputs, additional_forward_args).plain
    found = examples.form(attributions_of(attributions, examples, target))  # explained once, for both
    draws = draws_from(generator)
    least, most = (
        road(forward_func, inputs, found, order=order, generator=draws.stream(0), **options)
        for order in ("least", "most")
    )
    return (least.scores - most.scores).mean(1) / 2


def _better(order: str, insert: bool) -> str:
    return "higher" if insert == (order in ("most", "size")) else "lower"
