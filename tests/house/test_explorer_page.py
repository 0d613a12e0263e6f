"""The page on the Explorer: its code runs, its tables are those of the traits, and its words are those on the page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from attriscope import Explorer
from attriscope.widget.jobs.checks import BOUNDS, NOISE
from attriscope.widget.jobs.comparison import _METRICS
from attriscope.widget.jobs.pinning import MOST_PINS
from attriscope.widget.state.table import ROWS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "notebooks/pages/explorer.md").read_text(encoding="utf-8")
SCRIPTS = [
    path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "js/src").rglob("*"))
    if path.suffix in (".ts", ".css")
]


def rows(head: str) -> list[list[str]]:
    """The rows of the table whose first line is given."""
    (found,) = re.findall(rf"^{re.escape(head)}\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found.splitlines()]


def test_its_code_runs() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 12
    code = (
        "\n".join(blocks)
        + "\nfor one in (explorer, again, segmentation, one_number, one_channel): one.close()\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "or a picture again" in done.stdout


def test_what_can_be_set_is_what_the_page_sets() -> None:
    wanted = [
        [f"`{name}` *" if row.metadata["requested"] else f"`{name}`", f"`{row.default()!r}`"]
        for name, row in ROWS.items()
        if row.metadata["page"]
    ]
    assert [cells[:2] for cells in rows("| trait | at first | what it is |")] == wanted


def test_what_can_be_read_is_what_the_kernel_sets() -> None:
    wanted = [
        f"`{name}`" for name, row in ROWS.items() if not row.metadata["page"] and not name.startswith("_")
    ]
    assert [cells[0] for cells in rows("| trait | what it is |")] == wanted


def test_what_can_be_asked_for_is_there() -> None:
    (told,) = re.findall(r"^As tensors and tables: (.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    names = [name.removesuffix("()") for name in re.findall(r"`([\w()]+)`", told)]
    assert len(names) > 12
    assert [name for name in names if not hasattr(Explorer, name)] == []


def test_numbers_are_those_of_the_code() -> None:
    checks = {cells[0].split("`")[1]: cells[2:] for cells in rows("| check | the number | good | poor |")}
    assert list(checks) == list(BOUNDS)
    for name, (good, fair) in BOUNDS.items():
        words = (
            [f"{100 * good:.0f} %", f"{100 * fair:.0f} %"] if name == "complete" else [str(good), str(fair)]
        )
        assert checks[name] == [f"up to {words[0]}", f"beyond {words[1]}"]
    assert f"noise of {100 * NOISE:.0f} % of the picture's range" in PAGE
    assert [cells[0] for cells in rows("| metric | what it says | good | bounds |")] == [
        f"`{m}`" for m in _METRICS
    ]
    assert MOST_PINS == 8
    assert "up to eight of them" in PAGE
    finding = (ROOT / "js/src/selection/finding.ts").read_text(encoding="utf-8")
    assert "MOST_MISSED = 0.1;" in finding  # a tenth
    assert "MOST_UNCERTAIN = 0.25;" in finding  # a quarter


# Bold words that are the page's headings of its own, and not the Explorer's.
OWN = {"Units.", "One sentence", "Amber", "The river", "channels", "A row of scores.", "Numbers with places",
       "A detector", "An embedding", "Covered", "Detail"}  # fmt: skip


@pytest.mark.parametrize("words", sorted(set(re.findall(r"\*\*(.+?)\*\*", PAGE)) - OWN))
def test_words_in_bold_stand_on_the_explorers_page(words: str) -> None:
    assert any(
        f'"{words}"' in script or f'"{words} ' in script or f">{words}" in script for script in SCRIPTS
    )
