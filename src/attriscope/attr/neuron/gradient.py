"""The gradient of a neuron."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attriscope.attr._base import GradientAttribution
from attriscope.attr._streaming import streaming
from attriscope.attr._sums import join
from attriscope.attr.at import neuron_target
from attriscope.attr.neuron._section import FOR_TOKENS, NeuronMethod
from attriscope.core.errors import InputError
from attriscope.core.estimate import PartialResult
from attriscope.core.evaluate import Evaluator
from attriscope.core.inputs import (
    SameForm,
    gather_examples,
    require_floating,
)
from attriscope.core.subject import Subject


class NeuronGradient(NeuronMethod, GradientAttribution):
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
            neuron_selector: which neuron of the layer: an int, or a tuple of ints and slices, as indices of what the
                layer gives for one example; where these leave several numbers (slices, or fewer indices than
                dimensions), they are added up. Or a function of what the layer gives (a tensor, or a tuple of tensors),
                that gives one number per example. A list of these explains each of them.
            additional_forward_args: further arguments of ``forward_func``, a value or a tuple.
            attribute_to_neuron_input: look at the layer's input instead of its output.

        Returns:
            Gradients in the shape, type and form of the inputs, detached; a list of these for a list of neurons.

        Raises:
            TargetError: the selector does not fit what the layer gives.
            InputTypeError, InputError, LayerError, NonFiniteError: inputs, selector or layer cannot be used.
        """
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, self.get_name(), FOR_TOKENS)
        several = isinstance(neuron_selector, list)
        selectors = neuron_selector if several else [neuron_selector]
        if not selectors:
            raise InputError("the list of neurons is empty")
        found: dict[int, Any] = {}
        evaluations = 0
        for kind in dict.fromkeys(map(callable, selectors)):  # functions see the layer as it is
            those = [i for i, selector in enumerate(selectors) if callable(selector) == kind]
            of = tuple(neuron_target(selectors[i]) for i in those)
            # One pass forward serves all neurons; the passes back go one after another, which was faster than together.
            subject = Subject(self._section(attribute_to_neuron_input, selectors[those[0]]), of)
            evaluator = Evaluator(subject, examples, gradient=True, batch=examples.count)
            blocks = list(evaluator.run(1, lambda steps, part: examples.slices(part)))
            evaluations += evaluator.evaluations
            for number, i in enumerate(those):
                found[i] = examples.form(join([b.gradients[number] for b in blocks]))
        ordered = [found[i] for i in range(len(selectors))]
        yield PartialResult(lambda: ordered if several else ordered[0], evaluations=evaluations)
