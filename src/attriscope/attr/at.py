"""Any method, from any place in a model to any other: the layer and neuron methods are made of this.

:class:`At` is the public form; :func:`each_layer` is what :mod:`attriscope.attr.layer` uses, :func:`neuron_target` what
:mod:`attriscope.attr.neuron` uses. A place inside a model is a section of it, see :mod:`attriscope.core.section`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._base import Attribution
from attriscope.attr._streaming import last_of, partial_results, streaming
from attriscope.attr._sums import join
from attriscope.attr.perturbation.background import Background
from attriscope.core.errors import InputError, InputTypeError, TargetError
from attriscope.core.estimate import PartialResult
from attriscope.core.evaluate import Evaluator
from attriscope.core.hooks import Layer, Layers, resolve_layers
from attriscope.core.inputs import Examples, as_tuple, describe, gather_examples, resolve_baselines
from attriscope.core.progress import Parts, control
from attriscope.core.section import Section
from attriscope.core.section_start import OpenedSection, open_section, varied
from attriscope.core.subject import Subject
from attriscope.core.target import Target

Selector = int | tuple[int | slice, ...] | Callable[[Any], Tensor]
MakeMethod = Callable[[Callable[..., Any]], Any]


@dataclasses.dataclass(frozen=True)
class Neuron:
    """A neuron, or the sum of several, of one layer: what is explained instead of an output.

    Attributes:
        layer: a module of the model, its path, or a :class:`Call` of it.
        selector: which: an int or a tuple of ints and slices, indices of what the layer gives for one example; where
            they leave several numbers per example (slices, or fewer indices than dimensions), these are added up. Or a
            function of what the layer gives (a tensor, or a tuple of tensors) that gives one number per example.
        at_input: look at the layer's input instead of its output.
    """

    layer: Layer
    selector: Selector
    at_input: bool = False

    @property
    def target(self) -> Target:
        """What selects it from the layer's values.

        Raises:
            InputTypeError: the selector is none of the above.
        """
        return neuron_target(self.selector)


def neuron_target(selector: Any) -> Target:
    """A selector of neurons as a target.

    Raises:
        InputTypeError: it is no int, tuple of ints and slices, or function.
    """
    if callable(selector) and not isinstance(selector, Tensor):
        return Target(function=selector, given=selector)
    indices = tuple(_index(i, selector) for i in as_tuple(selector))
    return Target(function=_Picked(indices, selector), given=selector)


def _index(value: Any, selector: Any) -> int | slice:
    if isinstance(value, slice):
        return value
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_floating_point():
        return int(value)
    try:
        if isinstance(value, bool):
            raise TypeError
        return int(value.__index__())
    except (AttributeError, TypeError):
        raise InputTypeError(
            f"neuron_selector must be an int, a tuple of ints and slices, or a function, but {describe(selector)} came"
        ) from None


@dataclasses.dataclass(frozen=True)
class _Picked:
    """Picks neurons by their indices, and adds up what is left."""

    indices: tuple[int | slice, ...]
    given: Any

    def __call__(self, values: Any) -> Tensor:
        if not isinstance(values, Tensor):
            raise TargetError(
                f"neuron_selector {describe(self.given)} cannot choose between the {len(values)} tensors at this "
                "layer; say which, as in Call(layer, tensor=0), or pass a function of the tuple of tensors that gives "
                "one number per example"
            )
        sizes = tuple(values.shape[1:])
        if len(self.indices) > len(sizes):
            raise TargetError(
                f"neuron_selector {describe(self.given)} has {len(self.indices)} indices, but a neuron of a layer of "
                f"shape {tuple(values.shape)} has at most {len(sizes)} (dimension 0 counts the examples)"
            )
        for dimension, (index, size) in enumerate(zip(self.indices, sizes, strict=False), start=1):
            if isinstance(index, int) and not -size <= index < size:
                raise TargetError(
                    f"neuron_selector {describe(self.given)} is out of range: there is no index {index} in dimension "
                    f"{dimension} of a layer of shape {tuple(values.shape)}, which has indices 0 to {size - 1}"
                )
        picked = values[(slice(None), *self.indices)]
        if picked.numel() == 0 and values.numel() > 0:
            raise TargetError(
                f"neuron_selector {describe(self.given)} selects no neuron of a layer of shape {tuple(values.shape)}"
            )
        return picked if picked.dim() == 1 else picked.flatten(1).sum(1)


class At(Attribution):
    """A method from any input or layer, for any output or neuron.

    Examples::

        At(Occlusion, model, layer="features.8").attribute(x, target=3, sliding_window_shapes=(1, 3, 3))
        At(ShapleyValues, model, layer="conv", neuron=Neuron("fc", 7)).attribute(x, feature_mask=channels)
        At(lambda f: NoiseTunnel(Saliency(f)), model, neuron=Neuron("conv", (3, 2, 2))).attribute(x)

    Args:
        method: a method's class, or anything that makes a method of a function, such as
            ``lambda f: IntegratedGradients(f, multiply_by_inputs=False)``. To work at a layer, its ``attribute`` must
            take ``additional_forward_args``, as all methods here do.
        forward_func: the model, or any function that runs it.
        layer: what is varied: a module of the model, its path, a :class:`Call` of it, or a list of these, each of which
            is explained by itself; ``None`` for the inputs.
        neuron: what is explained: a :class:`Neuron`; ``None`` for the model's output.
        attribute_to_layer_input: vary the layer's input instead of its output.

    Varying a layer does not compute again what comes before it: in evaluation mode its layers' outputs are kept, if the
    model is seen to give the same with them. Explaining a neuron does not compute what comes after it.

    Raises:
        InputTypeError, InputError, LayerError: these are no method, model, layer or neuron.
    """

    def __init__(
        self,
        method: MakeMethod,
        forward_func: Callable[..., Any],
        layer: Layer | list[Layer] | None = None,
        neuron: Neuron | None = None,
        attribute_to_layer_input: bool = False,
    ) -> None:
        super().__init__(forward_func)
        if not callable(method):
            raise InputTypeError(
                "method must be an attribution method's class, or a function that makes a method of a function, but "
                f"{describe(method)} came"
            )
        if neuron is not None and not isinstance(neuron, Neuron):
            raise InputTypeError(
                f"neuron must be a Neuron(layer, selector) or None, but {describe(neuron)} came"
            )
        self.method = method
        self.neuron = neuron
        self.layer = layer
        self._start = None if layer is None else resolve_layers(forward_func, layer, attribute_to_layer_input)

    @streaming
    def attribute(
        self,
        inputs: Any,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        *,
        layer_baselines: Any = None,
        **kwargs: Any,
    ) -> Iterator[PartialResult[Any]]:
        """Call the method's ``attribute`` there.

        Args:
            inputs: inputs of the model: a tensor or tuple of tensors, N examples in dimension 0.
            baselines: in the form of the inputs, for methods that take baselines. At a layer they are run through the
                model, and what the layer makes of them is the baseline there.
            target: which output is explained; must be left out for a neuron.
            additional_forward_args: further arguments of ``forward_func``, a value or a tuple.
            layer_baselines: baselines in the form of what passes at the layer, instead of ``baselines``.
            **kwargs: for the method's ``attribute``; masks and windows are about the layer's values.

        Returns:
            What the method returns, for the layer's values if there is a layer: a tensor, or a tuple if several
            tensors pass there; a list of these for a list of layers.

        Raises:
            TargetError: a target and a neuron were given.
            LayerError: a layer did not run, or what passes there does not belong to examples.
        """
        given = {**kwargs, **({} if baselines is None else {"baselines": baselines})}
        if self.neuron is None:
            given |= {} if target is None else {"target": target}
        else:
            if target is not None:
                raise TargetError(
                    f"a neuron is explained, so there can be no target, but {describe(target)} came"
                )
            given["target"] = self.neuron.target.function  # a form that others' methods know, too
        end = None if self.neuron is None else neuron_site(self.forward_func, self.neuron)
        if self._start is None:
            if layer_baselines is not None:
                raise InputError("layer_baselines were given, but no layer is varied")
            forward = self.forward_func if end is None else Section(self.forward_func, end=end)
            if additional_forward_args is not None:
                given["additional_forward_args"] = additional_forward_args
            yield from partial_results(self.method(forward), inputs=inputs, **given)
            return
        if layer_baselines is not None:
            if baselines is not None:
                raise InputError("give baselines or layer_baselines, not both")
            given["baselines"] = layer_baselines
        examples = gather_examples(inputs, additional_forward_args)
        single = not isinstance(self.layer, list)
        yield from each_layer(
            self,
            self.method,
            self._start,
            examples,
            given,
            end=end,
            run_baselines=baselines is not None,
            single=single,
        )


def neuron_site(forward: Callable[..., Any], neuron: Neuron) -> Layers:
    """Where a neuron is."""
    return for_selector(resolve_layers(forward, neuron.layer, neuron.at_input), neuron.selector)


def for_selector(site: Layers, selector: Any) -> Layers:
    """A layer as a selector wants it: functions see what the layer gives, indices are about each example."""
    return dataclasses.replace(site, as_it_is=callable(selector) and not isinstance(selector, Tensor))


def each_layer(
    method: Attribution,
    make: MakeMethod,
    start: Layers,
    examples: Examples,
    given: Mapping[str, Any],
    *,
    end: Layers | None = None,
    run_baselines: bool = False,
    single: bool = True,
    together: bool = False,
) -> Iterator[PartialResult]:
    """Partial results of a method at a layer, or at each of several.

    Args:
        method: whose ``forward_func`` is explained.
        make: makes the method of a function.
        start: the layers.
        examples: inputs of the model.
        given: arguments for the method's ``attribute``; baselines are about the layer.
        end: where the neuron is; ``None`` for the model's output.
        run_baselines: the baselines are inputs of the model.
        single: results are those of the only layer; else a list of results.
        together: vary all layers at once, rather than each by itself.
    """
    if together or len(start) == 1:
        opened = open_section(Section(method.forward_func, start, end), examples)
        arguments = _arguments(method, opened, examples, given, run_baselines)
        before = opened.evaluations + (examples.count if run_baselines else 0)
        with _quoting_whole_numbers(opened):
            for result in partial_results(make(opened.forward), **arguments):
                yield _by_layer(result, opened, single, before)
        return
    parts, found = Parts(len(start)), list[PartialResult]()
    for position in range(len(start)):
        with parts.part(position, position + 1, 1):
            one = each_layer(
                method, make, start[position], examples, given, end=end, run_baselines=run_baselines
            )
            found.append(last_of(one, "attribute"))
    yield listed(found)


@contextlib.contextmanager
def _quoting_whole_numbers(opened: OpenedSection) -> Iterator[None]:
    """A method may refuse whole numbers, such as the ids that go into an embedding: then it is said where they are."""
    try:
        yield
    except InputTypeError as error:
        whole = [v for v in opened.examples.tensors if not (v.is_floating_point() or v.is_complex())]
        if not whole:
            raise
        start = opened.start
        raise InputTypeError(
            f"at the {start.side} of layer {', '.join(map(start.name, range(len(start))))} is {describe(whole[0])}, "
            "and there are no gradients with respect to whole numbers, nor points between them; "
            + (
                "explain what the layer gives (attribute_to_layer_input=False)"
                if start.at_input
                else "take a later layer"
            )
            + ", or use a method that only needs outputs, such as FeatureAblation"
        ) from error


def listed(found: list[PartialResult]) -> PartialResult:
    """The partial results for several layers or neurons as one, with a list of results."""

    def deltas() -> Tensor:
        return torch.stack([result.delta() for result in found if result.delta is not None])

    return PartialResult(
        lambda: [result.attributions() for result in found],
        deltas if all(result.delta is not None for result in found) else None,
        None,
        sum(result.evaluations for result in found),
    )


def _arguments(
    method: Attribution,
    opened: OpenedSection,
    examples: Examples,
    given: Mapping[str, Any],
    run_baselines: bool,
) -> dict[str, Any]:
    values = opened.examples
    arguments = {**given, "inputs": values.form(values.tensors), "additional_forward_args": values.arguments}
    for name in ("baselines", "feature_mask"):
        masks = as_tuple(given.get(name))
        there = given.get(name) is not None and not (run_baselines and name == "baselines")
        if there and len(masks) == len(values.tensors):
            placed = opened.rows_first(masks)
            arguments[name] = placed if isinstance(given[name], tuple) else placed[0]
    if run_baselines:
        if isinstance(given.get("baselines"), Background):
            raise InputTypeError(
                "at a layer a background must be one of what the layer holds: give layer_baselines=Background(...) of "
                "what LayerActivation finds for the baselines"
            )
        starts = resolve_baselines(given.get("baselines"), examples)
        beginnings = values_at(method, opened.start, examples, starts)
        arguments["baselines"] = values.form(tuple(v for layer in beginnings for v in layer))
    return arguments


def values_at(
    method: Attribution, site: Layers, examples: Examples, inputs: tuple[Tensor, ...]
) -> list[tuple[Tensor, ...]]:
    """For each layer the tensors that can be varied there, for other inputs (first dimension 1 or N)."""

    def rows(steps: slice, part: slice) -> tuple[Tensor, ...]:
        cut = (b[part] if b.shape[0] > 1 else b for b in inputs)
        return tuple(b.expand_as(x).clone() for b, x in zip(cut, examples.slices(part), strict=True))

    subject = Subject(method.forward_func, None, site)
    evaluator = Evaluator(subject, examples, gradient=False, batch=examples.count)
    # To whoever watches, this is no progress: there are many rows to come.
    with control(progress=lambda done, total: None):
        blocks = list(evaluator.run(1, rows))
    return [join([varied(block.values[i]) for block in blocks]) for i in range(len(site))]


def _by_layer(result: PartialResult, opened: OpenedSection, single: bool, before: int) -> PartialResult:
    """The same with attributions layer by layer; ``before`` it, so many rows went through the model."""

    def form(found: Any) -> Any:
        if not opened.examples.single and not (isinstance(found, tuple) and len(found) == sum(opened.counts)):
            return found  # no result per tensor: whatever it is, it is the method's own
        layers = [t[0] if len(t) == 1 else t for t in opened.per_layer(opened.as_they_were(as_tuple(found)))]
        return layers[0] if single else layers

    error = result.error
    return dataclasses.replace(
        result,
        attributions=lambda: form(result.attributions()),
        error=None if error is None else lambda: None if (e := error()) is None else form(e),
        evaluations=result.evaluations + before,
    )
