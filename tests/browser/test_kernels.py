"""The oldest, the best and the newest ipykernel: what is asked for while a cell runs is done, and nothing is lost.

What a person sees while a cell runs: from ipykernel 7.1 on, the Explorer answers as ever. Before, a kernel does one
thing at a time: the page says after some seconds that the kernel does not answer and may be busy, restyling goes on,
and all that was asked for is done, in order, when the cell has ended. The notebook's own interrupt ends the cell.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Page, expect

from browser.environments import offer_kernel, overlay
from browser.explorer_page import (
    DIGIT,
    choose,
    control,
    explorer_of,
    explorers,
    picture,
    pixels,
    quiet,
    set_slider,
    settled,
    until_changed,
)
from browser.harness import Server, notebook, wait_for
from browser.journey import is_the_same, through_the_frame
from browser.notebook_page import execute, run_all, wait_until_run

# Cells that run until the test lets them end; one that blocks the kernel's main thread, and one that awaits.
BLOCKS = """
import pathlib
def held(name):
    return not pathlib.Path(name).exists() and time.monotonic() < started + 120
started = time.monotonic()
while held("end-the-blocking-cell"):
    time.sleep(0.05)
blocked_until = time.time()
"""
AWAITS = """
import asyncio
started = time.monotonic()
while held("end-the-awaiting-cell"):
    await asyncio.sleep(0.05)
awaited_until = time.time()
"""
WATCHES = """
explorer.wait()
seen = []
explorer.observe(lambda change: seen.append((change["new"], time.time())), "opacity")
model.delay = 2
"""


# Made of what is chosen when it runs.
AGAIN = "again = Explorer.from_state(explorer.state(), model, images[:1], class_names=zoo.SMALL_CLASS_NAMES)\nagain"
CELL = "index => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index; }"
ASKED = "explorer.heat['request']['baseline']"


def seen_at(seen: list[list[float]], value: float) -> float:
    (at,) = (at for opacity, at in seen if opacity == value)
    return at


@pytest.mark.parametrize("version", ["6.31.0", "7.3.0", "7.4.0"])
def test_while_a_cell_runs_and_after(
    page: Page, server: Server, version: str, tmp_path: Path, cannot_run: Callable[[str], NoReturn]
) -> None:
    env = overlay(tmp_path / "ipykernel", "--no-deps", f"ipykernel=={version}", cannot_run=cannot_run)
    kernel_name = f"ipykernel-{version}"
    offer_kernel(server, kernel_name, Path(sys.executable), env)
    made = notebook([DIGIT, "explorer", WATCHES, BLOCKS, AWAITS])
    made.metadata["kernelspec"] = {"name": kernel_name, "display_name": kernel_name}
    name = server.add(made, f"{kernel_name}.ipynb")
    blocking, awaiting = (server.root / f"end-the-{cell}-cell" for cell in ("blocking", "awaiting"))
    for flag in (blocking, awaiting):
        flag.unlink(missing_ok=True)
    page.goto(server.url(name))
    run_all(page)
    root = explorer_of(page)
    quiet(root)
    one_at_a_time = version.startswith("6")
    try:
        # While a cell blocks the main thread: restyle, choose, cancel.
        page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget.content.widgets[3].model.executionState === 'running'"
        )
        before = pixels(page)
        set_slider(control(root, "slider", "Opacity"), 0.25)
        until_changed(page, before)
        choose(root, "Baseline", "white")
        cancel = control(root, "button", "Cancel")
        if one_at_a_time:
            expect(root).to_contain_text("The kernel does not answer", timeout=60_000)
            expect(cancel).to_be_hidden()
        else:
            expect(cancel).to_be_enabled()
            cancel.click()
            expect(root.get_by_role("status").first).to_have_text(re.compile("Cancelled"))
        blocking.touch()

        # While a cell awaits. ipykernel 7.4.0 by itself swallows all later moves of a slider moved now.
        page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget.content.widgets[4].model.executionState === 'running'"
        )
        set_slider(control(root, "slider", "Opacity"), 0.5)
        awaiting.touch()
        wait_until_run(page)
    finally:
        blocking.touch()
        awaiting.touch()

    with server.kernel(name) as kernel:
        assert kernel.value("__import__('ipykernel').__version__") == version
        for value in (0.5, 0.6, 0.7, 0.8):
            set_slider(control(root, "slider", "Opacity"), value)
            wait_for(f"opacity {value}", lambda value=value: kernel.value("explorer.opacity") == value, 30)
        seen, blocked_until = kernel.value("[seen, blocked_until]")
        assert (seen_at(seen, 0.25) > blocked_until) == one_at_a_time
        assert kernel.value("explorer.baseline") == "white"  # the wish was not lost
        if one_at_a_time:
            settled(page, kernel)
            expect(root).not_to_contain_text("The kernel does not answer")
        else:
            assert kernel.value("explorer.status") == "cancelled"
            assert not kernel.value(f"explorer.heat['final'] and {ASKED} == 'white'")
            kernel.run("model.delay = 0")
            control(root, "button", "Recompute").click()
            wait_for("white", lambda: kernel.value(f"explorer.heat['final'] and {ASKED} == 'white'"), 60)
        expect(picture(page)).to_have_attribute("aria-label", re.compile("white"))
        kernel.run("model.delay = 0")
        choose(root, "Method", "Saliency")
        expect(picture(page)).to_have_attribute("aria-label", re.compile("Saliency"), timeout=60_000)
        settled(page, kernel)


@pytest.mark.parametrize("server", ["notebook"], indirect=True)
def test_through_the_frame_in_notebook_7(page: Page, server: Server) -> None:
    """Menus, tabs, a region, a pin and a figure; Python has them all, and makes another Explorer of them."""
    name = server.add(notebook([DIGIT, "explorer", AGAIN]), "journey.ipynb")
    page.goto(server.url(name))
    run_all(page)
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)
    through_the_frame(root)
    with server.kernel(name) as kernel:
        kernel.run("explorer.wait(60); None")
        chosen = (
            "[explorer.target, explorer.baseline, explorer.method, len(explorer.pinned), explorer.beside]"
        )
        wait_for("what was chosen", lambda: kernel.value(chosen)[:4] == [3, "white", "InputXGradient", 1], 20)
        region = kernel.value("explorer.selection")
        assert region["kind"] == "box"
        kernel.run("explorer.unpin()")
        before = kernel.value("id(again)")
        page.evaluate(CELL, 2)
        execute(page, "notebook:run-cell")
        wait_for("another Explorer", lambda: kernel.value("id(again)") != before, 30)
        kernel.run("again.wait(60); None")
        assert kernel.value("again.selection") == region
        expect(explorers(page)).to_have_count(2)
        is_the_same(root, explorers(page).nth(1))
