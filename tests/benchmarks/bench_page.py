"""The Explorer at a real page: how soon it answers, how smoothly it restyles, how much it sends and holds.

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

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

import attriscope.widget
from browser.cycles import CYCLES, page_size, run_last_cell
from browser.explorer_page import CAT, MOODY, control, explorer_of, open_and_run, quiet, settled
from browser.harness import Server, find_chromium, launch, wait_for, wait_until_run

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
            kernel.run("explorer._worker.wait(10)")
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
    chromium = find_chromium()
    assert chromium, "needs Chromium on PATH, or its path in CHROMIUM"
    env = {"OMP_NUM_THREADS": "1"}
    with Server("lab", env=env) as server, sync_playwright() as playwright:
        browser = launch(playwright, chromium)
        for part, arguments in (
            (cancelling, (rounds,)),
            (answering, (rounds // 10, seconds)),
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
