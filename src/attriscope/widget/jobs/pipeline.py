"""One selection worked out, step by step, and handed to the page as it gets better.

:meth:`ExplanationJob.explain` is the order of what a person waits for. What the model is asked is in
:mod:`~attriscope.widget.model.explained_model`, how it travels in :mod:`~attriscope.widget.messages`, and what was
requested and answered in :mod:`~attriscope.widget.state.explorer_state`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from attriscope.core.errors import Cancelled
from attriscope.core.progress import control
from attriscope.widget.jobs.map_messages import MapMessages
from attriscope.widget.messages import layers as layer_messages
from attriscope.widget.messages import wire
from attriscope.widget.messages.predictions import Outputs, maps_message, predictions_message
from attriscope.widget.messages.types import RawPredictions, Request
from attriscope.widget.methods.labels import Labels
from attriscope.widget.methods.quantities import unit_words
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.model.answer import Answer
from attriscope.widget.model.code import lines_of
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.model.explorer_code import whole_code
from attriscope.widget.model.layers import ONE_PASS
from attriscope.widget.model.path import path_message
from attriscope.widget.model.weights import WeightsChangedError
from attriscope.widget.state.explorer_state import ExplorerState, Result
from attriscope.widget.state.part import LOCK
from attriscope.widget.state.selection import Selection, refusing
from attriscope.widget.state.table import OUTPUT, ExplorerTraits, cleared

T = TypeVar("T")

# Seconds: the shortest time between two updates of the page.
_UPDATE_SECONDS = 0.1


class Publish(Protocol):
    """Sets traits that belong together, and lets ``accept`` take note of the result first.

    It raises ``Cancelled`` once the result is no longer wanted.
    """

    def __call__(self, accept: Callable[[], None] | None = None, **traits: Any) -> None: ...


@dataclasses.dataclass
class ExplanationJob:
    """Works a selection out.

    Args:
        explained: the model.
        registry: the methods on offer.
        labels: what things are called.
        state: what was requested, and what is on show.
        shown: the traits, to read.
        publish: sets them.
        cover: covers the region on show, if there is one; ``if_due`` only one that has not been covered.
    """

    explained: ExplainedModel
    registry: MethodRegistry
    labels: Labels
    state: ExplorerState
    shown: ExplorerTraits
    publish: Publish
    cover: Callable[..., None]
    _updated: float = 0.0

    def __post_init__(self) -> None:
        self._told = MapMessages(self.explained, self.registry, self.labels)

    def explain(self, selection: Selection) -> str:
        """All of it: predictions, a preview, how relevant each layer is, the map, the selected layer, the path.

        Args:
            selection: what is to be worked out; its map only if that is not on show already.

        Returns:
            What there is to say about it afterwards; empty if all went well.

        Raises:
            WeightsChangedError: autograd noticed that the model was trained between a forward and its backward pass.
        """
        selection = self.predict(selection)
        has_map = self.state.has_map(selection)
        weights = self.explained.weights()
        self.cover()
        try:
            if has_map:
                lines = lines_of(self.explained, selection)
                self._publish_with_code(
                    functools.partial(self.state.write_down, selection, lines), selection, lines
                )
            else:
                example = self.explained.example(selection.example)
                self.publish(**example.baseline_shown(selection))
                self._preview(selection)
            self._what_if(selection)
            self._layer_relevance(selection)
            self._channels(selection)
            if not has_map:
                self._map(selection, weights)
                self.cover()
            self._neuron(selection)
            self._layer_maps(selection)
            return self._path(selection)
        except RuntimeError as error:
            if self.explained.weights() == weights:
                raise
            raise WeightsChangedError(
                "the model's weights changed while it was explained, as training does; recompute when that is done"
            ) from error

    # --- what the model says ----------------------------------------------------------------------------------

    def predict(self, selection: Selection) -> Selection:
        """Learn what the model says and is made of, and settle what is explained."""
        explained, index = self.explained, selection.example
        with refusing():
            explained.edit(index, selection.edited)
        if self.state.example != index:
            self._turn_to(selection)
        elif self.state.edited != selection.edited:  # what is on show is of the same row: it stays for now
            edit = functools.partial(self.state.edit, selection.edited)
            self.publish(edit, **explained.example(index).stage.shown)
        self.publish(message="Running the model")
        explained.run(index)
        if explained.read_as(selection.output):
            self.publish(self.state.forget_map, heat={}, path={}, code="")
        answer = explained.answer(index)
        if self.state.layers is not explained.layers:  # it was run for the first time, or with other weights
            self.publish(**cleared(with_example=False))
            rows = layer_messages.layer_rows(explained.layers, explained.layer_cache.layouts)
            self.publish(layers=rows)
            self.state.layers = explained.layers
        if selection.layer is not None and selection.neuron is not None:
            layout = explained.layer_cache.layout(selection.layer)
            with refusing():
                layout.check(selection.neuron, selection.layer)
        self.labels.names = answer.names(self.labels.given)
        self.labels.pixels = answer.pixels is not None
        if self.shown.classes != (classes := self.labels.names.message()):
            self.publish(classes=classes)
        self.publish(predictions=self._predictions(answer, selection))
        selection = self._counted(answer, selection)
        turned = self.state.looked_at != index
        follows = self.shown.explain_predicted and turned and isinstance(selection.target, int)
        target = answer.best(self.labels.names)
        if target is not None and (selection.target is None or follows):
            if (
                follows and selection.contrast == target
            ):  # nobody has asked for this target beside this contrast
                selection = dataclasses.replace(selection, contrast=None)
                self.publish(self.state.leave_contrast, contrast=None)
            selection = dataclasses.replace(selection, target=target)
            self.publish(functools.partial(self.state.settle_target, target), target=target)
        self.publish(functools.partial(self.state.look_at, index))
        return explained.picking(selection)

    def _counted(self, answer: Answer, selection: Selection) -> Selection:
        """The selection with a target from 0 on; see that it is one."""
        target = answer.counted(selection.target, self.explained.asked_name, self.labels.names)
        if target != selection.target:
            self.publish(functools.partial(self.state.count_target, target), target=target)
            selection = dataclasses.replace(selection, target=target)
        answer.check(selection)
        return selection

    def _predictions(self, answer: Answer, selection: Selection) -> RawPredictions:
        shape = () if answer.maps is None else answer.maps.shape
        if answer.told is None:
            return maps_message(shape) if shape else {}
        outputs = self.outputs(selection)
        return predictions_message(
            answer.told, self.labels.names, outputs, answer.corners, shape, _classes(selection)
        )

    def outputs(self, selection: Selection) -> Outputs:
        """What the numbers are that the model gives."""
        return self.explained.outputs(selection, self.labels.names.binary)

    def _turn_to(self, selection: Selection) -> None:
        """Show another example, and nothing of the one before: it must not stand over this picture."""
        stage = self.explained.example(selection.example).stage
        self.publish(
            functools.partial(self.state.turn_to, selection.example, selection.edited),
            **{
                **cleared(with_example=True),
                **stage.shown,
                "close_up": stage.close_up(self.shown.view_box),
            },
        )

    def _what_if(self, selection: Selection) -> None:
        """Show what the model says with neurons switched off."""
        if not selection.ablated:
            self.publish(what_if={})
            return
        answer, cache = self.explained.answer(selection.example), self.explained.layer_cache
        intact, changed = answer.beside(functools.partial(cache.run_ablated, selection))
        outputs, request = self.outputs(selection), selection.request("what_if")
        message = layer_messages.what_if_message(
            intact, changed, self.labels.names, outputs, request, explained=_classes(selection)
        )
        self.publish(what_if=message)

    # --- the map ----------------------------------------------------------------------------------------------

    def _preview(self, selection: Selection) -> None:
        """Show something cheap where the method takes long."""
        quick = self.registry.specs[selection.shown_method].quick
        if selection.place != "input" or quick or self.explained.knows(selection):
            return
        try:
            found = self.explained.preview(selection)
        except Cancelled:
            raise
        except Exception:  # a model without gradients, say: the selected method may need none
            return
        about = self._told.about(selection, self.labels.preview_title(selection))
        self.publish(heat=self._told.heat(selection, found, {**about, "preview": True, "refinable": False}))

    def _map(self, selection: Selection, weights: Any) -> None:
        """Show the map while it gets better."""
        lines, about = (
            lines_of(self.explained, selection),
            self._told.about(selection, self.labels.title(selection)),
        )
        began = time.monotonic()
        for found in self.reported(self.labels.method(selection), self.explained.maps(selection)):
            if not found.final and not found.attributions.isfinite().all():
                continue  # the method is about to say what is wrong: what is left of the map would say something else
            changed = found.final and self.explained.weights() != weights
            over = found.over_picture if selection.place == "layer" else None
            attributions = found.attributions if over is None else over
            of_layer = found.attributions if selection.place == "layer" else None
            parts = found.contributions if about["tells_worth"] else None
            seconds = time.monotonic() - began
            result = Result(selection, attributions, weights, found.final, of_layer, parts, lines, seconds)
            heat = self._told.heat(selection, found, {**about, "changed": changed})
            accept = functools.partial(self.state.accept, result)
            self._publish_with_code(accept, selection, lines, heat=heat, weights_changed=changed)

    def _publish_with_code(
        self, accept: Callable[[], None], selection: Selection, lines: Sequence[str], **traits: Any
    ) -> None:
        with LOCK:  # how the map is drawn is in the code, too, and must not change in between
            code = whole_code(self.explained, self.registry, self.labels, self.shown, selection, lines)
            self.publish(accept, code=code, **traits)

    # --- inside the model -------------------------------------------------------------------------------------

    def _layer_relevance(self, selection: Selection) -> None:
        """Show how relevant each layer is, and the maps of all layers where they come from the same pass.

        Neither is what was asked for: a model that has something against it, or no gradients, is explained without.
        """
        self.publish(message="Looking at the layers")
        try:
            found = self.explained.layer_cache.overview(selection)
        except Cancelled:
            raise
        except Exception:
            self.publish(layer_relevance={}, layer_maps={})
            return
        if not self._conductance_is_known(selection):
            layers, request = self.explained.layers, selection.values(OUTPUT)
            message = layer_messages.layer_relevance_message(layers, found.relevance, request)
            self.publish(layer_relevance=message)
        if selection.layer_method in ONE_PASS:
            self._layer_maps(selection)

    def _layer_maps(self, selection: Selection) -> None:
        """Show the maps of all layers; those along a path only once somebody looks into a layer."""
        request = self._layer_maps_request(selection)
        wanted = selection.layer_method in ONE_PASS or selection.place == "layer"
        if self._shows("layer_maps", request) or not wanted:
            return
        title, shown = self.labels.layer_maps_title(selection), False
        what = f"{self.registry.specs[selection.layer_method].title} of all layers"
        unit = self._told.unit(dataclasses.replace(selection, layer="", neuron=None))
        for found in self.reported(what, self.explained.layer_maps(selection), pace=0.5):
            message = layer_messages.layer_maps_message(
                found.maps, found.sums, title=title, request=request, final=found.final, **unit
            )
            self.publish(layer_maps=message)
            shown = True
        if not shown:
            self.publish(layer_maps={})
        elif self._conductance_is_known(selection):
            layers, doc = self.explained.layers, layer_messages.CONDUCTANCE_DOC
            request = selection.request("layer_relevance")
            relevance = layer_messages.layer_relevance_message(layers, found.sums, request, doc)
            self.publish(layer_relevance=relevance)

    def _layer_maps_request(self, selection: Selection) -> Request:
        settings = selection.settings.get(selection.layer_method, {})
        request = {**selection.request("layer_maps"), "settings": settings}
        if not self.registry.specs[selection.layer_method].compares:
            return {**request, "baseline": None}
        # Another baseline of the user's own has the same name.
        return request if selection.custom is None else {**request, "own": selection.custom.number}

    def _conductance_is_known(self, selection: Selection) -> bool:
        """Whether the bars in the tree can show conductance, which is what really comes through each layer."""
        conductance = selection.layer_method == "LayerConductance"
        return conductance and self._shows("layer_maps", self._layer_maps_request(selection))

    def _shows(self, trait: str, request: Request) -> bool:
        """Whether what a trait holds is the final answer to this request."""
        shown = getattr(self.shown, trait)
        return shown.get("request") == request and shown.get("final", True)

    def _channels(self, selection: Selection) -> None:
        """Show what the channels of the selected layer hold and contribute."""
        if selection.layer is None:
            self.publish(channels={})
            return
        request = selection.request("channels")
        if not self._shows("channels", request):
            read = self.explained.layer_cache.reading(selection)
            message = layer_messages.channels_message(
                read.layout, read.values, read.grad_x_activation, None, request
            )
            self.publish(channels=message)

    def _neuron(self, selection: Selection) -> None:
        """Show what is known of the selected neuron."""
        if selection.layer is None or selection.neuron is None:
            self.publish(neuron_info={})
            return
        cache, classes = self.explained.layer_cache, self._best_classes(selection)
        read = cache.reading(selection)
        message = layer_messages.neuron_message(
            read.layout,
            selection.neuron,
            read.values,
            cache.at_baseline(selection, selection.layer),
            self.explained.by_class(selection, classes),
            self.labels.names,
            title=self.labels.neuron(selection),
            request=selection.request("neuron_info"),
        )
        self.publish(neuron_info=message)

    def _best_classes(self, selection: Selection) -> list[int]:
        """The model's best classes, and the explained one."""
        classes, target = self.explained.answer(selection.example).likeliest, selection.target
        more = isinstance(target, int) and bool(classes) and target not in classes
        return [*classes, target] if more else classes

    # --- the path ---------------------------------------------------------------------------------------------

    def _path(self, selection: Selection) -> str:
        """Go from the baseline to the input, unless the map came from that, and show the way.

        Methods that only ask for outputs also explain models without gradients. There is no path through those.
        """
        path = self.explained.path(selection)
        try:
            for _ in self.reported("The path", path.steps()):
                pass
        except Cancelled:
            raise
        except Exception as error:
            if not self.explained.without_gradients(selection):
                raise
            self.publish(path={})
            return f"No path: that needs gradients, which this model does not give. {wire.short(str(error))}"
        classes, contrast = self._best_classes(selection), selection.contrast
        if isinstance(selection.target, int) and classes and contrast is not None and contrast not in classes:
            classes.append(contrast)
        outputs = self.outputs(selection)
        message = path_message(
            path,
            self.labels.names,
            outputs,
            classes,
            math.prod(self.explained.example(selection.example).stage.places),
            title=self.labels.path_title(selection),
            target_label=self.labels.output(selection),
            unit=unit_words("contribution", self.labels.explained(selection.at_input, outputs.noun)),
            request=selection.request("path"),
        )
        self.publish(path=message)
        return ""

    def unit(self, selection: Selection) -> str:
        """What the numbers of the selected method are, in words."""
        return self._told.unit(selection)["unit"]

    # --- progress ---------------------------------------------------------------------------------------------

    def reported(self, what: str, steps: Iterator[T], every: bool = False, pace: float = 0.2) -> Iterator[T]:
        """What the steps give, as often as the page is due for an update, and the last; progress goes on meanwhile.

        Args:
            what: what is being done.
            steps: does it.
            every: give all of them, for each is worth an update.
            pace: the longer it takes, the rarer the updates: at least this share of the time that has gone by lies
                between two of them, as each is hundreds of kilobytes, and changes less and less.
        """
        due: list[bool] = []
        began = given = time.monotonic()

        def report(done: int, total: int) -> None:
            now = time.monotonic()
            if now - self._updated >= _UPDATE_SECONDS:
                self._updated = now
                self.publish(progress=done / total, message=f"{what}, {done} of {total}")
                self.cover(if_due=True)
                if now - given >= pace * (now - began):
                    due.append(True)

        latest: list[T] = []
        with control(progress=report):
            for step in steps:
                latest = [step]
                if due or every:
                    due.clear()
                    latest = []
                    given = time.monotonic()
                    yield step
        yield from latest


def _classes(selection: Selection) -> list[int]:
    """What is explained, and what it is compared with, where these are classes."""
    return [i for i in (selection.target, selection.contrast) if isinstance(i, int)]
