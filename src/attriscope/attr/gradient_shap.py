"""Gradients at random points between inputs and baselines drawn from a distribution.

Where the points are is said in :mod:`attriscope.attr._random_paths`. :func:`expected_gradients` also serves
:mod:`attriscope.attr.layer.gradient_shap`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, overload

import torch
from torch import Tensor

from attriscope.attr._base import Attribution, GradientAttribution
from attriscope.attr._random import Draws, check_count, check_stdevs
from attriscope.attr._random_paths import PathMean, RandomPaths
from attriscope.attr._streaming import streaming
from attriscope.attr._sums import accumulation_dtype, excess, join
from attriscope.core.arrangement import Places, as_they_were
from attriscope.core.complex_parts import added, times
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.estimate import PartialResult
from attriscope.core.evaluate import Block, Evaluator
from attriscope.core.hooks import Layers
from attriscope.core.inputs import (
    Examples,
    SameForm,
    describe,
    gather_examples,
    held_as,
    require_floating,
)
from attriscope.core.subject import Subject

MakeResult = Callable[[list[tuple[Tensor, ...]]], Any]


class GradientShap(GradientAttribution):
    """Expected gradients: the gradient between a random baseline and the input, times their difference, averaged.

    Lundberg and Lee 2017 (arXiv 1705.07874), Erion et al. 2019 (arXiv 1906.10670). It is integrated gradients averaged
    over baselines; with enough samples, the attributions of each example add up to ``f(input)`` minus the mean of f
    over the baselines.

    Compared with Captum: baselines are drawn evenly, and the samples' positions spread evenly over the path, or over
    each baseline's path as soon as it gets two, which makes them many times more accurate; random numbers come from
    torch's generator only; memory is bounded; and there is a standard error.

    Args:
        forward_func: the model, or any function, called as ``forward_func(*inputs, *additional_forward_args)``.
        multiply_by_inputs: ``False`` leaves out the factor (input - baseline): sensitivities instead of contributions.
    """

    def __init__(self, forward_func: Any, multiply_by_inputs: bool = True) -> None:
        super().__init__(forward_func)
        self._multiply_by_inputs = multiply_by_inputs

    @property
    def multiplies_by_inputs(self) -> bool:
        """As chosen at construction."""
        return self._multiply_by_inputs

    def has_convergence_delta(self) -> bool:
        """Yes: each sample's attributions should add up to the change of the output, if the model were linear."""
        return True

    @overload
    def attribute(
        self, inputs: SameForm, baselines: Any, n_samples: int = ..., stdevs: float | tuple[float, ...] = ...,
        target: Any = ..., additional_forward_args: Any = ..., return_convergence_delta: Literal[False] = ...,
        *, generator: torch.Generator | None = ...
    ) -> SameForm: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: SameForm, baselines: Any, n_samples: int = ..., stdevs: float | tuple[float, ...] = ...,
        target: Any = ..., additional_forward_args: Any = ..., *, return_convergence_delta: Literal[True],
        generator: torch.Generator | None = ...
    ) -> tuple[SameForm, Tensor]: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: SameForm, baselines: Any, n_samples: int = ..., stdevs: float | tuple[float, ...] = ...,
        target: Any = ..., additional_forward_args: Any = ..., return_convergence_delta: bool = ...,
        *, generator: torch.Generator | None = ...
    ) -> Any: ...  # fmt: skip

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        baselines: Any,
        n_samples: int = 5,
        stdevs: float | tuple[float, ...] = 0.0,
        target: Any = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
        *,
        generator: torch.Generator | None = None,
    ) -> Iterator[PartialResult[SameForm | tuple[SameForm, Tensor]]]:
        """Average gradients between inputs and baselines.

        Args:
            inputs: a tensor or tuple of tensors of floating point type, N examples in dimension 0.
            baselines: the distribution to compare with: a tensor of shape (M, *shape of one example), a tuple with one
                per input, or a function of the inputs, or of nothing, that returns these. If all tensors of a tuple
                have the same M, an entry of one goes with the same entry of the others.
            n_samples: how many random points are evaluated per example.
            stdevs: standard deviation of Gaussian noise added to the inputs, in the inputs' units; a tuple gives one
                per input.
            target, additional_forward_args: as for :meth:`Saliency.attribute`. A tensor among the arguments with one
                entry per example, or a first dimension of 1, is repeated for the samples.
            return_convergence_delta: also return for each sample the sum of its attributions minus the difference of
                f at the two ends of its path.
            generator: where random numbers come from; ``None`` (default) is torch's global generator.

        Returns:
            Attributions in the shape and form of the inputs (type too, but float32 for half precision), detached;
            with ``return_convergence_delta`` a pair with the deltas, of shape (N * n_samples,), example by example.

        Raises:
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`Saliency.attribute`, and for
                baselines, n_samples, stdevs or generator that cannot be used.
        """
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, self.get_name())
        distribution = distribution_of(baselines, inputs, examples)
        samples = check_count(n_samples, "n_samples")
        deviations = check_stdevs(stdevs, examples)
        paths = RandomPaths(examples, distribution, samples, deviations, Draws(generator))
        yield from expected_gradients(
            self, paths, target, lambda found: examples.form(found[0]), return_convergence_delta
        )


