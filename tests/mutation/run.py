"""Mutation testing: small faults are put into the package one at a time, and the tests of that part must notice.

    python tests/mutation/run.py                        30 faults in each part, drawn with seed 0
    python tests/mutation/run.py rules metrics --count 60 --seed 3
    python tests/mutation/run.py --again                only those that went unnoticed so far

In an environment with the package's ``test`` extra and cosmic-ray, whose operators make the faults::

    pip install -e ".[test]" cosmic-ray==8.7.0

A copy of the package is changed, never the working tree. What no test can notice is not drawn: annotations, docstrings,
messages. Results are in ``results.json`` beside this file, written after every fault: a run that was stopped goes on
where it was. Those that went unnoticed, and why they may, are in ``survivors.md``. A fault takes as long as the tests
that notice it, those of the changed file first: some 10 seconds, and minutes where none does.
"""

from __future__ import annotations

import argparse
import ast
import functools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn

import captum.attr  # noqa: F401
import cosmic_ray.plugins
import matplotlib.pyplot  # noqa: F401
import pytest
import torch  # noqa: F401
from cosmic_ray.ast import get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.util import read_python_source

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "attriscope"
RESULTS = Path(__file__).with_name("results.json")
# A part: its sources, and the tests that are run. A source belongs to the first part that names it.
PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rules": (
        ("attr/rules/*.py", "attr/deep_lift.py", "attr/lrp.py", "core/propagation.py", "core/tape.py"),
        ("attr/rules", "parity/test_propagation.py", "attr", "core"),
    ),
    "core": (("core/*.py",), ("core", "metrics", "attr", "widget/model")),
    "perturbation": (("attr/perturbation/*.py",), ("parity/test_perturbation.py", "attr")),
    "attr": (("attr/*.py", "attr/layer/*.py", "attr/neuron/*.py"), ("attr", "core", "metrics", "parity")),
    "metrics": (("metrics/*.py",), ("metrics", "parity/test_metrics.py", "widget/jobs")),
    "widget": (("widget/*.py", "widget/*/*.py"), ("widget",)),
}
# Each test, and each run of tests, ends after so many seconds; a fault that makes one endless is noticed.
OPTIONS = ("-x", "-q", "--no-header", "-p", "no:cacheprovider", "-o", "timeout=60")
SECONDS = 900

Fault = tuple[str, str, int]
Found = dict[str, Any]


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
        if isinstance(last := node.body[-1], ast.Expr) and getattr(last.value, "value", None) is ...:
            return None  # only says types
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
    named = {path for pattern in PARTS[part][0] for path in PACKAGE.glob(pattern)}
    paths = sorted(path for path in named if part_of(str(path.relative_to(PACKAGE))) == part)
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


def part_of(source: str) -> str:
    """The first part that names a source file."""
    for part, (patterns, _) in PARTS.items():
        for pattern in patterns:
            if source.count("/") == pattern.count("/") and Path(source).match(pattern):
                return part
    raise KeyError(source)


def files_for(root: Path, part: str, source: str = "") -> tuple[list[str], list[str]]:
    """The tests of a source, and the others of its part; without the one that runs mypy.

    Those of its name or that import it; if there are none, those of the sources that import it.
    """
    tests = root / "tests"
    files: list[Path] = []
    for name in PARTS[part][1]:
        files += sorted((tests / name).rglob("test_*.py")) if (tests / name).is_dir() else [tests / name]
    files = [file for file in dict.fromkeys(files) if file.name != "test_types.py"]
    files.sort(key=lambda file: file.parent != (tests / source).parent)
    near: list[Path] = []
    sources, seen = [source] if source else [], {source}
    while sources and not near:
        near = [file for file in files if any(_is_test_of(file, one) for one in sources)]
        sources = [one for one in _sources(root) if any(_imports(root, one, other) for other in sources)]
        sources = [one for one in sources if one not in seen]
        seen.update(sources)
    far = [file for file in files if file not in near]
    return [str(file.relative_to(root)) for file in near], [str(file.relative_to(root)) for file in far]


@functools.cache
def _sources(root: Path) -> list[str]:
    package = root / "src" / "attriscope"
    found = (path for path in sorted(package.rglob("*.py")) if path.name != "__init__.py")
    return [str(path.relative_to(package)) for path in found]


@functools.cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _imports(root: Path, source: str, other: str) -> bool:
    text, folder, name = _text(root / "src" / "attriscope" / source), *_module(other)
    return f"from {folder}.{name} import" in text or f"from {folder} import {name}" in text


def _is_test_of(file: Path, source: str) -> bool:
    folder, name = _module(source)
    return file.name.startswith(f"test_{name.strip('_')}") or f"from {folder}.{name} import" in _text(file)


