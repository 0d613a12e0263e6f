"""What is found inside a model for one example and one explained output: how relevant each layer is, the maps of all
layers, the channels of one, and what single neurons contribute.

Knows no page and no thread. What was found is kept by :mod:`~attriscope.widget.model.layer_cache`, and layers are read
by their :class:`~attriscope.core.layouts.Layout`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from attriscope import attr
from attriscope.attr.layer.activation import values_and_gradients, values_of
from attriscope.core.errors import Cancelled, TargetError
from attriscope.core.hooks import edited, module_of
from attriscope.core.inputs import Examples
from attriscope.core.layer_map import LayerInfo
from attriscope.core.layouts import Layout, Neuron, ablation
from attriscope.core.passes import one_pass
from attriscope.widget.messages.wire import reduced

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

# Bytes of what layers hold that are read in one pass; the gradients take as much again.
_AT_ONCE = 300_000_000

# The methods whose maps of all layers come from one pass.
ONE_PASS = ("LayerGradCam", "LayerActivation", "LayerGradientXActivation")
# Those that need a pass per point of a path, for all layers together. Integrated gradients at a layer vary that layer:
# there is nothing to share between layers.
ALONG_A_PATH = ("LayerConductance", "InternalInfluence")


@dataclasses.dataclass(frozen=True)
class LayerOverview:
    """What one pass tells of all layers.

    Attributes:
        relevance: for each layer the sum of gradient x activation over all that it holds; empty for a model without
            gradients.
        maps: for each method of ``ONE_PASS`` and each layer with a map, that map (h, w), on the CPU and averaged down.
        sums: for each of these maps, the sum of all its values before it was averaged down.
    """

    relevance: Mapping[str, float]
    maps: Mapping[str, Mapping[str, Tensor]]
    sums: Mapping[str, Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class LayerMaps:
    """The maps of all layers by one method.

    Attributes:
        maps: by layer, (h, w), on the CPU and averaged down.
        sums: of all that a layer was attributed, also of layers without a map.
        final: whether they are the last word.
    """

    maps: Mapping[str, Tensor]
    sums: Mapping[str, float]
    final: bool


@dataclasses.dataclass(frozen=True)
class LayerReading:
    """What a layer holds.

    Attributes:
        layout: how to read it.
        values: its channels (C, H, W).
        gradients: those of the explained output with respect to them; ``None`` for a model without gradients.
    """

    layout: Layout
    values: Tensor
    gradients: Tensor | None

    @property
    def grad_x_activation(self) -> Tensor | None:
        """Gradient x activation, (C, H, W)."""
        return None if self.gradients is None else self.gradients * self.values

    @property
    def contributions(self) -> Tensor | None:
        """Each channel's sum of gradient x activation, (C,)."""
        found = self.grad_x_activation
        return None if found is None else found.flatten(1).sum(1)


def read_layer(model: Any, name: str, layout: Layout, examples: Examples, output: Any) -> LayerReading:
    """Run the model once, forward and back, and read a layer."""
    return next(read_layers(model, {name: layout}, examples, output))[1]


def overview(
    model: Any, layers: Sequence[LayerInfo], layouts: Mapping[str, Layout], examples: Examples, output: Any
) -> LayerOverview:
    """One pass forward and back for all layers (or a few, if they hold too much to keep at once)."""
    totals: dict[
        tuple[str, str], Tensor
    ] = {}  # by method, "" for gradient x activation of all there is, and layer
    maps: dict[tuple[str, str], Tensor] = {}
    ran = [row for row in layers if row.name in layouts]
    for group in _groups(ran):
        for name, reading in read_layers(model, {n: layouts[n] for n in group}, examples, output):
            if (found := reading.contributions) is not None:
                totals["", name] = found.sum()
            if reading.layout.spatial:
                for method, values in _maps(reading).items():
                    totals[method, name], maps[method, name] = values.sum(), values
    fetched, numbers = on_cpu(reduced(maps)), {key: float(value) for key, value in on_cpu(totals).items()}
    relevance = {name: value for (method, name), value in numbers.items() if not method}
    # Layers that hand the output on have a gradient even in a model without: what of the layer that runs first?
    first = min(ran, key=lambda row: row.order or 0).name if ran else ""
    known: tuple[str, ...] = ONE_PASS
    if (
        relevance.get(first) == 0
        and read_layer(model, first, layouts[first], examples, output).gradients is None
    ):
        relevance, known = {}, ("LayerActivation",)

    def of(values: Mapping[tuple[str, str], T]) -> dict[str, dict[str, T]]:
        return {
            method: {name: value for (by, name), value in values.items() if by == method in known}
            for method in ONE_PASS
        }

    return LayerOverview(relevance, of(fetched), of(numbers))


def on_cpu(found: Mapping[K, Tensor]) -> dict[K, Tensor]:
    """The tensors, in at least 32 bits, in the computer's memory: in one go, as each fetch waits for the device."""
    if len({tensor.device for tensor in found.values()}) != 1:
        return {
            key: tensor.detach().cpu().to(torch.promote_types(tensor.dtype, torch.float32))
            for key, tensor in found.items()
        }
    dtype = functools.reduce(torch.promote_types, (t.dtype for t in found.values()), torch.float32)
    flat = [tensor.detach().to(dtype).flatten() for tensor in found.values()]
    together = torch.cat(flat).cpu().split([len(one) for one in flat])
    return {key: one.reshape(found[key].shape) for key, one in zip(found, together, strict=True)}