def expected_gradients(
    method: Attribution,
    paths: RandomPaths,
    target: Any,
    form: MakeResult,
    with_delta: bool,
    read: Layers | None = None,
) -> Iterator[PartialResult]:
    """Gradients at the samples of some paths, times what changes along each.

    Args:
        method: whose model is run, and whether differences are factors (``multiplies_by_inputs``).
        form: makes the result of what was found at each place.
        with_delta: keep what deltas need.
        read: layers; ``None`` for the inputs.
    """
    examples = paths.examples
    evaluator = method._evaluator(examples, target, gradient=True, read=read)
    differences = _AtInputs(paths) if read is None else _AtLayers(method, paths, read, evaluator)
    spread: list[list[PathMean]] = []
    sums: list[Tensor] = []  # per place, of each sample's attributions, (samples, N)
    ends: list[Tensor] = []
    done = 0

    def of_each(what: Callable[[PathMean], Tensor]) -> Any:
        return form(as_they_were([tuple(what(one) for one in place) for place in spread], differences.places))

    def delta() -> Tensor:
        if not ends:
            ends.append(_rises(method, paths, target, each_alone=not evaluator.together))
        found = torch.stack([excess(s, ends[0][:done]).T.flatten() for s in sums])
        return found[0] if read is None or len(read) == 1 else found

    for steps, places in _whole_steps(evaluator.run(paths.samples, paths.rows), examples.count, differences):
        spread = spread or [[PathMean(paths.weights, paths.run) for _ in place] for place in places]
        for i, place in enumerate(places):
            effects = [times(g, d) if method.multiplies_by_inputs else g for g, d in place]
            for one, effect in zip(spread[i], effects, strict=True):
                one.add(effect)
            if with_delta:
                whole = map(added, effects)
                found = torch.stack([e.flatten(2).sum(2) if e.dim() > 2 else e for e in whole]).sum(0)
                sums[i : i + 1] = [torch.cat([sums[i].to(found), found]) if done else found]
        done = steps.stop
        yield PartialResult(
            lambda: of_each(PathMean.mean),
            delta if with_delta else None,
            (lambda: of_each(PathMean.error)) if done >= paths.run else None,
            evaluator.evaluations + differences.evaluations,
        )


def _rises(method: Attribution, paths: RandomPaths, target: Any, each_alone: bool) -> Tensor:
    """f at the end minus f at the start of each sample's path, of shape (samples, N), or (samples, 1).

    Args:
        each_alone: f of a baseline is the same whatever stands beside it.
    """

    def values(steps: int, rows: Callable[[slice, slice], tuple[Tensor, ...]]) -> Tensor:
        evaluator = method._evaluator(paths.examples, target, gradient=False)
        blocks = evaluator.run(steps, _flat(rows))  # in order, so that they can be joined
        found = [b.f.flatten() for b in blocks if b.f is not None]
        return torch.cat(found).reshape(steps, -1)

    ends = values(paths.samples if paths.noisy else 1, paths.ends)
    if paths.few and each_alone:  # each baseline once
        return ends - values(*paths.few).gather(0, paths.choices[0].to(ends.device))
    return ends - values(paths.samples, paths.starts)


class _AtInputs:
    """What changes along the paths of a block, at the inputs."""

    evaluations = 0
    """How many more rows that takes."""
    places: Places = ()
    """Where layers have the rows."""

    def __init__(self, paths: RandomPaths) -> None:
        self._paths = paths

    def __call__(self, block: Block) -> list[tuple[Tensor, ...]]:
        return [self._paths.differences(block.steps, block.examples)]


