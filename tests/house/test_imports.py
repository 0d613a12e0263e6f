"""Importing is cheap, and imports run one way, without a circle: widget -> metrics -> plots -> attr -> core."""

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


# --- circles ----------------------------------------------------------------------------------------------------


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that all lead to each other, by Tarjan's algorithm."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for there in graph.get(name, ()):
            if there not in order:
                visit(there)
                low[name] = min(low[name], low[there])
            elif there in stack:
                low[name] = min(low[name], order[there])
        if low[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1 or name in graph.get(name, ()):
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in order:
            visit(name)
    return found


def test_no_circle_among_files() -> None:
    """Imports for type checkers and those inside functions count, too: whoever reads a file has to follow them."""
    known = dict(modules())
    graph: dict[str, set[str]] = {}
    for module, path in known.items():
        if module == "attriscope":
            continue  # the shop window
        names = [name for _, name in imported(module, path)]
        # "from package.module import name" gives package.module.name; the longest part that is a file counts.
        there = {next((n for n in (name, name.rpartition(".")[0]) if n in known), None) for name in names}
        graph[module] = {n for n in there if n is not None and n != module}
    assert circles(graph) == []


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, [["b", "c"]]),
        ({"a": {"a"}}, [["a"]]),
    ],
)
def test_how_circles_are_found(graph: dict[str, set[str]], expected: list[list[str]]) -> None:
    assert circles(graph) == expected
