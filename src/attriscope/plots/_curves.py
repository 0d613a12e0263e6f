"""Curves over the fraction of features that were changed, and along the path from baseline to input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from attriscope._drawing.drawing import legend
from attriscope._drawing.scales import Floats
from attriscope.core.errors import InputError, InputTypeError
from attriscope.plots._arguments import finite_array, names_for
from attriscope.plots._axes import axes_for, write_title
from attriscope.plots._number_text import short_number, visibly_differ

DASHES = ("-", "--", ":", "-.")


def curves(
    curves: Mapping[str, Any],
    *,
    each_example: bool = False,
    ax: Axes | None = None,
    use_pyplot: bool = True,
    title: str | None = None,
    xlabel: str = "fraction of features changed",
    ylabel: str = "score",
) -> Axes:
    """Draw deletion, insertion or other perturbation curves, with their areas in the legend.

    Of several examples the mean is drawn, and a band of one standard error on either side of it, or a thin line for
    each example.

    Args:
        curves: from the name of a curve, usually of a method, to a pair of fractions, of shape (points,) and
            increasing, and scores, of shape (points,) or (examples, points); or to an object with these as its
            attributes ``fractions`` and ``scores``. If it has an ``auc`` as well, of shape () or (examples,), that is
            what the legend says; else it is the area below the curve by the trapezoidal rule, in units of
            score times fraction.
        each_example: draw the curve of every example, thin, in place of the band.
        ax: where to draw; by default on a new figure.
        use_pyplot: whether the new figure is pyplot's.
        title, xlabel, ylabel: texts, taken literally.

    Returns:
        The axes.

    Raises:
        InputError: (a ``ValueError``) nothing to draw, shapes that do not fit each other, numbers that are not finite,
            fractions that do not increase.
    """
    if not isinstance(curves, Mapping):
        raise InputTypeError(
            f'curves must be a mapping such as {{"method": (fractions, scores)}}, but a {type(curves).__name__} came'
        )
    checked = {str(name): _checked(repr(name), given) for name, given in curves.items()}
    if not checked:
        raise InputError("curves must hold at least one curve, but it is empty")
    with axes_for(ax, (6.4, 4.2), use_pyplot=use_pyplot) as axes:
        lines = []
        for i, curve in enumerate(checked.values()):
            (line,) = axes.plot(curve.fractions, curve.mean, linestyle=_dashes(i))
            if curve.error is not None and each_example:
                alpha = max(0.08, 0.6 / len(curve.scores) ** 0.5)
                thin = {"color": line.get_color(), "alpha": alpha, "linewidth": 0.8, "zorder": 1.9}
                axes.plot(curve.fractions, curve.scores.T, **thin)
            elif curve.error is not None:
                low, high = curve.mean - curve.error, curve.mean + curve.error
                axes.fill_between(curve.fractions, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
            lines.append(line)
        legend(axes, lines, [f"{name} (AUC {curve.auc})" for name, curve in checked.items()])
        _label(axes, title, xlabel, ylabel)
    return axes


@dataclass(frozen=True)
class _Curve:
    """What is drawn of one entry; ``error`` is ``None`` for a single example."""

    fractions: Floats
    scores: Floats
    mean: Floats
    error: Floats | None
    auc: str


def _checked(name: str, given: Any) -> _Curve:
    auc: Any = None
    if hasattr(given, "fractions") and hasattr(given, "scores"):
        fractions, scores, auc = given.fractions, given.scores, getattr(given, "auc", None)
    elif isinstance(given, Iterable) and len(pair := list(given)) == 2:
        fractions, scores = pair
    else:
        raise InputTypeError(
            f"the curve {name} must be a pair of fractions and scores, or an object with these attributes, "
            f"but {given!r:.80} came"
        )
    x = finite_array(fractions, f"fractions of {name}", "(points,)", 1)
    y = finite_array(scores, f"scores of {name}", "(points,) or (examples, points)", 1, 2)
    if y.shape[-1] != len(x):
        raise InputError(f"scores of {name}, of shape {y.shape}, do not fit {len(x)} fractions")
    if (np.diff(x) <= 0).any():
        raise InputError(f"fractions of {name} must increase, but {x.tolist()} came")
    y = np.atleast_2d(y)
    if auc is None:
        areas = ((y[:, 1:] + y[:, :-1]) / 2 * np.diff(x)).sum(axis=1)
    else:
        areas = np.atleast_1d(finite_array(auc, f"auc of {name}", "() or (examples,)", 0, 1))
    text = f"{areas.mean():.3g}".replace("-", "\N{MINUS SIGN}")
    if len(areas) > 1:
        text += f" ± {float(_standard_error(areas)):.1g}"
    return _Curve(x, y, y.mean(axis=0), _standard_error(y) if len(y) > 1 else None, text)


def _standard_error(values: Floats) -> Floats:
    """Of the mean over the first dimension."""
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(len(values)))


def path(
    alphas: ArrayLike,
    scores: ArrayLike,
    accumulated: ArrayLike | None = None,
    *,
    names: Sequence[object] | None = None,
    ax: Axes | None = None,
    use_pyplot: bool = True,
    title: str | None = None,
    xlabel: str = "α, from baseline (0) to input (1)",
    ylabel: str = "model output",
) -> Axes:
    """Draw the model's output along the path from baseline to input, and what the attributions make of it.

    Where the output is flat, gradients say nothing although the input may matter (saturation); where it is steep,
    the attributions are made. With ``accumulated``, a second, dashed line starts at the output of the baseline and
    adds up the attributions: a method that keeps completeness (arXiv 1703.01365) follows the output. The legend says
    how far it ends from it.

    Args:
        alphas: shape (points,), increasing: how far each point is from baseline to input.
        scores: the model's output at each point, of shape (points,), or (points, classes) as a model returns it.
        accumulated: of the shape of ``scores``: the sum over all features of the attributions gathered from the first
            point up to each point.
        names: of the classes.
        ax: where to draw; by default on a new figure.
        use_pyplot: whether the new figure is pyplot's.
        title, xlabel, ylabel: texts, taken literally.

    Returns:
        The axes.

    Raises:
        InputError: (a ``ValueError``) shapes or names that do not fit each other, numbers that are not finite, alphas
            that do not increase.
    """
    x = finite_array(alphas, "alphas", "(points,)", 1)
    outputs = _per_class(scores, "scores", x)
    if (np.diff(x) <= 0).any():
        raise InputError(f"alphas must increase, but {x.tolist()} came")
    sums = None if accumulated is None else _per_class(accumulated, "accumulated", x)
    if sums is not None and sums.shape != outputs.shape:
        raise InputError(
            f"accumulated, of {sums.shape[1]} classes, does not fit scores, of {outputs.shape[1]}"
        )
    classes = outputs.shape[1]
    labels = ["output"] if names is None and classes == 1 else names_for(names, classes, "names", "class")
    spread = float(np.ptp(outputs)) or 1.0
    with axes_for(ax, (6.4, 4.2), use_pyplot=use_pyplot) as axes:
        lines: list[Line2D] = []
        dashed: list[Line2D] = []
        for k in range(classes):
            (line,) = axes.plot(x, outputs[:, k])
            lines.append(line)
            if sums is None:
                continue
            follow = outputs[0, k] + sums[:, k]
            dashed += axes.plot(x, follow, linestyle="--", color=line.get_color())
            gap = float(follow[-1] - outputs[-1, k])
            if visibly_differ(gap, 0.0, spread):
                labels[k] += f" (attributions end {short_number(abs(gap))} {'above' if gap > 0 else 'below'})"
        if sums is not None:
            # A dashed line of no colour in particular: it stands for those of all classes.
            lines.append(Line2D([], [], linestyle="--", color=axes.xaxis.label.get_color()))
            labels.append("first output + attributions so far")
        if len(labels) > 1 or names is not None:
            legend(axes, lines, labels)
        _label(axes, title, xlabel, ylabel)
    return axes


def _per_class(values: ArrayLike, argument: str, x: Floats) -> Floats:
    array = finite_array(values, argument, "(points,) or (points, classes)", 1, 2)
    if len(array) != len(x):
        raise InputError(f"{argument} of shape {array.shape} does not fit {len(x)} alphas")
    return array[:, None] if array.ndim == 1 else array


def _dashes(i: int) -> str:
    """Solid lines until the colours of the style begin again, then dashed ones."""
    return DASHES[i // len(matplotlib.rcParams["axes.prop_cycle"]) % len(DASHES)]


def _label(axes: Axes, title: str | None, xlabel: str, ylabel: str) -> None:
    axes.set_xlabel(xlabel, parse_math=False)
    axes.set_ylabel(ylabel, parse_math=False)
    write_title(axes, title)
