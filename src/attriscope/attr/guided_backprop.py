"""Gradients that let only positive evidence through rectifiers: guided backpropagation and deconvolution.

The rules are in :mod:`attriscope.attr.rules.guided`, how they get onto the backward pass in
:mod:`attriscope.core.propagation`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch

from attriscope.attr._base import GradientAttribution, LayerAttribution
from attriscope.attr._streaming import streaming
from attriscope.attr._sums import join
from attriscope.attr.layer.grad_cam import LayerGradCam
from attriscope.attr.rules.guided import DECONVOLUTION, GUIDED
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import SameForm, gather_examples, require_floating
from attriscope.core.propagation import Rules, Scheme


class _ByRectifiers(GradientAttribution):
    rules: ClassVar[Rules]

    def __init__(self, model: Any, rules: dict[Any, Any] | None = None) -> None:
        super().__init__(model)
        self.model = model
        self._more_rules = rules

    def _scheme(self) -> Scheme:
        return Scheme(self.rules.extended(self._more_rules), method=self.get_name())

    @streaming
    def attribute(
        self, inputs: SameForm, target: Any = None, additional_forward_args: Any = None
    ) -> Iterator[PartialResult[SameForm]]:
        """Compute the modified gradient, in one forward and one backward pass.

        Args:
            inputs, target, additional_forward_args: as for :meth:`Saliency.attribute`.

        Returns:
            Modified gradients in the shape, type and form of the inputs; detached.

        Raises:
            OperationError: part of the model is compiled, scripted or a ``torch.autograd.Function`` without a rule.
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`Saliency.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, self.get_name())
        evaluator = self._evaluator(
            examples, target, gradient=True, batch=examples.count, scheme=self._scheme()
        )
        blocks = list(evaluator.run(1, lambda steps, part: examples.slices(part)))
        found = join([block.gradients[0] for block in blocks])
        yield PartialResult(lambda: examples.form(found), evaluations=evaluator.evaluations)


class GuidedBackprop(_ByRectifiers):
    """The gradient, with negative numbers cut off at every rectifier (Springenberg et al. 2014, arXiv 1412.6806).

    Rectifiers are ReLU and what took its place (ReLU6, leaky ReLU, PReLU, ELU, SELU, GELU, SiLU, Mish, Hardswish,
    Softplus, ``clamp(min=0)``, ``x * (x > 0)``), written as modules, functions, methods or in place. Captum sees
    ``nn.ReLU`` modules only, and gives the plain gradient for everything else.

    The map shows edges of the input more than what the model uses: see ``notebooks/03_backward_rules.ipynb``.

    Args:
        model: the model, or any function, called as ``model(*inputs, *additional_forward_args)``.
        rules: more rules, for this object only; see :mod:`attriscope.attr.rules`.
    """

    rules: ClassVar[Rules] = GUIDED


class Deconvolution(_ByRectifiers):
    """The gradient, with rectifiers applied to it instead of their derivative (Zeiler & Fergus 2013, arXiv 1311.2901).

    Rectifiers are those of :class:`GuidedBackprop`.

    Args:
        model, rules: as for :class:`GuidedBackprop`.
    """

    rules: ClassVar[Rules] = DECONVOLUTION


class GuidedGradCam(LayerAttribution):
    """Guided backpropagation, times the positive part of Grad-CAM (Selvaraju et al. 2016, arXiv 1610.02391).

    Args:
        model: the model, or any function that runs it.
        layer: a convolutional layer of the model, its path, or a :class:`Call` of it; commonly the last.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
    """

    def __init__(self, model: Any, layer: Any, device_ids: list[int] | None = None) -> None:
        super().__init__(model, layer, device_ids)
        self.model = model
        self._cam = LayerGradCam(model, layer)

    @property
    def multiplies_by_inputs(self) -> bool:
        """No."""
        return False

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        target: Any = None,
        additional_forward_args: Any = None,
        interpolate_mode: str = "nearest",
        attribute_to_layer_input: bool = False,
    ) -> Iterator[PartialResult[SameForm]]:
        """Compute both maps, in two forward and two backward passes, and multiply them.

        Args:
            inputs, target, additional_forward_args: as for :meth:`Saliency.attribute`.
            interpolate_mode: how Grad-CAM's map is scaled to the size of the input, a mode of
                :func:`torch.nn.functional.interpolate`; default ``"nearest"``.
            attribute_to_layer_input: use the layer's input instead of its output.

        Returns:
            Attributions in the shape and form of the inputs; detached. An input without the dimensions of the layer's
            output gets an empty tensor, as in Captum.

        Raises:
            LayerError: the layer did not run, or what passes there has no channels and positions.
            OperationError, InputTypeError, InputError, TargetError, NonFiniteError: as for :class:`GuidedBackprop`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, self.get_name())
        cam: Any = self._cam.attribute(
            inputs,
            target,
            additional_forward_args,
            attribute_to_layer_input=attribute_to_layer_input,
            relu_attributions=True,
        )
        cam = cam[0] if isinstance(cam, tuple) else cam
        guided = GuidedBackprop(self.forward_func).attribute(
            examples.tensors, target, additional_forward_args
        )
        found = tuple(
            g * self.interpolate(cam, tuple(g.shape[2:]), interpolate_mode)
            if g.dim() == cam.dim() and g.dim() > 2
            else torch.empty(0, device=g.device)
            for g in guided
        )
        yield PartialResult(lambda: examples.form(found), evaluations=2 * examples.count)
