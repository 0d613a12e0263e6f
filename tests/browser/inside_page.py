"""What a person does inside a model, at the page: layers, channels, neurons, and what is switched off."""

from __future__ import annotations

import re
from typing import Any, Literal

from playwright.sync_api import Locator, Page, Position, ViewportSize, expect

from browser.explorer_page import PIXELS, TWO_FRAMES, chooser, chosen, quiet, show_tab
from browser.harness import Kernel, wait_for

# So that a whole Explorer with a layer picked is in view, and on its pictures.
TALL: ViewportSize = {"width": 1280, "height": 2400}
# Notes, in the page, what is sent to the kernel (what kind, when, which traits) and when a key goes down.
LISTEN = """() => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    window.sent = [];
    window.keysDown = [];
    kernel.anyMessage.connect((_, { msg, direction }) => {
        if (direction !== 'send') return;
        const { state = {}, content = {} } = msg.content?.data ?? {};
        const what = [...Object.keys(state), ...(content.type ? [content.type] : [])];
        window.sent.push({ type: msg.header.msg_type, what, at: performance.now() });
    });
    document.addEventListener('keydown', () => window.keysDown.push(performance.now()), true);
}"""
# Keeps, in the page, what its first Explorer shows at the end of the next frame: title and pixels.
KEEP = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
    const overlay = document.querySelector('.as-root[data-ready] .as-overlay');
    const canvas = overlay.querySelector('.as-view:not(.as-pinned) canvas[role=img]');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    (window.kept ??= []).push(data);
    done(overlay.querySelector('.as-title').title);
})))"""
# Of two kept pictures: the mean of what differs, and what one pixel of a thousand exceeds, from 0 to 255.
DIFFER = """([one, other]) => {
    const [a, b] = [window.kept.at(one), window.kept.at(other)];
    if (a.length !== b.length) return [255, 255];
    const steps = new Uint8Array(a.length / 4);
    for (let i = 0; i < a.length; i += 1) steps[i >> 2] = Math.max(steps[i >> 2], Math.abs(a[i] - b[i]));
    const sorted = steps.toSorted();
    return [steps.reduce((sum, step) => sum + step, 0) / steps.length, sorted[Math.floor(0.999 * steps.length)]];
}"""
# By the page's clock: from the click to the title that says whose map it is, in the frame in which it is drawn.
UNTIL_TITLE = """([element, words]) => new Promise((resolve, reject) => {
    const title = element.closest('.as-root').querySelector('.as-overlay .as-title');
    const start = performance.now();
    const look = () => {
        const taken = performance.now() - start;
        if (title.title.includes(words) && title.title !== before) requestAnimationFrame(() => resolve(taken));
        else if (taken > 60000) reject(new Error(`still ${title.title}`));
        else requestAnimationFrame(look);
    };
    const before = title.title;
    element.click();
    look();
})"""
# Scrubs one layer on, and another one as soon as the kernel has been told of the first, before it says so; notes the
# titles that come after.
SCRUB_ON = """slider => new Promise(done => {
    const step = () => {
        slider.value = +slider.value + 1;
        slider.dispatchEvent(new Event('input', { bubbles: true }));
    };
    const title = slider.closest('.as-root').querySelector('.as-overlay .as-title');
    const titles = [];
    new MutationObserver(() => titles.push(title.title)).observe(title, { attributeFilter: ['title'] });
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    const wait = (_, { msg, direction }) => {
        if (direction !== 'send' || !('layer' in (msg.content?.data?.state ?? {}))) return;
        kernel.anyMessage.disconnect(wait);
        setTimeout(step, 0);
        setTimeout(() => done(titles), 3000);
    };
    kernel.anyMessage.connect(wait);
    step();
})"""
# What the picks are, as the kernel has them, and what its results answer.
PICKS = """dict(
    target=explorer.target, layer=explorer.layer, neuron=explorer.neuron,
    method=explorer.method, layer_method=explorer.layer_method, neuron_method=explorer.neuron_method,
    title=explorer.heat.get("title"), heat=explorer.heat.get("request"), final=explorer.heat.get("final"),
    channels=explorer.channels.get("request"), info=explorer.neuron_info.get("request"),
    spatial={row["name"]: row["spatial"] for row in explorer.layers}.get(explorer.layer, True),
)"""


def title_of(root: Locator) -> str:
    return str(root.locator(".as-overlay .as-title").get_attribute("title"))


def keep(page: Page) -> str:
    """Keeps what is shown, for difference(), and returns its title."""
    return page.evaluate(KEEP)


def difference(page: Page, one: int, other: int) -> tuple[float, float]:
    """Of two kept pictures, counted as in a list: how far they differ on average, and all but a thousandth at most."""
    return tuple(page.evaluate(DIFFER, [one, other]))  # type: ignore[return-value]


def unfold(root: Locator, name: str | re.Pattern[str]) -> None:
    """Opens what a button discloses, if it is closed."""
    button = root.get_by_role("button", name=name)
    if button.get_attribute("aria-expanded") == "false":
        button.click()
    expect(button).to_have_attribute("aria-expanded", "true")


def open_tree(root: Locator) -> None:
    """The tree of all layers."""
    show_tab(root, "Inside")
    unfold(root, "All layers")


def open_channels(root: Locator) -> None:
    """The grid of all channels of the picked layer, which stands alone where there are no patches."""
    show_tab(root, "Inside")
    if root.locator(".as-all-channels").count():
        unfold(root, re.compile("^All (channels|units|heads)$"))


def top(root: Locator) -> Locator:
    """The channels that contribute most, by their buttons."""
    return root.locator(".as-top-pick")


def depth_slider(root: Locator) -> Locator:
    show_tab(root, "Inside")
    return root.get_by_role("slider", name="Depth")


def units(root: Locator) -> Locator:
    """The channels (units, heads) that are in the document."""
    return root.locator(".as-units [role=option]")


def unit(root: Locator, channel: int) -> Locator:
    """One of them, wherever it is in the list: found by its number."""
    open_channels(root)
    search = root.get_by_role("searchbox", name="Channel")
    search.fill(str(channel))
    search.press("Enter")
    found = root.locator(f".as-units [data-channel='{channel}']")
    expect(found).to_be_focused()
    search.fill("")
    return found


def pick_layer(root: Locator, name: str) -> None:
    """By a click in the tree, found by the search."""
    open_tree(root)
    search = root.get_by_role("searchbox", name="Search layers")
    search.fill(name)
    root.locator(f'.as-tree [data-name="{name}"]').click()
    search.fill("")


def at_position(strip: Locator, share: float, hand: Literal["click", "hover"]) -> None:
    """Clicks or points at a place of a channel that is drawn as a strip, from 0 at its left to 1."""
    strip.scroll_into_view_if_needed()
    box = strip.bounding_box()
    assert box
    place: Position = {"x": box["width"] * share, "y": box["height"] / 2}
    (strip.click if hand == "click" else strip.hover)(position=place)


def click_until_title(element: Locator, words: str) -> float:
    """Milliseconds from a click to the map whose title has these words."""
    return element.page.evaluate(UNTIL_TITLE, [element.element_handle(), words])


def predictions(root: Locator) -> list[str]:
    """The rows as they are read, whichever tab is on show."""
    return root.locator(".as-predictions [role=option]").all_text_contents()


def at_rest(root: Locator, kernel: Kernel) -> dict[str, Any]:
    """Waits until kernel and page are done with everything that was picked, and returns the kernel's PICKS."""
    page = root.page
    before: Any = None
    page.wait_for_timeout(450)  # longer than a scrub rests before the kernel hears of it

    def same_twice() -> dict[str, Any] | None:
        nonlocal before
        page.wait_for_timeout(50)
        kernel.run("explorer.wait(60); None")
        quiet(root)
        now = kernel.value(PICKS)
        same, before = now == before, now
        return now if same else None

    picks = wait_for("rest", same_twice, 60)
    page.evaluate(TWO_FRAMES)
    return picks


