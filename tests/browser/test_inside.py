"""Inside a model, by hand: scrub through its layers, click a neuron, switch it off, and read it all back in Python."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.explorer_page import (
    CAT,
    DIGIT,
    MOODY,
    TWO_FRAMES,
    Shot,
    control,
    explorer_of,
    open_and_run,
    quiet,
    set_slider,
    settled,
)
from browser.harness import Kernel, Server, save, wait_for, wait_until_run
from browser.inside_page import (
    LISTEN,
    SCRUB_ON,
    at_rest,
    belong_together,
    click_until_title,
    depth_slider,
    difference,
    keep,
    pick_layer,
    predictions,
    title_of,
    unit,
    units,
    wide,
)
from browser.looks import cut_off, use_theme, violations

TESTS = Path(__file__).parents[1]
# The small networks of every kind that the tests of the kernel's half look into.
NETS = f"import sys; sys.path[:0] = [{str(TESTS)!r}, {str(TESTS / 'widget')!r}]\nfrom nets import *\n"
REST = 0.4  # seconds that a scrub rests before the kernel hears of it (SCRUB_REST_MS)
# A pickiness that only a machine that stands still would reach.
SECONDS_TO_A_MAP = 10.0
# So that a whole Explorer with a layer picked is in view, and on its pictures.
TALL = {"width": 1280, "height": 2400}


def kernel_trait(page: Page) -> list[dict]:
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
        expect(root.locator(".as-tree .as-flow").nth(1)).to_contain_text("carries")
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
        sent = kernel_trait(page)
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

        wait_for("the kernel hears of it", lambda: len(kernel_trait(page)) > len(sent), 10)
        picks = at_rest(root, kernel)
        assert len(kernel_trait(page)) <= 1 + sum(rested), kernel_trait(page)
        assert set(kernel_trait(page)[-1]["what"]) <= {"layer", "neuron", "alpha"}
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

        taken = click_until_title(units(root).nth(3), "Gradient of channel")
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

    root.get_by_role("treeitem", name=re.compile("^Input")).focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    layer = str(focused.get_attribute("data-name"))
    assert "." in layer, layer
    page.keyboard.press("Enter")
    assert at_rest(root, kernel)["layer"] == layer
    expect(focused).to_have_attribute("data-name", layer)

    # Tab comes by the grid's controls to the grid, which is one stop.
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
    for _ in range(12):
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
    for _ in range(20):
        page.keyboard.press("Tab")
        if not focused.count() or focused.evaluate("it => !it.closest('.as-root')"):
            break
    else:
        raise AssertionError("Tab does not lead out of the Explorer")
    assert page.evaluate(sources) == cells


def _scrubbed_on(root: Locator, kernel: Kernel) -> None:
    """The kernel's echo of a layer does not take back somebody who has gone on."""
    set_slider(depth_slider(root), 1)
    at_rest(root, kernel)
    titles = depth_slider(root).evaluate(SCRUB_ON)
    assert [title[: title.index(" for ")] for title in titles] == [
        "Grad-CAM at net.stem.conv",
        "Grad-CAM at net.stem.bn",
    ]
    assert belong_together(root, kernel)["layer"] == "net.stem.bn"


