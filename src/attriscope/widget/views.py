"""The parts of the Explorer that stand alone: each draws itself from rows of the table of its own.

The page draws them with the same bundle (``js/src/index.ts``). :class:`ChannelGrid` computes when another layer is
picked, so it has a worker as the Explorer has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import traitlets
from torch import Tensor, nn

from attriscope.attr import IntegratedGradients
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.hooks import module_of
from attriscope.core.inputs import as_tensor, describe, gather_examples, require_floating
from attriscope.core.layer_map import LayerInfo, map_layers
from attriscope.core.layouts import Layout, layouts_of, why_not
from attriscope.widget.jobs.job_widget import JobWidget
from attriscope.widget.jobs.worker import Job
from attriscope.widget.messages import wire
from attriscope.widget.messages.class_names import ClassNames, ClassNamesLike, read_class_names
from attriscope.widget.messages.layers import (
    Channel,
    channels_message,
    layer_relevance_message,
    layer_rows,
    top_channels,
)
from attriscope.widget.messages.predictions import Outputs, predictions_message
from attriscope.widget.messages.types import Output
from attriscope.widget.model import layers as model_layers
from attriscope.widget.model.output_kind import outputs_of, scores_of
from attriscope.widget.model.path import PathIntegral, path_message
from attriscope.widget.stages.baselines import custom_baseline
from attriscope.widget.stages.pictures import PictureStage, ToImage
from attriscope.widget.stages.pixels import as_pixels
from attriscope.widget.state.part import LOCK, Part
from attriscope.widget.state.selection import ChoiceError
from attriscope.widget.state.table import ExplorerTraits
from attriscope.widget.state.traits import also
from attriscope.widget.validation import LayerValidation, check_keywords


class Overlay(Part):
    """Any attributions over any picture, to restyle by hand.

    Args:
        image: the picture: a tensor (1, C, H, W) for ``to_image``, or what ``to_image`` would return.
        attributions: a tensor or array of shape (H, W), (C, H, W) or (1, C, H, W); channels are added up. Its height
            and width may be smaller than the picture's.
        title: what it shows; becomes part of the picture's label.
        to_image: see :class:`Explorer`.
        **traits: initial ``opacity``, ``colormap``, ``sign``, ``mode``, ``outlier_percent``, ``scale_limit`` or
            ``detail``, which is 1 unless given: each pixel as it came.
    """

    picture = also(ExplorerTraits.picture)
    baseline_picture = also(ExplorerTraits.baseline_picture)
    heat = also(ExplorerTraits.heat)
    luts = also(ExplorerTraits.luts)
    opacity = also(ExplorerTraits.opacity)
    colormap = also(ExplorerTraits.colormap)
    sign = also(ExplorerTraits.sign)
    mode = also(ExplorerTraits.mode)
    outlier_percent = also(ExplorerTraits.outlier_percent)
    scale_limit = also(ExplorerTraits.scale_limit)
    detail = also(ExplorerTraits.detail)

    def __init__(
        self,
        image: Any,
        attributions: Any,
        title: str = "Attributions",
        to_image: ToImage | None = None,
        **traits: Any,
    ) -> None:
        check_keywords(type(self), traits)
        of_model = isinstance(image, Tensor) and image.dim() == 4
        attributions = _attributions(attributions)
        size = (attributions.shape[-2], attributions.shape[-1])
        pixels = PictureStage(image, to_image).show(image) if of_model else as_pixels(image, size)
        super().__init__(_part="overlay", **{"detail": 1, **traits})
        self.picture = wire.picture_message(pixels)
        heat = wire.flat_map(attributions)
        self.heat = wire.heat_message(
            heat,
            title=title,
            final=True,
            sum=float(attributions.sum()),
            gap=None,
            request=None,
            pixels=size[0] * size[1] / heat.numel(),
            summable=size == pixels.shape[:2],
        )


def _attributions(given: Any) -> Tensor:
    """What an overlay is drawn of, as a tensor (1, C, H, W)."""
    try:
        found = as_tensor(given).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputTypeError(
            f"attributions must be a tensor or an array, but {describe(given)} came"
        ) from error
    if (
        not 2 <= found.dim() <= 4
        or (found.dim() == 4 and len(found) != 1)
        or not found.numel()
        or found.is_complex()
    ):
        raise InputError(
            f"attributions must be of shape (H, W), (C, H, W) or (1, C, H, W), but {describe(found)} came"
            + (": take one example, attributions[:1]" if found.dim() == 4 and len(found) > 1 else "")
        )
    return found.reshape(1, -1, *found.shape[-2:])


class Predictions(Part):
    """A model's output for one example as a list of classes to pick from; the pick is ``target``.

    Args:
        output: what a model gives for one example: a tensor or array of shape (C,) or (1, C), or something that holds
            one as its ``logits``.
        class_names: a name for each class, as a sequence or a dict; see :class:`Explorer`.
        target: the class picked at first; ``None`` picks the best.
        kind: what the numbers are: ``"auto"``, ``"logits"``, ``"probabilities"``, ``"sigmoid"`` or ``"values"``, as
            ``output`` of :class:`Explorer`.
    """

    predictions = also(ExplorerTraits.predictions)
    target = also(ExplorerTraits.target)

    def __init__(
        self,
        output: Any,
        class_names: ClassNamesLike = None,
        target: int | None = None,
        kind: Output = "auto",
    ) -> None:
        if kind not in get_args(Output):
            raise InputError(f"kind must be one of {', '.join(get_args(Output))}, but {describe(kind)} came")
        names = read_class_names(class_names)
        row = scores_of(as_tensor(output) if hasattr(output, "__array__") else output)
        if row is None or not row.numel():
            raise InputError(
                f"output must hold one example, of shape (C,) or (1, C), but {describe(output)} came"
            )
        scores = row.reshape(-1)
        super().__init__(_part="predictions", target=int(scores.argmax()) if target is None else target)
        outputs = outputs_of(scores, kind, names.binary, lambda: False)
        self.predictions = predictions_message(scores, names.of(len(scores)), outputs)


class PathWalk(Part):
    """The prediction along the path from a baseline to the input; the position is ``alpha``.

    Args:
        model, inputs, target, baseline, to_image: see :class:`Explorer`; ``target`` must be given.
        n_steps: points on the path.
    """

    path = also(ExplorerTraits.path)
    alpha = also(ExplorerTraits.alpha)

    def __init__(
        self,
        model: Any,
        inputs: Tensor,
        target: Any,
        baseline: str | Tensor = "zero",
        to_image: ToImage | None = None,
        n_steps: int = 50,
    ) -> None:
        super().__init__(_part="path")
        examples = gather_examples(inputs).plain
        require_floating(examples, "PathWalk")
        if isinstance(baseline, str):
            start = PictureStage(inputs, to_image).baseline(baseline)
        else:
            start = custom_baseline(baseline, examples).expand_as(inputs)
        path = PathIntegral(IntegratedGradients(model), examples, start, target, n_steps)
        for _ in path.steps():
            pass
        self.path = path_message(
            path,
            ClassNames(),
            Outputs(),
            [],
            inputs[0, 0].numel(),
            title="Integrated gradients",
            target_label=str(target),
            request=None,
        )


class _Observed:
    """One example, and what a model was seen to do with it.

    Args:
        model: the model.
        inputs: as for the methods, of any type; the first example is looked at.
        additional_forward_args: further arguments of the model.
        target: the explained output; ``None`` takes the best class where the model gives a row of scores.
    """

    def __init__(self, model: Any, inputs: Any, additional_forward_args: Any, target: Any) -> None:
        if not isinstance(module_of(model), nn.Module):
            raise InputTypeError(f"model must be a torch.nn.Module, but {describe(model)} came")
        given = gather_examples(inputs, additional_forward_args).plain
        first = slice(0, 1)
        tensors, arguments = given.slices(first), given.forward_arguments(1, first)
        self.model = model
        self.examples = dataclasses.replace(given, tensors=tensors, arguments=arguments)
        outputs: list[Any] = []
        self.layers: Sequence[LayerInfo] = map_layers(model, lambda: outputs.append(self._run()))
        self.layouts: Mapping[str, Layout] = layouts_of(self.layers, module_of(model))
        scores = scores_of(outputs[0])
        row = scores is not None and scores.dim() == 2 and scores.shape[1] > 1
        self.target = int(scores[0].argmax()) if target is None and scores is not None and row else target

    def _run(self) -> Any:
        examples = self.examples
        given, named = examples.arrange(
            tuple(t.detach().clone() for t in examples.tensors), examples.arguments
        )
        return self.model(*given, **named)


class LayerPicker(Part):
    """The tree of a model's modules, with how much of an output passes at each; the pick is ``layer``.

    The bars are gradient x activation, added up over each layer; a model without gradients gets none.

    Args:
        model: the model.
        *inputs: tensors of any type to run it with, of which the first example is looked at.
        target: the explained output, as for the methods; ``None`` takes the best class where the model gives a row of
            scores.

    Raises:
        InputTypeError, InputError: model or inputs cannot be used.
        TargetError: there is no such output.

    Example::

        picker, grid = LayerPicker(model, image), ChannelGrid(model, image)
        traitlets.link((picker, "layer"), (grid, "layer"))
        ipywidgets.HBox([picker, grid])
    """

    layers = also(ExplorerTraits.layers)
    layer = also(ExplorerTraits.layer)
    layer_relevance = also(ExplorerTraits.layer_relevance)

    def __init__(self, model: nn.Module, *inputs: Any, target: Any = None) -> None:
        observed = _Observed(model, inputs[0] if len(inputs) == 1 else inputs, None, target)
        super().__init__(_part="layers")
        self.layers = layer_rows(observed.layers, observed.layouts)
        found = model_layers.overview(
            model, observed.layers, observed.layouts, observed.examples, observed.target
        )
        self.layer_relevance = layer_relevance_message(observed.layers, found.relevance, {})


class ChannelGrid(JobWidget):
    """The channels (units, heads) of a layer: what each holds, and what it contributes; the pick is ``neuron``.

    Works for any model: convolutions show maps; tokens, series and plain layers show strips. Picking another ``layer``
    is answered on a thread of its own.

    Args:
        model: the model.
        inputs: a tensor, tuple or dict of tensors of any type, of which the first example is looked at.
        layer: the layer's path; ``None`` for none yet.
        target: the explained output, as for the methods; ``None`` takes the best class where the model gives a row of
            scores.
        positions: what stands at the positions, such as words; shown where a layer has so many.
        additional_forward_args: further arguments of the model.
        **traits: initial ``neuron``, ``colormap``.

    Traits:
        layer, neuron: what is picked: a path; a channel, or a list of it and its row and column, or its position.
        colormap: how the channels are coloured.
        status, progress, message: as for :class:`Explorer`.

    Raises:
        InputTypeError, InputError, TargetError, ChoiceError: these cannot be used. What the model raises later appears
            in the widget and is raised by :meth:`wait`.
    """

    layer = also(ExplorerTraits.layer)
    neuron = also(ExplorerTraits.neuron)
    channels = also(ExplorerTraits.channels)
    luts = also(ExplorerTraits.luts)
    colormap = also(ExplorerTraits.colormap)

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        layer: str | None = None,
        target: Any = None,
        positions: Sequence[str] | None = None,
        additional_forward_args: Any = None,
        **traits: Any,
    ) -> None:
        self._observed = _Observed(model, inputs, additional_forward_args, target)
        if positions is not None and (isinstance(positions, str) or not isinstance(positions, Sequence)):
            raise InputTypeError(f"positions must be a list of words, but {describe(positions)} came")
        self._positions = None if positions is None else [str(word) for word in positions]
        self._requested: str | None = None
        self._validation = LayerValidation(self, model, self._layout)
        super().__init__(_part="channels", layer=layer, **traits)
        self.observe(self._choose, ["layer"])
        self._follow()

    def wait(self, timeout: float | None = None) -> ChannelGrid:
        """Wait for the channels of the picked layer; as :meth:`Explorer.wait`."""
        self._wait(timeout)
        return self

    def top_channels(self, k: int = 10) -> list[Channel]:
        """The channels that contribute most; as :meth:`Explorer.top_channels`."""
        if self.layer is None:
            raise ChoiceError("top_channels are those of the picked layer, but no layer is picked")
        return top_channels(self.wait().channels, k)

    def __repr__(self) -> str:
        return f"ChannelGrid(layer={self.layer!r}, neuron={self.neuron!r}, status={self.status!r})"

    def _layout(self, layer: str) -> Layout:
        if layer not in self._observed.layouts:
            row = next((row for row in self._observed.layers if row.name == layer), None)
            raise ChoiceError(f"the layer {layer!r} {'is not there' if row is None else why_not(row)}")
        return self._observed.layouts[layer]

    @traitlets.validate("layer", "neuron")
    def _check(self, proposal: Any) -> Any:
        return self._validation.check(proposal["trait"].name, proposal["value"])

    @traitlets.observe("layer")
    def _leave_neuron(self, change: Any) -> None:
        if change["old"] is not None:  # without a layer there was no neuron; the first ones may come together
            self.neuron = None

    def _choose(self, change: Any) -> None:
        if not self._page.receiving:
            self._follow()

    def _follow(self) -> None:
        layer = self.layer
        if layer != self._requested:
            with LOCK:
                self._requested = layer
                if layer is None:
                    self.channels = {}
                    self._jobs.rest()
                else:
                    self._jobs.submit(layer, self._page.active)

    def _work(self, job: Job) -> str:
        layer, observed = job.about, self._observed
        found = model_layers.read_layer(
            observed.model, layer, self._layout(layer), observed.examples, observed.target
        )
        message = channels_message(
            found.layout, found.values, found.grad_x_activation, self._positions, {"layer": layer}
        )
        self._jobs.publish(job, channels=message)
        return ""
