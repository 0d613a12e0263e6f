"""The metrics that :func:`evaluate` knows by name, and what it hands to each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.errors import InputError
from attriscope.metrics import (
    axioms,
    complexity,
    faithfulness,
    localisation,
    perturbation_curves,
    randomisation,
    robustness,
)
from attriscope.metrics.fidelity import infidelity, removal_perturbation

HIGHER, LOWER = "higher", "lower"


@dataclasses.dataclass(frozen=True)
class Case:
    """What a metric is asked about: one method's explanation of some examples.

    Attributes:
        model: what is explained.
        inputs: the examples, in the form they were given.
        targets: what is explained of each.
        attributions: the method's, in the form of the inputs.
        explain: makes attributions for other inputs: a function of (inputs, target=..., additional_forward_args=...).
        method: what was given as the method, for :func:`parameter_randomisation` and its like.
        masks: where the object is, for localisation; may be ``None``.
        feature_mask: which numbers are removed together.
        additional_forward_args: further arguments of the model.
        generator: where random numbers come from: the same ones for every method.
    """

    model: Any
    inputs: Any
    targets: Any
    attributions: Any
    explain: Callable[..., Any]
    method: Any
    masks: Tensor | None = None
    feature_mask: Any = None
    additional_forward_args: Any = None
    generator: torch.Generator | None = None

    @property
    def asked(self) -> dict[str, Any]:
        """Keyword arguments that all metrics share that ask the model."""
        return {"target": self.targets, "additional_forward_args": self.additional_forward_args}

    def removing(self) -> dict[str, Any]:
        """Keyword arguments of metrics that remove features."""
        return {**self.asked, "feature_mask": self.feature_mask, "generator": self.generator}

    def nearby(self) -> dict[str, Any]:
        """Keyword arguments of metrics that explain perturbed inputs."""
        given = {name: value for name, value in self.asked.items() if value is not None}
        return {**given, "generator": self.generator}

    def where(self) -> Tensor:
        """The masks.

        Raises:
            InputError: there are none.
        """
        if self.masks is None:
            raise InputError("this metric needs masks= that say where the object is")
        return self.masks


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric for :func:`evaluate`.

    Attributes:
        function: takes a :class:`Case` and gives one number per example, (N,).
        better: ``"higher"`` or ``"lower"``.
    """

    function: Callable[[Case], Tensor]
    better: str

    def __post_init__(self) -> None:
        if self.better not in (HIGHER, LOWER):
            raise InputError(f"better must be 'higher' or 'lower', but {self.better!r} came")

    @property
    def arrow(self) -> str:
        """The better direction as a sign."""
        return "↑" if self.better == HIGHER else "↓"


def _are_pictures(inputs: Any) -> bool:
    return isinstance(inputs, Tensor) and inputs.dim() == 4


def _insertion(case: Case) -> Tensor:
    # A blurred picture is what the paper begins with; other inputs have nothing to blur.
    start = "blur" if _are_pictures(case.inputs) else None
    return perturbation_curves.insertion(
        case.model, case.inputs, case.attributions, replacement=start, **case.removing()
    ).auc


def _infidelity(case: Case) -> Tensor:
    return infidelity(
        case.model,
        removal_perturbation(),
        case.inputs,
        case.attributions,
        additional_forward_args=case.additional_forward_args,
        target=case.targets,
        n_perturb_samples=32,
        normalize=True,
        generator=case.generator,
    )


def _removal(function: Callable[..., Any]) -> Callable[[Case], Tensor]:
    def call(case: Case) -> Tensor:
        found = function(case.model, case.inputs, case.attributions, **case.removing())
        return (
            found.aopc
            if function is perturbation_curves.region_perturbation
            else getattr(found, "auc", found)
        )

    return call


def _nearby(function: Callable[..., Tensor]) -> Callable[[Case], Tensor]:
    return lambda case: function(case.explain, case.inputs, **case.nearby())


def _local(function: Callable[..., Tensor]) -> Callable[[Case], Tensor]:
    return lambda case: function(case.attributions, case.where())


def _randomisation(case: Case) -> Tensor:
    return randomisation.parameter_randomisation(
        case.method, case.model, case.inputs, mode="complete", generator=case.generator, **case.asked
    ).last


def _randomisation_complexity(case: Case) -> Tensor:
    return randomisation.randomisation_complexity(
        case.method, case.model, case.inputs, generator=case.generator, **case.asked
    )


CATALOGUE: dict[str, Metric] = {
    "deletion": Metric(_removal(perturbation_curves.deletion), LOWER),
    "insertion": Metric(_insertion, HIGHER),
    "pixel flipping": Metric(_removal(perturbation_curves.pixel_flipping), LOWER),
    "region perturbation": Metric(_removal(perturbation_curves.region_perturbation), HIGHER),
    "road": Metric(_removal(perturbation_curves.road_combined), HIGHER),
    "comprehensiveness": Metric(_removal(faithfulness.comprehensiveness), HIGHER),
    "sufficiency": Metric(_removal(faithfulness.sufficiency), LOWER),
    "faithfulness correlation": Metric(_removal(faithfulness.faithfulness_correlation), HIGHER),
    "faithfulness estimate": Metric(_removal(faithfulness.faithfulness_estimate), HIGHER),
    "monotonicity": Metric(_removal(faithfulness.monotonicity), HIGHER),
    "infidelity": Metric(_infidelity, LOWER),
    "sensitivity": Metric(_nearby(robustness.sensitivity_max), LOWER),
    "average sensitivity": Metric(_nearby(robustness.sensitivity_average), LOWER),
    "local Lipschitz": Metric(_nearby(robustness.local_lipschitz), LOWER),
    "randomisation": Metric(_randomisation, LOWER),
    "randomisation complexity": Metric(_randomisation_complexity, HIGHER),
    "pointing game": Metric(_local(localisation.pointing_game), HIGHER),
    "relevance mass": Metric(_local(localisation.relevance_mass_accuracy), HIGHER),
    "relevance rank": Metric(_local(localisation.relevance_rank_accuracy), HIGHER),
    "localisation": Metric(_local(localisation.attribution_localisation), HIGHER),
    "sparseness": Metric(lambda case: complexity.sparseness(case.attributions), HIGHER),
    "entropy": Metric(lambda case: complexity.entropy(case.attributions), LOWER),
    "effective complexity": Metric(_removal(complexity.effective_complexity), LOWER),
    "completeness gap": Metric(
        lambda case: axioms.completeness_gap(case.model, case.inputs, case.attributions, **case.asked), LOWER
    ),
    "non-sensitivity": Metric(_removal(axioms.non_sensitivity), LOWER),
}
"""Every metric that :func:`evaluate` knows by name, with its defaults."""


def default_metrics(model: Any, masks: Any) -> tuple[str, ...]:
    """What is asked of methods if nobody says what."""
    always = ("deletion", "insertion", "sensitivity")
    learned = (
        ("randomisation",) if isinstance(model, nn.Module) else ()
    )  # a function has no parameters to be seen
    return (*always, *learned, "sparseness", *(("localisation",) if masks is not None else ()))
