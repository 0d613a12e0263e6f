"""What a model keeps of its first pass, such as masks or positions in the shape of that batch.

The first batch that this library sends through a model may be larger than those of its owner. What the model keeps of
it would not fit them, so it is dropped again.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from attriscope.core.hooks import module_of


class FirstPass:
    """Modules as they were before a pass."""

    def __init__(self, model: Any) -> None:
        model = module_of(model)
        modules = model.modules() if isinstance(model, nn.Module) else ()
        self._before = [(module, dict(module.__dict__)) for module in modules]

    def forget(self) -> None:
        """Put attributes back that were ``None``, or not there, and are tensors now."""
        for module, before in self._before:
            for name, value in list(module.__dict__.items()):
                if isinstance(value, Tensor) and before.get(name) is None:
                    if name in before:
                        module.__dict__[name] = None
                    else:
                        del module.__dict__[name]
