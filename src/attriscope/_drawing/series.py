"""Attributions of time series, under Captum's names."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.dates import ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import ArrayLike, NDArray

from attriscope._drawing import drawing
from attriscope._drawing.scales import Floats, VisualizeSign, as_array, member, scale
from attriscope.core.errors import InputError


class TimeseriesVisualizationMethod(Enum):
    """How :func:`visualize_timeseries_attr` draws; it takes the name or the member."""

    overlay_individual = 1
    overlay_combined = 2
    colored_graph = 3


Method = TimeseriesVisualizationMethod


def visualize_timeseries_attr(
    attr: ArrayLike,
    data: ArrayLike,
    x_values: ArrayLike | None = None,
    method: str = "overlay_individual",
    sign: str = "absolute_value",
    channel_labels: list[str] | None = None,
    channels_last: bool = True,
    plt_fig_axis: tuple[Figure, Axes | Sequence[Axes] | NDArray[Any]] | None = None,
    outlier_perc: int | float = 2,
    cmap: str | Colormap | None = None,
    alpha_overlay: float = 0.7,
    show_colorbar: bool = False,
    title: str | None = None,
    fig_size: tuple[int, int] = (6, 6),
    use_pyplot: bool = True,
    **pyplot_kwargs: Any,
) -> tuple[Figure, Axes | Sequence[Axes] | NDArray[Any]]:
    """Draw the attributions of one time series.

    Scale, signs and colour bar are those of :func:`visualize_image_attr`; all channels share one scale.

    Args:
        attr: shape (N, C), or (C, N) with ``channels_last=False``; an array or a tensor on any device.
        data: the series, of the same shape.
        x_values: shape (N,), numbers or ``datetime64``; 0 to N-1 by default. Each attribution colours the stretch up
            to half of the way to its neighbours, whatever the distances (Captum takes the first for all).
        method: ``"overlay_individual"``, a panel per channel on its attributions; ``"overlay_combined"``, all channels
            on the mean of theirs; ``"colored_graph"``, a panel per channel with the graph in the colours (its last
            point as well).
        sign: ``"absolute_value"``, ``"positive"``, ``"negative"`` or ``"all"``.
        channel_labels: one name per channel.
        channels_last: whether shapes are (N, C).
        plt_fig_axis: a figure with axes to draw on: one per panel.
        outlier_perc: percent, as for :func:`visualize_image_attr`.
        cmap: a colour map of matplotlib or its name.
        alpha_overlay: opacity of the colours behind the graphs on white, 0 to 1.
        show_colorbar: add a colour bar below all panels.
        title: above the first panel.
        fig_size: width and height of a new figure in inches.
        use_pyplot: make the figure with pyplot and show it. ``False`` touches nothing of pyplot.
        **pyplot_kwargs: for the graphs, such as ``linewidth=3`` or ``color="black"`` (the default over colours).

    Returns:
        The figure and its axes: an array of them, or the axes alone if there is one panel; those of ``plt_fig_axis``
        as they came.

    Raises:
        InputError: (an ``AssertionError`` and ``ValueError``) an unknown method or sign (also a ``KeyError``), shapes
            that do not fit each other, or an ``outlier_perc`` out of range.
    """
    how, chosen = member(Method, method, "method"), member(VisualizeSign, sign, "sign")
    values, curves = _channels(attr, data, channels_last)
    points, channels = curves.shape
    labels = _labels(channel_labels, channels)
    x, is_date = _positions(x_values, points)
    if how is Method.overlay_combined:
        values = values.mean(axis=1, keepdims=True)
    scaled = scale(values, chosen, outlier_perc)
    panels = values.shape[1]
    colors = drawing.default_cmap(chosen) if cmap is None else cmap
    if how is not Method.colored_graph:
        colors = drawing.on_white(colors, alpha_overlay)
    style: dict[str, Any] = {"cmap": colors, "norm": Normalize(scaled.lowest, 1.0)}

    if plt_fig_axis is not None and np.size(np.asarray(plt_fig_axis[1], dtype=object)) < panels:
        raise InputError(f"{how.name} of {channels} channels needs {panels} axes; plt_fig_axis has fewer")

    grid = {"nrows": panels, "sharex": True, "gridspec_kw": {"hspace": 0.08}}
    with drawing.figure_for(plt_fig_axis, fig_size, use_pyplot, **grid) as (figure, result):
        axes = list(np.ravel(np.asarray(result, dtype=object)))[:panels]
        for i, panel in enumerate(axes):
            if how is Method.colored_graph:
                _colored_graph(panel, x, curves[:, i], scaled.values[:, i], style, pyplot_kwargs)
                if cmap is None:
                    panel.set_facecolor("white")  # the default colours are made for it
            else:
                shown = slice(None) if how is Method.overlay_combined else slice(i, i + 1)
                lines = _graphs(panel, x, curves[:, shown], pyplot_kwargs)
                _behind(panel, x, scaled.values[:, i], style)
            if labels and how is Method.overlay_combined:
                drawing.legend(panel, lines, labels)
            elif labels:
                panel.set_ylabel(labels[i], parse_math=False)
            if is_date:
                panel.xaxis_date()
                panel.xaxis.set_major_formatter(ConciseDateFormatter(panel.xaxis.get_major_locator()))
        drawing.set_titles(axes[:1], [title])
        width = drawing.width_of(axes[0])
        drawing.annotate(axes[0], scaled, width, has_bar=show_colorbar)
        if show_colorbar:
            # A sixth of an inch for the bar, half of one between it and the last panel for that one's ticks.
            height = axes[0].figure.bbox.height / axes[0].figure.dpi
            place = {"ax": axes, "fraction": 0.17 / height, "pad": 0.5 / height, "aspect": width / 0.17}
            drawing.colorbar(figure, ScalarMappable(**style), scaled, width, **place)
    return figure, result


def _channels(attr: ArrayLike, data: ArrayLike, channels_last: bool) -> tuple[Floats, Floats]:
    values = as_array(attr, "attr").astype(np.float64, copy=False)
    curves = as_array(data, "data").astype(np.float64, copy=False)
    wanted = "(N, C)" if channels_last else "(C, N)"
    for argument, array in (("attr", values), ("data", curves)):
        if array.ndim != 2 or not array.size:
            hint = ""
            if array.ndim == 1:
                hint = f"; for one channel: {argument}{'[:, None]' if channels_last else '[None]'}"
            elif array.ndim == 3 and array.shape[0] == 1:
                hint = f"; for the first example: {argument}[0]"
            raise InputError(f"{argument} must be of shape {wanted}, but {array.shape} came{hint}")
    if values.shape != curves.shape:
        raise InputError(f"attr of shape {values.shape} does not fit data of shape {curves.shape}")
    return (values, curves) if channels_last else (values.T, curves.T)


def _labels(labels: Sequence[str] | None, channels: int) -> list[str] | None:
    if labels is None:
        return None
    if len(labels) != channels:
        raise InputError(
            f"channel_labels must hold one name per channel ({channels}), but {list(labels)} came"
        )
    return [str(label) for label in labels]


def _positions(x_values: ArrayLike | None, points: int) -> tuple[Floats, bool]:
    """Numbers on the x-axis, and whether they are dates."""
    if x_values is None:
        return np.arange(points, dtype=np.float64), False
    is_date = np.asarray(x_values).dtype.kind == "M" if not hasattr(x_values, "detach") else False
    x = np.asarray(date2num(x_values)) if is_date else as_array(x_values, "x_values")
    if x.shape != (points,):
        raise InputError(f"x_values must be of shape ({points},) as the data, but {x.shape} came")
    return x.astype(np.float64), is_date


def _edges(x: Floats) -> Floats:
    """Where the stretches of the points begin and end: shape (N + 1,)."""
    if len(x) == 1:
        return np.array([x[0] - 0.5, x[0] + 0.5])
    between = (x[1:] + x[:-1]) / 2
    return np.concatenate([[2 * x[0] - between[0]], between, [2 * x[-1] - between[-1]]])


def _graphs(axes: Axes, x: Floats, curves: Floats, options: dict[str, Any]) -> list[Any]:
    palette = matplotlib.colormaps["Dark2"]
    assert isinstance(palette, ListedColormap)
    lines = []
    for i, curve in enumerate(curves.T):
        # Black is legible on all default colours; several graphs must be told apart.
        color = "black" if curves.shape[1] == 1 else palette.colors[i % palette.N]  # type: ignore[index]
        chosen = options if {"color", "c"} & set(options) else {"color": color, **options}
        lines += axes.plot(x, curve, **chosen)
    return lines


def _behind(axes: Axes, x: Floats, values: Floats, style: dict[str, Any]) -> None:
    """Colours behind the graphs, from bottom to top, as one artist however many points there are."""
    limits = axes.get_ylim()
    axes.pcolormesh(
        _edges(x),
        [0.0, 1.0],
        np.ma.masked_invalid(values)[None],
        linewidth=0,
        transform=axes.get_xaxis_transform(),
        zorder=0,
        **style,
    )
    axes.set_ylim(limits)
    edges = _edges(x)
    if edges.min() < edges.max():
        axes.set_xlim(edges.min(), edges.max())


def _colored_graph(
    axes: Axes, x: Floats, curve: Floats, values: Floats, style: dict[str, Any], options: dict[str, Any]
) -> None:
    """One piece of the graph per point, from half of the way before it to half of the way after."""
    middle = np.stack([x, curve], axis=1)
    between = (middle[1:] + middle[:-1]) / 2
    pieces = np.stack(
        [np.concatenate([middle[:1], between]), middle, np.concatenate([between, middle[-1:]])], axis=1
    )
    options = {"linewidth": matplotlib.rcParams["lines.linewidth"] * 2, **options}
    if "lw" in options:
        options["linewidth"] = options.pop("lw")
    graph = LineCollection(
        list(pieces),
        capstyle="butt",  # pieces meet within straight lines, and none covers its neighbour
        # White stands for 0 and would not be seen on white.
        path_effects=[Stroke(linewidth=options["linewidth"] + 1, foreground="0.6"), Normal()],
        **style,
        **options,
    )
    graph.set_array(np.ma.masked_invalid(values))
    axes.add_collection(graph)
    axes.autoscale_view()
