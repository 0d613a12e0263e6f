"""The study of notebook 05 on photographs: which explanations of EfficientNet-Lite0 beat a control?

    python notebooks/trust_study.py                     about ten minutes on one core
    python notebooks/trust_study.py --quick             fewer steps and samples
    python notebooks/trust_study.py --figure study.png  keeps a figure of the tables

The photographs are the zoo's three, and rows of them: all three side by side, in orders drawn at random, asked about
each in turn. What is explained is the class that the network gives to each photograph alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import torch
from torch import Tensor

import attriscope
from attriscope import attr, metrics, zoo

SIZE = 224
CONTROLS = ("random", "edges")


def methods_for(model: Any, pictures: Tensor, patch: int, quick: bool) -> dict[str, Any]:
    """Ten methods and two controls."""
    return {
        "saliency": attr.Saliency(model),
        "input x gradient": attr.InputXGradient(model),
        "integrated gradients": (attr.IntegratedGradients(model), {"n_steps": 8 if quick else 32}),
        "SmoothGrad": (
            attr.NoiseTunnel(attr.Saliency(model)),
            {"nt_samples": 4 if quick else 16, "stdevs": 0.2},
        ),
        "guided backprop": attr.GuidedBackprop(model),
        "deconvolution": attr.Deconvolution(model),
        "DeepLIFT": attr.DeepLift(model),
        "LRP": attr.LRP(model),
        "Grad-CAM": attr.LayerGradCam(model, "blocks.15"),
        "ablation of patches": (
            attr.FeatureAblation(model),
            {"feature_mask": metrics.patch_mask(pictures, patch)},
        ),
        "random": metrics.random_attribution,
        "edges": metrics.edge_detector,
    }


def tests_for(quick: bool) -> dict[str, Any]:
    """Deletion, insertion, sensitivity and randomisation."""

    def deletion(case: metrics.Case) -> Tensor:
        return metrics.deletion(
            case.model, case.inputs, case.attributions, target=case.targets, steps=10 if quick else 40
        ).auc

    def insertion(case: metrics.Case) -> Tensor:
        steps = 10 if quick else 40
        return metrics.insertion(
            case.model, case.inputs, case.attributions, target=case.targets, steps=steps, replacement="blur"
        ).auc

    def sensitivity(case: metrics.Case) -> Tensor:
        samples = 2 if quick else 5
        return metrics.sensitivity_max(
            case.explain,
            case.inputs,
            target=case.targets,
            n_perturb_samples=samples,
            generator=case.generator,
        )

    return {
        "deletion": metrics.Metric(deletion, "lower"),
        "insertion": metrics.Metric(insertion, "higher"),
        "sensitivity": metrics.Metric(sensitivity, "lower"),
        "randomisation": "randomisation",
    }


def rows_of(pictures: Tensor, targets: Tensor, quick: bool) -> metrics.GridGames:
    """The photographs side by side, in an order drawn at random, asked about each of them; and so a few times."""
    games = [
        metrics.grid_pointing_games(
            pictures, targets, size=(1, len(pictures)), count=1, every_cell=True,
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in range(1 if quick else 2)
    ]  # fmt: skip
    fields = ("inputs", "targets", "masks", "members", "cells")
    return metrics.GridGames(*(torch.cat([getattr(game, field) for game in games]) for field in fields))


def verdict(title: str, table: metrics.Table) -> None:
    """The table, and who lost to a control."""
    print(f"\n{title}\n\n{table}\n")
    for control in CONTROLS:
        print(table.against(control))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer steps, samples and grids")
    parser.add_argument("--figure", metavar="FILE", help="keep a figure of the first table in this file")
    arguments = parser.parse_args()
    quick, began = arguments.quick, time.perf_counter()

    model = zoo.efficientnet_lite0()
    pictures = torch.cat([zoo.imagenet_preprocess(zoo.picture(name)) for name in zoo.PICTURES])
    with torch.no_grad():
        targets = model(pictures).argmax(1)
    names = zoo.imagenet_class_names()
    for name, target in zip(zoo.PICTURES, targets.tolist(), strict=True):
        print(f"{name}: {names[target]}")

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{done:,} of about {total:,} rows", end="", file=sys.stderr, flush=True)

    with attriscope.control(progress=progress):
        table = metrics.evaluate(
            methods_for(model, pictures, 56 if quick else 28, quick),
            metrics.probabilities(model),
            pictures,
            targets,
            tests_for(quick),
            generator=torch.Generator().manual_seed(0),
        )
        print("\nOf three pictures standard errors are hardly known: what is clear here is a weak test.")
        verdict("Three photographs", table)
        games = rows_of(pictures, targets, quick)
        found = metrics.evaluate(
            methods_for(model, games.inputs, 56, quick),
            model,
            games.inputs,
            games.targets,
            ["localisation", "pointing game"],
            masks=games.masks,
            generator=torch.Generator().manual_seed(0),
        )
    verdict(f"{len(games.targets)} questions about rows of three; chance is {games.chance:.2f}", found)
    if arguments.figure:
        table.figure().savefig(arguments.figure, dpi=120)
    print(f"\n{time.perf_counter() - began:.0f} seconds")


if __name__ == "__main__":
    main()
