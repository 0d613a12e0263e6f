"""Infidelity: do attributions times perturbations foretell how the output changes?

With ``robustness`` these are the two metrics that Captum has; how perturbations are drawn is in
``_perturbation_samples``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._features import exact_dtype
from attriscope.attr._random import check_count, check_generator, device_of
from attriscope.core.batch_size import check_batch
from attriscope.core.complex_parts import as_complex, as_real
from attriscope.core.errors import InputError
from attriscope.core.inputs import (
    Examples,
    TensorOrTuple,
    as_tuple,
    describe,
    gather_examples,
    resolve_baselines,
)
from attriscope.metrics._explanations import attributions_of
from attriscope.metrics._model_outputs import outputs_of_rows
from attriscope.metrics._perturbation_samples import PerturbationSamples
from attriscope.metrics.base import LOWER, Case, register


def infidelity_perturb_func_decorator(multiply_by_inputs: bool = True) -> Callable[..., Any]:
    """Makes a ``perturb_func`` for :func:`infidelity` of a function that gives perturbed inputs only.

    Args:
        multiply_by_inputs: whether attributions are effects, as those of ``IntegratedGradients``; then the perturbation
            is (inputs - perturbed) / (inputs - baselines), where they differ, and inputs - perturbed where they do
            not. ``False`` for sensitivities, as those of ``Saliency``: inputs - perturbed.

    Returns:
        A decorator for a function of the inputs, or of inputs and baselines, with an optional keyword ``generator``.
    """

    def decorator(perturb_func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(perturb_func)
        def both(inputs: Any, baselines: Any = None, **more: Any) -> tuple[Any, Any]:
            given = as_tuple(inputs)
            perturbed = (
                perturb_func(inputs, **more) if baselines is None else perturb_func(inputs, baselines, **more)
            )
            moved = as_tuple(perturbed)
            starts = (0,) * len(given) if baselines is None else as_tuple(baselines)
            found = []
            for x, new, start in zip(given, moved, starts, strict=True):
                change = x - new
                if multiply_by_inputs:
                    span = x - start
                    change = _over(change, span)
                found.append(change)
            return tuple(found), moved

        return both

    return decorator


def gaussian_perturbation(stdev: float = 0.003) -> Callable[..., Any]:
    """A ``perturb_func`` for :func:`infidelity` that subtracts normal noise; for sensitivities, as of ``Saliency``.

    Args:
        stdev: its standard deviation, in the inputs' units.
    """

    def perturb(
        inputs: Any, baselines: Any = None, *, generator: torch.Generator | None = None
    ) -> tuple[Any, Any]:
        noise = tuple(_normal(x, generator) * stdev for x in as_tuple(inputs))
        return noise, tuple(x - n for x, n in zip(as_tuple(inputs), noise, strict=True))

    return perturb


def removal_perturbation(share: float = 0.5) -> Callable[..., Any]:
    """A ``perturb_func`` for :func:`infidelity` that puts some numbers back to the baseline; for attributions that are
    effects, as of ``IntegratedGradients``.

    Args:
        share: how likely each number is put back.
    """

    def perturb(
        inputs: Any, baselines: Any = None, *, generator: torch.Generator | None = None
    ) -> tuple[Any, Any]:
        given = as_tuple(inputs)
        starts = (0,) * len(given) if baselines is None else as_tuple(baselines)
        gone = tuple((_uniform(x, generator) < share).to(x.dtype) for x in given)
        both = tuple(g * (1 + 1j) if g.is_complex() else g for g in gone)  # parts go together
        return both, tuple(x - g * (x - b) for x, g, b in zip(given, gone, starts, strict=True))

    return perturb


def _over(change: Tensor, span: Tensor) -> Tensor:
    """Parts of what lies between input and baseline, where something does."""
    parts, spans = as_real(change), as_real(span)
    found = parts / torch.where(spans != 0, spans, 1)
    return as_complex(found) if change.is_complex() else found


def _normal(x: Tensor, generator: torch.Generator | None) -> Tensor:
    shape = as_real(x).shape
    drawn = torch.randn(shape, generator=generator, device=device_of(generator)).to(as_real(x))
    return as_complex(drawn) if x.is_complex() else drawn


def _uniform(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.rand(x.shape, generator=generator, device=device_of(generator)).to(x.device)


def _infidelity(function: Any, case: Case) -> Tensor:
    return function(
        case.model,
        removal_perturbation(),
        case.inputs,
        case.attributions,
        additional_forward_args=case.additional_forward_args,
        target=case.targets,
        n_perturb_samples=32,
        normalize=True,
        generator=case.generator,
    )


@register("infidelity", better=LOWER, call=_infidelity)
def infidelity(
    forward_func: Callable[..., Any],
    perturb_func: Callable[..., Any],
    inputs: TensorOrTuple,
    attributions: Any,
    baselines: Any = None,
    additional_forward_args: Any = None,
    target: Any = None,
    n_perturb_samples: int = 10,
    max_examples_per_batch: int | None = None,
    normalize: bool = False,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The mean squared difference between what the attributions foretell and what happens (Yeh et al. 2019, arXiv
    1901.09392).

    A perturbation I changes the output by f(x) - f(x - I), and the attributions say I . attributions. 0 is best; a
    linear model with its gradient has it.

    Compared with Captum: f(x) is computed once and not for every batch; ``perturb_func`` is called the same way however
    rows are cut, so ``max_examples_per_batch`` changes no number; and attributions may be a method.

    Args:
        forward_func: the model, or any function, called as ``forward_func(*inputs, *additional_forward_args)``.
        perturb_func: gives perturbations and perturbed inputs, each in the form of the inputs. It is called as
            ``perturb_func(inputs)``, or ``perturb_func(inputs, baselines)`` if there are baselines, with every example
            repeated ``n_perturb_samples`` times, the copies of an example one after the other (fewer at a time where
            that would be more than 16 million numbers). See :func:`gaussian_perturbation`,
            :func:`removal_perturbation` and :func:`infidelity_perturb_func_decorator`.
        inputs: a tensor or tuple of tensors, N examples in dimension 0.
        attributions: as for :func:`~attriscope.metrics.deletion`.
        baselines: as for ``IntegratedGradients``; only handed to ``perturb_func``.
        additional_forward_args: further arguments of ``forward_func``.
        target: which output, as for ``Saliency.attribute``.
        n_perturb_samples: how many perturbations of each example.
        max_examples_per_batch: how many rows go through the model at a time; ``None`` measures and chooses.
        normalize: scale the attributions of each example by the factor that fits best, so that it does not matter.
        generator: handed to ``perturb_func`` as a keyword; ``None`` leaves it to torch's global generator.

    Returns:
        A tensor (N,), in the output's unit squared. N examples give what N calls give, but for random draws.

    Raises:
        InputTypeError, InputError: arguments that cannot be used; perturbations of another shape; a ``generator`` for
            a function that takes none.
        UndefinedMetricError, TargetError, NonFiniteError: attributions or outputs that are not finite; a target that
            does not fit.
    """
    examples = gather_examples(inputs, additional_forward_args).plain
    count = check_count(n_perturb_samples, "n_perturb_samples")
    batch = check_batch(max_examples_per_batch, "max_examples_per_batch")
    maps = attributions_of(attributions, examples, target, parts=True)
    starts = None if baselines is None else resolve_baselines(baselines, examples)
    perturb = _PerturbationPairs(perturb_func, examples, starts, maps, count, check_generator(generator))

    def rows(steps: slice, part: slice) -> tuple[Tensor, ...]:
        lead = int(steps.start == 0)  # step 0 is the inputs
        moved = perturb.rows(max(steps.start - 1, 0), steps.stop - 1, part)
        if not lead:
            return moved
        return tuple(torch.cat([x.to(m.dtype), m]) for x, m in zip(examples.slices(part), moved, strict=True))

    f = outputs_of_rows(forward_func, examples, target, count + 1, rows, batch)
    exact = exact_dtype(f.device)
    changes = (f[:1] - f[1:]).T.to(exact)
    foretold = perturb.foretold.to(f.device, exact)
    if normalize:
        size = foretold.square().sum(1, keepdim=True)
        foretold = foretold * (foretold * changes).sum(1, keepdim=True) / torch.where(size != 0, size, 1)
    return (foretold - changes).square().mean(1).to(f.dtype)


