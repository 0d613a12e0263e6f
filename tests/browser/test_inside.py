"""Inside a model, by hand: scrub through its layers, click a neuron, switch it off, and read it all back in Python."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.explorer_page import (
    CAT,
    DIGIT,
    TWO_FRAMES,
    Shot,
    choose,
    control,
    explorer_of,
    open_and_run,
    quiet,
    set_slider,
    settled,
    show_tab,
)
from browser.harness import Kernel, Server, wait_for
from browser.inside_page import (
    LISTEN,
    SCRUB_ON,
    TALL,
    at_rest,
    belong_together,
    click_until_title,
    depth_slider,
    difference,
    keep,
    open_channels,
    open_tree,
    pick_layer,
    predictions,
    title_of,
    top,
    unfold,
    unit,
    units,
    wide,
)
from browser.looks import cut_off, use_theme, violations
from browser.notebook_page import wait_until_run

REST = 0.4  # seconds that a scrub rests before the kernel hears of it (SCRUB_REST_MS)
# A pickiness that only a machine that stands still would reach.
SECONDS_TO_A_MAP = 10.0


def sent_to_kernel(page: Page) -> list[dict]:
    """What was said to the kernel since LISTEN, but for what the notebook asks by itself."""
    return [one for one in page.evaluate("window.sent") if one["type"] == "comm_msg"]


def test_scrubbing_through_the_depth_asks_nobody(page: Page, server: Server, shot: Shot) -> None:
    """Twenty layers of EfficientNet-Lite0 by key; then a neuron of the one where the scrubbing ended."""
    page.set_viewport_size(TALL)
    name = open_and_run(page, server, [CAT, "explorer"], "depth.ipynb")
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        quiet(root)
        open_tree(root)
        expect(root.locator(".as-tree .as-relevance").nth(1)).to_contain_text("carries")
        shot(root, "filled tree")
        slider = depth_slider(root)
        set_slider(slider, 24)  # from where the maps are not finer than what is sent of them
        at_rest(root, kernel)
        page.evaluate(LISTEN)

        slider.focus()
        titles = [keep(page)]
        for _ in range(20):
            page.keyboard.press("ArrowRight")
            titles.append(keep(page))
        rested = [then - now > 1000 * REST for now, then in pairwise(page.evaluate("window.keysDown"))]
        sent = sent_to_kernel(page)
        spoken = str(slider.get_attribute("aria-valuetext"))
        # A machine that takes so long between two keys that the scrub counts as rested says so, and only then.
        assert len(sent) <= sum(rested), (sent, rested)
        assert (
            root.locator(".as-overlay .as-tag:visible").count() == 0
        )  # nothing is out of date or on its way
        assert len(set(titles)) == 21, titles
        # A layer may hand on what came to it: its map is that of the layer before.
        assert sum(difference(page, i, i + 1)[1] > 0 for i in range(20)) >= 15
        assert re.match(r"blocks\.\d.*, 44 of \d+, sum", spoken), spoken
        shot(root, "scrubbed")

        wait_for("the kernel hears of it", lambda: len(sent_to_kernel(page)) > len(sent), 10)
        picks = at_rest(root, kernel)
        assert len(sent_to_kernel(page)) <= 1 + sum(rested), sent_to_kernel(page)
        assert set(sent_to_kernel(page)[-1]["what"]) <= {"layer", "neuron", "alpha"}
        assert keep(page) == titles[-1] == picks["title"]
        assert picks["layer"] == root.locator(".as-tree [aria-selected=true]").get_attribute("data-name")
        jump = difference(page, -2, -1)
        print(f"as the kernel's own map takes the place of the page's, pixels differ by {jump}")
        assert jump[0] < 1, jump
        assert jump[1] <= 12, jump

        # Back and forth again: the same pixels.
        for key, where, place in (
            ("ArrowLeft", slider, -2),
            ("]", slider, -1),
            ("[", root.locator("canvas[role=img]").first, -2),
        ):
            where.focus()
            page.keyboard.press(key)
            assert keep(page) == titles[place]
        assert difference(page, 19, -1) == (0, 0)
        at_rest(root, kernel)

        taken = click_until_title(top(root).nth(3), "Gradient of channel")
        print(f"EfficientNet-Lite0: {taken:.0f} ms from a click on a neuron to its map")
        assert taken < 1000 * SECONDS_TO_A_MAP
        picks = belong_together(root, kernel)
        assert picks["neuron"] is not None
        assert f"channel {picks['neuron']} of {picks['layer']}" in title_of(root)
        shot(root, "a neuron")


def test_the_small_network(page: Page, server: Server, shot: Shot, axe: Path) -> None:
    """One page on which everything is done that a person can do with channels, neurons and switches."""
    page.set_viewport_size(TALL)
    name = open_and_run(page, server, [DIGIT.replace("images[:1]", "images[:3]"), "explorer"], "inside.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)
    with server.kernel(name) as kernel:
        kernel.run("intact = model(images[:3]).detach()")
        _by_keyboard(page, root, kernel)
        _scrubbed_on(root, kernel)
        _clicked(root, kernel, shot)
        _switched_off(page, root, kernel, shot)
        _looks(page, root, kernel, shot, axe)
        assert kernel.value("bool(model(images[:3]).equal(intact))")


def _by_keyboard(page: Page, root: Locator, kernel: Kernel) -> None:
    """Tree, grid, a place in a channel, the switch, and out again; the notebook's own keys stay away."""
    sources = (
        "() => window.jupyterapp.shell.currentWidget.content.widgets.map(it => it.model.sharedModel.source)"
    )
    cells = page.evaluate(sources)
    focused = page.locator("*:focus")
    page.keyboard.press("Escape")  # the notebook's command mode, in which letters are commands

    open_tree(root)
    root.get_by_role("treeitem", name=re.compile("^Input")).focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    layer = str(focused.get_attribute("data-name"))
    assert "." in layer, layer
    page.keyboard.press("Enter")
    assert at_rest(root, kernel)["layer"] == layer
    expect(focused).to_have_attribute("data-name", layer)

    # Tab comes by the grid's controls to the grid, which is one stop.
    open_channels(root)
    for _ in range(30):
        page.keyboard.press("Tab")
        if focused.evaluate("it => it.matches('.as-unit')"):
            break
    expect(focused).to_have_attribute("aria-posinset", "1")
    setsize = int(str(focused.get_attribute("aria-setsize")))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(focused).to_have_attribute("aria-posinset", "3")
    page.keyboard.press("ArrowLeft")
    expect(focused).to_have_attribute("aria-posinset", "2")
    page.keyboard.press("End")
    expect(focused).to_have_attribute("aria-posinset", str(setsize))
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    channel = int(str(focused.get_attribute("data-channel")))
    words = focused.evaluate("it => it.textContent")
    assert re.fullmatch(rf"channel {channel}, contribution [+−][\d.]+, activation −?[\d.]+", words), words
    page.keyboard.press("Enter")
    assert at_rest(root, kernel)["neuron"] == channel
    expect(focused).to_have_attribute("aria-selected", "true")
    assert f"channel {channel} of {layer}" in title_of(root)

    # x switches off, and on again.
    page.keyboard.press("x")
    wait_for("off", lambda: kernel.value("explorer.ablated") == [[layer, channel]], 10)
    expect(focused).to_contain_text("switched off")
    page.keyboard.press("x")
    wait_for("on", lambda: kernel.value("explorer.ablated") == [], 10)

    # A place in it.
    for _ in range(40):
        page.keyboard.press("Tab")
        if focused.evaluate("it => it.matches('.as-places-field')"):
            break
    assert focused.get_attribute("role") == "application"
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    expect(root.locator(".as-places .as-readout")).to_have_text(
        re.compile(r"^row \d+, column \d+: activation")
    )
    page.keyboard.press("Enter")
    neuron = at_rest(root, kernel)["neuron"]
    assert neuron[0] == channel
    assert len(neuron) == 3
    belong_together(root, kernel)
    assert f"row {neuron[1]}, column {neuron[2]}" in root.locator(".as-neuron .as-title").inner_text()

    # Tab leaves; nothing became of x, a, b, Enter and Delete in the notebook.
    for key in ("a", "b", "d", "d", "Delete"):
        page.keyboard.press(key)
    for _ in range(40):
        page.keyboard.press("Tab")
        if not focused.count() or focused.evaluate("it => !it.closest('.as-root')"):
            break
    else:
        raise AssertionError("Tab does not lead out of the Explorer")
    assert page.evaluate(sources) == cells


