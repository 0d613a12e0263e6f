"""Shapley values from a sample of coalitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._answers import Plan, Question, estimates
from attriscope.attr._base import streams
from attriscope.attr._coalitions import spread_pairs
from attriscope.attr._features import Features, exact_dtype, resolve_features
from attriscope.attr._games import Enumeration
from attriscope.attr._kriging import Errors, Observations, krige
from attriscope.attr._random import check_count, check_generator
from attriscope.attr._samples import Coefficients
from attriscope.attr.linear import LinearRegression
from attriscope.attr.similarity import tensors_in
from attriscope.attr.surrogate import Lime
from attriscope.core.errors import InputError
from attriscope.core.estimate import Draft
from attriscope.core.inputs import Examples, TensorOrTuple, gather_examples, resolve_baselines

_END_WEIGHT = 1_000_000.0  # stands for infinity
_FEW = 7  # samples per feature below which single coalitions tell more than pairs
_TRIED = 6  # pairs after which it is seen whether a game is odd


class KernelShap(Lime):
    """Shapley values estimated from the outputs of randomly chosen coalitions of features.

    KernelSHAP, Lundberg and Lee 2017 (arXiv 1705.07874). Coalitions are drawn in pairs of complements (Covert and Lee
    2021, arXiv 2012.01536), without replacement and by leverage (Musco and Witter 2024, arXiv 2410.01917). Where these
    papers solve a regression, here the game's interactions are estimated too (Gaussian conditioning, see
    :mod:`attriscope.attr._kriging`), which at equal cost is several times more accurate. The attributions of each
    example add up to ``f(inputs) - f(baselines)``; when ``n_samples`` reaches 2^F for F features they are exact. There
    is a standard error.

    Captum draws single coalitions, with replacement, and keeps the sum only nearly; it fails for one feature.

    Args:
        forward_func: as for :class:`Lime`.
    """

    def __init__(self, forward_func: Callable[..., Any]) -> None:
        super().__init__(
            forward_func,
            LinearRegression(),
            self.kernel_shap_similarity_kernel,
            self.kernel_shap_perturb_generator,
        )

    @streams
    def attribute(  # type: ignore[override]
        self,
        inputs: TensorOrTuple,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        n_samples: int = 25,
        perturbations_per_eval: int | None = None,
        return_input_shape: bool = True,
        show_progress: bool = False,
        *,
        generator: torch.Generator | None = None,
    ) -> Iterator[Draft]:
        """Estimate Shapley values.

        Args:
            inputs, baselines, target, additional_forward_args, feature_mask, perturbations_per_eval,
                return_input_shape, show_progress: as for :meth:`Lime.attribute`.
            n_samples: the number of rows per example, at least 2: two are the inputs and the baselines themselves. All
                examples share the coalitions. No more than 2^F rows are run.
            generator: where random numbers come from; ``None`` (default) is torch's global generator.

        Returns:
            As :meth:`Lime.attribute`.

        Raises:
            As :meth:`Lime.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        starts, features = resolve_baselines(baselines, examples), resolve_features(feature_mask, examples)
        samples, drawn_from = check_count(n_samples, "n_samples"), check_generator(generator)
        if samples < 2:
            raise InputError("n_samples must be at least 2, because inputs and baselines are run, but 1 came")
        if features.count == 0:
            raise InputError("the inputs have no elements, so there are no features to explain")
        question = Question(
            self,
            examples,
            target,
            perturbations_per_eval,
            True,
            features.shared,
            show_progress,
            return_input_shape,
        )
        yield from estimates(
            question, _plan(examples, starts, features, samples, return_input_shape, drawn_from)
        )

    def kernel_shap_similarity_kernel(
        self, _: Any, __: Any, interpretable_sample: Tensor, **kwargs: Any
    ) -> Tensor:
        """Captum's weight of a sample (1, F) that :meth:`kernel_shap_perturb_generator` drew, for use with Lime."""
        chosen = int(interpretable_sample.sum())
        return torch.tensor([_END_WEIGHT if chosen in (0, kwargs["num_interp_features"]) else 1.0])

    def kernel_shap_perturb_generator(self, original_inp: TensorOrTuple, **kwargs: Any) -> Iterator[Tensor]:
        """Captum's samples (1, F), for use with Lime: all, none, and then sizes k with weight 1 / (k (F - k))."""
        device, count = tensors_in(original_inp)[0].device, kwargs["num_interp_features"]
        yield torch.ones(1, count, device=device, dtype=torch.long)
        yield torch.zeros(1, count, device=device, dtype=torch.long)
        sizes = torch.arange(1, count, dtype=torch.float64)
        while count > 1:
            size = torch.multinomial(1 / (sizes * (count - sizes)), 1) + 1
            yield (torch.randperm(count) < size).long()[None].to(device)


def _plan(
    examples: Examples,
    baselines: tuple[Tensor, ...],
    features: Features,
    samples: int,
    shaped: bool,
    generator: torch.Generator | None,
) -> Plan:
    if features.count < 60 and 1 << features.count <= samples:
        plan: Coefficients = _All(examples, baselines, features)
    else:
        plan = _Pairs(examples, baselines, features, samples, generator)
    plan.shaped = shaped
    return plan


class _All(Enumeration, Coefficients):
    """Every coalition."""


class _Pairs(Coefficients):
    """Step 0 is the inputs, step 1 the baselines, then come coalitions, mostly in pairs of complements.

    If there are few samples for the number of features, most coalitions come alone: two halves of a pair then tell less
    about the linear part, which is most of it, than two coalitions that have nothing to do with each other. They also
    come alone where a game is odd, because a coalition's complement then tells nothing new.
    """

    def __init__(
        self,
        examples: Examples,
        baselines: tuple[Tensor, ...],
        features: Features,
        samples: int,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__(examples, baselines, features)
        count, inner = features.count, samples - 2
        self._sets = spread_pairs(count, inner, generator).to(self.device)
        few = samples < _FEW * count
        pairs = min(len(self._sets), inner // 8 if few else inner // 2)
        self.steps = 2 + (inner if few else 2 * pairs)
        self._set_order(pairs)
        self._odd = False
        self._mixed = few
        tried = 2 + 2 * _TRIED
        self.checkpoints = (tried,) if not few and tried < self.steps else ()
        self._values: list[Tensor] = []
        self._kept: tuple[Tensor, Errors] | None = None
        self.ready = False

    def _set_order(self, pairs: int) -> None:
        """So many pairs first, then the other coalitions one by one, then their complements."""
        number = torch.arange(len(self._sets), device=self.device)
        paired, single = number[:pairs].repeat_interleave(2), number[pairs:]
        turn = torch.zeros_like(paired)
        turn[1::2] = 1
        self._number = torch.cat([paired, single, single])[: self.steps - 2]
        self._turned = torch.cat([turn, torch.zeros_like(single), torch.ones_like(single)])[
            : self.steps - 2
        ].bool()

    def coalitions(self, steps: slice) -> Tensor:
        """Which features come from the inputs."""
        ends = torch.tensor([[True], [False]], device=self.device)[steps.start : steps.stop]
        inner = slice(max(steps.start - 2, 0), max(steps.stop - 2, 0))
        chosen = self._sets[self._number[inner]] ^ self._turned[inner, None]
        return torch.cat([ends.expand(-1, self.features.count), chosen])

    def take(self, steps: slice, values: Tensor) -> None:
        """Keep the answers."""
        self._kept = None
        self._values.append(values.to(exact_dtype(values.device)))
        self.ready = steps.stop >= 2

    def adapt(self) -> None:
        """See whether the game is odd, up to rounding: a coalition and its complement always have the same sum."""
        values = torch.cat(self._values)
        sums, apart = values[0::2] + values[1::2], values[0::2] - values[1::2]
        scale = apart.abs().amax(0) + values[:2].abs().amax(0)
        if bool(((sums - sums[:1]).abs().amax(0) <= 1e-5 * scale).all()):
            self._odd = True
            self._set_order(_TRIED)

    def numbers(self) -> Tensor:
        """The Shapley values."""
        return self._solution()[0]

    def doubts(self) -> Tensor | None:
        """Their standard errors."""
        return self._solution()[1]()

    def _solution(self) -> tuple[Tensor, Errors]:
        """Kept until the next answers come."""
        if self._kept is None:
            self._kept = krige(self._observations())
        return self._kept

    def _observations(self) -> Observations:
        """What the answers so far say about the odd and the even part of the game."""
        values = torch.cat(self._values)
        inner = values[2:]
        number, turned = (
            self._number[: len(inner)].to(values.device),
            self._turned[: len(inner)].to(values.device),
        )
        centre, half = (values[:1] + values[1:2]) / 2, (values[:1] - values[1:2]) / 2
        direct, other = self._placed(inner, number, ~turned), self._placed(inner, number, turned)
        asked, both = self._asked(number, ~turned), self._asked(number, turned)
        alone = asked & ~both
        sets = self._sets.to(values.device)
        full = torch.ones(1, self.features.count, dtype=torch.bool, device=values.device)
        odd = (direct[both] - other[both]) / 2
        if not self._mixed:
            # In an odd game a coalition alone is as good as a pair; else it waits for its complement.
            alone = alone if self._odd else torch.zeros_like(alone)
            parts = [(full, 1, 0, half), (sets[both], 1, 0, odd), (sets[alone], 1, 0, direct[alone] - centre)]
            return _joined(parts, 1)
        even = (direct[both] + other[both]) / 2
        ends = [(full, 1, 0, half), (full, 0, 1, centre)]
        pairs = [(sets[both], 1, 0, odd), (sets[both], 0, 1, even)]
        return _joined([*ends, *pairs, (sets[alone], 1, 1, direct[alone])], 2)

    def _placed(self, inner: Tensor, number: Tensor, which: Tensor) -> Tensor:
        placed = inner.new_zeros(len(self._sets), inner.shape[1])
        placed[number[which]] = inner[which]
        return placed

    def _asked(self, number: Tensor, which: Tensor) -> Tensor:
        asked = torch.zeros(len(self._sets), dtype=torch.bool, device=number.device)
        asked[number[which]] = True
        return asked


def _joined(parts: list[tuple[Tensor, int, int, Tensor]], ends: int) -> Observations:
    values = torch.cat([value for *_, value in parts])
    counts = torch.tensor([len(value) for *_, value in parts])
    odd, even = (torch.tensor([p[i] for p in parts]).repeat_interleave(counts).to(values) for i in (1, 2))
    return Observations(torch.cat([s for s, *_ in parts]), odd, even, values, ends)
