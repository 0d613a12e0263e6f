"""Modules that TorchScript runs: their layers take no hooks, so nothing can be read or put there."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from attriscope.core.errors import LayerError


def refuse_scripted(model: Any, layer: nn.Module) -> None:
    """Refuse a scripted or traced layer, but for one that was traced and is called as a whole.

    Raises:
        LayerError: nothing can be read there.
    """
    if isinstance(layer, torch.jit._trace.TracedModule):
        modules = model.modules() if isinstance(model, nn.Module) else ()
        around = [m for m in modules if isinstance(m, torch.jit.ScriptModule) and m is not layer]
        if not any(layer in set(m.modules()) for m in around):
            return
    name = getattr(layer, "original_name", type(layer).__name__)
    raise LayerError(
        f"the layer {name} is scripted, or part of a module that is scripted or traced, and shows nothing of what "
        "passes there: explain the model that was scripted, or its inputs"
    )
