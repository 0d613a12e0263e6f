"""A region brushed on the page: the numbers there are those of Python, by mouse, by keys, and without a kernel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser.explorer_page import (
    CAT,
    DIGIT,
    Shot,
    control,
    explorer_of,
    open_and_run,
    picture_of,
    quiet,
    settled,
)
from browser.harness import Kernel, Server, wait_for
from browser.looks import use_theme, violations
from browser.notebook_page import wait_until_run

# What the model says of the edited picture, worked out in the notebook by hand.
BY_HAND = """
mask = explorer.selection_mask
hidden = images[:1].clone()
hidden[0, :, mask] = 0
with torch.no_grad():
    cost = (model(images[:1]) - model(hidden))[0, explorer.target].item()
worth = explorer.attributions[0, :, mask].sum().item()
"""
NUMBER = r"[+−]?[\d.e]+"


def brush(root: Locator, places: list[tuple[float, float]]) -> None:
    """Draws over the picture, through places that are shares of it."""
    box, mouse = picture_of(root).bounding_box(), root.page.mouse
    assert box is not None
    for i, (x, y) in enumerate(places):
        mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if i == 0:
            mouse.down()
    mouse.up()


def shown(root: Locator) -> tuple[float, float]:
    """What the card says: what the map says the region is worth, and what covering it costs."""
    sentence = root.locator(".as-covered-sentence")
    expect(sentence).to_contain_text(re.compile("costs|adds|changes nothing"))
    text = sentence.inner_text().replace("−", "-")
    worth, way, cost = re.findall(rf"worth ({NUMBER.replace('−', '-')});.* (costs|adds) ({NUMBER})", text)[0]
    return float(worth), float(cost) * (1 if way == "costs" else -1)


def same_as_in_python(root: Locator, kernel: Kernel) -> dict:
    """Holds the card against what the kernel has, and against what is worked out by hand there."""
    kernel.run("explorer.wait()")
    worth, cost = shown(root)
    kernel.run(BY_HAND)
    covered = kernel.value("{name: explorer.covered[name] for name in ('worth', 'cost', 'region', 'pixels')}")
    assert covered["cost"] == pytest.approx(kernel.value("cost"), abs=1e-5)
    assert covered["worth"] == pytest.approx(kernel.value("worth"), abs=1e-5)
    assert (worth, cost) == pytest.approx((covered["worth"], covered["cost"]), rel=6e-3)
    expect(root.locator(".as-covered .as-note")).to_contain_text(f"{covered['pixels']:,} pixel")
    return dict(covered["region"])


def test_a_region_brushed_by_mouse_and_by_keys_alone(
    page: Page, server: Server, shot: Shot, axe: Path
) -> None:
    name = open_and_run(page, server, [DIGIT, "explorer"], "region.ipynb")
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        quiet(root)
        control(root, "button", "Box").click()
        brush(root, [(0.26, 0.3), (0.5, 0.4), (0.74, 0.62)])
        # 28 pixels: whatever the brush has touched.
        assert same_as_in_python(root, kernel) == {"kind": "box", "box": [8, 7, 18, 21]}
        shot(root, "box")

        control(root, "button", "Lasso").click()
        brush(root, [(0.2, 0.2), (0.8, 0.25), (0.7, 0.8), (0.3, 0.7), (0.21, 0.3)])
        lasso = same_as_in_python(root, kernel)
        assert lasso["kind"] == "lasso"

        control(root, "button", "Segment").click()
        brush(root, [(0.5, 0.5)])
        assert same_as_in_python(root, kernel) == {"kind": "segment", "point": [14, 14]}
        for theme in ("Dark", "Light"):
            use_theme(page, f"JupyterLab {theme}")
            assert violations(page, axe) == [], theme
            shot(root, f"segment {theme}")
        control(root, "button", "Segment").click()

        picture_of(root).focus()
        for key in ("ArrowRight", "b", "Shift+ArrowLeft", "ArrowDown", "ArrowDown", "Enter"):
            page.keyboard.press(key)
        assert same_as_in_python(root, kernel) == {"kind": "box", "box": [13, 3, 16, 14]}
        page.keyboard.press("Delete")
        expect(root.locator(".as-covered")).to_be_hidden()
        wait_for("the kernel knows", lambda: kernel.value("explorer.selection is None"), 15)
        kernel.run("explorer.selection = mask")
        expect(root.locator(".as-covered .as-note")).to_contain_text(f"{3 * 11} pixels")
        assert same_as_in_python(root, kernel)["kind"] == "mask"


def test_a_click_asks_about_a_place_and_shows_what_reads_it(page: Page, server: Server, shot: Shot) -> None:
    name = open_and_run(page, server, [CAT, "explorer"], "place.ipynb")
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        quiet(root)
        brush(root, [(0.55, 0.45)])  # the button goes down and up in one place
        expect(root.locator(".as-covered-sentence")).to_contain_text(re.compile("costs|adds"))
        covered = kernel.value("{name: explorer.covered[name] for name in ('region', 'readers')}")
        assert covered["region"]["kind"] == "box"
        readers = root.locator(".as-reader")
        expect(readers).to_have_count(len(covered["readers"]))
        assert len(covered["readers"]) == 3
        for i, one in enumerate(covered["readers"]):
            expect(readers.nth(i)).to_contain_text(f"{one['layer']}#{one['channel']}")
        shot(root, "place")
        third = covered["readers"][2]
        readers.nth(2).click()
        expect(root.get_by_role("tab", name="Inside")).to_have_attribute("aria-selected", "true")
        picked = [third["layer"], third["channel"]]
        knows = "[explorer.layer, explorer.choice.neuron]"
        wait_for("the kernel knows", lambda: kernel.value(knows) == picked, 15)


def test_without_a_kernel_the_map_still_says_what_a_region_is_worth(
    page: Page, browser: Browser, server: Server
) -> None:
    write = "explorer.wait(); explorer.to_html('region.html')"
    name = open_and_run(page, server, [DIGIT, write], "region-file.ipynb")
    wait_until_run(page)
    context = browser.new_context(offline=True, viewport={"width": 1300, "height": 1000})
    opened = context.new_page()
    opened.goto((server.root / "region.html").as_uri())
    root = explorer_of(opened)
    control(root, "button", "Box").click()
    brush(root, [(0.26, 0.3), (0.74, 0.62)])
    sentence = root.locator(".as-covered-sentence")
    expect(sentence).to_contain_text("what covering it costs takes the kernel")
    said = re.findall(rf"worth ({NUMBER});", sentence.inner_text())[0]
    with server.kernel(name) as kernel:
        wanted = kernel.value("explorer.attributions[0, :, 8:18, 7:21].sum().item()")
    assert float(said.replace("−", "-")) == pytest.approx(wanted, rel=6e-3)
    context.close()
