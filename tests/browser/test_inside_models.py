"""Inside models of every kind: layers that are no maps, odd names, ten thousand modules; and under fast clicking."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from browser.explorer_page import (
    DIGIT,
    MOODY,
    TWO_FRAMES,
    Shot,
    choose,
    choose_any,
    chooser,
    explorer_of,
    open_and_run,
    quiet,
    set_slider,
    show_tab,
)
from browser.harness import Server, wait_for
from browser.inside_page import (
    TALL,
    at_position,
    at_rest,
    belong_together,
    depth_slider,
    open_channels,
    open_tree,
    pick_layer,
    title_of,
    top,
    unit,
    units,
)
from browser.notebook_page import save, wait_until_run

TESTS = Path(__file__).parents[1]
# The small networks of every kind that the tests of the kernel's half look into.
NETS = f"import sys; sys.path[:0] = [{str(TESTS)!r}, {str(TESTS / 'widget')!r}]\nfrom nets import *\n"


def test_the_map_belongs_to_the_picks_under_fast_clicking(page: Page, server: Server) -> None:
    make = DIGIT.replace("n_steps=10", "n_steps=6")
    name = open_and_run(page, server, [make, "explorer"], "clicking.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)
    draw = random.Random(5)

    def any_of(rows: Locator, then: str = "one.click()") -> bool:
        """Takes one of the rows at random, and does something to it before there can be others."""
        take = f"(all, share) => {{ const one = all[Math.floor(share * all.length)]; if (one) {then}; return !!one; }}"
        return bool(rows.evaluate_all(take, draw.random()))

    def choose_at_random(label: str) -> None:
        if chooser(root, label).count():
            choose_any(root, label, draw.random())

    def scrub() -> None:
        slider = depth_slider(root)
        most = int(str(slider.get_attribute("max")))
        for _ in range(draw.randrange(1, 6)):
            set_slider(slider, draw.randrange(most + 1))

    def switch() -> None:
        if any_of(units(root), "one.focus()"):
            page.keyboard.press("x")

    possible: list[Callable[[], None]] = [
        lambda: any_of(root.get_by_role("treeitem")),
        lambda: any_of(root.get_by_role("treeitem")),
        lambda: any_of(units(root)),
        lambda: any_of(top(root)),
        lambda: any_of(root.locator(".as-top-switch")),
        lambda: any_of(root.locator(".as-predictions [role=option]")),
        lambda: choose_at_random("Layer method"),
        lambda: choose_at_random("Neuron method"),
        lambda: choose_at_random("Method"),
        lambda: choose_at_random("Seen at"),
        lambda: choose_at_random("Explained output"),
        scrub,
        scrub,
        switch,
    ]
    open_tree(root)
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

        def look_into(root: Locator, who: str, layer: str, look: str) -> str:
            """Picks a layer, waits until it is drawn in a way, and says the name of what stands there first."""
            pick_layer(root, layer)
            wait_for(layer, lambda: kernel.value(f"{who}.layer") == layer, 10)
            kernel.run(f"{who}.wait(60); None")
            quiet(root)
            expect(root.locator(".as-channels .as-title")).to_have_text(f"Inside {layer}")
            open_channels(root)
            expect(root.locator(".as-units")).to_have_attribute("data-look", look)
            first = units(root).first
            return str(first.get_attribute("aria-label") or first.evaluate("it => it.textContent"))

        # Tokens that stand for patches lie over the picture; their units are strips over the positions.
        words = look_into(vit, "vit", "block", "strips")
        assert re.match(r"unit \d+, contribution", words), words
        assert "block" in title_of(vit)
        expect(vit.locator(".as-channels .as-hint")).to_contain_text("6 units at 25 positions")
        units(vit).first.click()
        kernel.run("vit.wait(60); None")
        shot(vit, "tokens")
        # A second click on a strip picks a place in it.
        at_position(units(vit).first.locator(".as-channel"), 7.5 / 25, "click")
        wait_for("a place", lambda: isinstance(kernel.value("vit.neuron"), list), 10)
        assert kernel.value("vit.neuron")[1] == 7
        expect(vit.locator(".as-neuron .as-title")).to_contain_text("position 7")
        # The attention's weights are heads of queries and keys, and its projections have their units by head.
        words = look_into(vit, "vit", "block.attention.weigh", "tiles")
        assert re.match(r"head \d, contribution", words), words
        expect(units(vit)).to_have_count(2)
        shot(vit, "heads")
        words = look_into(vit, "vit", "block.attention.q_proj", "strips")
        assert re.match(r"unit \d, head \d", words), words
        choose(vit, "Head", "1")
        expect(units(vit)).to_have_count(3)
        assert units(vit).evaluate_all("all => all.every(it => +it.dataset.channel >= 3)")
        shot(vit, "units by head")

        # A recurrent layer has positions, and no map.
        words = look_into(rows, "rows", "lstm", "strips")
        assert title_of(rows) == "Picture"
        expect(rows.locator(".as-overlay")).to_contain_text("no map: ")
        units(rows).first.click()
        expect(rows.locator(".as-overlay .as-title")).to_contain_text("Gradient of unit")
        shot(rows, "recurrent")

        # Single numbers are squares.
        layer = "2"
        words = look_into(mlp, "mlp", layer, "squares")
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
        expect(grid.locator(".as-units")).to_have_attribute("data-look", "strips")
        expect(units(grid)).to_have_count(6)
        at_position(units(grid).first.locator(".as-channel"), 5.5 / 9, "hover")
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
        open_tree(root)
        open_channels(root)
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
    show_tab(root, "Inside")
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
        open_tree(root)
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

        open_channels(root)
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
