"""marimo: another notebook, without Jupyter's kernel and comms, and with the widget in a shadow root."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, expect

from browser.environments import overlay
from browser.explorer_page import Shot, choose, control, pixels, quiet, set_slider, until_changed
from browser.harness import Watch, free_port, wait_for
from browser.journey import is_the_same, through_the_frame

APP = """
import marimo
app = marimo.App(width="full")

@app.cell
def _():
    import marimo as mo
    from attriscope import Explorer, zoo
    model, (images, labels) = zoo.small_cnn(), zoo.small_pictures()
    explorer = Explorer(model, images[:1], class_names=zoo.SMALL_CLASS_NAMES, n_steps=10)
    view = mo.ui.anywidget(explorer)
    view
    return Explorer, explorer, images, mo, model, view, zoo

@app.cell
def _(mo, view):
    mo.md(f"The method is {view.value['method']}.")
    return

@app.cell
def _(mo):
    button = mo.ui.run_button(label="Make it again")
    button
    return (button,)

@app.cell
def _(Explorer, button, explorer, images, mo, model, zoo):
    mo.stop(not button.value)
    again = Explorer.from_state(explorer.state(), model, images[:1], class_names=zoo.SMALL_CLASS_NAMES)
    mo.ui.anywidget(again)
    return
"""


@pytest.fixture
def origin(tmp_path: Path, cannot_run: Callable[[str], NoReturn]) -> Iterator[str]:
    """A running marimo app."""
    # marimo and all it needs, in a folder of its own: it shall not change what the other tests run with.
    env = {**os.environ, **overlay(tmp_path / "marimo", "marimo", cannot_run=cannot_run)}
    env |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "marimo",
        "-y",
        "run",
        "--headless",
        "--no-token",
        "--port",
        str(port),
        "app.py",
    ]
    log = tmp_path / "marimo.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )

    def is_up() -> bool:
        assert process.poll() is None, log.read_text()[-3000:]
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
            return True
        return False

    try:
        wait_for("marimo answers", is_up, 90)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def test_it_draws_and_answers_in_marimo(browser: Browser, origin: str, shot: Shot) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    watch = Watch(origin)
    watch.attach(page)
    page.goto(origin)
    root = page.locator(".as-root[data-ready]")
    root.locator("canvas[data-shown=heat]").wait_for(timeout=120_000)
    quiet(root)
    shot(page, "marimo")

    seen = pixels(root)
    choose(root, "Sign", "absolute")
    seen = until_changed(root, seen)
    set_slider(control(root, "slider", "Path position"), 0.3)
    seen = until_changed(root, seen)
    choose(root, "Method", "Saliency")
    canvas = root.locator("canvas[role=img]").first
    expect(canvas).to_have_attribute("aria-label", re.compile("Saliency"), timeout=60_000)
    expect(page.get_by_text("The method is Saliency.")).to_be_visible(timeout=60_000)
    quiet(root)
    through_the_frame(root)
    control(root, "button", "Pins (1)").click()
    root.locator(".as-tray").get_by_role("button", name="Remove 1. ").click()
    page.get_by_role("button", name="Make it again").click()
    roots = page.locator(".as-root[data-ready]")
    expect(roots).to_have_count(2, timeout=60_000)
    is_the_same(roots.nth(0), roots.nth(1))
    shot(page, "marimo, twice")
    assert watch.outside == []
    assert watch.page_errors == []
    context.close()
