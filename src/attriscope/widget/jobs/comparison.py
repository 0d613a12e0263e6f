"""Methods judged beside each other on the example on show: a table of metrics that gets a line for each method."""

from __future__ import annotations

import dataclasses
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
from attriscope.widget.messages import wire
from attriscope.widget.messages.types import RawComparison, Request
from attriscope.widget.methods.parameters import plain
from attriscope.widget.methods.registry import SEED, MethodRegistry
from attriscope.widget.model.session import Session
from attriscope.widget.state.selection import ChoiceError, Selection

# Explanations that know nothing of the model: what a method must be better than.
CONTROLS: dict[str, tuple[str, Callable[..., Tensor]]] = {
    "random": ("Random numbers", metrics.random_attribution),
    "edges": ("Edges of the picture", metrics.edge_detector),
}
# Of both what costs little: a few passes to explain, and a few dozen rows to judge.
_METHODS = ("IntegratedGradients", "Saliency", "InputXGradient", "DeepLift")
_METRICS = ("deletion", "insertion", "comprehensiveness", "sufficiency", "sparseness")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What is to be compared.

    Attributes:
        choice: the example, the explained output and the baselines.
        methods: by name, with what is set otherwise than their defaults; controls among them.
        metrics: by name.
    """

    choice: Selection
    methods: Mapping[str, dict[str, Any]]
    metrics: Mapping[str, Metric]

    @property
    def request(self) -> Request:
        """As the page compares it with what is chosen."""
        return self.choice.walk_message


def settle_methods(
    given: Any, choice: Selection, menu: MethodRegistry, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The methods to compare by name, with their settings.

    Args:
        given: names, or ``None`` for the chosen method, some quick ones and the controls.
        choice: what is chosen.
        menu: what is on offer.
        settings: by method.

    Raises:
        ChoiceError: there is no such method.
    """
    names = (choice.method, *_METHODS, *CONTROLS) if given is None else given
    known = (*menu.offers, *CONTROLS)
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise ChoiceError(f"methods must be a list of names, but {describe(given)} came")
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise ChoiceError(f"methods must be out of {', '.join(known)}, but {describe(name)} came")
    return {name: dict(settings.get(name, {})) for name in names}


def settle_metrics(given: Any) -> dict[str, Metric]:
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


def compare(asked: Comparison, session: Session) -> Iterator[Table]:
    """Judge one method after the other; the table so far, after each.

    A method that fails gets no values, and a note that says why. If all fail, the first one's error is raised.
    """
    table = Table((), dict(asked.metrics), {}, {}, {}, {})
    first: Exception | None = None
    failed = 0
    parts = Parts(len(asked.methods))
    for i, name in enumerate(asked.methods):
        try:
            with parts.part(i, i + 1, 0):
                found = _judged(name, asked, session)
        except (Cancelled, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # a method that this model is not made for, say, or a user's own
            first = first or error
            found = _failed(name, asked, error)
            failed += 1
        if first is not None and failed == len(asked.methods):
            raise first
        table = _joined(table, found)
        yield table


def _judged(name: str, asked: Comparison, session: Session) -> Table:
    one = session.example(asked.choice.example).examples
    explainer = CONTROLS[name][1] if name in CONTROLS else _explainer(name, asked, session)
    return metrics.evaluate(
        {name: explainer},
        session.model,
        one.tensors[0],
        asked.choice.output,
        asked.metrics,
        additional_forward_args=one.arguments or None,
        generator=torch.Generator().manual_seed(SEED),  # the same for all methods
    )


def _explainer(name: str, asked: Comparison, session: Session) -> Callable[..., Tensor]:
    """A method as metrics call it: of this model or a changed one, for this picture or others near it."""
    settings = asked.methods[name]
    choice = dataclasses.replace(
        asked.choice, method=name, layer=None, neuron=None, settings={name: settings}, effort=0
    )

    def explain(
        model: Any, inputs: Tensor, target: Any = None, additional_forward_args: Any = None
    ) -> Tensor:
        question = session.question(choice, model)
        more = {"additional_forward_args": additional_forward_args} if additional_forward_args else {}
        found = []
        for arguments in question.rounds():
            given = {**arguments, **more, "inputs": inputs}
            *_, last = question.estimates(given)
            found.append(last.attributions)
        maps = found[0] if len(found) == 1 else torch.stack(found).mean(0)
        coarse = isinstance(maps, Tensor) and maps.dim() == 4 and maps.shape[2:] != inputs.shape[2:]
        return torch.nn.functional.interpolate(maps, inputs.shape[2:], mode="bilinear") if coarse else maps

    return explain


def _failed(name: str, asked: Comparison, error: Exception) -> Table:
    """A line without values."""
    nothing = torch.full((1,), torch.nan, dtype=torch.float64, device="cpu")
    keys = [(name, metric) for metric in asked.metrics]
    return Table(
        (name,),
        dict(asked.metrics),
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


def comparison_message(
    table: Table, asked: Comparison, menu: MethodRegistry, *, title: str, final: bool
) -> RawComparison:
    """The table as the page draws it."""
    best = {metric: table.best(metric) for metric in table.metrics}
    return {
        "title": title,
        "request": asked.request,
        "settings": dict(asked.methods),
        "final": final,
        "outdated": False,
        "metrics": [
            {"name": name, "arrow": metric.arrow, "better": metric.better, "doc": plain(metric.summary)}
            for name, metric in table.metrics.items()
        ],
        "methods": [
            {
                "name": name,
                "label": CONTROLS[name][0] if name in CONTROLS else menu.offers[name].title,
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
