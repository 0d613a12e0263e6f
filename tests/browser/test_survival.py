"""The Explorer lives through what happens to notebooks: reloads, dead kernels, scrolling, copies, years on a disk."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from nbconvert import HTMLExporter, MarkdownExporter
from nbconvert.preprocessors import ExecutePreprocessor
from playwright.sync_api import Browser, Locator, Page, expect

from attriscope import Explorer
from browser.cycles import CYCLES, page_size, run_last_cell
from browser.explorer_page import (
    DIGIT,
    MOODY,
    Shot,
    choose,
    control,
    expect_chosen,
    explorer_of,
    explorers,
    open_and_run,
    picture,
    picture_of,
    pixels,
    quiet,
    set_slider,
    settled,
    until_changed,
)
from browser.harness import Server, Watch, notebook, wait_for
from browser.notebook_page import run_all, save, wait_until_run

both_front_ends = pytest.mark.parametrize("server", ["lab", "notebook"], indirect=True)
SESSION = "window.jupyterapp.shell.currentWidget.sessionContext"


@both_front_ends
def test_shown_twice_and_after_a_reload(page: Page, server: Server) -> None:
    name = open_and_run(page, server, [DIGIT, "explorer", "explorer"], "twice.ipynb")
    roots = explorers(page)
    expect(roots).to_have_count(2, timeout=60_000)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        choose(roots.nth(0), "Sign", "negative")
        expect_chosen(roots.nth(1), "Sign", "negative")
        save(page)
        page.reload()
        expect(roots).to_have_count(2, timeout=60_000)
        expect_chosen(roots.nth(1), "Sign", "negative")
        expect(roots.nth(1).locator("canvas[data-drawn]").first).to_be_visible()
        choose(roots.nth(1), "Method", "InputXGradient")
        wait_for("the kernel hears it", lambda: kernel.value("explorer.method") == "InputXGradient", 30)
        expect(picture(page)).to_have_attribute("aria-label", re.compile("Input x gradient"))


@both_front_ends
def test_restart_and_shutdown_of_the_kernel(page: Page, server: Server, shot: Shot) -> None:
    name = open_and_run(page, server, [DIGIT, "explorer"], "gone.ipynb")
    quiet(explorer_of(page))
    wait_until_run(page)
    for what in ("restartKernel", "shutdown"):
        page.evaluate(f"what => {{ {SESSION}[what]() }}", what)
        root = explorer_of(page)
        banner = root.get_by_role("alert").filter(has_text="The kernel is gone")
        expect(banner).to_be_visible()
        shot(root, f"after {what}")

        # What needs the model is off, and says why.
        for role, label in (("combobox", "Method"), ("combobox", "Baseline"), ("button", "Recompute")):
            expect(control(root, role, label)).to_be_disabled()
            assert "kernel is gone" in str(control(root, role, label).get_attribute("title"))
        shown = picture(page).get_attribute("aria-label")
        root.get_by_role("listbox", name="Predictions").get_by_role("option").nth(2).dispatch_event("click")

        # What does not need it goes on.
        before = pixels(root)
        choose(root, "Sign", "absolute")
        before = until_changed(root, before)
        set_slider(control(root, "slider", "Path position"), 0.5)
        before = until_changed(root, before)
        set_slider(control(root, "slider", "Path position"), 1)
        until_changed(root, before)
        assert picture(page).get_attribute("aria-label") == shown  # the click on a class changed nothing

        if what == "restartKernel":  # and a new run brings a living Explorer
            run_all(page)
            wait_until_run(page)
            expect(page.get_by_text("The kernel is gone")).to_have_count(0)
            with server.kernel(name) as kernel:
                settled(page, kernel)
                choose(explorer_of(page), "Method", "Saliency")
                wait_for("the new kernel hears it", lambda: kernel.value("explorer.method") == "Saliency", 30)
            quiet(explorer_of(page))


# Cells out of sight are taken off the page: in older JupyterLabs the default, and the hardest case.
WINDOWED = {"windowingMode": "full"}


def test_several_in_a_long_notebook(page: Page, server: Server) -> None:
    server.set_setting("@jupyterlab/notebook-extension:tracker", WINDOWED)
    text = ["# md\n" + f"## Part {i}\n" + "Many words. " * 150 for i in range(25)]
    make = "first, second = (\n    Explorer(model, images[i:i+1], n_steps=5, method='Saliency') for i in (0, 1)\n)"
    name = open_and_run(page, server, [MOODY + make, "first", *text, "second"], "long.ipynb")
    wait_until_run(page)

    def scroll_to(cell: int) -> None:
        page.evaluate(
            """async index => {
                const { content } = window.jupyterapp.shell.currentWidget;
                content.activeCellIndex = index;
                await content.scrollToItem(index, 'center');
            }""",
            cell,
        )

    try:
        scroll_to(1)
        quiet(explorer_of(page))
        seen = pixels(page)
        choose(explorer_of(page), "Sign", "positive")
        seen = until_changed(page, seen)
        scroll_to(2 + len(text))
        last = page.locator(".jp-Cell").filter(has=page.locator(".as-root")).last
        expect(picture_of(last)).to_be_in_viewport()
        expect_chosen(last, "Sign", "all")  # each has a state of its own
        choose(last, "Method", "InputXGradient")
        with server.kernel(name) as kernel:
            wait_for("second", lambda: kernel.value("second.method") == "InputXGradient", 30)
            settled(page, kernel, name="second")
            expect(picture_of(last)).to_have_attribute("aria-label", re.compile("Input x gradient"))
            scroll_to(1)
            first = page.locator(".jp-Cell").filter(has=page.locator(".as-root")).first
            expect(picture_of(first)).to_be_in_viewport()
            expect_chosen(first, "Sign", "positive")
            assert pixels(first) == seen
            # What happened to it while it was out of sight is there, too.
            scroll_to(2 + len(text))
            kernel.run("first.sign = 'negative'; first.method = 'InputXGradient'; first.wait(); None")
            scroll_to(1)
            expect_chosen(first, "Sign", "negative")
            expect(picture_of(first)).to_have_attribute("aria-label", re.compile("Input x gradient"))
            assert kernel.value("[second.sign, second.target]")[0] == "all"
    finally:
        server.set_setting("@jupyterlab/notebook-extension:tracker", {})


def test_fifty_made_and_closed(page: Page, server: Server, watch: Watch) -> None:
    """Neither kernel nor page keeps anything of them."""
    # ipywidgets' own, for any widget whose output is cleared while its view is being attached.
    watch.allow("processLuminoMessage")
    first, then = "first = cycle(5)", "then = cycle(45)"
    name = open_and_run(page, server, [MOODY + CYCLES, first, "1 + 1"], "cycles.ipynb")
    wait_until_run(page)
    before = page_size(page)
    run_last_cell(page, then)
    with server.kernel(name) as kernel:
        kernel.value("len(then)", timeout=200)
        first, then = kernel.value("[first, then]")
    page.wait_for_timeout(500)
    after = page_size(page)
    print(f"kernel: {first} -> {then}; page: {before} -> {after}")
    assert then["workers"] == 0
    assert then["threads"] - first["threads"] < 5  # torch and IPython start some of their own
    assert [then["widgets"], then["comms"]] == [first["widgets"], first["comms"]]
    assert then["explorers"] == 0
    assert then["MB"] - first["MB"] < 45  # below 1 MB each; a model, a map and a bundle would be more
    assert after["nodes"] - before["nodes"] < 45 * 40  # one Explorer has hundreds
    # A browser never lets go of a module's text, which it keeps two to three times; a map or a picture would be more.
    text = len(Explorer._esm) / 2**20
    assert after["MB"] - before["MB"] < 45 * 3 * text


def saved_without_state(folder: Path, source: Path) -> Path:
    """The notebook as somebody else gets it: outputs, no state of widgets, and nothing that this server has signed.

    In a notebook that it trusts, JupyterLab takes the widget without asking whether there is one, and says "model not
    found" where there is none: no widget can change that.
    """
    saved = json.loads(source.read_text())
    saved["metadata"].pop("widgets", None)
    saved["metadata"]["title"] = "From another machine"
    target = folder / "saved.ipynb"
    target.write_text(json.dumps(saved))
    return target


# How many pictures the outputs of the open notebook hold.
PICTURES = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .filter(w => w.model.type === 'code')
    .flatMap(w => w.model.outputs.toJSON())
    .filter(o => o.data?.['image/png']).length"""


