"""Feature ablation: one feature after another is replaced by its baseline.

:class:`DifferencePlan`, one change at a time, is also what permutation and occlusion are made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.futures import Future

from attriscope.attr._base import PerturbationAttribution
from attriscope.attr._features import Features, resolve_features
from attriscope.attr._streaming import streaming
from attriscope.attr._sums import accumulation_dtype
from attriscope.attr.perturbation._runner import OutputShape, Query, estimates, future
from attriscope.core.errors import InputTypeError
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import (
    Examples,
    Inputs,
    SameForm,
    gather_examples,
    resolve_baselines,
)


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

    def adapt(self) -> None:
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


class _AblationPlan(DifferencePlan):
    """Each step replaces one feature by its baseline."""

    def __init__(self, examples: Examples, baselines: tuple[Tensor, ...], features: Features) -> None:
        super().__init__(examples, features.count)
        self._features = features
        self._baselines = tuple(
            b.flatten() if b.numel() == 1 else b.expand(-1, *x.shape[1:]).flatten(1)
            for b, x in zip(baselines, examples.tensors, strict=True)
        )

    def rows(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """The inputs of some steps and examples."""

        def baseline(i: int, step: Tensor, example: Tensor, place: Tensor) -> Tensor:
            values = self._baselines[i]
            if values.dim() == 1:
                return values
            return values[example + part.start if values.shape[0] > 1 else 0, place]

        lead = int(steps.start == 0)
        features = slice(max(steps.start - 1, 0), steps.stop - 1)
        return self._features.replace(features, lead, self.examples.slices(part), part, baseline)

    def attributions(self, found: OutputShape) -> tuple[Tensor, ...]:
        """The change that each feature made."""
        return tuple(a.to(self.dtype) for a in self._features.to_elements(self.effects(), self.devices))

    def error(self, found: OutputShape) -> tuple[Tensor, ...]:
        """Nothing is estimated: an effect is known or not."""
        return self._features.to_elements(self.effect_errors(), self.devices)


class FeatureAblation(PerturbationAttribution):
    """How much the output falls when a feature is replaced by its baseline.

    For a linear model this is the exact contribution of each feature. It costs one row per feature and example, and
    one for the inputs.

    Compared with Captum: batches are chosen by measurement unless ``perturbations_per_eval`` is a number, per-example
    masks work with outputs of several numbers, and bool outputs work.

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
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
        **kwargs: Any,
    ) -> Iterator[PartialResult[SameForm]]:
        """Ablate feature by feature.

        Args:
            inputs: a tensor or tuple of tensors of any type, N examples in dimension 0.
            baselines: what stands in place of a feature: ``None`` (zero), a number, a tensor of the input's shape or
                with a first dimension of 1, or a tuple of these, one per input.
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
    ) -> tuple[Query, DifferencePlan]:
        examples = gather_examples(inputs, arguments)
        starts, features = resolve_baselines(baselines, examples), resolve_features(mask, examples)
        query = Query(self, examples, target, batch, shared=features.shared, show_progress=show)
        return query, _AblationPlan(examples, starts, features)


def refuse_more(method: PerturbationAttribution, kwargs: dict[str, Any]) -> None:
    """Captum takes any further keyword and ignores it, a misspelt one too.

    Raises:
        InputTypeError: there is one.
    """
    if kwargs:
        raise InputTypeError(f"{method.get_name()}.attribute does not know {', '.join(map(repr, kwargs))}")
