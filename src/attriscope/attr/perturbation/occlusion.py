"""Occlusion: a window slides over the input and hides what is below it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._features import copies, exact_dtype
from attriscope.attr._streaming import streaming
from attriscope.attr.perturbation._runner import OutputShape, Query, estimates
from attriscope.attr.perturbation.background import gather_setting
from attriscope.attr.perturbation.feature_ablation import DifferencePlan, FeatureAblation
from attriscope.attr.quadrature import spread_order
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import (
    Examples,
    SameForm,
    baseline_rows,
    describe,
)


class _Windows:
    """Where the windows over one input lie: a grid of them, along each dimension ``counts`` at distances ``strides``.

    The last window along a dimension may reach over the edge.
    """

    def __init__(self, sizes: torch.Size, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.sizes, self._shape, self._strides = sizes, shape, strides
        self.counts = tuple(math.ceil((n - w) / s) + 1 for n, w, s in zip(sizes, shape, strides, strict=True))
        self.count = math.prod(self.counts)

    def place(self, number: int) -> tuple[slice, ...]:
        """What window ``number`` hides."""
        found = []
        for count, width, stride in zip(
            self.counts[::-1], self._shape[::-1], self._strides[::-1], strict=True
        ):
            number, at = divmod(number, count)
            found.append(slice(at * stride, at * stride + width))
        return tuple(found[::-1])

    def cover(self, values: Tensor) -> Tensor:
        """The values of all windows (M, count) added up wherever the window lies: (M, *sizes).

        Windows are boxes, so this is done dimension by dimension.
        """
        found = values.reshape(values.shape[0], *self.counts)
        for d, (size, width, stride) in enumerate(
            zip(self.sizes, self._shape, self._strides, strict=True), start=1
        ):
            position = torch.arange(size, device=values.device)
            start = torch.arange(self.counts[d - 1], device=values.device)[:, None] * stride
            inside = ((position >= start) & (position < start + width)).to(values.dtype)
            found = torch.tensordot(found, inside, dims=([1], [0]))  # the dimension moves to the end
        return found


class _OcclusionPlan(DifferencePlan):
    """Each step hides one window of one input."""

    def __init__(
        self, examples: Examples, baselines: tuple[Tensor, ...], windows: tuple[_Windows, ...]
    ) -> None:
        super().__init__(examples, sum(w.count for w in windows))
        self._windows = windows
        self._baselines = tuple(
            b.expand(-1, *x.shape[1:]) for b, x in zip(baselines, examples.tensors, strict=True)
        )
        # In an order of which every beginning covers the whole input, for those who watch.
        self._order = [(i, number) for i, w in enumerate(windows) for number in _spread(w.count)]

    def rows(self, steps: slice, part: slice) -> tuple[Tensor, ...]:
        """The inputs of some steps and examples."""
        count = steps.stop - steps.start
        rows = [copies(x, count) for x in self.examples.slices(part)]
        for row, step in enumerate(range(steps.start, steps.stop)):
            if step > 0:
                i, number = self._order[step - 1]
                at = (slice(None), *self._windows[i].place(number))
                rows[i][row][at] = baseline_rows(self._baselines[i], part)[at]
        return tuple(r.flatten(0, 1) for r in rows)

    def attributions(self, found: OutputShape) -> tuple[Tensor, ...]:
        """For each element the mean of the changes that the windows over it made."""
        known = torch.arange(self.steps - 1, device=self._values.device) < self.done - 1
        sums, counts = self._cover(self.effects()), self._cover(known[None])
        return tuple((s / c.clamp_min(1)).float() for s, c in zip(sums, counts, strict=True))

    def error(self, found: OutputShape) -> tuple[Tensor, ...]:
        """None where all windows are known, infinite elsewhere."""
        missing = self._cover(self.effect_errors().isinf())
        return tuple(torch.where(m > 0, torch.inf, 0.0) for m in missing)

    def _cover(self, values: Tensor) -> tuple[Tensor, ...]:
        """Values of the windows (M, windows), in the order of the steps, as maps (M, *sizes), one per input."""
        found, first = [], 0
        for windows, device in zip(self._windows, self.devices, strict=True):
            numbers = [number for _, number in self._order[first : first + windows.count]]
            own = values[:, first : first + windows.count]
            # In double precision, which autocast leaves alone.
            own = own.to(exact_dtype(own.device))
            in_place = torch.empty_like(own)
            in_place[:, torch.tensor(numbers, device=own.device)] = own
            found.append(windows.cover(in_place.to(device)))
            first += windows.count
        return tuple(found)


def _spread(count: int) -> list[int]:
    return spread_order(count) if count < 100_000 else list(range(count))


class Occlusion(FeatureAblation):
    """How much the output falls when a window of the input is replaced by a baseline, for a window that slides.

    Zeiler and Fergus 2013 (arXiv 1311.2901). An element's attribution is the mean over all windows that hide it. It
    costs one row per window and example, and one for the inputs.

    Args:
        forward_func: as for :class:`FeatureAblation`.
    """

    @streaming
    def attribute(  # type: ignore[override]
        self,
        inputs: SameForm,
        sliding_window_shapes: tuple[int, ...] | tuple[tuple[int, ...], ...],
        strides: int | tuple[Any, ...] | None = None,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
    ) -> Iterator[PartialResult[SameForm]]:
        """Hide window by window.

        Args:
            inputs: a tensor or tuple of tensors of any type, N examples in dimension 0.
            sliding_window_shapes: the window's size in each dimension of an example, e.g. (3, 15, 15) for all channels
                of a picture; for several inputs a tuple of such tuples.
            strides: how far the window moves, in elements: an int for all dimensions, or one per dimension; for several
                inputs a tuple of these. At most the window's size where there is more than one window; the last window
                may reach over the edge. ``None`` is 1.
            baselines, target, additional_forward_args, perturbations_per_eval, show_progress: as for
                :meth:`FeatureAblation.attribute`.

        Returns:
            Attributions in the form of the inputs, float32, of the shape that :meth:`FeatureAblation.attribute` gives.

        Raises:
            As :meth:`FeatureAblation.attribute`, and for windows or strides that do not fit the inputs.
        """
        setting = gather_setting(inputs, additional_forward_args, baselines).one_each(self.get_name())
        examples, starts = setting.examples, setting.starts
        windows = resolve_windows(sliding_window_shapes, strides, examples)
        query = Query(self, examples, target, perturbations_per_eval, show_progress=show_progress)
        yield from estimates(query, _OcclusionPlan(examples, starts, windows))

    def attribute_future(self, *args: Any, **kwargs: Any) -> Any:
        """Not available, as in Captum.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("attribute_future is not available for Occlusion")


