"""The frame of the Explorer: the sentence of menus and the tabs by keyboard alone, and how much room it all takes."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from browser.explorer_page import (
    CAT,
    DIGIT,
    TWO_FRAMES,
    Shot,
    choose,
    chosen,
    control,
    expect_chosen,
    explorer_of,
    lines,
    open_and_run,
    quiet,
    show_tab,
)
from browser.harness import Kernel, Server, wait_for
from browser.looks import cut_off, sticking_out, use_theme, violations
from browser.notebook_page import wait_until_run

# Three pictures, so that there are examples below.
CATS = CAT.replace("n_steps=10", "n_steps=4").replace(
    'image = zoo.imagenet_preprocess(zoo.picture("chelsea"))',
    'image = torch.cat([zoo.imagenet_preprocess(zoo.picture(name)) for name in ("chelsea", "coffee", "camera")])',
)
# A cell of the notebook and the first picture are in view together.
LAPTOP_HEIGHT = 720
MENUS = ("Explained output", "Compared with", "Baseline", "Method", "Seen at")
OPENERS = (*MENUS, "Style", "Share")
TABS = ("Where", "Inside", "Trust")
# The keys that came out of the widget, and what the notebook holds.
LISTEN = """() => {
    window.passed = [];
    document.addEventListener('keydown', event => {
        if (event.target.closest('.as-root')) window.passed.push(event.key);
    });
}"""
# How far an open panel is from its button, from above or below.
APART = """button => {
    const panel = button.parentElement.querySelector('.as-popup').getBoundingClientRect();
    const { top, bottom, left, right } = button.getBoundingClientRect();
    const beside = Math.max(0, panel.left - right, left - panel.right);
    return beside + Math.min(Math.abs(panel.top - bottom), Math.abs(top - panel.bottom));
}"""
SOURCES = "() => window.jupyterapp.shell.currentWidget.content.widgets.map(it => it.model.sharedModel.source)"
TOGGLE_SIDE_BAR = "() => window.jupyterapp.commands.execute('application:toggle-left-area')"


def opener(root: Locator, name: str) -> Locator:
    return control(root, "combobox" if name in MENUS else "button", name)


def test_by_keyboard_alone_through_the_sentence(page: Page, server: Server, shot: Shot) -> None:
    name = open_and_run(page, server, [CATS, "explorer"], "sentence.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)
    cells = page.evaluate(SOURCES)
    page.keyboard.press("Escape")  # the notebook's command mode, in which letters are commands
    page.evaluate(LISTEN)
    with server.kernel(name) as kernel:
        _through_the_menus(page, root, kernel, shot)
        _escape(page, root)
        _through_the_tabs(page, root, kernel)
    assert page.evaluate(SOURCES) == cells
    assert set(page.evaluate("window.passed")) <= {"Tab", "Shift"}


def _through_the_menus(page: Page, root: Locator, kernel: Kernel, shot: Shot) -> None:
    """One menu after the other, with the Tab key in between: class, contrast, baseline, method, layer."""

    def pick(menu: str, typed: str, first: str, trait: str, value: object) -> None:
        button = control(root, "combobox", menu)
        expect(button).to_be_focused()
        page.keyboard.press("ArrowDown")
        expect(button).to_have_attribute("aria-expanded", "true")
        page.keyboard.type(typed)
        expect(root.locator(".as-menu-line[data-active]:visible .as-menu-label")).to_have_text(first)
        shot(page, menu)
        page.keyboard.press("Enter")
        expect(button).to_have_attribute("aria-expanded", "false")
        expect(button).to_be_focused()
        expect(button).to_have_text(first)
        wait_for(f"{trait} = {value!r}", lambda: kernel.value(f"explorer.{trait}") == value, 20)
        page.keyboard.press("Tab")

    named = kernel.value("{name: names.index(name) for name in ('lynx', 'espresso')}")
    control(root, "combobox", "Explained output").focus()
    pick("Explained output", "lyn", "lynx", "target", named["lynx"])
    pick("Compared with", "espresso", "espresso", "contrast", named["espresso"])
    pick("Baseline", "w", "white", "baseline", "white")
    pick("Method", "i", "Input x gradient", "method", "InputXGradient")
    if control(root, "button", "Settings").is_visible():
        page.keyboard.press("Tab")
    pick("Seen at", "head.conv", "head.conv", "layer", "head.conv")

    kernel.run("explorer.wait(60); None")
    quiet(root)
    asked = ("target", "contrast", "layer", "layer_method")
    request = kernel.value("explorer.heat['request']")
    assert {name: request[name] for name in asked} == kernel.value(
        f"{{name: getattr(explorer, name) for name in {asked}}}"
    )
    title = str(root.locator(".as-overlay .as-title").get_attribute("title"))
    assert title.startswith("Grad-CAM at head.conv for lynx rather than espresso"), title

    # The method of a layer is another list; that of the pixels is as it was.
    control(root, "combobox", "Method").focus()
    page.keyboard.press("ArrowDown")
    offered = lines(root, "Method").evaluate_all("all => all.map(it => it.dataset.value)")
    assert offered == kernel.value("[row['name'] for row in explorer.layer_methods]")
    page.keyboard.press("Escape")
    # Back to the pixels, and to nothing.
    control(root, "combobox", "Seen at").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.type("pixels")
    page.keyboard.press("Enter")
    expect_chosen(root, "Method", "InputXGradient")
    choose(root, "Compared with", "")
    assert chosen(root, "Compared with") == ""
    wait_for("no contrast", lambda: kernel.value("explorer.contrast") is None, 20)


def _escape(page: Page, root: Locator) -> None:
    """Closes what is open, gives the focus back, and chooses nothing."""
    before = [chosen(root, menu) for menu in MENUS]
    for name in OPENERS:
        opener(root, name).focus()
        page.keyboard.press("Enter")
        expect(opener(root, name)).to_have_attribute("aria-expanded", "true")
        if name == "Style":
            page.keyboard.press("Tab")
            expect(control(root, "combobox", "Mode")).to_be_focused()
        if name in MENUS:
            page.keyboard.press("End")
            page.keyboard.press("ArrowUp")
        page.keyboard.press("Escape")
        expect(opener(root, name)).to_have_attribute("aria-expanded", "false")
        expect(opener(root, name)).to_be_focused()
        # Tab leads out of what is open, and closes it.
        page.keyboard.press("Enter")
        for _ in range(12):
            page.keyboard.press("Tab")
            if opener(root, name).get_attribute("aria-expanded") == "false":
                break
        expect(opener(root, name)).to_have_attribute("aria-expanded", "false")
        assert page.evaluate("document.activeElement.matches('.as-root *')"), name
    assert [chosen(root, menu) for menu in MENUS] == before


def _through_the_tabs(page: Page, root: Locator, kernel: Kernel) -> None:
    control(root, "tab", "Where").focus()
    for key, name in (
        ("ArrowRight", "Inside"),
        ("ArrowRight", "Trust"),
        ("ArrowRight", "Where"),
        ("ArrowLeft", "Trust"),
        ("Home", "Where"),
        ("End", "Trust"),
    ):
        page.keyboard.press(key)
        expect(control(root, "tab", name)).to_be_focused()
        expect(control(root, "tab", name)).to_have_attribute("aria-selected", "true")
        expect(root.get_by_role("tabpanel")).to_have_count(1)
        expect(root.get_by_role("tabpanel", name=name)).to_be_visible()
    wait_for("the tab", lambda: kernel.value("explorer.tab") == "trust", 20)

    def opened_from_python() -> bool:
        kernel.run("explorer.tab = 'inside'")
        return root.get_by_role("tabpanel", name="Inside").is_visible()

    # A word of a tab before, which was this one too, may still be on its way: who speaks last is followed.
    wait_for("the tab that Python opens", opened_from_python, 30)
    kernel.run("explorer.tab = 'where'")


def test_the_room_it_takes(page: Page, server: Server, shot: Shot, axe: Path) -> None:
    """On a laptop the whole of it is in view; nothing is cut off, however narrow the cell."""
    page.set_viewport_size({"width": 1280, "height": 900})
    name = open_and_run(page, server, [CATS, "explorer"], "room.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)
    with server.kernel(name) as kernel:
        kernel.run("explorer.layer = 'blocks.9'; explorer.wait(60); None")
        quiet(root)
        kernel.run("explorer.selection = {'kind': 'box', 'box': [50, 80, 120, 130]}; explorer.wait(60); None")
        expect(root.locator(".as-covered-sentence")).to_contain_text(re.compile("costs|adds"))
        _is_low(root, shot, "side bar open")
        page.evaluate(TOGGLE_SIDE_BAR)
        try:
            wait_for("the room of the side bar", lambda: _width(root) > 900, 10)
            _is_low(root, shot, "side bar closed")
            for width in (848, 700, 582, 420):
                kernel.run(f"explorer.layout.width = '{width}px'")
                wait_for(f"{width} pixels", lambda width=width: abs(_width(root) - width) < 2, 10)
                if width == 848:
                    _is_low(root, shot, "848 pixels")
                _nothing_is_cut_off(page, root, shot, f"{width} pixels")
                _answers_in_view(root, width)
            kernel.run("explorer.layout.width = '848px'")
            wait_for("848 pixels", lambda: abs(_width(root) - 848) < 2, 10)
            for theme in ("Light", "Dark"):
                use_theme(page, f"JupyterLab {theme}")
                for tab in TABS:
                    show_tab(root, tab)
                    assert violations(page, axe) == [], (theme, tab)
                for opened in ("Explained output", "Style"):
                    opener(root, opened).click()
                    shot(page, f"{theme} {opened}")
                    assert violations(page, axe) == [], (theme, opened)
                    page.keyboard.press("Escape")
            _says_it_in_forced_colours(page, root, shot)
            kernel.run("explorer.layout.width = None")
            _uses_a_wide_screen(page, root, shot)
        finally:
            use_theme(page, "JupyterLab Light")
            page.evaluate(TOGGLE_SIDE_BAR)


def _says_it_in_forced_colours(page: Page, root: Locator, shot: Shot) -> None:
    """What grounds say otherwise is said by lines, and bars and tracks are there."""
    page.emulate_media(forced_colors="active")
    try:
        show_tab(root, "Where")
        shot(root, "forced colours")
        tabs = root.get_by_role("tab")
        edges = [tab.evaluate("it => getComputedStyle(it).borderBottomColor") for tab in tabs.all()]
        assert edges[0] not in edges[1:], edges
        ground = root.evaluate("it => getComputedStyle(it).backgroundColor")
        picked = root.locator(".as-option[aria-selected=true]")
        assert picked.evaluate("it => getComputedStyle(it).outlineStyle") == "solid"
        assert picked.locator(".as-amount").evaluate("it => getComputedStyle(it).backgroundColor") != ground
        example = root.locator(".as-example[aria-selected=true]")
        assert example.evaluate("it => getComputedStyle(it).outlineStyle") == "solid"
    finally:
        page.emulate_media(forced_colors="none")


def _uses_a_wide_screen(page: Page, root: Locator, shot: Shot) -> None:
    """The picture is larger, what belongs to it stands beside it, and it is as low as before."""
    page.set_viewport_size({"width": 1920, "height": 900})
    wait_for("the room of a wide screen", lambda: _width(root) > 1600, 10)
    _is_low(root, shot, "1920 pixels")
    show_tab(root, "Where")
    stage, sliders = (
        root.locator(f".as-overlay {one}").bounding_box() for one in (".as-stage", ".as-sliders")
    )
    assert stage is not None
    assert sliders is not None
    assert stage["width"] > 560
    assert sliders["x"] > stage["x"] + stage["width"]
    assert root.locator(".as-tabs").evaluate("it => it.clientWidth") > 600
    page.set_viewport_size({"width": 1280, "height": 900})


def test_what_is_open_stays_with_its_opener(page: Page, server: Server, shot: Shot) -> None:
    """While the cell becomes narrower and wider again: menus of both sides, Style, and Share."""
    page.set_viewport_size({"width": 1280, "height": 900})
    name = open_and_run(page, server, [DIGIT, "explorer"], "stays.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)
    page.evaluate(TOGGLE_SIDE_BAR)
    try:
        with server.kernel(name) as kernel:
            for opened in ("Explained output", "Seen at", "Style", "Share"):
                button = opener(root, opened)
                button.click()
                for width in (1000, 700, 420, 900):
                    kernel.run(f"explorer.layout.width = '{width}px'")
                    wait_for(f"{width} pixels", lambda width=width: abs(_width(root) - width) < 2, 10)
                    wait_for(f"{opened} in view", lambda: sticking_out(root) == [], 10)
                    shot(root, f"{opened} {width}")
                    expect(button).to_have_attribute("aria-expanded", "true")
                    apart = button.evaluate(APART)
                    assert apart < 8, (opened, width, apart)
                page.keyboard.press("Escape")
    finally:
        page.evaluate(TOGGLE_SIDE_BAR)


def _width(root: Locator) -> float:
    return float(root.evaluate("el => el.getBoundingClientRect().width"))


def _is_low(root: Locator, shot: Shot, what: str) -> None:
    for tab in TABS:
        show_tab(root, tab)
        root.page.evaluate(TWO_FRAMES)
        shot(root.page, f"{what} {tab}")
        height = root.evaluate("el => el.getBoundingClientRect().height")
        assert height <= LAPTOP_HEIGHT, (what, tab, height)
        below = root.locator(".as-tab-panel:visible").evaluate("el => el.scrollHeight - el.clientHeight")
        assert below <= 1, (what, tab, below)


def _answers_in_view(root: Locator, width: int) -> None:
    """What covering costs stands beside the picture, and lines of notes are no higher than there is room for."""
    frame, answer = root.bounding_box(), root.locator(".as-covered-sentence").bounding_box()
    assert frame is not None
    assert answer is not None
    if width > 560:
        assert answer["y"] + answer["height"] <= frame["y"] + LAPTOP_HEIGHT, width
    heights = root.locator(".as-beneath .as-notes > span").evaluate_all(
        "all => all.map(it => it.getBoundingClientRect().height)"
    )
    assert max(heights) < 15, (width, heights)


def _nothing_is_cut_off(page: Page, root: Locator, shot: Shot, what: str) -> None:
    for tab in TABS:
        show_tab(root, tab)
        page.evaluate(TWO_FRAMES)
        assert root.evaluate("el => el.scrollWidth <= el.clientWidth"), (what, tab)
        wider = root.locator(".as-tab-panel:visible").evaluate("el => el.scrollWidth - el.clientWidth")
        assert wider <= 0, (what, tab, wider)
        assert cut_off(root) == [], (what, tab)
    show_tab(root, "Where")
    for name in OPENERS:
        opener(root, name).click()
        expect(opener(root, name)).to_have_attribute("aria-expanded", "true")
        shot(page, f"{what} {name}")
        assert sticking_out(root) == [], (what, name)
        page.keyboard.press("Escape")
