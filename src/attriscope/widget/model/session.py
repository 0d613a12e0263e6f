"""What the Explorer asks of the model, one question after another. Knows no page and no thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.attr import IntegratedGradients, Saliency
from attriscope.core.errors import Cancelled, InputError
from attriscope.core.estimate import Estimate
from attriscope.core.inputs import Examples, describe
from attriscope.core.layer_map import LayerInfo, map_layers
from attriscope.core.layouts import Layout
from attriscope.core.progress import Parts
from attriscope.widget.methods.arguments import CodeValue, MethodInputs, as_code
from attriscope.widget.methods.registry import MethodCall, MethodRegistry
from attriscope.widget.model import layer_code
from attriscope.widget.model import layers as model_layers
from attriscope.widget.model.code import cam_listing, listing, what_if_lines
from attriscope.widget.model.example import Example
from attriscope.widget.model.images import ToImage
from attriscope.widget.model.layer_cache import Interior
from attriscope.widget.model.layers import grad_cam
from attriscope.widget.model.path import MeanWalk, Walk
from attriscope.widget.model.weights import fingerprint
from attriscope.widget.state.selection import Selection

# Walks are what costs most to make and to keep. Those to come back to hold at most so many maps together.
_MAPS_KEPT = 600
_EXAMPLES_KEPT = 8


@dataclasses.dataclass(frozen=True)
class Map:
    """An answer.

    Attributes:
        attributions: as the method gives them, (1, C, H, W); of a layer, in the shape of its (first) output.
        gap: their sum minus what it should be, for methods that promise a sum.
        error: the standard error of each, of the same shape, where the method knows one.
        evaluations: rows that went through the model.
        final: whether this is the last word.
        shares: how much of each number counts in the sum, where a feature's number stands at each of its pixels;
            ``None`` for all of it.
        sums: whether adding the attributions up makes sense.
        form: of the layer that they are attributed to; ``None`` for the input.
    """

    attributions: Tensor
    gap: float | None = None
    error: Tensor | None = None
    evaluations: int | None = None
    final: bool = True
    shares: Tensor | None = None
    sums: bool = True
    form: Layout | None = None

    @property
    def over_picture(self) -> Tensor | None:
        """What is laid over the picture, (1, C, h, w); ``None`` for layers that have nothing to lay over it."""
        if self.form is None or self.form.kind == "map":
            return self.attributions
        if self.form.grid is None:
            return None
        return self.form.over_picture(self.form.channels(self.attributions).sum(0, keepdim=True))[None]

    @property
    def total(self) -> Tensor | None:
        """What has been attributed in all, each feature counted once; ``None`` if that cannot be said."""
        if not self.sums:
            return None
        return (self.attributions if self.shares is None else self.attributions * self.shares).sum()


class Session:
    """One model, the examples, and what is known about them.

    Args:
        model: the model.
        batch: pictures of shape (N, C, H, W), and the model's other arguments.
        to_image: see :class:`~attriscope.widget.model.images.Pictures`.
        menu: the methods' parameters.
    """

    def __init__(
        self, model: nn.Module, batch: Examples, to_image: ToImage | None, menu: MethodRegistry
    ) -> None:
        self.model = model
        self.batch = batch
        self.layers: Sequence[LayerInfo] = ()
        self.layers_published = False
        """Whether the page knows what was seen of the layers; whoever tells it says so here."""
        self.classes: int | None = None
        """How many outputs the model has for an example, if it was seen to have a row of several."""
        self._menu, self._to_image = menu, to_image
        self._scores: dict[int, Tensor | None] = {}
        self._walks: dict[Any, Walk] = {}
        self._examples: dict[int, Example] = {}
        self.interior = Interior(model, self.example)
        self._seen: Any = None

    def forget(self) -> None:
        """Nothing is known any more about what the model says."""
        self.layers = ()
        self.interior.clear()
        self._scores.clear()
        self._walks.clear()

    def release(self) -> None:
        """Let go of everything that was kept."""
        self.forget()
        self._examples.clear()

    def weights(self) -> Any:
        """Compares equal as long as the model's weights are the same."""
        return fingerprint(self.model)

    def example(self, index: int) -> Example:
        """One of the examples."""
        if index not in self._examples:
            while len(self._examples) >= _EXAMPLES_KEPT:
                del self._examples[next(iter(self._examples))]
            self._examples[index] = Example(self.batch, index, self._to_image)
        return self._examples[index]

    def look(self, index: int) -> None:
        """Run the model once if need be: what does it say, and what is it made of?"""
        weights = self.weights()
        if self.layers and index in self._scores and weights == self._seen:
            return
        if weights != self._seen:
            self.forget()
        found: list[Any] = []
        one = self.example(index).examples
        x = one.tensors[0].detach().clone()
        layers = map_layers(self.model, lambda: found.append(self.model(x, *one.arguments)))
        output = found[0]
        one_row = isinstance(output, Tensor) and output.dim() <= 2
        scores = output.detach().reshape(-1) if one_row else None
        self._scores[index] = scores
        self.classes = None if scores is None or len(scores) < 2 else len(scores)
        self.layers, self._seen = layers, weights
        self.interior.show(layers)
        self.layers_published = False

    def scores(self, index: int) -> Tensor | None:
        """What the model said about an example, (C,); ``None`` if that is no row of scores, or not known."""
        return self._scores.get(index)

    def walk(self, choice: Selection) -> MeanWalk:
        """The walks for a target and its baselines; perhaps done already."""
        effort = choice.effort if self._is_walk(choice) else 0
        values = self._menu.values(
            "IntegratedGradients", choice.settings.get("IntegratedGradients", {}), effort
        )
        example, weights = self.example(choice.example), self.weights()
        about = (
            repr(choice.target),
            choice.contrast,
            choice.example,
            values["n_steps"],
            values["method"],
            weights,
        )
        walks = {}
        for name, start in zip(choice.baselines, example.starts(choice), strict=True):
            key = (name, choice.own if name == "custom" else None, *about)
            if key in self._walks:
                walks[key] = self._walks.pop(key)
                continue
            method = IntegratedGradients(self.model)
            steps, rule = values["n_steps"], values["method"]
            walks[key] = Walk(method, example.examples, start.value, choice.output, steps, rule)
        self._keep(walks)
        return MeanWalk(list(walks.values()))

    def _keep(self, walks: dict[Any, Walk]) -> None:
        """These and the latest others that there is room for."""
        room = _MAPS_KEPT
        for key, one in reversed(self._walks.items()):
            room -= one.evaluations
            if room >= 0:
                walks = {key: one, **walks}
        self._walks = walks

    def knows(self, choice: Selection) -> bool:
        """Whether the answer is there without asking the model."""
        return self._is_walk(choice) and self.walk(choice).done

    @staticmethod
    def _is_walk(choice: Selection) -> bool:
        """Whether the map on show is that of the path."""
        return choice.place == "input" and choice.method == "IntegratedGradients"

    def preview(self, choice: Selection) -> Map:
        """A first idea for one backward pass: the gradient times the difference from the baseline."""
        example = self.example(choice.example)
        gradient = Saliency(self.model).attribute(
            example.tensor,
            choice.output,
            abs=False,
            additional_forward_args=example.examples.arguments or None,
        )
        start = torch.stack([one.value for one in example.starts(choice)]).mean(0)
        return Map(gradient * (example.tensor.detach() - start), evaluations=1, final=False)

    def without_gradients(self, choice: Selection) -> bool:
        """Whether the model answers, but autograd cannot go through it: neither now nor when asked again.

        A model that fails now and then is not one without gradients.
        """
        return all(self._answers_only(choice) for _ in range(3))

    def _answers_only(self, choice: Selection) -> bool:
        one = self.example(choice.example).examples
        try:
            with torch.no_grad():
                self.model(one.tensors[0].clone(), *one.arguments)
        except Exception:  # then gradients are not to blame
            return False
        try:
            self.preview(choice)
        except (Cancelled, torch.OutOfMemoryError, MemoryError):
            return False
        except Exception:  # whatever autograd, or what a model does in its backward pass, has against it
            return True
        return False

    def depth(self, choice: Selection) -> Iterator[model_layers.Depth]:
        """The maps of all layers by the chosen method, getting better.

        Nothing for methods that would have to begin anew for each layer, nor for quick ones set otherwise than usual.
        """
        if choice.layer_method in model_layers.QUICK:
            if choice.settings.get(choice.layer_method):
                return
            found = self.interior.flow(choice)
            yield model_layers.Depth(found.maps[choice.layer_method], found.sums[choice.layer_method], True)
        elif choice.layer_method in model_layers.ALONG_A_PATH and (names := self.interior.along_a_path):
            every = dataclasses.replace(choice, layer=names, neuron=None, effort=0)  # type: ignore[arg-type]
            yield from self.interior.depth(choice, self.question(every))

    def maps(self, choice: Selection) -> Iterator[Map]:
        """The answer, getting better; the last one is final."""
        if self._is_walk(choice):
            yield from self._walked(choice)
            return
        form = (
            self.interior.form(choice.layer) if choice.place == "layer" and choice.layer is not None else None
        )
        if form is not None and self._cam_of_tokens(choice):
            held = self.interior.held(choice)
            if held.gradients is not None:  # else the method says why there are none
                cam = grad_cam(held)[None, None]
                cam = cam.relu() if choice.shown_settings.get("relu_attributions") else cam
                yield Map(cam, evaluations=1, form=None if form.spatial else form)
                return
        question = self.question(choice)
        offer = self._menu.every[choice.shown_method]
        what = offer.title if choice.place == "input" else f"{offer.title} in layer {choice.layer!r}"
        rounds = list(question.rounds())
        shares, sums = question.shares, question.sums
        done: list[Estimate] = []
        parts = Parts(len(rounds))
        for i, arguments in enumerate(rounds):
            with parts.part(i, i + 1, 1):
                for estimate in question.estimates(arguments):
                    if estimate.stopped is None:
                        found = _mean([*done, estimate], what, False, form)
                        yield dataclasses.replace(found, shares=shares, sums=sums)
            done.append(estimate)
        yield dataclasses.replace(_mean(done, what, True, form), shares=shares, sums=sums)

    def _walked(self, choice: Selection) -> Iterator[Map]:
        walk = self.walk(choice)
        values = self._menu.values(choice.method, choice.shown_settings)

        def found(final: bool) -> Map:
            if values["multiply_by_inputs"]:
                return Map(walk.attributions, walk.gap, evaluations=walk.evaluations, final=final)
            return Map(walk.sensitivities, evaluations=walk.evaluations, final=final)

        for _ in walk.steps():
            yield found(False)
        yield found(True)

    def code(self, choice: Selection) -> str:
        """Python that gives the answer outside the Explorer."""
        picture = self.example(choice.example).written
        changed = self._what_if_lines(choice) if choice.ablated else []
        if choice.place != "layer" or choice.layer is None:
            return listing(self.question(choice), picture, changed)
        form = self.interior.form(choice.layer)
        if self._cam_of_tokens(choice):
            both = [
                dataclasses.replace(choice, layer_method=name, settings=settings)
                for name, settings in (
                    ("LayerActivation", {}),
                    ("LayerGradientXActivation", {"LayerGradientXActivation": {"multiply_by_inputs": False}}),
                )
            ]
            positive = choice.shown_settings.get("relu_attributions")
            after = ["attributions = attributions.relu()"] if positive else []
            return cam_listing([self.question(one) for one in both], picture, form, [*after, *changed])
        laid = form.kind != "map" and form.spatial
        after = [f"{layer_code.over_picture_code(form)}  # as it lies in the picture"] if laid else []
        return listing(self.question(choice), picture, [*after, *changed], form.several)

    def _what_if_lines(self, choice: Selection) -> list[str]:
        example = self.example(choice.example)
        layers = list(dict.fromkeys(layer for layer, _ in choice.ablated))
        return what_if_lines(
            [
                (layer, layer_code.index_code(self.interior.form(layer), neuron))
                for layer, neuron in choice.ablated
            ],
            example.written,
            example.arguments,
            {layer: example.starts(choice) for layer in layers} if choice.ablate_to == "baseline" else {},
            {layer: self.interior.form(layer).several for layer in layers},
        )

    def _cam_of_tokens(self, choice: Selection) -> bool:
        """Whether Grad-CAM is asked of tokens, of which the method, made for maps, takes the positions for channels."""
        kind = self.interior.form(choice.layer).kind if choice.layer is not None else ""
        return choice.layer_method == "LayerGradCam" and kind == "tokens"

    def question(self, choice: Selection, model: Any = None) -> MethodCall:
        """The call that answers a choice, of another model if there is one given."""
        model = self.model if model is None else model
        example = self.example(choice.example)
        code = choice.output_code
        offer = self._menu.every[choice.shown_method]
        layer = neuron = None
        if choice.layer is not None:
            layer = CodeValue(choice.layer, as_code(choice.layer))
            if choice.neuron is not None:
                neuron = layer_code.selector(self.interior.form(choice.layer), choice.neuron)
        asked = MethodInputs(
            example.written,
            example.arguments,
            example.starts(choice),
            None if code is None else CodeValue(choice.output, code),
            self._menu.values(offer.name, choice.shown_settings, choice.effort),
            self.layers,
            layer,
            neuron,
        )
        return offer.question(model, asked, self._menu.parameters[offer.name])


