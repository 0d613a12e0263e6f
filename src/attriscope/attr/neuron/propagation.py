"""Neurons under backward passes with rules of their own: DeepLIFT, guided backpropagation, deconvolution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attriscope.attr._base import GradientAttribution
from attriscope.attr._deep_lift_arguments import CustomAttribution
from attriscope.attr._streaming import streaming
from attriscope.attr.deep_lift import DeepLift, DeepLiftShap
from attriscope.attr.guided_backprop import Deconvolution, GuidedBackprop
from attriscope.attr.neuron._section import NeuronMethod, ScaledNeuronMethod
from attriscope.core.estimate import PartialResult
from attriscope.core.hooks import Layer
from attriscope.core.inputs import (
    SameForm,
)


class NeuronDeepLift(ScaledNeuronMethod):
    """DeepLIFT of a neuron (Shrikumar et al. 2017, arXiv 1704.02685).

    The attributions of each example add up to the change of the neuron from the baseline to the input.

    Args:
        model: the model, or any function that runs it.
        layer: the neuron's layer: a module of the model, its path, or a :class:`Call` of it.
        multiply_by_inputs, rules: as for :class:`DeepLift`.
    """

    def __init__(
        self, model: Any, layer: Layer, multiply_by_inputs: bool = True, rules: dict[Any, Any] | None = None
    ) -> None:
        super().__init__(model, layer, None, multiply_by_inputs)
        self.model = model
        self._more_rules = rules

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        neuron_selector: Any,
        baselines: Any = None,
        additional_forward_args: Any = None,
        attribute_to_neuron_input: bool = False,
        custom_attribution_func: CustomAttribution | None = None,
    ) -> Iterator[PartialResult[SameForm | list[SameForm]]]:
        """Compare the inputs with the baselines.

        Args:
            neuron_selector, attribute_to_neuron_input: as for :meth:`NeuronGradient.attribute`.
            inputs, baselines, additional_forward_args, custom_attribution_func: as for :meth:`DeepLift.attribute`.

        Returns:
            Attributions in the shape, type and form of the inputs; a list of these for a list of neurons.

        Raises:
            As for :meth:`NeuronGradient.attribute` and :meth:`DeepLift.attribute`.
        """
        given = {
            "inputs": inputs,
            "baselines": baselines,
            "additional_forward_args": additional_forward_args,
            "custom_attribution_func": custom_attribution_func,
        }
        yield from self._explained(
            lambda f: DeepLift(f, self.multiplies_by_inputs, rules=self._more_rules),
            neuron_selector,
            attribute_to_neuron_input,
            given,
        )


class NeuronDeepLiftShap(NeuronDeepLift):
    """DeepLIFT of a neuron, averaged over a distribution of baselines (arXiv 1705.07874).

    Args:
        model, layer, multiply_by_inputs, rules: as for :class:`NeuronDeepLift`.
    """

    @streaming
    def attribute(  # type: ignore[override]
        self,
        inputs: SameForm,
        neuron_selector: Any,
        baselines: Any,
        additional_forward_args: Any = None,
        attribute_to_neuron_input: bool = False,
        custom_attribution_func: CustomAttribution | None = None,
    ) -> Iterator[PartialResult[SameForm | list[SameForm]]]:
        """Compare every input with every baseline.

        Args:
            neuron_selector, attribute_to_neuron_input: as for :meth:`NeuronGradient.attribute`.
            inputs, baselines, additional_forward_args, custom_attribution_func: as for
                :meth:`DeepLiftShap.attribute`.

        Returns:
            Attributions in the shape and form of the inputs; a list of these for a list of neurons.

        Raises:
            As for :meth:`NeuronGradient.attribute` and :meth:`DeepLiftShap.attribute`.
        """
        given = {
            "inputs": inputs,
            "baselines": baselines,
            "additional_forward_args": additional_forward_args,
            "custom_attribution_func": custom_attribution_func,
        }
        yield from self._explained(
            lambda f: DeepLiftShap(f, self.multiplies_by_inputs, rules=self._more_rules),
            neuron_selector,
            attribute_to_neuron_input,
            given,
        )


class _ByRectifiers(NeuronMethod, GradientAttribution):
    _method: type[GuidedBackprop] | type[Deconvolution]

    def __init__(
        self,
        model: Any,
        layer: Layer,
        device_ids: list[int] | None = None,
        rules: dict[Any, Any] | None = None,
    ) -> None:
        super().__init__(model, layer, device_ids)
        self.model = model
        self._more_rules = rules

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        neuron_selector: Any,
        additional_forward_args: Any = None,
        attribute_to_neuron_input: bool = False,
    ) -> Iterator[PartialResult[SameForm | list[SameForm]]]:
        """Compute the neuron's modified gradient.

        Args:
            inputs, neuron_selector, additional_forward_args, attribute_to_neuron_input: as for
                :meth:`NeuronGradient.attribute`.

        Returns:
            Modified gradients in the shape, type and form of the inputs; a list of these for a list of neurons.

        Raises:
            As for :meth:`NeuronGradient.attribute` and :meth:`GuidedBackprop.attribute`.
        """
        given = {"inputs": inputs, "additional_forward_args": additional_forward_args}
        yield from self._explained(
            lambda f: self._method(f, self._more_rules), neuron_selector, attribute_to_neuron_input, given
        )


class NeuronGuidedBackprop(_ByRectifiers):
    """Guided backpropagation from a neuron (Springenberg et al. 2014, arXiv 1412.6806).

    Args:
        model: the model, or any function that runs it.
        layer: the neuron's layer: a module of the model, its path, or a :class:`Call` of it.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
        rules: as for :class:`GuidedBackprop`.
    """

    _method = GuidedBackprop


class NeuronDeconvolution(_ByRectifiers):
    """Deconvolution from a neuron (Zeiler and Fergus 2013, arXiv 1311.2901).

    Args:
        model, layer, device_ids, rules: as for :class:`NeuronGuidedBackprop`.
    """

    _method = Deconvolution
