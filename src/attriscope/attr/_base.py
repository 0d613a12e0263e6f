"""The classes that every attribution method derives from, a user's own included.

How their methods run is told in :mod:`attriscope.attr._streaming`.
"""

from __future__ import annotations

import collections
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from attriscope.attr._streaming import generator_of, last_of, wants_delta
from attriscope.attr._sums import excess, join, sum_per_example
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.estimate import Estimate, PartialResult
from attriscope.core.evaluate import Evaluator
from attriscope.core.hooks import Layer, Layers, resolve_layers
from attriscope.core.inputs import (
    Examples,
    Inputs,
    TensorOrTuple,
    as_tuple,
    describe,
    gather_examples,
    require_floating,
    resolve_baselines,
)
from attriscope.core.progress import control
from attriscope.core.propagation import Scheme
from attriscope.core.subject import Subject, Through
from attriscope.core.target import resolve_target

PerLayer = TensorOrTuple | list[TensorOrTuple]
"""What belongs to a layer: a tensor, or a tuple if several pass there; a list of these for a list of layers."""


# Of torch.nn.functional.interpolate.
_MODES = ("nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact")


class Attribution:
    """A way of explaining one output of ``forward_func``.

    To write a method of your own, derive from :class:`GradientAttribution` or :class:`PerturbationAttribution` and
    define ``attribute(self, inputs, ...)``; everything that takes a method of this library then takes yours.

    Args:
        forward_func: the model, or any function, called as ``forward_func(*inputs, *additional_forward_args)``.
    """

    def __init__(self, forward_func: Callable[..., Any]) -> None:
        if not callable(forward_func):
            raise InputTypeError(
                f"forward_func must be a model or a function, but {describe(forward_func)} of type "
                f"{type(forward_func).__name__} came"
            )
        self.forward_func = forward_func

    attribute: Callable[..., Any]
    """Compute attributions. Each method has its own; the base class has none."""

    def stream(self, *args: Any, tolerance: float | None = None, **kwargs: Any) -> Iterator[Estimate]:
        """Yield estimates that improve; the last one holds what ``attribute`` returns.

        Args:
            *args, **kwargs: as for ``attribute``.
            tolerance: stop as soon as :attr:`Estimate.inaccuracy` is at most this (in the units of the model's
                output); ``None`` (default) runs to the end.

        Nothing is left on the model between two estimates, so the stream may be abandoned at any point.
        """
        if tolerance is not None and not tolerance >= 0:
            raise InputError(
                f"tolerance must be a number of at least 0 or None, but {describe(tolerance)} came"
            )
        generator = generator_of(self)
        if generator is None:
            return self._whole(*args, **kwargs)
        return self._estimates(generator(self, *args, **kwargs), tolerance)

    def _whole(self, *args: Any, **kwargs: Any) -> Iterator[Estimate]:
        """For methods that only have ``attribute``."""
        found = self.attribute(*args, **kwargs)
        asked = wants_delta(inspect.signature(self.attribute), args, kwargs)
        attributions, delta = found if asked else (found, None)
        yield Estimate(attributions, delta, stopped="complete")

    @staticmethod
    def _estimates(results: Iterator[PartialResult], tolerance: float | None) -> Iterator[Estimate]:
        # One estimate is held back, because only the end of the stream tells which one is the last.
        held: Estimate | None = None
        for result in results:
            if held is not None:
                yield held
            held = result.estimate()
            inaccuracy = held.inaccuracy if tolerance is not None else None
            if inaccuracy is not None and tolerance is not None and float(inaccuracy) <= tolerance:
                yield dataclasses.replace(held, stopped="tolerance")
                return
        if held is not None:
            yield dataclasses.replace(held, stopped="complete")

    def estimate(self, *args: Any, tolerance: float | None = None, **kwargs: Any) -> Estimate:
        """The last estimate of :meth:`stream`: attributions with their inaccuracy and cost."""
        generator = generator_of(self)
        if generator is not None and tolerance is None:  # only the last one is worked out
            return last_of(generator(self, *args, **kwargs), generator.__qualname__).estimate("complete")
        last = collections.deque(self.stream(*args, tolerance=tolerance, **kwargs), maxlen=1)
        if not last:
            raise RuntimeError(f"{type(self).__name__}.attribute yielded nothing")
        return last[0]

    @property
    def multiplies_by_inputs(self) -> bool:
        """Whether attributions are effects (gradients times differences) rather than sensitivities."""
        return False

    def has_convergence_delta(self) -> bool:
        """Whether the attributions promise a sum that can be checked."""
        return False

    def compute_convergence_delta(self, attributions: Any, *args: Any) -> Tensor:
        """The sum of the attributions minus what it should be; only for methods that promise a sum."""
        raise NotImplementedError(
            f"the attributions of {self.get_name()} promise no sum, so there is no delta"
        )

    def attribute_future(self, *args: Any, **kwargs: Any) -> Any:
        """Captum's asynchronous form; :func:`attriscope.control` and threads do the same for every method."""
        raise NotImplementedError(f"attribute_future is not available for {self.get_name()}")

    @classmethod
    def get_name(cls) -> str:
        """The method's name as people write it, e.g. ``"Integrated Gradients"``."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", cls.__name__)

    def _evaluator(
        self,
        examples: Examples,
        target: Any,
        *,
        gradient: bool,
        batch: int | None = None,
        read: Layers | None = None,
        options: dict[str, Any] | None = None,
        scheme: Scheme | None = None,
        through: Through | None = None,
    ) -> Evaluator:
        of = resolve_target(target, examples.count)
        subject = Subject(self.forward_func, of, read, options or {}, scheme, through=through)
        return Evaluator(subject, examples, gradient=gradient, batch=batch)


class GradientAttribution(Attribution):
    """A method that needs gradients of the output.

    A method of your own can use ``self.gradient_func(self.forward_func, inputs, target, additional_forward_args)``.
    """

    @staticmethod
    def gradient_func(
        forward_fn: Callable[..., Any],
        inputs: Inputs,
        target_ind: Any = None,
        additional_forward_args: Any = None,
    ) -> tuple[Tensor, ...]:
        """The gradient of the selected output with respect to each input; zero for inputs without effect."""
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, "a gradient", "LayerGradientXActivation(model, embedding)")
        return gradients_at_inputs(GradientAttribution(forward_fn), examples, target_ind)

    def compute_convergence_delta(
        self,
        attributions: TensorOrTuple,
        start_point: Any,
        end_point: TensorOrTuple,
        target: Any = None,
        additional_forward_args: Any = None,
    ) -> Tensor:
        """The sum of the attributions minus ``f(end_point) - f(start_point)``, of shape (N,).

        Args:
            attributions: a tensor, or a tuple with one per input.
            start_point: the baseline(s), in any form that ``attribute`` takes.
            end_point: the inputs.
            target, additional_forward_args: as for ``attribute``.
        """
        examples = gather_examples(end_point, additional_forward_args)
        baselines = resolve_baselines(start_point, examples)
        return convergence_delta(self, as_tuple(attributions), examples, baselines, target)


class PerturbationAttribution(Attribution):
    """A method that only needs outputs, so the model need not be differentiable."""

    @property
    def multiplies_by_inputs(self) -> bool:
        """Attributions are differences of outputs."""
        return True


class InternalAttribution(Attribution):
    """A method that looks at a layer.

    Args:
        forward_func: the model, or any function that runs it.
        layer: a module of the model, its path such as ``"blocks.3.conv"``, or a :class:`Call` of one that runs several
            times (a layer by itself means its last call); or a list of these.
        device_ids: accepted for compatibility, and checked. A ``DataParallel`` model is run as the module inside it.

    Raises:
        InputTypeError, InputError, LayerError: the model has no such layer; device_ids are no list of ints.
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        layer: Layer | list[Layer] | None,
        device_ids: list[int] | None = None,
    ) -> None:
        super().__init__(forward_func)
        self._layers = self._resolved(layer)
        self.layer: Any = (
            list(self._layers.modules) if isinstance(layer, list) else next(iter(self._layers.modules), None)
        )
        if device_ids is not None and not (
            isinstance(device_ids, list | tuple) and all(type(one) is int for one in device_ids)
        ):
            raise InputTypeError(
                f"device_ids must be a list of ints or None, but {describe(device_ids)} came"
            )
        self.device_ids = device_ids

    def _resolved(self, layer: Layer | list[Layer] | None) -> Layers:
        return resolve_layers(self.forward_func, layer)  # type: ignore[arg-type]

    def _site(self, at_input: bool) -> Layers:
        return dataclasses.replace(self._layers, at_input=at_input)

    def _form(self, per_layer: Sequence[tuple[Tensor, ...]]) -> Any:
        """A tensor for a layer with one, else a tuple; a list of these if layers came as a list."""
        formed = [tensors[0] if len(tensors) == 1 else tensors for tensors in per_layer]
        return formed if isinstance(self.layer, list) else formed[0]


