"""The how-tos of CONTRIBUTING.md and the code of README.md, as they stand.

Code is run; changes are made in a copy of the tree, which is then built and tested.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from attriscope.metrics import CATALOGUE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TOOLS = ROOT / "js/node_modules/.bin"
BLOCK = re.compile(
    r"^(?P<before>[^\n]*)\n\n```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
NEW_FILE = re.compile(r"New file `(?P<file>[^`]+)`:")
EDIT = re.compile(r"In `(?P<file>[^`]+)`, below `(?P<line>[^`]+)`:")


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of code, and the line of text before it, which says where it goes."""

    before: str
    language: str
    code: str


def blocks(title: str) -> list[Block]:
    """The blocks of code under a heading."""
    sections = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert len(sections) == 1, f"CONTRIBUTING.md has {len(sections)} sections {title!r}"
    found = [Block(**block.groupdict()) for block in BLOCK.finditer(sections[0])]
    assert len(found) == sections[0].count("\n```") / 2, f"a block of {title!r} has no line of text before it"
    return found


def how_tos() -> list[str]:
    return re.findall(r"^## (Add an? .*)$", TEXT, re.MULTILINE)


def test_there_are_six() -> None:
    assert how_tos() == [*IN_PYTHON, *IN_A_COPY]


# --- code to run ------------------------------------------------------------------------------------------------

IN_PYTHON = ["Add a method", "Add a propagation rule", "Add a metric", "Add a stage"]


@pytest.fixture
def catalogue() -> Iterator[None]:
    """What a how-to registers is gone afterwards."""
    known = dict(CATALOGUE)
    yield
    CATALOGUE.clear()
    CATALOGUE.update(known)


@pytest.mark.parametrize("title", IN_PYTHON)
def test_code_runs(title: str, catalogue: None) -> None:
    found = blocks(title)
    assert found
    names: dict[str, object] = {"__name__": "contributing"}
    for block in found:
        assert block.language == "python"
        exec(compile(block.code, f"CONTRIBUTING.md, {title}", "exec"), names)


def test_code_of_the_readme_runs() -> None:
    """As in a notebook that is closed while the Explorers of its last cells are still at work."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = [block["code"] for block in BLOCK.finditer(text) if block["language"] == "python"]
    assert len(found) == text.count("```python") > 3
    end = "import os\nprint('well')\nos._exit(0)\n"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*found, end])],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.stdout.endswith("well\n"), done.stdout


# --- changes to make --------------------------------------------------------------------------------------------

IN_A_COPY = ["Add an Explorer card", "Add a trait"]


def run(command: Sequence[str | Path], cwd: Path) -> None:
    """Runs a command to a good end in a copy of the tree, with the copy's own package."""
    env = {**os.environ, "PYTHONPATH": str(cwd.parent / "src" if cwd.name == "js" else cwd / "src")}
    done = subprocess.run(
        command, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout}"


def copy_of_the_tree(to: Path) -> Path:
    ignored = shutil.ignore_patterns("node_modules", "__pycache__")
    for name in ("src", "js"):
        shutil.copytree(ROOT / name, to / name, ignore=ignored)
    (to / "js/node_modules").symlink_to(ROOT / "js/node_modules", target_is_directory=True)
    return to


def make(block: Block, tree: Path) -> str | None:
    """Makes the change that a block says, and returns the name of a file that is new."""
    if new := NEW_FILE.fullmatch(block.before):
        path = tree / new["file"]
        assert not path.exists(), f"{new['file']} is there already"
        path.write_text(block.code, encoding="utf-8")
        return new["file"]
    edit = EDIT.fullmatch(block.before)
    assert edit is not None, f"where does this go? {block.before!r}"
    path = tree / edit["file"]
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    line = edit["line"] + "\n"
    assert lines.count(line) == 1, f"{edit['file']} has {lines.count(line)} lines {line!r}"
    lines.insert(lines.index(line) + 1, block.code)
    path.write_text("".join(lines), encoding="utf-8")
    return None


@pytest.mark.timeout(600)
def test_changes_work_in_both_halves(tmp_path: Path, cannot_run: Callable[[str], NoReturn]) -> None:
    """Of ``npm run check``, all but the tests of what was there before: types of all, lint, format and new tests."""
    if shutil.which("node") is None or not TOOLS.is_dir():
        cannot_run("the how-tos of the page half need Node.js 20 or newer, and `npm ci` in js/")
    tree = copy_of_the_tree(tmp_path)
    in_python, new = [], []
    for block in (block for title in IN_A_COPY for block in blocks(title)):
        if block.language == "sh":
            (line,) = block.code.splitlines()
            run([sys.executable, *line.split()[1:]], tree)
        elif block.language == "python" and not EDIT.fullmatch(block.before):
            in_python.append(block.code)
        elif file := make(block, tree):
            new.append(file.removeprefix("js/"))
    assert in_python
    tests = [file for file in new if file.startswith("test/")]
    assert len(tests) == len(IN_A_COPY)

    js = tree / "js"
    run([TOOLS / "tsc", "--noEmit", "-p", "."], js)
    run([TOOLS / "eslint", "--max-warnings", "0", "src/index.ts", *new], js)
    run([TOOLS / "prettier", "--check", "src/index.ts", "src/state", *new], js)
    run([TOOLS / "vitest", "run", "test/house.test.ts", *tests], js)
    run(["node", "build.mjs"], js)
    for code in in_python:
        run([sys.executable, "-c", code], tree)


def test_a_change_that_does_not_fit_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one\ntwo\n")
    make(Block("In `a.py`, below `one`:", "python", "more\n"), tmp_path)
    assert (tmp_path / "a.py").read_text() == "one\nmore\ntwo\n"
    for before in ("In `a.py`, below `three`:", "New file `a.py`:", "Somewhere:"):
        with pytest.raises(AssertionError):
            make(Block(before, "python", "more\n"), tmp_path)
