"""Methods judged beside each other on the example on show: a line of metrics and a small map for each of them.

The Explorer holds a :class:`Comparison`; the metrics are those of :mod:`attriscope.metrics`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attriscope import metrics
from attriscope.core.errors import Cancelled
from attriscope.core.inputs import describe
from attriscope.core.progress import Parts
from attriscope.metrics.base import CATALOGUE, Case, Metric
from attriscope.metrics.table import Cost, Table
from attriscope.widget.jobs.pipeline import ExplanationJob
from attriscope.widget.messages import wire
from attriscope.widget.messages.judgements import ComparedMethod, ComparedMetric, RawComparison, RawSmallMap
from attriscope.widget.methods.arguments import last_convolution
from attriscope.widget.methods.controls import CONTROLS, controls_for
from attriscope.widget.methods.labels import Labels
from attriscope.widget.methods.parameters import plain
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.methods.spec import SEED
from attriscope.widget.methods.spelling import method_name
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.model.explanation import Explain, explanation, remembering
from attriscope.widget.state.selection import ChoiceError, Selection

# So many methods are compared if nobody says which: the chosen one, and of these as many as it takes.
_COUNT = 6
_METHODS = ("Occlusion", "DeepLift", "IntegratedGradients", "GuidedBackprop", "LayerGradCam", "Saliency")
# The same where the inputs are no pictures.
_METHODS_ELSEWHERE = ("FeatureAblation", "DeepLift", "IntegratedGradients", "KernelShap", "InputXGradient")
# What costs little to judge by: a few dozen rows.
_METRICS = ("deletion", "comprehensiveness", "sufficiency", "sparseness")
# By this the maps are ranked while those are worked out, a fifth of the rows.
_FIRST_METRIC, _FIRST_STEPS = "deletion", 8


def _quick(name: str, inputs: Tensor) -> dict[str, Any]:
    """What is set of a method that would take long, where nobody chose it: its small map needs no more."""
    if name == "Occlusion":
        return {"window": max(1, min(inputs.shape[2:]) // 7), "moves_per_window": 1}
    return {"n_steps": 16} if name == "IntegratedGradients" else {}


@dataclasses.dataclass(frozen=True)
class ComparisonRequest:
    """What is to be compared.

    Attributes:
        selection: the example, the explained output and the baselines.
        methods: by name, with what is set otherwise than their defaults; controls among them.
        metrics: by name.
        quick: the same for those that are set to be quick, in place of nothing.
        first: what they are judged by before that, roughly, so that there is something to see soon.
    """

    selection: Selection
    methods: Mapping[str, dict[str, Any]]
    metrics: Mapping[str, Metric]
    quick: Mapping[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    first: Mapping[str, Metric] = dataclasses.field(default_factory=dict)


class Comparison:
    """The latest comparison, and of which weights it is.

    Args:
        explained: the model.
        registry: the methods on offer.
        labels: what things are called.

    Attributes:
        table: as :func:`attriscope.metrics.evaluate` gives it; ``None`` before there is one.
    """

    def __init__(self, explained: ExplainedModel, registry: MethodRegistry, labels: Labels) -> None:
        self.table: Table | None = None
        self._weights: Any = None
        self._explained, self._registry, self._labels = explained, registry, labels

    def request(
        self, selection: Selection, methods: Any, metrics: Any, settings: Mapping[str, Any]
    ) -> ComparisonRequest:
        """What is to be compared.

        Args:
            selection: what is selected.
            methods: names of methods and controls; ``None`` for the selected one, others up to six, and the controls.
            metrics: names of metrics, or a dict; ``None`` for some that cost little.
            settings: by method.

        Raises:
            ChoiceError: there is no such method or metric.
        """
        judges = _named_metrics(metrics)
        inputs = self._explained.examples.tensors[0]
        named = _named_methods(methods, selection, self._registry, settings, inputs)
        unset = () if methods is not None else [name for name in named if not named[name]]
        quick = {name: _quick(name, inputs) for name in unset if name != selection.method}
        return ComparisonRequest(
            selection,
            named,
            judges,
            {name: values for name, values in quick.items() if values},
            _first_look(math.prod(self._explained.example(selection.example).stage.places))
            if metrics is None
            else {},
        )

    def run(self, request: ComparisonRequest, job: ExplanationJob) -> None:
        """Judge one method after the other, and show the table so far."""
        weights = self._explained.weights()
        lines = _Lines(
            request, self._explained, self._registry, self._on_show(request.selection, job, weights)
        )
        title = self._labels.comparison_title(request.selection)

        def keep(table: Table | None) -> None:
            self.table, self._weights = table, weights

        what = "Comparing methods"
        job.publish(functools.partial(keep, None), comparison={}, progress=0.0, message=what)
        for table in job.reported(what, lines.tables(), every=True):
            accept = functools.partial(keep, table if table.methods else None)
            job.publish(accept, comparison=lines.message(table, title))

    @staticmethod
    def _on_show(selection: Selection, job: ExplanationJob, weights: Any) -> tuple[Tensor | None, Cost]:
        """The attributions of the map on show, and what they have taken: the chosen method's, not refined."""
        usual = dataclasses.replace(selection, effort=0)
        known = job.state.input_attributions(usual, weights)
        return known, Cost(job.shown.heat.get("evaluations"), job.state.seconds)

    def marked(self, message: RawComparison, weights: Any) -> RawComparison:
        """The table on show, saying whether it is of other weights than these."""
        if self.table is None or not message or message["outdated"] == (weights != self._weights):
            return message
        return {**message, "outdated": weights != self._weights}

    def clear(self) -> None:
        """Let go of what was kept."""
        self.table = self._weights = None


