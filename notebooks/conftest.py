"""Keeps what the notebooks gave when pytest ran them, so that the documentation need not run them again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import executed
import pytest
from nbval.plugin import IPyNbCell

executed.surroundings()  # noted before anything runs: what is changed meanwhile belongs to no output of this run
OUTPUTS = pytest.StashKey[dict[int, list[Any]]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[pytest.TestReport]:
    """Keeps a notebook once every cell of it has passed."""
    report = yield
    if isinstance(item, IPyNbCell) and report.when == "call" and report.passed:
        outputs = item.parent.stash.setdefault(OUTPUTS, {})
        outputs[item.cell_num] = item.test_outputs
        if len(outputs) == sum(cell.cell_type == "code" for cell in item.parent.nb.cells):
            executed.keep(item.path, outputs)
    return report
