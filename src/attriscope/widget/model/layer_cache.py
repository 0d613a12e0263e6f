"""What is known of a model's layers: looked at when it is asked for, and kept for a while.

How it is found is in :mod:`~attriscope.widget.model.layers`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from attriscope.core.errors import LayerError
from attriscope.core.hooks import module_of
from attriscope.core.layer_map import LayerInfo
from attriscope.core.layouts import Layout, layouts_of, why_not
from attriscope.core.progress import Parts
from attriscope.widget.methods.spec import MethodCall
from attriscope.widget.model import layers as model_layers
from attriscope.widget.model.example import Example
from attriscope.widget.model.readers import Reader, readers
from attriscope.widget.state.selection import Selection, refusing
from attriscope.widget.state.table import OUTPUT

T = TypeVar("T")


class LayerCache:
    """The inside of one model.

    Args:
        model: the model.
        example: one of the examples.
    """

    def __init__(self, model: nn.Module, example: Callable[[int], Example]) -> None:
        self._model, self._example = model, example
        self._layers: Sequence[LayerInfo] = ()
        self._latest: dict[str, tuple[Any, Any]] = {}
        self.layouts: Mapping[str, Layout] = {}
        """How to read the layers that there is something to look into."""

    def update(self, layers: Sequence[LayerInfo]) -> None:
        """These are the layers, as seen in one pass."""
        self._layers, self.layouts = layers, layouts_of(layers, module_of(self._model))

    def clear(self) -> None:
        """Nothing is known any more of what layers hold; what they are is known until they are seen again."""
        self._latest.clear()

    @property
    def along_a_path(self) -> list[str]:
        """The layers that can be read on many points of a path at once: those that count the examples first.

        Of what comes with a layer's first tensor that is not known: an LSTM's state, for one, counts layers first.
        """
        found = ((row.name, self.layouts.get(row.name)) for row in self._layers)
        return [
            name for name, layout in found if layout and layout.batch_dimension == 0 and not layout.several
        ]

    def layout(self, layer: str) -> Layout:
        """How to read a layer.

        Raises:
            LayerError: there is nothing to look into.
        """
        if layer not in self.layouts:
            row = next((row for row in self._layers if row.name == layer), None)
            raise LayerError(f"the layer {layer!r} {'is not there' if row is None else why_not(row)}")
        return self.layouts[layer]

    def known_layout(self, layer: str) -> Layout | None:
        """The same, but ``None`` as long as no layer was seen."""
        return self.layout(layer) if self.layouts else None

    def noun(self, layer: str) -> str:
        """What one of a layer's channels is called."""
        return self.layouts[layer].noun if layer in self.layouts else "channel"

    def overview(self, selection: Selection) -> model_layers.LayerOverview:
        """What one pass tells of all layers."""
        one = self._example(selection.example).examples
        return self._cached(
            "overview",
            selection,
            lambda: model_layers.overview(self._model, self._layers, self.layouts, one, selection.explained),
        )

    def maps(self, selection: Selection, call: MethodCall) -> Iterator[model_layers.LayerMaps]:
        """The maps of all layers along a path, getting better.

        Args:
            selection: which example.
            call: that of the method for the layers in :attr:`along_a_path`.
        """
        names = self.along_a_path
        wanted = set(names)
        rows = model_layers.rows_at_once([row for row in self._layers if row.name in wanted])
        try:
            yield from self._maps(selection, call, rows)
        except (
            LayerError
        ):  # a layer that gives one row for however many came, as an embedding of positions does
            if rows == 1:
                raise
            yield from self._maps(selection, call, 1)

    def _maps(self, selection: Selection, call: MethodCall, rows: int) -> Iterator[model_layers.LayerMaps]:
        names = self.along_a_path
        one = self._example(selection.example).examples
        rounds = list(call.rounds())
        done: list[model_layers.LayerMaps] = []
        parts = Parts(len(rounds))
        for i, given in enumerate(rounds):
            arguments = {name: value for name, value in given.items() if name != "inputs"}
            with parts.part(i, i + 1, 1):
                for found in model_layers.along_a_path(
                    call.method, names, self.layouts, one, {**arguments, "internal_batch_size": rows}
                ):
                    if not found.final:
                        yield _mean([*done, found], final=False)
            done.append(found)
        yield _mean(done, final=True)

    def reading(self, selection: Selection) -> model_layers.LayerReading:
        """What the picked layer holds."""
        assert selection.layer is not None
        name, one = selection.layer, self._example(selection.example).examples
        return self._cached(
            "reading",
            selection,
            lambda: model_layers.read_layer(self._model, name, self.layout(name), one, selection.explained),
            name,
        )

    def readers(self, selection: Selection, mask: Tensor) -> list[Reader]:
        """What reads a region of the picture, (H, W)."""
        one = self._example(selection.example).examples
        return readers(self._model, self._layers, self.layouts, one, selection.explained, mask)

    def by_class(self, selection: Selection, outputs: Mapping[int, Any]) -> dict[int, Tensor | None]:
        """For each class, given with the output that it is, gradient x activation of the picked layer's channels."""
        assert selection.layer is not None
        name, one = selection.layer, self._example(selection.example).examples
        layout = self.layout(name)
        return self._cached(
            "by class",
            selection,
            lambda: model_layers.by_class(self._model, name, layout, one, outputs),
            name,
            *outputs,
        )

    def at_baseline(self, selection: Selection, layer: str) -> Tensor:
        """What a layer's channels hold at the baseline, (C, H, W); of several baselines the mean."""
        example = self._example(selection.example)
        found = [
            model_layers.values_at(self._model, layer, self.layout(layer), example.examples, start.value)
            for start in example.baselines(selection)
        ]
        return found[0] if len(found) == 1 else torch.stack(found).mean(0)

    def run_ablated(self, selection: Selection) -> Any:
        """What the model says with the chosen neurons switched off.

        Raises:
            LayerError, ChoiceError: there is no such layer or neuron.
        """
        layers = dict.fromkeys(layer for layer, _ in selection.ablated)
        layouts = {layer: self.layout(layer) for layer in layers}
        with refusing():
            for layer, neuron in selection.ablated:
                layouts[layer].check(neuron, layer)
        to_baseline = selection.ablate_to == "baseline"
        replacements = {layer: self.at_baseline(selection, layer) for layer in layers} if to_baseline else {}
        one = self._example(selection.example).examples
        return model_layers.run_ablated(self._model, layouts, selection.ablated, replacements, one)

    def _cached(self, what: str, selection: Selection, work: Callable[[], T], *more: Any) -> T:
        """What was worked out for the same output, example and weights is not worked out again."""
        return self.kept(what, (repr(selection.values(OUTPUT)), *more), work)

    def kept(self, what: str, key: tuple[Any, ...], work: Callable[[], T]) -> T:
        """What was worked out for the same weights and whatever the key names is not worked out again.

        Of each kind the latest is kept: these are tensors of the model's size.
        """
        if self._latest.get(what, (None,))[0] != key:
            self._latest.pop(what, None)
            self._latest[what] = (key, work())
        found: T = self._latest[what][1]
        return found


def _mean(found: list[model_layers.LayerMaps], final: bool) -> model_layers.LayerMaps:
    """The average over several baselines."""
    if len(found) == 1:
        return dataclasses.replace(found[0], final=final)
    names = found[0].maps
    return model_layers.LayerMaps(
        {name: torch.stack([one.maps[name] for one in found]).mean(0) for name in names},
        {name: sum(one.sums[name] for one in found) / len(found) for name in found[0].sums},
        final,
    )
