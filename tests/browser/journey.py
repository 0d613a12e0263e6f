"""One way through the whole frame, at the page alone: what every host of the Explorer has to allow."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, expect

from browser.explorer_page import choose, chosen, control, expect_chosen, picture_of, pixels, quiet, show_tab
from browser.harness import wait_for

TABS = ("Inside", "Trust", "Where")
PNG = b"\x89PNG"


def through_the_frame(root: Locator) -> None:
    """Chooses in the sentence, looks at all tabs, brushes a region, pins the map, and takes a figure along."""
    choose(root, "Explained output", "3")
    expect_chosen(root, "Explained output", "3")
    choose(root, "Baseline", "white")
    choose(root, "Method", "InputXGradient")
    title = root.locator(".as-overlay > .as-head .as-title")
    expect(title).to_have_text(re.compile(r"^Input x gradient for 3"), timeout=60_000)
    quiet(root)
    for tab in TABS:
        show_tab(root, tab)
        expect(root.get_by_role("tabpanel", name=tab)).to_be_visible()
        expect(root.get_by_role("tabpanel")).to_have_count(1)

    brush(root)
    sentence = root.locator(".as-covered-sentence")
    expect(sentence).to_contain_text(re.compile("costs|adds|changes nothing"), timeout=60_000)

    control(root, "button", "Pin").click()
    expect(root.get_by_role("button", name="Pins (1)")).to_be_visible()
    # The very map on show, which stands beside others only.
    expect(root.locator(".as-pin-title:visible")).to_have_count(0)
    expect(control(root, "button", "Pin")).to_have_attribute("title", "This map is pinned")

    share = control(root, "button", "Share")
    share.click()
    with root.page.expect_download(timeout=60_000) as coming:
        control(root, "button", "Figure").click()
    assert Path(coming.value.path()).read_bytes().startswith(PNG)
    root.page.keyboard.press("Escape")
    expect(share).to_have_attribute("aria-expanded", "false")


def brush(root: Locator) -> None:
    """A box over the middle of the picture, by the mouse."""
    control(root, "button", "Box").click()
    picture_of(root).scroll_into_view_if_needed()
    box, mouse = picture_of(root).bounding_box(), root.page.mouse
    assert box is not None
    for i, share in enumerate((0.3, 0.5, 0.7)):
        mouse.move(box["x"] + share * box["width"], box["y"] + share * box["height"])
        if i == 0:
            mouse.down()
    mouse.up()
    control(root, "button", "Box").click()


def is_the_same(root: Locator, other: Locator) -> None:
    """An Explorer that was made of another one's state shows what that one shows."""
    for name in ("Explained output", "Compared with", "Baseline", "Method", "Seen at"):
        expect_chosen(other, name, chosen(root, name))
    quiet(other)
    title = root.locator(".as-overlay > .as-head .as-title").inner_text()
    expect(other.locator(".as-overlay > .as-head .as-title")).to_have_text(title)
    expect(other.locator(".as-covered-sentence")).to_have_text(
        root.locator(".as-covered-sentence").inner_text()
    )
    wait_for("the same pixels", lambda: pixels(other) == pixels(root), 20)
