"""How near KernelShap and ShapleyValueSampling come to exact Shapley values, beside Captum, at equal model calls.

    python -m pytest tests/benchmarks/bench_accuracy.py     prints the tables
    python tests/benchmarks/bench_accuracy.py               the same; --quick with 3 seeds instead of 20

Mean squared errors against enumeration in double precision, over the games of tests/games.py. Equal calls are equal
numbers of rows: Captum's KernelShap with n_samples = n runs n rows, ours at most n; Captum's sampling of k orders runs
k F + 1 rows, ours k (F - 1) + 2 or fewer. A game is left out where the rows are enough for ours to be exact.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# As in tests/conftest.py, for when this runs as a script: before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).parents[1]))

import math
import warnings
from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor

import attriscope.attr
from games import GAMES, Game
from models import Recorder

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

SEEDS = 20
PER_FEATURE = (4, 8, 16, 32)  # rows for each feature of the game
Found = dict[tuple[str, int], tuple[float, float, float]]


def kernel_shap(game: Game, rows: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Ours, an estimate, and Captum's, attributions."""
    given = {"n_samples": rows, "baselines": game.baselines}
    ours, theirs = attriscope.attr.KernelShap(Recorder(game.function)), captum.attr.KernelShap(game.function)
    return (
        lambda: ours.estimate(game.inputs, **given),
        lambda: theirs.attribute(game.inputs, perturbations_per_eval=rows, **given),
    )


def sampling(game: Game, rows: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The same for ShapleyValueSampling."""
    given = {"n_samples": max(rows // game.features, 1), "baselines": game.baselines}
    ours = attriscope.attr.ShapleyValueSampling(Recorder(game.function))
    theirs = captum.attr.ShapleyValueSampling(game.function)
    return (
        lambda: ours.estimate(game.inputs, **given),
        lambda: theirs.attribute(game.inputs, perturbations_per_eval=game.features, **given),
    )


def errors(method: Callable[..., Any], seeds: int, per_feature: tuple[int, ...] = PER_FEATURE) -> Found:
    """For each game and budget: our squared error, Captum's, and how often 1.96 standard errors cover the truth."""
    found: Found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for game in GAMES:
            truth = game.shapley_values()
            for per in per_feature:
                rows = per * game.features
                if rows < 2**game.features:
                    found[game.name, per] = _one(*method(game, rows), truth, seeds)
    return found


def _one(
    ours: Callable[[], Any], theirs: Callable[[], Any], truth: Tensor, seeds: int
) -> tuple[float, float, float]:
    mine, captums, covered, counted = 0.0, 0.0, 0.0, 0
    for seed in range(seeds):
        torch.manual_seed(seed)
        estimate = ours()
        away = estimate.attributions[0].double() - truth
        mine += float(away.square().mean())
        if estimate.error is not None:
            # Games that come out exactly have no error, but are rounded to single precision.
            covered += float((away.abs() <= 1.96 * estimate.error[0] + 1e-6).double().mean())
            counted += 1
        torch.manual_seed(seed)
        captums += float((theirs()[0].double() - truth).square().mean())
    return mine / seeds, captums / seeds, covered / counted if counted else math.nan


def report(name: str, found: Found) -> str:
    lines = [name, f"    {'':28}" + "".join(f"{per:>8} rows per feature   " for per in PER_FEATURE)]
    lines.append(f"    {'':28}" + "      ours   of Captum's    " * len(PER_FEATURE))
    for game in dict.fromkeys(game for game, _ in found):
        cells = [found.get((game, per)) for per in PER_FEATURE]
        lines.append(
            f"    {game:28}"
            + "".join(f"{'':26}" if c is None else f"{c[0]:10.2g}   {c[0] / c[1]:8.3f}     " for c in cells)
        )
    for per in PER_FEATURE:
        cells = [c for (_, p), c in found.items() if p == per]
        ratios = [c[0] / c[1] for c in cells]
        together = math.exp(sum(math.log(max(r, 1e-6)) for r in ratios) / len(ratios))
        coverage = [c[2] for c in cells if not math.isnan(c[2])]
        lines.append(
            f"    {per:2} rows per feature: of Captum's error {sum(ratios) / len(ratios):.3f} in the mean, "
            f"{together:.3f} in the geometric mean, {max(ratios):.3f} at worst; "
            f"95 % intervals cover {sum(coverage) / len(coverage):.1%}"
        )
    return "\n".join(lines)


METHODS = {"KernelShap": kernel_shap, "ShapleyValueSampling": sampling}


@pytest.mark.parametrize("name", METHODS)
def test_accuracy(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = errors(METHODS[name], SEEDS)
    with capsys.disabled():
        print("\n" + report(name, found))


if __name__ == "__main__":
    for method in METHODS:
        print(report(method, errors(METHODS[method], 3 if "--quick" in sys.argv else SEEDS)), flush=True)
