"""Mutation testing: small faults are put into the package one at a time, and the tests of that part must notice.

    python tests/mutation/run.py                        30 faults in each part, drawn with seed 0
    python tests/mutation/run.py rules metrics --count 60 --seed 3
    python tests/mutation/run.py --again                only those that went unnoticed last time

In an environment with the package's ``test`` extra and cosmic-ray, whose operators make the faults::

    pip install -e ".[test]" cosmic-ray==8.7.0

A copy of the package is changed, never the working tree. What no test can notice is not drawn: annotations, docstrings,
messages. Results are in ``results.json`` beside this file; those that went unnoticed, and why they may, in
``survivors.md``. A fault takes as long as the tests that notice it: some 15 seconds, and minutes where none does.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.ast import get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.util import read_python_source

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "attriscope"
RESULTS = Path(__file__).with_name("results.json")
# A part: its sources, and the tests that are run, those that are likely to notice first.
PARTS: dict[str, tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    "core": (("core/*.py",), (("tests/core",), ("tests/attr", "tests/metrics"), ("tests/widget/model",))),
    "rules": (
        ("attr/rules/*.py", "attr/deep_lift.py", "attr/lrp.py", "core/propagation.py", "core/tape.py"),
        (("tests/attr/rules", "tests/parity/test_propagation.py"), ("tests/attr", "tests/core")),
    ),
    "perturbation": (
        ("attr/perturbation/*.py",),
        (("tests/attr/perturbation", "tests/parity/test_perturbation.py"), ("tests/attr",)),
    ),
    "attr": (
        ("attr/*.py", "attr/layer/*.py", "attr/neuron/*.py"),
        (("tests/attr",), ("tests/parity", "tests/core", "tests/metrics")),
    ),
    "metrics": (
        ("metrics/*.py",),
        (("tests/metrics",), ("tests/parity/test_metrics.py", "tests/widget/jobs")),
    ),
    "widget": (
        ("widget/*.py", "widget/*/*.py"),
        (("tests/widget",),),
    ),
}
# Each run of tests ends after so many seconds; a fault that makes them endless is noticed.
SECONDS = 900

Fault = tuple[str, str, int]


class _WithoutWords(ast.NodeTransformer):
    """What a program does, without what it says: annotations, docstrings, messages of errors."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        self.generic_visit(node)
        if node.value is None:
            return None
        return ast.Assign(targets=[node.target], value=node.value, lineno=node.lineno)

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.returns = None
        if any(isinstance(one, ast.Name) and one.id == "overload" for one in node.decorator_list):
            return None
        self.generic_visit(node)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        return ast.Constant(value="words")

    def visit_Constant(self, node: ast.Constant) -> Any:
        return ast.Constant(value="words") if isinstance(node.value, str) else node

    def visit_If(self, node: ast.If) -> Any:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        self.generic_visit(node)
        return node


def meaning(source: str) -> str:
    """Compares equal for programs that do the same, whatever they say."""
    return ast.dump(_WithoutWords().visit(ast.parse(source)))


def mutated(path: Path, operator: str, occurrence: int) -> str | None:
    """The source with one fault; ``None`` if there is no such place."""
    visitor = MutationVisitor(occurrence, cosmic_ray.plugins.get_operator(operator)())
    tree = visitor.walk(get_ast(read_python_source(path)))
    return tree.get_code() if visitor.mutation_applied else None


def places(paths: list[Path]) -> Iterator[Fault]:
    """All faults that can be placed."""
    for path in paths:
        tree = get_ast(read_python_source(path))
        for name in cosmic_ray.plugins.operator_names():
            if "Variable" in name:  # these need to be told which
                continue
            operator = cosmic_ray.plugins.get_operator(name)()
            count = 0
            waiting = [tree]
            while waiting:
                node = waiting.pop()
                count += sum(1 for _ in operator.mutation_positions(node))
                waiting.extend(getattr(node, "children", ()))
            for occurrence in range(count):
                yield str(path.relative_to(PACKAGE)), name, occurrence


