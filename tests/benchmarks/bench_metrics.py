"""Metrics beside Captum and, where it is installed, Quantus: processor time.

    python -m pytest tests/benchmarks/bench_metrics.py     prints the tables
    python tests/benchmarks/bench_metrics.py               the same; --quick for one round of each

Contenders take turns, round by round, on one thread, and ratios within one run say more than seconds. On a model that
costs nothing what is left is the overhead: perturbing, comparing, adding up. Captum gets all rows at once, its default.
tests/parity/quantus_values.py says how to make an environment with Quantus; there, run this file with
``PYTHONPATH=src``.
"""

from __future__ import annotations

import os
import sys

# As in tests/conftest.py, for when this runs as a script: before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import captum.attr
import captum.metrics
import numpy as np
import pytest
import torch
from torch import Tensor

from attriscope import attr, metrics
from attriscope.zoo import small_cnn, small_pictures

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

Contenders = dict[str, Callable[[], Any]]


def free(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


def move(x: Tensor) -> tuple[Tensor, Tensor]:
    noise = 0.003 * torch.randn_like(x)
    return noise, x - noise


def digits() -> tuple[Tensor, Tensor]:
    pictures, labels = small_pictures()
    return pictures[:32], labels[:32]


def infidelity(model: Any, targeted: bool) -> Contenders:
    x, y = digits()
    a = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    target = y if targeted else None
    return {
        name: lambda module=module: module.infidelity(model, move, x, a, target=target)
        for name, module in (("attriscope", metrics), ("captum", captum.metrics))
    }


def infidelity_in_batches() -> Contenders:
    x, y = digits()
    a, model = torch.zeros_like(x), small_cnn()
    return {
        name: lambda module=module: module.infidelity(model, move, x, a, target=y, max_examples_per_batch=32)
        for name, module in (("attriscope", metrics), ("captum", captum.metrics))
    }


def sensitivity_of_nothing() -> Contenders:
    x, _ = digits()

    def explain(inputs: Any) -> Any:
        return tuple(x * 2 for x in inputs) if isinstance(inputs, tuple) else inputs * 2

    return {
        name: lambda module=module: module.sensitivity_max(explain, x)
        for name, module in (("attriscope", metrics), ("captum", captum.metrics))
    }


def sensitivity() -> Contenders:
    x, y = digits()
    model = small_cnn()
    ours, theirs = attr.Saliency(model), captum.attr.Saliency(model)
    return {
        "attriscope": lambda: metrics.sensitivity_max(ours, x, target=y),
        "captum": lambda: captum.metrics.sensitivity_max(theirs.attribute, x, target=y),
    }


def flipping() -> Contenders:
    """784 pixels in steps of 28, on 32 digits."""
    x, y = digits()
    model = small_cnn()
    a = attr.InputXGradient(model).attribute(x, target=y).detach()
    probable = metrics.probabilities(model)
    found: Contenders = {
        "attriscope": lambda: metrics.pixel_flipping(probable, x, a, target=y, features_per_step=28)
    }
    if importlib.util.find_spec("quantus") is not None:
        import quantus

        def black(arr: Any, indices: Any, **_: Any) -> Any:
            arr = arr.copy()
            np.put_along_axis(arr, indices, 0.0, axis=1)
            return arr

        metric = quantus.PixelFlipping(
            features_in_step=28, perturb_func=black, perturb_baseline=0.0, disable_warnings=True, normalise=False,
            abs=False,
        )  # fmt: skip
        given = {"x_batch": x.numpy(), "y_batch": y.numpy(), "a_batch": a.numpy()}
        found["quantus"] = lambda: metric(model=model, softmax=True, device="cpu", batch_size=32, **given)
    rows = 29 * len(x)
    found["the model alone"] = lambda: alone(model, x, rows)
    return found


def alone(model: Any, x: Tensor, rows: int) -> None:
    with torch.no_grad():
        for _ in range(rows // len(x)):
            model(x)


CASES: dict[str, tuple[Callable[[], Contenders], int]] = {
    "free model, infidelity of 32 digits, 10 samples": (lambda: infidelity(free, False), 5),
    "small CNN, infidelity of 32 digits, 10 samples": (lambda: infidelity(small_cnn(), True), 3),
    "small CNN, the same, 32 rows at a time": (infidelity_in_batches, 3),
    "free explanation, sensitivity of 32 digits, 10 samples": (sensitivity_of_nothing, 5),
    "small CNN, sensitivity of saliency, 32 digits, 10 samples": (sensitivity, 3),
    "small CNN, pixel flipping of 32 digits in 28 steps": (flipping, 3),
}


def times(name: str, rounds: int | None) -> str:
    torch.set_num_threads(1)
    make, usual = CASES[name]
    run = make()
    seconds: dict[str, list[float]] = {who: [] for who in run}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):  # ours measures batch sizes in its first calls
            run["attriscope"]()
        for i in range(rounds or usual):
            for who in list(run)[:: 1 if i % 2 else -1]:
                began, calls = time.process_time(), 0
                while calls == 0 or time.process_time() - began < 0.1:  # the clock is coarse
                    run[who]()
                    calls += 1
                seconds[who].append((time.process_time() - began) / calls)
    lines = [name]
    for who, taken in seconds.items():
        ratios = sorted(t / base for t, base in zip(taken, seconds["attriscope"], strict=True))
        lines.append(
            f"    {who:18}{statistics.median(taken):10.5f} s   {statistics.median(ratios):8.2f} times ours "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    return "\n".join(lines)


@pytest.mark.parametrize("name", CASES)
def test_times(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("\n" + times(name, None))


if __name__ == "__main__":
    for case in CASES:
        print(times(case, 1 if "--quick" in sys.argv else None), flush=True)