def _scrubbed_on(root: Locator, kernel: Kernel) -> None:
    """The kernel's echo of a layer does not take back somebody who has gone on."""
    passed: list[str] = []
    for number in (3, 2, 1):
        set_slider(depth_slider(root), number)
        passed.insert(0, at_rest(root, kernel)["layer"])
    assert len(set(passed)) == 3, passed
    titles = depth_slider(root).evaluate(SCRUB_ON)
    shown = [title[: title.index(" for ")] for title in titles]
    assert shown == [f"Grad-CAM at {layer}" for layer in passed[1:]]
    assert belong_together(root, kernel)["layer"] == passed[2]


def _clicked(root: Locator, kernel: Kernel, shot: Shot) -> None:
    """A click on a neuron, to its map."""
    pick_layer(root, "net.stem.relu")
    assert belong_together(root, kernel)["neuron"] is None
    open_channels(root)
    expect(units(root)).to_have_count(16)
    taken = click_until_title(units(root).nth(2), "Gradient of channel")
    print(f"Small CNN: {taken:.0f} ms from a click on a neuron to its map")
    assert taken < 1000 * SECONDS_TO_A_MAP
    picks = belong_together(root, kernel)
    assert f"channel {picks['neuron']} of net.stem.relu" in title_of(root)
    expect(units(root).nth(2)).to_have_attribute("aria-selected", "true")
    assert kernel.value("list(explorer.neuron_attributions.shape)") == [1, 1, 28, 28]
    top = kernel.value("[list(row) for row in explorer.top_channels(3)]")
    assert [row[0] for row in top] == [
        int(str(units(root).nth(i).get_attribute("data-channel"))) for i in range(3)
    ]
    shot(root, "a neuron")
    control(root.locator(".as-neuron"), "button", "Back to layer").click()
    assert belong_together(root, kernel)["neuron"] is None


