"""The documentation is built by its documented command, without a warning and without a broken link."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import build_docs
import executed
import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/attriscope"


def documented_command() -> list[str]:
    """The line of CONTRIBUTING.md that builds the documentation, with this Python."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\.venv/bin/python (\S+build_docs\.py)$", text, re.MULTILINE)
    return [sys.executable, line]


# The notebooks that this run has not executed before are executed by the command.
@pytest.mark.timeout(1200)
def test_the_command_builds_it() -> None:
    done = subprocess.run(
        documented_command(), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout
    site = ROOT / "build/docs/notebooks"
    saliency = (site / "pages/api/attriscope.attr.Saliency.html").read_text(encoding="utf-8")
    assert "Simonyan" in saliency
    for notebook in executed.NOTEBOOKS.glob("*.ipynb"):
        page = (site / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert "cell_output" in page, notebook.name


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.html").write_text('<p id="here"><img src="no.png"></p>')
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">well</a><a href="b.html#there">no place</a><a href="c.html">no page</a>'
        '<a href="https://example.org/never-followed">elsewhere</a><a href="#top">no top</a>'
    )
    assert sorted(build_docs.broken_links(tmp_path)) == [
        "a.html links to #top",
        "a.html links to b.html#there",
        "a.html links to c.html",
        "b.html links to no.png",
    ]


def test_what_was_executed_is_kept_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executed, "KEPT", tmp_path / "kept")
    notebook = tmp_path / "sum.ipynb"
    cells = [nbformat.v4.new_markdown_cell("A sum."), nbformat.v4.new_code_cell("1 + 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    output = {"output_type": "execute_result", "data": {"text/plain": "2"}, "metadata": {}}

    executed.keep(notebook, {0: [output]})
    kept = executed.executed(notebook)
    assert nbformat.read(kept, as_version=4).cells[1].outputs[0].data == {"text/plain": "2"}

    cells[1].source = "1 + 2"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    again = executed.executed(notebook)  # by a kernel
    assert again != kept
    assert not kept.exists()
    assert nbformat.read(again, as_version=4).cells[1].outputs[0].data == {"text/plain": "3"}


# --- names in docstrings ----------------------------------------------------------------------------------------

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`~?([\w.]+)`")


def modules() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def docstrings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Every docstring, those of attributes included, with the name of the class that it stands in."""

    def within(node: ast.AST, owner: str) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            if (
                isinstance(child, ast.Expr)
                and isinstance(child.value, ast.Constant)
                and isinstance(child.value.value, str)
            ):
                yield owner, child.value.value
            yield from within(child, child.name if isinstance(child, ast.ClassDef) else owner)

    return within(tree, "")


def is_there(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return False
    return True


def everywhere(names: list[str]) -> set[str]:
    """Every public name of the modules, and every name in their classes: what may be called short."""
    found = set()
    for name in names:
        for key, value in vars(importlib.import_module(name)).items():
            found.add(key)
            if isinstance(value, type):
                annotated = map(inspect.get_annotations, value.__mro__)
                found |= {f"{key}.{member}" for member in {*dir(value), *chain(*annotated)}}
    return found


def test_names_in_docstrings_are_there() -> None:
    """In all modules, those without a page included: a name that has moved is noticed."""
    names = list(modules())
    short = everywhere(names)
    lost = []
    for module in names:
        path = Path(importlib.import_module(module).__file__ or "")
        for owner, text in docstrings(ast.parse(path.read_text(encoding="utf-8"))):
            for name in ROLE.findall(text):
                places = (name, f"{module}.{name}", f"{module}.{owner}.{name}")
                if name not in short and not any(map(is_there, places)):
                    lost.append(f"{path.relative_to(PACKAGE)}: {name}")
    assert lost == []
