"""What drives a neuron: methods that explain a neuron of a layer instead of an output.

Each is the method of the same name on the section of the model that ends at the neuron's layer; what comes after it is
not computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from attriscope.attr._base import GradientAttribution, NeuronAttribution, PerturbationAttribution
from attriscope.attr._streaming import last_of, partial_results, streaming
from attriscope.attr._sums import join
from attriscope.attr.at import MakeMethod, listed, neuron_target
from attriscope.attr.deep_lift import CustomAttribution, DeepLift, DeepLiftShap
from attriscope.attr.gradient_shap import GradientShap
from attriscope.attr.guided_backprop import Deconvolution, GuidedBackprop
from attriscope.attr.integrated_gradients import IntegratedGradients, integrate
from attriscope.attr.perturbation.feature_ablation import FeatureAblation
from attriscope.attr.quadrature import quadrature
from attriscope.core.batch_size import check_batch
from attriscope.core.errors import InputError
from attriscope.core.estimate import PartialResult
from attriscope.core.evaluate import Evaluator
from attriscope.core.hooks import Layer
from attriscope.core.inputs import (
    SameForm,
    gather_examples,
    require_floating,
    resolve_baselines,
)
from attriscope.core.progress import Parts
from attriscope.core.section import Section
from attriscope.core.subject import Subject, Through


class _OfNeuron(NeuronAttribution):
    """A neuron's layer, and a method on the section of the model that ends there."""

    def __init__(self, forward_func: Any, layer: Layer, device_ids: list[int] | None = None) -> None:
        super().__init__(forward_func, layer, device_ids)
        if isinstance(layer, list):
            raise InputError(f"neurons are in one layer, but a list of {len(layer)} came")

    def _section(self, at_input: bool) -> Section:
        return Section(self.forward_func, end=self._site(at_input))

    def _explained(
        self, make: MakeMethod, neuron_selector: Any, at_input: bool, given: dict[str, Any]
    ) -> Iterator[PartialResult]:
        """Partial results of a method for the neuron, or one with a list of results for a list of neurons."""
        section = self._section(at_input)

        def one(selector: Any) -> Iterator[PartialResult]:
            return partial_results(make(section), **given, target=neuron_target(selector))

        yield from _one_or_each(one, neuron_selector)


def _one_or_each(
    one: Callable[[Any], Iterator[PartialResult]], neuron_selector: Any
) -> Iterator[PartialResult]:
    if not isinstance(neuron_selector, list):
        yield from one(neuron_selector)
        return
    if not neuron_selector:
        raise InputError("the list of neurons is empty")
    parts, found = Parts(len(neuron_selector)), list[PartialResult]()
    for i, selector in enumerate(neuron_selector):
        with parts.part(i, i + 1, 1):
            found.append(last_of(one(selector), "attribute"))
    yield listed(found)


class _ByFactor(_OfNeuron, GradientAttribution):
    """With a choice at construction whether differences are factors."""

    def __init__(
        self,
        forward_func: Any,
        layer: Layer,
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
    ) -> None:
        super().__init__(forward_func, layer, device_ids)
        self._multiply_by_inputs = multiply_by_inputs

    @property
    def multiplies_by_inputs(self) -> bool:
        """As chosen at construction."""
        return self._multiply_by_inputs


