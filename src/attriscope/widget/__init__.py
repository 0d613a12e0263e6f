"""The Explorer and its parts: what a person sees and clicks in a notebook."""

from __future__ import annotations

from attriscope.widget.explorer import Explorer
from attriscope.widget.parts import Overlay, PathWalk, Predictions
from attriscope.widget.pickers import ChannelGrid, LayerPicker

__all__ = ["ChannelGrid", "Explorer", "LayerPicker", "Overlay", "PathWalk", "Predictions"]
