"""Along the river: by pointer, with the picture in view, to a channel that is switched off where it stands."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from browser.explorer_page import DIGIT, Shot, control, explorer_of, open_and_run, picture_of, quiet, show_tab
from browser.harness import Server, wait_for
from browser.inside_page import at_rest, depth_slider, keep, open_tree, title_of, top
from browser.looks import cut_off, violations
from browser.notebook_page import wait_until_run


def test_the_river_the_patches_and_the_switch(page: Page, server: Server, shot: Shot, axe: Path) -> None:
    """In a window of the usual size: nothing important lies below what a person sees."""
    page.set_viewport_size({"width": 1280, "height": 900})
    make = DIGIT.replace("images[:1]", "images[:6]")
    name = open_and_run(page, server, [make, "explorer"], "river.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)
    with server.kernel(name) as kernel:
        show_tab(root, "Inside")
        root.evaluate("el => el.scrollIntoView({ block: 'end' })")
        water, words = root.locator(".as-river-band"), root.locator(".as-river-words")
        box = water.bounding_box()
        assert box
        rows = {row["name"]: row for row in kernel.value("explorer.layers")}
        assert rows["net.stem"]["same_as"] == "net.stem.relu"
        mapped = {row["same_as"] or name for name, row in rows.items() if row["spatial"]}
        assert depth_slider(root).get_attribute("max") == str(len(mapped))

        # Who points at it reads what is there; who drags goes along, and the picture follows.
        y = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 0.5 * box["width"], y)
        expect(words).to_contain_text("channels")
        before = title_of(root)
        page.mouse.down()
        titles = []
        for share in (0.6, 0.7, 0.8, 0.9):
            page.mouse.move(box["x"] + share * box["width"], y)
            titles.append(keep(page))
        page.mouse.up()
        assert len({before, *titles}) == 5, titles
        expect(depth_slider(root)).to_be_focused()
        expect(picture_of(root)).to_be_in_viewport(ratio=0.9)
        page.mouse.move(box["x"], box["y"] - 60)
        expect(words).to_contain_text("order of execution")
        page.keyboard.press("[")
        picks = at_rest(root, kernel)
        assert picks["layer"] in mapped | set(rows)
        kernel.run("explorer.layer = 'net.widen'; explorer.wait(); None")
        quiet(root)

        # The best channels with what excites them, all in view, each with a switch.
        patches = kernel.value("{n: explorer.patches[n] for n in ('channels', 'patches', 'examples')}")
        assert patches["examples"] == 6
        expect(top(root)).to_have_count(12)
        for i, channel in enumerate(patches["channels"]):
            best = patches["patches"][i][0]
            expect(top(root).nth(i)).to_have_attribute(
                "aria-label", re.compile(rf"^channel {channel}, .*excited by example {best['example'] + 1} ")
            )
        kernel.run(
            "import numpy as np\n"
            "with torch.no_grad(): held = model.net.widen(model.net.pool1(model.net.stem(images[:6])))\n"
        )
        first = patches["channels"][0]
        most = kernel.value(f"held[:, {first}].amax((1, 2)).sort(descending=True).values[:4].tolist()")
        told = [one["value"] for one in patches["patches"][0]]
        assert [round(value, 4) for value in told] == [round(value, 4) for value in most]
        shot(root, "patches")

        root.locator(".as-top-switch").first.click()
        wait_for("off", lambda: kernel.value("explorer.ablated") == [["net.widen", first]], 10)
        line = root.locator(".as-whatif-words")
        expect(line).to_contain_text(re.compile(rf"^Channel {first} switched off: .+% → .+%, .+% → .+%$"))
        panel = root.get_by_role("tabpanel", name="Inside").bounding_box()
        below = line.bounding_box()
        assert panel
        assert below
        assert below["y"] + below["height"] <= panel["y"] + panel["height"], (below, panel)
        shot(root, "switched off")
        assert violations(page, axe) == []
        assert cut_off(root) == []
        control(root, "button", "Undo").click()
        wait_for("on", lambda: kernel.value("explorer.ablated") == [], 10)

        # A search in the tree, and back: the picked row is still in view.
        open_tree(root)
        search = root.get_by_role("searchbox", name="Search layers")
        search.fill("stem")
        search.fill("")
        picked = root.locator('.as-tree [data-name="net.widen"]')
        expect(picked).to_have_attribute("aria-selected", "true")
        inside = """row => {
            const [one, tree] = [row, row.closest('.as-tree')].map(it => it.getBoundingClientRect());
            return one.top >= tree.top - 1 && one.bottom <= tree.bottom + 1;
        }"""
        wait_for("the row in view", lambda: picked.evaluate(inside), 10)
