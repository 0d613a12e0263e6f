"""Feature ablation: one feature after another is replaced by its baseline.

:class:`DifferencePlan`, one change at a time, is also what permutation and occlusion are made of.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.futures import Future

from attriscope.attr._base import PerturbationAttribution
from attriscope.attr._features import Features, resolve_features
from attriscope.attr._streaming import streaming
from attriscope.attr._sums import accumulation_dtype, join
from attriscope.attr.perturbation._runner import OutputShape, PerturbationPlan, Query, estimates, future
from attriscope.attr.perturbation.background import gather_setting
from attriscope.core.batch_size import check_batch
from attriscope.core.errors import InputTypeError
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import Examples, Inputs, SameForm
from attriscope.core.notices import tell


class DifferencePlan:
    """A plan of which step 0 is the inputs, and each later one the inputs with one thing changed.

    ``rows`` is left to those who derive from it.
    """

    checkpoints: tuple[int, ...] = ()
    ready = True

    def __init__(self, examples: Examples, changes: int) -> None:
        self.examples = examples
        self.steps = 1 + changes
        self.done = 0
        self._values = torch.empty(0, device="cpu")

    def rows(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """The inputs of some steps and examples."""
        raise NotImplementedError

    def adapt(self, found: OutputShape) -> None:
        """All steps are known beforehand."""

    def take(self, steps: slice, values: Tensor) -> None:
        """Keep the answers."""
        if steps.start == 0:
            self._values = values.new_zeros(self.steps, values.shape[1])
        self._values[steps] = values
        self.done = steps.stop

    def attributions(self, found: OutputShape) -> tuple[Tensor, ...]:
        """What the effects say about each element."""
        raise NotImplementedError

    def error(self, found: OutputShape) -> tuple[Tensor, ...] | None:
        """How sure that is."""
        raise NotImplementedError

    def effects(self) -> Tensor:
        """f(inputs) - f(changed inputs), of shape (numbers of a step, changes); 0 where the answer is still out."""
        values = self._values.to(accumulation_dtype(self._values.dtype))
        effects = values[:1] - values[1:]
        effects[max(self.done - 1, 0) :] = 0
        return effects.T

    def effect_errors(self) -> Tensor:
        """The error of each effect: none where the answer came, infinite where it is still out."""
        effect_errors = torch.zeros(self._values.shape[1], self.steps - 1, device=self._values.device)
        effect_errors[:, max(self.done - 1, 0) :] = torch.inf
        return effect_errors

    @property
    def dtype(self) -> torch.dtype:
        """The type of the outputs."""
        return self._values.dtype

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """Where results go: to the inputs."""
        return tuple(x.device for x in self.examples.tensors)


def features_to_ask(features: Features, examples: Examples, least: int | None) -> Sequence[int]:
    """The features that can be changed: not those of which all inputs are empty, or one has too few entries.

    Args:
        least: how many entries each of a feature's inputs must have in dimension 0; ``None`` for any number.
    """
    tensors = examples.tensors
    if not examples.uneven and (least is None or examples.count >= least):
        for x in tensors:
            if x.numel() == 0:
                break
        else:
            return range(features.count)
    held = [features.in_input(i) for i in range(len(tensors))]
    some = torch.zeros(features.count, dtype=torch.bool, device="cpu")
    few = torch.zeros_like(some)
    for x, inside in zip(tensors, held, strict=True):
        some |= inside if x.numel() else few.new_zeros(())
        few |= inside if least is not None and len(x) < least else few.new_zeros(())
    told = some & few
    if bool(told.any()):
        shown = ", ".join(map(str, features.names[told][:5].tolist()))
        tell(
            f"{int(told.sum())} feature(s) of inputs with fewer than {least} entries in dimension 0 are left alone, so "
            f"their attributions are 0: {shown}{', ...' if int(told.sum()) > 5 else ''}",
            UserWarning,
        )
    return (some & ~few).nonzero()[:, 0].tolist()


class _AblationPlan(DifferencePlan):
    """Each step replaces one feature by its baseline."""

    def __init__(
        self,
        examples: Examples,
        baselines: tuple[Tensor, ...],
        features: Features,
        asked: Sequence[int],
        background: bool = False,
    ) -> None:
        super().__init__(examples, len(asked))
        self.features, self._asked = features, asked
        self._baselines: tuple[Tensor, ...] = ()
        if not background:
            self._baselines = tuple(
                b.flatten() if b.numel() == 1 else b.expand(-1, *x.shape[1:]).reshape(len(b), -1)
                for b, x in zip(baselines, examples.tensors, strict=True)
            )

    def coalitions(self, steps: slice) -> Tensor:
        """Which features come from the inputs."""
        keep = torch.ones(steps.stop - steps.start, self.features.count, dtype=torch.bool, device="cpu")
        changed = self._asked[max(steps.start - 1, 0) : steps.stop - 1]
        row = torch.arange(len(keep) - len(changed), len(keep), device="cpu")
        keep[row, torch.tensor(changed, dtype=torch.long, device="cpu")] = False
        return keep.to(self.examples.tensors[0].device)

    def rows(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """The inputs of some steps and examples."""
        if self.examples.uneven:
            part = slice(0, None)  # all there is of each input

        def baseline(i: int, step: Tensor, example: Tensor, place: Tensor) -> Tensor:
            values = self._baselines[i]
            if values.dim() == 1:
                return values
            return values[example + part.start if values.shape[0] > 1 else 0, place]

        lead, inputs = int(steps.start == 0), self.examples.slices(part)
        asked = self._asked[max(steps.start - 1, 0) : steps.stop - 1]
        if isinstance(asked, range):
            features = slice(asked.start, asked.stop)
            return self.features.replace(features, lead, inputs, part, baseline)
        pieces = []
        for features in in_a_row(asked) or [slice(0, 0)]:
            pieces.append(self.features.replace(features, lead, inputs, part, baseline))
            lead = 0
        return join(pieces)

    def attributions(self, found: OutputShape) -> tuple[Tensor, ...]:
        """The change that each feature made."""
        effects = self.effects()
        if len(self._asked) < self.features.count:
            effects = of_all(effects, self._asked, self.features.count)
        return tuple(a.to(self.dtype) for a in self.features.to_elements(effects, self.devices))

    def error(self, found: OutputShape) -> tuple[Tensor, ...]:
        """Nothing is estimated: an effect is known or not."""
        errors = of_all(self.effect_errors(), self._asked, self.features.count)
        return self.features.to_elements(errors, self.devices)


def in_a_row(numbers: Sequence[int]) -> list[slice]:
    """Ascending numbers as ranges."""
    if isinstance(numbers, range):
        return [slice(numbers.start, numbers.stop)] if numbers else []
    runs = itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    found = [[number for _, number in run] for _, run in runs]
    return [slice(run[0], run[-1] + 1) for run in found]


def of_all(values: Tensor, asked: Sequence[int], count: int) -> Tensor:
    """What belongs to some of the features, (..., asked), as (..., F): zero for the others."""
    if len(asked) == count:
        return values
    index = torch.tensor(asked, dtype=torch.long, device=values.device)
    return values.new_zeros(*values.shape[:-1], count).index_copy_(-1, index, values)


class FeatureAblation(PerturbationAttribution):
    """How much the output falls when a feature is replaced by its baseline.

    For a linear model this is the exact contribution of each feature. It costs one row per feature and example, and
    one for the inputs.

    Compared with Captum: batches are chosen by measurement unless ``perturbations_per_eval`` is a number, per-example
    masks work with outputs of several numbers, and bool outputs work.

    Args:
        forward_func: the model, or any function, called as ``forward_func(*inputs, *additional_forward_args)``. It may
            return a number or tensor per example, or, like a loss, for all examples together.
        min_examples_per_batch_grouped: a feature one of whose inputs has fewer entries than this in dimension 0 is left
            alone, and its attribution is 0; ``None`` (default) leaves out only features of which all inputs are empty.
    """

    _LEAST: int | None = None

    def __init__(
        self, forward_func: Callable[..., Any], *, min_examples_per_batch_grouped: int | None = None
    ) -> None:
        super().__init__(forward_func)
        least = check_batch(min_examples_per_batch_grouped, "min_examples_per_batch_grouped")
        self.min_examples_per_batch_grouped = self._LEAST if least is None else least

    @property
    def _min_examples_per_batch_grouped(self) -> int | None:
        """Captum's name of it."""
        return self.min_examples_per_batch_grouped

    @_min_examples_per_batch_grouped.setter
    def _min_examples_per_batch_grouped(self, least: int | None) -> None:
        self.min_examples_per_batch_grouped = least

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
        **kwargs: Any,
    ) -> Iterator[PartialResult[SameForm]]:
        """Ablate feature by feature.

        Args:
            inputs: a tensor or tuple of tensors of any type, N examples in dimension 0; or a frame of pandas, whose
                numbers the model gets. The inputs' first dimensions may differ, as those of values and offsets do, and
                inputs may be empty: then each perturbation is a batch of its own, and a feature of an input is changed
                in all its entries at once.
            baselines: what stands in place of a feature: ``None`` (zero), a number, a tensor that broadcasts against
                the input, or a tuple of these, one per input; or a :class:`Background` of several baselines, over which
                the mean is taken. Where an input of whole numbers cannot hold the baseline, as 0.5, the model gets
                floating point numbers.
            target: which output to explain, as for :meth:`Saliency.attribute`; ``None`` explains all numbers of the
                output.
            additional_forward_args: further arguments of ``forward_func``. A tensor among them with one entry per
                example, or a first dimension of 1, is repeated along the rows.
            feature_mask: which elements belong together: a tensor of whole numbers per input that broadcasts against
                it. Elements with the same number, across inputs too, are one feature; a first dimension of N gives each
                example its own. ``None``: every element is a feature.
            perturbations_per_eval: how many perturbed copies of all examples go through the model at a time; ``None``
                (default) measures and chooses. It changes no number beyond rounding.
            show_progress: print a progress bar.
            **kwargs: nothing; there for Captum's signature.

        Returns:
            Attributions in the form of the inputs, of shape (N, *shape of one example), of the output's type and on the
            inputs' device. If the output is (N, K), or K numbers for all examples together, the first dimension is
            N * K, or K.

        Raises:
            InputTypeError, InputError: arguments that cannot be used; outputs or masks that forbid
                ``perturbations_per_eval``.
            TargetError, NonFiniteError: the target does not fit the output; the output is NaN.
        """
        refuse_more(self, kwargs)
        yield from estimates(*self._plan(
            inputs, baselines, target, additional_forward_args, feature_mask, perturbations_per_eval, show_progress
        ))  # fmt: skip

    def attribute_future(
        self,
        inputs: Inputs,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
        **kwargs: Any,
    ) -> Future[Any]:
        """The same for a ``forward_func`` that returns a ``torch.futures.Future``; so does this.

        Args:
            as for :meth:`attribute`, but ``perturbations_per_eval=None`` means 1. All batches are sent off at once.
        """
        refuse_more(self, kwargs)
        return future(*self._plan(
            inputs, baselines, target, additional_forward_args, feature_mask, perturbations_per_eval, False
        ))  # fmt: skip

    def _plan(
        self, inputs: Any, baselines: Any, target: Any, arguments: Any, mask: Any, batch: Any, show: bool
    ) -> tuple[Query, PerturbationPlan]:
        setting = gather_setting(inputs, arguments, baselines, uneven=True)
        examples, starts = setting.examples, setting.starts
        features = resolve_features(mask, examples)
        query = Query(self, examples, target, batch, shared=features.shared, show_progress=show)
        asked = features_to_ask(features, examples, self.min_examples_per_batch_grouped)
        plan = _AblationPlan(examples, starts, features, asked, setting.background is not None)
        return query, setting.carried_out(plan)


def refuse_more(method: PerturbationAttribution, kwargs: dict[str, Any]) -> None:
    """Captum takes any further keyword and ignores it, a misspelt one too.

    Raises:
        InputTypeError: there is one.
    """
    if kwargs:
        raise InputTypeError(f"{method.get_name()}.attribute does not know {', '.join(map(repr, kwargs))}")
