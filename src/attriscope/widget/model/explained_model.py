"""One model that is explained, for one example after another: its answers, and what is known of it meanwhile.

Knows no page and no thread. What is inside the model is kept by :mod:`~attriscope.widget.model.layer_cache`; the path
has a module of its own (:mod:`~attriscope.widget.model.path`), and so has the Python that gives the same
(:mod:`~attriscope.widget.model.code`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.attr import IntegratedGradients, Saliency
from attriscope.attr.targets import Boxes
from attriscope.core.errors import Cancelled
from attriscope.core.estimate import Estimate
from attriscope.core.inputs import Examples
from attriscope.core.layer_map import LayerInfo, map_layers
from attriscope.core.layouts import Layout
from attriscope.core.passes import one_pass
from attriscope.core.progress import Parts
from attriscope.core.row_count import counted_rows
from attriscope.widget.messages.predictions import Outputs
from attriscope.widget.messages.types import Output
from attriscope.widget.messages.wire import FRAME_SIDE
from attriscope.widget.methods.arguments import CodeValue, MethodInputs, as_code
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.methods.spec import MethodCall
from attriscope.widget.model import layer_code
from attriscope.widget.model import layers as model_layers
from attriscope.widget.model.answer import Answer, answer_of
from attriscope.widget.model.example import Example, ExampleBatch
from attriscope.widget.model.excitation import Excitation, excitation, excitation_of_one
from attriscope.widget.model.layer_cache import LayerCache
from attriscope.widget.model.layers import grad_cam
from attriscope.widget.model.map import Map, mean_map
from attriscope.widget.model.output_kind import ends_with_sigmoid, outputs_of
from attriscope.widget.model.path import MeanPathIntegral, PathIntegral
from attriscope.widget.model.weights import fingerprint
from attriscope.widget.stages.stage import MakeStage
from attriscope.widget.state.selection import Selection
from attriscope.widget.state.table import PATH

# Paths are what costs most to make and to keep. Those to come back to hold at most so many maps together.
_FRAMES_KEPT = 600
# The scores of all pixels are as large as many pictures.
_SEGMENTATIONS_KEPT = 2
_UNKNOWN = Answer()


class ExplainedModel:
    """One model, the examples, and what is known about them.

    Args:
        model: the model.
        examples: inputs of shape (N, ...), and the model's other arguments.
        make_stage: makes what an example is seen by.
        registry: the methods' parameters.
        boxes: for a detector, what finds boxes in its output.
        named: whether there are names of classes.
    """

    def __init__(
        self,
        model: nn.Module,
        examples: Examples,
        make_stage: MakeStage,
        registry: MethodRegistry,
        boxes: Boxes | None = None,
        named: bool = False,
    ) -> None:
        self.model = model
        self.examples = examples
        self.boxes, self._named = boxes, named
        self._said: Output = "auto"
        self.layers: Sequence[LayerInfo] = ()
        self.classes: int | None = None
        """How many classes the model has, if it was seen to have several."""
        self.asked_name: str | None = None
        """The name that the target was asked for by, if it was; which output it is of shows when the model has run."""
        self.batch, self._registry = ExampleBatch(examples, make_stage), registry
        self._answers: dict[int, Answer] = {}
        self._rows = True
        self._ends_with_sigmoid: bool | None = None
        self._paths: dict[Any, PathIntegral] = {}
        self.layer_cache = LayerCache(model, self.example)
        self._seen: Any = None

    def forget(self) -> None:
        """Nothing is known any more about what the model says."""
        self._ends_with_sigmoid = None
        self.layers = ()
        self.layer_cache.clear()
        self._answers.clear()
        self._paths.clear()
        self.batch.forget_baselines()

    def release(self) -> None:
        """Let go of everything that was kept."""
        self.forget()
        self.batch.release()

    def weights(self) -> Any:
        """Compares equal as long as the model's weights are the same."""
        return fingerprint(self.model)

    def example(self, index: int) -> Example:
        """One of the examples."""
        return self.batch.example(index)

    def edit(self, index: int, edited: Sequence[tuple[int, float]]) -> None:
        """See :meth:`ExampleBatch.edit`."""
        for changed in self.batch.edit(index, edited):
            self._answers.pop(changed, None)

    def run(self, index: int) -> None:
        """Run the model once if need be: what does it say, and what is it made of?"""
        weights = self.weights()
        if index in self._answers and weights == self._seen:
            return
        if weights != self._seen:
            self.forget()
        if self.layers and self.example(index).edited:  # they are those of the row as it was
            self._answers[index] = self._asked(self.example(index))
            return
        found: list[Any] = []
        one = self.example(index).examples
        x = one.tensors[0].detach().clone()
        layers = map_layers(self.model, lambda: found.append(self.model(x, *one.arguments)))
        answer = answer_of(found[0], self.boxes)
        self._rows = answer.in_row
        if answer.maps is not None:  # which are large
            self._answers = dict(list(self._answers.items())[-_SEGMENTATIONS_KEPT + 1 :])
        answer = self._answers[index] = self._read(answer)
        self.classes = answer.classes
        self.layers, self._seen = layers, weights
        self.layer_cache.update(layers)

    def read_as(self, said: Output) -> bool:
        """Take what the model gives for what a person says. Returns whether that is something else than before."""
        before, self._said = self._said, said
        if said == before or all(answer.maps is None for answer in self._answers.values()):
            return False
        self._answers = {index: self._read(answer) for index, answer in self._answers.items()}
        self.classes = next(reversed(self._answers.values())).classes
        return True

    def _read(self, answer: Answer) -> Answer:
        return answer.read_as(self._said, self._named, self.examples.tensors[0].shape[1:])

    def answer(self, index: int) -> Answer:
        """What the model gave for an example; an empty one if that is not known."""
        return self._answers.get(index, _UNKNOWN)

    def predict(self, index: int) -> Tensor | None:
        """What the model says about an example, whether it was looked at before or not; the layers are left alone.

        Returns:
            The score of each class, or of a segmentation its share of the pixels, (C,).
        """
        example = self.batch.peek(index)
        if example.edited:  # as it came
            return self._asked(self.batch.as_it_came(index)).told
        answer = self._answers.get(index)
        if answer is None:
            answer = self._asked(example)
            if answer.scores is not None:  # pixels are too many to keep
                self._answers[index] = answer
        return None if answer.boxes is not None else answer.told  # boxes are no classes

    def _asked(self, example: Example) -> Answer:
        """What the model says of an example."""
        one = example.examples
        with one_pass(self.model, False):
            return self._read(answer_of(self.model(one.tensors[0].clone(), *one.arguments), self.boxes))

    def scores(self, index: int) -> Tensor | None:
        """What the model said about an example, (C,); ``None`` if that is no row of scores, or not known."""
        return self.answer(index).scores

    def picking(self, selection: Selection) -> Selection:
        """The selection with what picks the explained number, where that depends on the picture.

        Raises:
            InputError, TargetError: there is no such class, region or box.
        """
        example = self.example(selection.example)
        given, lines = example.inputs.code, []
        if example.arguments is not None:
            code = example.arguments.code
            lines.append(f"more = {code} if isinstance({code}, tuple) else ({code},)")
            given += ", *more"
        before = (*(() if example.arguments is None else example.arguments.before), *lines)
        if self.boxes is not None:
            before = ("# boxes is the function of your own", *before)
        run = CodeValue(None, "output", (*before, "with torch.no_grad():", f"    output = model({given})"))
        return dataclasses.replace(selection, picked=self.answer(selection.example).picked(selection, run))

    def by_class(self, selection: Selection, classes: Sequence[int]) -> dict[int, Tensor | None]:
        """For each class, or box, gradient x activation of the picked layer's channels, (C, H, W)."""
        outputs = {}
        for index in classes:
            one = self.picking(dataclasses.replace(selection, target=index, contrast=None))
            # A model of one output has no target, and perhaps no index for it.
            outputs[index] = None if selection.target is None else one.explained
        return self.layer_cache.by_class(selection, outputs)

    def excitation(self, selection: Selection) -> Excitation | None:
        """What excites the channels of the picked layer, among all examples; perhaps known already."""
        layer, cache = selection.layer, self.layer_cache
        assert layer is not None

        def look() -> Excitation | None:
            if self.examples.count == 1:
                read = cache.reading(selection)
                return excitation_of_one(read.layout, read.values, self.examples)
            return excitation(self.model, layer, cache.layout(layer), self.examples)

        return cache.kept("excitation", (layer,), look)

    def best(self, index: int) -> int | None:
        """The class that an example is taken for; ``None`` if there are none, or it is not known."""
        scores = self.scores(index)
        return None if scores is None or len(scores) < 2 else int(scores.argmax())

    def outputs(self, selection: Selection, binary: bool) -> Outputs:
        """What the scores of an example are: what a person says, or what is found.

        Args:
            selection: what a person says.
            binary: whether there are names for two classes.
        """
        answer = self.answer(selection.example)
        if answer.pixels is not None:
            return Outputs("segmentation")
        if answer.boxes is not None:
            told = answer.told
            return Outputs("boxes", told is not None and bool(((told >= 0) & (told <= 1)).all()))
        scores = answer.scores
        if scores is None:
            return Outputs("values")
        return outputs_of(scores, selection.output, binary, lambda: self._is_of_sigmoid(selection.example))

    def _is_of_sigmoid(self, index: int) -> bool:
        if self._ends_with_sigmoid is None:
            one = self.example(index).examples
            self._ends_with_sigmoid = ends_with_sigmoid(
                self.model, lambda: self.model(one.tensors[0].clone(), *one.arguments)
            )
        return self._ends_with_sigmoid

    def path(self, selection: Selection) -> MeanPathIntegral:
        """The paths for a target and its baselines; perhaps done already."""
        effort = selection.effort if self._is_path(selection) else 0
        values = self._registry.values(
            "IntegratedGradients", selection.settings.get("IntegratedGradients", {}), effort
        )
        example, weights = self.example(selection.example), self.weights()
        # Whatever a path answers; its baselines have paths of their own.
        answers = repr(selection.values(tuple(name for name in PATH if name != "baseline")))
        about = (answers, values["n_steps"], values["method"], weights)
        paths = {}
        for name, start in zip(selection.baselines, example.baselines(selection), strict=True):
            key = (name, selection.custom if name == "custom" else None, *about)
            if key in self._paths:
                paths[key] = self._paths.pop(key)
                continue
            method = IntegratedGradients(self.model)
            steps, rule = values["n_steps"], values["method"]
            paths[key] = PathIntegral(
                method,
                example.examples,
                start.value,
                selection.explained,
                steps,
                rule,
                example.stage.as_map,
                FRAME_SIDE if example.stage.has_neighbours else None,
            )
        self._keep(paths)
        return MeanPathIntegral(list(paths.values()))

    def _keep(self, paths: dict[Any, PathIntegral]) -> None:
        """These and the latest others that there is room for."""
        room = _FRAMES_KEPT
        for key, one in reversed(self._paths.items()):
            room -= one.evaluations
            if room >= 0:
                paths = {key: one, **paths}
        self._paths = paths

    def knows(self, selection: Selection) -> bool:
        """Whether the answer is there without asking the model."""
        return self._is_path(selection) and self.path(selection).done

    @staticmethod
    def _is_path(selection: Selection) -> bool:
        """Whether the map on show is that of the path."""
        return selection.place == "input" and selection.method == "IntegratedGradients"

    def preview(self, selection: Selection) -> Map:
        """A first idea for one backward pass: the gradient times the difference from the baseline."""
        example = self.example(selection.example)
        gradient = Saliency(self.model).attribute(
            example.tensor,
            selection.explained,
            abs=False,
            additional_forward_args=example.examples.arguments or None,
        )
        start = torch.stack([one.value for one in example.baselines(selection)]).mean(0)
        found = gradient * (example.tensor.detach() - start)
        return Map(found, evaluations=1, final=False, stage=example.stage)

    def without_gradients(self, selection: Selection) -> bool:
        """Whether the model answers, but autograd cannot go through it: neither now nor when asked again.

        A model that fails now and then is not one without gradients.
        """
        return all(self._answers_only(selection) for _ in range(3))

    def _answers_only(self, selection: Selection) -> bool:
        one = self.example(selection.example).examples
        try:
            with torch.no_grad():
                self.model(one.tensors[0].clone(), *one.arguments)
        except Exception:  # then gradients are not to blame
            return False
        try:
            self.preview(selection)
        except (Cancelled, torch.OutOfMemoryError, MemoryError):
            return False
        except Exception:  # whatever autograd, or what a model does in its backward pass, has against it
            return True
        return False

    def layer_maps(self, selection: Selection) -> Iterator[model_layers.LayerMaps]:
        """The maps of all layers by the chosen method, getting better.

        Nothing for methods that would have to begin anew for each layer, nor for quick ones set otherwise than usual.
        """
        if selection.layer_method in model_layers.ONE_PASS:
            if selection.settings.get(selection.layer_method):
                return
            found = self.layer_cache.overview(selection)
            yield model_layers.LayerMaps(
                found.maps[selection.layer_method], found.sums[selection.layer_method], True
            )
        elif selection.layer_method in model_layers.ALONG_A_PATH and (names := self.layer_cache.along_a_path):
            every = dataclasses.replace(selection, layer=names, neuron=None, effort=0)  # type: ignore[arg-type]
            yield from self.layer_cache.maps(selection, self.call(every))

    def maps(self, selection: Selection) -> Iterator[Map]:
        """The answer, getting better; the last one is final."""
        if self._is_path(selection):
            yield from self._path_maps(selection)
            return
        layer = selection.layer if selection.place == "layer" else None
        layout = None if layer is None else self.layer_cache.layout(layer)
        if layout is not None and self.is_cam_of_tokens(selection):
            reading = self.layer_cache.reading(selection)
            if reading.gradients is not None:  # else the method says why there are none
                cam = grad_cam(reading)[None, None]
                cam = cam.relu() if selection.shown_settings.get("relu_attributions") else cam
                yield Map(cam, evaluations=1, layout=None if layout.spatial else layout)
                return
        if layout is not None and selection.layer_method == "LayerGradCam":
            layout = layout.channels_second()  # it gives channels there
        yield from self._called(selection, layout)

    def _called(self, selection: Selection, layout: Layout | None) -> Iterator[Map]:
        """What the selected method gives: averaged, if it is called with several baselines."""
        call = self.call(selection)
        spec = self._registry.specs[selection.shown_method]
        what = spec.title if selection.place == "input" else f"{spec.title} in layer {selection.layer!r}"
        rounds = list(call.rounds())
        known = functools.partial(dataclasses.replace, shares=call.shares, additive=call.additive)
        seen = layout if layout is not None else self.example(selection.example).stage
        done: list[Estimate] = []
        parts = Parts(len(rounds))
        for i, arguments in enumerate(rounds):
            with parts.part(i, i + 1, 1), counted_rows(self.model) as calls:
                for estimate in call.estimates(arguments):
                    if estimate.stopped is None:
                        yield known(mean_map([*done, estimate], what, False, seen, call.sign))
            rows = calls.beside(estimate.evaluations) or 0
            done.append(dataclasses.replace(estimate, evaluations=rows))
        yield known(mean_map(done, what, True, seen, call.sign))

    def _path_maps(self, selection: Selection) -> Iterator[Map]:
        path, stage = self.path(selection), self.example(selection.example).stage
        values = self._registry.values(selection.method, selection.shown_settings)

        def found(final: bool) -> Map:
            if values["multiply_by_inputs"]:
                return Map(
                    path.attributions, path.gap, evaluations=path.evaluations, final=final, stage=stage
                )
            return Map(path.sensitivities, evaluations=path.evaluations, final=final, stage=stage)

        for _ in path.steps():
            yield found(False)
        yield found(True)

    def is_cam_of_tokens(self, selection: Selection) -> bool:
        """Whether Grad-CAM is asked of tokens, of which the method, made for maps, takes the positions for channels."""
        kind = self.layer_cache.layout(selection.layer).kind if selection.layer is not None else ""
        return selection.layer_method == "LayerGradCam" and kind == "tokens"

    def call(self, selection: Selection, model: Any = None) -> MethodCall:
        """The call that answers a selection, of another model if there is one given."""
        model = self.model if model is None else model
        example = self.example(selection.example)
        target, code = selection.explained, selection.explained_code
        if code is None and self._rows:  # for one number in a row, some methods would give a row of maps
            target, code = 0, "0"
        spec = self._registry.specs[selection.shown_method]
        layer = neuron = None
        if selection.layer is not None:
            layer = CodeValue(selection.layer, as_code(selection.layer))
            if selection.neuron is not None:
                neuron = layer_code.selector(self.layer_cache.layout(selection.layer), selection.neuron)
        inputs = MethodInputs(
            example.inputs,
            example.arguments,
            example.baselines(selection),
            example.references,
            None if code is None else CodeValue(target, code, selection.explained_lines),
            self._registry.values(spec.name, selection.shown_settings, selection.effort),
            self.layers,
            layer,
            neuron,
            example.groups,
        )
        return spec.call(model, inputs, self._registry.parameters[spec.name])
