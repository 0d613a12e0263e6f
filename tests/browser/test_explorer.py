"""The Explorer in a real notebook, as a person uses it: look, drag, click, type, read back in Python."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.harness import Kernel, Server, notebook, run_all, save, wait_for, wait_until_run

Shot = Callable[[Page | Locator, str], Path]

FIRST_LOOK = Path(__file__).parents[2] / "notebooks" / "01_first_look.ipynb"

# The real network on the real cat, with few steps: seconds, not minutes.
CAT = """
import torch
from attriscope import Explorer, zoo
model = zoo.efficientnet_lite0()
image = zoo.imagenet_preprocess(zoo.picture("chelsea"))
names = zoo.imagenet_class_names()
explorer = Explorer(model, image, class_names=names, to_image=zoo.imagenet_to_image, n_steps=10)
"""
# A small network, and a way to slow it down or make it fail from another cell.
DIGIT = """
import time, torch
from torch import nn
from attriscope import Explorer, zoo

class Moody(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net, self.delay, self.error = net, 0.0, None
    def forward(self, x):
        time.sleep(self.delay)
        if self.error:
            raise ValueError(self.error)
        return self.net(x)

model = Moody(zoo.small_cnn()).eval()
images, labels = zoo.small_pictures()
explorer = Explorer(model, images[:1], class_names=zoo.SMALL_CLASS_NAMES, n_steps=10)
"""


def explorer_of(page: Page) -> Locator:
    """The widget's root, once it shows a finished map."""
    root = page.locator(".as-root[data-ready]").first
    root.wait_for(timeout=60_000)
    return root


def picture(page: Page) -> Locator:
    return explorer_of(page).locator("canvas[role=img]").first


def pixels(page: Page) -> str:
    """A fingerprint of what the canvas shows."""
    return picture(page).evaluate(
        """canvas => {
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            let hash = 0;
            for (let i = 0; i < data.length; i += 1) hash = (hash * 31 + data[i]) | 0;
            return canvas.width + ':' + hash;
        }"""
    )


def settled(page: Page, kernel: Kernel, wanted: str = "idle") -> None:
    """Waits until the kernel has answered, and the page has drawn the answer."""
    wait_for(f"status {wanted}", lambda: kernel.value("explorer.status") == wanted, 90)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def until_changed(page: Page, before: str) -> str:
    return wait_for("other pixels", lambda: (now := pixels(page)) != before and now, 15)


def set_slider(slider: Locator, value: float) -> None:
    """As a drag does: the value, and the event."""
    slider.evaluate(
        """(input, value) => {
            input.value = value;
            input.dispatchEvent(new Event('input', { bubbles: true }));
            input.dispatchEvent(new Event('change', { bubbles: true }));
        }""",
        str(value),
    )


def open_and_run(page: Page, server: Server, cells: list[str], name: str) -> str:
    server.add(notebook(cells), name)
    page.goto(server.url(name))
    run_all(page)
    return name


def test_first_notebook_runs_from_top_to_bottom(page: Page, server: Server, shot: Shot) -> None:
    name = server.add(FIRST_LOOK)
    page.goto(server.url(name))
    run_all(page)
    explorer_of(page)
    wait_until_run(page, timeout=240)
    expect(picture(page)).to_have_attribute("aria-label", re.compile("Integrated Gradients for Egyptian cat"))
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
            "aria-label", re.compile("Integrated Gradients for tiger cat")
        )
        shot(root, "first")

        # Restyling changes the pixels, and asks nothing of the model.
        kernel.run("calls = []; model.register_forward_hook(lambda *_: calls.append(1)); None")
        seen = pixels(page)
        set_slider(root.get_by_role("slider", name="Opacity"), 1)
        seen = until_changed(page, seen)
        root.get_by_role("combobox", name="Sign").select_option("positive")
        seen = until_changed(page, seen)
        root.get_by_role("combobox", name="Colour map").select_option("viridis")
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

        # A click on a layer shows its Grad-CAM, and "Input" goes back.
        tree = root.get_by_role("tree", name="Layers")
        root.get_by_role("searchbox", name="Search layers").fill("head.conv")
        tree.get_by_role("treeitem", name=re.compile(r"^head\.conv,")).click()
        expect(picture(page)).to_have_attribute(
            "aria-label", re.compile(r"Grad-CAM at head\.conv"), timeout=60_000
        )
        settled(page, kernel)
        until_changed(page, seen)
        assert kernel.value("explorer.layer") == "head.conv"
        assert kernel.value("list(explorer.attributions.shape)") == [1, 1, 7, 7]
        shot(root, "grad-cam")
        root.get_by_role("searchbox", name="Search layers").fill("")
        tree.get_by_role("treeitem", name=re.compile("^Input")).click()
        expect(picture(page)).to_have_attribute(
            "aria-label", re.compile("Integrated Gradients"), timeout=60_000
        )
        assert kernel.value("explorer.layer") is None

        # What Python chooses, the page shows.
        kernel.run("explorer.method = 'Saliency'; explorer.baseline = 'blur'; explorer.wait(); None")
        expect(root.get_by_role("combobox", name="Method")).to_have_value("Saliency")
        expect(root.get_by_role("combobox", name="Baseline")).to_have_value("blur")
        expect(picture(page)).to_have_attribute("aria-label", re.compile("Saliency for Egyptian cat"))