@both_front_ends
def test_a_saved_notebook_shows_a_picture(
    page: Page, browser: Browser, server: Server, watch: Watch, shot: Shot, tmp_path: Path
) -> None:
    """Opened without its kernel, as HTML and as Markdown."""
    name = open_and_run(page, server, [DIGIT, "explorer.wait();", "explorer"], "saved-live.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)
    root.evaluate("el => { el.dataset.drawn = 'once' }")
    # The picture comes when it is final. It is not seen beside the widget, which is not drawn anew.
    wait_for("the picture", lambda: page.evaluate(PICTURES) == 1, 30)
    picture_beside = page.locator(".jp-OutputArea-output img")
    expect(picture_beside).to_have_count(1)
    expect(picture_beside).to_be_hidden()
    assert page.locator(".jp-OutputArea-child").last.evaluate("el => el.offsetHeight") == 0
    expect(root).to_have_attribute("data-drawn", "once")
    save(page)
    copy = saved_without_state(tmp_path, server.root / name)
    outputs = json.loads(copy.read_text())["cells"][2]["outputs"]
    assert [output["data"].keys() for output in outputs][1] == {"image/png"}

    page.goto(server.url(server.add(copy)))
    image = page.locator(".jp-OutputArea-output img")
    expect(image).to_be_visible(timeout=60_000)
    assert image.evaluate("img => img.naturalWidth") > 300
    expect(explorers(page)).to_have_count(0)
    shot(page, "saved notebook")
    if server.app == "notebook":
        return  # the conversions know no front end

    markdown, found = MarkdownExporter().from_filename(str(copy))
    (png,) = found["outputs"]
    assert png.endswith(".png")
    assert png in markdown
    (tmp_path / "saved.html").write_text(HTMLExporter().from_filename(str(copy))[0])
    context = browser.new_context(offline=True)
    opened = context.new_page()
    opened.goto((tmp_path / "saved.html").as_uri(), wait_until="commit")
    converted = opened.locator(".jp-OutputArea-output img")
    expect(converted).to_be_visible()
    assert converted.evaluate("img => img.naturalWidth") > 300
    shot(opened, "nbconvert")
    context.close()
    assert watch.outside == []


def test_a_notebook_that_nobody_watched_becomes_a_page(
    browser: Browser, server: Server, shot: Shot, tmp_path: Path
) -> None:
    """nbconvert --execute: the page itself stands in the output, and so does one picture for each figure."""
    cells = [DIGIT, "explorer", "explorer.figure()", "%matplotlib inline\nexplorer.figure()"]
    made = ExecutePreprocessor(timeout=120).preprocess(
        notebook(cells), {"metadata": {"path": str(tmp_path)}}
    )[0]
    shown = [[output["data"].keys() for output in cell["outputs"]] for cell in made.cells]
    assert shown[1][1] == {"image/png", "text/html"}
    assert [[("image/png" in data) for data in outputs] for outputs in shown[2:]] == [[True], [True]]
    (tmp_path / "page.html").write_text(HTMLExporter().from_notebook_node(made)[0])
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 1000})
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto((tmp_path / "page.html").as_uri(), wait_until="commit")
    frame = opened.frame_locator("iframe")
    root = frame.locator(".as-root[data-ready]")
    root.locator("canvas[data-shown=heat]").wait_for(timeout=60_000)
    expect(opened.locator("iframe + img, div:has(> iframe) > img")).to_be_hidden()
    seen = pixels(root)
    set_slider(control(root, "slider", "Opacity"), 0.9)
    until_changed(root, seen)
    height = "() => [innerHeight, document.documentElement.scrollHeight]"
    inner, whole = opened.frames[1].evaluate(height)
    assert inner >= whole  # it is as high as what is in it, so that nothing scrolls inside
    shot(opened, "page")
    # require.js and the widgets' manager are nbconvert's own, and not needed.
    assert [error for error in errors if "require" not in error] == []
    context.close()