def _clicked(root: Locator, kernel: Kernel, shot: Shot) -> None:
    """A click on a neuron, to its map."""
    pick_layer(root, "net.stem.relu")
    assert belong_together(root, kernel)["neuron"] is None
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
        int(str(row.get_attribute("data-index"))): row.inner_text()
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
    off = root.get_by_role("list", name="Switched off").get_by_role("listitem")
    assert [text.split("\n")[0] for text in off.all_inner_texts()] == [
        "net.stem.relu: channel 5",
        "net.stem.relu: channel 3",
        "net.stem.bn: channel {}, row {}, column {}".format(*place),
    ]
    shot(root, "three switched off")

    # To what they hold at the baseline, instead of zero.
    control(root, "combobox", "Set to").select_option("baseline")
    wait_for(
        "the baseline", lambda: kernel.value("explorer.what_if['request']['ablate_to']") == "baseline", 30
    )
    to_baseline = changed(3)
    assert {i: one["after_score"] for i, one in to_baseline.items()} != {
        i: one["after_score"] for i, one in third.items()
    }
    control(root, "combobox", "Set to").select_option("zero")
    wait_for("zero again", lambda: kernel.value("explorer.what_if['request']['ablate_to']") == "zero", 30)
    assert changed(3) == third

    # One by one back again: each step says exactly what it said before.
    undo = control(root, "button", "Undo")
    undo.click()
    assert changed(2) == second
    undo.click()
    assert changed(1) == first
    assert predictions(root) == with_one
    undo.click()
    expect(root.locator(".as-whatif")).to_be_hidden()
    assert at_rest(root, kernel)["layer"] == "net.stem.relu"
    assert predictions(root) == before
    assert kernel.value("explorer.predictions['items']") == intact
    assert kernel.value("explorer.ablated") == []
    assert kernel.value("bool(model(images[:3]).equal(intact))")
    assert root.evaluate("el => el.contains(document.activeElement)")  # the button went, the focus did not
    page.evaluate(TWO_FRAMES)


def _looks(page: Page, root: Locator, kernel: Kernel, shot: Shot, axe: Path) -> None:
    """axe, in light and dark, narrow and wide, with a layer, a place in a channel and something switched off."""
    kernel.run(
        "explorer.layer, explorer.neuron = 'net.stem.bn', [5, 10, 12]; explorer.ablated = [['net.stem.bn', 5]]"
    )
    belong_together(root, kernel)
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


