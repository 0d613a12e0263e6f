"""NoiseTunnel and GradientShap beside Captum: time, memory, and how near they come to the truth.

    python -m pytest tests/benchmarks/bench_smoothing.py     prints the tables
    python tests/benchmarks/bench_smoothing.py               the same; --quick for one round of each

Contenders take turns, round by round, on one thread; processor time is what counts, and ratios within one run say more
than seconds. On the free model noise is the work: half of what is left is torch drawing normal numbers, for both.
"""

from __future__ import annotations

import os
import sys

# As in tests/conftest.py, for when this runs as a script: before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import statistics
import subprocess
import time
import warnings
from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn

import attriscope.attr
from attriscope.zoo import efficientnet_lite0, imagenet_preprocess, picture, small_cnn, small_pictures

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

BATCHES = (1, 5, 25)  # Captum's best is looked for among these and its default


def free(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


def _mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 3)).eval()


def _drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


Case = tuple[Any, Tensor, int | None, int]
CASES: dict[str, Callable[[], Case]] = {
    "free model, 1 x 3 x 32 x 32, 50 samples": lambda: (free, _drawn(1, 3, 32, 32), None, 50),
    "free model, 32 x 16, 50 samples": lambda: (free, _drawn(32, 16), None, 50),
    "MLP, 32 x 10, 50 samples": lambda: (_mlp(), _drawn(32, 10), 1, 50),
    "small CNN, 1 x 1 x 28 x 28, 50 samples": lambda: (small_cnn(), small_pictures()[0][:1], 3, 50),
    "small CNN, 16 x 1 x 28 x 28, 50 samples": lambda: (small_cnn(), small_pictures()[0][:16], 3, 50),
    "EfficientNet-Lite0, the cat, 10 samples": lambda: (
        efficientnet_lite0(),
        imagenet_preprocess(picture("chelsea")),
        282,
        10,
    ),
}


def contenders(case: Case) -> dict[str, dict[str, Callable[[], Any]]]:
    """For each method, who is compared."""
    model, x, target, samples = case
    pool = x[:1] * torch.linspace(0, 0.5, 5).reshape(5, *[1] * (x.dim() - 1))
    found: dict[str, dict[str, Callable[[], Any]]] = {}
    for kind in ("smoothgrad", "vargrad"):
        ours = attriscope.attr.NoiseTunnel(attriscope.attr.Saliency(model))
        theirs = captum.attr.NoiseTunnel(captum.attr.Saliency(model))
        options: dict[str, Any] = {"nt_type": kind, "nt_samples": samples, "stdevs": 0.1, "target": target}
        found[f"NoiseTunnel, {kind}"] = {
            "attriscope": lambda ours=ours, options=options: ours.attribute(x, **options),
            "captum": lambda theirs=theirs, options=options: theirs.attribute(x, **options),
            **{
                f"captum, {b} at a time": lambda b=b, theirs=theirs, options=options: theirs.attribute(
                    x, nt_samples_batch_size=b, **options
                )
                for b in BATCHES
                if b < samples
            },
        }
    ours, theirs = attriscope.attr.GradientShap(model), captum.attr.GradientShap(model)
    found["GradientShap"] = {
        "attriscope": lambda: ours.attribute(x, pool, n_samples=samples, target=target),
        "captum": lambda: theirs.attribute(x, pool, n_samples=samples, target=target),
    }
    return found


def times(name: str, rounds: int) -> str:
    torch.set_num_threads(1)
    lines = [name, f"    {'':44}{'seconds':>9}   times ours (lowest to highest)"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for method, run in contenders(CASES[name]()).items():
            for _ in range(3):  # ours measures batch sizes in its first calls
                run["attriscope"]()
            run["captum"]()
            seconds: dict[str, list[float]] = {who: [] for who in run}
            for i in range(rounds):
                for who in list(run)[:: 1 if i % 2 else -1]:
                    began = time.process_time()
                    run[who]()
                    seconds[who].append(time.process_time() - began)
            for who, taken in seconds.items():
                ratios = sorted(t / base for t, base in zip(taken, seconds["attriscope"], strict=True))
                lines.append(
                    f"    {method + ': ' + who:44}{statistics.median(taken):9.5f}   {statistics.median(ratios):5.2f}  "
                    f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
                )
    return "\n".join(lines)


def accuracy(rounds: int) -> str:
    """GradientShap's mean squared error at equal model calls, over many runs on a smooth and on a ReLU net."""
    lines = ["GradientShap, MLP of 10 features: captum's mean squared error, in multiples of ours"]
    x = _drawn(1, 10)
    for smooth in (True, False):
        model = _mlp()
        if not smooth:
            model[1] = nn.ReLU()  # type: ignore[operator]
        for among, samples in ((1, 5), (1, 50), (5, 5), (5, 50), (100, 50)):
            pool = _drawn(among + 1, 10)[1:]
            many = x.expand(400, 10)
            truth = attriscope.attr.GradientShap(model).attribute(x, pool, max(20000, 200 * among), target=1)
            torch.manual_seed(0)
            wrong = [
                (lib.GradientShap(model).attribute(many, pool, samples, target=1) - truth).square().mean()
                for lib in (captum.attr, attriscope.attr)
            ]
            lines.append(
                f"    {'tanh' if smooth else 'ReLU'}, {among:3} baseline(s), {samples:2} samples"
                f"{float(wrong[0] / wrong[1]):14.1f}"
            )
    return "\n".join(lines)


MEMORY = """
import warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
import {library}.attr as library
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)
)
x = torch.rand(1, 3, 224, 224)
library.Saliency(model).attribute(x, target=1)

def kilobytes(what):
    return int(next(line for line in open("/proc/self/status") if line.startswith(what)).split()[1])

open("/proc/self/clear_refs", "w").write("5")  # forgets the peak so far
before = kilobytes("VmRSS")
{call}
print((kilobytes("VmHWM") - before) / 1024)
"""
CALLS = {
    "NoiseTunnel": "library.NoiseTunnel(library.Saliency(model)).attribute(x, nt_samples=50, target=1)",
    "GradientShap": "library.GradientShap(model).attribute(x, torch.rand(5, 3, 224, 224), n_samples=50, target=1)",
}


def memory(rounds: int) -> str:
    """What one call adds to the memory of a process at its peak, both with their defaults; on Linux only."""
    lines = ["Memory, one convolution of 16 channels, 1 x 3 x 224 x 224, 50 samples, in MiB"]
    for name, call in CALLS.items():
        found = {}
        for library in ("attriscope", "captum"):
            code = MEMORY.format(library=library, call=call)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            found[library] = float(done.stdout)
        lines.append(f"    {name:16}attriscope {found['attriscope']:8.0f}    captum {found['captum']:8.0f}")
    return "\n".join(lines)


MEASUREMENTS: dict[str, tuple[Callable[[int], str], int]] = {
    **{name: (lambda rounds, name=name: times(name, rounds), 3 if "Lite0" in name else 9) for name in CASES},
    "accuracy": (accuracy, 1),
    "memory": (memory, 1),
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
