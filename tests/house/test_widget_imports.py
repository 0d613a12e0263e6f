"""The widget's folders import one way, types included: what is below knows nothing of what is above."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

WIDGET = Path(__file__).parents[2] / "src/attriscope/widget"
# Each may import itself and those before it: what travels; what is shared, requested, answered; what there is to ask;
# what makes data visible; who answers; when that is done; how the view is taken out. The Explorer and its parts are
# made of these.
ORDER = (
    "messages",
    "state",
    "methods",
    "stages",
    "model",
    "jobs",
    "export",
    "validation",
    "answers",
    "views",
    "explorer",
)
PREFIX = "attriscope.widget."


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Which folders or modules of the widget a file imports from, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith(PREFIX):
                yield node.lineno, name.removeprefix(PREFIX).split(".")[0]


def is_allowed(importer: str, imported: str) -> bool:
    return importer == "__init__" or ORDER.index(imported) <= ORDER.index(importer)


def test_folders_import_one_way() -> None:
    wrong = []
    for path in sorted(WIDGET.rglob("*.py")):
        importer = path.relative_to(WIDGET).parts[0].removesuffix(".py")
        wrong += [
            f"{path.relative_to(WIDGET)}:{line} imports {imported}"
            for line, imported in imports(path)
            if not is_allowed(importer, imported)
        ]
    assert wrong == []


def test_there_is_nothing_beside_these() -> None:
    found = {
        path.stem for path in WIDGET.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert found == {"__init__", *ORDER}


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("state", "messages", True),
        ("messages", "state", False),
        ("methods", "model", False),
        ("model", "jobs", False),
        ("jobs", "explorer", False),
        ("explorer", "views", True),
        ("__init__", "explorer", True),
    ],
)
def test_the_rule_itself(importer: str, imported: str, allowed: bool) -> None:
    assert is_allowed(importer, imported) is allowed