def _maps(reading: LayerReading) -> dict[str, Tensor]:
    """The maps (h, w) of one layer by the quick methods."""
    over, values = reading.layout.over_picture, reading.values
    found = {"LayerActivation": over(values.sum(0, keepdim=True))[0]}
    if reading.gradients is not None:
        found["LayerGradientXActivation"] = over((reading.gradients * values).sum(0, keepdim=True))[0]
        found["LayerGradCam"] = grad_cam(reading)
    return found


def grad_cam(reading: LayerReading) -> Tensor:
    """Grad-CAM (arXiv 1610.02391), (h, w); of tokens, those of the picture's patches are the positions."""
    assert reading.gradients is not None
    over = reading.layout.over_picture
    weights = over(reading.gradients).mean((1, 2), keepdim=True)
    return (weights * over(reading.values)).sum(0)


def along_a_path(
    method: Any,
    names: Sequence[str],
    layouts: Mapping[str, Layout],
    examples: Examples,
    arguments: dict[str, Any],
) -> Iterator[LayerMaps]:
    """The maps of all layers by a method that was made for the list of them, getting better."""
    for estimate in method.stream(examples.form(examples.tensors), **arguments):
        maps, sums = dict[str, Tensor](), dict[str, Tensor]()
        for name, found in zip(names, estimate.attributions, strict=True):
            layout = layouts[name]
            first = found[0] if isinstance(found, tuple) else found
            channels = layout.channels(first.detach()).sum(0, keepdim=True)
            sums[name] = channels.sum()
            if layout.spatial:
                maps[name] = layout.over_picture(channels)[0]
        totals = {name: float(value) for name, value in on_cpu(sums).items()}
        yield LayerMaps(on_cpu(reduced(maps)), totals, estimate.stopped is not None)


def rows_at_once(layers: Sequence[LayerInfo]) -> int:
    """How many rows may go through the model together if all these layers are read."""
    return max(1, _AT_ONCE // max(1, sum(row.memory for row in layers)))


def _groups(layers: Sequence[LayerInfo]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for row in layers:
        if group and size + row.memory > _AT_ONCE:
            yield group
            group, size = [], 0
        group.append(row.name)
        size += row.memory
    if group:
        yield group


def read_layers(
    model: Any, layouts: Mapping[str, Layout], examples: Examples, output: Any
) -> Iterator[tuple[str, LayerReading]]:
    """What layers hold, one after the other, from one pass."""
    names = list(layouts)
    method = attr.LayerGradientXActivation(model, names)  # type: ignore[arg-type]
    arguments = examples.given_arguments or None
    given = examples.form(examples.tensors)
    try:
        pairs: Sequence[Any] = values_and_gradients(method, given, output, arguments, False, None)[0]
    except (Cancelled, TargetError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception:  # a model without gradients: there is still something to see
        pairs = [(values, None) for values in values_of(method, method._site(False), examples)]
    for name, (values, gradients) in zip(names, pairs, strict=True):
        layout = layouts[name]
        yield (
            name,
            LayerReading(
                layout,
                layout.channels(values[0].detach()),
                None if gradients is None else layout.channels(gradients[0].detach()),
            ),
        )


def by_class(
    model: Any, name: str, layout: Layout, examples: Examples, outputs: Mapping[int, Any]
) -> dict[int, Tensor | None]:
    """For each class, given with the output that it is, gradient x activation of a layer's channels, (C, H, W)."""
    return {
        index: read_layer(model, name, layout, examples, output).grad_x_activation
        for index, output in outputs.items()
    }


def values_at(model: Any, name: str, layout: Layout, examples: Examples, start: Tensor) -> Tensor:
    """What a layer's channels hold at a baseline, (C, H, W)."""
    arguments = examples.arguments or None
    found: Any = attr.LayerActivation(model, name).attribute(start, additional_forward_args=arguments)
    return layout.channels(found[0] if isinstance(found, tuple) else found)


def run_ablated(
    model: nn.Module,
    layouts: Mapping[str, Layout],
    ablated: Sequence[tuple[str, Neuron]],
    replacements: Mapping[str, Tensor],
    examples: Examples,
) -> Any:
    """What the model says with neurons switched off. The model itself is as it was before and after.

    Args:
        model: the model.
        layouts: how to read its layers.
        ablated: the neurons, by layer.
        replacements: for layers, what to set their neurons to, (C, H, W); zero for the others.
        examples: one example.
    """
    modules = dict(module_of(model).named_modules(remove_duplicate=False))
    by_module: dict[nn.Module, list[tuple[Neuron, Tensor | None]]] = {}
    layout_of: dict[nn.Module, Layout] = {}
    for layer, neuron in ablated:
        module = modules[layer]
        by_module.setdefault(module, []).append((neuron, replacements.get(layer)))
        layout_of[module] = layouts[layer]
    edits = {module: ablation(layout_of[module], some) for module, some in by_module.items()}
    x = examples.tensors[0].detach().clone()
    with edited(edits), one_pass(model, False):
        return model(x, *examples.arguments)