def _module(source: str) -> tuple[str, str]:
    """A source's package and name."""
    *folders, name = source.removesuffix(".py").split("/")
    return ".".join(["attriscope", *folders]), name


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

    def check(self, parts: set[str]) -> None:
        """Stops if a test fails where no fault is: it would notice every fault."""
        files = [file for part in parts for group in files_for(self.root, part) for file in group]
        if failed := self._run(list(dict.fromkeys(files))):
            raise SystemExit(f"without a fault, a test fails: {failed}")

    def place(self, fault: Fault, far: bool) -> tuple[str, str]:
        """The test that notices a fault first, among those of its file or among the others, and the changed line."""
        path = self.root / "src" / "attriscope" / fault[0]
        intact = path.read_text(encoding="utf-8")
        changed = mutated(path, *fault[1:])
        assert changed is not None
        lines = zip(intact.splitlines(), changed.splitlines(), strict=False)
        at, (before, after) = next((i, pair) for i, pair in enumerate(lines, 1) if pair[0] != pair[1])
        where = f"{fault[0]}:{at}: {before.strip()}  ->  {after.strip()}"
        path.write_text(changed, encoding="utf-8")
        try:
            tests = files_for(self.root, part_of(fault[0]), fault[0])[far]
            return self._run(tests) if tests else "", where
        finally:
            path.write_text(intact, encoding="utf-8")

    def _run(self, tests: list[str]) -> str:
        """The first test that fails, in a process of its own, which has torch already: importing it takes seconds."""
        output = self.root / "output.txt"
        child = os.fork()
        if not child:
            self._pytest(tests, output)
        end = time.monotonic() + SECONDS
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return f"not done after {SECONDS} s"
            time.sleep(0.1)
        said = output.read_text(encoding="utf-8").splitlines()
        failed = [line for line in said if line.startswith(("FAILED", "ERROR"))]
        passed = said[-1:] == ["exit 0"]
        return "" if passed else failed[0][:200] if failed else (said or ["nothing said"])[-1]

    def _pytest(self, tests: list[str], output: Path) -> NoReturn:
        os.setsid()
        with open(output, "w", encoding="utf-8") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.chdir(self.root)
        sys.path.insert(0, str(self.root / "src"))
        os.environ["PYTHONPATH"] = str(self.root / "src")
        code = 1
        try:
            code = int(pytest.main([*OPTIONS, *tests]))
        finally:
            print(f"\nexit {code}", flush=True)
            os._exit(code)


def results() -> dict[str, Found]:
    """What was found so far: by fault, as JSON."""
    found: dict[str, Found] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return found


def table(found: dict[str, Found]) -> Iterator[str]:
    """By part: the faults, and how many were noticed when they were first placed and are noticed now."""
    yield "| part | seed | faults | noticed at first | noticed now | share |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for part in [*PARTS, "all"]:
        of_part = [one for one in found.values() if part in (one["part"], "all")]
        if of_part:
            seeds = ", ".join(sorted({str(one["seed"]) for one in of_part}))
            first, now = (sum(one[when] for one in of_part) for when in ("noticed_at_first", "noticed"))
            yield f"| {part} | {seeds} | {len(of_part)} | {first} | {now} | {now / len(of_part):.0%} |"


def tried(copy: Copy, fault: Fault, far: bool, seed: int) -> bool:
    """Whether a fault is noticed; written down if it is, or if no tests are left."""
    began = time.monotonic()
    by, where = copy.place(fault, far)
    said = "noticed  " if by else "UNNOTICED" if far else "not by its own"
    print(f"{said} {time.monotonic() - began:4.0f} s  {where}   {by}", flush=True)
    if by or far:
        known = results()
        first = known.get(json.dumps(fault), {"noticed_at_first": bool(by), "seed": seed})
        now = {"part": part_of(fault[0]), "noticed": bool(by), "by": by, "where": where}
        known[json.dumps(fault)] = {**first, **now}
        RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return bool(by)


def main() -> None:
    parser = argparse.ArgumentParser(description="Mutation testing")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; they are {', '.join(PARTS)}")
    parts = given.parts or list(PARTS)
    known = results()
    if given.again:
        missed = [json.loads(key) for key, found in known.items() if not found["noticed"]]
        faults = [(*fault,) for fault in missed if part_of(fault[0]) in parts]
    else:
        of_parts = [drawn(part, given.count, given.seed) for part in parts]
        in_turn = [fault for one_of_each in zip_longest(*of_parts) for fault in one_of_each if fault]
        faults = [fault for fault in in_turn if json.dumps(fault) not in known]
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        copy.check({part_of(fault[0]) for fault in faults})
        # What takes long, all the others, only where the tests of the file do not notice.
        for far in (False, True):
            faults = [fault for fault in faults if not tried(copy, fault, far, given.seed)]
    print(*table(results()), sep="\n")


if __name__ == "__main__":
    main()
