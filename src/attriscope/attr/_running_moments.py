"""Means and spreads of samples that come in batches, kept without cancellation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attriscope.attr._sums import accumulation_dtype
from attriscope.core.complex_parts import as_complex, as_real

FEWEST_SAMPLES = 4  # samples that tell a standard error
_BELIEF = 20  # samples that would have to speak against normal tails to be believed as much


class RunningMoments:
    """Mean and central sums of powers of each element over samples.

    Batches are merged as in Chan et al. 1979 and Pébay 2008: what is subtracted is never close to what it is
    subtracted from, as it is in the mean of squares minus the square of the mean.

    Args:
        order: 2 for means and variances, 4 also for the error of variances.
    """

    def __init__(self, order: int = 2) -> None:
        self.order = order
        self.count = 0
        self._complex = False
        self._mean: Tensor | None = None
        self.sums: list[Tensor] = []  # of the powers 2, 3, ... of the deviations from the mean

    def add(self, values: Tensor, dimension: int = 0) -> None:
        """Take note of a batch, whose samples ``dimension`` counts."""
        self._complex = values.is_complex()
        values = as_real(widened(values))
        batch = values.shape[dimension]
        first = values.select(dimension, 0)
        if batch == 1:
            mean, sums = first.clone(), [torch.zeros_like(first) for _ in range(2, self.order + 1)]
        else:
            # Measured from the first sample, equal samples have no variance to the last bit, and what is taken off
            # the sum of squares is at most ``batch`` times what stays.
            deviations = values - first.unsqueeze(dimension)
            offset = deviations.mean(dimension)
            mean = first + offset
            if self.order == 2:
                squares = offset.square() * batch
                sums = [(deviations.square_().sum(dimension) - squares).clamp_(min=0)]
            else:
                squares = deviations.sub_(offset.unsqueeze(dimension)).square()
                sums = [squares.sum(dimension)]
                sums += [deviations.mul_(squares).sum(dimension), squares.square_().sum(dimension)]
        if self._mean is None:
            self._mean, self.sums = mean, sums
        else:
            self._merge(batch, mean, sums)
        self.count += batch

    def _merge(self, b: int, mean: Tensor, other: Sequence[Tensor]) -> None:
        assert self._mean is not None
        a, n = self.count, self.count + b
        d = mean - self._mean
        if self.order > 2:
            second, third, fourth = self.sums
            second_b, third_b, fourth_b = other
            fourth += fourth_b + d**4 * (a * b * (a * a - a * b + b * b) / n**3)
            fourth += d**2 * (6 / n**2) * (a * a * second_b + b * b * second)
            fourth += d * (4 / n) * (a * third_b - b * third)
            third += third_b + d**3 * (a * b * (a - b) / n**2) + d * (3 / n) * (a * second_b - b * second)
        self.sums[0] += other[0] + d.square() * (a * b / n)
        self._mean += d * (b / n)

    @property
    def mean(self) -> Tensor | None:
        """The mean so far; ``None`` without samples."""
        return None if self._mean is None else self.formed(self._mean)

    def variance(self) -> Tensor:
        """The mean squared deviation from the mean (over n, not n - 1)."""
        return self.formed(self.sums[0] / self.count)

    def error_of_mean(self) -> Tensor:
        """The standard error of :attr:`mean`; needs :data:`FEWEST_SAMPLES` samples.

        Of normal samples, it is the standard deviation of Student's distribution, so that few samples are not taken for
        sure because they happen to lie close together.
        """
        return self.formed((self.sums[0] / (self.count - 3) / self.count).sqrt())

    def error_of_variance(self) -> Tensor:
        """The standard error of :meth:`variance`; needs :data:`FEWEST_SAMPLES` samples and order 4.

        Few samples hardly ever show how long their distribution's tails are. So where these seem to be shorter than
        normal ones, something between the two is taken, the more samples the less; and it is widened as for the mean.
        """
        n = self.count
        second, _, fourth = self.sums
        square = (second / (n - 1)).square()
        # The fourth moment comes out too small by what the mean was fitted to the same samples.
        kurtic = fourth / n * (n / (n - 1)) ** 2
        found = (kurtic - square * ((n - 3) / (n - 1))) / n
        short = (square * (2 / (n - 1)) - found).clamp(min=0)
        found += short * (_BELIEF / (n + _BELIEF))
        return self.formed((found * ((n - 1) / (n - 3))).clamp(min=0).sqrt())

    def formed(self, found: Tensor) -> Tensor:
        """What was found, of the type of the samples: both parts of complex ones are samples of their own."""
        return as_complex(found) if self._complex else found


def widened(values: Tensor) -> Tensor:
    """The values in the type in which sums of them are kept."""
    if values.is_floating_point() or values.is_complex():
        return values.to(accumulation_dtype(values.dtype))
    return values.to(torch.get_default_dtype())
