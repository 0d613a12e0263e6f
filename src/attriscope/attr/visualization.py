"""Figures of attributions: images, time series, text.

Names, signatures and returned values are Captum's; the arrays drawn are normalized as Captum's are. Different on
purpose: colour bars have the units of the attributions and show where values were clipped, maps with nothing to draw
stay empty and say so, grey and standardized images are drawn as they look, and text of the user is escaped.

Loaded when it is first used, as it needs matplotlib.
"""

from attriscope._drawing.images import (
    ImageVisualizationMethod,
    visualize_image_attr,
    visualize_image_attr_multiple,
)
from attriscope._drawing.masks import draw_mask_border, draw_mask_legend
from attriscope._drawing.scales import VisualizeSign
from attriscope._drawing.series import TimeseriesVisualizationMethod, visualize_timeseries_attr
from attriscope._drawing.text import (
    VisualizationDataRecord,
    format_classname,
    format_special_tokens,
    format_tooltip,
    format_word_importances,
    visualize_text,
)

__all__ = [
    "ImageVisualizationMethod",
    "TimeseriesVisualizationMethod",
    "VisualizationDataRecord",
    "VisualizeSign",
    "draw_mask_border",
    "draw_mask_legend",
    "format_classname",
    "format_special_tokens",
    "format_tooltip",
    "format_word_importances",
    "visualize_image_attr",
    "visualize_image_attr_multiple",
    "visualize_text",
    "visualize_timeseries_attr",
]