class _PerturbationPairs(PerturbationSamples):
    """Perturbed inputs, and what the attributions say about them.

    Attributes:
        foretold: perturbations times attributions, (N, samples); complete once all samples were drawn.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        examples: Examples,
        baselines: tuple[Tensor, ...] | None,
        maps: tuple[Tensor, ...],
        samples: int,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__(function, examples, samples, generator)
        self._baselines, self._maps = baselines, maps
        exact = exact_dtype(examples.tensors[0].device)
        self.foretold = torch.zeros(examples.count, samples, dtype=exact, device=examples.tensors[0].device)

    def draw(self, first: int, count: int) -> tuple[Tensor, ...]:
        """See :class:`PerturbationSamples`."""
        arguments = [self.repeated(count)]
        if self._baselines is not None:
            own = (b if b.shape[0] == 1 else b.repeat_interleave(count, 0) for b in self._baselines)
            arguments.append(self.formed(tuple(own)))
        found = self.call(*arguments)
        if not isinstance(found, tuple) or len(found) != 2:
            raise InputError(
                f"perturb_func must give a pair, perturbations and perturbed inputs, but gave {describe(found)}; a "
                "function that gives perturbed inputs only wants infidelity_perturb_func_decorator"
            )
        changes, moved = (self.fitting(each, count) for each in found)
        for change, attributions in zip(changes, self._maps, strict=True):
            if not attributions.is_complex():  # of a complex number as a whole
                change = change.real
            apart = as_real(change).reshape(self.examples.count, count, -1)
            total = torch.einsum(
                "nsd,nd->ns", apart, as_real(attributions).reshape(len(attributions), -1).to(apart)
            )
            self.foretold[:, first : first + count] += total.to(self.foretold)
        return moved
