"""Expected gradients of a neuron."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from attriscope.attr._streaming import streaming
from attriscope.attr.gradient_shap import GradientShap
from attriscope.attr.neuron._section import ScaledNeuronMethod
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import (
    SameForm,
)


class NeuronGradientShap(ScaledNeuronMethod):
    """Expected gradients of a neuron (Lundberg and Lee 2017, arXiv 1705.07874).

    Args:
        forward_func: the model, or any function that runs it.
        layer: the neuron's layer: a module of the model, its path, or a :class:`Call` of it.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
        multiply_by_inputs: as for :class:`GradientShap`.
    """

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        neuron_selector: Any,
        baselines: Any,
        n_samples: int = 5,
        stdevs: float | tuple[float, ...] = 0.0,
        additional_forward_args: Any = None,
        attribute_to_neuron_input: bool = False,
        *,
        generator: torch.Generator | None = None,
    ) -> Iterator[PartialResult[SameForm | list[SameForm]]]:
        """Average the neuron's gradients between inputs and baselines.

        Args:
            neuron_selector, attribute_to_neuron_input: as for :meth:`NeuronGradient.attribute`.
            inputs, baselines, n_samples, stdevs, additional_forward_args, generator: as for
                :meth:`GradientShap.attribute`.

        Returns:
            Attributions in the shape and form of the inputs; a list of these for a list of neurons.

        Raises:
            As for :meth:`NeuronGradient.attribute` and :meth:`GradientShap.attribute`.
        """
        given = {
            "inputs": inputs,
            "baselines": baselines,
            "n_samples": n_samples,
            "stdevs": stdevs,
            "additional_forward_args": additional_forward_args,
            "generator": generator,
        }
        yield from self._explained(
            lambda f: GradientShap(f, self.multiplies_by_inputs),
            neuron_selector,
            attribute_to_neuron_input,
            given,
        )
