"""Notebooks with their outputs, each executed once for the tests and for the documentation.

The notebooks of this repository are kept without outputs. Whoever executes one keeps a copy below `build/notebooks`,
under a name that changes with whatever the outputs may depend on here: the notebook, its neighbours and the package.
tests/conftest.py keeps what nbval executed; what is missing, build_docs.py executes.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
KEPT = ROOT / "build/notebooks"


@cache
def surroundings() -> str:
    """A hash of the package and of what lies beside the notebooks."""
    files = [path for path in (ROOT / "src/attriscope").rglob("*") if path.is_file()]
    files = [path for path in files if "__pycache__" not in path.parts] + list(NOTEBOOKS.glob("*.py"))
    hashed = hashlib.sha256()
    for path in sorted(files):
        hashed.update(path.relative_to(ROOT).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    return hashed.hexdigest()


def kept(notebook: Path) -> Path:
    """Where the executed copy of a notebook lies, or would lie."""
    key = hashlib.sha256(notebook.read_bytes() + surroundings().encode()).hexdigest()
    return KEPT / f"{notebook.stem}-{key[:16]}.ipynb"


def keep(notebook: Path, outputs: Mapping[int, Sequence[Mapping[str, Any]]]) -> None:
    """Keeps what the code cells of a notebook gave, by their number among the code cells."""
    done = nbformat.read(notebook, as_version=4)
    for number, cell in enumerate(cell for cell in done.cells if cell.cell_type == "code"):
        cell.execution_count = number + 1
        cell.outputs = [nbformat.from_dict(dict(output)) for output in copy.deepcopy(list(outputs[number]))]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number + 1
    _write(notebook, done)


def executed(notebook: Path) -> Path:
    """The executed copy; what nobody has executed since the last change is executed now."""
    if not kept(notebook).is_file():
        print(f"executing {notebook.name}", flush=True)
        done = nbformat.read(notebook, as_version=4)
        NotebookClient(
            done, timeout=600, kernel_name="python3", resources={"metadata": {"path": notebook.parent}}
        ).execute()
        _write(notebook, done)
    return kept(notebook)


def _write(notebook: Path, done: nbformat.NotebookNode) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    for old in KEPT.glob(f"{notebook.stem}-*.ipynb"):
        old.unlink()
    # Whole or not at all: another process may be looking for it.
    unfinished = kept(notebook).with_suffix(".part")
    nbformat.write(done, unfinished)
    unfinished.replace(kept(notebook))
