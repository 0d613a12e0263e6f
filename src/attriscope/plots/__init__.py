"""Plots of attributions, metrics and curves, on plain tensors, arrays and sequences.

=====================  ===========================================================================
:func:`bars`           signed bars for named features, the largest first
:func:`comparison`     a grid of pictures by methods, on one scale if asked for
:func:`curves`         deletion and insertion curves with their areas
:func:`depth`          one number or distribution per layer of a network
:func:`dots`           numbers with errors, a panel for each metric
:func:`path`           the model's output on the way from baseline to input
:func:`tokens`         words on coloured ground; :func:`tokens_html` for pages
:func:`waterfall`      from f(baseline) to f(input), feature by feature
=====================  ===========================================================================

Each takes ``ax=`` (``comparison`` and ``dots``: ``axes=``) and returns the axes it drew on. Without it, a new figure is
made with pyplot, which notebooks show by themselves. Nothing of pyplot is touched with it, or with
``use_pyplot=False``: then the new figure shows itself where a cell ends with it (``plots.bars(...).figure``). The
colours of axes and texts are those of the style, so that light and dark ones work. Texts are taken literally: ``$``
begins no mathematics.

The functions are loaded when they are first used, as they need matplotlib (all but :func:`tokens_html`). Results of
:mod:`attriscope.metrics` draw themselves with them; heat maps in the ways of Captum are in
:mod:`attriscope.attr.visualization`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attriscope.plots._comparison import comparison as comparison
    from attriscope.plots._curves import curves as curves
    from attriscope.plots._curves import path as path
    from attriscope.plots._dots import dots as dots
    from attriscope.plots._feature_bars import bars as bars
    from attriscope.plots._feature_bars import waterfall as waterfall
    from attriscope.plots._layer_profile import depth as depth
    from attriscope.plots._tokens_figure import tokens as tokens
    from attriscope.plots._tokens_html import tokens_html as tokens_html

_HOME = {
    "bars": "_feature_bars",
    "comparison": "_comparison",
    "curves": "_curves",
    "depth": "_layer_profile",
    "dots": "_dots",
    "path": "_curves",
    "tokens": "_tokens_figure",
    "tokens_html": "_tokens_html",
    "waterfall": "_feature_bars",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"attriscope.plots.{_HOME[name]}"), name)
    raise AttributeError(f"module 'attriscope.plots' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
