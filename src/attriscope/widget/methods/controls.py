"""Explanations that know nothing of the model: what a method must be better than.

They can be compared with (:mod:`~attriscope.widget.jobs.comparison`), but not selected.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from attriscope import metrics

CONTROLS: dict[str, tuple[str, Callable[..., Tensor]]] = {
    "random": ("Random numbers", metrics.random_attribution),
    "edges": ("Edges of the picture", metrics.edge_detector),
}
"""By name: what people call it, and what makes it."""


def controls_for(inputs: Tensor) -> tuple[str, ...]:
    """The names of those that there are for inputs (N, ...): only pictures have edges."""
    return tuple(CONTROLS) if inputs.dim() == 4 else ("random",)
