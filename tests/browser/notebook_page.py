"""At the page of JupyterLab or Notebook 7: run the cells of the open notebook as its menu does, and save it."""

from __future__ import annotations

import contextlib
import time
import warnings

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from browser.harness import PAGE_TIMEOUT_MS

COMMAND_IS_READY = """command =>
    window.jupyterapp?.commands.hasCommand(command) && window.jupyterapp.commands.isEnabled(command)"""
# How many cells the open notebook's kernel has run, or why none can be run yet. A run command that is given before a
# kernel is there, or while its connection is being made, is lost or asks for a kernel. So: the notebook is loaded, its
# session is settled, the kernel is connected and not busy, and a question went there and back over both channels (its
# future is done once the reply and the kernel's "idle" are in). "unknown" is no reason to wait: a page that missed the
# kernel's first "idle", as one that connects late may, learns its status only from the next answer.
NO_ANSWER = "the kernel does not answer the page"
CELLS_RUN = """async ({ patience, restart }) => {
    const panel = window.jupyterapp.shell.currentWidget;
    if (!panel?.context?.isReady) return 'the notebook is not loaded';
    const { sessionContext } = panel;
    if (!sessionContext.isReady || sessionContext.isRestarting || sessionContext.isTerminating)
        return 'the session is not settled';
    const kernel = sessionContext.session?.kernel;
    if (!kernel) return 'there is no kernel';
    if (kernel.connectionStatus !== 'connected') return `the kernel is ${kernel.connectionStatus}`;
    if (!['idle', 'unknown'].includes(kernel.status)) return `the kernel is ${kernel.status}`;
    const count = await Promise.race([
        kernel.requestExecute({ code: '', silent: true, store_history: false, stop_on_error: false }, false).done
            .then(reply => reply.content.execution_count, () => null),
        new Promise(end => setTimeout(end, patience, null)),
    ]);
    if (count === null) {
        await (restart ? kernel.restart() : kernel.reconnect()).catch(() => {});
        return NO_ANSWER;
    }
    if (sessionContext.session?.kernel !== kernel) return 'the kernel has changed';
    return count;
}""".replace("NO_ANSWER", repr(NO_ANSWER))
# The command's promise is kept once every cell has run, or one has failed; the page notes which run that was, and what
# it sent and heard meanwhile.
RUN_ALL = """() => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    const run = window.attriscopeRun = { done: false, sent: [], heard: [] };
    const note = (_, { msg, direction }) => {
        if (window.attriscopeRun !== run) kernel.anyMessage.disconnect(note);
        else if (direction === 'send' && msg.header.msg_type === 'execute_request' && !msg.content.silent)
            run.sent.push(msg.header.msg_id);
        else if (direction === 'recv' && run.sent.includes(msg.parent_header?.msg_id))
            run.heard.push(msg.header.msg_type);
    };
    kernel.anyMessage.connect(note);
    window.jupyterapp.commands.execute('notebook:run-all-cells').finally(() => { run.done = true; });
}"""
RUN_HAS_BEGUN = "() => window.attriscopeRun.heard.length > 0"
RUN_IS_LOST = "() => window.attriscopeRun.done && window.attriscopeRun.sent.length === 0"
HEARD = "() => window.attriscopeRun.heard.length"
# A kernel may leave cells lying in its queue, idle, until another message wakes it: a person who runs an empty cell
# sees the ones before it run first.
WAKE = """patience => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    if (kernel.status === 'busy') return false;
    const question = { code: '', silent: true, store_history: false, stop_on_error: false };
    return Promise.race([
        kernel.requestExecute(question, false).done.then(() => true, () => false),
        new Promise(end => setTimeout(end, patience, false)),
    ]);
}"""
CELL_ERRORS = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .filter(w => w.model.type === 'code')
    .flatMap(w => w.model.outputs.toJSON())
    .filter(o => o.output_type === 'error')
    .map(o => o.ename + ': ' + o.evalue)"""


def execute(page: Page, command: str) -> None:
    """Starts a command of JupyterLab or Notebook 7 without waiting for its end."""
    page.wait_for_function(COMMAND_IS_READY, arg=command, timeout=PAGE_TIMEOUT_MS)
    page.evaluate("command => { window.jupyterapp.commands.execute(command) }", command)


def wait_until_ready(page: Page, timeout: float = 120.0) -> int:
    """Waits until cells can be run, and returns how many the kernel has run so far.

    A kernel that leaves three questions in a row without an answer is connected anew after each, and then started
    anew, as a person would do: some never answer from their start on.
    """
    page.wait_for_function(COMMAND_IS_READY, arg="notebook:run-all-cells", timeout=PAGE_TIMEOUT_MS)
    end = time.monotonic() + timeout
    unanswered = 0
    while True:
        restart = unanswered % 4 == 3
        found = page.evaluate(CELLS_RUN, {"patience": 5_000 * (1 + unanswered % 4), "restart": restart})
        if isinstance(found, int):
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"no cell can be run after {timeout:g} s: {found}")
        if found == NO_ANSWER:
            unanswered += 1
            if restart:
                warnings.warn("the kernel did not answer the page; it is started again", stacklevel=2)
        page.wait_for_timeout(100)


def run_all(page: Page, patience: float = 20.0) -> None:
    """Runs all cells of the open notebook as the menu does, once its kernel is live; does not wait for the end.

    A front end may lose the request: the cells wait, and the kernel is idle. It is given again only if the kernel
    itself says that it has run nothing since, which it says after everything that was sent before the question.

    Args:
        page: a page of JupyterLab or Notebook 7 with a notebook that has code cells.
        patience: after so many seconds without an answer to any cell, the kernel is asked.
    """
    before = wait_until_ready(page)
    for last_try in (False, False, True):
        page.evaluate(RUN_ALL)
        with contextlib.suppress(PlaywrightTimeout):
            page.wait_for_function(f"() => ({RUN_HAS_BEGUN})() || ({RUN_IS_LOST})()", timeout=patience * 1000)
        if page.evaluate(RUN_HAS_BEGUN):
            return
        run = page.evaluate("() => window.attriscopeRun")
        # While the command waits for something else than the kernel, such as an answer to a dialogue, it may still
        # send its cells later; then a second request would run them twice.
        if not run["done"] and not run["sent"]:
            raise AssertionError("the front end took the request to run all cells and sent none of them")
        if (count := wait_until_ready(page)) != before:
            if page.evaluate(RUN_HAS_BEGUN):
                return  # late, but well
            raise AssertionError(f"the kernel ran {count - before} cells, and the page heard nothing of them")
        if last_try:
            raise AssertionError("the front end lost the request to run all cells three times")
        warnings.warn("the front end lost the request to run all cells; it is given again", stacklevel=2)


def wait_until_run(page: Page, timeout: float = 120.0, patience: float = 20.0) -> None:
    """Waits for the end of run_all(), and raises the error that a cell ended with.

    Args:
        page: the page that run_all() was called with.
        timeout: the whole time that the cells may take, in seconds.
        patience: an idle kernel that says nothing for so many seconds, with cells still to run, is asked a question.
    """
    end = time.monotonic() + timeout
    heard = -1
    while (left := end - time.monotonic()) > 0:
        with contextlib.suppress(PlaywrightTimeout):
            page.wait_for_function(
                "() => window.attriscopeRun.done", timeout=max(1, min(left, patience) * 1000)
            )
            break
        before, heard = heard, page.evaluate(HEARD)
        if heard == before and page.evaluate(WAKE, patience * 1000):
            warnings.warn("the kernel left cells in its queue, idle; it was asked a question", stacklevel=2)
    else:
        run = page.evaluate("() => window.attriscopeRun")
        raise TimeoutError(f"the cells have not run after {timeout:g} s: {run}")
    if errors := page.evaluate(CELL_ERRORS):
        raise AssertionError(f"a cell failed: {'; '.join(errors)}")


def save(page: Page) -> None:
    """Saves the notebook and waits for the end."""
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
