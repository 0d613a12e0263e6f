"""Methods that show what a layer holds, and what the output makes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from attriscope.attr._base import Attribution, LayerAttribution, PerLayer
from attriscope.attr._streaming import streaming
from attriscope.attr._sums import join
from attriscope.core.arrangement import FIRST, as_they_were
from attriscope.core.complex_parts import times
from attriscope.core.estimate import PartialResult
from attriscope.core.evaluate import Evaluator
from attriscope.core.hooks import Layer, Layers
from attriscope.core.inputs import Examples, Inputs, gather_examples
from attriscope.core.passes import grad_mode
from attriscope.core.subject import Subject


class LayerActivation(LayerAttribution):
    """What a layer puts out, or takes in.

    Args:
        forward_func: the model, or any function that runs it.
        layer: a module of the model, its path, or a list of these, which are read in one forward pass.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
    """

    @property
    def multiplies_by_inputs(self) -> bool:
        """Always, as in Captum: values are in the layer's own units."""
        return True

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        additional_forward_args: Any = None,
        attribute_to_layer_input: bool = False,
    ) -> Iterator[PartialResult[PerLayer]]:
        """Run the model once and read the layer.

        Args:
            inputs: a tensor or tuple of tensors of any type, N examples in dimension 0.
            additional_forward_args: further arguments of ``forward_func``, a value or a tuple.
            attribute_to_layer_input: read the layer's input instead of its output.

        Returns:
            For each layer a tensor, or a tuple if several tensors pass there (nested structures are flattened, what
            is no tensor is left out); a list of these if ``layer`` was a list. Of a layer that runs several times in
            one forward pass, the last call counts, unless a :class:`Call` says otherwise. Copies, detached.

        Raises:
            LayerError: the layer did not run, or no tensor passed there.
            InputTypeError, InputError: inputs that cannot be used.
        """
        examples = gather_examples(inputs, additional_forward_args)
        found = values_of(self, self._site(attribute_to_layer_input), examples)
        yield PartialResult(lambda: self._form(found), evaluations=examples.count)


class LayerGradientXActivation(LayerAttribution):
    """What a layer holds, times the gradient of the output with respect to it.

    Shrikumar et al. 2016 (arXiv 1605.01713), at a layer instead of the input.

    Args:
        forward_func: the model, or any function that runs it.
        layer: a module of the model, its path, or a list of these, in whatever relation, which all come from one pass.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
        multiply_by_inputs: ``False`` gives the gradient alone.
        memory_efficient: hand results over in the computer's memory instead of the device's.
    """

    def __init__(
        self,
        forward_func: Any,
        layer: Layer | list[Layer],
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__(forward_func, layer, device_ids)
        self._multiply_by_inputs = multiply_by_inputs
        self.memory_efficient = memory_efficient

    @property
    def multiplies_by_inputs(self) -> bool:
        """As chosen at construction."""
        return self._multiply_by_inputs

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        target: Any = None,
        additional_forward_args: Any = None,
        attribute_to_layer_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Iterator[PartialResult[PerLayer]]:
        """Run the model once, forward and back.

        Args:
            inputs, target, additional_forward_args: as for :meth:`Saliency.attribute`; inputs may be of any type.
            attribute_to_layer_input: use the layer's input instead of its output.
            grad_kwargs: keyword arguments for :func:`torch.autograd.grad`.

        Returns:
            For each layer a tensor of the shape that passes there, or a tuple if several tensors do; a list of these if
            ``layer`` was a list. Detached. A tensor without effect on the output gets zeros.

        Raises:
            LayerError: the layer did not run, or no floating point tensor passed there.
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`Saliency.attribute`.
        """
        pairs, evaluations = values_and_gradients(
            self, inputs, target, additional_forward_args, attribute_to_layer_input, grad_kwargs
        )
        found = [self.multiply_gradient_acts(gradients, values) for values, gradients in pairs]
        yield PartialResult(lambda: self._form(found), evaluations=evaluations)

    def multiply_gradient_acts(
        self, gradients: tuple[Tensor, ...], evals: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """Gradients times values, or gradients alone, as chosen at construction; tensor by tensor."""
        factors = zip(gradients, evals, strict=True)
        found = (times(g, v) if self.multiplies_by_inputs else g for g, v in factors)
        return tuple(f.cpu() if self.memory_efficient else f for f in found)


def values_of(method: Attribution, site: Layers, examples: Examples) -> list[tuple[Tensor, ...]]:
    """What each layer holds, from one pass over all examples."""
    subject = Subject(method.forward_func, None, site, as_it_is=examples.count)
    evaluator = Evaluator(subject, examples, gradient=False, batch=examples.count)
    blocks = list(
        evaluator.run(1, lambda steps, part: tuple(x.detach().clone() for x in examples.slices(part)))
    )
    values = [join([block.values[i] for block in blocks]) for i in range(len(site))]
    return as_they_were(values, blocks[0].places)


def values_and_gradients(
    method: LayerAttribution,
    inputs: Inputs,
    target: Any,
    additional_forward_args: Any,
    at_input: bool,
    grad_kwargs: dict[str, Any] | None,
    examples_first: bool = False,
) -> tuple[list[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]], int]:
    """For each layer, what it holds and d f / d that, from one pass over all examples; and the number of rows run.

    With ``examples_first`` the examples are in dimension 0, as far as one dimension counts them and nothing else.
    """
    examples = gather_examples(inputs, additional_forward_args)
    evaluator = method._evaluator(
        examples,
        target,
        gradient=True,
        batch=examples.count,
        read=method._site(at_input),
        options=grad_kwargs,
    )
    if not examples_first:
        evaluator.subject = dataclasses.replace(evaluator.subject, as_it_is=examples.count)
    blocks = list(
        evaluator.run(1, lambda steps, part: tuple(x.detach().clone() for x in examples.slices(part)))
    )
    layers, places = range(len(blocks[0].values)), blocks[0].places
    if examples_first:
        places = tuple(tuple(FIRST if p.several == 1 else p for p in layer) for layer in places)
    values = as_they_were([join([b.values[i] for b in blocks]) for i in layers], places)
    gradients = as_they_were([join([b.gradients[i] for b in blocks]) for i in layers], places)
    return list(zip(values, gradients, strict=True)), evaluator.evaluations


def side_by_side(method: Attribution, site: Layers, examples: Examples) -> bool:
    """Whether none of several layers feeds another, or is another, so that all can be varied at once."""
    if len(site) == 1:
        return True
    if len({(module, site.call(i), site.tensor(i)) for i, module in enumerate(site.modules)}) < len(site):
        return False
    every = slice(0, examples.count)
    subject = Subject(method.forward_func, None, site, {"create_graph": True}, arrange=examples.arrange)
    with grad_mode(True):
        rows = tuple(x.detach().clone() for x in examples.tensors)
        found = subject.run(rows, examples.forward_arguments(1, every), 1, every, gradient=True)
        return not _feed_each_other([v for layer in found.values for v in layer])


def _feed_each_other(values: list[Tensor]) -> bool:
    """Whether one of the values is another, or is among what another was made of."""
    own = {_source(v) for v in values}
    if len(own) < len(values):  # a sequence gives what its last layer gives
        return True
    seen = set[Any]()
    waiting = [node for v in own for node, _ in v.next_functions]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in own:
            return True
        waiting.extend(before for before, _ in node.next_functions)
    return False


def _source(tensor: Tensor) -> Any:
    """The node of autograd's graph that a tensor comes from; for a leaf, the one that takes its gradient."""
    node = tensor.view_as(tensor).grad_fn
    assert node is not None
    return node.next_functions[0][0]
