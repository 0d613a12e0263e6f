"""Do the attributions along a path add up to the change of the output? If not by far, the caller is told.

That needs f at both ends of the path. The points of the path come close to them, so f is carried on from there; only if
there seems to be a gap, or if f stands still on the path, as behind a normalisation, the very ends are looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._sums import excess
from attriscope.attr.quadrature import Quadrature
from attriscope.core.errors import ConvergenceWarning
from attriscope.core.inputs import Examples
from attriscope.core.notices import tell
from attriscope.core.progress import current
from attriscope.core.row_dependence import Units, unchanged_random_state

LARGE = 0.1
"""The share of the range of f on the path from which on a gap is told."""
_FEW = 512  # numbers that are looked at one by one
_STILL = 1e-5  # the share of f that f must at least move by to be taken at its word
_ROUNDING = 100  # units in the last place of f that are no gap
_CANCEL = 0.01  # the share of gaps that is left of them in the sum, where rows depend on each other

Ends = tuple[Tensor, Tensor]


def gap_to_tell(
    method: Any,
    examples: Examples,
    rule: Quadrature,
    sums: Tensor,
    f: Tensor,
    exact: Callable[[], Ends],
) -> str | None:
    """Warn if attributions miss ``f(inputs) - f(baselines)`` by more than a tenth of the range of f on the path.

    Args:
        method: the method.
        examples: what it explains.
        rule: where the points on the path are.
        sums: of the attributions of each example, (N,).
        f: at these points, (points, N), or (points, 1) where the whole batch has one number.
        exact: gives f at the very ends.

    Returns:
        The warning, ``None`` if there is none.
    """
    f = f.detach()
    if f.is_meta or not f.is_floating_point() or not _seems(rule, sums, f):
        return None
    with unchanged_random_state(f.device):
        start, end = exact()
    gap = excess(sums, end.to(sums.dtype) - start.to(sums.dtype))
    declared = current().independent_rows is False or Units(method.forward_func, examples).unit == "step"
    if declared or (len(gap) > 1 and bool(gap.sum().abs() <= _CANCEL * gap.abs().sum())):
        # What belongs to an example is its effect on all outputs, so only all together add up.
        sums, f, start, end = sums.sum(0, True), f.sum(1, True), start.sum(0, True), end.sum(0, True)
    return _told(method.get_name(), len(rule.nodes), sums, f, (start, end))


def _seems(rule: Quadrature, sums: Tensor, f: Tensor) -> bool:
    """Whether there may be a gap, as far as can be seen from the points on the path."""
    if f.numel() <= _FEW:  # each operation of torch takes longer than this
        totals = sums.tolist() if len(sums) == f.shape[1] else [sums.sum().item()]
        for values, total in zip(zip(*f.tolist(), strict=True), totals, strict=True):
            low, high = min(values), max(values)
            for node, weight in rule.ends:
                total -= weight * values[node]
            if abs(total) - LARGE * (high - low) + _STILL * abs(high) >= 0:
                return True
        return False
    wide = f.to(sums.dtype)
    lowest, highest = wide.aminmax(dim=0)
    change = sum((weight * wide[node] for node, weight in rule.ends), torch.zeros_like(lowest))
    slack = torch.sub(excess(sums, change).abs(), highest - lowest, alpha=LARGE)
    return float(slack.add_(highest.abs(), alpha=_STILL).max()) >= 0


def _told(name: str, steps: int, sums: Tensor, f: Tensor, ends: Ends) -> str | None:
    """Warn of sums that miss the difference of f at the very ends."""
    floor = _ROUNDING * torch.finfo(f.dtype).eps
    low, high = torch.cat([f, torch.stack(ends)]).to(sums.dtype).aminmax(dim=0)
    gap = excess(sums, ends[1].to(sums.dtype) - ends[0].to(sums.dtype)).abs()
    wrong = gap > LARGE * (high - low) + floor * torch.maximum(low.abs(), high.abs())
    if not bool(wrong.any()):
        return None
    worst = int(torch.where(wrong, gap, 0).argmax())
    message = (
        f"the attributions of {name} for {int(wrong.sum())} of {len(wrong)} output(s) do not add up to f(inputs) - "
        f"f(baselines): they miss it by up to {float(gap[worst]):.3g}, where f has a range of "
        f"{float((high - low)[worst]):.3g} on the path. More steps than n_steps={steps} help where f bends or jumps on "
        "the way, and another baseline where f jumps at the baseline, as it does if the model normalises its input; "
        "return_convergence_delta=True gives each gap"
    )
    tell(message, ConvergenceWarning)
    return message
