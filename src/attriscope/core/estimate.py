"""Results that improve while they are computed.

A method yields a :class:`PartialResult` after each batch; whoever asks for it gets it worked out, as an
:class:`Estimate`. :func:`attriscope.attr.streaming` says how a method of one's own does that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from torch import Tensor
from torch.utils._pytree import tree_flatten

from attriscope.core.complex_parts import as_real
from attriscope.core.frames import numbers_in
from attriscope.core.inputs import TensorOrTuple

R = TypeVar("R", covariant=True)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What is known about the attributions after some evaluations.

    Attributes:
        attributions: in the form of ``attribute``'s result.
        delta: the sum of the attributions minus what it should be, of shape (N,); ``None`` for methods that
            promise no sum.
        error: the standard error of each attribution, in the form of ``attributions``; ``None`` where the method has
            no such estimate.
        evaluations: how many rows went through the model.
        stopped: why it ended: ``"complete"`` or ``"tolerance"``; ``None`` while it goes on.
        gap: what is judged where the delta does not say how good the estimate is, of shape (N,): for sensitivities
            (``multiply_by_inputs=False``) the delta of the contributions; else ``None``.
        warning: what speaks against the attributions, in words, as it was told; ``None`` if nothing does.
    """

    attributions: Any
    delta: Tensor | None = None
    error: TensorOrTuple | None = None
    evaluations: int = 0
    stopped: str | None = None
    gap: Tensor | None = None
    warning: str | None = None

    @property
    def inaccuracy(self) -> Tensor | None:
        """One number that ``tolerance`` is compared with: the largest error, else the largest ``|gap|`` or
        ``|delta|``."""
        if self.error is not None:
            leaves = map(numbers_in, tree_flatten(self.error)[0])
            errors = [e for e in leaves if isinstance(e, Tensor)]
            return max((as_real(e).abs().max() for e in errors), key=float)
        delta = self.delta if self.gap is None else self.gap
        return None if delta is None else delta.abs().max()


@dataclasses.dataclass(frozen=True)
class PartialResult(Generic[R]):
    """What a method yields: how to work the estimate out, should anybody ask before it goes on.

    ``attribute`` asks only at the end, so a method may yield after every batch at no cost. The parameter in
    ``PartialResult[Tensor]`` is what ``attribute`` returns.

    Attributes:
        attributions: works the attributions out from what is known so far.
        delta: works out what they sum to minus what they should, of shape (N,); ``None`` for methods that promise no
            sum.
        error: works out the standard error of each attribution; ``None`` where there is no such estimate (yet).
        evaluations: how many rows went through the model so far.
        gap: works :attr:`Estimate.gap` out, where that is not the delta.
        warning: gives what was told of the attributions.
    """

    attributions: Callable[[], Any]
    delta: Callable[[], Tensor] | None = None
    error: Callable[[], TensorOrTuple] | None = None
    evaluations: int = 0
    gap: Callable[[], Tensor] | None = None
    warning: Callable[[], str | None] | None = None

    def estimate(self, stopped: str | None = None) -> Estimate:
        """Work the estimate out."""
        return Estimate(
            self.attributions(),
            None if self.delta is None else self.delta(),
            None if self.error is None else self.error(),
            self.evaluations,
            stopped,
            None if self.gap is None else self.gap(),
            None if self.warning is None else self.warning(),
        )
