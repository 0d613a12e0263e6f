"""How many functions of this package one call of a method runs: what a small model pays beside its own work.

    python -m pytest tests/benchmarks/bench_calls.py   prints the table
    python tests/benchmarks/bench_calls.py             the same; --functions for the functions that were called

Counted is every time that Python enters a function, or goes on in a generator, whose file lies in the package. Unlike
seconds these are the same on every machine. A first call goes before, so that what is looked up once does not count.
Nothing is asserted about the numbers.
"""

from __future__ import annotations

import collections
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import attriscope
from attriscope.attr import FeatureAblation, IntegratedGradients, Saliency

PACKAGE = str(Path(attriscope.__file__).parent) + os.sep

pytestmark = pytest.mark.benchmark


def own_calls(run: Callable[[], Any]) -> collections.Counter[str]:
    """How often each function of the package is entered, by file and name."""
    counts: collections.Counter[str] = collections.Counter()

    def note(frame: types.FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            code = frame.f_code
            name = getattr(code, "co_qualname", code.co_name)  # the qualified one since Python 3.11
            counts[f"{code.co_filename.removeprefix(PACKAGE)} {name}"] += 1

    run()
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
    return counts


def methods() -> dict[str, Callable[[], Any]]:
    """One example of ten numbers and a small MLP, as in bench_gradients."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 3)).eval()
    x = torch.rand(1, 10)
    return {
        "Saliency": lambda: Saliency(model).attribute(x, target=1),
        "IntegratedGradients, n_steps=50": lambda: IntegratedGradients(model).attribute(
            x, target=1, n_steps=50
        ),
        "FeatureAblation": lambda: FeatureAblation(model).attribute(x, target=1),
    }


def table(functions: bool = False) -> str:
    lines = ["Calls of functions of the package, small MLP, 1 x 10"]
    for name, run in methods().items():
        counts = own_calls(run)
        lines.append(f"    {name:44}{sum(counts.values()):6}")
        if functions:
            lines += [f"        {count:6}  {function}" for function, count in counts.most_common()]
    return "\n".join(lines)


def test_count(capsys: pytest.CaptureFixture[str]) -> None:
    found = table()
    with capsys.disabled():
        print(f"\n{found}")


if __name__ == "__main__":
    print(table("--functions" in sys.argv))
