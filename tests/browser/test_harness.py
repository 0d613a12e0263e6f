"""The harness itself: a trivial widget is drawn, talks to the kernel, and what goes wrong on a page is noticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.harness import Server, Watch, notebook, wait_for
from browser.notebook_page import run_all, wait_until_ready, wait_until_run

both_front_ends = pytest.mark.parametrize("server", ["lab", "notebook"], indirect=True)

DOT = """
import anywidget, traitlets

class Dot(anywidget.AnyWidget):
    _esm = '''
    export default { render({ model, el }) {
      const button = document.createElement("button");
      button.textContent = "Make it green";
      const canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", "A dot");
      canvas.width = canvas.height = 8;
      const draw = () => {
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.fillStyle = model.get("color");
        context.fillRect(0, 0, 8, 8);
        canvas.dataset.color = model.get("color");
      };
      button.addEventListener("click", () => { model.set("color", "#00ff00"); model.save_changes(); });
      model.on("change:color", draw);
      draw();
      el.append(canvas, button);
    } };
    '''
    color = traitlets.Unicode("#ff0000").tag(sync=True)
"""


def pixel(canvas: Locator) -> list[int]:
    return canvas.evaluate("c => Array.from(c.getContext('2d').getImageData(4, 4, 1, 1).data)")


@both_front_ends
def test_a_widget_draws_and_talks_to_the_kernel(
    page: Page, server: Server, shot: Callable[[Page | Locator, str], Path]
) -> None:
    name = server.add(notebook([DOT, "dot = Dot()\ndot"]), "dot.ipynb")
    page.goto(server.url(name))
    run_all(page)
    canvas = page.get_by_role("img", name="A dot")
    expect(canvas).to_be_visible()
    wait_until_run(page)
    assert pixel(canvas) == [255, 0, 0, 255]

    with server.kernel(name) as kernel:
        page.get_by_role("button", name="Make it green").click()
        expect(canvas).to_have_attribute("data-color", "#00ff00")
        assert pixel(canvas) == [0, 255, 0, 255]
        # The page's message takes another way into the kernel than the question.
        wait_for("green in the kernel", lambda: kernel.value("dot.color") == "#00ff00", 30)

        kernel.run("dot.color = '#0000ff'")
        expect(canvas).to_have_attribute("data-color", "#0000ff")
        assert pixel(canvas) == [0, 0, 255, 255]

        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            kernel.run("1 / 0")
    assert shot(page, "drawn").stat().st_size > 10_000


def test_the_watch_sees_what_goes_wrong(page: Page, server: Server, watch: Watch) -> None:
    name = server.add(notebook(["1"]), "watched.ipynb")
    page.goto(server.url(name))
    run_all(page)
    wait_until_run(page)
    assert watch.problems() == []

    page.evaluate("console.error('printed')")
    page.evaluate("setTimeout(() => { throw new Error('thrown') })")
    page.evaluate("fetch('/no-such-thing')")
    # A port of this very machine on which nothing listens: outside the server, and yet nothing leaves the machine.
    page.evaluate("fetch('http://127.0.0.1:9/outside').catch(() => {})")
    page.wait_for_timeout(500)
    assert any("printed" in text for text in watch.console)
    assert any("thrown" in text for text in watch.page_errors)
    assert any("no-such-thing" in text and "404" in text for text in watch.failed)
    assert watch.outside == ["http://127.0.0.1:9/outside"]

    assert watch.problems() != []
    for expected in ("printed", "thrown", "no-such-thing", "127.0.0.1:9"):
        watch.allow(expected)
    assert watch.problems() == []


@both_front_ends
def test_the_end_of_a_run_is_noticed(page: Page, server: Server) -> None:
    cells = [
        "count = globals().get('count', 0) + 1",
        "import time\ntime.sleep(1)",
        "assert count < 3",
        "last = count",
    ]
    name = server.add(notebook(cells), "runs.ipynb")
    page.goto(server.url(name))
    for count in (1, 2):
        run_all(page)
        wait_until_run(page)
        with server.kernel(name) as kernel:
            assert kernel.value("last") == count
    run_all(page)
    with pytest.raises(AssertionError, match="AssertionError"):
        wait_until_run(page)


# Every request to run a cell is lost on its way to the kernel, `times` times.
LOSE_REQUESTS = """times => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    const send = kernel._sendMessage.bind(kernel);
    kernel._sendMessage = (msg, queue) => {
        const lose = msg.header.msg_type === 'execute_request' && !msg.content.silent && times-- > 0;
        if (!lose) send(msg, queue);
    };
}"""
# The requests arrive, and nothing that the kernel says about them does.
LOSE_ANSWERS = """() => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    const send = kernel._sendMessage.bind(kernel);
    const mute = new Set();
    kernel._sendMessage = (msg, queue) => {
        if (msg.header.msg_type === 'execute_request' && !msg.content.silent) mute.add(msg.header.msg_id);
        send(msg, queue);
    };
    const handle = kernel._handleMessage.bind(kernel);
    kernel._handleMessage = async msg => mute.has(msg.parent_header?.msg_id) || handle(msg);
    const heard = kernel._anyMessage.emit.bind(kernel._anyMessage);
    kernel._anyMessage.emit = args => mute.has(args.msg.parent_header?.msg_id) || heard(args);
}"""
# All cells but the first lie somewhere on their way to the kernel until a silent question is sent after them.
HOLD_REQUESTS = """() => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    const send = kernel._sendMessage.bind(kernel);
    const held = [];
    let cells = 0;
    kernel._sendMessage = (msg, queue) => {
        const request = msg.header.msg_type === 'execute_request';
        if (request && !msg.content.silent && cells++ > 0) return held.push([msg, queue]);
        if (request) held.splice(0).forEach(args => send(...args));
        send(msg, queue);
    };
}"""
COUNTED = ["count = globals().get('count', 0) + 1", "last = count"]


def test_a_lost_run_request_is_given_again_and_no_cell_runs_twice(page: Page, server: Server) -> None:
    name = server.add(notebook(COUNTED), "lost.ipynb")
    page.goto(server.url(name))
    wait_until_ready(page)
    page.evaluate(LOSE_REQUESTS, len(COUNTED))
    with pytest.warns(UserWarning, match="lost the request"):
        run_all(page, patience=2)
    wait_until_run(page)
    with server.kernel(name) as kernel:
        assert kernel.value("last") == 1

        page.evaluate(LOSE_ANSWERS)
        with pytest.raises(
            AssertionError, match="the kernel ran 2 cells, and the page heard nothing of them"
        ):
            run_all(page, patience=2)
        assert kernel.value("last") == 2


def test_a_kernel_that_leaves_cells_in_its_queue_is_woken(page: Page, server: Server) -> None:
    name = server.add(notebook(COUNTED), "left.ipynb")
    page.goto(server.url(name))
    wait_until_ready(page)
    page.evaluate(HOLD_REQUESTS)
    run_all(page)
    with pytest.raises(TimeoutError, match="the cells have not run"):
        wait_until_run(page, timeout=2, patience=10)
    with pytest.warns(UserWarning, match="left cells in its queue"):
        wait_until_run(page, patience=1)
    with server.kernel(name) as kernel:
        assert kernel.value("last") == 1
