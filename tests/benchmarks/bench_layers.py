"""Layers and neurons beside Captum, and beside a bare loop of the same passes.

    python -m pytest tests/benchmarks/bench_layers.py    prints the tables
    python tests/benchmarks/bench_layers.py              the same; --quick for one round of each

As in bench_gradients.py: contenders take turns on one thread, processor time counts, ratios say more than seconds, and
nothing is asserted about time. Captum takes one layer at a time: a few of the layers are timed, spread over the depth
of the network, and their mean stands for each; the tables say so.
"""

from __future__ import annotations

import os
import sys

# As in tests/conftest.py, for when this runs as a script: before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import (
    LayerConductance,
    LayerFeatureAblation,
    LayerGradCam,
    NeuronGradient,
)
from attriscope.attr.quadrature import stieltjes
from attriscope.zoo import efficientnet_lite0, imagenet_preprocess, picture

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

CAT = 281
TIMED = 5  # layers that Captum is timed on


def network() -> tuple[Any, Tensor, dict[str, nn.Module]]:
    """EfficientNet-Lite0, a picture, and all its convolutions."""
    model = efficientnet_lite0()
    return (
        model,
        imagenet_preprocess(picture("chelsea")),
        {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)},
    )


def turns(run: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each contender in each round, after a round that only warms up."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = {name: [] for name in run}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for i in range(rounds + 1):
                for name in list(run) if i % 2 == 0 else list(run)[::-1]:
                    began = time.process_time()
                    run[name]()
                    if i:
                        seconds[name].append(time.process_time() - began)
    finally:
        torch.set_num_threads(threads)
    return seconds


def median(taken: list[float]) -> float:
    return statistics.median(taken)


def lines(title: str, seconds: dict[str, float], against: str, notes: list[str]) -> str:
    rows = [title, f"    {'':58}{'seconds':>9}   ratio"]
    rows += [f"    {name:58}{s:9.4f}   {s / seconds[against]:6.2f}" for name, s in seconds.items()]
    return "\n".join([*rows, *(f"    {note}" for note in notes)])


def spread(layers: dict[str, nn.Module]) -> list[str]:
    names = list(layers)
    return [names[round(i * (len(names) - 1) / (TIMED - 1))] for i in range(TIMED)]


def all_layers(
    title: str,
    ours: Callable[[list[str]], Any],
    theirs: Callable[[nn.Module], Any],
    bare: Callable[[], Any],
    layers: dict[str, nn.Module],
    rounds: int,
) -> str:
    chosen = spread(layers)
    run: dict[str, Callable[[], Any]] = {
        "bare loop": bare,
        "ours, all": lambda: ours(list(layers)),
        "ours, one": lambda: ours([chosen[TIMED // 2]]),
        **{f"captum {name}": lambda name=name: theirs(layers[name]) for name in chosen},
    }
    taken = {name: median(s) for name, s in turns(run, rounds).items()}
    each = statistics.mean(taken[f"captum {name}"] for name in chosen)
    count = len(layers)
    found = {
        "bare loop of the same passes, no layer read": taken["bare loop"],
        "attriscope, one layer": taken["ours, one"],
        f"attriscope, all {count} layers": taken["ours, all"],
        f"captum, one layer (mean of {TIMED})": each,
        f"captum, {count} layers ({count} times that mean)": count * each,
    }
    times = count * each / taken["ours, all"]
    return lines(
        title,
        found,
        "bare loop of the same passes, no layer read",
        [f"all layers: {times:.1f} times faster than Captum, {times / count:.2f} x {count}"],
    )


# --- what is measured ----------------------------------------------------------------------------------------


def grad_cam(rounds: int) -> str:
    model, x, layers = network()

    def bare() -> None:
        rows = x.clone().requires_grad_()
        torch.autograd.grad(model(rows)[:, CAT].sum(), rows)

    return all_layers(
        "Grad-CAM of EfficientNet-Lite0's convolutions, 1 x 3 x 224 x 224",
        lambda names: LayerGradCam(model, names).attribute(x, CAT),
        lambda layer: captum.attr.LayerGradCam(model, layer).attribute(x, CAT),
        bare,
        layers,
        rounds,
    )


def conductance(rounds: int, steps: int = 10, batch: int = 1) -> str:
    """Both take steps + 1 passes; few, to be done soon, as time goes with them."""
    model, x, layers = network()
    points, _ = stieltjes("riemann_trapezoid", steps)

    def bare() -> None:
        for i in range(0, len(points), batch):
            rows = torch.cat([x * p for p in points[i : i + batch]]).requires_grad_()
            torch.autograd.grad(model(rows)[:, CAT].sum(), rows)

    options = {"target": CAT, "n_steps": steps, "internal_batch_size": batch}
    return all_layers(
        f"Conductance of EfficientNet-Lite0's convolutions, {steps} steps, batches of {batch}",
        lambda names: LayerConductance(model, names).attribute(x, **options),
        lambda layer: captum.attr.LayerConductance(model, layer).attribute(x, **options),
        bare,
        layers,
        rounds,
    )


def neurons(rounds: int, count: int = 16) -> str:
    """Of a layer in the middle; the reference is one pass forward to the layer and so many back."""
    model, x, _ = network()
    layer = "blocks.8"
    body = model.get_submodule(layer)
    selectors: list[Any] = [(channel, 5, 5) for channel in range(count)]

    class Reached(Exception):
        pass

    def bare() -> None:
        held: list[Tensor] = []

        def stop(module: nn.Module, args: Any, output: Tensor) -> None:
            held.append(output)
            raise Reached

        handle = body.register_forward_hook(stop)
        rows = x.clone().requires_grad_()
        try:
            model(rows)
        except Reached:
            pass
        finally:
            handle.remove()
        for channel, i, j in selectors:
            torch.autograd.grad(held[0][:, channel, i, j].sum(), rows, retain_graph=True)

    explainer = NeuronGradient(model, layer)
    theirs = captum.attr.NeuronGradient(model, body)
    run: dict[str, Callable[[], Any]] = {
        f"one pass forward to the layer, {count} back": bare,
        f"attriscope, one call for {count} neurons": lambda: explainer.attribute(x, selectors),
        f"attriscope, {count} calls": lambda: [explainer.attribute(x, s) for s in selectors],
        f"captum, {count} calls": lambda: [theirs.attribute(x, s) for s in selectors],
    }
    taken = {name: median(s) for name, s in turns(run, rounds).items()}
    return lines(f"Gradients of {count} neurons of {layer}", taken, next(iter(run)), [])


def late_ablation(rounds: int) -> str:
    """Channels of the last block, one after the other: 320 of them."""
    model, x, _ = network()
    layer = "blocks.15"
    body = model.get_submodule(layer)
    with torch.no_grad():
        held: list[Tensor] = []
        handle = body.register_forward_hook(lambda module, args, output: held.append(output))
        model(x)
        handle.remove()
    channels = held[0].shape[1]
    mask = torch.arange(channels).reshape(1, channels, 1, 1)
    options: dict[str, Any] = {"target": CAT, "layer_mask": mask}

    def bare() -> None:
        """The rest of the model on ablated copies, in batches."""
        with torch.no_grad():
            for i in range(0, channels, 16):
                rows = held[0].repeat(min(16, channels - i), 1, 1, 1)
                for k in range(len(rows)):
                    rows[k, i + k] = 0
                model.fc(model.flatten(model.pool(model.head(rows))))

    run: dict[str, Callable[[], Any]] = {
        "the rest of the model on as many rows, by 16": bare,
        "attriscope": lambda: LayerFeatureAblation(model, layer).attribute(x, **options),
        "captum": lambda: captum.attr.LayerFeatureAblation(model, body).attribute(x, **options),
        "captum, perturbations_per_eval=16": lambda: captum.attr.LayerFeatureAblation(model, body).attribute(
            x, perturbations_per_eval=16, **options
        ),
    }
    taken = {name: median(s) for name, s in turns(run, rounds).items()}
    best = min(taken["captum"], taken["captum, perturbations_per_eval=16"])
    return lines(
        f"Ablation of {channels} channels of {layer}, EfficientNet-Lite0",
        taken,
        "attriscope",
        [f"{best / taken['attriscope']:.1f} times faster than Captum at its faster setting"],
    )


MEASUREMENTS: dict[str, tuple[Callable[[int], str], int]] = {
    "grad_cam": (grad_cam, 5),
    "conductance": (conductance, 3),
    "neurons": (neurons, 5),
    "late_ablation": (late_ablation, 1),
}


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_measure(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    measure, rounds = MEASUREMENTS[name]
    found = measure(rounds)
    with capsys.disabled():
        print(f"\n{found}")


if __name__ == "__main__":
    for measure, rounds in MEASUREMENTS.values():
        print(measure(1 if "--quick" in sys.argv else rounds), flush=True)
