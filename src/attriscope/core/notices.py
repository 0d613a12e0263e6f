"""What a person is told without being stopped: warnings that point at the line which called this library."""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from torch import nn

from attriscope.core.errors import TrainingModeWarning
from attriscope.core.hooks import module_of

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
# What these do in training mode depends on chance or on the other rows of the batch.
_CHANGED_BY_TRAINING = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.dropout._DropoutNd,
    nn.RReLU,
)


_told: contextvars.ContextVar[set[type[Warning]] | None] = contextvars.ContextVar(
    "attriscope_told", default=None
)


@contextlib.contextmanager
def once(told: set[type[Warning]]) -> Iterator[None]:
    """What is told inside the block is told once for each kind, and not if that is in ``told``; then it is.

    For a call that is made of many calls of a method.
    """
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


def tell(message: str, category: type[Warning]) -> None:
    """Warn, as of the nearest line outside this package: where Python shows a warning once, that is once for a line."""
    told = _told.get()
    if told is not None and category is not UserWarning:
        if category in told:
            return
        told.add(category)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def training_modules(model: Any) -> list[nn.Module]:
    """The modules of a model that behave otherwise because they are in training mode."""
    model = module_of(model)
    if not isinstance(model, nn.Module):
        return []
    return [module for module in model.modules() if getattr(module, "training", False) and _changed(module)]


def _changed(module: nn.Module) -> bool:
    if isinstance(module, nn.MultiheadAttention):
        return module.dropout > 0
    if isinstance(module, nn.RNNBase):
        return module.dropout > 0 and module.num_layers > 1
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    if isinstance(module, nn.modules.instancenorm._InstanceNorm):
        return module.track_running_stats
    return isinstance(module, _CHANGED_BY_TRAINING)


def tell_of_training(model: Any) -> None:
    """Say that a model is in training mode, where that makes a difference."""
    if words := of_training(model):
        tell(words, TrainingModeWarning)


def of_training(model: Any) -> str:
    """What to say of a model in training mode; empty where that makes no difference."""
    found = training_modules(model)
    if not found:
        return ""
    kinds = ", ".join(dict.fromkeys(type(module).__name__ for module in found))
    return (
        f"the model is explained in training mode, which changes what {kinds} {'do' if ',' in kinds else 'does'}: "
        "call model.eval() first, unless that is what you want to explain"
    )