class _AtLayers:
    """The same at layers: what they hold at the end minus what they hold at the start of each path.

    That takes two more rows for each sample; where ends have no noise, or baselines are few, they are looked up once.
    """

    def __init__(self, method: Attribution, paths: RandomPaths, read: Layers, gradients: Evaluator) -> None:
        self._paths = paths
        self._gradients = gradients
        self._evaluator = Evaluator(Subject(method.forward_func, None, read), paths.examples, gradient=False)
        self._ends: list[tuple[Tensor, ...]] | None = None
        self._starts: list[tuple[Tensor, ...]] | None = None
        self.evaluations = 0
        self.places: Places = ()

    def _values(
        self, steps: slice, part: slice, rows: Callable[[slice, slice], tuple[Tensor, ...]]
    ) -> list[tuple[Tensor, ...]]:
        """What the layers hold for the rows of some steps and examples, (steps, examples, ...)."""
        made = tuple(r.flatten(0, 1).clone() for r in rows(steps, part))
        examples = self._paths.examples
        count = steps.stop - steps.start
        found = self._evaluator.subject.run(
            made, examples.forward_arguments(count, part), count, part, gradient=False
        )
        self.evaluations += made[0].shape[0]
        return [
            tuple(
                v.reshape(count, -1, *v.shape[1:]) for v in layer if v.is_floating_point() or v.is_complex()
            )
            for layer in found.values
        ]

    def __call__(self, block: Block) -> list[tuple[Tensor, ...]]:
        paths, self.places = self._paths, block.places
        if paths.noisy:
            ends = self._values(block.steps, block.examples, paths.ends)
        else:
            if self._ends is None:
                self._ends = self._values(slice(0, 1), slice(0, paths.examples.count), paths.ends)
            ends = [tuple(v[:, block.examples] for v in layer) for layer in self._ends]
        starts = self._at_starts(block)
        return [
            tuple(
                e.to(accumulation_dtype(e.dtype)) - s.to(accumulation_dtype(s.dtype))
                for e, s in zip(*pair, strict=True)
            )
            for pair in zip(ends, starts, strict=True)
        ]

    def _at_starts(self, block: Block) -> list[tuple[Tensor, ...]]:
        paths = self._paths
        # A baseline's values could depend on the example by way of further forward arguments.
        if paths.few is None or paths.examples.arguments or self._gradients.together:
            return self._values(block.steps, block.examples, paths.starts)
        if self._starts is None:
            count, rows = paths.few
            self._starts = self._values(slice(0, count), slice(0, 1), rows)
        chosen = paths.choices[0][block.steps, block.examples]
        return [tuple(v[chosen.to(v.device), 0] for v in layer) for layer in self._starts]


def _whole_steps(
    blocks: Iterable[Block], count: int, differences: Callable[[Block], list[tuple[Tensor, ...]]]
) -> Iterator[tuple[slice, list[list[tuple[Tensor, Tensor]]]]]:
    """Per place and tensor, gradients and differences of all examples, (steps, N, ...), where steps were cut."""
    parts: list[tuple[Tensor, ...]] = []
    for block in blocks:
        changes = differences(block)
        sizes = [len(place) for place in changes]
        pairs = [
            (block.grid(g), d)
            for gradients, place in zip(block.gradients, changes, strict=True)
            for g, d in zip(gradients, place, strict=True)
        ]
        # The examples in dimension 0, so that parts can be joined.
        parts.append(tuple(t.transpose(0, 1) for g, d in pairs for t in (g.to(d.dtype), d)))
        if block.examples.stop < count:
            continue
        flat = [t.transpose(0, 1) for t in join(parts)]
        parts = []
        both = iter(zip(flat[::2], flat[1::2], strict=True))
        yield block.steps, [[next(both) for _ in range(size)] for size in sizes]


def _flat(rows: Callable[[slice, slice], tuple[Tensor, ...]]) -> Callable[[slice, slice], tuple[Tensor, ...]]:
    """Rows with steps and examples in one dimension; copies, for the model."""
    return lambda steps, part: tuple(r.flatten(0, 1).clone() for r in rows(steps, part))


def distribution_of(baselines: Any, inputs: Any, examples: Examples) -> tuple[Tensor, ...]:
    """The baselines' distribution, one tensor (M, ...) per input.

    Raises:
        InputTypeError, InputError: it is no distribution for these inputs.
    """
    given = baselines
    if callable(baselines) and not isinstance(baselines, Tensor):
        given = baselines() if _takes_nothing(baselines) else baselines(inputs)
    tensors = examples.per_input(given)
    if len(tensors) != len(examples.tensors):
        raise InputError(
            f"there must be one distribution of baselines per input, but {len(tensors)} came for "
            f"{len(examples.tensors)} input(s): {describe(given)}"
        )
    found = []
    for i, (b, x) in enumerate(zip(tensors, examples.tensors, strict=True)):
        shape = tuple(x.shape[1:])
        wanted = f"a tensor of shape (M, {', '.join(map(str, shape))})" if shape else "a tensor of shape (M,)"
        if not isinstance(b, Tensor):
            raise InputTypeError(
                f"the baselines of input {i} must be a distribution, {wanted}, but {describe(b)} of type "
                f"{type(b).__name__} came"
            )
        if b.dim() == 0 or len(b) == 0 or tuple(b.shape[1:]) != shape:
            raise InputError(f"the baselines of input {i} must be {wanted}, but {describe(b)} came")
        if b.device != x.device:
            raise InputError(
                f"the baselines of input {i} are on {b.device} and the input on {x.device}; "
                f"move them with baselines.to({str(x.device)!r})"
            )
        found.append(held_as(b, x, i))
    return tuple(found)


def _takes_nothing(function: Callable[..., Any]) -> bool:
    try:
        return not inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
