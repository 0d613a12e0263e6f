"""Methods judged beside each other on the example on show: a line of metrics and a small map for each of them.

The Explorer holds a :class:`Comparison`; the metrics are those of :mod:`attriscope.metrics`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attriscope import metrics
from attriscope.core.errors import Cancelled
from attriscope.core.inputs import describe
from attriscope.core.progress import Parts
from attriscope.metrics.base import CATALOGUE, Metric
from attriscope.metrics.table import Cost, Table
from attriscope.widget.jobs.pipeline import ExplanationJob
from attriscope.widget.messages import wire
from attriscope.widget.messages.judgements import ComparedMethod, RawComparison, RawSmallMap
from attriscope.widget.methods.arguments import last_convolution
from attriscope.widget.methods.controls import CONTROLS
from attriscope.widget.methods.labels import Labels
from attriscope.widget.methods.parameters import plain
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.methods.spec import SEED
from attriscope.widget.methods.spelling import method_name
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.model.explanation import explanation
from attriscope.widget.state.selection import ChoiceError, Selection

# So many methods are compared if nobody says which: the chosen one, and of these as many as it takes.
_COUNT = 6
_METHODS = ("Occlusion", "DeepLift", "IntegratedGradients", "GuidedBackprop", "LayerGradCam", "Saliency")
# What costs little to judge by: a few dozen rows.
_METRICS = ("deletion", "comprehensiveness", "sufficiency", "sparseness")


def _quick(name: str, pictures: Tensor) -> dict[str, Any]:
    """What is set of a method that would take long, where nobody chose it: its small map needs no more."""
    if name == "Occlusion":
        return {"window": max(1, min(pictures.shape[2:]) // 7), "moves_per_window": 1}
    return {"n_steps": 16} if name == "IntegratedGradients" else {}


@dataclasses.dataclass(frozen=True)
class ComparisonRequest:
    """What is to be compared.

    Attributes:
        selection: the example, the explained output and the baselines.
        methods: by name, with what is set otherwise than their defaults; controls among them.
        metrics: by name.
        quick: the same for those that are set to be quick, in place of nothing.
    """

    selection: Selection
    methods: Mapping[str, dict[str, Any]]
    metrics: Mapping[str, Metric]
    quick: Mapping[str, dict[str, Any]] = dataclasses.field(default_factory=dict)


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
        named = _named_methods(methods, selection, self._registry, settings)
        unset = () if methods is not None else [name for name in named if not named[name]]
        pictures = self._explained.examples.tensors[0]
        quick = {name: _quick(name, pictures) for name in unset if name != selection.method}
        return ComparisonRequest(
            selection, named, judges, {name: values for name, values in quick.items() if values}
        )

    def run(self, request: ComparisonRequest, job: ExplanationJob) -> None:
        """Judge one method after the other, and show the table so far."""
        weights = self._explained.weights()
        lines = _Lines(request, self._explained, self._registry)
        title = self._labels.comparison_title(request.selection)

        def keep(table: Table | None) -> None:
            self.table, self._weights = table, weights

        what = "Comparing methods"
        job.publish(functools.partial(keep, None), comparison={}, progress=0.0, message=what)
        for table in job.reported(what, lines.tables(), every=True):
            job.publish(functools.partial(keep, table), comparison=lines.message(table, title))

    def marked(self, message: RawComparison, weights: Any) -> RawComparison:
        """The table on show, saying whether it is of other weights than these."""
        if self.table is None or not message or message["outdated"] == (weights != self._weights):
            return message
        return {**message, "outdated": weights != self._weights}

    def clear(self) -> None:
        """Let go of what was kept."""
        self.table = self._weights = None


def _named_methods(
    given: Any, selection: Selection, registry: MethodRegistry, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The methods to compare by name, with their settings.

    Args:
        given: names, or ``None`` for the chosen method, others up to six, and the controls.
        selection: what is selected.
        registry: what is on offer.
        settings: by method.

    Raises:
        ChoiceError: there is no such method.
    """
    default = (*dict.fromkeys((selection.method, *_METHODS)),)[:_COUNT]
    names = (*default, *CONTROLS) if given is None else given
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise ChoiceError(f"methods must be a list of names, but {describe(given)} came")
    names = [
        method_name(
            name,
            {**registry.input_specs, **registry.at("layer")},
            "each of methods",
            others=CONTROLS,
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
    """

    def __init__(
        self, request: ComparisonRequest, explained: ExplainedModel, registry: MethodRegistry
    ) -> None:
        self._request, self._explained, self._registry = request, explained, registry
        self._maps: dict[str, RawSmallMap] = {}
        self._layers: dict[str, str] = {}

    def tables(self) -> Iterator[Table]:
        """Judge one method after the other, those first that take a pass or two; the table so far, after each.

        Its lines are in the order of the request. A method that fails gets no values, and a note that says why. If all
        fail, the first one's error is raised.
        """
        methods = self._request.methods
        table = Table((), dict(self._request.metrics), {}, {}, {}, {})
        first: Exception | None = None
        failed = 0
        parts = Parts(len(methods))
        for i, name in enumerate(sorted(methods, key=self._takes_long)):
            try:
                with parts.part(i, i + 1, 0):
                    found = self._judged(name)
            except (Cancelled, torch.OutOfMemoryError, MemoryError):
                raise
            except Exception as error:  # a method that this model is not made for, say, or a user's own
                first = first or error
                found = _failed(name, self._request, error)
                failed += 1
            if first is not None and failed == len(methods):
                raise first
            table = _joined(table, found)
            yield dataclasses.replace(table, methods=tuple(one for one in methods if one in table.methods))

    def _takes_long(self, name: str) -> bool:
        return name not in CONTROLS and not self._registry.specs[name].quick

    def _judged(self, name: str) -> Table:
        request, explained = self._request, self._explained
        one = explained.example(request.selection.example).examples
        explain = CONTROLS[name][1] if name in CONTROLS else explanation(explained, self._selection(name))

        @functools.wraps(explain)  # it may take a generator
        def kept(*given: Any, **more: Any) -> Any:
            found = explain(*given, **more)
            if name not in self._maps and isinstance(found, Tensor) and found.dim() == 4:
                self._maps[name] = wire.small_map(
                    wire.flat_map(found)
                )  # the first is that of the example itself
            return found

        return metrics.evaluate(
            {name: kept},
            explained.model,
            one.tensors[0],
            request.selection.explained,
            request.metrics,
            additional_forward_args=one.arguments or None,
            generator=torch.Generator().manual_seed(SEED),  # the same for all methods
        )

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
        """The table as the page draws it."""
        request = self._request
        best = {metric: table.best(metric) for metric in table.metrics}
        return {
            "title": title,
            "request": request.selection.request("comparison"),
            "settings": dict(request.methods),
            "final": len(table.methods) == len(request.methods),
            "outdated": False,
            "metrics": [
                {"name": name, "arrow": metric.arrow, "better": metric.better, "doc": plain(metric.summary)}
                for name, metric in table.metrics.items()
            ],
            "methods": [self._line(table, name, best) for name in table.methods],
            "awaited": [self._label(name) for name in request.methods if name not in table.methods],
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


def _failed(name: str, request: ComparisonRequest, error: Exception) -> Table:
    """A line without values."""
    nothing = torch.full((1,), torch.nan, dtype=torch.float64, device="cpu")
    keys = [(name, metric) for metric in request.metrics]
    return Table(
        (name,),
        dict(request.metrics),
        dict.fromkeys(keys, nothing),
        {key: f"{type(error).__name__}: {error}" for key in keys},
        {name: Cost(0, 0.0)},
        {key: Cost(0, 0.0) for key in keys},
    )


def _joined(a: Table, b: Table) -> Table:
    return Table(
        (*a.methods, *b.methods),
        a.metrics,
        {**a.values, **b.values},
        {**a.notes, **b.notes},
        {**a.explaining, **b.explaining},
        {**a.judging, **b.judging},
    )
