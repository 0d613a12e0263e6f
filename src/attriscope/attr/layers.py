"""Methods that show what a layer holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from attriscope.attr._base import LayerAttribution, join, streams
from attriscope.core.estimate import Draft
from attriscope.core.evaluate import Evaluator
from attriscope.core.inputs import TensorOrTuple, gather_examples
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

    @streams
    def attribute(
        self,
        inputs: TensorOrTuple,
        additional_forward_args: Any = None,
        attribute_to_layer_input: bool = False,
    ) -> Iterator[Draft]:
        """Run the model once and read the layer.

        Args:
            inputs: a tensor or tuple of tensors of any type, N examples in dimension 0.
            additional_forward_args: further arguments of ``forward_func``, a value or a tuple.
            attribute_to_layer_input: read the layer's input instead of its output.

        Returns:
            For each layer a tensor, or a tuple if several tensors pass there (nested structures are flattened, what
            is no tensor is left out); a list of these if ``layer`` was a list. Of a layer that runs several times in
            one forward pass, the last call counts. Copies, detached.

        Raises:
            LayerError: the layer did not run, or no tensor passed there.
            InputTypeError, InputError: inputs that cannot be used.
        """
        examples = gather_examples(inputs, additional_forward_args)
        evaluator = Evaluator(
            Subject(self.forward_func, None, self._site(attribute_to_layer_input)),
            examples,
            gradient=False,
            batch=examples.count,
        )
        blocks = list(
            evaluator.run(1, lambda steps, part: tuple(x.detach().clone() for x in examples.slices(part)))
        )
        found = [join([block.values[i] for block in blocks]) for i in range(len(blocks[0].values))]
        yield Draft(lambda: self._form(found), evaluations=examples.count)


def values_and_gradients(
    method: LayerAttribution,
    inputs: TensorOrTuple,
    target: Any,
    additional_forward_args: Any,
    at_input: bool,
    grad_kwargs: dict[str, Any] | None,
) -> tuple[list[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]], int]:
    """For each layer, what it holds and d f / d that, from one pass over all examples; and the number of rows run."""
    examples = gather_examples(inputs, additional_forward_args)
    evaluator = method._evaluator(
        examples,
        target,
        gradient=True,
        batch=examples.count,
        read=method._site(at_input),
        options=grad_kwargs,
    )
    blocks = list(
        evaluator.run(1, lambda steps, part: tuple(x.detach().clone() for x in examples.slices(part)))
    )
    layers = range(len(blocks[0].values))
    pairs = [(join([b.values[i] for b in blocks]), join([b.gradients[i] for b in blocks])) for i in layers]
    return pairs, evaluator.evaluations
