"""What neuron methods share: a method on the section of the model that ends at the neuron's layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attriscope.attr._base import GradientAttribution, NeuronAttribution
from attriscope.attr._streaming import last_of, partial_results
from attriscope.attr.at import MakeMethod, for_selector, listed, neuron_target
from attriscope.core.errors import InputError
from attriscope.core.estimate import PartialResult
from attriscope.core.hooks import Layer
from attriscope.core.inputs import gather_examples, require_floating
from attriscope.core.progress import Parts
from attriscope.core.section import Section

# What explains a neuron of a model of tokens.
FOR_TOKENS = "At(IntegratedGradients, model, layer=embedding, neuron=Neuron(layer, selector))"


class NeuronMethod(NeuronAttribution):
    """A neuron's layer, and a method on the section of the model that ends there."""

    def __init__(self, forward_func: Any, layer: Layer, device_ids: list[int] | None = None) -> None:
        super().__init__(forward_func, layer, device_ids)
        if isinstance(layer, list):
            raise InputError(f"neurons are in one layer, but a list of {len(layer)} came")

    def _section(self, at_input: bool, selector: Any) -> Section:
        return Section(self.forward_func, end=for_selector(self._site(at_input), selector))

    def _explained(
        self, make: MakeMethod, neuron_selector: Any, at_input: bool, given: dict[str, Any]
    ) -> Iterator[PartialResult]:
        """Partial results of a method for the neuron, or one with a list of results for a list of neurons."""

        def one(selector: Any) -> Iterator[PartialResult]:
            method = make(self._section(at_input, selector))
            if isinstance(method, GradientAttribution):
                require_floating(gather_examples(given["inputs"]), self.get_name(), FOR_TOKENS)
            return partial_results(method, **given, target=neuron_target(selector))

        yield from one_or_each(one, neuron_selector)


def one_or_each(
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


class ScaledNeuronMethod(NeuronMethod, GradientAttribution):
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
