"""A monkey at the page and in the cells: whatever is done, in whatever order, ends in one consistent state.

ATTRISCOPE_MONKEY_SECONDS makes it go on for longer (20 seconds by default), ATTRISCOPE_MONKEY_SEED starts another one.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.explorer_page import (
    MOODY,
    choose,
    choose_any,
    chosen,
    explorers,
    open_and_run,
    picture_of,
    quiet,
    set_slider,
)
from browser.harness import Kernel, Server, wait_for
from browser.notebook_page import wait_until_run

SECONDS = float(os.environ.get("ATTRISCOPE_MONKEY_SECONDS", "20"))
SEED = int(os.environ.get("ATTRISCOPE_MONKEY_SEED", "1"))

MAKE = """
explorer = Explorer(model, images[:4], class_names=zoo.SMALL_CLASS_NAMES, n_steps=8)
def follow(change):
    explorer.outlier_percent = 5 * change["new"]
"""
METHODS = ("IntegratedGradients", "Saliency", "InputXGradient", "SmoothGrad", "Occlusion")

IN_CELLS = (
    "explorer.method = 'Saliency'",
    "explorer.method = 'IntegratedGradients'; explorer.baseline = 'blur'",
    "explorer.target = 3",
    "explorer.example = 2",
    "explorer.alpha = 0.5",
    "explorer.observe(follow, 'opacity')",
    "explorer.selection = {'kind': 'box', 'box': [4, 4, 20, 20]}",
    "explorer.selection = None",
    "explorer.pin()",
    "explorer.compare_as = 'difference'",
    "explorer.layout.width = '500px'",
    "explorer.layout.width = '1000px'",
    "explorer.layout.width = None",
    "explorer.alpha = 1",
    "explorer.cancel()",
    "explorer.recompute()",
    "model.delay = 0.05",
    "model.delay = 0",
    "model.error = 'monkey'; explorer.recompute()",
    "model.error = None; explorer.recompute()",
    "try:\n    explorer.method = 'NoSuchThing'\nexcept Exception: pass",
    "try:\n    explorer.opacity = float('nan')\nexcept Exception: pass",
)


# As a person does, who can do nothing with what is hidden or switched off; Playwright would wait for it.
PRESS = "button => { if (button.checkVisibility()) button.click() }"


def hidden_or_not(root: Locator, role: Any, name: str) -> Locator:
    return root.get_by_role(role, name=name, exact=True, include_hidden=True)


def actions(roots: list[Locator], kernel: Kernel, draw: random.Random) -> list[Callable[[], None]]:
    def root() -> Locator:
        return draw.choice(roots)

    def pick(name: str, *values: str) -> Callable[[], None]:
        def act() -> None:
            choose_any(root(), name, draw.random(), values)

        return act

    def slide(name: str, low: float, high: float) -> Callable[[], None]:
        def act() -> None:
            slider = hidden_or_not(root(), "slider", name)
            if slider.is_disabled():
                return
            for _ in range(draw.randrange(1, 12)):
                set_slider(slider, round(draw.uniform(low, high), 3))

        return act

    def press(name: str) -> Callable[[], None]:
        def act() -> None:
            hidden_or_not(root(), "button", name).first.evaluate(PRESS)

        return act

    def option(listbox: str) -> Callable[[], None]:
        def act() -> None:
            rows = root().get_by_role("listbox", name=listbox).get_by_role("option")
            if count := rows.count():
                rows.nth(draw.randrange(count)).dispatch_event("click")

        return act

    def layer() -> None:
        rows = root().get_by_role("treeitem")
        if count := rows.count():
            rows.nth(draw.randrange(count)).dispatch_event("click")

    def tab() -> None:
        tabs = root().get_by_role("tab")
        tabs.nth(draw.randrange(tabs.count())).evaluate(PRESS)

    def keys() -> None:
        reachable = "button:enabled, select:enabled, input:enabled, [tabindex='0']"
        focusable = root().locator(reachable).filter(visible=True)
        focusable.nth(draw.randrange(focusable.count())).focus()
        for _ in range(draw.randrange(1, 6)):
            key = draw.choice(
                ["ArrowDown", "ArrowUp", "ArrowLeft", "Home", "End", "Enter", "Space", "c", "+", "0"]
            )
            root().page.keyboard.press(key)

    def brush() -> None:
        tool = draw.choice(["Box", "Lasso", "Segment"])
        button = hidden_or_not(root(), "button", tool)
        button.evaluate(PRESS)
        canvas = picture_of(root())
        if draw.random() < 0.7 and canvas.is_visible() and (box := canvas.bounding_box()):
            mouse = canvas.page.mouse
            for i in range(draw.randrange(1, 5)):
                x, y = draw.uniform(-0.1, 1.1), draw.uniform(-0.1, 1.1)
                mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
                if i == 0:
                    mouse.down()
            mouse.up()

    def pins() -> None:
        tray = root().get_by_role("button", name="Pins (", include_hidden=True)
        tray.evaluate(PRESS)
        inside = root().locator(".as-tray").locator("input[type=checkbox], button")
        if count := inside.count():
            inside.nth(draw.randrange(count)).evaluate(PRESS)

    def cell() -> None:
        kernel.run(draw.choice(IN_CELLS))

    return [
        pick("Method", *METHODS),
        pick("Method"),
        pick("Baseline"),
        pick("Explained output"),
        pick("Compared with"),
        pick("Seen at"),
        pick("Sign"),
        pick("Colour map"),
        pick("Mode"),
        slide("Opacity", 0, 1),
        slide("Path position", 0, 1),
        slide("Outlier percentile", 0, 20),
        press("Cancel"),
        press("Recompute"),
        press("Refine"),
        press("Style"),
        press("Share"),
        press("Hold scale"),
        press("Zoom in"),
        press("Pin"),
        pins,
        pick("Shown as"),
        brush,
        brush,
        press("Clear"),
        press("Undo"),
        press("Compare"),
        press("Check"),
        pick("Ranked by"),
        slide("Detail", 0, 8),
        option("Predictions"),
        option("Examples"),
        layer,
        tab,
        tab,
        keys,
        cell,
        cell,
    ]


def at_page(root: Locator) -> dict[str, object]:
    """What a view says the state is."""

    def number(name: str) -> float:
        return float(hidden_or_not(root, "slider", name).input_value())

    return {
        "method": chosen(root, "Method"),
        "sign": chosen(root, "Sign"),
        "colormap": chosen(root, "Colour map"),
        "mode": chosen(root, "Mode"),
        "opacity": number("Opacity"),
        "alpha": number("Path position"),
    }


@pytest.mark.timeout(280 + SECONDS)
def test_a_monkey(page: Page, server: Server) -> None:
    name = open_and_run(page, server, [MOODY + MAKE, "explorer", "explorer"], "monkey.ipynb")
    wait_until_run(page)
    expect(explorers(page)).to_have_count(2, timeout=60_000)
    roots = [explorers(page).nth(i) for i in (0, 1)]
    draw = random.Random(SEED)
    done: list[str] = []
    with server.kernel(name) as kernel:
        possible = actions(roots, kernel, draw)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            act = draw.choice(possible)
            done.append(act.__qualname__)
            act()
        print(f"seed {SEED}: {len(done)} actions")

        # Whatever was left over is put right by one more wish, and then all sides agree.
        kernel.run("model.error, model.delay = None, 0")
        wait_for("rest", lambda: kernel.value("explorer.status") != "running", 120)
        kernel.run("explorer.unpin(); explorer.layer = None; explorer.recompute(); explorer.wait(60); None")
        for root in roots:
            quiet(root)
        names = ["method", "sign", "colormap", "mode", "opacity", "alpha"]
        state = kernel.value(f"{{name: getattr(explorer, name) for name in {names!r}}}")
        for root in roots:
            shown = at_page(root)
            for one in ("opacity", "alpha"):
                assert abs(float(shown.pop(one)) - state[one]) < 0.011, (one, state)
            assert shown == {key: value for key, value in state.items() if key in shown}
        request = kernel.value("explorer.heat['request']")
        assert [request["method"], request["target"]] == kernel.value("[explorer.method, explorer.target]")
        assert request["example"] == kernel.value("explorer.example")
        assert kernel.value("explorer.status") == "idle"
        # It still works: a new choice is answered, and both views show the same.
        other = "Saliency" if state["method"] != "Saliency" else "InputXGradient"
        choose(roots[1], "Method", other)
        wait_for("an answer", lambda: kernel.value("explorer.heat['request']['method']") == other, 60)
        label = re.compile("Saliency|Input x gradient")
        for root in roots:
            quiet(root)
            expect(picture_of(root)).to_have_attribute("aria-label", label)
        assert (
            kernel.value("sum(t.name.startswith('attriscope') for t in __import__('threading').enumerate())")
            <= 1
        )
