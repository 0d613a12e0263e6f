"""Saliency: the gradient at the input itself, in one forward and one backward pass.

The simplest method there is, and so the one to read first; what its ``attribute`` sets going is told in
:mod:`attriscope.attr._streaming`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attriscope.attr._base import GradientAttribution, gradients_at_inputs
from attriscope.attr._streaming import streaming
from attriscope.core.complex_parts import absolute
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import SameForm, gather_examples, require_floating


class Saliency(GradientAttribution):
    """The gradient of the output, by default its absolute value (Simonyan et al. 2013, arXiv 1312.6034).

    It tells how much the output reacts to a small change of each input, not how much the input contributed.

    Args:
        forward_func: the model, or any function, called as ``forward_func(*inputs, *additional_forward_args)``.
    """

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        target: Any = None,
        abs: bool = True,
        additional_forward_args: Any = None,
    ) -> Iterator[PartialResult[SameForm]]:
        """Compute the gradient.

        Args:
            inputs: a tensor or tuple of tensors of floating point type, N examples in dimension 0. Of complex numbers,
                real and imaginary part count as inputs of their own, here and in every method: attributions are complex
                too, and what both parts contributed is their sum.
            target: which output to explain: an int; a tuple of ints for outputs of more dimensions; a list or 1-D
                tensor of ints, or a list of tuples, with one entry per example; a function of the output that gives
                N numbers; ``None`` for models with one output.
            abs: return absolute values (default).
            additional_forward_args: further arguments of ``forward_func``, a value or a tuple.

        Returns:
            Gradients in the shape, type and form (tensor or tuple) of the inputs; detached.

        Raises:
            InputTypeError: inputs or target are of a type that cannot be explained, e.g. integer inputs.
            InputError, TargetError, NonFiniteError: shapes or target do not fit; the output is NaN.
        """
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, self.get_name())
        gradients = gradients_at_inputs(self, examples, target)
        found = tuple(absolute(g) if g.is_complex() else g.abs() for g in gradients) if abs else gradients
        yield PartialResult(lambda: examples.form(found), evaluations=examples.count)
