"""Permutation importance: one feature after another is shuffled between the examples."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.futures import Future

from attriscope.attr._features import Features, resolve_features
from attriscope.attr._random import check_count, check_generator, device_of
from attriscope.attr._streaming import streaming
from attriscope.attr._sums import join
from attriscope.attr.perturbation._runner import OutputShape, Query, estimates, future
from attriscope.attr.perturbation.feature_ablation import (
    DifferencePlan,
    FeatureAblation,
    features_to_ask,
    in_a_row,
    of_all,
    refuse_more,
)
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import Examples, Inputs, SameForm, describe, gather_examples


def permute_feature(x: Tensor, feature_mask: Tensor) -> Tensor:
    """The default ``perm_func``: a random permutation of the examples, never the one that leaves all in place.

    Args:
        x: (N, ...) with N > 1.
        feature_mask: bool, broadcasts against ``x``: what is permuted.
    """
    return _permuted(x, feature_mask, None)


def _permuted(x: Tensor, feature_mask: Tensor, generator: torch.Generator | None) -> Tensor:
    if x.shape[0] < 2:
        raise InputError("cannot permute features with batch_size = 1")
    permutation = _permutations(1, x.shape[0], generator)[0].to(x.device)
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
    """Each step takes one feature of every example from another example.

    Inputs with different first dimensions are shuffled each for itself.
    """

    def __init__(
        self,
        examples: Examples,
        features: Features,
        asked: Sequence[int],
        repeats: int,
        perm_func: Callable[[Tensor, Tensor], Tensor] | None,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__(examples, repeats * len(asked))
        self._features, self._asked, self._repeats = features, asked, repeats
        if examples.uneven and perm_func is None:
            perm_func = functools.partial(_permuted, generator=generator)
        self._perm_func = perm_func
        self._made: tuple[int, tuple[Tensor, ...]] | None = None
        self._permutations = torch.empty(0, device="cpu")
        if perm_func is None:
            # All at once and before the model runs, so that no batch size and no dropout changes them.
            drawn = _permutations(self.steps - 1, examples.count, generator)
            self._permutations = drawn.to(examples.tensors[0].device)

    def rows(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """The inputs of some steps and examples."""
        if self.examples.uneven:
            part = slice(0, None)  # all there is of each input
        inputs = self.examples.slices(part)
        parts = [tuple(x.clone() for x in inputs)] if steps.start == 0 else []
        changes = slice(max(steps.start - 1, 0), steps.stop - 1)
        if self._perm_func is not None:
            parts += [
                tuple(x[part].clone() for x in self._custom(c)) for c in range(changes.start, changes.stop)
            ]
        else:
            parts += [self._shuffled(*run, part) for run in self._runs(changes)]
        return join(parts)

    def _runs(self, changes: slice) -> Iterator[tuple[int, slice]]:
        """The first changes, and the features, of parts of the changes in which features follow on each other."""
        start, count = changes.start, len(self._asked)
        while start < changes.stop:
            stop = min(changes.stop, (start // count + 1) * count)
            first = start - start % count
            for features in in_a_row(self._asked[start - first : stop - first]):
                yield start, features
                start += features.stop - features.start

    def _shuffled(self, first: int, features: slice, part: slice) -> tuple[Tensor, ...]:
        def other(i: int, step: Tensor, example: Tensor, place: Tensor) -> Tensor:
            x = self.examples.tensors[i]
            donor = self._permutations.to(x.device)[first + step, part.start + example]
            return x.reshape(x.shape[0], -1)[donor, place]

        return self._features.replace(features, 0, self.examples.slices(part), part, other)

    def _custom(self, change: int) -> tuple[Tensor, ...]:
        """What the user's function makes; kept, because it may be asked for in parts, and draws anew each time."""
        assert self._perm_func is not None
        if self._made is None or self._made[0] != change:
            made = []
            for i, x in enumerate(self.examples.tensors):
                where = self._features.only(self._asked[change % len(self._asked)], i)
                made.append(x if where is None else self._perm_func(x.clone(), where.to(x.device)))
            self._made = change, tuple(made)
        return self._made[1]

    def _rounds(self) -> Tensor:
        """Effects by round, (rounds, numbers of a step, F); only whole rounds, but at least one."""
        asked = len(self._asked)
        effects = self.effects().unflatten(1, (self._repeats, asked)).transpose(0, 1)
        whole = (self.done - 1) // asked if asked else 1
        return of_all(effects[: max(whole, 1)], self._asked, self._features.count)

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

    Compared with Captum: a feature that reaches over several inputs is shuffled together, not each input for itself,
    unless the inputs have different first dimensions. With the same seed the permutations are Captum's.

    Args:
        forward_func, min_examples_per_batch_grouped: as for :class:`FeatureAblation`; the latter is at least 2.
        perm_func: called as ``perm_func(x, mask)`` with an input (N, ...) and a bool mask that broadcasts against it;
            returns ``x`` with the masked elements permuted between examples.
    """

    _LEAST = 2

    def __init__(
        self,
        forward_func: Callable[..., Any],
        perm_func: Callable[[Tensor, Tensor], Tensor] = permute_feature,
        *,
        min_examples_per_batch_grouped: int | None = None,
    ) -> None:
        super().__init__(forward_func, min_examples_per_batch_grouped=min_examples_per_batch_grouped)
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
        examples = gather_examples(inputs, arguments, uneven=True)
        features = resolve_features(mask, examples)
        rounds, drawn_from = check_count(repeats, "n_repeats"), check_generator(generator)
        alone = examples.count == 1 and not examples.uneven
        if alone:
            warnings.warn(
                "there is one example, which nothing can be permuted with: all attributions are 0",
                stacklevel=4,
            )
        custom = None if self.perm_func is permute_feature else self.perm_func
        query = Query(self, examples, target, batch, shared=features.shared, show_progress=show)
        least = max(2, self.min_examples_per_batch_grouped or 2)
        asked = [] if alone else features_to_ask(features, examples, least)
        return query, _PermutationPlan(examples, features, asked, rounds, custom, drawn_from)
