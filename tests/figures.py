"""Arrays to draw, and what can be read off a figure, for tests of figures."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attriscope.attr import visualization as viz

RNG = np.random.default_rng(0)


ATTR = RNG.normal(size=(12, 10, 3)) ** 3


IMAGE = RNG.random((12, 10, 3))


SERIES = RNG.normal(size=(2, 20, 3))


IMAGE_METHODS = [method.name for method in viz.ImageVisualizationMethod]


SERIES_METHODS = [method.name for method in viz.TimeseriesVisualizationMethod]


SIGNS = [sign.name for sign in viz.VisualizeSign]


def image_attr(*arguments: Any, **options: Any) -> tuple[Figure, Any]:
    figure, axes = viz.visualize_image_attr(*arguments, use_pyplot=False, **options)
    figure.canvas.draw()
    return figure, axes


def series_attr(*arguments: Any, **options: Any) -> tuple[Figure, Any]:
    figure, axes = viz.visualize_timeseries_attr(*arguments, use_pyplot=False, **options)
    figure.canvas.draw()
    return figure, axes


def drawn(axes: Any) -> Any:
    return np.asarray(axes.images[-1].get_array())


def bar_of(figure: Figure) -> Any:
    return figure.axes[-1]


def ticks(bar: Any) -> tuple[list[float], list[float]]:
    """Where the ticks are, and the numbers at them."""
    texts = [label.get_text().replace("\N{MINUS SIGN}", "-") for label in bar.get_xticklabels()]
    return [float(x) for x in bar.get_xticks()], [float(text) for text in texts]


def notes(axes: Any) -> str:
    return "\n".join(text.get_text() for text in axes.texts)
