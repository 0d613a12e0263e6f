"""Changing the inputs, and looking at what a neuron does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attriscope.attr._base import PerturbationAttribution
from attriscope.attr._streaming import streaming
from attriscope.attr.neuron._section import NeuronMethod
from attriscope.attr.perturbation.feature_ablation import FeatureAblation
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import (
    SameForm,
)


class NeuronFeatureAblation(NeuronMethod, PerturbationAttribution):
    """How much a neuron falls when a feature is replaced by its baseline.

    Args:
        forward_func: the model, or any function that runs it.
        layer: the neuron's layer: a module of the model, its path, or a :class:`Call` of it.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
    """

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        neuron_selector: Any,
        baselines: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        attribute_to_neuron_input: bool = False,
        perturbations_per_eval: int | None = None,
    ) -> Iterator[PartialResult[SameForm | list[SameForm]]]:
        """Ablate feature by feature.

        Args:
            neuron_selector, attribute_to_neuron_input: as for :meth:`NeuronGradient.attribute`.
            inputs, baselines, additional_forward_args, feature_mask, perturbations_per_eval: as for
                :meth:`FeatureAblation.attribute`.

        Returns:
            Attributions in the form of the inputs; a list of these for a list of neurons.

        Raises:
            As for :meth:`NeuronGradient.attribute` and :meth:`FeatureAblation.attribute`.
        """
        given = {
            "inputs": inputs,
            "baselines": baselines,
            "additional_forward_args": additional_forward_args,
            "feature_mask": feature_mask,
            "perturbations_per_eval": perturbations_per_eval,
        }
        yield from self._explained(FeatureAblation, neuron_selector, attribute_to_neuron_input, given)
