"""The Explorer on a page: notebooks that show one, and what a person does there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from browser.harness import Kernel, Server, notebook, wait_for
from browser.notebook_page import run_all

Shot = Callable[[Page | Locator, str], Path]

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
MOODY = """
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
"""
DIGIT = MOODY + "explorer = Explorer(model, images[:1], class_names=zoo.SMALL_CLASS_NAMES, n_steps=10)\n"

FINGERPRINT = """canvas => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let hash = 0;
    for (let i = 0; i < data.length; i += 1) hash = (hash * 31 + data[i]) | 0;
    return canvas.width + ':' + hash;
}"""
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def open_and_run(page: Page, server: Server, cells: Sequence[str], name: str) -> str:
    """Opens a notebook of these cells and starts to run them."""
    server.add(notebook(cells), name)
    page.goto(server.url(name))
    run_all(page)
    return name


def explorers(page: Page) -> Locator:
    """The roots of all Explorers that are drawn."""
    return page.locator(".as-root[data-ready]")


def explorer_of(page: Page) -> Locator:
    """The first Explorer's root, once it shows a map."""
    root = explorers(page).first
    root.locator(":is(canvas, .as-column-list):is([data-shown=heat], [data-shown=walk])").wait_for(
        timeout=90_000
    )
    return root


def picture_of(root: Locator) -> Locator:
    return root.locator("canvas[role=img]").first


def picture(page: Page) -> Locator:
    return picture_of(explorer_of(page))


def pixels(where: Page | Locator) -> str:
    """A fingerprint of what the canvas of a page's first Explorer, or of the given one, shows."""
    canvas = picture(where) if isinstance(where, Page) else picture_of(where)
    return canvas.evaluate(FINGERPRINT)


def settled(page: Page, kernel: Kernel, wanted: str = "idle", name: str = "explorer") -> None:
    """Waits until the kernel has answered, and the page has drawn the answer."""
    wait_for(f"status {wanted}", lambda: kernel.value(f"{name}.status") == wanted, 90)
    # What the kernel said before this has arrived before this: messages keep their order.
    page.evaluate(TWO_FRAMES)


def quiet(root: Locator) -> None:
    """Waits, at the page alone, until nothing is computed and nothing shown is out of date."""
    expect(root.get_by_role("button", name="Cancel")).to_be_hidden(timeout=90_000)
    expect(root.locator(".as-left .as-tag")).to_be_hidden(timeout=90_000)
    root.page.evaluate(TWO_FRAMES)


def until_changed(where: Page | Locator, before: str) -> str:
    return wait_for("other pixels", lambda: (now := pixels(where)) != before and now, 15)


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


def control(root: Locator, role: Any, name: str) -> Locator:
    return root.get_by_role(role, name=name, exact=True)


# --- the frame: the sentence of menus, what is folded away, and the tabs ----------------------------------------------

PIXELS = "\n"
"""What the menu "Seen at" calls the input."""


def chooser(root: Locator, name: str) -> Locator:
    """A menu of the sentence, or a select box, which may be folded away."""
    return root.get_by_role("combobox", name=name, exact=True, include_hidden=True)


def open_style(root: Locator, wanted: bool = True) -> None:
    """Opens (or closes) what says how the map is drawn."""
    button = control(root, "button", "Style")
    if button.get_attribute("aria-expanded") != str(wanted).lower():
        button.click()


def lines(root: Locator, name: str) -> Locator:
    """What an open menu offers."""
    return root.get_by_role("listbox", name=name, exact=True).get_by_role("option")


def choose(root: Locator, name: str, value: str) -> None:
    """Chooses from a menu of the sentence by its line, or from a select box, behind "Style" if need be."""
    box = chooser(root, name)
    if box.evaluate("it => it instanceof HTMLSelectElement"):
        folded = not box.is_visible()
        if folded:
            open_style(root)
        box.select_option(value)
        if folded:
            open_style(root, False)
        return
    box.click()
    quoted = value.replace("\n", "\\a ")
    root.locator(f'[role=listbox][aria-label="{name}"] [role=option][data-value="{quoted}"]').click()


# Takes a line at random, of those whose values are wanted if there are any, without waiting for what is switched off.
TAKE_ANY = """(box, [wanted, share]) => {
    if (box.disabled) return false;
    const select = box instanceof HTMLSelectElement;
    if (!select && box.ariaExpanded !== 'true') box.click();
    const list = select ? box : box.getRootNode().getElementById(box.getAttribute('aria-controls'));
    const offered = [...list.querySelectorAll('option, [role=option]')];
    const fit = offered.filter(it => wanted.includes(it.value ?? it.dataset.value));
    const from = fit.length ? fit : offered;
    const one = from[Math.floor(share * from.length)];
    if (!one) return false;
    if (select) {
        box.value = one.value;
        box.dispatchEvent(new Event('change', { bubbles: true }));
    } else one.click();
    return true;
}"""


def choose_any(root: Locator, name: str, share: float, wanted: Sequence[str] = ()) -> bool:
    """Chooses one of what is offered (or of what is wanted of it), a share from 0 to 1 of the way down the list."""
    return bool(chooser(root, name).evaluate(TAKE_ANY, [list(wanted), share]))


def chosen(root: Locator, name: str) -> str:
    """The value of a menu or of a select box."""
    return str(chooser(root, name).evaluate("it => it.dataset.value ?? it.value"))


def expect_chosen(root: Locator, name: str, value: str) -> None:
    """Waits for a value of a menu or of a select box."""
    wait_for(f"{name}: {value!r}", lambda: chosen(root, name) == value, 30)


def show_tab(root: Locator, name: str) -> None:
    """Shows a tab of an Explorer; a part that stands alone has none."""
    tab = control(root, "tab", name)
    if tab.count() and tab.get_attribute("aria-selected") != "true":
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
