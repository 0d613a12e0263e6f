"""The tray of pins: two maps that were kept, side by side, subtracted and in turn; by keys, and read back in Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.explorer_page import CAT, TWO_FRAMES, Shot, control, explorer_of, open_and_run, quiet, settled
from browser.harness import Kernel, Server, wait_for
from browser.looks import cut_off, sticking_out, use_theme, violations
from browser.notebook_page import wait_until_run

LAPTOP_HEIGHT = 720
# Three pictures, so that there are examples below.
CATS = CAT.replace("n_steps=10", "n_steps=4").replace(
    'image = zoo.imagenet_preprocess(zoo.picture("chelsea"))',
    'image = torch.cat([zoo.imagenet_preprocess(zoo.picture(name)) for name in ("chelsea", "coffee", "camera")])',
)
TOGGLE_SIDE_BAR = "() => window.jupyterapp.commands.execute('application:toggle-left-area')"


def tray(root: Locator) -> Locator:
    return root.get_by_role("button", name="Pins (")


def open_tray(root: Locator) -> None:
    if tray(root).get_attribute("aria-expanded") != "true":
        tray(root).click()


def title(root: Locator) -> Locator:
    return root.locator(".as-overlay > .as-head .as-title")


def test_two_pins_beside_minus_and_after_each_other(
    page: Page, server: Server, shot: Shot, axe: Path
) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    name = open_and_run(page, server, [CATS, "explorer"], "tray.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        quiet(root)
        _pin_two(root, kernel)
        _by_keyboard(page, root, kernel)
        _looks(page, root, kernel, shot, axe)
        _let_go(page, root, kernel)


def _pin_two(root: Locator, kernel: Kernel) -> None:
    expect(tray(root)).to_be_hidden()
    control(root, "button", "Pin").click()
    expect(tray(root)).to_have_text("Pins (1)")
    expect(root.locator(".as-pinned")).to_be_hidden()  # it would stand beside itself
    kernel.run("explorer.method = 'InputXGradient'; explorer.wait(60); None")
    expect(root.locator(".as-pinned")).to_be_visible()
    quiet(root)
    control(root, "button", "Pin").click()
    expect(tray(root)).to_have_text("Pins (2)")
    assert wait_for("the second", lambda: kernel.value("explorer.beside") == [2], 10)
    kernel.run("explorer.target = 285; explorer.wait(60); None")
    quiet(root)


def _by_keyboard(page: Page, root: Locator, kernel: Kernel) -> None:
    """Both are picked, and subtracted, by Tab, Space and the arrow keys; Escape closes the list."""
    tray(root).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    ticks = root.locator(".as-tray").get_by_role("checkbox")
    expect(ticks.nth(0)).to_be_focused()
    page.keyboard.press("Space")  # after the one that is picked already
    expect(root.locator(".as-pin-title:visible")).to_have_count(2)
    expect(title(root)).to_have_text("Two pinned maps")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(control(root, "combobox", "Shown as")).to_be_focused()
    page.keyboard.press("d")
    first, second = (kernel.value(f"explorer.pinned[{i}]['title']") for i in (0, 1))
    expect(title(root)).to_have_text(f"{second} − {first}")
    page.keyboard.press("Escape")
    expect(tray(root)).to_be_focused()
    wait_for("the choice in Python", lambda: kernel.value("explorer.beside") == [2, 1], 10)
    assert kernel.value("explorer.compare_as") == "difference"
    total = kernel.value("explorer.pinned[1]['heat']['sum'] - explorer.pinned[0]['heat']['sum']")
    told = root.locator(".as-notes").get_attribute("title") or ""
    found = re.search(r"sum ([−+][0-9.]+)", told)
    assert found, told
    assert float(found[1].replace("−", "-")) == pytest.approx(total, rel=0.01), told


def _looks(page: Page, root: Locator, kernel: Kernel, shot: Shot, axe: Path) -> None:
    """Each way, with two and with one picked, in light and dark, wide and narrow: low enough, and nothing cut off."""
    page.evaluate(TOGGLE_SIDE_BAR)
    for theme in ("Light", "Dark"):
        use_theme(page, f"JupyterLab {theme}")
        for width in (1100, 848):
            kernel.run(f"explorer.layout.width = '{width}px'")
            wait_for(f"{width} pixels", lambda width=width: abs(root.bounding_box()["width"] - width) < 2, 10)
            for beside in ("[1, 2]", "[2]"):
                for way in ("side", "difference", "flicker"):
                    kernel.run(f"explorer.beside, explorer.compare_as = {beside}, {way!r}")
                    page.evaluate(TWO_FRAMES)
                    what = f"{theme} {width} {way} {beside}"
                    expect(root.locator(".as-flicker")).to_be_visible(visible=way == "flicker")
                    expect(root.locator(".as-stages .as-pin-head:visible")).to_have_count(
                        2 if way == "side" else 0
                    )
                    shot(root, what)
                    height = root.bounding_box()["height"]
                    assert height <= LAPTOP_HEIGHT, (what, height)
                    assert cut_off(root) == [], what
                    assert sticking_out(root) == [], what
            open_tray(root)
            shot(page, f"{theme} {width} tray")
            root.locator(".as-tray").get_by_role("button", name="Remove 2. ").click(
                trial=True
            )  # nothing lies over it
            assert violations(page, axe) == [], theme
            page.keyboard.press("Escape")
    use_theme(page, "JupyterLab Light")
    page.evaluate(TOGGLE_SIDE_BAR)


def _let_go(page: Page, root: Locator, kernel: Kernel) -> None:
    kernel.run("explorer.compare_as = 'flicker'; explorer.beside = [1, 2]")
    expect(title(root)).to_contain_text("1 of 2: ")
    expect(title(root)).to_contain_text("2 of 2: ")
    control(root, "button", "Hold").click()
    expect(control(root, "button", "Go on")).to_be_visible()
    open_tray(root)
    root.locator(".as-tray").get_by_role("button", name="Remove 1. ").click()
    expect(tray(root)).to_have_text("Pins (1)")
    assert kernel.value("explorer.beside") == [2]
    root.locator(".as-tray").get_by_role("button", name="Remove 2. ").click()
    expect(tray(root)).to_be_hidden()
    expect(title(root)).to_have_text(kernel.value("explorer.heat['title']"))
    assert kernel.value("explorer.pinned") == []
