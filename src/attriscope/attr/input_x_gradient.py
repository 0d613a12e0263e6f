"""The input times its gradient, in one forward and one backward pass.

At a layer: :class:`~attriscope.attr.LayerGradientXActivation`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attriscope.attr._base import GradientAttribution, gradients_at_inputs
from attriscope.attr._streaming import streaming
from attriscope.core.complex_parts import times
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import SameForm, gather_examples, require_floating


class InputXGradient(GradientAttribution):
    """The input times the gradient of the output (Shrikumar et al. 2016, arXiv 1605.01713).

    For a linear model this is the exact contribution of each input compared with zero.

    Args:
        forward_func: the model, or any function, called as ``forward_func(*inputs, *additional_forward_args)``.
    """

    @property
    def multiplies_by_inputs(self) -> bool:
        """Always."""
        return True

    @streaming
    def attribute(
        self, inputs: SameForm, target: Any = None, additional_forward_args: Any = None
    ) -> Iterator[PartialResult[SameForm]]:
        """Compute input times gradient.

        Args:
            inputs, target, additional_forward_args: as for :meth:`Saliency.attribute`.

        Returns:
            Attributions in the shape, type and form of the inputs; detached (Captum's keep a graph alive).

        Raises:
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`Saliency.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, self.get_name())
        gradients = gradients_at_inputs(self, examples, target)
        found = tuple(times(x.detach(), g) for x, g in zip(examples.tensors, gradients, strict=True))
        yield PartialResult(lambda: examples.form(found), evaluations=examples.count)