def test_the_map_belongs_to_the_picks_under_fast_clicking(page: Page, server: Server) -> None:
    make = DIGIT.replace("n_steps=10", "n_steps=6")
    name = open_and_run(page, server, [make, "explorer"], "clicking.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)
    draw = random.Random(5)

    def any_of(rows: Locator) -> None:
        if count := rows.count():
            rows.nth(draw.randrange(count)).dispatch_event("click")

    def choose(label: str) -> None:
        box = control(root, "combobox", label)
        if box.is_visible():
            values = box.evaluate("it => [...it.options].map(option => option.value)")
            box.select_option(draw.choice(values))

    def scrub() -> None:
        slider = depth_slider(root)
        most = int(str(slider.get_attribute("max")))
        for _ in range(draw.randrange(1, 6)):
            set_slider(slider, draw.randrange(most + 1))

    def switch() -> None:
        options = units(root)
        if count := options.count():
            options.nth(draw.randrange(count)).press("x")

    possible: list[Callable[[], None]] = [
        lambda: any_of(root.get_by_role("treeitem")),
        lambda: any_of(root.get_by_role("treeitem")),
        lambda: any_of(units(root)),
        lambda: any_of(units(root)),
        lambda: any_of(units(root)),
        lambda: any_of(root.locator(".as-predictions [role=option]")),
        lambda: choose("Layer method"),
        lambda: choose("Neuron method"),
        lambda: choose("Method"),
        scrub,
        scrub,
        switch,
    ]
    with server.kernel(name) as kernel:
        seen: list[tuple] = []
        end = time.monotonic() + 8
        done = 0
        while time.monotonic() < end or len(seen) < 3:
            for _ in range(draw.randrange(5, 16)):
                draw.choice(possible)()
                page.wait_for_timeout(draw.choice([0, 0, 10, 40, 150]))
                done += 1
            picks = belong_together(root, kernel)
            seen.append((picks["layer"], picks["layer_method"], str(picks["neuron"]), picks["target"]))
        print(f"{done} clicks, {len(seen)} rests: {seen}")
        assert kernel.value("explorer.status") == "idle"
        kernel.run("explorer.ablated = []; explorer.layer = None; explorer.wait(); None")
        belong_together(root, kernel)


OTHER_NETS = (
    MOODY
    + NETS
    + """
import ipywidgets, traitlets
from attriscope import ChannelGrid, LayerPicker
torch.set_default_dtype(torch.float32)
vit = Explorer(net(Vit), picture(8, 12), n_steps=4)
rows = Explorer(net(Rows), picture(), n_steps=4)
plain = nn.Sequential(nn.Flatten(), nn.Linear(192, 40), nn.ReLU(), nn.Linear(40, 5))
mlp = Explorer(net(lambda: plain), picture(), n_steps=4)
words = "the cat sat on the mat and it purred".split()
picker, grid = LayerPicker(net(Text), ids()), ChannelGrid(net(Text), ids(), positions=words)
link = traitlets.link((picker, "layer"), (grid, "layer"))
"""
)


def test_layers_that_are_no_maps(page: Page, server: Server, shot: Shot) -> None:
    """Tokens, heads, recurrent and plain layers are shown as what they are; the parts stand alone, for a text model."""
    page.set_viewport_size(TALL)
    cells = [OTHER_NETS, "vit", "rows", "mlp", "ipywidgets.HBox([picker, grid])"]
    name = open_and_run(page, server, cells, "nets.ipynb")
    wait_until_run(page)
    roots = page.locator(".as-root[data-part=explorer]")
    expect(roots).to_have_count(3, timeout=60_000)
    with server.kernel(name) as kernel:
        vit, rows, mlp = (roots.nth(i) for i in range(3))
        for one in ("vit", "rows", "mlp"):
            kernel.run(f"{one}.wait(60); None")

        def look_into(root: Locator, who: str, layer: str) -> tuple[str, str]:
            """Picks a layer, and says how it is drawn, and the name of what stands there first."""
            pick_layer(root, layer)
            wait_for(layer, lambda: kernel.value(f"{who}.layer") == layer, 10)
            kernel.run(f"{who}.wait(60); None")
            quiet(root)
            expect(root.locator(".as-channels .as-title")).to_have_text(f"Inside {layer}")
            look = str(root.locator(".as-units").get_attribute("data-look"))
            first = units(root).first
            return look, str(first.get_attribute("aria-label") or first.evaluate("it => it.textContent"))

        # Tokens that stand for patches lie over the picture; their units are strips over the positions.
        look, words = look_into(vit, "vit", "block")
        assert look == "strips"
        assert re.match(r"unit \d+, contribution", words), words
        assert "block" in title_of(vit)
        expect(vit.locator(".as-channels .as-hint")).to_contain_text("6 units at 25 positions")
        units(vit).first.click()
        kernel.run("vit.wait(60); None")
        shot(vit, "tokens")
        # A second click on a strip picks a place in it.
        box = units(vit).first.locator(".as-channel").bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] * (7.5 / 25), box["y"] + box["height"] / 2)
        wait_for("a place", lambda: isinstance(kernel.value("vit.neuron"), list), 10)
        assert kernel.value("vit.neuron")[1] == 7
        expect(vit.locator(".as-neuron .as-title")).to_contain_text("position 7")
        # The attention's weights are heads of queries and keys, and its projections have their units by head.
        look, words = look_into(vit, "vit", "block.attention.weigh")
        assert look == "tiles"
        assert re.match(r"head \d, contribution", words), words
        expect(units(vit)).to_have_count(2)
        shot(vit, "heads")
        look, words = look_into(vit, "vit", "block.attention.q_proj")
        assert re.match(r"unit \d, head \d", words), words
        control(vit, "combobox", "Head").select_option("1")
        expect(units(vit)).to_have_count(3)
        assert units(vit).evaluate_all("all => all.every(it => +it.dataset.channel >= 3)")
        shot(vit, "units by head")

        # A recurrent layer has positions, and no map.
        look, words = look_into(rows, "rows", "lstm")
        assert look == "strips"
        assert title_of(rows) == "Picture"
        expect(rows.locator(".as-overlay")).to_contain_text("no map: ")
        units(rows).first.click()
        expect(rows.locator(".as-overlay .as-title")).to_contain_text("Gradient of unit")
        shot(rows, "recurrent")

        # Single numbers are squares.
        layer = "2"
        look, words = look_into(mlp, "mlp", layer)
        assert look == "squares"
        assert re.match(r"unit \d+, contribution", words), words
        expect(units(mlp)).to_have_count(40)
        expect(mlp.locator(".as-overlay")).to_contain_text("no map: layer 2 gives 40 numbers; pick one below")
        units(mlp).first.click()
        expect(mlp.locator(".as-overlay .as-title")).to_contain_text("Gradient of unit")
        shot(mlp, "plain")

        # The parts alone, linked in the kernel: a click in the tree brings the strips, with the words as positions.
        tree, grid = page.locator(".as-root[data-part=layers]"), page.locator(".as-root[data-part=channels]")
        pick_layer(tree, "norm")
        expect(grid.locator(".as-channels .as-title")).to_have_text("Inside norm", timeout=30_000)
        assert grid.locator(".as-units").get_attribute("data-look") == "strips"
        expect(units(grid)).to_have_count(6)
        box = units(grid).first.locator(".as-channel").bounding_box()
        assert box
        page.mouse.move(box["x"] + box["width"] * (5.5 / 9), box["y"] + box["height"] / 2)
        expect(grid.locator(".as-readout")).to_contain_text("position 5 “mat”: activation")
        units(grid).nth(1).click()
        channel = int(str(units(grid).nth(1).get_attribute("data-channel")))
        wait_for("the kernel hears it", lambda: kernel.value("grid.neuron") == channel, 10)
        assert kernel.value("[picker.layer, grid.layer]") == ["norm", "norm"]
        kernel.run("picker.layer = 'act'")
        expect(grid.locator(".as-channels .as-title")).to_have_text("Inside act", timeout=30_000)
        expect(tree.locator("[aria-selected=true]")).to_have_attribute("data-name", "act")
        shot(page.locator(".jp-OutputArea").last, "alone")


