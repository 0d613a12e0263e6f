"""Methods with rules of their own beside Captum: passes, time and memory.

    python -m pytest tests/benchmarks/bench_propagation.py     prints the tables
    python tests/benchmarks/bench_propagation.py               the same; --quick for one round of each

Contenders take turns, round by round, on one thread; processor time is what counts, and ratios within one run say more
than seconds. On EfficientNet-Lite0 Captum's DeepLift does not see the ReLU6 and passes the gradient there, so it has
less to do, and its sum is wrong; its LRP refuses that model.
"""

from __future__ import annotations

import os
import sys

# As in tests/conftest.py, for when this runs as a script: before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import functools
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn

import attriscope.attr
from attriscope.zoo import efficientnet_lite0, imagenet_preprocess, picture, small_cnn, small_pictures

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

METHODS = ("Saliency", "GuidedBackprop", "Deconvolution", "DeepLift", "LRP")


def _mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    ).eval()


CASES: dict[str, Callable[[], tuple[nn.Module, Tensor, int]]] = {
    "MLP, 32 rows of 64": lambda: (
        _mlp(),
        torch.randn(32, 64, generator=torch.Generator().manual_seed(0)),
        3,
    ),
    "small CNN, 16 pictures of 28 x 28": lambda: (small_cnn(), small_pictures()[0][:16], 3),
    "EfficientNet-Lite0, the cat": lambda: (
        efficientnet_lite0(),
        imagenet_preprocess(picture("chelsea")),
        282,
    ),
}


def _seconds(run: Callable[[], Any]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def passes(model: nn.Module, run: Callable[[], Any]) -> tuple[int, int]:
    """How many times the first layer ran, and how many rows went through it in all."""
    rows: list[int] = []
    first = next(m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    handle = first.register_forward_hook(lambda _m, inputs, _o: rows.append(len(inputs[0])))
    try:
        run()
    finally:
        handle.remove()
    return len(rows), sum(rows)


def _call(library: Any, method: str, model: nn.Module, x: Tensor, target: int) -> Tensor:
    return getattr(library, method)(model).attribute(x, target=target)


def table(name: str, rounds: int) -> str:
    """One line for each method of each library."""
    model, x, target = CASES[name]()
    runs: dict[str, Callable[[], Any]] = {}
    for library in (attriscope.attr, captum.attr):
        for method in METHODS:
            run = functools.partial(_call, library, method, model, x, target)
            try:
                run()
                runs[f"{library.__name__.split('.')[0]} {method}"] = run
            except TypeError:
                continue  # a layer that Captum's LRP refuses
    taken: dict[str, list[float]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            taken[key].append(_seconds(run))
    middle = {key: statistics.median(times) for key, times in taken.items()}
    unit = middle["attriscope Saliency"]
    lines = [f"\n{name}", f"{'':28}{'ms':>9}{'x gradient':>12}{'x captum':>10}{'forwards':>10}{'rows':>7}"]
    for key, seconds in middle.items():
        peer = middle.get(key.replace("attriscope", "captum"))
        ratio = f"{seconds / peer:10.2f}" if peer and key.startswith("attriscope") else " " * 10
        count, rows = passes(model, runs[key])
        lines.append(f"{key:28}{1e3 * seconds:9.2f}{seconds / unit:12.2f}{ratio}{count:10d}{rows:7d}")
    return "\n".join(lines)


def _peak(library: str, method: str) -> float:
    """MiB that a process grows by for one call on EfficientNet-Lite0; on Linux."""
    code = f"import bench_propagation as b; b.one({library!r}, {method!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    return float(out.stdout.split()[-1])


def one(library: str, method: str) -> None:
    """Run one call and print how much the peak memory grew, in MiB."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    model, x, target = CASES["EfficientNet-Lite0, the cat"]()
    module = {"attriscope": attriscope.attr, "captum": captum.attr}[library]
    with torch.no_grad():
        model(x)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _memory("VmRSS")
    _call(module, method, model, x, target)
    print((_memory("VmHWM") - before) / 1024)


def _memory(kind: str) -> int:
    """KiB of this process, as Linux counts them."""
    return next(
        int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if kind in line
    )


def memory() -> str:
    """Growth of the peak memory, method by method."""
    lines = [
        "\nEfficientNet-Lite0, the cat: growth of the peak memory, MiB",
        f"{'':16}{'attriscope':>12}{'captum':>10}",
    ]
    for method in METHODS:
        values = [_peak("attriscope", method)] + ([] if method == "LRP" else [_peak("captum", method)])
        lines.append(f"{method:16}{values[0]:12.0f}" + (f"{values[1]:10.0f}" if len(values) > 1 else ""))
    return "\n".join(lines)


@pytest.mark.filterwarnings("ignore")
def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    report(15)
    with capsys.disabled():
        print(capsys.readouterr().out)


def report(rounds: int) -> None:
    """Print all tables."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name in CASES:
            print(table(name, rounds))
    finally:
        torch.set_num_threads(threads)
    print(memory())


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    report(1 if "--quick" in sys.argv else 15)
