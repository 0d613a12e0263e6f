"""Permutation importance: one feature after another is shuffled between the examples."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.futures import Future

from attriscope.attr._features import Features, resolve_features
from attriscope.attr._random import check_count, check_generator, device_of
from attriscope.attr._streaming import streaming
from attriscope.attr._sums import join
from attriscope.attr.perturbation._runner import OutputShape, Query, estimates, future
from attriscope.attr.perturbation.feature_ablation import DifferencePlan, FeatureAblation, refuse_more
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import Examples, Inputs, SameForm, describe, gather_examples


def permute_feature(x: Tensor, feature_mask: Tensor) -> Tensor:
    """The default ``perm_func``: a random permutation of the examples, never the one that leaves all in place.

    Args:
        x: (N, ...) with N > 1.
        feature_mask: bool, broadcasts against ``x``: what is permuted.
    """
    if x.shape[0] < 2:
        raise InputError("cannot permute features with batch_size = 1")
    permutation = _permutations(1, x.shape[0], None)[0].to(x.device)
    return torch.where(feature_mask.to(x.device, torch.bool), x[permutation], x)


def _permutations(count: int, length: int, generator: torch.Generator | None) -> Tensor:
    """Random permutations other than the identity, (count, length)."""
    device = device_of(generator)
    identity, drawn = torch.arange(length, device=device), list[Tensor]()
    while len(drawn) < count:
        permutation = torch.randperm(length, generator=generator, device=device)
        if not torch.equal(permutation, identity):
            drawn.append(permutation)
    return torch.stack(drawn) if drawn else identity.new_empty(0, length)


class _PermutationPlan(DifferencePlan):
    """Each step takes one feature of every example from another example."""

    def __init__(
        self,
        examples: Examples,
        features: Features,
        repeats: int,
        perm_func: Callable[[Tensor, Tensor], Tensor] | None,
        generator: torch.Generator | None,
    ) -> None:
        self.possible = examples.count > 1
        super().__init__(examples, repeats * features.count if self.possible else 0)
        self._features, self._repeats, self._perm_func = features, repeats, perm_func
        self._made: tuple[int, tuple[Tensor, ...]] | None = None
        self._permutations = torch.empty(0, device="cpu")
        if perm_func is None and self.possible:
            # All at once and before the model runs, so that no batch size and no dropout changes them.
            drawn = _permutations(self.steps - 1, examples.count, generator)
            self._permutations = drawn.to(examples.tensors[0].device)

    def rows(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """The inputs of some steps and examples."""
        inputs = self.examples.slices(part)
        parts = [tuple(x.clone() for x in inputs)] if steps.start == 0 else []
        changes = slice(max(steps.start - 1, 0), steps.stop - 1)
        if self._perm_func is not None:
            parts += [
                tuple(x[part].clone() for x in self._custom(c)) for c in range(changes.start, changes.stop)
            ]
        else:
            parts += [self._shuffled(run, part) for run in self._runs(changes)]
        return join(parts)

    def _runs(self, changes: slice) -> Iterator[slice]:
        """The changes cut where a new round through the features begins."""
        start = changes.start
        while start < changes.stop:
            stop = min(changes.stop, (start // self._features.count + 1) * self._features.count)
            yield slice(start, stop)
            start = stop

    def _shuffled(self, changes: slice, part: slice) -> tuple[Tensor, ...]:
        def other(i: int, step: Tensor, example: Tensor, place: Tensor) -> Tensor:
            x = self.examples.tensors[i]
            donor = self._permutations.to(x.device)[changes.start + step, part.start + example]
            return x.reshape(x.shape[0], -1)[donor, place]

        first = changes.start % self._features.count
        features = slice(first, first + changes.stop - changes.start)
        return self._features.replace(features, 0, self.examples.slices(part), part, other)

    def _custom(self, change: int) -> tuple[Tensor, ...]:
        """What the user's function makes; kept, because it may be asked for in parts, and draws anew each time."""
        assert self._perm_func is not None
        if self._made is None or self._made[0] != change:
            made = []
            for i, x in enumerate(self.examples.tensors):
                where = self._features.only(change % self._features.count, i)
                made.append(x if where is None else self._perm_func(x.clone(), where.to(x.device)))
            self._made = change, tuple(made)
        return self._made[1]

    def _rounds(self) -> Tensor:
        """Effects by round, (rounds, numbers of a step, F); only whole rounds, but at least one."""
        effects = (
            self.effects()
            if self.possible
            else self._values.new_zeros(self._values.shape[1], self._features.count)
        )
        rounds = effects.reshape(effects.shape[0], -1, max(self._features.count, 1)).transpose(0, 1)
        whole = (self.done - 1) // max(self._features.count, 1) if self.possible else 1
        return rounds[: max(whole, 1)]

    def attributions(self, found: OutputShape) -> tuple[Tensor, ...]:
        """The change that shuffling each feature made."""
        rounds = self._rounds()
        mean = rounds[0] if len(rounds) == 1 else rounds.to(torch.get_default_dtype()).mean(0)
        dtype = self.dtype if len(rounds) == 1 or self.dtype.is_floating_point else mean.dtype
        return tuple(a.to(dtype) for a in self._features.to_elements(mean, self.devices))

    def error(self, found: OutputShape) -> tuple[Tensor, ...] | None:
        """How much the rounds differ; one alone does not tell."""
        rounds = self._rounds().double()
        if len(rounds) < 2:
            return None
        error = rounds.std(0) / len(rounds) ** 0.5
        return self._features.to_elements(error.float(), self.devices)


