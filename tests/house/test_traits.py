"""The page's half of the contract is what the table of traits in Python makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from attriscope.widget.state import typescript
from attriscope.widget.state.table import ROWS, ExplorerTraits

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["messages.generated.ts", "traits.generated.ts"])
def test_generated_types_are_those_of_the_table(name: str) -> None:
    committed = (ROOT / typescript.FOLDER / name).read_text(encoding="utf-8")
    assert committed == typescript.generated()[name], (
        f"{name} is stale: run `python -m attriscope.widget.state.typescript`, then `npm run build` in js/"
    )


def test_every_synchronised_trait_is_a_row() -> None:
    assert set(ROWS) == set(ExplorerTraits.class_traits(sync=True))


def test_results_answer_what_is_requested() -> None:
    requested = {name for name, row in ROWS.items() if row.metadata["requested"]}
    for row in ROWS.values():
        assert set(row.metadata["answers"]) <= requested
