"""One choice worked out, step by step, and handed to the page as it gets better."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

from torch import Tensor

from attriscope.attr import LayerGradCam
from attriscope.core.errors import Cancelled, InputError
from attriscope.core.progress import control
from attriscope.widget.messages import layers as layer_messages
from attriscope.widget.messages import wire
from attriscope.widget.messages.labels import Words
from attriscope.widget.messages.types import RawHeat, Request
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.model.layers import QUICK
from attriscope.widget.model.session import Map, Session
from attriscope.widget.model.weights import WeightsChangedError
from attriscope.widget.parts import path_message
from attriscope.widget.state.selection import Selection

T = TypeVar("T")

# Seconds: the shortest time between two updates of the page.
_UPDATE_SECONDS = 0.1


class Page(Protocol):
    """Where answers go. Each call raises ``Cancelled`` once the answer is no longer wanted."""

    def publish(self, **traits: Any) -> None:
        """Traits that belong together, as one message."""

    def settle(self, target: int) -> None:
        """The target that is explained where nobody chose one."""

    def hand_over(self, found: Map, weights: Any, choice: Selection, **traits: Any) -> None:
        """The map of a choice, the weights that it was made with, and the traits that show it."""

    def shows(self, trait: str, request: Request) -> bool:
        """Whether what a trait holds is the final answer to this request."""

    def turn_to(self, example: int, **traits: Any) -> None:
        """Traits to publish if what is on show belongs to another example."""


@dataclasses.dataclass
class ExplanationJob:
    """Works a choice out.

    Args:
        session: asks the model.
        menu: the methods' parameters.
        words: what things are called.
        page: where it is shown.
    """

    session: Session
    menu: MethodRegistry
    words: Words
    page: Page
    _updated: float = 0.0

    def give(self, choice: Selection, known: bool = False) -> str:
        """All of it: predictions, a preview, how much passes at each layer, the map, the picked layer, the path.

        Args:
            choice: what is to be worked out.
            known: its map is on show already.

        Returns:
            What there is to say about it afterwards; empty if all went well.

        Raises:
            WeightsChangedError: autograd noticed that the model was trained between a forward and its backward pass.
        """
        choice = self._look(choice)
        weights = self.session.weights()
        try:
            if known:
                self.page.publish(code=self.session.code(choice))
            else:
                self.page.publish(baseline_picture=self.session.example(choice.example).show_starts(choice))
                self._preview(choice)
            self._what_if(choice)
            self._flow(choice)
            self._channels(choice)
            if not known:
                self._map(choice, weights)
            self._neuron(choice)
            self._depth(choice)
            return self._walk(choice)
        except RuntimeError as error:
            if self.session.weights() == weights:
                raise
            raise WeightsChangedError(
                "the model's weights changed while it was explained, as training does; recompute when that is done"
            ) from error

    def _map(self, choice: Selection, weights: Any) -> None:
        """Show the map while it gets better."""
        code = self.session.code(choice)
        for found in self.reported(self.words.method(choice), self.session.maps(choice)):
            changed = found.final and self.session.weights() != weights
            heat = self._heat(choice, found, self.words.title(choice), changed=changed)
            self.page.hand_over(found, weights, choice, heat=heat, code=code, weights_changed=changed)

    def _what_if(self, choice: Selection) -> None:
        """Show what the model says with neurons switched off."""
        if not choice.ablated:
            self.page.publish(what_if={})
            return
        intact = self.session.scores(choice.example)
        if intact is None:
            raise InputError("the model gives no row of scores, so there are no predictions to change")
        changed = self.session.interior.without(choice).reshape(-1)
        message = layer_messages.what_if_message(intact, changed, self.words.names, choice.what_if_message)
        self.page.publish(what_if=message)

    def _flow(self, choice: Selection) -> None:
        """Show how much passes at each layer, and the maps of all layers where they come from the same pass.

        Neither is what was asked for: a model that has something against it, or no gradients, is explained without.
        """
        self.page.publish(message="Looking at the layers")
        try:
            found = self.session.interior.flow(choice)
        except Cancelled:
            raise
        except Exception:
            self.page.publish(layer_relevance={}, layer_maps={})
            return
        if not self._conductance_is_known(choice):
            self.page.publish(
                layer_relevance=layer_messages.flow_message(self.session.layers, found.amounts, choice.seen)
            )
        if choice.layer_method in QUICK:
            self._depth(choice)

    def _depth(self, choice: Selection) -> None:
        """Show the maps of all layers; those along a path only once somebody looks into a layer."""
        offer = self.menu.every[choice.layer_method]
        request = self._depth_request(choice)
        quick = choice.layer_method in QUICK
        if self.page.shows("layer_maps", request) or not (quick or choice.place == "layer"):
            return
        title, shown = self.words.depth_title(choice), False
        what = f"{offer.title} of all layers"
        for found in self.reported(what, self.session.depth(choice), pace=0.5):
            message = layer_messages.depth_message(found, title=title, request=request)
            self.page.publish(layer_maps=message)
            shown = True
        if not shown:
            self.page.publish(layer_maps={})
        elif self._conductance_is_known(choice):
            layers, doc = self.session.layers, layer_messages.CONDUCTANCE_DOC
            self.page.publish(
                layer_relevance=layer_messages.flow_message(layers, found.sums, choice.walk_message, doc)
            )

    def _depth_request(self, choice: Selection) -> Request:
        name = choice.layer_method
        about = {"layer_method": name, "settings": choice.settings.get(name, {})}
        if not self.menu.every[name].compares:
            return {**choice.walk_message, "baseline": None, **about}
        own = {} if choice.own is None else {"own": choice.own.number}  # another one has the same name
        return {**choice.walk_message, **own, **about}

    def _conductance_is_known(self, choice: Selection) -> bool:
        """Whether the bars in the tree can show conductance, which is what really comes through each layer."""
        conductance = choice.layer_method == "LayerConductance"
        return conductance and self.page.shows("layer_maps", self._depth_request(choice))

    def _channels(self, choice: Selection) -> None:
        """Show what the channels of the picked layer hold and contribute."""
        if choice.layer is None:
            self.page.publish(channels={})
            return
        request = {**choice.seen, "layer": choice.layer}
        if not self.page.shows("channels", request):
            held = self.session.interior.held(choice)
            self.page.publish(channels=layer_messages.channels_message(held, None, request))

    def _neuron(self, choice: Selection) -> None:
        """Show what is known of the picked neuron."""
        if choice.layer is None or choice.neuron is None:
            self.page.publish(neuron_info={})
            return
        scores = self.session.scores(choice.example)
        classes = [] if scores is None else wire.best(scores)
        if isinstance(choice.target, int) and classes and choice.target not in classes:
            classes.append(choice.target)
        message = layer_messages.neuron_message(
            self.session.interior.held(choice),
            choice.neuron,
            self.session.interior.at_baseline(choice, choice.layer),
            self.session.interior.by_class(choice, classes),
            self.words.names,
            title=self.words.neuron(choice),
            request={**choice.seen, "layer": choice.layer, "neuron": choice.neuron},
        )
        self.page.publish(neuron_info=message)

    def _look(self, choice: Selection) -> Selection:
        """Learn what the model says and is made of, and settle what is explained."""
        session, index = self.session, choice.example
        # Nothing of another picture may stand over this one.
        picture = session.example(index).shown
        self.page.turn_to(
            index,
            picture=picture,
            heat={},
            path={},
            predictions={},
            baseline_picture={},
            layer_relevance={},
            layer_maps={},
            channels={},
            neuron_info={},
            what_if={},
            code="",
            weights_changed=False,
        )
        self.page.publish(message="Running the model")
        session.look(index)
        scores = session.scores(index)
        if not session.layers_published:  # it was run for the first time, or with other weights
            self.page.publish(layer_relevance={}, layer_maps={}, channels={}, neuron_info={}, what_if={})
            self.page.publish(layers=layer_messages.layer_rows(session.layers, session.interior.forms))
            session.layers_published = True
        if choice.layer is not None and choice.neuron is not None:
            session.interior.form(choice.layer).check(choice.neuron, choice.layer)
        says = {} if scores is None else wire.predictions_message(scores, self.words.names)
        self.page.publish(predictions=says)
        if choice.target is None and scores is not None and len(scores) > 1:
            choice = dataclasses.replace(choice, target=int(scores.argmax()))
            self.page.settle(choice.target)
        return choice

    def _preview(self, choice: Selection) -> None:
        """Show something cheap where the method takes long."""
        quick = self.menu.every[choice.shown_method].quick
        if choice.place != "input" or quick or self.session.knows(choice):
            return
        try:
            found = self.session.preview(choice)
        except Cancelled:
            raise
        except Exception:  # a model without gradients, say: the chosen method may need none
            return
        heat = self._heat(choice, found, self.words.preview_title(choice), preview=True)
        self.page.publish(heat=heat)

    def _walk(self, choice: Selection) -> str:
        """Walk from the baseline to the input, unless the map came from that, and show the way.

        Methods that only ask for outputs also explain models without gradients. There is no path through those.
        """
        walk = self.session.walk(choice)
        try:
            for _ in self.reported("The path", walk.steps()):
                pass
        except Cancelled:
            raise
        except Exception as error:
            if not self.session.without_gradients(choice):
                raise
            self.page.publish(path={})
            return f"No path: that needs gradients, which this model does not give. {wire.short(str(error))}"
        scores = self.session.scores(choice.example)
        classes = [] if scores is None else wire.best(scores)
        if isinstance(choice.target, int) and classes:
            classes += [i for i in (choice.target, choice.contrast) if i is not None and i not in classes]
        title, label = self.words.path_title(choice), self.words.output(choice)
        message = path_message(walk, self.words.names, classes, title, label, choice.walk_message)
        self.page.publish(path=message)
        return ""

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
                self.page.publish(progress=done / total, message=f"{what}, {done} of {total}")
                if now - given >= pace * (now - began):
                    due.append(True)

        held: list[T] = []
        with control(progress=report):
            for step in steps:
                held = [step]
                if due or every:
                    due.clear()
                    held = []
                    given = time.monotonic()
                    yield step
        yield from held

    def _heat(
        self, choice: Selection, found: Map, title: str, preview: bool = False, changed: bool = False
    ) -> RawHeat:
        over = found.over_picture
        if over is None:  # the page says what the layer gives instead
            return {}
        size = tuple(self.session.example(choice.example).tensor.shape[2:])
        shown = wire.flat_map(_fitted(over, size))
        error = None if found.error is None else wire.flat_map(_fitted(found.error.abs(), size))
        return wire.heat_message(
            shown,
            title=title,
            request=choice.message,
            final=found.final,
            preview=preview,
            sum=None if found.total is None else wire.number(found.total),
            gap=None if found.gap is None else wire.number(found.gap),
            error=None if error is None else wire.number(error.amax()),
            relative_error=None if error is None else wire.number(_size(error) / _size(shown)),
            evaluations=found.evaluations,
            refinable=not preview
            and self.menu.refinable(choice.shown_method, choice.shown_settings, choice.effort),
            changed=changed,
        )


def _fitted(found: Tensor, size: tuple[int, ...]) -> Tensor:
    return found if tuple(found.shape[2:]) == size else LayerGradCam.interpolate(found, size, "bilinear")


def _size(values: Tensor) -> Tensor:
    """Root mean square."""
    return values.double().square().mean().sqrt()
