"""Every method on public architectures with random weights: which are exact, and which refuse; none is silently wrong.

    python tests/architectures/sweep.py                 all, one process each; writes results.json beside this file
    python tests/architectures/sweep.py BERT resnet18   only these again
    python tests/architectures/sweep.py --page          writes notebooks/pages/architectures.md from results.json

In an environment with ``tests/architectures/requirements.txt``; everything runs in double precision, offline. What is
checked:

=====================  =============================================================================================
Saliency               the gradient in two random directions, by finite differences
IntegratedGradients    the sum against f(x) - f(baseline); two examples at once against one after the other
DeepLift               the sum against f(x) - f(baseline), from a random baseline and from zero
LRP, GuidedBackprop    finite numbers (they promise no sum)
FeatureAblation        three features against the differences of two calls
LayerConductance       finite numbers at a layer in the middle, which need not be all there is at its depth
LayerGradCam           the shape of the layer, finite numbers
=====================  =============================================================================================
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import json
import subprocess
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from architectures.models import CASES, build, import_without_torchvision
from attriscope import attr, layers

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "notebooks" / "pages" / "architectures.md"
STEPS = 64
# A case that takes longer than this says so.
SECONDS = 240

Checked = dict[str, Any]


def off(found: Tensor, wanted: Tensor) -> float:
    """The largest error as a share of the largest value."""
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-12))


def per_row(values: Tensor) -> Tensor:
    return values.flatten(1).sum(1)


class Sweep:
    """The checks of one architecture."""

    def __init__(self, name: str) -> None:
        self.model, self.x = build(name)
        with torch.no_grad():
            self.f = self._f(self.x)
            self.start = 0.5 * torch.randn_like(self.x)
            self.change = self.f - self._f(self.start)
            self.change_from_zero = self.f - self._f(torch.zeros_like(self.x))
        self.loose = 1e3 if CASES[name].single else 1.0
        self.middle = self._middle()

    def _f(self, x: Tensor) -> Tensor:
        output: Tensor = self.model(x)
        return output[:, 1]

    def _middle(self) -> str | None:
        """A layer half way through the model, by what ran."""
        found = [
            row
            for row in layers(self.model, self.x)
            if row.order is not None
            and row.calls == 1
            and row.tensors == 1
            and row.shape
            and len(row.shape) >= 3
        ]
        found.sort(key=lambda row: row.order or 0)
        blocks = [row for row in found if row.shape and len(self.x) in row.shape[:2]]
        return blocks[len(blocks) // 2].name if blocks else None

    def saliency(self) -> Checked:
        gradient = attr.Saliency(self.model).attribute(self.x, target=1, abs=False)
        steps = [torch.randn_like(self.x) for _ in range(2)]
        with torch.no_grad():
            h = 1e-2 if self.loose > 1 else 1e-7  # small: kinks lie close together
            slopes = torch.stack(
                [(self._f(self.x + h * s) - self._f(self.x - h * s)) / (2 * h) for s in steps]
            )
        found = torch.stack([per_row(gradient * s) for s in steps])
        return {"off": off(found, slopes), "most": 1e-4 * self.loose}

    def integrated_gradients(self) -> Checked:
        method = attr.IntegratedGradients(self.model)
        found = method.attribute(self.x, self.start, target=1, n_steps=STEPS)
        pairs = zip(self.x.split(1), self.start.split(1), strict=True)
        alone = torch.cat([method.attribute(x, start, target=1, n_steps=STEPS) for x, start in pairs])
        return {"off": off(found, alone), "most": 1e-6 * self.loose, "gap": off(per_row(found), self.change)}

    def deep_lift(self) -> Checked:
        found = attr.DeepLift(self.model).attribute(self.x, self.start, target=1)
        return {"off": off(per_row(found), self.change), "most": 1e-6 * self.loose}

    def deep_lift_from_zero(self) -> Checked:
        found = attr.DeepLift(self.model).attribute(self.x, target=1)
        size = float(found.abs().max() / self.change_from_zero.abs().max())
        return {"off": off(per_row(found), self.change_from_zero), "most": 1e-6 * self.loose, "largest": size}

    def _finite(self, found: Tensor) -> Checked:
        return {"off": 0.0 if bool(found.isfinite().all()) else float("inf"), "most": 0.0}

    def lrp(self) -> Checked:
        found = attr.LRP(self.model).attribute(self.x, target=1)
        return {**self._finite(found), "gap": off(per_row(found), self.f)}

    def guided_backprop(self) -> Checked:
        return self._finite(attr.GuidedBackprop(self.model).attribute(self.x, target=1))

    def feature_ablation(self) -> Checked:
        mask = torch.zeros_like(self.x[:1], dtype=torch.long)
        mask.flatten()[: mask.numel() // 2] = 1
        mask.flatten()[: mask.numel() // 4] = 2
        found = attr.FeatureAblation(self.model).attribute(self.x, target=1, feature_mask=mask)
        with torch.no_grad():
            wanted = torch.zeros_like(self.x)
            for row in range(len(self.x)):  # each example alone
                x = self.x[row : row + 1]
                for feature in range(3):
                    on = (mask == feature).to(x)
                    wanted[row] += (on * (self._f(x) - self._f(x * (1 - on))))[0]
        return {"off": off(found, wanted), "most": 1e-6 * self.loose}

    def layer_conductance(self) -> Checked:
        if self.middle is None:
            return {"refused": "no layer"}
        found = attr.LayerConductance(self.model, self.middle).attribute(self.x, target=1, n_steps=STEPS)
        return {**self._finite(found), "layer": self.middle}

    def layer_grad_cam(self) -> Checked:
        if self.middle is None:
            return {"refused": "no layer"}
        return self._finite(attr.LayerGradCam(self.model, self.middle).attribute(self.x, target=1))

    def all(self) -> dict[str, Checked]:
        checks: dict[str, Callable[[], Checked]] = {
            "Saliency": self.saliency,
            "IntegratedGradients": self.integrated_gradients,
            "DeepLift": self.deep_lift,
            "DeepLift from 0": self.deep_lift_from_zero,
            "LRP": self.lrp,
            "GuidedBackprop": self.guided_backprop,
            "FeatureAblation": self.feature_ablation,
            "LayerConductance": self.layer_conductance,
            "LayerGradCam": self.layer_grad_cam,
        }
        return {name: checked(check) for name, check in checks.items()}


def checked(check: Callable[[], Checked]) -> Checked:
    """What a check found; what was said, if it was refused or warned of."""
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = check()
        except Exception as error:
            ours = type(error).__module__.startswith("attriscope")
            found = {"refused" if ours else "crashed": f"{type(error).__name__}: {error}"[:300]}
    ours_told = [
        f"{type(w.message).__name__}: {w.message}"[:200]
        for w in told
        if "attriscope" in type(w.message).__module__
    ]
    return {
        **found,
        "seconds": round(time.perf_counter() - began, 2),
        **({"told": ours_told} if ours_told else {}),
    }


def verdict(found: Checked) -> str:
    """One word for the table."""
    if "refused" in found or "crashed" in found:
        return "refused" if "refused" in found else "CRASHED"
    if not found["off"] <= found["most"]:
        return f"WRONG {found['off']:.0e}"
    gap = found.get("gap")
    if found.get("largest", 0) > 1e3:
        return f"HUGE {found['largest']:.0e}"
    return "ok" if gap is None else f"{gap:.0e}"


def run_alone(name: str) -> dict[str, Checked]:
    """The checks in a process of their own."""
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--json", name], capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return {"model": {"crashed": f"not done after {SECONDS} s"}}
    if done.returncode:
        return {
            "model": {
                "crashed": done.stderr.strip().splitlines()[-1][:300] if done.stderr.strip() else "died"
            }
        }
    return json.loads(done.stdout.splitlines()[-1])


_HEAD = """# Architectures that were tried