def _first_look(places: int) -> dict[str, Metric]:
    """What methods are judged by first, roughly, for inputs of so many places."""
    metric = CATALOGUE[_FIRST_METRIC]
    steps = min(_FIRST_STEPS, places)

    def few_steps(case: Case) -> Tensor:
        return metrics.deletion(*case.explanation, **case.removing(), steps=steps).auc

    return {_FIRST_METRIC: Metric(few_steps, metric.better, metric.source)}


def _named_methods(
    given: Any, selection: Selection, registry: MethodRegistry, settings: Mapping[str, Any], inputs: Tensor
) -> dict[str, Any]:
    """The methods to compare by name, with their settings.

    Args:
        given: names, or ``None`` for the chosen method, others up to six, and the controls.
        selection: what is selected.
        registry: what is on offer.
        settings: by method.
        inputs: what is explained, all of them.

    Raises:
        ChoiceError: there is no such method.
    """
    controls = controls_for(inputs)
    usual = _METHODS if inputs.dim() == 4 else _METHODS_ELSEWHERE
    default = (*dict.fromkeys((selection.method, *usual)),)[:_COUNT]
    names = (*default, *controls) if given is None else given
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise ChoiceError(f"methods must be a list of names, but {describe(given)} came")
    names = [
        method_name(
            name,
            {**registry.input_specs, **registry.at("layer")},
            "each of methods",
            others=controls,
            elsewhere=registry.at("neuron"),
        )
        for name in names
    ]
    return {name: dict(settings.get(name, {})) for name in names}


def _named_metrics(given: Any) -> dict[str, Metric]:
    """The metrics by name.

    Args:
        given: names out of ``attriscope.metrics.CATALOGUE``, or a dict of such names or ``Metric`` objects by name;
            ``None`` for some that cost little.

    Raises:
        ChoiceError: there is no such metric.
    """
    found = _METRICS if given is None else given
    if isinstance(found, str) or not isinstance(found, Mapping | Sequence) or not found:
        raise ChoiceError(f"metrics must be a list of names or a dict, but {describe(given)} came")
    named = list(found.items()) if isinstance(found, Mapping) else [(name, name) for name in found]
    for name, metric in named:
        if not isinstance(metric, Metric) and (not isinstance(metric, str) or metric not in CATALOGUE):
            raise ChoiceError(
                f"metrics must be out of {', '.join(CATALOGUE)}, or Metric(function, better), but "
                f"{describe(metric)} came"
            )
        if not isinstance(name, str):
            raise ChoiceError(f"the names of metrics must be strings, but {describe(name)} came")
    return {name: CATALOGUE[metric] if isinstance(metric, str) else metric for name, metric in named}