def _mean(estimates: list[Estimate], what: str, final: bool, form: Layout | None = None) -> Map:
    """The average over several baselines.

    Errors are averaged too: an upper bound, reached if they all go the same way.
    """
    if form is not None and form.several:
        estimates = [dataclasses.replace(e, attributions=e.attributions[0], error=None) for e in estimates]
    for estimate in estimates:
        found = estimate.attributions
        if form is not None and isinstance(found, Tensor):
            continue
        if not isinstance(found, Tensor) or found.dim() != 4 or len(found) != 1 or found.is_complex():
            raise InputError(f"{what} gives {describe(found)}, which is no map (1, C, H, W) to show")
    count = len(estimates)
    deltas = [float(e.delta.mean()) for e in estimates if e.delta is not None]
    errors = [e.error for e in estimates if isinstance(e.error, Tensor)]
    return Map(
        _average([e.attributions for e in estimates]),
        sum(deltas) / count if len(deltas) == count else None,
        _average(errors) if len(errors) == count else None,
        sum(e.evaluations for e in estimates) or None,
        final,
        form=form,
    )


def _average(tensors: list[Tensor]) -> Tensor:
    # A method of the user's own may leave them on autograd's graph.
    return tensors[0].detach() if len(tensors) == 1 else torch.stack(tensors).detach().mean(0)
