"""The baselines that there are to choose from, and a person's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from attriscope.core.inputs import Examples, resolve_baselines
from attriscope.widget.messages.types import BaselineInfo
from attriscope.widget.methods.labels import OWN_BASELINE, OWN_BASELINE_LABEL


def custom_baseline(value: Any, examples: Examples) -> Tensor:
    """The user's own baseline, checked: a copy that broadcasts against the examples."""
    (found,) = resolve_baselines(value, examples)
    return found.clone()


def baseline_infos(labels: Mapping[str, str], custom: bool) -> list[BaselineInfo]:
    """The baselines to choose from, by their names; with the user's own if there is one."""
    offered: list[BaselineInfo] = [{"name": name, "label": label} for name, label in labels.items()]
    return [*offered, {"name": OWN_BASELINE, "label": OWN_BASELINE_LABEL}] if custom else offered
