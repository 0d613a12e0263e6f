"""What the Explorer asks of the model, one question after another. Knows no page and no thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from attriscope.attr import IntegratedGradients, LayerGradCam
from attriscope.core.errors import InputError
from attriscope.core.inputs import Examples, describe
from attriscope.core.layer_map import LayerInfo, map_layers
from attriscope.widget.choices import Choice
from attriscope.widget.offers import OFFERS, Asked
from attriscope.widget.pictures import Pictures
from attriscope.widget.walks import Walk

# Walks are what costs most; so many of them are kept to come back to.
_WALKS_KEPT = 6


@dataclasses.dataclass(frozen=True)
class Map:
    """An answer: attributions as the method gives them, and their sum's error if the method promises a sum."""

    attributions: Tensor
    gap: float | None = None
    final: bool = True


class Session:
    """One model, one example, and what is known about them.

    Args:
        model: the model.
        examples: one picture, of shape (1, C, H, W).
        pictures: baselines by name.
        n_steps: points on a path.
    """

    def __init__(self, model: nn.Module, examples: Examples, pictures: Pictures, n_steps: int) -> None:
        self.model = model
        self.examples = examples
        self.scores: Tensor | None = None
        self.layers: list[LayerInfo] = []
        self._pictures = pictures
        self._n_steps = n_steps
        self._walks: dict[Any, Walk] = {}

    def forget(self) -> None:
        """Nothing is known any more."""
        self.layers, self.scores = [], None
        self._walks.clear()

    def look(self) -> None:
        """Run the model once: what does it say (``scores``), and what is it made of (``layers``)?"""
        found: list[Any] = []
        inputs = tuple(x.detach().clone() for x in self.examples.tensors)
        layers = map_layers(self.model, lambda: found.append(self.model(*inputs, *self.examples.arguments)))
        output = found[0]
        one_row = isinstance(output, Tensor) and output.dim() <= 2
        self.scores = output.detach().reshape(-1) if one_row else None
        self.layers = layers

    def start(self, choice: Choice) -> Tensor:
        """The baseline in model space."""
        return choice.own.tensor if choice.own is not None else self._pictures.baseline(choice.baseline)

    def walk(self, choice: Choice) -> Walk:
        """The walk for a target and a baseline; perhaps done already."""
        key = (choice.output, choice.baseline, choice.own, self._state_of_model())
        if key not in self._walks:
            method = IntegratedGradients(self.model)
            walk = Walk(method, self.examples, self.start(choice), choice.output, self._n_steps)
            kept = list(self._walks.items())[1 - _WALKS_KEPT :]
            self._walks = {**dict(kept), key: walk}
        return self._walks[key]

    def maps(self, choice: Choice) -> Iterator[Map]:
        """The answer, getting better; the last one is final."""
        if choice.layer is not None:
            cam = LayerGradCam(self.model, choice.layer)
            found = cam.attribute(self.examples.tensors, choice.output, self.examples.arguments)
            yield Map(self._shown(found, f"layer {choice.layer!r}"))
        elif choice.method == "IntegratedGradients":
            walk = self.walk(choice)
            for _ in walk.steps():
                yield Map(walk.attributions, walk.gap, final=False)
            yield Map(walk.attributions, walk.gap)
        else:
            asked = Asked(self.examples, self.start(choice), choice.output, self.layers)
            method, arguments = OFFERS[choice.method].call(self.model, asked)
            for estimate in method.stream(**arguments):
                gap = None if estimate.delta is None else float(estimate.delta.mean())
                shown = self._shown(estimate.attributions, method.get_name())
                yield Map(shown, gap, estimate.stopped is not None)

    def _state_of_model(self) -> int:
        """Changes when parameters or buffers are written to, as training does."""
        return sum(t._version for t in (*self.model.parameters(), *self.model.buffers()))

    @staticmethod
    def _shown(found: Any, what: str) -> Tensor:
        if not isinstance(found, Tensor) or found.dim() != 4:
            raise InputError(f"{what} gives {describe(found)}, which is no map (1, C, H, W) to show")
        return found
