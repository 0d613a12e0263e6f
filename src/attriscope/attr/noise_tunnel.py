"""Any method, averaged over noisy copies of the inputs: SmoothGrad, its square, and VarGrad.

The noise comes from :mod:`attriscope.attr._random`, means and standard errors from
:mod:`attriscope.attr._running_moments`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from attriscope.attr._base import Attribution, GradientAttribution
from attriscope.attr._random import Draws, Noise, check_count, check_stdevs
from attriscope.attr._repeat import RepeatedArguments, parameters_of
from attriscope.attr._running_moments import FEWEST_SAMPLES, RunningMoments, widened
from attriscope.attr._streaming import streaming
from attriscope.core.batch_size import batch_size, check_batch, synchronize
from attriscope.core.complex_parts import times
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.estimate import PartialResult
from attriscope.core.evaluate import copies_can_share_batches
from attriscope.core.inputs import Examples, Inputs, describe, gather_examples
from attriscope.core.notices import once
from attriscope.core.passes import grad_mode
from attriscope.core.progress import Parts, current

# Methods that are not of this library get about this many input numbers at a time.
_NUMBERS = 1 << 17
# What methods and models raise that are given more rows than they are made for.
_REFUSALS = (AssertionError, IndexError, RuntimeError, TypeError, ValueError)
TYPES = ("smoothgrad", "smoothgrad_sq", "vargrad")


class NoiseTunnel(Attribution):
    """Smooths a method: its attributions for inputs with Gaussian noise, averaged over samples of the noise.

    SmoothGrad, Smilkov et al. 2017 (arXiv 1706.03825); its square, Hooker et al. 2018 (arXiv 1806.10758); VarGrad,
    Adebayo et al. 2018 (arXiv 1810.03307).

    Compared with Captum: any object with ``attribute`` can be smoothed, of any float type; memory is bounded by
    default; variances do not suffer from cancellation; and there is a standard error from four samples on.

    For means of attributions that are not too skewed, 1.96 standard errors cover what infinitely many samples would
    give in about 95 of 100 cases. Squares and variances are skewed themselves, and from few samples come out small
    together with their errors: of normally distributed attributions, about 82 of 100 are covered with 5 samples, 86
    with 10, 90 with 25 and 93 with 60; of exponentially distributed ones 65, 70, 80 and 85.

    Args:
        attribution_method: the method to smooth. It may attribute to inputs, layers or for neurons, and return a
            tensor, or tuples or lists of tensors, whose dimension 0 counts the examples.

    Raises:
        InputTypeError: it has no ``attribute``.
    """

    def __init__(self, attribution_method: Attribution) -> None:
        attribute = getattr(attribution_method, "attribute", None)
        if isinstance(attribution_method, type) or not callable(attribute):
            raise InputTypeError(
                "attribution_method must be an attribution method such as Saliency(model), but "
                f"{describe(attribution_method)} came"
            )
        super().__init__(getattr(attribution_method, "forward_func", attribute))
        self.attribution_method = attribution_method

    @property
    def multiplies_by_inputs(self) -> bool:
        """As the method itself."""
        return bool(getattr(self.attribution_method, "multiplies_by_inputs", False))

    def has_convergence_delta(self) -> bool:
        """As the method itself."""
        asked = getattr(self.attribution_method, "has_convergence_delta", None)
        return bool(asked()) if asked is not None else False

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        nt_type: str = "smoothgrad",
        nt_samples: int = 5,
        nt_samples_batch_size: int | None = None,
        stdevs: float | tuple[float, ...] = 1.0,
        draw_baseline_from_distrib: bool = False,
        *,
        generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> Iterator[PartialResult[Any]]:
        """Average the method's attributions over noisy inputs.

        Args:
            inputs: a tensor or tuple of tensors, N examples in dimension 0.
            nt_type: ``"smoothgrad"``: the mean of the attributions; ``"smoothgrad_sq"``: the mean of their squares;
                ``"vargrad"``: their variance (divided by the number of samples).
            nt_samples: how many noisy copies of each example are explained.
            nt_samples_batch_size: the most samples handed to the method at a time; ``None`` (default) chooses so that
                memory is bounded. It changes no number beyond rounding. A method that is random itself, or whose
                results do not grow with the number of rows, gets one sample at a time.
            stdevs: standard deviation of the noise in the inputs' units; a tuple gives one per input. An input with 0
                is handed on as it is, so that token ids stay integers.
            draw_baseline_from_distrib: ``baselines`` holds M baselines, of which each sample of each example gets one
                (all about as often); by default baselines go with the examples.
            generator: where noise, baselines and the method's own random numbers come from; ``None`` (default) is
                torch's global generator.
            **kwargs: for the method's ``attribute``. What holds one entry per example is repeated for the samples:
                ``target``, ``baselines``, ``feature_mask``, ``layer_baselines``, ``layer_mask`` and tensors among
                ``additional_forward_args`` (there also tensors with a first dimension of 1). The samples of an example
                are consecutive rows.

        Returns:
            What the method returns, smoothed: in form and type (float32 for half precision), detached. With
            ``return_convergence_delta=True``, for methods that know it, a pair with the deltas of all samples, of shape
            (N * nt_samples,), example by example.

        Raises:
            InputTypeError, InputError: for arguments that cannot be used, and whatever the method itself raises.
        """
        given = gather_examples(inputs)
        examples = given.plain
        if given.frame is not None and "baselines" in kwargs:
            kwargs["baselines"] = given.frame.tensor(kwargs["baselines"])
        if nt_type not in TYPES:
            raise InputError(f"nt_type must be one of {', '.join(TYPES)}, but {describe(nt_type)} came")
        samples = check_count(nt_samples, "nt_samples")
        most = check_batch(nt_samples_batch_size, "nt_samples_batch_size")
        deviations = check_stdevs(stdevs, examples)
        draws = Draws(generator)
        run = _MethodCalls(
            self.attribution_method,
            Noise(examples, deviations, samples, draws),
            RepeatedArguments(
                self.attribution_method,
                kwargs,
                examples,
                samples,
                draws if draw_baseline_from_distrib else None,
            ),
            draws,
        )
        per_call = _SamplesPerCall(run, most)
        parts = Parts(samples)
        summary = _Summary(nt_type)
        told: set[type[Warning]] = set()
        done = 0
        while done < samples:
            current().check()
            count = per_call.samples(samples - done)
            try:
                part = parts.part(done, done + count, count * examples.count)
                with part, per_call.measured(count), once(told):
                    found, delta = run.attribute(done, count)
            except torch.cuda.OutOfMemoryError:
                if count == 1:
                    raise
                per_call.limit(count // 2, memory=True)
                continue
            except _REFUSALS:
                # The method's results may not grow with the rows, or the caller is wrong: then one sample alone gives
                # the message that fits, and counts no rows but the caller's.
                if count == 1:
                    raise
                per_call.limit(1)
                continue
            if not _grows(found, examples.count):
                per_call.limit(1)
            summary.add(found, delta)
            done += count
            yield _in_frame(summary.partial_result(parts.rows), given)


@dataclasses.dataclass
class _MethodCalls:
    """Calls the method for some of the samples."""

    method: Any
    noise: Noise
    arguments: RepeatedArguments
    draws: Draws

    def attribute(self, first: int, count: int) -> tuple[Any, Tensor | None]:
        """The method's result for ``count`` samples, in its own form with samples in dimension 1 of each tensor; and
        the deltas, of shape (N, numbers), if it was asked for them."""
        examples = self.noise.examples
        with grad_mode(False):  # ordinary tensors, also under torch.inference_mode
            rows = self.noise.example_by_example(slice(first, first + count))
        if isinstance(self.method, GradientAttribution):
            rows = tuple(r.requires_grad_(r.is_floating_point() or r.is_complex()) for r in rows)
        kwargs = self.arguments.kwargs(first, count)
        if _is_random(self.method):
            kwargs["generator"] = self.draws.stream(-2 - first)
        found = self.method.attribute(examples.form(rows), **kwargs)
        delta = None
        if kwargs.get("return_convergence_delta") and isinstance(found, tuple) and len(found) == 2:
            found, delta = found
            delta = delta.detach().reshape(examples.count, -1)
        leaves, tree = tree_flatten(found)
        return tree_unflatten([self._samples_apart(leaf, count) for leaf in leaves], tree), delta

    def _samples_apart(self, leaf: Any, count: int) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        leaf = leaf.detach()
        if count == 1:
            return leaf.unsqueeze(min(1, leaf.dim()))  # whatever its dimension 0 may count
        n = self.noise.examples.count
        if leaf.dim() == 0 or leaf.shape[0] != n * count:
            raise InputError(f"the method gave {describe(leaf)} for {n * count} rows")
        return leaf.reshape(n, count, *leaf.shape[1:])


class _SamplesPerCall:
    """How many samples the method gets at a time."""

    def __init__(self, run: _MethodCalls, most: int | None) -> None:
        self._arguments = run.arguments
        self._examples = examples = run.noise.examples
        self._method = method = run.method
        # At a layer, dimension 0 need not count the examples, and might happen to be as long as there are rows: the
        # first sample tells.
        self._probing = hasattr(method, "layer")
        self._most = 1 if _is_random(method) else most
        self._can_share: bool | None = None  # whether samples can go to the method together
        batch = None if most is None else most * examples.count
        if most is None and not type(method).__module__.startswith("attriscope."):
            # Others' methods may draw random numbers: no clock may decide how often they are called.
            batch = max(1, _NUMBERS // sum(max(1, t[0].numel()) for t in examples.tensors))
        forward = getattr(method, "forward_func", method)
        self._batch = batch_size(forward, examples, ("NoiseTunnel", type(method)), batch)

    def samples(self, left: int) -> int:
        """How many of the samples that are left to take next."""
        if self._probing:
            self._probing = False
            return 1
        n = self._examples.count
        count = self._batch.rows(left * n, current().batch_seconds) // n
        count = max(1, min(count, left, self._most or left))
        if count > 1 and not self._sharing():
            count = self._most = 1
        while count > 1 and self._arguments.collides(count * n):
            count -= 1
        return count

    def _sharing(self) -> bool:
        """Whether the samples of an example can be rows of one batch: not where rows depend on each other."""
        if self._can_share is None:
            forward = getattr(self._method, "forward_func", None)
            self._can_share = forward is None or copies_can_share_batches(
                forward, self._arguments.with_arguments(self._examples)
            )
        return self._can_share

    def limit(self, most: int, memory: bool = False) -> None:
        """More than this does not work; in later calls neither, if for want of memory."""
        self._most = most
        if memory:
            self._batch.limit(most * self._examples.count)

    @contextlib.contextmanager
    def measured(self, count: int) -> Iterator[None]:
        """The block is the work for so many samples."""
        began = time.perf_counter()
        yield
        if self._batch.measuring or current().batch_seconds is not None:
            synchronize(self._examples.tensors[0].device)
            self._batch.record(count * self._examples.count, time.perf_counter() - began)


class _Summary:
    """What all samples' attributions come to."""

    def __init__(self, nt_type: str) -> None:
        self._type = nt_type
        self._moments: list[Any] = []
        self._tree: Any = None
        self._deltas: list[Tensor] = []

    def add(self, found: Any, delta: Tensor | None) -> None:
        """Take note of some samples, as :meth:`_MethodCalls.attribute` gives them."""
        leaves, tree = tree_flatten(found)
        if self._tree is None:
            self._tree = tree
            order = 4 if self._type == "vargrad" else 2
            self._moments = [RunningMoments(order) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        for moments, leaf in zip(self._moments, leaves, strict=True):
            if isinstance(leaf, Tensor):
                values = widened(leaf)
                moments.add(
                    times(values, values) if self._type == "smoothgrad_sq" else values, min(1, leaf.dim() - 1)
                )
        if delta is not None:
            self._deltas.append(delta)

    def partial_result(self, evaluations: int) -> PartialResult:
        """The estimate so far."""
        count = next((m.count for m in self._moments if isinstance(m, RunningMoments)), 0)
        variance = self._type == "vargrad"
        return PartialResult(
            lambda: self._of_each(RunningMoments.variance if variance else lambda m: m.mean.clone()),
            (lambda: torch.cat(self._deltas, 1).flatten()) if self._deltas else None,
            (
                lambda: self._of_each(
                    RunningMoments.error_of_variance if variance else RunningMoments.error_of_mean
                )
            )
            if count >= FEWEST_SAMPLES
            else None,
            evaluations,
        )

    def _of_each(self, what: Callable[[Any], Tensor]) -> Any:
        return tree_unflatten(
            [what(m) if isinstance(m, RunningMoments) else m for m in self._moments], self._tree
        )


def _in_frame(result: PartialResult, given: Examples) -> PartialResult:
    """The same in the form of a frame, if the inputs are one."""
    frame, error = given.frame, result.error
    if frame is None:
        return result
    return dataclasses.replace(
        result,
        attributions=lambda: frame.form(result.attributions()),
        error=None if error is None else lambda: frame.form(error()),
    )


def _grows(found: Any, examples: int) -> bool:
    """Whether dimension 0 of all results counts the examples."""
    return all(leaf.shape[0] == examples for leaf in tree_flatten(found)[0] if isinstance(leaf, Tensor))


def _is_random(method: Any) -> bool:
    """Whether it draws random numbers from a generator it can be given."""
    return "generator" in parameters_of(method)
