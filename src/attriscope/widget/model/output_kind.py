"""What the numbers are that a model gives: looked for in the numbers, and in what the model ends with.

Regressions and classifiers cannot always be told apart by what they give; so what was found is said on the page, and
can be changed there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from attriscope.core.errors import TargetError
from attriscope.core.passes import one_pass
from attriscope.core.target import scores_in
from attriscope.widget.messages.predictions import Outputs
from attriscope.widget.messages.types import Output, OutputKind

# From so many outputs on, logits that all lie between 0 and 1 are no chance any more.
_MANY = 5
# Logits of classifiers do not reach this far from zero.
_FAR = 100.0


def scores_of(output: Any) -> Tensor | None:
    """What a model says of one example: a number, or a row of scores, (C,) or (1, C); ``None`` if it is neither."""
    try:
        scores = scores_in(output)
    except TargetError:  # several tensors, of which a function picks
        return None
    if scores.dim() > 2 or (scores.dim() == 2 and len(scores) != 1) or scores.is_complex():
        return None
    return scores.detach().float() if scores.dtype == torch.bool else scores.detach()


def outputs_of(scores: Tensor, said: Output, binary: bool, ends_with_sigmoid: Callable[[], bool]) -> Outputs:
    """What the scores (C,) of one example are.

    Args:
        scores: what the model gives.
        said: what a person says they are; ``"auto"`` to find out.
        binary: whether there are names for two classes.
        ends_with_sigmoid: looks whether the model's last operation is a sigmoid.
    """
    shares, one = _are_shares(scores), len(scores) == 1
    if said == "sigmoid" and shares:  # by chance, perhaps, and of another example not
        shares = len(scores) >= _MANY or ends_with_sigmoid()
    kind = _found(scores, shares, binary, ends_with_sigmoid) if said == "auto" else said
    return Outputs(kind, shares, one)


def _are_shares(scores: Tensor) -> bool:
    return bool(((scores >= 0) & (scores <= 1)).all())


def _found(scores: Tensor, shares: bool, binary: bool, ends_with_sigmoid: Callable[[], bool]) -> OutputKind:
    count = len(scores)
    if not bool(scores.isfinite().all()):
        return "values"
    if shares:
        if count > 1 and abs(float(scores.double().sum()) - 1) < 1e-3:
            return "probabilities"
        if count >= _MANY or ends_with_sigmoid():
            return "sigmoid"
    if count == 1:
        return "logits" if binary else "values"
    return "values" if float(scores.abs().max()) > _FAR else "logits"


def ends_with_sigmoid(model: Any, forward: Callable[[], Any]) -> bool:
    """Whether the scores are what a sigmoid gave; a pass through the model, which is left as it was."""
    watch = _Sigmoids()
    with one_pass(model, False), watch:
        scores = scores_in(forward())
    return watch.latest is not None and watch.latest == _memory(scores)


_SIGMOIDS = (
    torch.ops.aten.sigmoid,
    torch.ops.aten.sigmoid_,
    torch.ops.aten.hardsigmoid,
    torch.ops.aten.hardsigmoid_,
)


class _Sigmoids(TorchDispatchMode):
    """Notes where the latest sigmoid put its result."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: tuple[int, int] | None = None
        self._kept: Any = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in _SIGMOIDS:
            # Kept, so that its memory is not used for something else.
            self.latest, self._kept = _memory(result), result
        return result


def _memory(tensor: Tensor) -> tuple[int, int]:
    return tensor.untyped_storage().data_ptr(), tensor.numel()
