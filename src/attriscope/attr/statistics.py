"""Statistics of tensors that come one after another, such as the attributions of many batches.

:class:`Summarizer`, in :mod:`attriscope.attr.summarizers`, keeps several of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor

from attriscope.attr._sums import accumulation_dtype
from attriscope.core.complex_parts import as_complex, as_real, times
from attriscope.core.errors import InputError

StatValue = Tensor | int | float
S = TypeVar("S", bound="Stat")


class Siblings(Protocol):
    """The statistics beside one, which it may be worked out from."""

    def get(self, stat: Stat) -> Stat | None:
        """The statistic that equals ``stat``."""


class Stat:
    """One statistic, element by element, over the tensors it is updated with.

    For one of your own, define ``update(x)`` and ``get()``; if it builds on others, name them in ``needs`` and look
    them up in ``init`` with ``self._get_stat(...)``. They are updated before it.

    Two statistics of one class with equal parameters are equal.

    Args:
        name: its key in summaries; ``None`` takes the name of the class.
        **kwargs: the parameters.
    """

    def __init__(self, name: str | None = None, **kwargs: Any) -> None:
        self.params = kwargs
        self._name = name
        self._other_stats: Siblings | None = None

    def needs(self) -> tuple[Stat, ...]:
        """The statistics that this one is worked out from."""
        return ()

    def init(self) -> None:
        """Called when the statistic has become part of a summarizer."""

    def update(self, x: Tensor) -> None:
        """Take note of one more tensor."""
        raise NotImplementedError

    def get(self) -> StatValue | None:
        """The statistic so far; ``None`` before the first tensor."""
        raise NotImplementedError

    def _get_stat(self, stat: S) -> S:
        """The summarizer's statistic that equals ``stat``."""
        found = None if self._other_stats is None else self._other_stats.get(stat)
        if found is None:
            raise InputError(
                f"{type(self).__name__} is worked out from {type(stat).__name__}: write "
                f"Summarizer([{type(self).__name__}()]), which provides it"
            )
        return cast(S, found)

    @property
    def name(self) -> str:
        """Its key in summaries."""
        if self._name is not None:
            return self._name
        return type(self).__name__.lower() + (f"({self.params})" if self.params else "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stat) and type(self) is type(other) and self.params == other.params

    def __hash__(self) -> int:
        return hash((type(self), frozenset(self.params.items())))


class Count(Stat):
    """How many tensors came."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.n: int | None = None

    def update(self, x: Tensor) -> None:
        """Count one more."""
        self.n = (self.n or 0) + 1

    def get(self) -> int | None:
        """The number of updates."""
        return self.n


class Mean(Stat):
    """The mean; of half-precision tensors in float32, of integers in float64 (float32 where there is no float64)."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.rolling_mean: Tensor | None = None
        self.before: Tensor | None = None  # the mean one tensor ago

    def needs(self) -> tuple[Stat, ...]:
        """The number of tensors."""
        return (Count(),)

    def update(self, x: Tensor) -> None:
        """Move the mean towards ``x``."""
        count, x = self._get_stat(Count()).n, _floating(x)
        self.before = self.rolling_mean
        if self.before is None or count is None:
            self.rolling_mean = x.clone()
        else:
            self.rolling_mean = self.before + (x - self.before) / count

    def get(self) -> Tensor | None:
        """The mean."""
        return self.rolling_mean


class MSE(Stat):
    """The sum of squared deviations from the mean, not divided by anything (Welford 1962)."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.mse: Tensor | None = None

    def needs(self) -> tuple[Stat, ...]:
        """The mean."""
        return (Mean(),)

    def update(self, x: Tensor) -> None:
        """Add the deviation of ``x``, measured from the means before and after it came."""
        mean = self._get_stat(Mean())
        after = mean.rolling_mean
        assert after is not None
        if self.mse is None or mean.before is None:
            self.mse = torch.zeros_like(after)
        else:
            x = _floating(x)
            self.mse = self.mse + times(x - mean.before, x - after)

    def get(self) -> Tensor | None:
        """The sum of squares."""
        return self.mse


class Var(Stat):
    """The variance: squared deviations divided by the number of tensors minus ``order``.

    It stays in the tensors' own type (Captum's is always float64, which some devices do not have). With too few tensors
    it is 0.

    Args:
        name: its key in summaries: by default ``"variance"``, or ``"sample_variance"`` for order 1.
        order: 0 (default) for the variance of these very tensors, 1 to estimate that of where they came from.
    """

    def __init__(self, name: str | None = None, order: int = 0) -> None:
        super().__init__(name or _ordered("variance", order), order=order)
        self.order = order

    def needs(self) -> tuple[Stat, ...]:
        """The sum of squares, and the number of tensors."""
        return MSE(), Count()

    def update(self, x: Tensor) -> None:
        """Nothing: it is worked out when asked for."""

    def get(self) -> Tensor | None:
        """The variance."""
        squares, n = self._get_stat(MSE()).get(), self._get_stat(Count()).get()
        if squares is None or n is None:
            return None
        return squares / (n - self.order) if n > self.order else torch.zeros_like(squares)


class StdDev(Stat):
    """The standard deviation.

    Args:
        name: its key in summaries: by default ``"std_dev"``, or ``"sample_std_dev"`` for order 1.
        order: as for :class:`Var`.
    """

    def __init__(self, name: str | None = None, order: int = 0) -> None:
        super().__init__(name or _ordered("std_dev", order), order=order)
        self.order = order

    def needs(self) -> tuple[Stat, ...]:
        """The variance."""
        return (Var(order=self.order),)

    def update(self, x: Tensor) -> None:
        """Nothing: it is worked out when asked for."""

    def get(self) -> Tensor | None:
        """The standard deviation."""
        variance = self._get_stat(Var(order=self.order)).get()
        if variance is None or not variance.is_complex():
            return None if variance is None else variance.sqrt()
        return as_complex(as_real(variance).sqrt())


class GeneralAccumFn(Stat):
    """``result = fn(result, x)`` for each tensor.

    Args:
        fn: combines what came before with a new tensor.
        name: its key in summaries.
    """

    def __init__(self, fn: Callable[[Tensor, Tensor], Tensor], name: str | None = None) -> None:
        super().__init__(name)
        self.fn = fn
        self.result: Tensor | None = None

    def update(self, x: Tensor) -> None:
        """Combine."""
        self.result = x.clone() if self.result is None else self.fn(self.result, x)

    def get(self) -> Tensor | None:
        """The result."""
        return self.result

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and isinstance(other, GeneralAccumFn) and self.fn == other.fn

    __hash__ = Stat.__hash__


class Min(GeneralAccumFn):
    """The smallest value of each element.

    Args:
        name: its key in summaries, by default ``"min"``.
        min_fn: the smaller of two tensors, element by element.
    """

    def __init__(
        self, name: str | None = None, min_fn: Callable[[Tensor, Tensor], Tensor] = torch.min
    ) -> None:
        super().__init__(min_fn, name)


class Max(GeneralAccumFn):
    """The largest value of each element.

    Args:
        name: its key in summaries, by default ``"max"``.
        max_fn: the larger of two tensors, element by element.
    """

    def __init__(
        self, name: str | None = None, max_fn: Callable[[Tensor, Tensor], Tensor] = torch.max
    ) -> None:
        super().__init__(max_fn, name)


class Sum(GeneralAccumFn):
    """The sum of each element, of half-precision tensors in float32.

    Args:
        name: its key in summaries, by default ``"sum"``.
        add_fn: the sum of two tensors, element by element.
    """

    def __init__(
        self, name: str | None = None, add_fn: Callable[[Tensor, Tensor], Tensor] = torch.add
    ) -> None:
        super().__init__(add_fn, name)

    def update(self, x: Tensor) -> None:
        """Add."""
        super().update(x.to(accumulation_dtype(x.dtype)))


def CommonStats() -> list[Stat]:
    """Mean, sample variance, sample standard deviation, minimum and maximum."""
    return [Mean(), Var(order=1), StdDev(order=1), Min(), Max()]


def _ordered(name: str, order: int) -> str:
    return {0: name, 1: f"sample_{name}"}.get(order, f"{name}({order})")


def _floating(x: Tensor) -> Tensor:
    if x.is_floating_point() or x.is_complex():
        return x.to(accumulation_dtype(x.dtype))
    return x.to(torch.float32 if x.device.type == "mps" else torch.float64)
