"""Importing is cheap, and imports run one way: widget -> metrics -> plots -> attr -> core."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
PACKAGE = SRC / "attriscope"
# Each layer may import itself and the layers before it.
LAYERS = ("core", "_drawing", "attr", "plots", "metrics", "widget")
# What only drawing needs, and the zoo, which only those who ask for it should pay for.
HEAVY = ("matplotlib", "ipywidgets", "anywidget", "IPython", "attriscope.zoo")


@pytest.mark.parametrize(
    "statement",
    [
        "import attriscope",
        "from attriscope.attr import IntegratedGradients",
        "import attriscope.plots",
        "from attriscope.metrics import evaluate",
    ],
)
def test_importing_is_cheap(statement: str) -> None:
    code = f"import sys\n{statement}\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    # -I: nothing that PYTHONPATH or the user's own site-packages hold may take part.
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], f"{statement!r} loads too much"


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imported(module: str, path: Path) -> Iterator[tuple[int, str]]:
    """Every name that an import statement anywhere in the file may load, with its line."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")
                base = ".".join([*above[: len(above) - node.level + 1], *([base] if base else [])])
            # "from attriscope import zoo" imports the module attriscope.zoo, so the names count too.
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def part_of(name: str) -> str | None:
    """The part of the package a dotted name belongs to: "attr" for attriscope.attr.integrated_gradients."""
    head, _, rest = name.partition(".")
    return rest.split(".")[0] if head == "attriscope" and rest else None


def is_allowed(importer: str, name: str) -> bool:
    if name.split(".")[0] == "captum":
        return False
    here, there = part_of(importer), part_of(name)
    if here is None:
        return (
            True  # the package itself is the shop window: it names everything, and loads it when it is used
        )
    if there == "zoo":
        return here == "zoo"
    if there not in LAYERS or here not in LAYERS:
        return True  # the zoo stands beside the layers
    return LAYERS.index(there) <= LAYERS.index(here)


def test_imports_run_one_way() -> None:
    wrong = [
        f"{path.relative_to(SRC)}:{line} imports {name}"
        for module, path in modules()
        for line, name in imported(module, path)
        if not is_allowed(module, name)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("importer", "name", "allowed"),
    [
        ("attriscope.widget.explorer", "attriscope.metrics.infidelity", True),
        ("attriscope.attr.integrated_gradients", "attriscope.core.subject.Subject", True),
        ("attriscope.core.subject", "attriscope.attr.integrated_gradients", False),
        ("attriscope.attr.integrated_gradients", "attriscope.zoo", False),
        ("attriscope.plots._tokens_figure", "attriscope._drawing.scales.scale", True),
        ("attriscope.metrics.table", "attriscope.plots.curves", True),
        ("attriscope.plots._curves", "attriscope.metrics.perturbation_curves", False),
        ("attriscope.attr.integrated_gradients", "attriscope.plots", False),
        ("attriscope.zoo.small", "attriscope.zoo.pictures", True),
        ("attriscope.attr.integrated_gradients", "captum.attr.IntegratedGradients", False),
        ("attriscope", "attriscope.attr", True),
        ("attriscope", "captum.attr", False),
    ],
)
def test_the_rule_itself(importer: str, name: str, allowed: bool) -> None:
    assert is_allowed(importer, name) is allowed
