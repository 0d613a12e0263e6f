"""DeepLIFT: what a difference of the inputs contributed to a difference of the output.

The rules themselves are in :mod:`attriscope.attr.rules.deep_lift`, how they get onto the backward pass in
:mod:`attriscope.core.propagation`; :mod:`attriscope.attr.layer.propagation` and :mod:`attriscope.attr.neuron` have the
forms for layers and neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal, overload

import torch
from torch import Tensor

from attriscope.attr._base import GradientAttribution
from attriscope.attr._deep_lift_arguments import CustomAttribution, call_custom, distribution
from attriscope.attr._streaming import streaming
from attriscope.attr._sums import accumulation_dtype, excess, join, sum_per_example, total_dtype
from attriscope.attr.rules.deep_lift import DEEPLIFT
from attriscope.core.arrangement import Places, as_they_were
from attriscope.core.batch_size import check_batch
from attriscope.core.complex_parts import as_complex, as_real, times
from attriscope.core.errors import NonFiniteError
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
from attriscope.core.propagation import Rules, Scheme

MakeResult = Callable[[list[tuple[Tensor, ...]]], Any]


class DeepLift(GradientAttribution):
    """Contributions by the rescale rule (Shrikumar et al. 2017, arXiv 1704.02685).

    A multiplier is passed back instead of the gradient: at every operation, multipliers times the differences of its
    inputs add up to the difference of its output, between the input and the baseline. So the attributions of each
    example add up to ``f(input) - f(baseline)`` up to rounding.

    Compared with Captum: rules belong to operations, not to modules, so functions, methods, in-place forms, modules
    that run twice or follow each other, products, softmax, norms, attention and recurrent nets come out right; what has
    no rule is refused by name. One pass for the baselines and one for the inputs, with one backward pass.

    Args:
        model: the model, or any function, called as ``model(*inputs, *additional_forward_args)``.
        multiply_by_inputs: ``False`` leaves out the factor (input - baseline): multipliers instead of contributions.
        eps: input differences up to this count as none: the gradient is the multiplier there. In the units of the
            inputs, and of inputs below 1 this fraction of them. With the default, in single and half precision any
            difference counts.
        rules: more rules, for this object only; see :mod:`attriscope.attr.rules`.
    """

    rules: ClassVar[Rules] = DEEPLIFT

    def __init__(
        self,
        model: Any,
        multiply_by_inputs: bool = True,
        eps: float = 1e-10,
        rules: dict[Any, Any] | None = None,
    ) -> None:
        super().__init__(model)
        self.model = model
        self.eps = eps
        self._multiply_by_inputs = multiply_by_inputs
        self._more_rules = rules

    @property
    def multiplies_by_inputs(self) -> bool:
        """As chosen at construction."""
        return self._multiply_by_inputs

    def has_convergence_delta(self) -> bool:
        """Yes: the attributions add up to the change of the output."""
        return True

    def _scheme(self) -> Scheme:
        return Scheme(self.rules.extended(self._more_rules), paired=True, eps=self.eps, method="DeepLift")

    def _contributions(
        self, custom: CustomAttribution | None, multipliers: tuple[Tensor, ...], ends: Any, starts: Any
    ) -> tuple[Tensor, ...]:
        if custom is not None:
            return call_custom(custom, multipliers, ends, starts)
        if not self.multiplies_by_inputs:
            return multipliers
        return tuple(times(m, x - b) for m, x, b in zip(multipliers, ends, starts, strict=True))

    @overload
    def attribute(
        self, inputs: SameForm, baselines: Any = ..., target: Any = ..., additional_forward_args: Any = ...,
        return_convergence_delta: Literal[False] = ..., custom_attribution_func: CustomAttribution | None = ...
    ) -> SameForm: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: SameForm, baselines: Any = ..., target: Any = ..., additional_forward_args: Any = ...,
        *, return_convergence_delta: Literal[True], custom_attribution_func: CustomAttribution | None = ...
    ) -> tuple[SameForm, Tensor]: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: SameForm, baselines: Any = ..., target: Any = ..., additional_forward_args: Any = ...,
        return_convergence_delta: bool = ..., custom_attribution_func: CustomAttribution | None = ...
    ) -> Any: ...  # fmt: skip

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
        custom_attribution_func: CustomAttribution | None = None,
    ) -> Iterator[PartialResult[SameForm | tuple[SameForm, Tensor]]]:
        """Compare the inputs with the baselines.

        Args:
            inputs: a tensor or tuple of tensors of floating point type, N examples in dimension 0.
            baselines: ``None`` (zero), a number, a tensor of the input's shape or with a first dimension of 1, or a
                tuple of these, one per input.
            target, additional_forward_args: as for :meth:`Saliency.attribute`.
            return_convergence_delta: also return the sum of the attributions minus ``f(inputs) - f(baselines)``.
            custom_attribution_func: makes attributions of tuples with one entry per input, called as
                ``(multipliers)``, ``(multipliers, inputs)`` or ``(multipliers, inputs, baselines)``; default
                ``multipliers * (inputs - baselines)``.

        Returns:
            Attributions in the shape, type and form of the inputs, detached; with ``return_convergence_delta`` a pair
            with the deltas, of shape (N,).

        Raises:
            OperationError: an operation on the way has no rule, random numbers are drawn (call ``model.eval()``), or
                the model does other operations for the baseline than for the input.
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`IntegratedGradients.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, self.get_name())
        starts = resolve_baselines(baselines, examples)
        yield from compare(
            self, examples, starts, target, custom_attribution_func, lambda found: examples.form(found[0])
        )


def compare(
    method: DeepLift,
    examples: Examples,
    starts: tuple[Tensor, ...],
    target: Any,
    custom: CustomAttribution | None,
    form: MakeResult,
    read: Layers | None = None,
    options: dict[str, Any] | None = None,
) -> Iterator[PartialResult]:
    """The contributions at the inputs, or at layers, of inputs compared with one baseline each.

    Args:
        method: whose model and rules these are.
        starts: the baselines, one per input, of first dimension 1 or N.
        custom: see :meth:`DeepLift.attribute`; called once for each place.
        form: makes the result of what was found at each place.
        read: layers; ``None`` for the inputs.
        options: for ``torch.autograd.grad``.
    """
    evaluator = method._evaluator(
        examples,
        target,
        gradient=True,
        batch=examples.count,
        scheme=method._scheme(),
        read=read,
        options=options,
    )

    def rows(steps: slice, part: slice) -> tuple[Tensor, ...]:
        ends = examples.slices(part)
        pairs = zip(starts, ends, strict=True)
        return (*ends, *(baseline_rows(b, part).expand_as(x) for b, x in pairs))

    parts: list[list[tuple[Tensor, ...]]] = []
    changes, places = [], Places()
    for block in evaluator.run(1, rows):
        places = block.places
        parts.append(_effects(method, custom, block))
        changes.append(_change(block)[0])
    found = [join(column) for column in zip(*parts, strict=True)]
    change = torch.cat(changes)
    yield PartialResult(
        lambda: form(as_they_were(found, places)),
        lambda: deltas(found, change, read),
        evaluations=2 * evaluator.evaluations,
    )


def _effects(method: DeepLift, custom: CustomAttribution | None, block: Block) -> list[tuple[Tensor, ...]]:
    """What each place contributed, in the rows of a block.

    Raises:
        NonFiniteError: a contribution is NaN or infinite though the output is not.
    """
    places = zip(block.gradients, block.values, block.baseline_values, strict=True)
    found = [method._contributions(custom, *place) for place in places]
    finite = custom is not None or all(
        t.is_meta or bool(t.isfinite().all()) for place in found for t in place
    )
    if not finite and bool(_change(block).isfinite().all()):
        raise NonFiniteError(
            f"the contributions are NaN or infinite in {found[0][0].dtype}: the slope of an operation on the way is "
            "beyond what the type can hold, as of 1/x near zero or in float16. Use model.double() or model.float(), or "
            "another baseline"
        )
    return found


def deltas(found: list[tuple[Tensor, ...]], change: Tensor, read: Layers | None) -> Tensor:
    """What was found minus the change of the output: (N,), or (layers, N) for several layers."""
    gaps = [excess(sum_per_example(tensors), change) for tensors in found]
    return gaps[0] if read is None or len(read) == 1 else torch.stack(gaps)


def _change(block: Block) -> Tensor:
    """f(inputs) - f(baselines), of shape (steps, examples)."""
    assert block.f is not None
    assert block.baseline_f is not None
    dtype = accumulation_dtype(block.f.dtype)
    return block.f.to(dtype) - block.baseline_f.to(dtype)


class DeepLiftShap(DeepLift):
    """DeepLIFT averaged over a distribution of baselines (Lundberg & Lee 2017, arXiv 1705.07874).

    The attributions of each example add up to ``f(input)`` minus the mean of ``f`` over the baselines. Pairs of
    examples and baselines go through the model in batches that fit; ``stream`` and ``tolerance`` stop before all
    baselines were used.

    Args:
        model, multiply_by_inputs, eps, rules: as for :class:`DeepLift`.
    """

    @overload  # type: ignore[override]
    def attribute(
        self, inputs: SameForm, baselines: Any, target: Any = ...,
        additional_forward_args: Any = ..., return_convergence_delta: Literal[False] = ...,
        custom_attribution_func: CustomAttribution | None = ..., internal_batch_size: int | None = ...
    ) -> SameForm: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: SameForm, baselines: Any, target: Any = ...,
        additional_forward_args: Any = ..., *, return_convergence_delta: Literal[True],
        custom_attribution_func: CustomAttribution | None = ..., internal_batch_size: int | None = ...
    ) -> tuple[SameForm, Tensor]: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: SameForm, baselines: Any, target: Any = ...,
        additional_forward_args: Any = ..., return_convergence_delta: bool = ...,
        custom_attribution_func: CustomAttribution | None = ..., internal_batch_size: int | None = ...
    ) -> Any: ...  # fmt: skip

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        baselines: Any,
        target: Any = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
        custom_attribution_func: CustomAttribution | None = None,
        internal_batch_size: int | None = None,
    ) -> Iterator[PartialResult[SameForm | tuple[SameForm, Tensor]]]:
        """Compare every input with every baseline.

        Args:
            inputs: a tensor or tuple of tensors of floating point type, N examples in dimension 0.
            baselines: a tensor of M baselines, M > 1, with the shape of the input after dimension 0; a tuple of these,
                one per input; or a function that returns them, called with nothing or with the inputs.
            target, additional_forward_args, return_convergence_delta: as for :meth:`DeepLift.attribute`.
            custom_attribution_func: as for :meth:`DeepLift.attribute`; it sees pairs of example and baseline.
            internal_batch_size: pairs that go through the model at a time; ``None`` (default) measures and chooses.

        Returns:
            Attributions in the shape and form of the inputs, detached; with ``return_convergence_delta`` a pair with
            the deltas, of shape (N * M,): those of the first example and every baseline first.

        Raises:
            InputError, InputTypeError: also for fewer than two baselines.
            OperationError, TargetError, NonFiniteError: as for :meth:`DeepLift.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, self.get_name())
        starts = distribution(baselines, examples, inputs)
        batch = check_batch(internal_batch_size, "internal_batch_size")
        yield from compare_all(
            self,
            examples,
            starts,
            target,
            custom_attribution_func,
            lambda found: examples.form(found[0]),
            batch,
        )


