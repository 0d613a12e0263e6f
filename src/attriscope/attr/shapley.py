"""Shapley values: a feature's effect averaged over all orders in which features can be added to the baseline."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.futures import Future

from attriscope.attr._answers import Plan, Question, estimates, future
from attriscope.attr._base import PerturbationAttribution, streams
from attriscope.attr._features import Features, exact_dtype, resolve_features
from attriscope.attr._games import Enumeration, Game
from attriscope.attr._moments import Moments
from attriscope.attr._random import check_count, check_generator
from attriscope.core.errors import InputError
from attriscope.core.estimate import Draft
from attriscope.core.inputs import Examples, TensorOrTuple, gather_examples, resolve_baselines

_MOST_FEATURES = 24  # for enumeration: 16 million rows per example
_MANY_FEATURES = 16  # from here on the user is asked whether that was meant


class _Permutations(Game):
    """Features are added to the baselines in random orders.

    Every feature comes at every place equally often, and every second order is the one before it reversed: what a
    feature does early and what it does late then come in equal parts. That is given up where it shows that both say the
    same, as they do if the model is an odd function between baselines and inputs.

    The first steps are the inputs, the baselines, and a few complements of coalitions of the first order, which show
    that. Then each order needs the F - 1 coalitions between none and all.
    """

    ready = False
    _TESTS = 4  # complements; with them no more rows are run than Captum runs
    _TRIED = 4  # pairs after which it is looked again whether pairs pay

    def __init__(
        self,
        examples: Examples,
        baselines: tuple[Tensor, ...],
        features: Features,
        samples: int,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__(examples, baselines, features)
        count = features.count
        self._drawn = even_orders(count, samples, generator).to(self.device)
        both = torch.stack([self._drawn, self._drawn.flip(1)], 1)
        self._orders = both[: -(-samples // 2)].flatten(0, 1)[:samples]
        self._between = max(count - 1, 0)
        tests = min(self._TESTS, samples - 1, self._between)
        self._sizes = [
            (i + 1) * count // (tests + 1) for i in range(tests)
        ]  # of the coalitions that are turned
        self._head = 2 + tests
        self.steps = self._head + samples * self._between
        looks = (self._between, 2 * self._TRIED * self._between)
        self.checkpoints = tuple(
            self._head + look for look in looks if tests and 0 < look < samples * self._between
        )
        self._first_answers: list[Tensor] = []
        self._pieces: list[Tensor] = []  # answers of an order that is not complete
        self._taken = 0
        self._paired = True
        self._odd_one: Tensor | None = None  # the effects of a pair's first order
        self._chain = torch.empty(0)  # the outputs along the first order
        self._tried: list[Tensor] = []  # both orders' effects, (2, F, numbers of a step)
        self._total: Tensor | None = None
        self._moments = Moments()  # of what is independent: pairs, or orders without a partner

    def coalitions(self, steps: slice) -> Tensor:
        """All, none, the complements, and then the first 1 .. F - 1 features of each order."""
        count, between = self.features.count, max(self._between, 1)
        lengths = torch.tensor([count, 0, *(count - k for k in self._sizes)], device=self.device)
        heads = self._orders[:1].flip(1).expand(len(lengths), -1)
        step = torch.arange(
            max(steps.start - self._head, 0), max(steps.stop - self._head, 0), device=self.device
        )
        length = torch.cat([lengths[steps], step % between + 1])
        order = torch.cat([heads[steps], self._orders[step // between]])
        added = torch.arange(count, device=self.device) < length[:, None]
        return torch.empty_like(added).scatter_(1, order, added)

    def take(self, steps: slice, values: Tensor) -> None:
        """Turn the answers of each complete order into effects of the features."""
        values = values.to(exact_dtype(values.device))
        head = max(self._head - steps.start, 0)
        self._first_answers += list(values[:head])
        if self._between == 0:  # one feature, so one order
            if steps.stop == 2:
                self._total, self._taken = (self._first_answers[0] - self._first_answers[1])[None], 1
                self.ready = True
            return
        held = torch.cat([*self._pieces, values[head:]])
        whole = len(held) // self._between
        if whole:
            self._add(held[: whole * self._between].unflatten(0, (whole, self._between)))
        self._pieces = [held[whole * self._between :]]

    def _add(self, between: Tensor) -> None:
        """The answers along some orders, (orders, F - 1, numbers of a step)."""
        inputs, baselines = (end.expand(len(between), 1, -1) for end in self._first_answers[:2])
        chains = torch.cat([baselines, between, inputs], 1)
        if self._taken == 0:
            self._chain = chains[0]
        changes = chains.diff(dim=1)
        orders = self._orders[self._taken : self._taken + len(between)].to(changes.device)
        effects = torch.empty_like(changes).scatter_(1, orders.unsqueeze(2).expand_as(changes), changes)
        total = effects.sum(0)
        self._total = total if self._total is None else self._total + total
        self._taken += len(between)
        self.ready = True
        if not self._paired:
            self._moments.add(effects)
            return
        if self._odd_one is not None:
            effects = torch.cat([self._odd_one[None], effects])
        self._odd_one = effects[-1] if len(effects) % 2 else None
        pairs = effects[: len(effects) // 2 * 2].unflatten(0, (-1, 2))
        if len(pairs):
            self._moments.add(pairs.mean(1))
            self._tried += list(pairs[: self._TRIED - len(self._tried)])

    def adapt(self) -> None:
        """Look whether a reversed order would say the same as the order itself, or err alike; then do without."""
        if self._paired and (self._odd() if self._taken == 1 else self._alike()):
            self._paired = False
            if self._odd_one is not None:
                self._moments.add(self._odd_one[None])
            used = -(-self._taken // 2)
            self._orders[self._taken :] = self._drawn[used : used + len(self._orders) - self._taken]

    def _odd(self) -> bool:
        """Whether coalitions and their complements always have the same sum, up to rounding."""
        turned, chain = torch.stack(self._first_answers[2:]), self._chain
        off = (turned + chain[self._sizes] - chain[0] - chain[-1]).abs().amax(0)
        return bool((off <= 1e-5 * chain.abs().amax(0)).all())

    def _alike(self) -> bool:
        first, second = torch.stack(self._tried).unbind(1)
        mean = (first.mean(0) + second.mean(0)) / 2
        return bool(((first - mean) * (second - mean)).sum() > 0)

    def numbers(self) -> Tensor:
        """The mean effects."""
        assert self._total is not None
        return self._total / self._taken

    def doubts(self) -> Tensor | None:
        """How much the pairs of orders differ."""
        if self._between == 0:
            return torch.zeros_like(self.numbers())
        return self._moments.error_of_mean() if self._moments.count > 1 else None


def even_orders(count: int, number: int, generator: torch.Generator | None) -> Tensor:
    """Random orders of ``count`` features, (number, count).

    Of each ``count`` of them in turn, every feature stands at every place once: they are the rows of a Latin square
    with rows, columns and symbols shuffled.
    """
    device = torch.device("cpu") if generator is None else generator.device

    def shuffled() -> Tensor:
        return torch.randperm(count, generator=generator, device=device)

    rounds = []
    for start in range(0, number, max(count, 1)):
        symbols, columns, rows = shuffled(), shuffled(), shuffled()[: number - start]
        rounds.append(symbols[(rows[:, None] + columns) % max(count, 1)])
    return torch.cat(rounds)


class ShapleyValueSampling(PerturbationAttribution):
    """Shapley values estimated by adding the features to the baseline in random orders.

    Castro et al. 2009 (doi 10.1016/j.cor.2008.04.004), Strumbelj and Kononenko 2010. The attributions of each example
    add up to ``f(inputs) - f(baselines)``.

    Compared with Captum: every second order is the one before it reversed (Mitchell et al. 2021, arXiv 2104.12199), and
    features stand at all places equally often, which makes estimates several times more accurate for most models; the
    outputs at inputs and baselines are computed once; and when ``n_samples`` times the number F of features reaches
    2^F, the result is exact. There is a standard error from four orders on.

    Args:
        forward_func: the model, or any function, called as ``forward_func(*inputs, *additional_forward_args)``. It may
            return a number or tensor per example, or, like a loss, for all examples together.
    """

    @streams
    def attribute(
        self,
        inputs: TensorOrTuple,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        n_samples: int = 25,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
        *,
        generator: torch.Generator | None = None,
    ) -> Iterator[Draft]:
        """Estimate Shapley values.

        Args:
            inputs, baselines, target, additional_forward_args, feature_mask, perturbations_per_eval, show_progress: as
                for :meth:`FeatureAblation.attribute`.
            n_samples: how many orders. Each costs F - 1 rows per example, and up to 6 rows come once. No more than
                2^F rows are run.
            generator: where random numbers come from; ``None`` (default) is torch's global generator. All examples
                share the orders.

        Returns:
            Attributions in the form of the inputs, float32 and on the first input's device, of shape (N, *shape of one
            example). If the output is (N, K, ...), the shape is (N, K, ..., *shape of one example); if it belongs to
            all examples together, its own dimensions, at least one, take N's place.

        Raises:
            As :meth:`FeatureAblation.attribute`.
        """
        yield from estimates(*self._plan(
            inputs, baselines, target, additional_forward_args, feature_mask, n_samples, perturbations_per_eval,
            show_progress, generator,
        ))  # fmt: skip

    def attribute_future(
        self,
        inputs: TensorOrTuple,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        n_samples: int = 25,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
        *,
        generator: torch.Generator | None = None,
    ) -> Future[Any]:
        """The same for a ``forward_func`` that returns a ``torch.futures.Future``; so does this.

        Args:
            as for :meth:`attribute`, but ``perturbations_per_eval=None`` means 1. All batches are sent off at once.
        """
        return future(*self._plan(
            inputs, baselines, target, additional_forward_args, feature_mask, n_samples, perturbations_per_eval, False,
            generator,
        ))  # fmt: skip

    def _plan(
        self,
        inputs: Any,
        baselines: Any,
        target: Any,
        arguments: Any,
        mask: Any,
        samples: Any,
        batch: Any,
        show: bool,
        generator: Any,
    ) -> tuple[Question, Plan]:
        examples = gather_examples(inputs, arguments)
        starts, features = resolve_baselines(baselines, examples), resolve_features(mask, examples)
        question = Question(self, examples, target, batch, shared=features.shared, show_progress=show)
        orders, drawn_from = check_count(samples, "n_samples"), check_generator(generator)
        count = features.count
        if count <= _MOST_FEATURES and 1 << count <= max(orders * count, 1):
            return question, Enumeration(examples, starts, features)
        return question, _Permutations(examples, starts, features, orders, drawn_from)


class ShapleyValues(ShapleyValueSampling):
    """Exact Shapley values (Shapley 1953), from the outputs of all 2^F coalitions of F features.

    Captum goes through all F! orders instead; the numbers are the same.

    Args:
        forward_func: as for :class:`ShapleyValueSampling`.
    """

    @streams
    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
    ) -> Iterator[Draft]:
        """Compute Shapley values.

        Args:
            inputs, baselines, target, additional_forward_args, feature_mask, perturbations_per_eval, show_progress: as
                for :meth:`FeatureAblation.attribute`. There may be at most 24 features; from 16 (65,536 rows per
                example) on there is a warning.

        Returns:
            As :meth:`ShapleyValueSampling.attribute`.

        Raises:
            InputError: too many features. Else as :meth:`FeatureAblation.attribute`.
        """
        yield from estimates(*self._exact(
            inputs, baselines, target, additional_forward_args, feature_mask, perturbations_per_eval, show_progress
        ))  # fmt: skip

    def attribute_future(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
    ) -> Future[Any]:
        """The same for a ``forward_func`` that returns a ``torch.futures.Future``; so does this."""
        return future(*self._exact(
            inputs, baselines, target, additional_forward_args, feature_mask, perturbations_per_eval, False
        ))  # fmt: skip

    def _exact(
        self, inputs: Any, baselines: Any, target: Any, arguments: Any, mask: Any, batch: Any, show: bool
    ) -> tuple[Question, Plan]:
        examples = gather_examples(inputs, arguments)
        starts, features = resolve_baselines(baselines, examples), resolve_features(mask, examples)
        count = features.count
        advice = "use ShapleyValueSampling or KernelShap, or a feature_mask that joins features"
        if count > _MOST_FEATURES:
            raise InputError(
                f"{count} features have 2^{count} coalitions, which is too much to compute; {advice}"
            )
        if count >= _MANY_FEATURES:
            warnings.warn(f"{count} features need {1 << count} rows per example; {advice}", stacklevel=4)
        question = Question(self, examples, target, batch, shared=features.shared, show_progress=show)
        return question, Enumeration(examples, starts, features)