def test_cancel_while_a_cell_is_running(page: Page, server: Server) -> None:
    busy = "import time\nfor _ in range(160): time.sleep(0.05)\nended = time.time()"
    name = open_and_run(
        page, server, [DIGIT, "explorer", "explorer.wait(); model.delay = 1.0", busy], "slow.ipynb"
    )
    root = explorer_of(page)
    cancel = root.get_by_role("button", name="Cancel")
    expect(cancel).to_be_disabled(timeout=60_000)
    root.get_by_role("combobox", name="Baseline").select_option("white")
    expect(cancel).to_be_enabled()
    cancel.click()
    clicked = page.evaluate("() => Date.now() / 1000")
    expect(root.get_by_role("status")).to_have_text(re.compile("Cancelled"), timeout=5_000)
    expect(cancel).to_be_disabled()
    wait_until_run(page)
    with server.kernel(name) as kernel:
        assert clicked < kernel.value("ended") - 1  # the cell was still running
        assert kernel.value("explorer.status") == "cancelled"
        assert kernel.value("explorer.heat['request']['baseline']") == "zero"
        kernel.run("model.delay = 0; explorer.recompute(); explorer.wait(); None")
        expect(picture(page)).to_have_attribute("aria-label", re.compile("baseline white"))


def test_a_model_that_raises_says_so_in_the_widget(page: Page, server: Server, shot: Shot) -> None:
    name = open_and_run(page, server, [DIGIT, "explorer"], "error.ipynb")
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        kernel.run("model.error = '<img src=x onerror=alert(1)> is no digit'")
        root.get_by_role("combobox", name="Method").select_option("Saliency")
        expect(root).to_contain_text("ValueError: <img src=x onerror=alert(1)> is no digit")
        assert root.locator("img[src=x]").count() == 0  # text, not markup
        shot(root, "error")
        kernel.run("model.error = None")
        root.get_by_role("button", name="Try again").click()
        expect(picture(page)).to_have_attribute("aria-label", re.compile("Saliency"))
        settled(page, kernel)
        expect(root).not_to_contain_text("is no digit")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [700, 1400])
def test_it_looks_designed(page: Page, server: Server, shot: Shot, theme: str, width: int) -> None:
    """What can be asserted: nothing is cut off sideways, and text is light on dark or dark on light. Then look."""
    setting = {"theme": f"JupyterLab {theme.capitalize()}"}
    server.set_setting("@jupyterlab/apputils-extension:themes", setting)
    # The width of the cell's output, not of the window, is what counts: beside it stand the prompt and the side bar.
    page.set_viewport_size({"width": width + 560, "height": 1400})
    show = f"explorer.layout.width = '{width}px'\nexplorer"
    name = open_and_run(page, server, [DIGIT, show], f"{theme}{width}.ipynb")
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
    shot(root, "explorer")
    assert root.evaluate("el => el.scrollWidth <= el.clientWidth + 1")
    assert abs(root.bounding_box()["width"] - width) <= 12
    cut = root.evaluate(
        """el => [...el.querySelectorAll('select, button, input, canvas, [role=option]')]
            .filter(e => e.getClientRects().length)
            .filter(e => e.getBoundingClientRect().right > el.getBoundingClientRect().right + 1)
            .map(e => e.outerHTML.slice(0, 80))"""
    )
    assert cut == []
    color, ground = root.evaluate(
        """el => { const s = getComputedStyle(el); return [s.color, s.backgroundColor] }"""
    )
    light = [sum(map(float, re.findall(r"[\d.]+", value)[:3])) for value in (color, ground)]
    assert (light[0] > 384) == (theme == "dark"), (color, ground)
    server.set_setting("@jupyterlab/apputils-extension:themes", {"theme": "JupyterLab Light"})


def test_by_keyboard_alone(page: Page, server: Server) -> None:
    """The notebook in command mode takes keys away from outputs; what the widget handles must stay in the widget."""
    name = open_and_run(page, server, [DIGIT, "explorer"], "keys.ipynb")
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        cells = page.locator(".jp-Notebook .jp-Cell").count()
        position = root.get_by_role("slider", name="Path position")
        position.focus()
        page.keyboard.press("Home")
        expect(position).to_have_value("0")
        page.keyboard.press("ArrowRight")
        wait_for("a step", lambda: 0 < kernel.value("explorer.alpha") < 0.2, 10)

        target = kernel.value("explorer.target")
        root.get_by_role("listbox", name="Predictions").get_by_role("option").first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        wait_for("another target", lambda: kernel.value("explorer.target") != target, 10)

        root.get_by_role("treeitem", name=re.compile("^Input")).focus()
        page.keyboard.press("End")
        for _ in range(40):
            page.keyboard.press("Enter")
            if kernel.value("explorer.layer") is not None:
                break
            page.keyboard.press("ArrowUp")
        assert kernel.value("explorer.layer") is not None
        page.keyboard.press("b")  # a person types ahead; the notebook would insert a cell
        page.keyboard.press("a")
        assert page.locator(".jp-Notebook .jp-Cell").count() == cells


def test_shown_twice_and_after_a_reload(page: Page, server: Server) -> None:
    name = open_and_run(page, server, [DIGIT, "explorer", "explorer"], "twice.ipynb")
    roots = page.locator(".as-root[data-ready]")
    expect(roots).to_have_count(2, timeout=60_000)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        roots.nth(0).get_by_role("combobox", name="Sign").select_option("negative")
        expect(roots.nth(1).get_by_role("combobox", name="Sign")).to_have_value("negative")
        save(page)
        page.reload()
        expect(roots).to_have_count(2, timeout=60_000)
        expect(roots.nth(1).get_by_role("combobox", name="Sign")).to_have_value("negative")
        expect(roots.nth(1).locator("canvas[data-drawn]").first).to_be_visible()
        roots.nth(1).get_by_role("combobox", name="Method").select_option("InputXGradient")
        wait_for("the kernel hears it", lambda: kernel.value("explorer.method") == "InputXGradient", 15)
        expect(picture(page)).to_have_attribute("aria-label", re.compile("Input X Gradient"))