class _Lines:
    """The lines of one table, worked out one after the other.

    Args:
        request: what is to be compared.
        explained: the model.
        registry: the methods on offer.
        on_show: the attributions of the selected method, if they are known, and what they have taken.
    """

    def __init__(
        self,
        request: ComparisonRequest,
        explained: ExplainedModel,
        registry: MethodRegistry,
        on_show: tuple[Tensor | None, Cost],
    ) -> None:
        self._request, self._explained, self._registry = request, explained, registry
        example = explained.example(request.selection.example)
        self._one, self._stage = example.examples, example.stage
        self._maps: dict[str, RawSmallMap] = {}
        self._layers: dict[str, str] = {}
        self._errors: dict[str, Exception] = {}
        self._rough = _table(request.first)
        # Attributions that are known, and what they have taken: of the example itself.
        self._known: dict[str, tuple[Tensor, Cost]] = {}
        attributions, cost = on_show
        if attributions is not None and attributions.shape == self._one.tensors[0].shape:
            self._known[request.selection.method] = attributions, cost

    def tables(self) -> Iterator[Table]:
        """Judge one method after the other, those first that take a pass or two; the table so far, after each.

        Before that each is judged roughly, if the request says by what: :meth:`message` tells of it. The table's lines
        are in the order of the request. A method that fails gets no values, and a note that says why. If all fail, the
        first one's error is raised.
        """
        request = self._request
        order = sorted(request.methods, key=self._takes_long)
        table = _table(request.metrics)
        rounds = [judges for judges in (request.first, request.metrics) if judges]
        parts = Parts(len(rounds) * len(order))
        number = 0
        for judges in rounds:
            for name in order:
                with parts.part(number, number + 1, 0):
                    found = self._line_of(name, judges)
                number += 1
                if judges is request.metrics:
                    table = self._with(table, found)
                else:
                    self._rough = self._with(self._rough, found)
                yield table

    def _with(self, table: Table, line: Table) -> Table:
        joined = _joined(table, line)
        in_order = tuple(name for name in self._request.methods if name in joined.methods)
        return dataclasses.replace(joined, methods=in_order)

    def _takes_long(self, name: str) -> bool:
        return name not in CONTROLS and not self._registry.specs[name].quick

    def _line_of(self, name: str, judges: Mapping[str, Metric]) -> Table:
        """One line of the table; without values for a method that this model is not made for, or a user's own."""
        if name not in self._errors:
            try:
                return self._judged(name, judges)
            except (Cancelled, torch.OutOfMemoryError, MemoryError):
                raise
            except Exception as error:
                self._errors[name] = error
                if len(self._errors) == len(self._request.methods):
                    raise next(iter(self._errors.values())) from None
        return _failed(name, judges, self._errors[name])

    def _judged(self, name: str, judges: Mapping[str, Metric]) -> Table:
        model, inputs = self._explained.model, self._one.tensors[0]
        known, cost = self._known.get(name, (None, None))
        explain = remembering(self._explains(name), model, inputs, known)
        first: list[Tensor] = []  # that of the example itself

        @functools.wraps(explain)  # it may take a generator
        def kept(*given: Any, **more: Any) -> Any:
            found = explain(*given, **more)
            if not first:
                first.append(found)
            return found

        table = metrics.evaluate(
            {name: kept},
            model,
            inputs,
            self._request.selection.explained,
            judges,
            additional_forward_args=self._one.arguments or None,
            generator=torch.Generator().manual_seed(SEED),  # the same for all methods
        )
        cost = table.explaining[name] if cost is None else cost
        attributions = first[0]
        if isinstance(attributions, Tensor) and attributions.dim() == inputs.dim():
            self._maps[name] = self._small(attributions)
            self._known[name] = attributions, cost
        return dataclasses.replace(table, explaining={name: cost})

    def _small(self, attributions: Tensor) -> RawSmallMap:
        placed = self._stage.as_map(attributions)
        if self._stage.has_neighbours:
            return wire.small_map(wire.flat_map(placed))
        return wire.small_map(wire.flat_map(placed, None), None)

    def _explains(self, name: str) -> Explain:
        if name in CONTROLS:
            return CONTROLS[name][1]
        return explanation(self._explained, self._selection(name))

    def _selection(self, name: str) -> Selection:
        """The same with another method: methods for layers at the last layer that has a map of many channels."""
        request = self._request
        settings = request.quick.get(name, request.methods[name])
        about: dict[str, Any] = {"neuron": None, "settings": {name: settings}, "effort": 0}
        if name in self._registry.input_specs:
            return dataclasses.replace(request.selection, method=name, layer=None, **about)
        self._layers[name] = layer = last_convolution(self._explained.layers)
        return dataclasses.replace(request.selection, layer_method=name, layer=layer, **about)

    def message(self, table: Table, title: str) -> RawComparison:
        """The table as the page draws it, and until all of it is there what methods were judged by roughly.

        A rough value is not set beside one that is not: it may be larger for having fewer steps alone.
        """
        request, rough = self._request, self._rough
        final = len(table.methods) == len(request.methods)
        if not final:
            values = {**table.values, **rough.values}
            table = dataclasses.replace(
                _joined(rough, table), metrics=table.metrics, values={**_unknown(request), **values}
            )
        lines = [name for name in request.methods if name in table.explaining]
        best = {metric: table.best(metric) for metric in table.metrics}
        return {
            "title": title,
            "request": request.selection.request("comparison"),
            "settings": dict(request.methods),
            "final": final,
            "outdated": False,
            "metrics": [
                _column(name, metric, rough=not final and name in request.first)
                for name, metric in table.metrics.items()
            ],
            "methods": [self._line(table, name, best) for name in lines],
            "awaited": [self._label(name) for name in request.methods if name not in lines],
        }

    def _line(self, table: Table, name: str, best: Mapping[str, Sequence[str]]) -> ComparedMethod:
        line: ComparedMethod = {
            "name": name,
            "label": self._label(name),
            "control": name in CONTROLS,
            "values": [wire.number(table.mean(name, metric)) for metric in table.metrics],
            "best": [name in best[metric] for metric in table.metrics],
            "notes": [table.notes.get((name, metric)) for metric in table.metrics],
            "rows": table.explaining[name].rows,
            "seconds": table.explaining[name].seconds,
        }
        if name in self._maps:
            line["map"] = self._maps[name]
        if name in self._layers:
            line["layer"] = self._layers[name]
        if name in self._request.quick:
            line["quick"] = self._request.quick[name]
        return line

    def _label(self, name: str) -> str:
        return CONTROLS[name][0] if name in CONTROLS else self._registry.specs[name].title


