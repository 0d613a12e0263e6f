"""The Explorer at a real page: how soon it answers, how smoothly it restyles and scrubs, how much it sends and holds.

    python -m pytest tests/benchmarks/bench_page.py -s     prints the table
    python tests/benchmarks/bench_page.py                  the same; --quick with a fifth of the rounds

Needs Chromium. Measured in JupyterLab with a kernel on one thread. Nothing is asserted about time: on a busy machine
the figures say how busy it was.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# As in tests/conftest.py, for when this runs as a script: before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).parents[1]))

import gzip
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, Page, expect, sync_playwright
from torch.nn.functional import interpolate

import attriscope.widget
from attriscope import Explorer, attr, zoo
from attriscope.widget.messages.wire import reduced
from browser.cycles import CYCLES, page_size, run_last_cell
from browser.explorer_page import CAT, DIGIT, MOODY, control, explorer_of, open_and_run, quiet, settled
from browser.harness import Server, find_chromium, launch, wait_for
from browser.inside_page import LISTEN, click_until_title, depth_slider, pick_layer, units
from browser.notebook_page import wait_until_run

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

# Ten milliseconds a row: two seconds a map, in batches of about 100 ms.
SLOW = (
    MOODY.replace("time.sleep(self.delay)", "time.sleep(self.delay * len(x))")
    + "explorer = Explorer(model, images[:1], n_steps=200)\n"
)
LARGE = """
import torch
from attriscope import Explorer
model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 4), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
explorer = Explorer(model, torch.rand(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(0)), n_steps=10)
"""
# From the click to the page's word that nothing runs any more, by the page's own clock.
CANCEL = """root => new Promise(resolve => {
    const button = [...root.querySelectorAll('button')].find(it => it.textContent === 'Cancel');
    const start = performance.now();
    new MutationObserver((_, watching) => {
        if (!button.disabled) return;
        watching.disconnect();
        resolve(performance.now() - start);
    }).observe(button, { attributes: true });
    button.click();
})"""
# A slider that is moved in every frame; gives the times between frames.
DRAG = """(slider, seconds) => new Promise(resolve => {
    const frames = [];
    const [low, high] = [+slider.min, +slider.max];
    const start = performance.now();
    let before = start;
    const step = now => {
        if (now > before) frames.push(now - before);
        before = now;
        if (now - start > seconds * 1000) return resolve(frames.slice(1));
        slider.value = low + (high - low) * (0.5 + 0.45 * Math.sin((now - start) / 200));
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
})"""
# From choosing another class to the first map for it, and to the final one.
ANSWER = """(root, row) => new Promise(resolve => {
    const canvas = root.querySelector('canvas[role=img]');
    const tag = root.querySelector('.as-overlay .as-tag');
    const title = root.querySelector('.as-overlay .as-title');
    const before = title.title;
    const start = performance.now();
    let first;
    const look = () => {
        const now = performance.now() - start;
        if (title.title !== before) first ??= now;
        if (first !== undefined && tag.hidden) resolve([first, now]);
        else requestAnimationFrame(look);
    };
    root.querySelectorAll('[role=option][data-index]')[row].click();
    look();
})"""

# From now on: when the widget is there, when its tree has rows, when these have bars, when there is a map.
OPENING = """() => {
    const start = performance.now();
    const seen = window.opened = {};
    const look = () => {
        const root = document.querySelector('.as-root[data-ready]');
        const now = performance.now() - start;
        if (root) seen.widget ??= now;
        if (root?.querySelector('.as-tree .as-row[data-name]')) seen.tree ??= now;
        if (root?.querySelector('.as-tree')?.textContent.includes('carries')) seen.bars ??= now;
        if (root?.querySelector('canvas[data-shown=heat]')) seen.map ??= now;
        if (Object.keys(seen).length < 4) requestAnimationFrame(look);
    };
    look();
}"""


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def say(what: str, figures: str) -> None:
    print(f"{what:<52} {figures}", flush=True)


@contextmanager
def received(page: Page) -> Iterator[list[int]]:
    """The sizes in bytes of the web socket's messages to the page meanwhile."""
    sizes: list[int] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")

    def note(event: dict) -> None:
        frame = event["response"]
        text = frame["payloadData"]
        sizes.append(len(text) * 3 // 4 if frame["opcode"] == 2 else len(text))

    session.on("Network.webSocketFrameReceived", note)
    yield sizes
    page.wait_for_timeout(500)
    session.detach()


def cancelling(page: Page, server: Server, rounds: int) -> None:
    cells = [SLOW, "explorer", "explorer.wait(); model.delay = 0.01"]
    name = open_and_run(page, server, cells, "cancel.ipynb")
    wait_until_run(page)
    root = explorer_of(page)
    taken, stopped = [], []
    with server.kernel(name) as kernel:
        for i in range(rounds):
            control(root, "button", "Recompute").click()
            expect(control(root, "button", "Cancel")).to_be_enabled()
            page.wait_for_timeout(137 * (i % 7))  # anywhere in a batch
            taken.append(root.evaluate(CANCEL))
            start = time.perf_counter()
            kernel.run("explorer._jobs.wait(10)")
            stopped.append((time.perf_counter() - start) * 1000)
    say(
        f"Cancel, click to idle page, {rounds} times",
        f"median {statistics.median(taken):.0f} ms, p95 {percentile(taken, 0.95):.0f} ms, max {max(taken):.0f} ms",
    )
    say("  and the model at rest after that, batches of 100 ms", f"p95 {percentile(stopped, 0.95):.0f} ms")


def restyling(page: Page, root: Locator, side: int, seconds: float) -> None:
    for name in ("Opacity", "Path position"):
        frames = control(root, "slider", name).evaluate(DRAG, seconds)
        say(
            f"{name} dragged, {side} x {side} pixels",
            f"{1000 / statistics.mean(frames):.0f} frames/s, p95 {percentile(frames, 0.95):.0f} ms, "
            f"longest {max(frames):.0f} ms",
        )
        control(root, "slider", "Path position").evaluate(
            "it => { it.value = 1; it.dispatchEvent(new Event('input', { bubbles: true })) }"
        )


def answering(page: Page, server: Server, rounds: int, seconds: float) -> None:
    cells = [CAT.replace("n_steps=10", "n_steps=50"), "explorer", "explorer.wait()"]
    open_and_run(page, server, cells, "cat.ipynb")
    wait_until_run(page, 300)
    root = explorer_of(page)
    quiet(root)
    firsts, finals = [], []
    with received(page) as sizes:
        for i in range(rounds):
            first, final = root.evaluate(ANSWER, (i + 1) % 8)
            firsts.append(first)
            finals.append(final)
            quiet(root)
    say("Another class, EfficientNet-Lite0, to the preview", f"median {statistics.median(firsts):.0f} ms")
    say("  to the final map, Integrated Gradients, 50 steps", f"median {statistics.median(finals):.0f} ms")
    large = [size for size in sizes if size > 10_000]
    say(
        "  sent to the page for it",
        f"{sum(sizes) / rounds / 1000:.0f} kB in {len(large) / rounds:.0f} updates above 10 kB, "
        f"each {statistics.median(large) / 1000:.0f} kB",
    )
    with received(page) as sizes:
        restyling(page, root, 224, seconds)
    say("  sent to the page for restyling", f"{sum(sizes) / 1000:.1f} kB")


def large(page: Page, server: Server, seconds: float) -> None:
    name = open_and_run(page, server, [LARGE, "explorer", "explorer.wait()"], "large.ipynb")
    wait_until_run(page, 300)
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
    restyling(page, root, 1024, seconds)


def opening(page: Page, server: Server) -> None:
    make, show = CAT.split("explorer = ")
    name = open_and_run(page, server, [make, "1 + 1"], "open.ipynb")
    wait_until_run(page, 300)
    page.evaluate(OPENING)
    run_last_cell(page, f"explorer = {show.strip()}\nexplorer.tab = 'inside'\nexplorer")
    page.wait_for_function("() => Object.keys(window.opened).length === 4", timeout=120_000)
    seen = page.evaluate("window.opened")
    say(
        "Opening, EfficientNet-Lite0, from running the cell",
        f"widget {seen['widget']:.0f} ms, tree {seen['tree']:.0f} ms, its bars {seen['bars']:.0f} ms, "
        f"a map {seen['map']:.0f} ms",
    )
    assert name


def looking_inside(page: Page, server: Server, rounds: int, seconds: float) -> None:
    for model, make in (("EfficientNet-Lite0", CAT), ("small CNN", DIGIT)):
        open_and_run(page, server, [make, "explorer", "explorer.wait()"], f"inside {model}.ipynb")
        wait_until_run(page, 300)
        root = explorer_of(page)
        quiet(root)
        slider = depth_slider(root)
        page.evaluate(LISTEN)
        frames = slider.evaluate(DRAG, seconds)
        sent = page.evaluate("window.sent.length")
        say(
            f"Scrubbing through {slider.get_attribute('max')} layers, {model}",
            f"{1000 / statistics.mean(frames):.0f} frames/s, p95 {percentile(frames, 0.95):.0f} ms, "
            f"longest {max(frames):.0f} ms, {sent} messages to the kernel",
        )
        quiet(root)
        taken = []
        layers = {
            "EfficientNet-Lite0": ["blocks.2", "blocks.9"],
            "small CNN": ["net.stem.relu", "net.head.relu"],
        }
        for layer in layers[model]:
            pick_layer(root, layer)
            expect(root.locator(".as-channels .as-title")).to_have_text(f"Inside {layer}")
            quiet(root)
            for i in range(rounds):
                taken.append(click_until_title(units(root).nth(i), "Gradient of channel"))
                quiet(root)
        say(
            f"  click on a neuron to its map, {len(taken)} times",
            f"median {statistics.median(taken):.0f} ms, max {max(taken):.0f} ms",
        )


def fidelity() -> None:
    """What it costs that the maps of all layers are sent coarser than they are, and in 16 bits."""
    explorer = Explorer(
        zoo.efficientnet_lite0(), zoo.imagenet_preprocess(zoo.picture("chelsea")), n_steps=2
    ).wait()
    names, target = explorer.layer_maps["names"], explorer.target
    kinds = {row["name"]: row["kind"] for row in explorer.layers}
    model, image = zoo.efficientnet_lite0(), zoo.imagenet_preprocess(zoo.picture("chelsea"))
    whole = [one[0, 0] for one in attr.LayerGradCam(model, names).attribute(image, target)]

    def seen(values: torch.Tensor) -> torch.Tensor:
        return interpolate(values[None, None], image.shape[2:], mode="bilinear", align_corners=False)[0, 0]

    for what, chosen in (
        ("all layers", names),
        ("the convolutions", [name for name in names if kinds[name] == "Conv2d"]),
    ):
        for side in (28, 56, 64, 128):
            size, reduced_ones, worst, typical, rounding = 0, 0, [], [], []
            for name, values in zip(names, whole, strict=True):
                if name not in chosen:
                    continue
                coarse = reduced({name: values}, side)[name]
                scale = float(coarse.abs().max()) or 1.0
                sent = torch.from_numpy((coarse / scale).numpy().astype("<f2").astype(np.float32)) * scale
                size += 2 * coarse.numel()
                reduced_ones += coarse.shape != values.shape
                largest = float(seen(values).abs().max()) or 1.0
                error = (seen(sent) - seen(values)) / largest
                worst.append(float(error.abs().max()))
                typical.append(float(error.square().mean().sqrt()))
                rounding.append(float((seen(sent) - seen(coarse)).abs().max()) / largest)
            say(
                f"Maps of {what} ({len(worst)}), at most {side} pixels",
                f"{size / 1000:.0f} kB; {reduced_ones} coarser than they are; error, of a map's largest value: largest "
                f"{max(worst):.3f}, rms {max(typical):.3f} (median {statistics.median(typical):.1e}); "
                f"by rounding alone {max(rounding):.1e}",
            )
    say("  sent at present", f"{len(explorer.layer_maps['maps']) / 1000:.0f} kB")
    explorer.close()


def holding(page: Page, server: Server, times: int) -> None:
    name = open_and_run(page, server, [MOODY + CYCLES, "first = cycle(5)", "1 + 1"], "cycles.ipynb")
    wait_until_run(page)
    before = page_size(page)
    run_last_cell(page, f"then = cycle({times})")
    with server.kernel(name) as kernel:
        wait_for("the cycles", lambda: kernel.value("'then' in globals()", timeout=600), 600)
        first, then = kernel.value("[first, then]")
    after = page_size(page)
    say(f"{times} Explorers made, shown and closed, kernel", f"{first} -> {then}")
    say("  page", f"{before} -> {after}")


def measure(quick: bool) -> None:
    rounds, seconds = (10, 1.0) if quick else (50, 3.0)
    static = Path(attriscope.widget.__file__).parent / "static"
    for file in ("widget.js", "widget.css"):
        raw = (static / file).read_bytes()
        say(
            f"Bundle, {file}", f"{len(raw) / 1000:.1f} kB, {len(gzip.compress(raw)) / 1000:.1f} kB compressed"
        )
    fidelity()
    chromium = find_chromium()
    assert chromium, "needs Chromium on PATH, or its path in CHROMIUM"
    env = {"OMP_NUM_THREADS": "1"}
    with Server("lab", env=env) as server, sync_playwright() as playwright:
        browser = launch(playwright, chromium)
        for part, arguments in (
            (cancelling, (rounds,)),
            (answering, (rounds // 10, seconds)),
            (opening, ()),
            (looking_inside, (rounds // 10, seconds)),
            (large, (seconds,)),
            (holding, (rounds,)),
        ):
            context = browser.new_context(viewport={"width": 1400, "height": 1000})
            part(context.new_page(), server, *arguments)  # type: ignore[operator]
            context.close()
            server.shut_down_kernels()
        browser.close()


def test_page() -> None:
    measure(quick=False)


if __name__ == "__main__":
    measure(quick="--quick" in sys.argv)