def _switched_off(page: Page, root: Locator, kernel: Kernel, shot: Shot) -> None:
    """The predictions move, and come back exactly."""
    before = predictions(root)
    intact = kernel.value("explorer.predictions['items']")
    hint = root.locator(".as-predictions .as-hint")

    def changed(count: int) -> dict[int, dict]:
        expect(hint).to_have_text(f"with {count} switched off")
        wait_for(
            "an answer", lambda: len(kernel.value("explorer.what_if['request']['ablated']")) == count, 30
        )
        settled(root.page, kernel)
        quiet(root)
        return {one["index"]: one for one in kernel.value("explorer.what_if['items']")}

    # One, by its button; what is said is what the model says without it.
    unit(root, 5).click()
    control(root, "button", "Switch off").click()
    expect(root.locator(".as-whatif-words")).to_contain_text("Channel 5 switched off:")
    first = changed(1)
    assert predictions(root) != before
    before_scores = {item["index"]: pytest.approx(item["score"], abs=1e-6) for item in intact}
    assert {i: one["before_score"] for i, one in first.items() if i in before_scores} == before_scores
    kernel.run(
        "import attriscope\n"
        "with torch.no_grad(), attriscope.switched_off(model, [('net.stem.relu', 5)]):\n"
        "    without = model(images[:1])[0].tolist()"
    )
    without = kernel.value("without")
    assert {i: one["after_score"] for i, one in first.items()} == {
        i: pytest.approx(without[i], abs=1e-5) for i in first
    }
    rows = {
        int(str(row.get_attribute("data-index"))): str(row.text_content())
        for row in root.locator(".as-predictions [role=option]").all()
    }
    for i, one in first.items():
        assert f"{100 * one['after']:.1f}" in rows[i], (one, rows[i])
    with_one = predictions(root)
    shot(root, "one switched off")

    # Several, one of them in another layer, one of them a single place.
    unit(root, 3).press("x")
    second = changed(2)
    place = kernel.value(
        "[int(i) for i in torch.unravel_index(model.net.stem(images[:1])[0, :3].argmax(), (3, 28, 28))]"
    )
    kernel.run(f"explorer.ablated = [*explorer.ablated, ['net.stem.bn', {place}]]")
    third = changed(3)
    best = intact[0]["index"]
    assert len({answer[best]["after_score"] for answer in (first, second, third)}) == 3
    show_tab(root, "Inside")
    unfold(root, "Details")
    off = root.get_by_role("list", name="Switched off").get_by_role("listitem")
    assert [text.split("\n")[0] for text in off.all_inner_texts()] == [
        "net.stem.relu: channel 5",
        "net.stem.relu: channel 3",
        "net.stem.bn: channel {}, row {}, column {}".format(*place),
    ]
    shot(root, "three switched off")

    # To what they hold at the baseline, instead of zero.
    choose(root, "Set to", "baseline")
    wait_for(
        "the baseline", lambda: kernel.value("explorer.what_if['request']['ablate_to']") == "baseline", 30
    )
    to_baseline = changed(3)
    assert {i: one["after_score"] for i, one in to_baseline.items()} != {
        i: one["after_score"] for i, one in third.items()
    }
    choose(root, "Set to", "zero")
    wait_for("zero again", lambda: kernel.value("explorer.what_if['request']['ablate_to']") == "zero", 30)
    assert changed(3) == third

    # One by one back again: each step says exactly what it said before.
    undo = control(root, "button", "Undo")
    undo.click()
    assert changed(2) == second
    undo.click()
    assert changed(1) == first
    assert predictions(root) == with_one
    show_tab(root, "Inside")
    undo.click()
    expect(root.locator(".as-whatif")).to_be_hidden()
    assert root.evaluate("el => el.contains(document.activeElement)")  # the button went, the focus did not
    assert at_rest(root, kernel)["layer"] == "net.stem.relu"
    assert predictions(root) == before
    assert kernel.value("explorer.predictions['items']") == intact
    assert kernel.value("explorer.ablated") == []
    assert kernel.value("bool(model(images[:3]).equal(intact))")
    page.evaluate(TWO_FRAMES)


