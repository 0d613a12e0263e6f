"""For everybody: by keyboard alone, for screen readers, in light and dark, narrow and wide, with little motion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.explorer_page import (
    DIGIT,
    MOODY,
    Shot,
    control,
    explorer_of,
    open_and_run,
    quiet,
    settled,
    show_tab,
)
from browser.harness import Server, wait_for
from browser.inside_page import open_tree
from browser.looks import cut_off, use_theme, violations
from browser.notebook_page import wait_until_run


def open_all(root: Locator) -> None:
    """Everything that is folded away and stays open."""
    for name in ("Settings", "Data table"):
        button = root.get_by_role("button", name=name)
        if button.get_attribute("aria-expanded") == "false":
            button.click()


TABS = ("Where", "Inside", "Trust")
# What opens over the page, of which one is open at a time.
OPENERS = ("Explained output", "Compared with", "Baseline", "Method", "Seen at", "Style", "Share")


def opener(root: Locator, name: str) -> Locator:
    return control(root, "button" if name in ("Style", "Share") else "combobox", name)


def each_state(root: Locator) -> Iterator[str]:
    """Every tab with what can be unfolded, and everything that opens over the page; says what it is."""
    for tab in TABS:
        show_tab(root, tab)
        open_all(root)
        yield tab
    for name in OPENERS:
        opener(root, name).click()
        expect(opener(root, name)).to_have_attribute("aria-expanded", "true")
        several = control(root, "button", "Average over several")
        if several.is_visible() and several.get_attribute("aria-expanded") == "false":
            several.click()
        yield name
        root.page.keyboard.press("Escape")
        expect(opener(root, name)).to_be_focused()
    show_tab(root, "Where")


def lightness(root: Locator) -> tuple[float, float]:
    """Of text and of ground, from 0 to 765."""
    colours = root.evaluate("el => { const s = getComputedStyle(el); return [s.color, s.backgroundColor] }")
    text, ground = (sum(map(float, re.findall(r"[\d.]+", value)[:3])) for value in colours)
    return text, ground


@pytest.mark.parametrize("server", ["lab", "notebook"], indirect=True)
def test_light_and_dark_narrow_and_wide(page: Page, server: Server, shot: Shot, axe: Path) -> None:
    """What can be asserted: axe finds nothing, nothing is cut off sideways, text stands out. Then look."""
    make = DIGIT.replace("images[:1]", "images[:6]")
    name = open_and_run(page, server, [make, "explorer"], "looks.ipynb")
    root = explorer_of(page)
    wait_until_run(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        try:
            for theme in ("Light", "Dark"):
                use_theme(page, f"JupyterLab {theme}")
                for width in (700, 1400):
                    # The width of the cell's output counts, not the window's: beside it are prompt and side bar.
                    page.set_viewport_size({"width": width + 560, "height": 1500})
                    kernel.run(f"explorer.layout.width = '{width}px'")
                    wait_for(
                        f"{width} pixels",
                        lambda width=width: abs(root.bounding_box()["width"] - width) <= 12,
                        10,
                    )
                    quiet(root)
                    shot(root, f"{theme} {width}")
                    assert root.evaluate("el => el.scrollWidth <= el.clientWidth + 1"), (theme, width)
                    assert cut_off(root) == [], (theme, width)
                text, ground = lightness(root)
                assert (text > 384) == (theme == "Dark"), (text, ground)
                for what in each_state(root):
                    shot(root, f"{theme} open {what}")
                    assert violations(page, axe) == [], (theme, what)
                    assert cut_off(root) == [], (theme, what)
        finally:
            page.evaluate(
                "() => window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' })"
            )


def test_states_that_are_rarely_seen(page: Page, server: Server, shot: Shot, axe: Path) -> None:
    """axe in light and dark: while it computes, after an error, with a refusal, without a kernel."""
    open_and_run(page, server, [DIGIT, "explorer"], "states.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)
    found: dict[str, list[str]] = {}

    def look(what: str) -> None:
        for theme in ("Light", "Dark"):
            use_theme(page, f"JupyterLab {theme}")
            shot(root, f"{what} {theme}")
            if seen := violations(page, axe):
                found[f"{what}, {theme}"] = seen

    try:
        with server.kernel("states.ipynb") as kernel:
            kernel.run("model.delay = 0.4; explorer.settings = {'IntegratedGradients': {'n_steps': 300}}")
            expect(control(root, "button", "Cancel")).to_be_enabled()
            look("computing")
            control(root, "button", "Cancel").click()
            look("cancelled")
            kernel.run("model.delay = 0; model.error = 'no luck'; explorer.recompute(); None")
            expect(root).to_contain_text("no luck")
            look("error")
            kernel.run("model.error = None; explorer.recompute(); explorer.wait(); None")
        page.evaluate("() => { window.jupyterapp.shell.currentWidget.sessionContext.shutdown() }")
        expect(root).to_contain_text("The kernel is gone")
        look("gone")
    finally:
        use_theme(page, "JupyterLab Light")
    assert found == {}


# What a person comes by with the Tab key, by name and role.
FOCUSED = """() => {
    const it = document.activeElement;
    if (!it?.closest('.as-root')) return null;
    const name = it.getAttribute('aria-label') || it.textContent.trim() || it.labels?.[0]?.textContent.trim() || '';
    return `${it.getAttribute('role') ?? it.tagName.toLowerCase()} ${name.slice(0, 40)}`;
}"""
REACHABLE_BY_POINTER = """el => [...el.querySelectorAll(
    'button:not([role=tab]), select, input, textarea, a[href], summary, [role=tablist], [role=listbox], [role=tree], ' +
    'canvas[role=img]')]
    .filter(it => !it.disabled && it.checkVisibility())
    .map(it => it.getAttribute('aria-label') || it.textContent.trim() || it.labels?.[0]?.textContent.trim() || '')"""


def _tab_comes_by_everything(page: Page, root: Locator) -> None:
    wanted = set(root.evaluate(REACHABLE_BY_POINTER))
    assert len(wanted) > 15, wanted
    root.locator("[role=combobox]").first.focus()
    reached: list[str] = []
    while (focused := page.evaluate(FOCUSED)) and len(reached) < 120:
        reached.append(focused)
        page.keyboard.press("Tab")
    assert len(reached) < 120, "Tab goes round in circles"
    one_stop = {"Predictions": "option", "Layers": "treeitem", "Examples": "option", "Questions": "tab"}
    missed = {
        name
        for name in wanted
        if not any(
            (name[:40] and name[:40] in seen) or (name in one_stop and seen.startswith(one_stop[name]))
            for seen in reached
        )
    }
    assert missed == set(), reached


def test_by_keyboard_alone(page: Page, server: Server) -> None:
    """The notebook in command mode takes keys away from outputs; what the widget handles must stay in the widget."""
    make = MOODY + "explorer = Explorer(model, images[:3], class_names=zoo.SMALL_CLASS_NAMES, n_steps=5)"
    name = open_and_run(page, server, [make, "explorer"], "keys.ipynb")
    root = explorer_of(page)
    quiet(root)
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    with server.kernel(name) as kernel:
        # Tab comes by everything that a pointer can reach (a list, a tree or the tabs are one stop), and leaves again.
        for tab in TABS:
            show_tab(root, tab)
            open_all(root)
            _tab_comes_by_everything(page, root)
        show_tab(root, "Where")

        position = control(root, "slider", "Path position")
        position.focus()
        page.keyboard.press("Home")
        expect(position).to_have_value("0")
        page.keyboard.press("ArrowRight")
        wait_for("a step", lambda: 0 < kernel.value("explorer.alpha") < 0.2, 10)

        target = kernel.value("explorer.target")
        root.get_by_role("listbox", name="Predictions").get_by_role("option").first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        wait_for("another target", lambda: kernel.value("explorer.target") != target, 10)

        root.get_by_role("listbox", name="Examples").get_by_role("option").first.focus()
        page.keyboard.press("ArrowRight")
        wait_for("another example", lambda: kernel.value("explorer.example") == 1, 10)

        control(root, "tab", "Where").focus()
        page.keyboard.press("ArrowRight")
        expect(control(root, "tab", "Inside")).to_be_focused()
        open_tree(root)
        root.get_by_role("treeitem", name=re.compile("^Input")).focus()
        page.keyboard.press("End")
        for _ in range(40):
            page.keyboard.press("Enter")
            if kernel.value("explorer.layer") is not None:
                break
            page.keyboard.press("ArrowUp")
        assert kernel.value("explorer.layer") is not None
        page.keyboard.press("b")  # a person types ahead; the notebook would insert a cell
        page.keyboard.press("a")
        assert page.locator(".jp-Notebook .jp-Cell").count() == cells

        # On the picture the arrows move a cross and read values.
        canvas = root.locator("canvas[role=img]").first
        canvas.focus()
        page.keyboard.press("ArrowRight")
        expect(root.locator(".as-overlay .as-readout")).to_have_text(re.compile(r"x \d+, y \d+"))

        # Escape and Tab, and the notebook's own combinations, are the notebook's.
        page.evaluate(
            """() => {
                window.passed = [];
                document.addEventListener('keydown', event => {
                    if (!event.defaultPrevented) window.passed.push(event.key);
                });
            }"""
        )
        parts = ("[role=combobox]", "input[type=range]", "[role=option][tabindex='0']", "canvas[role=img]")
        for where in parts:
            for key in ("Escape", "Tab"):
                root.locator(where).filter(visible=True).first.focus()
                page.evaluate("() => { window.passed = [] }")
                page.keyboard.press(key)
                assert key in page.evaluate("() => window.passed"), (where, key)
