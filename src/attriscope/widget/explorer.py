"""The Explorer: one model, one picture, and what made the model say what it said.

Where to look next: the traits are in :mod:`attriscope.widget.state.table` and checked in
:mod:`attriscope.widget.validation`; what was requested and answered is in
:mod:`attriscope.widget.state.explorer_state`; what a job works out, in its order, is in
:mod:`attriscope.widget.jobs.pipeline`; the page's half is ``js/src``.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import traitlets
from torch import Tensor, nn

from attriscope.attr.targets import Boxes
from attriscope.widget.answers import Answers
from attriscope.widget.export import choices, figure
from attriscope.widget.export.exports import Exports
from attriscope.widget.jobs.checks import Checks
from attriscope.widget.jobs.comparison import Comparison
from attriscope.widget.jobs.covering import Covering
from attriscope.widget.jobs.explorer_jobs import ExplorerJobs
from attriscope.widget.jobs.judging import Judging
from attriscope.widget.jobs.linked_choices import link
from attriscope.widget.jobs.pinning import Pinning
from attriscope.widget.jobs.rows import ExplainingRows, Rows
from attriscope.widget.jobs.survey import read_labels
from attriscope.widget.jobs.worker import Job
from attriscope.widget.messages.class_names import ClassNamesLike, read_class_names
from attriscope.widget.messages.layers import Channel, top_channels
from attriscope.widget.methods.custom import custom_methods
from attriscope.widget.methods.labels import Labels
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.stages.baselines import baseline_infos
from attriscope.widget.stages.pictures import ToImage
from attriscope.widget.stages.recognition import recognised_stage
from attriscope.widget.stages.stage import Stage
from attriscope.widget.state.explorer_state import ExplorerState
from attriscope.widget.state.part import LOCK
from attriscope.widget.state.selection import ChoiceError
from attriscope.widget.validation import CHECKED, Validation, check_keywords, checked_examples

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Explorer(Pinning, Judging, ExplainingRows, Answers):
    """Explains a model's prediction for a picture or a row of a table, to look at and to play with.

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
        model: a ``torch.nn.Module`` that takes ``inputs``, on whatever device they both are. It gives a row of scores
            for each example, or the scores of pixels, (N, C, H, W), as a segmentation does; alone, or in a dict, tuple
            or dataclass as ``logits``, ``out`` or the only tensor.
        inputs: one or more examples, a floating point tensor: pictures of shape (N, C, H, W), or a table of shape
            (N, F), also as a frame of pandas. One at a time is on show. What is explained is a copy, of these and of
            further arguments: what is written to them later is not seen.
        target: which output to explain: an int, a class by its name, a tuple or list of ints, or a function of the
            model's output that gives one number per example, such as those of ``attr.targets``; ``None`` takes the
            first example's best class. Of a segmentation, a class is the sum of its scores over the pixels where it is
            predicted in the picture as it is; ``(class, row, column)`` is one pixel of the output. ``None`` takes the
            class with the most pixels that is not called background.
        class_names: names of the classes, as a sequence, a dict from index to name, or one from name to index. Of two
            names for a model with one output the second counts.
        labels: the true class of each example, by index or name: the strip of examples then says where the model is
            wrong.
        method: the name of a method, such as ``"IntegratedGradients"`` (default), ``"Saliency"`` or ``"LRP"``;
            ``methods`` lists all of them. Here and wherever a method is named, any usual spelling will do, such as
            ``"IG"`` or ``"integrated gradients"``; the trait then holds the name.
        baseline: where the path starts: ``None`` (default) is the average row of a table of several rows, else
            ``"zero"`` (in model space). Of tables there are ``"mean"``, ``"median"`` (of all rows) and ``"zero"``, of
            pictures ``"zero"``, ``"black"``, ``"white"``, ``"mean"``
            (mean colour), ``"blur"``, ``"noise"`` (uniform), a tensor of the shape of the inputs or of one example, a
            number, or a list of several of these, of which at most one a tensor or number: the attributions are then
            averaged. The path shown for several is the mean over the paths from each.
        to_image: a function that turns a tensor (1, C, H, W) into a picture, undoing the preprocessing: an array or
            tensor (H, W), (H, W, 3) or (3, H, W), of 8-bit numbers or of floats from 0 to 1. ``None`` stretches the
            example's range over that of a picture. On the way from baseline to input the page mixes their pictures,
            which is exact if ``to_image`` is linear but for clipping.
        feature_names: the names of a table's columns; ``None`` takes those of a frame, or counts them.
        stage: what the inputs are: ``"picture"``, ``"table"``, or a function that makes of an example (1, ...) a
            :class:`~attriscope.widget.stages.stage.Stage` of your own; ``None`` (default) asks their shape.
        additional_forward_args: further arguments of the model, a value or a tuple; a tensor with one entry per example
            is cut with them.
        boxes: for a detector, a function of its output that gives for each example a list of boxes
            (x0, y0, x1, y1, label, score): pixels of the picture, a class or its name, and a score out of the output.
            The target is then the index of a box, whose score is explained; ``None`` is the surest. How it is followed
            while a method changes the picture, :func:`attriscope.attr.targets.box_score` says.
        n_steps: points on the path of integrated gradients; short for an entry in ``settings``.
        methods: methods of your own to offer beside this library's: classes that derive from ``attr.Attribution``, as a
            list, or as a dict by name. In a dict there may also be functions that make a method of the model, e.g.
            ``{"Smooth": lambda model: attr.NoiseTunnel(MyMethod(model))}``. ``attribute`` must take ``inputs`` and
            ``target``; it is given ``baselines`` and ``generator`` if it takes those, and the model's further arguments
            if there are any. What else it takes with a default that is a number or a bool becomes a setting, as does a
            text whose docstring names the choices in double quotes.
        **traits: initial ``layer``, ``layer_method``, ``neuron``, ``neuron_method``, ``ablated``, ``ablate_to``,
            ``edited``, ``contrast``, ``explain_predicted``, ``example``, ``settings``, ``output``, ``tab``, ``alpha``,
            ``opacity``, ``detail``, ``colormap``, ``sign``, ``mode``, ``outlier_percent``, ``scale_limit``.

    Traits:
        method, target, baseline: what is explained and how.
        contrast: explain by how much the target's output is above that of this class, an int or its name; ``None`` for
            the target alone.
            It goes back to ``None`` when it becomes the target.
        example: which of the examples is on show.
        explain_predicted: whether each example is explained for the class that is predicted of it (default, unless
            ``target`` is given), or for the same ``target``. A target that is chosen makes it false.
        settings: parameters by method, e.g. ``{"IntegratedGradients": {"n_steps": 100}}``; assign a new dict.
        layer, layer_method: the path of a layer to look into, and how it is explained: ``"LayerGradCam"`` (default
            but for tables), ``"LayerActivation"``, ``"LayerGradientXActivation"``, ``"LayerConductance"``,
            ``"LayerIntegratedGradients"`` or ``"InternalInfluence"``. The layer's map takes the place of the method's
            where it has one: height and width, or tokens for patches of the picture. ``None`` (default) is the input.
        neuron, neuron_method: a neuron of that layer, and how it is found out which pixels drive it:
            ``"NeuronGradient"`` (default), ``"NeuronIntegratedGradients"``, ``"NeuronConductance"`` (for the target),
            ``"NeuronGuidedBackprop"`` or ``"NeuronDeepLift"``. An int is a whole channel (unit, head), its positions
            added up; ``[channel, row, column]``, or ``[unit, position]`` for tokens, is one place of it. It goes back
            to ``None`` when another layer is picked.
        ablated, ablate_to: neurons that are switched off, as ``[[layer, neuron], ...]``, and whether to ``"zero"``
            (default) or to what they hold at the ``"baseline"``. ``what_if`` then holds the predictions with and
            without them. Maps explain the model as it is, and the model itself is never changed.
        edited: cells of the row of a table that have other values, as ``[[column, value], ...]``; nobody else sees them
            changed, and another example clears them.
        output: what the model's numbers are: ``"logits"`` (the page shows their softmax, or the sigmoid of a single
            one), ``"probabilities"`` (shares of 100 %), ``"sigmoid"`` (each a yes or no by itself), ``"segmentation"``
            (scores of classes at each pixel), ``"values"`` (anything else: shown as they are). ``"auto"`` (default)
            looks for it in the numbers and at the model's end; the page says what was found. Numbers with places,
            (N, C, H, W), are a segmentation where there are ``class_names``, or where they can hardly be anything else:
            what may be a picture, a detector's grid or a depth is asked about. Of ``"values"`` with places the target
            is a function, or ``(channel, row, column)``.
        selection: a region of the picture: ``{"kind": "box", "box": [top, left, bottom, right]}`` in pixels, ``{"kind":
            "lasso", "points": [[x, y], ...]}``, ``{"kind": "segment", "point": [x, y]}`` or a boolean mask (H, W).
            Another example clears it.
        covered: what it costs the explained output to cover that region by the baseline (``before``, ``after`` and
            ``cost``; of several the means), and what the map says it is ``worth``, for a method of your own the sum of
            its numbers; or a ``message`` why not. At a neuron it is what that holds, its positions added up, in place
            of the output.
        table, baseline_row: the row on show, with the columns' ``names`` and the range of all rows (``low``, ``high``),
            and the values of the baseline.
        rows: all rows as :meth:`explain_rows` explained them, as the page draws it.
        alpha: position on the path, from 0 (baseline) to 1 (input).
        opacity, detail, colormap, sign, mode, outlier_percent, scale_limit: how the map is drawn. ``detail`` is the
            side of the blocks that it is summed over, in pixels; 1 for each pixel by itself, ``None`` (default) for
            about 14 blocks along the shorter side of a picture of more than 64 pixels.
        tab: which question is open: ``"where"``, ``"inside"`` or ``"trust"``.
        example_predictions: what the model says of each example, and what is true of it if ``labels`` were given. Of a
            segmentation it is the class with the most pixels that is not called background, and its share of them.
        status: ``"running"``, ``"idle"``, ``"cancelled"`` or ``"error"``.
        progress: share of the present computation that is done, from 0 to 1.
        message: what is being done, or what went wrong.
        traceback: where that was in code of your own, a method or a model; empty if it was in none.
        effort: how often :meth:`refine` was called for the present choice.
        weights_changed: whether the map on show is of other weights than the model's.
        comparison: what :meth:`compare` asked for, as the page draws it: the maps, and the table that
            :attr:`comparison_table` gives.
        checks: what :meth:`check` asked for, as the page tells it; see :attr:`check_results`.
        code: Python lines that reproduce the map on show, and the changed predictions, given ``model`` and ``inputs``
            (and ``additional_forward_args`` and ``baseline``, if you gave any).
        heat: what is known about the map on show, among it ``error``: the largest standard error of a pixel, channels
            added up as if they all erred the same way (an upper bound); ``relative_error``; ``gap`` and
            ``evaluations``.
        layer_relevance, layer_maps, channels, neuron_info, what_if, pinned: what else the page draws: how much passes
            at each layer, the maps of all layers (in 16 bits, at most 56 pixels along a side), the channels of the
            picked layer, what is known of the picked neuron, the changed predictions, and the maps that were kept by
            :meth:`pin`, oldest first.
        beside, compare_as: the numbers (``"id"``) of at most two of these, and how they are looked at: ``"side"``
            (default), ``"difference"`` or ``"flicker"``. One is looked at with the map on show (the difference is that
            minus the pin), two with each other (the first minus the second). :meth:`state` has no pins.
        patches: which places in which examples (of the first 64) excite the ``channels`` that contribute most: a list
            of ``example``, ``place`` (row and column of the layer's map, ``None`` for a whole example) and ``value``
            for each, up to four and best first, with their pictures.

    Raises:
        InputTypeError, InputError, ChoiceError: model, inputs, methods or a choice cannot be used. What the model or a
            method of your own raises appears in the widget and is raised by :meth:`wait`.

    The picture of what is on show is saved with the notebook, for viewers without widgets. Where nobody watches the
    cells run (``nbconvert --execute`` and the like), a cell that ends with the Explorer waits up to a minute for it.

    Example::

        explorer = Explorer(model, image, class_names=names, to_image=to_image)
        explorer                                  # show it
        explorer.target = 285                     # or click
        explorer.wait().attributions              # a tensor (1, C, H, W)
        explorer.layer, explorer.neuron = "blocks.9", 5   # or click
        explorer.wait().neuron_attributions       # which pixels drive channel 5
        explorer.ablated = [["blocks.9", 5]]      # and what the model says without it
        explorer.check().wait().check_results     # can it be believed?
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
        class_names: ClassNamesLike = None,
        labels: Any = None,
        method: str = "IntegratedGradients",
        baseline: Any = None,
        to_image: ToImage | None = None,
        feature_names: Any = None,
        stage: str | Callable[[Tensor], Stage] | None = None,
        additional_forward_args: Any = None,
        boxes: Boxes | None = None,
        n_steps: int | None = None,
        methods: Sequence[type] | Mapping[str, Any] | None = None,
        settings: dict[str, dict[str, Any]] | None = None,
        **traits: Any,
    ) -> None:
        check_keywords(type(self), traits)
        examples = checked_examples(model, inputs, additional_forward_args)
        names = read_class_names(class_names)
        make_stage = recognised_stage(examples, stage, to_image, feature_names)
        self._registry = MethodRegistry(examples.tensors[0].detach(), custom_methods(methods, model))
        self._explained = ExplainedModel(
            model, examples, make_stage, self._registry, boxes, named=bool(names.by_index)
        )
        first = self._explained.example(0).stage
        self._labels = Labels(
            names, self._registry.specs, self._explained.layer_cache.noun, first.baseline_labels
        )
        self._comparison = Comparison(self._explained, self._registry, self._labels)
        self._checks, self._rows = Checks(self._explained), Rows(self._explained)
        self._validation = Validation(self, self._explained, self._registry, names)
        self._state = ExplorerState()
        self._covering = Covering(self._explained, self._labels, self._state, self)
        truths = read_labels(labels, examples.count, names)
        self._explorer_jobs = ExplorerJobs(
            self,
            self._explained,
            self._registry,
            self._labels,
            self._state,
            self._comparison,
            self._covering,
            self._checks,
            self._rows,
            truths,
        )
        if n_steps is not None:
            settings = self._registry.with_steps(settings, n_steps)
        traits.setdefault("explain_predicted", target is None)
        traits.setdefault("layer_method", self._registry.usual_layer_method)
        baseline = first.usual_baseline if baseline is None else baseline
        super().__init__(target=target, method=method, baseline=baseline, settings=settings or {}, **traits)
        self.methods = self._registry.message()
        self.layer_methods = self._registry.message("layer")
        self.neuron_methods = self._registry.message("neuron")
        self.baselines = self.baselines or baseline_infos(first.baseline_labels, custom=False)
        self.examples = self._explained.batch.infos()
        shown = self._explained.example(self.example).stage
        for name, value in {**shown.shown, "close_up": shown.close_up(self.view_box)}.items():
            self.set_trait(name, value)
        self._state.example = self._state.looked_at = self.example
        self._exports = Exports(self, self._jobs, self._explorer_jobs, self._labels, model)
        link(self, self._explained, self._state, self._choose)
        self.observe(self._look_closer, "view_box")
        self._ask(self.choice)

    # --- what a person can do ---------------------------------------------------------------------------------

    def top_channels(self, k: int = 10) -> list[Channel]:
        """The channels (or units, or heads) of the picked layer that contribute most, waiting for them if need be.

        Args:
            k: how many.

        Returns:
            A list of (channel, contribution, activation), by size of the contribution: gradient x activation added up
            over the channel. For a model without gradients contributions are NaN, and activations set the order.

        Raises:
            ChoiceError: no layer is picked, or there are no channels in it.
        """
        if self.layer is None:
            raise ChoiceError("top_channels are those of the picked layer, but no layer is picked")
        self._wait(None)
        if not self.channels:
            raise ChoiceError(f"there are no channels in layer {self.layer!r}")
        return top_channels(self.channels, k)

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
        self._explorer_jobs.mark_outdated()
        return self

    def recompute(self) -> Explorer:
        """Work the present choice out anew, for instance after the model was trained further."""
        self._explorer_jobs.anew.set()
        self._ask(self.choice)
        return self

    def refine(self) -> Explorer:
        """Work the present choice out anew with twice the spending: steps or samples.

        Raises:
            ChoiceError: the method has nothing to spend more on, or spends the most there is.
        """
        with LOCK:
            choice = self.choice
            if not self._registry.refinable(choice.shown_method, choice.shown_settings, choice.effort):
                raise ChoiceError(f"{self._labels.method(choice)} has nothing more to spend")
            self.effort += 1
            self._ask(self.choice)
        return self

    def figure(self) -> Figure:
        """The view as a matplotlib figure: map, mode, sign, colours and position on the path as on the page.

        Pins that are looked at are drawn, too: side by side where they flicker on the page.
        """
        self._explorer_jobs.mark_outdated()
        return figure.figure(figure.shown(self))

    def snapshot(self) -> bytes:
        """The same as a PNG file."""
        return figure.png(self.figure())

    def slide(self, path: str | os.PathLike[str]) -> None:
        """Write a slide of 16 to 9: a ``.png`` of 1920 x 1080 pixels, or an ``.svg``.

        Raises:
            InputError, RuntimeError: ``path`` ends with something else; there is no map yet.
        """
        self._exports.write_slide(path)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the view as one HTML file that needs neither network nor kernel.

        What the page does by itself (drawing, walking the path, reading values) still works; what needs the model is
        switched off. Class names, pictures and maps are in the file.

        Args:
            path: where to write it.
        """
        self._exports.write_html(path)

    def state(self) -> dict[str, Any]:
        """All that is chosen, for JSON; a baseline or target of your own, a tensor or function, is only named."""
        return choices.state_of(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any], model: nn.Module, inputs: Tensor, **more: Any) -> Explorer:
        """An Explorer with the choices that :meth:`state` gave.

        Args:
            state, model, inputs, **more: ``more`` as for :class:`Explorer`, what is your own among it; it wins.

        Raises:
            InputTypeError, ChoiceError: the state is of another version, or something in it is wrong or missing.
        """
        return cls(model, inputs, **choices.keywords_of(state, more))

    def close(self) -> None:
        """Take it off the page, stop what is being computed, and let go of what was kept."""
        super().close()
        if "_exports" in self.__dict__:  # not there if the Explorer was never made
            self._exports.close()
            self._explorer_jobs.close()

    def __repr__(self) -> str:
        names = self.choice.values(("baseline",))["baseline"]
        return (
            f"Explorer(method={self.method!r}, target={self.target!r}, baseline={names!r}, "
            f"layer={self.layer!r}, status={self.status!r})"
        )

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self._exports.bundled(super()._repr_mimebundle_(**options))

    def _ipython_display_(self) -> None:
        self._exports.display(super()._repr_mimebundle_())

    # --- from choices to jobs ---------------------------------------------------------------------------------

    @traitlets.validate(*CHECKED)
    def _check(self, proposal: Any) -> Any:
        return self._validation.check(proposal["trait"].name, proposal["value"])

    def _from_page(self, name: str, value: Any) -> Any:
        return self._validation.baseline_of_names(value) if name == "baseline" else value

    def _choose(self, change: Any) -> None:
        if not self._page.receiving:
            self._follow()

    def _follow(self) -> None:
        if self.contrast is not None and (self.contrast == self.target or not isinstance(self.target, int)):
            self.contrast = None
        choice = self.choice
        if self._state.is_requested(choice):
            self._covering.follow(self._jobs, self._page.active)
            return
        with LOCK:
            if not self._state.is_map_requested(choice):
                self.effort = 0
            self._ask(self.choice)

    def _work(self, job: Job) -> str:
        try:
            note = self._explorer_jobs.do(job.about, functools.partial(self._jobs.publish, job))
        finally:
            self._covering.close(job, self._jobs)
        with LOCK:
            if not job.is_set():
                self._follow()  # an assignment in one thread may hide that in another from its observers
        return note