class LayerAttribution(InternalAttribution):
    """A method that attributes to the units of a layer."""

    @staticmethod
    def interpolate(
        layer_attribution: Tensor,
        interpolate_dims: int | tuple[int, ...],
        interpolate_mode: str = "nearest",
        *,
        channels_last: bool = False,
    ) -> Tensor:
        """Scale attributions of a layer to another size, such as the input's.

        Args:
            layer_attribution: shape (N, C, *sizes) with 1 to 3 sizes, as :class:`LayerGradCam` gives them.
            interpolate_dims: the new sizes, as for :func:`torch.nn.functional.interpolate`.
            interpolate_mode: any mode of that function.
            channels_last: the attributions have shape (N, *sizes, C), as other methods give them for tokens and for
                layers such as those of Swin.

        Returns:
            A tensor of shape (N, C, *interpolate_dims).

        Raises:
            InputError: there is no such mode.
        """
        if interpolate_mode not in _MODES:
            raise InputError(
                f"interpolate_mode must be one of {', '.join(_MODES)}, but {describe(interpolate_mode)} came"
            )
        given = layer_attribution.movedim(-1, 1) if channels_last else layer_attribution
        return nn.functional.interpolate(given, interpolate_dims, mode=interpolate_mode)


class NeuronAttribution(InternalAttribution):
    """A method that explains one neuron of a layer instead of an output."""


