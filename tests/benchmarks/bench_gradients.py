"""Integrated gradients beside Captum and beside a bare loop of the same passes, and the time an import takes.

    python -m pytest tests/benchmarks            prints the tables
    python tests/benchmarks/bench_gradients.py   the same; --quick for one round of each

Contenders take turns, round by round, on one thread. Processor time is what counts (a busy machine then disturbs
little), and ratios within one run say more than seconds. Nothing is asserted about time.
"""

from __future__ import annotations

import os
import sys

# As in tests/conftest.py, for when this runs as a script: before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import copy
import resource
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import IntegratedGradients
from attriscope.attr.quadrature import quadrature
from attriscope.zoo import efficientnet_lite0, imagenet_preprocess, picture, small_cnn, small_pictures

STEPS = 50

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]


def bare_loop(model: Any, x: Tensor, target: int, batch: int) -> Tensor:
    """What nobody can do without: the same points, passes and sums, and nothing else."""
    rule = quadrature("gausslegendre", STEPS)
    nodes = (
        torch.tensor(rule.nodes, dtype=x.dtype).repeat_interleave(len(x)).reshape(-1, *[1] * (x.dim() - 1))
    )
    weights = torch.tensor(rule.weights, dtype=x.dtype).repeat_interleave(len(x)).reshape(nodes.shape)
    examples = torch.arange(len(x)).repeat(STEPS)
    total = torch.zeros_like(x)
    for start in range(0, len(nodes), batch):
        rows = slice(start, start + batch)
        points = (x[examples[rows]] * nodes[rows]).requires_grad_()
        (gradient,) = torch.autograd.grad(model(points)[:, target].sum(), points)
        total.index_add_(0, examples[rows], gradient * weights[rows])
    return total * x


def contenders(
    model: nn.Module, x: Tensor, target: int, batches: Sequence[int]
) -> dict[str, Callable[[], Tensor]]:
    """What is compared: all give the same attributions."""
    ours, theirs = IntegratedGradients(model), captum.attr.IntegratedGradients(model)
    rows = STEPS * len(x)
    run: dict[str, Callable[[], Tensor]] = {}
    for batch in (*batches, rows):
        run[f"bare loop, {batch} rows at a time"] = lambda batch=batch: bare_loop(model, x, target, batch)
    # A copy is another model: batch sizes are measured anew.
    run["attriscope, first call"] = lambda: IntegratedGradients(copy.deepcopy(model)).attribute(
        x, target=target
    )
    run["attriscope"] = lambda: ours.attribute(x, target=target)
    for batch in batches:
        run[f"attriscope, internal_batch_size={batch}"] = lambda batch=batch: ours.attribute(
            x, target=target, internal_batch_size=batch
        )
    run["captum"] = lambda: theirs.attribute(x, target=target)
    for batch in batches:
        run[f"captum, internal_batch_size={batch}"] = lambda batch=batch: theirs.attribute(
            x, target=target, internal_batch_size=batch
        )
    return run


def race(run: dict[str, Callable[[], Tensor]], rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each contender in each round; all must find the same.

    Not to the digit: in single precision another batch size moves points across the bends of a deep ReLU network.
    """
    reference = next(iter(run.values()))().flatten()
    seconds: dict[str, list[float]] = {name: [] for name in run}
    for i in range(rounds):
        names = list(run) if i % 2 == 0 else list(run)[::-1]
        for name in names:
            began = time.process_time()
            found = run[name]()
            seconds[name].append(time.process_time() - began)
            assert float(torch.cosine_similarity(found.flatten(), reference, dim=0)) > 0.99, name
    return seconds


def table(title: str, seconds: dict[str, list[float]], against: str) -> str:
    """Medians, and the median over rounds of the ratio to ``against``."""
    lines = [title, f"    {'':44}{'seconds':>9}   ratio (lowest to highest)"]
    for name, taken in seconds.items():
        ratios = sorted(t / base for t, base in zip(taken, seconds[against], strict=True))
        lines.append(
            f"    {name:44}{statistics.median(taken):9.4f}   {statistics.median(ratios):5.2f}  "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    return "\n".join(lines)


def network(title: str, model: nn.Module, x: Tensor, target: int, batches: Sequence[int], rounds: int) -> str:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seconds = race(contenders(model, x, target, batches), rounds)
    finally:
        torch.set_num_threads(threads)
    bare = {name: statistics.median(taken) for name, taken in seconds.items() if name.startswith("bare")}
    best = min(bare, key=lambda name: bare[name])
    return table(f"{title}; ratios to the fastest bare loop ({best})", seconds, best)


# --- what is measured ----------------------------------------------------------------------------------------


def lite0(rounds: int) -> str:
    x = imagenet_preprocess(picture("chelsea"))
    return network(
        "IG-50, EfficientNet-Lite0, 1 x 3 x 224 x 224", efficientnet_lite0(), x, 281, (1, 10), rounds
    )


def digits(rounds: int, count: int) -> str:
    x = small_pictures()[0][:count]
    batches = (1, 10) if count == 1 else (count, 10 * count)
    return network(f"IG-50, small CNN, {count} x 1 x 28 x 28", small_cnn(), x, 3, batches, rounds)


def features(rounds: int, count: int) -> str:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 3)).eval()
    batches = (10,) if count == 1 else (count,)
    return network(f"IG-50, MLP, {count} x 10", model, torch.rand(count, 10), 1, batches, rounds)


def imports(rounds: int) -> str:
    """Processor time of a new process."""
    statements = ("import torch", "import attriscope", "import attriscope.attr", "import captum.attr")
    seconds: dict[str, list[float]] = {s: [] for s in statements}
    for _ in range(rounds + 1):
        for statement in statements:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", statement], check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds[statement].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    # The first round fills the disk cache.
    return table("Imports", {s: taken[1:] for s, taken in seconds.items()}, "import torch")


MEASUREMENTS: dict[str, tuple[Callable[[int], str], int]] = {
    "lite0": (lite0, 3),
    "small_cnn, 1": (lambda rounds: digits(rounds, 1), 9),
    "small_cnn, 16": (lambda rounds: digits(rounds, 16), 5),
    "mlp, 1": (lambda rounds: features(rounds, 1), 51),
    "mlp, 256": (lambda rounds: features(rounds, 256), 21),
    "imports": (imports, 5),
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
