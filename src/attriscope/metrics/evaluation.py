"""Many methods, judged by many metrics, in one call.

What a metric is told is a :class:`~attriscope.metrics.Case` (``base``); what comes out is a ``table``. The Explorer's
comparison calls this method by method.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.batch_size import synchronize
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.frames import numbers_in
from attriscope.core.inputs import Examples, as_tensor, describe, gather_examples
from attriscope.core.progress import Parts, current
from attriscope.core.row_count import counted_rows
from attriscope.core.target import resolve_target
from attriscope.metrics._arguments import takes
from attriscope.metrics._explanations import Explainer, accepted_arguments, as_explainer
from attriscope.metrics._generators import draws_from, restores_generators
from attriscope.metrics.base import CATALOGUE, Case, Metric, UndefinedMetricError
from attriscope.metrics.table import Cost, Table


@restores_generators
def evaluate(
    methods: Mapping[str, Any],
    model: Any,
    inputs: Any,
    targets: Any = None,
    metrics: Mapping[str, Any] | Sequence[str] | None = None,
    *,
    masks: Tensor | None = None,
    feature_mask: Any = None,
    additional_forward_args: Any = None,
    generator: torch.Generator | None = None,
) -> Table:
    """Judge explanations of a model by several metrics.

    :func:`attriscope.control` watches and stops it. Every metric draws the same random numbers for all methods, so that
    methods are compared on equal terms. Where a metric is undefined for some examples (a map that is all the same has
    no order), the mean is that of the others, and the table says so.

    Args:
        methods: by name: a method such as ``Saliency(model)``, a pair of a method and a dict of options for its
            ``attribute``, or a function of (model, inputs, target), as are the controls :func:`random_attribution` and
            :func:`edge_detector`. A function may take ``generator`` and
            ``additional_forward_args`` as keywords. Coarse maps of layers are scaled to
            the size of the picture; of the vectors that an embedding makes of token ids, the units are added up.
        model: what is judged: the model that the methods explain, or :func:`probabilities` of it.
        inputs: a tensor, tuple or dict of tensors, N examples in dimension 0.
        targets: what is explained, as ``target`` of ``Saliency.attribute``.
        metrics: names out of :data:`CATALOGUE`, which :func:`register` adds to; or, by name, such names or
            :class:`Metric` objects of your own.
            ``None``: deletion, insertion, sensitivity (not for whole numbers, such as token ids), randomisation (of
            modules) and sparseness; with masks, localisation too.
        masks: where the object is, as for :func:`pointing_game`.
        feature_mask: which numbers are removed together, as for :func:`deletion`.
        additional_forward_args: further arguments of the model.
        generator: where random numbers come from; ``None`` is torch's global generator, of which one number is drawn.

    Returns:
        A :class:`Table`, which shows itself in a notebook.

    Raises:
        InputTypeError, InputError: arguments that cannot be used; whatever a method or metric raises, with its name.

    Example::

        methods = {"gradients": IntegratedGradients(model), "random": random_attribution, "edges": edge_detector}
        table = evaluate(methods, probabilities(model), pictures, labels)
        print(table.against("edges"))

        largest = Metric(lambda case: case.attributions.flatten(1).amax(1), better="higher")
        evaluate(methods, model, pictures, labels, {"deletion": "deletion", "largest": largest})
    """
    inputs = numbers_in(inputs)
    examples = gather_examples(inputs, additional_forward_args)
    if type(targets).__module__ == "numpy":
        targets = as_tensor(targets)
    resolve_target(targets, examples.count)
    judges = _metrics(metrics, model, masks, examples)
    if not isinstance(methods, Mapping) or not methods:
        raise InputTypeError(f"methods must be a dict of methods by name, but {describe(methods)} came")
    explainers = {name: _explainer(name, method) for name, method in methods.items()}
    draws = draws_from(generator)
    parts = Parts(len(explainers) * (1 + len(judges)))
    table = Table(tuple(explainers), judges, {}, {}, {}, {})
    number = 0
    for name, explainer in explainers.items():
        run = _MethodRun(explainer, model, draws.stream(-1))
        current().check()
        began, before = time.perf_counter(), parts.rows
        with (
            parts.part(number, number + 1, 0),
            _naming(name, "explaining"),
            counted_rows(model, getattr(explainer.method, "forward_func", None)) as calls,
        ):
            maps = run.bound(model).explain(examples, targets)
            synchronize(maps[0].device)
        number += 1
        table.explaining[name] = Cost(calls.beside(parts.rows - before), time.perf_counter() - began)
        case = Case(
            model, inputs, targets, examples.form(maps), run.explain, run.method, masks, feature_mask,
            additional_forward_args,
        )  # fmt: skip
        for position, (metric, judge) in enumerate(judges.items()):
            current().check()
            case = dataclasses.replace(case, generator=draws.stream(position))
            began, before = time.perf_counter(), parts.rows
            with parts.part(number, number + 1, 0), _naming(name, metric):
                values, note = _judged(judge, case, examples)
            number += 1
            table.values[name, metric] = values
            table.judging[name, metric] = Cost(parts.rows - before, time.perf_counter() - began)
            if note is not None:
                table.notes[name, metric] = note
    return table


class _MethodRun:
    """A method as metrics call it."""

    def __init__(self, explainer: Explainer, model: Any, generator: torch.Generator) -> None:
        self._explainer, self._model = explainer, model
        # A random explanation is another one each time, and the same series in each run.
        self._more = {"generator": generator} if takes(explainer.function, "generator") else {}
        self.method: Any = dataclasses.replace(explainer, options={**self._more, **explainer.options})

    def bound(self, model: Any) -> Explainer:
        """What explains this model."""
        if self._explainer.method is not None:
            return self.method

        def function(inputs: Any, target: Any = None, **more: Any) -> Any:
            function = self._explainer.function
            return function(model, inputs, target, **accepted_arguments(function, more))

        return Explainer(None, function, self.method.options)

    @property
    def explain(self) -> Any:
        """For metrics that explain other inputs."""
        return self.bound(self._model)


def _explainer(name: Any, method: Any) -> Explainer:
    if not isinstance(name, str):
        raise InputTypeError(f"the names of methods must be strings, but {describe(name)} came")
    found = as_explainer(method)
    if found is None:
        raise InputTypeError(
            f"{name!r} must be a method such as Saliency(model), a pair of a method and a dict of options, or a "
            f"function of (model, inputs, target), but {describe(method)} came"
        )
    return found


def _default_metrics(model: Any, masks: Any, examples: Examples) -> tuple[str, ...]:
    """What is asked of methods if nobody says what."""
    # There is no noise that is small for token ids.
    small = all(x.is_floating_point() or x.is_complex() for x in examples.tensors)
    nearby = ("sensitivity",) if small else ()
    always = ("deletion", "insertion", *nearby)
    learned = (
        ("randomisation",) if isinstance(model, nn.Module) else ()
    )  # a function has no parameters to be seen
    return (*always, *learned, "sparseness", *(("localisation",) if masks is not None else ()))


def _metrics(given: Any, model: Any, masks: Any, examples: Examples) -> dict[str, Metric]:
    if given is None:
        given = _default_metrics(model, masks, examples)
    if isinstance(given, str) or not isinstance(given, Mapping | Sequence) or not given:
        raise InputTypeError(f"metrics must be a list of names or a dict, but {describe(given)} came")
    named = dict(given) if isinstance(given, Mapping) else {name: name for name in given}
    found = {}
    for name, metric in named.items():
        if isinstance(metric, str):
            if metric not in CATALOGUE:
                raise InputError(
                    f"there is no metric {metric!r}; there are {', '.join(map(repr, CATALOGUE))}"
                )
            metric = CATALOGUE[metric]
        if not isinstance(metric, Metric):
            raise InputTypeError(
                f"the metric {name!r} must be a name or a Metric(function, better), but {describe(metric)} came"
            )
        found[str(name)] = metric
    return found


def _judged(judge: Metric, case: Case, examples: Examples) -> tuple[Tensor, str | None]:
    """One number per example, NaN where the metric is undefined; and why."""
    try:
        return _checked(judge.function(case), examples.count), None
    except UndefinedMetricError as error:
        reason = str(error).partition(": ")[2] or str(error)
    found = torch.full((examples.count,), torch.nan, device="cpu")
    for i in range(examples.count):
        try:
            found[i] = _checked(judge.function(_one_example(case, examples, i)), 1)[0]
        except UndefinedMetricError:
            continue
    missing = int(found.isnan().sum())
    return found, f"undefined for {missing} of {examples.count} examples: {reason}"


def _checked(values: Any, count: int) -> Tensor:
    if not isinstance(values, Tensor) or values.numel() != count or values.dim() > 1:
        raise InputError(f"a metric must give one number per example ({count}), but gave {describe(values)}")
    found = values.detach().reshape(count).to("cpu", torch.float64)
    if not bool(torch.isfinite(found).all()):
        raise InputError("the metric gave NaN or infinity")
    return found


def _one_example(case: Case, examples: Examples, i: int) -> Case:
    """The same case of one example."""
    count = examples.count

    def row(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(row(v) for v in value)
        if isinstance(value, Mapping):
            return {key: row(v) for key, v in value.items()}
        own = isinstance(value, Tensor) and value.dim() > 0 and len(value) == count
        return value[i : i + 1] if own else value

    targets = case.targets[i : i + 1] if isinstance(case.targets, list) else case.targets
    targets = row(targets) if isinstance(targets, Tensor) else targets
    return dataclasses.replace(
        case,
        inputs=row(case.inputs),
        targets=targets,
        attributions=row(case.attributions),
        masks=row(case.masks),
        feature_mask=row(case.feature_mask),
        additional_forward_args=row(case.additional_forward_args),
    )


@contextlib.contextmanager
def _naming(method: str, metric: str) -> Iterator[None]:
    """What goes wrong inside is said with the names of method and metric."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{method!r}, {metric}: {error}") from error
