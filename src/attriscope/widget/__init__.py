"""The Explorer and its parts: what a person sees and clicks in a notebook."""

from __future__ import annotations

from attriscope.widget.explorer import Explorer
from attriscope.widget.export.story import Story
from attriscope.widget.stages.drawn import DrawnStage
from attriscope.widget.views import ChannelGrid, LayerPicker, Overlay, PathWalk, Predictions

__all__ = [
    "ChannelGrid",
    "DrawnStage",
    "Explorer",
    "LayerPicker",
    "Overlay",
    "PathWalk",
    "Predictions",
    "Story",
]
