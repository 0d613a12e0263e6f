"""How concentrated is an explanation? Numbers of the attributions, mostly without the model.

Whether what they concentrate on matters to the model is another question: see ``faithfulness``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attriscope.attr._features import exact_dtype
from attriscope.metrics._arguments import check_number
from attriscope.metrics._explanations import flattened, given_attributions
from attriscope.metrics._feature_removal import FeatureRemoval
from attriscope.metrics._generators import restores_generators
from attriscope.metrics.base import HIGHER, LOWER, on_removal, refuse_undefined, register


@register("sparseness", better=HIGHER, call=lambda function, case: function(case.attributions))
def sparseness(
    attributions: Any, *, inputs: Any = None, target: Any = None, additional_forward_args: Any = None
) -> Tensor:
    """The Gini index of the sizes of the attributions (Chalasani et al. 2018, arXiv 1810.06583).

    0 if all are of one size, and 1 - 1/D if one of D numbers has everything.

    Args:
        attributions: a tensor (N, ...) or a tuple of these, whose numbers are taken together; or, with inputs, a
            method such as ``Saliency(model)``, a pair of a method and a dict of its options, or a function of
            (inputs, target).
        inputs, target, additional_forward_args: what such a method explains.

    Returns:
        A tensor (N,) from 0 to 1. Large is sparse. N examples give what N calls give.

    Raises:
        InputTypeError, InputError: arguments that cannot be used.
        UndefinedMetricError: attributions are not finite, or all 0.
    """
    sizes = _sizes(attributions, inputs, target, additional_forward_args)
    ordered = sizes.sort(1).values
    count = ordered.shape[1]
    place = torch.arange(1, count + 1, dtype=ordered.dtype, device=ordered.device)
    # The shares that a uniform map would have, minus those that the map has, added up.
    return 1 - 2 * (ordered * (count - place + 0.5)).sum(1) / (count * ordered.sum(1))


@register("entropy", better=LOWER, call=lambda function, case: function(case.attributions))
def entropy(
    attributions: Any, *, inputs: Any = None, target: Any = None, additional_forward_args: Any = None
) -> Tensor:
    """The entropy of the shares that the numbers have of all attributions, by size (Bhatt et al. 2020, arXiv
    2005.00631, there called complexity).

    0 if one number has everything, and log(D) if D numbers have the same.

    Args:
        as for :func:`sparseness`.

    Returns:
        A tensor (N,), in nats. Small is simple.

    Raises:
        as :func:`sparseness`.
    """
    sizes = _sizes(attributions, inputs, target, additional_forward_args)
    return torch.special.entr(sizes / sizes.sum(1, keepdim=True)).sum(1)


@register("effective complexity", better=LOWER, call=on_removal)
@restores_generators
def effective_complexity(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    replacement: Any = None,
    tolerance: float = 0.1,
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """How many of the most relevant features are needed for the output to be about what it is (Nguyen and Martínez
    2020, arXiv 2007.07584).

    The features with the largest attributions, by size, stay and all others are replaced. The answer is the least
    number with which the output differs from f(x) by no more than ``tolerance`` times |f(x) - f(nothing)|. The paper
    averages over many replacements; here there is one.

    Args:
        forward_func, inputs, attributions, target, additional_forward_args, feature_mask, replacement,
            max_examples_per_batch, generator: as for :func:`~attriscope.metrics.deletion`.
        tolerance: how much the output may differ, between 0 and 1.

    Returns:
        A tensor (N,) of whole numbers as floats. Small is simple. It costs a row per feature.

    Raises:
        as :func:`~attriscope.metrics.deletion`.
    """
    allowed = check_number(tolerance, "tolerance", 0, 1)
    removal = FeatureRemoval.of(
        inputs, attributions, target, additional_forward_args, feature_mask, replacement, "size", generator
    )
    f = removal.run(forward_func, removal.by_number(1), max_examples_per_batch, insert=True)
    near = (f - f[:, -1:]).abs() <= allowed * (f[:, :1] - f[:, -1:]).abs()
    return near.to(f.dtype).argmax(1).to(f.dtype)  # the first; with everything there is no difference left


def _sizes(attributions: Any, inputs: Any, target: Any, arguments: Any) -> Tensor:
    found = flattened(given_attributions(attributions, inputs, target, arguments))
    sizes = found.to(exact_dtype(found.device)).abs()
    refuse_undefined(sizes.sum(1) == 0, "all attributions are 0, so they have no shares")
    return sizes
