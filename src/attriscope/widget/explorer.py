"""The Explorer: one model, one picture, and what made the model say what it said."""

from __future__ import annotations

import dataclasses
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import traitlets
from torch import Tensor, nn

from attriscope.attr import LayerGradCam
from attriscope.attr.quadrature import quadrature
from attriscope.core.errors import Cancelled, InputError, InputTypeError
from attriscope.core.inputs import describe, gather_examples, require_floating
from attriscope.core.progress import control
from attriscope.core.sites import find_layer
from attriscope.core.target import resolve_target
from attriscope.widget import wire
from attriscope.widget.choices import Choice, ChoiceError, Own, refusing
from attriscope.widget.jobs import Job, Worker
from attriscope.widget.offers import OFFERS
from attriscope.widget.parts import (
    BASELINE_CHOICES,
    LayerTraits,
    OverlayTraits,
    Part,
    PathTraits,
    PredictionTraits,
    layer_messages,
    path_message,
)
from attriscope.widget.pictures import BASELINES, Pictures, ToImage, custom_baseline
from attriscope.widget.session import Map, Session

T = TypeVar("T")

# Seconds: one batch of interactive work, and the shortest time between two updates of the page.
_BATCH_SECONDS = 0.1
_UPDATE_SECONDS = 0.1


