"""What an explanation ought to keep to, whatever the model: completeness, invariance, and no effect without a cause.

The invariances compare two models, so :func:`~attriscope.metrics.evaluate` does not ask them; the others stand in its
catalogue (``base``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.attr._features import exact_dtype
from attriscope.attr._random import check_count
from attriscope.attr._sums import sum_per_example
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import (
    Examples,
    baseline_rows,
    describe,
    gather_examples,
    require_floating,
    resolve_baselines,
)
from attriscope.core.progress import Parts
from attriscope.metrics._arguments import check_number
from attriscope.metrics._explanations import Explainer, as_explainer, attributions_of, flattened
from attriscope.metrics._feature_removal import relevances
from attriscope.metrics._generators import restores_generators
from attriscope.metrics._model_outputs import outputs_at_inputs, outputs_of_rows
from attriscope.metrics._replacements import resolve_replacement
from attriscope.metrics.base import LOWER, on_removal, register
from attriscope.metrics.feature_masks import features_of


@register(
    "completeness gap", better=LOWER, call=lambda function, case: function(*case.explanation, **case.asked)
)
def completeness_gap(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    baselines: Any = None,
    target: Any = None,
    additional_forward_args: Any = None,
    relative: bool = False,
    max_examples_per_batch: int | None = None,
) -> Tensor:
    """How far the sum of the attributions is from f(x) - f(baseline) (completeness, Sundararajan et al. 2017, arXiv
    1703.01365).

    Args:
        forward_func, inputs, attributions, target, additional_forward_args, max_examples_per_batch: as for
            :func:`~attriscope.metrics.deletion`.
        baselines: as for ``IntegratedGradients``: those that the attributions were made with.
        relative: divide by |f(x) - f(baseline)|.

    Returns:
        The size of the gap, (N,), in the output's unit, or in parts of the difference. 0 is best. N examples give what
        N calls give.

    Raises:
        InputTypeError, InputError, TargetError, NonFiniteError: arguments that cannot be used; with ``relative``, a
            difference of 0.
    """
    examples = gather_examples(inputs, additional_forward_args).plain
    starts = resolve_baselines(baselines, examples)
    total = sum_per_example(
        tuple(a.to(exact_dtype(a.device)) for a in attributions_of(attributions, examples, target))
    )

    def rows(steps: slice, part: slice) -> tuple[Tensor, ...]:
        pairs = list(zip(starts, examples.slices(part), strict=True))
        ends = [
            tuple(x.clone() if step else baseline_rows(b, part).expand_as(x).clone() for b, x in pairs)
            for step in range(steps.start, steps.stop)
        ]
        return tuple(torch.cat(each) for each in zip(*ends, strict=True))

    f = outputs_of_rows(forward_func, examples, target, 2, rows, max_examples_per_batch)
    difference = (f[1] - f[0]).to(total)
    gap = (total - difference).abs()
    if relative:
        if bool((difference == 0).any()):
            raise InputError(
                "f(x) equals f(baseline) for some examples, so a relative gap has no meaning there"
            )
        gap = gap / difference.abs()
    return gap.to(f.dtype)


@register("non-sensitivity", better=LOWER, call=on_removal)
@restores_generators
def non_sensitivity(
    forward_func: Any,
    inputs: Any,
    attributions: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    feature_mask: Any = None,
    replacement: Any = "noise",
    n_samples: int = 1,
    tolerance: float = 1e-5,
    max_examples_per_batch: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """How many features the attributions and the model disagree about: whether they matter at all (Nguyen and Martínez
    2020, arXiv 2007.07584).

    A feature matters to the model if replacing it changes the output by more than ``tolerance`` parts of the largest
    change that any feature makes; to the explanation, if its attribution is more than so many parts of the largest.

    Args:
        forward_func, inputs, attributions, target, additional_forward_args, feature_mask, replacement,
            max_examples_per_batch, generator: as for :func:`~attriscope.metrics.deletion`. A replacement that equals
            the feature says nothing, so by default it is noise.
        n_samples: how many replacements of each feature; only of use if they are random.
        tolerance: see above, between 0 and 1.

    Returns:
        The number of features, (N,) of floats. 0 is best. It costs a row per feature and sample.

    Raises:
        as :func:`~attriscope.metrics.deletion`, but constant attributions are allowed.
    """
    allowed = check_number(tolerance, "tolerance", 0, 1)
    samples = check_count(n_samples, "n_samples")
    examples = gather_examples(inputs, additional_forward_args).plain
    features = features_of(feature_mask, examples)
    relevance, present = relevances(attributions_of(attributions, examples, target), features)
    place = torch.arange(features.count, device=relevance.device)
    largest = torch.zeros_like(relevance)
    parts = Parts(samples)
    for sample in range(samples):
        values = resolve_replacement(replacement, examples, features, generator)

        def rows(steps: slice, part: slice, values: Any = values) -> tuple[Tensor, ...]:
            # Step 0 is the inputs: no feature has number -1.
            gone = torch.arange(steps.start - 1, steps.stop - 1, device=place.device)[:, None]
            return values.rows(place[None] != gone, part)

        with parts.part(sample, sample + 1, (features.count + 1) * examples.count):
            f = outputs_of_rows(
                forward_func, examples, target, features.count + 1, rows, max_examples_per_batch
            )
        largest = torch.maximum(largest, (f[:1] - f[1:]).abs().T.to(largest))
    sizes = relevance.abs()
    matters = largest > allowed * largest.amax(1, keepdim=True)
    named = sizes > allowed * sizes.amax(1, keepdim=True)
    return ((matters != named) & present).sum(1).to(f.dtype)


def implementation_invariance(
    explanation: Callable[[nn.Module], Any],
    model: nn.Module,
    other: nn.Module,
    inputs: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    tolerance: float = 1e-4,
) -> Tensor:
    """How much explanations of two models differ that compute the same function (Sundararajan et al. 2017, arXiv
    1703.01365).

    Args:
        explanation: makes the method for a model, such as the class ``IntegratedGradients``, or
            ``lambda model: (LayerGradCam(model, "conv"), {"relu_attributions": True})``.
        model, other: the two models.
        inputs: a tensor, tuple or dict of tensors, N examples in dimension 0.
        target, additional_forward_args: as for :func:`~attriscope.metrics.deletion`.
        tolerance: how far their outputs may be apart, in parts of the larger plus 1.

    Returns:
        The length of the difference in parts of the length of the first explanation (in its units where that is 0),
        (N,). 0 is best. N examples give what N calls give.

    Raises:
        InputTypeError, InputError: arguments that cannot be used; outputs that differ, so that the models are not two
            forms of one function.
    """
    examples = gather_examples(inputs, additional_forward_args).plain
    return _difference(explanation, (model, examples), (other, examples), target, tolerance)


def input_invariance(
    explanation: Callable[[nn.Module], Any],
    model: nn.Module,
    inputs: Any,
    shift: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    tolerance: float = 1e-4,
) -> Tensor:
    """How much an explanation changes if inputs are shifted by a constant and the model takes it back
    (Kindermans et al. 2017, arXiv 1711.00867).

    The second model computes f(x - shift) and is asked about x + shift. The paper takes the shift back in the first
    layer's bias; here it is subtracted first, which is the same function also at the border of a padded convolution.

    Args:
        explanation: makes the method for a model, as for :func:`implementation_invariance`. A method whose baseline
            should move along needs that in its options, which this cannot do.
        model: the model. It is run inside the one that takes the shift back, under the name ``model``.
        inputs: floating point, N examples in dimension 0.
        shift: a number, or a tensor that broadcasts, or a tuple of these, as for ``baselines``.
        target, additional_forward_args, tolerance: as for :func:`implementation_invariance`.

    Returns:
        As :func:`implementation_invariance`.

    Raises:
        as :func:`implementation_invariance`.
    """
    examples = gather_examples(inputs, additional_forward_args).plain
    require_floating(examples, "a shift")
    if examples.keys:
        raise InputTypeError("input_invariance takes a tensor or a tuple of tensors; pass inputs by position")
    shifts = resolve_baselines(shift, examples)
    moved = tuple(x + s for x, s in zip(examples.tensors, shifts, strict=True))
    shifted = gather_examples(examples.form(moved), additional_forward_args).plain
    if any(s.shape[0] != 1 for s in shifts):
        raise InputError(
            "shift must be the same for all examples: a number, or a tensor with a first dimension of 1"
        )
    return _difference(explanation, (model, examples), (_Shifted(model, shifts), shifted), target, tolerance)


class _Shifted(nn.Module):
    """Subtracts constants from the inputs and hands them on."""

    def __init__(self, model: nn.Module, shifts: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.model = model
        self.training = model.training  # train() would reach into the model
        self._shifts = shifts

    def forward(self, *inputs: Any) -> Any:
        count = len(self._shifts)
        back = (x - s for x, s in zip(inputs[:count], self._shifts, strict=True))
        return self.model(*back, *inputs[count:])


def _difference(
    explanation: Any,
    first: tuple[nn.Module, Examples],
    second: tuple[nn.Module, Examples],
    target: Any,
    tolerance: float,
) -> Tensor:
    if not callable(explanation):
        raise InputTypeError(
            "explanation must be a function that makes a method for a model, such as the class IntegratedGradients, "
            f"but {describe(explanation)} came"
        )
    allowed = check_number(tolerance, "tolerance", 0)
    parts = Parts(4)
    outputs, maps = [], []
    for i, (model, examples) in enumerate((first, second)):
        with parts.part(2 * i, 2 * i + 1, examples.count):
            outputs.append(outputs_at_inputs(model, examples, target))
        explainer = as_explainer(explanation(model))
        if not isinstance(explainer, Explainer):
            raise InputTypeError("explanation must give a method for a model, and not attributions")
        with parts.part(2 * i + 1, 2 * i + 2, examples.count):
            found = flattened(explainer.explain(examples, target))
        maps.append(found.to(exact_dtype(found.device)))
    f, g = outputs
    apart = (f - g).abs() / (1 + torch.maximum(f.abs(), g.abs()))
    if bool((apart > allowed).any()):
        worst = int(apart.argmax())
        raise InputError(
            f"the two models compute different functions: for example {worst} they give {float(f[worst]):.6g} and "
            f"{float(g[worst]):.6g}"
        )
    a, b = maps
    size = torch.linalg.vector_norm(a, dim=1)
    return (torch.linalg.vector_norm(a - b, dim=1) / torch.where(size > 0, size, 1)).to(f.dtype)