def _looks(page: Page, root: Locator, kernel: Kernel, shot: Shot, axe: Path) -> None:
    """axe, in light and dark, narrow and wide, with a layer, a place in a channel and something switched off."""
    kernel.run(
        "explorer.layer, explorer.neuron = 'net.stem.bn', [5, 10, 12]; explorer.ablated = [['net.stem.bn', 5]]"
    )
    belong_together(root, kernel)
    show_tab(root, "Inside")
    try:
        for theme in ("Light", "Dark"):
            use_theme(page, f"JupyterLab {theme}")
            for width in (1220, 700):
                wide(page, kernel, root, width)
                quiet(root)
                shot(root, f"{theme} {width}")
                assert root.evaluate("el => el.scrollWidth <= el.clientWidth + 1"), (theme, width)
                assert cut_off(root) == [], (theme, width)
                assert _cramped(root) == [], (theme, width)
            assert violations(page, axe) == [], theme
            # A vector, and two maps beside each other.
            kernel.run(
                "explorer.pin(); explorer.wait(); explorer.layer = 'net.fc'; explorer.neuron = 3; explorer.wait(); None"
            )
            quiet(root)
            expect(root.locator(".as-pinned")).to_be_visible()
            shot(root, f"{theme} pinned, a vector")
            assert violations(page, axe) == [], theme
            kernel.run(
                "explorer.unpin(); explorer.layer = 'net.stem.bn'; explorer.neuron = [5, 10, 12]; explorer.wait(); None"
            )
            quiet(root)
    finally:
        use_theme(page, "JupyterLab Light")
        kernel.run("explorer.ablated = []; explorer.layer = None; explorer.wait(); None")


def _cramped(root: Locator) -> list[str]:
    """What sticks out of its card."""
    return root.evaluate(
        """el => [...el.querySelectorAll('.as-card')].filter(card => card.getClientRects().length).flatMap(card => {
            const { right } = card.getBoundingClientRect();
            return [...card.querySelectorAll('.as-value, .as-number, button, select, input, .as-title, .as-hint')]
                .filter(it => it.getClientRects().length)
                .filter(it => it.getBoundingClientRect().right > right + 1)
                .map(it => `${card.className}: ${it.outerHTML.slice(0, 100)}`);
        })"""
    )