Each of these public architectures, small and with random weights, in double precision: is every method exact, or does
it say why not? Written by `tests/architectures/sweep.py`, which says what "ok" means for each method. For integrated
gradients the number is by how much the sum misses f(x) - f(baseline) with 64 steps, as a share of it; for LRP, which
promises no sum, by how much the relevance misses f(x), which is what biases take. Versions: {versions}.

"""


def page(results: dict[str, dict[str, Checked]]) -> str:
    """The table of the documentation."""
    import timm
    import transformers

    methods = list(dict.fromkeys(method for found in results.values() for method in found))
    lines = ["| architecture | " + " | ".join(methods) + " |", "|---" * (len(methods) + 1) + "|"]
    reasons: dict[str, str] = {}
    for name, found in results.items():
        cells = []
        for method in methods:
            one = found.get(method, {"crashed": "not run"})
            mark = ""
            if said := one.get("refused", one.get("crashed")):
                reasons.setdefault(said, str(len(reasons) + 1))
                mark = f" ({reasons[said]})"
            cells.append(verdict(one) + mark)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    said = [f"{number}. {text.split('. ')[0]}" for text, number in reasons.items()]
    torch_version = torch.__version__.split("+")[0]
    versions = f"torch {torch_version}, transformers {transformers.__version__}, timm {timm.__version__}"
    return _HEAD.format(versions=versions) + "\n".join([*lines, "", *said]) + "\n"


def main() -> None:
    arguments = sys.argv[1:]
    if arguments == ["--page"]:
        import_without_torchvision()
        PAGE.write_text(page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
        return
    if arguments[:1] == ["--json"]:
        print(json.dumps(Sweep(arguments[1]).all()))
        return
    results: dict[str, dict[str, Checked]] = {}
    if arguments and RESULTS.exists():
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for name in arguments or CASES:
        results[name] = run_alone(name)
        print(
            f"{name:28}",
            *(f"{method}={verdict(found)}" for method, found in results[name].items()),
            flush=True,
        )
        for method, found in results[name].items():
            for key in ("refused", "crashed", "told"):
                if key in found:
                    print(f"    {method}: {found[key]}", flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