class Explorer(Part, OverlayTraits, PredictionTraits, PathTraits, LayerTraits):
    """Explains a model's prediction for a picture, to look at and to play with.

    Everything on the page is a trait that can be set, read and observed from Python; choices that need the model are
    worked out on a thread of their own, the latest one first, while the notebook's cells keep running.

    Args:
        model: a ``torch.nn.Module`` that takes ``inputs``, on whatever device they both are.
        inputs: one example, a floating point tensor of shape (1, C, H, W).
        target: which output to explain: an int, or a tuple or list of ints; ``None`` takes the best class.
        class_names: names of the classes, as a sequence or a dict from index to name.
        method: ``"IntegratedGradients"`` (default), ``"Saliency"`` or ``"InputXGradient"``.
        baseline: where the path starts: ``"zero"`` (in model space, default), ``"black"``, ``"white"``, ``"mean"``
            (mean colour), ``"blur"``, ``"noise"`` (uniform), or a tensor of the input's shape.
        to_image: a function that turns a tensor of the input's shape into a picture, undoing the preprocessing: an
            array or tensor (H, W), (H, W, 3) or (3, H, W), of 8-bit numbers or of floats from 0 to 1. ``None``
            stretches the input's range over that of a picture. On the way from baseline to input the page mixes their
            pictures, which is exact if ``to_image`` is linear but for clipping.
        additional_forward_args: further arguments of the model, a value or a tuple.
        n_steps: points on the path of integrated gradients.
        **traits: initial ``layer``, ``alpha``, ``opacity``, ``colormap``, ``sign``, ``outlier_percent``.

    Traits:
        method, target, baseline, layer: what is explained and how. With a ``layer`` (path of a convolutional module)
            its Grad-CAM is shown.
        alpha: position on the path, from 0 (baseline) to 1 (input).
        opacity, colormap, sign, outlier_percent: how the map is drawn.
        status: ``"running"``, ``"idle"``, ``"cancelled"`` or ``"error"``.
        progress: share of the present computation that is done, from 0 to 1.
        message: what is being done, or what went wrong.

    Raises:
        InputTypeError, InputError, ChoiceError: model, inputs or a choice cannot be used. What the model itself raises
            appears in the widget and is raised by :meth:`wait`.

    Example::

        explorer = Explorer(model, image, class_names=names, to_image=to_image)
        explorer                                  # show it
        explorer.target = 285                     # or click
        explorer.wait().attributions              # a tensor of the input's shape
    """

    method = traitlets.Unicode("IntegratedGradients").tag(sync=True)
    baseline = traitlets.Any("zero").tag(
        sync=True,
        to_json=lambda value, widget: value if isinstance(value, str) else "custom",
        from_json=lambda value, widget: widget._own.tensor if value == "custom" and widget._own else value,
    )
    methods: Any = traitlets.List().tag(sync=True)
    baselines: Any = traitlets.List().tag(sync=True)
    status = traitlets.Enum(("idle", "running", "cancelled", "error"), "idle").tag(sync=True)
    progress = traitlets.Float(0.0).tag(sync=True)
    message = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        model: nn.Module,
        inputs: Tensor,
        *,
        target: Any = None,
        class_names: Sequence[str] | dict[int, str] | None = None,
        method: str = "IntegratedGradients",
        baseline: Any = "zero",
        to_image: ToImage | None = None,
        additional_forward_args: Any = None,
        n_steps: int = 50,
        **traits: Any,
    ) -> None:
        self._lock = threading.RLock()
        self._worker = Worker("attriscope-explorer")
        self._outdated = threading.Event()
        self._own: Own | None = None
        self._error: BaseException | None = None
        self._attributions: Tensor | None = None
        self._requested: Choice | None = None
        self._updated = 0.0
        self._model = model
        self._examples = gather_examples(inputs, additional_forward_args)
        self._check_inputs(inputs)
        self._pictures = Pictures(self._examples.tensors[0], to_image)
        quadrature("gausslegendre", n_steps)  # refuses an impossible number here rather than later
        self._names = class_names
        self._session = Session(model, self._examples, self._pictures, n_steps)
        super().__init__(target=target, method=method, baseline=baseline, **traits)
        self._route_messages()
        self.methods = [
            {"name": name, "label": offer.title, "doc": offer.doc} for name, offer in OFFERS.items()
        ]
        self.picture = wire.picture_message(self._pictures.show(self._examples.tensors[0]))
        self.on_msg(self._receive)
        self.observe(self._choose, ["method", "target", "baseline", "layer"])
        self.recompute()

    # --- what a person can do ---------------------------------------------------------------------------------

    @property
    def attributions(self) -> Tensor | None:
        """The map on show, as the method returned it; ``None`` before the first is ready."""
        return self._attributions

    @property
    def error(self) -> BaseException | None:
        """What the latest computation raised; ``None`` if all is well."""
        return self._error

    def wait(self, timeout: float | None = None) -> Explorer:
        """Wait until everything asked for is worked out.

        Args:
            timeout: at most this many seconds; ``None`` (default) waits as long as it takes. Interrupting the wait
                cancels the computation.

        Returns:
            The Explorer itself.

        Raises:
            TimeoutError: it took longer.
            Exception: what the model or the method raised.
        """
        try:
            if not self._worker.wait(timeout):
                raise TimeoutError(
                    f"the explanation was not ready after {timeout} s; it goes on: {self.message}"
                )
        except KeyboardInterrupt:
            self.cancel()
            raise
        if self._error is not None:
            raise self._error
        return self

    def cancel(self) -> None:
        """Stop what is being computed; what is on show stays. The model is left at the end of the batch it is in."""
        if self._worker.cancel():
            with self._lock:
                self.status, self.message = "cancelled", "Cancelled"

    def recompute(self) -> None:
        """Work the present choice out anew, for instance after the model was trained further."""
        self._outdated.set()
        self._submit()

    def __repr__(self) -> str:
        return (
            f"Explorer(method={self.method!r}, target={self.target!r}, baseline={_name_of(self.baseline)!r}, "
            f"layer={self.layer!r}, status={self.status!r})"
        )

    # --- choices ----------------------------------------------------------------------------------------------

    def _check_inputs(self, inputs: Any) -> None:
        if not isinstance(self._model, nn.Module):
            raise InputTypeError(f"model must be a torch.nn.Module, but {describe(self._model)} came")
        x = self._examples.tensors[0]
        if len(self._examples.tensors) > 1 or x.dim() != 4 or x.shape[0] != 1:
            hint = "; write inputs[None]" if x.dim() == 3 else "; write inputs[:1]" if x.dim() == 4 else ""
            raise InputError(
                f"the Explorer shows one picture, of shape (1, C, H, W), but {describe(inputs)} came{hint}"
            )
        require_floating(self._examples, "the Explorer")
        if self._model.training:
            warnings.warn(
                "the model is in training mode, so dropout and batch statistics are part of what is explained; "
                "call model.eval() first unless you mean that",
                stacklevel=3,
            )

    @traitlets.default("baselines")
    def _default_baselines(self) -> list[wire.Message]:
        return list(BASELINE_CHOICES)

    @traitlets.validate("method")
    def _valid_method(self, proposal: Any) -> str:
        if proposal["value"] not in OFFERS:
            raise ChoiceError(f"method must be one of {', '.join(OFFERS)}, but {proposal['value']!r} came")
        return str(proposal["value"])

    @traitlets.validate("baseline")
    def _valid_baseline(self, proposal: Any) -> Any:
        value = proposal["value"]
        if isinstance(value, str):
            if value not in BASELINES:
                names = ", ".join(BASELINES)
                raise ChoiceError(f"baseline must be one of {names} or a tensor, but {value!r} came")
            return value
        if self._own is None or value is not self._own.tensor:
            with refusing():
                self._own = Own(custom_baseline(value, self._examples))
        self.baselines = [*BASELINE_CHOICES, {"name": "custom", "label": "Your own"}]
        return self._own.tensor

    @traitlets.validate("target")
    def _valid_target(self, proposal: Any) -> Any:
        value = proposal["value"]
        with refusing():
            target = resolve_target(value, 1)
        if target.function is not None:
            raise ChoiceError("the page cannot show a function as target; give an int or a tuple of ints")
        index = (
            target.column
            if target.column is not None
            else None
            if target.each is None
            else target.each[0].tolist()
        )
        if index is None:
            return None
        return index[0] if len(index) == 1 else list(index)

    @traitlets.validate("layer")
    def _valid_layer(self, proposal: Any) -> str | None:
        if proposal["value"] is not None:
            with refusing():
                find_layer(self._model, proposal["value"])
        return None if proposal["value"] is None else str(proposal["value"])

    def _choice(self) -> Choice:
        name = _name_of(self.baseline)
        return Choice(self.method, self.target, name, self.layer, self._own if name == "custom" else None)

    def _choose(self, change: Any) -> None:
        if self._choice() != self._requested:
            self._submit()

    def _submit(self) -> None:
        with self._lock:
            self._error = None
            self.status, self.progress, self.message = "running", 0.0, "Starting"
            self._requested = self._choice()
            self._worker.submit(Job(self._run, self._requested))

    # --- messages ---------------------------------------------------------------------------------------------

    def _route_messages(self) -> None:
        # ipykernel 7.4.0 sends a widget's messages to the shell that the widget last answered from, so that Cancel
        # waits for a running cell. Routing by the message's own header is what 7.1 to 7.3 do.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default

    def set_state(self, sync_data: Any) -> None:
        """Take over what the page says; what cannot be is refused, and the page is told what holds."""
        with self._lock:
            try:
                super().set_state(sync_data)
            except traitlets.TraitError as refused:
                self.message = str(refused)
                self.send_state(list(sync_data))

    def _receive(self, widget: Any, content: Any, buffers: Any) -> None:
        kind = content.get("type") if isinstance(content, dict) else None
        if kind == "cancel":
            self.cancel()
        elif kind == "recompute":
            self.recompute()

    def _publish(self, job: Job, **traits: Any) -> None:
        """Set traits on behalf of a job, unless it has been told to stop: then its results are of no use."""
        with self._lock:
            if job.is_set():
                raise Cancelled("superseded")
            for name, value in traits.items():
                setattr(self, name, value)

    def _due(self) -> bool:
        """Whether it is time to tell the page something."""
        now = time.monotonic()
        if now - self._updated < _UPDATE_SECONDS:
            return False
        self._updated = now
        return True

    # --- the job ----------------------------------------------------------------------------------------------

    def _run(self, job: Job) -> None:
        try:
            with control(cancel=job, batch_seconds=_BATCH_SECONDS):
                choice = self._look(job, job.about)
                start = self._session.start(choice)
                self._publish(job, baseline_picture=wire.picture_message(self._pictures.show(start)))
                self._explain(job, choice)
                self._walk(job, choice)
            self._publish(job, status="idle", progress=1.0, message="")
        except Cancelled:
            return  # whoever told the job to stop has said so on the page
        except BaseException as error:  # whatever a model raises must neither kill the worker nor go unseen
            with self._lock:
                if not job.is_set():
                    self._error = error
                    self.status, self.message = "error", f"{type(error).__name__}: {error}"

    def _look(self, job: Job, choice: Choice) -> Choice:
        """Learn what the model says and is made of, and settle what is explained."""
        session = self._session
        if self._outdated.is_set():
            self._outdated.clear()
            session.forget()
        if not session.layers:
            self._publish(job, message="Running the model")
            session.look()
            self._publish(job, layers=layer_messages(session.layers))
            if session.scores is not None:
                self._publish(job, predictions=wire.predictions_message(session.scores, self._names))
        if choice.target is None and session.scores is not None and len(session.scores) > 1:
            choice = dataclasses.replace(choice, target=int(session.scores.argmax()))
            with self._lock:
                self._requested = choice  # so that setting the target does not start the work again
                self._publish(job, target=choice.target)
        return choice

    def _explain(self, job: Job, choice: Choice) -> None:
        """Show the map while it gets better."""
        for found in self._reported(job, self._what(choice), self._session.maps(choice)):
            self._show(job, choice, found)

    def _walk(self, job: Job, choice: Choice) -> None:
        """Walk from the baseline to the input, unless the map came from that, and show the way."""
        walk = self._session.walk(choice)
        for _ in self._reported(job, "The path", walk.steps()):
            pass
        classes = [item["index"] for item in self.predictions.get("items", [])]
        if isinstance(choice.target, int) and classes and choice.target not in classes:
            classes.append(choice.target)
        label = "" if choice.target is None else self._label(choice.target)
        title = self._title(dataclasses.replace(choice, method="IntegratedGradients", layer=None))
        request = {"target": choice.target, "baseline": choice.baseline}
        self._publish(job, path=path_message(walk, self._names, classes, title, label, request))

    def _reported(self, job: Job, what: str, steps: Iterator[T]) -> Iterator[T]:
        """What the steps give, as often as the page is due for an update, and the last; progress goes on meanwhile."""
        due: list[bool] = []

        def report(done: int, total: int) -> None:
            if self._due():
                self._publish(job, progress=done / total, message=f"{what}, {done} of {total}")
                due.append(True)

        held: list[T] = []
        with control(progress=report):
            for step in steps:
                held = [step]
                if due:
                    due.clear()
                    held = []
                    yield step
        yield from held

    def _show(self, job: Job, choice: Choice, found: Map) -> None:
        size = tuple(self._examples.tensors[0].shape[2:])
        shown = found.attributions
        if tuple(shown.shape[2:]) != size:
            shown = LayerGradCam.interpolate(shown, size, "bilinear")
        heat = wire.heat_message(
            wire.flat_map(shown),
            title=self._title(choice),
            request=choice.message,
            final=found.final,
            sum=float(found.attributions.sum()),
            gap=found.gap,
        )
        with self._lock:
            self._publish(job, heat=heat)
            self._attributions = found.attributions

    # --- words ------------------------------------------------------------------------------------------------

    def _what(self, choice: Choice) -> str:
        return OFFERS[choice.method].title if choice.layer is None else f"Grad-CAM at {choice.layer}"

    def _title(self, choice: Choice) -> str:
        of = "" if choice.target is None else f" for {self._label(choice.target)}"
        compared = choice.layer is None and OFFERS[choice.method].compares
        return self._what(choice) + of + (f", baseline {choice.baseline}" if compared else "")

    def _label(self, target: Any) -> str:
        return wire.class_label(target, self._names) if isinstance(target, int) else f"output {target}"


def _name_of(baseline: Any) -> str:
    return baseline if isinstance(baseline, str) else "custom"
