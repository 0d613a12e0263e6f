"""Class activation maps: a convolutional layer's channels weighted by how much they matter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.attr._base import LayerAttribution, PerLayer
from attriscope.attr._streaming import streaming
from attriscope.attr.layer.activation import values_and_gradients
from attriscope.core.channels import FormsSeen
from attriscope.core.errors import LayerError
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import Inputs
from attriscope.core.layer_map import adds_up_to_one


class LayerGradCam(LayerAttribution):
    """Gradient-weighted class activation mapping, Grad-CAM (Selvaraju et al. 2016, arXiv 1610.02391).

    Each channel of the layer is weighted by its gradient averaged over positions, and the channels are added up.

    Compared with Captum: channels are where the layer has them: after the positions for tokens (N, positions, units)
    and maps (N, height, width, channels), as in Swin and ConvNeXt. Which it is, is told by the modules that ran before
    and after it; where none tells, channels come first.

    Args:
        forward_func: the model, or any function that runs it.
        layer: a module of the model, its path, or a list of these, which all come from one pass.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
    """

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        target: Any = None,
        additional_forward_args: Any = None,
        attribute_to_layer_input: bool = False,
        relu_attributions: bool = False,
        attr_dim_summation: bool = True,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Iterator[PartialResult[PerLayer]]:
        """Compute Grad-CAM.

        Args:
            inputs, target, additional_forward_args: as for :meth:`Saliency.attribute`; inputs may be of any type.
            attribute_to_layer_input: use the layer's input instead of its output.
            relu_attributions: keep only positive evidence, as the paper does; default ``False``, as in Captum.
            attr_dim_summation: add the channels up (default); ``False`` keeps them apart.
            grad_kwargs: keyword arguments for :func:`torch.autograd.grad`.

        Returns:
            Attributions of shape (N, 1, *positions), or (N, C, *positions) without summation, wherever the layer has
            its channels; a tuple if several tensors pass at the layer; a list if ``layer`` was a list. Detached. To lay
            them over the picture, use
            :meth:`LayerAttribution.interpolate`.

        Raises:
            LayerError: the layer did not run, or what passes there has no channel dimension.
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`Saliency.attribute`.
        """
        seen, layers = FormsSeen(), self._layers.modules
        with seen.watching(self.forward_func, layers, attribute_to_layer_input):
            pairs, evaluations = values_and_gradients(
                self, inputs, target, additional_forward_args, attribute_to_layer_input, grad_kwargs, True
            )

        def cam(layer: nn.Module, values: Tensor, gradient: Tensor) -> Tensor:
            form = seen.form(layer, values, attribute_to_layer_input, _weighs(values))
            if form.channels_last and form.said:
                values, gradient = values.movedim(-1, 1), gradient.movedim(-1, 1)
            return _cam(values, gradient, attr_dim_summation)

        maps = [
            tuple(cam(layer, v, g) for v, g in zip(*pair, strict=True))
            for layer, pair in zip(layers, pairs, strict=True)
        ]
        if relu_attributions:
            maps = [tuple(m.relu() for m in layer) for layer in maps]
        yield PartialResult(lambda: self._form(maps), evaluations=evaluations)


def _cam(values: Tensor, gradient: Tensor, add_channels: bool) -> Tensor:
    if values.dim() < 2:
        raise LayerError(
            f"Grad-CAM needs a layer that gives (examples, channels, positions...), not {tuple(values.shape)}"
        )
    if values.is_complex():  # both parts are channels of their own
        parts = [torch.cat([t.real, t.imag], 1) for t in (values, gradient)]
        whole = _cam(parts[0], parts[1], add_channels)
        return whole if add_channels else torch.complex(*whole.chunk(2, 1))
    positions = tuple(range(2, values.dim()))
    weights = gradient.mean(positions, keepdim=True) if positions else gradient
    if not (add_channels and positions):
        scaled = weights * values
        return scaled.sum(1, keepdim=True) if add_channels else scaled
    # One pass over the values, as a product of matrices; of large layers, the scaled values would take as long again.
    added = torch.bmm(weights.flatten(1).unsqueeze(1), values.flatten(2))
    return added.reshape(values.shape[0], 1, *values.shape[2:])


def _weighs(values: Tensor) -> bool:
    return values.dim() == 4 and not values.is_complex() and adds_up_to_one(values)
