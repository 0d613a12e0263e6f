"""What is known of a model's layers: looked at when it is asked for, and kept for a while."""

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
from attriscope.widget.methods.registry import MethodCall
from attriscope.widget.model import layers as model_layers
from attriscope.widget.model.example import Example
from attriscope.widget.state.selection import Selection, refusing

T = TypeVar("T")


class Interior:
    """The inside of one model.

    Args:
        model: the model.
        example: one of the examples.
    """

    def __init__(self, model: nn.Module, example: Callable[[int], Example]) -> None:
        self._model, self._example = model, example
        self._layers: Sequence[LayerInfo] = ()
        self._latest: dict[str, tuple[Any, Any]] = {}
        self.forms: Mapping[str, Layout] = {}
        """How to read the layers that there is something to look into."""

    def show(self, layers: Sequence[LayerInfo]) -> None:
        """These are the layers, as seen in one pass."""
        self._layers, self.forms = layers, layouts_of(layers, module_of(self._model))

    def clear(self) -> None:
        """Nothing is known any more of what layers hold; what they are is known until they are seen again."""
        self._latest.clear()

    @property
    def along_a_path(self) -> list[str]:
        """The layers that can be read on many points of a path at once: those that count the examples first.

        Of what comes with a layer's first tensor that is not known: an LSTM's state, for one, counts layers first.
        """
        found = ((row.name, self.forms.get(row.name)) for row in self._layers)
        return [name for name, form in found if form and form.batch_dimension == 0 and not form.several]

    def form(self, layer: str) -> Layout:
        """How to read a layer.

        Raises:
            LayerError: there is nothing to look into.
        """
        if layer not in self.forms:
            row = next((row for row in self._layers if row.name == layer), None)
            raise LayerError(f"the layer {layer!r} {'is not there' if row is None else why_not(row)}")
        return self.forms[layer]

    def noun(self, layer: str) -> str:
        """What one of a layer's channels is called."""
        return self.forms[layer].noun if layer in self.forms else "channel"

    def flow(self, choice: Selection) -> model_layers.Flow:
        """What one pass tells of all layers."""
        one = self._example(choice.example).examples
        return self._kept(
            "flow",
            choice,
            lambda: model_layers.flow(self._model, self._layers, self.forms, one, choice.output),
        )

    def depth(self, choice: Selection, question: MethodCall) -> Iterator[model_layers.Depth]:
        """The maps of all layers along a path, getting better.

        Args:
            choice: which example.
            question: the call of the method for the layers in :attr:`along_a_path`.
        """
        names = self.along_a_path
        wanted = set(names)
        rows = model_layers.rows_at_once([row for row in self._layers if row.name in wanted])
        try:
            yield from self._depth(choice, question, rows)
        except (
            LayerError
        ):  # a layer that gives one row for however many came, as an embedding of positions does
            if rows == 1:
                raise
            yield from self._depth(choice, question, 1)

    def _depth(self, choice: Selection, question: MethodCall, rows: int) -> Iterator[model_layers.Depth]:
        names = self.along_a_path
        one = self._example(choice.example).examples
        rounds = list(question.rounds())
        done: list[model_layers.Depth] = []
        parts = Parts(len(rounds))
        for i, given in enumerate(rounds):
            arguments = {name: value for name, value in given.items() if name != "inputs"}
            with parts.part(i, i + 1, 1):
                for found in model_layers.along_a_path(
                    question.method, names, self.forms, one, {**arguments, "internal_batch_size": rows}
                ):
                    if not found.final:
                        yield _mean([*done, found], final=False)
            done.append(found)
        yield _mean(done, final=True)

    def held(self, choice: Selection) -> model_layers.Held:
        """What the picked layer holds."""
        assert choice.layer is not None
        name, one = choice.layer, self._example(choice.example).examples
        return self._kept(
            "held",
            choice,
            lambda: model_layers.hold(self._model, name, self.form(name), one, choice.output),
            name,
        )

    def by_class(self, choice: Selection, classes: Sequence[int]) -> dict[int, Tensor | None]:
        """For each class, gradient x activation of the picked layer's channels, (C, H, W)."""
        assert choice.layer is not None
        name, one = choice.layer, self._example(choice.example).examples
        form = self.form(name)
        # A model of one output has no target, and perhaps no index for it.
        outputs = {index: None if choice.target is None else index for index in classes}
        return self._kept(
            "by class",
            choice,
            lambda: model_layers.by_class(self._model, name, form, one, outputs),
            name,
            *classes,
        )

    def at_baseline(self, choice: Selection, layer: str) -> Tensor:
        """What a layer's channels hold at the baseline, (C, H, W); of several baselines the mean."""
        example = self._example(choice.example)
        found = [
            model_layers.value_at(self._model, layer, self.form(layer), example.examples, start.value)
            for start in example.starts(choice)
        ]
        return found[0] if len(found) == 1 else torch.stack(found).mean(0)

    def without(self, choice: Selection) -> Any:
        """What the model says with the chosen neurons switched off.

        Raises:
            LayerError, ChoiceError: there is no such layer or neuron.
        """
        layers = dict.fromkeys(layer for layer, _ in choice.ablated)
        forms = {layer: self.form(layer) for layer in layers}
        with refusing():
            for layer, neuron in choice.ablated:
                forms[layer].check(neuron, layer)
        to_baseline = choice.ablate_to == "baseline"
        instead = {layer: self.at_baseline(choice, layer) for layer in layers} if to_baseline else {}
        one = self._example(choice.example).examples
        return model_layers.without(self._model, forms, choice.ablated, instead, one)

    def _kept(self, what: str, choice: Selection, work: Callable[[], T], *more: Any) -> T:
        """What was worked out for the same output, example and weights is not worked out again.

        Of each kind the latest is kept: these are tensors of the model's size.
        """
        key = (repr(choice.target), choice.contrast, choice.example, *more)
        if self._latest.get(what, (None,))[0] != key:
            self._latest.pop(what, None)
            self._latest[what] = (key, work())
        found: T = self._latest[what][1]
        return found


def _mean(found: list[model_layers.Depth], final: bool) -> model_layers.Depth:
    """The average over several baselines."""
    if len(found) == 1:
        return dataclasses.replace(found[0], final=final)
    names = found[0].maps
    return model_layers.Depth(
        {name: torch.stack([one.maps[name] for one in found]).mean(0) for name in names},
        {name: sum(one.sums[name] for one in found) / len(found) for name in found[0].sums},
        final,
    )
