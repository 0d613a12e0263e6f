"""What stands in place of removed features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from attriscope.attr import baselines
from attriscope.attr._features import Features
from attriscope.attr._random import Draws
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import Examples, describe, resolve_baselines
from attriscope.metrics._generators import draws_from
from attriscope.metrics.linear_imputation import impute_linearly

NAMES = ("zero", "mean", "blur", "noise", "uniform", "linear")
_NOISE_OF_IMPUTATION = 0.01


class Replacement(Protocol):
    """Makes rows in which some features are replaced."""

    def rows(self, keep: Tensor, part: slice) -> tuple[Tensor, ...]:
        """Rows of some examples.

        Args:
            keep: bool (steps, examples, F), or (steps, F) for all examples alike: the features that stay.
            part: which examples.

        Returns:
            For each input (steps * examples, ...), step by step.
        """


class FixedReplacement:
    """Values that are the same whatever else is removed."""

    def __init__(self, examples: Examples, features: Features, values: tuple[Tensor, ...]) -> None:
        self._examples, self._features, self._values = examples, features, values

    def rows(self, keep: Tensor, part: slice) -> tuple[Tensor, ...]:
        """See :class:`Replacement`."""
        return self._features.mix(keep, self._examples.slices(part), self._values, part)


class ImputedReplacement:
    """Pictures in which what is removed is worked out from its neighbours, with a little noise."""

    def __init__(self, examples: Examples, features: Features, noise: float, draws: Draws) -> None:
        if any(x.dim() != 4 or not x.is_floating_point() for x in examples.tensors):
            raise InputError(
                f"replacement 'linear' needs pictures of shape (N, C, H, W), but {describe(examples.tensors)} came"
            )
        self._examples, self._features = examples, features
        # One field of noise for each example, whichever pixels are asked for and however rows are cut.
        self._noise = tuple(
            noise * baselines.noise(x, generator=draws.stream(i, x.device))
            for i, x in enumerate(examples.tensors)
        )

    def rows(self, keep: Tensor, part: slice) -> tuple[Tensor, ...]:
        """See :class:`Replacement`."""
        pictures = self._examples.slices(part)
        ones = tuple(x.new_ones(1).expand(x.shape) for x in pictures)
        gone = tuple(x.new_zeros((1,) * x.dim()) for x in pictures)
        kept = self._features.mix(keep, ones, gone, part)
        found = []
        for x, on, noise in zip(pictures, kept, self._noise, strict=True):
            steps = on.shape[0] // x.shape[0]
            whole = x.expand(steps, *x.shape).flatten(0, 1)
            filled = impute_linearly(whole, on > 0)
            field = noise[part].expand(steps, *x.shape).flatten(0, 1)
            found.append(torch.where(on > 0, filled, filled + field))
        return tuple(found)


def resolve_replacement(
    given: Any, examples: Examples, features: Features, generator: torch.Generator | None = None
) -> Replacement:
    """What stands in place of removed features.

    Args:
        given: ``None`` or ``"zero"``; ``"mean"`` or ``"blur"`` of the example itself; ``"noise"``, normal with each
            channel's mean and deviation; ``"uniform"``, between the example's extremes; ``"linear"``, noisy linear
            imputation from the pixels that stay; a number, a tensor or a tuple of these, as for ``baselines``; or a
            function of the inputs that gives such.
        examples, features: what is removed from.
        generator: where random numbers come from; ``None`` is torch's global generator.

    Raises:
        InputTypeError, InputError: it is none of these, or does not fit the inputs.
    """
    if isinstance(given, str):
        if given not in NAMES:
            raise InputError(
                f"replacement must be one of {', '.join(map(repr, NAMES))}, a number, a tensor or a function, but "
                f"{given!r} came"
            )
        if given == "linear":
            return ImputedReplacement(examples, features, _NOISE_OF_IMPUTATION, draws_from(generator))
        values: Any = None if given == "zero" else examples.form(_named(given, examples, generator))
    elif callable(given) and not isinstance(given, Tensor):
        values = given(examples.form(examples.tensors))
    else:
        values = given
    found = resolve_baselines(values, examples)
    for position, tensor in enumerate(found):
        if tensor.is_floating_point() and not tensor.is_meta and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"the replacement for input {position} is NaN or infinite in places")
    return FixedReplacement(examples, features, found)


def _named(name: str, examples: Examples, generator: torch.Generator | None) -> tuple[Tensor, ...]:
    for x in examples.tensors:
        if not x.is_floating_point():
            raise InputTypeError(
                f"replacement {name!r} needs floating point inputs, but {describe(x)} came; for token ids give the "
                "number of the padding or mask token"
            )
    if name in ("mean", "blur"):
        make: Callable[[Tensor], Tensor] = getattr(baselines, name)
        return tuple(make(x) for x in examples.tensors)
    draws, found = draws_from(generator), []
    for i, x in enumerate(examples.tensors):
        drawn = draws.stream(i, x.device)
        own = tuple(range(1, x.dim()))
        if name == "uniform":
            low, high = x.amin(own, keepdim=True), x.amax(own, keepdim=True)
            found.append(baselines.uniform(x, low, high, generator=drawn))
        else:
            places = own[1:] if x.dim() > 2 else own
            deviation = x.std(places, keepdim=True, unbiased=False)
            found.append(baselines.noise(x, deviation, x.mean(places, keepdim=True), generator=drawn))
    return tuple(found)
