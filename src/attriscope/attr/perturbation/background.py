"""Backgrounds: several baselines, over which a perturbation method takes the mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from attriscope.attr._features import Features, exact_dtype
from attriscope.attr._sums import join
from attriscope.attr.perturbation._runner import OutputShape, PerturbationPlan
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.frames import is_frame
from attriscope.core.inputs import Examples, describe, gather_examples, resolve_baselines


class Background:
    """Several baselines: a feature that is absent takes its values from all of them, and the mean is explained.

    For ``baselines`` of :class:`FeatureAblation`, :class:`ShapleyValueSampling`, :class:`ShapleyValues` and
    :class:`KernelShap`. The explained function of a set of features is the mean output over the background, as in
    interventional SHAP (Lundberg and Lee 2017, arXiv 1705.07874; Janzing et al. 2020, arXiv 1910.13413): Shapley values
    add up to ``f(inputs)`` minus the mean of f over the background. Every example is compared with every baseline, so a
    tensor of as many baselines as there are examples is not taken for one baseline each.

    Args:
        baselines: a tensor of shape (M, *shape of one example), some rows of the training data for instance; for
            several inputs a tuple (or dict) of these, in which entry m of one belongs with entry m of the others; a
            frame of pandas for inputs that are one.

    Raises:
        InputTypeError, InputError: it is none of these, or there is no baseline in it.

    Example::

        background = attr.Background(train[:50])
        attributions = attr.ShapleyValues(model).attribute(x, background, target=1)
    """

    taken_by = (
        "; FeatureAblation, ShapleyValueSampling, ShapleyValues and KernelShap take a background, GradientShap and "
        "DeepLiftShap the tensor that is in it"
    )
    """What a method says that has no use for it."""

    def __init__(self, baselines: Any) -> None:
        if not (isinstance(baselines, Tensor | tuple | Mapping) or is_frame(baselines)):
            raise InputTypeError(
                "a background must be a tensor of baselines, or a tuple with one per input, but "
                f"{describe(baselines)} of type {type(baselines).__name__} came"
            )
        self.baselines = baselines
        self.count = gather_examples(baselines).count

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"Background({describe(self.baselines)})"


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a perturbation method works on.

    Attributes:
        examples: the examples, in a type that holds their baselines, too.
        starts: one tensor per input, which broadcasts against it; of a background one of shape (M, ...).
        background: how many baselines there are for all examples; ``None`` if that is not so.
    """

    examples: Examples
    starts: tuple[Tensor, ...]
    background: int | None = None

    def carried_out(self, plan: CoalitionPlan) -> PerturbationPlan:
        """The plan, or if there is a background, the plan against each of its baselines."""
        return plan if self.background is None else AgainstBackground(plan, self.starts)

    def one_each(self, method: str) -> Setting:
        """The same.

        Raises:
            InputTypeError: there is a background.
        """
        if self.background is not None:
            raise InputTypeError(f"{method} compares with one baseline each{Background.taken_by}")
        return self


def gather_setting(inputs: Any, arguments: Any, baselines: Any, *, uneven: bool = False) -> Setting:
    """The examples of a call, with what they are compared with.

    Raises:
        InputTypeError, InputError: as for ``gather_examples`` and ``resolve_baselines``.
    """
    examples = gather_examples(inputs, arguments, uneven=uneven)
    count: int | None
    if isinstance(baselines, Background):
        count = baselines.count
        if examples.uneven:
            raise InputError(
                "inputs with different first dimensions cannot be compared with a Background, as it is not known which "
                "parts belong to an example; give one baseline"
            )
        # As baselines of as many examples: so they must have an example's shape, and go by name and by position alike.
        slots = tuple(x[:1].expand(count, *x.shape[1:]) for x in examples.tensors)
        like = dataclasses.replace(examples, tensors=slots)
        starts = resolve_baselines(baselines.baselines, like, wide=True)
        if any(len(b) != count for b in starts):
            raise InputError(
                f"a background must have as many baselines for each input, but {describe(baselines.baselines)} came"
            )
    else:
        count, starts = None, resolve_baselines(baselines, examples, wide=True)
    for x, b in zip(examples.tensors, starts, strict=True):
        if x.dtype != b.dtype:
            wider = tuple(x.to(b.dtype) for x, b in zip(examples.tensors, starts, strict=True))
            return Setting(dataclasses.replace(examples, tensors=wider), starts, count)
    return Setting(examples, starts, count)


class CoalitionPlan(PerturbationPlan, Protocol):
    """A plan of which each step keeps some features of the inputs, and of which step 0 keeps all."""

    examples: Examples
    features: Features

    def coalitions(self, steps: slice) -> Tensor:
        """Which features come from the inputs: bool (steps, F), or (steps, N, F) where examples differ."""


class AgainstBackground:
    """A plan whose steps are run against each of M baselines, and answered with the mean.

    Step 0, the inputs, comes once. Then come the M runs of step 1, of step 2, and so on.

    Args:
        plan: what is asked.
        background: one tensor (M, ...) per input.
    """

    def __init__(self, plan: CoalitionPlan, background: tuple[Tensor, ...]) -> None:
        self._plan, self._background = plan, background
        self._count = len(background[0])
        self.steps = 1 + (plan.steps - 1) * self._count
        self.checkpoints = tuple(1 + (point - 1) * self._count for point in plan.checkpoints)
        self.ready = False
        self._held: list[Tensor] = []  # answers of a step that is not complete
        self._done = 0

    def rows(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """The inputs of some runs and examples."""
        plan = self._plan
        run = torch.arange(steps.start, steps.stop, device="cpu") - 1
        step, which = torch.div(run, self._count, rounding_mode="floor") + 1, run % self._count
        first = int(step[0])
        keep = plan.coalitions(slice(first, int(step[-1]) + 1))
        keep = keep[(step - first).to(keep.device)]
        keep = keep[:, part] if keep.dim() == 3 else keep
        starts = tuple(b[which.to(b.device)].unsqueeze(1) for b in self._background)
        return plan.features.mix(keep, plan.examples.slices(part), starts, part, per_step=True)

    def take(self, steps: slice, values: Tensor) -> None:
        """Answer the plan's complete steps."""
        if steps.start == 0:
            self._tell(_floating(values[:1]))
            values = values[1:]
        held = join([(v,) for v in (*self._held, _floating(values))])[0]
        whole = len(held) // self._count
        if whole:
            runs = held[: whole * self._count].unflatten(0, (whole, self._count))
            exact = runs.dtype if runs.is_complex() else exact_dtype(runs.device)
            self._tell(runs.mean(1, dtype=exact).to(runs.dtype))
        self._held = [held[whole * self._count :]]

    def _tell(self, values: Tensor) -> None:
        done, self._done = self._done, self._done + len(values)
        self._plan.take(slice(done, self._done), values)
        self.ready = self._plan.ready

    def adapt(self, found: OutputShape) -> None:
        """As the plan."""
        self._plan.adapt(found)

    def attributions(self, found: OutputShape) -> tuple[Tensor, ...]:
        """As the plan, of the mean outputs."""
        return self._plan.attributions(found)

    def error(self, found: OutputShape) -> tuple[Tensor, ...] | None:
        """As the plan: the background is what it is, and none that was drawn from another."""
        return self._plan.error(found)


def _floating(values: Tensor) -> Tensor:
    whole = not (values.is_floating_point() or values.is_complex())
    return values.to(torch.get_default_dtype()) if whole else values
