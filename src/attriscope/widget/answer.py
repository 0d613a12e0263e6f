"""One choice worked out, step by step, and handed to the page as it gets better."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

from torch import Tensor

from attriscope.attr import LayerGradCam
from attriscope.core.errors import Cancelled
from attriscope.core.progress import control
from attriscope.widget import wire
from attriscope.widget.choices import Choice
from attriscope.widget.offers import Menu
from attriscope.widget.parts import layer_messages, path_message
from attriscope.widget.session import Map, Session
from attriscope.widget.traits import short
from attriscope.widget.weights import WeightsChangedError
from attriscope.widget.words import Words

T = TypeVar("T")

# Seconds: the shortest time between two updates of the page.
_UPDATE_SECONDS = 0.1


class Page(Protocol):
    """Where answers go. Each call raises ``Cancelled`` once the answer is no longer wanted."""

    def publish(self, **traits: Any) -> None:
        """Traits that belong together, as one message."""

    def settle(self, target: int) -> None:
        """The target that is explained where nobody chose one."""

    def hand_over(self, found: Map, weights: Any, **traits: Any) -> None:
        """A map of the chosen method, the weights that it was made with, and the traits that show it."""

    def turn_to(self, example: int, **traits: Any) -> None:
        """Traits to publish if what is on show belongs to another example."""


@dataclasses.dataclass
class Answer:
    """Works a choice out.

    Args:
        session: asks the model.
        menu: the methods' parameters.
        words: what things are called.
        page: where it is shown.
    """

    session: Session
    menu: Menu
    words: Words
    page: Page
    _updated: float = 0.0

    def give(self, choice: Choice) -> str:
        """All of it: predictions, a preview, the map, the path.

        Returns:
            What there is to say about it afterwards; empty if all went well.

        Raises:
            WeightsChangedError: autograd noticed that the model was trained between a forward and its backward pass.
        """
        choice = self._look(choice)
        weights = self.session.weights()
        try:
            self._explain(choice, weights)
            return self._walk(choice)
        except RuntimeError as error:
            if self.session.weights() == weights:
                raise
            raise WeightsChangedError(
                "the model's weights changed while it was explained, as training does; recompute when that is done"
            ) from error

    def _explain(self, choice: Choice, weights: Any) -> None:
        """Show the map while it gets better."""
        self.page.publish(baseline_picture=self.session.example(choice.example).show_starts(choice))
        self._preview(choice)
        code = self.session.code(choice)
        for found in self.reported(self.words.method(choice), self.session.maps(choice)):
            changed = found.final and self.session.weights() != weights
            heat = self._heat(choice, found, self.words.title(choice), changed=changed)
            self.page.hand_over(found, weights, heat=heat, code=code, weights_changed=changed)

    def _look(self, choice: Choice) -> Choice:
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
            code="",
            weights_changed=False,
        )
        self.page.publish(message="Running the model")
        looked = session.look(index)
        scores = session.scores(index)
        if looked:
            self.page.publish(layers=layer_messages(session.layers))
        says = {} if scores is None else wire.predictions_message(scores, self.words.names)
        self.page.publish(predictions=says)
        if choice.target is None and scores is not None and len(scores) > 1:
            choice = dataclasses.replace(choice, target=int(scores.argmax()))
            self.page.settle(choice.target)
        return choice

    def _preview(self, choice: Choice) -> None:
        """Show something cheap where the method takes long."""
        if choice.layer is not None or self.menu.offers[choice.method].quick or self.session.knows(choice):
            return
        try:
            found = self.session.preview(choice)
        except Cancelled:
            raise
        except Exception:  # a model without gradients, say: the chosen method may need none
            return
        heat = self._heat(choice, found, self.words.preview_title(choice), preview=True)
        self.page.publish(heat=heat)

    def _walk(self, choice: Choice) -> str:
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
            return f"No path: that needs gradients, which this model does not give. {short(str(error))}"
        scores = self.session.scores(choice.example)
        classes = [] if scores is None else wire.best(scores)
        if isinstance(choice.target, int) and classes:
            classes += [i for i in (choice.target, choice.contrast) if i is not None and i not in classes]
        title, label = self.words.path_title(choice), self.words.output(choice)
        message = path_message(walk, self.words.names, classes, title, label, choice.walk_message)
        self.page.publish(path=message)
        return ""

    def reported(self, what: str, steps: Iterator[T], every: bool = False) -> Iterator[T]:
        """What the steps give, as often as the page is due for an update, and the last; progress goes on meanwhile.

        Args:
            what: what is being done.
            steps: does it.
            every: give all of them, for each is worth an update.
        """
        due: list[bool] = []

        def report(done: int, total: int) -> None:
            now = time.monotonic()
            if now - self._updated >= _UPDATE_SECONDS:
                self._updated = now
                self.page.publish(progress=done / total, message=f"{what}, {done} of {total}")
                due.append(True)

        held: list[T] = []
        with control(progress=report):
            for step in steps:
                held = [step]
                if due or every:
                    due.clear()
                    held = []
                    yield step
        yield from held

    def _heat(
        self, choice: Choice, found: Map, title: str, preview: bool = False, changed: bool = False
    ) -> wire.Message:
        size = tuple(self.session.example(choice.example).tensor.shape[2:])
        shown = wire.flat_map(_fitted(found.attributions, size))
        error = None if found.error is None else wire.flat_map(_fitted(found.error.abs(), size))
        refinable = not preview and choice.layer is None
        return wire.heat_message(
            shown,
            title=title,
            request=choice.message,
            final=found.final,
            preview=preview,
            sum=None if found.total is None else _number(found.total),
            gap=None if found.gap is None else _number(found.gap),
            error=None if error is None else _number(error.amax()),
            relative_error=None if error is None else _number(_size(error) / _size(shown)),
            evaluations=found.evaluations,
            refinable=refinable and self.menu.refinable(choice.method, choice.settings, choice.effort),
            changed=changed,
        )


def _fitted(found: Tensor, size: tuple[int, ...]) -> Tensor:
    return found if tuple(found.shape[2:]) == size else LayerGradCam.interpolate(found, size, "bilinear")


def _size(values: Tensor) -> Tensor:
    """Root mean square."""
    return values.double().square().mean().sqrt()


def _number(value: Any) -> float | None:
    """For JSON, which knows no NaN and no infinity."""
    value = float(value)
    return value if math.isfinite(value) else None