class FeaturePermutation(FeatureAblation):
    """How much the output falls when a feature is shuffled between the examples of the batch.

    Permutation importance: Fisher et al. 2018 (arXiv 1801.01489). With a ``forward_func`` that returns a loss or an
    accuracy of the whole batch, it tells how much the model relies on each feature. A single example has nothing to be
    shuffled with: its attributions are 0, with a warning.

    Compared with Captum: a feature that reaches over several inputs is shuffled together, not each input for itself.
    With the same seed the permutations are Captum's.

    Args:
        forward_func: as for :class:`FeatureAblation`.
        perm_func: called as ``perm_func(x, mask)`` with an input (N, ...) and a bool mask that broadcasts against it;
            returns ``x`` with the masked elements permuted between examples.
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        perm_func: Callable[[Tensor, Tensor], Tensor] = permute_feature,
    ) -> None:
        super().__init__(forward_func)
        if not callable(perm_func):
            raise InputTypeError(
                f"perm_func must be a function of an input and a mask, but {describe(perm_func)} came"
            )
        self.perm_func = perm_func

    @streaming
    def attribute(  # type: ignore[override]
        self,
        inputs: SameForm,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
        *,
        n_repeats: int = 1,
        generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> Iterator[PartialResult[SameForm]]:
        """Shuffle feature by feature.

        Args:
            inputs, target, additional_forward_args, feature_mask, perturbations_per_eval, show_progress: as for
                :meth:`FeatureAblation.attribute`.
            n_repeats: how many permutations of each feature are averaged; from 2 on, estimates carry a standard error.
            generator: where random numbers come from; ``None`` (default) is torch's global generator.
            **kwargs: ``baselines`` is accepted and not used, as in Captum.

        Returns:
            As :meth:`FeatureAblation.attribute`.

        Raises:
            As :meth:`FeatureAblation.attribute`.
        """
        kwargs.pop("baselines", None)
        refuse_more(self, kwargs)
        yield from estimates(*self._shuffle(
            inputs, target, additional_forward_args, feature_mask, perturbations_per_eval, show_progress, n_repeats,
            generator,
        ))  # fmt: skip

    def attribute_future(  # type: ignore[override]
        self,
        inputs: Inputs,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
        *,
        n_repeats: int = 1,
        generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> Future[Any]:
        """The same for a ``forward_func`` that returns a ``torch.futures.Future``; so does this."""
        kwargs.pop("baselines", None)
        refuse_more(self, kwargs)
        return future(*self._shuffle(
            inputs, target, additional_forward_args, feature_mask, perturbations_per_eval, False, n_repeats, generator
        ))  # fmt: skip

    def _shuffle(
        self,
        inputs: Any,
        target: Any,
        arguments: Any,
        mask: Any,
        batch: Any,
        show: bool,
        repeats: Any,
        generator: Any,
    ) -> tuple[Query, DifferencePlan]:
        examples = gather_examples(inputs, arguments)
        features = resolve_features(mask, examples)
        rounds, drawn_from = check_count(repeats, "n_repeats"), check_generator(generator)
        if examples.count == 1:
            warnings.warn(
                "there is one example, which nothing can be permuted with: all attributions are 0",
                stacklevel=4,
            )
        custom = None if self.perm_func is permute_feature else self.perm_func
        query = Query(self, examples, target, batch, shared=features.shared, show_progress=show)
        return query, _PermutationPlan(examples, features, rounds, custom, drawn_from)