def gradients_at_inputs(method: Attribution, examples: Examples, target: Any) -> tuple[Tensor, ...]:
    """d f / d inputs at the inputs themselves, in one pass over all examples."""
    evaluator = method._evaluator(examples, target, gradient=True, batch=examples.count)
    blocks = list(evaluator.run(1, lambda steps, part: examples.slices(part)))
    return join(tuple(block.gradients[0] for block in blocks))


def convergence_delta(
    method: Attribution,
    attributions: tuple[Tensor, ...],
    examples: Examples,
    baselines: tuple[Tensor, ...],
    target: Any,
) -> Tensor:
    """The sum of the attributions minus ``f(inputs) - f(baselines)``, of shape (N,), or (1,): see :func:`excess`."""
    start, end = end_points(method, examples, baselines, target)
    return excess(sum_per_example(attributions), end - start)


def end_points(
    method: Attribution,
    examples: Examples,
    baselines: tuple[Tensor, ...],
    target: Any,
    batch: int | None = None,
) -> tuple[Tensor, Tensor]:
    """f at the baselines and at the inputs, each of shape (N,), or (1,) where the whole batch has one number."""

    def rows(steps: slice, part: slice) -> tuple[Tensor, ...]:
        ends = [
            (b[part] if b.shape[0] > 1 else b).expand_as(x).clone() if step == 0 else x.clone()
            for step in range(steps.start, steps.stop)
            for b, x in zip(baselines, examples.slices(part), strict=True)
        ]
        per_step = len(baselines)
        return tuple(torch.cat(ends[i::per_step]) for i in range(per_step))

    evaluator = method._evaluator(examples, target, gradient=False, batch=batch)
    # Two rows an example, after many: to whoever watches they are part of what has been reported as done.
    with control(progress=lambda done, total: None):
        f = [(b.steps, b.examples, b.f) for b in evaluator.run(2, rows)]
    first = f[0][2]
    assert first is not None
    if evaluator.subject.whole_batch:
        return first[0], cast(Tensor, f[1][2])[0]
    both = first.new_empty(2, examples.count)
    for steps, part, values in f:
        assert values is not None
        both[steps, part] = values
    return both[0], both[1]
