"""The Explorer in a real notebook, as a person uses it: look, drag, click, read back in Python."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from browser.explorer_page import (
    CAT,
    DIGIT,
    PIXELS,
    Shot,
    choose,
    control,
    expect_chosen,
    explorer_of,
    open_and_run,
    open_style,
    picture,
    pixels,
    quiet,
    set_slider,
    settled,
    until_changed,
)
from browser.harness import Server, wait_for
from browser.inside_page import open_tree
from browser.notebook_page import run_all, wait_until_run

FIRST_LOOK = Path(__file__).parents[2] / "notebooks" / "01_first_look.ipynb"


def test_first_notebook_runs_from_top_to_bottom(page: Page, server: Server, shot: Shot) -> None:
    name = server.add(FIRST_LOOK)
    page.goto(server.url(name))
    run_all(page)
    explorer_of(page)
    wait_until_run(page, timeout=240)
    expect(picture(page)).to_have_attribute("aria-label", re.compile("Integrated gradients for Egyptian cat"))
    with server.kernel(name) as kernel:
        assert kernel.value("list(explorer.attributions.shape)") == [1, 3, 224, 224]
        assert kernel.value("explorer.status") == "idle"
    page.mouse.move(0, 0)
    shot(explorer_of(page), "explorer")
    shot(page, "notebook")


def test_restyle_walk_and_click(page: Page, server: Server, shot: Shot) -> None:
    name = open_and_run(page, server, [CAT, "explorer"], "cat.ipynb")
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        expect(picture(page)).to_have_attribute(
            "aria-label", re.compile("Integrated gradients for tiger cat")
        )
        shot(root, "first")

        # Restyling changes the pixels, and asks nothing of the model.
        kernel.run("calls = []; model.register_forward_hook(lambda *_: calls.append(1)); None")
        seen = pixels(page)
        set_slider(root.get_by_role("slider", name="Opacity"), 1)
        seen = until_changed(page, seen)
        choose(root, "Sign", "positive")
        seen = until_changed(page, seen)
        choose(root, "Colour map", "viridis")
        seen = until_changed(page, seen)
        shot(root, "restyled")
        position = root.get_by_role("slider", name="Path position")
        set_slider(position, 0.05)
        seen = until_changed(page, seen)
        expect(picture(page)).to_have_attribute("aria-label", re.compile("accumulated to"))
        shot(root, "on the way")
        set_slider(position, 1)
        until_changed(page, seen)
        wait_for("the traits", lambda: kernel.value("explorer.sign") == "positive", 10)
        wait_for("the position", lambda: kernel.value("explorer.alpha") == 1, 10)
        assert kernel.value("[explorer.opacity, explorer.colormap]") == [1, "viridis"]
        assert kernel.value("len(calls)") == 0

        # A click on a prediction explains it.
        seen = pixels(page)
        root.get_by_role("listbox", name="Predictions").get_by_role("option").nth(1).click()
        expect(picture(page)).to_have_attribute("aria-label", re.compile("for Egyptian cat"), timeout=60_000)
        settled(page, kernel)
        seen = until_changed(page, seen)
        assert kernel.value("explorer.target") == 285

        # A click on a layer shows its Grad-CAM, and the sentence goes back to the pixels.
        open_tree(root)
        tree = root.get_by_role("tree", name="Layers")
        root.get_by_role("searchbox", name="Search layers").fill("head.conv")
        tree.get_by_role("treeitem", name=re.compile(r"^head\.conv,")).click()
        expect(picture(page)).to_have_attribute(
            "aria-label", re.compile(r"Grad-CAM at head\.conv"), timeout=60_000
        )
        settled(page, kernel)
        until_changed(page, seen)
        # The map came with those of all layers: the kernel only hears of it when the person stays.
        wait_for("the layer", lambda: kernel.value("explorer.layer") == "head.conv", 10)
        settled(page, kernel)
        assert kernel.value("list(explorer.attributions.shape)") == [1, 1, 7, 7]
        shot(root, "grad-cam")
        root.get_by_role("searchbox", name="Search layers").fill("")
        choose(root, "Seen at", PIXELS)
        expect(picture(page)).to_have_attribute(
            "aria-label", re.compile("Integrated gradients"), timeout=60_000
        )
        wait_for("no layer", lambda: kernel.value("explorer.layer") is None, 10)

        # What Python chooses, the page shows.
        kernel.run("explorer.method = 'Saliency'; explorer.baseline = 'blur'; explorer.wait(); None")
        expect_chosen(root, "Method", "Saliency")
        expect_chosen(root, "Baseline", "blur")
        expect(picture(page)).to_have_attribute("aria-label", re.compile("Saliency for Egyptian cat"))


def test_cancel_while_a_cell_is_running(page: Page, server: Server) -> None:
    busy = "import time\nfor _ in range(160): time.sleep(0.05)\nended = time.time()"
    name = open_and_run(
        page, server, [DIGIT, "explorer", "explorer.wait(); model.delay = 1.0", busy], "slow.ipynb"
    )
    root = explorer_of(page)
    cancel = root.get_by_role("button", name="Cancel")
    expect(cancel).to_be_hidden(timeout=60_000)
    choose(root, "Baseline", "white")
    expect(cancel).to_be_enabled()
    cancel.click()
    clicked = page.evaluate("() => Date.now() / 1000")
    expect(root.get_by_role("status")).to_have_text(re.compile("Cancelled"), timeout=5_000)
    expect(cancel).to_be_hidden()
    wait_until_run(page)
    with server.kernel(name) as kernel:
        assert clicked < kernel.value("ended") - 1  # the cell was still running
        assert kernel.value("explorer.status") == "cancelled"
        # A preview may have come before the click; the map itself did not.
        assert not kernel.value("explorer.heat['final'] and explorer.heat['request']['baseline'] == 'white'")
        kernel.run("model.delay = 0; explorer.recompute(); explorer.wait(); None")
        expect(picture(page)).to_have_attribute("aria-label", re.compile("baseline white"))


def test_modes_zoom_scale_and_code(page: Page, server: Server, shot: Shot) -> None:
    """What is done with the map on show."""
    name = open_and_run(page, server, [DIGIT, "explorer"], "view.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)
    canvas = picture(page)
    with server.kernel(name) as kernel:
        seen = {"blended": pixels(root)}
        for mode in ("heat", "masked", "side"):
            choose(root, "Mode", mode)
            expect(canvas).to_have_attribute("data-mode", mode)
            seen[mode] = pixels(root)
            shot(root, mode)
        assert len(set(seen.values())) == 4
        wait_for("the mode", lambda: kernel.value("explorer.mode") == "side", 10)
        kernel.run("explorer.mode = 'blended'")
        expect(canvas).to_have_attribute("data-mode", "blended")

        control(root, "button", "Zoom in").click()
        until_changed(root, seen["blended"])
        expect(canvas).to_have_attribute("data-zoomed", "1")
        control(root, "button", "Reset zoom").click()
        wait_for("the whole picture", lambda: pixels(root) == seen["blended"], 10)

        # A held scale stays for the next map.
        hold = control(root, "button", "Hold scale")
        open_style(root)
        hold.click()
        expect(hold).to_have_attribute("aria-pressed", "true")
        ticks = root.locator(".as-ticks").first
        before = re.findall(r"[\d.]+", ticks.inner_text())  # the words beside them are the method's
        held = wait_for("the scale", lambda: kernel.value("explorer.scale_limit"), 10)
        choose(root, "Method", "Saliency")
        expect(canvas).to_have_attribute("aria-label", re.compile("Saliency"), timeout=60_000)
        settled(page, kernel)
        assert re.findall(r"[\d.]+", ticks.inner_text())[-1] == before[-1]
        assert kernel.value("explorer.scale_limit") == held
        open_style(root)
        hold.click()
        expect(hold).to_have_attribute("aria-pressed", "false")
        expect(ticks).not_to_contain_text(before[-1])
        open_style(root, False)

        # The code that is copied computes the map.
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        control(root, "button", "Share").click()
        control(root, "button", "Copy code").click()
        expect(root.get_by_text("Copied")).to_be_visible()
        code = page.evaluate("() => navigator.clipboard.readText()")
        kernel.run(f"inputs = images[:1]; space = {{**globals()}}; exec({code!r}, space)")
        expected = "explorer.attributions"
        same = f"any(isinstance(v, torch.Tensor) and v.equal({expected}) for k, v in space.items() if k[0] != '_')"
        assert kernel.value(same), code


def test_settings_contrast_baselines_and_examples(page: Page, server: Server, shot: Shot) -> None:
    """What is explained, chosen at the page; what cannot be is refused where it was asked for."""
    make = DIGIT.replace("images[:1]", "images[:4]")
    name = open_and_run(page, server, [make, "explorer"], "choices.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    quiet(root)
    canvas = picture(page)
    with server.kernel(name) as kernel:

        def chosen(expression: str, value: object) -> None:
            wait_for(f"{expression} = {value!r}", lambda: kernel.value(expression) == value, 30)
            settled(page, kernel)
            quiet(root)

        # A setting, and a value that it cannot have.
        root.get_by_role("button", name="Settings").click()
        steps = root.locator("input[data-parameter]").first
        assert steps.input_value() == "10"
        steps.fill("-3")
        steps.press("Enter")
        expect(steps).to_have_attribute("aria-invalid", "true")
        expect(root.locator(".as-refusal:visible")).to_contain_text("-3")
        shot(root, "refused")
        assert kernel.value("explorer.settings['IntegratedGradients']['n_steps']") == 10
        steps.fill("20")
        steps.press("Enter")
        expect(steps).not_to_have_attribute("aria-invalid", "true")
        chosen("explorer.settings['IntegratedGradients']['n_steps']", 20)
        fewer = kernel.value("explorer.heat['evaluations']")
        control(root, "button", "Refine").click()
        chosen("explorer.effort", 1)
        assert kernel.value("explorer.heat['evaluations']") > 1.5 * fewer

        # One class rather than another.
        row = root.get_by_role("listbox", name="Predictions").get_by_role("option").nth(1)
        row.focus()
        page.keyboard.press("c")
        other = int(str(row.get_attribute("data-index")))
        chosen("explorer.contrast", other)
        expect(canvas).to_have_attribute("aria-label", re.compile(f"rather than {other}"))
        control(root, "button", "Remove contrast").click()
        chosen("explorer.contrast", None)

        # Several baselines.
        control(root, "combobox", "Baseline").click()
        control(root, "button", "Average over several").click()
        root.get_by_role("checkbox", name="White").check()
        chosen("explorer.baseline", ["zero", "white"])
        expect(canvas).to_have_attribute("aria-label", re.compile("zero.*white"))
        root.get_by_role("checkbox", name="White").uncheck()
        chosen("explorer.baseline", "zero")

        # Another example.
        seen = pixels(root)
        root.get_by_role("listbox", name="Examples").get_by_role("option").nth(2).click()
        chosen("explorer.example", 2)
        assert pixels(root) != seen
        assert kernel.value("explorer.heat['request']['example']") == 2
        shot(root, "third example")
