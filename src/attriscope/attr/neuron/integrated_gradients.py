"""What drives a neuron along the path from a baseline to the input, and what of it reaches the output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attriscope.attr._streaming import streaming
from attriscope.attr.at import for_selector, neuron_target
from attriscope.attr.integrated_gradients import IntegratedGradients, integrate
from attriscope.attr.neuron._section import FOR_TOKENS, ScaledNeuronMethod, one_or_each
from attriscope.attr.quadrature import quadrature
from attriscope.core.batch_size import check_batch
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import (
    SameForm,
    gather_examples,
    require_floating,
    resolve_baselines,
)
from attriscope.core.subject import Through


class NeuronIntegratedGradients(ScaledNeuronMethod):
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


class NeuronConductance(ScaledNeuronMethod):
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
        require_floating(examples, self.get_name(), FOR_TOKENS)
        starts = resolve_baselines(baselines, examples)
        rule = quadrature(method, n_steps).spread
        batch = check_batch(internal_batch_size, "internal_batch_size")
        site = self._site(attribute_to_neuron_input)

        def one(selector: Any) -> Iterator[PartialResult]:
            through = Through(for_selector(site, selector), neuron_target(selector))
            return integrate(self, examples, starts, target, rule, batch, grad_kwargs, through)

        yield from one_or_each(one, neuron_selector)
