"""A row of a table at the page: its waterfall holds the numbers of Python, and what is asked and typed is answered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser.explorer_page import TWO_FRAMES, Shot, control, explorer_of, open_and_run, quiet, settled
from browser.harness import Server, wait_for
from browser.looks import cut_off, use_theme, violations
from browser.notebook_page import wait_until_run

TABLE = """
import torch
from attriscope import Explorer
torch.manual_seed(0)
names = ["age", "<script>alert(1)</script>", "שם של עמודה", "a name that is too long to be read in one glance", "dose"]
model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)).eval()
rows = torch.randn(20, 5)
explorer = Explorer(model, rows, feature_names=names, class_names=["healthy", "ill"], target=1)
"""
# What the page has to show: of each column its number, and the outputs that they lead between.
BY_HAND = """
with torch.no_grad():
    ends = model(torch.stack([rows.mean(0), torch.tensor(explorer.table["values"])]))[:, 1].tolist()
numbers = explorer.attributions[0].tolist()
"""


def as_number(text: str) -> float:
    """The number at the end of a text."""
    return float(re.findall(r"[+-]?\d[\d.]*(?:e-?\d+)?", text.replace("−", "-"))[-1])


def names_of(root: Locator) -> list[str]:
    return root.locator(".as-column-name").all_inner_texts()


def field(root: Locator, name: str) -> Locator:
    return control(root, "textbox", f"Value of {name}")


def test_a_row_is_a_waterfall_and_can_be_asked_and_edited(
    page: Page, server: Server, shot: Shot, axe: Path
) -> None:
    name = open_and_run(page, server, [TABLE, "explorer"], "table.ipynb")
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        quiet(root)

        def same_as_in_python() -> None:
            kernel.run("explorer.wait()")
            quiet(root)
            kernel.run(BY_HAND)
            numbers, ends, names = kernel.value("numbers"), kernel.value("ends"), kernel.value("names")
            ranking = sorted(range(5), key=lambda i: -abs(numbers[i]))
            assert names_of(root) == [names[i] for i in ranking]
            told = [as_number(text) for text in root.locator(".as-fall-number").all_inner_texts()]
            assert told == pytest.approx([numbers[i] for i in ranking], abs=6e-3)
            start, end = (as_number(root.locator(f".as-fall-{at}").inner_text()) for at in ("start", "end"))
            assert (start, end) == pytest.approx(tuple(ends), rel=6e-3)

        same_as_in_python()
        # By keys alone: the second column and the first, then another value for that.
        root.locator(".as-column-pick").first.focus()
        for key in ("ArrowDown", "Enter", "ArrowUp", "Shift+ "):
            page.keyboard.press(key)
        expect(root.locator(".as-covered .as-note")).to_contain_text("2 of 5 columns")
        expect(root.locator(".as-covered-sentence")).to_contain_text(re.compile("costs|adds"))
        kernel.run("explorer.wait()")
        said = root.locator(".as-covered-sentence b").all_inner_texts()
        covered = kernel.value("[explorer.covered['worth'], abs(explorer.covered['cost'])]")
        assert [as_number(text) for text in said] == pytest.approx(covered, rel=6e-3)

        first = names_of(root)[0]
        page.keyboard.press("Tab")
        expect(field(root, first)).to_be_focused()
        page.keyboard.type("1.25")
        page.keyboard.press("Enter")
        column = kernel.value("names").index(first)
        wait_for("the kernel knows", lambda: kernel.value("explorer.edited") == [[column, 1.25]], 15)
        page.keyboard.press("Shift+Tab")
        same_as_in_python()
        shot(root, "edited")

        field(root, "age").fill("old")
        page.keyboard.press("Enter")
        expect(root.locator(".as-left .as-refusal")).to_have_text("age must be a number, but old came")
        for theme in ("Dark", "Light"):
            use_theme(page, f"JupyterLab {theme}")
            assert violations(page, axe) == [], theme
            shot(root, f"refused {theme}")
        page.keyboard.press("Escape")
        control(root, "button", "Undo edits").click()
        wait_for("the kernel knows", lambda: kernel.value("explorer.edited") == [], 15)
        same_as_in_python()

        for width in (848, 700):
            page.set_viewport_size({"width": width + 440, "height": 1000})
            page.evaluate(TWO_FRAMES)
            assert cut_off(root) == []


def test_without_a_kernel_a_row_can_be_asked_but_not_edited(
    page: Page, browser: Browser, server: Server
) -> None:
    write = "explorer.wait(); explorer.to_html('table.html')"
    name = open_and_run(page, server, [TABLE, write], "table-file.ipynb")
    wait_until_run(page)
    context = browser.new_context(offline=True, viewport={"width": 1300, "height": 1000})
    opened = context.new_page()
    opened.goto((server.root / "table.html").as_uri())
    root = explorer_of(opened)
    expect(field(root, "age")).not_to_be_editable()
    root.locator(".as-column-pick", has_text="dose").click()
    sentence = root.locator(".as-covered-sentence")
    expect(sentence).to_contain_text("what covering it costs takes the kernel")
    with server.kernel(name) as kernel:
        wanted = kernel.value("explorer.attributions[0, 4].item()")
    assert as_number(sentence.locator("b").inner_text()) == pytest.approx(wanted, rel=6e-3)
    context.close()
