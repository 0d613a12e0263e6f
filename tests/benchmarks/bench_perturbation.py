"""Perturbation methods beside Captum: time on a model that costs nothing, and on the small CNN.

    python -m pytest tests/benchmarks/bench_perturbation.py     prints the tables
    python tests/benchmarks/bench_perturbation.py               the same; --quick for one round of each

Contenders take turns, round by round, on one thread; processor time is what counts, and ratios within one run say more
than seconds. Captum runs at its default, one perturbation at a time, and at each of some larger batches, of which its
best counts; ours chooses for itself. On the free model, x.flatten(1).sum(1), what is left is writing rows and adding
them up. On the small CNN the model is most of the work for both: the last line is the time that the model alone takes
for as many rows, in batches of 32.
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
from torch import Tensor

import attriscope.attr
from attriscope.zoo import small_cnn, small_pictures

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]


def free(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


def hidden_layer() -> Callable[[Tensor], Tensor]:
    """Nearly free, but not linear."""
    weight = drawn(784, 32)
    return lambda x: (x.flatten(1) @ weight).relu().sum(1)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def segments(size: int, per_side: int) -> Tensor:
    """A square picture cut into squares."""
    place = torch.arange(size) * per_side // size
    return (place[:, None] * per_side + place)[None, None]


def digit() -> Tensor:
    return small_pictures()[0][:1]


def large_digit() -> Tensor:
    """The small CNN pools over all places, so that it takes pictures of any size."""
    return torch.nn.functional.interpolate(digit(), size=(224, 224), mode="bilinear")


# Name, method, forward, inputs, arguments, Captum's batches, rounds.
Case = tuple[str, Any, Tensor, dict[str, Any], tuple[int, ...], int]
WINDOW = {"sliding_window_shapes": (3, 15, 15), "strides": (3, 8, 8)}
CASES: dict[str, Callable[[], Case]] = {
    "free model, ablation of 3 x 32 x 32 pixels": lambda: (
        "FeatureAblation", free, drawn(1, 3, 32, 32), {}, (64, 512, 3072), 3,
    ),
    "free model, occlusion of 3 x 224 x 224 by 15/8": lambda: (
        "Occlusion", free, drawn(1, 3, 224, 224), WINDOW, (4, 27), 3,
    ),
    "free model, Shapley sampling of 16 segments of 3 x 224 x 224": lambda: (
        "ShapleyValueSampling", free, drawn(1, 3, 224, 224), {"feature_mask": segments(224, 4)}, (4, 16), 3,
    ),
    "free model, Shapley sampling of 16 features": lambda: (
        "ShapleyValueSampling", free, drawn(1, 16), {}, (4, 16), 5,
    ),
    "free model, Lime of 16 features, 1,000 samples": lambda: (
        "Lime", free, drawn(1, 16), {"n_samples": 1000}, (100, 1000), 5,
    ),
    "free model, KernelShap of 16 features, 1,000 samples": lambda: (
        "KernelShap", free, drawn(1, 16), {"n_samples": 1000}, (100, 1000), 5,
    ),
    "free model, exact Shapley values of 7 features": lambda: (
        "ShapleyValues", free, drawn(1, 7), {}, (7,), 1,
    ),
    "small CNN, ablation of 28 x 28 pixels": lambda: (
        "FeatureAblation", small_cnn(), digit(), {"target": 3}, (16, 64, 256), 3,
    ),
    "small CNN, occlusion of 28 x 28 by 5/2": lambda: (
        "Occlusion", small_cnn(), digit(),
        {"target": 3, "sliding_window_shapes": (1, 5, 5), "strides": (1, 2, 2)}, (8, 32, 144), 5,
    ),
    "small CNN, occlusion of 224 x 224 by 15/8": lambda: (
        "Occlusion", small_cnn(), large_digit(),
        {"target": 3, "sliding_window_shapes": (1, 15, 15), "strides": (1, 8, 8)}, (4, 27), 1,
    ),
    "small CNN, Shapley sampling of 16 segments": lambda: (
        "ShapleyValueSampling", small_cnn(), digit(), {"target": 3, "feature_mask": segments(28, 4)}, (4, 16), 5,
    ),
    "small CNN, Lime of 16 segments, 1,000 samples": lambda: (
        "Lime", small_cnn(), digit(),
        {"target": 3, "feature_mask": segments(28, 4), "n_samples": 1000}, (16, 64, 256), 3,
    ),
    "small CNN, KernelShap of 16 segments, 1,000 samples": lambda: (
        "KernelShap", small_cnn(), digit(),
        {"target": 3, "feature_mask": segments(28, 4), "n_samples": 1000}, (16, 64, 256), 3,
    ),
    "net, KernelShap of 28 x 28 pixels, 200 samples": lambda: (
        "KernelShap", hidden_layer(), digit(), {"n_samples": 200}, (20, 200), 5,
    ),
    "small CNN, exact Shapley values of 7 segments": lambda: (
        "ShapleyValues", small_cnn(), digit(),
        {"target": 3, "feature_mask": torch.arange(28)[None, None, :, None] // 4}, (7,), 1,
    ),
}  # fmt: skip


def alone(forward: Any, x: Tensor, rows: int, batch: int = 32) -> float:
    """Seconds that the model takes for so many rows."""
    many = x.expand(batch, *x.shape[1:]).contiguous()
    began = time.process_time()
    with torch.no_grad():
        for _ in range(rows // batch):
            forward(many)
    return (time.process_time() - began) * rows / (rows // batch * batch)


def times(name: str, rounds: int | None) -> str:
    torch.set_num_threads(1)
    method, forward, x, given, batches, usual = CASES[name]()
    ours, theirs = getattr(attriscope.attr, method)(forward), getattr(captum.attr, method)(forward)
    run: dict[str, Callable[[], Any]] = {"attriscope": lambda: ours.attribute(x, **given)}
    for batch in (1, *batches):
        label = "captum" if batch == 1 else f"captum, {batch} at a time"
        run[label] = lambda batch=batch: theirs.attribute(x, perturbations_per_eval=batch, **given)
    seconds: dict[str, list[float]] = {who: [] for who in run}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):  # ours measures batch sizes in its first calls
            run["attriscope"]()
        for i in range(rounds or usual):
            for who in list(run)[:: 1 if i % 2 else -1]:
                began, calls = time.process_time(), 0
                while calls == 0 or (time.process_time() - began < 0.1):  # the clock is coarse
                    run[who]()
                    calls += 1
                seconds[who].append((time.process_time() - began) / calls)
    if forward is not free:
        rows = ours.estimate(x, **given).evaluations
        seconds["the model alone"] = [alone(forward, x, rows) for _ in seconds["attriscope"]]
    lines = [name]
    for who, taken in seconds.items():
        ratios = sorted(t / base for t, base in zip(taken, seconds["attriscope"], strict=True))
        lines.append(
            f"    {who:28}{statistics.median(taken):10.5f} s   {statistics.median(ratios):8.2f} times ours "
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
