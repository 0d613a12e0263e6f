"""The parts that show a model's inside by themselves: its layers, and the channels of one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from attriscope.core.errors import InputTypeError
from attriscope.core.hooks import module_of
from attriscope.core.inputs import Examples, describe, gather_examples
from attriscope.core.layer_map import LayerInfo, map_layers
from attriscope.widget.jobs.job_widget import JobWidget
from attriscope.widget.jobs.worker import Job
from attriscope.widget.messages.layers import (
    Channel,
    channels_message,
    flow_message,
    layer_rows,
    top_channels,
)
from attriscope.widget.model import layers as model_layers
from attriscope.widget.model.layouts import Layout, layouts_of, why_not
from attriscope.widget.state.part import Part
from attriscope.widget.state.selection import ChoiceError
from attriscope.widget.state.table import ExplorerTraits
from attriscope.widget.state.traits import also
from attriscope.widget.validation import NeuronTraits


class _Seen:
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
        given = gather_examples(inputs, additional_forward_args)
        first = slice(0, 1)
        tensors, arguments = given.slices(first), given.forward_arguments(1, first)
        self.model = model
        self.examples = Examples(tensors, given.single, arguments, given.keys, given.blanks)
        outputs: list[Any] = []
        self.layers: Sequence[LayerInfo] = map_layers(model, lambda: outputs.append(self._run()))
        self.forms: Mapping[str, Layout] = layouts_of(self.layers, module_of(model))
        output = outputs[0]
        row = isinstance(output, Tensor) and output.dim() == 2 and output.shape[1] > 1
        self.target = int(output[0].argmax()) if target is None and row else target

    def _run(self) -> Any:
        placed = self.examples.form(tuple(t.detach().clone() for t in self.examples.tensors))
        if isinstance(placed, Mapping):
            return self.model(**placed)
        inputs = placed if isinstance(placed, tuple) else (placed,)
        return self.model(*inputs, *self.examples.arguments)


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
        seen = _Seen(model, inputs[0] if len(inputs) == 1 else inputs, None, target)
        super().__init__(_part="layers")
        self.layers = layer_rows(seen.layers, seen.forms)
        found = model_layers.flow(model, seen.layers, seen.forms, seen.examples, seen.target)
        self.layer_relevance = flow_message(seen.layers, found.amounts, {})


class ChannelGrid(JobWidget, NeuronTraits):
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

    layers = also(ExplorerTraits.layers)
    channels = also(ExplorerTraits.channels)
    luts = also(ExplorerTraits.luts)
    colormap = also(ExplorerTraits.colormap)
    layer_relevance = also(ExplorerTraits.layer_relevance)

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
        self._model = model
        self._seen = _Seen(model, inputs, additional_forward_args, target)
        if positions is not None and (isinstance(positions, str) or not isinstance(positions, Sequence)):
            raise InputTypeError(f"positions must be a list of words, but {describe(positions)} came")
        self._positions = None if positions is None else [str(word) for word in positions]
        self._requested: str | None = None
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

    def _form(self, layer: str) -> Layout:
        if layer not in self._seen.forms:
            row = next((row for row in self._seen.layers if row.name == layer), None)
            raise ChoiceError(f"the layer {layer!r} {'is not there' if row is None else why_not(row)}")
        return self._seen.forms[layer]

    def _choose(self, change: Any) -> None:
        if not self._gathering:
            self._follow()

    def _follow(self) -> None:
        layer = self.layer
        if layer != self._requested:
            with self._lock:
                self._requested = layer
                if layer is None:
                    self._worker.cancel()
                    self.channels, self.status = {}, "idle"
                else:
                    self._submit(layer)

    def _work(self, job: Job) -> str:
        name, seen = job.about, self._seen
        held = model_layers.hold(self._model, name, self._form(name), seen.examples, seen.target)
        message = channels_message(held, self._positions, {"layer": name})
        self._publish(job, channels=message)
        return ""