def test_a_file_for_somebody_without_a_kernel(
    page: Page, browser: Browser, server: Server, shot: Shot
) -> None:
    """to_html: opened from disk, without network, it restyles and walks."""
    write = "explorer.wait(); explorer.to_html('alone.html')"
    name = open_and_run(page, server, [DIGIT, "explorer", write], "export.ipynb")
    wait_until_run(page)
    context = browser.new_context(offline=True, viewport={"width": 1300, "height": 1000})
    opened = context.new_page()
    watching = Watch("file://")
    watching.attach(opened)
    opened.goto((server.root / "alone.html").as_uri())
    root = explorer_of(opened)
    shot(opened, "from disk")
    assert picture(opened).get_attribute("aria-label") == picture(page).get_attribute("aria-label")

    seen = pixels(root)
    set_slider(control(root, "slider", "Opacity"), 0.9)
    seen = until_changed(root, seen)
    choose(root, "Mode", "side")
    seen = until_changed(root, seen)
    set_slider(control(root, "slider", "Path position"), 0.3)
    until_changed(root, seen)
    expect(picture(opened)).to_have_attribute("aria-label", re.compile("accumulated to"))
    for role, label in (("combobox", "Method"), ("combobox", "Baseline"), ("button", "Recompute")):
        expect(control(root, role, label)).to_be_disabled()
        assert "without its kernel" in str(control(root, role, label).get_attribute("title"))
    outside = [url for url in watching.outside if not url.startswith("file://")]
    assert [outside, watching.console, watching.page_errors, watching.failed] == [[], [], [], []]
    context.close()
    assert name

    context = browser.new_context(offline=True, reduced_motion="reduce")
    opened = context.new_page()
    opened.goto((server.root / "alone.html").as_uri())
    little_motion(explorer_of(opened))
    context.close()


def little_motion(root: Locator) -> None:
    """Who asks the system for little motion gets no transition and no animation, and a walk of few still pictures."""
    moving = root.evaluate(
        """el => [...el.querySelectorAll('*')].filter(it => {
            const { transitionDuration, animationName } = getComputedStyle(it);
            return animationName !== 'none' || transitionDuration.split(',').some(s => parseFloat(s) > 0);
        }).map(it => it.outerHTML.slice(0, 80))"""
    )
    assert moving == []
    steps = root.evaluate(
        """async el => {
            const slider = el.querySelector('input[aria-label="Path position"]');
            const play = [...el.querySelectorAll('button')]
                .find(it => /play/i.test(it.getAttribute('aria-label') ?? it.textContent));
            const seen = new Set();
            play.click();
            const start = performance.now();
            while (performance.now() - start < 3000) {
                seen.add(slider.value);
                await new Promise(requestAnimationFrame);
            }
            return seen.size;
        }"""
    )
    assert 1 < steps <= 15