def compare_all(
    method: DeepLift,
    examples: Examples,
    starts: tuple[Tensor, ...],
    target: Any,
    custom: CustomAttribution | None,
    form: MakeResult,
    batch: int | None = None,
    read: Layers | None = None,
    options: dict[str, Any] | None = None,
) -> Iterator[PartialResult]:
    """The same as :func:`compare`, averaged over a distribution of baselines.

    Args:
        starts: M baselines per input.
        batch: pairs that go through the model at a time; ``None`` measures and chooses.
    """
    count, most = examples.count, starts[0].shape[0]
    evaluator = method._evaluator(
        examples, target, gradient=True, batch=batch, scheme=method._scheme(), read=read, options=options
    )

    def rows(steps: slice, part: slice) -> tuple[Tensor, ...]:
        return pairs_of(examples.slices(part), tuple(b[steps] for b in starts))

    sums: list[list[Tensor]] = []
    squares: list[list[Tensor]] = []
    gaps: Tensor | None = None  # (places, baselines, N)
    places = Places()
    done = 0

    def result(found: list[list[Tensor]]) -> Any:
        pairs = (zip(*place, strict=True) for place in zip(found, grids, strict=True))
        return form(as_they_were([tuple(t.to(g.dtype) for t, g in place) for place in pairs], places))

    def mean() -> Any:
        return result([[s / done for s in place] for place in sums])

    def error() -> Any:
        both = (zip(*place, strict=True) for place in zip(sums, squares, strict=True))
        return result([[_standard_error(s, q, done) for s, q in place] for place in both])

    def delta() -> Tensor:
        assert gaps is not None
        found = gaps[:, :done].transpose(1, 2).flatten(1)
        return found[0] if read is None or len(read) == 1 else found

    for block in evaluator.run(most, rows):
        places = block.places
        effects = _effects(method, custom, block)
        change = _change(block)
        grids = [tuple(block.grid(e).to(accumulation_dtype(e.dtype)) for e in place) for place in effects]
        if not sums:
            sums = [
                [g.new_zeros(count, *g.shape[2:], dtype=total_dtype(g, most)) for g in place]
                for place in grids
            ]
            squares = [[torch.zeros_like(s) for s in place] for place in sums]
            gaps = change.new_zeros(len(grids), most, 1 if block.whole_batch else count)
        assert gaps is not None
        for i, place in enumerate(grids):
            found = excess(block.grid(sum_per_example(effects[i])), change)
            gaps[i, block.steps, slice(0, 1) if block.whole_batch else block.examples] = found
            for total, square, grid in zip(sums[i], squares[i], place, strict=True):
                total[block.examples] += grid.sum(0, dtype=total.dtype)
                square[block.examples] += times(grid, grid).sum(0, dtype=total.dtype)
        if block.examples.stop == count:
            done = block.steps.stop
            yield PartialResult(mean, delta, error if done > 1 else None, 2 * evaluator.evaluations)


def _standard_error(total: Tensor, squares: Tensor, count: int) -> Tensor:
    """Of the mean of ``count`` numbers."""
    if total.is_complex():
        return as_complex(_standard_error(as_real(total), as_real(squares), count))
    variance = squares / count - (total / count).square()
    return (variance.clamp(min=0) / max(1, count - 1)).sqrt()


def pairs_of(examples: tuple[Tensor, ...], baselines: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """All pairs of n examples and k baselines, baseline by baseline: k * n rows of each."""
    n, k = examples[0].shape[0], baselines[0].shape[0]
    ends = (x.expand(k, *x.shape).flatten(0, 1) for x in examples)
    starts = (b.unsqueeze(1).expand(k, n, *b.shape[1:]).flatten(0, 1) for b in baselines)
    return (*ends, *starts)