class NeuronGradient(_OfNeuron, GradientAttribution):
    """The gradient of a neuron with respect to the inputs (Simonyan et al. 2013, arXiv 1312.6034).

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
        additional_forward_args: Any = None,
        attribute_to_neuron_input: bool = False,
    ) -> Iterator[PartialResult[SameForm | list[SameForm]]]:
        """Compute the gradient: one pass forward to the neuron, and one back for each neuron.

        Args:
            inputs: a tensor or tuple of tensors of floating point type, N examples in dimension 0.
            neuron_selector: which neuron of the layer: an int, or a tuple of ints and slices, as indices after
                dimension 0; where these leave several numbers per example (slices, or fewer indices than dimensions),
                they are added up. Or a function of what the layer gives (a tensor, or a tuple of tensors), that gives
                one number per example. A list of these explains each of them.
            additional_forward_args: further arguments of ``forward_func``, a value or a tuple.
            attribute_to_neuron_input: look at the layer's input instead of its output.

        Returns:
            Gradients in the shape, type and form of the inputs, detached; a list of these for a list of neurons.

        Raises:
            TargetError: the selector does not fit what the layer gives.
            InputTypeError, InputError, LayerError, NonFiniteError: inputs, selector or layer cannot be used.
        """
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, self.get_name())
        several = isinstance(neuron_selector, list)
        selectors = neuron_selector if several else [neuron_selector]
        if not selectors:
            raise InputError("the list of neurons is empty")
        of = tuple(neuron_target(selector) for selector in selectors)
        # One pass forward serves all neurons; the passes back go one after another, which was faster than together.
        subject = Subject(self._section(attribute_to_neuron_input), of)
        evaluator = Evaluator(subject, examples, gradient=True, batch=examples.count)
        blocks = list(evaluator.run(1, lambda steps, part: examples.slices(part)))
        found = [examples.form(join([b.gradients[i] for b in blocks])) for i in range(len(of))]
        yield PartialResult(lambda: found if several else found[0], evaluations=evaluator.evaluations)


class NeuronIntegratedGradients(_ByFactor):
    """Integrated gradients of a neuron (Sundararajan et al. 2017, arXiv 1703.01365).

    The attributions of each example add up to the change of the neuron from the baseline to the input.

    Args:
        forward_func: the model, or any function that runs it.
        layer: the neuron's layer: a module of the model, its path, or a :class:`Call` of it.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
        multiply_by_inputs: as for :class:`IntegratedGradients`.
    """

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        neuron_selector: Any,
        baselines: Any = None,
        additional_forward_args: Any = None,
        n_steps: int = 50,
        method: str = "gausslegendre",
        internal_batch_size: int | None = None,
        attribute_to_neuron_input: bool = False,
    ) -> Iterator[PartialResult[SameForm | list[SameForm]]]:
        """Integrate the neuron's gradient.

        Args:
            neuron_selector, attribute_to_neuron_input: as for :meth:`NeuronGradient.attribute`.
            inputs, baselines, additional_forward_args, n_steps, method, internal_batch_size: as for
                :meth:`IntegratedGradients.attribute`.

        Returns:
            Attributions in the shape and form of the inputs; a list of these for a list of neurons.

        Raises:
            As for :meth:`NeuronGradient.attribute` and :meth:`IntegratedGradients.attribute`.
        """
        given = {
            "inputs": inputs,
            "baselines": baselines,
            "additional_forward_args": additional_forward_args,
            "n_steps": n_steps,
            "method": method,
            "internal_batch_size": internal_batch_size,
        }
        yield from self._explained(
            lambda f: IntegratedGradients(f, self.multiplies_by_inputs),
            neuron_selector,
            attribute_to_neuron_input,
            given,
        )


class NeuronConductance(_ByFactor):
    """How much of what the inputs contribute to the output flows through a neuron.

    Conductance, Dhamdhere et al. 2018 (arXiv 1805.12233): along the path from the baseline to the input, the gradient
    of the neuron times that of the output with respect to the neuron. Added up over the inputs, it is the neuron's own
    conductance (:class:`LayerConductance`).

    Compared with Captum: the weights of the trapezoidal rule, the default, add up to 1; ``grad_kwargs`` are always
    used; and the conductance of several neurons is the sum of theirs.

    Args:
        forward_func: the model, or any function that runs it.
        layer: the neuron's layer: a module of the model, its path, or a :class:`Call` of it.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
        multiply_by_inputs: as for :class:`IntegratedGradients`.
    """

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        neuron_selector: Any,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        n_steps: int = 50,
        method: str = "riemann_trapezoid",
        internal_batch_size: int | None = None,
        attribute_to_neuron_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Iterator[PartialResult[SameForm | list[SameForm]]]:
        """Integrate that part of the gradient that goes through the neuron.

        Args:
            neuron_selector: as for :meth:`NeuronGradient.attribute`; of a function, its gradient says how much each
                unit of the layer counts.
            inputs, baselines, target, additional_forward_args, n_steps, method, internal_batch_size: as for
                :meth:`IntegratedGradients.attribute`.
            attribute_to_neuron_input: as for :meth:`NeuronGradient.attribute`.
            grad_kwargs: keyword arguments for :func:`torch.autograd.grad`.

        Returns:
            Attributions in the shape and form of the inputs; a list of these for a list of neurons.

        Raises:
            As for :meth:`NeuronGradient.attribute` and :meth:`IntegratedGradients.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, self.get_name())
        starts = resolve_baselines(baselines, examples)
        rule = quadrature(method, n_steps).spread
        batch = check_batch(internal_batch_size, "internal_batch_size")
        site = self._site(attribute_to_neuron_input)

        def one(selector: Any) -> Iterator[PartialResult]:
            through = Through(site, neuron_target(selector))
            return integrate(self, examples, starts, target, rule, batch, grad_kwargs, through)

        yield from _one_or_each(one, neuron_selector)


class NeuronGradientShap(_ByFactor):
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


class NeuronDeepLift(_ByFactor):
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


class _ByRectifiers(_OfNeuron, GradientAttribution):
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


class NeuronFeatureAblation(_OfNeuron, PerturbationAttribution):
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