def _column(name: str, metric: Metric, *, rough: bool) -> ComparedMetric:
    column: ComparedMetric = {
        "name": name,
        "arrow": metric.arrow,
        "better": metric.better,
        "doc": plain(metric.summary),
    }
    return {**column, "rough": True} if rough else column


def _table(judges: Mapping[str, Metric]) -> Table:
    """One without lines."""
    return Table((), dict(judges), {}, {}, {}, {})


def _failed(name: str, judges: Mapping[str, Metric], error: Exception) -> Table:
    """A line without values."""
    keys = [(name, metric) for metric in judges]
    return Table(
        (name,),
        dict(judges),
        dict.fromkeys(keys, _nothing()),
        {key: f"{type(error).__name__}: {error}" for key in keys},
        {name: Cost(0, 0.0)},
        {key: Cost(0, 0.0) for key in keys},
    )


def _unknown(request: ComparisonRequest) -> dict[tuple[str, str], Tensor]:
    """All values of a table, before there are any."""
    return {(name, metric): _nothing() for name in request.methods for metric in request.metrics}


def _nothing() -> Tensor:
    return torch.full((1,), torch.nan, dtype=torch.float64, device="cpu")


def _joined(a: Table, b: Table) -> Table:
    return Table(
        (*a.methods, *b.methods),
        a.metrics,
        {**a.values, **b.values},
        {**a.notes, **b.notes},
        {**a.explaining, **b.explaining},
        {**a.judging, **b.judging},
    )