def resolve_windows(shapes: Any, strides: Any, examples: Examples) -> tuple[_Windows, ...]:
    """The windows over each input.

    Raises:
        InputTypeError, InputError: shapes or strides do not fit the inputs.
    """
    tensors = examples.tensors
    if isinstance(shapes, Mapping) or (
        isinstance(shapes, tuple) and any(isinstance(s, tuple) for s in shapes)
    ):
        shapes = examples.per_input(shapes)
    if isinstance(strides, Mapping) or (isinstance(strides, tuple) and examples.blanks):
        strides = examples.per_input(strides)
    if not isinstance(shapes, tuple):
        raise InputTypeError(
            "sliding_window_shapes must be a tuple with the window's size in each dimension of an example, such as "
            f"{tuple(min(3, n) for n in tensors[0].shape[1:])}, but {describe(shapes)} came"
        )
    if shapes and not isinstance(shapes[0], tuple):
        shapes = (shapes,)
    if len(tensors) == 1 and not (isinstance(strides, tuple) and len(strides) == 1):
        strides = (strides,)
    elif strides is None:
        strides = (None,) * len(tensors)
    for name, given in (("sliding_window_shapes", shapes), ("strides", strides)):
        if not isinstance(given, tuple) or len(given) != len(tensors):
            raise InputError(
                f"{name} must have one entry per input ({len(tensors)}), but {describe(given)} came"
            )
    return tuple(_window(x.shape[1:], shape, stride, i) for i, (x, shape, stride) in enumerate(
        zip(tensors, shapes, strides, strict=True)
    ))  # fmt: skip


def _window(sizes: torch.Size, shape: Any, stride: Any, position: int) -> _Windows:
    window = _ints(shape, sizes, "sliding_window_shapes", position)
    if stride is None or (isinstance(stride, int) and not isinstance(stride, bool)):
        stride = (1 if stride is None else stride,) * len(sizes)
    step = _ints(stride, sizes, "strides", position)
    if any(w > n for w, n in zip(window, sizes, strict=True)):
        raise InputError(
            f"a sliding window of {window} is larger than an example of input {position}, of shape {tuple(sizes)}"
        )
    if any(s > w and w < n for s, w, n in zip(step, window, sizes, strict=True)):
        raise InputError(
            f"strides of {step} leave gaps between sliding windows of {window} on input {position}; a stride may be at "
            "most the window's size"
        )
    return _Windows(sizes, window, step)


def _ints(given: Any, sizes: torch.Size, name: str, position: int) -> tuple[int, ...]:
    whole = isinstance(given, tuple) and all(isinstance(i, int) and not isinstance(i, bool) for i in given)
    if not whole or len(given) != len(sizes):
        raise InputError(
            f"{name} must be {len(sizes)} whole number(s) for input {position}, whose examples have shape "
            f"{tuple(sizes)}, but {describe(given)} came"
        )
    if any(i < 1 for i in given):
        raise InputError(f"{name} must be at least 1 everywhere, but {describe(given)} came")
    return tuple(int(i) for i in given)
