"""Robustness: how much an explanation changes when the input hardly does.

How perturbed inputs are drawn is in ``_perturbation_samples``, which ``fidelity`` shares.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from attriscope.attr._random import check_count, device_of
from attriscope.attr._repeat import RepeatedArguments
from attriscope.attr._sums import accumulation_dtype
from attriscope.core.batch_size import check_batch
from attriscope.core.complex_parts import as_complex, as_real
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.evaluate import copies_can_share_batches
from attriscope.core.inputs import Examples, TensorOrTuple, as_tuple, describe, gather_examples
from attriscope.core.notices import once
from attriscope.core.progress import Parts, current
from attriscope.metrics._arguments import check_number, takes
from attriscope.metrics._explanations import FORMS, as_explainer
from attriscope.metrics._generators import draws_from, restores_generators
from attriscope.metrics._perturbation_samples import PerturbationSamples
from attriscope.metrics.base import LOWER, Case, UndefinedMetricError, refuse_undefined, register

# Explanations that are not of this library get about this many input numbers at a time.
_NUMBERS = 1 << 17


def default_perturb_func(
    inputs: TensorOrTuple, perturb_radius: float = 0.02, *, generator: torch.Generator | None = None
) -> tuple[Tensor, ...]:
    """Inputs with noise that is uniform between ``-perturb_radius`` and ``perturb_radius``.

    Args:
        inputs: a tensor or tuple of tensors.
        perturb_radius: in the inputs' units.
        generator: where random numbers come from; ``None`` is torch's global generator.
    """
    found = []
    for x in as_tuple(inputs):
        # In single precision, so that they are the same numbers for all types.
        numbers = as_real(x)
        drawn = torch.empty(numbers.shape, dtype=torch.float32, device=device_of(generator))
        noise = drawn.uniform_(-perturb_radius, perturb_radius, generator=generator)
        noise = noise.to(x.device, numbers.dtype if numbers.is_floating_point() else noise.dtype)
        found.append(x + (as_complex(noise) if x.is_complex() else noise))
    return tuple(found)


def _on_nearby_inputs(function: Any, case: Case) -> Tensor:
    return function(case.explain, case.inputs, **case.nearby())


@register("sensitivity", better=LOWER, call=_on_nearby_inputs)
@restores_generators
def sensitivity_max(
    explanation_func: Any,
    inputs: TensorOrTuple,
    perturb_func: Callable[..., Any] = default_perturb_func,
    perturb_radius: float = 0.02,
    n_perturb_samples: int = 10,
    norm_ord: str | float = "fro",
    max_examples_per_batch: int | None = None,
    *,
    generator: torch.Generator | None = None,
    **kwargs: Any,
) -> Tensor:
    """The largest change of the explanation among perturbed inputs (Yeh et al. 2019, arXiv 1901.09392).

    The norm of the change divided by the norm of the explanation at x (by 1 where that is 0). 0 is best.

    Compared with Captum: the explanation at x is computed once; perturbations are drawn the same way however rows are
    cut, so ``max_examples_per_batch`` changes no number; explanations may be lists of tensors, as of several layers.

    Args:
        explanation_func: a method such as ``Saliency(model)``, its ``attribute``, a pair of a method and a dict of its
            options, or any function of the inputs whose results count the examples in dimension 0.
        inputs: a tensor or tuple of tensors, N examples in dimension 0.
        perturb_func: gives perturbed inputs. It is called with the inputs, every example repeated
            ``n_perturb_samples`` times, the copies of an example one after the other (fewer at a time where that would
            be more than 16 million numbers); and with ``perturb_radius``, if it takes more than one argument.
        perturb_radius: for ``perturb_func``; the default adds noise that is uniform within this radius.
        n_perturb_samples: how many perturbations of each example.
        norm_ord: ``"fro"`` (the root of the sum of squares), or a number as for :func:`torch.linalg.vector_norm`.
        max_examples_per_batch: the most rows handed to the explanation at a time, in whole samples of all examples;
            ``None`` gives methods of this library, which cut by themselves, all, and others about 131,000 numbers.
        generator: handed as a keyword to ``perturb_func``, and as a stream of its own to an explanation that takes one;
            ``None`` leaves it to torch's global generator.
        **kwargs: for the explanation. What holds one entry per example is repeated for the samples: ``target``,
            ``baselines``, ``feature_mask`` and tensors among ``additional_forward_args``.

    Returns:
        A tensor (N,). N examples give what N calls give, but for random draws.

    Raises:
        InputTypeError, InputError: arguments that cannot be used; perturbations or explanations of another shape.
        UndefinedMetricError: explanations that are NaN or infinite.
    """
    nearby = _NearbyExplanations(explanation_func, inputs, perturb_func, perturb_radius, n_perturb_samples,
                     max_examples_per_batch, generator, kwargs)  # fmt: skip
    return nearby.relative(norm_ord).amax(1)


@register("average sensitivity", better=LOWER, call=_on_nearby_inputs)
@restores_generators
def sensitivity_average(
    explanation_func: Any,
    inputs: TensorOrTuple,
    perturb_func: Callable[..., Any] = default_perturb_func,
    perturb_radius: float = 0.02,
    n_perturb_samples: int = 10,
    norm_ord: str | float = "fro",
    max_examples_per_batch: int | None = None,
    *,
    generator: torch.Generator | None = None,
    **kwargs: Any,
) -> Tensor:
    """The mean change of the explanation among perturbed inputs: :func:`sensitivity_max` with the mean for the maximum.

    Args:
        as for :func:`sensitivity_max`.

    Returns:
        A tensor (N,). 0 is best.
    """
    nearby = _NearbyExplanations(explanation_func, inputs, perturb_func, perturb_radius, n_perturb_samples,
                     max_examples_per_batch, generator, kwargs)  # fmt: skip
    return nearby.relative(norm_ord).mean(1)


@register("local Lipschitz", better=LOWER, call=_on_nearby_inputs)
@restores_generators
def local_lipschitz(
    explanation_func: Any,
    inputs: TensorOrTuple,
    perturb_func: Callable[..., Any] = default_perturb_func,
    perturb_radius: float = 0.02,
    n_perturb_samples: int = 10,
    max_examples_per_batch: int | None = None,
    *,
    generator: torch.Generator | None = None,
    **kwargs: Any,
) -> Tensor:
    """The largest change of the explanation per change of the input that was found (Alvarez-Melis and Jaakkola 2018,
    arXiv 1806.08049).

    The distance between explanations divided by that between inputs, both Euclidean; an estimate from below of the
    local Lipschitz constant.

    Args:
        as for :func:`sensitivity_max`, without ``norm_ord``.

    Returns:
        A tensor (N,), in units of the attributions per unit of the inputs. 0 is best.

    Raises:
        as :func:`sensitivity_max`; UndefinedMetricError also if ``perturb_func`` moves no input at all.
    """
    nearby = _NearbyExplanations(explanation_func, inputs, perturb_func, perturb_radius, n_perturb_samples,
                     max_examples_per_batch, generator, kwargs)  # fmt: skip
    return nearby.lipschitz()


class _PerturbedInputs(PerturbationSamples):
    """What ``perturb_func`` makes of the inputs."""

    def __init__(
        self,
        function: Callable[..., Any],
        radius: float,
        examples: Examples,
        samples: int,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__(function, examples, samples, generator)
        self._arguments = (radius,) if _positional(function) > 1 else ()

    def draw(self, first: int, count: int) -> tuple[Tensor, ...]:
        """See :class:`PerturbationSamples`."""
        return self.fitting(self.call(self.repeated(count), *self._arguments), count)


def _positional(function: Callable[..., Any]) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds for p in parameters)


class _NearbyExplanations:
    """The explanation at the inputs, once, and at perturbed inputs."""

    def __init__(
        self,
        explanation: Any,
        inputs: Any,
        perturb_func: Any,
        radius: Any,
        samples: Any,
        most: Any,
        generator: torch.Generator | None,
        kwargs: dict[str, Any],
    ) -> None:
        self._examples = examples = gather_examples(inputs).plain
        self._samples = check_count(samples, "n_perturb_samples")
        limit = check_batch(most, "max_examples_per_batch")
        radius = check_number(radius, "perturb_radius", 0)
        explainer = as_explainer(explanation)
        if explainer is None:
            raise InputTypeError(
                f"this metric explains perturbed inputs, so it needs a method or function and no attributions: "
                f"{describe(explanation)} came. An explanation is {FORMS}"
            )
        self._function = explainer.function
        method = explainer.method or types.SimpleNamespace(attribute=explainer.function)
        kwargs = {**explainer.options, **kwargs}
        self._expansion = RepeatedArguments(method, kwargs, examples, self._samples)
        self._kwargs = kwargs
        self._perturbed = _PerturbedInputs(perturb_func, radius, examples, self._samples, generator)
        # A method that draws gets numbers of its own, so that perturb_func's do not depend on how it is called.
        self._draws = None
        if generator is not None and "generator" not in kwargs and takes(explainer.function, "generator"):
            self._draws = draws_from(generator)
        self._each = self._chunk(limit, type(method).__module__.startswith("attriscope."))
        forward = getattr(explainer.method, "forward_func", None)
        if self._each > 1 and forward is not None:
            own = self._expansion.with_arguments(examples)
            self._each = self._each if copies_can_share_batches(forward, own) else 1
        self._parts = Parts(self._samples + 1)
        self._told: set[type[Warning]] = set()

    def _chunk(self, limit: int | None, ours: bool) -> int:
        """How many samples the explanation gets at a time."""
        n = self._examples.count
        if limit is None and not ours:
            limit = _NUMBERS // sum(max(1, x[0].numel()) for x in self._examples.tensors)
        count = self._samples if limit is None else min(self._samples, max(1, limit // n))
        while count > 1 and self._expansion.collides(count * n):
            count -= 1
        return count

    def _explained(self, rows: tuple[Tensor, ...], kwargs: dict[str, Any], start: int, stop: int) -> Tensor:
        """All attributions of each row, (rows, D)."""
        if self._draws is not None:
            kwargs = {**kwargs, "generator": self._draws.stream(start)}
        with self._parts.part(start, stop, len(rows[0])), once(self._told):
            found = self._function(self._examples.form(rows), **kwargs)
        leaves = [leaf for leaf in tree_flatten(found)[0] if isinstance(leaf, Tensor)]
        if not leaves or any(leaf.dim() == 0 or leaf.shape[0] != len(rows[0]) for leaf in leaves):
            raise InputError(
                f"explanation_func must give tensors with one entry per row in dimension 0, but gave "
                f"{describe(found)} for {len(rows[0])} rows"
            )
        flat = [as_real(leaf.detach()).reshape(leaf.shape[0], -1).to(leaves[0].device) for leaf in leaves]
        joined = flat[0] if len(flat) == 1 else torch.cat(flat, 1)
        real = joined.dtype if joined.is_floating_point() else torch.get_default_dtype()
        joined = joined.to(accumulation_dtype(real))
        if not joined.is_meta and not bool(torch.isfinite(joined).all()):
            raise UndefinedMetricError("explanation_func gave attributions that are NaN or infinite")
        return joined

    def _pairs(self) -> Iterator[tuple[slice, tuple[Tensor, ...], Tensor]]:
        """Of some samples each: which, the perturbed inputs (N, samples, ...) and attributions (N, samples, D)."""
        n = self._examples.count
        for first in range(0, self._samples, self._each):
            current().check()
            last = min(first + self._each, self._samples)
            moved = self._perturbed.samples_of(first, last)
            # Example by example, as what belongs to examples is repeated.
            rows = tuple(t.flatten(0, 1) for t in moved)
            found = self._explained(rows, self._expansion.kwargs(first, last - first), first + 1, last + 1)
            yield slice(first, last), moved, found.reshape(n, last - first, -1)

    def lipschitz(self) -> Tensor:
        """The largest change of the explanation per change of the inputs, (N,)."""
        gaps: list[Tensor] = []

        def note(moved: tuple[Tensor, ...]) -> None:
            lengths = [
                _length(new - x[:, None], 2.0) for new, x in zip(moved, self._examples.tensors, strict=True)
            ]
            gaps.append(torch.stack([g.to(lengths[0]) for g in lengths]).norm(dim=0))

        changes = self._compared(2.0, note)[0]
        distance = torch.cat(gaps, 1).to(changes)
        refuse_undefined((distance == 0).all(1), "perturb_func did not move the input")
        return torch.where(distance > 0, changes / torch.where(distance > 0, distance, 1), 0).amax(1)

    def relative(self, norm_ord: Any) -> Tensor:
        """The same in parts of the norm of the explanation at the inputs."""
        changes, size = self._compared(_order(norm_ord))
        return changes / torch.where(size == 0, 1, size)[:, None]

    def _compared(
        self, order: float, note: Callable[[tuple[Tensor, ...]], None] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The norm of the change of the explanation for every sample, (N, samples), and of the explanation, (N,)."""
        rows = tuple(x.detach() for x in self._examples.tensors)
        before = self._explained(rows, self._kwargs, 0, 1)
        found = before.new_empty(self._examples.count, self._samples)
        for samples, moved, after in self._pairs():
            if after.shape[2] != before.shape[1]:
                raise InputError(
                    "explanation_func gives other shapes for perturbed inputs than for the inputs"
                )
            found[:, samples] = _length(after - before[:, None], order)
            if note is not None:
                note(moved)
        return found, torch.linalg.vector_norm(before, ord=order, dim=1)


def _length(rows: Tensor, order: float) -> Tensor:
    """The norm of each of the rows (N, samples, ...), in single precision at least."""
    values = as_real(rows).reshape(*rows.shape[:2], -1)
    dtype = values.dtype if values.is_floating_point() else torch.get_default_dtype()
    return torch.linalg.vector_norm(values, ord=order, dim=2, dtype=accumulation_dtype(dtype))


def _order(norm_ord: Any) -> float:
    if norm_ord == "fro":
        return 2.0
    if isinstance(norm_ord, str) or not isinstance(norm_ord, int | float):
        raise InputError(
            f"norm_ord must be 'fro' or a number, but {describe(norm_ord)} came; explanations are compared as vectors, "
            "which have no nuclear norm"
        )
    return float(norm_ord)
