"""A number, or a distribution, for each layer of a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from attriscope._drawing.drawing import legend
from attriscope._drawing.scales import Floats
from attriscope.core.errors import InputError, InputTypeError
from attriscope.plots._arguments import finite_array, names_for
from attriscope.plots._axes import axes_for, letters_beside, row_height, write_title

ROW = 0.17  # inches from layer to layer
SMALLEST, LARGEST = 6.0, 9.0  # points of a layer's name
LONGEST = 40  # letters of a layer's name


def depth(
    profile: Mapping[str, ArrayLike] | Iterable[ArrayLike],
    names: Sequence[object] | None = None,
    *,
    label: str | None = None,
    ax: Axes | None = None,
    use_pyplot: bool = True,
    title: str | None = None,
    xlabel: str = "attribution",
    ylabel: str = "layer, input first",
) -> Axes:
    """Draw a profile over the depth of a network: one number or a distribution per layer, the input on top.

    Numbers are joined by a line. Of distributions the line is the median, with a band from the lower to the upper
    quartile and a thinner one from the 5th to the 95th percentile. A second profile of the same layers can be drawn
    into the same axes.

    Args:
        profile: for each layer, from input to output, a number or a one-dimensional array of samples (as many as there
            are): a mapping from layer names, or a sequence, also an array of shape (layers,) or (layers, samples).
        names: of the layers, if the profile is no mapping. Long ones are cut at their beginning, as their ends differ;
            if the axes are too low for all of them, only every second (third, ...) is written.
        label: a name for the legend; without one there is no legend.
        ax: where to draw; by default on a new figure, as high as the layers need.
        use_pyplot: whether the new figure is pyplot's.
        title, xlabel, ylabel: texts, taken literally.

    Returns:
        The axes.

    Raises:
        InputError: (a ``ValueError``) no layers, names that do not fit, numbers that are not finite, numbers for some
            layers and distributions for others.
    """
    if isinstance(profile, Mapping):
        if names is not None:
            raise InputError("names must be left out if the profile is a mapping, which has names already")
        layers, given = [str(name) for name in profile], list(profile.values())
    else:
        if not isinstance(profile, Iterable):
            raise InputTypeError(
                f"profile must be a mapping or a sequence, but a {type(profile).__name__} came"
            )
        given = list(profile)
        layers = names_for(names, len(given), "names", "layer")
    if not given:
        raise InputError("profile must hold at least one layer, but it is empty")
    samples = [
        finite_array(one, f"profile of {layer!r}", "() or (samples,)", 0, 1)
        for layer, one in zip(layers, given, strict=True)
    ]
    kinds = {one.ndim for one in samples}
    if len(kinds) > 1:
        odd = next(layer for layer, one in zip(layers, samples, strict=True) if one.ndim != samples[0].ndim)
        raise InputError(
            f"profile must hold one number per layer or samples for every layer, but {layers[0]!r} and {odd!r} differ"
        )
    with axes_for(ax, (6.4, 1.0 + max(ROW * len(layers), 1.6)), use_pyplot=use_pyplot) as axes:
        places = np.arange(len(layers))
        middle = np.array([np.median(one) for one in samples])
        (line,) = axes.plot(middle, places, marker="o", markersize=3.5)
        if kinds == {1}:
            for (low, high), alpha in (((5, 95), 0.15), ((25, 75), 0.3)):
                ends = _percentiles(samples, low), _percentiles(samples, high)
                axes.fill_betweenx(places, *ends, color=line.get_color(), alpha=alpha, linewidth=0)
        if not axes.yaxis_inverted():  # it would be a second profile then
            axes.axvline(0, color=axes.xaxis.label.get_color(), linewidth=0.8, alpha=0.6, zorder=0.9)
        axes.set_ylim(len(layers) - 0.4, -0.6)
        _write_names(axes, layers)
        if label is not None:
            known = axes.get_legend()
            handles: list[Any] = [] if known is None else list(known.legend_handles)
            texts = [] if known is None else [text.get_text() for text in known.get_texts()]
            legend(axes, [*handles, line], [*texts, label])
        axes.set_xlabel(xlabel, parse_math=False)
        axes.set_ylabel(ylabel, parse_math=False)
        write_title(axes, title)
    return axes


def _percentiles(samples: list[Floats], percent: float) -> Floats:
    return np.array([np.percentile(one, percent) for one in samples])


def _write_names(axes: Axes, layers: list[str]) -> None:
    """As many names as are legible, evenly, and always the last."""
    room = row_height(axes, len(layers))
    size = min(LARGEST, max(SMALLEST, 0.8 * room))
    every = max(1, int(np.ceil(1.1 * size / room)))
    shown = list(range(len(layers) - 1, -1, -every))[::-1]
    letters = letters_beside(axes, size, LONGEST)
    labels = [layers[i] if len(layers[i]) <= letters else "…" + layers[i][1 - letters :] for i in shown]
    axes.set_yticks(shown, labels=labels, fontsize=size, parse_math=False)