def belong_together(root: Locator, kernel: Kernel) -> dict[str, Any]:
    """What stands on the page, and what the kernel answered, is all of the picks shown."""
    picks = at_rest(root, kernel)
    layer, neuron, target = picks["layer"], picks["neuron"], picks["target"]
    level = "input" if layer is None else "layer" if neuron is None else "neuron"
    method = {"input": "method", "layer": "layer_method", "neuron": "neuron_method"}[level]

    # The controls show the picks.
    picked = root.locator(".as-tree [aria-selected=true]")  # which may be out of sight
    rows = picked.evaluate_all("all => all.map(it => it.dataset.name ?? null)")
    assert rows in ([], [layer]), (rows, picks)
    assert chosen(root, "Method") == picks[method], picks
    labels = {"layer_method": "Layer method", "neuron_method": "Neuron method"}
    for name, label in labels.items():
        if chooser(root, label).count() and (name != "neuron_method" or level == "neuron"):
            assert chosen(root, label) == picks[name], picks
    assert chosen(root, "Explained output") == str(target), picks
    assert chosen(root, "Seen at") == (PIXELS if layer is None else layer), picks
    row = root.locator(".as-predictions [role=option][aria-selected=true]")
    if row.count():
        assert row.get_attribute("data-index") == str(target)
    channel = neuron[0] if isinstance(neuron, list) else neuron
    if layer is not None:  # a picked one may be out of sight
        found = root.locator(".as-units [aria-selected=true]").evaluate_all(
            "all => all.map(it => +it.dataset.channel)"
        )
        assert found in ([], [channel]), (found, picks)

    # The results answer the picks.
    if level == "layer" and not picks["spatial"]:
        assert picks["heat"] is None, picks
        assert title_of(root) == "Picture"
    else:
        request = picks["heat"]
        assert request, picks
        asked = {name: picks[name] for name in ("target", "layer", "neuron", method)}
        assert {name: request[name] for name in asked} == asked, picks
        assert picks["final"] is True, picks
        assert title_of(root) == picks["title"]
    if layer is not None:
        asked = {"layer": layer, "target": target}
        assert {name: picks["channels"][name] for name in asked} == asked, picks
        assert layer in str(root.locator(".as-channels .as-title").text_content())
    if neuron is not None:
        asked = {"layer": layer, "target": target, "neuron": neuron}
        assert {name: picks["info"][name] for name in asked} == asked, picks
        assert str(channel) in str(root.locator(".as-neuron .as-title").text_content())
    return picks


def wide(page: Page, kernel: Kernel, root: Locator, width: int) -> None:
    """Gives the Explorer a width, whatever stands beside the notebook."""
    page.set_viewport_size({"width": width + 560, "height": 2400})
    kernel.run(f"explorer.layout.width = '{width}px'")
    wait_for(f"{width} pixels", lambda: abs(root.bounding_box()["width"] - width) <= 12, 10)  # type: ignore[index]
