"""What stands on the page is true: no map under another's title, no error unsaid, no label taken for markup."""

from __future__ import annotations

import random
import re

from playwright.sync_api import Page, expect

from browser.explorer_page import (
    DIGIT,
    FINGERPRINT,
    MOODY,
    Shot,
    choose,
    control,
    explorer_of,
    lines,
    open_and_run,
    picture,
    quiet,
    settled,
    show_tab,
)
from browser.harness import Server, wait_for
from browser.inside_page import open_tree
from browser.notebook_page import wait_until_run

# Notes, in every frame, which title stands over which pixels, and whether they are marked as preliminary.
SAMPLE = (
    """root => {
    const fingerprint = """
    + FINGERPRINT
    + """;
    const canvas = root.querySelector('canvas[role=img]');
    const tag = root.querySelector('.as-overlay .as-tag');
    const title = root.querySelector('.as-overlay .as-title');
    const seen = window.seen = new Map();
    const note = () => {
        const row = [title.title, tag.hidden ? '' : tag.textContent, fingerprint(canvas)];
        seen.set(row.join('\\n'), row);
        window.sampling = requestAnimationFrame(note);
    };
    note();
}"""
)
SEEN = "() => { cancelAnimationFrame(window.sampling); return [...window.seen.values()] }"


def test_no_map_stands_under_a_title_of_another(page: Page, server: Server) -> None:
    """However fast somebody clicks through methods, classes and baselines while the model takes its time."""
    name = open_and_run(page, server, [DIGIT, "explorer", "explorer.wait()"], "fast.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    classes = root.get_by_role("listbox", name="Predictions").get_by_role("option")
    title = root.locator(".as-overlay .as-title")
    methods, baselines, rows = ["IntegratedGradients", "InputXGradient"], ["zero", "white"], [0, 1]

    # First one choice after the other, each to its end: what does each look like?
    truth: dict[str, str] = {}
    with server.kernel(name) as kernel:
        for one in methods:
            for start in baselines:
                for row in rows:
                    choose(root, "Method", one)
                    choose(root, "Baseline", start)
                    classes.nth(row).click()
                    index = int(str(classes.nth(row).get_attribute("data-index")))
                    wanted = [one, index]
                    wait_for(
                        f"the kernel has {wanted}",
                        lambda wanted=wanted: kernel.value("[explorer.method, explorer.target]") == wanted,
                        30,
                    )
                    settled(page, kernel)
                    quiet(root)
                    truth[str(title.get_attribute("title"))] = picture(page).evaluate(FINGERPRINT)
        assert len(truth) >= 4, truth
        assert len(set(truth.values())) >= 4, "the choices look alike, so this test could not fail"

        kernel.run("model.delay = 0.02")
        root.evaluate(SAMPLE)
        draw = random.Random(7)
        for _ in range(40):
            what = draw.randrange(3)
            if what == 0:
                choose(root, "Method", draw.choice(methods))
            elif what == 1:
                choose(root, "Baseline", draw.choice(baselines))
            else:
                classes.nth(draw.choice(rows)).click()
            page.wait_for_timeout(draw.choice([0, 10, 50, 200, 400]))
        settled(page, kernel)
        quiet(root)
        seen = page.evaluate(SEEN)
    finals = [(title, pixels) for title, mark, pixels in seen if mark in ("", "updating")]
    assert len(finals) > 3, seen
    others = {pixels: title for title, pixels in truth.items()}
    wrong = [
        (title, others.get(pixels, "a map that no choice ends with"))
        for title, pixels in finals
        if truth.get(title, pixels) != pixels
    ]
    assert wrong == [], "(title, whose map stood under it)"
    unknown = {title for title, _ in finals} - truth.keys()
    assert not {title for title in unknown if not re.search("(?i)preview", title)}
    # Preliminary maps may look like anything but another choice's final map.
    borrowed = [(title, others[pixels]) for title, _, pixels in seen if others.get(pixels, title) != title]
    assert borrowed == []


def test_a_model_that_raises_says_so_in_the_widget(page: Page, server: Server, shot: Shot) -> None:
    name = open_and_run(page, server, [DIGIT, "explorer"], "error.ipynb")
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        kernel.run("model.error = '<img src=x onerror=alert(1)> is no digit'")
        choose(root, "Method", "Saliency")
        expect(root).to_contain_text("ValueError: <img src=x onerror=alert(1)> is no digit")
        assert root.locator("img[src=x]").count() == 0  # text, not markup
        shot(root, "error")
        kernel.run("model.error = None")
        control(root, "button", "Try again").click()
        expect(picture(page)).to_have_attribute("aria-label", re.compile("Saliency"))
        settled(page, kernel)
        expect(root).not_to_contain_text("is no digit")

        # A slow one says how far it is, and can be cancelled at any time.
        kernel.run("model.delay = 0.3; explorer.settings = {'IntegratedGradients': {'n_steps': 400}}")
        choose(root, "Method", "IntegratedGradients")
        progress = root.get_by_role("progressbar", name="Progress")
        expect(progress).to_be_visible()
        wait_for("progress", lambda: int(progress.get_attribute("aria-valuenow") or 0) > 0, 60)
        shot(root, "slow")
        cancel = control(root, "button", "Cancel")
        cancel.click()
        expect(cancel).to_be_hidden()
        expect(root.locator(".as-status")).to_have_text("Cancelled")
        wait_for("cancelled", lambda: kernel.value("explorer.status") == "cancelled", 10)
        kernel.run("model.delay = 0")
        control(root, "button", "Recompute").click()
        settled(page, kernel)
        expect(picture(page)).to_have_attribute("aria-label", re.compile("Integrated gradients"))


LABELS = [
    '<img src=x onerror="window.attacked=1"><script>window.attacked=1</script>',
    "\"quotes\" 'and' `ticks` & &amp; \\u003c ${window.attacked=1}",
    "\U0001f9d1\u200d\U0001f680 emoji \U0001f408\u200d\u2b1b \u0301\u0301\u0301",
    "normal",
    "javascript:window.attacked=1",
    "</script></style></title><b>bold</b>",
    "",
    "new\nline\ttab\x00nul",
    "long " * 2000,
    "\u202eright-to-left \u05d7\u05ea\u05d5\u05dc \u0642\u0637\u0629",
]

LINES = "all => all.map(it => [+it.dataset.value, it.querySelector('.as-menu-label').textContent])"


def test_labels_are_text(page: Page, server: Server, shot: Shot) -> None:
    """Whatever a class or a layer is called, it is shown as it is, and breaks neither page nor layout."""
    layers = """
class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module("<b onclick=alert(1)>bold</b>", zoo.small_cnn())
        self.add_module("\\u202e\\u05d7\\u05ea\\u05d5\\u05dc" + "x" * 3000, nn.Identity())
    def forward(self, x):
        for part in self.children():
            x = part(x)
        return x
"""
    make = (
        f"labels = {LABELS!r}\nexplorer = Explorer(Odd().eval(), images[:1], class_names=labels, n_steps=5)"
    )
    write = "explorer.wait(); explorer.to_html('labels.html')"
    name = open_and_run(page, server, [MOODY + layers + make, "explorer", write], "labels.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    width = root.evaluate("el => el.clientWidth")
    for where in (page, page.context.new_page()):
        if where is not page:
            where.goto((server.root / "labels.html").as_uri())
            root = explorer_of(where)
        options = root.get_by_role("listbox", name="Predictions").get_by_role("option")
        shown = dict(
            options.evaluate_all(
                "rows => rows.map(row => [+row.dataset.index, row.querySelector('.as-name').textContent])"
            )
        )
        assert len(shown) == 5
        # A class without a name to be seen is called by its number.
        named = {index: label or f"class {index}" for index, label in enumerate(LABELS)}
        assert shown == {index: named[index] for index in shown}
        if where is page:
            control(root, "combobox", "Explained output").click()
            offered = dict(lines(root, "Explained output").evaluate_all(LINES))
            assert offered == named
            page.keyboard.press("Escape")
            for index in (0, 8, 9):  # as the title, too
                choose(root, "Explained output", str(index))
                quiet(root)
                expect(control(root, "combobox", "Explained output")).to_have_text(named[index])
        assert root.evaluate("el => el.scrollWidth <= el.clientWidth + 1")
        open_tree(root)
        assert root.get_by_role("treeitem", name=re.compile("bold")).count() >= 1
        show_tab(root, "Where")
        assert where.locator(".as-root b, .as-root script, .as-root img[src=x]").count() == 0
        assert where.evaluate("window.attacked") is None
    assert explorer_of(page).evaluate("el => el.clientWidth") == width
    page.set_viewport_size({"width": 1280, "height": 1500})
    shot(explorer_of(page), "labels")
    assert name