def drawn(part: str, count: int, seed: int) -> list[Fault]:
    """Faults of a part: of each kind of fault about as many, so that the frequent kinds do not hide the others."""
    paths = sorted({path for pattern in PARTS[part][0] for path in PACKAGE.glob(pattern)})
    by_kind: dict[str, list[Fault]] = {}
    for fault in places(paths):
        by_kind.setdefault(fault[1].split("_")[0], []).append(fault)
    draw = random.Random(seed)
    kinds = sorted(by_kind)
    for kind in kinds:
        draw.shuffle(by_kind[kind])
    found: list[Fault] = []
    while len(found) < count and any(by_kind.values()):
        for kind in kinds:
            while by_kind[kind] and len(found) < count:
                fault = by_kind[kind].pop()
                if _does_something_else(fault):
                    found.append(fault)
                    break
    return found


def _does_something_else(fault: Fault) -> bool:
    source = mutated(PACKAGE / fault[0], *fault[1:])
    if source is None:
        return False
    try:
        return meaning(source) != meaning(read_python_source(PACKAGE / fault[0]))
    except SyntaxError:
        return False


class Copy:
    """A copy of the package and its tests, in which faults are placed."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        for name in ("src", "tests", "pyproject.toml", "notebooks", "README.md", "CONTRIBUTING.md"):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)

    def noticed(self, fault: Fault) -> tuple[bool, str, str]:
        """Whether the tests notice a fault, which one did first, and the changed line."""
        path = self.root / "src" / "attriscope" / fault[0]
        intact = path.read_text(encoding="utf-8")
        changed = mutated(PACKAGE / fault[0], *fault[1:])
        assert changed is not None
        lines = zip(intact.splitlines(), changed.splitlines(), strict=False)
        at, (before, after) = next((i, pair) for i, pair in enumerate(lines, 1) if pair[0] != pair[1])
        where = f"{fault[0]}:{at}: {before.strip()}  ->  {after.strip()}"
        path.write_text(changed, encoding="utf-8")
        try:
            for tests in PARTS[self._part(fault)][1]:
                if failed := self._run(tests):
                    return True, failed, where
            return False, "", where
        finally:
            path.write_text(intact, encoding="utf-8")

    @staticmethod
    def _part(fault: Fault) -> str:
        for part, (patterns, _) in PARTS.items():
            if any(
                Path(fault[0]).match(pattern) and fault[0].count("/") == pattern.count("/")
                for pattern in patterns
            ):
                return part
        raise KeyError(fault[0])

    def _run(self, tests: tuple[str, ...]) -> str:
        environment = {**os.environ, "PYTHONPATH": str(self.root / "src"), "OMP_WAIT_POLICY": "PASSIVE"}
        there = [name for name in tests if (self.root / name).exists()]
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "--no-header",
            "-p",
            "no:cacheprovider",
            *there,
        ]
        try:
            done = subprocess.run(
                command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"not done after {SECONDS} s"
        if done.returncode == 0:
            return ""
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return failed[0][:200] if failed else f"exit {done.returncode}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Mutation testing")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; they are {', '.join(PARTS)}")
    results: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    faults: list[Fault] = []
    for part in given.parts or PARTS:
        faults += drawn(part, given.count, given.seed)
    if given.again:
        faults = [tuple(json.loads(key)) for key, found in results.items() if not found["noticed"]]
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        for fault in faults:
            began = time.monotonic()
            noticed, by, where = copy.noticed(fault)
            results[json.dumps(fault)] = {"noticed": noticed, "by": by, "where": where}
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            said = "noticed  " if noticed else "UNNOTICED"
            print(f"{said} {time.monotonic() - began:4.0f} s  {where}   {by}", flush=True)
    share = sum(found["noticed"] for found in results.values()) / max(1, len(results))
    print(f"{share:.0%} of {len(results)} noticed")


if __name__ == "__main__":
    main()