ODD = """
class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module("<b>x</b>", nn.Conv2d(1, 6, 3))
        self.add_module("<img src=x onerror='window[`attacked`]=1'>", nn.ReLU())
        self.fc = nn.Linear(6, 3)
    def forward(self, x):
        for part in list(self.children())[:2]:
            x = part(x)
        return self.fc(x.mean((2, 3)))
torch.manual_seed(0)
explorer = Explorer(Odd().eval(), images[:1], class_names=["<i>a</i>", "b", "c"], n_steps=4)
explorer.layer, explorer.neuron, explorer.ablated = "<b>x</b>", 3, [["<b>x</b>", 2], ["fc", 1]]
"""


def test_names_are_text_and_picks_outlive_the_page(page: Page, server: Server, shot: Shot) -> None:
    """Also after a reload, and in a file opened from a disk, which still scrubs."""
    page.set_viewport_size(TALL)
    cells = [MOODY + ODD, "explorer", "explorer.wait(); explorer.to_html('inside.html')"]
    name = open_and_run(page, server, cells, "odd.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)

    def is_text(where: Page, root: Locator) -> None:
        assert where.locator(".as-root :is(b, i, script, img)").count() == 0
        assert where.evaluate("window.attacked") is None
        expect(root.locator(".as-overlay .as-title")).to_contain_text("channel 3 of <b>x</b>")
        expect(root.locator(".as-channels .as-title")).to_have_text("Inside <b>x</b>")
        expect(root.locator(".as-neuron .as-title")).to_contain_text("<b>x</b>")
        assert root.locator(".as-off li").all_inner_texts()[0].startswith("<b>x</b>: channel 2")
        assert root.locator(".as-tree [aria-selected=true] .as-name").inner_text().startswith("<b>x</b>")
        expect(root.locator(".as-units [aria-selected=true]")).to_have_attribute("data-channel", "3")
        expect(root.locator(".as-predictions .as-hint")).to_have_text("with 2 switched off")

    is_text(page, root)
    shot(root, "odd names")
    save(page)
    page.reload()
    root = explorer_of(page)
    quiet(root)
    is_text(page, root)
    with server.kernel(name) as kernel:
        belong_together(root, kernel)
        unit(root, 4).press("Enter")  # it is alive
        assert at_rest(root, kernel)["neuron"] == 4

    file = page.context.new_page()
    problems: list[str] = []
    file.on("pageerror", lambda error: problems.append(str(error)))
    file.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    file.goto((server.root / "inside.html").as_uri())
    root = explorer_of(file)
    is_text(file, root)
    slider = depth_slider(root)
    slider.focus()
    titles = set()
    for key in ("ArrowRight", "ArrowLeft", "ArrowRight", "]", "["):
        file.keyboard.press(key)
        file.evaluate(TWO_FRAMES)
        titles.add(title_of(root))
    assert {title[: title.index(" for ")] for title in titles} == {
        "Grad-CAM at <b>x</b>",
        "Grad-CAM at <img src=x onerror='window[`attacked`]=1'>",
    }, titles
    expect(root.locator("canvas[role=img]").first).to_have_attribute("data-shown", "heat")
    shot(root, "a file")
    assert problems == []
    file.close()


DEEP = """
deep = nn.Sequential(
    nn.Conv2d(1, 5000, 4, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5000, 10),
    nn.Sequential(*[nn.Sequential(nn.Identity(), nn.Identity()) for _ in range(3332)]),
).eval()
explorer = Explorer(deep, images[:1], method="Saliency")
explorer.layer = "1"
explorer.wait(120)
count = len(list(deep.modules()))
"""
# Milliseconds from a key going down to the second frame after it, in which what came of it has been drawn.
WATCH_KEYS = """() => {
    window.answered = [];
    document.addEventListener('keydown', () => {
        const start = performance.now();
        requestAnimationFrame(() => requestAnimationFrame(() => window.answered.push(performance.now() - start)));
    }, true);
}"""


def test_ten_thousand_modules_and_five_thousand_channels(page: Page, server: Server, shot: Shot) -> None:
    name = open_and_run(page, server, [MOODY + DEEP, "explorer"], "deep.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        assert kernel.value("count") > 10_000
        quiet(root)
        expect(root.locator(".as-channels .as-hint")).to_contain_text("5,000 channels")
        tree = root.get_by_role("tree", name="Layers")
        tree.get_by_role("treeitem", name=re.compile("^5")).first.focus()
        page.keyboard.press("*")  # opens everything on this level
        page.evaluate(WATCH_KEYS)
        first = tree.get_by_role("treeitem", name=re.compile("^Input"))
        first.focus()
        for key in ("End", "ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown", "PageUp", "Home", "ArrowDown"):
            page.keyboard.press(key)
            page.evaluate(TWO_FRAMES)
            assert page.locator("*:focus").get_attribute("role") == "treeitem", key
        rows = root.locator(".as-tree [role=treeitem]").count()
        assert rows < 120, rows

        units(root).first.focus()
        for key in ("End", "ArrowUp", "ArrowLeft", "Home", "ArrowDown", "ArrowRight"):
            page.keyboard.press(key)
            page.evaluate(TWO_FRAMES)
        expect(page.locator("*:focus")).to_have_attribute("aria-setsize", "5000")
        drawn = units(root).count()
        assert drawn < 250, drawn
        page.keyboard.press("Enter")
        assert belong_together(root, kernel)["neuron"] is not None
        found = unit(root, 4321)
        expect(found).to_be_in_viewport()
        answered = page.evaluate("window.answered")
        print(f"{rows} rows, {drawn} channels; keys answered within {sorted(map(round, answered))} ms")
        assert sorted(answered)[len(answered) // 2] < 500
        assert max(answered) < 3000
        shot(root, "deep")
