"""Files and functions stay short enough to be read whole."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES_OF_A_FILE = 450
MOST_LINES_OF_A_FUNCTION = 70  # of code: the docstring does not count


def files(*folders: str) -> list[Path]:
    """What is in these folders, without what tools leave there."""
    left = {"node_modules", "__pycache__", "static"}
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and not left & set(path.parts)
    ]


def functions(path: Path) -> Iterator[tuple[int, str, int]]:
    """Line, name and length of every function in a Python file, those inside others included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if body:
                yield node.lineno, node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1


def test_no_file_is_long() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in files("src/attriscope", "js/src", "js/test", "tests")
        if path.suffix in (".py", ".ts", ".css")
        and not path.name.endswith(".generated.ts")  # made from others, and read by nobody
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES_OF_A_FILE
    }
    assert found == {}


def test_no_function_is_long() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}: {length} lines"
        for path in files("src/attriscope")
        if path.suffix == ".py"
        for line, name, length in functions(path)
        if length > MOST_LINES_OF_A_FUNCTION
    ]
    assert found == []


@pytest.mark.parametrize(("lines", "counted"), [(70, 70), (71, 71)])
def test_how_functions_are_measured(tmp_path: Path, lines: int, counted: int) -> None:
    path = tmp_path / "long.py"
    path.write_text('def f():\n    """Not\n\n    counted."""\n' + "    x = 1\n" * lines)
    assert list(functions(path)) == [(1, "f", counted)]
