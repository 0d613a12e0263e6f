"""Methods judged beside each other on the example on show: a table of metrics that gets a line for each method.

The Explorer holds a :class:`Comparison`; the metrics are those of :mod:`attriscope.metrics`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from attriscope.widget.messages.types import RawComparison
from attriscope.widget.methods.controls import CONTROLS
from attriscope.widget.methods.labels import Labels
from attriscope.widget.methods.parameters import plain
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.methods.spec import SEED
from attriscope.widget.methods.spelling import method_name
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.state.selection import ChoiceError, Selection

# Of both what costs little: a few passes to explain, and a few dozen rows to judge.
_METHODS = ("IntegratedGradients", "Saliency", "InputXGradient", "DeepLift")
_METRICS = ("deletion", "insertion", "comprehensiveness", "sufficiency", "sparseness")


@dataclasses.dataclass(frozen=True)
class ComparisonRequest:
    """What is to be compared.

    Attributes:
        selection: the example, the explained output and the baselines.
        methods: by name, with what is set otherwise than their defaults; controls among them.
        metrics: by name.
    """

    selection: Selection
    methods: Mapping[str, dict[str, Any]]
    metrics: Mapping[str, Metric]


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
            methods: names of methods and controls; ``None`` for the selected method, some quick ones and the controls.
            metrics: names of metrics, or a dict; ``None`` for some that cost little.
            settings: by method.

        Raises:
            ChoiceError: there is no such method or metric.
        """
        named = _named_metrics(metrics)
        return ComparisonRequest(
            selection, _named_methods(methods, selection, self._registry, settings), named
        )

    def run(self, request: ComparisonRequest, job: ExplanationJob) -> None:
        """Judge one method after the other, and show the table so far."""
        weights, count = self._explained.weights(), len(request.methods)
        title = self._labels.comparison_title(request.selection)

        def keep(table: Table | None) -> None:
            self.table, self._weights = table, weights

        what = "Comparing methods"
        job.publish(functools.partial(keep, None), comparison={}, progress=0.0, message=what)
        for table in job.reported(what, _compare(request, self._explained), every=True):
            final = len(table.methods) == count
            message = _message(table, request, self._registry, title=title, final=final)
            job.publish(functools.partial(keep, table), comparison=message)

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
        given: names, or ``None`` for the chosen method, some quick ones and the controls.
        selection: what is selected.
        registry: what is on offer.
        settings: by method.

    Raises:
        ChoiceError: there is no such method.
    """
    names = (selection.method, *_METHODS, *CONTROLS) if given is None else given
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise ChoiceError(f"methods must be a list of names, but {describe(given)} came")
    names = [
        method_name(
            name,
            registry.input_specs,
            "each of methods",
            others=CONTROLS,
            elsewhere={**registry.at("layer"), **registry.at("neuron")},
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


def _compare(request: ComparisonRequest, explained: ExplainedModel) -> Iterator[Table]:
    """Judge one method after the other; the table so far, after each.

    A method that fails gets no values, and a note that says why. If all fail, the first one's error is raised.
    """
    table = Table((), dict(request.metrics), {}, {}, {}, {})
    first: Exception | None = None
    failed = 0
    parts = Parts(len(request.methods))
    for i, name in enumerate(request.methods):
        try:
            with parts.part(i, i + 1, 0):
                found = _judged(name, request, explained)
        except (Cancelled, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # a method that this model is not made for, say, or a user's own
            first = first or error
            found = _failed(name, request, error)
            failed += 1
        if first is not None and failed == len(request.methods):
            raise first
        table = _joined(table, found)
        yield table


def _judged(name: str, request: ComparisonRequest, explained: ExplainedModel) -> Table:
    one = explained.example(request.selection.example).examples
    explainer = CONTROLS[name][1] if name in CONTROLS else _explainer(name, request, explained)
    return metrics.evaluate(
        {name: explainer},
        explained.model,
        one.tensors[0],
        request.selection.explained,
        request.metrics,
        additional_forward_args=one.arguments or None,
        generator=torch.Generator().manual_seed(SEED),  # the same for all methods
    )


def _explainer(name: str, request: ComparisonRequest, explained: ExplainedModel) -> Callable[..., Tensor]:
    """A method as metrics call it: of this model or a changed one, for this picture or others near it."""
    settings = request.methods[name]
    selection = dataclasses.replace(
        request.selection, method=name, layer=None, neuron=None, settings={name: settings}, effort=0
    )

    def explain(
        model: Any, inputs: Tensor, target: Any = None, additional_forward_args: Any = None
    ) -> Tensor:
        call = explained.call(selection, model)
        more = {"additional_forward_args": additional_forward_args} if additional_forward_args else {}
        found = []
        for arguments in call.rounds():
            given = {**arguments, **more, "inputs": inputs}
            *_, last = call.estimates(given)
            found.append(last.attributions)
        maps = found[0] if len(found) == 1 else torch.stack(found).mean(0)
        coarse = isinstance(maps, Tensor) and maps.dim() == 4 and maps.shape[2:] != inputs.shape[2:]
        return torch.nn.functional.interpolate(maps, inputs.shape[2:], mode="bilinear") if coarse else maps

    return explain


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


def _message(
    table: Table, request: ComparisonRequest, registry: MethodRegistry, *, title: str, final: bool
) -> RawComparison:
    """The table as the page draws it."""
    best = {metric: table.best(metric) for metric in table.metrics}
    return {
        "title": title,
        "request": request.selection.request("comparison"),
        "settings": dict(request.methods),
        "final": final,
        "outdated": False,
        "metrics": [
            {"name": name, "arrow": metric.arrow, "better": metric.better, "doc": plain(metric.summary)}
            for name, metric in table.metrics.items()
        ],
        "methods": [
            {
                "name": name,
                "label": CONTROLS[name][0] if name in CONTROLS else registry.input_specs[name].title,
                "control": name in CONTROLS,
                "values": [wire.number(table.mean(name, metric)) for metric in table.metrics],
                "best": [name in best[metric] for metric in table.metrics],
                "notes": [table.notes.get((name, metric)) for metric in table.metrics],
                "rows": table.explaining[name].rows,
                "seconds": table.explaining[name].seconds,
            }
            for name in table.methods
        ],
    }
