"""Shapley values: a feature's effect averaged over all orders in which features can be added to the baseline.

Exact from all coalitions (:mod:`attriscope.attr.perturbation._game`), else estimated from some of them
(:mod:`attriscope.attr.perturbation._paired_coalitions`) or from random orders.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.futures import Future

from attriscope.attr._base import PerturbationAttribution
from attriscope.attr._features import Features, exact_dtype, resolve_features
from attriscope.attr._random import check_count, check_generator, device_of
from attriscope.attr._running_moments import FEWEST_SAMPLES, RunningMoments
from attriscope.attr._streaming import streaming
from attriscope.attr.perturbation._game import Enumeration, Game
from attriscope.attr.perturbation._paired_coalitions import PairedCoalitions
from attriscope.attr.perturbation._runner import OutputShape, PerturbationPlan, Query, estimates, future
from attriscope.attr.perturbation.background import gather_setting
from attriscope.core.errors import InputError
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import Examples, Inputs, SameForm

_MOST_FEATURES = 24  # for enumeration: 16 million rows per example
_MANY_FEATURES = 16  # from here on the user is asked whether that was meant
_FEWEST_ORDERS = 3  # that give enough pairs of complements to estimate interactions
_MOST_FOR_PAIRS = 512  # features: with more, so many pairs as can be solved at once tell little about each


class _OrderSampling(Game):
    """Features are added to the baselines in random orders.

    Every feature comes at every place equally often, and every second order is the one before it reversed: what a
    feature does early and what it does late then come in equal parts. That is given up where it shows that both err
    alike, as they do if the model is an odd function between an example's baselines and inputs.

    The first steps are the inputs and the baselines. Then each order needs the F - 1 coalitions between none and all.
    There must be at least two features.
    """

    ready = False
    _TRIED = 4  # pairs after which it is seen whether pairs pay

    def __init__(
        self,
        examples: Examples,
        baselines: tuple[Tensor, ...],
        features: Features,
        samples: int,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__(examples, baselines, features)
        self._drawn = even_orders(features.count, samples, generator).to(self.device)
        both = torch.stack([self._drawn, self._drawn.flip(1)], 1)
        self._orders = both[: -(-samples // 2)].flatten(0, 1)[:samples]
        self._between = features.count - 1
        self.steps = 2 + samples * self._between
        look = 2 + 2 * self._TRIED * self._between
        self.checkpoints = (look,) if look < self.steps else ()
        self._ends: list[Tensor] = []  # the answers at the inputs and at the baselines
        self._piece = torch.empty(0, device="cpu")  # the answers of an order that is not complete
        self._taken = 0
        self._alone: Tensor | None = None  # bool (M,): the numbers of a step whose orders have no partners
        self._alone_examples = torch.empty(0, device="cpu")
        self._odd_one: Tensor | None = None  # the effects of a pair's first order
        self._unpaired = self._orders
        self._tried: list[Tensor] = []  # both orders' effects, (2, F, numbers of a step)
        self._total: Tensor | None = None
        # Of what is independent: pairs, or orders without a partner.
        self._moments, self._moments_alone = RunningMoments(), RunningMoments()

    def coalitions(self, steps: slice) -> Tensor:
        """All, none, and then the first 1 .. F - 1 features of each order."""
        count, between = self.features.count, self._between
        ends = torch.tensor([count, 0], device=self.device)[steps.start : steps.stop]
        step = torch.arange(max(steps.start - 2, 0), max(steps.stop - 2, 0), device=self.device)
        length = torch.cat([ends, step % between + 1])
        added = torch.arange(count, device=self.device) < length[:, None]

        def placed(orders: Tensor) -> Tensor:
            order = torch.cat([orders[:1].expand(len(ends), -1), orders[step // between]])
            return torch.empty_like(added).scatter_(1, order, added)

        if self._alone is None:
            return placed(self._orders)
        if len(self._alone_examples) == 0:
            return placed(self._unpaired)
        each = self._alone_examples[:, None]
        return torch.where(each, placed(self._unpaired).unsqueeze(1), placed(self._orders).unsqueeze(1))

    def take(self, steps: slice, values: Tensor) -> None:
        """Turn the answers of each complete order into effects of the features."""
        values = values.to(exact_dtype(values.device))
        head = max(2 - steps.start, 0)
        self._ends += list(values[:head])
        held = torch.cat([self._piece, values[head:]]) if len(self._piece) else values[head:]
        whole = len(held) // self._between
        if whole:
            self._add(held[: whole * self._between].unflatten(0, (whole, self._between)))
        self._piece = held[whole * self._between :]

    def _add(self, between: Tensor) -> None:
        """The answers along some orders, (orders, F - 1, numbers of a step)."""
        inputs, baselines = (end.expand(len(between), 1, -1) for end in self._ends)
        changes = torch.cat([baselines, between, inputs], 1).diff(dim=1)
        taken = slice(self._taken, self._taken + len(between))
        orders = self._orders[taken].to(changes.device).unsqueeze(2)
        if self._alone is not None:
            orders = torch.where(self._alone, self._unpaired[taken].to(changes.device).unsqueeze(2), orders)
        effects = torch.empty_like(changes).scatter_(1, orders.expand_as(changes), changes)
        total = effects.sum(0)
        self._total = total if self._total is None else self._total + total
        self._taken += len(between)
        self.ready = True
        if self._alone is not None:
            self._moments_alone.add(effects)
        if self._odd_one is not None:
            effects = torch.cat([self._odd_one[None], effects])
        self._odd_one = effects[-1] if len(effects) % 2 else None
        pairs = effects[: len(effects) // 2 * 2].unflatten(0, (-1, 2))
        if len(pairs):
            self._moments.add(pairs.mean(1))
            self._tried += list(pairs[: self._TRIED - len(self._tried)])

    def adapt(self, found: OutputShape) -> None:
        """Do without reversed orders for examples where they err alike."""
        first, second = torch.stack(self._tried).unbind(1)
        mean = (first.mean(0) + second.mean(0)) / 2
        alike = ((first - mean) * (second - mean)).sum((0, 1))
        groups = alike.reshape(self.examples.count if found.grows else 1, -1)
        alone = groups.sum(1) > 0
        if not bool(alone.any()):
            return
        self._unpaired = self._orders.clone()
        self._unpaired[self._taken :] = self._drawn[self._TRIED :][: len(self._orders) - self._taken]
        self._moments_alone = copy.deepcopy(self._moments)
        self._alone = alone[:, None].expand_as(groups).flatten()
        if not bool(alone.all()):
            self._alone_examples = alone.to(self.device)

    def numbers(self) -> Tensor:
        """The mean effects."""
        assert self._total is not None
        return self._total / self._taken

    def standard_errors(self) -> Tensor | None:
        """How much the pairs of orders differ."""
        if self._moments.count < FEWEST_SAMPLES:
            return None
        error = self._moments.error_of_mean()
        if self._alone is None or self._moments_alone.count == 0:
            return error
        return torch.where(self._alone, self._moments_alone.error_of_mean(), error)


def even_orders(count: int, number: int, generator: torch.Generator | None) -> Tensor:
    """Random orders of ``count`` features, (number, count).

    Of each ``count`` of them in turn, every feature stands at every place once: they are the rows of a Latin square
    with rows, columns and symbols shuffled.
    """
    device = device_of(generator)

    def shuffled() -> Tensor:
        return torch.randperm(count, generator=generator, device=device)

    rounds = []
    for start in range(0, number, max(count, 1)):
        symbols, columns, rows = shuffled(), shuffled(), shuffled()[: number - start]
        rounds.append(symbols[(rows[:, None] + columns) % max(count, 1)])
    return torch.cat(rounds)


class ShapleyValueSampling(PerturbationAttribution):
    """Shapley values estimated at the cost of adding the features to the baseline in some random orders.

    Castro et al. 2009 (doi 10.1016/j.cor.2008.04.004), Strumbelj and Kononenko 2010. The attributions of each example
    add up to ``f(inputs) - f(baselines)``.

    From 3 orders on, and with up to 512 features, the same number of coalitions is drawn in pairs of complements, as
    for :class:`KernelShap`, and the game's interactions are estimated from all of them: an order's coalitions hold each
    other, so they tell less than as many that do not. This is several to many times more accurate than the mean over
    orders, but not unbiased like it: from few rows interactions come out too small, which the standard error takes into
    account. With more features, or one or two orders, the result is the (unbiased) mean over orders, of which every
    second is the one before it reversed (Mitchell et al. 2021, arXiv 2104.12199), and features stand at all places
    equally often.

    The outputs at inputs and baselines are computed once, and when ``n_samples`` (F - 1) + 2 reaches 2^F for F
    features, the result is exact. There is a standard error as soon as there are some more pairs than features, or,
    with more than 512 features, eight orders.

    Args:
        forward_func: the model, or any function, called as ``forward_func(*inputs, *additional_forward_args)``. It may
            return a number or tensor per example, or, like a loss, for all examples together.
    """

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        n_samples: int = 25,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
        *,
        generator: torch.Generator | None = None,
    ) -> Iterator[PartialResult[SameForm]]:
        """Estimate Shapley values.

        Args:
            inputs, baselines, target, additional_forward_args, feature_mask, perturbations_per_eval, show_progress: as
                for :meth:`FeatureAblation.attribute`.
            n_samples: how many orders. Each costs F - 1 rows per example, and two rows come once. No more than 2^F rows
                are run; against a :class:`Background` of M baselines, M times as many.
            generator: where random numbers come from; ``None`` (default) is torch's global generator. All examples
                share the coalitions.

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
        inputs: Inputs,
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
    ) -> tuple[Query, PerturbationPlan]:
        setting = gather_setting(inputs, arguments, baselines)
        examples, starts, features = (
            setting.examples,
            setting.starts,
            resolve_features(mask, setting.examples),
        )
        query = Query(self, examples, target, batch, shared=features.shared, show_progress=show)
        orders, drawn_from = check_count(samples, "n_samples"), check_generator(generator)
        count = features.count
        between = max(count - 1, 0)
        if count <= _MOST_FEATURES and 1 << count <= orders * between + 2:
            return query, setting.carried_out(Enumeration(examples, starts, features))
        if orders < _FEWEST_ORDERS or count > _MOST_FOR_PAIRS:
            orders_of = _OrderSampling(examples, starts, features, orders, drawn_from)
            return query, setting.carried_out(orders_of)
        pairs = orders * between // 2
        return query, setting.carried_out(
            PairedCoalitions(examples, starts, features, 2 + 2 * pairs, pairs, drawn_from)
        )


class ShapleyValues(ShapleyValueSampling):
    """Exact Shapley values (Shapley 1953), from the outputs of all 2^F coalitions of F features.

    Captum goes through all F! orders instead; the numbers are the same.

    Args:
        forward_func: as for :class:`ShapleyValueSampling`.
    """

    @streaming
    def attribute(  # type: ignore[override]
        self,
        inputs: SameForm,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
    ) -> Iterator[PartialResult[SameForm]]:
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
        inputs: Inputs,
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
    ) -> tuple[Query, PerturbationPlan]:
        setting = gather_setting(inputs, arguments, baselines)
        examples, starts, features = (
            setting.examples,
            setting.starts,
            resolve_features(mask, setting.examples),
        )
        count = features.count
        advice = "use ShapleyValueSampling or KernelShap, or a feature_mask that joins features"
        if count > _MOST_FEATURES:
            raise InputError(
                f"{count} features have 2^{count} coalitions, which is too much to compute; {advice}"
            )
        if count >= _MANY_FEATURES:
            warnings.warn(f"{count} features need {1 << count} rows per example; {advice}", stacklevel=4)
        query = Query(self, examples, target, batch, shared=features.shared, show_progress=show)
        return query, setting.carried_out(Enumeration(examples, starts, features))
