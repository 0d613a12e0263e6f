"""Figures of results, in matplotlib; loaded when one is asked for."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from attriscope.metrics.perturbation_curves import Curve
    from attriscope.metrics.randomisation import Randomisation
    from attriscope.metrics.table import Table

# Blue and orange: apart for every kind of colour vision, and on white as on black.
_INK, _ACCENT = "#3b82c4", "#e08214"


def _quiet(ax: Any) -> None:
    """Only the lines that are read."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, axis="x", alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)


class _Shown(Figure):
    """A figure that shows itself in a notebook, also where pyplot has not been used yet."""

    def _repr_png_(self) -> bytes:
        page = io.BytesIO()
        self.savefig(page, format="png", dpi=self.dpi)
        return page.getvalue()


def _figure(width: float, height: float) -> Figure:
    return _Shown(figsize=(width, height), layout="constrained")


def curve_figure(curve: Curve) -> Figure:
    """The curves of all examples, thin, and their mean."""
    figure = _figure(5.2, 3.4)
    ax = figure.subplots()
    x, scores = curve.fractions.cpu().numpy(), curve.scores.detach().cpu().numpy()
    if len(scores) > 1:
        ax.plot(x, scores.T, color=_INK, alpha=max(0.08, 0.6 / math.sqrt(len(scores))), linewidth=0.8)
    mean = curve.mean.detach().cpu().numpy()
    area = float(curve.auc.mean())
    ax.plot(x, mean, color=_ACCENT, linewidth=2, label=f"mean of {len(scores)}, area {area:.3g}")
    ax.set_xlim(x[0], x[-1])
    ax.set_xlabel("share of the features that is changed")
    ax.set_ylabel("explained output")
    ax.set_title(f"{curve.name}: {curve.better} is better")
    ax.legend(frameon=False)
    _quiet(ax)
    return figure


def randomisation_figure(result: Randomisation) -> Figure:
    """Mean similarity, and the middle half of the examples, layer by layer."""
    count = len(result.layers)
    figure = _figure(6.2, max(2.2, 0.26 * count + 1.2))
    ax = figure.subplots()
    scores = result.scores.detach().cpu().double()
    low, high = scores.quantile(0.25, dim=0), scores.quantile(0.75, dim=0)
    places = list(range(count))
    ax.hlines(
        places,
        low.tolist(),
        high.tolist(),
        color=_INK,
        linewidth=3,
        alpha=0.5,
        label="middle half of the examples",
    )
    ax.plot(scores.mean(0).tolist(), places, "o", color=_ACCENT, label="mean")
    ax.set_yticks(places, [_plain(name) for name in result.layers])
    ax.invert_yaxis()
    ax.axvline(0, color=matplotlib.rcParams["axes.edgecolor"], linewidth=0.8)
    ax.set_xlim(min(-0.1, float(low.min()) - 0.05), 1.02)
    ax.set_xlabel(f"similarity ({result.similarity}) to the trained model's explanation")
    ax.set_title(f"parameters made random, {result.mode}: lower is better")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    _quiet(ax)
    return figure


def table_figure(table: Table) -> Figure:
    """A panel for each metric, with means and standard errors; the best is filled in another colour."""
    metrics, methods = list(table.metrics), list(table.methods)
    columns = min(4, len(metrics))
    lines = -(-len(metrics) // columns)
    longest = max(len(name) for name in methods)
    figure = _figure(1.2 + 0.085 * min(longest, 40) + 2.3 * columns, lines * (0.27 * len(methods) + 1.0))
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
    places = list(range(len(methods)))
    for ax, metric in zip(axes.flat, metrics, strict=False):
        best = table.best(metric)
        for place, method in enumerate(methods):
            mean, error = table.mean(method, metric), table.error(method, metric)
            if math.isnan(mean):
                ax.text(0.5, place, "undefined", va="center", ha="center", alpha=0.7, fontsize="small",
                        transform=ax.get_yaxis_transform())  # fmt: skip
                continue
            colour = _ACCENT if method in best else _INK
            ax.errorbar(mean, place, xerr=0 if math.isnan(error) else error, fmt="o", color=colour, capsize=2)
        ax.set_title(_plain(f"{metric} {table.metrics[metric].arrow}"), fontsize="medium")
        ax.set_yticks(places, [_plain(_short(name)) for name in methods])
        ax.set_ylim(len(methods) - 0.5, -0.5)
        ax.margins(x=0.12)
        ax.locator_params(axis="x", nbins=4)
        _quiet(ax)
    for ax in list(axes.flat)[len(metrics) :]:
        ax.set_visible(False)
    return figure


def _short(name: str, most: int = 40) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _plain(text: str) -> str:
    """Names are text: a dollar sign in one begins no formula."""
    return text.replace("$", r"\$")
