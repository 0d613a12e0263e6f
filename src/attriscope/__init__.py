"""attriscope explains PyTorch models inside a notebook.

The names below are loaded when they are first used: importing the package is cheap, and matplotlib and ipywidgets come
only with what needs them.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attriscope import attr as attr
    from attriscope import metrics as metrics
    from attriscope import plots as plots
    from attriscope import zoo as zoo
    from attriscope.core.errors import Cancelled as Cancelled
    from attriscope.core.errors import ConvergenceWarning as ConvergenceWarning
    from attriscope.core.errors import RowDependenceWarning as RowDependenceWarning
    from attriscope.core.errors import TrainingModeWarning as TrainingModeWarning
    from attriscope.core.estimate import Estimate as Estimate
    from attriscope.core.layer_map import LayerInfo as LayerInfo
    from attriscope.core.layer_map import LayerMap as LayerMap
    from attriscope.core.layer_map import layers as layers
    from attriscope.core.progress import control as control
    from attriscope.core.switching import switched_off as switched_off
    from attriscope.widget import ChannelGrid as ChannelGrid
    from attriscope.widget import Explorer as Explorer
    from attriscope.widget import LayerPicker as LayerPicker
    from attriscope.widget import Overlay as Overlay
    from attriscope.widget import PathWalk as PathWalk
    from attriscope.widget import Predictions as Predictions
    from attriscope.widget import Story as Story

_HOME = {
    "Cancelled": "attriscope.core.errors",
    "ConvergenceWarning": "attriscope.core.errors",
    "RowDependenceWarning": "attriscope.core.errors",
    "TrainingModeWarning": "attriscope.core.errors",
    "Estimate": "attriscope.core.estimate",
    "LayerInfo": "attriscope.core.layer_map",
    "LayerMap": "attriscope.core.layer_map",
    "layers": "attriscope.core.layer_map",
    "control": "attriscope.core.progress",
    "switched_off": "attriscope.core.switching",
    "ChannelGrid": "attriscope.widget",
    "Explorer": "attriscope.widget",
    "LayerPicker": "attriscope.widget",
    "Overlay": "attriscope.widget",
    "PathWalk": "attriscope.widget",
    "Predictions": "attriscope.widget",
    "Story": "attriscope.widget",
}
_MODULES = ("attr", "metrics", "plots", "zoo")

__all__ = ["__version__", *_HOME, *_MODULES]
try:
    __version__ = importlib.metadata.version("attriscope")
except importlib.metadata.PackageNotFoundError:  # used from a source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"attriscope.{name}")
    raise AttributeError(f"module 'attriscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
