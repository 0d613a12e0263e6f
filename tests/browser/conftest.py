"""Fixtures for tests at a real notebook page.

`server` is one server per front end for the whole run ("lab" unless a test is parametrized with `server`, indirectly);
`page` is a fresh page, whose errors fail the test when it ends unless `watch.allow(pattern)` expects them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from browser.harness import App, Server, Watch, find_chromium, launch

JS = Path(__file__).parents[2] / "js"
expect.set_options(timeout=30_000)
FAILED = pytest.StashKey[bool]()

# Notebook 7.6 throws this one itself on every load, with or without a widget.
ITS_OWN_ERROR = r"Cannot read properties of undefined \(reading 'schema'\)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Notes on the test whether it failed, for fixtures that are torn down after it."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def chromium(cannot_run: Callable[[str], NoReturn]) -> str:
    found = find_chromium()
    if found is None:
        cannot_run("browser tests need Chromium on PATH, or its path in CHROMIUM")
    return found


@pytest.fixture(scope="session")
def axe(cannot_run: Callable[[str], NoReturn]) -> Path:
    """axe-core, which finds what can be found without a person."""
    script = JS / "node_modules/axe-core/axe.min.js"
    if not script.is_file():
        npm = shutil.which("npm")
        if npm is None:
            cannot_run("the accessibility tests need axe-core: Node.js 20 or newer, and `npm ci` in js/")
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=JS, check=True, capture_output=True)
    return script


@pytest.fixture(scope="session")
def servers(chromium: str) -> Iterator[Callable[[App], Server]]:
    """The running server of a front end, started when it is first asked for."""
    running: dict[App, Server] = {}
    with ExitStack() as stack:

        def get(app: App) -> Server:
            if app not in running:
                running[app] = stack.enter_context(Server(app))
            return running[app]

        yield get


@pytest.fixture
def server(request: pytest.FixtureRequest, servers: Callable[[App], Server]) -> Server:
    return servers(getattr(request, "param", "lab"))


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    # Per module, not per session: while Playwright is open, its event loop counts as running in this thread, and what
    # comes after in the same run, such as nbval or asyncio.run(), would stumble over it.
    with sync_playwright() as playwright:
        opened = launch(playwright, chromium)
        yield opened
        opened.close()


@pytest.fixture
def watch(server: Server) -> Watch:
    watching = Watch(server.origin)
    if server.app == "notebook":
        watching.allow(ITS_OWN_ERROR)
    return watching


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where screenshots go: the folder ATTRISCOPE_SHOTS names, else the test's own temporary one."""
    folder = Path(os.environ.get("ATTRISCOPE_SHOTS") or tmp_path).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def shot(shots: Path, request: pytest.FixtureRequest) -> Callable[[Page | Locator, str], Path]:
    """Takes a screenshot: shot(page, "after the click")."""

    def take(what: Page | Locator, name: str) -> Path:
        path = shots / f"{slug(request.node.name)}-{slug(name)}.png"
        what.screenshot(path=path)
        return path

    return take


def slug(text: str) -> str:
    return re.sub(r"\W+", "-", text).strip("-")


@pytest.fixture
def page(
    browser: Browser, server: Server, watch: Watch, shots: Path, request: pytest.FixtureRequest
) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1400}, locale="en-US")
    opened = context.new_page()
    watch.attach(opened)
    yield opened
    failed = request.node.stash.get(FAILED, False)
    if failed:
        opened.screenshot(path=shots / f"{slug(request.node.name)}-FAILED.png")
        request.node.add_report_section("teardown", "notebook server", server.log()[-5000:])
    context.close()
    server.shut_down_kernels()
    if not failed:  # else the failure itself is what matters
        problems = watch.problems()
        assert not problems, "the page had problems of its own:\n" + "\n".join(problems)
