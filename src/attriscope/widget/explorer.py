"""The Explorer: one model, one picture, and what made the model say what it said."""

from __future__ import annotations

import dataclasses
import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from attriscope.core.errors import Cancelled, InputError, InputTypeError
from attriscope.core.inputs import describe, gather_examples, require_floating
from attriscope.widget.comparing import Comparing
from attriscope.widget.export import figure, html
from attriscope.widget.jobs.comparison import Comparison
from attriscope.widget.jobs.pipeline import ExplanationJob
from attriscope.widget.jobs.worker import Job
from attriscope.widget.looking import LookingInside, Pinning, pinned_message
from attriscope.widget.messages.labels import ClassNames, Words
from attriscope.widget.methods.custom import own_offers
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.model import example
from attriscope.widget.model.images import ToImage
from attriscope.widget.model.session import Map, Session
from attriscope.widget.state.selection import ChoiceError, Selection
from attriscope.widget.state.table import REQUESTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Seconds that a cell which shows the Explorer waits for a picture to save with the notebook.
_PICTURE_SECONDS = 1.5
# A strip of more examples than this is of no use to anybody.
_MOST_EXAMPLES = 1000


class Explorer(Comparing, LookingInside):
    """Explains a model's prediction for a picture, to look at and to play with.

    Everything on the page is a trait that can be set, read and observed from Python; choices that need the model are
    worked out on a thread of their own, the latest one first, while the notebook's cells keep running. That thread has
    the CUDA device and stream, autocast state and default device of the cell that made the Explorer or last asked it
    for something. Do not change the default dtype meanwhile: torch has only one for the whole process.

    If the model is trained while a map is worked out, the map is of no one set of weights: the Explorer says that they
    changed (``weights_changed``, and ``changed`` in ``heat``; or a ``WeightsChangedError`` where autograd cannot go on)
    rather than copying the model. It also notices when a map
    on show is of former weights, at the next job and whenever anything is called on it; ``recompute()`` brings it up to
    date.

    Methods that take longer than a pass or two are preceded by a preview for one backward pass: the gradient times the
    difference from the baseline. What is random is drawn from a generator with seed 0, so the same choices give the
    same map.

    Args:
        model: a ``torch.nn.Module`` that takes ``inputs``, on whatever device they both are.
        inputs: one or more examples, a floating point tensor of shape (N, C, H, W). One at a time is on show.
        target: which output to explain: an int, or a tuple or list of ints; ``None`` takes the first example's best
            class.
        class_names: names of the classes, as a sequence or a dict from index to name.
        method: the name of a method, such as ``"IntegratedGradients"`` (default), ``"Saliency"`` or ``"LRP"``;
            ``methods`` lists all of them.
        baseline: where the path starts: ``"zero"`` (in model space, default), ``"black"``, ``"white"``, ``"mean"``
            (mean colour), ``"blur"``, ``"noise"`` (uniform), a tensor of the shape of the inputs or of one example, a
            number, or a list of several of these, of which at most one a tensor or number: the attributions are then
            averaged. The path shown for several is the mean over the walks from each.
        to_image: a function that turns a tensor (1, C, H, W) into a picture, undoing the preprocessing: an array or
            tensor (H, W), (H, W, 3) or (3, H, W), of 8-bit numbers or of floats from 0 to 1. ``None`` stretches the
            example's range over that of a picture. On the way from baseline to input the page mixes their pictures,
            which is exact if ``to_image`` is linear but for clipping.
        additional_forward_args: further arguments of the model, a value or a tuple; a tensor with one entry per example
            is cut with them.
        n_steps: points on the path of integrated gradients; short for an entry in ``settings``.
        methods: methods of your own to offer beside this library's: classes that derive from ``attr.Attribution``, as a
            list, or as a dict by name. In a dict there may also be functions that make a method of the model, e.g.
            ``{"Smooth": lambda model: attr.NoiseTunnel(MyMethod(model))}``. ``attribute`` must take ``inputs`` and
            ``target``; it is given ``baselines`` and ``generator`` if it takes those, and the model's further arguments
            if there are any. What else it takes with a default that is a number or a bool becomes a setting, as does a
            text whose docstring names the choices in double quotes.
        **traits: initial ``layer``, ``layer_method``, ``neuron``, ``neuron_method``, ``ablated``, ``ablate_to``,
            ``contrast``, ``example``, ``settings``, ``alpha``, ``opacity``, ``colormap``, ``sign``, ``mode``,
            ``outlier_percent``, ``scale_limit``.

    Traits:
        method, target, baseline: what is explained and how.
        contrast: explain by how much the target's output is above that of this class; ``None`` for the target alone.
            It goes back to ``None`` when it becomes the target.
        example: which of the examples is on show.
        settings: parameters by method, e.g. ``{"IntegratedGradients": {"n_steps": 100}}``; assign a new dict.
        layer, layer_method: the path of a layer to look into, and how it is explained: ``"LayerGradCam"`` (default),
            ``"LayerActivation"``, ``"LayerGradientXActivation"``, ``"LayerConductance"``,
            ``"LayerIntegratedGradients"`` or ``"InternalInfluence"``. The map of the layer takes the place of the
            method's, where the layer has one: height and width, or tokens that stand for patches of the picture.
            ``None`` (default) is the input.
        neuron, neuron_method: a neuron of that layer, and how it is found out which pixels drive it:
            ``"NeuronGradient"`` (default), ``"NeuronIntegratedGradients"``, ``"NeuronConductance"`` (for the target),
            ``"NeuronGuidedBackprop"`` or ``"NeuronDeepLift"``. An int is a whole channel (unit, head), its positions
            added up; ``[channel, row, column]``, or ``[unit, position]`` for tokens, is one place of it. It goes back
            to ``None`` when another layer is picked.
        ablated, ablate_to: neurons that are switched off, as ``[[layer, neuron], ...]``, and whether to ``"zero"``
            (default) or to what they hold at the ``"baseline"``. ``what_if`` then holds the predictions with and
            without them. Maps explain the model as it is, and the model itself is never changed.
        alpha: position on the path, from 0 (baseline) to 1 (input).
        opacity, colormap, sign, mode, outlier_percent, scale_limit: how the map is drawn.
        status: ``"running"``, ``"idle"``, ``"cancelled"`` or ``"error"``.
        progress: share of the present computation that is done, from 0 to 1.
        message: what is being done, or what went wrong.
        effort: how often :meth:`refine` was called for the present choice.
        weights_changed: whether the map on show is of other weights than the model's.
        comparison: the table that :meth:`compare` asked for, as the page draws it; see :attr:`comparison_table`.
        code: Python lines that reproduce the map on show, and the changed predictions, given ``model`` and ``inputs``
            (and ``additional_forward_args`` and ``baseline``, if you gave any).
        heat: what is known about the map on show, among it ``error``: the largest standard error of a pixel, channels
            added up as if they all erred the same way (an upper bound); ``relative_error``; ``gap`` and
            ``evaluations``.
        layer_relevance, layer_maps, channels, neuron_info, what_if, pinned: what else the page draws: how much passes
            at each layer, the maps of all layers (in 16 bits, at most 56 pixels along a side), the channels of the
            picked layer, what is known of the picked neuron, the changed predictions, and the map that was kept by
            :meth:`pin`.

    Raises:
        InputTypeError, InputError, ChoiceError: model, inputs, methods or a choice cannot be used. What the model or a
            method of your own raises appears in the widget and is raised by :meth:`wait`.

    A cell that ends with the Explorer waits up to 1.5 seconds for a first map, whose picture is saved with the notebook
    for viewers without widgets.

    Example::

        explorer = Explorer(model, image, class_names=names, to_image=to_image)
        explorer                                  # show it
        explorer.target = 285                     # or click
        explorer.wait().attributions              # a tensor (1, C, H, W)
        explorer.layer, explorer.neuron = "blocks.9", 5   # or click
        explorer.wait().neuron_attributions       # which pixels drive channel 5
        explorer.ablated = [["blocks.9", 5]]      # and what the model says without it
        explorer.to_html("cat.html")              # for somebody without a kernel

        class Squared(attr.GradientAttribution):
            "The gradient squared."

            def attribute(self, inputs, target=None, power=2.0):
                return self.gradient_func(self.forward_func, inputs, target)[0].abs() ** power

        Explorer(model, image, methods=[Squared], method="Squared", settings={"Squared": {"power": 3.0}})
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Tensor,
        *,
        target: Any = None,
        class_names: ClassNames = None,
        method: str = "IntegratedGradients",
        baseline: Any = "zero",
        to_image: ToImage | None = None,
        additional_forward_args: Any = None,
        n_steps: int | None = None,
        methods: Sequence[type] | Mapping[str, Any] | None = None,
        settings: dict[str, dict[str, Any]] | None = None,
        **traits: Any,
    ) -> None:
        self._model = model
        self._batch = gather_examples(inputs, additional_forward_args)
        self._check_inputs(inputs)
        self._menu = MethodRegistry(self._batch.tensors[0].detach(), own_offers(methods, model))
        self._session = Session(model, self._batch, to_image, self._menu)
        self._words = Words(class_names, self._menu.every, self._session.interior.noun)
        self._outdated, self._looked = threading.Event(), threading.Event()
        self._attributions: Tensor | None = None
        self._requested: Selection | None = None
        self._shown: int | None = None  # which example the picture on show is of
        self._weights: Any = None  # those of the map on show
        self._answered: Selection | None = None  # whose map has been worked out to the end
        self._finished: Selection | None = None  # of which everything has been
        if n_steps is not None:
            of_paths = {"n_steps": n_steps, **(settings or {}).get("IntegratedGradients", {})}
            settings = {**(settings or {}), "IntegratedGradients": of_paths}
        super().__init__(target=target, method=method, baseline=baseline, settings=settings or {}, **traits)
        self.methods = self._menu.message()
        self.layer_methods, self.neuron_methods = self._menu.message("layer"), self._menu.message("neuron")
        self.examples = example.thumbnails(self._batch, to_image)
        self.picture, self._shown = self._session.example(self.example).shown, self.example
        self.observe(self._choose, REQUESTED)
        self._ask(self.choice)

    # --- what a person can do ---------------------------------------------------------------------------------

    @property
    def attributions(self) -> Tensor | None:
        """The latest map of the chosen method, as it returned it, (1, C, H, W); ``None`` before there is one."""
        self._notice()
        return self._attributions

    def wait(self, timeout: float | None = None) -> Explorer:
        """Wait until everything asked for is worked out.

        Args:
            timeout: at most this many seconds; ``None`` (default) waits as long as it takes. Interrupting the wait
                cancels the computation.

        Returns:
            The Explorer itself.

        Raises:
            TimeoutError: it took longer.
            RuntimeError: called from an observer, which would wait for itself.
            Exception: what the model or the method raised.
        """
        self._wait(timeout)
        self._notice()
        return self

    def recompute(self) -> Explorer:
        """Work the present choice out anew, for instance after the model was trained further."""
        self._outdated.set()
        self._ask(self.choice)
        return self

    def refine(self) -> Explorer:
        """Work the present choice out anew with twice the spending: steps or samples.

        Raises:
            ChoiceError: the method has nothing to spend more on, or spends the most there is.
        """
        with self._lock:
            choice = self.choice
            if not self._menu.refinable(choice.shown_method, choice.shown_settings, choice.effort):
                raise ChoiceError(f"{self._words.method(choice)} has nothing more to spend")
            self.effort += 1
            self._ask(self.choice)
        return self

    def figure(self) -> Figure:
        """The view as a matplotlib figure: map, mode, sign, colours and position on the path as on the page."""
        self._notice()
        return figure.figure(figure.View.of(self))

    def snapshot(self) -> bytes:
        """The same as a PNG file."""
        return figure.png(self.figure())

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the view as one HTML file that needs neither network nor kernel.

        What the page does by itself (drawing, walking the path, reading values) still works; what needs the model is
        switched off. Class names, pictures and maps are in the file.

        Args:
            path: where to write it.
        """
        self._notice()
        html.write(self, path)

    def close(self) -> None:
        """Take it off the page, stop what is being computed, and let go of what was kept."""
        super().close()
        session = self.__dict__.get("_session")
        if session is not None:
            session.release()
            self._attributions = self._weights = self._requested = self._answered = self._finished = None
            self._table = self._compared = self._of_layer = None

    def __repr__(self) -> str:
        names = self.choice.walk_message["baseline"]
        return (
            f"Explorer(method={self.method!r}, target={self.target!r}, baseline={names!r}, "
            f"layer={self.layer!r}, status={self.status!r})"
        )

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        self._looked.wait(_PICTURE_SECONDS)
        return figure.with_picture(self, bundle)

    # --- from choices to answers ------------------------------------------------------------------------------

    def _check_inputs(self, inputs: Any) -> None:
        if not isinstance(self._model, nn.Module):
            raise InputTypeError(f"model must be a torch.nn.Module, but {describe(self._model)} came")
        x = self._batch.tensors[0]
        if len(self._batch.tensors) > 1 or self._batch.keys or x.dim() != 4:
            hint = "; write inputs[None]" if x.dim() == 3 else ""
            raise InputError(
                f"the Explorer shows pictures, of shape (N, C, H, W), but {describe(inputs)} came{hint}"
            )
        if len(x) > _MOST_EXAMPLES:
            raise InputError(
                f"the Explorer offers at most {_MOST_EXAMPLES} examples to choose from, but {len(x)} came; "
                f"write inputs[:{_MOST_EXAMPLES}]"
            )
        require_floating(self._batch, "the Explorer")
        if self._model.training:
            warnings.warn(
                "the model is in training mode, so dropout and batch statistics are part of what is explained; "
                "call model.eval() first unless you mean that",
                stacklevel=3,
            )

    @property
    def _outputs(self) -> int | None:
        return self._session.classes

    def _choose(self, change: Any) -> None:
        if not self._gathering:
            self._follow()

    def _follow(self) -> None:
        if self.contrast is not None and (self.contrast == self.target or isinstance(self.target, list)):
            self.contrast = None
        choice, requested = self.choice, self._requested
        if requested is not None and dataclasses.replace(choice, effort=requested.effort) == requested:
            return
        with self._lock:
            if requested is None or dataclasses.replace(choice.map, effort=requested.effort) != requested.map:
                self.effort = 0
            self._ask(self.choice)

    def _ask(self, choice: Selection) -> None:
        with self._lock:
            self._requested = choice
            self._submit(choice)

    def _work(self, job: Job) -> str:
        if self._outdated.is_set():
            self._outdated.clear()
            self._session.forget()
            self._answered = None
        self._notice()
        about = job.about
        answer = ExplanationJob(self._session, self._menu, self._words, _Outlet(self, job))
        try:
            said = self._explain(job, answer, about if isinstance(about, Selection) else about.choice)
            if isinstance(about, Comparison):
                self._judge(job, answer, self._settled(about, self._answered))
            elif isinstance(about, Pinning):
                self._publish(job, pinned=pinned_message(self.heat, self.picture))
        except Cancelled:
            raise
        except BaseException:
            self._looked.set()  # there is nothing to wait for
            self._notice()
            raise
        with self._lock:
            if not job.is_set():
                self._follow()  # an assignment in one thread may hide that in another from its observers
        return said

    def _explain(self, job: Job, answer: ExplanationJob, choice: Selection) -> str:
        """What a choice asks for; its map only if that is not on show."""
        known = self._answered is not None and self._answered.map == choice.map and not self.weights_changed
        if known and self._finished == choice and not isinstance(job.about, Selection):
            return ""
        if not known:
            self._answered = None
        self._finished = None
        said = answer.give(choice, known)
        with self._lock:
            if not job.is_set():
                self._finished = self._requested
        return said

    def _notice(self) -> None:
        """Say whether the map on show is of other weights than the model's."""
        with self._lock:  # a job may show a newer map meanwhile
            if self._weights is not None:
                self.weights_changed = self._session.weights() != self._weights
            self._notice_comparison()


