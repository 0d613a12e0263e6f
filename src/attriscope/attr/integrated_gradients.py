"""Integrated gradients: gradients added up along the straight path from a baseline to the input.

The points on the path and their weights are those of :mod:`attriscope.attr.quadrature`. :func:`gradients_along` and
:func:`integrate` also serve the methods of :mod:`attriscope.attr.layer` and :mod:`attriscope.attr.neuron`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, overload

import torch
from torch import Tensor

from attriscope.attr._base import Attribution, GradientAttribution, end_points
from attriscope.attr._completeness import gap_to_tell
from attriscope.attr._streaming import streaming
from attriscope.attr._sums import accumulation_dtype, excess, sum_per_example
from attriscope.attr.quadrature import Quadrature, quadrature
from attriscope.core.batch_size import check_batch
from attriscope.core.complex_parts import times
from attriscope.core.estimate import PartialResult
from attriscope.core.evaluate import Block
from attriscope.core.hooks import Layers
from attriscope.core.inputs import (
    Examples,
    SameForm,
    baseline_rows,
    gather_examples,
    require_floating,
    resolve_baselines,
)
from attriscope.core.subject import Through


def gradients_along(
    method: Attribution,
    examples: Examples,
    baselines: tuple[Tensor, ...],
    target: Any,
    nodes: tuple[float, ...],
    batch: int | None = None,
    read: Layers | None = None,
    options: dict[str, Any] | None = None,
    through: Through | None = None,
) -> Iterator[Block]:
    """Gradients at points on the straight line from baselines to inputs; step i of a block is at ``nodes[i]``."""
    evaluator = method._evaluator(
        examples, target, gradient=True, batch=batch, read=read, options=options, through=through
    )

    def rows(steps: slice, part: slice) -> tuple[Tensor, ...]:
        return tuple(
            points_between(baseline_rows(b, part), x, nodes[steps])
            for b, x in zip(baselines, examples.slices(part), strict=True)
        )

    return evaluator.run(len(nodes), rows)


def points_between(start: Tensor, end: Tensor, positions: tuple[float, ...]) -> Tensor:
    """Points between ``start`` (n or 1, ...) and ``end`` (n, ...): rows (len(positions) * n, ...), step by step."""
    dtype = accumulation_dtype(end.dtype)
    at = torch.tensor(positions, dtype=dtype, device=end.device).reshape(-1, *[1] * end.dim())
    # lerp gives the input at position 1, and the baseline at 0, to the last bit.
    points = torch.lerp(start.to(dtype).expand_as(end).unsqueeze(0), end.to(dtype).unsqueeze(0), at)
    return points.flatten(0, 1).to(end.dtype)


class IntegratedGradients(GradientAttribution):
    """The gradient averaged along the straight line from a baseline to the input.

    Integrated gradients, Sundararajan et al. 2017 (arXiv 1703.01365).

    Multiplied by the difference between input and baseline (default), the attributions of each example add up to
    ``f(input) - f(baseline)``.

    Compared with Captum: the weights of the trapezoidal rule add up to 1, the number of rows per batch is chosen by
    measurement unless ``internal_batch_size`` says otherwise, and results are detached.

    Args:
        forward_func: the model, or any function, called as ``forward_func(*inputs, *additional_forward_args)``.
        multiply_by_inputs: ``False`` leaves out the factor (input - baseline): sensitivities instead of contributions.
    """

    def __init__(self, forward_func: Any, multiply_by_inputs: bool = True) -> None:
        super().__init__(forward_func)
        self._multiply_by_inputs = multiply_by_inputs
        self.grad_kwargs: dict[str, Any] | None = None
        """Keyword arguments for :func:`torch.autograd.grad`."""

    @property
    def multiplies_by_inputs(self) -> bool:
        """As chosen at construction."""
        return self._multiply_by_inputs

    def has_convergence_delta(self) -> bool:
        """Yes: the attributions should add up to the change of the output."""
        return True

    @overload
    def attribute(
        self, inputs: SameForm, baselines: Any = ..., target: Any = ..., additional_forward_args: Any = ...,
        n_steps: int = ..., method: str = ..., internal_batch_size: int | None = ...,
        return_convergence_delta: Literal[False] = ...
    ) -> SameForm: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: SameForm, baselines: Any = ..., target: Any = ..., additional_forward_args: Any = ...,
        n_steps: int = ..., method: str = ..., internal_batch_size: int | None = ..., *,
        return_convergence_delta: Literal[True]
    ) -> tuple[SameForm, Tensor]: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: SameForm, baselines: Any = ..., target: Any = ..., additional_forward_args: Any = ...,
        n_steps: int = ..., method: str = ..., internal_batch_size: int | None = ...,
        return_convergence_delta: bool = ...
    ) -> Any: ...  # fmt: skip

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        n_steps: int = 50,
        method: str = "gausslegendre",
        internal_batch_size: int | None = None,
        return_convergence_delta: bool = False,
    ) -> Iterator[PartialResult[SameForm | tuple[SameForm, Tensor]]]:
        """Integrate the gradient from the baselines to the inputs.

        Args:
            inputs: a tensor or tuple of tensors of floating point type, N examples in dimension 0.
            baselines: where paths start: ``None`` (zero), a number, a tensor of the input's shape or with a first
                dimension of 1, or a tuple of these, one per input.
            target, additional_forward_args: as for :meth:`Saliency.attribute`. A tensor among the arguments with one
                entry per example, or a first dimension of 1, is repeated along the path; others are passed as they are.
            n_steps: how many points on the path are evaluated per example.
            method: ``"gausslegendre"`` (default), ``"riemann_left"``, ``"riemann_right"``, ``"riemann_middle"`` or
                ``"riemann_trapezoid"``.
            internal_batch_size: rows (points times examples) that go through the model at a time; ``None`` measures
                and chooses. It changes no number beyond rounding.
            return_convergence_delta: also return the sum of the attributions minus ``f(inputs) - f(baselines)``.

        Returns:
            Attributions in the shape and form of the inputs (type too, but float32 for half precision), detached;
            with ``return_convergence_delta`` a pair with the deltas, of shape (N,).

        Raises:
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`Saliency.attribute`, and for
                baselines, n_steps, method or internal_batch_size that cannot be used.
        """
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, self.get_name())
        starts = resolve_baselines(baselines, examples)
        rule = quadrature(method, n_steps).spread
        batch = check_batch(internal_batch_size, "internal_batch_size")
        yield from integrate(self, examples, starts, target, rule, batch, self.grad_kwargs)


def integrate(
    method: Attribution,
    examples: Examples,
    starts: tuple[Tensor, ...],
    target: Any,
    rule: Quadrature,
    batch: int | None = None,
    options: dict[str, Any] | None = None,
    through: Through | None = None,
) -> Iterator[PartialResult]:
    """Integrate the gradient at the inputs, or that part of it which goes through some neurons."""
    totals = [torch.zeros_like(x, dtype=accumulation_dtype(x.dtype)) for x in examples.tensors]
    path: list[tuple[slice, slice, Tensor]] = []  # f at the points
    ends: list[tuple[Tensor, Tensor]] = []
    told: list[str | None] = []
    finished: list[tuple[Tensor, ...]] = []  # the last attributions, for the first who asks
    covered = 0.0
    evaluations, most = 0, len(rule.nodes) * examples.count
    effects = method.multiplies_by_inputs

    def times_change(means: Iterable[Tensor]) -> tuple[Tensor, ...]:
        found = []
        for total, x, b in zip(means, examples.tensors, starts, strict=True):
            change = x.detach() - b
            found.append(times(total, change) if change.is_complex() else total * change)
        return tuple(found)

    def means() -> list[Tensor]:
        # While the path is not covered, what is known stands for the rest.
        return totals if evaluations == most else [t / covered for t in totals]

    def attributions() -> Any:
        if finished:
            return examples.form(finished.pop())
        return examples.form(times_change(means()) if effects else tuple(t.clone() for t in means()))

    def exact() -> tuple[Tensor, Tensor]:
        if not ends:
            ends.append(end_points(method, examples, starts, target, batch))
        return ends[0]

    def delta() -> Tensor:
        found = sum_per_example(times_change(means()) if effects else tuple(means()))
        start, end = exact()
        return excess(found, end - start)

    def gap() -> Tensor:
        start, end = exact()
        return excess(sum_per_example(times_change(means())), end - start)

    for block in gradients_along(
        method, examples, starts, target, rule.nodes, batch, options=options, through=through
    ):
        add_weighted(totals, block.gradients[0], block, rule)
        evaluations += block.rows
        if through is None and block.f is not None:
            path.append((block.steps, block.examples, block.f))
        if block.examples.stop == examples.count:  # estimates need all examples equally far
            covered = sum(rule.weights[: block.steps.stop])
            if evaluations == most and effects and through is None:
                finished.append(times_change(totals))
                sums = sum_per_example(finished[0])
                told.append(gap_to_tell(method, examples, rule, sums, _joined(path), exact))
            checked = through is None
            yield PartialResult(
                attributions,
                delta if checked else None,
                evaluations=evaluations,
                gap=gap if checked and not effects else None,
                warning=lambda: told[0] if told else None,
            )


def _joined(path: list[tuple[slice, slice, Tensor]]) -> Tensor:
    """f at all points of the path, (points, N)."""
    if len(path) == 1:
        return path[0][2]
    count = path[-1][2].shape[1] if path[-1][1].start == 0 else path[-1][1].stop
    found = path[0][2].new_empty(path[-1][0].stop, count)
    for steps, part, f in path:
        found[steps, part if count > 1 else slice(0, 1)] = f
    return found


def add_weighted(
    totals: Sequence[Tensor], gradients: Sequence[Tensor], block: Block, rule: Quadrature
) -> None:
    """Add a block's gradients, times the weights of its steps, to the examples' totals."""
    for total, gradient in zip(totals, gradients, strict=True):
        weights = torch.tensor(rule.weights[block.steps], dtype=total.dtype, device=total.device)
        grid = block.grid(gradient).to(total.dtype)
        total[block.examples] += torch.tensordot(weights, grid, dims=1)
