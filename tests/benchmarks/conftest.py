"""Files here are called bench_*.py, so that nothing but naming this folder, or one of them, collects them."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    named = parent.session.isinitpath(file_path)  # then pytest collects it anyway
    if file_path.name.startswith("bench_") and file_path.suffix == ".py" and not named:
        return pytest.Module.from_parent(parent, path=file_path)
    return None