class _Outlet:
    """Where the answers of one job go."""

    def __init__(self, explorer: Explorer, job: Job) -> None:
        self._explorer, self._job = explorer, job

    def publish(self, **traits: Any) -> None:
        self._explorer._publish(self._job, **traits)
        if traits.get("heat"):
            self._explorer._looked.set()

    def settle(self, target: int) -> None:
        explorer = self._explorer
        with explorer._lock:
            if explorer.contrast == target:
                raise ChoiceError(
                    f"the best class is {target}, which is also the contrast; say which target is to be compared"
                )
            if explorer._requested is not None and not self._job.is_set():
                # So that setting the target does not start the work again.
                explorer._requested = dataclasses.replace(explorer._requested, target=target)
            self.publish(target=target)

    def hand_over(self, found: Map, weights: Any, choice: Selection, **traits: Any) -> None:
        explorer = self._explorer
        with explorer._lock:
            if not self._job.is_set():
                over = found.over_picture
                explorer._attributions = found.attributions if over is None else over
                explorer._weights = weights
                if found.final:
                    explorer._answered = choice
                    if choice.place == "layer":
                        explorer._of_layer = choice, found.attributions
            self.publish(**traits)
            if found.final:
                explorer._looked.set()

    def shows(self, trait: str, request: Any) -> bool:
        shown = getattr(self._explorer, trait)
        return shown.get("request") == request and shown.get("final", True)

    def turn_to(self, example: int, **traits: Any) -> None:
        explorer = self._explorer
        with explorer._lock:
            if explorer._shown != example:
                self.publish(**traits)
                explorer._attributions, explorer._shown, explorer._weights = None, example, None
                explorer._answered = explorer._of_layer = None
